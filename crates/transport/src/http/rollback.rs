//! Going back to a former version of an image at a manager.

use std::thread;
use std::time::Duration;

use azud_core::progress::{Phase, Progress};
use serde::Deserialize;

use super::Client;
use super::catalogue::Version;
use super::client::Method;
use super::followed::Followed;
use super::image::{encode, path_of};
use crate::error::Result;

/// Between two questions.
const POLL: Duration = Duration::from_millis(200);
/// The longest answer.
const MAX_STATE: u64 = 64 << 10;

/// A former version that the manager read to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Former {
    /// Which it is.
    pub version: Version,
    /// Whether anything told the manager that its bytes are right.
    pub sound: bool,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "state", rename_all = "lowercase")]
enum Standing {
    Reading { done: u64, total: u64 },
    Ready { version: Version, sound: bool },
    Done { version: Version },
}

impl Client {
    /// Has a former version of an image read to its end there: the one that went to the trash last, or another by the
    /// beginning of its name there or of its identity.
    ///
    /// # Errors
    /// What the manager says: `image/no-such-version`, `image/locked`, `image/corrupt` and its like.
    pub fn check_version(
        &self,
        name: &str,
        version: Option<&str>,
        progress: &dyn Progress,
    ) -> Result<Former> {
        let what = version.map_or_else(
            || "/check".to_owned(),
            |version| format!("/check?version={}", encode(version)),
        );
        match self.until_read((name, &what), progress)? {
            Standing::Ready { version, sound } => Ok(Former { version, sound }),
            _ => Err(self.protocol("an answer that is not understood")),
        }
    }

    /// Brings the version of this name in the trash back.
    ///
    /// # Errors
    /// As [`Client::check_version`].
    pub fn rollback(&self, name: &str, version: &str, progress: &dyn Progress) -> Result<Version> {
        let what = format!("?version={}", encode(version));
        match self.until_read((name, &what), progress)? {
            Standing::Done { version } => Ok(version),
            _ => Err(self.protocol("an answer that is not understood")),
        }
    }

    /// Asks until the version is read.
    fn until_read(&self, (name, what): (&str, &str), progress: &dyn Progress) -> Result<Standing> {
        let path = format!("{}/rollback{what}", path_of(name));
        let mut followed = Followed::new(Phase::Verify, progress);
        loop {
            let response = self.send(Method::Post, &path, &[], name)?;
            match self.json(response, MAX_STATE)? {
                Standing::Reading { done, total } => followed.is_at(done, total)?,
                other => {
                    followed.end();
                    return Ok(other);
                }
            }
            thread::sleep(POLL);
        }
    }
}
