//! Images of a manager that are read where they are: those of other programs, and native ones for what is not copied.

use std::fs;
use std::os::unix::fs::{FileExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, ensure};
use azud_core::name::ImageFile;
use azud_store::lease::Lease;
use azud_testkit::proxy::{Answer, Proxy};
use serde_json::Value;

use crate::faults::{address, identity};
use crate::kit::{self, Said, text};
use crate::server::{Room, refusal};
use crate::{MIB, image, noise, same};

/// An image of partclone that lzop packed, in the manager's directory.
fn packed(room: &Room, seed: u64) -> Result<PathBuf> {
    image(room, "native.img", &noise(seed, 6 * MIB))?;
    let (native, old) = (
        room.images().join("native.img"),
        room.images().join("old.img"),
    );
    let to = ["--to", "partclone", "--compress", "lzop", "--yes"];
    kit::done(&[&["image", "export", text(&native), text(&old)], &to[..]].concat())?;
    fs::remove_file(native)?;
    Ok(old)
}

/// An archive of fsarchiver, by its first bytes.
fn archive(room: &Room, seed: u64) -> Result<PathBuf> {
    let mut foreign = noise(seed, 3 * MIB);
    foreign[..4].copy_from_slice(b"FsA0");
    let path = room.images().join("old.img");
    fs::write(&path, foreign)?;
    Ok(path)
}

fn same_of(here: &Value, there: &Value, keys: &[&str]) -> Result<()> {
    for key in keys {
        ensure!(here[key] == there[key], "{key}: {here} {there}");
    }
    Ok(())
}

#[test]
fn an_image_of_another_program_is_described_and_verified_where_it_is() -> Result<()> {
    let room = Room::new()?;
    let old = packed(&room, 301)?;
    let manager = room.serve()?;
    room.know(&manager)?;
    let (here, there) = (
        room.done(&["image", "info", text(&old)])?,
        room.done(&["image", "info", "REPO:old"])?,
    );
    let keys = [
        "native",
        "format",
        "compressor",
        "fs",
        "device_size",
        "used",
        "tool",
        "file_size",
        "modified",
        "side_files",
        "claimed",
    ];
    same_of(&here, &there, &keys)?;
    ensure!(
        there["format"] == "partclone" && there["compressor"] == "lzop",
        "{there}"
    );
    let listed = room.done(&["image", "list", "REPO:"])?;
    ensure!(there["identity"].is_string(), "{there}");
    ensure!(
        listed["images"][0]["identity"] == there["identity"],
        "{listed}"
    );
    let (here, there) = (
        room.done(&["image", "verify", text(&old)])?,
        room.done(&["image", "verify", "REPO:old"])?,
    );
    same_of(
        &here,
        &there,
        &["format", "result", "md5", "full_sum", "own_checks"],
    )?;
    ensure!(there["result"] == "sound", "{there}");
    Ok(())
}

/// The root may be named from where the manager is started, and by a link: what is made ahead is what is found.
#[test]
fn regression_an_index_made_ahead_serves_whatever_the_root_is_called() -> Result<()> {
    let room = Room::new()?;
    archive(&room, 309)?;
    symlink("images", room.dir().join("link"))?;
    let indexes = room.state().join("indexes");
    let kept = || fs::read_dir(&indexes).map_or(0, Iterator::count);
    for root in ["./images", "link"] {
        let _ = fs::remove_dir_all(&indexes);
        let manager = room.serve_bare(&["--images", root])?;
        room.know(&manager)?;
        let begun = Instant::now();
        while kept() == 0 {
            ensure!(begun.elapsed() < Duration::from_secs(30), "{root}: none");
            sleep(Duration::from_millis(50));
        }
        let info = room.done(&["image", "info", "REPO:old"])?;
        ensure!(info["identity"].is_string(), "{info}");
        ensure!(kept() == 1, "{root}: it was made twice");
    }
    Ok(())
}

/// However long it takes: patience is for who does not answer.
#[test]
fn regression_an_index_in_the_making_is_waited_for() -> Result<()> {
    let room = Room::new()?;
    archive(&room, 310)?;
    let manager = room.serve()?;
    let asked = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&asked);
    let becomes = move |_, head: &str| {
        if head.contains("/index ") && counted.fetch_add(1, Ordering::Relaxed) < 4 {
            Answer::Making
        } else {
            Answer::Right
        }
    };
    let proxy = Proxy::of_requests(address(&manager), &identity(&room)?, becomes)?;
    room.know_at(proxy.port(), &manager.pin, "read")?;
    let run = |args: &[&str]| {
        asked.store(0, Ordering::Relaxed);
        Said::of(&room.command(args).env("AZUD_PATIENCE", "1").output()?)
    };
    let to = room.dir().join("all");
    let said = run(&["repo", "import", "REPO:", text(&to), "--yes"])?;
    ensure!(said.done()?["failed"] == serde_json::json!([]));
    let said = run(&["image", "info", "REPO:old"])?;
    said.done()?;
    let told = said.told();
    ensure!(told.matches("make its index").count() == 1, "{told}");
    Ok(())
}

