//! What the tests of this crate share: files of known noise, and guards for partitions and swap.
#![allow(dead_code, reason = "every test file uses its own part of this")]
#![allow(unreachable_pub, reason = "a module of tests has no outside")]
#![allow(clippy::print_stderr, reason = "a guard that fails can only say so")]

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use azud_testkit::loops::Loop;
use azud_testkit::tools::run;
use tempfile::TempDir;

pub const MIB: u64 = 1 << 20;

/// A small generator of numbers: the same seed gives the same ones everywhere.
pub struct Seeded(pub u64);

impl Seeded {
    pub fn next(&mut self) -> u64 {
        // splitmix64
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut bytes: Vec<u8> = Vec::with_capacity(len + 8);
        while bytes.len() < len {
            bytes.extend(self.next().to_le_bytes());
        }
        bytes.truncate(len);
        bytes
    }
}

/// A folder on a disk (the default one may be in memory, where direct I/O is another thing).
pub fn folder() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder for the test")
}

/// A file full of noise.
pub fn noise(dir: &Path, name: &str, len: u64) -> (PathBuf, Vec<u8>) {
    let bytes = Seeded(len).bytes(usize::try_from(len).expect("small"));
    let path = dir.join(name);
    fs::write(&path, &bytes).expect("room for the test");
    (path, bytes)
}

/// A file that is one hole.
pub fn hole(dir: &Path, name: &str, len: u64) -> PathBuf {
    let path = dir.join(name);
    File::create(&path)
        .and_then(|file| file.set_len(len))
        .expect("room for the test");
    path
}

/// A loop disk with two GPT partitions of 20 MiB, from 1 MiB and from 22 MiB.
pub struct Parted {
    pub disk: Loop,
}

impl Parted {
    pub const PARTITION: u64 = 20 * MIB;

    pub fn new(file: &Path) -> Self {
        let script = "label: gpt\nlabel-id: 11111111-2222-3333-4444-555555555555\n\
            start=2048,size=40960,uuid=AAAAAAAA-BBBB-CCCC-DDDD-EEEEEEEEEEEE\nstart=45056,size=40960\n";
        fs::write(file.with_extension("sfdisk"), script).expect("room for the test");
        let args = [
            file.to_str().expect("UTF-8"),
            file.with_extension("sfdisk").to_str().expect("UTF-8"),
        ]
        .map(str::to_owned);
        azud_testkit::tools::sh("sfdisk -q \"$1\" < \"$2\"", &[&args[0], &args[1]])
            .expect("sfdisk");
        let disk = Loop::attach_with(file, &["--partscan"]).expect("a loop device");
        let parted = Self { disk };
        if !parted.partition(1).exists() {
            // A kernel that does not know GPT is told by partx.
            run("partx", &["--add", parted.disk.name()]).expect("partx");
        }
        parted
    }

    pub fn partition(&self, number: u32) -> PathBuf {
        PathBuf::from(format!("{}p{number}", self.disk.name()))
    }
}

impl Drop for Parted {
    fn drop(&mut self) {
        if let Err(error) = run("partx", &["--delete", self.disk.name()]) {
            eprintln!("could not undo: {error}");
        }
    }
}

/// An active swap area.
pub struct Swap(pub PathBuf);

impl Swap {
    pub fn on(path: &Path) -> Option<Self> {
        let name = path.to_str().expect("UTF-8");
        run("mkswap", &[name]).expect("mkswap");
        run("swapon", &[name]).ok().map(|_| Self(path.to_owned()))
    }
}

impl Drop for Swap {
    fn drop(&mut self) {
        if let Err(error) = run("swapoff", &[self.0.to_str().expect("UTF-8")]) {
            eprintln!("could not undo: {error}");
        }
    }
}
