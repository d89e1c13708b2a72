//! Damage does not pass, neither by the stock tools nor by Azud: single bits are flipped in the frames of
//! an image, `zstd -dc | partclone.restore` must fail, and `verify` must name the very frame.
//!
//! 200 flips; 1,000 with `AZUD_SOAK`.

mod kit;

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use azud_image::Native;
use azud_testkit::tools::{have, have_root, run, sh};
use kit::{Disk, Random, azud, done, soak, text};

const FLIPS: usize = 200;
const FLIPS_SOAK: usize = 1000;
/// So many of the flips go all the way through partclone, which takes its time.
const THROUGH_PARTCLONE: usize = 20;

/// Where the frames of an image end.
fn ends(bytes: &[u8]) -> Result<Vec<u64>> {
    let native = Native::open(&bytes)?;
    let end = |at: &mut u64, len: u32| {
        *at += u64::from(len);
        Some(*at)
    };
    let lens = native.frames().iter().map(|frame| frame.compressed_len);
    Ok(lens.scan(0, end).collect())
}

/// Whether stock zstd decodes the file to what it was decoded to before (`Some(false)`: to something else).
fn decodes(image: &Path, hash: &str) -> Option<bool> {
    let decoded = sh("zstd -dcq \"$1\" | b2sum", &[text(image)]).ok()?;
    Some(String::from_utf8_lossy(&decoded.stdout) == hash)
}

/// `verify` names this frame and no other.
fn names_frame(image: &Path, frame: usize) -> Result<()> {
    let said = azud(&["image", "verify", text(image)])?;
    ensure!(said.refused()? == "image/corrupt", "{}", said.last());
    let message = said.last()["error"]["message"]
        .as_str()
        .context("message")?;
    let numbers = |text: &str| -> Vec<usize> {
        let words = text.split(|c: char| !c.is_ascii_digit());
        words.filter_map(|word| word.parse().ok()).collect()
    };
    let after = message.split("frame ").last().unwrap_or_default();
    let first = numbers(after).first().copied();
    ensure!(
        first == Some(frame),
        "frame {frame} is damaged, said was: {message}"
    );
    ensure!(
        !message.contains(" frames are") || message.contains(": 1 of "),
        "{message}"
    );
    Ok(())
}

#[test]
fn loop_a_flipped_bit_passes_neither_stock_tools_nor_verify() -> Result<()> {
    if !have(&["mke2fs", "zstd", "partclone.restore", "b2sum"]) || !have_root() {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let (volume, image) = (dir.path().join("volume"), dir.path().join("aula.img"));
    kit::ext4(&volume, 64, 40)?;
    done(&["image", "create", text(&volume), text(&image)])?;
    let bytes = fs::read(&image)?;
    let ends = ends(&bytes)?;
    let all = *ends.last().context("frames")?;
    ensure!(ends.len() > 8, "only {} frames", ends.len());
    let decoded = sh("zstd -dcq \"$1\" | b2sum", &[text(&image)])?;
    let hash = String::from_utf8(decoded.stdout)?;
    let mut random = Random::seeded(2);
    let flips = if soak() { FLIPS_SOAK } else { FLIPS };
    let file = File::options().write(true).open(&image)?;
    let mut flipped = Vec::new();
    for flip in 0..flips {
        // Every tenth in the head frames, which are small.
        let end = if flip % 10 == 0 { ends[1] } else { all };
        let (at, bit) = (random.below(end), random.below(8));
        let place = usize::try_from(at)?;
        let frame = ends.partition_point(|end| *end <= at);
        file.write_all_at(&[bytes[place] ^ (1 << bit)], at)?;
        let case = || format!("flip {flip}: bit {bit} of byte {at}, frame {frame}");
        names_frame(&image, frame).with_context(case)?;
        // A few bits of a zstd frame mean nothing at all, such as one in its header.
        let passed = decodes(&image, &hash);
        ensure!(passed != Some(false), "{}: zstd let it pass", case());
        if flip % (flips / THROUGH_PARTCLONE) == 0 && passed.is_none() {
            flipped.push((place, bit));
        }
        file.write_all_at(&[bytes[place]], at)?;
    }
    ensure!(fs::read(&image)? == bytes, "every flip was taken back");
    ensure!(flipped.len() * 2 > THROUGH_PARTCLONE, "only {flipped:?}");
    // partclone sleeps for seconds when it fails: several at a time.
    std::thread::scope(|scope| {
        let parts = flipped.chunks(flipped.len().div_ceil(5));
        let workers: Vec<_> = parts
            .map(|part| scope.spawn(|| through_partclone(&bytes, part)))
            .collect();
        let mut ends = workers
            .into_iter()
            .map(|worker| worker.join().expect("no panic"));
        ends.try_for_each(|end| end)
    })
}

/// The image as it is passes through the stock tools, none of the flipped ones does.
fn through_partclone(bytes: &[u8], flipped: &[(usize, u64)]) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let target = Disk::blank(dir.path().join("target"), 64 << 20)?;
    let (image, log) = (dir.path().join("image"), dir.path().join("log"));
    let pipe = "zstd -dcq \"$1\" | partclone.restore -q -s - -o \"$2\" -L \"$3\"";
    let args = [text(&image), target.name(), text(&log)];
    fs::write(&image, bytes)?;
    sh(pipe, &args).context("the image as it is")?;
    for (place, bit) in flipped {
        let mut bytes = bytes.to_vec();
        bytes[*place] ^= 1 << bit;
        fs::write(&image, bytes)?;
        ensure!(
            sh(pipe, &args).is_err(),
            "bit {bit} of byte {place}: restored"
        );
    }
    Ok(())
}

