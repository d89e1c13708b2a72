//! Every compressor's own programs: members, damage, truncation, what follows the end.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::path::Path;

use azud_core::code::Code;
use azud_image::foreign::Compressor;
use azud_image::foreign::compress::open;
use azud_testkit::tools::{have, sh};
use foreign_kit::{Rng, drain, peel};

mod foreign_kit;

/// Command and compressor.
const TOOLS: [(&str, Compressor); 9] = [
    ("gzip -1", Compressor::Gzip),
    ("pigz -p 2 -b 128", Compressor::Gzip),
    ("zstd -q -1 --check", Compressor::Zstd),
    ("xz -1", Compressor::Xz),
    ("bzip2 -1", Compressor::Bzip2),
    ("lz4 -q -B4 -BD", Compressor::Lz4),
    ("lz4 -q -1 -B5 -BX --content-size", Compressor::Lz4),
    ("lzop -q -1", Compressor::Lzop),
    ("lzop -q -9", Compressor::Lzop),
];

const SKIPPABLE: [u8; 12] = [0x5A, 0x2A, 0x4D, 0x18, 4, 0, 0, 0, 1, 2, 3, 4];

fn tools() -> bool {
    have(&["gzip", "pigz", "zstd", "xz", "bzip2", "lz4", "lzop"])
}

fn pack(tool: &str, content: &[u8], dir: &Path) -> Vec<u8> {
    let path = dir.join("content");
    std::fs::write(&path, content).unwrap();
    sh(&format!("{tool} < \"$1\""), &[path.to_str().unwrap()])
        .unwrap()
        .stdout
}

#[test]
fn members_one_after_another_are_one_content() {
    if !tools() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut rng = Rng(21);
    let (first, second) = (rng.mixed(700_000), rng.mixed(300_001));
    for (tool, compressor) in TOOLS {
        let parts = [&first[..], &[], &second].map(|part| pack(tool, part, dir.path()));
        let (found, content) = peel(&parts.concat()).unwrap_or_else(|e| panic!("{tool}: {e}"));
        assert_eq!(found, compressor, "{tool}");
        assert!(content == [&first[..], &second].concat(), "{tool}");
        assert_eq!(peel(&parts[1]).unwrap(), (compressor, Vec::new()), "{tool}");
    }
}

#[test]
fn content_that_no_checksum_covers_is_told() {
    if !tools() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let content = Rng(23).mixed(300_000);
    let is_bare = |bytes: Vec<u8>| {
        let mut opened = open(Box::new(std::io::Cursor::new(bytes))).unwrap();
        let found = drain(&mut opened.reader, usize::MAX).unwrap();
        assert!(found.len() % content.len() == 0 && found.starts_with(&content));
        opened.bare.is_set()
    };
    assert!(is_bare(content.clone()));
    for (with, without) in [
        ("zstd -q --check", "zstd -q --no-check"),
        ("xz -1", "xz -1 --check=none"),
        ("lz4 -q", "lz4 -q --no-frame-crc"),
        ("lz4 -q -BX --no-frame-crc", "lz4 -q -B4 --no-frame-crc"),
        ("lzop -q", "lzop -q -F"),
    ] {
        let [with, without] = [with, without].map(|tool| pack(tool, &content, dir.path()));
        assert!(!is_bare(with.clone()));
        assert!(is_bare(without.clone()));
        // One member is enough, wherever it is.
        assert!(is_bare([&with[..], &without].concat()));
        assert!(is_bare([without, with].concat()));
    }
    assert!(!is_bare(pack("gzip", &content, dir.path())));
    assert!(!is_bare(pack("bzip2", &content, dir.path())));
}

#[test]
fn skippable_frames_are_skipped() {
    if !tools() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let content = Rng(22).mixed(300_000);
    for tool in ["zstd -q -1", "lz4 -q -1"] {
        let frame = pack(tool, &content, dir.path());
        let between = [&frame[..], &SKIPPABLE, &SKIPPABLE, &frame, &SKIPPABLE].concat();
        let (_, found) = peel(&between).unwrap();
        assert!(found == [&content[..], &content].concat(), "{tool}");
        for cut in 1..SKIPPABLE.len() {
            let error = peel(&between[..between.len() - cut]).unwrap_err();
            assert_eq!(error.code(), Code::Truncated, "{tool} {cut}: {error}");
        }
    }
    let frame = pack("zstd -q -1", &content, dir.path());
    let (compressor, found) = peel(&[&SKIPPABLE[..], &frame].concat()).unwrap();
    assert_eq!(compressor, Compressor::Zstd);
    assert!(found == content);
}

