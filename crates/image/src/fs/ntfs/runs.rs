//! Runs: where the clusters of a stream are on the disk.
//!
//! Invariant: the runs of a [`Stream`] are consecutive from cluster 0 of the stream, none is empty,
//! and every run on the disk lies within the volume.

use azud_core::io::ReadAt;

use super::corrupt;
use crate::fs::{FsError, bytes};

/// Consecutive clusters of a stream that are consecutive on the disk as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    /// First cluster within the stream.
    pub(super) vcn: u64,
    /// First cluster on the disk; `None` for a hole.
    pub(super) lcn: Option<u64>,
    /// Number of clusters, never 0.
    pub(super) count: u64,
}

/// A little-endian integer of up to 8 bytes.
fn unsigned(field: &[u8]) -> u64 {
    field
        .iter()
        .rev()
        .fold(0, |value, byte| value << 8 | u64::from(*byte))
}

/// The same, with the sign of its highest bit.
fn signed(field: &[u8]) -> i64 {
    let unused = 64 - 8 * field.len();
    (unsigned(field) << unused).cast_signed() >> unused
}

/// Decodes the mapping pairs of one attribute, whose first cluster is `vcn`.
///
/// On the disk each run begins relative to the one before; a run without a beginning is a hole.
pub(super) fn decode(pairs: &[u8], mut vcn: u64, clusters: u64) -> Result<Vec<Run>, &'static str> {
    let mut runs = Vec::new();
    let mut lcn = 0_i64;
    let mut rest = pairs;
    while let Some((head, after)) = rest.split_first().filter(|(head, _)| **head != 0) {
        let (len, delta) = (usize::from(head & 0x0F), usize::from(head >> 4));
        if !(1..=8).contains(&len) || delta > 8 {
            return Err("a run is described by more than 8 bytes or by none");
        }
        let (fields, after) = after
            .split_at_checked(len + delta)
            .ok_or("its runs are cut off")?;
        let count = unsigned(&fields[..len]);
        let start = if delta == 0 {
            None
        } else {
            lcn = lcn
                .checked_add(signed(&fields[len..]))
                .ok_or("a run lies outside the volume")?;
            let start = u64::try_from(lcn).map_err(|_| "a run lies before the volume")?;
            let end = start
                .checked_add(count)
                .ok_or("a run lies outside the volume")?;
            if end > clusters {
                return Err("a run lies outside the volume");
            }
            Some(start)
        };
        if count == 0 {
            return Err("a run is empty");
        }
        runs.push(Run {
            vcn,
            lcn: start,
            count,
        });
        vcn = vcn
            .checked_add(count)
            .filter(|vcn| *vcn <= i64::MAX.cast_unsigned())
            .ok_or("its runs are too long")?;
        rest = after;
    }
    Ok(runs)
}

/// An attribute's value that lies outside its record.
#[derive(Debug, Clone)]
pub(super) struct Stream {
    /// The runs, ascending by `vcn` from 0 without gaps.
    pub(super) runs: Vec<Run>,
    /// Length in bytes.
    pub(super) size: u64,
    /// Bytes that were ever written; the rest up to `size` reads as zeros.
    pub(super) initialized: u64,
    /// Attribute flags: compressed, encrypted, sparse.
    pub(super) flags: u16,
}

impl Stream {
    /// The first cluster that no run maps.
    pub(super) fn end(&self) -> u64 {
        self.runs.last().map_or(0, |run| run.vcn + run.count)
    }

    /// Whether all is stored plainly and nowhere a hole.
    pub(super) fn is_plain(&self) -> bool {
        self.flags == 0 && self.runs.iter().all(|run| run.lcn.is_some())
    }

    /// Whether any of it is stored in compressed units.
    pub(super) fn is_compressed(&self) -> bool {
        self.flags & 0x00FF != 0
    }

    /// Whether its bytes are not those of the file.
    pub(super) fn is_encoded(&self) -> bool {
        self.is_compressed() || self.flags & 0x4000 != 0
    }

    /// Clusters on the disk.
    pub(super) fn allocated(&self) -> u64 {
        self.runs
            .iter()
            .filter(|run| run.lcn.is_some())
            .fold(0, |sum, run| sum.saturating_add(run.count))
    }

    /// Fills `buf` from `offset`; holes and what was never written are zeros.
    pub(super) fn read(
        &self,
        device: &dyn ReadAt,
        cluster: u32,
        offset: u64,
        buf: &mut [u8],
    ) -> Result<(), FsError> {
        let cluster = u64::from(cluster);
        let end = offset
            .checked_add(buf.len() as u64)
            .filter(|end| *end <= self.size);
        let end = end.ok_or_else(|| corrupt("something lies beyond the end of its file"))?;
        buf.fill(0);
        let stop = end.min(self.initialized);
        let mut at = offset;
        let mut index = self
            .runs
            .partition_point(|run| run.vcn + run.count <= at / cluster);
        while at < stop {
            let run = self
                .runs
                .get(index)
                .ok_or_else(|| corrupt("a file is longer than its runs"))?;
            let within = at - run.vcn.saturating_mul(cluster);
            let take = run
                .count
                .saturating_mul(cluster)
                .saturating_sub(within)
                .min(stop - at);
            let from = usize::try_from(at - offset).expect("within buf");
            let to = from + usize::try_from(take).expect("within buf");
            if let Some(lcn) = run.lcn {
                bytes::read_into(device, lcn * cluster + within, &mut buf[from..to])?;
            }
            at += take;
            index += 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Run, Stream, decode};

    #[test]
    fn pairs_are_relative_and_signed() {
        let pairs = [
            0x21, 0x05, 0x00, 0x01, 0x11, 0x02, 0xF0, 0x01, 0x03, 0x11, 0x01, 0x7F, 0x00, 0xFF,
        ];
        let runs = decode(&pairs, 7, 1000).expect("valid");
        let run = |vcn, lcn, count| Run { vcn, lcn, count };
        assert_eq!(
            runs,
            [
                run(7, Some(256), 5),
                run(12, Some(240), 2),
                run(14, None, 3),
                run(17, Some(367), 1)
            ]
        );
    }

    #[test]
    fn nonsense_is_refused() {
        for pairs in [
            &[0x11_u8, 0x05, 0x80][..],
            &[0x11, 0x05],
            &[0x11, 0x00, 0x01],
            &[0x10, 0x01],
            &[0x19, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1],
            &[0x11, 0x7F, 0x70],
            &[0x08, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF],
        ] {
            assert!(decode(pairs, 0, 200).is_err(), "{pairs:x?}");
        }
    }

    #[test]
    fn reading_crosses_runs_and_holes() {
        let disk: Vec<u8> = (0..8_u8).flat_map(|cluster| [cluster + 1; 4]).collect();
        let runs = decode(&[0x11, 1, 5, 0x01, 1, 0x11, 2, 0xFE], 0, 8).expect("valid");
        let stream = Stream {
            runs,
            size: 16,
            initialized: 14,
            flags: 0,
        };
        let mut buf = [9; 14];
        stream.read(&disk, 4, 2, &mut buf).expect("inside");
        assert_eq!(buf, [6, 6, 0, 0, 0, 0, 4, 4, 4, 4, 5, 5, 0, 0]);
        assert!(stream.read(&disk, 4, 3, &mut buf).is_err());
    }
}
