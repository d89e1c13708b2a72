//! The last look: the whole file once more, in order, for its sums and against every hash.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::mpsc;
use std::thread;

use azud_core::assembly::{Layout, Piece};
use azud_core::progress::Progress;

use super::fill::is;
use crate::error::{At, Result, StoreError};
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

/// Reads the file.
pub(super) fn check(
    (file, path): (&File, &Path),
    wanted: &Layout,
    progress: &dyn Progress,
) -> Result<Checked> {
    let (bytes, read) = mpsc::sync_channel::<Vec<u8>>(AHEAD);
    let mut sums = Sums::new();
    let bad = thread::scope(|scope| {
        let reader = scope.spawn(move || {
            let mut bad = Vec::new();
            for (number, piece) in wanted.pieces().iter().enumerate() {
                let mut buf = vec![0; piece.len as usize];
                read_piece(file, path, piece, &mut buf)?;
                if !is(piece, &buf) {
                    bad.push(number);
                }
                if bytes.send(buf).is_err() {
                    break;
                }
            }
            Ok::<_, StoreError>(bad)
        });
        for buf in read {
            sums.update(&buf);
            // Who reads ends when nobody takes it any more.
            progress.advance(buf.len() as u64)?;
        }
        reader
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })?;
    sums.update(wanted.ending());
    Ok(Checked {
        sums: sums.finish(),
        bad,
    })
}

fn read_piece(file: &File, path: &Path, piece: &Piece, buf: &mut [u8]) -> Result<()> {
    file.read_exact_at(buf, piece.offset).at("read", path)
}
