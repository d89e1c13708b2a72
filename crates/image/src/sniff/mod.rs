//! What a file in an image tree is, by its first bytes: extensions and `.info` files may lie.
//!
//! Invariants: a sniff reads at most [`MOST`] bytes of a file, beside the index of a native image, and decodes at most
//! as much of its content as a file system's superblocks may take; nothing that a header claims makes it read or
//! allocate more.

use std::io::Read;

use azud_core::format::container::{self, SEEK_FOOTER_LEN, SKIPPABLE_HEADER, TRAILER_LEN, Trailer};
use azud_core::format::{FormatError, Hash};
use azud_core::io::ReadAt;

use crate::ending;
use crate::foreign::compress::{self, Compressor};
use crate::fs::{self, HEAD_LEN};

mod content;
mod reach;

pub use content::is_disk;
pub(crate) use reach::reach;

/// The most that is read of one file: a block of the coarsest compressor.
pub const MOST: usize = 5 << 20;

/// So far from a file's end the end of a native image is looked for.
const BACK: u64 = 2 << 20;

/// Enough for every header.
const HEADERS: usize = 8 << 10;
/// What is read of a file until that many bytes of content are there.
const STEPS: [usize; 4] = [8 << 10, 160 << 10, 1200 << 10, MOST];

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// An image of Azud.
    Native,
    /// A partclone image, version 1 or 2.
    Partclone(u8),
    /// An ntfsclone image.
    Ntfsclone,
    /// A partimage volume.
    Partimage,
    /// An fsarchiver archive.
    Fsarchiver,
    /// A file system as it lies on a device: a synchronised image, or a volume.
    FileSystem,
    /// A whole disk with its partition table.
    Disk,
    /// The first sector of a disk.
    BootSector,
    /// A saved GPT.
    Gpt,
    /// A virtual machine's disk.
    Qcow2,
    /// A squashfs.
    Squashfs,
    /// An optical disc.
    Iso,
    /// Nothing.
    Empty,
    /// None of these.
    Unknown,
}

impl Format {
    /// A stable word: `azud`, `partclone`, `ntfsclone`, `partimage`, `fsarchiver`, `filesystem`, `disk`, `mbr`,
    /// `gpt`, `qcow2`, `squashfs`, `iso`, `empty`, `unknown`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Native => "azud",
            Self::Partclone(_) => "partclone",
            Self::Ntfsclone => "ntfsclone",
            Self::Partimage => "partimage",
            Self::Fsarchiver => "fsarchiver",
            Self::FileSystem => "filesystem",
            Self::Disk => "disk",
            Self::BootSector => "mbr",
            Self::Gpt => "gpt",
            Self::Qcow2 => "qcow2",
            Self::Squashfs => "squashfs",
            Self::Iso => "iso",
            Self::Empty => "empty",
            Self::Unknown => "unknown",
        }
    }
}

/// What was found. Sizes in bytes; what the file does not tell cheaply is `None`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sniffed {
    /// What it is.
    pub format: Format,
    /// The compressor around it.
    pub compressor: Compressor,
    /// The file system, as a partclone header names it.
    pub fs: Option<String>,
    /// Size of the device that it was taken from.
    pub device_size: Option<u64>,
    /// Bytes in use.
    pub used: Option<u64>,
    /// The program that made it, with its version.
    pub tool: Option<String>,
    /// Who a native image is: the hash of its index, which was compared.
    pub identity: Option<Hash>,
    /// Why it cannot be what it seems, or not be read.
    pub problem: Option<String>,
}

impl Sniffed {
    fn of(format: Format) -> Self {
        Self {
            format,
            compressor: Compressor::None,
            fs: None,
            device_size: None,
            used: None,
            tool: None,
            identity: None,
            problem: None,
        }
    }

    /// Whether a program packed it, be it whole or damaged; a disk or a volume as it lies is not packed.
    pub fn is_packed(&self) -> bool {
        let by_a_program = matches!(
            self.format,
            Format::Native
                | Format::Partclone(_)
                | Format::Ntfsclone
                | Format::Partimage
                | Format::Fsarchiver
        );
        by_a_program || self.compressor != Compressor::None
    }

    fn seems(self, problem: impl Into<String>) -> Self {
        Self {
            problem: Some(problem.into()),
            ..self
        }
    }
}

/// Tells what a file is.
///
/// # Errors
/// What the system says when it cannot be read.
pub fn sniff(file: &dyn ReadAt) -> std::io::Result<Sniffed> {
    let head = read_head(file, STEPS[0])?;
    if head.is_empty() {
        return Ok(Sniffed::of(Format::Empty));
    }
    let compressor = Compressor::detect(&head);
    if compressor == Compressor::None {
        return plain(file, &head);
    }
    let ending = match compressor {
        Compressor::Zstd => Some(ending_of(file)?),
        _ => None,
    };
    let mut found = peeled(file, head, compressor)?;
    found.compressor = compressor;
    match ending {
        Some(Ok(identity)) => {
            found.format = Format::Native;
            found.identity = Some(identity);
        }
        Some(Err(error)) if container::begins_native(file) => {
            found.format = Format::Native;
            found.problem = Some(not_whole(file, &error));
        }
        _ => {}
    }
    Ok(found)
}

