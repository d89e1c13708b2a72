//! An image that comes through standard input.

use std::io::{self, Read};

use azud_image::restore::{Announced, announced};

use crate::failure::Failure;
use crate::interrupt;

/// The stream, whose first frame may have been read ahead.
pub(super) struct Stdin {
    announced: Option<Announced>,
    input: Box<dyn Read + Send>,
}

impl Stdin {
    /// Begins to read; `ahead` for a target that gets its size from the image.
    ///
    /// # Errors
    /// What reading the first frame says.
    pub(super) fn open(ahead: bool) -> Result<Self, Failure> {
        let mut input = interrupt::stdin()?;
        let announced = if ahead {
            Some(announced(&mut input)?)
        } else {
            None
        };
        Ok(Self {
            announced,
            input: Box::new(input),
        })
    }

    /// Size of a file that is made for it, where that was read.
    pub(super) fn size(&self) -> Option<u64> {
        let announced = self.announced.as_ref()?;
        Some(announced.device_size.max(announced.blocks))
    }

    /// Where its blocks end, and how many bytes are in use.
    pub(super) fn extent(&self) -> Option<(u64, u64)> {
        let announced = self.announced.as_ref()?;
        Some((announced.blocks, announced.used))
    }

    /// All of it, from the beginning.
    pub(super) fn into_reader(self) -> impl Read + Send {
        let read = self.announced.map_or_else(Vec::new, |it| it.read);
        io::Cursor::new(read).chain(self.input)
    }
}
