//! lzop's container around LZO1X blocks.
//!
//! All numbers are big-endian. A file is a magic number, a header with its own checksum, then
//! blocks of two lengths, up to four checksums and data, ended by a length of 0. Several such
//! files may follow one another.

use std::io::{self, BufRead, Read};

use super::{Bare, Compressor};
use crate::foreign::{ForeignError, fill};

pub(crate) const MAGIC: [u8; 9] = [0x89, b'L', b'Z', b'O', 0, 0x0D, 0x0A, 0x1A, 0x0A];

/// The largest block that lzop itself accepts.
const MAX_BLOCK: u32 = 64 << 20;
/// The format version of lzop 1.04, the last one.
pub(crate) const NEWEST: u16 = 0x1040;
/// Since this version there are a level, a second half of the time and a needed version.
pub(crate) const WITH_LEVEL: u16 = 0x0940;
const OLDEST: u16 = 0x0900;

pub(crate) const ADLER_CONTENT: u32 = 0x1;
const ADLER_PACKED: u32 = 0x2;
const EXTRA_FIELD: u32 = 0x40;
const CRC_CONTENT: u32 = 0x100;
const CRC_PACKED: u32 = 0x200;
const CRC_HEADER: u32 = 0x1000;
/// Flags that change nothing here: where the data and the name came from, path and time zone.
const HARMLESS: u32 = 0x4 | 0x8 | 0x10 | 0x20 | 0x80 | 0x2000;
/// The operating system and the character set of the name.
const ORIGIN: u32 = 0xFFF0_0000;
const KNOWN: u32 = ADLER_CONTENT
    | ADLER_PACKED
    | EXTRA_FIELD
    | CRC_CONTENT
    | CRC_PACKED
    | CRC_HEADER
    | HARMLESS
    | ORIGIN;

/// A streaming decoder that holds one block.
pub(super) struct Decoder<R> {
    input: R,
    /// The flags of the member that is being read; `None` between members.
    flags: Option<u32>,
    packed: Vec<u8>,
    content: Vec<u8>,
    given: usize,
    bare: Bare,
}

impl<R: BufRead> Decoder<R> {
    pub(super) fn new(input: R, bare: Bare) -> Self {
        Self {
            input,
            bare,
            flags: None,
            packed: Vec::new(),
            content: Vec::new(),
            given: 0,
        }
    }

    /// Reads on until there is content to give; false at the end of the file.
    fn advance(&mut self) -> Result<bool, ForeignError> {
        loop {
            let Some(flags) = self.flags else {
                if self
                    .input
                    .fill_buf()
                    .map_err(ForeignError::from_io)?
                    .is_empty()
                {
                    return Ok(false);
                }
                self.flags = Some(read_header(&mut self.input)?);
                continue;
            };
            if self.read_block(flags)? {
                return Ok(true);
            }
            self.flags = None;
        }
    }

    /// One block into `content`; false when the member ends instead.
    fn read_block(&mut self, flags: u32) -> Result<bool, ForeignError> {
        let within = "lzop block";
        let len = number(&mut self.input, within)?;
        if len == 0 {
            return Ok(false);
        }
        let packed_len = number(&mut self.input, within)?;
        if len > MAX_BLOCK {
            return Err(ForeignError::TooLarge {
                what: "a block of the lzop file",
                limit: u64::from(MAX_BLOCK),
            });
        }
        if packed_len == 0 || packed_len > len {
            return Err(damaged("a block grew when it was compressed"));
        }
        let is_stored = packed_len == len;
        let content_sums = Sums::read(&mut self.input, flags, [ADLER_CONTENT, CRC_CONTENT])?;
        let packed_sums = if is_stored {
            // The other sums stand for these.
            Sums::default()
        } else {
            Sums::read(&mut self.input, flags, [ADLER_PACKED, CRC_PACKED])?
        };
        read_vec(&mut self.input, packed_len, &mut self.packed)?;
        packed_sums.check(&self.packed, "the checksum of a compressed block is wrong")?;
        self.given = 0;
        if is_stored {
            std::mem::swap(&mut self.packed, &mut self.content);
        } else {
            unpack(&self.packed, len, &mut self.content)?;
        }
        content_sums.check(&self.content, "the checksum of a block is wrong")?;
        if content_sums.is_none() && packed_sums.is_none() {
            self.bare.set();
        }
        Ok(true)
    }
}

