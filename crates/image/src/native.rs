//! An opened native image: its index checked, its bitmap decoded, every frame's place known.

use azud_core::bitmap::{Bitmap, Run};
use azud_core::format::container::{self, SEEK_FOOTER_LEN, SKIPPABLE_HEADER, TRAILER_LEN, Trailer};
use azud_core::format::frame;
use azud_core::format::index::{Facts, Frame, Index, Tail};
use azud_core::format::partclone::{HEADER_LEN, Header, jamcrc};
use azud_core::format::{FormatError, Hash, MAX_BITMAP, MAX_BITMAP_PIECE, MAX_BLOCK};
use azud_core::io::ReadAt;

use crate::codec::Decoder;
use crate::error::ImageError;

/// A native image whose index is verified. Data frames are verified when they are read.
#[derive(Debug)]
pub struct Native {
    identity: Hash,
    index: Index,
    geometry: Geometry,
    offsets: Vec<u64>,
}

/// Which blocks of the device the data frames hold.
#[derive(Debug, Clone)]
pub struct Geometry {
    /// The partclone header.
    pub header: Header,
    /// The used blocks.
    pub used: Bitmap,
    /// Number of frames that hold header and bitmap.
    pub head_frames: usize,
}

impl Native {
    /// Reads index, header and bitmap of an image and checks all of them.
    ///
    /// # Errors
    /// `Format`, `Frame` for the head frames, `Read`.
    pub fn open(file: &dyn ReadAt) -> Result<Self, ImageError> {
        let (trailer, index) = read_ending(file).map_err(|error| cut_short(file, error))?;
        let geometry = read_geometry(file, &index)?;
        check_tails(&index.tails, &geometry)?;
        Ok(Self::from_parts(trailer.identity, index, geometry))
    }

    /// From parts that are checked already.
    pub(crate) fn from_parts(identity: Hash, index: Index, geometry: Geometry) -> Self {
        let offset = |at: &mut u64, frame: &Frame| {
            let here = *at;
            *at += u64::from(frame.compressed_len);
            Some(here)
        };
        let offsets = index.frames.iter().scan(0, offset).collect();
        Self {
            identity,
            index,
            geometry,
            offsets,
        }
    }

    /// The image's identity: the BLAKE3 hash of its index, which covers everything else.
    pub fn identity(&self) -> &Hash {
        &self.identity
    }

    /// Descriptive facts.
    pub fn facts(&self) -> &Facts {
        &self.index.facts
    }

    /// All frames.
    pub fn frames(&self) -> &[Frame] {
        &self.index.frames
    }

    /// What lies beyond the last whole block.
    pub fn tails(&self) -> &[Tail] {
        &self.index.tails
    }

    /// Header, bitmap and how the frames relate to them.
    pub fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// Where a frame lies in the file.
    pub fn offset(&self, frame: usize) -> u64 {
        self.offsets[frame]
    }

    /// The smallest device the image can be restored to, in bytes, by its own blocks and tails.
    pub fn minimum_size(&self) -> u64 {
        self.geometry.minimum_size(&self.index.tails)
    }

    /// The first block of each data frame, in order.
    pub fn starts(&self) -> Vec<u64> {
        let mut cursor = BlockCursor::new(&self.geometry.used);
        let size = self.geometry.header.block_size;
        self.index.frames[self.geometry.head_frames..]
            .iter()
            .map(|frame| cursor.advance(u64::from(frame.content_len / size)))
            .collect()
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
        read_frame(
            file,
            (number, &self.index.frames[number]),
            self.offsets[number],
            out,
        )
    }
}

impl Geometry {
    /// The smallest device that holds the whole file system and these tails. Free blocks at its end count:
    /// a kernel refuses a file system that reaches beyond its device.
    pub fn minimum_size(&self, tails: &[Tail]) -> u64 {
        let blocks = self.header.total_blocks * u64::from(self.header.block_size);
        tails
            .iter()
            .map(|tail| tail.offset + tail.bytes.len() as u64)
            .fold(blocks, u64::max)
    }

    /// The byte ranges of the device that `len` bytes of content starting at a block fill, in order.
    pub fn ranges(&self, start: u64, len: usize) -> impl Iterator<Item = (u64, usize)> + '_ {
        let size = u64::from(self.header.block_size);
        let mut left = len as u64 / size;
        self.used
            .runs_from(start)
            .map_while(move |Run { start, count }| {
                let take = count.min(left);
                left -= take;
                let len = usize::try_from(take * size).expect("bounded by a frame");
                (take > 0).then_some((start * size, len))
            })
    }
}

/// Hands out the blocks of a bitmap in order.
#[derive(Debug)]
pub(crate) struct BlockCursor<'a> {
    used: &'a Bitmap,
    next: u64,
    taken: u64,
}

impl<'a> BlockCursor<'a> {
    pub(crate) fn new(used: &'a Bitmap) -> Self {
        Self {
            used,
            next: 0,
            taken: 0,
        }
    }

    /// How many used blocks were taken.
    pub(crate) fn taken(&self) -> u64 {
        self.taken
    }

    /// Takes `count` used blocks; returns the first.
    pub(crate) fn advance(&mut self, count: u64) -> u64 {
        self.taken += count;
        let mut left = count;
        let mut first = None;
        for run in self.used.runs_from(self.next) {
            first.get_or_insert(run.start);
            let take = left.min(run.count);
            self.next = run.start + take;
            left -= take;
            if left == 0 {
                break;
            }
        }
        first.unwrap_or(self.next)
    }
}

