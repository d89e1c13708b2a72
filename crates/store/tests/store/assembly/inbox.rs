//! Pieces that are sent: what arrived outlives its sender, as far as it is right.

mod room;

use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::SystemTime;

use azud_core::assembly::{Layout, Piece};
use azud_core::code::Code;
use azud_core::format::ranges::RangeIndex;
use azud_core::name::ImageFile;
use azud_core::progress::Silent;
use azud_store::assembly::{Around, Facts, Inbox};
use azud_store::durable::{Op, set_hook};
use rustix::io::Errno;

use crate::common::tree;
use crate::gate::with_locks;

const RANGE: usize = 1 << 20;
const LIMIT: u64 = 16 << 20;

/// A foreign image of ranges that are full of these bytes.
fn image(fills: &[u8]) -> (Vec<u8>, Layout) {
    let bytes: Vec<u8> = fills.iter().flat_map(|fill| vec![*fill; RANGE]).collect();
    let hash = |range: &[u8]| *blake3::hash(range).as_bytes();
    let index = RangeIndex {
        size: bytes.len() as u64,
        hashes: bytes.chunks(RANGE).map(hash).collect(),
    };
    let layout = Layout::parse(index.encode()).unwrap();
    (bytes, layout)
}

struct Place {
    dir: tempfile::TempDir,
    image: ImageFile,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let image = ImageFile::in_dir(dir.path(), "x.img").unwrap();
        Self { dir, image }
    }

    fn open(&self, sender: &str) -> Inbox {
        Inbox::open(&self.image, LIMIT, (sender, "pc7"), SystemTime::now()).unwrap()
    }

    /// The directory of the assembly.
    fn stage(&self) -> PathBuf {
        let names = fs::read_dir(self.dir.path()).unwrap();
        let mut paths = names.map(|name| name.unwrap().path());
        let is_stage = |path: &PathBuf| path.display().to_string().contains(".azud-assembly-");
        paths.find(is_stage).unwrap()
    }
}

fn send(inbox: &Inbox, bytes: &[u8], piece: &Piece) {
    let Some(mut coming) = inbox.begin(*piece).unwrap() else {
        return;
    };
    let at = usize::try_from(piece.offset).unwrap();
    let bytes = &bytes[at..at + piece.len as usize];
    inbox.write(&mut coming, bytes).unwrap();
    inbox.finish(&coming).unwrap();
}

fn send_all(inbox: &Inbox, bytes: &[u8], pieces: &[Piece]) {
    for piece in pieces {
        send(inbox, bytes, piece);
    }
}

fn facts() -> Facts {
    Facts {
        info: None,
        carried: Vec::new(),
        now: SystemTime::now(),
    }
}

fn publish(inbox: Inbox, layout: &Layout) {
    let report = inbox.publish(layout.clone(), &facts(), &Silent).unwrap();
    assert_eq!(report.identity.0, *layout.identity());
}

fn check(image: &Path, bytes: &[u8]) {
    assert!(fs::read(image).unwrap() == bytes, "other bytes");
}

#[test]
fn what_one_sender_left_serves_the_next() {
    let place = Place::new();
    let (bytes, layout) = image(&[1, 2, 3, 4, 5]);
    let inbox = place.open("one");
    send_all(&inbox, &bytes, &layout.pieces()[..3]);
    drop(inbox);
    // The same one goes on …
    let mut inbox = place.open("one");
    assert_eq!(inbox.left(), []);
    assert_eq!(inbox.lacking(&layout).unwrap(), [3..5]);
    send(&inbox, &bytes, &layout.pieces()[3]);
    drop(inbox);
    // … another one is told; its own image has some of it at other places.
    let (other_bytes, other) = image(&[9, 1, 2, 3, 4]);
    let mut inbox = place.open("two");
    assert_eq!(inbox.left().len(), 4);
    assert_eq!(inbox.lacking(&other).unwrap(), [0..1]);
    send(&inbox, &other_bytes, &other.pieces()[0]);
    assert_eq!(inbox.lacking(&other).unwrap(), []);
    publish(inbox, &other);
    check(&place.image.path(), &other_bytes);
    let left = fs::read_dir(place.dir.path()).unwrap();
    let left = left.map(|name| name.unwrap().file_name().into_string().unwrap());
    assert!(!left.into_iter().any(|name| name.contains("assembly")));
}

