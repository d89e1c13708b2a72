//! partclone images, the second format (`0002`) and the first (`0001`), as a stream.
//!
//! An image is a header, a map of the used blocks and those blocks in ascending order, with a
//! checksum after every so many of them (a *strip*). The facts are those of real images; where the
//! published description differs, the images are right.
//!
//! Invariants: the content that is given has exactly the bytes of the used blocks; a strip's last
//! bytes are given only after its checksum agreed, and the image's last bytes only after the file
//! proved to end there. What came before an error is not to be trusted beyond the last whole strip.

use std::io::{self, Read};

use azud_core::format::partclone::{BitmapMode, Checksum, HEADER_LEN, Header, HeaderError};

use self::content::Content;
use self::sum::Sum;
use super::{ForeignError, fill};
use crate::fs::{FsKind, Volume};

mod content;
mod map;
mod sum;
mod v1;

pub(crate) const MAGIC: &[u8; 15] = b"partclone-image";
/// Magic number and format version, the same in both formats.
const PREFIX_LEN: usize = 34;
const VERSION_AT: usize = 30;

/// A partclone image whose head was read; [`Read`] gives the content of the used blocks.
pub struct PartcloneReader<R> {
    volume: Volume,
    version: u8,
    checksum: Checksum,
    content: Content<R>,
    failed: bool,
}

impl<R> std::fmt::Debug for PartcloneReader<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PartcloneReader")
            .field("volume", &self.volume)
            .field("version", &self.version)
            .field("checksum", &self.checksum)
            .finish_non_exhaustive()
    }
}

impl<R: Read> PartcloneReader<R> {
    /// Reads header and map. The reader should be a buffered one, as
    /// [`super::compress::open`] gives it, since checksums are read a few bytes at a time.
    ///
    /// # Errors
    /// `UnknownFormat` for other files, `ForeignEndian`, `Newer`, `Unsupported`, `Truncated`,
    /// `Corrupt` when a checksum is wrong or numbers cannot be, `TooLarge`, `Trailing`, `Read`.
    pub fn open(mut reader: R) -> Result<Self, ForeignError> {
        let head = Head::read(&mut reader)?;
        let (volume, content) = match &head {
            Head::V1(header) => {
                let volume = header.volume(&mut reader)?;
                let content = v1::content(reader, &volume)?;
                (volume, content)
            }
            Head::V2(header) => {
                let volume = volume_of(header, &mut reader)?;
                let blocks = match header.checksum {
                    Checksum::None => u64::MAX,
                    _ => u64::from(header.blocks_per_checksum),
                };
                let sum = Sum::new(header.checksum, header.reseed);
                let content = Content::new(reader, &volume, blocks, sum)?;
                (volume, content)
            }
        };
        let (version, checksum) = head.facts();
        Ok(Self {
            volume,
            version,
            checksum,
            content,
            failed: false,
        })
    }

    /// What the image holds: its map, sizes and the file system's name.
    pub fn volume(&self) -> &Volume {
        &self.volume
    }

    /// The image's format version, 1 or 2.
    pub fn version(&self) -> u8 {
        self.version
    }

    /// Whether header, map and content are all covered by checksums. The first format has none of header and map, and
    /// its usual writer took but one byte of each block into account.
    pub fn is_summed(&self) -> bool {
        !matches!(self.checksum, Checksum::None | Checksum::V1)
    }

    /// How the content is protected.
    pub fn checksum(&self) -> Checksum {
        self.checksum
    }
}

impl<R: Read> Read for PartcloneReader<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.failed {
            return Err(ForeignError::corrupt("reading went on after an error").into());
        }
        self.content.read(buf).map_err(|error| {
            self.failed = true;
            error.into()
        })
    }
}

/// Reads only header and map, and not a byte more: what the file system's own program found.
///
/// # Errors
/// As [`PartcloneReader::open`].
pub fn read_map(mut reader: &mut dyn Read) -> Result<Volume, ForeignError> {
    match Head::read(&mut reader)? {
        Head::V1(header) => header.volume(&mut reader),
        Head::V2(header) => volume_of(&header, &mut reader),
    }
}

/// What the header of the first format tells: the file system's name, the device's size and the bytes in use by
/// the superblock's account.
pub(crate) fn head_of(mut bytes: &[u8]) -> Result<([u8; 15], u64, u64), ForeignError> {
    match Head::read(&mut bytes)? {
        Head::V1(header) => Ok(header.told()),
        Head::V2(_) => Err(ForeignError::UnknownFormat),
    }
}

