//! The room that there is for a file, known before it is written.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{StatFs, statfs};

use crate::error::{At, Result, StoreError};

/// What the kernel calls FAT, and the largest file there.
const FAT: i64 = 0x4d44;
const FAT_LIMIT: u64 = (4 << 30) - 1;

/// What the kernel calls SMB, of the first and of later versions.
const SMB: [i64; 2] = [0xff53_4d42, 0xfe53_4d42];
/// What the kernel calls NFS.
const NFS: i64 = 0x6969;

/// Bytes that a file takes.
pub(crate) fn on_medium(meta: &Metadata) -> u64 {
    meta.blocks().saturating_mul(512)
}

/// What the file system of a directory offers to a new file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Bytes that can still be written.
    pub free: u64,
    /// The largest file in bytes, where that is less than any disk.
    pub largest: Option<u64>,
}

impl Room {
    /// In a directory, or where it will be once it is made.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn of(dir: &Path) -> Result<Self> {
        let fs = file_system(dir)?;
        Ok(Self {
            free: free(&fs),
            largest: file_limit(kind(&fs)),
        })
    }

    /// Refuses a file that is known to have so many bytes at least.
    ///
    /// # Errors
    /// [`StoreError::TooLittleRoom`], [`StoreError::FileTooLarge`].
    pub fn refuse(&self, path: &Path, least: u64) -> Result<()> {
        let path = path.to_owned();
        match self.largest {
            Some(limit) if least > limit => Err(StoreError::FileTooLarge {
                path,
                size: least,
                limit,
            }),
            _ if least > self.free => Err(StoreError::TooLittleRoom {
                path,
                needs: least,
                has: self.free,
            }),
            _ => Ok(()),
        }
    }
}

/// Of a directory, or of what is there of the way to one that is still to be made.
pub(crate) fn file_system(dir: &Path) -> Result<StatFs> {
    let mut ancestors = dir.ancestors();
    let there = ancestors.find(|dir| dir.as_os_str().is_empty() || dir.exists());
    let there = there.filter(|dir| !dir.as_os_str().is_empty());
    let dir = there.unwrap_or(Path::new("."));
    statfs(dir).at("look at", dir)
}

pub(crate) fn block(fs: &StatFs) -> u64 {
    u64::try_from(fs.f_bsize).unwrap_or(4096).max(512)
}

pub(crate) fn free(fs: &StatFs) -> u64 {
    fs.f_bavail.saturating_mul(block(fs))
}

pub(crate) fn kind(fs: &StatFs) -> i64 {
    // Its width differs from one architecture to the next.
    #[allow(
        clippy::unnecessary_cast,
        clippy::cast_lossless,
        reason = "needed elsewhere"
    )]
    let kind = fs.f_type as i64;
    kind
}

/// Whether files are replaced here only while nobody has them open, on whichever computer: so it is with SMB.
pub(crate) fn replaces_nothing_open(dir: &Path) -> Result<bool> {
    Ok(is_smb(kind(&file_system(dir)?)))
}

fn is_smb(kind: i64) -> bool {
    SMB.contains(&(kind & 0xFFFF_FFFF))
}

/// Whether files lie on another computer.
pub(crate) fn is_remote(kind: i64) -> bool {
    kind == NFS || is_smb(kind)
}

/// Whether a directory is another computer's: the kernel locks such a one for this computer alone.
pub(crate) fn is_elsewhere(dir: &Path) -> bool {
    file_system(dir).is_ok_and(|fs| is_remote(kind(&fs)))
}

pub(crate) fn file_limit(kind: i64) -> Option<u64> {
    (kind == FAT).then_some(FAT_LIMIT)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use azud_core::code::Code;

    use super::{FAT, FAT_LIMIT, Room, file_limit, is_remote};

    #[test]
    fn fat_has_a_limit_and_others_have_none() {
        assert_eq!(file_limit(FAT), Some(FAT_LIMIT));
        assert_eq!(file_limit(0xEF53), None);
    }

    #[test]
    fn files_of_other_computers_are_known_by_their_file_system() {
        // As the kernel says it where its word is of 32 bits and has a sign, too.
        for kind in [0x6969, 0xFF53_4D42, 0xFE53_4D42, 0xFE53_4D42 - (1 << 32)] {
            assert!(is_remote(kind), "{kind:x}");
        }
        assert!(!is_remote(0xEF53) && !is_remote(FAT));
    }

    #[test]
    fn only_what_is_known_not_to_fit_is_refused() {
        let room = Room {
            free: 100,
            largest: Some(50),
        };
        let refused = |least| {
            let done = room.refuse(Path::new("x"), least);
            done.map_err(|error| error.code())
        };
        assert_eq!(refused(50), Ok(()));
        assert_eq!(refused(51), Err(Code::FileTooLarge));
        let room = Room {
            largest: None,
            ..room
        };
        let refused = |least| room.refuse(Path::new("x"), least).map_err(|e| e.code());
        assert_eq!(refused(100), Ok(()));
        assert_eq!(refused(101), Err(Code::TooLittleRoom));
    }
}
