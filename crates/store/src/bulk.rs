//! A long new file, written from its beginning to its end.
//!
//! Where the file system tells that it can, the bytes go past the page cache: an image is larger than what is
//! worth keeping in memory, and copying it there costs more than compressing a good part of it. Writing
//! happens on a thread of its own, so that who makes the bytes never waits for the medium while there is room.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use azud_core::io::{PAGE, PageBuf};
use rustix::fs::{AtFlags, OFlags, StatxFlags, fcntl_getfl, fcntl_setfl, statx};

/// Bytes written at once.
const PIECE: usize = 4 << 20;
/// Pieces under way: one is filled, one is written, one waits.
const PIECES: usize = 3;

/// Writes a file in pieces of [`PIECE`] bytes.
#[derive(Debug)]
pub(crate) struct Bulk {
    file: Arc<File>,
    piece: PageBuf,
    filled: usize,
    /// Where the piece that is being filled belongs.
    at: u64,
    direct: bool,
    failed: bool,
    writer: Option<Writer>,
}

/// The thread that writes.
#[derive(Debug)]
struct Writer {
    pieces: SyncSender<(PageBuf, u64)>,
    spent: Receiver<PageBuf>,
    thread: JoinHandle<io::Result<()>>,
}

impl Bulk {
    /// For an empty file.
    pub(crate) fn new(file: File) -> Self {
        let direct = takes_direct(&file) && set_direct(&file, true).is_ok();
        Self {
            file: Arc::new(file),
            piece: PageBuf::zeroed(PIECE),
            filled: 0,
            at: 0,
            direct,
            failed: false,
            writer: None,
        }
    }

    /// The file.
    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// Takes the next bytes. An error may be that of bytes taken before; after it nothing more is taken.
    pub(crate) fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        if self.failed {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(PIECE - self.filled));
            self.piece[self.filled..self.filled + now.len()].copy_from_slice(now);
            self.filled += now.len();
            bytes = later;
            if self.filled == PIECE {
                self.hand_over()?;
            }
        }
        Ok(())
    }

    /// Gives the full piece to the thread and takes an empty one.
    fn hand_over(&mut self) -> io::Result<()> {
        let writer = self.writer.get_or_insert_with(|| Writer::start(&self.file));
        let full = std::mem::take(&mut self.piece);
        let sent = writer.pieces.send((full, self.at)).is_ok();
        match writer.spent.recv() {
            Ok(spent) if sent => self.piece = spent,
            // The thread ends early only by an error of its own.
            _ => {
                self.failed = true;
                return self.join().and(Err(io::ErrorKind::BrokenPipe.into()));
            }
        }
        self.at += PIECE as u64;
        self.filled = 0;
        Ok(())
    }

    fn join(&mut self) -> io::Result<()> {
        let Some(Writer { pieces, thread, .. }) = self.writer.take() else {
            return Ok(());
        };
        drop(pieces);
        thread
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// Writes what is left and returns the file, which still has to be synced.
    pub(crate) fn finish(mut self) -> io::Result<Arc<File>> {
        self.join()?;
        if self.failed {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        if self.direct {
            // The rest is no whole number of sectors.
            set_direct(&self.file, false)?;
        }
        self.file
            .write_all_at(&self.piece[..self.filled], self.at)?;
        Ok(self.file)
    }
}

impl Writer {
    fn start(file: &Arc<File>) -> Self {
        let (pieces, full) = sync_channel::<(PageBuf, u64)>(1);
        let (empty, spent) = sync_channel(PIECES);
        for _ in 1..PIECES {
            // The other end is here, and the channel has room.
            let _ = empty.send(PageBuf::zeroed(PIECE));
        }
        let file = Arc::clone(file);
        let thread = std::thread::spawn(move || {
            for (piece, at) in full {
                file.write_all_at(&piece, at)?;
                // Nobody needs it back at the end.
                let _ = empty.send(piece);
            }
            Ok(())
        });
        Self {
            pieces,
            spent,
            thread,
        }
    }
}

/// Whether the file system tells that direct I/O works on this file, in pages or less. Those that do not tell,
/// network file systems among them, are quicker through the cache.
fn takes_direct(file: &File) -> bool {
    let fits = |align: u32| align != 0 && PAGE.is_multiple_of(align as usize);
    statx(file, c"", AtFlags::EMPTY_PATH, StatxFlags::DIOALIGN).is_ok_and(|facts| {
        StatxFlags::from_bits_retain(facts.stx_mask).contains(StatxFlags::DIOALIGN)
            && fits(facts.stx_dio_offset_align)
            && fits(facts.stx_dio_mem_align)
    })
}

fn set_direct(file: &File, on: bool) -> io::Result<()> {
    let mut flags = fcntl_getfl(file)?;
    flags.set(OFlags::DIRECT, on);
    Ok(fcntl_setfl(file, flags)?)
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;
    use std::io::{ErrorKind, Read};
    use std::path::Path;

    use super::{Bulk, PIECE};

    fn open(path: &Path) -> std::fs::File {
        let mut options = OpenOptions::new();
        options
            .read(true)
            .write(true)
            .create_new(true)
            .open(path)
            .unwrap()
    }

    #[test]
    fn what_is_written_in_any_pieces_is_what_the_file_holds() {
        let dir = tempfile::tempdir().unwrap();
        let lens = [0, 1, 4096, PIECE - 1, PIECE, PIECE + 1, 5 * PIECE + 777];
        for (n, len) in lens.into_iter().enumerate() {
            let bytes: Vec<u8> = (0..len)
                .map(|i| u8::try_from(i * 31 % 251).unwrap())
                .collect();
            for piece in [999, 1 << 20, 3 * PIECE] {
                let path = dir.path().join(format!("{n}-{piece}"));
                let mut bulk = Bulk::new(open(&path));
                bytes
                    .chunks(piece)
                    .for_each(|part| bulk.write_all(part).unwrap());
                drop(bulk.finish().unwrap());
                assert!(std::fs::read(&path).unwrap() == bytes, "{len} in {piece}");
            }
        }
    }

    #[test]
    fn an_error_of_the_thread_is_told() {
        let mut full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        assert!(full.by_ref().metadata().is_ok());
        let mut bulk = Bulk::new(full);
        let bytes = vec![7; PIECE];
        let error = (0..10).find_map(|_| bulk.write_all(&bytes).err());
        assert_eq!(
            error
                .expect("told at the latest when room is needed")
                .kind(),
            ErrorKind::StorageFull
        );
        let mut bulk = Bulk::new(OpenOptions::new().write(true).open("/dev/full").unwrap());
        bulk.write_all(&bytes).unwrap();
        assert_eq!(bulk.finish().unwrap_err().kind(), ErrorKind::StorageFull);
    }

    #[test]
    fn dropping_it_early_leaves_no_thread_behind() {
        let dir = tempfile::tempdir().unwrap();
        let mut bulk = Bulk::new(open(&dir.path().join("x")));
        bulk.write_all(&vec![1; 2 * PIECE]).unwrap();
        let held = std::sync::Arc::downgrade(&bulk.file);
        drop(bulk);
        let gone = (0..500).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(10));
            held.upgrade().is_none()
        });
        assert!(gone, "the thread still has the file");
        let mut empty = Vec::new();
        std::fs::File::open(dir.path().join("x"))
            .unwrap()
            .read_to_end(&mut empty)
            .unwrap();
    }
}
