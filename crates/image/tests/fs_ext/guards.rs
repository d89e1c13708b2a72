//! The guards: without them nothing recognises the volume; nothing else holds a superblock.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

use azud_image::fs::{HEAD_LEN, ext};
use azud_testkit::tools::{have, run_any};

use crate::kit::{self, text};

/// Options and how many superblocks a volume of 64 MiB then has.
const VOLUMES: &[(&str, usize)] = &[
    ("-t ext2 -b 1024", 5),
    ("-t ext4 -b 1024 -O ^sparse_super,^resize_inode", 8),
    ("-t ext4 -b 1024 -g 1024", 9),
    ("-t ext4 -b 1024 -O sparse_super2", 3),
    (
        "-t ext4 -b 1024 -O sparse_super2,^resize_inode -E num_backup_sb=0",
        1,
    ),
    ("-t ext4 -b 2048", 2),
    ("-t ext4 -b 4096 -g 512 -O ^metadata_csum", 8),
    ("-t ext4 -b 4096", 1),
    ("-t ext4 -b 1024 -O bigalloc -C 2048", 3),
    (
        "-t ext4 -b 1024 -g 512 -O meta_bg,^resize_inode,^sparse_super",
        128,
    ),
    ("-t ext4 -b 65536", 1),
];

#[test]
fn without_its_guards_nothing_recognises_the_volume() {
    if !have(kit::TOOLS) || !have(&["blkid"]) {
        return;
    }
    for (options, expected) in VOLUMES {
        let (_dir, image) = kit::small(options, "64M").unwrap();
        let file = File::options().read(true).write(true).open(&image).unwrap();
        // A boot sector, as GRUB leaves it: it must not surface as a partition table either.
        file.write_all_at(&[0x55, 0xAA], 510).unwrap();
        let guards = guards_of(&image);
        let block = u64::from(kit::map(&image).unwrap().block_size);
        assert_eq!(guards.len(), *expected, "{options}: {guards:?}");
        assert_eq!(guards[0], 0..block.max(2048), "{options}");
        assert!(
            guards
                .iter()
                .all(|range| range.start % block == 0 && range.end % block == 0),
            "{options}"
        );
        assert!(guards.is_sorted_by_key(|range| range.start), "{options}");
        let used = kit::map(&image).unwrap().used;
        assert!(
            guards
                .iter()
                .all(|range| (range.start / block..range.end / block).all(|b| used.get(b))),
            "{options}"
        );

        let uuid = std::fs::read(&image).unwrap()[1024 + 0x68..1024 + 0x78].to_vec();
        assert_eq!(superblocks(&image, &uuid).len(), *expected, "{options}");
        for guard in &guards {
            let zeros = vec![0; usize::try_from(guard.end - guard.start).unwrap()];
            file.write_all_at(&zeros, guard.start).unwrap();
        }
        assert_eq!(superblocks(&image, &uuid), [0; 0], "{options}");
        assert_unrecognised(&image, options);
    }
}

fn assert_unrecognised(image: &Path, options: &str) {
    let image = text(image);
    for args in [
        &["-fn", image][..],
        &["-fn", "-b", "8193", image],
        &["-fn", "-b", "32768", image],
    ] {
        let output = run_any("e2fsck", args).unwrap();
        assert_eq!(
            output.status.code(),
            Some(8),
            "{options}: e2fsck {args:?}: {output:?}"
        );
    }
    assert!(
        !run_any("dumpe2fs", &["-h", image])
            .unwrap()
            .status
            .success(),
        "{options}: dumpe2fs"
    );
    let blkid = run_any("blkid", &["-p", image]).unwrap();
    assert_eq!(
        (blkid.status.code(), blkid.stdout),
        (Some(2), Vec::new()),
        "{options}: blkid"
    );
    assert!(!ext::probe(&std::fs::read(image).unwrap()), "{options}");
}

fn guards_of(image: &Path) -> Vec<Range<u64>> {
    let bytes = std::fs::read(image).unwrap();
    ext::guards(&bytes[..HEAD_LEN], bytes.len() as u64)
}

/// The offsets of everything that looks like a superblock of this file system.
fn superblocks(image: &Path, uuid: &[u8]) -> Vec<usize> {
    let bytes = std::fs::read(image).unwrap();
    let is_super = |at: &usize| {
        bytes[at + 0x38..at + 0x3A] == [0x53, 0xEF] && &bytes[at + 0x68..at + 0x78] == uuid
    };
    (0..bytes.len()).step_by(1024).filter(is_super).collect()
}

#[test]
fn guards_end_with_the_device_and_need_a_superblock() {
    if !have(kit::TOOLS) {
        return;
    }
    let (_dir, image) = kit::small("-t ext4 -b 1024", "64M").unwrap();
    let head = std::fs::read(&image).unwrap()[..HEAD_LEN].to_vec();
    assert_eq!(
        ext::guards(&head, 9_000_000),
        [0..2048, 8193 * 1024..8194 * 1024]
    );
    assert_eq!(
        ext::guards(&head, 8193 * 1024 + 100)[1],
        8193 * 1024..8193 * 1024 + 100
    );
    assert_eq!(ext::guards(&head, 0), []);
    assert_eq!(ext::guards(&head[..2047], 64 << 20), []);
    assert_eq!(ext::guards(&vec![0; HEAD_LEN], 64 << 20), []);
    // Without sparse_super a hostile superblock may claim any number of backups.
    let mut hostile = head.clone();
    hostile[1024 + 0x64] &= !1;
    hostile[1024 + 0x150..1024 + 0x154].copy_from_slice(&[0xFF; 4]);
    hostile[1024 + 0x20..1024 + 0x24].copy_from_slice(&8192u32.to_le_bytes());
    assert!(ext::guards(&hostile, u64::MAX).len() <= (1 << 20) + 1);
}
