//! Each way that an image can come.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use azud_core::assembly::{Layout, Source};
use azud_core::code::Code;
use azud_core::format::ranges::RangeIndex;
use azud_core::name::ImageFile;
use azud_core::progress::Silent;
use azud_store::assembly::{Assembly, Facts, FileSource, Moving, Way, identity};
use azud_store::publish::{Outcome, Staging};
use azud_store::trash::{Which, remove, rollback};
use azud_store::{Identity, StoreError, Stored};
use tempfile::TempDir;

use super::kit::{
    Memory, absent, dir_with_old, frame, moment, native, new, old, read_all, receive,
};
use crate::common::{at, ended, image, names, owner};
use crate::gate::with_locks;

#[test]
fn what_is_here_is_not_read_from_the_source() {
    for (moving, way) in [(Moving::Never, Way::Copy), (Moving::Always, Way::Move)] {
        let (dir, image) = dir_with_old();
        let source = Memory::new(new());
        let report = receive(&image, &source, moving).unwrap();
        assert_eq!((report.way, report.damaged), (way, 0));
        assert_eq!((report.source, source.bytes_read()), (absent(), absent()));
        assert!(fs::read(image.path()).unwrap() == new());
        let sum = fs::read_to_string(image.beside(".full.sum")).unwrap();
        assert_eq!(sum.trim(), report.sums.unwrap().full);
        assert_ne!(
            fs::read_to_string(image.beside(".sum")).unwrap(),
            "of the old\n"
        );
        // The old one is in the trash, whole, or it is used up.
        match report.outcome.unwrap() {
            Outcome::Updated { former } => {
                assert!(way == Way::Copy && fs::read(former.join("deb.img")).unwrap() == old());
            }
            outcome => assert_eq!((way, outcome), (Way::Move, Outcome::Created)),
        }
        assert!(
            !names(dir.path())
                .iter()
                .any(|name| name.contains("assembly"))
        );
        // And once more: there is nothing to do, but what somebody left who was killed when it was there.
        let lock = image.beside(".lock");
        let mut left = owner(ended());
        left["token"] = "d0".into();
        left["since"] = 0.into();
        fs::write(&lock, left.to_string()).unwrap();
        let again = receive(&image, &source, moving).unwrap();
        assert_eq!((again.way, source.bytes_read()), (Way::Nothing, absent()));
        assert!(!lock.exists(), "it is locked still");
    }
}

#[test]
fn neighbours_and_former_versions_give_their_frames_too() {
    let dir = tempfile::tempdir().unwrap();
    let image = image(dir.path());
    fs::write(image.path(), old()).unwrap();
    receive(&image, &Memory::new(native(&[200, 201])), Moving::Never).unwrap();
    fs::write(dir.path().join("other.img"), native(&[110, 300])).unwrap();
    let source = Memory::new(new());
    receive(&image, &source, Moving::Never).unwrap();
    assert_eq!(source.bytes_read(), frame(120).len() as u64);
    assert!(fs::read(image.path()).unwrap() == new());
}

#[test]
fn images_in_other_folders_of_the_cache_give_their_frames_too() {
    for (in_a_cache, fetched) in [(true, frame(120).len() as u64), (false, absent())] {
        let top = tempfile::tempdir().unwrap();
        let folder = |name: &str| {
            let folder = top.path().join(name);
            fs::create_dir_all(&folder).unwrap();
            folder
        };
        if in_a_cache {
            folder(".azud-cache");
        }
        let image = image(&folder("room1"));
        fs::write(image.path(), old()).unwrap();
        let other = folder("room2/older").join("other.img");
        fs::write(&other, native(&[110, 300])).unwrap();
        let source = Memory::new(new());
        receive(&image, &source, Moving::Never).unwrap();
        assert_eq!(source.bytes_read(), fetched);
        assert!(fs::read(image.path()).unwrap() == new());
        assert!(fs::read(other).unwrap() == native(&[110, 300]));
    }
}

#[test]
fn images_of_the_cache_give_their_frames_to_one_in_a_folder_that_is_made_for_it() {
    let top = tempfile::tempdir().unwrap();
    for folder in [".azud-cache", "room1"] {
        fs::create_dir(top.path().join(folder)).unwrap();
    }
    fs::write(image(&top.path().join("room1")).path(), old()).unwrap();
    let image = image(&top.path().join("room2/new"));
    let source = Memory::new(new());
    let facts = Facts {
        info: None,
        carried: Vec::new(),
        now: moment(),
    };
    with_locks(|| {
        let assembly = Assembly::look(&image, &source, Moving::Never).unwrap();
        assert_eq!(assembly.prospect().source, absent());
        fs::create_dir_all(image.dir()).unwrap();
        assembly.run(&facts, &Silent).unwrap();
    });
    assert_eq!(source.bytes_read(), absent());
    assert!(fs::read(image.path()).unwrap() == new());
}

