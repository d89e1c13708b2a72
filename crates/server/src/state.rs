//! Files of a manager's own state: each is replaced by one rename, and nobody else may read them.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use serde::de::DeserializeOwned;

/// Makes the directory if it is missing.
pub(crate) fn prepare(dir: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
}

/// What only its owner may read: a key, and what is good as a token.
const SECRETS: [&str; 3] = ["ca.key", "tokens.json", "codes.json"];

/// How a file ends that is being written.
pub(crate) const PART: &str = "part";

/// Something of the state that others can read, or replace by theirs.
pub(crate) fn open_to_others(dir: &Path) -> io::Result<Option<PathBuf>> {
    let has = |path: &Path, bits: u32| match path.metadata() {
        Ok(meta) => Ok(meta.mode() & bits != 0),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    };
    // Names may be seen; who could make files there could put his own into the place of these.
    if has(dir, 0o022)? {
        return Ok(Some(dir.to_owned()));
    }
    for path in SECRETS.map(|name| dir.join(name)) {
        if has(&path, 0o077)? {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

/// Opens a file to be written that only its owner may read; no link is followed.
pub(crate) fn secret_file() -> OpenOptions {
    let mut options = File::options();
    options.write(true).create(true).truncate(false).mode(0o600);
    options.custom_flags(OFlags::NOFOLLOW.bits().cast_signed());
    options
}

/// The manager need not be root, who may work with its state beside it: a file belongs to whom its directory
/// belongs to. Whose directory it is may have put anything there, so only what was opened is given away.
fn belongs_there(file: &File, path: &Path) -> io::Result<()> {
    let dir = path.parent().ok_or(ErrorKind::InvalidInput)?.metadata()?;
    let meta = file.metadata()?;
    if (dir.uid(), dir.gid()) == (meta.uid(), meta.gid()) {
        return Ok(());
    }
    if !meta.is_file() || meta.nlink() != 1 {
        return Err(ErrorKind::PermissionDenied.into());
    }
    // Who is not root made it in a directory of others, and keeps it.
    match fchown(file, Some(dir.uid()), Some(dir.gid())) {
        Err(error) if error.kind() != ErrorKind::PermissionDenied => Err(error),
        _ => Ok(()),
    }
}

/// Waits until nobody else holds the lock of this file.
pub(crate) fn lock(path: &Path) -> io::Result<File> {
    let lock = secret_file().open(path)?;
    belongs_there(&lock, path)?;
    lock.lock()?;
    Ok(lock)
}

/// What a file of JSON says; one that was never written says nothing.
pub(crate) fn read<T: DeserializeOwned + Default>(path: &Path) -> io::Result<T> {
    match std::fs::read(path) {
        Ok(text) => serde_json::from_slice(&text).map_err(io::Error::from),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(T::default()),
        Err(error) => Err(error),
    }
}

/// Random bytes in hexadecimal: who does not know them does not guess them.
pub(crate) fn random<const N: usize>() -> io::Result<String> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(bytes
        .iter()
        .fold(String::new(), |text, byte| format!("{text}{byte:02x}")))
}

/// Writes a file by one rename; it is on the medium when this returns.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let part = path.with_extension(PART);
    let mut file = secret_file().open(&part)?;
    belongs_there(&file, &part)?;
    file.set_len(0)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&part, path)?;
    match path.parent() {
        Some(dir) => File::open(dir)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};

    use super::{SECRETS, lock, open_to_others, prepare, write};

    #[test]
    fn nothing_outside_is_reached_through_a_link() {
        let dir = tempfile::tempdir().unwrap();
        let (state, other) = (dir.path().join("state"), dir.path().join("other"));
        fs::create_dir(&state).unwrap();
        fs::write(&other, "precious").unwrap();
        for name in ["tokens.part", "tokens.lock"] {
            symlink(&other, state.join(name)).unwrap();
        }
        assert!(write(&state.join("tokens.json"), b"[]").is_err());
        assert!(lock(&state.join("tokens.lock")).is_err());
        assert_eq!(fs::read_to_string(&other).unwrap(), "precious");
    }

    #[test]
    fn what_others_can_read_or_replace_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state");
        prepare(&state).unwrap();
        for name in SECRETS {
            write(&state.join(name), b"secret").unwrap();
        }
        write(&state.join("room.json"), b"[]").unwrap();
        let mode = |path: &std::path::Path, mode| {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        };
        mode(&state.join("room.json"), 0o644);
        mode(&state, 0o755);
        assert_eq!(open_to_others(&state).unwrap(), None);
        for name in SECRETS {
            for bits in [0o640, 0o604, 0o620, 0o602] {
                mode(&state.join(name), bits);
                let open = open_to_others(&state).unwrap();
                assert_eq!(open, Some(state.join(name)), "{bits:o}");
            }
            mode(&state.join(name), 0o600);
        }
        for bits in [0o720, 0o702] {
            mode(&state, bits);
            assert_eq!(open_to_others(&state).unwrap(), Some(state.clone()));
        }
        let none = open_to_others(&dir.path().join("none"));
        assert_eq!(none.unwrap(), None);
    }

    #[test]
    fn what_root_makes_belongs_to_the_account() {
        let dir = tempfile::tempdir().unwrap();
        if chown(dir.path(), Some(12345), Some(12346)).is_err() {
            return;
        }
        let file = dir.path().join("tokens.json");
        write(&file, b"[]").unwrap();
        drop(lock(&dir.path().join("tokens.lock")).unwrap());
        for path in [file, dir.path().join("tokens.lock")] {
            let meta = fs::metadata(path).unwrap();
            assert_eq!((meta.uid(), meta.gid()), (12345, 12346));
        }
    }
}
