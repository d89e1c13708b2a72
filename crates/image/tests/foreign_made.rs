//! Images built from the format's facts: what no program here writes, hostile headers, mutations.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::io::Read;

use azud_core::bitmap::Bitmap;
use azud_core::code::Code;
use azud_core::format::partclone::{BitmapMode, Checksum, jamcrc};
use azud_image::foreign::ForeignError;
use azud_image::foreign::partclone::{PartcloneReader, read_map};
use azud_image::fs::FsKind;
use foreign_kit::{BLOCK, Made, MadeV1, Rng, drain, make_v1, make_v2, map_for, read_image};

mod foreign_kit;

const CHECKSUMS: [Checksum; 4] = [
    Checksum::None,
    Checksum::Crc32,
    Checksum::Xxh64,
    Checksum::Xxh3,
];
const BITMAPS: [BitmapMode; 3] = [BitmapMode::None, BitmapMode::Bit, BitmapMode::Byte];

fn all_made() -> impl Iterator<Item = Made> {
    let kinds = CHECKSUMS
        .iter()
        .flat_map(|c| BITMAPS.iter().map(move |b| (*c, *b)));
    kinds.flat_map(|(checksum, bitmap)| {
        [(true, 1), (true, 5), (false, 5), (true, 4000)].map(|(reseed, per_checksum)| Made {
            checksum,
            bitmap,
            reseed,
            per_checksum: if checksum == Checksum::None {
                0
            } else {
                per_checksum
            },
        })
    })
}

fn code_of(image: &[u8]) -> Code {
    read_image(image)
        .expect_err("this image must not pass")
        .code()
}

/// Makes the header's CRC right again after a change.
fn reseal(image: &mut [u8]) {
    let crc = jamcrc(&image[..106]);
    image[106..110].copy_from_slice(&crc.to_le_bytes());
}

fn with(image: &[u8], at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut changed = image.to_vec();
    changed[at..at + bytes.len()].copy_from_slice(bytes);
    reseal(&mut changed);
    changed
}

fn sample() -> (Vec<u8>, Bitmap, Vec<u8>) {
    let made = Made {
        checksum: Checksum::Crc32,
        bitmap: BitmapMode::Bit,
        reseed: true,
        per_checksum: 5,
    };
    make_v2(made, &mut Rng(3))
}

#[test]
fn every_kind_of_the_second_format_is_read() {
    let mut rng = Rng(11);
    for made in all_made() {
        let (image, map, content) = make_v2(made, &mut rng);
        let (volume, found) = read_image(&image).unwrap_or_else(|e| panic!("{made:?}: {e}"));
        assert_eq!(
            (&volume.used, volume.device_size),
            (&map, map.len() * 512 + 17),
            "{made:?}"
        );
        assert_eq!(volume.claimed_used, map.count() + 1);
        assert_eq!(volume.kind, FsKind::Partclone(*b"HFS Plus\0\0\0\0\0\0\0\0"));
        assert!(found == content, "{made:?}");
        let mut rest = &image[..];
        assert_eq!(read_map(&mut rest).unwrap().used, map);
    }
}

/// Only the blocks of an image without checksums are unprotected.
#[test]
fn every_flipped_bit_of_every_kind_is_found() {
    let mut rng = Rng(12);
    for made in all_made() {
        let (mut image, map, content) = make_v2(made, &mut rng);
        let data = match made.checksum {
            Checksum::None => image.len() - content.len(),
            _ => image.len(),
        };
        for bit in 0..800 {
            let place = if bit < 400 { bit } else { rng.below(data * 8) };
            image[place / 8] ^= 1 << (place % 8);
            assert!(
                read_image(&image).is_err(),
                "{made:?}, bit {place}, {map:?}"
            );
            image[place / 8] ^= 1 << (place % 8);
        }
    }
}

#[test]
fn truncations_and_what_follows_are_found() {
    let mut rng = Rng(13);
    for made in all_made() {
        let (image, _, _) = make_v2(made, &mut rng);
        for cut in (0..image.len())
            .step_by(1 + rng.below(90))
            .chain(image.len() - 20..image.len())
        {
            assert_eq!(code_of(&image[..cut]), Code::Truncated, "{made:?} at {cut}");
        }
        assert_eq!(code_of(&[&image[..], b"\0"].concat()), Code::Corrupt);
    }
}

