//! What a site is: where its images lie and who its manager is. Options of the command line go before
//! variables of the environment, those before `/etc/azud/azud.toml`.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use azud_core::code::Code;
use azud_core::layout::{Layout, Profile};
use azud_core::reference::Host;
use azud_image::signature::TrustedKey;
use azud_transport::http::Manager;
use clap::ValueEnum;
use serde::Deserialize;

use crate::failure::Failure;

/// The configuration file, unless `AZUD_CONFIG` names another.
const CONFIG: &str = "/etc/azud/azud.toml";

/// The layouts by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LayoutName {
    /// OpenGnsys' layout.
    #[value(name = "opengnsys")]
    OpenGnsys,
    /// The older one.
    Eac,
}

impl From<LayoutName> for Profile {
    fn from(name: LayoutName) -> Self {
        match name {
            LayoutName::OpenGnsys => Self::OpenGnsys,
            LayoutName::Eac => Self::Eac,
        }
    }
}

/// What the command line says of the site.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct SiteArgs {
    /// The images root.
    #[arg(long, global = true, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// The layout.
    #[arg(long, global = true, value_name = "LAYOUT")]
    pub layout: Option<LayoutName>,
    /// The package of the layout eac.
    #[arg(long, global = true, value_name = "NAME")]
    pub package: Option<String>,
    /// The manager's address, and other names of it.
    #[arg(long, global = true, value_name = "HOST", value_delimiter = ',')]
    pub manager: Vec<String>,
    /// This machine is the manager.
    #[arg(long, global = true)]
    pub serving: bool,
    /// A manager that is known for this run alone: the demonstration's.
    #[arg(skip)]
    pub met: Option<Manager>,
}

/// What the file says.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    root: Option<PathBuf>,
    layout: Option<String>,
    package: Option<String>,
    manager: Option<Texts>,
    serving: Option<bool>,
    #[serde(default)]
    serve: Serve,
    trust: Option<Trust>,
}

/// Whom the file trusts.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Trust {
    keys: Vec<String>,
}

/// What the file says of the manager that runs here.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Serve {
    /// Where the images lie.
    pub(crate) images: Option<PathBuf>,
    listen: Option<Texts>,
    /// Where the manager keeps what is its own.
    pub(crate) state: Option<PathBuf>,
    https_only: Option<Texts>,
    /// Whether nothing is taken from anybody.
    #[serde(default)]
    pub(crate) read_only: bool,
    /// How long a client may stand still, as on the command line.
    pub(crate) patience: Option<String>,
    /// Days that former versions stay.
    pub(crate) keep_days: Option<u32>,
    /// Space that they may take in a folder, as on the command line.
    pub(crate) keep_bytes: Option<String>,
}

impl Serve {
    /// What the file says.
    ///
    /// # Errors
    /// `cli/bad-config`.
    pub(crate) fn load() -> Result<Self, Failure> {
        let named = std::env::var_os("AZUD_CONFIG").filter(|value| !value.is_empty());
        Ok(read(named.map(PathBuf::from).as_deref())?.serve)
    }

    /// Patterns of images that neighbours, swarms and sessions are not to give.
    pub(crate) fn https_only(&self) -> Vec<String> {
        self.https_only.clone().map(Texts::all).unwrap_or_default()
    }

    /// Where to listen.
    pub(crate) fn listen(&self) -> Vec<String> {
        self.listen.clone().map(Texts::all).unwrap_or_default()
    }
}

/// One text or several.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Texts {
    One(String),
    Several(Vec<String>),
}

impl Texts {
    fn all(self) -> Vec<String> {
        match self {
            Self::One(one) => vec![one],
            Self::Several(several) => several,
        }
    }
}

/// The site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// Where things lie.
    pub layout: Layout,
    /// The manager by its addresses and names; the first names its folder.
    pub manager: Vec<Host>,
    /// Whether this machine is the manager.
    pub serving: bool,
    /// What its manager serves, where that is not said to be the root: `azud serve` goes by the same.
    pub served: Option<PathBuf>,
    /// Where there are any, images have to be signed with one of these keys.
    pub trust: Vec<TrustedKey>,
}

