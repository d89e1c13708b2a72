//! ntfsclone images: those of the real program, and those that nobody should believe.

use std::fs;
use std::io::Read;

use azud_core::code::Code;
use azud_image::foreign::ForeignError;
use azud_image::foreign::ntfsclone::{HEADER_LEN, MAGIC, NtfscloneReader, read_map};
use azud_testkit::tools::{have, sh};

const CLUSTER: u32 = 512;
const CLUSTERS: u64 = 40;

/// A header for a volume of 40 clusters and a tail of a sector, with one field replaced.
fn header(field: usize, bytes: &[u8]) -> Vec<u8> {
    let mut header = MAGIC.to_vec();
    header.extend([10, 1]);
    header.extend(CLUSTER.to_le_bytes());
    header.extend((CLUSTERS * u64::from(CLUSTER) + 512).to_le_bytes());
    header.extend(CLUSTERS.to_le_bytes());
    header.extend(3u64.to_le_bytes());
    header.extend(56u32.to_le_bytes());
    assert_eq!(header.len(), HEADER_LEN);
    header[field..field + bytes.len()].copy_from_slice(bytes);
    header.extend([0; 6]);
    header
}

fn gap(clusters: i64) -> Vec<u8> {
    let mut command = vec![0];
    command.extend(clusters.to_le_bytes());
    command
}

fn next(fill: u8) -> Vec<u8> {
    let mut command = vec![1];
    command.extend([fill; CLUSTER as usize]);
    command
}

fn good() -> Vec<u8> {
    [
        header(0, b""),
        next(1),
        gap(9),
        next(2),
        next(3),
        gap(28),
        next(4),
    ]
    .concat()
}

fn code(image: &[u8]) -> Code {
    read_map(image).expect_err("to be refused").code()
}

#[test]
fn clusters_come_in_order_and_the_tail_apart() {
    let image = good();
    let (volume, tails) = read_map(image.as_slice()).unwrap();
    let runs: Vec<_> = volume
        .used
        .runs()
        .map(|run| (run.start, run.count))
        .collect();
    assert_eq!(runs, [(0, 1), (10, 2)]);
    assert_eq!(
        (tails.len(), tails[0].offset),
        (1, CLUSTERS * u64::from(CLUSTER))
    );
    assert_eq!(tails[0].bytes, [4; 512]);
    let mut content = Vec::new();
    let mut reader = NtfscloneReader::open(image.as_slice(), volume.used.clone()).unwrap();
    reader.read_to_end(&mut content).unwrap();
    assert_eq!(content, [[1; 512], [2; 512], [3; 512]].concat());
    // Another image than the map was read of.
    let other = [header(0, b""), gap(40), next(4)].concat();
    let mut reader = NtfscloneReader::open(other.as_slice(), volume.used).unwrap();
    let error = reader.read_to_end(&mut content).unwrap_err();
    assert_eq!(ForeignError::from_io(error).code(), Code::Corrupt);
}

#[test]
fn an_image_cut_anywhere_is_no_image() {
    let image = good();
    // Without the last record it is whole, but for the backup boot sector: older writers leave that out.
    let whole = image.len() - 513;
    for len in 0..image.len() {
        let done = read_map(&image[..len]);
        assert_eq!(done.is_ok(), len == whole, "{len} bytes");
    }
    let longer = [image, vec![0]].concat();
    assert_eq!(code(&longer), Code::Corrupt);
}

#[test]
fn headers_and_commands_that_cannot_be_are_refused() {
    assert_eq!(code(b"ntfsclone"), Code::Truncated);
    assert_eq!(code(&[7; 200]), Code::UnknownFormat);
    let cases: [(usize, &[u8], Code); 9] = [
        (16, &[11], Code::Newer),
        (16, &[8], Code::UnknownFormat),
        (18, &0u32.to_le_bytes(), Code::Corrupt),
        (18, &1000u32.to_le_bytes(), Code::Corrupt),
        (18, &(4u32 << 20).to_le_bytes(), Code::Corrupt),
        (30, &(1u64 << 62).to_le_bytes(), Code::Corrupt),
        (30, &u64::MAX.to_le_bytes(), Code::Corrupt),
        (38, &41u64.to_le_bytes(), Code::Corrupt),
        (46, &10u32.to_le_bytes(), Code::Corrupt),
    ];
    for (at, bytes, wanted) in cases {
        assert_eq!(
            code(&[header(at, bytes), next(1)].concat()),
            wanted,
            "{bytes:?} at {at}"
        );
    }
    // Sizes that agree with each other but would need a map of petabytes.
    let mut vast = header(22, &(1u64 << 62).to_le_bytes());
    vast[30..38].copy_from_slice(&(1u64 << 53).to_le_bytes());
    assert_eq!(code(&vast), Code::TooLarge);
    for (commands, wanted) in [
        (gap(41), Code::Corrupt),
        (gap(-1), Code::Corrupt),
        (gap(0), Code::Corrupt),
        (vec![2], Code::Corrupt),
        ([gap(40), next(1), next(1)].concat(), Code::Corrupt),
        ([gap(39), gap(i64::MAX)].concat(), Code::Corrupt),
    ] {
        assert_eq!(
            code(&[header(0, b""), commands.clone()].concat()),
            wanted,
            "{commands:?}"
        );
    }
}

#[test]
fn what_the_real_program_saves_is_read() {
    if !have(&["mkntfs", "ntfsclone"]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    for (size, cluster) in [("20M", "512"), ("33M", "4096"), ("70M", "65536")] {
        let script =
            "cd \"$1\"; rm -f *; truncate -s $2 volume; mkntfs -q -F -c $3 volume > /dev/null 2>&1
            ntfsclone -q -f --save-image -O image volume > /dev/null 2>&1";
        sh(script, &[dir.path().to_str().unwrap(), size, cluster]).unwrap();
        let image = fs::read(dir.path().join("image")).unwrap();
        let device = fs::read(dir.path().join("volume")).unwrap();
        let (volume, tails) = read_map(image.as_slice()).unwrap();
        assert_eq!(volume.device_size, device.len() as u64);
        let mut content = Vec::new();
        NtfscloneReader::open(image.as_slice(), volume.used.clone())
            .unwrap()
            .read_to_end(&mut content)
            .unwrap();
        // Everything that is not in the image is zero on a fresh volume.
        let mut rebuilt = vec![0; device.len()];
        let block = volume.block_size as usize;
        let mut blocks = content.chunks(block);
        for run in volume.used.runs() {
            for number in run.start..run.start + run.count {
                let at = usize::try_from(number).unwrap() * block;
                rebuilt[at..at + block].copy_from_slice(blocks.next().unwrap());
            }
        }
        for tail in tails {
            let at = usize::try_from(tail.offset).unwrap();
            rebuilt[at..at + tail.bytes.len()].copy_from_slice(&tail.bytes);
        }
        assert!(rebuilt == device, "{size} in clusters of {cluster}");
    }
}
