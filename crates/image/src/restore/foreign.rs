//! Restore from the image of another program: a stream whose map comes first and whose proof comes last.

use std::io::Read;

use azud_core::format::Hash;
use azud_core::io::{PageBuf, WriteAt};
use azud_core::progress::{Phase, Progress};

use super::order::{self, Head, Order};
use super::sink::Sink;
use super::{RestoreOptions, Restored, Writes, read_back};
use crate::capture::{check_limits, header_of};
use crate::error::ImageError;
use crate::foreign::{Foreign, ForeignError};
use crate::fs::HEAD_LEN;
use crate::native::{BlockCursor, Geometry};
use crate::par::{Pipeline, cores};

/// Content is passed on in pieces of about this many bytes, always whole blocks.
const PIECE: u64 = 1 << 20;

/// Some blocks between the stream and the target.
struct Piece {
    start: u64,
    content: PageBuf,
}

/// What was written where, to be compared when the medium is read again.
struct Sum {
    start: u64,
    len: u32,
    hash: Hash,
}

/// Multiple of which every offset and length of a restore of this image is, in bytes (at most 4096).
pub fn foreign_write_unit(foreign: &Foreign) -> u32 {
    order::unit(&geometry_of(foreign), foreign.tails())
}

/// The smallest device that a restore of this image accepts, in bytes, with what lies beyond its last block.
///
/// # Errors
/// `Limit` for one that cannot be restored anywhere.
pub fn foreign_minimum_size(foreign: &Foreign) -> Result<u64, ImageError> {
    check_limits(foreign.volume())?;
    Ok(geometry_of(foreign).minimum_size(foreign.tails()))
}

fn geometry_of(foreign: &Foreign) -> Geometry {
    let volume = foreign.volume();
    Geometry {
        header: header_of(volume),
        used: volume.used.clone(),
        head_frames: 0,
    }
}

/// Restores the image of another program onto `target`. Its own checksums, and its end, are checked before
/// the superblocks are written.
///
/// # Errors
/// `TooSmall` before anything is written; `Read` with the [`ForeignError`] inside, `Target`, `ReadBack`.
/// After any other error the target holds nothing that looks like a file system.
pub fn restore_foreign(
    mut foreign: Foreign,
    target: &dyn WriteAt,
    options: &RestoreOptions,
    progress: &dyn Progress,
) -> Result<Restored, ImageError> {
    let (has, needs) = (target.len(), foreign_minimum_size(&foreign)?);
    let geometry = geometry_of(&foreign);
    let tails = foreign.tails().to_vec();
    if has < needs {
        return Err(ImageError::TooSmall { has, needs });
    }
    let mut cursor = BlockCursor::new(&geometry.used);
    let mut content = foreign.volume().used_bytes();
    let total = content;
    // As much as can lie in the head comes first, so that the order is known before anything is written.
    let mut first = next(&mut foreign, &mut cursor, (&mut content, HEAD_LEN as u64))?;
    let mut head = Head::new(&geometry);
    if let Some(piece) = &first {
        head.add(&geometry, piece.start, &piece.content);
    }
    let order = Order::new(&geometry, &tails, &head.bytes, target)?;
    let sink = Sink::new(&geometry, target, &order, *options);
    sink.prepare()?;
    progress.begin(options.phase(), total);
    let mut pieces = || match first.take() {
        Some(piece) => Ok(Some(piece)),
        None => next(&mut foreign, &mut cursor, (&mut content, PIECE)),
    };
    let sums = write(&mut pieces, &sink, (options, progress))?;
    progress.end();
    let undiscarded = sink.undiscarded();
    let written = sink.finish(&tails)?;
    if options.read_back {
        compare(&geometry, &sums, (target, progress))?;
        if !order::tails_in_place(target, &tails)? {
            return Err(ImageError::ReadBack { number: sums.len() });
        }
    }
    Ok(Restored {
        content: total,
        written,
        kept: total.saturating_sub(written),
        fetched: 0,
        undiscarded,
    })
}

/// The next blocks of the stream; `None` once it proved to end.
fn next(
    foreign: &mut Foreign,
    cursor: &mut BlockCursor<'_>,
    (left, most): (&mut u64, u64),
) -> Result<Option<Piece>, ImageError> {
    let block = u64::from(foreign.volume().block_size);
    let len = (most.div_ceil(block) * block).min(*left);
    let at = foreign.volume().used_bytes() - *left;
    let mut content = PageBuf::zeroed(usize::try_from(len).expect("a block or a piece"));
    let damaged = |source: std::io::Error| match source.kind() {
        std::io::ErrorKind::UnexpectedEof if source.get_ref().is_none() => ImageError::Read {
            offset: at,
            source: ForeignError::Truncated { within: "blocks" }.into(),
        },
        _ => ImageError::Read { offset: at, source },
    };
    foreign.read_exact(&mut content).map_err(damaged)?;
    *left -= len;
    if *left == 0 && foreign.read(&mut [0]).map_err(damaged)? != 0 {
        let source = ForeignError::Trailing {
            after: "last block",
        }
        .into();
        return Err(ImageError::Read { offset: at, source });
    }
    if len == 0 {
        return Ok(None);
    }
    let start = cursor.advance(len / block);
    Ok(Some(Piece { start, content }))
}

fn write(
    pieces: &mut (dyn FnMut() -> Result<Option<Piece>, ImageError> + Send),
    sink: &Sink<'_>,
    (options, progress): (&RestoreOptions, &dyn Progress),
) -> Result<Vec<Sum>, ImageError> {
    let threads = cores();
    let pipeline = Pipeline {
        threads,
        depth: threads + 2,
    };
    let put = |piece: &Piece, current: &mut PageBuf| {
        if options.changed_only {
            sink.put_changed(piece.start, &piece.content, current)
        } else {
            sink.put(piece.start, &piece.content)
        }
    };
    let work = |current: &mut PageBuf, piece: Piece| {
        let hash = options
            .read_back
            .then(|| *blake3::hash(&piece.content).as_bytes());
        if options.writes == Writes::Parallel {
            put(&piece, current)?;
        }
        Ok((piece, hash))
    };
    let mut sums = Vec::new();
    let mut current = PageBuf::new();
    pipeline.run(pieces, PageBuf::new, work, |(piece, hash)| {
        if options.writes == Writes::Ascending {
            put(&piece, &mut current)?;
        }
        progress.advance(piece.content.len() as u64)?;
        let (start, len) = (piece.start, u32::try_from(piece.content.len()));
        let len = len.expect("a block or a piece");
        sums.extend(hash.map(|hash| Sum { start, len, hash }));
        Ok(())
    })?;
    Ok(sums)
}

fn compare(
    geometry: &Geometry,
    sums: &[Sum],
    (target, progress): (&dyn WriteAt, &dyn Progress),
) -> Result<(), ImageError> {
    target.forget().map_err(ImageError::target("read", 0))?;
    let total = sums.iter().map(|sum| u64::from(sum.len)).sum();
    progress.begin(Phase::ReadBack, total);
    let mut buffer = PageBuf::new();
    for (number, sum) in sums.iter().enumerate() {
        read_back::read_content(geometry, (sum.start, sum.len), target, &mut buffer)?;
        if *blake3::hash(&buffer).as_bytes() != sum.hash {
            return Err(ImageError::ReadBack { number });
        }
        progress.advance(sum.len.into())?;
    }
    progress.end();
    Ok(())
}