#[test]
fn hostile_headers_are_refused() {
    let (image, map, _) = sample();
    let size = |n: u32| with(&image, 84, &n.to_le_bytes());
    let corrupt = [
        size(0),
        size(256),
        size(511),
        size(513),
        size(128 << 20),
        size(u32::MAX),
        with(&image, 52, &(map.len() * 512 - 1).to_le_bytes()),
        with(&image, 60, &u64::MAX.to_le_bytes()),
        with(&image, 60, &(1u64 << 55).to_le_bytes()),
        with(&image, 76, &(map.len() + 1).to_le_bytes()),
        with(&image, 76, &(map.count() - 1).to_le_bytes()),
        with(&image, 76, &(map.count() + 1).to_le_bytes()),
        with(&image, 76, &u64::MAX.to_le_bytes()),
        with(&image, 96, &[1]),
        with(&image, 98, &[8]),
        with(&image, 100, &[0; 4]),
        with(&image, 105, &[2]),
    ];
    for (which, image) in corrupt.iter().enumerate() {
        assert_eq!(code_of(image), Code::Corrupt, "case {which}");
    }
    assert_eq!(code_of(&with(&image, 96, &[0xFF])), Code::UnknownFormat);
    assert_eq!(
        code_of(&with(&image, 34, &[0xC0, 0xDE])),
        Code::ForeignEndian
    );
    assert_eq!(code_of(&with(&image, 30, b"0003")), Code::Newer);
    assert_eq!(code_of(&with(&image, 30, b"00x3")), Code::UnknownFormat);
    assert_eq!(code_of(&with(&image, 0, b"X")), Code::UnknownFormat);
    assert_eq!(
        code_of(b"a file of another kind, long enough"),
        Code::UnknownFormat
    );
    assert_eq!(code_of(b""), Code::Truncated);
}

/// A header may claim a map of gigabytes: only bytes that arrive take memory.
#[test]
fn a_lying_header_allocates_nothing() {
    let (image, _, _) = sample();
    let claim = |blocks: u64, mode: u8| {
        let image = with(&image, 52, &u64::MAX.to_le_bytes());
        let image = with(&image, 60, &blocks.to_le_bytes());
        code_of(&with(&image, 105, &[mode]))
    };
    assert_eq!(claim(1 << 35, 1), Code::Truncated);
    assert_eq!(claim(1 << 32, 8), Code::Truncated);
    assert_eq!(claim((1 << 35) + 1, 1), Code::TooLarge);
    assert_eq!(claim((1 << 32) + 1, 8), Code::TooLarge);
    assert_eq!(claim(1 << 40, 0), Code::TooLarge);
    let v1 = make_v1(
        MadeV1 {
            first_byte: true,
            wide: false,
            big_endian: false,
        },
        &Bitmap::full(3),
        &[],
    );
    let mut huge = v1.clone();
    huge[40..48].copy_from_slice(&u64::MAX.to_le_bytes());
    huge[48..56].copy_from_slice(&(1u64 << 32).to_le_bytes());
    assert_eq!(code_of(&huge), Code::Truncated);
    huge[36..40].copy_from_slice(&(64u32 << 20).to_le_bytes());
    assert_eq!(code_of(&huge), Code::Truncated);
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    assert!(peak_kib(&status) < 256 << 10, "{status}");
}

fn peak_kib(status: &str) -> u64 {
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn the_first_format_is_read_with_every_quirk() {
    let mut rng = Rng(14);
    for (first_byte, wide) in [(true, false), (true, true), (false, false), (false, true)] {
        let made = MadeV1 {
            first_byte,
            wide,
            big_endian: false,
        };
        let mut maps = vec![
            Bitmap::new(9),
            map_for(BitmapMode::Bit, &mut rng),
            Bitmap::full(2),
        ];
        let mut single = Bitmap::new(9);
        single.set(4);
        maps.push(single);
        for map in maps {
            let len = usize::try_from(map.count()).unwrap() * BLOCK;
            // Zeros as well: their checksums are the same with and without the fault.
            for content in [rng.mixed(len), rng.bytes(len), vec![0; len]] {
                let image = make_v1(made, &map, &content);
                let (volume, found) =
                    read_image(&image).unwrap_or_else(|e| panic!("{made:?}: {e}"));
                assert_eq!((volume.kind, &volume.used), (FsKind::Ext, &map), "{made:?}");
                assert!(found == content, "{made:?} {map:?}");
                assert_eq!(
                    code_of(&[&image[..], b"\0"].concat()),
                    Code::Corrupt,
                    "{made:?} {map:?}"
                );
                for _ in 0..20 {
                    let cut = rng.below(image.len());
                    assert_eq!(
                        code_of(&image[..cut]),
                        Code::Truncated,
                        "{made:?} {map:?} at {cut}"
                    );
                }
            }
        }
    }
}

/// The first format's checksum in its faulty form sees nothing but the first byte of a block: that
/// is what it can promise, and the correct form promises everything.
#[test]
fn damage_in_the_first_format_is_found_as_far_as_its_checksum_goes() {
    let mut rng = Rng(15);
    let map = map_for(BitmapMode::Bit, &mut rng);
    let content = rng.bytes(usize::try_from(map.count()).unwrap() * BLOCK);
    for first_byte in [true, false] {
        let made = MadeV1 {
            first_byte,
            wide: false,
            big_endian: false,
        };
        let image = make_v1(made, &map, &content);
        let data = 4160 + usize::try_from(map.len()).unwrap() + 8;
        for block in 0..usize::try_from(map.count()).unwrap() {
            let at = data + block * (BLOCK + 4);
            for place in [at, at + 1, at + BLOCK - 1, at + BLOCK, at + BLOCK + 3] {
                let mut bad = image.clone();
                bad[place] ^= 1 << rng.below(8);
                let inside = place > at && place < at + BLOCK;
                assert_eq!(
                    read_image(&bad).is_err(),
                    !(first_byte && inside),
                    "{made:?} {place}"
                );
            }
        }
        let mut bad = image.clone();
        bad[data - 1] ^= 1;
        assert_eq!(code_of(&bad), Code::Corrupt, "the mark after the map");
        bad = image.clone();
        let hole = (0..map.len()).find(|block| !map.get(*block)).unwrap();
        bad[4160 + usize::try_from(hole).unwrap()] = 1;
        assert_eq!(code_of(&bad), Code::Truncated, "a block more than there is");
    }
    let foreign = make_v1(
        MadeV1 {
            first_byte: true,
            wide: false,
            big_endian: true,
        },
        &map,
        &content,
    );
    assert_eq!(code_of(&foreign), Code::ForeignEndian);
}

/// What the checksums of the second format are, by their published test values.
#[test]
fn checksums_have_their_published_values_and_byte_order() {
    assert_eq!(jamcrc(b"123456789"), 0x340B_C6D9);
    assert_eq!(twox_hash::XxHash64::oneshot(0, b""), 0xEF46_DB37_51D8_E999);
    assert_eq!(
        twox_hash::XxHash3_128::oneshot(b""),
        0x99AA_06D3_0147_98D8_6001_C324_468D_497F
    );
}

struct Failing(usize);

impl Read for Failing {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        if self.0 == 0 {
            return Err(std::io::Error::from_raw_os_error(5));
        }
        let len = self.0.min(buf.len());
        buf[..len].fill(b'p');
        self.0 -= len;
        Ok(len)
    }
}

