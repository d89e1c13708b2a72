//! What files are told to be, and how little is read to tell it.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use azud_core::code::Code;
use azud_core::io::ReadAt;
use azud_image::foreign::{Compressor, Foreign, ForeignError};
use azud_image::fs::{self, FsError, MapOptions};
use azud_image::sniff::{Format, MOST, sniff};
use azud_testkit::loops::Loop;
use azud_testkit::tools::{have, have_root, run_any, sh};

/// A file of any size that begins with some bytes and goes on with one byte; it counts what is read.
struct Long {
    head: Vec<u8>,
    rest: u8,
    len: u64,
    read: AtomicU64,
}

impl Long {
    fn new(head: &[u8], rest: u8, len: u64) -> Self {
        Self {
            head: head.to_vec(),
            rest,
            len,
            read: AtomicU64::new(0),
        }
    }
}

impl ReadAt for Long {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        self.read.fetch_add(buf.len() as u64, Ordering::Relaxed);
        buf.fill(self.rest);
        let from = usize::try_from(offset).map_or(self.head.len(), |at| at.min(self.head.len()));
        let take = buf.len().min(self.head.len() - from);
        buf[..take].copy_from_slice(&self.head[from..from + take]);
        Ok(())
    }
}

fn at(offset: usize, bytes: &[u8]) -> Vec<u8> {
    let mut head = vec![0; offset];
    head.extend(bytes);
    head
}

/// A boot sector with one partition.
fn mbr() -> Vec<u8> {
    let mut sector = at(446, &[0, 0, 0, 0, 0x83, 0, 0, 0, 0, 8, 0, 0, 0, 8, 0, 0]);
    sector.resize(510, 0);
    sector.extend([0x55, 0xAA]);
    sector
}

#[test]
fn files_are_told_by_their_bytes() {
    let gpt = [mbr(), b"EFI PART".to_vec()].concat();
    let mut nonsense = mbr();
    nonsense[446] = 0x17;
    let cases = [
        (at(0, b"\0ntfsclone-image\x0a"), 1 << 30, Format::Ntfsclone),
        (at(0, b"PaRtImAgE-VoLuMe\0"), 1 << 30, Format::Partimage),
        (at(0, b"FsA0"), 1 << 30, Format::Fsarchiver),
        (at(0, b"QFI\xfb"), 1 << 30, Format::Qcow2),
        (at(0, b"hsqs"), 1 << 30, Format::Squashfs),
        (at(32769, b"CD001"), 1 << 30, Format::Iso),
        (mbr(), 512, Format::BootSector),
        (mbr(), 1 << 40, Format::Disk),
        (nonsense, 1 << 40, Format::Unknown),
        (gpt.clone(), 1 << 40, Format::Disk),
        (gpt, 17 << 10, Format::Gpt),
        (at(0, b"rubbish"), 7, Format::Unknown),
        (Vec::new(), 0, Format::Empty),
    ];
    for (head, len, wanted) in cases {
        let file = Long::new(&head, 0, len);
        let found = sniff(&file).unwrap();
        assert_eq!(found.format, wanted, "{:?}…", &head[..head.len().min(16)]);
        assert_eq!(found.compressor, Compressor::None);
    }
}

#[test]
fn a_header_that_is_cut_short_or_wrong_is_a_problem_not_another_format() {
    let found = sniff(&b"partclone-image\0".to_vec()).unwrap();
    assert_eq!(found.format, Format::Partclone(2));
    assert!(found.problem.is_some());
    let mut image = b"partclone-image\0".to_vec();
    image.resize(30, 0);
    image.extend(b"0002\xde\xc0");
    image.resize(5000, 7);
    let found = sniff(&image).unwrap();
    assert_eq!(found.format, Format::Partclone(2));
    assert!(found.problem.is_some() && found.device_size.is_none());
}

#[test]
fn little_is_read_whatever_a_file_claims() {
    let magics: [&[u8]; 6] = [
        &[0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3],
        &[0x28, 0xB5, 0x2F, 0xFD],
        &[0xFD, b'7', b'z', b'X', b'Z', 0],
        b"BZh9",
        &[0x04, 0x22, 0x4D, 0x18],
        &[0x89, b'L', b'Z', b'O', 0, 0x0D, 0x0A, 0x1A, 0x0A],
    ];
    for magic in magics {
        for rest in [0, 0x40, 0xFF] {
            let file = Long::new(magic, rest, 1 << 50);
            let found = sniff(&file).unwrap();
            assert_ne!(found.compressor, Compressor::None);
            assert_eq!(found.identity, None);
            let read = file.read.into_inner();
            assert!(
                read <= 3 * MOST as u64,
                "{magic:?} then {rest}: {read} bytes"
            );
        }
    }
    // Sixteen pebibytes of nothing are looked at as quickly as nothing.
    let file = Long::new(b"", 0, 1 << 54);
    assert_eq!(sniff(&file).unwrap().format, Format::Unknown);
    assert!(file.read.into_inner() < 1 << 20);
}

