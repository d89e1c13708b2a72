//! `deleteimage`.

use std::fs;
use std::path::Path;

use anyhow::{Result, ensure};
use azud_testkit::tools::have;

use crate::bench::{Machine, put};

const SIDES: [&str; 4] = ["", ".sum", ".full.sum", ".torrent"];

fn set(dir: &Path, name: &str, ending: &str, word: &str) -> Result<()> {
    for side in SIDES {
        put(&dir.join(format!("{name}{side}{ending}")), word)?;
    }
    Ok(())
}

fn names(dir: &Path) -> Result<Vec<String>> {
    let entries = fs::read_dir(dir)?.flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> = names.filter(|name| !name.starts_with('.')).collect();
    names.sort();
    Ok(names)
}

#[test]
fn nothing_unrelated_is_removed() -> Result<()> {
    if !have(&["dash"]) {
        return Ok(());
    }
    let machine = Machine::client()?;
    let repo = machine.repo();
    for name in ["win10.img", "win10.v2.img", "aula1/win10.img"] {
        set(&repo, name, "", "")?;
    }
    put(&repo.join("../x.img"), "")?;
    let before = names(&repo)?;
    for call in [
        "deleteimage ''",
        "deleteimage /",
        "deleteimage ../x",
        "deleteimage aula1/../../x",
        "deleteimage ..",
        "deleteimage .",
        "deleteimage",
        "deleteimage win10.img",
        "deleteimage -x win10",
        "deleteimage win10 aula1",
        "deleteimage -b",
    ] {
        machine.ends(call, 1)?;
    }
    machine.ends("deleteimage none", 2)?;
    machine.ends("deleteimage win1", 2)?;
    // A unit is no image, whatever lies in it.
    machine.ends("deleteimage aula1", 5)?;
    ensure!(names(&repo)? == before && repo.join("../x.img").exists());
    machine.ends("deleteimage win10.v2", 0)?;
    machine.ends("deleteimage aula1/win10", 0)?;
    ensure!(
        names(&repo)?.join(" ")
            == "aula1 win10.img win10.img.full.sum win10.img.sum win10.img.torrent"
    );
    ensure!(names(&repo.join("aula1"))?.is_empty());
    Ok(())
}

#[test]
fn the_backup_stays_goes_or_comes_back() -> Result<()> {
    if !have(&["dash"]) {
        return Ok(());
    }
    let machine = Machine::client()?;
    let repo = machine.repo();
    for (call, expected, content) in [
        ("deleteimage w", 4, None),
        ("deleteimage -b w", 0, None),
        ("deleteimage -r w", 4, Some("former")),
    ] {
        set(&repo, "w.img", "", "current")?;
        set(&repo, "w.img", ".ant", "former")?;
        machine.ends(call, 0)?;
        ensure!(
            names(&repo)?.len() == expected,
            "{call}: {:?}",
            names(&repo)?
        );
        let left = fs::read_to_string(repo.join("w.img")).ok();
        ensure!(left.as_deref() == content, "{call}: {left:?}");
        for name in names(&repo)? {
            fs::remove_file(repo.join(name))?;
        }
    }
    // The image is gone already, its backup is not.
    set(&repo, "w.img", ".ant", "former")?;
    machine.ends("deleteimage -r w", 0)?;
    ensure!(fs::read_to_string(repo.join("w.img.full.sum"))? == "former");
    Ok(())
}

#[test]
fn without_a_backup_the_trash_gives_the_former_version_back() -> Result<()> {
    if !have(&["dash"]) {
        return Ok(());
    }
    let machine = Machine::client()?;
    let image = machine.repo().join("w.img");
    put(&image, "only")?;
    machine.ends("deleteimage -r w", 2)?;
    ensure!(
        fs::read_to_string(&image)? == "only",
        "nothing to go back to"
    );
    machine.ends("deleteimage w", 0)?;
    ensure!(!image.exists());
    machine.ends("deleteimage -r w", 0)?;
    ensure!(fs::read_to_string(&image)? == "only");
    put(&machine.repo().join("d.img.diff"), "diff")?;
    machine.ends("deleteimage d", 0)?;
    ensure!(names(&machine.repo())? == ["w.img"]);
    Ok(())
}
