//! The pieces of an image file, each with the hash that its bytes must have.

use std::io;

use crate::bitmap::Bitmap;
use crate::format::container::{
    self, AZUD_MAGIC, SEEK_FOOTER_LEN, SKIPPABLE_HEADER, TRAILER_LEN, Trailer,
};
use crate::format::index::Facts;
use crate::format::ranges::{self, RANGE, RangeIndex};
use crate::format::{FormatError, Hash};
use crate::io::ReadAt;

/// A stretch of an image file that is checked as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// Its first byte in the file.
    pub offset: u64,
    /// Its bytes.
    pub len: u32,
    /// BLAKE3 of them.
    pub hash: Hash,
}

impl Piece {
    /// The byte after its last.
    pub fn end(&self) -> u64 {
        self.offset + u64::from(self.len)
    }
}

/// What an image file consists of: pieces from the first byte on, without gaps, then an ending that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    identity: Hash,
    size: u64,
    pieces: Vec<Piece>,
    description: Vec<u8>,
    native: bool,
    facts: Option<Box<Facts>>,
}

/// Why the layout of a file is not known.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    /// It is no native image, or a damaged one.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// It cannot be read.
    #[error("cannot read at offset {offset}")]
    Read {
        /// Where.
        offset: u64,
        /// What the system said.
        source: io::Error,
    },
}

impl Layout {
    /// Understands a description: the ending of a native image, or the index of a foreign one.
    ///
    /// # Errors
    /// When it is neither or is damaged.
    pub fn parse(description: Vec<u8>) -> Result<Self, FormatError> {
        if description.starts_with(ranges::MAGIC) {
            Self::foreign(description)
        } else {
            Self::native(description)
        }
    }

    fn native(ending: Vec<u8>) -> Result<Self, FormatError> {
        let cut = FormatError::Truncated("the ending");
        let (body, footer) = ending
            .split_last_chunk::<SEEK_FOOTER_LEN>()
            .ok_or_else(|| cut.clone())?;
        let seek_len = container::seek_table_len(*footer)?;
        let seek_at = usize::try_from(seek_len)
            .ok()
            .and_then(|len| ending.len().checked_sub(len))
            .ok_or_else(|| cut.clone())?;
        let (before, trailer) = body
            .get(..seek_at)
            .and_then(<[u8]>::split_last_chunk::<TRAILER_LEN>)
            .ok_or_else(|| cut.clone())?;
        let (head, payload) = before.split_first_chunk::<SKIPPABLE_HEADER>().ok_or(cut)?;
        let trailer = Trailer::parse(trailer)?;
        if payload.len() as u64 != trailer.index_len
            || *head != container::skippable(AZUD_MAGIC, payload.len())
        {
            return Err(FormatError::Corrupt("the index frame's header".into()));
        }
        let index = container::check(&trailer, payload, &ending[seek_at..])?;
        let frames = index.frames.iter();
        let pieces = in_a_row(frames.map(|frame| (frame.compressed_len, frame.compressed_hash)));
        Ok(Self {
            identity: trailer.identity,
            size: trailer.index_offset + ending.len() as u64,
            pieces,
            description: ending,
            native: true,
            facts: Some(Box::new(index.facts)),
        })
    }

    fn foreign(description: Vec<u8>) -> Result<Self, FormatError> {
        let index = RangeIndex::parse(&description)?;
        let mut left = index.size;
        let ranges = index.hashes.iter().map(|hash| {
            let len = u32::try_from(left.min(RANGE.into())).expect("at most a range");
            left -= u64::from(len);
            (len, *hash)
        });
        let pieces = in_a_row(ranges);
        Ok(Self {
            identity: *blake3::hash(&description).as_bytes(),
            size: index.size,
            pieces,
            description,
            native: false,
            facts: None,
        })
    }