#[test]
fn a_failing_medium_is_told_from_a_damaged_image() {
    let (image, _, _) = sample();
    for cut in [0, 5, 50, 120, 2000, image.len()] {
        let reader = Box::new(std::io::Cursor::new(image[..cut].to_vec()).chain(Failing(0)));
        let error = azud_image::foreign::compress::open(reader)
            .and_then(|opened| PartcloneReader::open(opened.reader))
            .and_then(|reader| drain(reader, usize::MAX))
            .unwrap_err();
        assert!(
            matches!(error, ForeignError::Read { .. }),
            "at {cut}: {error}"
        );
        assert_eq!(error.code(), Code::Io);
    }
}

/// Changes a few places; half of the time the header's CRC is made right again.
fn mutate(image: &[u8], rng: &mut Rng) -> Vec<u8> {
    let mut out = image.to_vec();
    for _ in 0..=rng.below(6) {
        let at = if rng.below(2) == 0 {
            rng.below(out.len().min(200))
        } else {
            rng.below(out.len())
        };
        match rng.below(6) {
            0 => out[at] ^= 1 << rng.below(8),
            1 => out[at] = [0, 1, 0x7F, 0x80, 0xFF][rng.below(5)],
            2 => out.truncate(at.max(1)),
            3 => out.insert(at, rng.next().to_le_bytes()[0]),
            4 => {
                let to = (at + 1 + rng.below(64)).min(out.len());
                out.drain(at..to);
                out.push(0);
            }
            _ => {
                let to = (at + 8).min(out.len());
                let value = [u64::MAX, 1 << 40, 1 << 32, 0][rng.below(4)].to_le_bytes();
                out[at..to].copy_from_slice(&value[..to - at]);
            }
        }
    }
    if out.len() >= 110 && rng.below(2) == 0 {
        reseal(&mut out);
    }
    out
}

#[test]
fn mutated_images_never_panic_and_stay_small() {
    const SEED: u64 = 20_261_123;
    let mut rng = Rng(SEED);
    let mut bases: Vec<Vec<u8>> = all_made().map(|made| make_v2(made, &mut rng).0).collect();
    let map = map_for(BitmapMode::Bit, &mut rng);
    let content = rng.mixed(usize::try_from(map.count()).unwrap() * BLOCK);
    for (first_byte, wide) in [(true, false), (true, true), (false, false)] {
        bases.push(make_v1(
            MadeV1 {
                first_byte,
                wide,
                big_endian: false,
            },
            &map,
            &content,
        ));
    }
    let mut passed = 0;
    for round in 0..6000 {
        let image = mutate(&bases[round % bases.len()], &mut rng);
        let Ok(mut reader) = PartcloneReader::open(&image[..]) else {
            continue;
        };
        let promised = reader.volume().used_bytes();
        let mut given = 0;
        let whole = loop {
            match reader.read(&mut [0; 4096]) {
                Ok(0) => break true,
                Ok(len) => given += len as u64,
                Err(_) => break false,
            }
        };
        assert!(given <= promised, "round {round} of seed {SEED}");
        assert!(!whole || given == promised, "round {round} of seed {SEED}");
        passed += u32::from(whole);
    }
    // Unprotected blocks and harmless fields of the first format; far from all.
    assert!(passed > 10 && passed < 3000, "{passed}");
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    assert!(peak_kib(&status) < 256 << 10, "{status}");
}
