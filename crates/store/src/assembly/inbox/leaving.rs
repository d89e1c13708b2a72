//! The end of an upload that did not come to its end, and its going on.

use std::ffi::OsString;
use std::fs::File;
use std::path::Path;

use azud_core::assembly::Piece;
use azud_core::name::ImageFile;

use super::super::state::{State, may_have_moved};
use super::Inbox;
use super::kept::{ARRIVED, SENDER, SPARE, SPARE_ARRIVED, SWAP, end_of};
use crate::durable;
use crate::error::{At, Result};
use crate::owner::OWNER;
use crate::room::{Room, on_medium};
use crate::stage::{JOURNAL, file_in_making};

impl Inbox {
    /// Leaves what arrived to the next one. Others get the room that was set aside for what did not, and where nothing
    /// arrived, nothing stays.
    ///
    /// # Errors
    /// What the system says.
    pub fn leave(self) -> Result<()> {
        let end = {
            let held = self.held();
            let there = held.pieces.values().filter(|(_, there)| *there);
            there.map(|(piece, _)| Piece::end(piece)).max().unwrap_or(0)
        };
        if is_nothing(self.staging.dir(), end)? {
            return self.staging.abandon();
        }
        self.file.set_len(end).at("set the length of", &self.path)
    }
}

/// Whether nothing came of an upload, the one whose place it took included.
fn is_nothing(stage: &Path, end: u64) -> Result<bool> {
    Ok(end == 0 && durable::file_size(&stage.join(SPARE_ARRIVED))?.is_none())
}

/// What does not count as room that is set aside, in bytes: file systems take some for themselves.
const SLACK: u64 = 1 << 20;

/// What an upload has of which no log says anything, beside its file.
const WITHOUT_LOG: [&str; 6] = [OWNER, JOURNAL, SENDER, SPARE, SPARE_ARRIVED, SWAP];

/// Whether a stage holds an upload of which no log says anything: there was no room to set aside, a piece was found
/// damaged, or its process was killed between two steps. Of whatever else is there nobody here knows enough.
fn is_forgotten(stage: &Path) -> Result<bool> {
    let file = file_in_making(stage);
    let file = file.as_deref().and_then(Path::file_name);
    let is_its = |name: &OsString| {
        file == Some(name.as_os_str()) || WITHOUT_LOG.iter().any(|known| name == known)
    };
    // Who receives an image has said what it is before there is a journal, which is never empty.
    let is_sent = durable::file_size(&stage.join(JOURNAL))? == Some(0)
        || durable::file_size(&stage.join(SENDER))?.is_some();
    Ok(is_sent && durable::files(stage)?.iter().all(is_its))
}

/// As [`Inbox::leave`], for an upload whose process has ended in its midst. The caller holds the lock of the directory
/// above, so that nobody goes on meanwhile. Returns whether nothing has to stay.
pub(crate) fn leave_for(stage: &Path) -> Result<bool> {
    if may_have_moved(stage) {
        return Ok(false);
    }
    let arrived = match end_of(&stage.join(ARRIVED)) {
        Some(end) => end,
        None if is_forgotten(stage)? => 0,
        None => return Ok(false),
    };
    let verified = State::read(stage).map(|State { wanted, record }| wanted.only(&record.verified));
    let verified = verified.and_then(|there| there.pieces().last().map(Piece::end));
    let end = arrived.max(verified.unwrap_or(0));
    if is_nothing(stage, end)? {
        return Ok(true);
    }
    let Some(path) = file_in_making(stage) else {
        return Ok(false);
    };
    let file = durable::reopen(&path)?;
    let meta = file.metadata().at("look at", &path)?;
    if on_medium(&meta) > end.saturating_add(SLACK) {
        file.set_len(end).at("set the length of", &path)?;
    }
    Ok(false)
}

/// Sets aside again what a broken-off upload gave back.
pub(super) fn set_room_aside(
    image: &ImageFile,
    (file, path): (&File, &Path),
    limit: u64,
) -> Result<()> {
    let there = on_medium(&file.metadata().at("look at", path)?);
    let rest = limit.saturating_sub(there);
    Room::of(image.dir())?.refuse(&image.path(), rest)?;
    durable::reserve(file, path, 0, limit)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use azud_core::name::ImageFile;

    use super::{JOURNAL, SENDER, leave_for};
    use crate::stage::assembly;

    #[test]
    fn what_an_old_image_may_lack_stays() {
        for (journal, stays) in [(&b"of a newer program"[..], true), (b"", false)] {
            let dir = tempfile::tempdir().unwrap();
            let image = ImageFile::in_dir(dir.path(), "x.img").unwrap();
            let stage = assembly(&image);
            fs::create_dir(&stage).unwrap();
            fs::write(stage.join(JOURNAL), journal).unwrap();
            fs::write(stage.join(SENDER), "og").unwrap();
            let file = stage.join("x.img");
            fs::write(&file, vec![1; 2 << 20]).unwrap();
            assert_eq!(leave_for(&stage).unwrap(), !stays);
            assert_eq!(fs::metadata(&file).unwrap().len(), 2 << 20);
        }
    }
}
