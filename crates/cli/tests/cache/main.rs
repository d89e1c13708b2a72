//! The cache partition through the real program, on disks with real tables.

mod bench;
#[path = "../kit/mod.rs"]
mod kit;
mod places;
mod refusals;

use std::fs;

use anyhow::{Context, Result, ensure};
use azud_testkit::tools::{have, have_root, run, sh};
use bench::{MIB, Parted, Point, azud, check, done, refused};
use kit::text;
use serde_json::Value;

fn ready() -> bool {
    have_root()
        && have(&[
            "sfdisk",
            "partx",
            "blkid",
            "wipefs",
            "losetup",
            "mkfs.ext4",
            "mkfs.xfs",
            "mkfs.btrfs",
        ])
}

fn devices(found: &Value) -> Vec<&str> {
    let caches = found["caches"].as_array();
    let caches = caches.into_iter().flatten();
    caches
        .filter_map(|cache| cache["device"].as_str())
        .collect()
}

const GPT: &str =
    "label: gpt\\nstart=1MiB,size=20MiB,name=\"CACHÉ\"\\nstart=40MiB,size=20MiB,type=U\\n";
/// A primary partition and an extended one with two logical ones.
const MBR: &str = "label: dos\\nstart=1MiB,size=20MiB,type=7,bootable\\nstart=40MiB,size=40MiB,type=5\\n\
    start=41MiB,size=10MiB,type=83\\nstart=60MiB,size=10MiB,type=82\\n";

