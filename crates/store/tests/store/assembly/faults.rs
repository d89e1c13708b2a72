//! Sources that break, lie or change, images here that are damaged, media that are full.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use azud_core::assembly::{Layout, Source, SourceError};
use azud_core::code::Code;
use azud_core::format::Hash;
use azud_core::name::ImageFile;
use azud_core::progress::{Interrupted, Phase, Progress};
use azud_store::StoreError;
use azud_store::assembly::{Assembly, Moving, Several, Way};
use azud_store::durable::{Op, set_hook};

use super::kit::{
    Memory, absent, dir_with_old, frame, native, new, old, read_all, receive, receive_seen,
};
use crate::common::image;

/// Breaks off after a part was fetched and recorded.
pub(super) fn half_copy(image: &ImageFile) {
    let mut count = 0;
    set_hook(Some(Box::new(move |step| {
        count += usize::from(step.op == Op::Record);
        if step.op == Op::Record && count > 3 {
            Err(io::ErrorKind::Other.into())
        } else {
            Ok(())
        }
    })));
    receive(image, &Memory::new(new()), Moving::Never).unwrap_err();
    set_hook(None);
}

/// Breaks off after a part has moved and was given up.
pub(super) fn half_move(image: &ImageFile) {
    let mut batches = 0;
    set_hook(Some(Box::new(move |step| {
        let assembling = step.path.to_str().unwrap().contains("assembly");
        batches += usize::from(step.op == Op::SyncFile && !assembling);
        if step.op == Op::SyncFile && assembling && batches == 6 {
            return Err(io::ErrorKind::Other.into());
        }
        Ok(())
    })));
    receive(image, &Memory::new(new()), Moving::Always).unwrap_err();
    set_hook(None);
}

/// Who may write beside the images could lead to any file of the computer.
#[test]
fn a_link_in_the_place_of_what_was_begun_is_not_followed() {
    for name in ["journal", "deb.img"] {
        let (dir, image) = dir_with_old();
        half_copy(&image);
        let names = fs::read_dir(dir.path()).unwrap();
        let mut paths = names.map(|name| name.unwrap().path());
        let stage = paths.find(|path| path.is_dir()).unwrap();
        let (file, precious) = (stage.join(name), dir.path().join("precious"));
        fs::rename(&file, &precious).unwrap();
        let before = fs::read(&precious).unwrap();
        symlink(&precious, &file).unwrap();
        receive(&image, &Memory::new(new()), Moving::Never).unwrap();
        assert!(fs::read(&precious).unwrap() == before, "{name}");
        assert!(fs::read(image.path()).unwrap() == new());
    }
}

#[test]
fn a_source_that_breaks_off_is_gone_on_with() {
    for moving in [Moving::Never, Moving::Always] {
        let (_dir, image) = dir_with_old();
        let mut source = Memory::new(new());
        source.broken_from = source.bytes.len() as u64 / 2;
        let error = receive(&image, &source, moving).unwrap_err();
        assert!(matches!(error, StoreError::Source { .. }), "{error}");
        assert!(
            fs::read(image.path()).unwrap() == old(),
            "as it was, not even moved"
        );
        let first = source.bytes_read();
        assert!(first < absent());
        source.broken_from = u64::MAX;
        let report = receive(&image, &source, moving).unwrap();
        assert_eq!(
            (report.source, source.bytes_read()),
            (absent() - first, absent())
        );
        assert!(report.resumed > 0 && fs::read(image.path()).unwrap() == new());
    }
}

#[test]
fn a_source_that_stutters_is_asked_again() {
    let (_dir, image) = dir_with_old();
    let mut source = Memory::new(new());
    source.broken_from = 0;
    source.error = || SourceError::Temporary(io::ErrorKind::TimedOut.into());
    let begun = std::time::Instant::now();
    receive(&image, &source, Moving::Never).unwrap_err();
    assert!(begun.elapsed().as_millis() > 1000, "it gave up at once");
    assert!(fs::read(image.path()).unwrap() == old());
}