#[test]
fn a_log_is_believed_as_far_as_bytes_were_synced() {
    let place = Place::new();
    let (bytes, layout) = image(&[1, 2, 3]);
    let inbox = place.open("one");
    send_all(&inbox, &bytes, layout.pieces());
    drop(inbox);
    // A power cut took a part of what was not synced yet, and of the log.
    let (file, log) = (place.stage().join("x.img"), place.stage().join("arrived"));
    let mut there = fs::read(&file).unwrap();
    there[RANGE + 7] = 0;
    fs::write(&file, there).unwrap();
    let mut records = fs::read(&log).unwrap();
    records.truncate(records.len() - 1);
    fs::write(&log, records).unwrap();
    let mut inbox = place.open("two");
    assert_eq!(inbox.left(), layout.pieces()[..1]);
    assert_eq!(inbox.lacking(&layout).unwrap(), [1..3]);
    send_all(&inbox, &bytes, &layout.pieces()[1..]);
    assert_eq!(inbox.lacking(&layout).unwrap(), []);
    publish(inbox, &layout);
    check(&place.image.path(), &bytes);
}

/// What a killed process wrote is looked at in memory; its log must not say more than the medium has.
#[test]
fn what_was_not_synced_is_before_a_log_says_so() {
    let place = Place::new();
    let (bytes, layout) = image(&[1, 2, 3]);
    let inbox = place.open("one");
    send_all(&inbox, &bytes, layout.pieces());
    drop(inbox);
    let steps = Rc::new(RefCell::new(Vec::new()));
    let seen = Rc::clone(&steps);
    set_hook(Some(Box::new(move |step| {
        let name = step.path.file_name().unwrap().to_owned();
        seen.borrow_mut().push((step.op, name));
        Ok(())
    })));
    let mut inbox = place.open("one");
    set_hook(None);
    let steps = steps.take();
    let place_of = |op, name: &str| steps.iter().position(|step| *step == (op, name.into()));
    let synced = place_of(Op::SyncFile, "x.img").expect("nothing is synced");
    assert!(
        synced < place_of(Op::Write, "arrived").unwrap(),
        "{steps:?}"
    );
    assert_eq!(inbox.lacking(&layout).unwrap(), []);
}

#[test]
fn after_a_sync_that_failed_only_who_begins_anew_knows_what_is_there() {
    let place = Place::new();
    let (bytes, layout) = image(&[1, 2, 3]);
    let mut inbox = place.open("one");
    send_all(&inbox, &bytes, layout.pieces());
    let mut failed = false;
    set_hook(Some(Box::new(move |step| {
        let fails = step.op == Op::SyncFile && !std::mem::replace(&mut failed, true);
        assert!(
            step.op != Op::Record,
            "the image is said to be on the medium"
        );
        if fails { Err(Errno::IO.into()) } else { Ok(()) }
    })));
    for _ in 0..3 {
        let error = inbox.lacking(&layout).unwrap_err();
        assert_eq!(error.code(), Code::Io, "{error}");
    }
    set_hook(None);
    drop(inbox);
    let mut inbox = place.open("one");
    assert_eq!(inbox.lacking(&layout).unwrap(), []);
    publish(inbox, &layout);
    check(&place.image.path(), &bytes);
}

#[test]
fn damage_that_nobody_could_see_is_found_and_everything_is_asked_for_anew() {
    let place = Place::new();
    let (bytes, layout) = image(&[1, 2, 3]);
    let mut inbox = place.open("one");
    send_all(&inbox, &bytes, layout.pieces());
    assert_eq!(inbox.lacking(&layout).unwrap(), []);
    let file = place.stage().join("x.img");
    let mut there = fs::read(&file).unwrap();
    there[RANGE + 7] = 0;
    fs::write(&file, there).unwrap();
    let failed = inbox.publish(layout.clone(), &facts(), &Silent);
    assert!(failed.is_err() && !place.image.path().exists());
    let mut inbox = place.open("one");
    assert_eq!(inbox.lacking(&layout).unwrap(), [0..3]);
    send_all(&inbox, &bytes, layout.pieces());
    assert_eq!(inbox.lacking(&layout).unwrap(), []);
    publish(inbox, &layout);
    check(&place.image.path(), &bytes);
}

#[test]
fn an_image_has_one_sender() {
    let place = Place::new();
    let _first = place.open("one");
    let second = Inbox::open(&place.image, LIMIT, ("one", "pc7"), SystemTime::now());
    let error = second.unwrap_err();
    assert_eq!(error.code(), Code::Locked);
    // This process holds the lock; who is to be waited for is somebody else.
    let told = error.to_string();
    assert!(told.ends_with(", to which pc7 sends it"), "{told}");
}

