//! The boot sector: the sizes on which everything else depends.
//!
//! Invariant: a [`Boot`] describes a volume that fits its device, with sizes that are powers of two
//! within NTFS' own limits.

use std::ops::Range;

use azud_core::io::ReadAt;

use super::{corrupt, unsupported};
use crate::fs::bytes::{le16, le64};
use crate::fs::{FsError, bytes};

const OEM_ID: &[u8] = b"NTFS    ";
/// The largest cluster that Windows makes.
const MAX_CLUSTER: u64 = 2 << 20;
/// Larger records than Windows has ever made, yet small enough to allocate without thought.
const MAX_RECORD: u64 = 64 << 10;
/// Windows numbers clusters with 32 bits; so the bitmap takes 512 MiB at most.
const MAX_CLUSTERS: u64 = 1 << 32;

/// What the boot sector says, checked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Boot {
    /// Bytes per sector.
    pub(super) sector: u32,
    /// Bytes per cluster.
    pub(super) cluster: u32,
    /// Number of clusters; `clusters * cluster <= device size`.
    pub(super) clusters: u64,
    /// Number of sectors; the backup boot sector has this index.
    pub(super) sectors: u64,
    /// First cluster of `$MFT`.
    pub(super) mft: u64,
    /// First cluster of `$MFTMirr`.
    pub(super) mirror: u64,
    /// Bytes per MFT record.
    pub(super) record: u32,
    /// The volume's serial number.
    pub(super) serial: u64,
}

/// Whether a boot sector calls itself NTFS.
pub(super) fn is_ntfs(head: &[u8]) -> bool {
    head.len() >= 512 && &head[3..11] == OEM_ID
}

/// Bytes per sector and number of sectors, if they make sense.
fn sectors(head: &[u8]) -> Option<(u32, u64)> {
    let size = u32::from(le16(head, 11)?);
    let count = le64(head, 40)?;
    (matches!(size, 512 | 1024 | 2048 | 4096) && count > 0).then_some((size, count))
}

/// Where the backup boot sector is by the boot sector's count, and how long a sector is.
pub(super) fn backup(head: &[u8]) -> Option<Range<u64>> {
    let (size, count) = sectors(head)?;
    let start = count.checked_mul(u64::from(size))?;
    Some(start..start.checked_add(u64::from(size))?)
}

/// Sectors per cluster: a power of two up to 128, or above 128 the two's complement of its exponent.
fn sectors_per_cluster(byte: u8) -> Option<u64> {
    if byte > 0x80 {
        return 1_u64.checked_shl(256 - u32::from(byte));
    }
    byte.is_power_of_two().then_some(u64::from(byte))
}

/// Record size: clusters when positive, the exponent of bytes when negative.
fn record_size(byte: u8, cluster: u64) -> Option<u64> {
    let size = if byte < 0x80 {
        u64::from(byte).checked_mul(cluster)?
    } else {
        1_u64.checked_shl(256 - u32::from(byte))?
    };
    (size.is_power_of_two() && (512..=MAX_RECORD).contains(&size)).then_some(size)
}

impl Boot {
    /// Reads and checks the first sector of a device of `device_size` bytes.
    pub(super) fn parse(head: &[u8], device_size: u64) -> Result<Self, FsError> {
        if !is_ntfs(head) {
            return Err(corrupt("the boot sector does not call itself NTFS"));
        }
        let field = |what: &str| corrupt(format!("the boot sector's {what} makes no sense"));
        let (sector, sectors) =
            sectors(head).ok_or_else(|| field("sector size or number of sectors"))?;
        let size = u64::from(sector);
        let per_cluster =
            sectors_per_cluster(head[13]).ok_or_else(|| field("number of sectors per cluster"))?;
        let cluster = per_cluster
            .checked_mul(size)
            .filter(|cluster| *cluster <= MAX_CLUSTER)
            .ok_or_else(|| field("cluster size"))?;
        let end = sectors
            .checked_mul(size)
            .ok_or_else(|| field("number of sectors"))?;
        if end > device_size {
            return Err(corrupt(format!(
                "the volume has {end} bytes, its device only {device_size} bytes"
            )));
        }
        let clusters = sectors / per_cluster;
        if clusters > MAX_CLUSTERS {
            return Err(unsupported(format!("{clusters} clusters")));
        }
        let record = record_size(head[64], cluster).ok_or_else(|| field("size of MFT records"))?;
        let lcn = |at: usize, what: &str| {
            le64(head, at)
                .filter(|lcn| *lcn < clusters)
                .ok_or_else(|| field(what))
        };
        Ok(Self {
            sector,
            cluster: u32::try_from(cluster).expect("at most MAX_CLUSTER"),
            clusters,
            sectors,
            mft: lcn(48, "position of $MFT")?,
            mirror: lcn(56, "position of $MFTMirr")?,
            record: u32::try_from(record).expect("at most MAX_RECORD"),
            serial: le64(head, 72).unwrap_or_default(),
        })
    }

    /// Reads `count` MFT records' worth of bytes at a cluster, as they are on the disk.
    pub(super) fn read_records(
        &self,
        io: &dyn ReadAt,
        lcn: u64,
        count: usize,
    ) -> Result<Vec<u8>, FsError> {
        let len = count * self.record as usize;
        let offset = lcn * u64::from(self.cluster);
        if offset + len as u64 > io.len() {
            return Err(corrupt(
                "the MFT or its mirror begins too close to the end of the volume",
            ));
        }
        bytes::read_vec(io, offset, len)
    }

    /// What lies beyond the last whole cluster and belongs to the volume: the backup boot sector.
    pub(super) fn tails(&self, device_size: u64) -> Vec<Range<u64>> {
        let blocks = self.clusters * u64::from(self.cluster);
        if blocks >= device_size {
            return Vec::new();
        }
        if device_size - blocks < u64::from(self.cluster) + (64 << 10) {
            return std::iter::once(blocks..device_size).collect();
        }
        let start = self.sectors * u64::from(self.sector);
        let end = start + u64::from(self.sector);
        if end > device_size {
            Vec::new()
        } else {
            std::iter::once(start..end).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{record_size, sectors_per_cluster};

    #[test]
    fn sizes_follow_both_encodings() {
        assert_eq!(sectors_per_cluster(1), Some(1));
        assert_eq!(sectors_per_cluster(0x80), Some(128));
        assert_eq!(sectors_per_cluster(0xF4), Some(4096));
        assert_eq!(sectors_per_cluster(0), None);
        assert_eq!(sectors_per_cluster(3), None);
        assert_eq!(sectors_per_cluster(0x81), None);
        assert_eq!(record_size(0xF6, 4096), Some(1024));
        assert_eq!(record_size(2, 512), Some(1024));
        assert_eq!(record_size(0x7F, 2 << 20), None);
        assert_eq!(record_size(0, 4096), None);
    }
}
