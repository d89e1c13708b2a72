//! NTFS maps against partclone's, and against what ntfs-3g makes of a volume of which only the mapped
//! clusters were kept.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod ntfs_kit;

use std::fs;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use azud_image::fs::{FsError, FsKind, LeftOut, MapOptions, Volume, ntfs};
use azud_testkit::poison::{POISON, copy_used};
use azud_testkit::tools::{run, run_any};
use ntfs_kit::{
    Image, arg, blkid, by_partclone, fill, make, make_holes, make_with, noise, picture, ready,
    with_mounted,
};

const KEEP: MapOptions = MapOptions {
    keep_pagefile: true,
};
const LEAVE: MapOptions = MapOptions {
    keep_pagefile: false,
};

fn map(file: &Path, options: MapOptions) -> Result<Volume, FsError> {
    ntfs::map(&fs::read(file).unwrap(), &options)
}

fn same_as_partclone(file: &Path) -> Volume {
    let volume = map(file, KEEP).unwrap();
    let (block_size, used) = by_partclone(file);
    assert_eq!(
        (volume.block_size, &volume.used),
        (block_size, &used),
        "{}",
        file.display()
    );
    assert_eq!(volume.kind, FsKind::Ntfs);
    assert_eq!(volume.claimed_used, used.count());
    assert_eq!(volume.left_out, []);
    assert_eq!(volume.label.as_deref(), Some("Sala 1 ñ"));
    assert_eq!(volume.uuid.as_deref(), Some(&*blkid(file, "UUID")));
    let data = fs::read(file).unwrap();
    assert!(ntfs::probe(&data[..4096]));
    volume
}

/// Keeps only what the map has, and lets the file system's own tools judge.
fn survives(file: &Path, volume: &Volume, but: &[&str]) -> std::path::PathBuf {
    let copy = file.with_extension("copy");
    copy_used(
        file,
        &copy,
        volume.device_size,
        (&volume.used, volume.block_size),
        &volume.tails,
    )
    .unwrap();
    let fix = run("ntfsfix", &["-n", arg(&copy)]).unwrap();
    let said = String::from_utf8(fix.stdout).unwrap();
    assert!(
        said.contains("alternate boot sector... OK") && said.contains("processed successfully"),
        "{said}"
    );
    assert_eq!(picture(file, but), picture(&copy, but));
    copy
}

fn whole(cluster: u32, mib: u64, files: usize) {
    whole_with((512, cluster), mib, files);
}

fn whole_with((sector, cluster): (u32, u32), mib: u64, files: usize) {
    if !ready() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let file = make_with(dir.path(), sector, cluster, mib);
    same_as_partclone(&file);
    with_mounted(&file, |root| fill(root, files));
    let volume = same_as_partclone(&file);
    assert_eq!(volume.sector_size, sector);
    assert_eq!(map(&file, LEAVE).unwrap().used, volume.used);
    let [tail] = &volume.tails[..] else {
        panic!("{:?}", volume.tails)
    };
    let blocks = volume.used.len() * u64::from(cluster);
    assert_eq!(*tail, blocks..mib << 20);
    let head = &fs::read(&file).unwrap()[..128 * 1024];
    let backup = (mib << 20) - u64::from(sector)..mib << 20;
    assert_eq!(ntfs::guards(head, mib << 20), [0..4096, backup]);
    survives(&file, &volume, &[]);
}

#[test]
fn clusters_of_512() {
    whole(512, 20, 300);
}

#[test]
fn clusters_of_1k() {
    whole(1024, 20, 300);
}

#[test]
fn clusters_of_2k() {
    whole(2048, 20, 300);
}

#[test]
fn clusters_of_4k() {
    whole(4096, 20, 300);
}

#[test]
fn clusters_of_8k() {
    whole(8192, 20, 300);
}

#[test]
fn clusters_of_16k() {
    whole(16384, 24, 200);
}

#[test]
fn clusters_of_32k() {
    whole(32768, 32, 150);
}

#[test]
fn clusters_of_64k() {
    whole(65536, 48, 150);
}

