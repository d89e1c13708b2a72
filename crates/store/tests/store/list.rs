//! Listing trees as they are found in the wild.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use azud_core::code::Code;
use azud_core::name::ImageFile;
use azud_store::list::list;

use crate::common::{at, identify, image, publish};
use crate::gate::run;

fn paths(root: &Path) -> Vec<PathBuf> {
    list(root, at(9))
        .unwrap()
        .images
        .into_iter()
        .map(|entry| entry.path)
        .collect()
}

#[test]
fn images_are_listed_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    let room = root.join("room/1º");
    fs::create_dir_all(&room).unwrap();
    fs::create_dir(root.join(".hidden")).unwrap();
    let deb = image(root);
    for fill in 1..=2 {
        publish(&deb, fill, 3000, at(fill.into())).unwrap();
    }
    publish(
        &ImageFile::in_dir(&room, "win 10.img").unwrap(),
        3,
        30,
        at(3),
    )
    .unwrap();
    for name in [
        ".hidden/x.img",
        "old.img.torrent",
        "room/foreign.iso",
        "room/.x.img",
    ] {
        fs::write(root.join(name), name).unwrap();
    }
    assert_eq!(
        paths(root),
        ["deb.img", "room/1º/win 10.img", "room/foreign.iso"].map(PathBuf::from)
    );
    let listing = list(root, at(9)).unwrap();
    let info = listing.images[0].info.as_ref().unwrap();
    assert_eq!(
        (info.fs.as_str(), info.size_kb, info.host.as_str()),
        ("EXTFS", 3, "pc2")
    );
    assert_eq!(listing.images[2].info, None);
    assert!(listing.skipped.is_empty());
    assert_eq!(
        list(&root.join("nowhere"), at(9)).unwrap_err().code(),
        Code::NotFound
    );
}

#[test]
fn lying_side_files_links_and_strange_names_do_no_harm() {
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("secret.img"), "x").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    let image = image(root);
    publish(&image, 1, 10, at(0)).unwrap();
    symlink(".", root.join("10.0.0.1")).unwrap();
    symlink(outside.path(), root.join("out")).unwrap();
    symlink(outside.path().join("secret.img"), root.join("secret.img")).unwrap();
    symlink("nowhere", root.join("dangling.img")).unwrap();
    symlink("deb.img", root.join("stable.img")).unwrap();
    fs::write(root.join("a\nb.img"), "x").unwrap();
    fs::write(root.join(std::ffi::OsStr::from_bytes(b"\xff.img")), "x").unwrap();
    run("mkfifo", &[root.join("pipe.img").to_str().unwrap()]);
    for lie in [
        "",
        "\0\0\0",
        "PARTCLONE:ZSTD:EXTFS:many:pc1\n",
        &"x:".repeat(100_000),
    ] {
        fs::write(image.beside(".info"), lie).unwrap();
        let listing = list(root, at(9)).unwrap();
        assert_eq!(listing.images[0].info, None);
        let found: Vec<&Path> = listing
            .images
            .iter()
            .map(|entry| entry.path.as_path())
            .collect();
        assert_eq!(found, ["deb.img", "stable.img"].map(Path::new));
        assert_eq!(listing.skipped.len(), 2);
    }
    // Nobody ever writes into this pipe.
    fs::remove_file(image.beside(".info")).unwrap();
    run("mkfifo", &[image.beside(".info").to_str().unwrap()]);
    assert_eq!(list(root, at(9)).unwrap().images[0].info, None);
    assert!(azud_store::trash::history(&image, at(9), &identify).is_ok());
}
