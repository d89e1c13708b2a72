//! An old image whose pieces have partly moved: read from both files, it is whole.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use azud_core::assembly::Layout;
use azud_core::name::{ImageFile, folder_of};

use super::State;
use super::local::layout_beside;
use crate::stage::assembly;
use crate::stored::Stored;

/// Where the bytes of an image are.
#[derive(Debug)]
pub(crate) enum Parts {
    /// In its file.
    Here,
    /// In two.
    Moved(Moved),
    /// Some may have moved, and nobody can tell which.
    Unknown,
}

/// Where those parts of an old image are that have moved.
#[derive(Debug)]
pub(crate) struct Moved {
    file: File,
    /// First byte, byte after the last, and the first byte in the new file; ascending.
    parts: Vec<(u64, u64, u64)>,
}

impl Parts {
    /// Looks whether parts of a file have moved.
    pub(crate) fn of(old: &Stored) -> Self {
        // The update is one of what a link leads to.
        let Ok(path) = behind(old.path()) else {
            return Self::Unknown;
        };
        let name = path.file_name().and_then(|name| name.to_str());
        let image = name.map(|name| ImageFile::in_dir(folder_of(&path), name));
        // What cannot name an image is moved by nobody.
        let Some(Ok(image)) = image else {
            return Self::Here;
        };
        let stage = assembly(&image);
        // Mostly there is nothing to see.
        if std::fs::symlink_metadata(&stage).is_err() {
            return Self::Here;
        }
        let Ok(state) = State::sure(&stage, &image) else {
            return Self::Unknown;
        };
        let moving = state.and_then(|state| Some((state.record.moving?, state)));
        let Some((moving, state)) = moving else {
            return Self::Here;
        };
        match layout_beside(old, &path) {
            Some(layout) if *layout.identity() != moving => Self::Here,
            Some(layout) => File::open(stage.join(image.name())).map_or(Self::Unknown, |file| {
                Self::Moved(Moved::of(&layout, &state, file))
            }),
            None => Self::Unknown,
        }
    }
}

/// The file that a name leads to.
fn behind(path: &Path) -> io::Result<PathBuf> {
    if std::fs::symlink_metadata(path)?.is_symlink() {
        return std::fs::canonicalize(path);
    }
    Ok(path.to_owned())
}

impl Moved {
    fn of(layout: &Layout, state: &State, file: File) -> Self {
        let there = state.wanted.pieces().iter().enumerate();
        let there = there.filter(|(number, _)| state.record.verified.get(*number as u64));
        let there: HashMap<_, _> = there
            .map(|(_, piece)| ((piece.hash, piece.len), piece.offset))
            .collect();
        let parts = layout.pieces().iter().filter_map(|piece| {
            let at = there.get(&(piece.hash, piece.len))?;
            Some((piece.offset, piece.end(), *at))
        });
        Self {
            parts: parts.collect(),
            file,
        }
    }

    /// Reads the old image.
    pub(crate) fn read(&self, old: &File, buf: &mut [u8], offset: u64) -> io::Result<()> {
        let mut at = offset;
        let mut rest = buf;
        let mut next = self.parts.partition_point(|(_, end, _)| *end <= offset);
        while !rest.is_empty() {
            let left = rest.len() as u64;
            let (len, from) = match self.parts.get(next) {
                Some(&(start, end, to)) if start <= at => {
                    next += 1;
                    (left.min(end - at), Some(to + (at - start)))
                }
                Some(&(start, ..)) => (left.min(start - at), None),
                None => (left, None),
            };
            let len = usize::try_from(len).expect("no more than the buffer");
            let (now, later) = rest.split_at_mut(len);
            match from {
                Some(from) => self.file.read_exact_at(now, from)?,
                None => old.read_exact_at(now, at)?,
            }
            at += len as u64;
            rest = later;
        }
        Ok(())
    }
}
