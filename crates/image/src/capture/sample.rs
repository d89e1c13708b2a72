//! How small the content of a volume becomes, told by pieces of it: for whoever has to know before there is an image.

use std::io::{self, Read};

use azud_core::bitmap::Bitmap;
use azud_core::io::ReadAt;

use super::DeviceContent;
use crate::codec::Encoder;
use crate::fs::Volume;

/// So many pieces are looked at.
const PIECES: u64 = 32;
/// Of so many bytes each: about a frame, for what is alike within one is compressed together.
const PIECE: u64 = 2 << 20;
/// No piece is compressed harder than this, which would take long.
const LEVEL: i32 = 6;
/// What harder levels may make of it.
const HARDER: f64 = 0.5;

/// What pieces of a volume's content tell of the frames of an image of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// Bytes that its frames will have, by the pieces' mean.
    pub likely: u64,
    /// Bytes that they hardly can stay below: three standard errors less, at least as much as what pieces may have
    /// missed that are all alike, and a little for frames that are cut elsewhere.
    pub least: u64,
}

/// Reads and compresses pieces of the used blocks of `device`, from all parts of it; all of a small volume.
///
/// # Errors
/// What the device says.
pub fn sample(device: &dyn ReadAt, volume: &Volume, level: i32) -> io::Result<Sample> {
    let used = volume.used_bytes();
    let block = u64::from(volume.block_size);
    let starts = starts(&volume.used, (PIECE / block).max(1));
    let mut encoder = Encoder::new(level.min(LEVEL));
    let (mut content, mut frame) = (Vec::new(), Vec::new());
    let (mut read, mut packed) = (0, 0);
    let mut shares = Vec::new();
    for start in starts {
        content.clear();
        DeviceContent::new(device, &volume.used, volume.block_size)
            .starting_at(start)
            .take(PIECE.max(block))
            .read_to_end(&mut content)?;
        if content.is_empty() {
            continue;
        }
        encoder.encode(&content, &mut frame);
        read += content.len() as u64;
        packed += frame.len() as u64;
        shares.push(share(frame.len() as u64, content.len() as u64));
    }
    let mean = share(packed, read);
    let doubt = if read >= used { 0.0 } else { doubt(&shares) };
    let harder = if level > LEVEL { HARDER } else { 1.0 };
    let surely = (mean - doubt).max(0.0) * harder * 15.0 / 16.0;
    Ok(Sample {
        likely: part(used, mean),
        least: part(used, surely),
    })
}

/// The blocks at which pieces begin: one anywhere in each of equal parts of what is used, or all that there are.
fn starts(used: &Bitmap, piece: u64) -> Vec<u64> {
    let pieces = used.count().div_ceil(piece);
    let ordinal = |at: u64| {
        if pieces <= PIECES {
            return at * piece;
        }
        // Of the same volume always the same, but in step with nothing that is on it.
        let room = (used.count() / PIECES).saturating_sub(piece);
        let shift = at.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
        at * (used.count() / PIECES) + shift % (room + 1)
    };
    let mut wanted = (0..pieces.min(PIECES)).map(ordinal).peekable();
    let mut starts = Vec::new();
    let mut before = 0;
    for run in used.runs() {
        while let Some(at) = wanted.next_if(|at| *at < before + run.count) {
            starts.push(run.start + (at - before));
        }
        before += run.count;
    }
    starts
}

/// By how much the mean of what was drawn may be too large: three standard errors, and no less than what is in none of
/// so many draws (the rule of three: Hanley and Lippman-Hand, 1983).
#[allow(clippy::cast_precision_loss, reason = "a handful")]
fn doubt(shares: &[f64]) -> f64 {
    let count = shares.len() as f64;
    let mean = shares.iter().sum::<f64>() / count;
    let spread = shares
        .iter()
        .map(|share| (share - mean).powi(2))
        .sum::<f64>();
    let error = (spread / (count - 1.0).max(1.0) / count).sqrt();
    3.0 * error.max(1.0 / count)
}

#[allow(clippy::cast_precision_loss, reason = "an estimate")]
fn share(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}

#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an estimate, and not negative"
)]
fn part(whole: u64, share: f64) -> u64 {
    (whole as f64 * share) as u64
}

#[cfg(test)]
mod tests {
    use std::io;

    use azud_core::io::ReadAt;

    use super::{Sample, sample};
    use crate::fs::raw;

    /// Random bytes up to an offset, zeros behind it.
    struct Half(u64);

    impl ReadAt for Half {
        fn len(&self) -> u64 {
            u64::MAX
        }

        fn read_exact_at(&self, out: &mut [u8], offset: u64) -> io::Result<()> {
            let mut state = offset | 1;
            for (at, byte) in (offset..).zip(out) {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(at);
                *byte = if at < self.0 { (state >> 56) as u8 } else { 0 };
            }
            Ok(())
        }
    }

    #[test]
    fn pieces_tell_how_small_a_volume_becomes() {
        const MIB: u64 = 1 << 20;
        let of = |random: u64, size: u64| sample(&Half(random), &raw::map(size), 3).unwrap();
        let zeros = of(0, 1024 * MIB);
        assert!(
            zeros.likely < MIB && zeros.least <= zeros.likely,
            "{zeros:?}"
        );
        let Sample { likely, least } = of(u64::MAX, 1024 * MIB);
        assert!(
            likely >= 1024 * MIB && (850 * MIB..900 * MIB).contains(&least),
            "{likely} {least}"
        );
        let Sample { likely, least } = of(512 * MIB, 1024 * MIB);
        assert!(likely.abs_diff(512 * MIB) < 64 * MIB, "{likely}");
        assert!(least > 128 * MIB && least < 400 * MIB, "{least}");
        // All of a small one is looked at.
        let Sample { likely, least } = of(5 * MIB, 20 * MIB);
        assert!(likely.abs_diff(5 * MIB) < MIB / 4, "{likely}");
        assert!(least > 4 * MIB && least < 5 * MIB, "{least}");
    }
}
