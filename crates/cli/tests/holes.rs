//! Zeros and holes: a target that is a file becomes as sparse as what is put on it, and holes are not read.

mod kit;

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use anyhow::{Result, ensure};
use kit::{azud, done, text};

const MIB: u64 = 1 << 20;

/// A file of no known file system: 64 MiB of hole with a MiB of something at 3 and at 40, and zeros that are written.
fn sparse(path: &Path) -> Result<()> {
    let file = File::create(path)?;
    file.set_len(64 * MIB)?;
    let some: Vec<u8> = (0..MIB).map(|n| (n % 251).to_le_bytes()[0] | 1).collect();
    file.write_all_at(&some, 3 * MIB)?;
    file.write_all_at(&some, 40 * MIB)?;
    file.write_all_at(&vec![0; 1 << 20], 50 * MIB)?;
    Ok(file.sync_all()?)
}

fn on_disk(path: &Path) -> Result<u64> {
    Ok(fs::metadata(path)?.blocks() * 512)
}

#[test]
fn a_file_that_is_there_becomes_sparse_where_the_image_has_zeros() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let [source, image, target] =
        ["source", "image.img", "target"].map(|name| dir.path().join(name));
    sparse(&source)?;
    done(&["image", "create", text(&source), text(&image), "--yes"])?;
    let wanted = fs::read(&source)?;
    for more in [None, Some("--changed-only")] {
        fs::write(&target, vec![0xA5; 64 << 20])?;
        File::open(&target)?.sync_all()?;
        ensure!(on_disk(&target)? >= 64 * MIB);
        let mut args = vec![
            "image",
            "restore",
            text(&image),
            text(&target),
            "--yes",
            "--read-back",
        ];
        args.extend(more);
        done(&args)?;
        ensure!(fs::read(&target)? == wanted, "{more:?}");
        ensure!(
            on_disk(&target)? < 4 * MIB,
            "{more:?}: {}",
            on_disk(&target)?
        );
    }
    Ok(())
}

#[test]
fn holes_are_named_in_the_plan_and_captured_as_zeros() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let [source, image, target] =
        ["source", "image.img", "target"].map(|name| dir.path().join(name));
    sparse(&source)?;
    let said = azud(&["image", "create", text(&source), text(&image), "--dry-run"])?;
    let rows = &said.done()?["plan"]["rows"];
    ensure!(rows["holes"] == 61 * MIB, "{rows}");
    done(&["image", "create", text(&source), text(&image), "--yes"])?;
    done(&["image", "restore", text(&image), text(&target), "--yes"])?;
    ensure!(fs::read(&target)? == fs::read(&source)?);
    Ok(())
}

#[test]
fn a_plan_names_what_volumes_are_packed_in() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let [source, image] = ["source", "image.img"].map(|name| dir.path().join(name));
    // Version 1.0 of a RAID's superblock is 8 KiB before the end.
    let end = 8 * MIB - 0x2000;
    for (word, at, magic) in [
        ("no-map", 0, &b"nothing of the kind"[..]),
        ("packed-luks", 0, b"LUKS\xba\xbe\0\x02"),
        ("packed-bitlocker", 3, b"-FVE-FS-"),
        (
            "packed-lvm",
            512,
            b"LABELONE\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0LVM2 001",
        ),
        ("packed-raid", 4096, b"\xfc\x4e\x2b\xa9"),
        ("packed-raid", end, b"\xfc\x4e\x2b\xa9"),
    ] {
        let file = File::create(&source)?;
        file.set_len(8 * MIB)?;
        file.write_all_at(magic, at)?;
        let said = azud(&["image", "create", text(&source), text(&image), "--dry-run"])?;
        let warnings = &said.done()?["plan"]["warnings"];
        let words: Vec<_> = warnings
            .as_array()
            .into_iter()
            .flatten()
            .map(|one| &one["word"])
            .collect();
        ensure!(words == [word], "{word}: {warnings}");
    }
    Ok(())
}

#[test]
fn what_is_no_image_is_not_copied() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let to = dir.path().join("to.img");
    for (name, content) in [
        (
            "text.img",
            &b"a letter to somebody, and no image of anything"[..],
        ),
        ("empty.img", b""),
    ] {
        let path = dir.path().join(name);
        fs::write(&path, content)?;
        let said = azud(&["image", "copy", text(&path), text(&to), "--yes"])?;
        ensure!(
            said.refused()? == "image/unknown-format",
            "{name}: {}",
            said.last()
        );
        ensure!(!to.exists());
        ensure!(
            fs::read_dir(dir.path())?
                .filter_map(Result::ok)
                .all(|entry| !entry.file_name().to_string_lossy().starts_with("to"))
        );
    }
    Ok(())
}
