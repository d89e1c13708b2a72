//! Writing lzop's files.

use std::io;

use crate::foreign::compress::lzop::{ADLER_CONTENT, MAGIC, NEWEST, WITH_LEVEL, adler32};

/// The size of blocks that lzop itself makes.
const OUR_BLOCK: usize = 256 << 10;
/// What ends a file: a block without content.
pub(super) const END: [u8; 4] = [0; 4];

/// The magic number and header of a file without name and time.
pub(super) fn head() -> Vec<u8> {
    /// The library whose version lzop writes down.
    const LIBRARY: u16 = 0x20A0;
    const LZO1X_1: u8 = 1;
    const LEVEL: u8 = 3;
    const UNIX: u32 = 0x0300_0000;
    const FILE_MODE: u32 = 0o100_644;
    let mut header = Vec::new();
    for half in [NEWEST, LIBRARY, WITH_LEVEL] {
        header.extend_from_slice(&half.to_be_bytes());
    }
    header.extend_from_slice(&[LZO1X_1, LEVEL]);
    for word in [ADLER_CONTENT | UNIX, FILE_MODE, 0, 0] {
        header.extend_from_slice(&word.to_be_bytes());
    }
    header.push(0);
    let sum = adler32(&header);
    [&MAGIC, &header[..], &sum.to_be_bytes()].concat()
}

/// Content as blocks of such a file.
pub(super) fn blocks(content: &[u8]) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    for block in content.chunks(OUR_BLOCK) {
        let packed = lzokay::compress::compress(block)
            .map_err(|error| io::Error::other(format!("LZO: {error}")))?;
        // What does not shrink is stored: equal lengths say so.
        let stored = if packed.len() < block.len() {
            &packed
        } else {
            block
        };
        for len in [block.len(), stored.len()] {
            let len = u32::try_from(len).map_err(io::Error::other)?;
            out.extend_from_slice(&len.to_be_bytes());
        }
        out.extend_from_slice(&adler32(block).to_be_bytes());
        out.extend_from_slice(stored);
    }
    Ok(out)
}
