//! Targets of the file systems: a real volume with patches, or any bytes as a device.

use std::ops::Range;

use azud_core::io::ReadAt;
use azud_image::capture::read_tails;
use azud_image::fs::{
    FsError, MapOptions, Volume, btrfs, exfat, ext, fat, ntfs, ntfs_backup_boot, read_head, swap,
    xfs,
};

use super::Input;
use super::base::{self, Lazy};
use super::device::Device;
use super::seal;

/// What a target tries.
struct FileSystem {
    probe: fn(&[u8]) -> bool,
    map: fn(&dyn ReadAt, &MapOptions) -> Result<Volume, FsError>,
    guards: fn(&[u8], u64) -> Vec<Range<u64>>,
    /// Makes checksums right again after the patches.
    seal: fn(&mut Device<'_>),
    bases: &'static [Lazy],
}

macro_rules! target {
    ($name:ident, $file_system:ident, $module:ident, $seal:expr) => {
        const $file_system: FileSystem = FileSystem {
            probe: $module::probe,
            map: $module::map,
            guards: $module::guards,
            seal: $seal,
            bases: &base::$file_system,
        };

        /// The file system's probe, guards and map. Input: which base (0xFF: the rest is the device), choices
        /// (1: seal, 2: keep page files, 4 and 8: another size), patches.
        pub fn $name(data: &[u8]) {
            $file_system.run(data);
        }
    };
}

target!(fs_ext, EXT, ext, seal::ext);
target!(fs_ntfs, NTFS, ntfs, |_| ());
target!(fs_swap, SWAP, swap, |_| ());
target!(fs_xfs, XFS, xfs, seal::xfs);
target!(fs_btrfs, BTRFS, btrfs, seal::btrfs);
target!(fs_fat, FAT, fat, |_| ());
target!(fs_exfat, EXFAT, exfat, seal::exfat);

/// All bases are volumes that a map can be read of, also when their checksums were computed here: else
/// patches would try nothing.
#[allow(dead_code, reason = "for the test that replays")]
pub fn try_bases() {
    for file_system in [EXT, NTFS, SWAP, XFS, BTRFS, FAT, EXFAT] {
        for base in file_system.bases {
            let mut device = Device::new(base.get(), 0);
            for hot in 0..base.get().hot.len() {
                let at = base.get().hot_offset(hot * base::CHUNK);
                let same = device.read(at, base::CHUNK);
                device.write(at, &same);
            }
            (file_system.seal)(&mut device);
            let volume = (file_system.map)(&device, &MapOptions::default());
            volume.expect("the map of a good volume");
        }
    }
}

impl FileSystem {
    fn run(&self, data: &[u8]) {
        let mut input = Input(data);
        let (Some(which), Some(choices)) = (input.u8(), input.u8()) else {
            return;
        };
        let options = MapOptions {
            keep_pagefile: choices & 2 != 0,
        };
        if which == 0xFF {
            self.check(&input.0, options);
            return;
        }
        let base = self.bases[usize::from(which) % self.bases.len()].get();
        let mut device = Device::new(base, choices >> 2);
        device.patch(&mut input);
        if choices & 1 != 0 {
            (self.seal)(&mut device);
        }
        self.check(&device, options);
    }

    fn check(&self, device: &dyn ReadAt, options: MapOptions) {
        let size = device.len();
        let head = read_head(device).expect("a device in memory");
        let _ = (self.probe)(&head);
        for guard in (self.guards)(&head, size) {
            assert!(
                guard.start <= guard.end && guard.end <= size,
                "a guard outside of {size}: {guard:?}"
            );
        }
        match (self.map)(device, &options) {
            Ok(volume) => check_volume(device, &volume, &head),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
}

fn check_volume(device: &dyn ReadAt, volume: &Volume, head: &[u8]) {
    let size = volume.block_size;
    assert!(size >= 512 && size.is_power_of_two(), "blocks of {size}");
    assert!(volume.device_size <= device.len(), "larger than its device");
    let end = volume.used.len().checked_mul(u64::from(size));
    let end = end.expect("sizes that fit 64 bits");
    assert!(end <= volume.device_size, "blocks beyond the end");
    assert!(volume.used.count() <= volume.used.len());
    let mut last = end;
    for tail in &volume.tails {
        assert!(
            tail.start >= last && tail.start < tail.end && tail.end <= volume.device_size,
            "the tail {tail:?} after {last}"
        );
        last = tail.end;
    }
    read_tails(device, volume).expect("tails can be read");
    if let Some((at, bytes)) = ntfs_backup_boot(head, volume) {
        assert!(at.checked_add(bytes.len() as u64).is_some());
    }
}
