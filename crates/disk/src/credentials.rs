//! Names and passwords for file servers: in files that only their owner reads, never on a command line.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::error::{DiskError, Result};

/// Where those that nobody keeps lie while they are used: in memory, and root's alone.
const RUN: &str = "/run/azud";

/// A file of credentials as `mount.cifs` reads it; gone with this unless it is kept.
#[derive(Debug)]
pub struct Credentials {
    file: PathBuf,
    kept: bool,
}

impl Credentials {
    /// Writes a file for one mount.
    ///
    /// # Errors
    /// [`DiskError::BadSecret`] for what the file cannot hold; [`DiskError::Io`].
    pub fn passing(user: &str, password: &str) -> Result<Self> {
        let name = format!("credentials-{}", std::process::id());
        let file = Path::new(RUN).join(name);
        // Only a run of the same number that was killed can have left one.
        let _ = fs::remove_file(&file);
        write(&file, user, password)?;
        Ok(Self { file, kept: false })
    }

    /// Writes a file that stays, in the place of the former.
    ///
    /// # Errors
    /// As [`Credentials::passing`].
    pub fn kept(file: &Path, user: &str, password: &str) -> Result<Self> {
        let part = azud_core::name::beside(file, ".part");
        let _ = fs::remove_file(&part);
        write(&part, user, password)?;
        fs::rename(&part, file).map_err(|error| DiskError::at(file, "publishing", error))?;
        Self::given(file)
    }

    /// A file of the user's.
    ///
    /// # Errors
    /// [`DiskError::OpenSecret`] when others than its owner may read it, [`DiskError::NotFound`].
    pub fn given(file: &Path) -> Result<Self> {
        let meta = fs::metadata(file).map_err(|error| DiskError::at(file, "looking", error))?;
        if !meta.is_file() || meta.mode() & 0o077 != 0 {
            return Err(DiskError::OpenSecret {
                path: file.to_owned(),
            });
        }
        Ok(Self {
            file: file.to_owned(),
            kept: true,
        })
    }

    /// Where they are.
    pub fn file(&self) -> &Path {
        &self.file
    }
}

impl Drop for Credentials {
    fn drop(&mut self) {
        if !self.kept {
            let _ = fs::remove_file(&self.file);
        }
    }
}

fn write(file: &Path, user: &str, password: &str) -> Result<()> {
    let fits = |text: &str| !text.contains(['\n', '\0']);
    if user.is_empty() || !fits(user) || !fits(password) {
        return Err(DiskError::BadSecret);
    }
    let at = |error| DiskError::at(file, "writing", error);
    if let Some(dir) = file.parent() {
        let made = fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir);
        made.map_err(at)?;
    }
    let mut options = File::options();
    let mut out = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)
        .map_err(at)?;
    write!(out, "username={user}\npassword={password}\n").map_err(at)?;
    out.sync_all().map_err(at)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use azud_core::code::Code;

    use super::Credentials;

    #[test]
    fn files_are_for_their_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("deep/nas");
        let kept = Credentials::kept(&file, "lab", "a=b, c").unwrap();
        assert_eq!(kept.file(), file);
        drop(kept);
        let mode = fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let text = fs::read_to_string(&file).unwrap();
        assert_eq!(text, "username=lab\npassword=a=b, c\n");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        let code = |error: crate::DiskError| error.code();
        assert_eq!(
            Credentials::given(&file).map_err(code).err(),
            Some(Code::OpenSecret)
        );
        // A second line could be an option of its own.
        for (user, password) in [("", "x"), ("a\nb", "x"), ("a", "x\npassword=y")] {
            let refused = Credentials::kept(&file, user, password).map_err(code);
            assert_eq!(refused.err(), Some(Code::Usage));
        }
    }
}