#[test]
fn images_that_the_sender_sees_have_pieces_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let put = |name: &str, fills: &[u8]| {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let (bytes, layout) = image(fills);
        fs::write(&path, bytes).unwrap();
        fs::write(format!("{}.index", path.display()), layout.description()).unwrap();
    };
    put("a/y.img", &[1, 2]);
    put("b/x.img", &[3]);
    put("b/deep/z.img", &[4]);
    let (bytes, wanted) = image(&[1, 2, 3, 4, 5]);
    let target = ImageFile::in_dir(dir.path().join("a"), "x.img").unwrap();
    let open = |sees: fn(&Path) -> bool| {
        let inbox = Inbox::open(&target, LIMIT, ("one", "pc7"), SystemTime::now()).unwrap();
        inbox.with(Around::new(dir.path().to_owned(), "a".into(), sees))
    };
    let lacks = |inbox: &mut Inbox| -> Vec<usize> {
        inbox
            .lacking(&wanted)
            .unwrap()
            .into_iter()
            .flatten()
            .collect()
    };
    assert_eq!(lacks(&mut open(|_| false)), [0, 1, 2, 3, 4]);
    assert_eq!(lacks(&mut open(|path| path.starts_with("b"))), [0, 1, 4]);
    let mut inbox = open(|_| true);
    assert_eq!(lacks(&mut inbox), [4]);
    send(&inbox, &bytes, &wanted.pieces()[4]);
    assert_eq!(lacks(&mut inbox), [0; 0]);
    publish(inbox, &wanted);
    check(&target.path(), &bytes);
}

/// Of what no log speaks of, nobody can use anything.
#[test]
fn what_was_found_damaged_does_not_stay() {
    // What is being started by another test would hold the locks for a moment, too.
    with_locks(|| {
        let place = Place::new();
        let (bytes, layout) = image(&[1, 2, 3]);
        let inbox = place.open("one");
        send_all(&inbox, &bytes, &layout.pieces()[..2]);
        drop(inbox);
        let mut inbox = place.open("two");
        send_all(&inbox, &bytes, layout.pieces());
        assert_eq!(inbox.lacking(&layout).unwrap(), []);
        fs::write(place.stage().join("x.img"), &bytes[..RANGE]).unwrap();
        fs::write(place.stage().join("spare"), &bytes[..RANGE / 2]).unwrap();
        let failed = inbox.publish(layout.clone(), &facts(), &Silent);
        assert_eq!(failed.unwrap_err().code(), Code::Io);
        azud_store::recover::recover(place.dir.path(), SystemTime::now()).unwrap();
        assert_eq!(tree(place.dir.path()).len(), 0);
    });
}

#[test]
fn what_comes_while_it_is_said_what_the_image_is_comes_again() {
    let place = Place::new();
    let (bytes, layout) = image(&[1, 2]);
    let mut inbox = place.open("one");
    let first = layout.pieces()[0];
    let mut coming = inbox.begin(first).unwrap().unwrap();
    let mut whole = inbox.begin(layout.pieces()[1]).unwrap().unwrap();
    inbox.write(&mut coming, &bytes[..7]).unwrap();
    inbox.write(&mut whole, &bytes[RANGE..]).unwrap();
    assert_eq!(inbox.lacking(&layout).unwrap(), [0..2]);
    let late = inbox.write(&mut coming, &bytes[7..9]).unwrap_err();
    assert_eq!(late.code(), Code::Locked);
    assert_eq!(inbox.finish(&whole).unwrap_err().code(), Code::Locked);
    let again = inbox.begin(first).unwrap().unwrap();
    // Who ends late takes nothing from who came after.
    drop(coming);
    assert!(inbox.begin(first).is_err(), "it is coming");
    drop(again);
    send_all(&inbox, &bytes, layout.pieces());
    assert_eq!(inbox.lacking(&layout).unwrap(), []);
    publish(inbox, &layout);
    check(&place.image.path(), &bytes);
}