#[test]
fn a_damaged_source_is_told_and_nothing_is_seen_of_it() {
    let (_dir, image) = dir_with_old();
    let mut source = Memory::new(new());
    let at = source
        .bytes
        .windows(64)
        .position(|bytes| *bytes == frame(120)[..64])
        .unwrap();
    source.bytes[at + 5] ^= 1;
    let error = receive(&image, &source, Moving::Always).unwrap_err();
    assert_eq!(error.code(), Code::Corrupt, "{error}");
    assert!(error.to_string().contains(&at.to_string()), "{error}");
    assert!(fs::read(image.path()).unwrap() == old());
    // It is another image by now.
    source.now = [1; 32];
    let error = receive(&image, &source, Moving::Always).unwrap_err();
    assert_eq!(error.code(), Code::SourceChanged, "{error}");
    assert!(read_all(&image.path()) == old());
    source.bytes[at + 5] ^= 1;
    receive(&image, &source, Moving::Always).unwrap();
}

#[test]
fn a_damaged_image_here_costs_its_frames() {
    for moving in [Moving::Never, Moving::Always] {
        let (_dir, image) = dir_with_old();
        let mut bytes = old();
        let at = bytes
            .windows(64)
            .position(|bytes| *bytes == frame(8)[..64])
            .unwrap();
        bytes[at] ^= 1;
        fs::write(image.path(), bytes).unwrap();
        let source = Memory::new(new());
        let report = receive(&image, &source, moving).unwrap();
        assert_eq!(report.damaged, 1);
        assert_eq!(source.bytes_read(), absent() + frame(8).len() as u64);
        assert!(fs::read(image.path()).unwrap() == new());
    }
}

/// What was recorded and rotted since is fetched again: the last look sees it.
#[test]
fn what_rots_between_two_runs_is_seen() {
    let (dir, image) = dir_with_old();
    half_copy(&image);
    let stage = fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let stage = stage
        .into_iter()
        .find(|path| path.to_str().unwrap().contains("assembly"))
        .unwrap();
    let part = stage.join("deb.img");
    let mut bytes = fs::read(&part).unwrap();
    bytes[100] ^= 1;
    fs::write(&part, bytes).unwrap();
    let report = receive(&image, &Memory::new(new()), Moving::Never).unwrap();
    assert_eq!(report.damaged, 1);
    assert!(fs::read(image.path()).unwrap() == new());
}

/// The medium fails at a step and from then on: what was there is there, and the next run comes to the end.
#[test]
fn a_full_disk_at_every_step_loses_nothing() {
    for moving in [Moving::Never, Moving::Always] {
        for nth in 0.. {
            let (dir, image) = dir_with_old();
            let mut count = 0;
            set_hook(Some(Box::new(move |_| {
                count += 1;
                if count > nth {
                    Err(rustix::io::Errno::NOSPC.into())
                } else {
                    Ok(())
                }
            })));
            let result = receive(&image, &Memory::new(new()), moving);
            set_hook(None);
            let Err(error) = result else {
                assert!(nth > 20, "{nth}");
                break;
            };
            let denied = matches!(error, StoreError::TooLittleRoom { .. });
            assert!(
                denied || error.code() == Code::NoSpace,
                "{moving:?} at {nth}: {error:?}"
            );
            let now = read_all(&image.path());
            let certain = matches!(error, StoreError::Pending { .. });
            assert!(
                now == old() || certain && now == new(),
                "{moving:?} at {nth}: {error}"
            );
            for entry in fs::read_dir(dir.path()).unwrap() {
                // Our own process still lives.
                let _ = fs::remove_file(entry.unwrap().path().join("owner"));
            }
            receive(&image, &Memory::new(new()), moving).unwrap();
            assert!(
                fs::read(image.path()).unwrap() == new(),
                "{moving:?} at {nth}"
            );
        }
    }
}