#[test]
fn clusters_of_128k_and_2m() {
    whole(128 << 10, 48, 60);
    whole(2 << 20, 96, 6);
}

#[test]
fn sectors_of_4k() {
    whole_with((4096, 4096), 24, 200);
    whole_with((4096, 65536), 48, 100);
}

/// Fills every hole with files small enough to live in the MFT, which so is scattered itself. The last of
/// them, whose record only the attribute list of `$MFT` leads to, becomes the page file.
#[test]
fn a_scattered_mft_with_an_attribute_list() {
    if !ready() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let file = make(dir.path(), 512, 24);
    let mut number = 0;
    with_mounted(&file, |root| {
        let holes = root.join("holes");
        make_holes(&holes, 5000);
        let small = |i: usize| holes.join(format!("small {i}"));
        let count = (0..6000)
            .find(|i| fs::write(small(*i), [b'x'; 100]).is_err())
            .unwrap_or(6000);
        let page = root.join("pagefile.sys");
        fs::rename(small(count - 1), &page).unwrap();
        for i in (1..120).step_by(2) {
            fs::remove_file(holes.join(format!("{i}"))).unwrap();
        }
        fs::write(&page, noise(150_000, 8)).unwrap();
        number = fs::metadata(&page).unwrap().ino();
    });
    let image = Image::read(&file);
    let list = image.attribute(0, 0x20);
    assert_eq!(
        image.0[list.start + 8],
        1,
        "the attribute list of $MFT lies outside of its record"
    );
    let last = image.attribute(0, 0x80).start + 24;
    let last = u64::from_le_bytes(image.0[last..last + 8].try_into().unwrap());
    assert!(
        number * 2 > last,
        "record {number} lies beyond cluster {last} of $MFT"
    );
    let volume = same_as_partclone(&file);
    survives(&file, &volume, &[]);
    let volume = map(&file, LEAVE).unwrap();
    let left: u64 = volume.left_out.iter().map(|left| left.bytes).sum();
    assert_eq!(left, 150_000_u64.next_multiple_of(512) - (64 << 10));
    survives(&file, &volume, &["pagefile.sys"]);
}

/// A page file in hundreds of pieces, described by several records; plus the other files Windows makes anew.
#[test]
fn page_files_are_left_out() {
    if !ready() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let file = make(dir.path(), 512, 32);
    let page = noise(5 << 20, 1);
    let mut sleep = noise(300_000, 2);
    sleep[..4096].fill(0);
    with_mounted(&file, |root| {
        fill(root, 100);
        make_holes(&root.join("holes"), 1500);
        fs::write(root.join("PageFile.SYS"), &page).unwrap();
        fs::write(root.join("hiberfil.sys"), &sleep).unwrap();
        fs::write(root.join("swapfile.sys"), noise(20_000, 3)).unwrap();
        fs::create_dir(root.join("sub")).unwrap();
        fs::write(root.join("sub/pagefile.sys"), noise(100_000, 4)).unwrap();
    });
    let facts = run("ntfsinfo", &["-F", "PageFile.SYS", arg(&file)]).unwrap();
    assert!(
        String::from_utf8_lossy(&facts.stdout).contains("$ATTRIBUTE_LIST"),
        "the page file is in many pieces"
    );
    let all = same_as_partclone(&file);
    let some = map(&file, LEAVE).unwrap();
    let left = |name: &str, bytes: usize| LeftOut {
        name: name.to_owned(),
        bytes: bytes as u64,
    };
    let sleep_left = sleep.len().next_multiple_of(512) - (64 << 10);
    assert_eq!(
        some.left_out,
        [
            left("pagefile.sys", page.len() - (64 << 10)),
            left("hiberfil.sys", sleep_left)
        ]
    );
    assert_eq!(some.claimed_used, all.used.count());
    let gone: u64 = some.left_out.iter().map(|left| left.bytes).sum();
    assert_eq!(all.used_bytes() - some.used_bytes(), gone);

    let copy = survives(&file, &some, &["PageFile.SYS", "hiberfil.sys"]);
    with_mounted(&copy, |root| {
        for (name, before) in [("PageFile.SYS", &page), ("hiberfil.sys", &sleep)] {
            let after = fs::read(root.join(name)).unwrap();
            assert_eq!(after.len(), before.len());
            assert!(
                after[..64 << 10] == before[..64 << 10],
                "{name}: its beginning is kept"
            );
            assert!(
                after[64 << 10..].iter().all(|byte| *byte == POISON),
                "{name}: all else is left out"
            );
        }
    });
    assert!(run("ntfs-3g.probe", &["--readwrite", arg(&copy)]).is_ok());
    assert!(map(&file, KEEP).unwrap().used == all.used);
    same_as_partclone(&file);
}

