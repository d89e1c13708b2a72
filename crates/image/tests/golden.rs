//! What must never change: images that were written once, and the bytes that a compression level gives.

#[path = "golden/reader.rs"]
mod reader;
#[path = "golden/seekable.rs"]
mod seekable;
#[path = "golden/v1.rs"]
mod v1;
#[path = "golden/zstd.rs"]
mod zstd;

/// Bytes that look random and are the same for ever, half of which compress.
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed;
    let mut out = Vec::with_capacity(len + 8);
    while out.len() < len {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        out.extend(if state >> 63 == 0 {
            state.to_le_bytes()
        } else {
            *b"azud azu"
        });
    }
    out.truncate(len);
    out
}

fn hex(bytes: &[u8]) -> String {
    blake3::Hash::from_slice(bytes)
        .expect("a hash")
        .to_hex()
        .to_string()
}