#[test]
fn foreign_images_come_with_their_index_and_share_ranges() {
    let from = tempfile::tempdir().unwrap();
    let path = from.path().join("win.img");
    let mut bytes = vec![7u8; 3_500_000];
    bytes[2_000_000..].fill(9);
    fs::write(&path, &bytes).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let image = image(dir.path());
    let source = FileSource::open(&path).unwrap();
    receive(&image, &source, Moving::Auto).unwrap();
    assert!(fs::read(image.path()).unwrap() == bytes);
    let index = fs::read(image.beside(".index")).unwrap();
    assert_eq!(RangeIndex::parse(&index).unwrap().hashes.len(), 4);
    let id = Identity(*blake3::hash(&index).as_bytes());
    assert_eq!(identity(&image.path()), Some(id));
    assert_eq!(
        receive(&image, &source, Moving::Auto).unwrap().way,
        Way::Nothing
    );
    // A changed byte costs one range.
    bytes[1_500_000] = 1;
    fs::write(&path, &bytes).unwrap();
    for moving in [Moving::Always, Moving::Never] {
        let source = FileSource::open(&path).unwrap();
        let report = receive(&image, &source, moving).unwrap();
        assert_eq!(report.source, 1 << 20);
        assert!(fs::read(image.path()).unwrap() == bytes);
        bytes[10] ^= 1;
        fs::write(&path, &bytes).unwrap();
    }
}

#[test]
fn a_file_with_two_names_is_never_moved_from() {
    let (dir, image) = dir_with_old();
    let other = dir.path().join("second-name.img");
    fs::hard_link(image.path(), &other).unwrap();
    let report = receive(&image, &Memory::new(new()), Moving::Always).unwrap();
    assert_eq!(report.way, Way::Copy);
    assert!(fs::read(other).unwrap() == old());
}

#[test]
fn who_reads_keeps_the_old_image_from_moving() {
    let (_dir, image) = dir_with_old();
    let reader = Stored::open(&image.path()).unwrap();
    let source = Memory::new(new());
    let error = receive(&image, &source, Moving::Always).unwrap_err();
    assert_eq!(error.code(), Code::Locked, "{error}");
    assert!(fs::read(image.path()).unwrap() == old());
    drop(reader);
    receive(&image, &source, Moving::Always).unwrap();
}

#[test]
fn who_only_looks_is_waited_for() {
    let (_dir, image) = dir_with_old();
    let reader = Stored::open(&image.path()).unwrap();
    let looking = thread::spawn(move || {
        thread::sleep(Duration::from_millis(500));
        drop(reader);
    });
    receive(&image, &Memory::new(new()), Moving::Always).unwrap();
    looking.join().unwrap();
    assert!(fs::read(image.path()).unwrap() == new());
}

/// A source that looks around while it is read.
struct Looking<'a> {
    inside: Memory,
    look: &'a (dyn Fn() + Sync),
}

impl Source for Looking<'_> {
    fn layout(&self) -> Result<Layout, azud_core::assembly::SourceError> {
        self.inside.layout()
    }

    fn read(&self, offset: u64, buf: &mut [u8]) -> Result<(), azud_core::assembly::SourceError> {
        (self.look)();
        self.inside.read(offset, buf)
    }

    fn identity(&self) -> Result<azud_core::format::Hash, azud_core::assembly::SourceError> {
        self.inside.identity()
    }

    fn name(&self) -> String {
        self.inside.name()
    }
}

#[test]
fn a_neighbour_that_nothing_comes_from_is_nobodys_meanwhile() {
    let (dir, image) = dir_with_old();
    let neighbour = ImageFile::in_dir(dir.path(), "other.img").unwrap();
    let numbers: Vec<u64> = (500..520).collect();
    fs::write(neighbour.path(), native(&numbers)).unwrap();
    let done = Mutex::new(None);
    let look = || {
        let mut done = done.lock().unwrap();
        if done.is_none() {
            let source = Memory::new(native(&numbers[1..]));
            *done = Some(receive(&neighbour, &source, Moving::Always));
        }
    };
    let source = Looking {
        inside: Memory::new(new()),
        look: &look,
    };
    receive(&image, &source, Moving::Never).unwrap();
    let report = done.into_inner().unwrap().expect("it was read").unwrap();
    assert_eq!(report.way, Way::Move);
    assert!(fs::read(image.path()).unwrap() == new());
}

#[test]
fn of_two_at_once_one_is_told() {
    for moving in [Moving::Never, Moving::Always] {
        let (_dir, image) = dir_with_old();
        let look = || {
            let error = receive(&image, &Memory::new(new()), moving).unwrap_err();
            assert_eq!(error.code(), Code::Locked, "{error}");
            if moving == Moving::Always {
                let error = Stored::open(&image.path()).unwrap_err();
                assert_eq!(error.code(), Code::Locked, "{error}");
            } else {
                assert!(read_all(&image.path()) == old());
            }
        };
        let source = Looking {
            inside: Memory::new(new()),
            look: &look,
        };
        receive(&image, &source, moving).unwrap();
        assert!(fs::read(image.path()).unwrap() == new());
    }
}