#[test]
fn loop_files_of_the_real_programs_are_told() {
    let tools = [
        "mke2fs",
        "partimage",
        "fsarchiver",
        "partclone.extfs",
        "lzop",
        "lz4",
    ];
    if !have_root() || !have(&tools) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let text = |name: &str| path(name).to_str().unwrap().to_owned();
    let make = "cd \"$1\"; mkdir d; seq 90000 > d/seq; head -c 300000 /dev/urandom > d/noise
        truncate -s 32M v; mke2fs -q -F -t ext3 -d d v";
    sh(make, &[dir.path().to_str().unwrap()]).unwrap();
    let device = Loop::attach(&path("v")).unwrap();
    let save = "cd \"$1\"; partimage -M -f3 -o -d -B gui=no -c -z0 --volume=0 save $2 stdout > partimage 2> /dev/null || true
        partclone.extfs -c -s $2 -o - > partclone 2> /dev/null
        gzip -c partimage > partimage.gz; lz4 -q partclone partclone.lz4; lzop -q -9 partclone; xz -k partclone; bzip2 -k partclone";
    sh(save, &[dir.path().to_str().unwrap(), device.name()]).unwrap();
    run_any(
        "fsarchiver",
        &["savefs", &text("fsarchiver.fsa"), device.name()],
    )
    .unwrap();
    for (name, format, compressor, fs) in [
        ("partimage", "partimage", "none", Some("EXTFS")),
        ("partimage.gz", "partimage", "gzip", Some("EXTFS")),
        ("fsarchiver.fsa", "fsarchiver", "none", None),
        ("partclone", "partclone", "none", Some("EXTFS")),
        ("partclone.lz4", "partclone", "lz4", Some("EXTFS")),
        ("partclone.lzo", "partclone", "lzop", Some("EXTFS")),
        ("partclone.xz", "partclone", "xz", Some("EXTFS")),
        ("partclone.bz2", "partclone", "bzip2", Some("EXTFS")),
        ("v", "filesystem", "none", Some("EXTFS")),
    ] {
        let found = sniff(&std::fs::read(path(name)).unwrap()).unwrap();
        let told = (
            found.format.word(),
            found.compressor.as_str(),
            found.fs.as_deref(),
        );
        assert_eq!(
            told,
            (format, compressor, fs),
            "{name}: {:?}",
            found.problem
        );
        assert_eq!(found.problem, None, "{name}");
        if format == "partclone" {
            assert_eq!(found.device_size, Some(32 << 20), "{name}");
        }
    }
}

/// A disk of one partition that ends with it.
fn disk() -> Vec<u8> {
    let mut disk = mbr();
    disk.resize(4096 * 512, 7);
    disk
}

#[test]
fn regression_a_disk_that_is_cut_where_its_file_ends_well() {
    let frames = |len: usize| -> Vec<u8> {
        let disk = disk();
        let frames = disk[..len].chunks(512 << 10);
        let frames = frames.map(|content| {
            let mut out = Vec::with_capacity(zstd_safe::compress_bound(content.len()));
            zstd_safe::compress(&mut out, content, 1).unwrap();
            out
        });
        frames.collect::<Vec<_>>().concat()
    };
    let open = |bytes: Vec<u8>| {
        Foreign::open(&mut || Ok(Box::new(io::Cursor::new(bytes.clone())))).map(|_| ())
    };
    let (whole, cut) = (2 << 20, 1 << 20);
    for bytes in [disk(), frames(whole)] {
        assert_eq!(sniff(&bytes).unwrap().problem, None);
        open(bytes).unwrap();
    }
    assert!(sniff(&disk()[..cut].to_vec()).unwrap().problem.is_some());
    for bytes in [disk()[..cut].to_vec(), frames(cut)] {
        let error = open(bytes).unwrap_err();
        assert_eq!(error.code(), Code::Truncated, "{error}");
        assert!(
            matches!(
                error,
                ForeignError::CutShort {
                    has: 0x10_0000,
                    needs: 0x20_0000
                }
            ),
            "{error}"
        );
    }
}

#[test]
fn regression_a_head_that_makes_no_sense_is_damage() {
    if !have(&[
        "mke2fs",
        "mkfs.fat",
        "mkfs.exfat",
        "mkntfs",
        "mkfs.xfs",
        "mkfs.btrfs",
    ]) {
        return;
    }
    // Who makes it, its size in MiB, and a byte of its head whose change leaves its mark in place.
    let volumes: [(&str, &str, usize); 8] = [
        ("mke2fs -q -F -t ext4", "16", 1024 + 0x18),
        ("mke2fs -q -F -t ext4", "16", 1024 + 0x4C),
        ("mkfs.fat -F 16", "16", 13),
        ("mkfs.fat -F 32", "64", 11),
        ("mkfs.exfat", "16", 108),
        ("mkntfs -q -F", "16", 11),
        ("mkfs.xfs -q", "400", 5),
        ("mkfs.btrfs -q", "128", (64 << 10) + 0x90),
    ];
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("volume");
    let path = path.to_str().unwrap();
    for (maker, size, byte) in volumes {
        sh(
            "rm -f \"$1\"; truncate -s \"$2M\" \"$1\"; $3 \"$1\"",
            &[path, size, maker],
        )
        .unwrap();
        let mut bytes = std::fs::read(path).unwrap();
        let map = |bytes: &Vec<u8>| fs::map(bytes, &MapOptions::default());
        assert!(matches!(map(&bytes), Ok(Some(_))), "{maker}");
        bytes[byte] ^= 0x40;
        let found = map(&bytes);
        let is_damage = matches!(found, Err(FsError::Corrupt { .. }));
        assert!(is_damage, "{maker}, byte {byte}: {found:?}");
    }
}

#[test]
fn a_short_mark_alone_is_no_file_system() {
    let mut noise: Vec<u8> = (0u32..50_000)
        .flat_map(|n| blake3::hash(&n.to_le_bytes()).as_bytes()[..4].to_vec())
        .collect();
    noise[1024 + 0x38..1024 + 0x3A].copy_from_slice(&[0x53, 0xEF]);
    assert!(matches!(fs::map(&noise, &MapOptions::default()), Ok(None)));
    // What was there before the disk got a table is no volume either.
    let mut disk = disk();
    disk[54..62].copy_from_slice(b"FAT16   ");
    assert!(matches!(fs::map(&disk, &MapOptions::default()), Ok(None)));
    disk[450] = 0;
    assert!(fs::map(&disk, &MapOptions::default()).is_err());
}
