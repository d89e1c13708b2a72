//! Existing trees: images that other programs made are listed, verified and restored as they are.

mod kit;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use azud_testkit::tools::{have, have_root, sh};
use kit::{Disk, azud, done, refused, text};
use serde_json::Value;

const TOOLS: [&str; 9] = [
    "mke2fs",
    "mkntfs",
    "partclone.extfs",
    "ntfsclone",
    "lzop",
    "bzip2",
    "xz",
    "zstd",
    "sfdisk",
];

/// A repository as stock tools leave it, with the volumes that it was made of beside it.
const TREE: &str = r#"set -e; cd "$1"; mkdir -p images/lab images/mount/sync images/groups/g1 images/10.0.0.9 images/.hidden images/flat etc
seq 90000 > seq; mkdir d; cp seq d/; truncate -s 32M ext; mke2fs -q -F -t ext4 -d d ext
truncate -s 40M ntfs; mkntfs -q -F -L lab ntfs > /dev/null 2>&1
truncate -s 4M disk; echo 'size=2M,type=83' | sfdisk -q disk > /dev/null; cp seq tail; dd if=tail of=disk bs=1M seek=1 conv=notrunc status=none
partclone.extfs -c -s ext -o - > pc 2> /dev/null; ntfsclone -q -f --save-image -O nc ntfs > /dev/null 2>&1
cd images; cp ../pc none.img; lzop -q ../pc -o lzop.img; gzip -c ../pc > gzip.img; zstd -q ../pc -o zstd.img
xz -c ../pc > xz.img; bzip2 -c ../pc > bzip2.img; cp ../nc lab/ntfs.img; gzip -c ../nc > lab/ntfsgz.img
cp ../ext sync.img; cp ../ext lab/delta.img.diff; cp ../disk whole.dsk; gzip -c ../disk > packed.dsk
head -c 512 ../disk > whole.mbr; touch flat/.marcimg flat/file; for d in mount/sync groups/g1 10.0.0.9 .hidden; do cp gzip.img $d/no.img; done
echo PARTCLONE:LZOP:EXTFS:32768:pc14 > lzop.img.info; echo PARTIMAGE:NONE:NTFS:999999:pc15 > gzip.img.info
md5sum < lzop.img | cut -c1-32 > lzop.img.full.sum; md5sum < gzip.img | cut -c1-32 | tr -d '\n' > gzip.img.full.sum
: > xz.img.lock; echo mounted > sync.img.lock; printf reduced > lab/delta.img.diff.lock; : > lzop.img.ant; : > gone.img.ant; : > lzop.img.torrent
echo '{"directory":"x","images":[{"name":"zstd","type":"img","clientname":"pc3","clonator":"partclone","compressor":"zstd","filesystem":"EXTFS","datasize":33554432},{"name":"ghost","type":"img"}],"ous":[{"subdir":"lab","images":[{"name":"ntfs","type":"img","clientname":"pc4","clonator":"ntfsclone","compressor":"lzop","filesystem":"NTFS","datasize":1}]}]}' > ../etc/repoinfo.json"#;

/// The tree, or `None` where the tools are missing.
fn made() -> Result<Option<tempfile::TempDir>> {
    if !have(&TOOLS) {
        return Ok(None);
    }
    let dir = tempfile::tempdir()?;
    sh(TREE, &[text(dir.path())])?;
    Ok(Some(dir))
}

fn find<'a>(list: &'a Value, path: &str) -> Result<&'a Value> {
    let images = list["images"].as_array().context("images")?;
    let found = images.iter().find(|image| image["path"] == path);
    found.with_context(|| format!("{path} is not listed"))
}

