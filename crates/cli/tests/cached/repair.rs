//! Checks and repairs: damage is found, remembered, and only it is fetched again.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use azud_testkit::tools::have;

use crate::kit::{azud, done, ext4, text, whole};
use crate::{cache, foreign, listed, refusal};

fn flip(file: &Path, offset: usize) -> Result<()> {
    use std::os::unix::fs::FileExt;
    let file = fs::File::options().read(true).write(true).open(file)?;
    let modified = file.metadata()?.modified()?;
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset as u64)?;
    file.write_all_at(&[byte[0] ^ 0x10], offset as u64)?;
    file.sync_all()?;
    // Rot does not change a file's time.
    Ok(file.set_modified(modified)?)
}

/// A native image in a cache, and the same in another tree.
fn pair(dir: &Path) -> Result<(PathBuf, PathBuf)> {
    let volume = dir.join("volume");
    // Of many frames, for a frame may have 2.5 MiB.
    ext4(&volume, 64, 32)?;
    let (root, repo) = (dir.join("cache"), dir.join("repo"));
    for tree in [&root, &repo] {
        fs::create_dir_all(tree.join("aula"))?;
    }
    done(&[
        "image",
        "create",
        text(&volume),
        text(&repo.join("aula/deb.img")),
    ])?;
    for side in ["", ".info", ".sum", ".full.sum"] {
        let name = format!("aula/deb.img{side}");
        fs::copy(repo.join(&name), root.join(&name))?;
    }
    Ok((root, repo))
}

fn size(repo: &Path) -> Result<usize> {
    Ok(usize::try_from(
        fs::metadata(repo.join("aula/deb.img"))?.len(),
    )?)
}