#[test]
fn loop_a_disk_gets_a_cache_and_keeps_all_else() -> Result<()> {
    if !ready() {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    for (name, script, options, number) in [
        ("gpt", GPT, &[][..], 3),
        ("gpt4k", GPT, &["--sector-size", "4096"], 3),
        ("mbr", MBR, &[], 4),
        ("mbr4k", MBR, &["--sector-size", "4096"], 4),
    ] {
        let disk = Parted::new(dir.path(), name, 300, options)?;
        disk.table(script)?;
        let (first, second) = (disk.fill(1, 20)?, disk.fill(42, 8)?);
        let before = disk.entries()?;
        let hash = disk.hash()?;

        let init = ["cache", "init", disk.name(), "--size", "100M"];
        done(&[&init[..], &["--dry-run"]].concat())?;
        ensure!(refused(&init)? == "cli/not-confirmed");
        ensure!(disk.hash()? == hash, "{name}: nobody had agreed");

        let said = azud(&[&init[..], &["--yes"]].concat())?;
        let made = said.done().context(name)?;
        ensure!(
            said.plan()["rows"]["partition"] == number,
            "{}",
            said.plan()
        );
        ensure!(made["device"] == disk.part(number), "{made}");
        let (start, len) = disk.span(number)?;
        ensure!(start % MIB == 0 && len == 100 * MIB, "{start} {len}");
        ensure!(
            start + len + 4 * MIB == 300 * MIB,
            "not at the end: {start}"
        );

        let mut after = disk.entries()?;
        let ours = after
            .iter()
            .position(|line| line.starts_with(&disk.part(number)));
        let ours = after.remove(ours.context("no new entry")?);
        ensure!(after == before, "{after:#?} was {before:#?}");
        let kind = if name.starts_with("gpt") {
            "type=0FC63DAF-8483-4772-8E79-3D69D8477DE4"
        } else {
            "type=ca"
        };
        ensure!(ours.contains(kind), "{ours}");
        ensure!(
            !name.starts_with("gpt") || ours.contains("name=\"CACHE\""),
            "{ours}"
        );
        ensure!(disk.read(1, first.len())? == first && disk.read(42, second.len())? == second);
        check(&disk.part(number), "ext4")?;

        // The table is one that others read alike, and so does a second look.
        run("sfdisk", &["--verify", "--quiet", disk.name()])?;
        let found = done(&["cache", "find", disk.name()])?;
        ensure!(devices(&found) == [disk.part(number)], "{found}");
        ensure!(found["caches"][0]["found_by"] == "label", "{found}");
    }
    Ok(())
}

#[test]
fn loop_a_blank_disk_gets_a_table_and_a_place_may_be_named() -> Result<()> {
    if !ready() {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    for (kind, number) in [("gpt", 1), ("mbr", 4)] {
        let disk = Parted::new(dir.path(), kind, 300, &[])?;
        let init = [
            "cache",
            "init",
            disk.name(),
            "--table",
            kind,
            "--start",
            "100M",
            "--size",
            "60M",
            "--yes",
        ];
        let said = azud(&init)?;
        said.done()?;
        ensure!(said.warned() == ["new-table"], "{:?}", said.warned());
        ensure!(disk.span(number)? == (100 * MIB, 60 * MIB));
        ensure!(disk.entries()?.len() == 1);
    }
    Ok(())
}

#[test]
fn loop_every_file_system_is_made_mounted_described_and_unmounted() -> Result<()> {
    if !ready() {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    for (fs, clones) in [("ext4", false), ("xfs", true), ("btrfs", true)] {
        let disk = Parted::new(dir.path(), fs, 400, &[])?;
        let made = done(&["cache", "init", disk.name(), "--fs", fs, "--yes"])?;
        let status = done(&["cache", "status", disk.name()])?;
        ensure!(status["mounts"] == Value::Array(Vec::new()), "{status}");
        ensure!(status["identity"].is_null(), "{status}");

        let at = Point(dir.path().join(format!("at-{fs}")));
        let mount = ["cache", "mount", disk.name(), "--at", text(&at.0)];
        done(&[&mount[..], &["--dry-run"]].concat())?;
        ensure!(!at.0.exists(), "it was only a plan");
        done(&mount)?;
        let images = at.0.join("opt/opengnsys/images");
        ensure!(images.is_dir());
        fs::write(images.join("win.img"), vec![7; 5000])?;
        fs::write(images.join("win.img.sum"), "x")?;
        let status = done(&["cache", "status", disk.name()])?;
        ensure!(status["identity"] == made["identity"] && made["identity"].is_string());
        ensure!(status["fs"] == fs && status["clones"] == clones, "{status}");
        ensure!(
            status["images"] == 1 && status["images_size"] == 5000,
            "{status}"
        );
        ensure!(status["read_only"] == false, "{status}");
        ensure!(status["free"].as_u64() > Some(50 * MIB), "{status}");
        ensure!(status["images_dir"] == text(&images), "{status}");

        // Once more is no error; elsewhere is one, and says where it is.
        done(&mount)?;
        let other = dir.path().join("other");
        let said = azud(&["cache", "mount", disk.name(), "--at", text(&other)])?;
        ensure!(said.refused()? == "disk/mounted" && !other.exists());
        let message = said.last()["error"]["message"].as_str();
        ensure!(message.is_some_and(|message| message.contains(text(&at.0))));
        ensure!(
            refused(&["cache", "init", &disk.part(1), "--reformat", "--yes"])? == "disk/mounted"
        );

        done(&["cache", "unmount", disk.name()])?;
        ensure!(refused(&["cache", "unmount", disk.name()])? == "mount/not-mounted");
        check(&disk.part(1), fs)?;
    }
    Ok(())
}

#[test]
fn loop_a_cache_is_only_formatted_anew_when_that_is_asked() -> Result<()> {
    if !ready() {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let disk = Parted::new(dir.path(), "disk", 200, &[])?;
    let first = done(&["cache", "init", disk.name(), "--yes"])?;
    let part = disk.part(1);
    let at = Point(dir.path().join("at"));
    done(&["cache", "mount", disk.name(), "--at", text(&at.0)])?;
    fs::write(at.0.join("opt/opengnsys/images/win.img"), vec![7; 5000])?;
    done(&["cache", "unmount", disk.name()])?;
    let hash = disk.hash()?;
    // Neither the disk nor the partition, whatever its label is.
    ensure!(refused(&["cache", "init", disk.name(), "--yes"])? == "cache/exists");
    ensure!(refused(&["cache", "init", &part, "--yes"])? == "cache/exists");
    ensure!(disk.hash()? == hash, "it was refused");
    run("e2label", &[&part, "other"])?;
    run(
        "sfdisk",
        &[
            "--quiet",
            "--no-reread",
            "--no-tell-kernel",
            "--part-label",
            disk.name(),
            "1",
            "x",
        ],
    )?;
    let said = azud(&["cache", "init", &part, "--yes"])?;
    ensure!(said.refused()? == "cache/exists", "{}", said.last());
    let hint = said.last()["error"]["hint"].as_str();
    ensure!(hint.is_some_and(|hint| hint.contains("--reformat")));
    // The plan says what is lost; without consent it stays.
    let reformat = ["cache", "init", &part, "--reformat"];
    let said = azud(&reformat)?;
    ensure!(said.refused()? == "cli/not-confirmed");
    ensure!(
        said.warned() == ["destroys", "images-lost"],
        "{:?}",
        said.warned()
    );
    let lost = said.plan()["warnings"][1]["text"].as_str();
    ensure!(
        lost.is_some_and(|text| text.starts_with("1 image")),
        "{lost:?}"
    );
    let second = done(&[&reformat[..], &["--yes"]].concat())?;
    ensure!(second["identity"] != first["identity"]);
    done(&["cache", "mount", &part, "--at", text(&at.0)])?;
    ensure!(
        fs::read_dir(at.0.join("opt/opengnsys/images"))?
            .next()
            .is_none()
    );
    done(&["cache", "unmount", &part])?;
    Ok(())
}

#[test]
fn loop_caches_are_found_by_every_rule_in_its_order() -> Result<()> {
    if !ready() {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let mbr = Parted::new(dir.path(), "mbr", 100, &[])?;
    mbr.table("label: dos\\nstart=1MiB,size=20MiB,type=a7\\nstart=30MiB,size=20MiB,type=ca\\n")?;
    let gpt = Parted::new(dir.path(), "gpt", 100, &[])?;
    gpt.table("label: gpt\\nstart=1MiB,size=20MiB,name=\"CACHE\"\\nstart=30MiB,size=20MiB\\n")?;
    let found = done(&["cache", "find", mbr.name(), gpt.name()])?;
    ensure!(
        devices(&found) == [gpt.part(1), mbr.part(1), mbr.part(2)],
        "{found}"
    );
    ensure!(
        found["cache"] == gpt.part(1),
        "the name is stronger than the type"
    );
    ensure!(found["caches"][1]["found_by"] == "mbr-type", "{found}");
    // A partition without a file system is found, and mounting it says what to do.
    ensure!(refused(&["cache", "mount", gpt.name()])? == "cache/no-file-system");
    // A label is stronger than both, also with a name that tries to look like one.
    sh(
        "mkfs.ext4 -q -F -L CACHE \"$1\"; mkfs.ext4 -q -F -L 'CACHE x' \"$2\"",
        &[&gpt.part(2), &mbr.part(2)],
    )?;
    let found = done(&["cache", "find", mbr.name(), gpt.name()])?;
    ensure!(found["cache"] == gpt.part(2), "{found}");
    ensure!(found["caches"][0]["found_by"] == "label", "{found}");
    // One device alone may be asked for.
    let found = done(&["cache", "find", &mbr.part(2)])?;
    ensure!(
        devices(&found) == [mbr.part(2)] && found["cache"] == mbr.part(2),
        "{found}"
    );
    // Formatting one by a weaker rule is no reformatting: nothing is in it.
    done(&["cache", "init", &mbr.part(1), "--yes"])?;
    Ok(())
}
