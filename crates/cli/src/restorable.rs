//! A native image that can be put on a device: a file, or an image of a manager.

use std::path::Path;

use azud_core::code::Code;
use azud_core::io::ReadAt;
use azud_image::Native;
use azud_image::restore::Distance;
use azud_store::Identity;

use crate::commands::Context;
use crate::failure::Failure;
use crate::opened::Opened;
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
        match Opened::named(context, name) {
            Err(failure) if failure.code == Code::PlaceNotMounted => {
                let origin = Origin::of_manager(context, name)?.ok_or(failure)?;
                Self::of_manager(origin)
            }
            opened => Ok(opened?.into()),
        }
    }

    fn of_manager(origin: Origin) -> Result<Self, Failure> {
        let name = origin.name();
        let Origin::Manager(image) = &origin else {
            return Err(Failure::new(Code::NotNative, name));
        };
        if !image.layout().is_native() {
            return Err(Failure::new(Code::NotNative, name));
        }
        let native = Native::open(&**image).map_err(|error| Failure::from(error).about(&name))?;
        Ok(Self { origin, native })
    }

    /// Its bytes.
    pub(crate) fn file(&self) -> &dyn ReadAt {
        match &self.origin {
            Origin::File(_, source) => source.stored(),
            Origin::Manager(image) => &**image,
        }
    }

    /// Who the image is.
    pub(crate) fn identity(&self) -> Identity {
        Identity(*self.native.identity())
    }

    /// How far away it is.
    pub(crate) fn distance(&self) -> Distance {
        if self.origin.source().is_far() {
            Distance::Far
        } else {
            Distance::Near
        }
    }

    /// One beside others that have it too.
    pub(crate) fn hurried(self) -> Self {
        Self {
            origin: self.origin.hurried(),
            ..self
        }
    }
}

impl From<Opened> for Restorable {
    fn from(Opened { stored, native }: Opened) -> Self {
        Self {
            origin: Origin::of_stored(stored),
            native,
        }
    }
}
