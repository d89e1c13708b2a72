//! Repair: bytes of a damaged image are fetched again from another copy, those alone and only if they are right.
//!
//! What every byte must be is told by the [`Outline`]: of the image itself, or, when its own ending is
//! damaged, of a copy that the caller knows to be the same image. Only ranges that are wrong already are
//! written, and only with bytes that match their hash: whenever it stops, no good byte has become a bad one.

use std::collections::HashMap;
use std::io;

use azud_core::format::Hash;
use azud_core::io::ReadAt;
use azud_core::progress::{Interrupted, Phase, Progress};

use crate::error::ImageError;
use crate::indexed::Indexed;

/// What every byte of an image must be. It is read from the ending alone, so that damage in header or
/// bitmap does not hide it.
#[derive(Debug)]
pub struct Outline {
    indexed: Indexed,
    /// Everything after the frames.
    ending: Vec<u8>,
    /// Where that begins.
    ending_at: u64,
}

/// What is wrong with a file, measured by an outline.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Damage {
    /// Numbers of the frames that are not what they must be, ascending.
    pub frames: Vec<usize>,
    /// Whether what follows the frames is wrong.
    pub ending: bool,
}

/// What a repair did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Repaired {
    /// Frames that were written.
    pub frames: usize,
    /// Bytes read from the other copy to be written, its own index not counted.
    pub fetched: u64,
}

/// Writes bytes of the image at an offset.
pub type Patch<'a> = dyn FnMut(&[u8], u64) -> io::Result<()> + 'a;

impl Damage {
    /// Whether nothing is wrong.
    pub fn is_none(&self) -> bool {
        self.frames.is_empty() && !self.ending
    }
}

impl Outline {
    /// Reads the ending of an image and checks it.
    ///
    /// # Errors
    /// `Format`, `Read`.
    pub fn open(file: &dyn ReadAt) -> Result<Self, ImageError> {
        let indexed = Indexed::open(file)?;
        let lens = indexed
            .frames()
            .iter()
            .map(|frame| u64::from(frame.compressed_len));
        let ending_at = lens.sum();
        // The index was just read from there, so this is no more than fits in memory.
        let len = usize::try_from(file.len().saturating_sub(ending_at)).unwrap_or(usize::MAX);
        let mut ending = vec![0; len];
        file.read_exact_at(&mut ending, ending_at)
            .map_err(|source| ImageError::Read {
                offset: ending_at,
                source,
            })?;
        Ok(Self {
            indexed,
            ending,
            ending_at,
        })
    }

    /// The identity of the image.
    pub fn identity(&self) -> &Hash {
        self.indexed.identity()
    }

    /// How many frames it has.
    pub fn frames(&self) -> usize {
        self.indexed.frames().len()
    }

    /// Where a frame lies in the file, and its length.
    pub fn range(&self, frame: usize) -> (u64, u32) {
        let len = self.indexed.frames()[frame].compressed_len;
        (self.indexed.offset(frame), len)
    }

    /// The length of the file.
    pub fn file_len(&self) -> u64 {
        self.ending_at + self.ending.len() as u64
    }

    /// How many bytes are to be written anew.
    pub fn to_fetch(&self, damage: &Damage) -> u64 {
        let frames = damage.frames.iter();
        let frames: u64 = frames.map(|&frame| u64::from(self.range(frame).1)).sum();
        let ending = damage.ending.then_some(self.ending.len() as u64);
        frames + ending.unwrap_or_default()
    }

    /// Reads a file once, from its beginning to its end, and says what is wrong with it. What cannot be
    /// read counts as wrong: the medium may take it when it is written anew.
    ///
    /// # Errors
    /// [`Interrupted`], when that is asked for.
    pub fn check(&self, file: &dyn ReadAt, progress: &dyn Progress) -> Result<Damage, Interrupted> {
        progress.begin(Phase::Verify, self.ending_at);
        let mut bytes = Vec::new();
        let mut frames = Vec::new();
        for (number, frame) in self.indexed.frames().iter().enumerate() {
            if self.indexed.read_frame(file, number, &mut bytes).is_err() {
                frames.push(number);
            }
            progress.advance(frame.compressed_len.into())?;
        }
        let ending = self.has_other_ending(file);
        progress.end();
        Ok(Damage { frames, ending })
    }

    /// Looks again at what was found wrong.
    pub fn check_again(&self, file: &dyn ReadAt, damage: &Damage) -> Damage {
        let mut bytes = Vec::new();
        let mut frames = damage.frames.clone();
        frames.retain(|&number| self.indexed.read_frame(file, number, &mut bytes).is_err());
        let ending = self.has_other_ending(file);
        Damage { frames, ending }
    }

    fn has_other_ending(&self, file: &dyn ReadAt) -> bool {
        let mut found = vec![0; self.ending.len()];
        let read = file.read_exact_at(&mut found, self.ending_at);
        file.len() != self.file_len() || read.is_err() || found != self.ending
    }

