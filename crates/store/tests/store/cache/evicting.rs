//! Evictions that are cut short, race, or cannot be finished.

use std::fs;
use std::path::Path;

use azud_core::code::Code;
use azud_core::name::ImageFile;
use azud_store::StoreError;
use azud_store::durable::{Op, set_hook};

use super::{Scene, put};
use crate::common::{at, id, names, publish};

#[test]
fn a_directory_called_like_a_side_file_keeps_nothing_from_going() {
    let scene = Scene::new();
    let beside = scene.root().join("mid.img.sum");
    fs::remove_file(&beside).unwrap();
    fs::create_dir_all(beside.join("kept")).unwrap();
    scene.evict("mid.img").unwrap();
    scene.evict("aula/old.img").unwrap();
    assert_eq!(scene.images(), ["aula/new.img"]);
    assert!(beside.join("kept").is_dir());
    assert!(!scene.root().join("mid.img.info").exists());
}

/// Killed at every step in turn: the image is whole with its side files or gone, and the next eviction
/// leaves nothing of it.
#[test]
fn crash_an_eviction_cut_short_leaves_a_whole_image_or_none() {
    for steps in 0.. {
        let scene = Scene::new();
        scene
            .cache
            .mark_used(Path::new("aula/old.img"), at(1))
            .unwrap();
        let sides = |of: &str| {
            let found = names(scene.root());
            let found = found.iter().filter(|name| name.starts_with(of));
            found.count()
        };
        let all = sides("aula/old.img");
        let mut left = steps;
        set_hook(Some(Box::new(move |_| {
            left -= 1;
            if left < 0 {
                return Err(std::io::ErrorKind::Other.into());
            }
            Ok(())
        })));
        let done = scene.evict("aula/old.img");
        set_hook(None);
        let there = scene.root().join("aula/old.img").exists();
        if there {
            assert_eq!(sides("aula/old.img"), all, "step {steps}");
            assert_eq!(scene.of("aula/old.img").identity, Some(id(1)));
        }
        scene.evict("mid.img").unwrap();
        if !there {
            assert_eq!(
                sides("aula/old.img"),
                0,
                "step {steps}: {:?}",
                names(scene.root())
            );
            let waiting = fs::read_dir(scene.root().join(".azud-cache/evicting")).unwrap();
            assert_eq!(waiting.count(), 0, "step {steps}");
        }
        if done.is_ok() {
            assert!(steps > 10, "{steps} steps are too few to have been counted");
            return;
        }
    }
}

#[test]
fn of_two_who_evict_the_same_one_wins_and_of_two_copies_one_stays() {
    for round in 0..10 {
        let scene = Scene::new();
        put(scene.root(), "copy.img", 3, at(4));
        scene.cache.mark_installed("sda1", id(3), at(5)).unwrap();
        let race = |paths: [&'static str; 2]| {
            let start = std::sync::Barrier::new(2);
            std::thread::scope(|scope| {
                let evict = |path: &'static str| {
                    let (scene, start) = (&scene, &start);
                    move || {
                        start.wait();
                        scene.evict(path).map_err(|error| error.code())
                    }
                };
                let other = scope.spawn(evict(paths[0]));
                let one = evict(paths[1])();
                [one, other.join().unwrap()]
            })
        };
        let mut same = race(["mid.img", "mid.img"]);
        same.sort_by_key(Result::is_err);
        assert_eq!(same, [Ok(()), Err(Code::NotFound)], "round {round}");
        let mut copies = race(["aula/new.img", "copy.img"]);
        copies.sort_by_key(Result::is_err);
        assert_eq!(copies, [Ok(()), Err(Code::LastCopy)], "round {round}");
    }
}

/// Leaves a change of an image that is certain and cannot be finished: its file is gone.
fn get_stuck(root: &Path, name: &str) {
    let mut ready = false;
    set_hook(Some(Box::new(move |step| {
        if ready && step.op != Op::SyncDir {
            return Err(std::io::ErrorKind::Other.into());
        }
        ready |= step.op == Op::Rename && step.path.ends_with("ready");
        Ok(())
    })));
    let image = ImageFile::in_dir(root, name).unwrap();
    let done = publish(&image, 9, 50_000, at(5));
    set_hook(None);
    assert!(matches!(done.unwrap_err(), StoreError::Pending { .. }));
    let stage = names(root)
        .into_iter()
        .find(|path| path.starts_with(".azud-stage"));
    fs::remove_file(root.join(stage.unwrap()).join(name)).unwrap();
}

#[test]
fn an_image_whose_change_cannot_be_finished_stays_and_others_go() {
    let scene = Scene::new();
    put(scene.root(), "mid.img", 4, at(4));
    get_stuck(scene.root(), "mid.img");
    let there = scene.images();
    let former = there.iter().find(|path| path.contains("trash")).unwrap();
    let stuck = |done: Result<(), StoreError>| {
        let error = done.unwrap_err();
        assert!(matches!(error, StoreError::Pending { .. }), "{error}");
    };
    stuck(scene.evict(former));
    stuck(scene.evict("mid.img"));
    assert_eq!(scene.images(), there);
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let went = [scene.budget(3), scene.budget(1)];
        tell.send((went, scene.images())).unwrap();
    });
    // Far longer than the disk can be busy.
    let limit = std::time::Duration::from_mins(3);
    let ([first, second], left) = told.recv_timeout(limit).expect("it ends");
    assert_eq!(first.unwrap(), ["aula/old.img"]);
    stuck(second.map(drop));
    assert_eq!(left, [former.as_str(), "mid.img"]);
}
