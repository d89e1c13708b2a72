//! btrfs maps against `mkfs.btrfs`, the kernel, `btrfs check`, `dump-tree` and partclone.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use azud_core::bitmap::Bitmap;
use azud_image::fs::{FsError, FsKind, MapOptions, Volume, btrfs};
use azud_testkit::loops::{Loop, Mount};
use azud_testkit::tools::{have, have_root, run, run_any, sh};
use xfs_btrfs::{
    Dice, FileDevice, fill, head, partclone, poisoned, sparse, text, with_mounted, zeroed,
};

mod xfs_btrfs;

const TOOLS: [&str; 3] = ["mkfs.btrfs", "btrfs", "partclone.btrfs"];
const SUPERBLOCK: usize = 64 << 10;

fn mkfs(image: &Path, options: &str) {
    let mut args: Vec<&str> = options.split_whitespace().collect();
    args.extend(["-q", "-f", text(image)]);
    run("mkfs.btrfs", &args).unwrap();
}

fn map(image: &Path) -> Result<Volume, FsError> {
    btrfs::map(&FileDevice::open(image), &MapOptions::default())
}

fn dump(image: &Path, tree: &str) -> String {
    let output = run(
        "btrfs",
        &["inspect-internal", "dump-tree", "-t", tree, text(image)],
    )
    .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// The words of `item N key (OBJECT TYPE OFFSET)`.
fn key(line: &str) -> Option<[&str; 3]> {
    let line = line.trim();
    let (_, rest) = line.strip_prefix("item ")?.split_once("key (")?;
    let words: Vec<&str> = rest.split_once(')')?.0.split_whitespace().collect();
    words.try_into().ok()
}

fn node_size(image: &Path) -> u64 {
    let mut size = [0; 4];
    File::open(image)
        .unwrap()
        .read_exact_at(&mut size, SUPERBLOCK as u64 + 0x94)
        .unwrap();
    u64::from(u32::from_le_bytes(size))
}

/// Logical address, length and places of each chunk, by `dump-tree`.
fn chunks_by_dump(image: &Path) -> Vec<(u64, u64, Vec<u64>)> {
    let mut chunks: Vec<(u64, u64, Vec<u64>)> = Vec::new();
    let mut inside = false;
    for line in dump(image, "chunk").lines() {
        if let Some([_, kind, offset]) = key(line) {
            inside = kind == "CHUNK_ITEM";
            if inside {
                chunks.push((offset.parse().unwrap(), 0, Vec::new()));
            }
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        match (inside, &words[..]) {
            (true, ["length", len, ..]) => chunks.last_mut().unwrap().1 = len.parse().unwrap(),
            (true, ["stripe", _, "devid", "1", "offset", at]) => {
                chunks.last_mut().unwrap().2.push(at.parse().unwrap());
            }
            _ => {}
        }
    }
    chunks
}

/// The blocks of the first MiB, the superblocks and some copies of every extent, by `dump-tree`.
fn used_by_dump(image: &Path, volume: &Volume, copies: usize) -> Bitmap {
    let node_size = node_size(image);
    let size = u64::from(volume.block_size);
    let chunks = chunks_by_dump(image);
    let mut used = Bitmap::new(volume.used.len());
    used.set_range(0, (1 << 20) / size);
    used.set_range((64 << 20) / size, 4096u64.div_ceil(size));
    for line in dump(image, "extent").lines() {
        let (start, len) = match key(line) {
            Some([start, "EXTENT_ITEM", len]) => {
                (start.parse::<u64>().unwrap(), len.parse().unwrap())
            }
            Some([start, "METADATA_ITEM", _]) => (start.parse().unwrap(), node_size),
            _ => continue,
        };
        let (logical, _, places) = chunks
            .iter()
            .find(|(at, size, _)| (*at..at + size).contains(&start))
            .unwrap();
        for place in places.iter().take(copies) {
            used.set_range((place + start - logical) / size, len / size);
        }
    }
    used
}

/// The map is what `dump-tree` says.
fn compare(image: &Path, volume: &Volume) {
    let truth = used_by_dump(image, volume, 2);
    assert_eq!(
        volume.used,
        truth,
        "{} blocks, not {}",
        volume.used.count(),
        truth.count()
    );
}

/// The map is no more than partclone's but for what partclone 0.3.23 forgets: the first MiB, the mirror
/// superblock, and second copies. It also forgets the root of a subvolume that has several levels (its
/// restored volume then fails `btrfs check`), so this holds for volumes without subvolumes only.
fn compare_with_partclone(image: &Path, volume: &Volume) {
    let (node_size, theirs) = partclone("partclone.btrfs", image);
    let size = u64::from(volume.block_size);
    let first_copies = used_by_dump(image, volume, 1);
    let mirror = (64 << 20) / size;
    for block in (0..volume.used.len()).filter(|block| first_copies.get(*block)) {
        let known =
            block * size < 1 << 20 || block == mirror || theirs.get(block * size / node_size);
        assert!(known, "block {block} is not in partclone's map");
    }
}

fn check_content(image: &Path) {
    run(
        "btrfs",
        &["check", "--readonly", "--check-data-csum", text(image)],
    )
    .unwrap();
}

/// Files, snapshots, clones, compressed and inline extents, deletions.
fn work(root: &Path, files: usize) {
    let volume = root.join("volume");
    run("btrfs", &["subvolume", "create", text(&volume)]).unwrap();
    fill(&volume, files, &mut Dice::new(9));
    let script = "cd \"$1\"; btrfs subvolume snapshot -r volume before; btrfs subvolume snapshot volume after
        sync -f .; rm -rf after/d1 after/d2 volume/d4; cp --reflink=always after/d5/f5 clone
        btrfs property set after compression zlib || true; seq 60000 > after/numbers; echo small > inline
        btrfs subvolume delete --commit-after before; sync -f .";
    sh(script, &[text(root)]).unwrap();
}

fn check_variant(options: &str, mib: u64, mount: &str) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let image = sparse(dir.path(), "volume", mib);
    mkfs(&image, options);
    let fresh = map(&image).unwrap_or_else(|error| panic!("fresh {options}: {error}"));
    compare(&image, &fresh);
    compare_with_partclone(&image, &fresh);
    let before = with_mounted(&image, mount, |root| work(root, 900));
    let volume = map(&image).unwrap_or_else(|error| panic!("{options}: {error}"));
    assert_eq!(volume.kind, FsKind::Btrfs);
    compare(&image, &volume);
    let copy = poisoned(&image, &volume);
    check_content(&copy);
    assert_eq!(with_mounted(&copy, "ro", |_| ()), before, "{options}");
    fs::remove_file(copy).unwrap();
    (dir, image)
}

#[test]
fn sys_default_volume_with_label() {
    if !have(&TOOLS) || !have_root() || !have(&["blkid"]) {
        return;
    }
    let (_dir, image) = check_variant("-L aula", 128, "compress=zstd");
    let volume = map(&image).unwrap();
    assert_eq!(
        (volume.label.as_deref(), volume.block_size),
        (Some("aula"), 4096)
    );
    let blkid = run("blkid", &["-p", "-o", "value", "-s", "UUID", text(&image)]).unwrap();
    assert_eq!(
        volume.uuid.as_deref(),
        Some(String::from_utf8(blkid.stdout).unwrap().trim())
    );
    // With a metadata UUID, blocks carry another one than users see.
    run("btrfstune", &["-m", text(&image)]).unwrap();
    let changed = map(&image).unwrap();
    assert_ne!(changed.uuid, volume.uuid);
    compare(&image, &changed);
}

#[test]
fn sys_profiles_and_node_sizes() {
    if !have(&TOOLS) || !have_root() {
        return;
    }
    for (options, mib) in [
        ("-m single -n 4096", 112),
        ("-M", 64),
        ("-M -m dup -d dup", 160),
        ("-m dup -d dup -n 32768", 240),
    ] {
        check_variant(options, mib, "");
    }
}

#[test]
fn sys_checksums_and_features() {
    if !have(&TOOLS) || !have_root() {
        return;
    }
    for (options, mount) in [
        ("--csum xxhash", "compress=lzo"),
        ("--csum sha256", ""),
        ("--csum blake2", ""),
        ("-R ^free-space-tree -O ^no-holes", "space_cache=v1"),
        ("-R quota", "nodatasum"),
        ("-O ^skinny-metadata,^extref", "max_inline=0"),
    ] {
        check_variant(options, 128, mount);
    }
}

#[test]
fn sys_block_group_tree_if_the_tools_can() {
    if !have(&TOOLS) || !have_root() {
        return;
    }
    // Older tools make it by another name or not at all.
    let probe = tempfile::tempdir().unwrap();
    let image = sparse(probe.path(), "volume", 128);
    for options in ["-O block-group-tree", "-R block-group-tree"] {
        let args: Vec<&str> = options
            .split(' ')
            .chain(["-q", "-f", text(&image)])
            .collect();
        if run("mkfs.btrfs", &args).is_ok() {
            check_variant(options, 128, "");
        }
    }
}

#[test]
fn sys_a_balance_moves_everything_and_the_map_follows() {
    if !have(&TOOLS) || !have_root() {
        return;
    }
    let (_dir, image) = check_variant("-m single", 272, "");
    let seen = with_mounted(&image, "", |root| {
        run(
            "btrfs",
            &[
                "balance",
                "start",
                "--full-balance",
                "--force",
                "-mconvert=dup",
                text(root),
            ],
        )
        .unwrap();
        run("btrfs", &["filesystem", "resize", "-9M", text(root)]).unwrap();
    });
    let volume = map(&image).unwrap();
    assert!(volume.used.len() * 4096 < volume.device_size);
    compare(&image, &volume);
    let copy = poisoned(&image, &volume);
    check_content(&copy);
    assert_eq!(with_mounted(&copy, "ro", |_| ()), seen);
}

#[test]
fn sys_a_log_tree_is_refused_and_the_remedy_mends_it() {
    if !have(&TOOLS) || !have_root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let image = sparse(dir.path(), "volume", 128);
    mkfs(&image, "");
    let device = Loop::attach(&image).unwrap();
    let mount = Mount::new(device.path(), None, "commit=300").unwrap();
    fill(mount.path(), 100, &mut Dice::new(1));
    run("sync", &["-f", text(mount.path())]).unwrap();
    let copy = dir.path().join("copy");
    run("cp", &["--sparse=always", text(&image), text(&copy)]).unwrap();
    map(&copy).expect("between commits, without fsync, a btrfs is whole");
    let mut file = File::create(mount.path().join("late")).unwrap();
    file.write_all(&vec![7; 50_000]).unwrap();
    file.sync_all().unwrap();
    drop(file);
    run("cp", &["--sparse=always", text(&image), text(&copy)]).unwrap();
    let error = map(&copy).unwrap_err();
    assert!(matches!(error, FsError::Dirty { .. }), "{error}");
    assert!(
        error.to_string().contains("log_root") && error.remedy().unwrap().contains("umount /mnt")
    );
    mount.unmount().unwrap();
    drop(device);
    map(&image).unwrap();
    let seen = with_mounted(&copy, "", |root| {
        assert_eq!(fs::read(root.join("late")).unwrap(), vec![7; 50_000]);
    });
    let volume = map(&copy).unwrap();
    compare(&copy, &volume);
    compare_with_partclone(&copy, &volume);
    assert_eq!(with_mounted(&poisoned(&copy, &volume), "ro", |_| ()), seen);
}

#[test]
fn sys_without_its_guards_nothing_recognises_it() {
    if !have(&TOOLS) || !have(&["blkid"]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let image = sparse(dir.path(), "volume", 128);
    mkfs(&image, "");
    let guards = btrfs::guards(&head(&image), 128 << 20);
    assert_eq!(guards, [65536..69632, 67_108_864..67_112_960]);
    let copy = zeroed(&image, &guards);
    assert!(!btrfs::probe(&head(&copy)));
    assert_eq!(
        run_any("blkid", &["-p", text(&copy)])
            .unwrap()
            .status
            .code(),
        Some(2)
    );
    assert!(
        !run_any("btrfs", &["check", "--readonly", text(&copy)])
            .unwrap()
            .status
            .success()
    );
    assert!(
        !run_any("btrfs", &["rescue", "super-recover", "-y", text(&copy)])
            .unwrap()
            .status
            .success()
    );
    // With the primary alone left out, the mirror brings the volume back: it matters.
    let copy = zeroed(&image, &guards[..1]);
    let mut magic = [0; 8];
    File::open(&copy)
        .unwrap()
        .read_exact_at(&mut magic, guards[1].start + 64)
        .unwrap();
    assert_eq!(&magic, b"_BHRfS_M");
    run("btrfs", &["check", "--readonly", "-s", "1", text(&copy)]).unwrap();
    assert_eq!(btrfs::guards(&head(&image), u64::MAX).len(), 3);
    assert!(btrfs::guards(&head(&image), 65536).is_empty());
    assert!(btrfs::guards(&[0; 1000], 1 << 40).is_empty());
}
