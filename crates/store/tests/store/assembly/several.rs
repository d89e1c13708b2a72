//! One image from several sources.

use std::fs;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use azud_core::assembly::{Layout, Source, SourceError};
use azud_core::code::Code;
use azud_core::format::Hash;
use azud_core::io::ReadAt;
use azud_core::name::ImageFile;
use azud_store::StoreError;
use azud_store::assembly::{Moving, Report, Several, Shared, Wait};

use super::kit::{Memory, absent, dir_with_old, new, old, receive};

const SOON: Duration = Duration::from_millis(1);

fn receive_from(
    image: &ImageFile,
    sources: &[(&Arc<Memory>, u32)],
) -> (Result<Report, StoreError>, usize) {
    let wanted = Memory::new(new()).layout().unwrap();
    let sources = sources
        .iter()
        .map(|(one, rank)| (Arc::clone(one) as Shared, *rank));
    let several = Several::of(wanted, sources.collect(), (SOON, |_| true));
    let done = receive(image, &several, Moving::Never);
    (done, left_out(&several))
}

/// How many are not asked any more.
fn left_out(several: &Several<'_>) -> usize {
    let given = several.given();
    given.iter().filter(|(_, given)| given.is_out).count()
}

/// A source of which every byte is another one.
fn liar() -> Arc<Memory> {
    let mut liar = Memory::new(new());
    liar.bytes.iter_mut().for_each(|byte| *byte ^= 1);
    Arc::new(liar)
}

fn honest() -> Arc<Memory> {
    Arc::new(Memory::new(new()))
}

fn broken(error: fn() -> SourceError) -> Arc<Memory> {
    let mut broken = Memory::new(new());
    (broken.broken_from, broken.error) = (0, error);
    Arc::new(broken)
}

#[test]
fn whoever_is_bad_another_one_gives_the_image() {
    let honest = honest();
    let unplugged = broken(|| SourceError::Permanent(io::Error::other("unplugged")));
    let silent = broken(|| SourceError::Temporary(io::ErrorKind::TimedOut.into()));
    let changed = broken(|| SourceError::Changed);
    for (bad, left_out) in [(liar(), 0), (unplugged, 0), (silent, 0), (changed, 1)] {
        let (_dir, image) = dir_with_old();
        let before = honest.bytes_read();
        let (done, out) = receive_from(&image, &[(&bad, 0), (&honest, 1)]);
        let report = done.unwrap();
        assert_eq!((report.source, report.damaged), (absent(), 0));
        assert!(fs::read(image.path()).unwrap() == new());
        assert_eq!(honest.bytes_read() - before, absent());
        assert_eq!(out, left_out, "who changed is not asked any more");
    }
}

#[test]
fn who_is_nearer_gives_what_it_can() {
    let (_dir, image) = dir_with_old();
    let (near, far) = (honest(), honest());
    let (done, _) = receive_from(&image, &[(&far, 1), (&near, 0)]);
    done.unwrap();
    assert_eq!((near.bytes_read(), far.bytes_read()), (absent(), 0));
}

#[test]
fn where_all_are_bad_the_old_image_stays() {
    let (_dir, image) = dir_with_old();
    let (done, _) = receive_from(&image, &[(&liar(), 0), (&liar(), 0)]);
    let code = done.unwrap_err().code();
    assert_eq!(code, Code::Corrupt);
    let unplugged = broken(|| SourceError::Permanent(io::Error::other("unplugged")));
    let (done, _) = receive_from(&image, &[(&unplugged, 0), (&liar(), 0)]);
    done.unwrap_err();
    assert!(fs::read(image.path()).unwrap() == old());
    let (done, _) = receive_from(&image, &[(&honest(), 0)]);
    done.unwrap();
}

#[test]
fn nobody_is_waited_for_once_the_work_is_to_end() {
    let asked = AtomicBool::new(false);
    let bad = broken(|| SourceError::Permanent(io::Error::other("unplugged")));
    let go_on = |_: Wait<'_>| {
        asked.store(true, Ordering::Relaxed);
        false
    };
    let wanted = bad.layout().unwrap();
    let several = Several::of(
        wanted,
        vec![(bad.clone(), 0)],
        (Duration::from_hours(1), go_on),
    );
    several.read(0, &mut [0; 9]).unwrap_err();
    assert!(asked.load(Ordering::Relaxed));
}

#[test]
fn who_waits_is_told_at_the_beginning_how_long() {
    let heard = Mutex::new(Vec::new());
    let bad = broken(|| SourceError::Temporary(io::ErrorKind::TimedOut.into()));
    let go_on = |wait: Wait<'_>| {
        let mut heard = heard.lock().unwrap();
        heard.push(match wait {
            Wait::Begins(left) => Some(left),
            _ => None,
        });
        heard.len() < 3
    };
    let hour = Duration::from_hours(1);
    let wanted = bad.layout().unwrap();
    let several = Several::of(
        wanted,
        vec![(bad.clone(), 0), (bad.clone(), 1)],
        (hour, go_on),
    );
    several.read(0, &mut [0; 9]).unwrap_err();
    let heard = heard.lock().unwrap();
    assert!(heard[0].is_some_and(|left| left <= hour && left > hour / 2));
    assert_eq!(heard[1..], [None, None]);
}

