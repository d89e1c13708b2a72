//! What is known of images, for how long, and who is told meanwhile.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, SystemTime};

use axum::http::StatusCode;
use axum::response::IntoResponse;
use azud_core::name::ImageFile;
use azud_store::{Identity, Stored, trash};

use super::Indexes;
use crate::limits::Bodies;

struct Site {
    dir: tempfile::TempDir,
    bodies: Arc<Bodies>,
}

impl Site {
    fn new() -> (Self, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let image = dir.path().join("old.img");
        fs::write(&image, vec![7; 9 << 20]).unwrap();
        let bodies = Arc::default();
        (Self { dir, bodies }, image)
    }

    /// As after a start of the manager.
    fn indexes(&self) -> Arc<Indexes> {
        Indexes::new(self.dir.path(), Arc::clone(&self.bodies))
    }

    fn files(&self) -> usize {
        fs::read_dir(self.dir.path().join("indexes")).map_or(0, Iterator::count)
    }
}

fn is_known(indexes: &Indexes, image: &Path) -> bool {
    indexes.identity(image).is_some()
}

#[test]
fn what_was_found_out_outlives_the_manager_and_not_the_image() {
    let (site, image) = Site::new();
    assert!(!is_known(&site.indexes(), &image));
    assert!(site.indexes().make_ahead(&image));
    let again = site.indexes();
    assert!(is_known(&again, &image));
    again.tidy(site.dir.path());
    assert_eq!(site.files(), 1);
    fs::write(&image, vec![8; (9 << 20) + 1]).unwrap();
    assert!(!is_known(&again, &image) && !is_known(&site.indexes(), &image));
    again.tidy(site.dir.path());
    assert_eq!(site.files(), 0);
}

#[test]
fn regression_what_is_being_written_is_not_taken_away() {
    let (site, image) = Site::new();
    assert!(site.indexes().make_ahead(&image));
    let dir = site.dir.path().join("indexes");
    let kept = fs::read_dir(&dir).unwrap().next().unwrap().unwrap().path();
    // As `kept` is before it has its name.
    let part = kept.with_extension("part");
    fs::rename(&kept, &part).unwrap();
    site.indexes().tidy(site.dir.path());
    assert!(part.exists());
    // Nobody writes for hours.
    let before = SystemTime::now() - Duration::from_hours(2);
    let file = fs::File::open(&part).unwrap();
    file.set_modified(before).unwrap();
    site.indexes().tidy(site.dir.path());
    assert!(!part.exists());
}

#[test]
fn what_is_in_the_trash_outlives_the_manager_as_long_as_it_is_there() {
    let (site, image) = Site::new();
    assert!(site.indexes().make_ahead(&image));
    let wanted = site.indexes().identity(&image).unwrap();
    let parsed = ImageFile::parse(image.clone()).unwrap();
    let gone = trash::remove(&parsed, SystemTime::now(), &|_| None).unwrap();
    let stored = Stored::open(&gone.join("old.img")).unwrap();
    let moved = |wanted| site.indexes().moved(&stored, (&image, wanted)).is_some();
    assert!(moved(wanted));
    site.indexes().tidy(site.dir.path());
    assert!(moved(wanted) && site.files() == 1);
    assert!(!moved(Identity([0; 32])));
    // Another one in its place, and its index, take nothing away.
    fs::write(&image, vec![8; 9 << 20]).unwrap();
    assert!(site.indexes().make_ahead(&image) && moved(wanted));
    site.indexes().tidy(site.dir.path());
    assert!(moved(wanted) && is_known(&site.indexes(), &image));
    assert_eq!(site.files(), 2);
    fs::remove_dir_all(gone).unwrap();
    site.indexes().tidy(site.dir.path());
    assert!(!moved(wanted) && is_known(&site.indexes(), &image));
    assert_eq!(site.files(), 1);
}

#[test]
fn of_former_versions_a_number_is_kept() {
    let (site, image) = Site::new();
    let parsed = ImageFile::parse(image.clone()).unwrap();
    for byte in 0..34 {
        fs::write(&image, vec![byte; 9]).unwrap();
        assert!(site.indexes().make_ahead(&image));
        trash::remove(&parsed, SystemTime::now(), &|_| None).unwrap();
    }
    site.indexes().tidy(site.dir.path());
    assert_eq!(site.files(), 32);
}

#[test]
fn what_is_known_of_a_repository_that_is_away_is_kept() {
    let (site, image) = Site::new();
    let nas = site.dir.path().join("10.0.0.9");
    fs::create_dir(&nas).unwrap();
    let there = nas.join("old.img");
    fs::rename(image, &there).unwrap();
    let indexes = site.indexes();
    assert!(indexes.make_ahead(&there));
    fs::remove_dir_all(&nas).unwrap();
    indexes.tidy(site.dir.path());
    assert_eq!(site.files(), 1);
}

