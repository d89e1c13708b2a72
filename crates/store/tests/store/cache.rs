//! A cache that makes room: what goes, what stays, and what is left when it is killed on the way.

mod evicting;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use azud_core::cache::{Policy, Sort, Stays};
use azud_core::code::Code;
use azud_core::name::ImageFile;
use azud_store::cache::{Cache, Cached, Room, Stamp, Verified};
use azud_store::{StoreError, Stored};

use crate::common::{at, id, identify, names, publish};

/// An image of 4 KiB blocks, last written at a moment.
fn put(root: &Path, path: &str, fill: u8, when: SystemTime) -> PathBuf {
    let full = root.join(path);
    let dir = full.parent().unwrap();
    fs::create_dir_all(dir).unwrap();
    let image = ImageFile::in_dir(dir, full.file_name().unwrap().to_str().unwrap()).unwrap();
    publish(&image, fill, 100_000, when).unwrap();
    let times = fs::FileTimes::new().set_modified(when).set_accessed(when);
    File::options()
        .write(true)
        .open(&full)
        .unwrap()
        .set_times(times)
        .unwrap();
    PathBuf::from(path)
}

struct Scene {
    _dir: tempfile::TempDir,
    cache: Cache,
}

impl Scene {
    /// Three images, from the least recently used.
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        put(dir.path(), "aula/old.img", 1, at(1));
        put(dir.path(), "mid.img", 2, at(2));
        put(dir.path(), "aula/new.img", 3, at(3));
        let cache = Cache::open(dir.path()).unwrap();
        Self { _dir: dir, cache }
    }

    fn root(&self) -> &Path {
        self.cache.root()
    }

    fn all(&self) -> Vec<Cached> {
        self.cache.survey(at(10), &identify).unwrap().cached
    }

    fn images(&self) -> Vec<String> {
        let text = |cached: Cached| cached.path.display().to_string();
        self.all().into_iter().map(text).collect()
    }

    fn of(&self, path: &str) -> Cached {
        let mut all = self.all().into_iter();
        all.find(|cached| cached.path == Path::new(path)).unwrap()
    }

    fn evict(&self, path: &str) -> Result<(), StoreError> {
        let done = self.cache.evict(Path::new(path), at(10), &identify);
        done.map(drop)
    }

    /// Makes room by a budget of so many images; what went.
    fn budget(&self, images: u64) -> Result<Vec<String>, StoreError> {
        let agreed: Vec<PathBuf> = self.all().into_iter().map(|one| one.path).collect();
        self.budget_of(images, &agreed)
    }

    /// As [`Scene::budget`], where a plan named only these.
    fn budget_of(&self, images: u64, agreed: &[PathBuf]) -> Result<Vec<String>, StoreError> {
        let budget = images * (self.all()[0].bytes + 1);
        let policy = Policy {
            budget: Some(budget),
            floor: 0,
        };
        let mut went = Vec::new();
        let room = Room {
            need: 0,
            policy: &policy,
            keep: &[],
            agreed,
        };
        let done = self.cache.make_room(&room, at(10), &identify, |gone| {
            went.push(gone.path.display().to_string());
        });
        done.map(|()| went)
    }
}

fn why(done: Result<(), StoreError>) -> Stays {
    match done.unwrap_err() {
        StoreError::Stays { why, .. } => why,
        other => panic!("{other}"),
    }
}

#[test]
fn the_least_recently_used_goes_with_its_side_files_and_use_counts() {
    let scene = Scene::new();
    assert_eq!(scene.budget(2).unwrap(), ["aula/old.img"]);
    assert!(
        !names(scene.root()).iter().any(|name| name.contains("old")),
        "{:?}",
        names(scene.root())
    );
    scene.cache.mark_used(Path::new("mid.img"), at(9)).unwrap();
    assert_eq!(scene.budget(1).unwrap(), ["aula/new.img"]);
    assert_eq!(scene.images(), ["mid.img"]);
}

