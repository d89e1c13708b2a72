//! A native image that can be put on a device: a file, or an image of a manager.

use std::path::Path;

use azud_core::code::Code;
use azud_core::io::ReadAt;
use azud_image::restore::Distance;
use azud_image::{ImageError, Indexed, Native};
use azud_store::Identity;

use crate::commands::Context;
use crate::failure::Failure;
use crate::opened::resolve;
use crate::origin::Origin;

/// An image whose index, header and bitmap were read and checked.
#[derive(Debug)]
pub(crate) struct Restorable {
    pub(crate) origin: Origin,
    pub(crate) native: Native,
}

impl Restorable {
    /// Opens the image that a user names: a repository that is mounted is read as files, a manager that is known is
    /// asked.
    ///
    /// # Errors
    /// As [`Opened::named`], and what the manager says.
    pub(crate) fn named(context: &Context, name: &Path) -> Result<Self, Failure> {
        let Found { origin, native } = Found::named(context, name)?;
        let native = native.map_err(|failure| origin.blamed(failure))?;
        Ok(Self { origin, native })
    }

    /// Its bytes.
    pub(crate) fn file(&self) -> &dyn ReadAt {
        self.origin.bytes()
    }

    /// Who the image is.
    pub(crate) fn identity(&self) -> Identity {
        Identity(*self.native.identity())
    }

    /// Why it cannot be used: of damage, whose it is.
    pub(crate) fn blamed(&self, error: ImageError) -> Failure {
        self.origin.blamed(error.into())
    }

    /// How far away it is.
    pub(crate) fn distance(&self) -> Distance {
        if self.origin.source().is_far() {
            Distance::Far
        } else {
            Distance::Near
        }
    }
}

/// A native image that says which one it is. What else it says may be damaged: then others that have it can help.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) origin: Origin,
    /// The image, or why it could not be opened.
    pub(crate) native: Result<Native, Failure>,
}

impl Found {
    /// Finds the image that a user names.
    ///
    /// # Errors
    /// As [`Restorable::named`], but for damage that others can mend.
    pub(crate) fn named(context: &Context, name: &Path) -> Result<Self, Failure> {
        match resolve(context, name, |path| Self::of(Origin::file(path.into())?)) {
            Err(failure) if failure.code == Code::PlaceNotMounted => {
                Self::of(Origin::of_manager(context, name)?.ok_or(failure)?)
            }
            found => found,
        }
    }

    fn of(origin: Origin) -> Result<Self, Failure> {
        let native = match origin.native() {
            // One that is damaged at its very end may be known by what others have.
            Err(failure) if matches!(failure.code, Code::Corrupt | Code::Truncated) => Err(failure),
            Err(failure) if Indexed::claimed(origin.bytes()).is_none() => return Err(failure),
            native => native,
        };
        Ok(Self { origin, native })
    }
}
