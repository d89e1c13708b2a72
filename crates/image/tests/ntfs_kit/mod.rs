//! NTFS volumes for the tests: made by mkntfs, filled through ntfs-3g, read by partclone, and changed by hand.
#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "helpers of tests; each file uses its own part"
)]

use std::ffi::OsStr;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use azud_core::bitmap::Bitmap;
use azud_testkit::loops::Mount;
use azud_testkit::tools::{have, have_root, run};

/// Whether everything is there; see `azud_testkit::tools`.
pub(crate) fn ready() -> bool {
    have(&[
        "mkntfs",
        "ntfs-3g",
        "ntfs-3g.probe",
        "ntfsfix",
        "partclone.ntfs",
        "blkid",
    ]) && have_root()
}

/// A path as an argument.
pub(crate) fn arg(path: &Path) -> &str {
    path.to_str().expect("temporary paths are UTF-8")
}

/// A fresh volume of `mib` MiB in a file of `dir`.
pub(crate) fn make(dir: &Path, cluster: u32, mib: u64) -> PathBuf {
    make_with(dir, 512, cluster, mib)
}

/// The same with sectors of another size.
pub(crate) fn make_with(dir: &Path, sector: u32, cluster: u32, mib: u64) -> PathBuf {
    let file = dir.join(format!("ntfs-{sector}-{cluster}-{mib}.img"));
    fs::File::create(&file).unwrap().set_len(mib << 20).unwrap();
    let (sector, cluster) = (sector.to_string(), cluster.to_string());
    let fixed = [
        "-F",
        "-Q",
        "-p",
        "0",
        "-H",
        "0",
        "-S",
        "0",
        "-L",
        "Sala 1 ñ",
    ];
    let sizes = ["-s", &sector, "-c", &cluster, arg(&file)];
    run("mkntfs", &[&fixed[..], &sizes].concat()).unwrap();
    file
}

/// Mounts a volume, lets `change` work in it, unmounts it.
pub(crate) fn with_mounted(file: &Path, change: impl FnOnce(&Path)) {
    let mount = Mount::new(file, Some("ntfs-3g"), "").unwrap();
    change(mount.path());
    mount.unmount().unwrap();
}

/// Bytes that look like nothing else, the same for the same seed.
pub(crate) fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut random = Random(seed);
    std::iter::repeat_with(|| random.next().to_le_bytes())
        .flatten()
        .take(len)
        .collect()
}

/// A small generator of numbers (splitmix64), so that a seed tells it all.
#[derive(Debug, Clone)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// The next number.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// The next number below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }
}

/// Many files written in turns and every other one deleted, directories, a compressible and an empty file, links.
pub(crate) fn fill(root: &Path, files: usize) {
    fs::create_dir_all(root.join("deep/er/still")).unwrap();
    for i in 0..files {
        fs::write(
            root.join(format!("deep/file {i}")),
            noise(700 + i * 37 % 9000, i as u64),
        )
        .unwrap();
    }
    for i in (0..files).step_by(2) {
        fs::remove_file(root.join(format!("deep/file {i}"))).unwrap();
    }
    fs::write(root.join("deep/er/in the holes"), noise(1_500_000, 7)).unwrap();
    fs::write(root.join("deep/er/still/ñandú.txt"), "x".repeat(30_000)).unwrap();
    fs::write(root.join("empty"), []).unwrap();
    fs::hard_link(root.join("deep/er/in the holes"), root.join("second name")).unwrap();
    // Enough names that the root directory needs index blocks.
    for i in 0..60 {
        fs::write(
            root.join(format!("a fairly long name in the root directory {i}")),
            [0; 10],
        )
        .unwrap();
    }
}

/// Writes until the volume is full, then deletes every other file: only holes are left.
pub(crate) fn make_holes(dir: &Path, hole: usize) {
    fs::create_dir(dir).unwrap();
    let name = |i: usize| dir.join(format!("{i}"));
    let mut count = 0;
    while fs::write(name(count), noise(hole, count as u64)).is_ok() {
        count += 1;
    }
    for i in (0..=count).step_by(2) {
        fs::remove_file(name(i)).unwrap();
    }
}

