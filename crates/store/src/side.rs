//! Side files: what the stock tools expect beside an image, made in the pass that writes it.

mod passing;

use std::fmt::Write as _;
use std::path::Path;
use std::time::SystemTime;

use azud_core::name::beside;
use md5::{Digest, Md5};

use azud_core::name::ImageFile;

use crate::durable;
use crate::error::{At, Result, StoreError};
use crate::plan::Placed;

pub use passing::Passing;

/// Ending of the one-line description.
pub const INFO: &str = ".info";
/// Ending of the MD5 of the last MiB.
pub const SUM: &str = ".sum";
/// Ending of the MD5 of the whole.
pub const FULL_SUM: &str = ".full.sum";

/// Ending of the mark, an empty file, of an image that no neighbour, no swarm and no session is to give.
pub const HTTPS_ONLY: &str = ".https-only";

/// Ending of the lock.
pub const LOCK: &str = ".lock";

/// Endings of the files that share an image's fate: they go to the trash and come back with it.
/// Locks and the stock tools' own former versions do not.
pub const KEPT: &[&str] = &[
    INFO,
    ".info.checked",
    SUM,
    FULL_SUM,
    ".torrent",
    ".torrent.bf",
    ".torrent.bfog",
    ".mcast",
    ".index",
    ".minisig",
    HTTPS_ONLY,
    ".size",
];

/// Endings of the files that are made once for an image and hold wherever its bytes are the same: they go along
/// with it, byte for byte.
pub const CARRIED: [&str; 3] = [".torrent", ".minisig", HTTPS_ONLY];

/// The longest of these that is read. Metainfo of an image of 4 TiB has 20 bytes for each 4 MiB.
const MAX_CARRIED: u64 = 32 << 20;

/// How much of an image's end `.sum` covers.
pub const TAIL: usize = 1 << 20;

/// The longest `.info` that is read.
const MAX_INFO: u64 = 4096;

/// The content of `.info`: `PROGRAM:COMPRESSOR:FS:SIZEKB:HOST`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct InfoLine {
    /// The tool that can read the image, upper-case.
    pub program: String,
    /// The compressor, upper-case.
    pub compressor: String,
    /// The file system, upper-case, as a partclone header names it (`EXTFS`, `NTFS`, `FAT32` …): the
    /// stock tools take it from there.
    pub fs: String,
    /// Size of the device in KiB.
    pub size_kb: u64,
    /// The computer that it was taken from.
    pub host: String,
}

impl InfoLine {
    /// Of a native image, which stock tools read as partclone in zstd. A partial KiB counts whole:
    /// tools compare this with the size of a target.
    pub fn native(fs: &str, device_size: u64, host: &str) -> Self {
        Self {
            program: "PARTCLONE".into(),
            compressor: "ZSTD".into(),
            fs: fs.into(),
            size_kb: device_size.div_ceil(1024),
            host: host.into(),
        }
    }

    /// The line, newline included. Nothing in a field can break it: characters that would are replaced by `-`.
    pub fn to_line(&self) -> String {
        let word = |text: &str| -> String {
            let safe = |c: char| {
                if c == ':' || c.is_control() || c.is_whitespace() {
                    '-'
                } else {
                    c
                }
            };
            text.chars().map(safe).collect()
        };
        let upper = |text: &str| word(text).to_uppercase();
        let Self {
            program,
            compressor,
            fs,
            size_kb,
            host,
        } = self;
        format!(
            "{}:{}:{}:{size_kb}:{}\n",
            upper(program),
            upper(compressor),
            upper(fs),
            word(host)
        )
    }

    /// Understands a line; `None` if it is not one. What it says may still be untrue.
    pub fn parse(text: &str) -> Option<Self> {
        let line = text.lines().next()?;
        if line.chars().any(char::is_control) {
            return None;
        }
        let mut parts = line.splitn(5, ':');
        let mut part = || parts.next().map(str::to_owned);
        let (program, compressor, fs) = (part()?, part()?, part()?);
        let size_kb = part()?.parse().ok()?;
        let host = part()?;
        let named = !program.is_empty() && !compressor.is_empty() && !fs.is_empty();
        named.then_some(Self {
            program,
            compressor,
            fs,
            size_kb,
            host,
        })
    }