#[test]
fn who_waits_does_so_once_for_as_long_as_was_said() {
    let (_dir, image) = dir_with_old();
    let bad = broken(|| SourceError::Temporary(io::ErrorKind::TimedOut.into()));
    let (told, since) = (AtomicU64::new(0), Mutex::new(None));
    let go_on = |wait: Wait<'_>| {
        let begins = matches!(wait, Wait::Begins(_));
        told.fetch_add(begins.into(), Ordering::Relaxed);
        // Before that others may hold the run up.
        since.lock().unwrap().get_or_insert_with(Instant::now);
        true
    };
    let patience = Duration::from_secs(1);
    let sources: Vec<(Shared, u32)> = vec![(bad.clone(), 0), (bad.clone(), 1)];
    let several = Several::of(bad.layout().unwrap(), sources, (patience, go_on));
    let error = receive(&image, &several, Moving::Never).unwrap_err();
    let waited = since.lock().unwrap().unwrap().elapsed();
    assert_eq!(error.code(), Code::Io);
    // Begun anew for the other one it would be twice as long.
    let least = patience / 10 * 9;
    assert!((least..patience * 5).contains(&waited), "{waited:?}");
    assert_eq!(told.load(Ordering::Relaxed), 1);
    // Another run goes on.
    receive_from(&image, &[(&honest(), 0)]).0.unwrap();
}

#[test]
fn who_lied_often_enough_is_not_asked_any_more() {
    let (liar, honest) = (liar(), honest());
    let wanted = honest.layout().unwrap();
    let sources: Vec<(Shared, u32)> = vec![(liar.clone(), 0), (honest.clone(), 1)];
    let several = Several::of(wanted.clone(), sources, (SOON, |_| true));
    let mut asked = Vec::new();
    for piece in &wanted.pieces()[..6] {
        let mut bytes = vec![0; piece.len as usize];
        several.read(piece.offset, &mut bytes).unwrap();
        assert_eq!(*blake3::hash(&bytes).as_bytes(), piece.hash);
        asked.push(liar.bytes_read());
    }
    assert_eq!(left_out(&several), 1);
    assert!(asked[2] > asked[1] && asked[2] == asked[5], "{asked:?}");
    let [(_, liar), (_, honest)] = several.given()[..] else {
        panic!("two sources")
    };
    assert_eq!((liar.bytes, liar.wrong, liar.silent), (0, 3, 0));
    let six = wanted.pieces()[..6].iter();
    let six: u64 = six.map(|piece| u64::from(piece.len)).sum();
    assert_eq!((honest.bytes, honest.wrong, honest.silent), (six, 0, 0));
}

/// A source that does not answer so often before it does.
struct Late(Shared, AtomicU64);

impl Source for Late {
    fn layout(&self) -> Result<Layout, SourceError> {
        self.0.layout()
    }

    fn read(&self, offset: u64, buf: &mut [u8]) -> Result<(), SourceError> {
        let left = |left: u64| left.checked_sub(1);
        let silent = self
            .1
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, left);
        if silent.is_ok() {
            return Err(SourceError::Temporary(io::ErrorKind::TimedOut.into()));
        }
        self.0.read(offset, buf)
    }

    fn identity(&self) -> Result<Hash, SourceError> {
        self.0.identity()
    }

    fn name(&self) -> String {
        self.0.name()
    }
}

fn late(of: Shared, times: u64) -> Arc<Late> {
    Arc::new(Late(of, AtomicU64::new(times)))
}

#[test]
fn who_does_not_answer_is_waited_for_where_the_others_lie() {
    let (late, liar) = (late(honest(), 2), liar());
    let wanted = late.layout().unwrap();
    let sources: Vec<(Shared, u32)> = vec![(late.clone(), 0), (liar.clone(), 1)];
    let hour = Duration::from_hours(1);
    let several = Several::of(wanted.clone(), sources, (hour, |_| true));
    let piece = &wanted.pieces()[0];
    let mut bytes = vec![0; piece.len as usize];
    several.read(piece.offset, &mut bytes).unwrap();
    assert_eq!(*blake3::hash(&bytes).as_bytes(), piece.hash);
    let [(_, late), (_, liar)] = several.given()[..] else {
        panic!("two sources")
    };
    assert_eq!((late.bytes, late.silent), (bytes.len() as u64, 2));
    assert!(liar.wrong > 0 && liar.bytes == 0);
}