#[test]
fn holes_and_directories_are_no_content() {
    if !ready() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let file = make(dir.path(), 4096, 20);
    let mut allocated = 0;
    with_mounted(&file, |root| {
        fs::create_dir(root.join("pagefile.sys")).unwrap();
        let sparse = fs::File::create(root.join("swapfile.sys")).unwrap();
        sparse.set_len(1 << 20).unwrap();
        sparse.write_all_at(&noise(200_000, 5), 500_000).unwrap();
        allocated = 512 * sparse.metadata().unwrap().blocks();
    });
    assert!((200_000..1 << 20).contains(&allocated));
    let volume = map(&file, LEAVE).unwrap();
    let left = LeftOut {
        name: "swapfile.sys".to_owned(),
        bytes: allocated,
    };
    assert_eq!(volume.left_out, [left]);
    let all = same_as_partclone(&file);
    assert_eq!(all.used_bytes() - volume.used_bytes(), allocated);
    survives(&file, &volume, &["swapfile.sys"]);
}

/// What ntfs-3g says of a writable mount: 0 yes, 14 hibernated, 15 unclean.
fn probe(file: &Path) -> i32 {
    run_any("ntfs-3g.probe", &["--readwrite", arg(file)])
        .unwrap()
        .status
        .code()
        .unwrap()
}

#[test]
fn the_dirty_flag_is_refused() {
    if !ready() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let file = make(dir.path(), 4096, 20);
    // Sets the flag, so that Windows checks the volume.
    run("ntfsfix", &[arg(&file)]).unwrap();
    let error = map(&file, LEAVE).unwrap_err();
    assert!(
        matches!(&error, FsError::Dirty { why, .. } if why.contains("dirty flag")),
        "{error}"
    );
    assert!(error.remedy().unwrap().contains("chkdsk X: /f"));
    run(
        "partclone.ntfs",
        &[
            "-q",
            "-c",
            "-L",
            "/dev/null",
            "-s",
            arg(&file),
            "-o",
            "/dev/null",
        ],
    )
    .unwrap_err();
    run("ntfsfix", &["-d", arg(&file)]).unwrap();
    same_as_partclone(&file);

    // Flags that do not concern the map.
    let mut image = Image::read(&file);
    let flags = image.attribute(3, 0x70).start + 24 + 10;
    image.0[flags] = 0x06;
    ntfs::map(&image.0, &LEAVE).unwrap();
    image.0[flags] = 0x07;
    assert!(matches!(
        ntfs::map(&image.0, &LEAVE),
        Err(FsError::Dirty { .. })
    ));
}

#[test]
fn a_sleeping_windows_is_refused() {
    if !ready() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let file = make(dir.path(), 1024, 20);
    let header = |magic: &[u8]| [magic, &noise(200_000, 6)].concat();
    let cases: [(Vec<u8>, bool); 6] = [
        (header(b"hibr"), true),
        (header(b"HIBR"), true),
        (header(b"wake"), false),
        (header(b"WAKE"), false),
        (vec![0; 100_000], false),
        (vec![0; 100], true),
    ];
    let fresh = fs::read(&file).unwrap();
    for (content, asleep) in cases {
        fs::write(&file, &fresh).unwrap();
        with_mounted(&file, |root| {
            fs::write(root.join("hiberfil.sys"), &content).unwrap();
        });
        let result = map(&file, LEAVE);
        match &result {
            Err(FsError::Hibernated { remedy, .. }) => {
                assert!(asleep && remedy.contains("powercfg /h off"));
            }
            other => assert!(!asleep && other.is_ok(), "{other:?}"),
        }
        assert_eq!(map(&file, KEEP).is_ok(), !asleep);
        // ntfs-3g does not know the newer magic in capitals.
        if &content[..4] != b"HIBR" {
            assert_eq!(
                probe(&file),
                if asleep { 14 } else { 0 },
                "{:?}",
                &content[..4]
            );
        }
    }
}

