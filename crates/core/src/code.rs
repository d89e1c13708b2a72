//! Stable error codes, `area/word`: what scripts match on and what messages are keyed by.

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)+) => {
        /// A stable error code. Its text never changes once released.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Code { $($(#[$doc])* $name,)+ }

        impl Code {
            /// Every code, in documentation order.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// The code as `area/word`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }
        }
    };
}

codes! {
    /// The command line was not understood.
    Usage = "cli/usage",
    /// The configuration was not understood.
    BadConfig = "cli/bad-config",
    /// The user did not confirm a destructive step.
    NotConfirmed = "cli/not-confirmed",
    /// Somebody asked for the end of the work (a signal).
    Interrupted = "cli/interrupted",
    /// The name is not acceptable.
    BadName = "image/bad-name",
    /// Something that is no regular file has the name.
    NotAFile = "image/not-a-file",
    /// No such image.
    NotFound = "image/not-found",
    /// A name leads out of its repository.
    Outside = "image/outside",
    /// Only a name that differs in upper and lower case is there.
    CaseTwin = "image/case-twin",
    /// The file is not a native image.
    NotNative = "image/not-native",
    /// The file ends too early.
    Truncated = "image/truncated",
    /// The image contradicts itself or a hash does not match.
    Corrupt = "image/corrupt",
    /// A sum beside an image is not that of the image.
    FalseSum = "image/false-sum",
    /// The format is newer than this program.
    Newer = "image/newer-version",
    /// A size in the file is beyond what the format allows.
    TooLarge = "image/too-large",
    /// The image was written on a machine of the other byte order.
    ForeignEndian = "image/foreign-endian",
    /// A compressor or container that is not supported.
    UnknownFormat = "image/unknown-format",
    /// The image is being written by somebody else.
    Locked = "image/locked",
    /// The trash has no such version.
    NoSuchVersion = "image/no-such-version",
    /// What should name a repository does not.
    BadPlace = "place/bad-name",
    /// Nothing tells which computer the manager is.
    NoManager = "place/no-manager",
    /// The repository is not mounted here.
    PlaceNotMounted = "place/not-mounted",
    /// The repository is mounted, but its server says nothing.
    PlaceSilent = "place/not-answering",
    /// What was mounted as the repository is no longer there.
    PlaceGone = "place/gone",
    /// Several repositories answer to the name.
    AmbiguousPlace = "place/ambiguous",
    /// A file or directory stands where an alias belongs.
    AliasTaken = "place/alias-taken",
    /// The image is pinned in the cache.
    Pinned = "cache/pinned",
    /// Somebody is at work with the image in the cache.
    InUse = "cache/in-use",
    /// The last copy of what a partition of this machine runs.
    LastCopy = "cache/last-copy",
    /// Even without all that may go, there is no room.
    NoRoom = "cache/no-room",
    /// No frame of the other copy fits.
    NoCopy = "cache/no-copy",
    /// What says which image it is is damaged, and nobody noted it.
    UnknownVersion = "cache/unknown-version",
    /// There is not enough room for the image, known before anything is written.
    TooLittleRoom = "store/no-room",
    /// The file system cannot hold a file of this size.
    FileTooLarge = "store/file-too-large",
    /// The image that is copied changed during the work.
    SourceChanged = "store/source-changed",
    /// A part of the image lies in an update of it that was broken off.
    HalfMoved = "store/half-moved",
    /// Something on this computer is in the way of work.
    Problems = "site/problems",
    /// The file system was not shut down cleanly.
    Dirty = "fs/dirty",
    /// The volume is hibernated (Windows fast start-up included).
    Hibernated = "fs/hibernated",
    /// The file system's own structures contradict each other.
    FsCorrupt = "fs/corrupt",
    /// A feature that is not understood, so that nothing may be assumed.
    FsUnsupported = "fs/unsupported",
    /// No known file system.
    FsUnknown = "fs/unknown",
    /// The device is mounted.
    Mounted = "disk/mounted",
    /// Somebody else has the device open exclusively.
    Busy = "disk/busy",
    /// No such device or not a device or regular file.
    NotADevice = "disk/not-a-device",
    /// What should name a device does not.
    BadDevice = "disk/bad-name",
    /// Several disks answer to the name.
    AmbiguousDevice = "disk/ambiguous",
    /// The target is smaller than the image needs.
    TooSmall = "disk/too-small",
    /// The logical sector size does not fit the image.
    SectorSize = "disk/sector-size",
    /// The target holds the image it is to be restored from.
    HoldsSource = "disk/holds-source",
    /// The target is itself an image, which would be lost without a trace.
    TargetIsImage = "disk/target-is-image",
    /// There is nothing to capture.
    Empty = "disk/empty",
    /// The device changed or vanished during the work.
    Changed = "disk/changed",
    /// The medium is read-only.
    ReadOnly = "disk/read-only",
    /// The medium is full.
    NoSpace = "disk/no-space",
    /// Reading back gave other bytes than were written.
    ReadBack = "disk/read-back",
    /// The operating system refused an operation.
    Io = "disk/io",
    /// Not allowed.
    Permission = "disk/permission",
    /// The partition table is damaged, of an unknown kind or not what was planned.
    BadTable = "disk/bad-table",
    /// There is no free place for a partition.
    NoPlace = "disk/no-place",
    /// What the disk holds would be lost.
    DiskInUse = "disk/not-empty",
    /// There is no cache.
    NoCache = "cache/not-found",
    /// Several devices are caches by the same rule.
    SeveralCaches = "cache/ambiguous",
    /// It is a cache already.
    IsCache = "cache/exists",
    /// The cache has no file system that is recognised.
    CacheUnformatted = "cache/no-file-system",
    /// The kernel does not know such a file system.
    MountUnsupported = "mount/unsupported",
    /// Nothing can be mounted at that place.
    MountPoint = "mount/bad-place",
    /// Nothing is mounted there.
    NotMounted = "mount/not-mounted",
    /// A server does not answer.
    Unreachable = "repo/unreachable",
    /// A server refuses who asks.
    Denied = "repo/denied",
    /// A server has no such share or export.
    NoShare = "repo/no-such-share",
    /// A server does not speak the protocol that it is asked in.
    WrongProtocol = "repo/wrong-protocol",
    /// Nothing is known of how a repository is reached.
    UnknownRepo = "repo/unknown",
    /// The server's certificate is not of the authority that is known.
    Untrusted = "repo/untrusted",
    /// The server does not accept the token.
    Unauthorised = "repo/unauthorised",
    /// A file that should hold a token does not.
    BadToken = "repo/bad-token",
    /// The token has ended.
    TokenExpired = "repo/token-expired",
    /// The code for a login is not good.
    BadLogin = "repo/bad-login",
    /// So many codes were tried that none is looked at for a moment.
    TooManyLogins = "repo/too-many-logins",
    /// The token is not good at this address.
    TokenElsewhere = "repo/token-elsewhere",
    /// The token is good, but not for this.
    NotAllowed = "repo/not-allowed",
    /// The manager only reads out what it has, whoever asks.
    OnlyReadOut = "repo/read-only",
    /// The manager may not read what it has.
    CannotRead = "repo/cannot-read",
    /// The manager may not, or cannot, write where the image goes.
    CannotStore = "repo/cannot-store",
    /// A disk of the manager's computer fails.
    DiskFails = "repo/disk-fails",
    /// The server's answer is not what was asked for.
    BadAnswer = "repo/bad-answer",
    /// A server answers, and has too much to do for more.
    TooBusy = "repo/too-busy",
    /// What was asked for is nothing that a manager does.
    BadRequest = "repo/bad-request",
    /// The index of a foreign image is being made.
    IndexInMaking = "repo/index-in-making",
    /// A range of bytes that cannot be served.
    BadRange = "repo/bad-range",
    /// What a client sends for an image cannot be a part of it.
    BadUpload = "repo/bad-upload",
    /// The manager knows no such upload, or it has lapsed.
    NoUpload = "repo/no-upload",
    /// The manager receives as many images as it can.
    TooManyUploads = "repo/too-many-uploads",
    /// What a computer tells of its work is not acceptable.
    BadReport = "repo/bad-report",
    /// Nobody can listen at the address.
    CannotListen = "server/cannot-listen",
    /// What should be a certificate is none.
    BadCertificate = "server/bad-certificate",
    /// A directory is not the state of a manager.
    NoState = "server/no-state",
    /// There is no token of that id.
    NoToken = "server/no-token",
    /// An image without a signature where only signed ones are trusted.
    Unsigned = "trust/unsigned",
    /// A signature that is worth nothing.
    BadSignature = "trust/bad-signature",
    /// A signature that is of another image.
    OtherImage = "trust/other-image",
    /// An image that is older than one that was trusted before.
    OlderImage = "trust/older-image",
    /// A key for signatures that is none or cannot be opened.
    BadKey = "trust/bad-key",
    /// A file with a password, a token or a key that others may read.
    OpenSecret = "repo/open-secret",
    /// No removable medium has that name.
    NoMedium = "storage/no-medium",
    /// An external program is missing.
    ToolMissing = "tool/missing",
    /// An external program failed.
    ToolFailed = "tool/failed",
}

