//! The only owner of libzstd for frames: one frame in, one frame out, always with checksum and content size.

use azud_core::format::frame;
use zstd_safe::{CCtx, CParameter, DCtx, DParameter};

use crate::error::ImageError;

/// Lowest and highest compression level offered.
pub const LEVELS: std::ops::RangeInclusive<i32> = 1..=19;

/// Level that is fast enough to keep up with a disk.
pub const DEFAULT_LEVEL: i32 = 3;

/// The version of libzstd that is linked, e.g. `1.5.7`.
pub fn zstd_version() -> &'static str {
    zstd_safe::version_string()
}

/// Compresses contents to frames.
pub(crate) struct Encoder {
    context: CCtx<'static>,
}

impl Encoder {
    pub(crate) fn new(level: i32) -> Self {
        let mut context = CCtx::create();
        for parameter in [
            CParameter::CompressionLevel(level),
            CParameter::ChecksumFlag(true),
            CParameter::ContentSizeFlag(true),
            CParameter::DictIdFlag(false),
        ] {
            context
                .set_parameter(parameter)
                .expect("parameters within libzstd's documented bounds");
        }
        Self { context }
    }

    /// Replaces `out` by the frame of `content`.
    pub(crate) fn encode(&mut self, content: &[u8], out: &mut Vec<u8>) {
        out.clear();
        out.reserve(zstd_safe::compress_bound(content.len()));
        self.context
            .compress2(out, content)
            .expect("the output has room for the worst case");
    }
}

/// Decodes frames to contents of known length.
pub(crate) struct Decoder {
    context: DCtx<'static>,
}

impl Decoder {
    pub(crate) fn new() -> Self {
        let mut context = DCtx::create();
        context
            .set_parameter(DParameter::WindowLogMax(27))
            .expect("within libzstd's bounds");
        Self { context }
    }

    /// Fills `out` from `frame`, which must be exactly one frame as the format asks for; zstd's own
    /// checksum is verified.
    ///
    /// # Errors
    /// `Frame` with number `number` when it does not decode to exactly `out.len()` bytes.
    pub(crate) fn decode(
        &mut self,
        number: usize,
        frame: &[u8],
        out: &mut [u8],
    ) -> Result<(), ImageError> {
        let len = out.len();
        check_one(frame, len).map_err(|what| ImageError::Frame { number, what })?;
        match self.context.decompress(out, frame) {
            Ok(got) if got == len => Ok(()),
            Ok(got) => Err(ImageError::Frame {
                number,
                what: format!("decodes to {got} bytes instead of {len}"),
            }),
            Err(code) => Err(ImageError::Frame {
                number,
                what: zstd_safe::get_error_name(code).to_owned(),
            }),
        }
    }
}

/// Whether `bytes` are one frame with a checksum and a content of `len` bytes, and nothing else.
fn check_one(bytes: &[u8], len: usize) -> Result<(), String> {
    let header = frame::parse_header(bytes).map_err(|error| error.to_string())?;
    if header.content_len as usize != len {
        return Err(format!(
            "its header tells {} bytes instead of {len}",
            header.content_len
        ));
    }
    match zstd_safe::find_frame_compressed_size(bytes) {
        Ok(whole) if whole == bytes.len() => Ok(()),
        _ => Err("it is not one whole frame".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::{Encoder, LEVELS};

    /// Text that does not repeat itself too much.
    fn content(len: usize) -> Vec<u8> {
        let words =
            (0u32..).flat_map(|n| format!("{} ", n.wrapping_mul(2_654_435_761)).into_bytes());
        words.take(len).collect()
    }

    /// What libzstd chooses depends on sizes; what a context did before must not leave a trace in the bytes.
    #[test]
    fn a_context_that_was_used_gives_the_bytes_of_a_fresh_one() {
        let contents = [1, 200_000, 110, 70_000, 0, 200_001].map(content);
        for level in LEVELS {
            let mut used = Encoder::new(level);
            for content in &contents {
                let (mut again, mut fresh) = (Vec::new(), Vec::new());
                used.encode(content, &mut again);
                Encoder::new(level).encode(content, &mut fresh);
                assert!(again == fresh, "level {level}, {} bytes", content.len());
            }
        }
    }
}
