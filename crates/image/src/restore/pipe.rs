//! Restore from a stream that is read once: the index comes last, so superblocks wait for it.

use std::io::Read;
use std::sync::Mutex;

use azud_core::format::FormatError;
use azud_core::io::{PageBuf, WriteAt};
use azud_core::progress::Progress;

use super::order::{Head, Order};
use super::scan::Scanner;
use super::sink::Sink;
use super::{RestoreOptions, Restored, Writes, check_sectors, read_back};
use crate::codec::Decoder;
use crate::error::ImageError;
use crate::head::HeadParser;
use crate::native::{BlockCursor, Geometry, Native, check_tails};
use crate::par::{Pipeline, cores};

/// What one worker keeps between frames.
struct Worker {
    decoder: Decoder,
    content: PageBuf,
    current: PageBuf,
}

impl Worker {
    fn new() -> Self {
        let (content, current) = (PageBuf::new(), PageBuf::new());
        Self {
            decoder: Decoder::new(),
            content,
            current,
        }
    }
}

/// A data frame between the stream and the target.
struct Loaded {
    number: usize,
    start: u64,
    bytes: Vec<u8>,
    content_len: u32,
}

/// Every offset and length of a restore from a pipe is a multiple of this, in bytes.
pub const PIPE_WRITE_UNIT: u32 = 512;

/// What the first frame of a stream tells of the image, long before its index comes.
#[derive(Debug)]
pub struct Announced {
    /// Size of the device that it was taken from, in bytes.
    pub device_size: u64,
    /// Bytes of its blocks, the free ones at its end with them.
    pub blocks: u64,
    /// Bytes in use.
    pub used: u64,
    /// What was read of the stream: it goes before the rest.
    pub read: Vec<u8>,
}

/// Reads the first frame of the image that `input` delivers.
///
/// # Errors
/// `Format`, `Frame`, `Read`.
pub fn announced(mut input: impl Read) -> Result<Announced, ImageError> {
    let mut scanner = Scanner::new(&mut input);
    let missing = || FormatError::Truncated("the header");
    let (read, len) = scanner.next_frame()?.ok_or_else(missing)?;
    let mut content = vec![0; len as usize];
    Decoder::new().decode(0, &read, &mut content)?;
    let mut head = HeadParser::default();
    head.push(&content)?;
    let header = head.header().ok_or_else(missing)?;
    let block = u64::from(header.block_size);
    Ok(Announced {
        device_size: header.device_size,
        blocks: header.total_blocks.saturating_mul(block),
        used: header.used_blocks.saturating_mul(block),
        read,
    })
}

/// Restores the image that `input` delivers onto `target`.
///
/// # Errors
/// As [`super::restore`]. The target is left without superblocks when the stream ends early or its
/// index does not confirm what came before.
pub fn restore_pipe(
    input: impl Read + Send,
    target: &dyn WriteAt,
    options: &RestoreOptions,
    progress: &dyn Progress,
) -> Result<Restored, ImageError> {
    let mut scanner = Scanner::new(input);
    let geometry = read_geometry(&mut scanner)?;
    let (has, needs) = (target.len(), geometry.minimum_size(&[]));
    if has < needs {
        return Err(ImageError::TooSmall { has, needs });
    }
    check_sectors(&geometry, 0, options)?;
    let mut cursor = BlockCursor::new(&geometry.used);
    let (first, head) = read_head(&mut scanner, &geometry, &mut cursor)?;
    let order = Order::for_pipe(&geometry, &head, target)?;
    let sink = Sink::new(&geometry, target, &order, *options);
    sink.prepare()?;
    progress.begin(
        options.phase(),
        geometry.header.used_blocks * u64::from(geometry.header.block_size),
    );
    let first = Mutex::new(first.into_iter());
    let scanner = Mutex::new(scanner);
    let mut next = || {
        if let Some(frame) = first.lock().expect("no holder panics").next() {
            return Ok(Some(frame));
        }
        next_data(
            &mut scanner.lock().expect("no holder panics"),
            &geometry,
            &mut cursor,
        )
    };
    Flow {
        sink: &sink,
        options,
        progress,
    }
    .run(&mut next)?;
    progress.end();
    let scanner = scanner.into_inner().expect("no holder panics");
    let (index, identity) = scanner.ending()?;
    check_tails(&index.tails, &geometry)?;
    check_sectors(&geometry, index.facts.sector_size, options)?;
    let needs = geometry.minimum_size(&index.tails);
    if has < needs {
        return Err(ImageError::TooSmall { has, needs });
    }
    let content = geometry.header.used_blocks * u64::from(geometry.header.block_size);
    let fetched = index.frames_len();
    let undiscarded = sink.undiscarded();
    let written = sink.finish(&index.tails)?;
    let native = Native::from_parts(identity, index, geometry.clone());
    if options.read_back {
        read_back::read_back(&native, &native.starts(), target, progress)?;
    }
    Ok(Restored {
        content,
        written,
        kept: content.saturating_sub(written),
        fetched,
        undiscarded,
    })
}