    /// Reads a `.info` file; `None` if there is none or it is not understood.
    pub fn read(path: &Path) -> Option<Self> {
        let content = durable::read_small(path, MAX_INFO).ok()?;
        Self::parse(std::str::from_utf8(&content).ok()?)
    }
}

/// A side file that goes along with an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Carried {
    /// One of [`CARRIED`].
    pub ending: &'static str,
    /// All of it.
    pub content: Vec<u8>,
}

impl Carried {
    /// Those that stand beside an image.
    ///
    /// # Errors
    /// [`StoreError::NotAFile`], [`StoreError::Corrupt`] (longer than any such file), [`StoreError::Io`].
    pub fn beside(image: &Path) -> Result<Vec<Self>> {
        let mut found = Vec::new();
        for ending in CARRIED {
            if let Some(content) = read_beside(image, ending)? {
                found.push(Self { ending, content });
            }
        }
        Ok(found)
    }

    /// Writes it into a stage.
    pub(crate) fn write(&self, stage: &Path, image: &ImageFile) -> Result<Placed> {
        let path = stage.join(format!("{}{}", image.name(), self.ending));
        durable::write(&path, &self.content)?;
        Ok(Placed {
            ending: self.ending.to_owned(),
            size: self.content.len() as u64,
        })
    }

    /// Whether it stands beside this image as it is.
    pub(crate) fn is_beside(&self, image: &ImageFile) -> bool {
        let content = read_carried(&image.beside(self.ending));
        matches!(content, Ok(Some(content)) if content == self.content)
    }
}

/// A side file, without what is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Beside {
    /// One of [`KEPT`].
    pub ending: &'static str,
    /// Its bytes.
    pub size: u64,
    /// When it was last written.
    pub modified: Option<SystemTime>,
}

impl Beside {
    /// The side files of an image that can be shown to others, among those that have these endings.
    pub fn of(image: &Path, endings: &[&'static str]) -> Vec<Self> {
        let shown = endings.iter().filter(|ending| KEPT.contains(ending));
        let found = shown.filter_map(|ending| {
            let meta = std::fs::symlink_metadata(beside(image, ending)).ok()?;
            let whole = meta.is_file() && meta.len() <= MAX_CARRIED;
            whole.then(|| Self {
                ending,
                size: meta.len(),
                modified: meta.modified().ok(),
            })
        });
        found.collect()
    }
}

/// All of a side file, by one of the endings of [`KEPT`]; `None` if there is none.
///
/// # Errors
/// As [`Carried::beside`].
pub fn read_beside(image: &Path, ending: &str) -> Result<Option<Vec<u8>>> {
    if KEPT.contains(&ending) {
        read_carried(&beside(image, ending))
    } else {
        Ok(None)
    }
}

fn read_carried(path: &Path) -> Result<Option<Vec<u8>>> {
    if durable::file_size(path)?.is_none() {
        return Ok(None);
    }
    let content = durable::read_small(path, MAX_CARRIED + 1).at("read", path)?;
    if content.len() as u64 > MAX_CARRIED {
        return Err(StoreError::corrupt(path, "it is too long for what it is"));
    }
    Ok(Some(content))
}

/// The MD5 that a `.full.sum` tells, with or without a line's end; `None` if it is none.
pub fn full_sum(path: &Path) -> Option<String> {
    full_sum_in(&durable::read_small(path, 64).ok()?)
}

/// As [`full_sum`], of what such a file holds.
pub fn full_sum_in(content: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(content.trim_ascii()).ok()?;
    let is_sum = text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
    is_sum.then(|| text.to_ascii_lowercase())
}

/// Both sums of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SumPair {
    /// MD5 of the last [`TAIL`] bytes (of all, if shorter), lower-case hex.
    pub tail: String,
    /// MD5 of all bytes, lower-case hex.
    pub full: String,
}

/// The MD5 that a `.full.sum` or `.sum` tells, lower-case hex; `None` if it tells none.
pub fn read_sum(path: &Path) -> Option<String> {
    sum_in(&durable::read_small(path, 4096).ok()?)
}

