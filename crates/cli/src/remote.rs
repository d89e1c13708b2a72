//! Where an image goes: a file, or a manager.

use std::path::Path;

use azud_core::assembly::Layout;
use azud_core::code::Code;
use azud_core::reference::ImageRef;
use azud_core::upload::{Going, Opening};
use azud_store::lease::{has_ended, this_process};
use azud_store::side::InfoLine;
use azud_transport::NetError;
use azud_transport::http::{Client, Listed, RemoteImage, Upload};

use crate::commands::{Context, repo};
use crate::failure::{Failure, Hint};
use crate::origin::patience;
use crate::place::{self, Located};

/// Where an image goes.
#[derive(Debug)]
pub(crate) enum Destination {
    /// A file.
    Here(Located),
    /// An image of a manager.
    There(Remote),
}

impl Destination {
    /// What a name leads to: a repository that is mounted is written as files, a manager that is known is sent to.
    pub(crate) fn named(context: &Context, image: &Path) -> Result<Self, Failure> {
        match place::locate(context, image) {
            Ok(located) => Ok(Self::Here(located)),
            Err(failure) if failure.code == Code::PlaceNotMounted => {
                let remote = Remote::named(context, image)?;
                remote.map(Self::There).ok_or_else(|| {
                    let read = Remote::to_read(context, image).ok().flatten();
                    read.and_then(|remote| remote.only_read())
                        .unwrap_or(failure)
                })
            }
            Err(failure) => Err(failure),
        }
    }
}

/// An image of a manager, whether it is there or not.
#[derive(Debug)]
pub(crate) struct Remote {
    pub(crate) client: Client,
    /// As the manager calls it.
    pub(crate) name: String,
    /// Whose repository it is in, if it is not the manager's own.
    of: Option<String>,
}

/// What a manager has under a name.
#[derive(Debug)]
pub(crate) enum Present {
    /// Nothing.
    Nothing,
    /// An image whose index is still to be made.
    Unknown,
    /// An image.
    Known(Box<RemoteImage>),
}

impl Present {
    /// What it consists of, where that is known.
    pub(crate) fn layout(&self) -> Option<&Layout> {
        match self {
            Self::Known(image) => Some(image.layout()),
            Self::Nothing | Self::Unknown => None,
        }
    }
}

impl Remote {
    /// To be changed: `None` where the place is no manager that is known.
    pub(crate) fn named(context: &Context, image: &Path) -> Result<Option<Self>, Failure> {
        let ImageRef::Placed { place, image } = ImageRef::parse(image)? else {
            return Ok(None);
        };
        let client = repo::manager(context, &place)?;
        Ok(client.map(|client| Self {
            client,
            name: image.to_string(),
            of: None,
        }))
    }

    /// To be read: `None` where the place is no manager that is known, and there is none that may have it mounted.
    pub(crate) fn to_read(context: &Context, image: &Path) -> Result<Option<Self>, Failure> {
        let ImageRef::Placed { place, image } = ImageRef::parse(image)? else {
            return Ok(None);
        };
        let giver = repo::giver(context, &place)?;
        Ok(giver.map(|giver| Self {
            name: giver.name(&image.to_string()),
            client: giver.client,
            of: giver.of,
        }))
    }

    /// What the manager's list says of it, if it is there.
    pub(crate) fn listed(&self) -> Result<Option<Listed>, NetError> {
        let (images, name) = match &self.of {
            None => (self.client.images()?, Some(self.name.as_str())),
            Some(address) => {
                let name = self.name.strip_prefix(address.as_str());
                let name = name.and_then(|rest| rest.strip_prefix(':'));
                (self.client.images_of(address)?, name)
            }
        };
        let mut images = images.into_iter();
        Ok(images.find(|listed| Some(listed.name.as_str()) == name))
    }

    /// That nothing is written there, where the manager has that repository mounted and gives it out.
    fn only_read(&self) -> Option<Failure> {
        let place = self.of.clone()?;
        self.client.images_of(&place).ok()?;
        let host = self.client.host().to_owned();
        let what = format!("{place} is not mounted here, and through {host} it is only read");
        let hint = Hint::with("hint-only-read", [("place", place.clone())]);
        let failure = Failure::new(Code::PlaceNotMounted, what);
        let failure = failure.in_words("only-read", [("place", place), ("host", host)]);
        Some(failure.with_hint(hint))
    }

    /// Opens it to be read. What it is said to be is waited for.
    pub(crate) fn opened(&self, context: &Context) -> Result<RemoteImage, Failure> {
        let patience = patience(context, self.client.host());
        let opened = RemoteImage::open(self.client.clone(), &self.name, patience);
        Ok(opened?)
    }

    /// What it is called in plans.
    pub(crate) fn shown(&self) -> String {
        format!("{}:{}", self.client.host(), self.name)
    }

    /// What is there now.
    pub(crate) fn present(&self) -> Result<Present, Failure> {
        match RemoteImage::glance(self.client.clone(), &self.name) {
            Ok(image) => Ok(Present::Known(Box::new(image))),
            Err(NetError::NotFound { .. }) => Ok(Present::Nothing),
            Err(NetError::Later { .. }) => Ok(Present::Unknown),
            Err(error) => Err(error.into()),
        }
    }

    /// Asks whether an image of at most so many bytes could be sent; former versions that would go for good.
    pub(crate) fn rehearse(&self, bytes: u64) -> Result<Vec<Going>, Failure> {
        let asked = Upload::rehearse(&self.client, self.opening(bytes, None));
        asked.map_err(told)
    }

    /// Begins to send an image of at most so many bytes.
    pub(crate) fn open(
        &self,
        context: &Context,
        bytes: u64,
        info: Option<&InfoLine>,
    ) -> Result<Upload, NetError> {
        let opening = self.opening(bytes, info);
        let patience = patience(context, self.client.host());
        Upload::open((self.client.clone(), patience), opening, has_ended)
    }

    fn opening(&self, bytes: u64, info: Option<&InfoLine>) -> Opening {
        Opening {
            name: self.name.clone(),
            bytes,
            info: info.map(|line| line.to_line().trim_end().to_owned()),
            sender: this_process(),
            instead_of: None,
            rehearsal: false,
        }
    }
}

/// A manager's failure to take an image: room is made there, not here.
pub(crate) fn told(error: NetError) -> Failure {
    there(error.into())
}

/// The same where it came to be more than that.
pub(crate) fn there(failure: Failure) -> Failure {
    match failure.code {
        Code::TooLittleRoom | Code::NoSpace => failure.with_hint(Hint::of("hint-room-there")),
        Code::FileTooLarge => failure.with_hint(Hint::of("hint-file-system-there")),
        _ => failure,
    }
}
