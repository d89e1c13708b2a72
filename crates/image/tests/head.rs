//! The head of an image: damage there is listed like any other, and what it claims costs nothing.

use std::process::Command;

use azud_core::format::container::{self};
use azud_core::format::index::{Frame, Index};
use azud_core::format::partclone::{BitmapMode, Checksum, Header, jamcrc, jamcrc_extend};
use azud_core::progress::Silent;
use azud_image::{ImageError, Indexed, Native, verify};
use zstd_safe::{CCtx, CParameter};

fn header(total_blocks: u64, used_blocks: u64) -> Header {
    Header {
        tool: [0; 14],
        fs: [0; 16],
        device_size: total_blocks * 512,
        total_blocks,
        claimed_blocks: 0,
        used_blocks,
        block_size: 512,
        cpu_bits: 64,
        checksum: Checksum::None,
        blocks_per_checksum: 0,
        reseed: true,
        bitmap: BitmapMode::Bit,
    }
}

/// An image of these frames.
fn image(contents: &[&[u8]]) -> Vec<u8> {
    let mut context = CCtx::create();
    context
        .set_parameter(CParameter::ChecksumFlag(true))
        .expect("known");
    let (mut file, mut index) = (Vec::new(), Index::default());
    for content in contents {
        let mut bytes = Vec::with_capacity(zstd_safe::compress_bound(content.len()));
        context.compress2(&mut bytes, content).expect("compresses");
        index.frames.push(Frame {
            compressed_len: u32::try_from(bytes.len()).expect("small"),
            content_len: u32::try_from(content.len()).expect("small"),
            compressed_hash: *blake3::hash(&bytes).as_bytes(),
            content_hash: *blake3::hash(content).as_bytes(),
        });
        file.extend(bytes);
    }
    let (ending, _) = container::ending(&index);
    file.extend(ending);
    file
}

/// An image of a few kilobytes whose bitmap is `mib` MiB of one byte.
fn bomb(mib: usize, byte: u8, used_blocks: u64) -> Vec<u8> {
    let piece = vec![byte; 1 << 20];
    let sum = (0..mib).fold(jamcrc(&[]), |sum, _| jamcrc_extend(sum, &piece));
    let header = header((mib as u64) << 23, used_blocks).encode();
    let sum = sum.to_le_bytes();
    let mut frames: Vec<&[u8]> = vec![&header];
    frames.extend(std::iter::repeat_n(&piece[..], mib));
    frames.push(&sum);
    image(&frames)
}

#[test]
fn damage_in_the_head_is_listed_with_all_other() {
    let bits = [0xFF; 2];
    let sum = jamcrc(&bits).to_le_bytes();
    let header = header(16, 16).encode();
    let blocks = [7; 512 * 16];
    let mut file = image(&[&header, &bits, &sum, &blocks[..4096], &blocks[4096..]]);
    Native::open(&file).expect("it is whole");
    let places = Indexed::open(&file).expect("its index is whole");
    for frame in [0, 2, 4] {
        file[usize::try_from(places.offset(frame)).expect("small") + 6] ^= 1;
    }
    assert!(Native::open(&file).is_err());
    let indexed = Indexed::open(&file).expect("its index is still whole");
    for deep in [false, true] {
        let found = verify(&indexed, &file, deep, &Silent).expect_err("damaged");
        let ImageError::Frames { bad, total } = &found else {
            panic!("{found}");
        };
        assert_eq!((&bad[..], *total), (&[0, 2, 4][..], 5));
    }
}

/// The most memory that this process ever used, in KiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let word = line.and_then(|line| line.split_whitespace().next());
    word.and_then(|word| word.parse().ok()).expect("a number")
}

const CHILD: &str = "AZUD_TEST_BOMB";

/// What a child process says of the image, and the KiB that opening it took.
#[test]
fn regression_a_bitmap_costs_what_it_holds() {
    if let Some(path) = std::env::var_os(CHILD) {
        let file = std::fs::read(path).expect("the parent wrote it");
        let before = peak();
        let opened = Native::open(&file).map(|native| native.geometry().used.count());
        println!("took {} and {opened:?}.", peak() - before);
        return;
    }
    let dir = tempfile::tempdir().expect("a folder");
    let name = "regression_a_bitmap_costs_what_it_holds";
    let all = (512 << 20) * 8;
    let cases = [
        ("nothing is used", bomb(512, 0, 0), "Ok(0)"),
        (
            "no blocks for it",
            bomb(512, 0xFF, all),
            "do not hold the bitmap's blocks",
        ),
        (
            "no blocks for some",
            bomb(512, 0x10, all / 8),
            "do not hold the bitmap's blocks",
        ),
        ("a wrong count", bomb(512, 0xFF, 0), "count of used blocks"),
    ];
    for (what, file, answer) in cases {
        assert!(file.len() < 200_000, "{what}: no bomb: {}", file.len());
        let path = dir.path().join("bomb");
        std::fs::write(&path, file).expect("written");
        let this = std::env::current_exe().expect("known");
        let mut child = Command::new(this);
        child
            .args(["--exact", name, "--nocapture"])
            .env(CHILD, &path);
        let output = child.output().expect("runs");
        let said = String::from_utf8_lossy(&output.stdout);
        let said = said.lines().find_map(|line| line.strip_prefix("took "));
        let said = said.unwrap_or_else(|| panic!("{what}: {output:?}"));
        let (took, opened) = said.split_once(" and ").expect("both");
        assert!(opened.contains(answer), "{what}: {opened}");
        let took: u64 = took.parse().expect("KiB");
        assert!(took < 32 << 10, "{what}: {took} KiB");
    }
}