/// A log with one restart page in it.
fn restart_page(version: [u8; 2], client: u16, flags: u16) -> Vec<u8> {
    let mut page = vec![0; 4096];
    page[..4].copy_from_slice(b"RSTR");
    page[4..8].copy_from_slice(&[30, 0, 9, 0]);
    page[16..20].copy_from_slice(&4096_u32.to_le_bytes());
    page[20..24].copy_from_slice(&4096_u32.to_le_bytes());
    page[24] = 48;
    page[26] = version[1];
    page[28] = version[0];
    let area = &mut page[48..];
    area[8] = 1; // one client in the array
    area[10..12].copy_from_slice(&(if client == 0 { u16::MAX } else { 0 }).to_le_bytes());
    area[12..14].copy_from_slice(&client.to_le_bytes());
    area[14..16].copy_from_slice(&flags.to_le_bytes());
    area[16..20].copy_from_slice(&44_u32.to_le_bytes()); // 67 - bits of the file size
    area[20] = 208; // length with the array
    area[22] = 48; // the array
    area[24..32].copy_from_slice(&(4_u64 << 20).to_le_bytes());
    area[48 + 16..48 + 20].fill(0xFF); // neither a former nor a next client
    for sector in page.chunks_exact_mut(512) {
        sector[510..].copy_from_slice(&[1, 0]);
    }
    page[30] = 1;
    page
}

#[test]
fn an_open_log_is_refused() {
    if !ready() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let file = make(dir.path(), 4096, 20);
    let clean = Image::read(&file);
    let log = clean.first_run(2, 0x80);
    let two = |first: &[u8], second: &[u8]| [first, second].concat();
    let open = restart_page([1, 1], 0, 0);
    let closed = restart_page([1, 1], 0xFFFF, 2);
    let mut newer = closed.clone();
    newer[48] = 1;
    let cases = [
        ("open", two(&open, &open), 15),
        (
            "no client",
            two(&restart_page([1, 1], 0xFFFF, 0), &closed),
            0,
        ),
        (
            "marked clean",
            two(&restart_page([1, 1], 0, 2), &restart_page([1, 1], 0, 2)),
            0,
        ),
        ("the newer page counts", two(&open, &newer), 0),
        ("the first of equals counts", two(&open, &closed), 15),
        (
            "metadata in memory",
            two(&restart_page([2, 0], 0, 2), &restart_page([2, 0], 0, 2)),
            14,
        ),
        (
            "unknown version",
            two(&restart_page([3, 0], 0, 2), &restart_page([3, 0], 0, 2)),
            15,
        ),
        ("nonsense", vec![0x55; 8192], 15),
        ("emptied", vec![0xFF; 8192], 0),
    ];
    for (what, pages, by_ntfs_3g) in cases {
        let mut image = clean.clone();
        image.0[log.start..log.end].fill(0xFF);
        image.0[log.start..log.start + pages.len()].copy_from_slice(&pages);
        fs::write(&file, &image.0).unwrap();
        assert_eq!(probe(&file), by_ntfs_3g, "{what}");
        match (ntfs::map(&image.0, &LEAVE), by_ntfs_3g) {
            (Ok(_), 0)
            | (Err(FsError::Hibernated { .. }), 14)
            | (Err(FsError::Dirty { .. }), 15) => {}
            (other, _) => panic!("{what}: {other:?}"),
        }
    }
}