/// The header in either format.
enum Head {
    V1(v1::Header),
    V2(Header),
}

impl Head {
    fn read(reader: &mut impl Read) -> Result<Self, ForeignError> {
        const WITHIN: &str = "header";
        let mut prefix = [0; PREFIX_LEN];
        fill(reader, &mut prefix[..MAGIC.len()], WITHIN)?;
        if !prefix.starts_with(MAGIC) {
            return Err(ForeignError::UnknownFormat);
        }
        fill(reader, &mut prefix[MAGIC.len()..], WITHIN)?;
        if &prefix[VERSION_AT..] == b"0001" {
            return v1::Header::read(&prefix, reader).map(Self::V1);
        }
        let mut bytes = [0; HEADER_LEN];
        bytes[..PREFIX_LEN].copy_from_slice(&prefix);
        fill(reader, &mut bytes[PREFIX_LEN..], WITHIN)?;
        let header = Header::parse(&bytes).map_err(header_error)?;
        if header.checksum == Checksum::V1 {
            return Err(ForeignError::Unsupported {
                what: "the first format's checksum in an image of the second".to_owned(),
            });
        }
        Ok(Self::V2(header))
    }

    fn facts(&self) -> (u8, Checksum) {
        match self {
            Self::V1(_) => (1, Checksum::V1),
            Self::V2(header) => (2, header.checksum),
        }
    }
}

fn header_error(error: HeaderError) -> ForeignError {
    match error {
        HeaderError::Magic => ForeignError::UnknownFormat,
        HeaderError::ForeignEndian => ForeignError::ForeignEndian,
        HeaderError::Version(version) if is_newer(&version) => ForeignError::Newer {
            format: "partclone",
            version,
        },
        HeaderError::Version(version) => ForeignError::Unsupported {
            what: format!("version {version:?} of the partclone format"),
        },
        other => ForeignError::corrupt(other.to_string()),
    }
}

fn is_newer(version: &str) -> bool {
    version.bytes().all(|b| b.is_ascii_digit()) && version > "0002"
}

fn volume_of(header: &Header, reader: &mut impl Read) -> Result<Volume, ForeignError> {
    let used = match header.bitmap {
        BitmapMode::None => map::read_none(reader, header.total_blocks)?,
        BitmapMode::Bit => map::read_bits(reader, header.total_blocks)?,
        BitmapMode::Byte => map::read_bytes(reader, header.total_blocks)?,
    };
    if used.count() != header.used_blocks {
        return Err(ForeignError::corrupt(format!(
            "its map has {} used blocks, its header says {}",
            used.count(),
            header.used_blocks
        )));
    }
    Ok(volume(&header.fs, header.block_size, used, |volume| {
        volume.device_size = header.device_size;
        volume.claimed_used = header.claimed_blocks;
    }))
}

/// A volume of what a partclone header can tell.
fn volume(
    fs: &[u8],
    block_size: u32,
    used: azud_core::bitmap::Bitmap,
    sizes: impl FnOnce(&mut Volume),
) -> Volume {
    let mut volume = Volume {
        kind: kind(fs),
        block_size,
        used,
        device_size: 0,
        claimed_used: 0,
        tails: Vec::new(),
        label: None,
        uuid: None,
        sector_size: 0,
        left_out: Vec::new(),
    };
    sizes(&mut volume);
    volume
}

/// The file system by the name in a header, which may be NUL-padded.
fn kind(fs: &[u8]) -> FsKind {
    const KNOWN: [FsKind; 10] = [
        FsKind::Ext,
        FsKind::Ntfs,
        FsKind::Fat12,
        FsKind::Fat16,
        FsKind::Fat32,
        FsKind::ExFat,
        FsKind::Xfs,
        FsKind::Btrfs,
        FsKind::Swap,
        FsKind::Raw,
    ];
    let end = fs.iter().position(|b| *b == 0).unwrap_or(fs.len());
    let found = KNOWN
        .into_iter()
        .find(|kind| kind.partclone_name().as_bytes() == &fs[..end]);
    found.unwrap_or_else(|| {
        let mut name = [0; 16];
        let len = end.min(name.len());
        name[..len].copy_from_slice(&fs[..len]);
        FsKind::Partclone(name)
    })
}