#[test]
fn a_folder_is_not_made_and_nothing_moves_from_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let image = crate::common::image(&dir.path().join("none"));
    let source = Memory::new(new());
    // The folder may still be made.
    let error = receive(&image, &source, Moving::Auto).unwrap_err();
    assert_eq!(error.code(), Code::NotFound, "{error}");
    let image = crate::common::image(dir.path());
    let way = Assembly::plan(&image, &source, Moving::Always);
    assert_eq!(
        way.unwrap().prospect().way,
        Way::Copy,
        "nothing is there to move"
    );
}

/// Stops the work after so many bytes.
struct Impatient(AtomicU64);

impl Progress for Impatient {
    fn begin(&self, _: Phase, _: u64) {}

    fn advance(&self, bytes: u64) -> Result<(), Interrupted> {
        let left = self.0.load(Ordering::Relaxed).saturating_sub(bytes);
        self.0.store(left, Ordering::Relaxed);
        if left == 0 {
            return Err(Interrupted);
        }
        Ok(())
    }
}

#[test]
fn nothing_comes_twice_however_often_the_work_is_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let image = image(dir.path());
    let numbers: Vec<u64> = (0..900).collect();
    let bytes = native(&numbers);
    let source = Memory::new(bytes.clone());
    let mut stops = 0;
    loop {
        let impatient = Impatient(1.into());
        let done = receive_seen(&image, &source, Moving::Never, &impatient);
        match done {
            Err(error) if error.code() == Code::Interrupted => stops += 1,
            done => break drop(done.unwrap()),
        }
        assert!(stops < 100, "it gets nowhere");
        if source.bytes_read() >= bytes.len() as u64 / 2 {
            break drop(receive(&image, &source, Moving::Never).unwrap());
        }
    }
    assert!(stops > 0);
    let pieces: u64 = numbers.iter().map(|one| frame(*one).len() as u64).sum();
    assert_eq!(source.bytes_read(), pieces);
    assert!(fs::read(image.path()).unwrap() == bytes);
}

/// Breaks off in the midst of every long stretch that it gives.
struct Torn(Memory);

impl Source for Torn {
    fn layout(&self) -> Result<Layout, SourceError> {
        self.0.layout()
    }

    fn read(&self, offset: u64, buf: &mut [u8]) -> Result<(), SourceError> {
        if buf.len() < 1 << 20 {
            return self.0.read(offset, buf);
        }
        let half = buf.len() / 2;
        self.0.read(offset, &mut buf[..half])?;
        Err((self.0.error)())
    }

    fn identity(&self) -> Result<Hash, SourceError> {
        self.0.identity()
    }

    fn name(&self) -> String {
        self.0.name()
    }
}

#[test]
fn what_came_before_a_stretch_broke_off_is_kept() {
    let numbers: Vec<u64> = (0..900).collect();
    let bytes = native(&numbers);
    let longest = numbers.iter().map(|one| frame(*one).len() as u64).max();
    for alone in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let image = image(dir.path());
        let torn = Arc::new(Torn(Memory::new(bytes.clone())));
        if alone {
            receive(&image, &*torn, Moving::Never).unwrap_err();
        } else {
            let several = Several::of(
                torn.layout().unwrap(),
                vec![(torn.clone(), 0)],
                (Duration::ZERO, |_| true),
            );
            receive(&image, &several, Moving::Never).unwrap_err();
        }
        let came = torn.0.bytes_read();
        let report = receive(&image, &Memory::new(bytes.clone()), Moving::Never).unwrap();
        assert!(came > 8 << 20, "{came}");
        // But for the piece in whose midst it was, of each stretch.
        let kept = report.resumed + 8 * longest.unwrap();
        assert!(kept >= came, "{} of {came}", report.resumed);
        assert!(read_all(&image.path()) == bytes);
    }
}
