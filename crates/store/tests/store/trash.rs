//! History, rollback, removal and purging.

use std::fs;
use std::os::unix::fs::symlink;
use std::time::Duration;

use azud_core::code::Code;
use azud_store::retention::{Freed, Retention, apply, trashed};
use azud_store::trash::{Version, Which, history, remove, rollback};

use crate::common::{at, id, identify, image, names, publish, tree};

fn fills(versions: &[Version]) -> Vec<u8> {
    versions
        .iter()
        .map(|version| version.identity.unwrap().0[0])
        .collect()
}

#[test]
fn any_version_comes_back_with_its_side_files() {
    let dir = tempfile::tempdir().unwrap();
    let image = image(dir.path());
    // The clock stands still: the order of events is kept all the same.
    for fill in 1..=3 {
        publish(&image, fill, 10 * usize::from(fill), at(0)).unwrap();
    }
    let versions = || history(&image, at(9), &identify).unwrap();
    assert_eq!(fills(&versions()), [3, 2, 1]);
    assert_eq!(versions()[2].size, 10);
    let back = rollback(&image, &Which::Latest, at(1), &identify).unwrap();
    assert_eq!(
        (back.identity, back.size, back.path),
        (Some(id(2)), 20, image.path())
    );
    assert_eq!(fills(&versions()), [2, 3, 1]);
    assert_eq!(
        fs::read_to_string(image.beside(".info")).unwrap(),
        "PARTCLONE:ZSTD:EXTFS:1:pc2\n"
    );
    rollback(&image, &Which::Named("0101".into()), at(2), &identify).unwrap();
    assert_eq!(fills(&versions()), [1, 2, 3]);
    assert_eq!(fs::read(image.path()).unwrap(), [1; 10]);
    let slot = versions()[2].slot.clone().unwrap();
    rollback(&image, &Which::Named(slot), at(3), &identify).unwrap();
    assert_eq!(fills(&versions()), [3, 1, 2]);
}

#[test]
fn versions_that_are_not_there_or_not_one() {
    let dir = tempfile::tempdir().unwrap();
    let image = image(dir.path());
    publish(&image, 0x11, 10, at(0)).unwrap();
    let none = |which: Which| {
        rollback(&image, &which, at(1), &identify)
            .unwrap_err()
            .code()
    };
    assert_eq!(none(Which::Latest), Code::NoSuchVersion);
    publish(&image, 0x12, 10, at(1)).unwrap();
    publish(&image, 0x13, 10, at(2)).unwrap();
    assert_eq!(
        none(Which::Named("1".into())),
        Code::NoSuchVersion,
        "two begin so"
    );
    assert_eq!(
        none(Which::Named("13".into())),
        Code::NoSuchVersion,
        "that is the current one"
    );
    assert_eq!(none(Which::Named("../..".into())), Code::NoSuchVersion);
    assert_eq!(none(Which::Named(String::new())), Code::NoSuchVersion);
    assert_eq!(
        fills(&history(&image, at(3), &identify).unwrap()),
        [0x13, 0x12, 0x11]
    );
}

#[test]
fn removed_images_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let image = image(dir.path());
    assert_eq!(
        remove(&image, at(0), &identify).unwrap_err().code(),
        Code::NotFound
    );
    publish(&image, 1, 10, at(0)).unwrap();
    let home = remove(&image, at(1), &identify).unwrap();
    assert!(home.join("deb.img.full.sum").exists());
    assert!(
        names(dir.path())
            .iter()
            .all(|name| name.starts_with(".azud-trash")),
        "{:?}",
        names(dir.path())
    );
    assert_eq!(fills(&history(&image, at(2), &identify).unwrap()), [1]);
    rollback(&image, &Which::Latest, at(2), &identify).unwrap();
    assert_eq!(
        names(dir.path()),
        ["deb.img", "deb.img.full.sum", "deb.img.info", "deb.img.sum"]
    );
}

#[test]
fn images_of_others_have_no_identity_and_yet_a_history() {
    let dir = tempfile::tempdir().unwrap();
    let image = image(dir.path());
    fs::write(image.path(), "foreign").unwrap();
    let unknown = |_: &std::path::Path| None;
    let home = remove(&image, at(0), &unknown).unwrap();
    assert!(home.ends_with("20270115T080000Z-unknown"));
    fs::write(home.join("meta.json"), "\0 damaged").unwrap();
    let versions = history(&image, at(1), &unknown).unwrap();
    assert_eq!(
        (versions.len(), versions[0].identity, versions[0].moved_at),
        (1, None, Some(at(0)))
    );
    rollback(&image, &Which::Named("2027".into()), at(1), &unknown).unwrap();
    assert_eq!(names(dir.path()), ["deb.img"]);
}

