//! ntfsclone's special images (major version 10), as a stream that is read twice.
//!
//! An image is a header and commands: so many clusters are free, or here is the next one. The map is known
//! only at the end, so [`read_map`] goes through the whole image once; [`NtfscloneReader`] gives the
//! clusters in a second pass and holds it to what the first one found. There is no checksum at all: what
//! proves that an image is whole is that its commands end with the volume.

use std::io::{self, Read};

use azud_core::bitmap::Bitmap;
use azud_core::format::index::{MAX_TAILS, Tail};

use super::{ForeignError, fill};
use crate::fs::{FsKind, Volume};

/// How an image begins.
pub const MAGIC: &[u8; 16] = b"\0ntfsclone-image";
/// Bytes of the header without what may follow it.
pub const HEADER_LEN: usize = 50;

const MAJOR: u8 = 10;
const GAP: u8 = 0;
const NEXT: u8 = 1;
/// The largest cluster that Windows makes.
const MAX_CLUSTER: u32 = 2 << 20;
/// The most bytes of a map, which a gap of any length costs the file nothing: 8 TiB in clusters of 4 KiB.
const MAX_MAP: u64 = 256 << 20;
/// What may lie between the header and the first command.
const MAX_PADDING: u32 = 4096;
const WITHIN: &str = "clusters";

/// The header's fields, checked against one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Cluster size in bytes.
    pub cluster_size: u32,
    /// Size of the device in bytes.
    pub device_size: u64,
    /// Clusters of the volume.
    pub clusters: u64,
    /// How many are in use, by the writer's account.
    pub used: u64,
    padding: u32,
}

impl Header {
    /// Understands the first bytes of an image.
    ///
    /// # Errors
    /// `UnknownFormat`, `Newer`, `Unsupported` for versions before 10, `Corrupt`, `TooLarge`.
    pub fn parse(bytes: &[u8; HEADER_LEN]) -> Result<Self, ForeignError> {
        if !bytes.starts_with(MAGIC) {
            return Err(ForeignError::UnknownFormat);
        }
        match bytes[16] {
            MAJOR => {}
            newer @ MAJOR.. => {
                return Err(ForeignError::Newer {
                    format: "ntfsclone",
                    version: format!("{newer}.{}", bytes[17]),
                });
            }
            older => {
                return Err(ForeignError::Unsupported {
                    what: format!("version {older} of the ntfsclone format"),
                });
            }
        }
        let word = |at: usize| bytes[at..at + 4].try_into().expect("four bytes");
        let long = |at: usize| bytes[at..at + 8].try_into().expect("eight bytes");
        let data_at = u32::from_le_bytes(word(46));
        let header = Self {
            cluster_size: u32::from_le_bytes(word(18)),
            device_size: u64::from_le_bytes(long(22)),
            clusters: u64::from_le_bytes(long(30)),
            used: u64::from_le_bytes(long(38)),
            padding: data_at.checked_sub(50).unwrap_or(u32::MAX),
        };
        header.check().map(|()| header)
    }

    fn check(&self) -> Result<(), ForeignError> {
        let cannot = |field: &str| ForeignError::corrupt(format!("the header's {field} cannot be"));
        let size = self.cluster_size;
        if !size.is_power_of_two() || !(512..=MAX_CLUSTER).contains(&size) {
            return Err(cannot("cluster size"));
        }
        let covered = self.clusters.checked_mul(u64::from(size));
        if covered.is_none_or(|covered| covered > self.device_size) {
            return Err(cannot("number of clusters"));
        }
        if self.used > self.clusters {
            return Err(cannot("number of used clusters"));
        }
        if self.padding > MAX_PADDING {
            return Err(cannot("place of the data"));
        }
        if self.clusters.div_ceil(8) > MAX_MAP {
            return Err(ForeignError::TooLarge {
                what: "the map of used clusters",
                limit: MAX_MAP,
            });
        }
        Ok(())
    }

    /// Bytes of the device after its last cluster, which hold the backup boot sector.
    fn tail(&self) -> u64 {
        self.device_size - self.clusters * u64::from(self.cluster_size)
    }
}

/// A command of the stream.
enum Step {
    /// The cluster at this position follows, of so many bytes.
    Cluster(u64, usize),
    /// What lies behind the last cluster follows.
    Tail(usize),
}

/// The commands, one after another.
struct Commands<R> {
    reader: R,
    header: Header,
    position: u64,
}

impl<R: Read> Commands<R> {
    fn open(mut reader: R) -> Result<Self, ForeignError> {
        let mut bytes = [0; HEADER_LEN];
        fill(&mut reader, &mut bytes, "header")?;
        let header = Header::parse(&bytes)?;
        let mut padding = vec![0; header.padding as usize];
        fill(&mut reader, &mut padding, "header")?;
        Ok(Self {
            reader,
            header,
            position: 0,
        })
    }

