//! `azud image verify` of an image that is not native: by its own checksums and by its `.full.sum`.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use azud_core::code::Code;
use azud_core::name::ImageFile;
use azud_core::progress::{Phase, Progress};
use azud_image::foreign::{Foreign, ForeignError};
use azud_image::sniff::{Format, sniff};
use azud_store::Stored;
use azud_store::catalogue::By;
use azud_store::side::{FULL_SUM, SumPair, Sums, full_sum};
use serde_json::json;

use super::{file_of, open, unlocked};
use crate::checked::Checking;
use crate::commands::Context;
use crate::failure::Failure;

/// What was found of an image that is right.
#[derive(Debug)]
pub(crate) struct Checked {
    format: Format,
    md5: String,
    /// Whether its `.full.sum` says the same; else its own checksums alone tell.
    told: bool,
    own: bool,
}

/// Reads the image once. What agrees with a `.full.sum` is remembered beside it.
///
/// # Errors
/// As [`check`].
pub(crate) fn verify(context: &Context, named: &Path) -> Result<(), Failure> {
    let path = file_of(context, named)?;
    let checking = Checking::begin(&path)?;
    let checked = examine(context, &path, &checking).inspect_err(|failure| {
        if failure.code == Code::Corrupt {
            checking.damaged(context, None, &[]);
        }
    })?;
    if checked.told {
        checking.sound(context, By::Md5(checked.md5.clone()));
    }
    let value = json!({
        "action": "image-verify",
        "image": path,
        "format": checked.format.word(),
        "md5": checked.md5,
        "full_sum": checked.told,
        "own_checks": checked.own,
    });
    context.output.result(&value, || {
        let text = context.catalog.text("result-image-verify");
        format!("{text} (MD5 {})", checked.md5)
    });
    Ok(())
}

/// Reads an image once and compares it with its own checksums and its `.full.sum`.
///
/// # Errors
/// `image/corrupt`, `image/truncated`, `image/locked`; `image/unknown-format` when nothing tells what its bytes
/// should be.
pub(crate) fn check(context: &Context, path: &Path) -> Result<Checked, Failure> {
    examine(context, path, &Checking::begin(path)?)
}

fn examine(context: &Context, path: &Path, checking: &Checking) -> Result<Checked, Failure> {
    let image = ImageFile::parse(path)?;
    unlocked(path)?;
    let stored = Stored::open(path)?;
    let told = full_sum(&image.beside(FULL_SUM));
    let format = sniff(&stored)
        .map_err(|error| Failure::io(path, &error))?
        .format;
    drop(stored);
    let own = is_readable(format);
    if !own && told.is_none() {
        // Why it cannot be read says more than that there is nothing to compare it with.
        open(path)?;
        let what = format!("{}: it has no {FULL_SUM}", path.display());
        return Err(Failure::new(Code::UnknownFormat, what));
    }
    let progress = context.progress();
    let sums = read(path, own, &progress);
    drop(progress);
    let SumPair { full, .. } =
        sums.map_err(|failure| failure.about(&path.display().to_string()))?;
    if checking.is_changed()? {
        return Err(Failure::new(Code::Changed, path.display().to_string()));
    }
    if let Some(told) = told.as_ref().filter(|told| **told != full) {
        let what = format!(
            "{}: its MD5 is {full}, its {FULL_SUM} says {told}",
            path.display()
        );
        return Err(Failure::new(Code::Corrupt, what));
    }
    Ok(Checked {
        format,
        md5: full,
        told: told.is_some(),
        own,
    })
}

const fn is_readable(format: Format) -> bool {
    matches!(
        format,
        Format::Partclone(_) | Format::Ntfsclone | Format::Disk
    )
}

fn len(path: &Path) -> Result<u64, Failure> {
    let meta = std::fs::metadata(path).map_err(|error| Failure::io(path, &error))?;
    Ok(meta.len())
}

/// Reads the file to its end, decoding it where that can be done, and sums its bytes as they pass.
fn read(path: &Path, decode: bool, progress: &dyn Progress) -> Result<SumPair, Failure> {
    let sums = Arc::new(Mutex::new((Sums::new(), 0)));
    let mut again = || {
        // Some are read twice: each reading is summed anew.
        *sums.lock().unwrap_or_else(PoisonError::into_inner) = (Sums::new(), 0);
        let file = File::open(path)?;
        let tee = Tee {
            file,
            sums: Arc::clone(&sums),
        };
        Ok(Box::new(tee) as Box<dyn Read + Send>)
    };
    if decode {
        let content = Foreign::open(&mut again)?;
        progress.begin(Phase::Verify, content.volume().used_bytes());
        drain(content, progress).map_err(ForeignError::from_io)?;
    } else {
        let file = again().map_err(|error| Failure::io(path, &error))?;
        progress.begin(Phase::Verify, len(path)?);
        drain(file, progress).map_err(|error| Failure::io(path, &error))?;
    }
    progress.end();
    let (sums, read) = sums.lock().unwrap_or_else(PoisonError::into_inner).clone();
    if read != len(path)? {
        return Err(Failure::new(Code::Changed, path.display().to_string()));
    }
    Ok(sums.finish())
}

fn drain(mut content: impl Read, progress: &dyn Progress) -> io::Result<()> {
    let mut piece = vec![0; 1 << 20];
    loop {
        match content.read(&mut piece) {
            Ok(0) => return Ok(()),
            Ok(len) => progress.advance(len as u64).map_err(io::Error::other)?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Sums what passes, and counts it.
struct Tee {
    file: File,
    sums: Arc<Mutex<(Sums, u64)>>,
}

impl Read for Tee {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let len = self.file.read(buf)?;
        let mut sums = self.sums.lock().unwrap_or_else(PoisonError::into_inner);
        sums.0.update(&buf[..len]);
        sums.1 += len as u64;
        Ok(len)
    }
}