    /// Writes what is wrong anew, from frames of another copy: of this image, or of any that holds
    /// frames of the same bytes. The caller makes it durable and checks again.
    ///
    /// # Errors
    /// `Frames` with those that the other copy does not have either, when all others are written; `Write`, `Interrupted`.
    pub fn repair(
        &self,
        damage: &Damage,
        (other, from): (&Outline, &dyn ReadAt),
        patch: &mut Patch<'_>,
        progress: &dyn Progress,
    ) -> Result<Repaired, ImageError> {
        let theirs = other.indexed.frames().iter().enumerate();
        let places: HashMap<&Hash, usize> = theirs
            .map(|(number, frame)| (&frame.compressed_hash, number))
            .collect();
        let frames = self.indexed.frames();
        let len = |number: &usize| u64::from(frames[*number].compressed_len);
        progress.begin(Phase::Repair, damage.frames.iter().map(len).sum());
        let mut done = Repaired::default();
        let mut bad = Vec::new();
        let mut bytes = Vec::new();
        for &number in &damage.frames {
            let place = places.get(&frames[number].compressed_hash);
            let read = place.map(|&place| other.indexed.read_frame(from, place, &mut bytes));
            // Equal hashes mean equal bytes; a row that lies about its length does not get that far.
            if !matches!(read, Some(Ok(()))) || bytes.len() as u64 != len(&number) {
                bad.push(number);
                continue;
            }
            let offset = self.indexed.offset(number);
            patch(&bytes, offset).map_err(|source| ImageError::Write { source })?;
            done.frames += 1;
            done.fetched += bytes.len() as u64;
            progress.advance(bytes.len() as u64)?;
        }
        if damage.ending {
            patch(&self.ending, self.ending_at).map_err(|source| ImageError::Write { source })?;
            done.fetched += self.ending.len() as u64;
        }
        if bad.is_empty() {
            progress.end();
            return Ok(done);
        }
        Err(ImageError::Frames {
            bad,
            total: self.frames(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Damage, Outline, Repaired};
    use crate::ImageError;
    use azud_core::progress::Silent;

    const IMAGE: &[u8] = include_bytes!("../tests/golden/v1.img");

    fn outline() -> Outline {
        Outline::open(&IMAGE.to_vec()).unwrap()
    }

    fn repair(outline: &Outline, image: &mut [u8], from: &[u8]) -> Result<Repaired, ImageError> {
        let damage = outline.check(&image.to_vec(), &Silent).unwrap();
        let other = Outline::open(&from.to_vec()).unwrap();
        let mut patch = |bytes: &[u8], offset: u64| {
            let at = usize::try_from(offset).unwrap();
            image[at..at + bytes.len()].copy_from_slice(bytes);
            Ok(())
        };
        outline.repair(&damage, (&other, &from.to_vec()), &mut patch, &Silent)
    }

    #[test]
    fn every_flipped_byte_is_found_and_only_its_frame_is_fetched() {
        let outline = outline();
        let step = (IMAGE.len() / 300).max(1);
        for at in (0..IMAGE.len()).step_by(step) {
            let mut image = IMAGE.to_vec();
            image[at] ^= 0x40;
            let damage = outline.check(&image, &Silent).unwrap();
            let inside = |number: &usize| {
                let (offset, len) = outline.range(*number);
                (offset..offset + u64::from(len)).contains(&(at as u64))
            };
            let hit: Vec<usize> = (0..outline.frames()).filter(inside).collect();
            let ending = hit.is_empty();
            assert_eq!(
                damage,
                Damage {
                    frames: hit.clone(),
                    ending
                },
                "byte {at}"
            );
            let planned = outline.to_fetch(&damage);
            let done = repair(&outline, &mut image, IMAGE).unwrap();
            assert_eq!(image, IMAGE, "byte {at}");
            let fetched = match hit.first() {
                Some(number) => u64::from(outline.range(*number).1),
                None => outline.ending.len() as u64,
            };
            assert_eq!(planned, fetched, "what was said is what is done");
            assert_eq!((done.frames, done.fetched), (hit.len(), fetched));
        }
    }

    #[test]
    fn a_copy_with_the_same_damage_gives_nothing_bad() {
        let outline = outline();
        let mut image = IMAGE.to_vec();
        image[2] ^= 1;
        let last = outline.frames() - 1;
        let at = usize::try_from(outline.range(last).0).unwrap();
        image[at] ^= 1;
        let mut other = IMAGE.to_vec();
        other[at] ^= 2;
        let before = image[at];
        let error = repair(&outline, &mut image, &other).unwrap_err();
        assert!(matches!(error, ImageError::Frames { bad, .. } if bad == [last]));
        assert_eq!(
            (image[2], image[at]),
            (IMAGE[2], before),
            "one is whole, the other untouched"
        );
    }
}
