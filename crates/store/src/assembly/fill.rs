//! The hands of an assembly: threads that read a run, hold each piece against its hash, and write it.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

use azud_core::assembly::{Layout, Origin, Piece, Run, Source, SourceError};
use azud_core::io::ReadAt;
use rustix::fs::copy_file_range;

use super::arrivals::Arrivals;
use super::hurt::Hurts;
use super::local::{Local, failed};
use crate::error::{At, Result, StoreError};
use crate::stored::Stored;

/// Tries of a source that says that another may help, and the pause before the second one.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_millis(100);

/// More threads than these only need more memory.
const MOST_THREADS: usize = 8;

/// Where runs come from and go to.
pub(super) struct Filler<'a> {
    pub(super) file: &'a File,
    pub(super) path: &'a Path,
    pub(super) wanted: &'a Layout,
    pub(super) locals: &'a [Local],
    pub(super) source: &'a dyn Source,
    pub(super) arrivals: &'a Arrivals,
    pub(super) hurts: &'a Hurts,
    /// Bytes of a block that two files can share, if they can.
    pub(super) shares: Option<u64>,
}

/// What became of pieces.
#[derive(Debug)]
pub(super) enum Event {
    /// They are written.
    Placed(Range<usize>, Origin),
    /// A local image has other bytes than it should.
    Missing(usize),
    /// Nothing new, but time passes.
    Tick,
}

impl Filler<'_> {
    /// Fills all runs. What becomes of them is told in the thread of the caller, between two `tick`s at
    /// least once. After an error, of ours or of `tell`, nothing more is begun.
    pub(super) fn fill(
        &self,
        runs: &[Run],
        tick: Duration,
        mut tell: impl FnMut(Event) -> Result<()>,
    ) -> Result<()> {
        self.arrivals.offer(runs);
        let (events, told) = mpsc::channel();
        thread::scope(|scope| {
            for _ in 0..self.threads().min(runs.len()) {
                let events = events.clone();
                scope.spawn(move || self.work(&events));
            }
            drop(events);
            let mut first = Ok(());
            loop {
                let event = match told.recv_timeout(tick) {
                    Ok(event) => event,
                    Err(RecvTimeoutError::Timeout) => Ok(Event::Tick),
                    Err(RecvTimeoutError::Disconnected) => return first,
                };
                // After a failure, what is written already still counts.
                let told = event.and_then(&mut tell);
                if let Err(error) = told {
                    self.arrivals.withdraw();
                    if first.is_ok() {
                        first = Err(error);
                    }
                }
            }
        })
    }

    /// One run after the other, until there is none. Nobody listens any more after a failure elsewhere.
    fn work(&self, events: &Sender<Result<Event>>) {
        let mut buf = Vec::new();
        while let Some(run) = self.arrivals.next_run() {
            let done = self.run(&run, &mut buf, &mut |event| {
                let _ = events.send(Ok(event));
            });
            if let Err(error) = done {
                self.arrivals.withdraw();
                let _ = events.send(Err(error));
            }
        }
    }

    fn threads(&self) -> usize {
        if self.source.is_far() {
            return MOST_THREADS;
        }
        thread::available_parallelism().map_or(2, |cores| cores.get().min(MOST_THREADS))
    }

    fn run(&self, run: &Run, buf: &mut Vec<u8>, tell: &mut dyn FnMut(Event)) -> Result<()> {
        let len = usize::try_from(run.len).expect("a run fits memory");
        buf.resize(len, 0);
        let pieces = &self.wanted.pieces()[run.pieces()];
        match run.origin {
            Origin::Source => {
                if let Err(error) = self.fetch(run.offset, buf) {
                    // It is why the work ends, whatever comes of the rest.
                    let _ = self.keep(run, buf, tell);
                    return Err(error);
                }
                for (number, piece) in run.pieces().zip(pieces) {
                    let at = within(run, piece);
                    let sure = self.make_sure(piece, &mut buf[at]);
                    if matches!(sure, Err(StoreError::BadPiece { .. })) {
                        self.hurts.note_source(number as u64);
                    }
                    sure?;
                }
                self.write(buf, run.offset)?;
            }
            Origin::Local { file, offset } => {
                let read = self.locals[file].stored.read_exact_at(buf, offset);
                let good = |piece: &Piece| read.is_ok() && is(piece, &buf[within(run, piece)]);
                if !pieces.iter().all(good) {
                    let from = (&self.locals[file], offset);
                    return self.salvage((run, from), buf, read.is_ok(), tell);
                }
                let from = (&self.locals[file].stored, self.shares);
                take_over((self.file, self.path), (run, buf), from)?;
            }
        }
        self.arrivals.place(run.pieces());
        tell(Event::Placed(run.pieces(), run.origin));
        Ok(())
    }

    /// Writes those pieces that came all the same of a run that was broken off.
    fn keep(&self, run: &Run, buf: &[u8], tell: &mut dyn FnMut(Event)) -> Result<()> {
        for number in run.pieces() {
            let piece = &self.wanted.pieces()[number];
            let bytes = &buf[within(run, piece)];
            if is(piece, bytes) {
                self.place((number, piece), bytes, run.origin, tell)?;
            }
        }
        Ok(())
    }

    /// Writes one piece whose bytes are right, and says that it is there.
    fn place(
        &self,
        (number, piece): (usize, &Piece),
        bytes: &[u8],
        origin: Origin,
        tell: &mut dyn FnMut(Event),
    ) -> Result<()> {
        self.write(bytes, piece.offset)?;
        self.arrivals.place(number..number + 1);
        tell(Event::Placed(number..number + 1, origin));
        Ok(())
    }

    /// Writes those pieces of a local run that are good.
    fn salvage(
        &self,
        (run, (local, from)): (&Run, (&Local, u64)),
        buf: &mut [u8],
        readable: bool,
        tell: &mut dyn FnMut(Event),
    ) -> Result<()> {
        for number in run.pieces() {
            let piece = &self.wanted.pieces()[number];
            let bytes = &mut buf[within(run, piece)];
            let at = from + (piece.offset - run.offset);
            let read = if readable {
                Ok(())
            } else {
                // A bad sector spoils the piece in which it lies, and no other.
                local.stored.read_exact_at(bytes, at)
            };
            if read.is_ok() && is(piece, bytes) {
                self.place((number, piece), bytes, run.origin, tell)?;
            } else {
                if tells_damage(&read) {
                    self.hurts.note(&local.stored, at);
                }
                tell(Event::Missing(number));
            }
        }
        Ok(())
    }

    fn write(&self, bytes: &[u8], offset: u64) -> Result<()> {
        self.file.write_all_at(bytes, offset).at("write", self.path)
    }

    fn fetch(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        fetch(self.source, offset, buf).map_err(|error| failed(self.source, error))
    }

    /// A piece from the source must be right, if need be at the second try.
    fn make_sure(&self, piece: &Piece, bytes: &mut [u8]) -> Result<()> {
        if is(piece, bytes) {
            return Ok(());
        }
        self.fetch(piece.offset, bytes)?;
        if is(piece, bytes) {
            return Ok(());
        }
        match self.source.identity() {
            Ok(identity) if identity == *self.wanted.identity() => Err(StoreError::BadPiece {
                name: self.source.name(),
                offset: piece.offset,
            }),
            Ok(_) => Err(failed(self.source, SourceError::Changed)),
            Err(error) => Err(failed(self.source, error)),
        }
    }
}