#[test]
fn pinned_leased_and_last_copies_stay_and_say_why() {
    let scene = Scene::new();
    let (cache, old) = (&scene.cache, Path::new("aula/old.img"));
    assert!(cache.pin(old).unwrap() && !cache.pin(old).unwrap());
    let lease = cache
        .lease(Path::new("mid.img"), SystemTime::now())
        .unwrap();
    cache.mark_installed("partuuid=1", id(3), at(5)).unwrap();
    assert_eq!(why(scene.evict("aula/old.img")), Stays::Pinned);
    assert_eq!(why(scene.evict("mid.img")), Stays::InUse);
    let last = Stays::LastCopy("partuuid=1".into());
    assert_eq!(why(scene.evict("aula/new.img")), last);
    let StoreError::NoRoom(short) = scene.budget(1).unwrap_err() else {
        panic!("there is no room")
    };
    assert_eq!(short.could_free, 0);
    assert_eq!(short.stay.len(), 3);
    assert_eq!(scene.images().len(), 3, "nothing went for nothing");

    drop(lease);
    assert_eq!(scene.budget(2).unwrap(), ["mid.img"]);
    // Another copy, even a former version of something else, lets the first go.
    put(scene.root(), "copy.img", 3, at(4));
    scene.evict("aula/new.img").unwrap();
    assert_eq!(why(scene.evict("copy.img")), last);
    // Somebody gives it up; what is pinned stays even so.
    let given_up = |path| {
        let done = cache.evict_even_last(Path::new(path), at(10), &identify);
        done.map(drop)
    };
    assert!(cache.pin(Path::new("copy.img")).unwrap());
    assert_eq!(why(given_up("copy.img")), Stays::Pinned);
    assert!(cache.unpin(Path::new("copy.img")).unwrap());
    given_up("copy.img").unwrap();
    put(scene.root(), "copy.img", 3, at(4));
    cache.forget_installed("partuuid=1").unwrap();
    scene.evict("copy.img").unwrap();
    assert!(cache.unpin(old).unwrap() && !cache.unpin(old).unwrap());
    scene.evict("aula/old.img").unwrap();
    assert!(scene.images().is_empty());
}

#[test]
fn only_what_was_agreed_to_goes_and_nothing_where_that_is_too_little() {
    let scene = Scene::new();
    let agreed = [PathBuf::from("aula/old.img")];
    let StoreError::NoRoom(short) = scene.budget_of(1, &agreed).unwrap_err() else {
        panic!("there is no room")
    };
    let rest = |why: &Stays| *why == Stays::NotPlanned;
    assert!(short.stay.len() == 2 && short.stay.iter().all(|(_, why)| rest(why)));
    assert_eq!(scene.images().len(), 3, "nothing went for nothing");
    assert_eq!(scene.budget_of(2, &agreed).unwrap(), ["aula/old.img"]);
}

#[test]
fn what_somebody_has_open_stays_and_is_not_counted_on() {
    let scene = Scene::new();
    let read = Stored::open(&scene.root().join("aula/old.img")).unwrap();
    assert_eq!(why(scene.evict("aula/old.img")), Stays::InUse);
    let agreed = ["aula/old.img", "mid.img"].map(PathBuf::from);
    let short = scene.budget_of(1, &agreed).unwrap_err();
    assert_eq!(short.code(), Code::NoRoom, "{short}");
    assert_eq!(scene.images().len(), 3, "nothing went for nothing");
    assert_eq!(scene.budget(2).unwrap(), ["mid.img"]);
    drop(read);
    // Who only looks at it is waited for.
    let look = Stored::open(&scene.root().join("aula/old.img")).unwrap();
    let looker = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(50));
        drop(look);
    });
    scene.evict("aula/old.img").unwrap();
    looker.join().unwrap();
}

