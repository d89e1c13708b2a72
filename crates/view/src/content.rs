//! Reading what was opened: by whole pieces, and ahead of who reads in order.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread;

use crate::pieces::{Bytes, Pieces};
use crate::{Entry, Image, Opened};

/// Pieces that are fetched ahead.
const AHEAD: usize = 4;
/// Threads that fetch ahead.
const FETCHERS: usize = 4;
/// What waits for them; more is let go.
const WAITING: usize = 2 * FETCHERS;

/// Somebody's open file.
#[derive(Debug)]
pub(crate) struct File {
    /// The number of the file, and what was told of it.
    pub(crate) number: u64,
    pub(crate) entry: Entry,
    opened: Opened,
    /// The piece that was read last.
    last: AtomicUsize,
}

/// Bytes for the kernel.
#[derive(Debug)]
pub(crate) enum Part {
    /// Within one piece, which needs no copy.
    Of(Bytes, Range<usize>),
    /// Any others.
    Own(Vec<u8>),
}

impl AsRef<[u8]> for Part {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Of(bytes, range) => bytes.get(range.clone()).unwrap_or_default(),
            Self::Own(bytes) => bytes,
        }
    }
}

impl File {
    pub(crate) fn new(number: u64, entry: Entry, opened: Opened) -> Self {
        Self {
            number,
            entry,
            opened,
            last: AtomicUsize::new(0),
        }
    }

    /// Whether it is given out as it is, past the kernel's memory of files.
    pub(crate) fn is_small(&self) -> bool {
        matches!(self.opened, Opened::Small(_))
    }
}

/// Reads for everybody.
#[derive(Debug)]
pub(crate) struct Reader {
    pieces: Arc<Pieces>,
    ahead: SyncSender<(Arc<dyn Image>, usize)>,
}

impl Reader {
    /// # Errors
    /// When a thread cannot be had.
    pub(crate) fn new() -> io::Result<Self> {
        let (ahead, wanted) = sync_channel(WAITING);
        let (pieces, wanted) = (Arc::new(Pieces::default()), Arc::new(Mutex::new(wanted)));
        for _ in 0..FETCHERS {
            let (pieces, wanted) = (Arc::clone(&pieces), Arc::clone(&wanted));
            thread::Builder::new()
                .name("ahead".to_owned())
                .spawn(move || fetch_ahead(&pieces, &wanted))?;
        }
        Ok(Self { pieces, ahead })
    }

    /// As many bytes from an offset on as were asked for, fewer only at the end of the file.
    ///
    /// # Errors
    /// What the image says.
    pub(crate) fn read(&self, file: &File, offset: u64, len: usize) -> io::Result<Part> {
        let image = match &file.opened {
            Opened::Small(bytes) => {
                let start = usize::try_from(offset).map_or(bytes.len(), |at| at.min(bytes.len()));
                let end = start.saturating_add(len).min(bytes.len());
                return Ok(Part::Own(bytes[start..end].to_vec()));
            }
            Opened::Image(image) => image,
        };
        let end = offset.saturating_add(len as u64).min(image.layout().size());
        let mut whole = Vec::new();
        let mut at = offset;
        while at < end {
            let part = self.part(file, image, at..end)?;
            let got = part.as_ref().len();
            if got == 0 {
                return Err(io::ErrorKind::InvalidData.into());
            }
            at += got as u64;
            if whole.is_empty() && at == end {
                return Ok(part);
            }
            whole.extend_from_slice(part.as_ref());
        }
        Ok(Part::Own(whole))
    }

    /// The beginning of a range, as far as the piece goes in which it lies.
    fn part(&self, file: &File, image: &Arc<dyn Image>, range: Range<u64>) -> io::Result<Part> {
        let layout = image.layout();
        let within = |from: u64, len: usize| {
            let start = usize::try_from(range.start - from).map_err(io::Error::other)?;
            let most = usize::try_from(range.end - range.start).map_err(io::Error::other)?;
            Ok::<_, io::Error>(start..start.saturating_add(most).min(len))
        };
        if let Some(ending) = Some(layout.ending_offset()).filter(|from| *from <= range.start) {
            let bytes = layout.ending();
            let part = bytes.get(within(ending, bytes.len())?).unwrap_or_default();
            return Ok(Part::Own(part.to_vec()));
        }
        let number = layout
            .pieces()
            .partition_point(|piece| piece.end() <= range.start);
        let before = file.last.swap(number, Ordering::Relaxed);
        if number == before || number == before + 1 {
            self.go_ahead(image, number);
        }
        let bytes = self.pieces.get(image.as_ref(), number)?;
        let range = within(layout.pieces()[number].offset, bytes.len())?;
        Ok(Part::Of(bytes, range))
    }

    /// Has the pieces that follow fetched. Who comes too late for that loses nothing.
    fn go_ahead(&self, image: &Arc<dyn Image>, number: usize) {
        let (layout, next) = (image.layout(), number + 1);
        let end = (next + AHEAD).min(layout.pieces().len());
        for number in next..end {
            if !self.pieces.has(layout.identity(), number) {
                let _ = self.ahead.try_send((Arc::clone(image), number));
            }
        }
    }
}

fn fetch_ahead(pieces: &Pieces, wanted: &Mutex<Receiver<(Arc<dyn Image>, usize)>>) {
    loop {
        let next = wanted.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((image, number)) = next else {
            return;
        };
        // Who reads it is told what is wrong with it.
        let _ = pieces.get(image.as_ref(), number);
    }
}