/// Takes over a local run whose bytes are known: whole blocks are shared where both files can, the rest is written.
pub(super) fn take_over(
    (file, path): (&File, &Path),
    (run, bytes): (&Run, &[u8]),
    (stored, shares): (&Stored, Option<u64>),
) -> Result<()> {
    let write = |bytes: &[u8], offset| file.write_all_at(bytes, offset).at("write", path);
    let shared = shares.and_then(|block| run.shareable(block));
    let (Some((start, len)), Origin::Local { offset: from, .. }) = (shared, run.origin) else {
        return write(bytes, run.offset);
    };
    let (mut at, end) = (start, start + len);
    while at < end {
        let (mut off_in, mut off_out) = (from + (at - run.offset), at);
        let left = usize::try_from(end - at).expect("a run fits memory");
        let (input, off_in, off_out) = (stored.file(), Some(&mut off_in), Some(&mut off_out));
        match copy_file_range(input, off_in, file, off_out, left) {
            Ok(0) | Err(_) => break,
            Ok(count) => at += count as u64,
        }
    }
    let skip = |to: u64| usize::try_from(to - run.offset).expect("a run fits memory");
    write(&bytes[..skip(start)], run.offset)?;
    write(&bytes[skip(at)..], at)
}

/// Reads from the source, again where that may help.
pub(super) fn fetch(
    source: &dyn Source,
    offset: u64,
    buf: &mut [u8],
) -> std::result::Result<(), SourceError> {
    let mut pause = PAUSE;
    for _ in 1..TRIES {
        match source.read(offset, buf) {
            Err(SourceError::Temporary(_)) => thread::sleep(pause),
            other => return other,
        }
        pause *= 2;
    }
    source.read(offset, buf)
}

fn within(run: &Run, piece: &Piece) -> Range<usize> {
    let start = usize::try_from(piece.offset - run.offset).expect("a run fits memory");
    start..start + piece.len as usize
}

/// Whether a read of bytes that are not what they should be tells that they are damaged: they are others, or the medium
/// has lost them. What cannot be read for another reason may be readable the next time.
pub(super) fn tells_damage(read: &io::Result<()>) -> bool {
    match read {
        Ok(()) => true,
        Err(error) => error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error()),
    }
}

/// Whether these are the bytes of a piece.
pub(super) fn is(piece: &Piece, bytes: &[u8]) -> bool {
    blake3::hash(bytes).as_bytes() == &piece.hash
}
