//! Pieces on their way: several requests at once, each of several pieces.

use std::collections::HashSet;
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use azud_core::assembly::{Layout, Source};
use azud_core::format::Hash;
use azud_core::progress::Progress;
use azud_core::upload::encode;

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

/// An image that is sent as it is made, from its first byte to its last.
#[derive(Debug)]
pub struct Pieces<'a> {
    at: u64,
    left: HashSet<(Hash, u32)>,
    batch: Vec<u8>,
    queue: SyncSender<Vec<u8>>,
    failure: &'a Failure,
}

impl Pieces<'_> {
    /// The next piece. Without its bytes, if the manager has them in an image.
    ///
    /// # Errors
    /// When nobody sends any more; why, [`streaming`] tells.
    pub fn push(&mut self, hash: Hash, len: u32, bytes: Option<&[u8]>) -> io::Result<()> {
        let piece = azud_core::assembly::Piece {
            offset: self.at,
            len,
            hash,
        };
        self.at = piece.end();
        let new = bytes.filter(|_| !self.left.contains(&(hash, len)));
        let Some(bytes) = new else {
            return self.check();
        };
        self.batch.extend(encode(&piece));
        self.batch.extend(bytes);
        if self.batch.len() < BATCH {
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
        let batch = std::mem::replace(&mut self.batch, Vec::with_capacity(BATCH));
        if !batch.is_empty() {
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
    let failure = Failure::default();
    let (queue, batches) = sync_channel(QUEUE);
    let batches = Mutex::new(batches);
    let done = thread::scope(|scope| {
        for _ in 0..SENDERS {
            scope.spawn(|| deliver(upload, &batches, &failure));
        }
        let mut pieces = Pieces {
            at: 0,
            left: left.iter().map(|piece| (piece.hash, piece.len)).collect(),
            batch: Vec::with_capacity(BATCH),
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
fn deliver(upload: &Upload, batches: &Mutex<Receiver<Vec<u8>>>, failure: &Failure) {
    loop {
        let next = batches
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .recv_timeout(QUIET);
        let done = match next {
            _ if failure.is_set() && next != Err(RecvTimeoutError::Disconnected) => continue,
            Ok(batch) => upload.put(&batch),
            Err(RecvTimeoutError::Timeout) => upload.state().map(drop),
            Err(RecvTimeoutError::Disconnected) => return,
        };
        if let Err(error) = done {
            failure.set(error);
        }
    }
}
