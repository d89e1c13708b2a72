//! An image of another program, read to its end: its bytes are summed as they pass.

use std::io::{self, Read};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use azud_core::assembly::Source;
use azud_core::code::Code;
use azud_core::progress::{Phase, Progress};
use azud_image::foreign::{Foreign, ForeignError};
use azud_image::sniff::Format;
use azud_store::Stored;
use azud_store::side::{SumPair, Sums};
use azud_transport::http::{RemoteImage, Stream};

use super::in_order::InOrder;
use crate::failure::Failure;

type Bytes = Box<dyn Read + Send>;

/// Where the bytes are.
#[derive(Clone, Copy)]
pub(super) enum From<'a> {
    File(&'a Arc<Stored>),
    /// Each piece is held against its hash before it is passed on.
    Manager(&'a Arc<RemoteImage>),
}

impl From<'_> {
    fn open(&self) -> Bytes {
        match self {
            Self::File(stored) => Box::new(InOrder::of(Arc::clone(stored))),
            Self::Manager(image) => Box::new(Stream::of(Arc::clone(image))),
        }
    }

    /// How many there are now.
    fn len(&self) -> Result<u64, Failure> {
        match self {
            Self::File(stored) => Ok(stored.metadata()?.len()),
            Self::Manager(image) => Ok(image.layout().size()),
        }
    }

    fn name(&self) -> String {
        match self {
            Self::File(stored) => stored.path().display().to_string(),
            Self::Manager(image) => image.name(),
        }
    }

    fn failed(&self, error: io::Error) -> Failure {
        match ForeignError::from_io(error) {
            ForeignError::Read { source } => Failure::io(Path::new(&self.name()), &source),
            _ => self.changed(),
        }
    }

    fn changed(&self) -> Failure {
        Failure::new(Code::Changed, self.name())
    }
}

pub(super) const fn is_readable(format: Format) -> bool {
    matches!(
        format,
        Format::Partclone(_) | Format::Ntfsclone | Format::Disk
    )
}

pub(super) fn len(path: &Path) -> Result<u64, Failure> {
    let meta = std::fs::metadata(path).map_err(|error| Failure::io(path, &error))?;
    Ok(meta.len())
}

/// Reads it to its end, decoding it where that can be done, and sums its bytes as they pass; and whether checksums of
/// its own cover what was decoded.
pub(super) fn read(
    from: From<'_>,
    decode: bool,
    progress: &dyn Progress,
) -> Result<(SumPair, bool), Failure> {
    let sums = Arc::new(Mutex::new((Sums::new(), 0)));
    let mut again = || {
        // Some are read twice: each reading is summed anew.
        *sums.lock().unwrap_or_else(PoisonError::into_inner) = (Sums::new(), 0);
        let tee = Tee {
            bytes: from.open(),
            sums: Arc::clone(&sums),
        };
        Ok(Box::new(tee) as Bytes)
    };
    let own = if decode {
        let mut content = Foreign::open(&mut again)?;
        progress.begin(Phase::Verify, content.volume().used_bytes());
        drain(&mut content, progress).map_err(ForeignError::from_io)?;
        content.is_summed()
    } else {
        let bytes = again().map_err(|error| from.failed(error))?;
        progress.begin(Phase::Verify, from.len()?);
        drain(bytes, progress).map_err(|error| from.failed(error))?;
        false
    };
    progress.end();
    let (sums, read) = sums.lock().unwrap_or_else(PoisonError::into_inner).clone();
    if read != from.len()? {
        return Err(from.changed());
    }
    Ok((sums.finish(), own))
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
    bytes: Bytes,
    sums: Arc<Mutex<(Sums, u64)>>,
}

impl Read for Tee {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let len = self.bytes.read(buf)?;
        let mut sums = self.sums.lock().unwrap_or_else(PoisonError::into_inner);
        sums.0.update(&buf[..len]);
        sums.1 += len as u64;
        Ok(len)
    }
}
