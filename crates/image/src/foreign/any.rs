//! Whatever image it is: one way to open those that can be restored and imported.

use std::io::{self, Read};

use azud_core::format::index::Tail;

use super::compress::{self, Bare, Compressor};
use super::ntfsclone::{self, NtfscloneReader};
use super::partclone::{self, PartcloneReader};
use super::{ForeignError, fill};
use crate::fs::{FsKind, HEAD_LEN, Volume, ntfs_backup_boot};
use crate::sniff;

/// Opens the file again, from its beginning.
pub type Again<'a> = dyn FnMut() -> io::Result<Box<dyn Read + Send>> + 'a;

/// An image of another program, ready to be read once; [`Read`] gives the content of the used blocks in
/// order, and its end only after the file proved to end there.
pub struct Foreign {
    volume: Volume,
    tails: Vec<Tail>,
    compressor: Compressor,
    format: String,
    summed: bool,
    bare: Bare,
    ahead: io::Cursor<Vec<u8>>,
    reader: Box<dyn Read + Send>,
}

impl std::fmt::Debug for Foreign {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Foreign")
            .field("format", &self.format)
            .field("volume", &self.volume)
            .finish_non_exhaustive()
    }
}

impl Foreign {
    /// Opens a partclone image, an ntfsclone image or a whole disk, in any compressor. The latter two are
    /// read twice, since they tell only at their end how long they are.
    ///
    /// # Errors
    /// `UnknownFormat` for other files, and those of the readers.
    pub fn open(again: &mut Again<'_>) -> Result<Self, ForeignError> {
        let mut peel = || {
            let file = again().map_err(ForeignError::from_io)?;
            compress::open(file)
        };
        let mut peeled = peel()?;
        let mut head = Vec::new();
        (&mut peeled.reader)
            .take(HEAD_LEN as u64)
            .read_to_end(&mut head)
            .map_err(ForeignError::from_io)?;
        let kind = |format: String, summed, bare| Kind {
            format,
            compressor: peeled.compressor,
            summed,
            bare,
        };
        if head.is_empty() {
            return Err(ForeignError::Empty);
        }
        if head.starts_with(ntfsclone::MAGIC) {
            let (volume, tails) = ntfsclone::read_map(io::Cursor::new(head).chain(peeled.reader))?;
            let again = peel()?;
            let reader = NtfscloneReader::open(again.reader, volume.used.clone())?;
            let kind = kind("ntfsclone".to_owned(), false, again.bare);
            return Self::over(Box::new(reader), (volume, tails), kind);
        }
        if sniff::is_disk(&head) {
            let len = head.len() as u64 + count(peeled.reader)?;
            if let Some(needs) = sniff::reach(&head).filter(|needs| len < *needs) {
                return Err(ForeignError::CutShort { has: len, needs });
            }
            let again = peel()?;
            let reader = Exactly::new(again.reader, len);
            let kind = kind("raw".to_owned(), false, again.bare);
            return Self::over(Box::new(reader), (raw(len)?, Vec::new()), kind);
        }
        if !head.starts_with(partclone::MAGIC) {
            return Err(ForeignError::UnknownFormat);
        }
        let reader = PartcloneReader::open(io::Cursor::new(head).chain(peeled.reader))?;
        let volume = reader.volume().clone();
        let format = format!("partclone v{}", reader.version());
        let kind = kind(format, reader.is_summed(), peeled.bare);
        Self::over(Box::new(reader), (volume, Vec::new()), kind)
    }

    /// Reads the first used block ahead. partclone leaves out NTFS' backup boot sector, which is a copy of the
    /// boot sector at a place that the boot sector tells, so the image gets it back.
    fn over(
        mut reader: Box<dyn Read + Send>,
        (volume, mut tails): (Volume, Vec<Tail>),
        kind: Kind,
    ) -> Result<Self, ForeignError> {
        let mut first = Vec::new();
        if !volume.used.is_empty() && volume.used.get(0) {
            first = vec![0; volume.block_size as usize];
            fill(&mut reader, &mut first, "blocks")?;
        }
        if tails.is_empty() {
            let tail = ntfs_backup_boot(&first, &volume);
            tails.extend(tail.map(|(offset, bytes)| Tail { offset, bytes }));
        }
        Ok(Self {
            volume,
            tails,
            compressor: kind.compressor,
            format: kind.format,
            summed: kind.summed,
            bare: kind.bare,
            ahead: io::Cursor::new(first),
            reader,
        })
    }

    /// Its map, sizes and the file system's name.
    pub fn volume(&self) -> &Volume {
        &self.volume
    }

    /// What lies beyond the last whole block.
    pub fn tails(&self) -> &[Tail] {
        &self.tails
    }

    /// Whether checksums of its format or of its compressor cover all that was read so far. Without any, that an image
    /// can be read to its end tells nothing of what is in it.
    pub fn is_summed(&self) -> bool {
        self.summed || !self.bare.is_set()
    }

    /// Format and compressor in words: `partclone v2, gzip`.
    pub fn describe(&self) -> String {
        format!("{}, {}", self.format, self.compressor)
    }
}

/// What an image is, and what vouches for its content.
struct Kind {
    format: String,
    compressor: Compressor,
    summed: bool,
    bare: Bare,
}

impl Read for Foreign {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self.ahead.read(buf)? {
            0 => self.reader.read(buf),
            len => Ok(len),
        }
    }
}

fn count(mut reader: impl Read) -> Result<u64, ForeignError> {
    io::copy(&mut reader, &mut io::sink()).map_err(ForeignError::from_io)
}

/// A disk of which everything counts, in blocks of a sector, or more when that fits.
fn raw(len: u64) -> Result<Volume, ForeignError> {
    let block_size = [4096, 512]
        .into_iter()
        .find(|size| len.is_multiple_of(u64::from(*size)));
    let block_size = block_size.ok_or(ForeignError::Truncated { within: "disk" })?;
    let used = azud_core::bitmap::Bitmap::full(len / u64::from(block_size));
    Ok(Volume {
        kind: FsKind::Raw,
        block_size,
        claimed_used: used.count(),
        used,
        device_size: len,
        tails: Vec::new(),
        label: None,
        uuid: None,
        sector_size: 0,
        left_out: Vec::new(),
    })
}

/// A reader that must end after so many bytes.
struct Exactly<R> {
    reader: R,
    left: u64,
}

impl<R: Read> Exactly<R> {
    fn new(reader: R, left: u64) -> Self {
        Self { reader, left }
    }
}

impl<R: Read> Read for Exactly<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let len = self.reader.read(buf)?;
        let left = self.left.checked_sub(len as u64);
        if left.is_none() || (len == 0 && self.left > 0 && !buf.is_empty()) {
            return Err(ForeignError::corrupt("it changed while it was read").into());
        }
        self.left = left.unwrap_or(0);
        Ok(len)
    }
}
