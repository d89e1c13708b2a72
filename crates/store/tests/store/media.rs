//! Real media: full, read-only, and without hard links.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::time::SystemTime;

use azud_core::code::Code;
use azud_core::reference::SubPath;
use azud_store::StoreError;
use azud_store::assembly::Inbox;
use azud_store::durable::{Op, set_hook};
use azud_store::list::list;
use azud_store::publish::Staging;
use azud_store::recover::recover;
use azud_store::retention::{Retention, apply, trashed};
use azud_store::trash::{Which, history, remove, rollback};
use azud_store::tree::Tree;
use azud_testkit::loops::{Loop, Mount};
use azud_testkit::tools::{have, have_root};

use crate::common::{at, identify, image, publish, store_error, tree};
use crate::gate::{Idle, run};

const MIB: usize = 1 << 20;

/// A small file system in a file; the directory keeps the file.
fn volume(mkfs: &[&str], mib: usize) -> (tempfile::TempDir, Idle<Loop>) {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("volume");
    File::create(&path)
        .unwrap()
        .set_len((mib * MIB) as u64)
        .unwrap();
    let mut args = mkfs[1..].to_vec();
    args.push(path.to_str().unwrap());
    run(mkfs[0], &args);
    let device = Idle::make(|| Loop::attach(&path));
    (home, device)
}

/// Blocks that are free once nothing is under way any more.
fn free(path: &Path) -> u64 {
    rustix::fs::syncfs(File::open(path).unwrap()).unwrap();
    rustix::fs::statvfs(path).unwrap().f_bavail
}

/// `lost+found` aside.
fn picture(path: &Path) -> std::collections::BTreeMap<std::path::PathBuf, Option<Vec<u8>>> {
    let mut tree = tree(path);
    tree.remove(Path::new("lost+found"));
    tree
}

#[test]
fn loop_full_disk_leaves_everything_as_it_was() {
    if !have(&["mkfs.ext4"]) || !have_root() {
        return;
    }
    let (_home, device) = volume(&["mkfs.ext4", "-q", "-F", "-m", "0"], 16);
    let mount = Idle::make(|| Mount::new(device.path(), None, ""));
    let image = image(mount.path());
    publish(&image, 1, 4 * MIB, at(0)).unwrap();
    let (before, room) = (picture(mount.path()), free(mount.path()));
    let error = publish(&image, 2, 30 * MIB, at(1)).unwrap_err();
    assert!(matches!(error, StoreError::NoSpace { .. }), "{error:?}");
    assert_eq!(error.code(), Code::NoSpace);
    assert!(
        picture(mount.path()) == before && free(mount.path()) == room,
        "something stayed"
    );
    let staging = Staging::begin(&image, at(1)).unwrap();
    let writer = staging.writer().unwrap();
    assert_eq!(writer.reserve(30 << 20).unwrap_err().code(), Code::NoSpace);
    assert!(
        free(mount.path()) + 100 > room,
        "what can be had of it is not kept"
    );
    writer.reserve(8 << 20).unwrap();
    let mut writer = writer;
    writer.write_all(b"less").unwrap();
    assert_eq!(writer.finish().unwrap().len, 4);
    assert!(
        free(mount.path()) + 100 > room,
        "what was reserved in vain is given back"
    );
    drop(staging);
    // What fits is published, the former in the trash.
    publish(&image, 2, 4 * MIB, at(2)).unwrap();
    assert_eq!(history(&image, at(2), &identify).unwrap().len(), 2);
}

/// Two uploads begin at once: for each alone there is room.
#[test]
fn loop_room_that_another_one_took_meanwhile_is_not_set_aside_in_part() {
    if !have(&["mkfs.ext4"]) || !have_root() {
        return;
    }
    let (_home, device) = volume(&["mkfs.ext4", "-q", "-F", "-m", "0"], 16);
    let mount = Idle::make(|| Mount::new(device.path(), None, ""));
    let image = image(mount.path());
    let (before, room) = (picture(mount.path()), free(mount.path()));
    let ballast = mount.path().join("ballast");
    let other = ballast.clone();
    set_hook(Some(Box::new(move |step| {
        if step.op == Op::Reserve {
            let mut file = File::create(&other)?;
            file.write_all(&vec![7; 6 * MIB])?;
            file.sync_all()?;
        }
        Ok(())
    })));
    let limit = (10 * MIB) as u64;
    let opened = Inbox::open(&image, limit, ("one", "pc7"), SystemTime::now());
    set_hook(None);
    assert_eq!(opened.map(drop).unwrap_err().code(), Code::NoSpace);
    fs::remove_file(ballast).unwrap();
    assert!(
        free(mount.path()) + 100 > room,
        "what there was of it is kept"
    );
    let left = recover(mount.path(), SystemTime::now()).unwrap();
    assert_eq!(left.removed, 1);
    assert!(picture(mount.path()) == before, "something stayed");
}