impl<R: BufRead> Read for Decoder<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.given == self.content.len() && !self.advance()? {
            return Ok(0);
        }
        let len = buf.len().min(self.content.len() - self.given);
        buf[..len].copy_from_slice(&self.content[self.given..self.given + len]);
        self.given += len;
        Ok(len)
    }
}

/// The first `want` bytes of the content, from the beginning of a file that may end anywhere; a guess, since
/// no checksum is compared. `None` when that does not do.
pub(crate) fn peek(mut head: &[u8], want: usize) -> Option<Vec<u8>> {
    let flags = read_header(&mut head).ok()?;
    let within = "lzop block";
    let len = as_len(number(&mut head, within).ok()?.min(MAX_BLOCK));
    let packed_len = as_len(number(&mut head, within).ok()?.min(MAX_BLOCK));
    Sums::read(&mut head, flags, [ADLER_CONTENT, CRC_CONTENT]).ok()?;
    if packed_len >= len {
        return head.get(..want.min(len)).map(<[u8]>::to_vec);
    }
    Sums::read(&mut head, flags, [ADLER_PACKED, CRC_PACKED]).ok()?;
    let packed = &head[..head.len().min(packed_len)];
    let mut content = vec![0; want.min(len)];
    // It stops where its input or the room for its output ends; what it wrote until then stands.
    let _ = lzokay::decompress::decompress(packed, &mut content);
    Some(content)
}

fn unpack(packed: &[u8], len: u32, content: &mut Vec<u8>) -> Result<(), ForeignError> {
    content.resize(as_len(len), 0);
    let written = lzokay::decompress::decompress(packed, content)
        .map_err(|error| damaged(&error.to_string()))?;
    if written != content.len() {
        return Err(damaged("a block is shorter than its header says"));
    }
    Ok(())
}

/// Grows with what really arrives, whatever the length claims.
fn read_vec(input: &mut impl Read, len: u32, into: &mut Vec<u8>) -> Result<(), ForeignError> {
    into.clear();
    let got = input
        .take(u64::from(len))
        .read_to_end(into)
        .map_err(ForeignError::from_io)?;
    if got < as_len(len) {
        return Err(ForeignError::Truncated {
            within: "lzop block",
        });
    }
    Ok(())
}

/// The checksums of one block before or after compression.
#[derive(Default)]
struct Sums {
    adler: Option<u32>,
    crc: Option<u32>,
}

impl Sums {
    fn read(input: &mut impl Read, flags: u32, wanted: [u32; 2]) -> Result<Self, ForeignError> {
        let mut next = |flag: u32| {
            (flags & flag != 0)
                .then(|| number(input, "lzop block"))
                .transpose()
        };
        Ok(Self {
            adler: next(wanted[0])?,
            crc: next(wanted[1])?,
        })
    }

    fn is_none(&self) -> bool {
        self.adler.is_none() && self.crc.is_none()
    }

    fn check(&self, bytes: &[u8], what: &str) -> Result<(), ForeignError> {
        let adler_ok = self.adler.is_none_or(|sum| sum == adler32(bytes));
        let crc_ok = self.crc.is_none_or(|sum| sum == crc32fast::hash(bytes));
        if adler_ok && crc_ok {
            Ok(())
        } else {
            Err(damaged(what))
        }
    }
}

/// The header's fields pass through here, since its checksum covers all of them.
struct HeaderReader<'a, R> {
    input: &'a mut R,
    seen: Vec<u8>,
}

