//! An image of which only the index was read: enough to check and fetch its frames.

use azud_core::format::container::{self, SEEK_FOOTER_LEN, SKIPPABLE_HEADER, TRAILER_LEN, Trailer};
use azud_core::format::index::{Facts, Frame, Index, Tail};
use azud_core::format::{FormatError, Hash};
use azud_core::io::ReadAt;

use crate::ending;
use crate::error::ImageError;

/// An image whose index is verified; no frame was read yet.
#[derive(Debug)]
pub struct Indexed {
    identity: Hash,
    index: Index,
    offsets: Vec<u64>,
}

impl Indexed {
    /// Reads and checks the end of an image: index, trailer, seek table.
    ///
    /// # Errors
    /// `Format`, `Read`.
    pub fn open(file: &dyn ReadAt) -> Result<Self, ImageError> {
        let (trailer, index) = read_ending(file).map_err(|error| not_whole(file, error))?;
        Ok(Self::new(trailer.identity, index))
    }

    /// From parts that are checked already.
    pub(crate) fn new(identity: Hash, index: Index) -> Self {
        let offset = |at: &mut u64, frame: &Frame| {
            let here = *at;
            *at += u64::from(frame.compressed_len);
            Some(here)
        };
        let offsets = index.frames.iter().scan(0, offset).collect();
        Self {
            identity,
            index,
            offsets,
        }
    }

    /// Who an image says it is in its trailer, whatever became of its index. Whoever believes that needs the index of
    /// another copy.
    pub fn claimed(file: &dyn ReadAt) -> Option<Hash> {
        read_trailer(file)
            .ok()
            .map(|ending| ending.trailer.identity)
    }

    /// The image's identity: the BLAKE3 hash of its index, which covers everything else.
    pub fn identity(&self) -> &Hash {
        &self.identity
    }

    /// Descriptive facts.
    pub fn facts(&self) -> &Facts {
        &self.index.facts
    }

    /// All frames, those of header and bitmap first.
    pub fn frames(&self) -> &[Frame] {
        &self.index.frames
    }

    /// What lies beyond the last whole block.
    pub fn tails(&self) -> &[Tail] {
        &self.index.tails
    }

    /// Where a frame lies in the file.
    pub fn offset(&self, frame: usize) -> u64 {
        self.offsets[frame]
    }

    /// Reads the bytes of a frame and checks their hash.
    ///
    /// # Errors
    /// `Read`, `Frame`.
    pub fn read_frame(
        &self,
        file: &dyn ReadAt,
        number: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), ImageError> {
        let (frame, offset) = (&self.index.frames[number], self.offsets[number]);
        out.resize(frame.compressed_len as usize, 0);
        file.read_exact_at(out, offset)
            .map_err(|source| ImageError::Read { offset, source })?;
        if blake3::hash(out).as_bytes() != &frame.compressed_hash {
            return Err(ImageError::Frame {
                number,
                what: "its bytes do not match their hash".into(),
            });
        }
        Ok(())
    }
}

fn read_vec(file: &dyn ReadAt, offset: u64, len: u64) -> Result<Vec<u8>, ImageError> {
    let too_long = || FormatError::Truncated("the ending");
    if offset.checked_add(len).is_none_or(|end| end > file.len()) {
        return Err(too_long().into());
    }
    let mut out = vec![0; usize::try_from(len).map_err(|_| too_long())?];
    file.read_exact_at(&mut out, offset)
        .map_err(|source| ImageError::Read { offset, source })?;
    Ok(out)
}

/// So far from a file's end the image's own end is looked for.
const BACK: u64 = 64 << 20;

/// A file that begins as a native image and does not end as one was cut short or padded, not made by another
/// program.
fn not_whole(file: &dyn ReadAt, error: ImageError) -> ImageError {
    let ImageError::Format(FormatError::NotNative(missing)) = error else {
        return error;
    };
    if !container::begins_native(file) {
        return error;
    }
    if missing == "the trailer" {
        return FormatError::Corrupt(missing.into()).into();
    }
    match ending::find(file, BACK) {
        Some(end) => FormatError::Trailing {
            extra: file.len() - end,
            end,
        }
        .into(),
        None => FormatError::Truncated("the frames: there is no index").into(),
    }
}

/// A trailer and where it lies.
struct Ending {
    trailer: Trailer,
    trailer_at: u64,
    seek_at: u64,
    seek_len: u64,
}

fn read_trailer(file: &dyn ReadAt) -> Result<Ending, ImageError> {
    let size = file.len();
    let from_end = |len: u64| {
        size.checked_sub(len)
            .ok_or(FormatError::NotNative("the seek table"))
    };
    let footer = read_vec(
        file,
        from_end(SEEK_FOOTER_LEN as u64)?,
        SEEK_FOOTER_LEN as u64,
    )?;
    let seek_len = container::seek_table_len(footer.try_into().expect("read by that length"))?;
    let seek_at = from_end(seek_len)?;
    let trailer_at = from_end(seek_len + TRAILER_LEN as u64)?;
    let trailer = read_vec(file, trailer_at, TRAILER_LEN as u64)?;
    Ok(Ending {
        trailer: Trailer::parse(&trailer.try_into().expect("read by that length"))?,
        trailer_at,
        seek_at,
        seek_len,
    })
}

fn read_ending(file: &dyn ReadAt) -> Result<(Trailer, Index), ImageError> {
    let Ending {
        trailer,
        trailer_at,
        seek_at,
        seek_len,
    } = read_trailer(file)?;
    let payload_at = trailer.index_offset.checked_add(SKIPPABLE_HEADER as u64);
    if payload_at.and_then(|at| at.checked_add(trailer.index_len)) != Some(trailer_at) {
        return Err(
            FormatError::Corrupt("the index does not end where the trailer begins".into()).into(),
        );
    }
    let frame = read_vec(
        file,
        trailer.index_offset,
        trailer.index_len + SKIPPABLE_HEADER as u64,
    )?;
    let (head, payload) = frame.split_at(SKIPPABLE_HEADER);
    if head != container::skippable(container::AZUD_MAGIC, payload.len()) {
        return Err(FormatError::Corrupt("the index frame's header".into()).into());
    }
    let seek = read_vec(file, seek_at, seek_len)?;
    Ok((trailer, container::check(&trailer, payload, &seek)?))
}
