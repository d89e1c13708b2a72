//! Sources, targets and the scratch directory; all of it goes away with its guard.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use azud_disk::Source;
use azud_image::Native;
use azud_image::fs::{MapOptions, Volume, map};
use azud_testkit::loops::Loop;
use tempfile::{NamedTempFile, TempDir};

use super::super::{complain, released};
use super::options::Options;

/// Where it all happens.
pub(super) struct Lab {
    /// As asked for.
    pub(super) options: Options,
    /// The program that is judged.
    pub(super) azud: String,
    scratch: TempDir,
}

impl Lab {
    pub(super) fn new(options: Options) -> Result<Self> {
        let azud = released()?;
        ensure!(azud.is_file(), "{} was not built", azud.display());
        fs::create_dir_all(&options.dir)?;
        fs::create_dir_all(&options.targets)?;
        let scratch = TempDir::new_in(&options.targets)?;
        Ok(Self {
            azud: text(&azud)?.to_owned(),
            scratch,
            options,
        })
    }

    /// A path in the scratch directory.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    /// An empty directory in the scratch directory, whatever was there before.
    pub(super) fn fresh_dir(&self, name: &str) -> Result<PathBuf> {
        let path = self.path(name);
        if path.exists() {
            fs::remove_dir_all(&path)?;
        }
        fs::create_dir_all(&path)?;
        Ok(path)
    }

    /// A disk of holes. What is written to it goes to the medium under its file, as it would on a disk, and not
    /// a second time through memory.
    pub(super) fn disk(&self, len: u64) -> Result<Disk> {
        let file = NamedTempFile::new_in(self.scratch.path())?;
        file.as_file().set_len(len)?;
        let device = Loop::attach_with(file.path(), &["--direct-io=on"])?;
        Ok(Disk { device, file })
    }
}

/// A target: a loop device over a sparse file. The device goes before the file does.
pub(super) struct Disk {
    device: Loop,
    file: NamedTempFile,
}

impl Disk {
    pub(super) fn name(&self) -> &str {
        self.device.name()
    }

    /// Reads it into memory.
    pub(super) fn warm(&self) -> Result<()> {
        warm(self.file.path())
    }

    /// Bytes that were written to the device since it is there.
    pub(super) fn written(&self) -> Result<u64> {
        let name = self.name().rsplit('/').next().unwrap_or_default();
        let stat = fs::read_to_string(format!("/sys/block/{name}/stat"))?;
        let sectors = stat.split_ascii_whitespace().nth(6);
        let sectors: u64 = sectors.context("/sys/block is odd")?.parse()?;
        Ok(sectors * 512)
    }

    /// How many bytes of used blocks differ from the source.
    pub(super) fn differing(&self, origin: &Origin) -> Result<u64> {
        differing(&origin.volume, &origin.file, self.file.path())
    }
}

/// A source: a volume in a file, and a loop device that only reads it.
pub(super) struct Origin {
    /// The file.
    pub(super) file: PathBuf,
    /// Its map.
    pub(super) volume: Volume,
    device: Loop,
}

impl Origin {
    pub(super) fn open(file: &Path) -> Result<Self> {
        let volume = {
            let source = Source::open(file)?;
            map(&source, &MapOptions::default())?.context("no file system is known")?
        };
        let device = Loop::attach_with(file, &["--read-only"])?;
        Ok(Self {
            file: file.to_owned(),
            volume,
            device,
        })
    }

    pub(super) fn name(&self) -> &str {
        self.device.name()
    }

    pub(super) fn used(&self) -> u64 {
        self.volume.used_bytes()
    }

    /// Reads it into memory: file and device, so that those who read through the device's cache find all in it.
    pub(super) fn warm(&self) -> Result<()> {
        warm(&self.file)?;
        warm(self.device.path())
    }
}

/// Reads a file into memory.
pub(super) fn warm(file: &Path) -> Result<()> {
    io::copy(&mut File::open(file)?, &mut io::sink())
        .map(drop)
        .with_context(|| format!("reading {}", file.display()))
}

/// How many bytes of the used blocks of `volume` differ between two files, in blocks of 4 KiB.
pub(super) fn differing(volume: &Volume, a: &Path, b: &Path) -> Result<u64> {
    const CHUNK: u64 = 4 << 20;
    let (a, b) = (File::open(a)?, File::open(b)?);
    let mut buffers = [vec![0; 4 << 20], vec![0; 4 << 20]];
    let mut bytes = 0;
    let size = u64::from(volume.block_size);
    for run in volume.used.runs() {
        let mut at = run.start * size;
        let end = at + run.count * size;
        while at < end {
            let len = usize::try_from(CHUNK.min(end - at))?;
            let [left, right] = &mut buffers;
            a.read_exact_at(&mut left[..len], at)?;
            b.read_exact_at(&mut right[..len], at)?;
            let pairs = left[..len].chunks(4096).zip(right[..len].chunks(4096));
            bytes += pairs
                .filter(|(l, r)| l != r)
                .map(|(l, _)| l.len() as u64)
                .sum::<u64>();
            at += len as u64;
        }
    }
    Ok(bytes)
}

/// Opens the index of an image.
pub(super) fn native(file: &Path) -> Result<Native> {
    let source = Source::open(file)?;
    Ok(Native::open(&source)?)
}

/// A path for a command line.
pub(super) fn text(path: &Path) -> Result<&str> {
    path.to_str().context("paths must be UTF-8")
}

/// Says when a restored disk is not what it should be; ours must be.
pub(super) fn check(disk: &Disk, origin: &Origin, who: &str, ours: bool) -> Result<()> {
    let bytes = disk.differing(origin)?;
    ensure!(
        bytes == 0 || !ours,
        "{bytes} bytes differ after the restore"
    );
    if bytes > 0 {
        complain(&format!("bench: {who} left {bytes} bytes that differ"));
    }
    Ok(())
}