/// The map is partclone's; what a partclone image cannot carry is kept all the same.
#[test]
fn ntfs_by_partclone_keeps_its_backup_boot_sector() -> Result<()> {
    if !have(&["mkntfs", "partclone.ntfs", "cmp"]) || !have_root() {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let (volume, image) = (dir.path().join("ntfs"), dir.path().join("ntfs.img"));
    let bytes = 33_333 << 10;
    std::fs::File::create(&volume)?.set_len(bytes)?;
    run("mkntfs", &["-q", "-F", "-Q", "-s", "512", text(&volume)])?;
    let create = ["image", "create", text(&volume), text(&image)];
    done(&[&create[..], &["--engine", "partclone"]].concat())?;
    let info = done(&["image", "info", text(&image)])?;
    ensure!(info["facts"]["sector_size"] == 512, "{info}");
    let target = dir.path().join("target");
    done(&["image", "restore", text(&image), text(&target)])?;
    let last = (bytes - 512).to_string();
    run("cmp", &["-i", &last, text(&volume), text(&target)])?;
    let boot = std::fs::read(&target)?.split_off(usize::try_from(bytes)? - 512);
    ensure!(&boot[3..7] == b"NTFS", "no boot sector at the end");
    Ok(())
}

/// An image of a small ext4 volume.
fn sample(dir: &Path) -> Result<std::path::PathBuf> {
    let (tree, volume, image) = (dir.join("tree"), dir.join("volume"), dir.join("w.img"));
    fs::create_dir(&tree)?;
    let fill = "seq 99999 >\"$1/seq\"; head -c 3000000 /dev/urandom >\"$1/noise\"";
    sh(fill, &[text(&tree)])?;
    File::create(&volume)?.set_len(24 << 20)?;
    let tree = ["-d", text(&tree), text(&volume)];
    run("mke2fs", &[&["-q", "-F", "-t", "ext4"][..], &tree].concat())?;
    done(&["image", "create", text(&volume), text(&image)])?;
    Ok(image)
}

/// What OpenGnsys runs on its images: the decompressor that `file` names, then partclone.
#[test]
fn loop_exports_go_through_the_pipelines_of_opengnsys() -> Result<()> {
    let compressors = ["gzip", "lzop", "zstd"];
    let tools = ["mke2fs", "file", "partclone.restore", "cmp", "e2fsck"];
    if !have(&[&compressors[..], &tools].concat()) || !have_root() {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let at = |name: &str| dir.path().join(name);
    let (image, out, plain, back) = (sample(dir.path())?, at("out"), at("plain"), at("back.img"));
    let unpack = "zstd -dcqf \"$1\" >\"$2\"";
    sh(unpack, &[text(&image), text(&plain)])?;
    let export = |to, how| {
        let _ = fs::remove_file(&out);
        let files = ["image", "export", text(&image), text(&out)];
        [&files[..], &["--to", to, "--compress", how]].concat()
    };
    for (how, kind, decompress) in [
        ("none", "data", "cat"),
        ("gzip", "gzip", "gzip -dc"),
        ("lzop", "lzop", "lzop -dc"),
        ("zstd", "Zstandard", "zstd -dcq"),
    ] {
        done(&export("partclone", how))?;
        let named = String::from_utf8(run("file", &["-b", text(&out)])?.stdout)?;
        ensure!(named.starts_with(kind), "{how}: {named}");
        let same = format!("{decompress} <\"$1\" | cmp - \"$2\"");
        sh(&same, &[text(&out), text(&plain)]).with_context(|| how.to_owned())?;
        let target = Disk::blank(at("target"), 24 << 20)?;
        let pipe =
            format!("{decompress} <\"$1\" | partclone.restore -d0 -C -I -o \"$2\" -L \"$3\"");
        sh(&pipe, &[text(&out), target.name(), text(&at("log"))])?;
        run("e2fsck", &["-fn", target.name()])?;
        drop(target);
        // And back.
        done(&["image", "import", text(&out), text(&back)])?;
        fs::remove_file(&back)?;
    }
    let said = azud(&export("raw", "gzip"))?;
    ensure!(said.status == Some(2), "{}", said.last());
    Ok(())
}
