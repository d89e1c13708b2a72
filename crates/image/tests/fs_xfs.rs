//! XFS maps against `mkfs.xfs`, the kernel, `xfs_db`, `xfs_repair` and partclone.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fmt::Write as _;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use azud_core::bitmap::Bitmap;
use azud_image::fs::{FsError, FsKind, MapOptions, Volume, xfs};
use azud_testkit::loops::{Loop, Mount};
use azud_testkit::tools::{have, have_root, run, run_any};
use xfs_btrfs::{
    Dice, FileDevice, fill, head, partclone, poisoned, sparse, text, with_mounted, zeroed,
};

mod xfs_btrfs;

const TOOLS: [&str; 4] = ["mkfs.xfs", "xfs_db", "xfs_repair", "partclone.xfs"];

fn mkfs(image: &Path, options: &str) {
    let mut args: Vec<&str> = options.split_whitespace().collect();
    // Small volumes are fine for tests; the tool only warns real users off them.
    if fs::metadata(image).unwrap().len() < 300 << 20 {
        args.insert(0, "--unsupported");
    }
    args.extend(["-q", "-f", text(image)]);
    run("mkfs.xfs", &args).unwrap();
}

fn map(image: &Path) -> Result<Volume, FsError> {
    xfs::map(&FileDevice::open(image), &MapOptions::default())
}

/// Sum of a field over every header of a kind.
fn sum(image: &Path, header: &str, field: &str) -> u64 {
    let groups = number(image, "sb 0", "agcount");
    (0..groups)
        .map(|group| number(image, &format!("{header} {group}"), field))
        .sum()
}

fn number(image: &Path, place: &str, field: &str) -> u64 {
    let show = format!("p {field}");
    let output = run("xfs_db", &["-r", "-c", place, "-c", &show, text(image)]).unwrap();
    let line = String::from_utf8(output.stdout).unwrap();
    line.split_whitespace().last().unwrap().parse().unwrap()
}

/// The free blocks that `xfs_db` lists, those of the AGFL included.
fn free_by_xfs_db(image: &Path, blocks: u64) -> Bitmap {
    let per_group = number(image, "sb 0", "agblocks");
    let output = run("xfs_db", &["-r", "-c", "freesp -d", text(image)]).unwrap();
    let mut free = Bitmap::new(blocks);
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let words: Vec<u64> = line
            .split_whitespace()
            .map_while(|word| word.parse().ok())
            .collect();
        if let [group, start, count] = words[..] {
            free.set_range(group * per_group + start, count);
        }
    }
    free
}

/// The map says used of all that others say used, and of the AGFL's blocks, and of nothing else.
fn compare(image: &Path, volume: &Volume) {
    let held = sum(image, "agf", "flcount");
    let (size, theirs) = partclone("partclone.xfs", image);
    assert_eq!(
        (size, theirs.len()),
        (u64::from(volume.block_size), volume.used.len())
    );
    let free = free_by_xfs_db(image, volume.used.len());
    let mut only_ours = 0;
    for block in 0..volume.used.len() {
        assert_eq!(
            theirs.get(block),
            !free.get(block),
            "partclone and xfs_db differ at {block}"
        );
        assert!(
            volume.used.get(block) || !theirs.get(block),
            "block {block} is missing"
        );
        only_ours += u64::from(volume.used.get(block) && !theirs.get(block));
    }
    assert_eq!(
        only_ours, held,
        "only the blocks of the AGFL are more than theirs"
    );
    assert_eq!(
        volume.used.len() - volume.used.count() + held + sum(image, "agf", "btreeblks"),
        { number(image, "sb 0", "fdblocks") }
    );
}

fn repair_is_content(image: &Path) {
    run(
        "xfs_repair",
        &["-n", "-f", "-o", "force_geometry", text(image)],
    )
    .unwrap();
}

