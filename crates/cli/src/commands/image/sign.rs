//! `azud image sign IMAGE --key FILE`.

use std::io::Read;
use std::path::{Path, PathBuf};

use azud_core::assembly::Layout;
use azud_core::code::Code;
use azud_core::name::ImageFile;
use azud_core::reference::SubPath;
use azud_image::signature::{Claim, SigningKey, check};
use azud_store::assembly::{FileSource, known_layout};
use azud_store::side::Carried;
use azud_store::trash::history;
use azud_store::{Stored, publish};
use serde_json::json;

use crate::args::Writing;
use crate::commands::{Context, repo};
use crate::confirm::{Step, settle};
use crate::failure::Failure;
use crate::interrupt;
use crate::opened::{identify, now, seconds};
use crate::plan::Plan;
use crate::receive::source_file;
use crate::trust::{self, MINISIG, name_of};

/// Longest password that is read.
const MAX_PASSWORD: u64 = 4096;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The image.
    pub image: PathBuf,
    /// The secret key.
    #[arg(long, value_name = "FILE")]
    pub key: PathBuf,
    /// The name that is signed.
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// The key's password.
    #[arg(long)]
    pub password_stdin: bool,
    /// Plan and consent.
    #[command(flatten)]
    pub writing: Writing,
}

impl Args {
    /// Signs the image.
    ///
    /// # Errors
    /// When the key cannot be opened or the image cannot be read.
    pub fn run(&self, context: &Context) -> Result<(), Failure> {
        let path = source_file(context, &self.image)?;
        let name = match &self.name {
            Some(name) => SubPath::parse(name)?.to_string(),
            None => name_of(&self.image)?,
        };
        let layout = FileSource::open(&path)?.hashed()?;
        let text = repo::secret_in(&self.key, repo::Secret::Key)?;
        let plan = Plan::new("image-sign")
            .text("image", path.display().to_string())
            .text("name", name.as_str());
        if settle(context, &plan, self.writing) == Step::Stop {
            return Ok(());
        }
        let key = self.open(&text)?;
        // Signing again always makes it the newest, whatever the clock says, or said before.
        let signed = newest(&path, &layout, (&name, &key))?;
        let date = seconds(now()).max(signed.map_or(0, |signed| signed.saturating_add(1)));
        let claim = Claim::new(&name, layout.identity(), date);
        let content = self.sign(&key, layout.description(), &claim)?.into_bytes();
        let carried = Carried {
            ending: MINISIG,
            content,
        };
        publish::accompany(&ImageFile::parse(&path)?, &[carried], now())?;
        let value = json!({
            "action": "image-sign",
            "image": path,
            "name": claim.name,
            "identity": claim.identity,
            "key": key.public().map_err(|error| self.of_key(error))?.to_string(),
        });
        context
            .output
            .result(&value, || context.catalog.text("result-image-sign"));
        Ok(())
    }

    fn of_key(&self, error: azud_image::signature::SignatureError) -> Failure {
        Failure::from(error).about(&self.key.display().to_string())
    }

    fn sign(&self, key: &SigningKey, description: &[u8], claim: &Claim) -> Result<String, Failure> {
        key.sign(description, claim)
            .map_err(|error| self.of_key(error))
    }

    fn open(&self, text: &str) -> Result<SigningKey, Failure> {
        let locked = SigningKey::is_locked(text).map_err(|error| self.of_key(error))?;
        let password = match (locked, self.password_stdin) {
            (false, _) => None,
            (true, true) => Some(password()?),
            (true, false) => {
                let why = "--password-stdin: the key has a password";
                return Err(Failure::new(Code::Usage, why));
            }
        };
        SigningKey::open(text, password).map_err(|error| self.of_key(error))
    }
}

/// When the newest of the image and of its former versions was signed with this key for this name.
fn newest(
    path: &Path,
    layout: &Layout,
    wanted: (&str, &SigningKey),
) -> Result<Option<u64>, Failure> {
    let mut newest = signed(path, layout, wanted)?;
    let image = ImageFile::parse(path)?;
    let former = history(&image, now(), &identify)?.into_iter();
    for version in former.filter(|version| version.slot.is_some()) {
        // Of what can no longer be read nobody takes anything.
        let layout = Stored::open(&version.path).ok();
        if let Some(layout) = layout.and_then(|stored| known_layout(&stored)) {
            newest = newest.max(signed(&version.path, &layout, wanted)?);
        }
    }
    Ok(newest)
}

/// When an image was signed with this key for this name, as it stands now.
fn signed(
    path: &Path,
    layout: &Layout,
    (name, key): (&str, &SigningKey),
) -> Result<Option<u64>, Failure> {
    let Some(signature) = trust::beside(path)? else {
        return Ok(None);
    };
    let Ok(public) = key.public() else {
        return Ok(None);
    };
    let described = (layout.description(), layout.identity());
    let claim = check(described, &signature, &[public]).ok();
    Ok(claim.filter(|it| it.name == name).map(|it| it.date))
}

fn password() -> Result<String, Failure> {
    let mut text = String::new();
    let read = interrupt::stdin()?
        .take(MAX_PASSWORD)
        .read_to_string(&mut text);
    read.map_err(|error| Failure::io("-".as_ref(), &error))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}
