//! A base: an image whose frames are taken over verbatim, so that bytes chosen once stay chosen. It is here, or where
//! the new image goes.

use std::collections::HashMap;

use azud_core::format::Hash;
use azud_core::format::index::CutFacts;
use azud_core::io::ReadAt;

use crate::codec::Decoder;
use crate::error::ImageError;
use crate::indexed::Indexed;
use crate::native::Native;

/// An opened base image.
pub struct Base<'a> {
    /// `None` when whoever gets the new image has it.
    file: Option<&'a dyn ReadAt>,
    index: Indexed,
    by_content: HashMap<Hash, usize>,
}

impl std::fmt::Debug for Base<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Base({} frames)", self.by_content.len())
    }
}

impl<'a> Base<'a> {
    /// Opens `file` as base.
    ///
    /// # Errors
    /// As [`Native::open`].
    pub fn open(file: &'a dyn ReadAt) -> Result<Self, ImageError> {
        Ok(Self::of(Some(file), Native::open(file)?.into_index()))
    }

    /// A base that whoever gets the new image has: of its frames no byte is needed here, and none is written. Only
    /// for [`super::capture_into`].
    pub fn held(index: Indexed) -> Self {
        Self::of(None, index)
    }

    fn of(file: Option<&'a dyn ReadAt>, index: Indexed) -> Self {
        let by_content = index
            .frames()
            .iter()
            .enumerate()
            .map(|(n, frame)| (frame.content_hash, n))
            .collect();
        Self {
            file,
            index,
            by_content,
        }
    }

    /// How the base was cut.
    pub fn cut(&self) -> CutFacts {
        self.index.facts().cut
    }

    /// The stored bytes for a content, if the base has them whole; their length and hash are the result.
    /// A frame that is damaged, or decodes to something else than its index says, is as good as none:
    /// the content is compressed anew.
    pub(super) fn take(
        &self,
        hash: &Hash,
        content: &[u8],
        check: &mut Check,
        out: &mut Vec<u8>,
    ) -> Option<(u32, Hash)> {
        let number = *self.by_content.get(hash)?;
        let frame = &self.index.frames()[number];
        if frame.content_len as usize != content.len() {
            return None;
        }
        let taken = (frame.compressed_len, frame.compressed_hash);
        let Some(file) = self.file else {
            return Some(taken);
        };
        self.index.read_frame(file, number, out).ok()?;
        let Check { decoder, decoded } = check;
        decoded.resize(content.len(), 0);
        decoder.decode(number, out, decoded).ok()?;
        (decoded == content).then_some(taken)
    }
}

/// What one worker needs to see that stored bytes decode to what they should.
pub(super) struct Check {
    decoder: Decoder,
    decoded: Vec<u8>,
}

impl Check {
    pub(super) fn new() -> Self {
        let (decoder, decoded) = (Decoder::new(), Vec::new());
        Self { decoder, decoded }
    }
}