/// The parallel part: decode, then write at once, or in order where the disk turns.
struct Flow<'a> {
    sink: &'a Sink<'a>,
    options: &'a RestoreOptions,
    progress: &'a dyn Progress,
}

impl Flow<'_> {
    fn run(
        &self,
        next: &mut (dyn FnMut() -> Result<Option<Loaded>, ImageError> + Send),
    ) -> Result<(), ImageError> {
        let threads = cores() + 1;
        let pipeline = Pipeline {
            threads,
            depth: threads + 2,
        };
        let work = |worker: &mut Worker, frame: Loaded| {
            worker.content.resize(frame.content_len as usize);
            worker
                .decoder
                .decode(frame.number, &frame.bytes, &mut worker.content)?;
            if self.options.writes == Writes::Ascending {
                return Ok((
                    frame.start,
                    Some(worker.content.to_vec()),
                    frame.content_len,
                ));
            }
            if self.options.changed_only {
                self.sink
                    .put_changed(frame.start, &worker.content, &mut worker.current)?;
            } else {
                self.sink.put(frame.start, &worker.content)?;
            }
            Ok((frame.start, None, frame.content_len))
        };
        let mut current = PageBuf::new();
        pipeline.run(next, Worker::new, work, |(start, content, len)| {
            match content {
                Some(content) if self.options.changed_only => {
                    self.sink.put_changed(start, &content, &mut current)?;
                }
                Some(content) => self.sink.put(start, &content)?,
                None => {}
            }
            Ok(self.progress.advance(len.into())?)
        })
    }
}

fn read_geometry(scanner: &mut Scanner<impl Read>) -> Result<Geometry, ImageError> {
    let mut decoder = Decoder::new();
    let mut head = HeadParser::default();
    loop {
        let number = scanner.count();
        let Some((bytes, len)) = scanner.next_frame()? else {
            return Err(FormatError::Truncated("the bitmap").into());
        };
        let mut content = vec![0; len as usize];
        decoder.decode(number, &bytes, &mut content)?;
        if let Some(geometry) = head.push(&content)? {
            return Ok(geometry);
        }
    }
}

/// Reads frames until the head of the device is known; they are handed on afterwards.
fn read_head(
    scanner: &mut Scanner<impl Read>,
    geometry: &Geometry,
    cursor: &mut BlockCursor<'_>,
) -> Result<(Vec<Loaded>, Vec<u8>), ImageError> {
    let mut head = Head::new(geometry);
    let mut decoder = Decoder::new();
    let mut frames = Vec::new();
    while let Some(frame) = next_data(scanner, geometry, cursor)? {
        let mut content = vec![0; frame.content_len as usize];
        decoder.decode(frame.number, &frame.bytes, &mut content)?;
        head.add(geometry, frame.start, &content);
        let beyond = head.is_whole_before(geometry, frame.start);
        frames.push(frame);
        if beyond {
            break;
        }
    }
    Ok((frames, head.bytes))
}

fn next_data(
    scanner: &mut Scanner<impl Read>,
    geometry: &Geometry,
    cursor: &mut BlockCursor<'_>,
) -> Result<Option<Loaded>, ImageError> {
    let corrupt = |what: &str| FormatError::Corrupt(what.into());
    let number = scanner.count();
    let Some((bytes, content_len)) = scanner.next_frame()? else {
        if cursor.taken() != geometry.header.used_blocks {
            return Err(corrupt("the frames do not hold the bitmap's blocks").into());
        }
        return Ok(None);
    };
    let size = geometry.header.block_size;
    let blocks = u64::from(content_len / size);
    if content_len % size != 0
        || blocks == 0
        || cursor.taken() + blocks > geometry.header.used_blocks
    {
        return Err(corrupt("a frame that does not fit the bitmap").into());
    }
    Ok(Some(Loaded {
        number,
        start: cursor.advance(blocks),
        bytes,
        content_len,
    }))
}