/// Block size and bitmap by partclone.
pub(crate) fn by_partclone(file: &Path) -> (u32, Bitmap) {
    let log = file.with_extension("log");
    let args = [
        "-q",
        "-c",
        "-a0",
        "-L",
        arg(&log),
        "-s",
        arg(file),
        "-o",
        "-",
    ];
    let image = run("partclone.ntfs", &args).unwrap().stdout;
    assert_eq!(&image[..15], b"partclone-image");
    assert_eq!(&image[30..34], b"0002");
    let total = u64::from_le_bytes(image[60..68].try_into().unwrap());
    let block_size = u32::from_le_bytes(image[84..88].try_into().unwrap());
    let bytes = usize::try_from(total.div_ceil(8)).unwrap();
    (
        block_size,
        Bitmap::from_bytes(&image[110..110 + bytes], total).unwrap(),
    )
}

/// What `blkid -p` says of a volume.
pub(crate) fn blkid(file: &Path, field: &str) -> String {
    let output = run("blkid", &["-p", "-s", field, "-o", "value", arg(file)]).unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// The root directory's picture, read through ntfs-3g.
pub(crate) fn picture(file: &Path, but: &[&str]) -> azud_testkit::tree::Picture {
    let mount = Mount::new(file, Some("ntfs-3g"), "ro").unwrap();
    let mut picture = azud_testkit::tree::picture(mount.path()).unwrap();
    mount.unmount().unwrap();
    picture.retain(|path, _| !but.iter().any(|name| path.as_os_str() == OsStr::new(name)));
    picture
}

/// A volume in memory whose metadata is changed by hand.
#[derive(Debug, Clone)]
pub(crate) struct Image(pub(crate) Vec<u8>);

impl Image {
    /// Reads a volume.
    pub(crate) fn read(file: &Path) -> Self {
        Self(fs::read(file).unwrap())
    }

    fn number(&self, at: usize, len: usize) -> usize {
        let bytes = &self.0[at..at + len];
        bytes
            .iter()
            .rev()
            .fold(0, |value, byte| value << 8 | usize::from(*byte))
    }

    /// Bytes per cluster (not for the largest ones).
    pub(crate) fn cluster(&self) -> usize {
        self.number(11, 2) * self.number(13, 1)
    }

    /// Where a record of the first run of the MFT is (records of 1024 bytes).
    pub(crate) fn record(&self, number: usize) -> Range<usize> {
        let at = self.number(48, 8) * self.cluster() + number * 1024;
        at..at + 1024
    }

    /// Where the first attribute of a type is.
    pub(crate) fn attribute(&self, record: usize, kind: usize) -> Range<usize> {
        let record = self.record(record);
        let mut at = record.start + self.number(record.start + 20, 2);
        while self.number(at, 4) != kind {
            assert!(self.number(at, 4) != 0xFFFF_FFFF, "no attribute 0x{kind:x}");
            at += self.number(at + 4, 4);
        }
        at..at + self.number(at + 4, 4)
    }

    /// First cluster and length of the first run of an attribute, in bytes.
    pub(crate) fn first_run(&self, record: usize, kind: usize) -> Range<usize> {
        let attribute = self.attribute(record, kind);
        let pairs = attribute.start + self.number(attribute.start + 32, 2);
        let (len, offset) = (
            usize::from(self.0[pairs] & 15),
            usize::from(self.0[pairs] >> 4),
        );
        let count = self.number(pairs + 1, len);
        let start = self.number(pairs + 1 + len, offset) * self.cluster();
        start..start + count * self.cluster()
    }

    /// The attributes of a record, each with its bytes.
    pub(crate) fn attributes(&self, record: usize) -> Vec<Vec<u8>> {
        let record = self.record(record);
        let mut at = record.start + self.number(record.start + 20, 2);
        let mut all = Vec::new();
        while self.number(at, 4) != 0xFFFF_FFFF {
            let len = self.number(at + 4, 4);
            all.push(self.0[at..at + len].to_vec());
            at += len;
        }
        all
    }

    /// Lays a record anew with these attributes; all of them must end before the first sector does,
    /// so that no fix-up is touched.
    pub(crate) fn lay(&mut self, record: usize, base: u64, attributes: &[Vec<u8>]) {
        let range = self.record(record);
        let first = range.start + 0x38;
        self.0[range.start + 20] = 0x38;
        self.0[range.start + 22] |= 1;
        self.0[range.start + 32..range.start + 40].copy_from_slice(&base.to_le_bytes());
        let mut bytes = attributes.concat();
        bytes.extend([0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0]);
        assert!(0x38 + bytes.len() < 510);
        self.0[first..range.start + 510].fill(0);
        self.0[first..first + bytes.len()].copy_from_slice(&bytes);
        let used = u32::try_from(0x38 + bytes.len()).unwrap();
        self.0[range.start + 24..range.start + 28].copy_from_slice(&used.to_le_bytes());
    }
}