#[test]
fn a_tree_is_listed_by_what_its_files_are() -> Result<()> {
    let Some(dir) = made()? else { return Ok(()) };
    let root = dir.path().join("images");
    symlink("/etc", root.join("outside"))?;
    let list = done(&["image", "list", text(&root), "--quiet"])?;
    let wanted = [
        ("bzip2.img", "partclone", "bzip2", "EXTFS"),
        ("flat", "directory", "", ""),
        ("gzip.img", "partclone", "gzip", "EXTFS"),
        ("lab/delta.img.diff", "filesystem", "none", "EXTFS"),
        ("lab/ntfs.img", "ntfsclone", "none", "NTFS"),
        ("lab/ntfsgz.img", "ntfsclone", "gzip", "NTFS"),
        ("lzop.img", "partclone", "lzop", "EXTFS"),
        ("none.img", "partclone", "none", "EXTFS"),
        ("packed.dsk", "disk", "gzip", ""),
        ("sync.img", "filesystem", "none", "EXTFS"),
        ("whole.dsk", "disk", "none", ""),
        ("whole.mbr", "mbr", "none", ""),
        ("xz.img", "partclone", "xz", "EXTFS"),
        ("zstd.img", "partclone", "zstd", "EXTFS"),
    ];
    let images = list["images"].as_array().context("images")?;
    let paths: Vec<_> = images
        .iter()
        .filter_map(|image| image["path"].as_str())
        .collect();
    ensure!(paths == wanted.map(|row| row.0), "{paths:?}");
    for (path, format, compressor, fs) in wanted {
        let image = find(&list, path)?;
        let found = [&image["format"], &image["compressor"], &image["fs"]];
        let found = found.map(|value| value.as_str().unwrap_or_default());
        ensure!(found == [format, compressor, fs], "{path}: {found:?}");
    }
    let lzop = find(&list, "lzop.img")?;
    ensure!(
        lzop["device_size"] == 32 << 20 && lzop["untrue"] == serde_json::json!([]),
        "{lzop}"
    );
    ensure!(
        lzop["claimed"]["host"] == "pc14" && lzop["claimed"]["from"] == "info",
        "{lzop}"
    );
    let side = serde_json::json!([".info", ".full.sum", ".torrent", ".ant"]);
    ensure!(lzop["side_files"] == side, "{lzop}");
    for (path, kind) in [
        ("xz.img", "ownerless"),
        ("sync.img", "mounted"),
        ("lab/delta.img.diff", "reduced"),
    ] {
        ensure!(find(&list, path)?["lock"]["kind"] == kind, "{path}");
    }
    Ok(())
}

#[test]
fn what_lies_is_shown_and_not_believed() -> Result<()> {
    let Some(dir) = made()? else { return Ok(()) };
    let root = dir.path().join("images");
    let list = done(&["image", "list", text(&root), "--quiet"])?;
    let facts = |path: &str| -> Result<Vec<String>> {
        let untrue = find(&list, path)?["untrue"].as_array().cloned();
        let facts = untrue.unwrap_or_default();
        let words = facts.iter().filter_map(|fact| fact["fact"].as_str());
        Ok(words.map(str::to_owned).collect())
    };
    ensure!(facts("gzip.img")? == ["program", "compressor", "fs", "size_kb"]);
    // Of the server's catalogue, where there is no .info.
    ensure!(find(&list, "zstd.img")?["claimed"]["from"] == "repoinfo");
    ensure!(facts("zstd.img")?.is_empty());
    ensure!(facts("lab/ntfs.img")? == ["compressor", "size_kb"]);
    let info = done(&["image", "info", text(&root.join("gzip.img"))])?;
    ensure!(
        info["fs"] == "EXTFS" && info["claimed"]["fs"] == "NTFS",
        "{info}"
    );
    // Neither a name nor a description makes an image of rubbish.
    fs::write(root.join("rubbish.img"), "rubbish")?;
    fs::write(
        root.join("rubbish.img.info"),
        "PARTCLONE:LZOP:EXTFS:1:pc1\n",
    )?;
    let rubbish = text(&root.join("rubbish.img")).to_owned();
    ensure!(refused(&["image", "info", &rubbish])? == "image/unknown-format");
    let to = dir.path().join("to");
    ensure!(
        refused(&["image", "restore", &rubbish, text(&to), "--yes"])? == "image/unknown-format"
    );
    ensure!(!to.exists());
    Ok(())
}

#[test]
fn images_of_other_programs_are_restored_unchanged() -> Result<()> {
    let Some(dir) = made()? else { return Ok(()) };
    let root = dir.path().join("images");
    for (image, volume) in [
        ("none.img", "ext"),
        ("lzop.img", "ext"),
        ("gzip.img", "ext"),
        ("zstd.img", "ext"),
        ("bzip2.img", "ext"),
        ("lab/ntfs.img", "ntfs"),
        ("lab/ntfsgz.img", "ntfs"),
        ("whole.dsk", "disk"),
        ("packed.dsk", "disk"),
    ] {
        let to = dir.path().join("to");
        let image = root.join(image);
        let before = fs::read(&image)?;
        done(&[
            "image",
            "restore",
            text(&image),
            text(&to),
            "--yes",
            "--read-back",
        ])?;
        ensure!(
            fs::read(&to)? == fs::read(dir.path().join(volume))?,
            "{}",
            image.display()
        );
        ensure!(fs::read(&image)? == before);
        // Again, over what is there now: nothing but the superblocks is written.
        let again = [
            "image",
            "restore",
            text(&image),
            text(&to),
            "--yes",
            "--changed-only",
        ];
        done(&again)?;
        ensure!(
            fs::read(&to)? == fs::read(dir.path().join(volume))?,
            "{}",
            image.display()
        );
        fs::remove_file(&to)?;
    }
    Ok(())
}

