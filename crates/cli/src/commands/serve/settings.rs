//! What `azud serve` is told: options go before variables, those before the file.

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use azud_core::access::NamePattern;

use super::super::Context;
use super::{Args, PORT, variable};
use crate::args::size::{duration, size};
use crate::failure::Failure;
use crate::keeping::Keeping;
use crate::place;
use crate::site::{Serve, Site, bad};

/// How long a client may stand still, unless something else is said.
const PATIENCE: Duration = Duration::from_secs(30);

/// An address with or without a port.
pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    if let Ok(whole) = text.parse::<SocketAddr>() {
        return Ok(whole);
    }
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    let address: IpAddr = bare
        .parse()
        .map_err(|_| "an address, or ADDRESS:PORT".to_owned())?;
    Ok(SocketAddr::new(address, PORT))
}

impl Args {
    /// Where the images lie.
    pub(super) fn images(
        &self,
        context: &Context,
        site: &Site,
        file: &Serve,
    ) -> Result<PathBuf, Failure> {
        let said = self.images.clone().or_else(|| variable("AZUD_IMAGES"));
        match said.or_else(|| file.images.clone()) {
            Some(dir) => place::folder(context, &dir),
            None => Ok(self.usual(context, site, file)),
        }
    }

    /// Who only reads out is a client with a cache, if it has one.
    fn usual(&self, context: &Context, site: &Site, file: &Serve) -> PathBuf {
        let cache = || place::folder(context, Path::new("CACHE:")).ok();
        let cache = (self.reads_out(file) && !site.serving)
            .then(cache)
            .flatten();
        cache.unwrap_or_else(|| site.layout.root().to_owned())
    }

    /// Where to listen: this computer alone reaches it unless something is said.
    pub(super) fn listen(
        &self,
        of_variable: Option<OsString>,
        file: &Serve,
    ) -> Result<Vec<SocketAddr>, Failure> {
        if !self.listen.is_empty() {
            return Ok(self.listen.clone());
        }
        let texts = match of_variable {
            Some(list) => {
                let list = list.to_string_lossy().into_owned();
                list.split(',').map(|it| it.trim().to_owned()).collect()
            }
            None => file.listen(),
        };
        let understood =
            |text: &String| address(text).map_err(|why| bad(&format!("listen {text:?}"), &why));
        let mut listen: Vec<SocketAddr> = texts.iter().map(understood).collect::<Result<_, _>>()?;
        if listen.is_empty() {
            listen.push(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), PORT));
        }
        Ok(listen)
    }

    /// Whether nothing is taken from anybody.
    pub(super) fn reads_out(&self, file: &Serve) -> bool {
        self.read_only || file.read_only
    }

    /// How long a client may stand still.
    pub(super) fn patience(&self, file: &Serve) -> Result<Duration, Failure> {
        let understood = |text: &String| {
            duration(text).map_err(|_| bad(&format!("patience {text:?}"), "a duration, like 30s"))
        };
        let of_file = file.patience.as_ref().map(understood).transpose()?;
        Ok(self.patience.or(of_file).unwrap_or(PATIENCE))
    }

    /// Those of the command line and those of the file.
    pub(super) fn secluded(&self, file: &Serve) -> Result<Vec<NamePattern>, Failure> {
        let understood = |text: String| {
            let pattern = text.parse::<NamePattern>();
            pattern.map_err(|why| bad(&format!("https_only {text:?}"), &why.to_string()))
        };
        let said = self.https_only.iter().cloned().map(Ok);
        said.chain(file.https_only().into_iter().map(understood))
            .collect()
    }

    /// How long former versions stay.
    pub(super) fn keeping(&self, file: &Serve) -> Result<Keeping, Failure> {
        let understood = |text: &String| {
            size(text).map_err(|_| bad(&format!("keep_bytes {text:?}"), "a size, like 200G"))
        };
        let bytes = file.keep_bytes.as_ref().map(understood).transpose()?;
        Ok(Keeping {
            days: self.keep_days.or(file.keep_days),
            bytes: self.keep_bytes.or(bytes),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use azud_core::code::Code;

    use super::{Args, PATIENCE, address};
    use crate::site::Serve;

    /// The configuration file that the package brings.
    const PACKAGED: &str = include_str!("../../../../../packaging/azud.toml");

    fn file(text: &str) -> Serve {
        toml::from_str(text).unwrap()
    }

    /// Where a manager listens for which the file says this, and perhaps a variable.
    fn listens(text: &str, variable: Option<&str>) -> Vec<String> {
        let listen = Args::default().listen(variable.map(Into::into), &file(text));
        listen.unwrap().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_port_need_not_be_said() {
        for (text, whole) in [
            ("10.0.0.1", "10.0.0.1:7443"),
            ("0.0.0.0:80", "0.0.0.0:80"),
            ("::", "[::]:7443"),
            ("[::1]", "[::1]:7443"),
            ("[::1]:8", "[::1]:8"),
        ] {
            assert_eq!(address(text).unwrap().to_string(), whole);
        }
        for bad in ["", "og", "10.0.0.1:", "10.0.0.1:70000", "[::1]:x"] {
            assert!(address(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn unless_something_is_said_this_computer_alone_reaches_it() {
        for silent in ["", "listen = []", "images = '/srv'\nread_only = true"] {
            assert_eq!(listens(silent, None), ["127.0.0.1:7443"], "{silent}");
        }
        let said = "listen = '10.0.0.1'";
        assert_eq!(listens(said, None), ["10.0.0.1:7443"]);
        let nearer = listens(said, Some("10.0.0.2, [::1]:8"));
        assert_eq!(nearer, ["10.0.0.2:7443", "[::1]:8"]);
    }

    #[test]
    fn the_file_says_whether_anything_is_taken_and_how_long_who_stands_still_is_waited_for() {
        let option = Args {
            read_only: true,
            patience: Some(Duration::from_secs(5)),
            ..Args::default()
        };
        let said = file("read_only = true\npatience = '2m'");
        let of_file = Args::default();
        assert!(of_file.reads_out(&said) && option.reads_out(&file("")));
        assert!(!of_file.reads_out(&file("")) && !of_file.reads_out(&file("read_only = false")));
        let minutes = Duration::from_mins(2);
        assert_eq!(of_file.patience(&said).unwrap(), minutes);
        assert_eq!(option.patience(&said).unwrap(), Duration::from_secs(5));
        assert_eq!(of_file.patience(&file("")).unwrap(), PATIENCE);
        let bad = of_file.patience(&file("patience = '30'")).unwrap_err();
        assert_eq!(bad.code, Code::BadConfig);
    }

    #[test]
    fn what_the_packages_file_offers_is_understood() {
        let (_, below) = PACKAGED.split_once("[serve]\n").unwrap();
        let offered = below.lines().map(|line| {
            let said = line.strip_prefix('#').unwrap_or(line);
            if said.starts_with(' ') { "" } else { said }
        });
        let offered = file(&offered.collect::<Vec<_>>().join("\n"));
        let args = Args::default();
        assert!(args.reads_out(&offered));
        assert_eq!(args.patience(&offered).unwrap(), PATIENCE);
        let keeping = args.keeping(&offered).unwrap();
        assert_eq!(keeping.days, Some(30));
        assert_eq!(keeping.bytes, Some(200 << 30));
        assert_eq!(args.secluded(&offered).unwrap().len(), 1);
        assert_eq!(args.listen(None, &offered).unwrap().len(), 2);
    }
}
