//! Names that look at images, lock them and bring them into the cache.

use std::fs;

use anyhow::{Result, ensure};
use azud_testkit::tools::{have, run};

use crate::bench::{Machine, put};
use crate::kit::{done, text};

/// An ext4 in a file, captured into the repository.
fn capture(machine: &Machine, name: &str, content: &str) -> Result<()> {
    let volume = machine.dir().join("volume");
    let tree = machine.dir().join("tree");
    put(&tree.join("content"), content.repeat(20_000))?;
    let _ = fs::remove_file(&volume);
    run(
        "mke2fs",
        &[
            "-q",
            "-F",
            "-t",
            "ext4",
            "-d",
            text(&tree),
            text(&volume),
            "20000k",
        ],
    )?;
    let image = machine.repo().join(name);
    fs::create_dir_all(image.parent().unwrap_or(&image))?;
    done(&["image", "create", text(&volume), text(&image)]).map(drop)
}

#[test]
fn images_say_what_they_are() -> Result<()> {
    if !have(&["dash", "mke2fs", "gzip", "lzop", "partclone.extfs"]) {
        return Ok(());
    }
    let machine = Machine::client()?;
    capture(&machine, "aula1/w.img", "a")?;
    machine.expect(
        "ogGetImageInfo $REPO_DIR/aula1/w.img",
        "PARTCLONE:ZSTD:EXTFS:20000\n",
    )?;
    let clone = "partclone.extfs -d0 -F -c -s volume -O plain -L log >/dev/null 2>&1
gzip <plain >$REPO_DIR/g.img; lzop <plain >$REPO_DIR/l.img; cp plain $CACHE_DIR/p.img";
    machine.run(&format!("cd {} && {clone}", text(machine.dir())))?;
    for (call, compressor) in [
        ("ogGetImageInfo $REPO_DIR/g.img", "GZIP"),
        ("ogGetImageInfo $REPO_DIR/l.img", "LZOP"),
        ("ogGetImageInfo $CACHE_DIR/p.img", "NONE"),
    ] {
        machine.expect(call, &format!("PARTCLONE:{compressor}:EXTFS:20000\n"))?;
    }
    // A lying description beside it changes nothing.
    put(
        &machine.repo().join("l.img.info"),
        "NTFSCLONE:GZIP:NTFS:1:pc\n",
    )?;
    let script = "for it in Program Compressor Type Size; do ogGetImage$it REPO /l; done";
    machine.expect(script, "PARTCLONE\nLZOP\nEXTFS\n20000\n")?;
    machine.expect("ogGetImageSize CACHE p", "20000\n")?;
    put(&machine.repo().join("x.img"), "no image")?;
    for (call, status) in [
        ("ogGetImageInfo $REPO_DIR/none.img", 2),
        ("ogGetImageInfo $REPO_DIR/x.img", 5),
        ("ogGetImageInfo REPO /l.img", 1),
        ("ogGetImageType REPO /none", 2),
        ("ogGetImageType REPO /x", 5),
        ("ogGetImageType /l", 1),
    ] {
        machine.ends(call, status)?;
    }
    Ok(())
}

#[test]
fn locks_of_scripts_outlive_them() -> Result<()> {
    if !have(&["dash", "touch"]) {
        return Ok(());
    }
    let machine = Machine::client()?;
    put(&machine.repo().join("w.img"), "")?;
    let lock = machine.repo().join("w.img.lock");
    machine.ends("ogIsImageLocked REPO /w.img", 1)?;
    machine.ends("ogLockImage REPO /w.img", 0)?;
    ensure!(fs::read(&lock)?.is_empty());
    machine.ends("ogIsImageLocked REPO /w.img", 0)?;
    machine.ends("ogIsImageLocked $REPO_DIR/w.img", 0)?;
    // Who respects locks sees it.
    machine.ends("deleteimage w", 4)?;
    ensure!(machine.repo().join("w.img").exists());
    machine.ends("ogLockImage REPO /w.img", 0)?;
    machine.ends("ogUnlockImage REPO /w.img", 0)?;
    machine.ends("ogUnlockImage REPO /w.img", 0)?;
    machine.ends("ogIsImageLocked REPO /w.img", 1)?;
    ensure!(!lock.exists());
    // OpenGnsys' own lock, and one for an image that is still to be made.
    machine.expect(
        "touch $CACHE_DIR/new.img.lock; ogIsImageLocked CACHE /new.img && echo held",
        "held\n",
    )?;
    machine.ends("ogUnlockImage CACHE /new.img", 0)?;
    for (call, status) in [
        ("ogLockImage REPO /none/w.img", 2),
        ("ogLockImage REPO /", 1),
        ("ogLockImage REPO ../w.img", 1),
        ("ogIsImageLocked", 1),
    ] {
        machine.ends(call, status)?;
    }
    Ok(())
}