/// What a process left that was killed at work with an image.
fn killed_at_work(scene: &Scene) -> PathBuf {
    let lease = scene
        .cache
        .lease(Path::new("mid.img"), SystemTime::now())
        .unwrap();
    let leases = scene.root().join(".azud-cache/leases");
    let dir = fs::read_dir(&leases).unwrap().next().unwrap().unwrap();
    // As if it had been killed: the lock is gone, and a process of another start has its number.
    std::mem::forget(lease);
    let owner = dir.path().join("owner");
    let text = fs::read_to_string(&owner).unwrap();
    let started = text.lines().find(|line| line.contains("started")).unwrap();
    let other = text.replace(started, "  \"started\": 1");
    fs::remove_file(&owner).unwrap();
    fs::write(&owner, other).unwrap();
    dir.path()
}

#[test]
fn a_lease_of_a_process_that_died_holds_nothing() {
    let scene = Scene::new();
    let left = killed_at_work(&scene);
    assert!(!scene.of("mid.img").in_use);
    scene.evict("mid.img").unwrap();
    assert!(!left.exists(), "it is cleared away");
}

#[test]
fn who_works_takes_away_what_the_dead_left_and_no_lease_of_the_living() {
    let scene = Scene::new();
    let left = killed_at_work(&scene);
    let now = SystemTime::now();
    let first = scene.cache.lease(Path::new("aula/old.img"), now).unwrap();
    assert!(!left.exists(), "it is cleared away");
    let second = scene.cache.lease(Path::new("aula/new.img"), now).unwrap();
    assert_eq!(why(scene.evict("aula/old.img")), Stays::InUse);
    drop((first, second));
    assert_eq!(names(&scene.root().join(".azud-cache/leases")), [""; 0]);
}

#[test]
fn former_versions_go_first_but_not_the_last_copy() {
    let scene = Scene::new();
    put(scene.root(), "mid.img", 4, at(6));
    scene.cache.mark_installed("sda2", id(2), at(6)).unwrap();
    put(scene.root(), "aula/new.img", 5, at(7));
    let sorts = scene
        .all()
        .iter()
        .filter(|c| c.sort == Sort::Former)
        .count();
    assert_eq!(sorts, 2);
    // id 2 runs on a partition and is nowhere else; id 3 is only a former version.
    let went = scene.budget(4).unwrap();
    assert!(
        went.len() == 1 && went[0].starts_with("aula/.azud-trash/new.img/"),
        "{went:?}"
    );
    let went = scene.budget(3).unwrap();
    assert_eq!(went, ["aula/old.img"]);
}

#[test]
fn a_check_holds_for_the_file_that_was_checked() {
    let scene = Scene::new();
    let path = Path::new("mid.img");
    let stamp = Stamp::of(&scene.root().join(path)).unwrap();
    let verified = Verified::new(at(8), stamp, false, vec![3, 5]);
    scene
        .cache
        .mark_verified(path, verified.clone(), Some(id(2)))
        .unwrap();
    assert_eq!(scene.of("mid.img").verified, Some(verified));
    assert!(scene.of("mid.img").item().damaged);
    put(scene.root(), "mid.img", 9, at(9));
    assert_eq!(scene.of("mid.img").verified, None);
    assert_eq!(scene.of("mid.img").identity, Some(id(9)));
}

