//! Pieces on their way: several requests at once, each of several pieces.

use std::collections::HashSet;
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use azud_core::assembly::{Layout, Piece, Source};
use azud_core::format::Hash;
use azud_core::progress::Progress;
use azud_core::upload::{MAX_ASKED, RECORD_LEN, encode};

use super::Upload;
use crate::error::{NetError, Result};

/// Bytes that go in one request, unless a single piece is longer.
const BATCH: usize = 4 << 20;
/// Requests at once.
const SENDERS: usize = 3;
/// Batches that wait.
const QUEUE: usize = 2;
/// After so long without a piece to send, the manager is told that we live.
const QUIET: Duration = Duration::from_secs(20);

/// The first failure of several threads.
#[derive(Debug, Default)]
struct Failure {
    any: AtomicBool,
    first: Mutex<Option<NetError>>,
}

impl Failure {
    fn set(&self, error: NetError) {
        let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert(error);
        self.any.store(true, Ordering::Relaxed);
    }

    fn is_set(&self) -> bool {
        self.any.load(Ordering::Relaxed)
    }

    fn take(self) -> Result<()> {
        let first = self.first.into_inner();
        first
            .unwrap_or_else(PoisonError::into_inner)
            .map_or(Ok(()), Err)
    }
}

/// Sends pieces of an image, by their ascending numbers.
///
/// # Errors
/// What the manager says; [`NetError::Source`], [`NetError::Damaged`]; [`NetError::Interrupted`].
pub fn send(
    upload: &Upload,
    source: &dyn Source,
    (layout, numbers): (&Layout, &[usize]),
    progress: &dyn Progress,
) -> Result<()> {
    let batches = batches(layout, numbers);
    let (next, failure) = (AtomicUsize::new(0), Failure::default());
    thread::scope(|scope| {
        for _ in 0..SENDERS.min(batches.len()) {
            scope.spawn(|| {
                while !failure.is_set() {
                    let Some(batch) = batches.get(next.fetch_add(1, Ordering::Relaxed)) else {
                        return;
                    };
                    let numbers = &numbers[batch.clone()];
                    if let Err(error) = send_batch(upload, source, (layout, numbers), progress) {
                        failure.set(error);
                    }
                }
            });
        }
    });
    failure.take()
}

/// Which of the numbers go together.
fn batches(layout: &Layout, numbers: &[usize]) -> Vec<Range<usize>> {
    let mut batches: Vec<Range<usize>> = Vec::new();
    let mut bytes = 0;
    for (at, number) in numbers.iter().enumerate() {
        let len = layout
            .pieces()
            .get(*number)
            .map_or(0, |one| one.len as usize);
        match batches.last_mut() {
            Some(batch) if bytes + len <= BATCH => batch.end = at + 1,
            _ => {
                batches.push(at..at + 1);
                bytes = 0;
            }
        }
        bytes += len;
    }
    batches
}

fn send_batch(
    upload: &Upload,
    source: &dyn Source,
    (layout, numbers): (&Layout, &[usize]),
    progress: &dyn Progress,
) -> Result<()> {
    let mut batch = Vec::with_capacity(BATCH);
    let mut bytes = 0;
    for piece in numbers
        .iter()
        .filter_map(|number| layout.pieces().get(*number))
    {
        batch.extend(encode(piece));
        let at = batch.len();
        batch.resize(at + piece.len as usize, 0);
        let read = source.read(piece.offset, &mut batch[at..]);
        read.map_err(|error| NetError::Source {
            name: source.name(),
            source: error,
        })?;
        // Damage here is not to be taken for one of the way.
        if blake3::hash(&batch[at..]).as_bytes() != &piece.hash {
            return Err(NetError::Damaged {
                name: source.name(),
                offset: piece.offset,
            });
        }
        bytes += u64::from(piece.len);
    }
    upload.put(&batch)?;
    Ok(progress.advance(bytes)?)
}

/// Pieces that are asked for, and sent as far as the manager lacks them.
#[derive(Debug, Default)]
struct Batch {
    pieces: Vec<Piece>,
    /// Theirs, one behind the other.
    bytes: Vec<u8>,
}

impl Batch {
    fn is_full(&self) -> bool {
        self.bytes.len() >= BATCH || self.pieces.len() >= MAX_ASKED
    }

    fn records(&self) -> Vec<u8> {
        self.pieces.iter().flat_map(encode).collect()
    }

    /// Records and bytes of those in runs, by number.
    fn some(&self, runs: &[(usize, usize)]) -> Vec<u8> {
        let mut some = Vec::with_capacity(self.bytes.len() + self.pieces.len() * RECORD_LEN);
        let (mut at, mut runs) = (0, runs.iter().peekable());
        for (number, piece) in self.pieces.iter().enumerate() {
            let bytes = &self.bytes[at..at + piece.len as usize];
            at += bytes.len();
            while runs
                .next_if(|(first, count)| number >= first.saturating_add(*count))
                .is_some()
            {}
            if runs.peek().is_some_and(|(first, _)| number >= *first) {
                some.extend(encode(piece));
                some.extend(bytes);
            }
        }
        some
    }
}