#[test]
fn damage_in_an_image_of_another_program_is_found_where_it_is() -> Result<()> {
    let room = Room::new()?;
    let old = packed(&room, 302)?;
    let manager = room.serve()?;
    room.know(&manager)?;
    room.done(&["image", "verify", "REPO:old"])?;
    let file = fs::File::options().read(true).write(true).open(&old)?;
    let mut byte = [0];
    file.read_exact_at(&mut byte, 3 * MIB as u64)?;
    let before = file.metadata()?.modified()?;
    file.write_all_at(&[byte[0] ^ 1], 3 * MIB as u64)?;
    // Whoever writes in place can put the time back.
    file.set_modified(before)?;
    drop(file);
    refusal(
        &room.run(&["image", "verify", "REPO:old"])?,
        "image/corrupt",
    )
}

#[test]
fn an_image_that_only_its_program_reads_is_as_indexed_or_as_summed() -> Result<()> {
    let room = Room::new()?;
    let old = archive(&room, 303)?;
    let manager = room.serve()?;
    room.know(&manager)?;
    let verified = || room.done(&["image", "verify", "REPO:old"]);
    let plain = verified()?;
    ensure!(
        plain["result"] == "as-indexed" && plain["warnings"][0] == "no-sums",
        "{plain}"
    );
    let md5 = plain["md5"].as_str().context("a sum")?;
    let sum = room.images().join("old.img.full.sum");
    fs::write(&sum, md5)?;
    let summed = verified()?;
    ensure!(
        summed["result"] == "as-summed" && summed["full_sum"] == true,
        "{summed}"
    );
    fs::write(&sum, "0".repeat(32))?;
    refusal(
        &room.run(&["image", "verify", "REPO:old"])?,
        "image/corrupt",
    )?;
    fs::write(&old, noise(304, MIB))?;
    let info = room.run(&["image", "info", "REPO:old"])?;
    refusal(&info, "image/unknown-format")
}

#[test]
fn native_images_are_compared_and_exported_where_they_are() -> Result<()> {
    let room = Room::new()?;
    let mut volume = noise(305, 8 * MIB);
    image(&room, "a.img", &volume)?;
    volume[5 * MIB..6 * MIB].fill(7);
    image(&room, "b.img", &volume)?;
    let manager = room.serve()?;
    room.know(&manager)?;
    let (a, b) = (room.images().join("a.img"), room.images().join("b.img"));
    let here = room.done(&["image", "diff", text(&a), text(&b)])?;
    for pair in [["REPO:a", "REPO:b"], [text(&a), "REPO:b"]] {
        let there = room.done(&["image", "diff", pair[0], pair[1]])?;
        same_of(&here, &there, &["same", "shared", "new", "gone"])?;
    }
    let out = |name: &str| room.dir().join(name);
    let export = |from: &str, to: &Path, how: &[&str]| {
        let args = ["image", "export", from, text(to), "--yes", "--to"];
        room.done(&[&args[..], how].concat())
    };
    export("REPO:b", &out("raw"), &["raw"])?;
    ensure!(fs::read(out("raw"))? == volume, "other bytes");
    let how = ["partclone", "--compress", "gzip"];
    export("REPO:b", &out("there.gz"), &how)?;
    export(text(&b), &out("here.gz"), &how)?;
    same(&out("here.gz"), &out("there.gz"))
}

#[test]
fn what_an_image_was_before_is_told_where_it_is() -> Result<()> {
    let room = Room::new()?;
    image(&room, "one.img", &noise(307, MIB))?;
    image(&room, "one.img", &noise(308, MIB))?;
    let manager = room.serve()?;
    room.know(&manager)?;
    let one = room.images().join("one.img");
    let agree = |count: usize| -> Result<()> {
        let here = room.done(&["image", "history", text(&one)])?;
        let there = room.done(&["image", "history", "REPO:one"])?;
        let of = |said: &Value| said["versions"].as_array().cloned().unwrap_or_default();
        let (ours, theirs) = (of(&here), of(&there));
        ensure!(
            ours.len() == count && theirs.len() == count,
            "{here} {there}"
        );
        for (ours, theirs) in ours.iter().zip(&theirs) {
            let keys = [
                "version",
                "current",
                "identity",
                "created",
                "replaced",
                "file_size",
            ];
            same_of(ours, theirs, &keys)?;
        }
        ensure!(here["rollback"] == there["rollback"], "{there}");
        ensure!(!there.to_string().contains(text(room.dir())), "{there}");
        Ok(())
    };
    agree(2)?;
    // Of one that was removed the trash still tells.
    kit::done(&["image", "rm", text(&one), "--yes"])?;
    agree(2)?;
    refusal(
        &room.run(&["image", "history", "REPO:none"])?,
        "image/not-found",
    )
}