#[test]
fn truncations_are_found() {
    if !tools() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let content = Rng(23).mixed(400_000);
    for (tool, compressor) in TOOLS {
        let packed = pack(tool, &content, dir.path());
        let cuts = (9..70).chain((70..packed.len()).step_by(packed.len() / 50));
        for cut in cuts.chain(packed.len() - 40..packed.len()) {
            let error = peel(&packed[..cut]).expect_err("a truncated file passed");
            assert_eq!(error.code(), Code::Truncated, "{tool} at {cut}: {error}");
        }
        // A second member that is cut.
        let twice = [&packed[..], &packed].concat();
        for cut in (packed.len() + 1..packed.len() + 60).chain([twice.len() - 1]) {
            let error = peel(&twice[..cut]).expect_err("a truncated member passed");
            assert_eq!(error.code(), Code::Truncated, "{tool} at {cut}: {error}");
        }
        assert_eq!(Compressor::detect(&packed), compressor);
    }
}

#[test]
fn what_follows_the_end_is_found() {
    if !tools() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let content = Rng(24).mixed(50_000);
    for (tool, _) in TOOLS {
        let packed = pack(tool, &content, dir.path());
        for more in [
            &b"x"[..],
            b"\0\0\0\0\0\0\0\0\0\0\0\0\0",
            b"garbage at the end of it",
        ] {
            // xz allows zeros in fours after a stream; thirteen are not.
            assert!(
                peel(&[&packed[..], more].concat()).is_err(),
                "{tool} {more:?}"
            );
        }
    }
}

/// A flipped bit is found, or lies where it changes nothing of the content (names, dates, levels).
#[test]
fn flipped_bits_never_change_the_content() {
    if !tools() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut rng = Rng(25);
    let content = rng.mixed(120_000);
    for (tool, _) in TOOLS {
        let mut packed = pack(tool, &content, dir.path());
        let mut harmless = 0;
        let places: Vec<usize> = (0..40 * 8)
            .chain((0..400).map(|_| rng.below(packed.len() * 8)))
            .collect();
        for place in places {
            packed[place / 8] ^= 1 << (place % 8);
            match peel(&packed) {
                // Another first byte makes it a file of no known compressor.
                Ok((Compressor::None, _)) => assert!(place < 9 * 8, "{tool}, bit {place}"),
                Ok((_, found)) => {
                    assert!(found == content, "{tool}, bit {place}");
                    harmless += 1;
                }
                Err(_) => {}
            }
            packed[place / 8] ^= 1 << (place % 8);
        }
        assert!(
            harmless < 120,
            "{tool}: {harmless} of 720 bits do not matter"
        );
    }
}

#[test]
fn windows_beyond_the_limit_are_refused() {
    if !tools() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let content = vec![7; 300_000];
    for tool in ["zstd -q --ultra -1 --long=29", "xz --lzma2=dict=512MiB"] {
        let error = peel(&pack(tool, &content, dir.path())).unwrap_err();
        assert_eq!(error.code(), Code::TooLarge, "{tool}: {error}");
    }
    let large = pack("zstd -q -1 --long=27", &content, dir.path());
    assert!(peel(&large).unwrap().1 == content);
}

fn adler(bytes: &[u8]) -> [u8; 4] {
    simd_adler32::adler32(&bytes).to_be_bytes()
}

fn word(bytes: &[u8], at: usize) -> usize {
    u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) as usize
}

