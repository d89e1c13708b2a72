//! Who is asked for pieces when an image that was sent is put together.

use std::path::PathBuf;

use azud_core::assembly::{Layout, Source, SourceError};
use azud_core::format::Hash;

use super::super::state::WANTED;
use super::kept::{ARRIVED, SPARE_ARRIVED};
use crate::durable;

/// There is nobody to ask once the image is put together. Who asks all the same has found a piece damaged that was
/// counted on: then nothing of what arrived is believed any more.
pub(super) struct Nobody {
    /// Where what arrived is.
    pub(super) dir: PathBuf,
}

impl Nobody {
    fn refuse<T>(&self) -> std::result::Result<T, SourceError> {
        for name in [WANTED, ARRIVED, SPARE_ARRIVED] {
            durable::remove_file(&self.dir.join(name))
                .map_err(|error| SourceError::Permanent(error.into()))?;
        }
        let what = std::io::Error::new(
            std::io::ErrorKind::InvalidData,
            "a piece that was here is damaged",
        );
        Err(SourceError::Permanent(what))
    }
}

impl Source for Nobody {
    fn layout(&self) -> std::result::Result<Layout, SourceError> {
        self.refuse()
    }

    fn read(&self, _: u64, _: &mut [u8]) -> std::result::Result<(), SourceError> {
        self.refuse()
    }

    fn identity(&self) -> std::result::Result<Hash, SourceError> {
        self.refuse()
    }

    fn name(&self) -> String {
        "what was sent".to_owned()
    }
}
