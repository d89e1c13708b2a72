//! Killed, or failing, at every single step: afterwards the directory is exactly as before or exactly
//! as it was to become, and nothing else is in it.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use azud_core::code::Code;
use azud_store::StoreError;
use azud_store::durable::{Op, set_hook};
use azud_store::recover::recover;
use azud_store::retention::{Retention, apply, trashed};
use azud_store::trash::{Which, remove, rollback};

use crate::common::{age_stages, at, identify, image, publish, tree};
use crate::killed::{kill, killed_at, told};

const CHILD: &str = "crash::child";

type Tree = BTreeMap<PathBuf, Option<Vec<u8>>>;

/// What is done, after what; and whether the file system has hard links.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scene {
    First,
    Again,
    AgainWithoutLinks,
    Same,
    Rollback,
    RollbackOfRemoved,
    Remove,
    Purge,
}

use Scene::{Again, AgainWithoutLinks, First, Purge, Remove, Rollback, RollbackOfRemoved, Same};
const SCENES: [Scene; 8] = [
    First,
    Again,
    AgainWithoutLinks,
    Same,
    Rollback,
    RollbackOfRemoved,
    Remove,
    Purge,
];

impl Scene {
    fn prepare(self, dir: &Path) {
        let image = image(dir);
        if self == First {
            fs::write(dir.join("other.img"), "a neighbour").unwrap();
            // Of a former image that somebody removed by hand: wrong beside the new one.
            fs::write(dir.join("deb.img.torrent"), "of another").unwrap();
            return;
        }
        publish(&image, 1, 1000, at(1)).unwrap();
        if self != Same {
            publish(&image, 2, 2000, at(2)).unwrap();
        }
        fs::write(dir.join("deb.img.torrent"), "of the current").unwrap();
        match self {
            RollbackOfRemoved => drop(remove(&image, at(3), &identify).unwrap()),
            Purge => drop(publish(&image, 3, 3000, at(4)).unwrap()),
            _ => {}
        }
    }

    fn play(self, dir: &Path) -> Result<(), StoreError> {
        let image = image(dir);
        match self {
            First | Again | AgainWithoutLinks => publish(&image, 7, 7000, at(10)).map(drop),
            Same => publish(&image, 1, 1000, at(10)).map(drop),
            Rollback | RollbackOfRemoved => {
                rollback(&image, &Which::Latest, at(10), &identify).map(drop)
            }
            Remove => remove(&image, at(10), &identify).map(drop),
            Purge => {
                let now = at(10_000_000);
                let purges = Retention::default().plan(&trashed(dir)?, now);
                apply(dir, &purges, now).map(drop)
            }
        }
    }

    /// The directory before and after.
    fn outcomes(self) -> (Tree, Tree) {
        let dir = tempfile::tempdir().unwrap();
        self.prepare(dir.path());
        let before = tree(dir.path());
        self.play(dir.path()).unwrap();
        let after = tree(dir.path());
        (before, after)
    }
}

fn current(tree: &Tree) -> Option<&Vec<u8>> {
    tree.get(Path::new("deb.img"))?.as_ref()
}

/// Calls `act` at the `nth` step (counted from 0) and at every later one.
fn from_step(scene: Scene, nth: usize, mut act: impl FnMut() -> io::Result<()> + 'static) {
    let mut count = 0;
    set_hook(Some(Box::new(move |step| {
        if scene == AgainWithoutLinks && step.op == Op::Link {
            return Err(rustix::io::Errno::PERM.into());
        }
        count += 1;
        if count > nth { act() } else { Ok(()) }
    })));
}

/// What the killed process does; in the test's own process, nothing.
#[test]
fn child() {
    if let Some((scene, dir, nth)) = told(&SCENES) {
        from_step(scene, nth, || kill());
        scene.play(&dir).unwrap();
    }
}

fn kill_everywhere(scene: Scene) {
    let (before, after) = scene.outcomes();
    let mut committed = false;
    for nth in 0.. {
        let dir = tempfile::tempdir().unwrap();
        scene.prepare(dir.path());
        let killed = killed_at(CHILD, scene, dir.path(), nth);
        let raw = tree(dir.path());
        // With hard links, replacing never leaves a moment without an image under the name.
        if current(&before).is_some() && current(&after).is_some() && scene != AgainWithoutLinks {
            let seen = current(&raw).unwrap_or_else(|| panic!("{scene:?} at {nth}: no image"));
            assert!(
                [current(&before), current(&after)].contains(&Some(seen)),
                "{scene:?} at {nth}: a strange image"
            );
        }
        // The trash shows whole versions only: one former version more, or one less, never a part.
        age_stages(dir.path());
        recover(dir.path(), at(20)).unwrap();
        let found = tree(dir.path());
        committed |= found == after;
        let wanted = if committed { &after } else { &before };
        assert!(
            found == *wanted,
            "{scene:?} at {nth}: {:?} instead of {:?}",
            found.keys(),
            wanted.keys()
        );
        if !killed {
            assert!(nth > 5 && found == after, "{scene:?} has {nth} steps");
            return;
        }
    }
}

