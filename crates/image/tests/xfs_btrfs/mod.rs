//! What the tests of XFS and btrfs maps share: files as devices, dirty free space, other tools' maps, mutations.
#![allow(dead_code, reason = "each of the two tests uses its part")]

use std::fs::{self, File};
use std::io::{self, Read};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use azud_core::bitmap::Bitmap;
use azud_core::io::ReadAt;
use azud_image::fs::{Volume, read_head};
use azud_testkit::loops::{Loop, Mount};
use azud_testkit::poison;
use azud_testkit::tools::{find, run, sh};
use azud_testkit::tree::{Picture, picture};

/// A regular file as a device.
pub(crate) struct FileDevice(pub(crate) File);

impl FileDevice {
    pub(crate) fn open(path: &Path) -> Self {
        Self(File::open(path).expect("the image exists"))
    }
}

impl ReadAt for FileDevice {
    fn len(&self) -> u64 {
        self.0.metadata().expect("an open file").len()
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        FileExt::read_exact_at(&self.0, buf, offset)
    }
}

/// A sparse file of `mib` MiB.
pub(crate) fn sparse(dir: &Path, name: &str, mib: u64) -> PathBuf {
    let path = dir.join(name);
    File::create(&path).unwrap().set_len(mib << 20).unwrap();
    path
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().expect("temporary paths are UTF-8")
}

pub(crate) fn head(path: &Path) -> Vec<u8> {
    read_head(&FileDevice::open(path)).unwrap()
}

/// Numbers that look random and are the same every time.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap()
    }

    pub(crate) fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next().to_le_bytes()[3]).collect()
    }
}

/// Fills a mounted tree with files of many sizes, links and attributes, then deletes half of them.
pub(crate) fn fill(root: &Path, files: usize, dice: &mut Dice) {
    for number in 0..files {
        let dir = root.join(format!("d{}", number % 17));
        fs::create_dir_all(&dir).unwrap();
        let len = [0, 60, 900, 3000, 5000, 9000, 30000][dice.below(7)] + dice.below(100);
        let content = if number % 3 == 0 {
            vec![b'a'; len * 4]
        } else {
            dice.bytes(len)
        };
        fs::write(dir.join(format!("f{number}")), content).unwrap();
    }
    // Before it is synced, what is deleted never had a place.
    run("sync", &["-f", text(root)]).unwrap();
    for number in (0..files).step_by(2) {
        fs::remove_file(root.join(format!("d{}/f{number}", number % 17))).unwrap();
    }
    let script = "cd \"$1\"; ln -s d1 link; ln d1/f1 hard; mkfifo pipe; chmod 640 d1/f1; chown 12:34 d3/f3
        truncate -s 3M holes; echo end >> holes; setfattr -n user.note -v \"$(head -c 200 /dev/zero | tr '\\0' x)\" d5/f5 || true";
    sh(script, &[text(root)]).unwrap();
}

/// Mounts an image, lets `work` change it, and returns what it then looks like.
pub(crate) fn with_mounted(image: &Path, options: &str, work: impl FnOnce(&Path)) -> Picture {
    let device = Loop::attach(image).unwrap();
    let mount = Mount::new(device.path(), None, options).unwrap();
    work(mount.path());
    let seen = picture(mount.path()).unwrap();
    mount.unmount().unwrap();
    seen
}

/// Copies the used blocks alone onto a poisoned file beside the image.
pub(crate) fn poisoned(image: &Path, volume: &Volume) -> PathBuf {
    let target = image.with_extension("poisoned");
    let map = (&volume.used, volume.block_size);
    poison::copy_used(image, &target, volume.device_size, map, &volume.tails).unwrap();
    target
}

/// Block size and map that partclone makes of an image.
pub(crate) fn partclone(program: &str, image: &Path) -> (u64, Bitmap) {
    let program = find(program).unwrap();
    let mut child = Command::new(program)
        .args(["-c", "-a0", "-L", "/dev/null", "-s", text(image), "-o", "-"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let mut header = [0; 110];
    stdout.read_exact(&mut header).unwrap();
    let blocks = u64::from_le_bytes(header[60..68].try_into().unwrap());
    let size = u32::from_le_bytes(header[84..88].try_into().unwrap());
    let mut bits = vec![0; usize::try_from(blocks.div_ceil(8)).unwrap()];
    stdout.read_exact(&mut bits).unwrap();
    drop(stdout);
    child.kill().unwrap();
    child.wait().unwrap();
    (u64::from(size), Bitmap::from_bytes(&bits, blocks).unwrap())
}

/// A copy of an image with zeros in some ranges.
pub(crate) fn zeroed(image: &Path, ranges: &[Range<u64>]) -> PathBuf {
    let target = image.with_extension("zeroed");
    run("cp", &["--sparse=always", text(image), text(&target)]).unwrap();
    let file = File::options().write(true).open(&target).unwrap();
    for range in ranges {
        let len = usize::try_from(range.end - range.start).unwrap();
        file.write_all_at(&vec![0; len], range.start).unwrap();
    }
    target
}

/// Bytes with a few of them replaced.
pub(crate) struct Mutated<'a> {
    pub(crate) base: &'a [u8],
    pub(crate) patches: Vec<(usize, Vec<u8>)>,
}

impl<'a> Mutated<'a> {
    /// One to four changes of one to eight bytes in blocks of `size` bytes at one of `places`; `mend` then
    /// gets each changed block, so that it can make its checksum right again.
    pub(crate) fn new(
        base: &'a [u8],
        places: &[(usize, usize)],
        dice: &mut Dice,
        mend: impl Fn(&mut [u8]),
    ) -> Self {
        let mut patches: Vec<(usize, Vec<u8>)> = Vec::new();
        for _ in 0..=dice.below(4) {
            let (at, size) = places[dice.below(places.len())];
            let known = patches
                .iter()
                .position(|(start, block)| *start == at && block.len() == size);
            let index = known.unwrap_or_else(|| {
                patches.push((at, base[at..at + size].to_vec()));
                patches.len() - 1
            });
            let block = &mut patches[index].1;
            // Most of what matters stands near the beginning.
            let reach = [64, 160, 256, size][dice.below(4)].min(size);
            let (start, len) = (dice.below(reach), 1 + dice.below(8));
            let new = match dice.below(4) {
                0 => vec![0xFF; len],
                1 => vec![0; len],
                _ => dice.bytes(len),
            };
            let end = (start + len).min(size);
            block[start..end].copy_from_slice(&new[..end - start]);
        }
        for (_, block) in &mut patches {
            mend(block);
        }
        Self { base, patches }
    }
}

impl ReadAt for Mutated<'_> {
    fn len(&self) -> u64 {
        self.base.len() as u64
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        self.base.read_exact_at(buf, offset)?;
        let start = usize::try_from(offset).unwrap();
        for (at, block) in &self.patches {
            let from = (*at).max(start);
            let to = (at + block.len()).min(start + buf.len());
            if from < to {
                buf[from - start..to - start].copy_from_slice(&block[from - at..to - at]);
            }
        }
        Ok(())
    }
}
