//! One volume there and back again.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use azud_testkit::tools::{run, sh};
use azud_testkit::tree::{Picture, picture};

use crate::kit::{Disk, FILL, FILL_UNIX, azud, done, in_mount, picture_of, text};
use crate::variants::{Family, Through};

/// The whole way of one variant. `over_another` puts it over another volume of its kind, not over poison alone.
pub(crate) fn there_and_back(
    family: &Family,
    (options, kib): &(&str, u64),
    over_another: bool,
) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (dir, bytes) = (dir.path(), kib << 10);
    let make = family.make.replace("OPTIONS", options);
    let source = Disk::blank(dir.join("source"), bytes)?;
    sh(&make, &[source.name()]).context("making the source")?;
    let source = fill(family, source)?;
    let before = look(family, &source, dir)?;
    let image = dir.join("images/aula.img");
    std::fs::create_dir(dir.join("images"))?;
    capture(family, &source, &image)?;
    // Two volumes of one identity at a time would confuse the kernel.
    let source = source.detach();

    let target = Disk::poisoned(dir.join("target"), bytes)?;
    if over_another {
        sh(&make, &[target.name()]).context("making what is overwritten")?;
    }
    let restore = ["image", "restore", text(&image), target.name()];
    let restored = done(&[&restore[..], &["--yes", "--read-back"]].concat())?;
    ensure!(restored["read_back"] == true, "{restored}");
    sh(family.check, &[target.name()]).context("checking what was restored")?;
    let after = look(family, &target, dir)?;
    ensure!(before == after, "{}", difference(&before, &after));
    if family.name == "raw" {
        run("cmp", &[text(&source), target.name()])?;
    }
    let target = target.detach();
    stock_tools(family, &image, bytes, dir)?;
    drop((source, target));
    Ok(())
}

/// Captures and verifies; the source stays as it is.
fn capture(family: &Family, source: &Disk, image: &Path) -> Result<()> {
    let (hash, image) = (source.hash()?, text(image));
    let said = azud(&["image", "create", source.name(), image])?;
    said.done()?;
    let engine = &said.plan()["rows"]["engine"];
    ensure!(engine == family.engine, "the map is by {engine}");
    ensure!(source.hash()? == hash, "the source was written");
    done(&["image", "verify", "--deep", image])?;
    let used = said.last()["used"].as_u64().context("used")?;
    let size = std::fs::metadata(image)?.len();
    ensure!(size < used + (1 << 20), "{size} bytes for {used}");
    Ok(())
}

/// zstd and partclone make of the image what Azud makes of it, where nothing was before.
fn stock_tools(family: &Family, image: &Path, bytes: u64, dir: &Path) -> Result<()> {
    let ours = dir.join("ours");
    done(&["image", "restore", text(image), text(&ours)])?;
    let theirs = Disk::blank(dir.join("theirs"), bytes)?;
    let log = dir.join("partclone.log");
    sh(
        "zstd -dcq \"$1\" | partclone.restore -q -s - -o \"$2\" -L \"$3\"",
        &[text(image), theirs.name(), text(&log)],
    )
    .context("restoring with stock tools")?;
    let theirs = theirs.detach();
    let count = (bytes - family.tail).to_string();
    run("cmp", &["-n", &count, text(&ours), text(&theirs)])?;
    Ok(())
}

/// Puts files in and takes some of them out again.
fn fill(family: &Family, disk: Disk) -> Result<Disk> {
    match family.through {
        Through::Kernel(_) => {
            in_mount(disk.path(), None, FILL)?;
            in_mount(disk.path(), None, FILL_UNIX)?;
        }
        Through::Ntfs3g => in_mount(disk.path(), Some("ntfs-3g"), FILL)?,
        Through::ExfatFuse => in_mount(disk.path(), Some("exfat-fuse"), FILL)?,
        Through::Mtools => {
            // They work on the file, behind the device's back.
            let file = disk.detach();
            let tree = tempfile::tempdir()?;
            sh(FILL, &[text(tree.path())])?;
            let script = r#"mcopy -i "$1" -s -m -p -Q "$2"/* ::; mdel -i "$1" '::many/file 1*'
                mcopy -i "$1" -m -n "$2/a/again" "::late file""#;
            sh(script, &[text(&file), text(tree.path())])?;
            return Disk::over(file);
        }
        Through::Itself => {}
    }
    Ok(disk)
}

/// The picture of what is on a disk; for what cannot be mounted, what `blkid` says.
fn look(family: &Family, disk: &Disk, dir: &Path) -> Result<Picture> {
    match family.through {
        Through::Kernel(options) => picture_of(disk.path(), None, options),
        Through::Ntfs3g => picture_of(disk.path(), Some("ntfs-3g"), "ro"),
        Through::ExfatFuse => picture_of(disk.path(), Some("exfat-fuse"), "ro"),
        Through::Mtools => copied(dir, |to| {
            let script = "mcopy -i \"$1\" -s -m -p -n :: \"$2\"";
            sh(script, &[disk.name(), text(to)]).map(drop)
        }),
        Through::Itself => {
            let seen = disk.seen()?.unwrap_or_default();
            // It begins with the name of the device.
            let facts = seen.split_once(": ").map_or("", |(_, facts)| facts);
            Ok([(dir.to_owned(), facts.to_owned())].into())
        }
    }
}

/// The picture of what `copy` puts into a folder.
fn copied(dir: &Path, copy: impl FnOnce(&Path) -> Result<()>) -> Result<Picture> {
    let to = tempfile::tempdir_in(dir)?;
    copy(to.path())?;
    let mut seen = picture(to.path())?;
    // The folder itself is ours.
    seen.remove(Path::new(""));
    ensure!(seen.len() > 10, "hardly anything there: {seen:?}");
    Ok(seen)
}

/// What two pictures say differently.
fn difference(before: &Picture, after: &Picture) -> String {
    let gone = before
        .iter()
        .filter(|(path, facts)| after.get(*path) != Some(facts));
    let new = after
        .iter()
        .filter(|(path, facts)| before.get(*path) != Some(facts));
    let list: Vec<_> = gone
        .map(|line| ('-', line))
        .chain(new.map(|line| ('+', line)))
        .collect();
    format!(
        "{} differences, first {:#?}",
        list.len(),
        &list[..list.len().min(6)]
    )
}