    /// Of a file that holds pieces and is nothing else.
    pub fn loose(pieces: Vec<Piece>) -> Self {
        Self {
            identity: Hash::default(),
            size: pieces.last().map_or(0, Piece::end),
            pieces,
            description: Vec::new(),
            native: false,
            facts: None,
        }
    }

    /// Reads the ending of a native image.
    ///
    /// # Errors
    /// `Format` when it is none or is damaged, `Read`.
    pub fn read_native(file: &dyn ReadAt) -> Result<Self, LayoutError> {
        let size = file.len();
        let missing = || FormatError::NotNative("the seek table");
        let footer_at = size
            .checked_sub(SEEK_FOOTER_LEN as u64)
            .ok_or_else(missing)?;
        let footer: [u8; SEEK_FOOTER_LEN] = read_array(file, footer_at)?;
        let after_index = container::seek_table_len(footer)? + TRAILER_LEN as u64;
        let trailer_at = size.checked_sub(after_index).ok_or_else(missing)?;
        let trailer = Trailer::parse(&read_array(file, trailer_at)?)?;
        let ending_len = SKIPPABLE_HEADER as u64 + trailer.index_len + after_index;
        if trailer.index_offset.checked_add(ending_len) != Some(size) {
            return Err(FormatError::Corrupt(
                "the index does not end where the trailer begins".into(),
            )
            .into());
        }
        let len = usize::try_from(ending_len).map_err(|_| FormatError::Truncated("the ending"))?;
        let mut ending = vec![0; len];
        read(file, trailer.index_offset, &mut ending)?;
        Ok(Self::parse(ending)?)
    }

    /// The same without the pieces that are not in `there`: of a file that is not whole.
    #[must_use]
    pub fn only(mut self, there: &Bitmap) -> Self {
        let mut number = 0;
        self.pieces.retain(|_| {
            number += 1;
            there.get(number - 1)
        });
        self
    }

    /// Whether a file begins as a native image and does not end as one of any version: it is damaged there, was cut or
    /// padded.
    pub fn is_broken(file: &dyn ReadAt) -> bool {
        let is_wrong = |error: &LayoutError| match error {
            LayoutError::Format(error) => !matches!(error, FormatError::Newer { .. }),
            LayoutError::Read { .. } => false,
        };
        container::begins_native(file) && Self::read_native(file).is_err_and(|it| is_wrong(&it))
    }

    /// Whether a file has the bytes of the first piece; so it has where they cannot be read.
    pub fn begins_right(&self, file: &dyn ReadAt) -> bool {
        let Some(first) = self.pieces.first() else {
            return true;
        };
        let mut bytes = vec![0; first.len as usize];
        file.read_exact_at(&mut bytes, 0).is_err() || self.fits(0, &bytes)
    }

    /// The identity of the image.
    pub fn identity(&self) -> &Hash {
        &self.identity
    }

    /// Bytes of the file.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The pieces, in the order of the file.
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// What follows the pieces: the ending of a native image, nothing of a foreign one.
    pub fn ending(&self) -> &[u8] {
        if self.native { &self.description } else { &[] }
    }

    /// Whether a file has the index of this native image where it belongs: then it is this image, whatever became of its
    /// end.
    pub fn has_its_index(&self, file: &dyn ReadAt) -> bool {
        let head = self.ending().first_chunk::<SKIPPABLE_HEADER>();
        let Some([.., a, b, c, d]) = head else {
            return false;
        };
        let len = u32::from_le_bytes([*a, *b, *c, *d]) as usize;
        let Some(index) = self.ending().get(..SKIPPABLE_HEADER + len) else {
            return false;
        };
        let mut there = vec![0; index.len()];
        let read = file.read_exact_at(&mut there, self.ending_offset());
        read.is_ok() && there == index
    }

    /// Where the ending begins.
    pub fn ending_offset(&self) -> u64 {
        self.pieces.last().map_or(0, Piece::end)
    }

    /// What [`Layout::parse`] understands: it can be kept in a file.
    pub fn description(&self) -> &[u8] {
        &self.description
    }

