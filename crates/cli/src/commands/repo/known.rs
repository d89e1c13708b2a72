//! How repositories are reached, remembered in `/etc/azud/repositories.json`. It holds no secrets, only the
//! names of files that do.

use std::fs;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use azud_core::code::Code;
use azud_core::name::beside;
use serde::{Deserialize, Serialize};

use super::access::How;
use crate::failure::Failure;

/// A repository's way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Known {
    /// As its folder is named.
    pub(super) address: String,
    pub(super) protocol: How,
    pub(super) path: Option<String>,
    pub(super) write: bool,
    pub(super) options: Vec<String>,
    pub(super) credentials: Option<PathBuf>,
    /// Of a manager.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) port: Option<u16>,
}

/// All that are known.
#[derive(Debug, Default)]
pub(super) struct Register {
    pub(super) known: Vec<Known>,
}

impl Register {
    /// Reads it; where there is no file nothing is known.
    pub(super) fn read() -> Result<Self, Failure> {
        let file = file();
        let text = match fs::read(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(Failure::io(&file, &error)),
        };
        let known = serde_json::from_slice(&text).map_err(|error| Failure {
            causes: vec![error.to_string()],
            ..Failure::new(Code::BadConfig, file.display().to_string())
        })?;
        Ok(Self { known })
    }

    /// What is known of one.
    pub(super) fn find(&self, address: &str) -> Option<&Known> {
        self.known.iter().find(|known| known.address == address)
    }

    /// Adds one, or puts it in the place of the former.
    pub(super) fn add(&mut self, known: Known) {
        self.known.retain(|other| other.address != known.address);
        self.known.push(known);
        self.known.sort_by(|a, b| a.address.cmp(&b.address));
    }

    /// Removes one; whether it was there.
    pub(super) fn remove(&mut self, address: &str) -> bool {
        let before = self.known.len();
        self.known.retain(|other| other.address != address);
        self.known.len() < before
    }

    /// Writes it by one rename.
    pub(super) fn write(&self) -> Result<(), Failure> {
        let mut text = serde_json::to_vec_pretty(&self.known).expect("our own types serialise");
        text.push(b'\n');
        replace(&file(), &text, 0o600)
    }
}

/// Writes a file of the settings by one rename. The part is made anew each time, so that it has this mode whatever
/// a killed run left.
pub(crate) fn replace(file: &Path, bytes: &[u8], mode: u32) -> Result<(), Failure> {
    let part = beside(file, ".part");
    let done = || {
        fs::create_dir_all(file.parent().ok_or(ErrorKind::InvalidInput)?)?;
        match fs::remove_file(&part) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => (),
        }
        let mut options = fs::File::options();
        let mut out = options
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&part)?;
        out.write_all(bytes)?;
        out.sync_all()?;
        fs::rename(&part, file)
    };
    done().map_err(|error| Failure::io(file, &error))
}

/// Where settings are kept: beside the configuration file.
pub(super) fn settings() -> PathBuf {
    let config = std::env::var_os("AZUD_CONFIG").filter(|value| !value.is_empty());
    let dir = config.and_then(|file| Some(Path::new(&file).parent()?.to_owned()));
    dir.unwrap_or_else(|| "/etc/azud".into())
}

fn file() -> PathBuf {
    settings().join("repositories.json")
}
