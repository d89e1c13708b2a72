//! What a client and a manager say to each other while an image is sent, `docs/formats/upload.md`.
//!
//! A piece travels as a record of [`RECORD_LEN`] bytes and its own bytes behind it. It says where in the file it
//! belongs, so that nothing has to be moved when the last one is there.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::assembly::Piece;
use crate::format::{MAX_FRAME_CONTENT, frame};

/// Bytes of a record: offset, length, four zeros, hash.
pub const RECORD_LEN: usize = 48;

/// The most bytes of records and pieces in one request.
pub const MAX_BATCH: u64 = 64 << 20;

/// The most pieces that are asked for at once. They are no longer than [`MAX_BATCH`], all together.
pub const MAX_ASKED: usize = 4096;

/// The most bytes of a description: that of the largest native image.
pub const MAX_DESCRIPTION: u64 = crate::format::index::MAX_INDEX + (64 << 20);

/// The most bytes of a side file that goes along.
pub const MAX_BESIDE: u64 = 32 << 20;

/// The most bytes of a piece.
pub fn max_piece() -> u32 {
    u32::try_from(frame::bound(MAX_FRAME_CONTENT)).unwrap_or(u32::MAX)
}

/// Bytes that are no record of a piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the record of a piece: {0}")]
pub struct BadRecord(pub &'static str);

/// The record of a piece.
pub fn encode(piece: &Piece) -> [u8; RECORD_LEN] {
    let mut out = [0; RECORD_LEN];
    out[..8].copy_from_slice(&piece.offset.to_le_bytes());
    out[8..12].copy_from_slice(&piece.len.to_le_bytes());
    out[16..].copy_from_slice(&piece.hash);
    out
}

/// Understands a record.
///
/// # Errors
/// When its length is none that a piece can have, or its end no number.
pub fn decode(record: &[u8; RECORD_LEN]) -> Result<Piece, BadRecord> {
    let (offset, rest) = record.split_first_chunk().expect("longer than this");
    let (len, rest) = rest.split_first_chunk().expect("longer than this");
    let (zeros, hash) = rest.split_first_chunk::<4>().expect("longer than this");
    let piece = Piece {
        offset: u64::from_le_bytes(*offset),
        len: u32::from_le_bytes(*len),
        hash: hash.try_into().expect("what is left are 32 bytes"),
    };
    if *zeros != [0; 4] {
        return Err(BadRecord("bytes that must be zero are not"));
    }
    if piece.len == 0 || piece.len > max_piece() {
        return Err(BadRecord("no piece has this length"));
    }
    if piece.offset.checked_add(piece.len.into()).is_none() {
        return Err(BadRecord("its end is beyond every file"));
    }
    Ok(piece)
}

/// What an upload begins with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Opening {
    /// The image, by its name in the repository.
    pub name: String,
    /// The most bytes that it can have: room for them is set aside.
    pub bytes: u64,
    /// The line of `.info`, if there is to be one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub info: Option<String>,
    /// Who sends, in words of its own: shown to others who want to send the same image.
    #[serde(default)]
    pub sender: String,
    /// Whose upload may be taken over, because the client knows that it is dead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instead_of: Option<String>,
    /// Whether it is only asked if it could begin: nothing is locked, reserved or made.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rehearsal: bool,
}

/// An upload that was begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Opened {
    /// How it is called; empty after a rehearsal.
    pub id: String,
    /// Bytes of pieces that an earlier upload of this name left.
    pub arrived: u64,
    /// After a rehearsal: former versions that the manager's rules would send away for good.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub purges: Vec<Going>,
}

/// What images of a manager have of pieces that it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Held {
    /// Pieces that are to be sent: number of the first and how many, in the order of the question. All others are at
    /// their places by now.
    pub lacking: Vec<(usize, usize)>,
    /// Whether there is no image that could have any: then it is of no use to ask again.
    pub in_vain: bool,
}

/// Numbers in runs: the first and how many.
pub fn in_runs(ranges: impl IntoIterator<Item = Range<usize>>) -> Vec<(usize, usize)> {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for range in ranges {
        match runs.last_mut() {
            Some((first, count)) if *first + *count == range.start => *count += range.len(),
            _ => runs.push((range.start, range.len())),
        }
    }
    runs
}

/// A former version that goes for good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Going {
    /// The image's name in its folder.
    pub image: String,
    /// The version's name in the trash.
    pub version: String,
    /// Bytes of the image and what belongs to it.
    pub bytes: u64,
    /// When it was replaced, in seconds since 1970.
    pub replaced: u64,
}

/// How an upload stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "lowercase")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "schema", schema(as = UploadState))]
pub enum State {
    /// Pieces can be sent.
    Receiving,
    /// The manager puts the image together.
    Working {
        /// Bytes done of the present round.
        done: u64,
        /// Of so many.
        total: u64,
    },
    /// Pieces are still to be sent: number of the first and how many, in the order of the image.
    Lacking {
        /// Which.
        pieces: Vec<(usize, usize)>,
    },
    /// The image is published.
    Done {
        /// Who it is.
        identity: String,
        /// Its bytes.
        size: u64,
        /// `copy`, or `nothing` where it was there already.
        way: String,
        /// Bytes that images of the manager had.
        held: u64,
        /// Whether a former version went to the trash.
        replaced: bool,
        /// Bytes of older versions that the manager's rules sent away for good.
        #[serde(default)]
        purged: u64,
    },
    /// It could not be put together; what arrived stays for the next upload.
    Failed {
        /// The stable code.
        code: String,
        /// What happened.
        detail: String,
    },
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{RECORD_LEN, decode, encode, in_runs, max_piece};
    use crate::assembly::Piece;

    #[test]
    fn golden_the_bytes_are_pinned() {
        let piece = Piece {
            offset: 0x0102_0304_0506,
            len: 0x0708,
            hash: [9; 32],
        };
        let bytes = encode(&piece);
        assert_eq!(
            bytes[..16],
            *b"\x06\x05\x04\x03\x02\x01\0\0\x08\x07\0\0\0\0\0\0"
        );
        assert_eq!(bytes[16..], [9; 32]);
        assert_eq!(decode(&bytes), Ok(piece));
    }

    #[test]
    fn records_of_no_piece_are_refused() {
        let piece = |offset, len| Piece {
            offset,
            len,
            hash: [0; 32],
        };
        for bad in [piece(0, 0), piece(0, max_piece() + 1), piece(u64::MAX, 1)] {
            assert!(decode(&encode(&bad)).is_err(), "{bad:?}");
        }
        let mut odd = encode(&piece(0, 1));
        odd[12] = 1;
        assert!(decode(&odd).is_err());
    }

    #[test]
    fn adjacent_numbers_are_one_run() {
        assert_eq!(in_runs([0..1, 1..4, 6..7]), [(0, 4), (6, 1)]);
        assert_eq!(in_runs([]), []);
    }

    proptest! {
        #[test]
        fn proptest_records_round_trip_and_garbage_never_panics(bytes in any::<[u8; 16]>(), hash in any::<[u8; 32]>()) {
            let mut record = [0; RECORD_LEN];
            record[..16].copy_from_slice(&bytes);
            record[16..].copy_from_slice(&hash);
            if let Ok(piece) = decode(&record) {
                prop_assert_eq!(encode(&piece), record);
            }
        }
    }
}
