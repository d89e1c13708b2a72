//! What the tests share: volumes, trees to put into them, and the oracles' view of used blocks.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::{FileExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use azud_core::bitmap::Bitmap;
use azud_core::io::ReadAt;
use azud_image::fs::{FsError, MapOptions, Volume, ext};
use azud_testkit::tools::{find, run, sh};

/// The programs that every test here needs.
pub(crate) const TOOLS: &[&str] = &[
    "mke2fs",
    "e2fsck",
    "dumpe2fs",
    "debugfs",
    "resize2fs",
    "tune2fs",
    "setfattr",
];

/// A file as a device.
pub(crate) struct Device(File);

impl ReadAt for Device {
    fn len(&self) -> u64 {
        self.0.metadata().map_or(0, |meta| meta.len())
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> std::io::Result<()> {
        self.0.read_exact_at(buf, offset)
    }
}

/// Maps an image file, which `probe` must recognise.
pub(crate) fn map(image: &Path) -> Result<Volume, FsError> {
    let device = Device(File::open(image).expect("the image exists"));
    let head = azud_image::fs::read_head(&device)?;
    assert!(ext::probe(&head), "not recognised");
    ext::map(&device, &MapOptions::default())
}

/// The path as text, for command lines.
pub(crate) fn text(path: &Path) -> &str {
    path.to_str().expect("temporary paths are UTF-8")
}

/// Makes a small tree with one of each kind of entry below `root`.
pub(crate) fn make_tree(root: &Path) -> Result<()> {
    fs::create_dir_all(root.join("deep"))?;
    let noise: Vec<u8> = (0u32..300_000)
        .flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes())
        .collect();
    fs::write(root.join("noise"), &noise)?;
    fs::write(root.join("tiny"), "inline")?;
    fs::write(root.join("empty"), "")?;
    fs::hard_link(root.join("noise"), root.join("noise-again"))?;
    symlink("noise", root.join("short-link"))?;
    symlink("x/".repeat(400), root.join("long-link"))?;
    let sparse = File::create(root.join("sparse"))?;
    sparse.write_all_at(b"begin", 0)?;
    sparse.write_all_at(&noise[..50_000], 5_000_000)?;
    sparse.set_len(9_000_000)?;
    let deep = (0..25).fold(root.join("deep"), |path, level| {
        path.join(format!("level-{level}"))
    });
    fs::create_dir_all(&deep)?;
    fs::write(deep.join("bottom"), "made it")?;
    fs::create_dir(root.join("many"))?;
    for n in 0..300u32 {
        let name = format!("many/a-file-with-a-rather-long-name-to-fill-directories-{n}");
        fs::write(root.join(name), n.to_le_bytes().repeat(n as usize))?;
    }
    sh(
        r#"mkfifo "$1/fifo"; setfattr -n user.short -v value "$1/tiny"
        setfattr -n user.long -v "$(printf '%0600d' 7)" "$1/noise"; chmod 4711 "$1/tiny"
        touch -d '2001-02-03 04:05:06.789' "$1/empty""#,
        &[text(root)],
    )?;
    Ok(())
}

/// Makes a volume of `size` (as truncate(1) takes it) with these mke2fs options, filled from `tree`.
pub(crate) fn make(image: &Path, size: &str, options: &str, tree: Option<&Path>) -> Result<()> {
    run("truncate", &["-s", size, text(image)])?;
    let mut args = vec!["-q", "-F"];
    args.extend(options.split_whitespace());
    if let Some(tree) = tree {
        args.extend(["-d", text(tree)]);
    }
    args.push(text(image));
    run("mke2fs", &args).map(|_| ())
}

/// A small volume in a directory of its own, for tests of single properties.
pub(crate) fn small(options: &str, size: &str) -> Result<(tempfile::TempDir, PathBuf)> {
    let dir = tempfile::tempdir()?;
    let tree = dir.path().join("tree");
    make_tree(&tree)?;
    let image = dir.path().join("image");
    make(&image, size, options, Some(&tree))?;
    Ok((dir, image))
}

/// The bitmap that partclone writes behind its 110-byte header.
pub(crate) fn partclone_bitmap(image: &Path, log: &Path) -> Result<Bitmap> {
    let program = find("partclone.extfs").context("partclone.extfs is not installed")?;
    let mut child = Command::new(program)
        .args(["-c", "-a0", "-L", text(log), "-s", text(image), "-o", "-"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mut out = child.stdout.take().context("stdout is piped")?;
    let read = (|| {
        let mut header = [0; 110];
        out.read_exact(&mut header)?;
        let blocks = u64::from_le_bytes(header[60..68].try_into()?);
        ensure!(
            &header[..15] == b"partclone-image" && blocks < 1 << 32,
            "not a partclone image"
        );
        let mut bytes = vec![0; usize::try_from(blocks.div_ceil(8))?];
        out.read_exact(&mut bytes)?;
        Bitmap::from_bytes(&bytes, blocks).context("length")
    })();
    drop(out);
    child.kill()?;
    child.wait()?;
    read
}

/// The blocks that dumpe2fs does not list as free. With bigalloc it names clusters by their first block.
pub(crate) fn dumpe2fs_bitmap(image: &Path, cluster_ratio: u64) -> Result<Bitmap> {
    let output = String::from_utf8(run("dumpe2fs", &[text(image)])?.stdout)?;
    let blocks = output
        .lines()
        .find_map(|line| line.strip_prefix("Block count:"))
        .context("block count")?;
    let mut used = Bitmap::full(blocks.trim().parse()?);
    for line in output
        .lines()
        .filter_map(|line| line.strip_prefix("  Free blocks: "))
    {
        for range in line
            .split(',')
            .map(str::trim)
            .filter(|range| !range.is_empty())
        {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            let (first, last): (u64, u64) = (first.parse()?, last.parse()?);
            used.clear_range(first, last + cluster_ratio - first);
        }
    }
    Ok(used)
}

/// The blocks on which two maps differ, shortened, for messages.
pub(crate) fn difference(ours: &Bitmap, theirs: &Bitmap) -> String {
    let len = ours.len().max(theirs.len());
    let differ: Vec<u64> = (0..len)
        .filter(|block| ours.get(*block) != theirs.get(*block))
        .collect();
    format!(
        "{ours:?} against {theirs:?}, {} differ: {:?}",
        differ.len(),
        &differ[..differ.len().min(20)]
    )
}
