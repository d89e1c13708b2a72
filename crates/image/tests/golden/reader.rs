//! A reader written from `docs/formats/image.md` alone: of the engine it uses nothing, and the program `zstd`
//! decodes. It is here to keep the document honest.
#![allow(clippy::unwrap_used, reason = "a test throughout")]

use std::io::Write;
use std::process::{Command, Stdio};

use azud_core::progress::Silent;
use azud_image::{Native, write_partclone};
use azud_testkit::tools::have;

use super::v1;

/// A row of the index' second section, and where its frame begins.
struct Row {
    start: usize,
    len: usize,
    content_len: usize,
    hash: [u8; 32],
    content_hash: [u8; 32],
}

/// What section 3 describes.
#[derive(Default)]
struct Index {
    facts: serde_json::Value,
    rows: Vec<Row>,
    tails: Vec<(u64, Vec<u8>)>,
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(bytes[at..at + 2].try_into().unwrap())
}

fn u32_at(bytes: &[u8], at: usize) -> usize {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}

fn place(bytes: &[u8], at: usize) -> usize {
    usize::try_from(u64_at(bytes, at)).unwrap()
}

/// Section 2.1: reflected 0xEDB88320, all ones to begin with, no final inversion.
fn crc(bytes: &[u8]) -> u32 {
    bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            crc >> 1 ^ if crc & 1 == 1 { 0xEDB8_8320 } else { 0 }
        })
    })
}

/// Sections 5, 4 and 3, from the end: the payload of the index and where the index begins.
fn find_index(file: &[u8]) -> (&[u8], usize, &[u8]) {
    let footer = &file[file.len() - 9..];
    assert_eq!(u32_at(footer, 5), 0x8F92_EAB1, "the footer's magic");
    assert_eq!(footer[4], 0, "no checksums");
    let entries = u32_at(footer, 0);
    let seek_at = file.len() - (8 + 8 * entries + 9);
    let seek = &file[seek_at..];
    assert_eq!(u32_at(seek, 0), 0x184D_2A5E);
    assert_eq!(u32_at(seek, 4), 8 * entries + 9);

    let trailer = &file[seek_at - 72..seek_at];
    assert_eq!((u32_at(trailer, 0), u32_at(trailer, 4)), (0x184D_2A5A, 64));
    assert_eq!(&trailer[8..16], b"AZUDEND\0");
    assert_eq!(u16_at(trailer, 16), 1);
    assert_eq!(&trailer[18..24], &[0; 6]);
    let (index_at, len) = (place(trailer, 24), place(trailer, 32));

    assert_eq!(index_at + 8 + len, seek_at - 72, "index and trailer adjoin");
    assert_eq!(
        (u32_at(file, index_at), u32_at(file, index_at + 4)),
        (0x184D_2A5A, len)
    );
    let payload = &file[index_at + 8..][..len];
    assert_eq!(blake3::hash(payload).as_bytes(), &trailer[40..72]);
    (payload, index_at, &seek[8..8 + 8 * entries])
}

/// Section 3.
fn read_index(payload: &[u8]) -> Index {
    assert_eq!(&payload[..8], b"AZUDIDX\0");
    assert_eq!((u16_at(payload, 8), u16_at(payload, 10)), (1, 0));
    let (mut index, mut at, mut last) = (Index::default(), 16, 0);
    for _ in 0..u32_at(payload, 12) {
        let (kind, flags, len) = (
            u16_at(payload, at),
            u16_at(payload, at + 2),
            place(payload, at + 8),
        );
        assert!(kind > last && u32_at(payload, at + 4) == 0);
        let body = &payload[at + 16..][..len];
        match kind {
            1 => index.facts = serde_json::from_slice(body).unwrap(),
            2 => index.rows = read_rows(body),
            3 => index.tails = read_tails(body),
            _ => assert_eq!(flags & 1, 0, "an unknown section that is critical"),
        }
        (at, last) = (at + 16 + len, kind);
    }
    assert_eq!(at, payload.len(), "nothing after the last section");
    index
}

fn read_rows(body: &[u8]) -> Vec<Row> {
    assert_eq!(body.len() % 72, 0);
    let mut start = 0;
    let rows = body.chunks(72).map(|row| {
        let (len, content_len) = (u32_at(row, 0), u32_at(row, 4));
        let small = if content_len < 131_072 {
            (131_072 - content_len) / 2048
        } else {
            0
        };
        let bound = content_len + content_len / 256 + small + 22;
        assert!((1..=bound).contains(&len) && (1..=16_777_216).contains(&content_len));
        start += len;
        Row {
            start: start - len,
            len,
            content_len,
            hash: row[8..40].try_into().unwrap(),
            content_hash: row[40..72].try_into().unwrap(),
        }
    });
    rows.collect()
}

