//! Cluster chains through the exFAT table, read piece by piece.
//!
//! Invariants: every cluster number is checked before it is used; a chain that turns in circles is an error,
//! found by comparing with a marker that is moved on after 1, 2, 4, 8 … steps (Brent).

use azud_core::io::ReadAt;

use super::boot::Boot;
use super::corrupt;
use crate::fs::FsError;
use crate::fs::bytes::{le32, read_vec};

/// Bytes handed out at a time.
const PIECE: u64 = 1 << 20;

const END: u32 = 0xFFFF_FFFF;

/// A chain being read.
pub(super) struct Chain<'a> {
    device: &'a dyn ReadAt,
    boot: &'a Boot,
    what: &'static str,
    cluster: u32,
    /// Bytes of the current cluster that were handed out.
    done: u64,
    /// Bytes that may still be handed out.
    left: u64,
    marker: u32,
    /// Steps since the marker was set, and until it moves.
    steps: (u64, u64),
}

impl<'a> Chain<'a> {
    /// From the first cluster on, at most `limit` bytes.
    pub(super) fn new(
        (device, boot): (&'a dyn ReadAt, &'a Boot),
        what: &'static str,
        first: u32,
        limit: u64,
    ) -> Result<Self, FsError> {
        if !boot.holds(first) {
            return Err(corrupt(format!(
                "its {what} begins at cluster {first}, which does not exist"
            )));
        }
        Ok(Self {
            device,
            boot,
            what,
            cluster: first,
            done: 0,
            left: limit,
            marker: first,
            steps: (0, 1),
        })
    }

    /// The next bytes; `None` behind the end of the chain or at the limit.
    pub(super) fn next(&mut self) -> Result<Option<Vec<u8>>, FsError> {
        if self.left == 0 || (self.done == self.boot.cluster && !self.step()?) {
            return Ok(None);
        }
        let len = PIECE.min(self.boot.cluster - self.done).min(self.left);
        let offset = self.boot.at(self.cluster) + self.done;
        let piece = read_vec(
            self.device,
            offset,
            usize::try_from(len).expect("at most PIECE"),
        )?;
        self.done += len;
        self.left -= len;
        Ok(Some(piece))
    }

    fn step(&mut self) -> Result<bool, FsError> {
        let bytes = read_vec(self.device, self.boot.fat + u64::from(self.cluster) * 4, 4)?;
        match le32(&bytes, 0).unwrap_or(0) {
            END => return Ok(false),
            next if self.boot.holds(next) => self.cluster = next,
            next => {
                let from = self.cluster;
                let what = format!(
                    "its {} is broken: cluster {from} leads to {next:#x}",
                    self.what
                );
                return Err(corrupt(what));
            }
        }
        self.done = 0;
        if self.cluster == self.marker {
            return Err(corrupt(format!(
                "its {} turns in a circle at cluster {}",
                self.what, self.marker
            )));
        }
        self.steps.0 += 1;
        if self.steps.0 == self.steps.1 {
            self.marker = self.cluster;
            self.steps = (0, self.steps.1 * 2);
        }
        Ok(true)
    }
}