/// As [`read_sum`], of what such a file holds.
pub fn sum_in(content: &[u8]) -> Option<String> {
    const DIGITS: usize = 32;
    let text = std::str::from_utf8(content).ok()?;
    let word = text.split_whitespace().next()?.to_ascii_lowercase();
    let is_sum = word.len() == DIGITS && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_sum.then_some(word)
}

/// Computes both sums of a file as its bytes pass by.
#[derive(Debug, Clone)]
pub struct Sums {
    full: Md5,
    /// The last [`TAIL`] bytes: a ring whose oldest byte is at `at` once it is full.
    ring: Vec<u8>,
    at: usize,
}

impl Default for Sums {
    fn default() -> Self {
        Self::new()
    }
}

impl Sums {
    /// Nothing seen yet.
    pub fn new() -> Self {
        Self {
            full: Md5::new(),
            ring: Vec::with_capacity(TAIL),
            at: 0,
        }
    }

    /// The next bytes of the file.
    pub fn update(&mut self, bytes: &[u8]) {
        self.full.update(bytes);
        // Only the last TAIL bytes can matter.
        let mut rest = &bytes[bytes.len().saturating_sub(TAIL)..];
        let grow = rest.len().min(TAIL - self.ring.len());
        self.ring.extend_from_slice(&rest[..grow]);
        rest = &rest[grow..];
        while !rest.is_empty() {
            let take = rest.len().min(TAIL - self.at);
            self.ring[self.at..self.at + take].copy_from_slice(&rest[..take]);
            self.at = (self.at + take) % TAIL;
            rest = &rest[take..];
        }
    }

    /// The sums.
    pub fn finish(self) -> SumPair {
        let (newer, older) = self.ring.split_at(self.at);
        let tail = Md5::new()
            .chain_update(older)
            .chain_update(newer)
            .finalize();
        SumPair {
            tail: hex(&tail),
            full: hex(&self.full.finalize()),
        }
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a String");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::{InfoLine, Sums, TAIL};
    use md5::{Digest, Md5};

    #[test]
    fn info_lines_cannot_be_broken_by_their_fields() {
        let line = InfoLine::native("ntfs", 5_777_784_833, "pc:14\nx y").to_line();
        assert_eq!(line, "PARTCLONE:ZSTD:NTFS:5642369:pc-14-x-y\n");
        let back = InfoLine::parse(&line).unwrap();
        assert_eq!(
            (back.fs.as_str(), back.size_kb, back.host.as_str()),
            ("NTFS", 5_642_369, "pc-14-x-y")
        );
    }

    #[test]
    fn lines_of_others_are_read_and_nonsense_is_not() {
        let line = InfoLine::parse("PARTCLONE:LZOP:NTFS:5642158:pc14").unwrap();
        assert_eq!(
            (line.compressor.as_str(), line.host.as_str()),
            ("LZOP", "pc14")
        );
        for bad in [
            "",
            ":pc14",
            "A:B:C:12",
            "A:B:C:12k:h",
            "A:B:C:-1:h",
            ":B:C:1:h",
            "A:B:C:99999999999999999999:h",
            "A\u{1b}:B:C:1:h",
        ] {
            assert_eq!(InfoLine::parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn sums_do_not_depend_on_the_pieces() {
        let plain = |bytes: &[u8]| super::hex(&Md5::digest(bytes));
        for len in [0, 1, TAIL - 1, TAIL, TAIL + 1, 2 * TAIL, 2 * TAIL + 12345] {
            let bytes: Vec<u8> = (0..len)
                .map(|i| u8::try_from(i * 31 % 251).unwrap())
                .collect();
            for piece in [777, 65_536, TAIL - 1, TAIL + 7, usize::MAX] {
                let mut sums = Sums::new();
                bytes.chunks(piece).for_each(|chunk| sums.update(chunk));
                let pair = sums.finish();
                assert_eq!(pair.full, plain(&bytes), "{len} in {piece}");
                assert_eq!(
                    pair.tail,
                    plain(&bytes[len.saturating_sub(TAIL)..]),
                    "{len} in {piece}"
                );
            }
        }
    }
}
