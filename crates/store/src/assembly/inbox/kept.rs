//! What an upload leaves on the medium: the file, the log that says which pieces are in it, and a spare of both.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use azud_core::assembly::{Layout, Piece};
use azud_core::format::{Hash, MAX_FRAMES};
use azud_core::upload::{RECORD_LEN, decode, encode};
use rustix::fs::{Advice, fadvise};

use super::super::fill::is;
use super::super::local::Local;
use super::super::state::{State, WANTED};
use crate::durable;
use crate::error::{At, Result};
use crate::publish::Staging;
use crate::stage::JOURNAL;
use crate::stored::Stored;

/// Which pieces are in the image's file.
pub(super) const ARRIVED: &str = "arrived";
/// What an earlier upload left, and which pieces are in it.
pub(super) const SPARE: &str = "spare";
pub(super) const SPARE_ARRIVED: &str = "spare.arrived";
/// One of both while they change places.
pub(super) const SWAP: &str = "swap";
/// Who sends.
pub(super) const SENDER: &str = "sender";

/// The most bytes of a sender's word for itself that are read.
const MAX_SENDER: u64 = 4096;
/// The most bytes of a log that are read.
const MAX_LOG: u64 = 2 * (MAX_FRAMES * RECORD_LEN) as u64;

/// Says in a log that the first so many records are about bytes on the medium.
pub(super) fn mark(records: u64) -> [u8; RECORD_LEN] {
    let (offset, len, hash) = (records, 0, Hash::default());
    encode(&Piece { offset, len, hash })
}

pub(super) fn write_log<'a>(path: &Path, pieces: impl Iterator<Item = &'a Piece>) -> Result<u64> {
    let mut content: Vec<u8> = pieces.flat_map(encode).collect();
    let records = (content.len() / RECORD_LEN) as u64;
    content.extend(mark(records));
    durable::write(path, &content)?;
    Ok(records + 1)
}

pub(super) fn by_offset(pieces: Vec<Piece>) -> BTreeMap<u64, (Piece, bool)> {
    let there = pieces
        .into_iter()
        .map(|piece| (piece.offset, (piece, true)));
    there.collect()
}

/// The pieces that a log says to be in a file, by offset. Those that a power cut may have taken are looked at.
pub(super) fn logged(log: &Path, path: &Path) -> Vec<Piece> {
    let Ok(content) = durable::read_small(log, MAX_LOG) else {
        return Vec::new();
    };
    let Ok(file) = File::open(path) else {
        return Vec::new();
    };
    let size = file.metadata().map_or(0, |meta| meta.len());
    let records = content.as_chunks::<RECORD_LEN>().0;
    let marked = |record: &[u8; RECORD_LEN]| {
        let count = u64::from_le_bytes(*record.first_chunk()?);
        (*record == mark(count)).then(|| usize::try_from(count).ok())?
    };
    let safe = records.iter().filter_map(marked).max().unwrap_or(0);
    let mut found: Vec<Piece> = Vec::new();
    let (mut synced, mut buf) = (None, Vec::new());
    for (number, record) in records.iter().enumerate() {
        let Some(piece) = decode(record).ok().filter(|piece| piece.end() <= size) else {
            continue;
        };
        if number >= safe {
            buf.resize(piece.len as usize, 0);
            let synced = *synced.get_or_insert_with(|| is_synced(&file, path));
            let read = file.read_exact_at(&mut buf, piece.offset);
            if !synced || read.is_err() || !is(&piece, &buf) {
                continue;
            }
        }
        found.push(piece);
    }
    tidy(found)
}

/// Whether what a file holds is on its medium, from which it is then read: what a process wrote that was killed, or heard
/// of a failure, may be in memory alone.
fn is_synced(file: &File, path: &Path) -> bool {
    let synced = durable::sync_file(file, path).is_ok();
    let _ = fadvise(file, 0, None, Advice::DontNeed);
    synced
}

/// Where the last piece ends that a log speaks of, whether it is right or not.
pub(super) fn end_of(log: &Path) -> Option<u64> {
    let content = durable::read_small(log, MAX_LOG).ok()?;
    let records = content.as_chunks::<RECORD_LEN>().0.iter();
    let pieces = records.filter_map(|record| decode(record).ok());
    Some(pieces.map(|piece| piece.end()).max().unwrap_or(0))
}

/// By offset, and none over another.
fn tidy(mut pieces: Vec<Piece>) -> Vec<Piece> {
    pieces.sort_by_key(|piece| piece.offset);
    let mut end = 0;
    pieces.retain(|piece| {
        let free = piece.offset >= end;
        if free {
            end = piece.end();
        }
        free
    });
    pieces
}

