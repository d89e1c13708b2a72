//! The seek table, as a library that knows only zstd's seekable format reads it.

use std::io::{Cursor, Read};

use azud_core::progress::Silent;
use azud_image::{Native, write_partclone};
use zeekstd::DecodeOptions;

use super::{noise, v1};

#[test]
fn any_reader_of_the_seekable_format_finds_any_range() {
    let native = Native::open(&v1::FILE).expect("opens");
    let mut plain = Vec::new();
    write_partclone(&native, &v1::FILE, &mut plain, &Silent).expect("decodes");
    let dice = noise(99, 16 * 200);
    for pair in dice.chunks_exact(16) {
        let number = |at: usize| u64::from_le_bytes(pair[at..at + 8].try_into().expect("eight"));
        let from = number(0) % (plain.len() as u64 + 1);
        let to = from + number(8) % (plain.len() as u64 + 1 - from);
        let options = DecodeOptions::new(Cursor::new(v1::FILE))
            .offset(from)
            .offset_limit(to);
        let mut decoder = options.into_decoder().expect("a seek table");
        let entries = decoder.seek_table().num_frames() as usize;
        assert_eq!(entries, native.frames().len() + 2);
        let mut got = Vec::new();
        decoder.read_to_end(&mut got).expect("decodes");
        let at = |offset: u64| usize::try_from(offset).expect("small");
        assert!(got == plain[at(from)..at(to)], "{from}..{to}");
    }
}
