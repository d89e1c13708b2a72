//! Images that are damaged, cut, too new, or have names that no image may have.

use std::fs;

use anyhow::{Context, Result, ensure};
use azud_testkit::tools::run;

use crate::kit::{self, Said, azud, command, done, refused, text};
use crate::{Fixture, all_below, ready, restore};

/// Damage, at which byte of the image, and the codes that may tell it.
type Case = (&'static str, usize, &'static [&'static str]);

const CORRUPT: &[&str] = &["image/corrupt"];

#[test]
fn loop_damage_anywhere_is_told_and_leaves_no_file_system() -> Result<()> {
    if !ready() {
        return Ok(());
    }
    let all = Fixture::new()?;
    let bytes = fs::read(&all.image)?;
    let native = azud_image::Native::open(&bytes)?;
    let lens: Vec<usize> = native
        .frames()
        .iter()
        .map(|frame| frame.compressed_len as usize)
        .collect();
    let index: usize = lens.iter().sum();
    let data: usize = index - lens[lens.len() - 1];
    let seek = bytes.len() - (8 + 8 * (lens.len() + 2) + 9);
    let trailer = seek - 72;
    let cases: &[Case] = &[
        ("header frame", 20, CORRUPT),
        ("bitmap frame", lens[0] + 20, CORRUPT),
        ("first data frame", lens[0] + lens[1] + 2000, CORRUPT),
        ("last data frame", data + 100, CORRUPT),
        ("index header", index + 1, CORRUPT),
        ("facts", index + 8 + 40, CORRUPT),
        ("frame table", trailer - 500, CORRUPT),
        ("trailer's offset", trailer + 24, CORRUPT),
        ("trailer's identity", trailer + 50, CORRUPT),
        // A file that begins as an image is damaged; a stream cannot know that this was to be the trailer.
        (
            "trailer's magic",
            trailer + 9,
            &["image/corrupt", "image/not-native"],
        ),
        ("trailer's version", trailer + 17, &["image/newer-version"]),
        ("seek table", seek + 12, CORRUPT),
        (
            "seek table's footer",
            bytes.len() - 1,
            &["image/truncated", "image/corrupt"],
        ),
    ];
    let target = all.target()?;
    let former = all.path("former");
    fs::copy(all.path("target"), &former)?;
    for (what, at, codes) in cases {
        kit::copy(&former, target.path())?;
        let before = target.hash()?;
        let mut bad = bytes.clone();
        bad[*at] ^= 1;
        let image = all.path("images/bad.img");
        fs::write(&image, &bad)?;
        let told = refused(&["image", "verify", text(&image)]).context(*what)?;
        ensure!(codes.contains(&told.as_str()), "verify, {what}: {told}");
        let told = refused(&restore(text(&image), target.name())).context(*what)?;
        ensure!(codes.contains(&told.as_str()), "restore, {what}: {told}");
        if target.hash()? != before {
            ensure!(what.ends_with("data frame"), "{what}: it was written");
            ensure!(target.seen()?.is_none(), "{what}: {:?}", target.seen());
        }
    }
    done(&restore(all.image(), target.name()))?;
    run("e2fsck", &["-fn", target.name()])?;
    Ok(())
}

#[test]
fn loop_what_a_damaged_image_leaves_is_said_and_can_be_asked_before() -> Result<()> {
    if !ready() {
        return Ok(());
    }
    let all = Fixture::new()?;
    let mut bytes = fs::read(&all.image)?;
    let native = azud_image::Native::open(&bytes)?;
    // Far behind the beginning, which is read before anything is written, and long enough to be hit.
    let long = |n: &usize| native.frames()[*n].compressed_len;
    let far = native.frames().len() / 2..native.frames().len();
    let number = far.max_by_key(long).context("an image has frames")?;
    bytes[usize::try_from(native.offset(number))? + 100] ^= 1;
    let bad = all.path("images/bad.img");
    fs::write(&bad, &bytes)?;
    let target = all.target()?;
    let before = target.hash()?;
    let args = restore(text(&bad), target.name());
    let warnings = |said: &Said| {
        let all = said.lines.iter().filter(|line| line["warning"].is_string());
        all.map(|line| line["warning"].to_string())
            .collect::<Vec<_>>()
    };
    // Asked to look first, it writes nothing and says nothing of the target.
    let said = azud(&[&args[..], &["--verify-first"]].concat())?;
    ensure!(said.refused()? == "image/corrupt", "{}", said.last());
    ensure!(
        said.plan()["rows"]["image_check"] == "first",
        "{}",
        said.plan()
    );
    ensure!(warnings(&said).is_empty(), "{:?}", warnings(&said));
    ensure!(target.hash()? == before, "it was written");
    // Else it writes until it meets the damage, and says that only another image helps.
    let said = azud(&args)?;
    ensure!(said.refused()? == "image/corrupt", "{}", said.last());
    ensure!(
        said.plan()["rows"]["image_check"] == "as-reached",
        "{}",
        said.plan()
    );
    let told = warnings(&said);
    ensure!(
        told.len() == 1 && told[0].contains("sound image"),
        "{told:?}"
    );
    ensure!(target.seen()?.is_none(), "{:?}", target.seen());
    // A frame that the target has already is not needed.
    done(&restore(all.image(), target.name()))?;
    let again = done(&[&args[..], &["--changed-only"]].concat())?;
    ensure!(again["written"] == 0, "{again}");
    run("e2fsck", &["-fn", target.name()]).map(drop)
}

#[test]
fn a_stream_cannot_be_verified_first() -> Result<()> {
    let stream = ["image", "restore", "-", "target", "--yes", "--verify-first"];
    let said = azud(&stream)?;
    ensure!(said.status == Some(2), "{}", said.last());
    ensure!(
        said.last()["error"]["code"] == "cli/usage",
        "{}",
        said.last()
    );
    Ok(())
}

#[test]
fn truncated_and_foreign_files_are_no_images() -> Result<()> {
    if !ready() {
        return Ok(());
    }
    let all = Fixture::new()?;
    let bytes = fs::read(&all.image)?;
    let file = all.path("images/cut.img");
    let target = all.path("new");
    for len in [
        0,
        1,
        8,
        100,
        bytes.len() / 2,
        bytes.len() - 40,
        bytes.len() - 1,
    ] {
        fs::write(&file, &bytes[..len])?;
        let code = refused(&["image", "verify", text(&file)])?;
        ensure!(
            ["image/truncated", "image/unknown-format"].contains(&code.as_str()),
            "{len}: {code}"
        );
        ensure!(refused(&restore(text(&file), text(&target)))? == code);
        ensure!(!target.exists(), "a target was made");
    }
    // The middle is gone, the end is there.
    let hole = [&bytes[..bytes.len() / 2], &bytes[bytes.len() / 2 + 4096..]].concat();
    fs::write(&file, hole)?;
    let code = refused(&["image", "verify", text(&file)])?;
    ensure!(
        code == "image/corrupt" || code == "image/truncated",
        "{code}"
    );
    fs::write(&file, vec![7; 100_000])?;
    ensure!(refused(&["image", "info", text(&file)])? == "image/unknown-format");
    ensure!(refused(&["image", "verify", text(&all.path("nowhere"))])? == "image/not-found");
    // A damaged image can still be replaced, and what is in its place is kept.
    done(&["image", "create", all.volume(), text(&file)])?;
    done(&["image", "verify", "--deep", text(&file)])?;
    let history = done(&["image", "history", text(&file)])?;
    ensure!(
        history["versions"].as_array().map(Vec::len) == Some(2),
        "{history}"
    );
    Ok(())
}

#[test]
fn names_that_no_image_may_have_are_refused() -> Result<()> {
    if !ready() {
        return Ok(());
    }
    let all = Fixture::new()?;
    let folder = all_below(all.dir.path())?;
    let long = "x".repeat(300);
    let names = [
        ".x",
        "..",
        ".",
        "",
        "a\nb",
        "a\u{1b}[31m",
        "tab\tbed",
        "x.img.sum",
        "x.info",
        &long,
    ];
    for name in names {
        let path = format!("{}/images/{name}", text(all.dir.path()));
        for args in [
            &["image", "create", all.volume(), &path][..],
            &["image", "rm", &path, "--yes"],
            &["image", "rollback", &path, "--yes"],
            &["image", "history", &path],
        ] {
            let code = refused(args)?;
            ensure!(code == "image/bad-name", "{args:?}: {code}");
        }
    }
    // A good name in a repository that nobody knows; the hint says how to name the manager.
    let bare = command(&["image", "create", all.volume(), "REPO:x"])
        .env("AZUD_CONFIG", "/dev/null")
        .env_remove("AZUD_MANAGER")
        .output()?;
    ensure!(Said::of(&bare)?.refused()? == "place/no-manager");
    // Nor is a bad one better for lying there.
    for name in ["REPO:.x", "REPO:a//b", "REPO:a/../b", "REPO:"] {
        let code = refused(&["image", "create", all.volume(), name])?;
        ensure!(code == "image/bad-name", "{name}: {code}");
    }
    ensure!(
        refused(&[
            "image",
            "create",
            all.volume(),
            &format!("{}/no/dir/x", text(all.dir.path()))
        ])? == "image/not-found"
    );
    ensure!(all_below(all.dir.path())? == folder, "something was made");
    Ok(())
}