impl std::str::FromStr for Code {
    type Err = ();

    /// Understands a code; none that this program does not know.
    fn from_str(text: &str) -> Result<Self, ()> {
        let mut all = Self::ALL.iter();
        all.find(|code| code.as_str() == text).copied().ok_or(())
    }
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The code for an operating-system error, where its kind says more than "I/O".
pub fn of_io(error: &std::io::Error) -> Code {
    use std::io::ErrorKind as Kind;
    match error.kind() {
        Kind::StorageFull | Kind::QuotaExceeded => Code::NoSpace,
        Kind::ReadOnlyFilesystem => Code::ReadOnly,
        Kind::PermissionDenied => Code::Permission,
        Kind::NotFound => Code::NotFound,
        Kind::ResourceBusy => Code::Busy,
        _ => Code::Io,
    }
}

#[cfg(test)]
mod tests {
    use super::Code;

    #[test]
    fn codes_are_unique_and_well_formed() {
        let mut seen = std::collections::BTreeSet::new();
        for code in Code::ALL {
            let text = code.as_str();
            let (area, word) = text.split_once('/').expect("area/word");
            let ok =
                |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
            assert!(ok(area) && ok(word), "{text}");
            assert!(seen.insert(text), "{text} twice");
            assert_eq!(text.parse(), Ok(*code));
        }
    }
}