/// A medium that is not mounted is an empty directory on another file system.
#[test]
fn regression_what_is_known_of_images_whose_medium_is_away_is_kept() {
    let (site, image) = Site::new();
    let (root, medium) = (site.dir.path().join("root"), site.dir.path().join("medium"));
    let mount = |dir: &Path| {
        let _ = fs::remove_file(&root);
        symlink(dir, &root).unwrap();
    };
    fs::create_dir(&medium).unwrap();
    mount(&medium);
    let there = root.join("old.img");
    fs::rename(image, &there).unwrap();
    assert!(site.indexes().make_ahead(&there));
    mount(Path::new("/proc"));
    site.indexes().tidy(&root);
    assert_eq!(site.files(), 1);
    mount(&medium);
    assert!(is_known(&site.indexes(), &there));
    // Of a former version, too.
    let parsed = ImageFile::parse(there.clone()).unwrap();
    trash::remove(&parsed, SystemTime::now(), &|_| None).unwrap();
    site.indexes().tidy(&root);
    mount(Path::new("/proc"));
    site.indexes().tidy(&root);
    assert_eq!(site.files(), 1);
    // What is gone while its medium is there is gone.
    mount(&medium);
    fs::remove_dir_all(medium.join(".azud-trash")).unwrap();
    site.indexes().tidy(&root);
    assert_eq!(site.files(), 0);
}

#[test]
fn a_damaged_file_is_made_again() {
    let (site, image) = Site::new();
    assert!(site.indexes().make_ahead(&image));
    let kept = fs::read_dir(site.dir.path().join("indexes"));
    let file = kept.unwrap().next().unwrap().unwrap().path();
    let mut bytes = fs::read(&file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&file, bytes).unwrap();
    let again = site.indexes();
    assert!(!is_known(&again, &image));
    assert!(again.make_ahead(&image) && is_known(&site.indexes(), &image));
}

/// A file that is shorter than it says, as one on a disk that fails.
#[test]
fn who_waits_for_an_image_that_cannot_be_read_is_told() {
    let (site, _) = Site::new();
    let (indexes, image) = (site.indexes(), Path::new("/sys/kernel/uevent_seqnum"));
    let ask = || {
        let told = indexes
            .of(&Stored::open(image).unwrap(), false)
            .unwrap_err();
        told.into_response().status()
    };
    for _ in 0..2 {
        assert_eq!(ask(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(ask(), StatusCode::BAD_GATEWAY);
    }
}

#[test]
fn who_is_served_goes_before_and_who_asks_does_not_wait_for_others() {
    let (site, image) = Site::new();
    let served = site.bodies.begin();
    let indexes = site.indexes();
    let ahead = {
        let (indexes, image) = (Arc::clone(&indexes), image.clone());
        thread::spawn(move || indexes.make_ahead(&image))
    };
    while !super::held(&indexes.in_making).contains_key(&image) {
        thread::sleep(Duration::from_millis(1));
    }
    thread::sleep(Duration::from_millis(200));
    assert!(!is_known(&indexes, &image), "it did not give way");
    // Somebody asks for it: it is made although others are served.
    let _ = indexes.of(&Stored::open(&image).unwrap(), false);
    assert!(ahead.join().unwrap());
    assert!(indexes.of(&Stored::open(&image).unwrap(), false).is_ok());
    drop(served);
}

/// Its disk does not fail: an update has to be ended.
#[test]
fn of_what_moved_nobody_knows_where_to_no_index_is_made() {
    let (site, image) = Site::new();
    let file = fs::File::options().write(true).open(&image).unwrap();
    file.set_len(0).unwrap();
    file.set_len(9 << 20).unwrap();
    let hash = blake3::hash(b"old.img").to_hex();
    let stage = format!(".azud-assembly-old.img-{}", &hash[..16]);
    let stage = site.dir.path().join(stage);
    fs::create_dir(&stage).unwrap();
    fs::write(stage.join("journal"), "of a newer program").unwrap();
    let indexes = site.indexes();
    for _ in 0..2 {
        let stored = Stored::open(&image).unwrap();
        let refused = indexes.of(&stored, false).unwrap_err().into_response();
        assert_eq!(refused.status(), StatusCode::CONFLICT);
    }
    fs::remove_dir_all(&stage).unwrap();
    assert!(indexes.make_ahead(&image));
}
