//! From a content stream to frame contents.

use std::io::Read;

use azud_core::cut::{Cutter, Units};

use crate::error::ImageError;
use crate::fs::Volume;

/// Cuts a content stream into frames.
pub(super) struct Cutting<'a, R> {
    content: R,
    units: Units<'a>,
    cutter: Cutter,
    done: u64,
}

impl<'a, R: Read> Cutting<'a, R> {
    pub(super) fn new(volume: &'a Volume, average: u32, content: R) -> Self {
        Self {
            content,
            units: Units::new(&volume.used, volume.block_size),
            cutter: Cutter::new(volume.block_size, average),
            done: 0,
        }
    }

    /// The next frame's content; `None` at the end.
    pub(super) fn next_frame(&mut self) -> Result<Option<Vec<u8>>, ImageError> {
        let mut frame = Vec::with_capacity(self.cutter.max() as usize / 2);
        for len in self.units.by_ref() {
            let start = frame.len();
            frame.resize(start + len as usize, 0);
            let unit = &mut frame[start..];
            self.content
                .read_exact(unit)
                .map_err(|source| ImageError::Source {
                    offset: self.done,
                    source,
                })?;
            self.done += u64::from(len);
            if self.cutter.push(unit) {
                break;
            }
        }
        Ok((!frame.is_empty()).then_some(frame))
    }
}
