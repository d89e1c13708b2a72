//! The checksums of the data area.

use std::hash::Hasher;

use azud_core::format::partclone::{Checksum, jamcrc, jamcrc_extend};
use twox_hash::{XxHash3_128, XxHash64, xxhash3_128};

const XXH64_SEED: u64 = 0;

/// A running checksum of one of the image's kinds.
pub(super) struct Sum {
    state: State,
    reseed: bool,
}

enum State {
    None,
    Crc(u32),
    Xxh64(XxHash64),
    Xxh3(Box<xxhash3_128::Hasher>),
    V1(V1),
}

impl Sum {
    pub(super) fn new(kind: Checksum, reseed: bool) -> Self {
        let state = match kind {
            Checksum::None => State::None,
            Checksum::Crc32 => State::Crc(jamcrc(&[])),
            Checksum::Xxh64 => State::Xxh64(XxHash64::with_seed(XXH64_SEED)),
            Checksum::Xxh3 => State::Xxh3(Box::new(XxHash3_128::new())),
            Checksum::V1 => State::V1(V1::new()),
        };
        Self { state, reseed }
    }

    /// The first format's.
    pub(super) fn v1(state: V1) -> Self {
        Self {
            state: State::V1(state),
            reseed: false,
        }
    }

    /// How many bytes one takes in the file.
    pub(super) fn size(&self) -> usize {
        match &self.state {
            State::None => 0,
            State::Crc(_) => 4,
            State::Xxh64(_) => 8,
            State::Xxh3(_) => 16,
            State::V1(v1) => v1.size,
        }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        match &mut self.state {
            State::None => {}
            State::Crc(crc) => *crc = jamcrc_extend(*crc, bytes),
            State::Xxh64(hasher) => hasher.write(bytes),
            State::Xxh3(hasher) => hasher.write(bytes),
            State::V1(v1) => v1.update(bytes),
        }
    }

    /// Compares with what is stored at the end of a strip, and begins the next.
    pub(super) fn verify(&mut self, stored: &[u8]) -> bool {
        let agrees = match &mut self.state {
            State::None => true,
            State::Crc(crc) => stored == crc.to_le_bytes(),
            State::Xxh64(hasher) => stored == hasher.finish().to_le_bytes(),
            State::Xxh3(hasher) => stored == hasher.finish_128().to_le_bytes(),
            State::V1(v1) => v1.verify(stored),
        };
        if self.reseed {
            match &mut self.state {
                State::None | State::V1(_) => {}
                State::Crc(crc) => *crc = jamcrc(&[]),
                State::Xxh64(hasher) => *hasher = XxHash64::with_seed(XXH64_SEED),
                State::Xxh3(hasher) => **hasher = XxHash3_128::new(),
            }
        }
        agrees
    }
}

/// The first format's CRC, which never begins anew. The program that defined it took the block's
/// first byte again and again instead of walking along the block; a correct one is accepted as
/// well. Whichever does not agree is dropped, and an image is damaged when none is left.
#[derive(Clone)]
pub(super) struct V1 {
    first_byte: Option<u32>,
    whole: Option<u32>,
    /// The first byte of the block under way and how much of it has passed.
    block: Option<(u8, usize)>,
    size: usize,
}

impl V1 {
    pub(super) fn new() -> Self {
        Self {
            first_byte: Some(jamcrc(&[])),
            whole: Some(jamcrc(&[])),
            block: None,
            size: 4,
        }
    }

    /// With checksums that take this many bytes, of which four count.
    pub(super) fn with_size(mut self, size: usize) -> Self {
        self.size = size;
        self
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        if let Some(crc) = &mut self.whole {
            *crc = jamcrc_extend(*crc, bytes);
        }
        let Some(first) = bytes.first() else { return };
        let (_, passed) = self.block.get_or_insert((*first, 0));
        *passed += bytes.len();
    }

    pub(super) fn verify(&mut self, stored: &[u8]) -> bool {
        if let Some((byte, len)) = self.block.take()
            && let Some(crc) = &mut self.first_byte
        {
            *crc = repeat(*crc, byte, len);
        }
        let agrees = |crc: &u32| stored.starts_with(&crc.to_le_bytes());
        self.first_byte = self.first_byte.filter(agrees);
        self.whole = self.whole.filter(agrees);
        self.first_byte.is_some() || self.whole.is_some()
    }
}

fn repeat(mut crc: u32, byte: u8, len: usize) -> u32 {
    let piece = [byte; 4096];
    let mut left = len;
    while left > 0 {
        let take = left.min(piece.len());
        crc = jamcrc_extend(crc, &piece[..take]);
        left -= take;
    }
    crc
}