fn plain(file: &dyn ReadAt, head: &[u8]) -> std::io::Result<Sniffed> {
    if let Some(found) = content::by_header(head) {
        return Ok(found);
    }
    let head = read_head(file, HEAD_LEN)?;
    Ok(content::by_structure(&head, Some(file.len())))
}

/// Decodes as little of the content as tells what it is.
fn peeled(file: &dyn ReadAt, head: Vec<u8>, compressor: Compressor) -> std::io::Result<Sniffed> {
    if compressor == Compressor::Lzop {
        // Whole blocks cost more than all else together; a prefix that makes sense will do.
        let quick = compress::peek_lzop(&head, HEADERS);
        if let Some(found) = quick.and_then(|content| content::by_header(&content))
            && found.problem.is_none()
        {
            return Ok(found);
        }
    }
    let (content, _) = decoded(file, head.clone(), HEADERS)?;
    if let Some(found) = content::by_header(&content) {
        return Ok(found);
    }
    let (content, whole) = decoded(file, head, HEAD_LEN)?;
    if content.is_empty() && whole {
        return Ok(Sniffed::of(Format::Empty));
    }
    let found = content::by_structure(&content, None);
    if content.is_empty() {
        return Ok(found.seems(format!("its {compressor} data cannot be decoded")));
    }
    Ok(found)
}

/// The first `want` bytes of the content, or as many as there are; and whether that is all of it.
fn decoded(file: &dyn ReadAt, mut head: Vec<u8>, want: usize) -> std::io::Result<(Vec<u8>, bool)> {
    let mut content = Vec::new();
    for step in STEPS {
        if head.len() < step {
            head = read_head(file, step)?;
        }
        let source = std::io::Cursor::new(head.clone());
        content.clear();
        let Ok(peeled) = compress::open(Box::new(source)) else {
            break;
        };
        // What comes before an error is what the beginning of the file gives.
        let done = peeled.reader.take(want as u64).read_to_end(&mut content);
        if content.len() >= want || head.len() as u64 >= file.len() {
            return Ok((content, done.is_ok()));
        }
    }
    Ok((content, false))
}

fn read_head(file: &dyn ReadAt, len: usize) -> std::io::Result<Vec<u8>> {
    let len = usize::try_from(file.len()).map_or(len, |size| size.min(len));
    let mut head = vec![0; len];
    file.read_exact_at(&mut head, 0)?;
    Ok(head)
}

/// The identity that the trailer of a native image tells, or why there is none.
fn ending_of(file: &dyn ReadAt) -> std::io::Result<Result<Hash, FormatError>> {
    let missing = Ok(Err(FormatError::NotNative("the seek table")));
    let size = file.len();
    let Some(footer_at) = size.checked_sub(SEEK_FOOTER_LEN as u64) else {
        return missing;
    };
    let mut footer = [0; SEEK_FOOTER_LEN];
    file.read_exact_at(&mut footer, footer_at)?;
    let seek_len = match container::seek_table_len(footer) {
        Ok(len) => len,
        Err(error) => return Ok(Err(error)),
    };
    let Some(at) = size.checked_sub(seek_len + TRAILER_LEN as u64) else {
        return missing;
    };
    let mut trailer = [0; TRAILER_LEN];
    file.read_exact_at(&mut trailer, at)?;
    let trailer = match Trailer::parse(&trailer) {
        Ok(trailer) => trailer,
        Err(error) => return Ok(Err(error)),
    };
    let index = trailer.index_offset.checked_add(SKIPPABLE_HEADER as u64);
    let fits = index.and_then(|index| index.checked_add(trailer.index_len)) == Some(at);
    let wrong = |what: &str| Ok(Err(FormatError::Corrupt(what.into())));
    if !fits {
        return wrong("the index does not end where the trailer begins");
    }
    let mut header = [0; SKIPPABLE_HEADER];
    file.read_exact_at(&mut header, trailer.index_offset)?;
    let len = usize::try_from(trailer.index_len).expect("bounded by the format");
    if header != container::skippable(container::AZUD_MAGIC, len) {
        return wrong("the index frame's header");
    }
    if hash_between(file, at - trailer.index_len, at)? != trailer.identity {
        return wrong("the index does not match its hash");
    }
    Ok(Ok(trailer.identity))
}

fn hash_between(file: &dyn ReadAt, start: u64, end: u64) -> std::io::Result<Hash> {
    let mut hasher = blake3::Hasher::new();
    let mut piece = vec![0; 256 << 10];
    let mut at = start;
    while at < end {
        let len = usize::try_from(end - at).map_or(piece.len(), |left| left.min(piece.len()));
        file.read_exact_at(&mut piece[..len], at)?;
        hasher.update(&piece[..len]);
        at += len as u64;
    }
    Ok(*hasher.finalize().as_bytes())
}

/// Why a file that begins as a native image is none that is whole.
fn not_whole(file: &dyn ReadAt, error: &FormatError) -> String {
    if !matches!(error, FormatError::NotNative(_)) {
        return error.to_string();
    }
    match ending::find(file, BACK) {
        Some(end) => {
            let extra = file.len() - end;
            FormatError::Trailing { extra, end }.to_string()
        }
        None => {
            "the image does not end where its file ends: it was cut short, or more follows".into()
        }
    }
}

/// Which file system a device that begins with `head` holds, by the name in a partclone header.
fn fs_name(head: &[u8]) -> Option<String> {
    fs::kind(head).map(|kind| kind.partclone_name().to_owned())
}