#[test]
fn who_puts_another_image_there_keeps_nobody_from_fetching() -> Result<()> {
    let room = Room::new()?;
    let old = archive(&room, 307)?;
    let manager = room.serve()?;
    room.know(&manager)?;
    let to = room.dir().join("copy.img");
    let fetch = || room.run(&["image", "copy", "REPO:old", text(&to), "--yes"]);
    let lease = Lease::take(&ImageFile::parse(&old)?, SystemTime::now())?;
    fetch()?.done()?;
    same(&old, &to)?;
    drop(lease);
    // Another tool may be writing into it.
    fs::remove_file(&to)?;
    fs::write(old.with_file_name("old.img.lock"), "")?;
    refusal(&fetch()?, "image/locked")?;
    ensure!(!to.exists());
    Ok(())
}

#[test]
fn a_list_tells_what_the_index_knows() -> Result<()> {
    let room = Room::new()?;
    image(&room, "one.img", &noise(306, MIB))?;
    fs::remove_file(room.images().join("one.img.info"))?;
    let manager = room.serve()?;
    room.know(&manager)?;
    let list = room.done(&["image", "list", "REPO:"])?;
    let one = &list["images"][0];
    let here = room.done(&["image", "info", text(&room.images().join("one.img"))])?;
    ensure!(one["native"] == true, "{one}");
    ensure!(
        one["fs"] == here["facts"]["fs"] && one["fs"].is_string(),
        "{one}"
    );
    let mut plain = std::process::Command::new(kit::program());
    plain.args(["image", "list", "REPO:"]);
    let output = room.settings(&mut plain).output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    ensure!(said.contains(" azud "), "{said}");
    Ok(())
}

#[test]
fn regression_a_mark_at_the_head_of_a_file_makes_no_image_of_it() -> Result<()> {
    let room = Room::new()?;
    let manager = room.serve()?;
    room.know_as(&manager, "write")?;
    let (here, native) = (
        room.dir().join("here.img"),
        room.images().join("native.img"),
    );
    image(&room, "native.img", &noise(311, MIB))?;
    let export = ["image", "export", text(&native), text(&here), "--yes"];
    kit::done(&[&export[..], &["--to", "partclone"]].concat())?;
    let mut spoilt = fs::read(&here)?;
    spoilt[60] ^= 1;
    for (content, code) in [
        (&b"partclone-image\0\0"[..], "image/truncated"),
        (&spoilt, "image/corrupt"),
        (&b"\0ntfsclone-image\x0a"[..], "image/truncated"),
    ] {
        fs::write(&here, content)?;
        refusal(&room.run(&["image", "verify", text(&here)])?, code)?;
        let there = ["image", "copy", text(&here), "REPO:one", "--yes"];
        refusal(&room.run(&there)?, code)?;
        let dir = room.dir().join("copy.img");
        refusal(
            &room.run(&["image", "copy", text(&here), text(&dir), "--yes"])?,
            code,
        )?;
        fs::copy(&here, room.images().join("two.img"))?;
        let fetch = ["image", "copy", "REPO:two", text(&dir), "--yes"];
        refusal(&room.run(&fetch)?, code)?;
        ensure!(!room.images().join("one.img").exists() && !dir.exists());
    }
    Ok(())
}

#[test]
fn regression_what_is_no_file_at_the_manager_is_told_so() -> Result<()> {
    let room = Room::new()?;
    fs::create_dir_all(room.images().join("aula1/dir.img"))?;
    let pipe = room.images().join("aula1/pipe.img");
    azud_testkit::tools::run("mkfifo", &[text(&pipe)])?;
    let manager = room.serve()?;
    room.know(&manager)?;
    let to = room.dir().join("to.img");
    for name in ["REPO:aula1/dir", "REPO:aula1/pipe"] {
        for args in [
            &["image", "copy", name, text(&to), "--yes"][..],
            &["image", "verify", name],
            &["image", "info", name],
        ] {
            let said = room.run(args)?;
            refusal(&said, "image/not-a-file").with_context(|| format!("{args:?}"))?;
        }
    }
    ensure!(!to.exists(), "something came");
    Ok(())
}