#[test]
fn damaged_state_is_made_good_from_the_files_and_pins_survive() {
    let scene = Scene::new();
    let cache = &scene.cache;
    for path in ["aula/old.img", "mid.img", "aula/new.img"] {
        cache.mark_used(Path::new(path), at(9)).unwrap();
    }
    cache.pin(Path::new("aula/old.img")).unwrap();
    cache.mark_installed("sda1", id(2), at(9)).unwrap();
    for (number, file) in names(scene.root())
        .iter()
        .filter(|n| n.starts_with(".azud-cache/"))
        .enumerate()
    {
        let file = scene.root().join(file);
        if file.is_file() {
            let nonsense: &[u8] = [&b"\xff{"[..], b"", b"{\"version\":99}", b"[]"][number % 4];
            fs::write(file, nonsense).unwrap();
        }
    }
    let survey = cache.survey(at(10), &identify).unwrap();
    assert_eq!(survey.damaged.len(), 4, "{:?}", survey.damaged);
    assert_eq!(scene.of("mid.img").used, at(2), "as the file's times say");
    assert!(scene.of("aula/old.img").pinned);
    assert_eq!(scene.budget(2).unwrap(), ["mid.img"]);
    cache.mark_used(Path::new("aula/new.img"), at(9)).unwrap();
    assert_eq!(scene.of("aula/new.img").used, at(9));
    fs::remove_dir_all(scene.root().join(".azud-cache")).unwrap();
    assert_eq!(scene.budget(1).unwrap(), ["aula/old.img"]);
}

#[test]
fn what_is_no_image_is_left_alone_and_links_lead_nowhere() {
    let scene = Scene::new();
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("x.img"), "theirs").unwrap();
    fs::write(scene.root().join("repoinfo.json"), "").unwrap();
    std::os::unix::fs::symlink(outside.path(), scene.root().join("out")).unwrap();
    std::os::unix::fs::symlink(outside.path().join("x.img"), scene.root().join("y.img")).unwrap();
    assert_eq!(scene.images().len(), 3);
    let around = Cache::around(&scene.root().join("mid.img"));
    assert!(around.is_none(), "a tree without state is no cache");
    for name in ["out/x", "y.img", "../x", "/etc/passwd", "repoinfo.json"] {
        let located = scene.cache.locate(Path::new(name));
        let done = located.and_then(|path| scene.cache.evict(&path, at(10), &identify));
        assert_eq!(done.unwrap_err().code(), Code::NotFound, "{name}");
    }
    assert!(outside.path().join("x.img").exists());
    assert_eq!(
        scene.cache.locate(Path::new("aula/old")).unwrap(),
        Path::new("aula/old.img")
    );
    let full = scene.root().join("aula/old.img");
    assert_eq!(
        scene.cache.locate(&full).unwrap(),
        Path::new("aula/old.img")
    );
    scene.cache.pin(Path::new("mid.img")).unwrap();
    let (cache, path) = Cache::around(&full).unwrap();
    assert_eq!((cache, path), (scene.cache.clone(), "aula/old.img".into()));
}

/// Whatever lies in the state cannot lead out of the tree, nor stop anybody.
#[test]
fn planted_state_does_no_harm() {
    let scene = Scene::new();
    scene.cache.mark_used(Path::new("mid.img"), at(9)).unwrap();
    let outside = tempfile::tempdir().unwrap();
    fs::create_dir(outside.path().join("deep")).unwrap();
    fs::write(outside.path().join("deep/x.img.info"), "theirs").unwrap();
    std::os::unix::fs::symlink(outside.path(), scene.root().join("out")).unwrap();
    let state = scene.root().join(".azud-cache");
    let record = fs::read_dir(state.join("images"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    let text = fs::read_to_string(record.path()).unwrap();
    // MD5 of the path, as the state is named.
    for (path, key) in [
        ("out/deep/x.img", "5812a4a424ecda7e2e3487b8426791ab"),
        ("../x.img", "bb24d9118b380221e806e05796b76e25"),
    ] {
        let planted = text.replace("mid.img", path);
        fs::write(state.join("images").join(format!("{key}.json")), planted).unwrap();
        fs::write(state.join("evicting").join(key), "").unwrap();
    }
    fs::create_dir_all(state.join("evicting/dir/deeper")).unwrap();
    fs::create_dir_all(state.join("leases/dir/deeper")).unwrap();
    scene.evict("mid.img").unwrap();
    assert!(outside.path().join("deep/x.img.info").exists());
    assert!(
        scene
            .cache
            .locate(Path::new(".azud-cache/leases/dir/owner"))
            .is_err()
    );
}