    /// The next command that brings data, which the caller must read; `None` at the proven end.
    fn next(&mut self) -> Result<Option<Step>, ForeignError> {
        let clusters = self.header.clusters;
        loop {
            let mut command = [0];
            if self.position >= clusters && self.is_at_end(&mut command)? {
                return Ok(None);
            }
            if self.position < clusters {
                fill(&mut self.reader, &mut command, WITHIN)?;
            }
            match command[0] {
                _ if self.position > clusters => {
                    return Err(ForeignError::Trailing {
                        after: "last cluster",
                    });
                }
                GAP => self.skip()?,
                NEXT if self.position < clusters => {
                    self.position += 1;
                    return Ok(Some(Step::Cluster(
                        self.position - 1,
                        self.header.cluster_size as usize,
                    )));
                }
                NEXT => {
                    self.position += 1;
                    let len = self.header.tail().min(u64::from(self.header.cluster_size));
                    return Ok(Some(Step::Tail(usize::try_from(len).expect("a cluster"))));
                }
                other => {
                    return Err(ForeignError::corrupt(format!("{other} is no command")));
                }
            }
        }
    }

    fn is_at_end(&mut self, command: &mut [u8; 1]) -> Result<bool, ForeignError> {
        loop {
            match self.reader.read(command) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => return other.map(|len| len == 0).map_err(ForeignError::from_io),
            }
        }
    }

    fn skip(&mut self) -> Result<(), ForeignError> {
        let mut count = [0; 8];
        fill(&mut self.reader, &mut count, WITHIN)?;
        let count = u64::from_le_bytes(count);
        let position = self.position.checked_add(count).filter(|_| count > 0);
        self.position = position
            .filter(|position| *position <= self.header.clusters)
            .ok_or_else(|| ForeignError::corrupt("a gap leads beyond the volume"))?;
        Ok(())
    }
}

/// Goes through an image: which clusters it holds, and what lies behind the last one.
///
/// # Errors
/// As [`Header::parse`], and `Truncated`, `Trailing`, `Corrupt`, `Read`.
pub fn read_map(reader: impl Read) -> Result<(Volume, Vec<Tail>), ForeignError> {
    let mut commands = Commands::open(reader)?;
    let header = commands.header;
    let mut used = Bitmap::new(header.clusters);
    let mut tails = Vec::new();
    let mut cluster = vec![0; header.cluster_size as usize];
    while let Some(step) = commands.next()? {
        match step {
            Step::Cluster(position, len) => {
                fill(&mut commands.reader, &mut cluster[..len], WITHIN)?;
                used.set(position);
            }
            Step::Tail(len) => {
                fill(&mut commands.reader, &mut cluster[..len], WITHIN)?;
                tails = tail_of(&header, &cluster[..len]);
            }
        }
    }
    let volume = Volume {
        kind: FsKind::Ntfs,
        block_size: header.cluster_size,
        used,
        device_size: header.device_size,
        claimed_used: header.used,
        tails: tails
            .iter()
            .map(|tail| tail.offset..tail.offset + tail.bytes.len() as u64)
            .collect(),
        label: None,
        uuid: None,
        sector_size: 0,
        left_out: Vec::new(),
    };
    Ok((volume, tails))
}

/// The backup boot sector is the device's last sector: only that is worth keeping of a long tail.
fn tail_of(header: &Header, bytes: &[u8]) -> Vec<Tail> {
    let offset = header.clusters * u64::from(header.cluster_size);
    if bytes.is_empty() || bytes.len() > MAX_TAILS / 2 {
        return Vec::new();
    }
    let bytes = bytes.to_vec();
    vec![Tail { offset, bytes }]
}

/// The clusters of an image in order, without what lies behind the last one.
pub struct NtfscloneReader<R> {
    commands: Commands<R>,
    used: Bitmap,
    left: usize,
    done: bool,
}

impl<R> std::fmt::Debug for NtfscloneReader<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NtfscloneReader")
            .field("header", &self.commands.header)
            .field("position", &self.commands.position)
            .finish_non_exhaustive()
    }
}

impl<R: Read> NtfscloneReader<R> {
    /// Over the same image from its beginning, with the map that [`read_map`] found.
    ///
    /// # Errors
    /// As [`Header::parse`].
    pub fn open(reader: R, used: Bitmap) -> Result<Self, ForeignError> {
        let commands = Commands::open(reader)?;
        if commands.header.clusters != used.len() {
            return Err(changed());
        }
        Ok(Self {
            commands,
            used,
            left: 0,
            done: false,
        })
    }

    fn advance(&mut self) -> Result<(), ForeignError> {
        match self.commands.next()? {
            Some(Step::Cluster(position, len)) => {
                if !self.used.get(position) {
                    return Err(changed());
                }
                self.used.clear(position);
                self.left = len;
            }
            Some(Step::Tail(len)) => {
                let mut tail = vec![0; len];
                fill(&mut self.commands.reader, &mut tail, WITHIN)?;
            }
            None if self.used.count() > 0 => return Err(changed()),
            None => self.done = true,
        }
        Ok(())
    }
}

impl<R: Read> Read for NtfscloneReader<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while self.left == 0 && !self.done && !buf.is_empty() {
            self.advance()?;
        }
        let len = self.left.min(buf.len());
        fill(&mut self.commands.reader, &mut buf[..len], WITHIN)?;
        self.left -= len;
        Ok(len)
    }
}

fn changed() -> ForeignError {
    ForeignError::corrupt("it changed while it was read")
}
