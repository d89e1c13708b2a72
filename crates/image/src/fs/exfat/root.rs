//! The exFAT root directory: where the allocation bitmap is, and the volume label.
//!
//! Invariant: no more than [`MAX_ROOT`] bytes are read.

use azud_core::io::ReadAt;

use super::boot::Boot;
use super::chain::Chain;
use super::corrupt;
use crate::fs::FsError;
use crate::fs::bytes::{le32, le64};

/// The largest directory that exFAT allows.
const MAX_ROOT: u64 = 256 << 20;

const BITMAP: u8 = 0x81;
const LABEL: u8 = 0x83;

/// What the root directory was read for.
#[derive(Default)]
pub(super) struct Root {
    /// First cluster and length in bytes of the allocation bitmap.
    pub(super) bitmap: Option<(u32, u64)>,
    pub(super) label: Option<String>,
}

impl Root {
    /// Reads until both are found or the directory ends.
    pub(super) fn read(device: &dyn ReadAt, boot: &Boot) -> Result<Self, FsError> {
        let mut root = Self::default();
        let mut labelled = false;
        let limit = MAX_ROOT.min(u64::from(boot.clusters) * boot.cluster);
        let mut chain = Chain::new((device, boot), "root directory", boot.root_cluster, limit)?;
        while let Some(piece) = chain.next()? {
            for entry in piece.chunks_exact(32) {
                match entry[0] {
                    0 => return Ok(root),
                    BITMAP => root.add_bitmap(entry)?,
                    LABEL => {
                        labelled = true;
                        root.label = label(entry);
                    }
                    _ => {}
                }
            }
            if labelled && root.bitmap.is_some() {
                break;
            }
        }
        Ok(root)
    }

    fn add_bitmap(&mut self, entry: &[u8]) -> Result<(), FsError> {
        if self.bitmap.is_some() || entry[1] & 1 != 0 {
            return Err(corrupt("it has more than one allocation bitmap"));
        }
        self.bitmap = le32(entry, 20).zip(le64(entry, 24));
        Ok(())
    }
}

/// Up to eleven UTF-16 units.
fn label(entry: &[u8]) -> Option<String> {
    let units = usize::from(entry[1].min(11));
    let name = entry[2..2 + 2 * units].chunks_exact(2);
    let name: Vec<u16> = name
        .map(|unit| u16::from_le_bytes([unit[0], unit[1]]))
        .collect();
    (units > 0).then(|| String::from_utf16_lossy(&name))
}