/// What lzop wrote, with other flags: a CRC in the header, an extra field, all four checksums.
fn lzop_with_everything(packed: &[u8]) -> Vec<u8> {
    let mut head = packed[9..34].to_vec();
    assert_eq!(head[24], 0, "no name from standard input");
    assert_eq!(word(packed, 17) & 0xFFFF, 0xD, "one checksum by default");
    let flags = 0x0300_000D | 0x2 | 0x40 | 0x100 | 0x200 | 0x1000_u32;
    head[4..6].copy_from_slice(&0x1001_u16.to_be_bytes());
    head[8..12].copy_from_slice(&flags.to_be_bytes());
    let mut out = [&packed[..9], &head, &crc32fast::hash(&head).to_be_bytes()].concat();
    let extra = [&5_u32.to_be_bytes()[..], b"extra"].concat();
    out.extend([&extra[..], &crc32fast::hash(&extra).to_be_bytes()].concat());
    let mut at = 38;
    while word(packed, at) != 0 {
        let (len, packed_len) = (word(packed, at), word(packed, at + 4));
        let data = &packed[at + 12..at + 12 + packed_len];
        let mut content = vec![0; len];
        if packed_len < len {
            lzokay::decompress::decompress(data, &mut content).unwrap();
        } else {
            content.copy_from_slice(data);
        }
        out.extend(&packed[at..at + 8]);
        out.extend([adler(&content), crc32fast::hash(&content).to_be_bytes()].concat());
        if packed_len < len {
            out.extend([adler(data), crc32fast::hash(data).to_be_bytes()].concat());
        }
        out.extend(data);
        at += 12 + packed_len;
    }
    out.extend([0; 4]);
    out
}

#[test]
fn lzop_headers_of_every_kind_are_read() {
    if !tools() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut rng = Rng(26);
    // Compressible blocks and, in the middle, one that is stored.
    let content = [rng.mixed(600_000), rng.bytes(300_000), vec![0; 300_000]].concat();
    let mut all = lzop_with_everything(&pack("lzop -q -1", &content, dir.path()));
    let path = dir.path().join("all.lzo");
    std::fs::write(&path, &all).unwrap();
    let stock = sh("lzop -q -dc \"$1\"", &[path.to_str().unwrap()])
        .unwrap()
        .stdout;
    assert!(
        stock == content,
        "the stock program reads the made file too"
    );
    assert!(peel(&all).unwrap().1 == content);
    for _ in 0..400 {
        let place = (9 + rng.below(all.len() - 9)) * 8 + rng.below(8);
        all[place / 8] ^= 1 << (place % 8);
        assert!(
            peel(&all).is_err(),
            "bit {place}: every byte is under a checksum"
        );
        all[place / 8] ^= 1 << (place % 8);
    }
    for (flag, at) in [(0x04, 19), (0x08, 19), (0x40, 19), (0x01, 18)] {
        all[at] ^= flag;
        assert_eq!(
            peel(&all).unwrap_err().code(),
            Code::UnknownFormat,
            "flag {flag:#x} at {at}"
        );
        all[at] ^= flag;
    }
    all[13] = 0x10;
    all[14] = 0x50;
    assert_eq!(peel(&all).unwrap_err().code(), Code::Newer);
    let named = dir.path().join("named");
    std::fs::write(&named, &content).unwrap();
    for options in ["-1", "-1 --crc32", "-3 -F", "-7 -P"] {
        let script = format!("cd / && lzop -q {options} -c \"$1\"");
        let packed = sh(&script, &[named.to_str().unwrap()]).unwrap().stdout;
        assert!(peel(&packed).unwrap().1 == content, "lzop {options}");
    }
}

/// Damaged beyond recognition, cut and put together wrongly: never a panic, never without end.
#[test]
fn mutated_files_never_panic() {
    const SEED: u64 = 5150;
    if !tools() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut rng = Rng(SEED);
    let content = rng.mixed(90_000);
    let bases: Vec<Vec<u8>> = TOOLS
        .iter()
        .map(|(tool, _)| pack(tool, &content, dir.path()))
        .collect();
    let mut refused = 0;
    for round in 0..3000 {
        let mut file = bases[round % bases.len()].clone();
        for _ in 0..=rng.below(5) {
            let near = rng.below(2) == 0;
            let at = rng.below(if near { file.len().min(64) } else { file.len() });
            match rng.below(4) {
                0 => file[at] ^= 1 << rng.below(8),
                1 => file[at] = [0, 1, 0x7F, 0x80, 0xFF][rng.below(5)],
                2 => {
                    let other = &bases[rng.below(bases.len())];
                    file.splice(at.., other[rng.below(other.len())..].iter().copied());
                    file.push(0);
                }
                _ => file.insert(at, rng.next().to_le_bytes()[0]),
            }
        }
        match peel(&file) {
            Ok((Compressor::None, _)) => {}
            Ok((_, found)) => assert!(found == content, "round {round} of seed {SEED}"),
            Err(_) => refused += 1,
        }
    }
    assert!(refused > 2000, "{refused}");
}