/// Reads a frame's bytes and checks their hash.
pub(crate) fn read_frame(
    file: &dyn ReadAt,
    (number, frame): (usize, &Frame),
    offset: u64,
    out: &mut Vec<u8>,
) -> Result<(), ImageError> {
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

/// A file that begins as a native image and does not end as one was cut short, not made by another program.
fn cut_short(file: &dyn ReadAt, error: ImageError) -> ImageError {
    let mut head = [0; frame::MAX_HEADER];
    let begins = file.read_exact_at(&mut head, 0).is_ok()
        && frame::parse_header(&head).is_ok_and(|header| header.content_len as usize == HEADER_LEN);
    match error {
        ImageError::Format(FormatError::NotNative("the trailer")) if begins => {
            FormatError::Corrupt("the trailer".into()).into()
        }
        ImageError::Format(FormatError::NotNative(_)) if begins => {
            FormatError::Truncated("the frames: there is no index").into()
        }
        other => other,
    }
}

fn read_ending(file: &dyn ReadAt) -> Result<(Trailer, Index), ImageError> {
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
    let trailer = Trailer::parse(&trailer.try_into().expect("read by that length"))?;
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

fn read_geometry(file: &dyn ReadAt, index: &Index) -> Result<Geometry, ImageError> {
    let mut decoder = Decoder::new();
    let mut head = HeadParser::default();
    let mut offset = 0;
    let mut compressed = Vec::new();
    for (number, frame) in index.frames.iter().enumerate() {
        read_frame(file, (number, frame), offset, &mut compressed)?;
        offset += u64::from(frame.compressed_len);
        let mut content = vec![0; frame.content_len as usize];
        decoder.decode(number, &compressed, &mut content)?;
        if let Some(geometry) = head.push(&content)? {
            check_data(index, &geometry)?;
            return Ok(geometry);
        }
    }
    Err(FormatError::Truncated("the bitmap").into())
}

/// Gathers header and bitmap from the contents of the first frames.
#[derive(Debug, Default)]
pub(crate) struct HeadParser {
    header: Option<Header>,
    bitmap: Vec<u8>,
    frames: usize,
}

impl HeadParser {
    /// Takes the content of the next frame; the geometry once it is complete.
    ///
    /// # Errors
    /// `Format`.
    pub(crate) fn push(&mut self, content: &[u8]) -> Result<Option<Geometry>, FormatError> {
        self.frames += 1;
        let Some(header) = &self.header else {
            let bytes: &[u8; HEADER_LEN] = content
                .try_into()
                .map_err(|_| FormatError::Corrupt("length of the header frame".into()))?;
            self.header = Some(check_header(Header::parse(bytes)?)?);
            return Ok(None);
        };
        let bytes = header.total_blocks.div_ceil(8);
        if content.len() > MAX_BITMAP_PIECE {
            return Err(too_large(
                "piece of bitmap",
                content.len() as u64,
                MAX_BITMAP_PIECE as u64,
            ));
        }
        self.bitmap.extend(content);
        let have = self.bitmap.len() as u64;
        if have > bytes + 4 {
            return Err(FormatError::Corrupt(
                "the bitmap does not end on a frame".into(),
            ));
        }
        if have < bytes + 4 {
            return Ok(None);
        }
        let (bits, crc) = self.bitmap.split_at(self.bitmap.len() - 4);
        if jamcrc(bits).to_le_bytes() != crc {
            return Err(FormatError::Corrupt("the bitmap's checksum".into()));
        }
        let used =
            Bitmap::from_bytes(bits, header.total_blocks).expect("of the length just counted");
        if used.count() != header.used_blocks {
            return Err(FormatError::Corrupt(
                "the bitmap's count of used blocks".into(),
            ));
        }
        self.bitmap = Vec::new();
        Ok(Some(Geometry {
            header: header.clone(),
            used,
            head_frames: self.frames,
        }))
    }
}

/// What a native image asks of its partclone header beyond partclone itself.
fn check_header(header: Header) -> Result<Header, FormatError> {
    use azud_core::format::partclone::{BitmapMode, Checksum};
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
    let bitmap = header.total_blocks.div_ceil(8);
    if bitmap > MAX_BITMAP {
        return Err(too_large("bitmap", bitmap, MAX_BITMAP));
    }
    Ok(header)
}

fn too_large(what: &'static str, size: u64, limit: u64) -> FormatError {
    FormatError::TooLarge { what, size, limit }
}

fn check_data(index: &Index, geometry: &Geometry) -> Result<(), FormatError> {
    let size = geometry.header.block_size;
    let data = &index.frames[geometry.head_frames..];
    if data.iter().any(|frame| frame.content_len % size != 0) {
        return Err(FormatError::Corrupt(
            "a frame that is not whole blocks".into(),
        ));
    }
    let blocks: u64 = data
        .iter()
        .map(|frame| u64::from(frame.content_len / size))
        .sum();
    if blocks != geometry.header.used_blocks {
        return Err(FormatError::Corrupt(
            "the frames do not hold the bitmap's blocks".into(),
        ));
    }
    Ok(())
}

pub(crate) fn check_tails(tails: &[Tail], geometry: &Geometry) -> Result<(), FormatError> {
    let header = &geometry.header;
    let blocks_end = header.total_blocks * u64::from(header.block_size);
    let inside = |tail: &Tail| {
        tail.offset >= blocks_end && tail.offset + tail.bytes.len() as u64 <= header.device_size
    };
    if !tails.iter().all(inside) {
        return Err(FormatError::Corrupt(
            "a tail that is not between the last block and the device's end".into(),
        ));
    }
    Ok(())
}
