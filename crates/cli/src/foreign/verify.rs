//! `azud image verify` of an image that is not native: by its own checksums and by its `.full.sum`.

use std::path::Path;
use std::sync::Arc;

use azud_core::assembly::Source;
use azud_core::code::Code;
use azud_core::io::ReadAt;
use azud_core::name::ImageFile;
use azud_core::progress::Progress;
use azud_image::sniff::{Format, sniff};
use azud_store::Identity;
use azud_store::Stored;
use azud_store::ant;
use azud_store::catalogue::By;
use azud_store::side::{FULL_SUM, SUM, SumPair, TAIL, full_sum, full_sum_in, read_sum, sum_in};
use azud_transport::NetError;
use azud_transport::http::RemoteImage;
use serde_json::{Value, json};

use super::reading::{From, is_readable, len, read};
use super::{file_of, open, open_remote, stored, unlocked};
use crate::checked::Checking;
use crate::commands::Context;
use crate::failure::Failure;
use crate::remote::Remote;
use crate::sums::md5_known;

/// What was found of an image that could be read.
#[derive(Debug)]
pub(crate) struct Checked {
    format: Format,
    md5: String,
    /// Whether its `.full.sum` says the same, or a `.sum` that covers all of it.
    told: bool,
    /// Whether its `.sum` says the same of its end.
    tail: bool,
    /// Whether checksums of its own cover its content.
    own: bool,
    /// Of an image of a manager, the index whose hashes its bytes fit.
    index: Option<Identity>,
}

impl Checked {
    /// Whether anything vouches for the bytes.
    pub(crate) const fn is_vouched(&self) -> bool {
        self.told || self.own
    }

    /// What may be said of it, and no more: `sound`, `as-summed`, `as-indexed`, `readable`.
    const fn word(&self) -> &'static str {
        match (self.own, self.told) {
            (true, _) => "sound",
            (false, true) => "as-summed",
            (false, false) if self.index.is_some() => "as-indexed",
            (false, false) => "readable",
        }
    }
}

/// Reads the image once. What agrees with a `.full.sum` is remembered beside it.
///
/// # Errors
/// As [`check`].
pub(crate) fn verify(context: &Context, named: &Path) -> Result<(), Failure> {
    let path = file_of(context, named)?;
    let checking = Checking::begin(&path)?;
    let progress = context.progress();
    let checked = examine(&path, &checking, &progress);
    drop(progress);
    let checked = checked.inspect_err(|failure| {
        if failure.code == Code::Corrupt {
            checking.damaged(context, None, &[]);
        }
    })?;
    if checked.told {
        checking.sound(context, By::Md5(checked.md5.clone()));
    }
    checked.show(context, &path.display().to_string());
    Ok(())
}

/// Reads an image of a manager once: each piece must fit the index that the manager made when it first saw the image,
/// the whole the sums beside it and its own.
///
/// # Errors
/// As [`check`], and what the manager says.
pub(crate) fn verify_remote(
    context: &Context,
    (remote, image): (&Remote, &Arc<RemoteImage>),
) -> Result<(), Failure> {
    let name = image.name();
    let format = sniff(&**image).map_err(|error| Failure::io(Path::new(&name), &error))?;
    let can_read = is_readable(format.format);
    if matches!(format.format, Format::Unknown | Format::Empty) {
        open_remote(image)?;
    }
    let told = Told::at_manager(remote, image.layout().size())?;
    let progress = context.progress();
    let read = read(From::Manager(image), can_read, &progress);
    drop(progress);
    let (sums, own) = read.map_err(|failure| failure.about(&name))?;
    told.compare(Path::new(&name), &sums, own)?;
    let checked = Checked {
        format: format.format,
        md5: sums.full,
        told: told.is_all(),
        tail: told.tail.is_some(),
        own,
        index: Some(Identity(*image.layout().identity())),
    };
    checked.show(context, &remote.shown());
    Ok(())
}

