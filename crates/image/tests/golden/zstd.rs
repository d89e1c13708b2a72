//! The bytes that each level gives. Images share frames only while these stay the same, so that another
//! libzstd is a decision and not an update.

use azud_core::bitmap::Bitmap;
use azud_core::cut::Lengths;
use azud_core::format::index::Facts;
use azud_core::progress::Silent;
use azud_image::capture::{CaptureOptions, capture};
use azud_image::fs::{FsKind, Volume};
use azud_image::{LEVELS, zstd_version};

use super::{hex, noise};

/// One frame's content, 300 KiB: noise, text, zeros, and again what came before.
fn content() -> Vec<u8> {
    let mut out = noise(7, 100 << 10);
    let lines = (0u32..).map(|n| format!("line {n} of a file that is like many others\n"));
    out.extend(lines.flat_map(String::into_bytes).take(80 << 10));
    out.resize(220 << 10, 0);
    out.extend_from_within(10_000..10_000 + (80 << 10));
    out
}

/// The BLAKE3 of the frame that a capture at this level makes of the content.
fn frame(level: i32) -> String {
    let content = content();
    let blocks = content.len() as u64 / 4096;
    let volume = Volume {
        kind: FsKind::Raw,
        block_size: 4096,
        claimed_used: blocks,
        used: Bitmap::full(blocks),
        device_size: content.len() as u64,
        tails: Vec::new(),
        label: None,
        uuid: None,
        sector_size: 0,
        left_out: Vec::new(),
    };
    let options = CaptureOptions {
        level,
        base: None,
        lengths: Some(Lengths {
            average: 4 << 20,
            before_gap: 4 << 20,
        }),
        facts: Facts::default(),
    };
    let mut file = Vec::new();
    let out = (&mut file as &mut dyn std::io::Write, &Silent as _);
    let made = capture(&volume, Vec::new(), &content[..], &options, out).expect("captures");
    assert_eq!(made.index.frames.len(), 3, "header, bitmap and one of data");
    hex(&made.index.frames[2].compressed_hash)
}

#[test]
fn every_level_gives_the_bytes_it_always_gave() {
    assert_eq!(zstd_version(), "1.5.7");
    let found: Vec<String> = LEVELS.map(frame).collect();
    assert_eq!(found, PINNED);
}

const PINNED: &[&str] = &[
    "40c26cb37e9742c70ee7ce56d9ed1a810c119e79976379c100166fc2beb33530",
    "6ea3cb735d09599df8685f12e53a80c651591df5afa78df4d067d7ed0e59994e",
    "ebf8db43fe19ae7e6ef069ec8eb142447694a92b7f307fe7fad4cf7dad87f493",
    "f720385c4b20c3aab046ffe40ffdbd613f2af99910048043d91b83374d329451",
    "5c7fad08b0f1c38341d64bed964d2f7fd3d5c904e0930a92aedfef9dcdc0c2ae",
    "403f78db5c6979d65565d8e9ac3337c56ca3307b1be6585a6cb036cd489da5b3",
    "1e068d3904e85792146074600d05f89f65930cf171744909f9aece455be8ffb3",
    "5dd79655622e3ab6c5388e34030c0edd628d65824e9d38ba2ba1e53bfb8e9808",
    "5dd79655622e3ab6c5388e34030c0edd628d65824e9d38ba2ba1e53bfb8e9808",
    "7143f5e17281a28955819357a6e12f74fa0e1893ce5490ded9612b3a80475942",
    "8e397ed6862768594a22d8cb3015711c79518f7b11b2671ff2e40b052bf9c90a",
    "8e397ed6862768594a22d8cb3015711c79518f7b11b2671ff2e40b052bf9c90a",
    "608fb8e4e624d66fcdba867b6c8768df02c98cf24264bf01107f9c53036b7d70",
    "86e1fd2063ba0196c150f371f28269ccec47e093f243ff0de24b524dad7d4170",
    "f2392b90f62d50198a655cc2cfe76cbda207cc3ab8cdf26f77d69c09bfedfa74",
    "a452c347aefeb3a73703f86c5729fe95432dee650b5190c66bb4a8fde2e3dcc7",
    "bef02847e68e2aa345f369f9dfecbf0f0c6703677ce22cc2af561e078cc12cf6",
    "1d3dbb660a3741d9c658de00e76f6bcd80a433c7bb938f052b88d7876d8a91b8",
    "5570546feded2d2932a931e92aabf88da244f15fb016e43abea35d03cbf9ef5d",
];