#[test]
fn an_image_has_no_more_pieces_than_its_bytes_admit() {
    let place = Place::new();
    let bytes = 64 << 10;
    let inbox = Inbox::open(&place.image, bytes, ("one", "pc7"), SystemTime::now()).unwrap();
    let hash = *blake3::hash(&[7]).as_bytes();
    let (mut begun, mut refused) = (Vec::new(), 0);
    for offset in 0..bytes {
        let len = 1;
        match inbox.begin(Piece { offset, len, hash }) {
            Ok(coming) => begun.push(coming),
            Err(error) => {
                assert_eq!(error.code(), Code::BadUpload);
                refused += 1;
            }
        }
    }
    assert!((1024..2048).contains(&begun.len()), "{}", begun.len());
    assert_eq!(inbox.pieces(), begun.len());
    assert_eq!(begun.len() + refused, 64 << 10);
    drop(begun);
    assert_eq!(inbox.pieces(), 0);
}

#[test]
fn what_several_senders_left_is_kept_together() {
    let place = Place::new();
    let (bytes, layout) = image(&[1, 2, 3, 4, 5, 6]);
    let pieces = layout.pieces();
    // Each sends what those before it did not: more than one of them, or less.
    for (sender, own) in [("one", 0..2), ("two", 2..3), ("three", 3..5)] {
        let inbox = place.open(sender);
        assert_eq!(inbox.left(), pieces[..own.start]);
        send_all(&inbox, &bytes, &pieces[own]);
    }
    let mut inbox = place.open("four");
    assert_eq!(inbox.left(), pieces[..5]);
    assert_eq!(inbox.lacking(&layout).unwrap(), [5..6]);
    send(&inbox, &bytes, &pieces[5]);
    assert_eq!(inbox.lacking(&layout).unwrap(), []);
    publish(inbox, &layout);
    check(&place.image.path(), &bytes);
}

/// A sender is told what is there by its hash: what is in the image at several places is there for all of them.
#[test]
fn regression_what_another_image_had_at_a_place_makes_way() {
    let place = Place::new();
    let (former_bytes, former) = image(&[1, 2, 3, 4, 5, 6]);
    let inbox = place.open("one");
    send_all(&inbox, &former_bytes, &former.pieces()[..5]);
    drop(inbox);
    // Of this one more is in the file of the former than in its own.
    let (bytes, wanted) = image(&[1, 2, 3, 8, 9]);
    let mut inbox = place.open("two");
    assert_eq!(inbox.lacking(&wanted).unwrap(), [3..5]);
    send_all(&inbox, &bytes, &wanted.pieces()[3..]);
    assert_eq!(inbox.lacking(&wanted).unwrap(), []);
    publish(inbox, &wanted);
    check(&place.image.path(), &bytes);
}

#[test]
fn a_piece_that_is_there_serves_at_each_place_of_it() {
    let place = Place::new();
    let (bytes, layout) = image(&[1, 2, 3, 4, 1]);
    let pieces = layout.pieces();
    let inbox = place.open("one");
    send_all(&inbox, &bytes, &pieces[..3]);
    drop(inbox);
    let mut inbox = place.open("two");
    assert!(inbox.left().iter().any(|one| one.hash == pieces[4].hash));
    send(&inbox, &bytes, &pieces[3]);
    assert_eq!(inbox.lacking(&layout).unwrap(), []);
    publish(inbox, &layout);
    check(&place.image.path(), &bytes);
}

/// Who was killed when the image had just got its name leaves what was said of the file.
#[test]
fn what_is_left_of_a_published_image_is_in_nobodys_way() {
    for spared in [0, 2] {
        let place = Place::new();
        let (bytes, layout) = image(&[1, 2, 3]);
        let inbox = place.open("one");
        send_all(&inbox, &bytes, &layout.pieces()[..spared]);
        drop(inbox);
        let mut inbox = place.open("two");
        send_all(&inbox, &bytes, layout.pieces());
        assert_eq!(inbox.lacking(&layout).unwrap(), []);
        drop(inbox);
        let stage = place.stage();
        fs::rename(stage.join("x.img"), place.image.path()).unwrap();
        let index = place.dir.path().join("x.img.index");
        fs::write(index, layout.description()).unwrap();
        let logs = ["arrived", "sender"];
        for gone in [&logs[..0], &logs[..1], &logs] {
            for name in gone {
                let _ = fs::remove_file(stage.join(name));
            }
            let mut inbox = place.open("three");
            assert_eq!(inbox.lacking(&layout).unwrap(), []);
            drop(inbox);
        }
        let mut inbox = place.open("two");
        assert_eq!(inbox.lacking(&layout).unwrap(), []);
        publish(inbox, &layout);
        check(&place.image.path(), &bytes);
        assert_eq!(fs::read_dir(&stage).map_or(0, Iterator::count), 0);
    }
}