/// A source with one wrong byte in its first piece.
fn scratched() -> Arc<Memory> {
    let mut scratched = Memory::new(new());
    scratched.bytes[0] ^= 1;
    Arc::new(scratched)
}

#[test]
fn a_bad_sector_is_one_lie_however_long_the_others_are_silent() {
    let (near, late) = (scratched(), late(honest(), 4));
    let wanted = near.layout().unwrap();
    let sources: Vec<(Shared, u32)> = vec![(near.clone(), 0), (late.clone(), 1)];
    let hour = Duration::from_hours(1);
    let several = Several::of(wanted.clone(), sources, (hour, |_| true));
    for piece in &wanted.pieces()[..2] {
        let mut bytes = vec![0; piece.len as usize];
        several.read(piece.offset, &mut bytes).unwrap();
        assert_eq!(*blake3::hash(&bytes).as_bytes(), piece.hash);
    }
    let [(_, near), (_, late)] = several.given()[..] else {
        panic!("two sources")
    };
    assert_eq!((near.wrong, near.is_out, late.silent), (1, false, 4));
    let second = u64::from(wanted.pieces()[1].len);
    assert_eq!(near.bytes, second, "the rest still comes from it");
}

#[test]
fn who_lied_is_asked_again_when_nobody_else_is_left() {
    let (near, late) = (scratched(), late(broken(|| SourceError::Changed), 1));
    let wanted = near.layout().unwrap();
    let sources: Vec<(Shared, u32)> = vec![(near.clone(), 0), (late.clone(), 1)];
    let hour = Duration::from_hours(1);
    let several = Several::of(wanted.clone(), sources, (hour, |_| true));
    let mut bytes = vec![0; wanted.pieces()[0].len as usize];
    // It is given as it is: whoever reads sees that it is wrong.
    several.read(0, &mut bytes).unwrap();
    assert!(bytes == near.bytes[..bytes.len()]);
    assert_eq!(several.given()[0].1.wrong, 2);
}

#[test]
fn the_waiting_begins_with_the_first_silence() {
    let patience = Duration::from_millis(500);
    let late = late(honest(), 1);
    let wanted = late.layout().unwrap();
    let several = Several::of(wanted, vec![(late.clone(), 0)], (patience, |_| true));
    // A plan is looked at for longer.
    thread::sleep(patience * 2);
    let read = || several.read(0, &mut [0; 9]).unwrap();
    read();
    // So is a part of the work that needs nothing of others.
    thread::sleep(patience * 2);
    late.1.store(1, Ordering::Relaxed);
    read();
}

