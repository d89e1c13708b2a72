//! `ogGetPath`, `ogGetParentPath`, `ogMakeDir`, `ogCalculateChecksum`, `ogCalculateFullChecksum`.

use std::fs;
use std::os::unix::fs::symlink;

use anyhow::{Result, ensure};
use azud_testkit::tools::have;

use crate::bench::{Machine, put};

#[test]
fn paths_are_printed_and_nothing_where_nothing_is() -> Result<()> {
    if !have(&["dash"]) {
        return Ok(());
    }
    let machine = Machine::client()?;
    put(&machine.repo().join("aula1/win.img"), "")?;
    put(&machine.cache().join("aula1/win.img"), "")?;
    let (repo, cache) = (machine.repo(), machine.cache());
    let (repo, cache) = (repo.display(), cache.display());
    for (call, line) in [
        (
            "ogGetPath REPO /aula1/win.img",
            format!("{repo}/aula1/win.img"),
        ),
        (
            "ogGetPath cache aula1//win.img",
            format!("{cache}/aula1/win.img"),
        ),
        ("ogGetPath REPO /", format!("{repo}")),
        ("ogGetPath //etc///passwd", "/etc/passwd".to_owned()),
        (
            "ogGetParentPath REPO /aula1/win.img",
            format!("{repo}/aula1"),
        ),
        ("ogGetParentPath CACHE /none.img", format!("{cache}")),
        ("ogGetParentPath /etc/passwd", "/etc".to_owned()),
    ] {
        let said = machine.expect(
            &format!("{call} && echo \"= $?\""),
            &format!("{line}\n= 0\n"),
        )?;
        ensure!(said.is_empty(), "{call}: {said}");
    }
    // Nothing printed, and no failure: callers test that.
    for call in [
        "ogGetPath REPO /none",
        "ogGetPath /none/x",
        "ogGetParentPath REPO /none/x.img",
    ] {
        machine.ends(call, 0)?;
        machine.expect(
            &format!("p=$({call}); test -z \"$p\" && echo empty"),
            "empty\n",
        )?;
    }
    for call in [
        "ogGetPath",
        "ogGetPath FAT /x",
        "ogGetPath a 2 /x",
        "ogGetPath REPO ../x",
    ] {
        machine.ends(call, 1)?;
    }
    machine.ends("ogGetPath 99 1 /x", 3)?;
    machine.ends("ogGetPath CDROM /x", 3)?;
    Ok(())
}

#[test]
fn names_in_another_case_are_found_and_told() -> Result<()> {
    if !have(&["dash"]) {
        return Ok(());
    }
    let machine = Machine::client()?;
    put(&machine.repo().join("L.img"), "")?;
    put(&machine.repo().join("t.img"), "")?;
    put(&machine.repo().join("T.img"), "")?;
    let repo = machine.repo();
    let repo = repo.display();
    let said = machine.expect("ogGetPath REPO /l.IMG", &format!("{repo}/L.img\n"))?;
    ensure!(said.contains("L.img differs only in"), "{said}");
    // Twins: both are printed, and what needs one of them refuses.
    machine.expect(
        "ogGetPath REPO /T.IMG",
        &format!("{repo}/T.img\n{repo}/t.img\n"),
    )?;
    machine.ends("ogCalculateChecksum REPO /T.IMG", 2)?;
    machine.expect("ogGetPath REPO /t.img", &format!("{repo}/t.img\n"))?;
    Ok(())
}

#[test]
fn folders_are_made_inside_their_container() -> Result<()> {
    if !have(&["dash"]) {
        return Ok(());
    }
    let machine = Machine::client()?;
    put(&machine.repo().join("file"), "")?;
    machine.ends("ogMakeDir REPO /aula1/b", 0)?;
    machine.ends("ogMakeDir REPO aula1/b", 0)?;
    ensure!(machine.repo().join("aula1/b").is_dir());
    machine.ends("ogMakeDir CACHE /aula1", 0)?;
    ensure!(machine.cache().join("aula1").is_dir());
    machine.ends("ogMakeDir \"$MNT/x/y\"", 0)?;
    ensure!(machine.mnt().join("x/y").is_dir());
    let outside = tempfile::tempdir()?;
    symlink(outside.path(), machine.repo().join("out"))?;
    machine.ends("ogMakeDir REPO /out/x", 2)?;
    machine.ends("ogMakeDir REPO /../x", 1)?;
    ensure!(fs::read_dir(outside.path())?.next().is_none());
    ensure!(machine.run("ogMakeDir REPO /file/x || echo no")?.out == "no\n");
    machine.ends("ogMakeDir REPO", 1)?;
    Ok(())
}

