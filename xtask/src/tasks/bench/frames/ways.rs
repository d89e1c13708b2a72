//! The ways of cutting that are compared, all through the engine's own capture: what is not its rule
//! is shown to it as a volume with huge blocks, of which each becomes a frame.

use std::io::{self, Read, Write};

use anyhow::Result;
use azud_core::bitmap::Bitmap;
use azud_core::cut::{DEFAULT_AVERAGE, DEFAULT_BEFORE_GAP, Lengths};
use azud_core::format::index::{Facts, Frame};
use azud_core::io::ReadAt;
use azud_core::progress::Silent;
use azud_image::capture::{CaptureOptions, DeviceContent, capture};
use azud_image::fs::{FsKind, Volume};

/// How frames are cut.
#[derive(Debug, Clone, Copy)]
pub(super) enum Way {
    /// At content-defined edges, this long on average.
    Content(u32),
    /// There, and at gaps between used blocks once they are as long as the second.
    Gaps(u32, u32),
    /// Every so many bytes of the stream of used blocks.
    Stream(u32),
    /// Where windows of the device end; unused blocks in them count as zeros.
    Device(u32),
}

impl Way {
    /// Everything that is compared.
    pub(super) const ALL: [Self; 13] = [
        Self::Content(64 << 10),
        Self::Content(128 << 10),
        Self::Content(256 << 10),
        Self::Content(512 << 10),
        Self::Content(1 << 20),
        Self::Gaps(768 << 10, 64 << 10),
        Self::Gaps(1 << 20, 64 << 10),
        Self::Gaps(1 << 20, 96 << 10),
        Self::Gaps(DEFAULT_AVERAGE, DEFAULT_BEFORE_GAP),
        Self::Stream(256 << 10),
        Self::Stream(1 << 20),
        Self::Device(256 << 10),
        Self::Device(1 << 20),
    ];

    /// As the table calls it.
    pub(super) fn name(self) -> String {
        match self {
            Self::Content(size) => format!("content-defined, {} KiB", size >> 10),
            Self::Gaps(size, gap) => format!(
                "content-defined, {} KiB, at gaps from {} KiB on",
                size >> 10,
                gap >> 10
            ),
            Self::Stream(size) => format!("every {} KiB of the stream", size >> 10),
            Self::Device(size) => format!("windows of {} KiB of the device", size >> 10),
        }
    }

    /// Captures a volume at level 3 into nothing.
    pub(super) fn cut(self, device: &dyn ReadAt, volume: &Volume) -> Result<Cut> {
        let content = || DeviceContent::new(device, &volume.used, volume.block_size);
        match self {
            Self::Content(average) => take(volume, of_content(average), content()),
            Self::Gaps(average, before_gap) => {
                let lengths = Lengths {
                    average,
                    before_gap,
                };
                take(volume, lengths, content())
            }
            Self::Stream(size) => {
                let count = volume.used_bytes().div_ceil(size.into());
                let fake = blocks(volume, size, Bitmap::full(count));
                let padding = count * u64::from(size) - volume.used_bytes();
                take(
                    &fake,
                    of_content(size),
                    content().chain(io::repeat(0).take(padding)),
                )
            }
            Self::Device(size) => {
                let per = u64::from(size / volume.block_size);
                let mut used = Bitmap::new(volume.used.len().div_ceil(per));
                for run in volume.used.runs() {
                    let first = run.start / per;
                    let last = (run.start + run.count - 1) / per;
                    used.set_range(first, last - first + 1);
                }
                let windows = WholeWindows {
                    device,
                    volume,
                    numbers: used.runs().flat_map(window_numbers),
                    buffer: vec![0; size as usize],
                    taken: size as usize,
                };
                take(
                    &blocks(volume, size, used.clone()),
                    of_content(size),
                    windows,
                )
            }
        }
    }
}

fn window_numbers(run: azud_core::bitmap::Run) -> std::ops::Range<u64> {
    run.start..run.start + run.count
}

/// What a capture came to.
pub(super) struct Cut {
    /// Bytes of the whole image.
    pub(super) file_len: u64,
    /// Header, bitmap and data, in order.
    pub(super) frames: Vec<Frame>,
}

impl Cut {
    /// Bytes that are not frames.
    pub(super) fn index_len(&self) -> u64 {
        let frames: u64 = self
            .frames
            .iter()
            .map(|f| u64::from(f.compressed_len))
            .sum();
        self.file_len - frames
    }
}

/// A volume of the same bytes in blocks of another size.
fn blocks(volume: &Volume, block_size: u32, used: Bitmap) -> Volume {
    Volume {
        kind: FsKind::Raw,
        block_size,
        device_size: used.len() * u64::from(block_size),
        claimed_used: used.count(),
        used,
        ..volume.clone()
    }
}

/// Gaps end no frame.
fn of_content(average: u32) -> Lengths {
    Lengths {
        average,
        before_gap: u32::MAX,
    }
}

fn take(volume: &Volume, lengths: Lengths, content: impl Read + Send) -> Result<Cut> {
    let options = CaptureOptions {
        level: azud_image::DEFAULT_LEVEL,
        base: None,
        lengths: Some(lengths),
        facts: Facts::default(),
    };
    let mut nowhere = io::sink();
    let out: &mut dyn Write = &mut nowhere;
    let done = capture(volume, Vec::new(), content, &options, (out, &Silent))?;
    Ok(Cut {
        file_len: done.file_len,
        frames: done.index.frames,
    })
}

/// Whole windows of a device, the unused blocks in them zero.
struct WholeWindows<'a, I> {
    device: &'a dyn ReadAt,
    volume: &'a Volume,
    numbers: I,
    buffer: Vec<u8>,
    taken: usize,
}

impl<I: Iterator<Item = u64>> WholeWindows<'_, I> {
    fn fill(&mut self, window: u64) -> io::Result<()> {
        self.buffer.fill(0);
        let size = u64::from(self.volume.block_size);
        let first = window * self.buffer.len() as u64 / size;
        let end = first + self.buffer.len() as u64 / size;
        for run in self.volume.used.runs_from(first) {
            if run.start >= end {
                break;
            }
            let stop = (run.start + run.count).min(end);
            let at = |block: u64| usize::try_from((block - first) * size).expect("within a window");
            let range = at(run.start)..at(stop);
            self.device
                .read_exact_at(&mut self.buffer[range], run.start * size)?;
        }
        self.taken = 0;
        Ok(())
    }
}

impl<I: Iterator<Item = u64>> Read for WholeWindows<'_, I> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.taken == self.buffer.len() {
            match self.numbers.next() {
                Some(window) => self.fill(window)?,
                None => return Ok(0),
            }
        }
        let len = out.len().min(self.buffer.len() - self.taken);
        out[..len].copy_from_slice(&self.buffer[self.taken..self.taken + len]);
        self.taken += len;
        Ok(len)
    }
}
