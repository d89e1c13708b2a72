//! The head of an image: header and bitmap, from a file or as they come through a pipe.
//!
//! Invariant: a claimed size costs nothing until bytes arrive for it. From a file, nothing is decoded before the index confirms that
//! it has the frames for the whole bitmap and for all blocks that are said to be used; the bitmap's zeros stay untouched memory, and no more ones are taken than the header counts.

use azud_core::bitmap::Bitmap;
use azud_core::format::index::Frame;
use azud_core::format::partclone::{
    BitmapMode, Checksum, HEADER_LEN, Header, jamcrc, jamcrc_extend,
};
use azud_core::format::{FormatError, MAX_BITMAP, MAX_BITMAP_PIECE, MAX_BLOCK};
use azud_core::io::ReadAt;

use crate::codec::Decoder;
use crate::error::ImageError;
use crate::indexed::Indexed;
use crate::native::Geometry;

/// Bytes of the bitmap's checksum.
const CRC: u64 = 4;

/// A block of zstd holds at most 128 KiB and takes at least 4 bytes.
const DENSEST: u64 = (128 << 10) / 4;

/// Reads header and bitmap of a file.
pub(crate) fn read(file: &dyn ReadAt, indexed: &Indexed) -> Result<Geometry, ImageError> {
    let mut decoder = Decoder::new();
    let mut head = HeadParser::default();
    let mut compressed = Vec::new();
    for (number, frame) in indexed.frames().iter().enumerate() {
        indexed.read_frame(file, number, &mut compressed)?;
        let mut content = vec![0; frame.content_len as usize];
        decoder.decode(number, &compressed, &mut content)?;
        if let Some(geometry) = head.push(&content)? {
            return Ok(geometry);
        }
        if let (0, Some(bits)) = (number, &head.bits) {
            check_frames(&bits.header, indexed.frames())?;
        }
    }
    Err(FormatError::Truncated("the bitmap").into())
}

/// Gathers header and bitmap from the contents of the first frames.
#[derive(Debug, Default)]
pub(crate) struct HeadParser {
    bits: Option<Bits>,
    frames: usize,
}

/// A bitmap of which some bytes arrived.
#[derive(Debug)]
struct Bits {
    header: Header,
    used: Bitmap,
    /// Bytes of the bitmap, without its checksum.
    len: u64,
    /// Bytes that arrived, with the checksum's.
    have: u64,
    /// Blocks marked used so far.
    ones: u64,
    sum: u32,
    stored_sum: Vec<u8>,
}

impl HeadParser {
    /// The header, once its frame was taken and until the geometry is complete.
    pub(crate) fn header(&self) -> Option<&Header> {
        self.bits.as_ref().map(|bits| &bits.header)
    }

    /// Takes the content of the next frame; the geometry once it is complete.
    ///
    /// # Errors
    /// `Format`.
    pub(crate) fn push(&mut self, content: &[u8]) -> Result<Option<Geometry>, FormatError> {
        self.frames += 1;
        let Some(bits) = &mut self.bits else {
            let bytes: &[u8; HEADER_LEN] = content
                .try_into()
                .map_err(|_| FormatError::Corrupt("length of the header frame".into()))?;
            self.bits = Some(Bits::new(check_header(Header::parse(bytes)?)?));
            return Ok(None);
        };
        bits.push(content)?;
        if bits.have < bits.len + CRC {
            return Ok(None);
        }
        let whole = self.bits.take().expect("just filled");
        whole.geometry(self.frames).map(Some)
    }
}

impl Bits {
    fn new(header: Header) -> Self {
        Self {
            used: Bitmap::new(header.total_blocks),
            len: bitmap_len(&header),
            header,
            have: 0,
            ones: 0,
            sum: jamcrc(&[]),
            stored_sum: Vec::new(),
        }
    }

