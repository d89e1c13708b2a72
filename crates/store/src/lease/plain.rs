//! Locks without an owner, as OpenGnsys' tools make and remove them: for scripts, whose lock must outlive
//! every process that they start.

use std::io::ErrorKind;

use azud_core::name::ImageFile;

use super::held;
use super::holder::{Found, Holder};
use crate::durable;
use crate::error::{At, Result, StoreError};
use crate::side::LOCK;

/// Locks an image until it is unlocked. One that a script has locked is locked anew, as OpenGnsys does.
///
/// # Errors
/// [`StoreError::Held`] by an Azud; [`StoreError::ReadOnly`], [`StoreError::Io`].
pub fn lock(image: &ImageFile) -> Result<()> {
    let path = image.beside(LOCK);
    if let Some(found) = kept(image)? {
        if found.holder() == Holder::Ownerless {
            // Its time tells how old it is.
            durable::write(&path, b"")?;
        }
        return Ok(());
    }
    match durable::create(&path) {
        Err(StoreError::Io { source, .. }) if source.kind() == ErrorKind::AlreadyExists => {
            kept(image).map(drop)
        }
        done => done.map(drop),
    }?;
    durable::sync_dir(image.dir())
}

/// Unlocks an image; one that is not locked stays so.
///
/// # Errors
/// As [`lock`].
pub fn unlock(image: &ImageFile) -> Result<()> {
    if kept(image)?.is_some() {
        durable::remove_file(&image.beside(LOCK))?;
        durable::sync_dir(image.dir())?;
    }
    Ok(())
}

/// The lock that is there, of whoever is not at work with it; that of an Azud that has ended is taken away.
fn kept(image: &ImageFile) -> Result<Option<Found>> {
    let path = image.beside(LOCK);
    let Some(found) = Found::read(&path).at("read", &path)? else {
        return Ok(None);
    };
    match (found.claim(), found.is_dead_here()) {
        (Some(_), Some(true)) => durable::remove_file(&path).map(|()| None),
        (Some(_), _) => Err(held(&image.path(), found.holder())),
        (None, _) => Ok(Some(found)),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::SystemTime;

    use azud_core::code::Code;
    use azud_core::name::ImageFile;

    use super::{lock, unlock};
    use crate::lease::{Lease, holder};

    #[test]
    fn a_script_locks_for_longer_than_it_lives_and_not_over_an_azud() {
        let dir = tempfile::tempdir().unwrap();
        let image = ImageFile::in_dir(dir.path(), "w.img").unwrap();
        let path = image.beside(".lock");
        unlock(&image).unwrap();
        lock(&image).unwrap();
        lock(&image).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"");
        assert!(Lease::take(&image, SystemTime::now()).is_err());
        unlock(&image).unwrap();
        assert!(!path.exists());
        // A server's word for what it does stays.
        fs::write(&path, "mounted").unwrap();
        lock(&image).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"mounted");
        unlock(&image).unwrap();
        let lease = Lease::take(&image, SystemTime::now()).unwrap();
        for done in [lock(&image), unlock(&image)] {
            assert_eq!(done.unwrap_err().code(), Code::Locked);
        }
        lease.confirm().unwrap();
        drop(lease);
        assert!(holder(&image).is_none() && !path.exists());
    }
}
