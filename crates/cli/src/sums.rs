//! The sums beside a native image: its frames do not need them, and OpenGnsys believes nothing else.

use std::io;
use std::path::{Path, PathBuf};

use azud_core::assembly::Source;
use azud_core::code::Code;
use azud_core::io::ReadAt;
use azud_core::name::ImageFile;
use azud_store::Stored;
use azud_store::ant;
use azud_store::catalogue::{By, Catalogue, Stamp, remember};
use azud_store::side::{FULL_SUM, Passing, SUM, Sums, TAIL, read_sum, sum_in};
use azud_transport::NetError;
use azud_transport::http::RemoteImage;
use serde_json::{Value, json};

use crate::commands::Context;
use crate::failure::{Failure, Hint};
use crate::opened::now;
use crate::remote::Remote;

/// A sum beside an image that is not the image's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FalseSum {
    file: PathBuf,
    /// What it says; nothing if it is no sum.
    told: String,
    is: String,
}

impl FalseSum {
    fn find(file: PathBuf, is: &str) -> Option<Self> {
        let told = told(&file)?;
        Self::of(file, told, is)
    }

    fn of(file: PathBuf, told: String, is: &str) -> Option<Self> {
        let is = is.to_owned();
        (told != is).then_some(Self { file, told, is })
    }

    /// For people.
    pub(crate) fn text(&self, context: &Context) -> String {
        let values = [
            ("file", self.file.display().to_string().into()),
            ("told", self.told.as_str().into()),
            ("is", self.is.as_str().into()),
        ];
        context.catalog.fmt("false-sum", &values)
    }

    /// For programs.
    pub(crate) fn json(&self) -> Value {
        json!({ "file": self.file, "told": self.told, "is": self.is })
    }
}

/// What the sum in a file says, empty if it is none; `None` if there is no such file.
fn told(file: &Path) -> Option<String> {
    let meta = std::fs::symlink_metadata(file).ok()?;
    meta.is_file().then(|| read_sum(file).unwrap_or_default())
}

/// Whether the sum of the end is false; it reads a MiB.
///
/// # Errors
/// When the image cannot be read.
pub(crate) fn false_tail(stored: &Stored) -> io::Result<Option<FalseSum>> {
    let file = beside(stored, SUM);
    if told(&file).is_none() {
        return Ok(None);
    }
    let from = stored.len().saturating_sub(TAIL as u64);
    let sums = sums(stored, from)?.finish();
    Ok(FalseSum::find(file, &sums.tail))
}

/// The sums that are false by what is known without reading the whole image.
///
/// # Errors
/// When the image cannot be read.
pub(crate) fn quick(stored: &Stored) -> io::Result<Vec<FalseSum>> {
    let md5 = Known::of(stored).and_then(|known| known.md5);
    let full = md5.and_then(|md5| FalseSum::find(beside(stored, FULL_SUM), &md5));
    Ok(false_tail(stored)?.into_iter().chain(full).collect())
}

/// Runs `work`, and compares the image with its sums. MD5 is many times slower than what the frames need, so all
/// bytes are only read for a `.full.sum` where `deep` asks for it. It is remembered: the next time it costs
/// nothing as long as the file is the same. Whether a `.full.sum` was compared.
///
/// # Errors
/// Those of `work`; `image/false-sum`, `disk/io`.
pub(crate) fn beside_work<T>(
    context: &Context,
    (stored, deep): (&Stored, bool),
    work: impl FnOnce() -> Result<T, Failure>,
) -> Result<(T, bool), Failure> {
    let io = |error: io::Error| Failure::io(stored.path(), &error);
    let full = beside(stored, FULL_SUM);
    let has_full = told(&full).is_some();
    let known = Known::of(stored);
    let md5 = known.as_ref().and_then(|known| known.md5.clone());
    let is_read = deep && has_full && md5.is_none();
    let (done, read) = std::thread::scope(|scope| {
        let reading = is_read.then(|| scope.spawn(|| sums(stored, 0)));
        let done = work();
        let read = reading.map(|reading| reading.join().expect("no sum panics"));
        (done, read)
    });
    let done = done?;
    let read = read.transpose().map_err(io)?.map(|sums| sums.finish().full);
    let md5 = read.or(md5);
    let is_compared = has_full && md5.is_some();
    let wrong = md5.as_ref().and_then(|md5| FalseSum::find(full, md5));
    let tail = false_tail(stored).map_err(io)?;
    let wrong: Vec<FalseSum> = tail.into_iter().chain(wrong).collect();
    if let (Some(known), Some(md5)) = (known, md5) {
        // On a read-only medium it is not remembered.
        let _ = remember(&known.image, known.stamp, By::Md5(md5), now());
    }
    if wrong.is_empty() {
        Ok((done, is_compared))
    } else {
        Err(refusal(context, &wrong))
    }
}

