//! What must be wiped before and written after everything else.

use azud_core::format::index::{MAX_TAILS, Tail};
use azud_core::io::{ReadAt, WriteAt};

use super::ranges::Ranges;
use crate::codec::Decoder;
use crate::error::ImageError;
use crate::fs::{self, HEAD_LEN};
use crate::native::{Geometry, Native};

/// The places of a restore that are not ordinary data.
#[derive(Debug, Clone)]
pub struct Order {
    /// Zeroed first, written last: the image's own superblocks and whatever the target now has that a
    /// kernel or tool would accept.
    pub(super) withheld: Ranges,
    /// Of these the image's own superblocks: written when all else is on the medium.
    pub(super) guards: Ranges,
}

impl Order {
    /// For an image whose device begins with `head`, onto `target` as it is now.
    ///
    /// # Errors
    /// `Target` when it cannot be read.
    pub(super) fn new(
        geometry: &Geometry,
        tails: &[Tail],
        head: &[u8],
        target: &dyn WriteAt,
    ) -> Result<Self, ImageError> {
        let size = target.len();
        let own = fs::guards(head, geometry.header.device_size.min(size));
        let mut all = own.clone();
        all.extend(accepted_now(target)?);
        all.extend(
            tails
                .iter()
                .map(|tail| tail.offset..tail.offset + tail.bytes.len() as u64),
        );
        let unit = u64::from(unit(geometry, tails));
        Self {
            withheld: Ranges::new(all, unit, size),
            guards: Ranges::new(own, unit, size),
        }
        .bounded()
    }
}

impl Order {
    /// For a stream, whose tails are not known yet: all that could be one is withheld.
    pub(super) fn for_pipe(
        geometry: &Geometry,
        head: &[u8],
        target: &dyn WriteAt,
    ) -> Result<Self, ImageError> {
        let size = target.len();
        let header = &geometry.header;
        let device_end = header.device_size.min(size);
        let blocks_end = header.total_blocks * u64::from(header.block_size);
        let tails_from = blocks_end.max(device_end.saturating_sub(MAX_TAILS as u64));
        let own = fs::guards(head, device_end);
        let mut all = own.clone();
        all.extend(accepted_now(target)?);
        if tails_from < device_end {
            all.push(tails_from..device_end);
        }
        let unit = u64::from(super::PIPE_WRITE_UNIT);
        Self {
            withheld: Ranges::new(all, unit, size),
            guards: Ranges::new(own, unit, size),
        }
        .bounded()
    }
}

/// The most that may have to wait in memory, in bytes: far more than any file system with sparse backups has.
const MAX_WITHHELD: u64 = 128 << 20;

impl Order {
    /// Refuses what could fill the memory: an image whose superblock tells of endless backups.
    fn bounded(self) -> Result<Self, ImageError> {
        let bytes: u64 = self
            .withheld
            .iter()
            .map(|range| range.end - range.start)
            .sum();
        if bytes > MAX_WITHHELD {
            let what = format!("{bytes} bytes of superblocks and their backups");
            return Err(ImageError::Limit(what));
        }
        Ok(self)
    }
}

/// How far into the target foreign signatures are looked for: LUKS keeps second headers up to 4 MiB.
const SIGNATURE_HEAD: u64 = (4 << 20) + 512;

/// How far from its end.
const SIGNATURE_TAIL: u64 = 1 << 20;

/// Places where the target now holds something that would be accepted: superblocks of the file system it
/// has, with their backups, and foreign signatures.
fn accepted_now(target: &dyn WriteAt) -> Result<Vec<std::ops::Range<u64>>, ImageError> {
    let size = target.len();
    let read = |from: u64, len: u64| {
        let mut bytes = vec![0; usize::try_from(len).expect("a few MiB")];
        target
            .read_exact_at(&mut bytes, from)
            .map_err(ImageError::target("read", from))
            .map(|()| bytes)
    };
    let head = read(0, size.min(SIGNATURE_HEAD))?;
    let tail_len = size.min(SIGNATURE_TAIL);
    let tail = read(size - tail_len, tail_len)?;
    let mut places = fs::guards(&head[..head.len().min(HEAD_LEN)], size);
    places.extend(
        fs::signature::foreign(&head, &tail, size)
            .into_iter()
            .map(|found| found.range),
    );
    Ok(places)
}

/// The multiple, at most 4096, of every offset and length.
pub(super) fn unit(geometry: &Geometry, tails: &[Tail]) -> u32 {
    let mut unit = geometry.header.block_size.min(4096);
    for tail in tails {
        let bits = tail.offset | tail.bytes.len() as u64;
        unit = unit.min(1 << bits.trailing_zeros().min(12));
    }
    unit
}

/// The first bytes of the device as the image has them; what the image does not use is zero.
pub(super) fn image_head(
    native: &Native,
    file: &dyn ReadAt,
    starts: &[u64],
) -> Result<Vec<u8>, ImageError> {
    let geometry = native.geometry();
    let mut head = Head::new(geometry);
    let mut decoder = Decoder::new();
    let (mut compressed, mut content) = (Vec::new(), Vec::new());
    for (n, start) in starts.iter().enumerate() {
        if head.is_whole_before(geometry, *start) {
            break;
        }
        let number = geometry.head_frames + n;
        native.read_frame(file, number, &mut compressed)?;
        content.resize(native.frames()[number].content_len as usize, 0);
        decoder.decode(number, &compressed, &mut content)?;
        head.add(geometry, *start, &content);
    }
    Ok(head.bytes)
}

/// Gathers the head from the first frames.
pub(super) struct Head {
    pub(super) bytes: Vec<u8>,
}

impl Head {
    pub(super) fn new(geometry: &Geometry) -> Self {
        let len = geometry.header.device_size.min(HEAD_LEN as u64);
        Self {
            bytes: vec![0; usize::try_from(len).expect("at most HEAD_LEN")],
        }
    }

    /// Whether frames from this block on have nothing to add.
    pub(super) fn is_whole_before(&self, geometry: &Geometry, start: u64) -> bool {
        start * u64::from(geometry.header.block_size) >= self.bytes.len() as u64
    }

    pub(super) fn add(&mut self, geometry: &Geometry, start: u64, content: &[u8]) {
        let mut at = 0;
        for (offset, len) in geometry.ranges(start, content.len()) {
            let Some(room) = (self.bytes.len() as u64).checked_sub(offset) else {
                return;
            };
            let take = usize::try_from(room.min(len as u64)).expect("at most HEAD_LEN");
            let offset = usize::try_from(offset).expect("within the head");
            self.bytes[offset..offset + take].copy_from_slice(&content[at..at + take]);
            at += len;
        }
    }
}

/// Whether the target already holds the tails.
pub(super) fn tails_in_place(target: &dyn WriteAt, tails: &[Tail]) -> Result<bool, ImageError> {
    for tail in tails {
        let mut now = vec![0; tail.bytes.len()];
        target
            .read_exact_at(&mut now, tail.offset)
            .map_err(ImageError::target("read", tail.offset))?;
        if now != tail.bytes {
            return Ok(false);
        }
    }
    Ok(true)
}