fn read_tails(body: &[u8]) -> Vec<(u64, Vec<u8>)> {
    let (mut tails, mut at) = (Vec::new(), 0);
    while at < body.len() {
        let len = u32_at(body, at + 8);
        tails.push((u64_at(body, at), body[at + 12..][..len].to_vec()));
        at += 12 + len;
    }
    tails
}

fn decode(frame: &[u8]) -> Vec<u8> {
    let mut zstd = Command::new("zstd");
    let zstd = zstd
        .arg("-dcq")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut child = zstd.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let frame = frame.to_vec();
    let feed = std::thread::spawn(move || input.write_all(&frame));
    let output = child.wait_with_output().unwrap();
    feed.join().unwrap().unwrap();
    assert!(output.status.success());
    output.stdout
}

/// The decoded stream of an image, everything of section 7 checked.
fn read(file: &[u8]) -> (Vec<u8>, Index) {
    let (payload, index_at, seek) = find_index(file);
    let index = read_index(payload);
    let end: usize = index.rows.iter().map(|row| row.len).sum();
    assert_eq!(end, index_at, "the frames end where the index begins");
    let entry = |len: usize, content: usize| {
        let number = |len: usize| u32::try_from(len).unwrap().to_le_bytes();
        [number(len), number(content)].concat()
    };
    let rows = index.rows.iter().map(|row| entry(row.len, row.content_len));
    let ours = [entry(8 + payload.len(), 0), entry(72, 0)];
    assert_eq!(rows.chain(ours).collect::<Vec<_>>().concat(), seek);
    let mut stream = Vec::new();
    for row in &index.rows {
        let frame = &file[row.start..][..row.len];
        assert_eq!(blake3::hash(frame).as_bytes(), &row.hash);
        let content = decode(frame);
        assert_eq!(content.len(), row.content_len);
        assert_eq!(blake3::hash(&content).as_bytes(), &row.content_hash);
        stream.extend(content);
    }
    (stream, index)
}

/// Section 2.1 and the counts of 2.2: the device's blocks in place, and where there is one.
fn place_blocks(stream: &[u8], rows: &[Row]) -> Vec<(u64, Vec<u8>)> {
    let header = &stream[..110];
    assert_eq!(rows[0].content_len, 110);
    assert_eq!(&header[..16], b"partclone-image\0");
    assert_eq!(&header[30..36], b"0002\xDE\xC0");
    let [total, used] = [60, 76].map(|at| u64_at(header, at));
    let block = u32_at(header, 84);
    assert_eq!(
        (u32_at(header, 88), u16_at(header, 92), u16_at(header, 94)),
        (18, 2, 64)
    );
    assert_eq!(
        (u16_at(header, 96), u16_at(header, 98), u32_at(header, 100)),
        (0, 0, 0)
    );
    assert_eq!(header[105], 1, "a bitmap of bits");
    assert_eq!(crc(&header[..106]).to_le_bytes(), header[106..110]);
    assert!(total * block as u64 <= u64_at(header, 52));
    let bits = &stream[110..][..usize::try_from(total.div_ceil(8)).unwrap()];
    let data = 110 + bits.len() + 4;
    assert_eq!(crc(bits).to_le_bytes(), stream[data - 4..data]);
    let is_used = |i: &u64| bits[usize::try_from(i / 8).unwrap()] >> (i % 8) & 1 == 1;
    assert!(
        !(total..bits.len() as u64 * 8).any(|i| is_used(&i)),
        "surplus bits"
    );
    let blocks = (0..total).filter(is_used).map(|i| i * block as u64);
    let placed: Vec<_> = blocks
        .zip(stream[data..].chunks(block).map(Vec::from))
        .collect();
    assert_eq!(placed.len() as u64, used);
    assert_eq!(stream.len(), data + placed.len() * block);
    placed
}

#[test]
fn a_reader_written_from_the_document_reads_the_same() {
    if !have(&["zstd"]) {
        return;
    }
    let (stream, index) = read(v1::FILE);
    let native = Native::open(&v1::FILE).unwrap();
    let mut ours = Vec::new();
    write_partclone(&native, &v1::FILE, &mut ours, &Silent).unwrap();
    assert!(stream == ours);
    let device = v1::device();
    for (at, bytes) in place_blocks(&stream, &index.rows)
        .iter()
        .chain(&index.tails)
    {
        let at = usize::try_from(*at).unwrap();
        assert!(device[at..at + bytes.len()] == bytes[..], "at {at}");
    }
    assert_eq!(index.tails.len(), 1);
    let facts = &index.facts;
    assert_eq!(facts["fs"], "NTFS");
    assert_eq!(facts["label"], "Aula ñ");
    let cut = &facts["cut"];
    assert_eq!(
        (&cut["rule"], &cut["average"], &cut["before_gap"]),
        (&2.into(), &16384.into(), &8192.into())
    );
    assert_eq!(facts["left_out"][0][0], "pagefile.sys");
    assert_eq!(facts["source"]["path"], "/dev/sda3");
}
