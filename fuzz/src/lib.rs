//! What the fuzz targets do with their input: one function a parser, from any bytes.
//!
//! The targets of `fuzz_targets/` hand these functions what libFuzzer makes up; a test of `azud`
//! takes this same file as a module and replays what was found. Invariant: a function panics if and only
//! if a promise of the engine is broken, whatever the bytes.
#![allow(unreachable_pub, reason = "a library here, a module of a test there")]

mod assembly;
mod base;
mod device;
mod foreign;
mod format;
mod made;
mod names;
mod native;
mod seal;
mod signature;
mod texts;
mod volume;

pub use assembly::{journal, layout, ranges};
pub use foreign::{foreign_compress, foreign_ntfsclone, foreign_partclone, sniff};
pub use format::{frame_walk, index, partclone_header};
pub use names::names;
pub use native::{container, pipe};
pub use signature::signature;
pub use texts::{arguments, config, info, lock, mountinfo, repoinfo, sfdisk};
pub use volume::{fs_btrfs, fs_exfat, fs_ext, fs_fat, fs_ntfs, fs_swap, fs_xfs, try_bases};

/// A target's function.
pub type Target = fn(&[u8]);

/// All targets by name.
#[allow(dead_code, reason = "for the test that replays")]
pub const TARGETS: &[(&str, Target)] = &[
    ("index", index),
    ("container", container),
    ("pipe", pipe),
    ("partclone_header", partclone_header),
    ("foreign_partclone", foreign_partclone),
    ("foreign_compress", foreign_compress),
    ("foreign_ntfsclone", foreign_ntfsclone),
    ("sniff", sniff),
    ("frame_walk", frame_walk),
    ("fs_ext", fs_ext),
    ("fs_ntfs", fs_ntfs),
    ("fs_swap", fs_swap),
    ("fs_xfs", fs_xfs),
    ("fs_btrfs", fs_btrfs),
    ("fs_fat", fs_fat),
    ("fs_exfat", fs_exfat),
    ("signature", signature),
    ("ranges", ranges),
    ("layout", layout),
    ("journal", journal),
    ("names", names),
    ("lock", lock),
    ("sfdisk", sfdisk),
    ("mountinfo", mountinfo),
    ("info", info),
    ("repoinfo", repoinfo),
    ("config", config),
    ("arguments", arguments),
];

/// Takes integers and bytes off the front of an input.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn bytes(&mut self, len: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(head)
    }

    fn u8(&mut self) -> Option<u8> {
        self.bytes(1).map(|bytes| bytes[0])
    }

    /// 24 bits, little-endian.
    fn u24(&mut self) -> Option<usize> {
        let bytes = self.bytes(3)?;
        Some(usize::from(bytes[0]) | usize::from(bytes[1]) << 8 | usize::from(bytes[2]) << 16)
    }

    fn u32(&mut self) -> Option<u32> {
        let bytes = self.bytes(4)?;
        Some(u32::from_le_bytes(bytes.try_into().expect("four bytes")))
    }
}
