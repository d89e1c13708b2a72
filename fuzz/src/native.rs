//! Targets of the native image: from a file and from a pipe.

use std::io::{self, Write};

use azud_core::progress::Silent;
use azud_image::foreign::partclone::PartcloneReader;
use azud_image::fs::ext;
use azud_image::restore::{RestoreOptions, Restored, Unused, Writes, restore, restore_pipe};
use azud_image::{ImageError, Native, verify, write_partclone};
use azud_testkit::memory::Memory;

use super::{Input, made};

/// Bytes of the targets of restores: a little more than the good image wants.
const TARGET: usize = 136 << 10;
/// What they hold before.
const BEFORE: u8 = 0xA5;
/// A decoded stream is kept up to this length.
const MOST_STREAM: usize = 32 << 20;

/// An image in a file. What opens and verifies also decodes to a partclone image, and restores.
pub fn container(data: &[u8]) {
    let mut input = Input(data);
    let Some(choices) = input.u8() else {
        return;
    };
    let file = made::image(choices, &mut input);
    let Ok(native) = Native::open(&file) else {
        return;
    };
    assert_eq!(
        native.starts().len() + native.geometry().head_frames,
        native.frames().len()
    );
    let shallow = verify(&native, &file, false, &Silent);
    let deep = verify(&native, &file, true, &Silent);
    let mut stream = Kept::default();
    let decoded = write_partclone(&native, &file, &mut stream, &Silent);
    let options = options(choices >> 4);
    let restored = restored_by(|target| restore(&native, &file, target, &options, &Silent));
    if deep.is_ok() {
        shallow.expect("stored bytes are a part of it");
        decoded.expect("what verifies decodes");
        if let Kept::All(stream) = stream {
            let mut reader = PartcloneReader::open(&stream[..]).expect("a partclone image");
            io::copy(&mut reader, &mut io::sink()).expect("a whole partclone image");
        }
        if native.minimum_size() <= TARGET as u64 {
            let restored = restored.expect("what verifies is restored");
            let piped = restored_by(|target| restore_pipe(&file[..], target, &options, &Silent));
            assert!(piped.expect("also from a pipe") == restored);
        }
    }
}

/// An image in a pipe: all or nothing, and the same as from a file.
pub fn pipe(data: &[u8]) {
    let mut input = Input(data);
    let Some(choices) = input.u8() else {
        return;
    };
    let file = made::image(choices, &mut input);
    let options = options(choices >> 4);
    let piped = restored_by(|target| restore_pipe(&file[..], target, &options, &Silent));
    let Ok(piped) = piped else {
        return;
    };
    let native = Native::open(&file).expect("what a pipe brings can be opened");
    verify(&native, &file, false, &Silent).expect("every frame was confirmed");
    let filed = restored_by(|target| restore(&native, &file, target, &options, &Silent));
    assert!(filed.expect("restores") == piped, "other bytes from a pipe");
}

fn options(choices: u8) -> RestoreOptions {
    RestoreOptions {
        changed_only: choices & 1 != 0,
        writes: if choices & 2 == 0 {
            Writes::Parallel
        } else {
            Writes::Ascending
        },
        unused: if choices & 4 == 0 {
            Unused::Leave
        } else {
            Unused::Zero
        },
        ..RestoreOptions::default()
    }
}

/// What a restore leaves on the target; after an error, nothing that looks like a file system.
fn restored_by(
    work: impl FnOnce(&Memory) -> Result<Restored, ImageError>,
) -> Result<Vec<u8>, ImageError> {
    let target = Memory::new(vec![BEFORE; TARGET]);
    let done = work(&target);
    let bytes = target.bytes();
    match done {
        Ok(_) => Ok(bytes),
        Err(error) => {
            assert!(!ext::probe(&bytes), "looks valid after: {error}");
            Err(error)
        }
    }
}

/// A stream in memory while it is short.
enum Kept {
    All(Vec<u8>),
    TooMuch,
}

impl Default for Kept {
    fn default() -> Self {
        Self::All(Vec::new())
    }
}

impl Write for Kept {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match self {
            Self::All(bytes) if bytes.len() + buf.len() <= MOST_STREAM => bytes.extend(buf),
            _ => *self = Self::TooMuch,
        }
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