/// How near to the user a value was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Said {
    File,
    Variable,
    Option,
}

impl Site {
    /// The site of the process' environment and file.
    ///
    /// # Errors
    /// `cli/bad-config`; `place/bad-name` for a manager that is none.
    pub fn load(args: &SiteArgs) -> Result<Self, Failure> {
        Self::from(args, |name| {
            std::env::var_os(name).filter(|value| !value.is_empty())
        })
    }

    /// The site that a configuration file of this content describes, where nothing else is said.
    ///
    /// # Errors
    /// As [`Site::load`].
    pub fn described(text: &str) -> Result<Self, Failure> {
        let file = understand(text, Path::new(CONFIG))?;
        Self::of(&SiteArgs::default(), |_| None, file)
    }

    fn from(args: &SiteArgs, variable: impl Fn(&str) -> Option<OsString>) -> Result<Self, Failure> {
        let file = read(variable("AZUD_CONFIG").map(PathBuf::from).as_deref())?;
        Self::of(args, variable, file)
    }

    fn of(
        args: &SiteArgs,
        variable: impl Fn(&str) -> Option<OsString>,
        file: File,
    ) -> Result<Self, Failure> {
        let text = |name: &str| {
            let value = variable(name).map(OsString::into_string).transpose();
            value.map_err(|_| bad(name, "it is not UTF-8"))
        };
        let layout = nearest(
            args.layout.map(Profile::from),
            text("AZUD_LAYOUT")?.map(|it| profile(&it)).transpose()?,
            file.layout.map(|it| profile(&it)).transpose()?,
        );
        let (said, profile) = layout.unwrap_or((Said::File, Profile::OpenGnsys));
        let package = nearest(args.package.clone(), text("AZUD_PACKAGE")?, file.package);
        // Another layout, said nearer to the user, has no use for the file's package.
        let package = package.filter(|(of, _)| profile == Profile::Eac || *of >= said);
        let root = nearest(
            args.root.clone(),
            variable("AZUD_ROOT").map(PathBuf::from),
            file.root,
        );
        let root = root.map(|(said, root)| absolute(said, root)).transpose()?;
        let package = package.as_ref().map(|(_, package)| package.as_str());
        let mut layout = Layout::new(profile, package, root.as_deref())?;
        if let Some(mnt) = variable("AZUD_MNT") {
            layout = layout.with_mnt(Path::new(&mnt))?;
        }
        let serving = match text("AZUD_SERVING")?.as_deref() {
            _ if args.serving => true,
            None => file.serving.unwrap_or(false),
            Some("true") => true,
            Some("false") => false,
            Some(_) => return Err(bad("AZUD_SERVING", "it is true or false")),
        };
        let manager = managers(&args.manager, text("AZUD_MANAGER")?, file.manager)?;
        let served = variable("AZUD_IMAGES").map(PathBuf::from);
        let served = served.or(file.serve.images);
        Ok(Self {
            layout,
            manager,
            serving,
            // A place is no directory before places are known.
            served: served.filter(|dir| dir.is_absolute()),
            trust: trusted(file.trust)?,
        })
    }
}

pub(crate) fn bad(what: &str, why: &str) -> Failure {
    Failure {
        causes: vec![why.to_owned()],
        ..Failure::new(Code::BadConfig, what)
    }
}

fn nearest<T>(option: Option<T>, variable: Option<T>, file: Option<T>) -> Option<(Said, T)> {
    option
        .map(|value| (Said::Option, value))
        .or_else(|| variable.map(|value| (Said::Variable, value)))
        .or_else(|| file.map(|value| (Said::File, value)))
}

fn profile(text: &str) -> Result<Profile, Failure> {
    Profile::parse(text).ok_or_else(|| bad(&format!("layout {text:?}"), "it is opengnsys or eac"))
}

