//! Reading a native image from a stream, frame by frame, before its index is known.

use std::io::{self, Read};

use azud_core::format::container::{self, SEEK_FOOTER_LEN, SKIPPABLE_HEADER, TRAILER_LEN, Trailer};
use azud_core::format::frame::{self, FrameHeader};
use azud_core::format::index::{Index, MAX_FACTS, MAX_TAILS, ROW_LEN};
use azud_core::format::{FormatError, Hash, MAX_FRAMES};

use crate::error::ImageError;

/// What is known of a frame that has passed.
#[derive(Debug, Clone, Copy)]
struct Passed {
    compressed_len: u32,
    content_len: u32,
    hash: Hash,
}

/// The frames of a stream, then its ending.
pub(super) struct Scanner<R> {
    input: R,
    offset: u64,
    passed: Vec<Passed>,
    ending: Option<[u8; 4]>,
}

impl<R: Read> Scanner<R> {
    pub(super) fn new(input: R) -> Self {
        Self {
            input,
            offset: 0,
            passed: Vec::new(),
            ending: None,
        }
    }

    /// How many frames have passed.
    pub(super) fn count(&self) -> usize {
        self.passed.len()
    }

    fn fill(&mut self, buf: &mut [u8], what: &'static str) -> Result<(), ImageError> {
        self.input
            .read_exact(buf)
            .map_err(|source| match source.kind() {
                io::ErrorKind::UnexpectedEof => FormatError::Truncated(what).into(),
                _ => ImageError::Read {
                    offset: self.offset,
                    source,
                },
            })?;
        self.offset += buf.len() as u64;
        Ok(())
    }

    /// Appends `len` bytes of the stream to `out`.
    fn take(
        &mut self,
        out: &mut Vec<u8>,
        len: usize,
        what: &'static str,
    ) -> Result<(), ImageError> {
        let start = out.len();
        out.resize(start + len, 0);
        self.fill(&mut out[start..], what)
    }