impl<R: Read> HeaderReader<'_, R> {
    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], ForeignError> {
        let mut bytes = [0; N];
        fill(self.input, &mut bytes, "lzop header")?;
        self.seen.extend_from_slice(&bytes);
        Ok(bytes)
    }

    fn half(&mut self) -> Result<u16, ForeignError> {
        self.bytes().map(u16::from_be_bytes)
    }

    fn word(&mut self) -> Result<u32, ForeignError> {
        self.bytes().map(u32::from_be_bytes)
    }

    /// Reads the checksum that follows and compares it.
    fn check(self, flags: u32) -> Result<(), ForeignError> {
        let sum = if flags & CRC_HEADER == 0 {
            adler32(&self.seen)
        } else {
            crc32fast::hash(&self.seen)
        };
        if number(self.input, "lzop header")? == sum {
            Ok(())
        } else {
            Err(damaged("the header's checksum is wrong"))
        }
    }
}

/// Reads and checks a member's header; gives its flags.
fn read_header(input: &mut impl Read) -> Result<u32, ForeignError> {
    let mut magic = [0; MAGIC.len()];
    fill(input, &mut magic, "lzop header")?;
    if magic != MAGIC {
        return Err(ForeignError::Trailing { after: "lzop data" });
    }
    let mut header = HeaderReader {
        input,
        seen: Vec::new(),
    };
    let version = header.half()?;
    header.half()?; // The library's version.
    let with_level = version >= WITH_LEVEL;
    let needed = if with_level { header.half()? } else { version };
    let method = header.bytes::<1>()?[0];
    if with_level {
        header.bytes::<1>()?;
    }
    let flags = header.word()?;
    // Judged before the checksum: what an unknown flag adds to the header is unknown too.
    check_kind(version, needed, method, flags)?;
    header.bytes::<8>()?; // Mode and time.
    if with_level {
        header.word()?; // The time's upper half.
    }
    let name_len = header.bytes::<1>()?[0];
    for _ in 0..name_len {
        header.bytes::<1>()?;
    }
    header.check(flags)?;
    if flags & EXTRA_FIELD != 0 {
        skip_extra(input, flags)?;
    }
    Ok(flags)
}

fn check_kind(version: u16, needed: u16, method: u8, flags: u32) -> Result<(), ForeignError> {
    let unsupported = |what: String| Err(ForeignError::Unsupported { what });
    if needed > NEWEST {
        return Err(ForeignError::Newer {
            format: "lzop",
            version: format!("{needed:#06x}"),
        });
    }
    if version < OLDEST {
        return unsupported(format!("lzop format version {version:#06x}"));
    }
    if !(1..=3).contains(&method) {
        return unsupported(format!("lzop compression method {method}"));
    }
    if flags & !KNOWN != 0 {
        return unsupported(format!("lzop flag {:#x}", flags & !KNOWN));
    }
    Ok(())
}

/// The extra field has the header's kind of checksum, over its length and content.
fn skip_extra(input: &mut impl Read, flags: u32) -> Result<(), ForeignError> {
    let len = number(input, "lzop header")?;
    if len > MAX_BLOCK {
        return Err(ForeignError::TooLarge {
            what: "the extra field of the lzop file",
            limit: u64::from(MAX_BLOCK),
        });
    }
    let mut field = Vec::new();
    read_vec(input, len, &mut field)?;
    let header = HeaderReader {
        input,
        seen: [&len.to_be_bytes()[..], &field].concat(),
    };
    header.check(flags)
}

fn number(input: &mut impl Read, within: &'static str) -> Result<u32, ForeignError> {
    let mut bytes = [0; 4];
    fill(input, &mut bytes, within)?;
    Ok(u32::from_be_bytes(bytes))
}

pub(crate) fn adler32(bytes: &[u8]) -> u32 {
    simd_adler32::adler32(&bytes)
}

fn as_len(len: u32) -> usize {
    usize::try_from(len).expect("at most 64 MiB")
}

fn damaged(why: &str) -> ForeignError {
    ForeignError::Compressed {
        compressor: Compressor::Lzop,
        why: why.to_owned(),
    }
}