/// A relative root means something on the command line only.
fn absolute(said: Said, root: PathBuf) -> Result<PathBuf, Failure> {
    if said == Said::Option {
        return std::path::absolute(&root).map_err(|error| Failure::io(&root, &error));
    }
    Ok(root)
}

fn managers(
    options: &[String],
    variable: Option<String>,
    file: Option<Texts>,
) -> Result<Vec<Host>, Failure> {
    let texts: Vec<String> = match (options, variable, file) {
        ([_, ..], _, _) => options.to_vec(),
        ([], Some(list), _) => list.split(',').map(|it| it.trim().to_owned()).collect(),
        ([], None, file) => file.map(Texts::all).unwrap_or_default(),
    };
    let hosts = texts.iter().map(|text| Host::parse(text));
    Ok(hosts.collect::<Result<_, _>>()?)
}

/// A list without a key would be taken for “no signatures wanted”.
fn trusted(trust: Option<Trust>) -> Result<Vec<TrustedKey>, Failure> {
    let Some(Trust { keys }) = trust else {
        return Ok(Vec::new());
    };
    if keys.is_empty() {
        return Err(bad("[trust] keys", "there is no key"));
    }
    keys.iter()
        .map(|key| {
            let parsed = key.parse();
            parsed.map_err(|_| bad("[trust] keys", "a key is no public key of minisign"))
        })
        .collect()
}

/// The file of the configuration, whether it is there or not.
pub fn config_file() -> PathBuf {
    let named = std::env::var_os("AZUD_CONFIG").filter(|value| !value.is_empty());
    named.map_or_else(|| CONFIG.into(), PathBuf::from)
}

/// Refuses where a file is named that is not there, also before commands that would not read it: whoever names one
/// means it to hold.
///
/// # Errors
/// `cli/bad-config`.
pub(crate) fn check_named() -> Result<(), Failure> {
    let path = config_file();
    match std::fs::metadata(&path) {
        Err(error) if path != Path::new(CONFIG) => {
            Err(bad(&path.display().to_string(), &error.to_string()))
        }
        _ => Ok(()),
    }
}

/// Reads the file that was named, or the usual one if there is one.
fn read(named: Option<&Path>) -> Result<File, Failure> {
    let path = named.unwrap_or(Path::new(CONFIG));
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if named.is_none() && error.kind() == io::ErrorKind::NotFound => {
            return Ok(File::default());
        }
        Err(error) => return Err(bad(&path.display().to_string(), &error.to_string())),
    };
    understand(&text, path)
}