/// Everything that is in the file of an image that is not whole. What says so may have outlived the file.
pub(super) fn begun(staging: &Staging) -> Result<Vec<Piece>> {
    let dir = staging.dir();
    if durable::file_size(&staging.path())?.is_none() {
        return Ok(Vec::new());
    }
    let mut pieces = logged(&dir.join(ARRIVED), &staging.path());
    if let Some(State { wanted, record }) = State::read(dir) {
        pieces.extend(wanted.only(&record.verified).pieces());
    }
    Ok(tidy(pieces))
}

/// Whether it is the same sender that begins again.
pub(super) fn goes_on(staging: &Staging, sender: &str) -> Result<bool> {
    let dir = staging.dir();
    let before = durable::read_small(&dir.join(SENDER), MAX_SENDER).unwrap_or_default();
    let is_there = |path: &Path| durable::file_size(path).map(|size| size.is_some());
    let begun = is_there(&staging.path())? && is_there(&dir.join(ARRIVED))?;
    Ok(begun && !sender.is_empty() && before == sender.as_bytes())
}

/// Takes pieces over from another file, to the same places, as far as these are free; whether there are any. Both lists
/// are by offset. What cannot be read or written stays where it is, and goes with the other file.
fn adopt((path, there): (&Path, &mut Vec<Piece>), (other, pieces): (&Path, &[Piece])) -> bool {
    let into = durable::reopen(path);
    let (Ok(into), Ok(from)) = (into, File::open(other)) else {
        return false;
    };
    let is_free = |piece: &&Piece| {
        let before = there.partition_point(|one| one.offset < piece.end());
        let before = there[..before].last();
        before.is_none_or(|before| before.end() <= piece.offset)
    };
    let mut buf = Vec::new();
    let mut moves = |piece: &&Piece| {
        buf.resize(piece.len as usize, 0);
        from.read_exact_at(&mut buf, piece.offset).is_ok()
            && is(piece, &buf)
            && into.write_all_at(&buf, piece.offset).is_ok()
    };
    let free = pieces.iter().filter(is_free);
    let moved: Vec<Piece> = free.take_while(|piece| moves(piece)).copied().collect();
    there.extend(&moved);
    there.sort_by_key(|piece| piece.offset);
    !moved.is_empty()
}

/// Leaves the directory without an image in the making: what is there serves as a spare, of which there is one.
pub(super) fn set_aside(staging: &Staging) -> Result<()> {
    let dir = staging.dir();
    let bytes = |pieces: &[Piece]| -> u64 { pieces.iter().map(|one| u64::from(one.len)).sum() };
    let mut begun = begun(staging)?;
    let mut spare = logged(&dir.join(SPARE_ARRIVED), &dir.join(SPARE));
    let better = bytes(&begun) > bytes(&spare);
    // Each has what the other lacks: what was there already was not sent again.
    if better {
        let path = staging.path();
        adopt((&path, &mut begun), (&dir.join(SPARE), &spare));
        let file = durable::reopen(&path)?;
        // What was reserved is room for the next one.
        let end = begun.last().map_or(0, Piece::end);
        file.set_len(end).at("set the length of", &path)?;
        durable::sync_file(&file, &path)?;
        durable::remove_file(&dir.join(SPARE_ARRIVED))?;
    } else if adopt((&dir.join(SPARE), &mut spare), (&staging.path(), &begun)) {
        let path = dir.join(SPARE);
        let file = File::open(&path).at("open", &path)?;
        durable::sync_file(&file, &path)?;
        write_log(&dir.join(SPARE_ARRIVED), spare.iter())?;
    }
    // From here on nothing is known of the file; that the directory is worth keeping, is.
    durable::write(&dir.join(JOURNAL), &[])?;
    durable::remove_file(&dir.join(WANTED))?;
    durable::remove_file(&dir.join(ARRIVED))?;
    durable::sync_dir(dir)?;
    if better {
        durable::rename(&staging.path(), &dir.join(SPARE))?;
        durable::sync_dir(dir)?;
        write_log(&dir.join(SPARE_ARRIVED), begun.iter())?;
    } else {
        durable::remove_file(&staging.path())?;
    }
    if !better && spare.is_empty() {
        forget_spare(dir)?;
    }
    durable::sync_dir(dir)
}

pub(super) fn forget_spare(dir: &Path) -> Result<()> {
    durable::remove_file(&dir.join(SPARE_ARRIVED))?;
    durable::remove_file(&dir.join(SPARE))
}

/// The pieces that an earlier upload left.
pub(in super::super) fn spare(stage: &Path) -> Option<Local> {
    let path = stage.join(SPARE);
    std::fs::symlink_metadata(&path).ok()?;
    let pieces = logged(&stage.join(SPARE_ARRIVED), &path);
    Some(Local {
        stored: Stored::open(&path).ok()?,
        layout: Layout::loose(pieces),
    })
}