/// Full up to the last block when the names change: whatever comes out, both versions are whole.
#[test]
fn loop_disk_that_fills_up_at_the_end() {
    if !have(&["mkfs.ext4"]) || !have_root() {
        return;
    }
    let (_home, device) = volume(&["mkfs.ext4", "-q", "-F", "-m", "0"], 16);
    let mount = Idle::make(|| Mount::new(device.path(), None, ""));
    let image = image(mount.path());
    publish(&image, 1, MIB, at(0)).unwrap();
    let staging = Staging::begin(&image, at(1)).unwrap();
    let mut writer = staging.writer().unwrap();
    writer.write_all(&vec![2; MIB]).unwrap();
    let written = writer.finish().unwrap();
    let ballast = mount.path().join("ballast");
    let mut file = File::create(&ballast).unwrap();
    while let Ok(n) = file.write(&[0; 4096]) {
        assert!(n > 0);
    }
    file.sync_all().ok();
    drop(file);
    let facts = azud_store::publish::Published {
        identity: crate::common::id(2),
        info: None,
        now: at(1),
    };
    let error = staging.publish(&written, &facts, &identify).unwrap_err();
    assert_eq!(error.code(), Code::NoSpace, "{error:?}");
    assert_eq!(fs::read(image.path()).unwrap(), vec![1; MIB]);
    fs::remove_file(&ballast).unwrap();
    let versions = history(&image, at(2), &identify).unwrap();
    assert!(
        versions
            .iter()
            .all(|v| fs::read(&v.path).unwrap().len() == MIB)
    );
    publish(&image, 3, MIB, at(3)).unwrap();
    assert_eq!(fs::read(image.path()).unwrap(), vec![3; MIB]);
}

#[test]
fn loop_read_only_media_can_be_read() {
    if !have(&["mkfs.ext4"]) || !have_root() {
        return;
    }
    let (_home, device) = volume(&["mkfs.ext4", "-q", "-F"], 16);
    let mount = Idle::make(|| Mount::new(device.path(), None, ""));
    let image = image(mount.path());
    publish(&image, 1, 1000, at(0)).unwrap();
    publish(&image, 2, 1000, at(1)).unwrap();
    let root = mount.path().to_str().unwrap().to_owned();
    // What a crash left stays in nobody's way.
    fs::create_dir(mount.path().join(".azud-stage-deb.img-0")).unwrap();
    run("mount", &["-o", "remount,ro", &root]);
    let code = |result: Result<(), StoreError>| result.unwrap_err().code();
    assert_eq!(
        code(publish(&image, 3, 1000, at(2)).map(drop)),
        Code::ReadOnly
    );
    assert_eq!(
        code(remove(&image, at(2), &identify).map(drop)),
        Code::ReadOnly
    );
    assert_eq!(
        code(rollback(&image, &Which::Latest, at(2), &identify).map(drop)),
        Code::ReadOnly
    );
    let purges = Retention {
        keep: 0,
        ..Retention::default()
    }
    .plan(&trashed(mount.path()).unwrap(), at(1 << 30));
    assert_eq!(
        code(apply(mount.path(), &purges, at(1 << 30)).map(drop)),
        Code::ReadOnly
    );
    assert_eq!(history(&image, at(2), &identify).unwrap().len(), 2);
    assert_eq!(list(mount.path(), at(2)).unwrap().images.len(), 1);
}

/// exFAT opens a name in any case; what is listed decides all the same.
#[test]
fn loop_exfat_answers_to_no_other_case() {
    if !have(&["mkfs.exfat", "mount.exfat-fuse"]) || !have_root() {
        return;
    }
    let (_home, device) = volume(&["mkfs.exfat"], 16);
    let mount = Idle::make(|| Mount::new(device.path(), Some("exfat-fuse"), ""));
    fs::create_dir(mount.path().join("Aula1")).unwrap();
    fs::write(mount.path().join("Aula1/WIN.img"), "x").unwrap();
    assert!(
        mount.path().join("aula1/win.img").exists(),
        "this test wants a file system that knows no case"
    );
    let tree = Tree::open(mount.path(), Path::new("")).unwrap();
    let code = |text: &str| {
        let spot = tree.spot(&SubPath::parse(text).unwrap());
        spot.map(|spot| spot.exists).map_err(|error| error.code())
    };
    assert_eq!(code("Aula1/WIN"), Ok(true));
    assert_eq!(code("Aula1/other"), Ok(false));
    assert_eq!(code("Aula1/win"), Err(Code::CaseTwin));
    assert_eq!(code("aula1/WIN"), Err(Code::CaseTwin));
}

/// exFAT has no hard links: the former version is moved away instead.
#[test]
fn loop_exfat_has_no_hard_links_and_works() {
    if !have(&["mkfs.exfat", "mount.exfat-fuse"]) || !have_root() {
        return;
    }
    let (_home, device) = volume(&["mkfs.exfat"], 16);
    let mount = Idle::make(|| Mount::new(device.path(), Some("exfat-fuse"), ""));
    let image = image(mount.path());
    let (a, b) = (mount.path().join("a"), mount.path().join("b"));
    fs::write(&a, "").unwrap();
    assert!(
        fs::hard_link(&a, &b).is_err(),
        "this test wants a file system without hard links"
    );
    fs::remove_file(&a).unwrap();
    for fill in 1..=3 {
        publish(&image, fill, 2000, at(fill.into())).unwrap();
    }
    let fills = || -> Vec<u8> {
        let versions = history(&image, at(9), &identify).unwrap();
        versions
            .iter()
            .map(|version| fs::read(&version.path).unwrap()[0])
            .collect()
    };
    assert_eq!(fills(), [3, 2, 1]);
    rollback(&image, &Which::Latest, at(9), &identify).unwrap();
    assert_eq!(fills(), [2, 3, 1]);
    remove(&image, at(9), &identify).unwrap();
    assert_eq!(fills(), [2, 3, 1]);
    assert!(
        !tree(mount.path())
            .keys()
            .any(|path| path.to_str().unwrap().contains("stage"))
    );
    mount.end(Mount::unmount).unwrap();
}

#[test]
fn errors_of_the_writer_say_what_they_are() {
    let error: std::io::Error = StoreError::NoSpace {
        path: "x".into(),
        source: std::io::ErrorKind::StorageFull.into(),
    }
    .into();
    assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
    assert_eq!(store_error(error).code(), Code::NoSpace);
}