/// The image is sound, and what stands beside it is not.
fn refusal(context: &Context, wrong: &[FalseSum]) -> Failure {
    let files = wrong.iter().map(|one| format!("'{}'", one.file.display()));
    let files = files.collect::<Vec<_>>().join(" ");
    failure(context, wrong).with_hint(Hint::with("hint-false-sum", [("files", files)]))
}

fn failure(context: &Context, wrong: &[FalseSum]) -> Failure {
    let texts: Vec<String> = wrong.iter().map(|one| one.text(context)).collect();
    Failure::new(Code::FalseSum, texts.join("; "))
}

/// What the sums beside a native image of a manager say, empty where one is none; `None` where there is none.
pub(crate) struct Told {
    tail: Option<String>,
    /// Asked for where it is to be compared.
    full: Option<String>,
}

impl Told {
    /// Asks for that of its end, and with `deep` for that of all.
    ///
    /// # Errors
    /// What the manager says.
    pub(crate) fn of(image: &RemoteImage, deep: bool) -> Result<Self, Failure> {
        let told = |ending| match image.beside(ending) {
            Ok(content) => Ok(Some(sum_in(&content).unwrap_or_default())),
            Err(NetError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        };
        let tail = told(SUM)?;
        let full = if deep { told(FULL_SUM)? } else { None };
        Ok(Self { tail, full })
    }

    /// Whether all bytes are compared.
    pub(crate) fn is_of_all(&self) -> bool {
        self.full.is_some()
    }

    /// Compares the image, of which `read` holds what was read already.
    ///
    /// # Errors
    /// `image/false-sum`, what the manager says.
    pub(crate) fn compare(
        self,
        context: &Context,
        (remote, image): (&Remote, &RemoteImage),
        read: Passing<'_>,
    ) -> Result<(), Failure> {
        let is = if self.is_of_all() {
            read.finish()
        } else if self.tail.is_some() {
            sums(image, image.len().saturating_sub(TAIL as u64))
        } else {
            return Ok(());
        };
        let io = |error: io::Error| Failure::io(Path::new(&image.name()), &error);
        let is = is.map_err(io)?.finish();
        let pairs = [(self.tail, SUM, &is.tail), (self.full, FULL_SUM, &is.full)];
        let find = |(told, ending, is): (Option<String>, &str, &String)| {
            let file = format!("{}{ending}", remote.name).into();
            FalseSum::of(file, told?, is)
        };
        let wrong: Vec<FalseSum> = pairs.into_iter().filter_map(find).collect();
        if wrong.is_empty() {
            return Ok(());
        }
        let files = wrong.iter().map(|one| format!("'{}'", one.file.display()));
        let files = files.collect::<Vec<_>>().join(" ");
        let host = remote.client.host().to_owned();
        let hint = Hint::with("hint-false-sum-there", [("files", files), ("host", host)]);
        Err(failure(context, &wrong).with_hint(hint))
    }
}

/// What the catalogue knows of an image's file.
struct Known {
    image: ImageFile,
    stamp: Stamp,
    md5: Option<String>,
}

impl Known {
    /// `None` for a file that can have no catalogue.
    fn of(stored: &Stored) -> Option<Self> {
        let image = ImageFile::parse(stored.path()).ok()?;
        let stamp = Stamp::of(&std::fs::metadata(stored.path()).ok()?);
        let catalogue = Catalogue::read(image.dir());
        let verified = catalogue.verified(image.name(), &stamp);
        let md5 = verified.and_then(|verified| match &verified.by {
            By::Md5(md5) => Some(md5.clone()),
            By::Identity(_) => None,
        });
        Some(Self { image, stamp, md5 })
    }
}

/// The MD5 of a file, if a check found it and the file is the same.
pub(crate) fn md5_known(stored: &Stored) -> Option<String> {
    Known::of(stored)?.md5
}

/// The sums of what the image holds from an offset on.
fn sums(stored: &dyn ReadAt, mut at: u64) -> io::Result<Sums> {
    let mut sums = Sums::new();
    let mut piece = vec![0; TAIL];
    while at < stored.len() {
        let len = (stored.len() - at).min(TAIL as u64);
        let piece = &mut piece[..usize::try_from(len).expect("at most a MiB")];
        stored.read_exact_at(piece, at)?;
        sums.update(piece);
        at += len;
    }
    Ok(sums)
}

fn beside(stored: &Stored, ending: &str) -> PathBuf {
    ant::side(stored.path(), ending)
}