#[test]
fn what_is_locked_or_no_image_of_a_volume_is_refused() -> Result<()> {
    let Some(dir) = made()? else { return Ok(()) };
    let root = dir.path().join("images");
    for locked in ["xz.img", "sync.img"] {
        let said = azud(&[
            "image",
            "restore",
            text(&root.join(locked)),
            text(&dir.path().join("to")),
            "--yes",
        ])?;
        ensure!(
            said.refused()? == "image/locked",
            "{locked}: {}",
            said.last()
        );
    }
    fs::remove_file(root.join("sync.img.lock"))?;
    let sync = root.join("sync.img");
    let said = azud(&[
        "image",
        "restore",
        text(&sync),
        text(&dir.path().join("to")),
        "--yes",
    ])?;
    ensure!(said.refused()? == "image/unknown-format", "{}", said.last());
    Ok(())
}

#[test]
fn loop_a_foreign_image_is_restored_onto_a_device_or_leaves_nothing() -> Result<()> {
    if !have_root() || !have(&["e2fsck", "blkid", "b2sum"]) {
        return Ok(());
    }
    let Some(dir) = made()? else { return Ok(()) };
    let image = dir.path().join("images/lzop.img");
    let target = Disk::poisoned(dir.path().join("target"), 32 << 20)?;
    let restore = |image: &Path| azud(&["image", "restore", text(image), target.name(), "--yes"]);
    restore(&image)?.done()?;
    azud_testkit::tools::run("e2fsck", &["-fn", target.name()])?;
    // A same-size device is big enough, a sector less is not.
    let small = Disk::poisoned(dir.path().join("small"), (32 << 20) - 512)?;
    let hash = small.hash()?;
    ensure!(
        refused(&["image", "restore", text(&image), small.name(), "--yes"])? == "disk/too-small"
    );
    ensure!(small.hash()? == hash);
    // Damage is found by partclone's checksums or the compressor's, and leaves no file system.
    for (name, at) in [
        ("none.img", 300_000),
        ("gzip.img", 30_000),
        ("lzop.img", 40_000),
    ] {
        let damaged = dir.path().join("damaged.img");
        let mut bytes = fs::read(dir.path().join("images").join(name))?;
        let at = at.min(bytes.len() / 2);
        bytes[at] ^= 0x40;
        fs::write(&damaged, &bytes)?;
        let said = restore(&damaged)?;
        ensure!(
            matches!(said.refused()?, "image/corrupt" | "image/truncated"),
            "{name}: {}",
            said.last()
        );
        ensure!(target.seen()?.is_none(), "{name}: {:?}", target.seen()?);
        bytes[at] ^= 0x40;
        fs::write(&damaged, &bytes[..bytes.len() - 9])?;
        let said = restore(&damaged)?;
        ensure!(
            matches!(said.refused()?, "image/corrupt" | "image/truncated"),
            "{name}: {}",
            said.last()
        );
        ensure!(target.seen()?.is_none(), "{name} cut short");
    }
    restore(&image)?.done()?;
    azud_testkit::tools::run("e2fsck", &["-fn", target.name()]).map(drop)
}

#[test]
fn an_image_that_agrees_with_its_full_sum_is_remembered_until_it_changes() -> Result<()> {
    let Some(dir) = made()? else { return Ok(()) };
    let root = dir.path().join("images");
    let verified = |path: &str| -> Result<bool> {
        let list = done(&["image", "list", text(&root), "--quiet"])?;
        Ok(find(&list, path)?["verified"].is_u64())
    };
    let verify = |path: &str| azud(&["image", "verify", text(&root.join(path))]);
    for path in ["lzop.img", "gzip.img"] {
        ensure!(!verified(path)?);
        verify(path)?.done()?;
        ensure!(verified(path)?, "{path}");
    }
    // By their own checksums alone, nothing is remembered.
    verify("lab/ntfsgz.img")?.done()?;
    ensure!(!verified("lab/ntfsgz.img")?);
    // The same bytes written anew may be others.
    let path = root.join("lzop.img");
    let mut bytes = fs::read(&path)?;
    fs::write(&path, &bytes)?;
    ensure!(!verified("lzop.img")?);
    bytes[1000] ^= 1;
    fs::write(&path, &bytes)?;
    ensure!(verify("lzop.img")?.refused()? == "image/corrupt");
    // Another sum than the one that it agreed with.
    fs::write(root.join("gzip.img.full.sum"), "0".repeat(32))?;
    ensure!(!verified("gzip.img")?);
    ensure!(verify("gzip.img")?.refused()? == "image/corrupt");
    Ok(())
}

