//! Real images by the stock partclone, through every compressor: content, damage, truncation.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::fs;
use std::path::{Path, PathBuf};

use azud_core::code::Code;
use azud_core::format::partclone::Checksum;
use azud_image::foreign::Compressor;
use azud_image::foreign::partclone::{PartcloneReader, read_map};
use azud_image::fs::FsKind;
use azud_testkit::tools::{have, run, sh};
use foreign_kit::{Rng, peel, put_back, read_image, used_of};

mod foreign_kit;

/// A directory with a volume of real content and images of it.
struct Lab {
    dir: tempfile::TempDir,
}

impl Lab {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let tree = dir.path().join("tree");
        fs::create_dir(&tree).unwrap();
        let mut rng = Rng(7);
        for file in 0..40 {
            let len = 1 + rng.below(60_000);
            fs::write(tree.join(format!("file{file}")), rng.mixed(len)).unwrap();
        }
        // Files with holes between them once some are gone.
        for file in (0..40).step_by(3) {
            fs::remove_file(tree.join(format!("file{file}"))).unwrap();
        }
        Self { dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Makes the volume `fs` of `size` by a script that knows `$1` volume and `$2` tree.
    fn volume(&self, size: &str, script: &str) -> Vec<u8> {
        let (fs, tree) = (self.path("fs"), self.path("tree"));
        let script = format!("truncate -s {size} \"$1\"\n{script}");
        sh(&script, &[text(&fs), text(&tree)]).unwrap();
        fs::read(fs).unwrap()
    }

    /// The image that `partclone.FS` makes of the volume.
    fn image(&self, program: &str, options: &[&str]) -> Vec<u8> {
        let name = format!("image{}", options.join(""));
        let (log, fs, image) = (self.path("log"), self.path("fs"), self.path(&name));
        let mut args = vec![
            "-c",
            "-q",
            "-L",
            text(&log),
            "-s",
            text(&fs),
            "-o",
            text(&image),
        ];
        args.extend(options);
        run(program, &args).unwrap();
        fs::read(image).unwrap()
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

const EXT4: &str = r#"mkfs.ext4 -q -F -b 1024 -d "$2" "$1""#;

fn ext4() -> (Lab, Vec<u8>) {
    let lab = Lab::new();
    let source = lab.volume("12M", EXT4);
    (lab, source)
}

/// The content is the source's at the used blocks, and what stock tools would put back.
fn check(program: &str, size: &str, kind: FsKind, make: &str) {
    if !have(&[program, "partclone.restore"]) {
        return;
    }
    let lab = Lab::new();
    let source = lab.volume(size, make);
    let image = lab.image(program, &["-a1"]);
    let (volume, content) = read_image(&image).unwrap();
    assert_eq!(volume.kind, kind);
    assert_eq!(volume.device_size, source.len() as u64);
    assert!(volume.used.count() > 0 && volume.used.count() < volume.used.len());
    assert_eq!(content.len() as u64, volume.used_bytes());
    assert!(
        content == used_of(&source, &volume),
        "content differs from the source"
    );
    let (log, image, target) = (lab.path("log"), lab.path("image-a1"), lab.path("target"));
    let args = [
        "-C",
        "-W",
        "-L",
        text(&log),
        "-s",
        text(&image),
        "-O",
        text(&target),
    ];
    run("partclone.restore", &args).unwrap();
    let mut stock = fs::read(target).unwrap();
    // The stock program leaves the file's end out when it is not used.
    stock.resize(source.len(), 0);
    assert!(
        put_back(&volume, &content) == stock,
        "another device than the stock restore's"
    );
}

#[test]
fn ext4_content_is_the_sources() {
    if have(&["mkfs.ext4"]) {
        check("partclone.ext4", "12M", FsKind::Ext, EXT4);
    }
}

#[test]
fn ntfs_content_is_the_sources() {
    if have(&["mkfs.ntfs", "ntfscp"]) {
        let make = r#"mkfs.ntfs -q -F -Q "$1" 2>/dev/null
            for f in "$2"/*; do ntfscp -q "$1" "$f" "${f##*/}" 2>/dev/null; done"#;
        check("partclone.ntfs", "12M", FsKind::Ntfs, make);
    }
}

#[test]
fn fat_content_is_the_sources() {
    if have(&["mkfs.fat", "mcopy"]) {
        let make = r#"mkfs.fat -F 16 "$1"; mcopy -i "$1" -s "$2" ::tree"#;
        check("partclone.fat16", "12M", FsKind::Fat16, make);
        let make = r#"mkfs.fat -F 32 "$1"; mcopy -i "$1" -s "$2" ::tree"#;
        check("partclone.fat32", "40M", FsKind::Fat32, make);
    }
}

#[test]
fn exfat_content_is_the_sources() {
    if have(&["mkfs.exfat"]) {
        check(
            "partclone.exfat",
            "12M",
            FsKind::ExFat,
            r#"mkfs.exfat "$1""#,
        );
    }
}

#[test]
fn xfs_content_is_the_sources() {
    if have(&["mkfs.xfs"]) {
        check(
            "partclone.xfs",
            "300M",
            FsKind::Xfs,
            r#"mkfs.xfs -q -f "$1""#,
        );
    }
}

#[test]
fn btrfs_content_is_the_sources() {
    if have(&["mkfs.btrfs"]) {
        check(
            "partclone.btrfs",
            "120M",
            FsKind::Btrfs,
            r#"mkfs.btrfs -q -r "$2" "$1""#,
        );
    }
}

#[test]
fn f2fs_keeps_the_name_that_partclone_gave() {
    if have(&["mkfs.f2fs"]) {
        let kind = FsKind::Partclone(*b"F2FS\0\0\0\0\0\0\0\0\0\0\0\0");
        check("partclone.f2fs", "110M", kind, r#"mkfs.f2fs -q "$1""#);
    }
}

#[test]
fn every_checksum_option_reads_the_same() {
    if !have(&["partclone.ext4", "mkfs.ext4"]) {
        return;
    }
    let (lab, source) = ext4();
    let variants: [(&[&str], Checksum); 7] = [
        (&["-a0"], Checksum::None),
        (&["-a1"], Checksum::Crc32),
        (&["-a1", "-k1"], Checksum::Crc32),
        (&["-a1", "-k7"], Checksum::Crc32),
        (&["-a1", "-k1000000"], Checksum::Crc32),
        (&["-a1", "-K"], Checksum::Crc32),
        (&["-a1", "-K", "-k3"], Checksum::Crc32),
    ];
    for (options, checksum) in variants {
        let image = lab.image("partclone.ext4", options);
        let reader = PartcloneReader::open(&image[..]).unwrap();
        assert_eq!(
            (reader.version(), reader.checksum()),
            (2, checksum),
            "{options:?}"
        );
        let (volume, content) = read_image(&image).unwrap();
        assert!(content == used_of(&source, &volume), "{options:?}");
        let damaged = [&image[..image.len() - 1], &[image[image.len() - 1] ^ 1]].concat();
        assert_eq!(
            read_image(&damaged).is_err(),
            checksum != Checksum::None,
            "{options:?}"
        );
    }
}

#[test]
fn raw_images_are_read() {
    if !have(&["partclone.imager"]) {
        return;
    }
    let lab = Lab::new();
    let source = lab.volume("3M", r#"cat "$2"/* | dd of="$1" conv=notrunc status=none"#);
    let (volume, content) = read_image(&lab.image("partclone.imager", &[])).unwrap();
    assert_eq!(volume.kind, FsKind::Raw);
    assert_eq!(volume.used.count(), volume.used.len());
    assert!(content == source);
}

#[test]
fn the_map_alone_is_read_to_its_last_byte() {
    if !have(&["partclone.ext4", "mkfs.ext4"]) {
        return;
    }
    let (lab, _) = ext4();
    let image = lab.image("partclone.ext4", &["-a1"]);
    let (whole, _) = read_image(&image).unwrap();
    let mut rest = &image[..];
    let volume = read_map(&mut rest).unwrap();
    assert_eq!(volume.used, whole.used);
    let head = 110 + volume.used.len().div_ceil(8) + 4;
    assert_eq!((image.len() - rest.len()) as u64, head);
}

#[test]
fn every_compressor_gives_the_same_content() {
    const TOOLS: [(&str, Compressor); 12] = [
        ("cat", Compressor::None),
        ("gzip -6", Compressor::Gzip),
        ("pigz -p 2", Compressor::Gzip),
        ("zstd -q -T0 -3", Compressor::Zstd),
        ("zstd -q -19 --long=27", Compressor::Zstd),
        ("xz -T2 -1", Compressor::Xz),
        ("xz -9e --check=sha256", Compressor::Xz),
        ("bzip2", Compressor::Bzip2),
        ("lz4 -q -1", Compressor::Lz4),
        ("lz4 -q -9 -B4 -BD -BX", Compressor::Lz4),
        ("lzop -q -1", Compressor::Lzop),
        ("lzop -q -9", Compressor::Lzop),
    ];
    let programs = [
        "pigz",
        "zstd",
        "xz",
        "bzip2",
        "lz4",
        "lzop",
        "partclone.ext4",
        "mkfs.ext4",
    ];
    if !have(&programs) {
        return;
    }
    let (lab, source) = ext4();
    let image = lab.image("partclone.ext4", &["-a1"]);
    let path = lab.path("image-a1");
    for (tool, compressor) in TOOLS {
        let packed = sh(&format!("{tool} < \"$1\""), &[text(&path)])
            .unwrap()
            .stdout;
        let (found, inner) = peel(&packed).unwrap();
        assert_eq!(found, compressor, "{tool}");
        assert!(inner == image, "{tool}");
        let (volume, content) = read_image(&packed).unwrap();
        assert!(content == used_of(&source, &volume), "{tool}");
    }
}

/// Header and map are under CRCs, blocks and the checksums themselves under the strips' CRCs: there
/// is no byte in such an image that does not matter.
#[test]
fn every_flipped_bit_is_found() {
    if !have(&["partclone.ext4", "mkfs.ext4"]) {
        return;
    }
    let (lab, _) = ext4();
    let mut image = lab.image("partclone.ext4", &["-a1", "-k16"]);
    let (volume, _) = read_image(&image).unwrap();
    let data = 110 + usize::try_from(volume.used.len().div_ceil(8)).unwrap() + 4;
    let mut rng = Rng(1);
    let mut places: Vec<usize> = (0..data * 8).step_by(41).collect();
    places.extend((0..300).map(|_| rng.below(image.len() * 8)));
    // Within and around the first checksum and the very last.
    let sum = data + 16 * usize::try_from(volume.block_size).unwrap();
    places.extend((sum - 1) * 8..(sum + 5) * 8);
    places.extend((image.len() - 5) * 8..image.len() * 8);
    assert!(places.len() > 600);
    for place in places {
        image[place / 8] ^= 1 << (place % 8);
        assert!(
            drained(&image).is_err(),
            "bit {place} of {} passed",
            image.len() * 8
        );
        image[place / 8] ^= 1 << (place % 8);
    }
    drained(&image).unwrap();
}

/// Reads all without keeping it, straight from the bytes.
fn drained(image: &[u8]) -> Result<u64, std::io::Error> {
    let mut reader = PartcloneReader::open(image)?;
    std::io::copy(&mut reader, &mut std::io::sink())
}

#[test]
fn a_wrong_strip_is_named_and_nothing_of_its_end_is_given() {
    if !have(&["partclone.ext4", "mkfs.ext4"]) {
        return;
    }
    let (lab, _) = ext4();
    let mut image = lab.image("partclone.ext4", &["-a1", "-k16"]);
    let (volume, good) = read_image(&image).unwrap();
    let strip = 16 * usize::try_from(volume.block_size).unwrap();
    let data = 110 + usize::try_from(volume.used.len().div_ceil(8)).unwrap() + 4;
    image[data + 5 * (strip + 4) + 99] ^= 0x10;
    let mut reader = PartcloneReader::open(&image[..]).unwrap();
    let mut content = vec![0; 5 * strip];
    std::io::Read::read_exact(&mut reader, &mut content).unwrap();
    assert!(content == good[..5 * strip]);
    let error = foreign_kit::drain(&mut reader, usize::MAX).unwrap_err();
    assert_eq!(error.code(), Code::Corrupt);
    assert!(
        error
            .to_string()
            .contains("checksum 5 is wrong (of 16 blocks from used block 80)"),
        "{error}"
    );
    assert!(
        foreign_kit::drain(&mut reader, usize::MAX).is_err(),
        "an error must stay one"
    );
}

#[test]
fn truncations_and_what_follows_are_found() {
    if !have(&["partclone.ext4", "mkfs.ext4"]) {
        return;
    }
    let (lab, _) = ext4();
    let variants: [&[&str]; 2] = [&["-a1", "-k16"], &["-a0"]];
    for options in variants {
        let image = lab.image("partclone.ext4", options);
        let (volume, _) = read_image(&image).unwrap();
        let block = usize::try_from(volume.block_size).unwrap();
        let data = 110 + usize::try_from(volume.used.len().div_ceil(8)).unwrap() + 4;
        let strip = 16 * block;
        let mut cuts: Vec<usize> = (0..260).collect();
        for edge in [
            data - 4,
            data,
            data + block,
            data + strip,
            data + strip + 4,
            image.len(),
        ] {
            cuts.extend(edge.saturating_sub(5)..edge + 5);
        }
        cuts.extend((0..40).map(|part| image.len() / 40 * part));
        for cut in cuts.into_iter().filter(|cut| *cut < image.len()) {
            let error = read_image(&image[..cut]).expect_err("a truncated image passed");
            assert_eq!(
                error.code(),
                Code::Truncated,
                "{options:?} at {cut}: {error}"
            );
        }
        for more in [&b"\0"[..], b"x", &image] {
            let error = read_image(&[&image, more].concat()).unwrap_err();
            assert_eq!(error.code(), Code::Corrupt, "{error}");
        }
    }
}