impl Checked {
    fn show(&self, context: &Context, name: &str) {
        let warnings: &[&str] = if self.is_vouched() { &[] } else { &["no-sums"] };
        for word in warnings {
            let text = context.catalog.text(&format!("warn-{word}"));
            context.output.warn(&context.catalog, &text);
        }
        let mut value = json!({
            "action": "image-verify",
            "image": name,
            "format": self.format.word(),
            "result": self.word(),
            "md5": self.md5,
            "full_sum": self.told,
            "sum": self.tail,
            "own_checks": self.own,
            "warnings": warnings,
        });
        if let Some(index) = &self.index {
            value["identity"] = Value::String(index.to_string());
        }
        context.output.result(&value, || {
            let key = match self.word() {
                "sound" => "result-image-verify",
                "as-summed" => "result-image-verify-as-summed",
                "as-indexed" => "result-image-verify-as-indexed",
                _ => "result-image-verify-readable",
            };
            format!("{} (MD5 {})", context.catalog.text(key), self.md5)
        });
    }
}

/// Reads an image once and compares it with its own checksums and its `.full.sum`.
///
/// # Errors
/// `image/corrupt`, `image/truncated`, `image/locked`, `image/false-sum`; `image/unknown-format` when it is nothing
/// that is known, or nothing of it can be read and no sum tells what its bytes should be.
pub(crate) fn check(context: &Context, path: &Path) -> Result<Checked, Failure> {
    let progress = context.progress();
    let checked = check_telling(path, &progress);
    drop(progress);
    checked
}

/// The same, for whoever tells how far it is in another way.
///
/// # Errors
/// As [`check`].
pub(crate) fn check_telling(path: &Path, progress: &dyn Progress) -> Result<Checked, Failure> {
    examine(path, &Checking::begin(path)?, progress)
}

/// What decoding an image of another program tells of it.
pub(crate) enum Decoded {
    /// Checksums of its own cover its content, and are right.
    Sound,
    /// It can be read to its end, or is of a kind that only its own program reads.
    Readable,
    /// It cannot be read to its end.
    Damaged,
}

/// Reads an image to its end, as far as it is one that can be read here.
///
/// # Errors
/// What the system says.
pub(crate) fn decode(path: &Path, progress: &dyn Progress) -> Result<Decoded, Failure> {
    let stored = stored(path)?;
    let format = sniff(&*stored).map_err(|error| Failure::io(path, &error))?;
    if !is_readable(format.format) {
        return Ok(Decoded::Readable);
    }
    match read(From::File(&stored), true, progress) {
        Ok((_, true)) => Ok(Decoded::Sound),
        Ok((_, false)) => Ok(Decoded::Readable),
        Err(failure) if matches!(failure.code, Code::Corrupt | Code::Truncated) => {
            Ok(Decoded::Damaged)
        }
        Err(failure) => Err(failure),
    }
}

/// Refuses to pass on an image of another program that somebody is writing, or that is not what the sum beside it
/// says: the copy would have no lock, and a sum that fits.
///
/// # Errors
/// `image/locked`, `image/corrupt`, what the system says.
pub(crate) fn fit_to_copy(context: &Context, path: &Path) -> Result<(), Failure> {
    unlocked(path)?;
    if ImageFile::parse(path).is_err() {
        return Ok(());
    }
    let stored = stored(path)?;
    let told = Told::beside(path, stored.len());
    if !told.is_all() || is_known(&stored, &told) {
        return Ok(());
    }
    // Where one sum covers all, that of the end has nothing to add: the copy gets the right one.
    let tail = told.tail.filter(|_| told.full.is_none());
    let told = Told { tail, ..told };
    let checking = Checking::begin(path)?;
    let progress = context.progress();
    let (sums, _) = read(From::File(&stored), false, &progress)?;
    drop(progress);
    told.compare(path, &sums, false)
        .inspect_err(|_| checking.damaged(context, None, &[]))?;
    checking.sound(context, By::Md5(sums.full));
    Ok(())
}