#[test]
fn a_half_moved_image_can_be_read_but_not_replaced() {
    let (dir, image) = dir_with_old();
    super::faults::half_move(&image);
    assert!(fs::read(image.path()).unwrap() != old(), "nothing moved");
    assert!(fs::metadata(image.path()).unwrap().blocks() * 512 < old().len() as u64 * 3 / 4);
    assert!(read_all(&image.path()) == old());
    // By every name that it has.
    let alias = dir.path().join("alias.img");
    std::os::unix::fs::symlink("deb.img", &alias).unwrap();
    assert!(read_all(&alias) == old());
    fs::remove_file(alias).unwrap();
    assert_eq!(
        identity(&image.path()).unwrap().0,
        *Memory::new(old()).identity().as_ref().unwrap()
    );
    let refused = |error: StoreError| assert_eq!(error.code(), Code::HalfMoved, "{error}");
    refused(Staging::begin(&image, at(60)).unwrap_err());
    refused(remove(&image, at(60), &identity).unwrap_err());
    refused(rollback(&image, &Which::Latest, at(60), &identity).unwrap_err());
    // However long nobody comes back.
    azud_store::recover::recover(dir.path(), at(1_000_000_000)).unwrap();
    assert!(read_all(&image.path()) == old());
    let source = Memory::new(new());
    let report = receive(&image, &source, Moving::Never).unwrap();
    assert_eq!((report.way, source.bytes_read()), (Way::Move, 0));
    assert!(fs::read(image.path()).unwrap() == new());
}

/// Breaks off when a frame of the third image has come, which only the source of the second one had: who fetches
/// and who copies do so at once, so it need not be among the first.
fn begun(half_moved: bool, third: &Memory) -> (TempDir, ImageFile) {
    for _ in 0..200 {
        let (dir, image) = dir_with_old();
        if half_moved {
            super::faults::half_move(&image);
        } else {
            super::faults::half_copy(&image);
        }
        let plan = Assembly::plan(&image, third, Moving::Auto).unwrap();
        if plan.prospect().source == frame(400).len() as u64 {
            return (dir, image);
        }
    }
    panic!("that frame always comes last")
}

#[test]
fn another_image_is_wanted_before_the_first_is_whole() {
    for half_moved in [false, true] {
        let third = native(&[7, 8, 400, 110, 9]);
        let source = Memory::new(third.clone());
        let (dir, image) = begun(half_moved, &source);
        let report = receive(&image, &source, Moving::Auto).unwrap();
        assert_eq!(report.way, Way::Copy);
        assert!(fs::read(image.path()).unwrap() == third);
        let Some(Outcome::Updated { former }) = report.outcome else {
            panic!("{report:?}")
        };
        assert!(fs::read(former.join("deb.img")).unwrap() == old());
        // What the first had fetched is not fetched again.
        assert_eq!(source.bytes_read(), frame(400).len() as u64);
        assert!(
            !names(dir.path())
                .iter()
                .any(|name| name.contains("assembly"))
        );
    }
}

/// Nobody's file but ours is in that directory; whoever took it away took a part of the old image with it.
#[test]
fn what_has_lost_a_part_is_not_forgotten_to_have_lost_it() {
    let (dir, image) = dir_with_old();
    super::faults::half_move(&image);
    let names = names(dir.path());
    let stage = names.iter().find(|name| name.contains("assembly")).unwrap();
    fs::remove_file(dir.path().join(stage).join("deb.img")).unwrap();
    for wanted in [old(), native(&[7, 8, 400, 110, 9])] {
        let error = receive(&image, &Memory::new(wanted), Moving::Auto).unwrap_err();
        assert_eq!(error.code(), Code::HalfMoved, "{error}");
    }
}

#[test]
fn a_plan_writes_nothing() {
    let (dir, image) = dir_with_old();
    let before = names(dir.path());
    let source = Memory::new(new());
    let assembly = Assembly::plan(&image, &source, Moving::Auto).unwrap();
    let prospect = *assembly.prospect();
    assert_eq!((prospect.source, prospect.way), (absent(), Way::Copy));
    assert!(prospect.local + prospect.source < prospect.size);
    assert_eq!((names(dir.path()), source.bytes_read()), (before, 0));
    let facts = Facts {
        info: None,
        carried: Vec::new(),
        now: moment(),
    };
    assert_eq!(assembly.run(&facts, &Silent).unwrap().source, absent());
}

#[test]
fn what_nobody_goes_on_with_is_cleared_away_after_a_week() {
    let (dir, image) = dir_with_old();
    super::faults::half_copy(&image);
    let assembling = || {
        names(dir.path())
            .iter()
            .any(|name| name.contains("assembly"))
    };
    let now = std::time::SystemTime::now();
    let days = |days: u64| now + std::time::Duration::from_hours(24 * days);
    azud_store::recover::recover(dir.path(), days(6)).unwrap();
    assert!(assembling());
    azud_store::recover::recover(dir.path(), days(8)).unwrap();
    assert!(!assembling());
}