/// A file system made with `options`, filled, half emptied, cleanly unmounted.
fn check_variant(options: &str, mib: u64, files: usize) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let image = sparse(dir.path(), "volume", mib);
    mkfs(&image, options);
    compare(
        &image,
        &map(&image).unwrap_or_else(|error| panic!("fresh {options}: {error}")),
    );
    let mut dice = Dice::new(7);
    let before = with_mounted(&image, "", |root| fill(root, files, &mut dice));
    let volume = map(&image).unwrap_or_else(|error| panic!("{options}: {error}"));
    assert_eq!(volume.kind, FsKind::Xfs);
    compare(&image, &volume);
    let copy = poisoned(&image, &volume);
    repair_is_content(&copy);
    assert_eq!(with_mounted(&copy, "ro", |_| ()), before, "{options}");
    fs::remove_file(copy).unwrap();
    (dir, image)
}

#[test]
fn sys_default_volume_with_label_and_log_of_several_cycles() {
    if !have(&TOOLS) || !have_root() {
        return;
    }
    let (_dir, image) = check_variant("-L room-7", 304, 1500);
    let volume = map(&image).unwrap();
    assert_eq!(volume.label.as_deref(), Some("room-7"));
    let blkid = run("blkid", &["-p", "-o", "value", "-s", "UUID", text(&image)]).unwrap();
    assert_eq!(
        volume.uuid.as_deref(),
        Some(String::from_utf8(blkid.stdout).unwrap().trim())
    );
    assert_eq!((volume.block_size, volume.sector_size), (4096, 512));
}

#[test]
fn sys_block_and_sector_sizes() {
    if !have(&TOOLS) || !have_root() {
        return;
    }
    let (_dir, image) = check_variant("-b size=1024", 96, 4000);
    assert!(
        sum(&image, "agf", "bnolevel") > 4,
        "a free-space tree of two levels"
    );
    check_variant("-b size=2048", 64, 1500);
    let (_dir, image) = check_variant("-s size=4096", 64, 1200);
    assert_eq!(map(&image).unwrap().sector_size, 4096);
}

#[test]
fn sys_features_on_and_off() {
    if !have(&TOOLS) || !have_root() {
        return;
    }
    for options in [
        "-i sparse=0",
        "-m reflink=0",
        "-m finobt=0,reflink=0",
        "-m rmapbt=1",
        "-m bigtime=0,inobtcount=0",
        "-i size=2048",
        "-i nrext64=1",
    ] {
        check_variant(options, 64, 1200);
    }
}

#[test]
fn sys_groups_and_logs() {
    if !have(&TOOLS) || !have_root() {
        return;
    }
    for (options, mib) in [
        ("-d agcount=16", 260),
        ("-d agcount=1", 40),
        ("-l su=32k", 64),
        ("-l su=256k,size=19m", 140),
        ("-l agnum=0", 64),
        ("-d su=64k,sw=2", 64),
    ] {
        check_variant(options, mib, 1200);
    }
}

/// Kernels no longer mount v4, so `mkfs.xfs` itself puts files into it.
#[test]
fn sys_version_4() {
    if !have(&TOOLS) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut dice = Dice::new(4);
    let mut list = "/\n0 0\nd--755 0 0\n".to_owned();
    for number in 0..200 {
        let file = dir.path().join(format!("f{number}"));
        let len = dice.below(30000);
        fs::write(&file, dice.bytes(len)).unwrap();
        writeln!(list, "f{number} ---644 1 2 {}", text(&file)).unwrap();
    }
    list.push_str("$\n");
    let proto = dir.path().join("proto");
    fs::write(&proto, list).unwrap();
    for options in [
        "-m crc=0",
        "-m crc=0 -l version=1",
        "-m crc=0 -l lazy-count=0 -n ftype=0",
        "-m crc=0 -b size=512",
    ] {
        let image = sparse(dir.path(), "volume", 64);
        mkfs(&image, &format!("{options} -p {}", text(&proto)));
        let volume = map(&image).unwrap_or_else(|error| panic!("{options}: {error}"));
        compare(&image, &volume);
        repair_is_content(&poisoned(&image, &volume));
    }
}