#[test]
fn nothing_is_called_sound_that_nothing_vouches_for() -> Result<()> {
    let Some(dir) = made()? else { return Ok(()) };
    let root = dir.path().join("images");
    sh(
        "set -e; cd \"$1\"; partclone.extfs -c -a0 -s ext -o bare 2> /dev/null
        cd images; cp ../bare bare.img; lzop -q -F ../bare -o fast.img; lzop -q ../bare -o slow.img; : | gzip > gone.img
        head -c 99999 /dev/zero | tr '\\0' x > text.img
        for name in gone text; do md5sum < $name.img | cut -c1-32 > $name.img.full.sum; done",
        &[text(dir.path())],
    )?;
    let verify = |path: &str| azud(&["image", "verify", text(&root.join(path))]);
    for (path, word) in [
        ("none.img", "sound"),
        ("slow.img", "sound"),
        ("lab/ntfsgz.img", "sound"),
        ("bare.img", "readable"),
        ("fast.img", "readable"),
        ("whole.dsk", "readable"),
        ("lab/ntfs.img", "readable"),
    ] {
        let said = verify(path)?;
        let said = said.done()?;
        ensure!(said["result"] == word, "{path}: {said}");
        ensure!(said["own_checks"] == (word == "sound"), "{path}: {said}");
        let warned = said["warnings"] == serde_json::json!(["no-sums"]);
        ensure!(warned == (word == "readable"), "{path}: {said}");
    }
    // What is no image is none whatever the sum beside it says.
    for path in ["gone.img", "text.img"] {
        let said = verify(path)?;
        ensure!(
            said.refused()? == "image/unknown-format",
            "{path}: {}",
            said.last()
        );
    }
    Ok(())
}

#[test]
fn a_sum_beside_an_image_says_what_it_covers_and_no_more() -> Result<()> {
    let Some(dir) = made()? else { return Ok(()) };
    let root = dir.path().join("images");
    let verify = |path: &str| azud(&["image", "verify", text(&root.join(path))]);
    let sum = |name: &str, ending: &str, what: &str| {
        let of =
            format!("tail -c 1048576 \"$1/{name}\" | md5sum | cut -c1-32 > \"$1/{name}{ending}\"");
        let whole = format!("md5sum < \"$1/{name}\" | cut -c1-32 > \"$1/{name}{ending}\"");
        let script = if what == "tail" { of } else { whole };
        sh(&script, &[text(&root)]).map(drop)
    };
    // The end alone does not cover a disk of 4 MiB.
    sum("whole.dsk", ".sum", "tail")?;
    let said = verify("whole.dsk")?;
    let said = said.done()?;
    ensure!(
        said["result"] == "readable" && said["sum"] == true,
        "{said}"
    );
    sum("whole.dsk", ".full.sum", "all")?;
    let said = verify("whole.dsk")?;
    let said = said.done()?;
    ensure!(
        said["result"] == "as-summed" && said["full_sum"] == true,
        "{said}"
    );
    fs::write(root.join("whole.dsk.sum"), "0".repeat(32))?;
    ensure!(verify("whole.dsk")?.refused()? == "image/false-sum");
    fs::remove_file(root.join("whole.dsk.full.sum"))?;
    ensure!(verify("whole.dsk")?.refused()? == "image/corrupt");
    Ok(())
}

#[test]
fn ntfsclone_images_and_disks_become_native() -> Result<()> {
    let Some(dir) = made()? else { return Ok(()) };
    for (image, volume) in [("lab/ntfsgz.img", "ntfs"), ("packed.dsk", "disk")] {
        let native = dir.path().join("native.img");
        let (from, to) = (dir.path().join("images").join(image), dir.path().join("to"));
        done(&["image", "import", text(&from), text(&native)])?;
        done(&["image", "verify", "--deep", text(&native)])?;
        done(&["image", "restore", text(&native), text(&to), "--yes"])?;
        ensure!(
            fs::read(&to)? == fs::read(dir.path().join(volume))?,
            "{image}"
        );
        fs::remove_file(&to)?;
    }
    Ok(())
}

#[test]
fn loop_a_read_only_tree_is_listed() -> Result<()> {
    if !have_root() || !have(&["mke2fs"]) {
        return Ok(());
    }
    let Some(dir) = made()? else { return Ok(()) };
    let medium = dir.path().join("medium");
    sh(
        "cd \"$1\"; truncate -s 200M medium; mke2fs -q -F -t ext4 -d images medium",
        &[text(dir.path())],
    )?;
    let mount = azud_testkit::loops::Mount::new(&medium, None, "ro,loop")?;
    let list = done(&["image", "list", text(mount.path()), "--quiet"])?;
    ensure!(find(&list, "lab/ntfs.img")?["format"] == "ntfsclone");
    // Verified, though it cannot be remembered there.
    done(&["image", "verify", text(&mount.path().join("gzip.img"))])?;
    Ok(())
}
