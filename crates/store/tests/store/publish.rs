//! Publishing: what is visible, what is refused, and many at once.

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::SystemTime;

use azud_core::code::Code;
use azud_core::name::ImageFile;
use azud_store::publish::{Outcome, Published, Staging};
use azud_store::trash::history;

use crate::common::{at, id, identify, image, names, publish, tree};
use crate::gate::sh;

#[test]
fn sums_are_those_of_coreutils() {
    for len in [0_usize, 5, 1 << 20, (1 << 20) + 1, 3_500_000] {
        let dir = tempfile::tempdir().unwrap();
        let image = image(dir.path());
        let staging = Staging::begin(&image, at(1)).unwrap();
        let mut writer = staging.writer().unwrap();
        writer.reserve(2 * len as u64 + 1).unwrap();
        let bytes: Vec<u8> = (0..len)
            .map(|i| u8::try_from(i * i % 253).unwrap())
            .collect();
        bytes
            .chunks(77_777)
            .for_each(|chunk| writer.write_all(chunk).unwrap());
        let written = writer.finish().unwrap();
        assert_eq!(written.len, len as u64);
        let facts = Published {
            identity: id(1),
            info: None,
            now: at(1),
        };
        assert_eq!(
            staging.publish(&written, &facts, &identify).unwrap(),
            Outcome::Created
        );
        let script = "cd $1; tail -c 1048576 deb.img | md5sum | cut -d' ' -f1; md5sum < deb.img | cut -d' ' -f1";
        let expected =
            String::from_utf8(sh(script, &[dir.path().to_str().unwrap()]).stdout).unwrap();
        let read = |ending: &str| fs::read_to_string(image.beside(ending)).unwrap();
        assert_eq!(read(".sum") + &read(".full.sum"), expected, "{len} bytes");
        assert_eq!(fs::read(image.path()).unwrap(), bytes);
        assert_eq!(
            names(dir.path()),
            ["deb.img", "deb.img.full.sum", "deb.img.sum"]
        );
    }
}

#[test]
fn a_new_version_sends_the_former_to_the_trash_with_its_side_files() {
    let dir = tempfile::tempdir().unwrap();
    let image = image(dir.path());
    assert_eq!(publish(&image, 1, 10, at(0)).unwrap(), Outcome::Created);
    assert_eq!(
        fs::read_to_string(image.beside(".info")).unwrap(),
        "PARTCLONE:ZSTD:EXTFS:1:pc1\n"
    );
    fs::write(image.beside(".torrent"), "of 1").unwrap();
    fs::write(image.beside(".lock"), "").unwrap();
    let locked = publish(&image, 2, 20, at(5)).unwrap_err();
    assert_eq!(locked.code(), Code::Locked, "stock tools are at work");
    fs::remove_file(image.beside(".lock")).unwrap();
    let Outcome::Updated { former } = publish(&image, 2, 20, at(5)).unwrap() else {
        panic!("not updated")
    };
    assert_eq!(
        former,
        dir.path()
            .join(".azud-trash/deb.img/20270115T080005Z-010101010101")
    );
    let all = [
        "deb.img",
        "deb.img.full.sum",
        "deb.img.info",
        "deb.img.sum",
        "deb.img.torrent",
        "meta.json",
    ];
    assert_eq!(names(&former), all);
    assert_eq!(fs::read(former.join("deb.img")).unwrap(), [1; 10]);
    assert_eq!(fs::read(image.path()).unwrap(), [2; 20]);
    assert!(
        !image.beside(".torrent").exists(),
        "the torrent of another image"
    );
    assert!(!image.beside(".lock").exists());
    let meta: serde_json::Value =
        serde_json::from_slice(&fs::read(former.join("meta.json")).unwrap()).unwrap();
    assert_eq!(meta["identity"], id(1).to_string());
    assert_eq!(
        (meta["size"].as_u64(), meta["moved_at"].as_u64()),
        (Some(10), Some(1_800_000_005))
    );
}

#[test]
fn the_same_version_again_needs_no_trash() {
    let dir = tempfile::tempdir().unwrap();
    let image = image(dir.path());
    publish(&image, 1, 10, at(0)).unwrap();
    fs::write(image.beside(".torrent"), "still true").unwrap();
    assert_eq!(publish(&image, 1, 10, at(1)).unwrap(), Outcome::Unchanged);
    assert!(image.beside(".torrent").exists());
    assert_eq!(history(&image, at(2), &identify).unwrap().len(), 1);
    // A damaged file that calls itself the same is not the same.
    fs::write(image.path(), [1; 7]).unwrap();
    assert!(matches!(
        publish(&image, 1, 10, at(3)).unwrap(),
        Outcome::Updated { .. }
    ));
}

#[test]
fn nothing_is_visible_before_and_nothing_stays_after_giving_up() {
    let dir = tempfile::tempdir().unwrap();
    let image = image(dir.path());
    let staging = Staging::begin(&image, at(0)).unwrap();
    let mut writer = staging.writer().unwrap();
    writer.write_all(b"half").unwrap();
    let visible = |name: &&String| !name.starts_with('.');
    let seen: Vec<String> = names(dir.path()).iter().filter(visible).cloned().collect();
    assert_eq!(seen, ["deb.img.lock"]);
    assert_eq!(
        history(&image, at(0), &identify).unwrap_err().code(),
        Code::NotFound
    );
    drop((writer, staging));
    assert!(names(dir.path()).is_empty());
}

