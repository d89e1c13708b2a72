//! Which images this computer takes: where keys are configured, signed ones only, under the name they were signed
//! for, and none that is older than one it has taken before.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder};
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use azud_core::assembly::Layout;
use azud_core::code::Code;
use azud_core::reference::{ImageRef, Where};
use azud_image::signature::{Claim, MAX_SIGNATURE, SignatureError, TrustedKey, check};
use azud_store::assembly::FileSource;

use crate::commands::Context;
use crate::commands::repo::{alone, written};
use crate::commands::serve::State;
use crate::failure::Failure;
use crate::origin::Origin;
use crate::place;
use crate::restorable::Restorable;
use crate::site::Site;

/// Ending of a signature.
pub(crate) const MINISIG: &str = ".minisig";

/// The keys that are trusted, and what was taken before.
#[derive(Debug)]
pub(crate) struct Trust {
    keys: Vec<TrustedKey>,
    seen: PathBuf,
}

/// An image that may be used.
#[derive(Debug)]
#[must_use = "what is taken is remembered"]
pub(crate) struct Trusted {
    seen: PathBuf,
    claim: Claim,
}

impl Trust {
    /// What the site says; `None` where images need not be signed.
    pub(crate) fn of(context: &Context) -> Result<Option<Self>, Failure> {
        let keys = Site::load(&context.site)?.trust;
        if keys.is_empty() {
            return Ok(None);
        }
        let seen = State::default().dir()?.join("signed.json");
        Ok(Some(Self { keys, seen }))
    }

    /// Refuses an image that is not signed for the name by which a user calls it.
    fn check(
        &self,
        named: &Path,
        layout: &Layout,
        signature: Option<&[u8]>,
    ) -> Result<Trusted, Failure> {
        let about = named.display().to_string();
        let signature = signature.ok_or_else(|| Failure::new(Code::Unsigned, about.as_str()))?;
        let described = (layout.description(), layout.identity());
        let claim = check(described, signature, &self.keys)
            .map_err(|error| Failure::from(error).about(&about))?;
        is_named(&claim, named).map_err(|error| Failure::from(error).about(&about))?;
        let newest = read(&self.seen)?.get(&claim.name).copied();
        if newest.is_some_and(|newest| claim.date < newest) {
            return Err(Failure::new(Code::OlderImage, about));
        }
        Ok(Trusted {
            seen: self.seen.clone(),
            claim,
        })
    }
}

impl Trusted {
    /// Remembers that it is used, so that no older one is taken afterwards.
    pub(crate) fn remember(&self) -> Result<(), Failure> {
        let dir = self.seen.parent().unwrap_or(Path::new("/"));
        // As a manager's state is.
        let made = DirBuilder::new().recursive(true).mode(0o700).create(dir);
        made.map_err(|error| Failure::io(dir, &error))?;
        // Another image may be taken at the same time.
        let _alone = alone(&self.seen)?;
        let mut seen = read(&self.seen)?;
        let newest = seen.entry(self.claim.name.clone()).or_default();
        if *newest >= self.claim.date {
            return Ok(());
        }
        *newest = self.claim.date;
        let text = serde_json::to_vec_pretty(&seen).expect("our own types serialise");
        written(&self.seen, &text, 0o600)
    }
}

/// Refuses an image of a repository or a cache that may not be received under this name. Where others have it too, it
/// is known already what it consists of.
pub(crate) fn origin(
    context: &Context,
    named: &Path,
    (origin, layout): (&Origin, Option<&Layout>),
) -> Result<Option<Trusted>, Failure> {
    let Some(trust) = Trust::of(context)? else {
        return Ok(None);
    };
    let layout = match layout {
        Some(layout) => layout.clone(),
        None => origin.layout()?,
    };
    // What is not signed lies there, and under its name here there may be nothing at all.
    let signature = carried(origin)?.ok_or_else(|| Failure::new(Code::Unsigned, origin.name()))?;
    trust.check(named, &layout, Some(&signature)).map(Some)
}

/// Refuses an image that may not be copied to where a user says. What goes to another place, not to files of this
/// computer, is sent: whoever takes it there asks for signatures.
pub(crate) fn copied(
    context: &Context,
    (from, to): (&Path, &Path),
    image: &Origin,
) -> Result<Option<Trusted>, Failure> {
    match taken_as(context, from, to)? {
        Some(named) => origin(context, named, (image, None)),
        None => Ok(None),
    }
}

/// By which name an image is taken: what comes into the cache, or into what is served here, is asked for by the name that
/// it gets there.
fn taken_as<'a>(
    context: &Context,
    from: &'a Path,
    to: &'a Path,
) -> Result<Option<&'a Path>, Failure> {
    let ImageRef::Placed { place, .. } = ImageRef::parse(to)? else {
        return Ok(Some(from));
    };
    let is_ours = match place::namespace(context)?.meaning(&place) {
        Where::Cache => true,
        Where::Manager => Site::load(&context.site)?.serving,
        Where::Host(_) | Where::Removable(_) => false,
    };
    Ok(is_ours.then_some(to))
}

/// The signature that goes along with an image, if there is one.
fn carried(origin: &Origin) -> Result<Option<Vec<u8>>, Failure> {
    let carried = origin.carried()?.into_iter();
    let mut carried = carried.filter(|one| one.ending == MINISIG);
    Ok(carried.next().map(|one| one.content))
}