#[test]
fn purging_frees_the_oldest_and_never_the_current() {
    let dir = tempfile::tempdir().unwrap();
    let image = image(dir.path());
    for fill in 1..=4 {
        publish(&image, fill, 100_000, at(u64::from(fill))).unwrap();
    }
    let rules = Retention {
        max_bytes: Some(250_000),
        ..Retention::default()
    };
    let purges = rules.plan(&trashed(dir.path()).unwrap(), at(5));
    assert_eq!(purges.len(), 1);
    let freed = apply(dir.path(), &purges, at(5)).unwrap();
    assert_eq!((freed.versions, freed.bytes / 100_000), (1, 1));
    assert_eq!(
        fills(&history(&image, at(6), &identify).unwrap()),
        [4, 3, 2]
    );
    assert_eq!(
        apply(dir.path(), &purges, at(5)).unwrap(),
        Freed::default(),
        "gone already"
    );
    let late = at(31 * 24 * 3600);
    let purges = Retention { keep: 0, ..rules }.plan(&trashed(dir.path()).unwrap(), late);
    apply(dir.path(), &purges, late).unwrap();
    assert_eq!(
        names(dir.path()),
        ["deb.img", "deb.img.full.sum", "deb.img.info", "deb.img.sum"]
    );
    assert_eq!(fs::read(image.path()).unwrap(), vec![4; 100_000]);
}

/// What everything says that looks into the trash of a directory, or changes it.
fn codes(dir: &std::path::Path) -> [Option<Code>; 5] {
    let image = image(dir);
    let of = |result: Result<(), azud_store::StoreError>| result.err().map(|error| error.code());
    [
        of(history(&image, at(5), &identify).map(drop)),
        of(rollback(&image, &Which::Latest, at(5), &identify).map(drop)),
        of(remove(&image, at(5), &identify).map(drop)),
        of(publish(&image, 9, 10, at(5)).map(drop)),
        of(trashed(dir).map(drop)),
    ]
}

#[test]
fn a_trash_that_is_a_link_leads_nowhere() {
    let (other, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for fill in [1, 2] {
        publish(&image(other.path()), fill, 10, at(0)).unwrap();
    }
    publish(&image(dir.path()), 3, 10, at(0)).unwrap();
    let all = Retention {
        max_age: Duration::ZERO,
        keep: 0,
        ..Retention::default()
    };
    let purges = all.plan(&trashed(other.path()).unwrap(), at(900));
    let slot = purges[0].version.slot.as_str();
    let trash = other.path().join(".azud-trash");
    let shelf = trash.join("deb.img");
    // Swept away wherever it is ours.
    fs::create_dir(shelf.join(".gone-20270115T080000Z-unknown")).unwrap();
    let before = tree(other.path());
    let planted = dir.path().join(".azud-trash");
    symlink(&trash, &planted).unwrap();
    assert_eq!(codes(dir.path()), [Some(Code::NotAFile); 5]);
    let purged = || apply(dir.path(), &purges, at(900));
    assert_eq!(purged().unwrap_err().code(), Code::NotAFile);

    // The place of one image: only that is refused.
    fs::remove_file(&planted).unwrap();
    fs::create_dir(&planted).unwrap();
    symlink(&shelf, planted.join("deb.img")).unwrap();
    let [of_image @ .., of_all] = codes(dir.path());
    assert_eq!((of_image, of_all), ([Some(Code::NotAFile); 4], None));
    assert_eq!(purged().unwrap_err().code(), Code::NotAFile);

    // One version: it is none.
    fs::remove_file(planted.join("deb.img")).unwrap();
    fs::create_dir(planted.join("deb.img")).unwrap();
    symlink(shelf.join(slot), planted.join("deb.img").join(slot)).unwrap();
    let versions = history(&image(dir.path()), at(5), &identify).unwrap();
    assert_eq!(fills(&versions), [3]);
    assert_eq!(purged().unwrap().versions, 0);
    assert_eq!(tree(other.path()), before);
}
