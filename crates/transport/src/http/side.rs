//! What stands beside an image of a manager.

use super::RemoteImage;
use crate::error::{NetError, Result};

/// The longest signature that is taken.
const LONGEST: u64 = 16 << 10;

impl RemoteImage {
    /// The signature of the image, if it has one.
    ///
    /// # Errors
    /// What the manager says.
    pub fn signature(&self) -> Result<Option<Vec<u8>>> {
        let path = format!("{}/minisig", self.path);
        let headers = [("If-Match", self.tag.as_str())];
        let response = match self.client.get(&path, &headers, &self.name) {
            Err(NetError::NotFound { .. }) => return Ok(None),
            other => other?,
        };
        let bytes = self.client.bytes(response, LONGEST + 1)?;
        if bytes.len() as u64 > LONGEST {
            return Err(self.client.protocol("a signature that is none"));
        }
        Ok(Some(bytes))
    }

    /// What stands beside the image in a file whose name has so much more.
    ///
    /// # Errors
    /// What the manager says; also where there is no such file.
    pub fn beside(&self, ending: &str) -> Result<Vec<u8>> {
        self.client.beside(&self.name, ending)
    }
}
