//! Pieces that are not sent, because images here have them.

use std::ops::Range;

use azud_core::assembly::{Origin, Piece, Run};

use super::Inbox;
use crate::assembly::fill::take_over;
use crate::assembly::look::shares;
use crate::assembly::lookup::Lookup;
use crate::error::{Result, StoreError};

impl Inbox {
    /// Where pieces lie in images here.
    ///
    /// # Errors
    /// What the system says of the image's folder.
    pub fn look_around(&self) -> Result<Lookup> {
        Lookup::of(&self.image, self.around.as_ref())
    }

    /// Takes over those pieces that images here have, as if they had been sent. Numbers of those that are still to be
    /// sent, and how many bytes need not.
    ///
    /// # Errors
    /// As [`Inbox::begin`]; what the system says.
    pub fn take_over(&self, pieces: &[Piece], lookup: &Lookup) -> Result<(Vec<Range<usize>>, u64)> {
        let shares = shares(&self.image)?;
        let mut reading = lookup.reading();
        let (mut lacking, mut taken) = (Vec::new(), 0);
        for (number, piece) in pieces.iter().enumerate() {
            let incoming = match self.begin(*piece) {
                Ok(None) => continue,
                Ok(incoming) => incoming,
                // Whoever sends it may yet break off.
                Err(StoreError::Coming(_)) => None,
                Err(error) => return Err(error),
            };
            let found = incoming.and_then(|incoming| Some((incoming, reading.find(piece)?)));
            let Some((incoming, (stored, offset, bytes))) = found else {
                lacking.push(number..number + 1);
                continue;
            };
            let origin = Origin::Local { file: 0, offset };
            let run = Run {
                first: 0,
                count: 1,
                offset: piece.offset,
                len: piece.len.into(),
                origin,
            };
            let to = (&self.file, self.path.as_path());
            take_over(to, (&run, bytes), (stored, shares))?;
            self.note(&incoming)?;
            taken += run.len;
        }
        Ok((lacking, taken))
    }
}
