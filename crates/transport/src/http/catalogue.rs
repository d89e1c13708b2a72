//! What a manager has, and taking it away.

use serde::Deserialize;

use super::Client;
use super::image::{encode, path_of};
use crate::error::Result;

/// The longest list that is taken.
const MAX_LIST: u64 = 256 << 20;

/// An image, as the manager tells it. It may be untrue.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Listed {
    /// Its name in the repository.
    pub name: String,
    /// Its bytes.
    pub size: u64,
    /// When it was last written, in seconds since 1970.
    #[serde(default)]
    pub modified: Option<u64>,
    /// Who it is, in hexadecimal; not told while the index of a foreign image was not made yet.
    #[serde(default)]
    pub identity: Option<String>,
    /// The line of `.info`.
    #[serde(default)]
    pub info: Option<String>,
    /// When its bytes were last verified, in seconds since 1970.
    #[serde(default)]
    pub verified: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct List {
    images: Vec<Listed>,
}

impl Client {
    /// All images, by name.
    ///
    /// # Errors
    /// What keeps the manager from answering.
    pub fn images(&self) -> Result<Vec<Listed>> {
        self.list("/v1/images")
    }

    /// The same of another computer's repository that the manager has mounted, by their names there.
    ///
    /// # Errors
    /// As [`Client::images`].
    pub fn images_of(&self, address: &str) -> Result<Vec<Listed>> {
        self.list(&format!("/v1/images?address={}", encode(address)))
    }

    fn list(&self, path: &str) -> Result<Vec<Listed>> {
        let response = self.get(path, &[], "images")?;
        Ok(self.json::<List>(response, MAX_LIST)?.images)
    }

    /// Moves an image to the manager's trash.
    ///
    /// # Errors
    /// What the manager says.
    pub fn remove(&self, name: &str) -> Result<()> {
        self.delete(&path_of(name), name)
    }
}