/// Refuses a native image that may not be restored. Where others have it too, it is known already what it consists of.
pub(crate) fn native(
    context: &Context,
    named: &Path,
    (opened, layout): (Option<&Restorable>, Option<&Layout>),
) -> Result<Option<Trusted>, Failure> {
    let Some(trust) = Trust::of(context)? else {
        return Ok(None);
    };
    // Of a stream nothing is known before it ends.
    let opened = opened.ok_or_else(|| Failure::new(Code::Unsigned, "-"))?;
    let about = |text: String| Failure::new(Code::Corrupt, text);
    let layout = match layout {
        Some(layout) => Ok(layout.clone()),
        None => Layout::read_native(opened.file()),
    };
    let layout = layout.map_err(|error| about(error.to_string()))?;
    let signature = match &opened.origin {
        Origin::File(path, _) => beside(path)?,
        Origin::Manager(_) => carried(&opened.origin)?,
    };
    if layout.identity() != opened.native.identity() {
        return Err(about(opened.origin.name()));
    }
    trust.check(named, &layout, signature.as_deref()).map(Some)
}

/// Refuses the image of another program that may not be restored: all of its bytes are hashed, for an index beside
/// it says nothing of them. What it consists of is for whoever reads it again.
pub(crate) fn foreign(
    context: &Context,
    named: &Path,
    path: &Path,
) -> Result<Option<(Trusted, Layout)>, Failure> {
    let Some(trust) = Trust::of(context)? else {
        return Ok(None);
    };
    // Whoever lacks a signature need not wait.
    let signature = beside(path)?;
    if signature.is_none() {
        return Err(Failure::new(Code::Unsigned, named.display().to_string()));
    }
    let layout = FileSource::open(path)?.hashed()?;
    let trusted = trust.check(named, &layout, signature.as_deref())?;
    Ok(Some((trusted, layout)))
}

/// Refuses to take another image than the one whose signature was checked, if images have to be signed.
pub(crate) fn same(trusted: Option<&Trusted>, wanted: &Layout) -> Result<(), Failure> {
    match trusted {
        Some(trusted) if !trusted.claim.is_of(wanted.identity()) => {
            let name = trusted.claim.name.as_str();
            Err(Failure::new(Code::SourceChanged, name))
        }
        _ => Ok(()),
    }
}

/// Remembers what was agreed to, if images have to be signed.
pub(crate) fn remember(trusted: Option<&Trusted>) -> Result<(), Failure> {
    trusted.map_or(Ok(()), Trusted::remember)
}

/// The signature beside an image, if there is one.
pub(crate) fn beside(image: &Path) -> Result<Option<Vec<u8>>, Failure> {
    let path = azud_core::name::beside(image, MINISIG);
    match fs::metadata(&path) {
        // What is longer is no signature, and is told so.
        Ok(meta) if meta.len() > MAX_SIGNATURE as u64 => Ok(Some(Vec::new())),
        Ok(_) => fs::read(&path)
            .map(Some)
            .map_err(|error| Failure::io(&path, &error)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::io(&path, &error)),
    }
}

/// The name of an image in its repository; of a plain path only the last part is known.
pub(crate) fn name_of(named: &Path) -> Result<String, Failure> {
    Ok(match ImageRef::parse(named)? {
        ImageRef::Placed { image, .. } => image.to_string(),
        ImageRef::Path(path) => azud_core::name::ImageFile::parse(path)?.name().to_owned(),
    })
}

fn is_named(claim: &Claim, named: &Path) -> Result<(), SignatureError> {
    let wanted = name_of(named).unwrap_or_default();
    let placed = matches!(ImageRef::parse(named), Ok(ImageRef::Placed { .. }));
    let last = claim.name.rsplit('/').next().unwrap_or_default();
    let is_it = claim.name == wanted || (!placed && last == wanted);
    if is_it {
        return Ok(());
    }
    let found = claim.name.clone();
    Err(SignatureError::Other { found, wanted })
}

/// When the newest image of each name was signed that was used here.
fn read(file: &Path) -> Result<BTreeMap<String, u64>, Failure> {
    let text = match fs::read(file) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => return Err(Failure::io(file, &error)),
    };
    serde_json::from_slice(&text).map_err(|error| Failure {
        causes: vec![error.to_string()],
        ..Failure::new(Code::BadConfig, file.display().to_string())
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use azud_image::signature::Claim;

    use super::{Trusted, is_named, read};

    #[test]
    fn what_is_taken_at_the_same_time_is_remembered() {
        let dir = tempfile::tempdir().unwrap();
        let seen = dir.path().join("state/signed.json");
        let names: Vec<String> = (0..40)
            .map(|number| format!("aula{number}/win.img"))
            .collect();
        std::thread::scope(|scope| {
            for name in &names {
                let trusted = Trusted {
                    seen: seen.clone(),
                    claim: Claim::new(name, &[0; 32], 7),
                };
                scope.spawn(move || trusted.remember().unwrap());
            }
        });
        assert!(
            read(&seen).unwrap().keys().eq({
                let mut names = names;
                names.sort();
                names
            }
            .iter())
        );
    }

    #[test]
    fn a_signature_is_for_one_name() {
        let claim = Claim::new("aula1/win.img", &[0; 32], 0);
        let is = |named: &str| is_named(&claim, Path::new(named)).is_ok();
        assert!(is("REPO:aula1/win") && is("CACHE:aula1/win.img"));
        assert!(
            is("./win") && is("/mnt/x/win.img"),
            "where it lies is unknown"
        );
        assert!(!is("REPO:aula2/win") && !is("REPO:win") && !is("./lin"));
        assert!(!is("REPO:aula1/win.dsk") && !is("./in.img"));
    }
}
