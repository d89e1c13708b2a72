//! OpenGnsys' numbers, and which of them says what an error of ours says.

use azud_core::code::Code;

/// An exit status of OpenGnsys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Status {
    /// Done; of questions: yes.
    Ok = 0,
    /// The arguments; of questions: no.
    Format = 1,
    /// A file, a folder or a disk is not there.
    NotFound = 2,
    /// A partition is not there or cannot be used.
    Partition = 3,
    /// Somebody has it locked.
    Locked = 4,
    /// An image cannot be made, read or restored.
    Image = 5,
    /// Nothing can be written there.
    NotWrite = 14,
    /// There is no cache.
    NotCache = 15,
    /// No room.
    CacheSize = 16,
    /// A repository is not to be had.
    Repo = 23,
    /// The image is larger than the partition.
    ImgSizePartition = 30,
    /// The cache could not be brought up to date.
    UpdateCache = 31,
    /// Anything else.
    Generic = 40,
    /// Multicast: the image cannot be received.
    MulticastReceiver = 57,
    /// A synchronised image, or a way for those alone.
    DontSync = 71,
}

impl Status {
    /// The number.
    pub(crate) const fn number(self) -> u8 {
        self as u8
    }

    /// The number for an error, among those that a command may end with: the closest that it knows, else the
    /// last of them, which is its general failure.
    pub(crate) fn of(code: Code, among: &[Self]) -> Self {
        let known = |status: &&Self| among.contains(status);
        let closest = meanings(code).iter().find(known);
        *closest.or(among.last()).unwrap_or(&Self::Generic)
    }
}

/// What an error may be called, the most exact first.
const fn meanings(code: Code) -> &'static [Status] {
    use Status::{
        CacheSize, Format, Image, ImgSizePartition, Locked, NotCache, NotFound, NotWrite,
        Partition, Repo,
    };
    match code {
        Code::Usage | Code::BadName | Code::NotAFile | Code::BadPlace | Code::BadDevice => {
            &[Format]
        }
        Code::NotFound | Code::CaseTwin | Code::Outside | Code::NoSuchVersion | Code::NoMedium => {
            &[NotFound]
        }
        Code::NoManager
        | Code::PlaceNotMounted
        | Code::PlaceSilent
        | Code::PlaceGone
        | Code::AmbiguousPlace
        | Code::Unreachable
        | Code::TooBusy
        | Code::IndexInMaking
        | Code::Denied
        | Code::NoShare
        | Code::WrongProtocol
        | Code::DiskFails
        | Code::UnknownRepo => &[Repo, NotFound],
        Code::NoCache | Code::SeveralCaches | Code::CacheUnformatted => &[NotCache, Partition],
        Code::Locked => &[Locked],
        Code::NotADevice | Code::AmbiguousDevice => &[Partition, NotFound],
        Code::Mounted | Code::Busy | Code::Dirty | Code::Hibernated | Code::FsCorrupt => {
            &[Partition, Locked]
        }
        Code::FsUnknown
        | Code::FsUnsupported
        | Code::MountUnsupported
        | Code::MountPoint
        | Code::NotMounted
        | Code::Empty => &[Partition, Repo],
        Code::TooSmall | Code::SectorSize => &[ImgSizePartition],
        Code::ReadOnly | Code::Permission => &[NotWrite],
        Code::NoSpace | Code::NoRoom | Code::TooLittleRoom | Code::FileTooLarge => {
            &[CacheSize, NotWrite]
        }
        Code::NotNative
        | Code::Truncated
        | Code::Corrupt
        | Code::Newer
        | Code::TooLarge
        | Code::ForeignEndian
        | Code::UnknownFormat
        | Code::HoldsSource => &[Image],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use azud_core::code::Code;

    use super::Status;

    #[test]
    fn an_error_has_the_closest_number_that_a_command_knows() {
        use Status::{CacheSize, Format, Generic, Image, NotCache, NotFound, Partition, Repo};
        let among = [Format, NotFound, Partition, CacheSize, Image];
        for (code, status) in [
            (Code::Usage, Format),
            (Code::BadName, Format),
            (Code::NotFound, NotFound),
            (Code::NoManager, NotFound),
            (Code::PlaceSilent, NotFound),
            (Code::Denied, NotFound),
            (Code::NoCache, Partition),
            (Code::NoSpace, CacheSize),
            (Code::Corrupt, Image),
            (Code::Io, Image),
        ] {
            assert_eq!(Status::of(code, &among), status, "{code}");
        }
        assert_eq!(Status::of(Code::NoManager, &[NotFound, Repo]), Repo);
        assert_eq!(Status::of(Code::NoCache, &[NotCache, Partition]), NotCache);
        assert_eq!(Status::of(Code::Io, &[]), Generic);
    }
}
