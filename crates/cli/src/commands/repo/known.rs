//! How repositories are reached, remembered in `/etc/azud/repositories.json`. It holds no secrets, only the
//! names of files that do.

use std::fs;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use azud_core::code::Code;
use azud_core::name::{beside, folder_of};
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

    /// Finds out whether it could be changed, before something is given up for it.
    pub(super) fn rehearse() -> Result<(), Failure> {
        Self::read()?;
        rehearse(&file())
    }

    /// Changes it; whoever else does so meanwhile waits.
    pub(super) fn change<T>(act: impl FnOnce(&mut Self) -> T) -> Result<T, Failure> {
        let file = file();
        let _alone = alone(&file)?;
        let mut register = Self::read()?;
        let done = act(&mut register);
        let mut text = serde_json::to_vec_pretty(&register.known).expect("our own types serialise");
        text.push(b'\n');
        written(&file, &text, 0o600)?;
        Ok(done)
    }
}

/// Waits until nobody else changes a file of the settings, for as long as what is given lives. The directory is locked:
/// nothing is left there. Where it cannot be, nobody else of this computer can have done so either.
pub(crate) fn alone(file: &Path) -> Result<fs::File, Failure> {
    let open = || {
        let dir = folder_of(file);
        fs::create_dir_all(dir)?;
        let dir = fs::File::open(dir)?;
        let _ = dir.lock();
        Ok(dir)
    };
    open().map_err(|error: std::io::Error| Failure::io(file, &error))
}

/// Finds out whether a file of the settings could be written, before something is given up for it. Nothing of it stays.
pub(super) fn rehearse(file: &Path) -> Result<(), Failure> {
    let trial = beside(file, ".trial");
    let _alone = alone(file)?;
    written(&trial, &[b'\n'; 4096], 0o600)?;
    remove(&trial)
}

/// Writes a file of the settings by one rename.
pub(super) fn replace(file: &Path, bytes: &[u8], mode: u32) -> Result<(), Failure> {
    let _alone = alone(file)?;
    written(file, bytes, mode)
}

/// The same for who is [`alone`] with it. The part is made anew each time, so that it has this mode whatever a killed run
/// left.
pub(crate) fn written(file: &Path, bytes: &[u8], mode: u32) -> Result<(), Failure> {
    let part = beside(file, ".part");
    let done = || {
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
        fs::rename(&part, file)?;
        match fs::File::open(folder_of(file))?.sync_all() {
            // Some file systems know nothing of it.
            Err(error) if error.kind() == ErrorKind::InvalidInput => Ok(()),
            done => done,
        }
    };
    done().map_err(|error| Failure::io(file, &error))
}

/// Takes a file away that need not be there.
pub(super) fn remove(file: &Path) -> Result<(), Failure> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(Failure::io(file, &error)),
        _ => Ok(()),
    }
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

#[cfg(test)]
mod tests {
    use std::fs;

    use super::rehearse;

    #[test]
    fn nothing_stays_of_what_is_found_out_nor_of_what_a_killed_run_left() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("managers");
        let file = folder.join("og.login");
        for left in ["og.login.trial", "og.login.trial.part"] {
            rehearse(&file).unwrap();
            fs::write(folder.join(left), "of a killed run").unwrap();
        }
        rehearse(&file).unwrap();
        assert_eq!(folder.read_dir().unwrap().count(), 0);
        // In the place of the file that is tried there is something else.
        fs::create_dir(folder.join("og.login.trial")).unwrap();
        rehearse(&file).unwrap_err();
    }
}
