//! The bytes of an image in order, fetched ahead, each piece held against its hash.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use azud_core::assembly::{MAX_RUN, Piece};
use azud_core::io::ReadAt;

use super::RemoteImage;

/// Requests under way.
const AHEAD: usize = 6;

type Coming = JoinHandle<io::Result<Vec<u8>>>;

/// A reader of an image of a manager.
#[derive(Debug)]
pub struct Stream {
    image: Arc<RemoteImage>,
    /// Number of the piece that is asked for next.
    next: usize,
    coming: VecDeque<Coming>,
    now: io::Cursor<Vec<u8>>,
    ended: bool,
}

impl Stream {
    /// From the first byte on.
    pub fn of(image: Arc<RemoteImage>) -> Self {
        Self {
            image,
            next: 0,
            coming: VecDeque::new(),
            now: io::Cursor::default(),
            ended: false,
        }
    }

    fn ask_ahead(&mut self) {
        while self.coming.len() < AHEAD {
            let pieces = &self.image.layout().pieces()[self.next..];
            let mut bytes = 0;
            let fits = |piece: &&Piece| {
                bytes += u64::from(piece.len);
                bytes <= MAX_RUN
            };
            let count = pieces.iter().take_while(fits).count();
            let count = count.max(1).min(pieces.len());
            if count == 0 {
                return;
            }
            let (image, range) = (Arc::clone(&self.image), self.next..self.next + count);
            self.next += count;
            let fetch = move || fetch(&image, range);
            self.coming.push_back(thread::spawn(fetch));
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            let len = self.now.read(buf)?;
            if len > 0 || buf.is_empty() || self.ended {
                return Ok(len);
            }
            self.ask_ahead();
            let bytes = if let Some(coming) = self.coming.pop_front() {
                let came = coming.join();
                came.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?
            } else {
                self.ended = true;
                self.image.layout().ending().to_vec()
            };
            self.now = io::Cursor::new(bytes);
        }
    }
}

fn fetch(image: &RemoteImage, pieces: std::ops::Range<usize>) -> io::Result<Vec<u8>> {
    let pieces = &image.layout().pieces()[pieces];
    let (Some(first), Some(last)) = (pieces.first(), pieces.last()) else {
        return Ok(Vec::new());
    };
    let len = usize::try_from(last.end() - first.offset).map_err(io::Error::other)?;
    let mut bytes = vec![0; len];
    image.read_exact_at(&mut bytes, first.offset)?;
    if image.layout().fits(first.offset, &bytes) {
        Ok(bytes)
    } else {
        Err(image.other_bytes().into())
    }
}