/// An image that is sent as it is made, from its first byte to its last.
#[derive(Debug)]
pub struct Pieces<'a> {
    at: u64,
    left: HashSet<(Hash, u32)>,
    batch: Batch,
    queue: SyncSender<Batch>,
    failure: &'a Failure,
}

impl Pieces<'_> {
    /// The next piece. Without its bytes, if the manager has them in an image.
    ///
    /// # Errors
    /// When nobody sends any more; why, [`streaming`] tells.
    pub fn push(&mut self, hash: Hash, len: u32, bytes: Option<&[u8]>) -> io::Result<()> {
        let piece = Piece {
            offset: self.at,
            len,
            hash,
        };
        self.at = piece.end();
        let new = bytes.filter(|_| !self.left.contains(&(hash, len)));
        let Some(bytes) = new else {
            return self.check();
        };
        self.batch.pieces.push(piece);
        self.batch.bytes.extend(bytes);
        if !self.batch.is_full() {
            return self.check();
        }
        self.flush()
    }

    fn check(&self) -> io::Result<()> {
        if self.failure.is_set() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        let batch = std::mem::take(&mut self.batch);
        if !batch.pieces.is_empty() {
            let sent = self.queue.send(batch);
            sent.map_err(|_| io::ErrorKind::BrokenPipe)?;
        }
        self.check()
    }
}

/// Lets `work` send pieces; when this returns, all of them arrived.
///
/// # Errors
/// What the manager says, as `Err`; what `work` says, inside.
pub fn streaming<T, E>(
    upload: &Upload,
    work: impl FnOnce(&mut Pieces<'_>) -> std::result::Result<T, E>,
) -> Result<std::result::Result<T, E>> {
    let left = upload.left()?;
    let (failure, in_vain) = (Failure::default(), AtomicBool::new(false));
    let (queue, batches) = sync_channel(QUEUE);
    let batches = Mutex::new(batches);
    let done = thread::scope(|scope| {
        for _ in 0..SENDERS {
            scope.spawn(|| deliver((upload, &in_vain), &batches, &failure));
        }
        let mut pieces = Pieces {
            at: 0,
            left: left.iter().map(|piece| (piece.hash, piece.len)).collect(),
            batch: Batch::default(),
            queue,
            failure: &failure,
        };
        let done = work(&mut pieces);
        // Whatever keeps the rest from leaving is in `failure`.
        let _ = pieces.flush();
        done
    });
    failure.take()?;
    Ok(done)
}

/// Sends batches until there are no more. After a failure they are thrown away, so that nobody waits.
fn deliver(
    (upload, in_vain): (&Upload, &AtomicBool),
    batches: &Mutex<Receiver<Batch>>,
    failure: &Failure,
) {
    loop {
        let next = batches
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .recv_timeout(QUIET);
        let done = match next {
            Ok(_) | Err(RecvTimeoutError::Timeout) if failure.is_set() => continue,
            Ok(batch) => hand_over(upload, &batch, in_vain),
            Err(RecvTimeoutError::Timeout) => upload.state().map(drop),
            Err(RecvTimeoutError::Disconnected) => return,
        };
        if let Err(error) = done {
            failure.set(error);
        }
    }
}

/// Asks which pieces images of the manager have, and sends the others. Where there are none, once is enough.
fn hand_over(upload: &Upload, batch: &Batch, in_vain: &AtomicBool) -> Result<()> {
    let lacking = if in_vain.load(Ordering::Relaxed) {
        vec![(0, batch.pieces.len())]
    } else {
        let held = upload.ask(&batch.records())?;
        in_vain.store(held.in_vain, Ordering::Relaxed);
        held.lacking
    };
    let some = batch.some(&lacking);
    if some.is_empty() {
        return Ok(());
    }
    upload.put(&some)
}

#[cfg(test)]
mod tests {
    use azud_core::assembly::Piece;
    use azud_core::upload::{RECORD_LEN, encode};

    use super::Batch;

    #[test]
    fn of_a_batch_those_are_sent_that_are_lacking_whatever_a_manager_says() {
        let (mut batch, mut offset) = (Batch::default(), 0);
        for len in [3, 1, 4, 1, 5_u8] {
            let (len, hash) = (len.into(), [len; 32]);
            batch.pieces.push(Piece { offset, len, hash });
            batch.bytes.extend(hash.iter().take(len as usize));
            offset += u64::from(len);
        }
        let all = batch.records();
        let record = |number: usize| &all[number * RECORD_LEN..][..RECORD_LEN];
        assert_eq!(record(2), encode(&batch.pieces[2]));
        let some = [record(1), &[1], record(2), &[4; 4], record(4), &[5; 5]].concat();
        assert_eq!(batch.some(&[(1, 2), (4, 1)]), some);
        assert!(batch.some(&[]).is_empty());
        let last = [record(4), &[5; 5]].concat();
        assert_eq!(batch.some(&[(0, 0), (4, usize::MAX), (9, 9)]), last);
    }
}
