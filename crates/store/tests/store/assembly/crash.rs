//! Killed after every single durable step: the old image can be read, and the next run comes to the end.

use std::fs;

use azud_core::name::ImageFile;
use azud_store::assembly::Moving;
use azud_store::durable::{Op, set_hook};
use azud_store::recover::recover;

use super::faults::half_move;
use super::kit::{
    Memory, absent, dir_with_old, frame, moment, native, new, old, read_all, receive,
};
use crate::common::{age_stages, image, tree};
use crate::killed::{kill, killed_at, told};

const CHILD: &str = "assembly::crash::child";

/// What is received, after what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scene {
    Copied,
    Moved,
    /// Another image, while the old one is half moved.
    Another,
}

use Scene::{Another, Copied, Moved};
const SCENES: [Scene; 3] = [Copied, Moved, Another];

impl Scene {
    fn prepare(self) -> (tempfile::TempDir, ImageFile) {
        let (dir, image) = dir_with_old();
        if self == Another {
            half_move(&image);
        }
        (dir, image)
    }

    fn source(self) -> Memory {
        Memory::new(match self {
            Another => native(&[7, 8, 400, 110, 9]),
            Copied | Moved => new(),
        })
    }

    fn play(self, image: &ImageFile, source: &Memory) {
        let moving = match self {
            Moved => Moving::Always,
            Copied | Another => Moving::Never,
        };
        receive(image, source, moving).unwrap();
    }
}

/// What the killed process does; in the test's own process, nothing.
#[test]
fn child() {
    let Some((scene, dir, nth)) = told(&SCENES) else {
        return;
    };
    let mut count = 0;
    set_hook(Some(Box::new(move |_| {
        count += 1;
        if count > nth { kill() } else { Ok(()) }
    })));
    scene.play(&image(&dir), &scene.source());
}

fn kill_everywhere(scene: Scene) {
    let wanted = scene.source().bytes;
    let (after, all) = {
        let (dir, image) = scene.prepare();
        let source = scene.source();
        scene.play(&image, &source);
        // What was begun for another image may be lost in the moment in which it is put aside.
        let begun = if scene == Another {
            frame(110).len()
        } else {
            0
        };
        (tree(dir.path()), source.bytes_read() + begun as u64)
    };
    let (mut holes, mut saved) = (0, 0);
    for nth in 0.. {
        let (dir, image) = scene.prepare();
        let killed = killed_at(CHILD, scene, dir.path(), nth);
        let plain = fs::read(image.path()).unwrap();
        holes += usize::from(plain != old() && plain != wanted);
        let whole = |seen: Vec<u8>| seen == old() || seen == wanted;
        assert!(whole(read_all(&image.path())), "{scene:?} at {nth}: lost");
        // Whoever comes by does not clear away what is half done.
        age_stages(dir.path());
        recover(dir.path(), moment()).unwrap();
        assert!(
            whole(read_all(&image.path())),
            "{scene:?} at {nth}: cleared"
        );
        let source = scene.source();
        scene.play(&image, &source);
        assert!(tree(dir.path()) == after, "{scene:?} at {nth}");
        assert!(source.bytes_read() <= all, "{scene:?} at {nth}");
        saved += usize::from(source.bytes_read() < all);
        if !killed {
            assert!(nth > 20, "{scene:?} has {nth} steps");
            break;
        }
    }
    assert!(saved > 10, "{scene:?}: only {saved} went on");
    assert_eq!(holes > 5, scene != Copied, "{holes} of half moved images");
}

#[test]
fn kill_at_every_step_of_copying() {
    kill_everywhere(Copied);
}

#[test]
fn kill_at_every_step_of_moving() {
    kill_everywhere(Moved);
}

#[test]
fn kill_at_every_step_of_taking_back() {
    kill_everywhere(Another);
}

/// What must be on the medium before what: pieces, then the record, then the hole.
#[test]
fn nothing_is_given_up_before_it_is_recorded() {
    use std::cell::RefCell;
    use std::rc::Rc;
    let (_dir, image) = dir_with_old();
    let trace = Rc::new(RefCell::new(Vec::new()));
    let seen = Rc::clone(&trace);
    set_hook(Some(Box::new(move |step| {
        let assembling = step.path.to_str().unwrap().contains("assembly");
        seen.borrow_mut().push((step.op, assembling));
        Ok(())
    })));
    let source = Memory::new(new());
    receive(&image, &source, Moving::Always).unwrap();
    set_hook(None);
    assert_eq!(source.bytes_read(), absent());
    let trace = trace.borrow();
    let mut batches = 0;
    for (number, step) in trace.iter().enumerate() {
        if *step == (Op::Punch, false) && trace[number - 1] != *step {
            batches += 1;
            assert_eq!(trace[number - 1], (Op::Record, true), "{trace:?}");
            assert_eq!(trace[number - 2], (Op::SyncFile, true), "{trace:?}");
        }
    }
    assert!(batches > 3, "{batches}: {trace:?}");
}