/// Whether a check found that the sum is that of the file as it is.
fn is_known(stored: &Stored, told: &Told) -> bool {
    let md5 = md5_known(stored);
    md5.is_some() && md5 == told.full
}

/// Whether a sum beside an image of another program covers all of it.
pub(crate) fn is_told(path: &Path) -> bool {
    ImageFile::parse(path).is_ok() && len(path).is_ok_and(|len| Told::beside(path, len).is_all())
}

fn examine(path: &Path, checking: &Checking, progress: &dyn Progress) -> Result<Checked, Failure> {
    unlocked(path)?;
    let stored = stored(path)?;
    let told = Told::beside(path, stored.len());
    let format = sniff(&*stored)
        .map_err(|error| Failure::io(path, &error))?
        .format;
    let can_read = is_readable(format);
    // A sum that fits makes no image of what is none.
    let is_nothing = matches!(format, Format::Unknown | Format::Empty);
    if is_nothing || (!can_read && !told.is_all()) {
        // Why it cannot be read says more than that there is nothing to compare it with.
        open(path)?;
        let what = format!("{}: it has no {FULL_SUM}", path.display());
        return Err(Failure::new(Code::UnknownFormat, what));
    }
    let read = read(From::File(&stored), can_read, progress);
    let (sums, own) = read.map_err(|failure| failure.about(&path.display().to_string()))?;
    if checking.is_changed()? {
        return Err(Failure::new(Code::Changed, path.display().to_string()));
    }
    told.compare(path, &sums, own)?;
    Ok(Checked {
        format,
        md5: sums.full,
        told: told.is_all(),
        tail: told.tail.is_some(),
        own,
        index: None,
    })
}

/// What the sums beside an image say.
struct Told {
    full: Option<String>,
    tail: Option<String>,
    /// Whether the image is so short that its end is all of it.
    is_short: bool,
}

impl Told {
    fn beside(path: &Path, len: u64) -> Self {
        Self {
            full: full_sum(&ant::side(path, FULL_SUM)),
            tail: read_sum(&ant::side(path, SUM)),
            is_short: len <= TAIL as u64,
        }
    }

    /// Beside an image of a manager.
    fn at_manager(remote: &Remote, len: u64) -> Result<Self, NetError> {
        let beside = |ending| match remote.client.beside(&remote.name, ending) {
            Ok(content) => Ok(Some(content)),
            Err(NetError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        };
        Ok(Self {
            full: beside(FULL_SUM)?.and_then(|content| full_sum_in(&content)),
            tail: beside(SUM)?.and_then(|content| sum_in(&content)),
            is_short: len <= TAIL as u64,
        })
    }

    /// Whether they cover every byte.
    const fn is_all(&self) -> bool {
        self.full.is_some() || (self.is_short && self.tail.is_some())
    }

    /// What differs is damage, unless something else vouches for every byte: then the sum of the end is another's.
    fn compare(&self, path: &Path, sums: &SumPair, own: bool) -> Result<(), Failure> {
        let is_vouched = own || self.full.is_some();
        let pairs = [
            (&self.full, &sums.full, FULL_SUM, Code::Corrupt),
            (
                &self.tail,
                &sums.tail,
                SUM,
                if is_vouched {
                    Code::FalseSum
                } else {
                    Code::Corrupt
                },
            ),
        ];
        for (told, is, ending, code) in pairs {
            if let Some(told) = told.as_ref().filter(|told| *told != is) {
                let path = path.display().to_string();
                let what = format!("{path}: its MD5 is {is}, its {ending} says {told}");
                let values = [
                    ("path", path),
                    ("is", is.clone()),
                    ("ending", ending.to_owned()),
                    ("told", told.clone()),
                ];
                return Err(Failure::new(code, what).in_words("md5-differs", values));
            }
        }
        Ok(())
    }
}