#[test]
fn files_and_trees_are_deleted_and_nothing_beyond() -> Result<()> {
    if !have(&["dash"]) {
        return Ok(());
    }
    let machine = Machine::client()?;
    let repo = machine.repo();
    let outside = tempfile::tempdir()?;
    put(&outside.path().join("stays"), "")?;
    for file in ["a/x.img", "a/b/y", "a/w.img", "b/z", "T", "t"] {
        put(&repo.join(file), "")?;
    }
    for link in ["link", "a/link", "into"] {
        symlink(outside.path(), repo.join(link))?;
    }
    for (call, status) in [
        ("ogDeleteFile REPO /", 1),
        ("ogDeleteTree REPO /", 1),
        ("ogDeleteTree /", 1),
        ("ogDeleteTree REPO /a/..", 1),
        ("ogDeleteTree REPO", 1),
        ("ogDeleteFile REPO /none", 2),
        ("ogDeleteFile REPO /into/stays", 2),
        ("ogDeleteTree REPO /T", 1),
        ("ogDeleteFile REPO /b", 1),
        ("ogDeleteFile REPO /A/X.IMG", 0),
        ("ogDeleteFile REPO /link", 0),
        ("ogDeleteFile \"$REPO_DIR/T\"", 0),
        ("ogLockImage REPO /a/w.img", 0),
        ("ogDeleteFile REPO /a/w.img", 4),
        ("ogDeleteTree REPO /a", 4),
    ] {
        machine.ends(call, status)?;
    }
    ensure!(repo.join("a/b/y").is_file() && repo.join("a/w.img").is_file());
    ensure!(!repo.join("a/x.img").exists() && !repo.join("T").exists() && repo.join("t").exists());
    machine.ends("ogUnlockImage REPO /a/w.img", 0)?;
    machine.ends("ogDeleteTree REPO /a", 0)?;
    ensure!(!repo.join("a").exists() && repo.join("b/z").is_file());
    ensure!(outside.path().join("stays").is_file());
    Ok(())
}

#[test]
fn nobody_uses_a_repository_until_somebody_does() -> Result<()> {
    if !have(&["dash"]) {
        return Ok(());
    }
    let machine = Machine::client()?;
    put(&machine.repo().join("aula1/w.img"), "")?;
    machine.ends("ogIsRepoLocked", 1)?;
    machine.expect(
        "exec 9<$REPO_DIR/aula1/w.img; ogIsRepoLocked; echo $?; exec 9<&-; ogIsRepoLocked; echo $?",
        "0\n1\n",
    )?;
    // A directory is no share of a server; what a share says is in the tests of the virtual machine.
    machine.ends("ogGetRepoIp", 0)?;
    machine.ends("ogGetRepoIp REPO", 1)?;
    let none = Machine::new("", &[])?;
    none.ends("ogIsRepoLocked", 23)?;
    none.ends("ogGetRepoIp", 0)?;
    Ok(())
}

#[test]
fn sums_are_those_of_md5sum() -> Result<()> {
    if !have(&["dash", "md5sum", "tail"]) {
        return Ok(());
    }
    let machine = Machine::client()?;
    for len in [0, 5, 1 << 20, (3 << 20) + 77] {
        let bytes: Vec<u8> = (0..len).map(|at: u32| (at % 251) as u8).collect();
        put(&machine.repo().join("i.img"), &bytes)?;
        let script = "f=$REPO_DIR/i.img
test \"$(ogCalculateFullChecksum REPO /i.img)\" = \"$(md5sum < $f | cut -c 1-32)\" && echo full
test \"$(ogCalculateChecksum $f)\" = \"$(tail -c 1048576 $f | md5sum | cut -c 1-32)\" && echo tail";
        machine.expect(script, "full\ntail\n")?;
    }
    machine.ends("ogCalculateChecksum REPO /none.img", 2)?;
    machine.ends("ogCalculateFullChecksum REPO /", 1)?;
    machine.ends("ogCalculateFullChecksum", 1)?;
    Ok(())
}

#[test]
fn a_repository_that_is_not_there_is_told() -> Result<()> {
    if !have(&["dash"]) {
        return Ok(());
    }
    let machine = Machine::new("", &[])?;
    let said = machine.ends("ogGetPath REPO /x", 23)?;
    ensure!(said.contains("place/no-manager"), "{said}");
    machine.ends("ogCalculateChecksum REPO /x", 23)?;
    machine.ends("deleteimage x", 23)?;
    Ok(())
}