    /// The next frame and the length of its content; `None` when the frames are over.
    pub(super) fn next_frame(&mut self) -> Result<Option<(Vec<u8>, u32)>, ImageError> {
        if self.ending.is_some() {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        self.take(&mut bytes, 4, "the frames: there is no index")?;
        let mark: [u8; 4] = bytes[..4].try_into().expect("just read");
        if frame::is_skippable(u32::from_le_bytes(mark)) {
            self.ending = Some(mark);
            return Ok(None);
        }
        if self.passed.len() == MAX_FRAMES {
            return Err(FormatError::TooLarge {
                what: "number of frames",
                size: MAX_FRAMES as u64 + 1,
                limit: MAX_FRAMES as u64,
            }
            .into());
        }
        let header = self.frame_header(&mut bytes)?;
        let limit = frame::bound(header.content_len);
        loop {
            let mut block = [0; 3];
            self.fill(&mut block, "a frame")?;
            bytes.extend(block);
            let (len, last) = frame::parse_block_header(block)?;
            if bytes.len() + len > limit {
                return Err(FormatError::Corrupt(
                    "a frame that is longer than its content allows".into(),
                )
                .into());
            }
            self.take(&mut bytes, len, "a frame")?;
            if last {
                break;
            }
        }
        self.take(&mut bytes, 4, "a frame")?;
        self.passed.push(Passed {
            compressed_len: u32::try_from(bytes.len()).expect("bounded by the content"),
            content_len: header.content_len,
            hash: *blake3::hash(&bytes).as_bytes(),
        });
        Ok(Some((bytes, header.content_len)))
    }

    fn frame_header(&mut self, bytes: &mut Vec<u8>) -> Result<FrameHeader, ImageError> {
        loop {
            match frame::parse_header(bytes) {
                Ok(header) => return Ok(header),
                Err(FormatError::Truncated(_)) => self.take(bytes, 1, "a frame header")?,
                Err(error) if self.passed.is_empty() => {
                    return Err(if matches!(error, FormatError::Corrupt(_)) {
                        FormatError::NotNative("a native frame at the beginning").into()
                    } else {
                        error.into()
                    });
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Reads what follows the frames and checks that all that passed is what the index says.
    pub(super) fn ending(mut self) -> Result<(Index, Hash), ImageError> {
        let mark = self.ending.ok_or(FormatError::Truncated("the frames"))?;
        let mut head = [0; SKIPPABLE_HEADER];
        head[..4].copy_from_slice(&mark);
        self.fill(&mut head[4..], "the index")?;
        let len = u32::from_le_bytes(head[4..].try_into().expect("four bytes")) as usize;
        if u32::from_le_bytes(mark) != container::AZUD_MAGIC {
            return Err(FormatError::NotNative("the index").into());
        }
        let limit = self.passed.len() * ROW_LEN + MAX_FACTS + MAX_TAILS + (64 << 10);
        if len > limit {
            return Err(FormatError::TooLarge {
                what: "index",
                size: len as u64,
                limit: limit as u64,
            }
            .into());
        }
        let mut payload = Vec::new();
        self.take(&mut payload, len, "the index")?;
        let mut trailer = [0; TRAILER_LEN];
        self.fill(&mut trailer, "the trailer")?;
        let trailer = Trailer::parse(&trailer)?;
        let mut seek = Vec::new();
        let entries = self.passed.len() + 2;
        let whole = SKIPPABLE_HEADER + entries * 8 + SEEK_FOOTER_LEN;
        // One byte more, so that a table that is too long is seen as well.
        (&mut self.input)
            .take(whole as u64 + 1)
            .read_to_end(&mut seek)
            .map_err(|source| ImageError::Read {
                offset: self.offset,
                source,
            })?;
        if seek.len() < whole {
            return Err(FormatError::Truncated("the seek table").into());
        }
        let index = container::check(&trailer, &payload, &seek)?;
        self.compare(&index)?;
        Ok((index, trailer.identity))
    }

    fn compare(&self, index: &Index) -> Result<(), ImageError> {
        let differs = |(passed, frame): (&Passed, &azud_core::format::index::Frame)| {
            passed.compressed_len != frame.compressed_len
                || passed.content_len != frame.content_len
                || passed.hash != frame.compressed_hash
        };
        let bad: Vec<usize> = self
            .passed
            .iter()
            .zip(&index.frames)
            .enumerate()
            .filter(|(_, p)| differs(*p))
            .map(|(n, _)| n)
            .collect();
        if bad.is_empty() && self.passed.len() == index.frames.len() {
            return Ok(());
        }
        Err(ImageError::Frames {
            bad,
            total: index.frames.len(),
        })
    }
}

#[cfg(test)]
mod tests {
    use azud_core::format::{FormatError, MAX_FRAMES};

    use super::Scanner;
    use crate::codec::Encoder;
    use crate::error::ImageError;

    /// The same bytes over and over, for ever.
    struct Endless(Vec<u8>, usize);

    impl std::io::Read for Endless {
        fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
            let rest = &self.0[self.1..];
            let len = rest.len().min(out.len());
            out[..len].copy_from_slice(&rest[..len]);
            self.1 = (self.1 + len) % self.0.len();
            Ok(len)
        }
    }

    #[test]
    fn regression_a_stream_without_end_is_refused() {
        let mut frame = Vec::new();
        Encoder::new(1).encode(&[7], &mut frame);
        let mut scanner = Scanner::new(Endless(frame, 0));
        for _ in 0..MAX_FRAMES {
            scanner.next_frame().expect("a frame");
        }
        let error = scanner.next_frame().expect_err("more than the format has");
        let too_large = |e: &FormatError| matches!(e, FormatError::TooLarge { .. });
        assert!(
            matches!(&error, ImageError::Format(e) if too_large(e)),
            "{error}"
        );
    }
}
