//! What is refused, and that nothing changes then.

use std::fs::File;
use std::os::unix::fs::FileExt;

use anyhow::{Context, Result, ensure};
use azud_testkit::loops::Loop;
use azud_testkit::tools::run;
use serde_json::Value;

use crate::bench::{MIB, Parted, Point, azud, done, refused};
use crate::kit::{self, Said, text};
use crate::ready;

/// Runs `azud cache init … --yes`, which must refuse and change nothing.
fn init_refused(disk: &Parted, args: &[&str]) -> Result<String> {
    let hash = disk.hash()?;
    let code = refused(&[&["cache", "init"], args, &["--yes"]].concat())?;
    ensure!(disk.hash()? == hash, "{args:?} changed the disk");
    Ok(code)
}

#[test]
fn loop_no_room_no_number_and_taken_places_are_refused() -> Result<()> {
    if !ready() {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let full = Parted::new(dir.path(), "full", 100, &[])?;
    full.table("label: gpt\\nstart=1MiB,size=97MiB\\n")?;
    ensure!(init_refused(&full, &[full.name()])? == "disk/no-place");

    let disk = Parted::new(dir.path(), "disk", 300, &[])?;
    disk.table("label: dos\\nstart=1MiB,size=20MiB,type=7\\nstart=100MiB,size=20MiB,type=83\\n")?;
    let name = disk.name();
    for wish in [
        &["--start", "90M", "--size", "50M"][..],
        &["--start", "110M"],
        &["--start", "0"],
        &["--start", "290M", "--size", "50M"],
        &["--start", "150000000"],
        &["--size", "300M"],
        &["--size", "15E"],
    ] {
        let code = init_refused(&disk, &[&[name], wish].concat())?;
        ensure!(code == "disk/no-place", "{wish:?}: {code}");
    }
    ensure!(init_refused(&disk, &[name, "--fs", "xfs"])? == "disk/too-small");

    // One that was made and not formatted is not made twice.
    let made = Parted::new(dir.path(), "made", 300, &[])?;
    made.table("label: gpt\\nstart=1MiB,size=60MiB,name=\"CACHE\"\\n")?;
    ensure!(init_refused(&made, &[made.name()])? == "cache/no-file-system");

    let four = Parted::new(dir.path(), "four", 300, &[])?;
    four.table("label: dos\\nsize=1MiB\\nsize=1MiB\\nsize=1MiB\\nsize=1MiB\\n")?;
    ensure!(init_refused(&four, &[four.name()])? == "disk/no-place");
    Ok(())
}

#[test]
fn loop_content_without_a_table_and_damaged_tables_are_refused() -> Result<()> {
    if !ready() {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let swap = Parted::new(dir.path(), "swap", 100, &[])?;
    run("mkswap", &[swap.name()])?;
    ensure!(init_refused(&swap, &[swap.name()])? == "disk/not-empty");

    // Only the protective MBR is left of it: sfdisk would call it an MBR.
    let torn = Parted::new(dir.path(), "torn", 100, &[])?;
    torn.table("label: gpt\\nstart=1MiB,size=10MiB\\n")?;
    let node = File::options().write(true).open(torn.name())?;
    node.write_all_at(&[0; 512], 512)?;
    node.write_all_at(&[0; 512], 100 * MIB - 512)?;
    node.sync_all()?;
    ensure!(init_refused(&torn, &[torn.name()])? == "disk/bad-table");

    // Others lie within an extended partition.
    let nest = Parted::new(dir.path(), "nest", 200, &[])?;
    nest.table("label: dos\\nstart=1MiB,size=100MiB,type=5\\nstart=2MiB,size=50MiB,type=83\\n")?;
    ensure!(init_refused(&nest, &[&nest.part(1)])? == "disk/not-empty");
    ensure!(refused(&["cache", "init", text(dir.path())])? == "disk/not-a-device");
    ensure!(refused(&["cache", "init", text(&dir.path().join("nest"))])? == "disk/not-a-device");
    ensure!(refused(&["cache", "init", "/dev/nonexistent"])? == "disk/not-a-device");
    Ok(())
}

#[test]
fn loop_two_labels_are_named_and_none_is_taken() -> Result<()> {
    if !ready() {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let disks = [
        Parted::new(dir.path(), "a", 100, &[])?,
        Parted::new(dir.path(), "b", 100, &[])?,
    ];
    for disk in &disks {
        done(&["cache", "init", disk.name(), "--yes"])?;
    }
    let said = azud(&["cache", "find", disks[0].name(), disks[1].name()])?;
    ensure!(said.done()?["cache"].is_null(), "{}", said.last());
    let warned = said.lines.iter().find_map(|line| line["warning"].as_str());
    let warned = warned.context("a warning")?;
    for disk in &disks {
        ensure!(warned.contains(&disk.part(1)), "{warned}");
    }
    // A stick with the label does not take the place of the computer's own, and does not bar it.
    let mut find = kit::command(&["cache", "find", disks[0].name(), disks[1].name()]);
    find.env("AZUD_REMOVABLE_LOOPS", disks[0].name());
    let said = Said::of(&find.output()?)?;
    ensure!(said.done()?["cache"] == disks[1].part(1), "{}", said.last());
    // Among all devices of the machine there are at least these two.
    for verb in ["mount", "status", "unmount"] {
        let said = azud(&["cache", verb])?;
        ensure!(said.refused()? == "cache/ambiguous", "{}", said.last());
        let error = &said.last()["error"];
        let message = error["message"].as_str().context("message")?;
        ensure!(
            disks.iter().all(|disk| message.contains(&disk.part(1))),
            "{message}"
        );
        let hint = error["hint"].as_str().context("hint")?;
        ensure!(hint.contains("DEVICE"), "{hint}");
    }
    // Who names one gets that one.
    let at = Point(dir.path().join("at"));
    let mounted = done(&["cache", "mount", disks[1].name(), "--at", text(&at.0)])?;
    ensure!(mounted["device"] == disks[1].part(1), "{mounted}");
    done(&["cache", "unmount", disks[1].name()])?;

    // One that is mounted where the cache belongs has been chosen.
    let root = dir.path().join("root");
    let at = Point(root.join("localhost"));
    let at_home = |args: &[&str]| -> Result<Value> {
        let mut command = kit::command(args);
        command
            .env("AZUD_ROOT", &root)
            .env("AZUD_MNT", dir.path().join("mnt"));
        Ok(Said::of(&command.output()?)?.done()?.clone())
    };
    at_home(&["cache", "mount", disks[0].name()])?;
    for verb in ["status", "mount", "unmount"] {
        let told = at_home(&["cache", verb]).with_context(|| verb.to_owned())?;
        ensure!(told["device"] == disks[0].part(1), "{verb}: {told}");
    }
    ensure!(!at.0.exists(), "it is still mounted");
    Ok(())
}

/// Images may still be in a cache that is not recognised: it is looked at and checked before it is given up.
fn nobody_is_sent_to_format(disk: &Parted) -> Result<()> {
    let careful = |args: &[&str], code: &str| -> Result<()> {
        let said = azud(args)?;
        ensure!(said.refused()? == code, "{}", said.last());
        let hint = said.last()["error"]["hint"].as_str().context("a hint")?;
        let at = |word: &str| hint.find(word).with_context(|| hint.to_owned());
        let (look, check, format) = (at("blkid")?, at("e2fsck -fn")?, at("--reformat")?);
        ensure!(look < check && check < format, "{hint}");
        Ok(())
    };
    careful(&["cache", "mount", disk.name()], "cache/no-file-system")?;
    careful(&["cache", "init", &disk.part(1)], "cache/exists")?;
    careful(&["cache", "init", disk.name()], "cache/exists")?;
    let said = azud(&["cache", "status", disk.name()])?;
    let warned = said.lines.iter().find_map(|line| line["warning"].as_str());
    let careful = warned.is_some_and(|text| text.contains("e2fsck -fn"));
    ensure!(careful, "{warned:?}");
    Ok(())
}

#[test]
fn loop_a_corrupt_or_write_protected_cache_says_so() -> Result<()> {
    if !ready() {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let disk = Parted::new(dir.path(), "disk", 100, &[])?;
    done(&["cache", "init", disk.name(), "--yes"])?;
    let at = Point(dir.path().join("at"));

    // The same bytes, write-protected: the partition is seen through a window of its own.
    let (start, len) = disk.span(1)?;
    let window = [
        "--read-only",
        "--offset",
        &start.to_string(),
        "--sizelimit",
        &len.to_string(),
    ];
    let window = Loop::attach_with(&dir.path().join("disk"), &window)?;
    let said = azud(&["cache", "mount", window.name(), "--at", text(&at.0)])?;
    ensure!(said.done()?["read_only"] == true, "{}", said.last());
    ensure!(said.lines.iter().any(|line| line["warning"].is_string()));
    // Whoever mounts it again is told that it cannot be written.
    let said = azud(&["cache", "mount", window.name()])?;
    ensure!(said.done()?["read_only"] == true, "{}", said.last());
    let warned = said.lines.iter().find_map(|line| line["warning"].as_str());
    ensure!(
        warned.is_some_and(|it| it.contains("already")),
        "{warned:?}"
    );
    let status = done(&["cache", "status", window.name()])?;
    ensure!(
        status["read_only"] == true && status["clones"].is_null(),
        "{status}"
    );
    done(&["cache", "unmount", window.name()])?;
    let init = ["cache", "init", window.name(), "--reformat", "--yes"];
    ensure!(refused(&init)? == "disk/read-only");
    drop(window);

    // blkid sees an ext4, the kernel an impossible one: inodes per group.
    let node = File::options().read(true).write(true).open(disk.part(1))?;
    node.write_all_at(&[0xFF; 4], 1024 + 40)?;
    node.sync_all()?;
    let at = Point(dir.path().join("not-made"));
    let mount = ["cache", "mount", disk.name(), "--at", text(&at.0)];
    let said = azud(&mount)?;
    ensure!(said.refused()? == "fs/corrupt", "{}", said.last());
    ensure!(!at.0.exists(), "the directory was made for nothing");
    // It is still a cache, whose images nobody can count.
    let part = disk.part(1);
    ensure!(init_refused(&disk, &[&part])? == "cache/exists");
    let said = azud(&["cache", "init", &part, "--reformat"])?;
    ensure!(said.refused()? == "cli/not-confirmed");
    ensure!(
        said.warned() == ["destroys", "images-unknown"],
        "{:?}",
        said.warned()
    );
    // A feature that nobody knows: blkid sees nothing at all, and it is a cache by its name alone.
    node.write_all_at(&[0xFF; 4], 1024 + 96)?;
    node.sync_all()?;
    ensure!(init_refused(&disk, &[&part])? == "cache/exists");
    nobody_is_sent_to_format(&disk)?;
    done(&["cache", "init", &part, "--reformat", "--yes"])?;
    done(&mount)?;
    done(&["cache", "unmount", &part])?;
    Ok(())
}
