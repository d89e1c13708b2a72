//! The last look: the whole file once more, in order, for its sums and against every hash. It follows those who
//! fill the file, so that it ends soon after they do.

use std::io::ErrorKind;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::mpsc::{self, SyncSender};
use std::thread;

use azud_core::assembly::Layout;

use super::arrivals::Arrivals;
use super::fill::is;
use crate::error::{At, Result};
use crate::side::{SumPair, Sums};

/// What the file is.
#[derive(Debug)]
pub(super) struct Checked {
    pub(super) sums: SumPair,
    /// Pieces that are not what they should be.
    pub(super) bad: Vec<usize>,
}

/// Pieces between the thread that reads and the one that sums.
const AHEAD: usize = 4;

/// Reads the file behind those who fill it. `told` hears of every piece, in order, and may end the reading.
/// `None` when what is missing does not come.
pub(super) fn follow(
    arrivals: &Arrivals,
    (wanted, path): (&Layout, &Path),
    told: &mut dyn FnMut(u64) -> Result<()>,
) -> Result<Option<Checked>> {
    let (bytes, read) = mpsc::sync_channel::<Vec<u8>>(AHEAD);
    let mut sums = Sums::new();
    let bad = thread::scope(|scope| {
        let reader = scope.spawn(move || read_pieces(arrivals, (wanted, path), &bytes));
        for buf in read {
            sums.update(&buf);
            // Who reads ends when nobody takes it any more.
            told(buf.len() as u64)?;
        }
        reader
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })?;
    sums.update(wanted.ending());
    Ok(bad.map(|bad| Checked {
        sums: sums.finish(),
        bad,
    }))
}

fn read_pieces(
    arrivals: &Arrivals,
    (wanted, path): (&Layout, &Path),
    bytes: &SyncSender<Vec<u8>>,
) -> Result<Option<Vec<usize>>> {
    let mut bad = Vec::new();
    for (number, piece) in wanted.pieces().iter().enumerate() {
        let Ok(file) = arrivals.wait(number..number + 1) else {
            return Ok(None);
        };
        let mut buf = vec![0; piece.len as usize];
        let is_right = match file.read_exact_at(&mut buf, piece.offset) {
            // It was made shorter since it was said to be there, and gets its length only when it is whole.
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => false,
            read => {
                read.at("read", path)?;
                is(piece, &buf)
            }
        };
        if !is_right {
            bad.push(number);
        }
        if bytes.send(buf).is_err() {
            break;
        }
    }
    Ok(Some(bad))
}

#[cfg(test)]
mod tests {
    use super::follow;
    use crate::assembly::arrivals::Arrivals;
    use azud_core::assembly::Layout;
    use azud_core::bitmap::Bitmap;
    use azud_core::format::ranges::RangeIndex;
    use std::fs::{self, File};

    const RANGE: usize = 1 << 20;

    #[test]
    fn what_a_file_is_too_short_for_is_not_what_it_should_be() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.img");
        let bytes: Vec<u8> = [1, 2, 3]
            .into_iter()
            .flat_map(|fill| vec![fill; RANGE])
            .collect();
        let hash = |range: &[u8]| *blake3::hash(range).as_bytes();
        let size = bytes.len() as u64;
        let hashes = bytes.chunks(RANGE).map(hash).collect();
        let wanted = Layout::parse(RangeIndex { size, hashes }.encode()).unwrap();
        for (there, bad) in [
            (3 * RANGE, vec![]),
            (RANGE + 7, vec![1, 2]),
            (0, vec![0, 1, 2]),
        ] {
            fs::write(&path, &bytes[..there]).unwrap();
            let arrivals = Arrivals::of(&wanted);
            arrivals.begin(File::open(&path).unwrap(), &Bitmap::full(3));
            let mut told = 0;
            let checked = follow(&arrivals, (&wanted, &path), &mut |len| {
                told += len;
                Ok(())
            });
            assert_eq!(checked.unwrap().unwrap().bad, bad);
            assert_eq!(told, size);
        }
    }
}
