//! What a manager has, and taking it away.

use std::fmt;
use std::time::Duration;

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::Client;
use super::client::Method;
use super::image::{encode, path_of};
use crate::error::{NetError, Result};

/// The longest list that is taken, and the most images in it.
const MAX_LIST: u64 = 64 << 20;
const MOST_LISTED: usize = 1 << 18;
/// The longest side file that is taken.
const MAX_BESIDE: u64 = 32 << 20;

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
    /// Whether it is a native image, where that is known.
    #[serde(default)]
    pub native: Option<bool>,
    /// Whether it is a native image whose header is damaged, or that does not end as one.
    #[serde(default)]
    pub damaged: bool,
    /// The file system in a native image.
    #[serde(default)]
    pub fs: Option<String>,
    /// The line of `.info`.
    #[serde(default)]
    pub info: Option<String>,
    /// When its bytes were last verified, in seconds since 1970.
    #[serde(default)]
    pub verified: Option<u64>,
    /// Who changes it now, or has it mounted.
    #[serde(default)]
    pub lock: Option<Lock>,
    /// The files that stand beside it.
    #[serde(default)]
    pub beside: Vec<Beside>,
}

/// A lock, as the manager tells it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Lock {
    /// What holds it: `azud`, `ownerless`, `mounted`, `reduced`.
    pub kind: String,
    /// Who holds it, for people.
    pub text: String,
}

/// A side file, as the manager tells it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Beside {
    /// What its name has more than the image's.
    pub ending: String,
    /// Its bytes.
    pub size: u64,
    /// When it was last written, in seconds since 1970.
    #[serde(default)]
    pub modified: Option<u64>,
}

/// A version of an image, as the manager tells it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Version {
    /// Its name in the trash; the present one has none.
    #[serde(default)]
    pub version: Option<String>,
    /// Who it is, in hexadecimal.
    #[serde(default)]
    pub identity: Option<String>,
    /// When it was captured.
    #[serde(default)]
    pub created: Option<String>,
    /// When it went to the trash, in seconds since 1970.
    #[serde(default)]
    pub replaced: Option<u64>,
    /// Its bytes.
    pub size: u64,
}

#[derive(Debug, Deserialize)]
struct History {
    versions: Vec<Version>,
}

#[derive(Debug, Deserialize)]
struct List {
    #[serde(deserialize_with = "bounded")]
    images: Vec<Listed>,
}

/// `MOST_LISTED` at most: what is short in a list is longer in memory.
fn bounded<'de, D: Deserializer<'de>>(from: D) -> std::result::Result<Vec<Listed>, D::Error> {
    struct Bounded;
    impl<'de> Visitor<'de> for Bounded {
        type Value = Vec<Listed>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "{MOST_LISTED} images at most")
        }

        fn visit_seq<A: SeqAccess<'de>>(
            self,
            mut all: A,
        ) -> std::result::Result<Self::Value, A::Error> {
            let mut images = Vec::new();
            while let Some(image) = all.next_element()? {
                if images.len() == MOST_LISTED {
                    return Err(A::Error::invalid_length(MOST_LISTED + 1, &self));
                }
                images.push(image);
            }
            Ok(images)
        }
    }
    from.deserialize_seq(Bounded)
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

    /// What an image was before: the present version first, if there is one, then the former ones, newest first.
    ///
    /// # Errors
    /// What the manager says.
    pub fn history(&self, name: &str) -> Result<Vec<Version>> {
        let path = format!("{}/history", path_of(name));
        let response = self.get(&path, &[], name)?;
        Ok(self.json::<History>(response, MAX_LIST)?.versions)
    }

    /// All of a file that stands beside an image.
    ///
    /// # Errors
    /// What the manager says; [`NetError::Protocol`] when it is longer than any such file.
    pub fn beside(&self, name: &str, ending: &str) -> Result<Vec<u8>> {
        let path = format!("{}/beside/{}", path_of(name), encode(ending));
        let bytes = self.bytes(self.get(&path, &[], name)?, MAX_BESIDE + 1)?;
        if bytes.len() as u64 > MAX_BESIDE {
            return Err(self.protocol("a side file that is none"));
        }
        Ok(bytes)
    }

    /// Whether the manager is there at all, and takes the token. It looks at no image for that, and has so long for all
    /// of it.
    ///
    /// # Errors
    /// What keeps it from answering.
    pub fn answers(&self, patience: Duration) -> Result<()> {
        let answer = self.get_within("/metrics", patience)?;
        self.said(answer, "metrics").map(drop)
    }

    /// Asks whether an image can be moved to the manager's trash; nothing is touched. A manager that does not know this
    /// question says it when the image is to go.
    ///
    /// # Errors
    /// As [`Client::remove`].
    pub fn check_removal(&self, name: &str) -> Result<()> {
        let path = format!("{}/removal/check", path_of(name));
        match self.send(Method::Post, &path, &[], name) {
            Ok(_) | Err(NetError::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Moves an image to the manager's trash.
    ///
    /// # Errors
    /// What the manager says.
    pub fn remove(&self, name: &str) -> Result<()> {
        self.delete(&path_of(name), name, None)
    }
}