#[test]
fn several_are_read_as_one_file() {
    let (liar, honest) = (liar(), honest());
    let wanted = honest.layout().unwrap();
    let sources: Vec<(Shared, u32)> = vec![(liar.clone(), 0), (honest.clone(), 1)];
    let several = Several::of(wanted.clone(), sources, (SOON, |_| true));
    let piece = &wanted.pieces()[1];
    let mut bytes = vec![0; piece.len as usize];
    several.read_exact_at(&mut bytes, piece.offset).unwrap();
    assert_eq!(*blake3::hash(&bytes).as_bytes(), piece.hash);
    let size = ReadAt::len(&several);
    assert_eq!(size, new().len() as u64);
    for offset in [size - 8, size, u64::MAX] {
        let error = several.read_exact_at(&mut [0; 9], offset).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
    assert_eq!(left_out(&several), 0, "nobody is to blame for that");
    several.read_exact_at(&mut [0; 9], size - 9).unwrap();
}

#[test]
fn where_nobody_is_left_the_image_is_told_to_be_damaged() {
    let liars = [liar(), liar()];
    let wanted = Memory::new(new()).layout().unwrap();
    let sources = liars.into_iter().map(|liar| (liar as Shared, 0));
    let several = Several::of(wanted.clone(), sources.collect(), (SOON, |_| true));
    let piece = &wanted.pieces()[0];
    let mut bytes = vec![0; piece.len as usize];
    // Whoever reads sees that they are wrong.
    several.read_exact_at(&mut bytes, piece.offset).unwrap();
    assert_eq!(left_out(&several), 2);
    let error = several.read_exact_at(&mut bytes, piece.offset).unwrap_err();
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    assert_eq!(inner.map(StoreError::code), Some(Code::Corrupt));
    let (_dir, image) = dir_with_old();
    let error = receive(&image, &several, Moving::Never).unwrap_err();
    assert_eq!(error.code(), Code::Corrupt, "{error}");
}

/// A source that answers when it is told to.
struct Stuck(Arc<Memory>, Mutex<Receiver<()>>);

fn stuck() -> (Sender<()>, Arc<Stuck>) {
    let (wake, woken) = mpsc::channel();
    (wake, Arc::new(Stuck(honest(), Mutex::new(woken))))
}

impl Source for Stuck {
    fn layout(&self) -> Result<Layout, SourceError> {
        self.0.layout()
    }

    fn read(&self, offset: u64, buf: &mut [u8]) -> Result<(), SourceError> {
        // Also when nobody can wake it any more.
        let _ = self.1.lock().unwrap().recv();
        self.0.read(offset, buf)
    }

    fn identity(&self) -> Result<Hash, SourceError> {
        self.0.identity()
    }

    fn name(&self) -> String {
        "stuck".to_owned()
    }
}

#[test]
fn who_falls_silent_is_told_once_and_gets_nothing_until_it_wakes_up() {
    let told = Mutex::new(Vec::new());
    let ((wake, stuck), honest) = (stuck(), honest());
    let wanted = honest.layout().unwrap();
    let sources: Vec<(Shared, u32)> = vec![(stuck.clone(), 0), (honest.clone(), 1)];
    let hour = Duration::from_hours(1);
    let several = Several::of(
        wanted.clone(),
        sources,
        (hour, |wait: Wait<'_>| {
            if let Wait::Without(name) = wait {
                told.lock().unwrap().push(name.to_owned());
            }
            true
        }),
    );
    let read = |number: usize| {
        let piece = &wanted.pieces()[number];
        let mut bytes = vec![0; piece.len as usize];
        several.read(piece.offset, &mut bytes).unwrap();
        assert_eq!(*blake3::hash(&bytes).as_bytes(), piece.hash);
    };
    let begun = Instant::now();
    read(0);
    let first = begun.elapsed();
    assert!(
        (Duration::from_secs(3)..Duration::from_secs(8)).contains(&first),
        "{first:?}"
    );
    (1..6).for_each(read);
    assert!(
        begun.elapsed() < first + Duration::from_secs(1),
        "nothing waits for it"
    );
    let given = || several.given().into_iter().map(|(_, given)| given.bytes);
    assert_eq!(given().next(), Some(0));
    drop(wake);
    while given().next() == Some(0) {
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "it never woke up"
        );
        thread::sleep(Duration::from_millis(10));
    }
    let before = honest.bytes_read();
    read(6);
    assert_eq!(honest.bytes_read(), before, "the nearer one is asked again");
    assert_eq!(*told.lock().unwrap(), ["stuck"]);
}

#[test]
fn where_all_fall_silent_they_are_waited_for_as_long_as_it_was_said() {
    let patience = Duration::from_secs(6);
    let ((_wake, one), (_wake_too, two)) = (stuck(), stuck());
    let wanted = one.layout().unwrap();
    let said = Mutex::new(Vec::new());
    let go_on = |wait: Wait<'_>| {
        if wait != Wait::Lasts {
            said.lock()
                .unwrap()
                .push((Instant::now(), format!("{wait:?}")));
        }
        true
    };
    let several = Several::of(wanted, vec![(one, 0), (two, 1)], (patience, go_on));
    let error = several.read(0, &mut [0; 9]).unwrap_err();
    let said = said.lock().unwrap();
    let inner = std::error::Error::source(&error).unwrap();
    assert!(inner.to_string().contains("stuck, stuck"), "{error:?}");
    let (when, what) = said.last().unwrap();
    assert!(what.starts_with("Begins"), "{said:?}");
    let waited = when.elapsed();
    assert!(
        (patience..patience + Duration::from_secs(2)).contains(&waited),
        "{waited:?}"
    );
}

#[test]
fn who_fails_and_then_falls_silent_is_not_waited_for_longer_than_was_said() {
    let patience = Duration::from_secs(1);
    let ((_wake, one), (_wake_too, two)) = (stuck(), stuck());
    let wanted = one.layout().unwrap();
    let sources: Vec<(Shared, u32)> = vec![(late(one, 1), 0), (late(two, 1), 1)];
    let several = Several::of(wanted, sources, (patience, |_| true));
    let begun = Instant::now();
    several.read(0, &mut [0; 9]).unwrap_err();
    let waited = begun.elapsed();
    assert!((patience..patience * 3).contains(&waited), "{waited:?}");
}

#[test]
fn nobody_is_waited_for_who_is_stuck_when_the_work_is_to_end() {
    let ends = Instant::now() + Duration::from_millis(300);
    let ((_wake, stuck), honest) = (stuck(), honest());
    let wanted = honest.layout().unwrap();
    let sources: Vec<(Shared, u32)> = vec![(stuck, 0), (honest, 1)];
    let go_on = |_: Wait<'_>| Instant::now() < ends;
    let several = Several::of(wanted, sources, (Duration::from_hours(1), go_on));
    several.read(0, &mut [0; 9]).unwrap_err();
    let after = ends.elapsed();
    assert!(after < Duration::from_secs(2), "{after:?}");
}