/// Acceptance test 2.
#[test]
fn a_byte_flipped_at_offset_1000_is_found_and_only_its_frame_is_fetched() -> Result<()> {
    if !have(&["mke2fs", "md5sum"]) {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let (root, repo) = pair(dir.path())?;
    let image = root.join("aula/deb.img");
    let original = fs::read(&image)?;
    cache(&root, "verify", &[])?;
    assert_eq!(listed(&root, "aula/deb.img")?["verified"]["sound"], true);
    // In the head (offset 1000), in the middle, and in the index.
    for (offset, in_frames) in [
        (1000, true),
        (size(&repo)? / 2, true),
        (size(&repo)? - 200, false),
    ] {
        flip(&image, offset)?;
        assert_eq!(
            refusal(&root, "verify", &["aula/deb"])?,
            "image/corrupt",
            "{offset}"
        );
        let seen = listed(&root, "aula/deb.img")?;
        assert_eq!(seen["verified"]["sound"], false);
        let bad = seen["verified"]["bad"].as_array().context("bad")?.len();
        assert_eq!(bad, usize::from(in_frames), "{offset}: {seen}");
        let plan = azud(&[
            "cache",
            "repair",
            "aula/deb",
            "--cache",
            text(&root),
            "--from",
            text(&repo),
            "--dry-run",
        ])?;
        let rows = &plan.plan()["rows"];
        assert_eq!(rows["damaged_frames"], bad);
        let index = if in_frames { "no" } else { "yes" };
        assert_eq!(rows["damaged_index"], index);
        let to_fetch = rows["to_fetch"].clone();
        ensure!(fs::read(&image)? != original, "a dry run writes nothing");
        let done = cache(&root, "repair", &["aula/deb", "--from", text(&repo)])?;
        assert_eq!(done["frames"], bad);
        assert_eq!(done["fetched"], to_fetch);
        let fetched = done["fetched"].as_u64().context("fetched")?;
        ensure!(
            fetched > 0 && fetched < original.len() as u64 / 4,
            "{fetched} of {}",
            original.len()
        );
        ensure!(fs::read(&image)? == original, "{offset}");
        assert_eq!(listed(&root, "aula/deb.img")?["verified"]["sound"], true);
        whole(&image)?;
    }
    let again = cache(&root, "repair", &["aula/deb", "--from", text(&repo)])?;
    assert_eq!(
        (&again["frames"], &again["fetched"]),
        (&0.into(), &0.into())
    );
    Ok(())
}

#[test]
fn a_truncated_image_is_filled_up_and_a_stranger_changes_nothing() -> Result<()> {
    if !have(&["mke2fs", "md5sum"]) {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let (root, repo) = pair(dir.path())?;
    let image = root.join("aula/deb.img");
    let original = fs::read(&image)?;
    let cut = original.len() * 2 / 3;
    fs::File::options()
        .write(true)
        .open(&image)?
        .set_len(cut as u64)?;
    assert_eq!(refusal(&root, "verify", &[])?, "image/corrupt");
    let done = cache(
        &root,
        "repair",
        &["aula/deb", "--from", text(&repo.join("aula/deb"))],
    )?;
    let fetched = done["fetched"].as_u64().context("fetched")?;
    ensure!(fetched < original.len() as u64 / 2, "{fetched}");
    ensure!(fs::read(&image)? == original);

    // A copy of another image has none of the frames: nothing is written.
    let other = dir.path().join("other");
    ext4(&other, 24, 8)?;
    let other_image = dir.path().join("other.img");
    done_create(&other, &other_image)?;
    flip(&image, original.len() / 2)?;
    let damaged = fs::read(&image)?;
    let from = ["aula/deb", "--from", text(&other_image)];
    assert_eq!(refusal(&root, "repair", &from)?, "cache/no-copy");
    ensure!(fs::read(&image)? == damaged);
    // Without its ending nobody knows what the image was, unless the sums agree.
    fs::remove_file(root.join("aula/deb.img.full.sum"))?;
    fs::remove_dir_all(root.join(".azud-cache"))?;
    flip(&image, original.len() - 5)?;
    assert_eq!(refusal(&root, "repair", &from)?, "cache/unknown-version");
    Ok(())
}

fn done_create(volume: &Path, image: &Path) -> Result<()> {
    done(&["image", "create", text(volume), text(image)]).map(drop)
}

#[test]
fn a_foreign_image_is_checked_by_its_sum_the_longest_unchecked_first() -> Result<()> {
    if !have(&["md5sum"]) {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let root = dir.path();
    for name in ["a.img", "b.img", "c.img"] {
        foreign(root, name, 7, 3 << 20)?;
    }
    fs::remove_file(root.join("c.img.full.sum"))?;
    let states = |value: &serde_json::Value| {
        let images = value["images"].as_array().into_iter().flatten();
        let state = |image: &serde_json::Value| {
            format!(
                "{} {}",
                image["path"].as_str().unwrap_or(""),
                image["state"].as_str().unwrap_or("")
            )
        };
        images.map(state).collect::<Vec<_>>()
    };
    cache(root, "verify", &["b"])?;
    let all = cache(root, "verify", &[])?;
    assert_eq!(states(&all), ["a.img sound", "c.img no-sum", "b.img sound"]);
    // Checked today: only the one that cannot be.
    let due = cache(root, "verify", &["--older-than", "1"])?;
    assert_eq!(states(&due), ["c.img no-sum"]);
    flip(&root.join("b.img"), 2 << 20)?;
    assert_eq!(refusal(root, "verify", &["b"])?, "image/corrupt");
    let begun = Instant::now();
    cache(root, "verify", &["a", "--rate", "4M"])?;
    ensure!(
        begun.elapsed() > Duration::from_millis(400),
        "no faster than asked"
    );
    Ok(())
}

/// `image restore IMAGE DEVICE`, agreed to.
fn restored(image: &Path, device: &Path) -> Result<crate::kit::Said> {
    azud(&["image", "restore", text(image), text(device), "--yes"])
}

#[test]
fn what_was_found_damaged_is_not_there_already() -> Result<()> {
    if !have(&["mke2fs", "md5sum"]) {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let (root, repo) = pair(dir.path())?;
    let (image, from) = (root.join("aula/deb.img"), repo.join("aula/deb.img"));
    let original = fs::read(&image)?;
    let args = ["cache", "update", text(&image), "--from", text(&from)];
    let update = |more: &[&str]| azud(&[&args[..], more].concat());
    cache(&root, "verify", &[])?;
    assert_eq!(update(&["--yes"])?.done()?["way"], "nothing");

    flip(&image, original.len() / 2)?;
    assert_eq!(refusal(&root, "verify", &["aula/deb"])?, "image/corrupt");
    let list = done(&["image", "list", text(&root)])?;
    assert_eq!(list["images"][0]["found_damaged"], true, "{list}");
    // By another name it is the same image; and what lies beside it is another one.
    let (link, fine) = (root.join("aula/link.img"), root.join("aula/fine.img"));
    symlink("deb.img", &link)?;
    fs::copy(&from, &fine)?;
    let list = done(&["image", "list", text(&root)])?;
    let told = |number: usize| list["images"][number]["found_damaged"].as_bool();
    assert_eq!([0, 1, 2].map(told), [true, false, true].map(Some), "{list}");
    fs::remove_file(link)?;
    fs::remove_file(fine)?;

    // It is checked once more before the target is touched.
    let target = dir.path().join("target");
    fs::write(&target, vec![7; 64 << 20])?;
    let said = restored(&image, &target)?;
    assert_eq!(said.refused()?, "image/corrupt");
    assert_eq!(said.plan()["rows"]["image_check"], "first");
    ensure!(said.warned().contains(&"known-damaged"), "{:?}", said.lines);
    ensure!(fs::read(&target)?.iter().all(|byte| *byte == 7));

    let said = update(&["--yes"])?;
    let done = said.done()?;
    assert_eq!(done["way"], "copy");
    ensure!(said.warned().contains(&"damaged-here"), "{:?}", said.lines);
    let fetched = done["from_source"].as_u64().context("from_source")?;
    ensure!(
        fetched > 0 && fetched < original.len() as u64 / 4,
        "{fetched}"
    );
    assert_eq!(said.plan()["rows"]["from_source"], fetched);
    ensure!(fs::read(&image)? == original);
    // The damaged one is no former version.
    ensure!(!root.join("aula/.azud-trash").exists());
    cache(&root, "verify", &[])?;
    restored(&image, &target)?.done()?;
    Ok(())
}

#[test]
fn a_damaged_foreign_image_is_renewed_from_another_copy() -> Result<()> {
    if !have(&["md5sum"]) {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let (root, repo) = (dir.path().join("cache"), dir.path().join("repo"));
    let from = foreign(&repo, "b.img", 7, 3 << 20)?;
    fs::create_dir_all(root.join(".azud-cache"))?;
    let image = root.join("b.img");
    let update = || {
        done(&[
            "cache",
            "update",
            text(&image),
            "--from",
            text(&from),
            "--yes",
        ])
    };
    update()?;
    for side in [".full.sum", ".sum", ".info"] {
        fs::copy(
            repo.join(format!("b.img{side}")),
            root.join(format!("b.img{side}")),
        )?;
    }
    assert_eq!(update()?["way"], "nothing");
    flip(&image, 2 << 20)?;
    let said = azud(&["cache", "verify", "b", "--cache", text(&root)])?;
    assert_eq!(said.refused()?, "image/corrupt");
    let hint = said.last()["error"]["hint"].as_str().context("hint")?;
    ensure!(hint.contains("azud cache update"), "{hint}");
    let repaired = azud(&[
        "cache",
        "repair",
        "b",
        "--from",
        text(&repo),
        "--cache",
        text(&root),
    ])?;
    assert_eq!(repaired.refused()?, "image/not-native");
    let hint = repaired.last()["error"]["hint"].as_str().context("hint")?;
    ensure!(hint.contains("azud cache update"), "{hint}");
    let done = update()?;
    assert_eq!(
        (&done["way"], &done["from_source"]),
        (&"copy".into(), &(1 << 20).into())
    );
    ensure!(fs::read(&image)? == fs::read(&from)?);
    Ok(())
}