    /// The file system in it, as the index of a native image says.
    pub fn fs(&self) -> Option<&str> {
        let facts = self.facts.as_ref()?;
        Some(facts.fs.as_str()).filter(|fs| !fs.is_empty())
    }

    /// When a native image was captured, as its index says.
    pub fn created(&self) -> Option<&str> {
        let facts = self.facts.as_ref()?;
        Some(facts.created.as_str()).filter(|time| !time.is_empty())
    }

    /// Whether all pieces that lie whole within these bytes match their hashes.
    pub fn fits(&self, offset: u64, bytes: &[u8]) -> bool {
        let first = self.pieces.partition_point(|piece| piece.offset < offset);
        let end = offset + bytes.len() as u64;
        let mut inside = self.pieces[first..]
            .iter()
            .take_while(|piece| piece.end() <= end);
        inside.all(|piece| {
            let at = usize::try_from(piece.offset - offset).expect("within the bytes");
            let part = &bytes[at..at + piece.len as usize];
            blake3::hash(part).as_bytes() == &piece.hash
        })
    }

    /// Whether it is a native image.
    pub fn is_native(&self) -> bool {
        self.native
    }
}

fn in_a_row(parts: impl Iterator<Item = (u32, Hash)>) -> Vec<Piece> {
    let mut offset = 0;
    parts
        .map(|(len, hash)| {
            let piece = Piece { offset, len, hash };
            offset = piece.end();
            piece
        })
        .collect()
}

fn read(file: &dyn ReadAt, offset: u64, buf: &mut [u8]) -> Result<(), LayoutError> {
    file.read_exact_at(buf, offset)
        .map_err(|source| LayoutError::Read { offset, source })
}

fn read_array<const N: usize>(file: &dyn ReadAt, offset: u64) -> Result<[u8; N], LayoutError> {
    let mut buf = [0; N];
    read(file, offset, &mut buf)?;
    Ok(buf)
}

#[cfg(test)]
mod tests {
    use super::Layout;
    use crate::format::container;
    use crate::format::index::{Frame, Index};
    use crate::format::ranges::RangeIndex;

    fn frame(len: u32) -> Frame {
        Frame {
            compressed_len: len,
            content_len: 4096,
            compressed_hash: [7; 32],
            content_hash: [8; 32],
        }
    }

    #[test]
    fn native_files_are_frames_and_an_ending() {
        let index = Index {
            frames: vec![frame(100), frame(50)],
            ..Index::default()
        };
        let (ending, identity) = container::ending(&index);
        let mut file = vec![0; 150];
        file.extend(&ending);
        let layout = Layout::read_native(&file).unwrap();
        assert_eq!(layout.identity(), &identity);
        assert_eq!(layout.size(), file.len() as u64);
        assert_eq!(
            (layout.ending_offset(), layout.ending()),
            (150, &ending[..])
        );
        assert_eq!(layout.pieces()[1].offset, 100);
        assert_eq!(Layout::parse(layout.description().to_vec()), Ok(layout));
        for at in 0..ending.len() {
            let mut bad = ending.clone();
            bad[at] ^= 1;
            assert!(Layout::parse(bad).is_err(), "byte {at}");
            assert!(Layout::parse(ending[..at].to_vec()).is_err());
            assert!(Layout::parse(ending[at + 1..].to_vec()).is_err());
        }
        file.insert(0, 0);
        assert!(Layout::read_native(&file).is_err());
    }

    #[test]
    fn foreign_files_are_ranges() {
        let index = RangeIndex {
            size: (1 << 20) + 3,
            hashes: vec![[1; 32], [2; 32]],
        };
        let layout = Layout::parse(index.encode()).unwrap();
        assert_eq!((layout.size(), layout.ending()), (index.size, &[][..]));
        assert_eq!(layout.pieces()[1].len, 3);
    }
}