    fn push(&mut self, content: &[u8]) -> Result<(), FormatError> {
        let limit = MAX_BITMAP_PIECE as u64;
        let size = content.len() as u64;
        if size > limit {
            return Err(too_large("piece of bitmap", size, limit));
        }
        if self.have + size > self.len + CRC {
            return Err(not_on_a_frame());
        }
        let left = self.len.saturating_sub(self.have);
        let (bits, sum) = content.split_at(
            content
                .len()
                .min(usize::try_from(left).unwrap_or(usize::MAX)),
        );
        let ones = bits.iter().map(|byte| u64::from(byte.count_ones()));
        self.ones += ones.sum::<u64>();
        if self.ones > self.header.used_blocks {
            return Err(wrong_count());
        }
        self.used.set_bytes(self.have, bits);
        self.sum = jamcrc_extend(self.sum, bits);
        self.stored_sum.extend(sum);
        self.have += size;
        Ok(())
    }

    fn geometry(self, head_frames: usize) -> Result<Geometry, FormatError> {
        if self.sum.to_le_bytes() != self.stored_sum[..] {
            return Err(FormatError::Corrupt("the bitmap's checksum".into()));
        }
        if self.used.count() != self.header.used_blocks {
            return Err(wrong_count());
        }
        Ok(Geometry {
            header: self.header,
            used: self.used,
            head_frames,
        })
    }
}

fn bitmap_len(header: &Header) -> u64 {
    header.total_blocks.div_ceil(8)
}

fn wrong_count() -> FormatError {
    FormatError::Corrupt("the bitmap's count of used blocks".into())
}

fn not_on_a_frame() -> FormatError {
    FormatError::Corrupt("the bitmap does not end on a frame".into())
}

/// What a native image asks of its partclone header beyond partclone itself.
fn check_header(header: Header) -> Result<Header, FormatError> {
    if header.checksum != Checksum::None || header.bitmap != BitmapMode::Bit {
        return Err(FormatError::Corrupt(
            "the header's checksum or bitmap mode".into(),
        ));
    }
    if header.block_size > MAX_BLOCK {
        return Err(too_large(
            "block",
            header.block_size.into(),
            MAX_BLOCK.into(),
        ));
    }
    let bitmap = bitmap_len(&header);
    if bitmap > MAX_BITMAP {
        return Err(too_large("bitmap", bitmap, MAX_BITMAP));
    }
    Ok(header)
}

fn too_large(what: &'static str, size: u64, limit: u64) -> FormatError {
    FormatError::TooLarge { what, size, limit }
}

/// Whether the frames of the index hold the bitmap that the header speaks of, and as many blocks as it says are used.
fn check_frames(header: &Header, frames: &[Frame]) -> Result<(), FormatError> {
    let whole = HEADER_LEN as u64 + bitmap_len(header) + CRC;
    let (mut have, mut count) = (0, 0);
    while have < whole {
        let frame = frames
            .get(count)
            .ok_or(FormatError::Truncated("the bitmap"))?;
        let content = u64::from(frame.content_len);
        if content > u64::from(frame.compressed_len) * DENSEST {
            return Err(FormatError::Corrupt(
                "a frame shorter than zstd can make it".into(),
            ));
        }
        have += content;
        count += 1;
    }
    if have > whole {
        return Err(not_on_a_frame());
    }
    check_data(header, &frames[count..])
}

fn check_data(header: &Header, data: &[Frame]) -> Result<(), FormatError> {
    let size = header.block_size;
    if data.iter().any(|frame| frame.content_len % size != 0) {
        return Err(FormatError::Corrupt(
            "a frame that is not whole blocks".into(),
        ));
    }
    let blocks: u64 = data
        .iter()
        .map(|frame| u64::from(frame.content_len / size))
        .sum();
    if blocks != header.used_blocks {
        return Err(FormatError::Corrupt(
            "the frames do not hold the bitmap's blocks".into(),
        ));
    }
    Ok(())
}
