//! Whether an image is half moved: where that cannot be told, it counts as such.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use azud_core::assembly::{Layout, Source, SourceError};
use azud_core::code::Code;
use azud_core::format::Hash;
use azud_core::progress::Silent;
use azud_store::assembly::{
    Assembly, Facts, Inbox, Moving, Way, clear_remains, identity, is_half_moved,
};
use azud_store::durable::{Op, set_hook};
use azud_store::publish::check;
use azud_store::recover::recover;
use azud_store::trash::remove;
use rustix::fs::{FlockOperation, flock};

use super::faults::{half_copy, half_move};
use super::kit::{Memory, absent, dir_with_old, moment, native, new, old, read_all, receive};
use crate::common::at;
use crate::gate::with_locks;

fn facts() -> Facts {
    Facts {
        info: None,
        carried: Vec::new(),
        now: moment(),
    }
}

/// The directory of the assembly.
fn stage(dir: &Path) -> PathBuf {
    let names = fs::read_dir(dir).unwrap();
    let mut paths = names.map(|name| name.unwrap().path());
    paths.find(|path| path.is_dir()).unwrap()
}

fn cut_wanted(stage: &Path) {
    let path = stage.join("wanted");
    let wanted = fs::read(&path).unwrap();
    fs::write(&path, &wanted[..wanted.len() / 2]).unwrap();
}

/// As if a newer program had written both records.
fn make_newer(stage: &Path) {
    let path = stage.join("journal");
    let mut journal = fs::read(&path).unwrap();
    let slot = journal.len() / 2;
    for start in [0, slot] {
        assert_eq!(journal[start..start + 8], *b"AZUDJNL\0");
        journal[start + 8] += 1;
    }
    fs::write(&path, journal).unwrap();
}

/// Both records rotted.
fn damage(stage: &Path) {
    let path = stage.join("journal");
    let mut journal = fs::read(&path).unwrap();
    let slot = journal.len() / 2;
    for start in [0, slot] {
        journal[start + 40] ^= 1;
    }
    fs::write(&path, journal).unwrap();
}

#[test]
fn what_cannot_be_understood_of_a_half_moved_image_is_kept() {
    for harm in [cut_wanted, make_newer, damage] {
        let (dir, image) = dir_with_old();
        half_move(&image);
        let stage = stage(dir.path());
        harm(&stage);
        let part = fs::read(stage.join("deb.img")).unwrap();
        // However long nobody comes back.
        let later = at(1_000_000_000);
        recover(dir.path(), later).unwrap();
        assert!(is_half_moved(&image), "cleared away");
        let refused = [
            remove(&image, later, &identity).map(drop),
            check(&image, later).map(drop),
            Inbox::open(&image, 1 << 20, ("one", "pc7"), later).map(drop),
            clear_remains(&image, later),
            receive(&image, &Memory::new(new()), Moving::Auto).map(drop),
            receive(&image, &Memory::new(native(&[7, 8])), Moving::Auto).map(drop),
        ];
        for (number, refused) in refused.into_iter().enumerate() {
            let error = refused.unwrap_err();
            assert_eq!(error.code(), Code::HalfMoved, "{number}: {error}");
        }
        assert!(fs::read(stage.join("deb.img")).unwrap() == part);
    }
}

/// Nothing has moved where a process was killed before it had written anything down, or an upload left an empty journal.
#[test]
fn what_was_only_begun_is_not_half_moved() {
    for journal in [Vec::new(), vec![0; 8192]] {
        let (dir, image) = dir_with_old();
        half_copy(&image);
        fs::write(stage(dir.path()).join("journal"), journal).unwrap();
        check(&image, at(0)).unwrap();
        receive(&image, &Memory::new(new()), Moving::Auto).unwrap();
        assert!(fs::read(image.path()).unwrap() == new());
    }
    let (dir, image) = dir_with_old();
    half_copy(&image);
    cut_wanted(&stage(dir.path()));
    recover(dir.path(), at(1_000_000_000)).unwrap();
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
}

/// Somebody has the old image to himself: what was taken from it is not forgotten meanwhile.
#[test]
fn an_old_image_that_cannot_be_opened_now_gets_its_parts_back_later() {
    let (dir, image) = dir_with_old();
    half_move(&image);
    let journal = stage(dir.path()).join("journal");
    let before = fs::read(&journal).unwrap();
    let source = Memory::new(native(&[7, 8, 400, 110, 9]));
    let assembly = Assembly::plan(&image, &source, Moving::Auto).unwrap();
    let error = with_locks(|| {
        let other = File::open(image.path()).unwrap();
        flock(&other, FlockOperation::NonBlockingLockExclusive).unwrap();
        assembly.run(&facts(), &Silent).unwrap_err()
    });
    assert_eq!(error.code(), Code::Locked, "{error}");
    assert!(fs::read(&journal).unwrap() == before);
    assert!(read_all(&image.path()) == old());
}

/// Gives the old image a second name in the midst of the work.
struct BackingUp {
    inside: Memory,
    names: Mutex<Option<(PathBuf, PathBuf)>>,
}

impl Source for BackingUp {
    fn layout(&self) -> Result<Layout, SourceError> {
        self.inside.layout()
    }

    fn read(&self, offset: u64, buf: &mut [u8]) -> Result<(), SourceError> {
        if let Some((image, backup)) = self.names.lock().unwrap().take() {
            fs::hard_link(image, backup).unwrap();
        }
        self.inside.read(offset, buf)
    }

    fn identity(&self) -> Result<Hash, SourceError> {
        self.inside.identity()
    }

    fn name(&self) -> String {
        self.inside.name()
    }
}

#[test]
fn a_second_name_that_comes_during_the_work_loses_nothing() {
    let (_dir, image) = dir_with_old();
    let other = tempfile::tempdir().unwrap();
    let backup = other.path().join("deb.img");
    let source = BackingUp {
        inside: Memory::new(new()),
        names: Mutex::new(Some((image.path(), backup.clone()))),
    };
    let error = receive(&image, &source, Moving::Always).unwrap_err();
    assert_eq!(error.code(), Code::Locked, "{error}");
    assert!(error.to_string().contains("second name"), "{error}");
    assert!(fs::read(&backup).unwrap() == old());
    assert!(!is_half_moved(&image), "nothing has moved");
    // What came is here, and now both images have their room.
    let report = receive(&image, &source, Moving::Always).unwrap();
    assert_eq!((report.way, report.source), (Way::Copy, 0));
    assert_eq!(source.inside.bytes_read(), absent());
    assert!(fs::read(&backup).unwrap() == old());
    assert!(fs::read(image.path()).unwrap() == new());
}

#[test]
fn a_second_name_that_comes_later_loses_no_more() {
    let (_dir, image) = dir_with_old();
    half_move(&image);
    let other = tempfile::tempdir().unwrap();
    let backup = other.path().join("deb.img");
    fs::hard_link(image.path(), &backup).unwrap();
    let before = fs::read(&backup).unwrap();
    set_hook(Some(Box::new(|step| {
        assert_ne!(step.op, Op::Punch, "given up");
        Ok(())
    })));
    let error = receive(&image, &Memory::new(new()), Moving::Auto).unwrap_err();
    set_hook(None);
    assert!(error.to_string().contains("second name"), "{error}");
    assert!(fs::read(&backup).unwrap() == before && read_all(&image.path()) == old());
    fs::remove_file(&backup).unwrap();
    receive(&image, &Memory::new(new()), Moving::Auto).unwrap();
    assert!(fs::read(image.path()).unwrap() == new());
}
