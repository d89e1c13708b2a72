//! An image that is read as a file while it is received, and one that was here already.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use azud_core::assembly::{Layout, Source, SourceError};
use azud_core::format::Hash;
use azud_core::io::ReadAt;
use azud_core::name::ImageFile;
use azud_core::progress::Silent;
use azud_store::assembly::{Assembly, Facts, Hurts, Moving, Report, Way};
use azud_store::side::Carried;

use super::kit::{Memory, absent, moment, native, new, old};
use crate::common::image;
use crate::gate::with_locks;

fn facts(carried: Vec<Carried>) -> Facts {
    Facts {
        info: None,
        carried,
        now: moment(),
    }
}

/// Plans, lets `meanwhile` happen, receives, and reads piece by piece.
fn read_after(
    image: &ImageFile,
    source: &Memory,
    carried: Vec<Carried>,
    meanwhile: &dyn Fn(&Path),
) -> (Report, io::Result<Vec<u8>>, Vec<Vec<u64>>) {
    with_locks(|| {
        let assembly = Assembly::look(image, source, Moving::Never).unwrap();
        assert_eq!(assembly.prospect().way, Way::Nothing);
        let (reader, hurts) = (assembly.reader(), assembly.hurts());
        let wanted = assembly.wanted().clone();
        meanwhile(&image.path());
        let report = assembly.run(&facts(carried), &Silent).unwrap();
        let mut bytes = vec![0; new().len()];
        let pieces = wanted
            .pieces()
            .iter()
            .map(|piece| (piece.offset, piece.end()));
        let ending = (wanted.ending_offset(), wanted.size());
        let done = pieces.chain([ending]).try_for_each(|(from, to)| {
            let range = usize::try_from(from).unwrap()..usize::try_from(to).unwrap();
            reader.read_exact_at(&mut bytes[range], from)
        });
        let hurt = |hurts: &Hurts| hurts.here().into_iter().map(|hurt| hurt.bad).collect();
        (report, done.map(|()| bytes), hurt(&hurts))
    })
}

const NOBODY: &dyn Fn(&Path) = &|_| {};

/// The image with a wrong byte in each of these pieces.
fn rotten(pieces: &[usize]) -> Vec<u8> {
    let source = Memory::new(new());
    let layout = source.layout().unwrap();
    let mut bytes = new();
    for number in pieces {
        bytes[usize::try_from(layout.pieces()[*number].offset).unwrap() + 9] ^= 4;
    }
    bytes
}

#[test]
fn what_was_here_and_is_damaged_comes_from_the_source_and_is_noted() {
    let dir = tempfile::tempdir().unwrap();
    let image = image(dir.path());
    fs::write(image.path(), rotten(&[3, 7])).unwrap();
    let source = Memory::new(new());
    let (report, read, hurt) = read_after(&image, &source, Vec::new(), NOBODY);
    assert_eq!(report.way, Way::Nothing);
    assert!(read.unwrap() == new());
    assert_eq!(hurt, [[3, 7]]);
    assert!(source.bytes_read() < new().len() as u64 / 4);
    // One that is sound costs the source nothing.
    fs::write(image.path(), new()).unwrap();
    let source = Memory::new(new());
    let (_, read, hurt) = read_after(&image, &source, Vec::new(), NOBODY);
    assert!(read.unwrap() == new() && hurt.is_empty());
    assert_eq!(source.bytes_read(), 0);
}

#[test]
fn what_the_source_has_wrong_too_or_does_not_give_is_noted_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let image = image(dir.path());
    fs::write(image.path(), rotten(&[3, 7])).unwrap();
    let source = Memory::new(rotten(&[3, 8]));
    let (_, read, hurt) = read_after(&image, &source, Vec::new(), NOBODY);
    // Whoever reads sees that it is wrong.
    assert!(read.unwrap() == rotten(&[3]));
    assert_eq!(hurt, [[3, 7]]);
    let mut source = Memory::new(new());
    source.broken_from = 0;
    source.error = || SourceError::Permanent(io::ErrorKind::PermissionDenied.into());
    let (_, read, hurt) = read_after(&image, &source, Vec::new(), NOBODY);
    assert_eq!(read.unwrap_err().kind(), io::ErrorKind::PermissionDenied);
    assert_eq!(hurt, [[3]]);
}

