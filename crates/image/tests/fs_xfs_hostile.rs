//! XFS volumes changed by hand: unknown features, contradictions, hostile numbers.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use azud_image::fs::{FsError, MapOptions, Volume, xfs};
use azud_testkit::tools::{have, have_root, run};
use xfs_btrfs::{Dice, FileDevice, Mutated, fill, sparse, text, with_mounted};

mod xfs_btrfs;

const TOOLS: [&str; 2] = ["mkfs.xfs", "xfs_db"];

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

fn number(image: &Path, place: &str, field: &str) -> u64 {
    let show = format!("p {field}");
    let output = run("xfs_db", &["-r", "-c", place, "-c", &show, text(image)]).unwrap();
    let line = String::from_utf8(output.stdout).unwrap();
    line.split_whitespace().last().unwrap().parse().unwrap()
}

#[test]
fn sys_what_is_not_understood_is_refused() {
    if !have(&TOOLS) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let other = sparse(dir.path(), "other", 64);
    let image = sparse(dir.path(), "volume", 64);
    mkfs(&image, &format!("-r rtdev={}", text(&other)));
    assert!(matches!(
        map(&image).unwrap_err(),
        FsError::Unsupported { .. }
    ));
    mkfs(&image, &format!("-l logdev={},size=8m", text(&other)));
    assert!(matches!(
        map(&image).unwrap_err(),
        FsError::Unsupported { .. }
    ));
    mkfs(&image, "");
    let original = fs::read(&image).unwrap();
    // Incompatible features: needs repair, metadata directory, zoned, unknown; then read-only compatible; in progress.
    for (at, bit, corrupt) in [
        (219, 0x10, true),
        (218, 0x01, false),
        (218, 0x02, false),
        (216, 0x80, false),
        (215, 0x40, false),
        (126, 1, true),
    ] {
        let mut raw = original.clone();
        raw[at] |= bit;
        mend_sector(&mut raw[..512]);
        let error = xfs::map(&raw, &MapOptions::default()).unwrap_err();
        assert_eq!(matches!(error, FsError::Corrupt { .. }), corrupt, "{error}");
        assert_eq!(
            matches!(error, FsError::Unsupported { .. }),
            !corrupt,
            "{error}"
        );
    }
    let short = &original[..original.len() - 4096].to_vec();
    assert!(matches!(
        xfs::map(short, &MapOptions::default()),
        Err(FsError::Corrupt { .. })
    ));
}

/// Both free-space trees are moved over the first inodes, with every count right: v4 has no checksums that would tell.
#[test]
fn sys_inodes_in_free_space_are_refused() {
    if !have(&TOOLS) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let image = sparse(dir.path(), "volume", 64);
    mkfs(&image, "-m crc=0");
    let mut raw = fs::read(&image).unwrap();
    for field in ["bnoroot", "cntroot"] {
        let root = usize::try_from(number(&image, "agf 0", field)).unwrap();
        let record = root * 4096 + 16;
        let start = u32::from_be_bytes(raw[record..record + 4].try_into().unwrap());
        raw[record..record + 4].copy_from_slice(&(start - 4).to_be_bytes());
        let error = xfs::map(&raw, &MapOptions::default())
            .unwrap_err()
            .to_string();
        let sign = if field == "bnoroot" {
            "by size only"
        } else {
            "inode"
        };
        assert!(error.contains(sign), "{error}");
    }
}

#[test]
fn guards_of_hostile_heads_are_bounded() {
    let mut dice = Dice::new(5);
    for _ in 0..200 {
        let mut head = dice.bytes(512);
        head[..4].copy_from_slice(b"XFSB");
        if dice.below(2) == 0 {
            head[4..8].copy_from_slice(&512u32.to_be_bytes());
            head[84..88].copy_from_slice(&64u32.to_be_bytes());
            head[88..92].copy_from_slice(&u32::MAX.to_be_bytes());
        }
        let guards = xfs::guards(&head, u64::MAX);
        assert!(
            guards.len() <= 1 << 20 && guards.windows(2).all(|pair| pair[0].end <= pair[1].start)
        );
    }
    assert_eq!(
        xfs::guards(b"XFSB", 1 << 30).as_slice(),
        std::slice::from_ref(&(0..512))
    );
    assert!(xfs::guards(b"XFSB", 100).is_empty());
    assert!(xfs::guards(b"no", 1 << 30).is_empty());
}

/// Makes the checksum of a v5 header or tree block right again.
fn mend_sector(block: &mut [u8]) {
    let at = match &block[..4] {
        b"XFSB" => 224,
        b"XAGF" => 216,
        b"XAGI" => 312,
        b"AB3B" | b"AB3C" | b"IAB3" => 52,
        _ => return,
    };
    block[at..at + 4].fill(0);
    let sum = crc32c::crc32c(block);
    block[at..at + 4].copy_from_slice(&sum.to_le_bytes());
}

/// Where headers and tree blocks are; and a few blocks of the log.
fn metadata(raw: &[u8], log: usize) -> Vec<(usize, usize)> {
    let mut places = Vec::new();
    for at in (0..raw.len()).step_by(512) {
        match &raw[at..at + 4] {
            b"XFSB" if at == 0 => places.push((at, 512)),
            b"XAGF" | b"XAGI" => places.push((at, 512)),
            b"AB3B" | b"AB3C" | b"ABTB" | b"ABTC" | b"IAB3" | b"IABT" => places.push((at, 1024)),
            _ => {}
        }
    }
    places.extend((0..4).map(|block| (log + block * 512, 512)));
    places
}

#[test]
fn sys_mutated_metadata_never_panics_nor_changes_a_map_behind_a_checksum() {
    if !have(&TOOLS) || !have_root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let image = sparse(dir.path(), "volume", 40);
    for (options, seed) in [("-b size=1024", 11), ("-m crc=0 -b size=1024", 12)] {
        mkfs(&image, options);
        if !options.contains("crc=0") {
            with_mounted(&image, "", |root| fill(root, 900, &mut Dice::new(seed)));
        }
        let raw = fs::read(&image).unwrap();
        let whole = map(&image).unwrap();
        let log = usize::try_from(number(&image, "sb 0", "logstart")).unwrap();
        let per_group = usize::try_from(number(&image, "sb 0", "agblocks")).unwrap();
        let bits = per_group.next_power_of_two().trailing_zeros();
        let log = ((log >> bits) * per_group + (log & ((1 << bits) - 1))) * 1024;
        let places = metadata(&raw, log);
        assert!(places.len() > 12, "{}", places.len());
        let mut dice = Dice::new(seed);
        let (mut refused, mut lost) = (0, 0);
        let begin = Instant::now();
        for round in 0..2500 {
            let mend = round % 3 != 0;
            let mutated = Mutated::new(&raw, &places, &mut dice, |block| {
                if mend {
                    mend_sector(block);
                }
            });
            match xfs::map(&mutated, &MapOptions::default()) {
                Err(_) => refused += 1,
                Ok(volume) if !mend && !options.contains("crc=0") => {
                    assert_eq!(volume.used, whole.used, "round {round}");
                }
                Ok(volume) => lost += u64::from(volume.used != whole.used),
            }
        }
        writeln!(
            std::io::stderr(),
            "{options}: {refused} of 2500 refused, {lost} other maps in {:?}",
            begin.elapsed()
        )
        .unwrap();
        assert!(refused > 200 && lost <= 5 && begin.elapsed() < Duration::from_mins(2));
    }
}
