//! Diff: what two images share, by content.

use std::collections::HashSet;

use azud_core::format::Hash;

use crate::native::Native;

/// Frames and bytes of image B, split by whether image A has the same content.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Difference {
    /// Frames of B whose content A has too.
    pub shared_frames: usize,
    /// Their content in bytes.
    pub shared_content: u64,
    /// Their bytes in B's file.
    pub shared_compressed: u64,
    /// Frames of B that A lacks: what a machine that has A must fetch to get B.
    pub new_frames: usize,
    /// Their content in bytes.
    pub new_content: u64,
    /// Their bytes in B's file.
    pub new_compressed: u64,
    /// Frames of A that B lacks.
    pub gone_frames: usize,
    /// Their content in bytes.
    pub gone_content: u64,
}

/// Compares two images.
pub fn diff(a: &Native, b: &Native) -> Difference {
    let hashes = |image: &Native| {
        image
            .frames()
            .iter()
            .map(|frame| frame.content_hash)
            .collect::<HashSet<Hash>>()
    };
    let (in_a, in_b) = (hashes(a), hashes(b));
    let mut out = Difference::default();
    for frame in b.frames() {
        let (content, compressed) = (
            u64::from(frame.content_len),
            u64::from(frame.compressed_len),
        );
        if in_a.contains(&frame.content_hash) {
            out.shared_frames += 1;
            out.shared_content += content;
            out.shared_compressed += compressed;
        } else {
            out.new_frames += 1;
            out.new_content += content;
            out.new_compressed += compressed;
        }
    }
    for frame in a
        .frames()
        .iter()
        .filter(|frame| !in_b.contains(&frame.content_hash))
    {
        out.gone_frames += 1;
        out.gone_content += u64::from(frame.content_len);
    }
    out
}