#[test]
fn sys_uuid_change_growth_and_many_mounts_keep_the_log_clean() {
    if !have(&TOOLS) || !have_root() || !have(&["xfs_growfs", "xfs_admin"]) {
        return;
    }
    let (_dir, image) = check_variant("-l size=1368b", 64, 1200);
    run("xfs_admin", &["-U", "generate", text(&image)]).unwrap();
    compare(&image, &map(&image).unwrap());
    File::options()
        .write(true)
        .open(&image)
        .unwrap()
        .set_len((100 << 20) + 1000)
        .unwrap();
    let mut dice = Dice::new(3);
    for round in 0..25 {
        let seen = with_mounted(&image, "", |root| {
            if round == 0 {
                run("xfs_growfs", &[text(root)]).unwrap();
            }
            let dir = root.join(format!("round{round}"));
            fs::create_dir(&dir).unwrap();
            fill(&dir, 60 + dice.below(100), &mut Dice::new(round));
        });
        let volume = map(&image).unwrap_or_else(|error| panic!("round {round}: {error}"));
        if round % 8 == 0 {
            compare(&image, &volume);
            let copy = poisoned(&image, &volume);
            repair_is_content(&copy);
            assert_eq!(with_mounted(&copy, "ro", |_| ()), seen);
        }
    }
    run("xfs_repair", &["-L", "-f", text(&image)]).unwrap();
    compare(&image, &map(&image).unwrap());
}

#[test]
fn sys_a_dirty_log_is_refused_and_the_remedy_mends_it() {
    if !have(&TOOLS) || !have_root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    for options in ["", "-l su=64k", "-l size=1368b"] {
        let image = sparse(dir.path(), "volume", 64);
        mkfs(&image, options);
        let device = Loop::attach(&image).unwrap();
        let mount = Mount::new(device.path(), None, "").unwrap();
        let copy = dir.path().join("copy");
        for round in 0..4 {
            let sub = mount.path().join(format!("round{round}"));
            fs::create_dir(&sub).unwrap();
            fill(&sub, 40 * (round + 1), &mut Dice::new(1));
            run("sync", &["-f", text(mount.path())]).unwrap();
            run("cp", &["--sparse=always", text(&image), text(&copy)]).unwrap();
            let error = map(&copy).unwrap_err();
            assert!(matches!(error, FsError::Dirty { .. }), "{options}: {error}");
            assert!(
                error
                    .remedy()
                    .unwrap()
                    .contains("mount DEVICE /mnt && umount /mnt")
            );
        }
        mount.unmount().unwrap();
        drop(device);
        map(&image).unwrap();
        let seen = with_mounted(&copy, "", |_| ());
        let volume = map(&copy).unwrap();
        compare(&copy, &volume);
        assert_eq!(with_mounted(&poisoned(&copy, &volume), "ro", |_| ()), seen);
    }
}

#[test]
fn sys_without_its_guards_nothing_recognises_it() {
    if !have(&TOOLS) || !have(&["blkid"]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    for options in ["-d agcount=3", "-m crc=0", "-s size=4096"] {
        let image = sparse(dir.path(), "volume", 64);
        mkfs(&image, options);
        let guards = xfs::guards(&head(&image), 64 << 20);
        assert_eq!(guards.len() as u64, number(&image, "sb 0", "agcount"));
        assert_eq!(guards[0].start, 0);
        let file = File::open(&image).unwrap();
        for guard in &guards {
            let mut magic = [0; 4];
            file.read_exact_at(&mut magic, guard.start).unwrap();
            assert_eq!(&magic, b"XFSB");
        }
        let copy = zeroed(&image, &guards);
        assert!(!xfs::probe(&head(&copy)));
        assert_eq!(
            run_any("blkid", &["-p", text(&copy)])
                .unwrap()
                .status
                .code(),
            Some(2)
        );
        assert!(
            !run_any("xfs_repair", &["-n", "-f", text(&copy)])
                .unwrap()
                .status
                .success()
        );
        let shown = run_any(
            "xfs_db",
            &["-r", "-c", "sb 0", "-c", "p magicnum", text(&copy)],
        )
        .unwrap();
        assert!(!String::from_utf8_lossy(&shown.stdout).contains("0x58465342"));
        // With the primary alone left out, the repair tool does find a backup: the others matter.
        let copy = zeroed(&image, &guards[..1]);
        run("xfs_repair", &["-f", text(&copy)]).unwrap();
    }
}