#[test]
fn the_cache_is_updated_in_either_order_and_neither_is_guessed() -> Result<()> {
    if !have(&["dash", "mke2fs", "cmp"]) {
        return Ok(());
    }
    let machine = Machine::client()?;
    put(&machine.cache().join(".keep"), "")?;
    capture(&machine, "aula1/w.img", "a")?;
    let cached = machine.cache().join("aula1/w.img");
    for (call, right) in [
        ("updateCache REPO aula1 w", "updateCache REPO|IP /path.ext"),
        (
            "updateCache REPO /aula1/w.img",
            "updateCache REPO|IP /path.ext",
        ),
        (
            "UpdateCache REPO /aula1/w.img UNICAST",
            "UpdateCache REPO|IP subdirectory image",
        ),
        (
            "UpdateCache aula1 w REPO",
            "UpdateCache REPO|IP subdirectory image",
        ),
    ] {
        let said = machine.ends(call, 1)?;
        ensure!(said.contains(right), "{call}: {said}");
    }
    for (call, status) in [
        ("updateCache REPO /none.img UNICAST", 2),
        ("updateCache REPO /aula1/w.img RSYNC", 71),
        ("updateCache REPO /aula1/w.img TORRENT peer:60", 31),
        ("updateCache REPO /aula1/w.img MULTICAST 9000", 57),
        ("ogUpdateCacheIsNecesary REPO /none.img", 2),
        ("ogUpdateCacheIsNecesary CACHE /aula1/w.img", 2),
        ("ogUpdateCacheIsNecesary REPO", 1),
    ] {
        machine.ends(call, status)?;
    }
    ensure!(!cached.exists(), "something was copied");
    let same = "cmp $REPO_DIR/aula1/w.img $CACHE_DIR/aula1/w.img && echo same";
    machine.ends("ogUpdateCacheIsNecesary REPO /aula1/w.img UNICAST", 0)?;
    machine.ends("updateCache REPO /aula1/w.img UNICAST", 0)?;
    machine.expect(same, "same\n")?;
    machine.ends("ogUpdateCacheIsNecesary REPO /aula1/w.img FULL", 1)?;
    // Nothing to do is no failure.
    machine.ends("UpdateCache REPO aula1 w", 0)?;
    capture(&machine, "aula1/w.img", "b")?;
    machine.ends("ogUpdateCacheIsNecesary REPO /aula1/w.img", 0)?;
    ensure!(cached.exists(), "removed for being old");
    machine.ends("UpdateCache 203.0.113.1 /aula1 w", 0)?;
    machine.expect(same, "same\n")?;
    machine.ends("ogUpdateCacheIsNecesary REPO /aula1/w.img", 1)?;
    let sums = "cd $REPO_DIR/aula1 && for it in .sum .full.sum; do cmp w.img$it $CACHE_DIR/aula1/w.img$it; done";
    machine.run(sums)?;
    Ok(())
}

/// The former version that OpenGnsys keeps beside an image is checked as it is, by its own sums.
#[test]
fn former_versions_are_checked_where_they_lie() -> Result<()> {
    if !have(&["dash", "md5sum"]) {
        return Ok(());
    }
    let machine = Machine::client()?;
    let dir = machine.repo().join("aula1");
    let (foreign, native) = (dir.join("w.img.ant"), dir.join("v.img.ant"));
    put(&foreign, "FsA0 and what an archive holds")?;
    let make = "cd \"$REPO_DIR/aula1\"; md5sum <w.img.ant | cut -c1-32 >w.img.full.sum.ant
        head -c 300000 /dev/zero >v; azud image create v ./v.img -q
        for i in v.img*; do mv $i $i.ant; done";
    machine.run(make)?;
    for name in ["w.img.ant", "v.img.ant"] {
        for image in [format!("REPO:aula1/{name}"), text(&dir.join(name)).into()] {
            let said = machine.run(&format!("azud image verify --deep --json {image}"))?;
            ensure!(
                said.out.contains("\"full_sum\":true"),
                "{image}: {}",
                said.out
            );
        }
    }
    let said = machine.ends("azud image verify REPO:aula1/x.img.ant", 1)?;
    ensure!(said.contains("image/not-found"), "{said}");
    put(&foreign, "FsA0 and what an archive h0lds")?;
    let mut bytes = fs::read(&native)?;
    let middle = bytes.len() / 3;
    bytes[middle] ^= 1;
    fs::write(&native, bytes)?;
    for name in ["w.img.ant", "v.img.ant"] {
        let said = machine.ends(&format!("azud image verify REPO:aula1/{name}"), 1)?;
        ensure!(said.contains("image/corrupt"), "{said}");
    }
    Ok(())
}
