//! Small real volumes that inputs patch; `corpus.sh` made them.

use std::io::Read;
use std::sync::OnceLock;

use azud_image::foreign::compress;

/// Volumes are kept in chunks of this many bytes, those of zeros not at all.
pub const CHUNK: usize = 4096;

/// A volume.
#[derive(Debug)]
pub struct Base {
    /// Size in bytes.
    pub len: u64,
    /// Number and content of the chunks that are not all zeros, ascending.
    pub chunks: Vec<(u64, Vec<u8>)>,
    /// Positions in `chunks` of those that are not one byte all over: where patches are worth their while.
    pub hot: Vec<usize>,
}

impl Base {
    fn unpack(packed: &'static [u8]) -> Self {
        let mut reader = compress::open(Box::new(packed)).expect("a base").reader;
        let mut base = Self {
            len: 0,
            chunks: Vec::new(),
            hot: Vec::new(),
        };
        loop {
            let mut chunk = Vec::with_capacity(CHUNK);
            let got = (&mut reader).take(CHUNK as u64).read_to_end(&mut chunk);
            let got = got.expect("a whole base") as u64;
            if chunk.iter().any(|byte| *byte != 0) {
                chunk.resize(CHUNK, 0);
                if chunk.iter().any(|byte| *byte != chunk[0]) {
                    base.hot.push(base.chunks.len());
                }
                base.chunks.push((base.len / CHUNK as u64, chunk));
            }
            base.len += got;
            if got < CHUNK as u64 {
                return base;
            }
        }
    }

    /// A chunk, unless it is all zeros.
    pub fn chunk(&self, number: u64) -> Option<&[u8]> {
        let at = self
            .chunks
            .binary_search_by_key(&number, |chunk| chunk.0)
            .ok()?;
        Some(&self.chunks[at].1)
    }

    /// The offset in the volume of the byte `at` of the hot chunks, taken as a ring.
    pub fn hot_offset(&self, at: usize) -> u64 {
        let at = at % (self.hot.len() * CHUNK).max(1);
        let number = self
            .hot
            .get(at / CHUNK)
            .map_or(0, |chunk| self.chunks[*chunk].0);
        number * CHUNK as u64 + (at % CHUNK) as u64
    }
}

/// A base that is unpacked when it is first asked for.
pub struct Lazy {
    packed: &'static [u8],
    base: OnceLock<Base>,
}

impl Lazy {
    pub const fn new(packed: &'static [u8]) -> Self {
        Self {
            packed,
            base: OnceLock::new(),
        }
    }

    pub fn get(&self) -> &Base {
        self.base.get_or_init(|| Base::unpack(self.packed))
    }
}

macro_rules! bases {
    ($($name:literal),*) => {
        [$(Lazy::new(include_bytes!(concat!("../bases/", $name, ".zst")))),*]
    };
}

pub static EXT: [Lazy; 4] = bases!["ext4", "ext4-bigalloc", "ext4-uninit", "ext2"];
pub static NTFS: [Lazy; 3] = bases!["ntfs", "ntfs-files", "ntfs-4k"];
pub static FAT: [Lazy; 3] = bases!["fat12", "fat16", "fat32"];
pub static EXFAT: [Lazy; 1] = bases!["exfat"];
pub static XFS: [Lazy; 2] = bases!["xfs", "xfs-v4"];
pub static BTRFS: [Lazy; 2] = bases!["btrfs", "btrfs-dup"];
pub static SWAP: [Lazy; 1] = bases!["swap"];