#[test]
fn bytes_that_got_lost_are_not_published() {
    let dir = tempfile::tempdir().unwrap();
    let image = image(dir.path());
    let staging = Staging::begin(&image, at(0)).unwrap();
    let mut writer = staging.writer().unwrap();
    writer.write_all(b"whole").unwrap();
    let written = writer.finish().unwrap();
    fs::write(staging.path(), "who").unwrap();
    let facts = Published {
        identity: id(1),
        info: None,
        now: at(0),
    };
    assert_eq!(
        staging
            .publish(&written, &facts, &identify)
            .unwrap_err()
            .code(),
        Code::Corrupt
    );
    assert!(names(dir.path()).is_empty());
}

#[test]
fn what_is_no_file_is_not_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let image = image(dir.path());
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("precious"), "x").unwrap();
    for target in [outside.path().join("precious"), dir.path().join("nowhere")] {
        symlink(target, image.path()).unwrap();
        let error = publish(&image, 1, 10, at(0)).unwrap_err();
        assert_eq!(error.code(), Code::NotAFile, "{error}");
        fs::remove_file(image.path()).unwrap();
    }
    fs::create_dir(image.path()).unwrap();
    assert_eq!(
        publish(&image, 1, 10, at(0)).unwrap_err().code(),
        Code::NotAFile
    );
    fs::remove_dir(image.path()).unwrap();
    fs::create_dir(image.beside(".sum")).unwrap();
    assert_eq!(
        publish(&image, 1, 10, at(0)).unwrap_err().code(),
        Code::NotAFile
    );
    assert_eq!(names(dir.path()), ["deb.img.sum"]);
    let missing = azud_core::name::ImageFile::in_dir(dir.path().join("room 3"), "deb.img").unwrap();
    assert_eq!(
        publish(&missing, 1, 10, at(0)).unwrap_err().code(),
        Code::NotFound
    );
    assert_eq!(fs::read(outside.path().join("precious")).unwrap(), b"x");
}

#[test]
fn the_longest_name_can_be_published() {
    let dir = tempfile::tempdir().unwrap();
    let name = "ñ".repeat((azud_core::name::MAX_NAME - 4) / 2) + ".img";
    let image = azud_core::name::ImageFile::in_dir(dir.path(), &name).unwrap();
    publish(&image, 1, 10, at(0)).unwrap();
    publish(&image, 2, 10, at(0)).unwrap();
    assert_eq!(history(&image, at(0), &identify).unwrap().len(), 2);
}

/// Publishes as soon as nobody else has the image locked.
fn patiently(image: &ImageFile, fill: u8) {
    while let Err(error) = publish(image, fill, fill.into(), SystemTime::now()) {
        assert_eq!(error.code(), Code::Locked, "{error}");
        thread::yield_now();
    }
}

/// Several publishers of one name and readers meanwhile: every version ends up somewhere, exactly
/// once, and no reader ever sees a mixture or nothing.
#[test]
fn publishers_of_one_name_take_turns() {
    const PUBLISHERS: u8 = 4;
    const ROUNDS: u8 = 4;
    let dir = tempfile::tempdir().unwrap();
    let image = image(dir.path());
    publish(&image, 100, 100, SystemTime::now()).unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let bytes = fs::read(image.path()).expect("there always is an image");
                assert!(
                    bytes.iter().all(|b| *b == bytes[0]) && bytes.len() == usize::from(bytes[0])
                );
                let versions = history(&image, SystemTime::now(), &identify).unwrap();
                assert!(versions[0].slot.is_none());
            }
        });
        let publisher = |number: u8| {
            for round in 0..ROUNDS {
                patiently(&image, 101 + number * ROUNDS + round);
            }
        };
        let all: Vec<_> = (0..PUBLISHERS)
            .map(|n| scope.spawn(move || publisher(n)))
            .collect();
        let ends: Vec<_> = all
            .into_iter()
            .map(thread::ScopedJoinHandle::join)
            .collect();
        done.store(true, Ordering::Relaxed);
        ends.into_iter().collect::<Result<Vec<()>, _>>().unwrap();
        reader.join().unwrap();
    });
    let versions = history(&image, SystemTime::now(), &identify).unwrap();
    let mut found: Vec<u8> = versions
        .iter()
        .map(|version| version.identity.unwrap().0[0])
        .collect();
    found.sort_unstable();
    assert_eq!(
        found,
        (100..=100 + PUBLISHERS * ROUNDS).collect::<Vec<u8>>()
    );
    for version in versions {
        let bytes = fs::read(&version.path).unwrap();
        assert_eq!(bytes, vec![version.identity.unwrap().0[0]; bytes.len()]);
        let info = fs::read_to_string(format!("{}.info", version.path.display())).unwrap();
        assert!(
            info.ends_with(&format!("pc{}\n", bytes[0])),
            "side files of another version: {info}"
        );
    }
    assert!(
        !tree(dir.path())
            .keys()
            .any(|path| path.to_str().unwrap().contains("stage"))
    );
}