#[test]
fn kill_at_every_step_of_publishing() {
    kill_everywhere(First);
    kill_everywhere(Again);
}

#[test]
fn kill_at_every_step_of_publishing_without_hard_links() {
    kill_everywhere(AgainWithoutLinks);
}

#[test]
fn kill_at_every_step_of_publishing_the_same() {
    kill_everywhere(Same);
}

#[test]
fn kill_at_every_step_of_a_rollback() {
    kill_everywhere(Rollback);
    kill_everywhere(RollbackOfRemoved);
}

#[test]
fn kill_at_every_step_of_a_removal() {
    kill_everywhere(Remove);
}

#[test]
fn kill_at_every_step_of_a_purge() {
    kill_everywhere(Purge);
}

/// The medium fails at a step and from then on: the error has its code, and tells the truth about
/// whether the change is certain.
#[test]
fn a_full_disk_at_every_step_loses_nothing() {
    for scene in SCENES {
        let (before, after) = scene.outcomes();
        for nth in 0.. {
            let dir = tempfile::tempdir().unwrap();
            scene.prepare(dir.path());
            from_step(scene, nth, || Err(rustix::io::Errno::NOSPC.into()));
            let result = scene.play(dir.path());
            set_hook(None);
            let Err(error) = result else { break };
            assert_eq!(error.code(), Code::NoSpace, "{scene:?} at {nth}: {error:?}");
            let certain = matches!(error, StoreError::Pending { .. });
            if !certain {
                assert_eq!(
                    current(&tree(dir.path())),
                    current(&before),
                    "{scene:?} at {nth}"
                );
            }
            // Our own process lives, so what it could not clear away waits for its end, or for a day.
            age_stages(dir.path());
            let leftovers = recover(dir.path(), at(20)).unwrap().left;
            for left in &leftovers {
                assert!(left.why.is_none(), "{scene:?} at {nth}: {left:?}");
                fs::remove_file(left.path.join("owner")).unwrap();
            }
            age_stages(dir.path());
            recover(dir.path(), at(20)).unwrap();
            let found = tree(dir.path());
            let wanted = if certain || found == after && scene == Purge {
                &after
            } else {
                &before
            };
            assert!(
                found == *wanted,
                "{scene:?} at {nth}: {error}: {:?}",
                found.keys()
            );
        }
    }
}

/// The recovery itself is stopped at every step, and the next one still comes to the end.
#[test]
fn a_recovery_that_fails_is_taken_up_again() {
    for scene in [Again, AgainWithoutLinks, Rollback, Remove] {
        let (_, after) = scene.outcomes();
        let mut stops = 0;
        for nth in 0.. {
            let dir = tempfile::tempdir().unwrap();
            scene.prepare(dir.path());
            // Stops right after the commit: at the first name that changes outside the stage.
            let mut ready = false;
            set_hook(Some(Box::new(move |step| {
                if ready && step.op != Op::SyncDir {
                    return Err(io::ErrorKind::Other.into());
                }
                ready |= step.op == Op::Rename && step.path.ends_with("ready");
                Ok(())
            })));
            let error = scene.play(dir.path()).unwrap_err();
            assert!(matches!(error, StoreError::Pending { .. }), "{error:?}");
            from_step(scene, nth, || Err(io::ErrorKind::Other.into()));
            let first = recover(dir.path(), at(20)).unwrap();
            set_hook(None);
            let stopped = !first.left.is_empty();
            stops += usize::from(stopped);
            recover(dir.path(), at(21)).unwrap();
            for entry in fs::read_dir(dir.path()).unwrap() {
                // As in the test before: our own process still lives.
                let _ = fs::remove_file(entry.unwrap().path().join("owner"));
            }
            age_stages(dir.path());
            recover(dir.path(), at(22)).unwrap();
            let found = tree(dir.path());
            assert!(found == after, "{scene:?} at {nth}: {:?}", found.keys());
            if !stopped {
                break;
            }
        }
        assert!(stops > 5, "{scene:?}: {stops}");
    }
}