fn understand(text: &str, path: &Path) -> Result<File, Failure> {
    toml::from_str(text).map_err(|error| {
        let place = error.span().map_or(0, |span| span.start);
        let before = &text.as_bytes()[..place.min(text.len())];
        let line = before.split(|byte| *byte == b'\n').count();
        bad(&format!("{}:{line}", path.display()), error.message())
    })
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::path::{Path, PathBuf};

    use azud_core::code::Code;
    use azud_core::layout::Profile;

    use super::{LayoutName, Site, SiteArgs};
    use crate::failure::Failure;

    fn site(args: &SiteArgs, vars: &[(&str, &str)], file: Option<&str>) -> Result<Site, Failure> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("azud.toml");
        std::fs::write(&path, file.unwrap_or_default()).unwrap();
        Site::from(args, |name| {
            if name == "AZUD_CONFIG" {
                return Some(path.clone().into());
            }
            let found = vars.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| OsString::from(value))
        })
    }

    #[test]
    fn options_go_before_variables_and_those_before_the_file() {
        let file = "root = '/file'\nmanager = ['10.0.0.1', 'og']\nserving = true\n";
        let none = SiteArgs::default();
        let found = site(&none, &[], Some(file)).unwrap();
        assert_eq!(found.layout.root(), Path::new("/file"));
        assert_eq!((found.manager.len(), found.serving), (2, true));
        let vars = [
            ("AZUD_ROOT", "/variable"),
            ("AZUD_MANAGER", "[fd00::1], nas"),
            ("AZUD_SERVING", "false"),
            ("AZUD_MNT", "/run/media"),
        ];
        let found = site(&none, &vars, Some(file)).unwrap();
        assert_eq!(found.layout.root(), Path::new("/variable"));
        assert_eq!(found.layout.mnt(), Path::new("/run/media"));
        assert_eq!(found.manager[0].to_string(), "[fd00::1]");
        assert!(!found.serving);
        let args = SiteArgs {
            root: Some("relative/to/here".into()),
            manager: vec!["10.0.0.2".to_owned()],
            serving: true,
            ..SiteArgs::default()
        };
        let found = site(&args, &vars, Some(file)).unwrap();
        assert!(found.layout.root().is_absolute());
        assert!(found.layout.root().ends_with("relative/to/here"));
        assert_eq!((found.manager.len(), found.serving), (1, true));
        let found = site(&none, &[], None).unwrap();
        assert_eq!(found.layout.root(), Path::new("/opt/opengnsys/images"));
    }

    #[test]
    fn what_is_served_is_what_the_manager_goes_by() {
        let none = SiteArgs::default();
        let served = |vars: &[(&str, &str)], file| site(&none, vars, Some(file)).unwrap().served;
        let file = "serving = true\n[serve]\nimages = '/file'\n";
        assert_eq!(served(&[], file), Some("/file".into()));
        let nearer = [("AZUD_IMAGES", "/variable")];
        assert_eq!(served(&nearer, file), Some("/variable".into()));
        for other in ["serving = true\n", "[serve]\nimages = 'CACHE:'\n"] {
            assert_eq!(served(&[], other), None, "{other}");
        }
    }

    #[test]
    fn a_package_belongs_to_its_layout() {
        let file = Some("layout = 'eac'\npackage = 'eac'\n");
        let found = site(&SiteArgs::default(), &[], file).unwrap();
        assert_eq!(found.layout.profile(), Profile::Eac);
        let args = SiteArgs {
            layout: Some(LayoutName::OpenGnsys),
            ..SiteArgs::default()
        };
        let found = site(&args, &[], file).unwrap();
        assert_eq!(found.layout.profile(), Profile::OpenGnsys);
        let alone = site(&SiteArgs::default(), &[], Some("package = 'eac'"));
        assert_eq!(alone.unwrap_err().code, Code::BadConfig);
    }

    #[test]
    fn what_is_not_understood_is_refused_with_its_line() {
        for (file, word) in [
            ("root = '/x'\nrot = '/y'\n", ":2"),
            ("root = 1\n", ":1"),
            ("root = [", ":1"),
            ("layout = 'new'\n", "opengnsys or eac"),
            ("root = 'relative'\n", "begin with '/'"),
            ("[trust]\nkeys = []\n", "there is no key"),
            ("[trust]\nkeys = ['RW']\n", "no public key"),
            ("[trust]\nkey = []\n", "unknown field"),
        ] {
            let failure = site(&SiteArgs::default(), &[], Some(file)).unwrap_err();
            let text = format!("{} {:?}", failure.detail, failure.causes);
            assert!(text.contains(word), "{file}: {text}");
            assert_eq!(failure.code, Code::BadConfig);
        }
        let failure = site(&SiteArgs::default(), &[], Some("manager = '10.0.0.300'"));
        assert_eq!(failure.unwrap_err().code, Code::BadPlace);
        let vars = [("AZUD_SERVING", "maybe")];
        let failure = site(&SiteArgs::default(), &vars, None).unwrap_err();
        assert_eq!(failure.detail, "AZUD_SERVING");
        let missing = Site::from(&SiteArgs::default(), |name| {
            (name == "AZUD_CONFIG").then(|| PathBuf::from("/none/azud.toml").into())
        });
        assert_eq!(missing.unwrap_err().code, Code::BadConfig);
    }
}