#[test]
fn what_was_there_when_it_was_planned_is_looked_at_again() {
    let carried = || Carried {
        ending: ".minisig",
        content: b"of the new one".to_vec(),
    };
    let replaced: &dyn Fn(&Path) = &|path| {
        let other = path.with_extension("other");
        fs::write(&other, old()).unwrap();
        fs::rename(other, path).unwrap();
    };
    let removed: &dyn Fn(&Path) = &|path| fs::remove_file(path).unwrap();
    for (meanwhile, fetched) in [(replaced, absent()), (removed, new().len() as u64)] {
        for carried in [Vec::new(), vec![carried()]] {
            let dir = tempfile::tempdir().unwrap();
            let image = image(dir.path());
            fs::write(image.path(), new()).unwrap();
            let source = Memory::new(new());
            let is_signed = !carried.is_empty();
            let (report, read, _) = read_after(&image, &source, carried, meanwhile);
            assert_eq!(report.way, Way::Copy);
            assert!(read.unwrap() == new());
            assert!(fs::read(image.path()).unwrap() == new());
            assert!(source.bytes_read() <= fetched);
            assert_eq!(image.beside(".minisig").exists(), is_signed);
        }
    }
}

#[test]
fn what_is_there_gets_what_goes_along_and_nothing_is_left() {
    let dir = tempfile::tempdir().unwrap();
    let image = image(dir.path());
    fs::write(image.path(), new()).unwrap();
    let carried = Carried {
        ending: ".minisig",
        content: b"signed".to_vec(),
    };
    let source = Memory::new(new());
    let (report, read, _) = read_after(&image, &source, vec![carried], NOBODY);
    assert!(report.way == Way::Nothing && read.unwrap() == new());
    assert_eq!(fs::read(image.beside(".minisig")).unwrap(), b"signed");
    let left = crate::common::names(dir.path());
    assert!(
        !left
            .iter()
            .any(|name| name.contains("assembly") || name.contains("stage")),
        "{left:?}"
    );
}

/// A source that needs a moment for each read, and notes where it was.
struct Noting {
    memory: Memory,
    reads: Mutex<Vec<(u64, usize)>>,
}

impl Source for Noting {
    fn layout(&self) -> Result<Layout, SourceError> {
        self.memory.layout()
    }

    fn is_far(&self) -> bool {
        true
    }

    fn read(&self, offset: u64, buf: &mut [u8]) -> Result<(), SourceError> {
        self.reads.lock().unwrap().push((offset, buf.len()));
        thread::sleep(Duration::from_millis(20));
        self.memory.read(offset, buf)
    }

    fn identity(&self) -> Result<Hash, SourceError> {
        self.memory.identity()
    }

    fn name(&self) -> String {
        self.memory.name()
    }
}

#[test]
fn what_a_reader_waits_for_comes_first_and_alone() {
    let dir = tempfile::tempdir().unwrap();
    let image = image(dir.path());
    let source = Noting {
        memory: Memory::new(native(&(0..1200).collect::<Vec<_>>())),
        reads: Mutex::default(),
    };
    with_locks(|| {
        let assembly = Assembly::look(&image, &source, Moving::Never).unwrap();
        let (reader, wanted) = (assembly.reader(), assembly.wanted().clone());
        let wanted = [1100, 700, 900].map(|number| wanted.pieces()[number]);
        thread::scope(|scope| {
            for piece in &wanted {
                let (reader, mut buf) = (&reader, vec![0; piece.len as usize]);
                scope.spawn(move || reader.read_exact_at(&mut buf, piece.offset).unwrap());
            }
            thread::sleep(Duration::from_millis(500));
            assembly.run(&facts(Vec::new()), &Silent).unwrap();
        });
        let reads = source.reads.lock().unwrap();
        for piece in wanted {
            let own = (piece.offset, piece.len as usize);
            let turn = reads.iter().position(|read| *read == own);
            assert!(
                turn.is_some_and(|turn| turn < 12),
                "{turn:?} of {}",
                reads.len()
            );
        }
        let twice = reads.iter().map(|(_, len)| *len as u64).sum::<u64>();
        assert_eq!(twice, source.memory.bytes_read(), "each byte once");
    });
}
