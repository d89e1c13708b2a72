//! What the matrix consists of.

/// How a volume is filled and looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Through {
    /// The kernel mounts it; these options mount it for looking.
    Kernel(&'static str),
    /// ntfs-3g mounts it.
    Ntfs3g,
    /// exfat-fuse mounts it.
    ExfatFuse,
    /// mtools reach into it.
    Mtools,
    /// Making it fills it; only its checker and its bytes tell.
    Itself,
}

/// File systems that are made, filled and checked alike.
pub(crate) struct Family {
    pub(crate) name: &'static str,
    /// What must be installed.
    pub(crate) tools: &'static [&'static str],
    /// A script that makes one on the device `$1`; `OPTIONS` stands for the variant's.
    pub(crate) make: &'static str,
    pub(crate) through: Through,
    /// A script that fails unless the device `$1` is sound.
    pub(crate) check: &'static str,
    /// Who must have read the map.
    pub(crate) engine: &'static str,
    /// Bytes at the end of the device that a partclone image cannot carry.
    pub(crate) tail: u64,
    /// Options and size in KiB.
    pub(crate) variants: &'static [(&'static str, u64)],
}

const EXT: Family = Family {
    name: "ext",
    tools: &["mke2fs", "e2fsck", "setfattr"],
    make: "mke2fs -q -F OPTIONS \"$1\"",
    through: Through::Kernel("ro"),
    check: "e2fsck -fn \"$1\"",
    engine: "native",
    tail: 0,
    variants: &[],
};

pub(crate) const EXT_BLOCKS: Family = Family {
    variants: &[
        ("-t ext2 -b 1024", 24 << 10),
        (
            "-t ext2 -b 2048 -O ^sparse_super,^resize_inode -g 512",
            24 << 10,
        ),
        ("-t ext3 -b 1024", 32 << 10),
        ("-t ext3 -b 4096", 32 << 10),
        ("-t ext4", 48 << 10),
        ("-t ext4 -b 1024", 33_333),
        ("-t ext4 -b 2048 -I 512", 32 << 10),
    ],
    ..EXT
};

pub(crate) const EXT_LAYOUTS: Family = Family {
    variants: &[
        (
            "-t ext4 -b 1024 -O ^64bit,^metadata_csum,uninit_bg",
            48 << 10,
        ),
        ("-t ext4 -b 1024 -g 512 -O meta_bg,^resize_inode", 48 << 10),
        ("-t ext4 -b 1024 -O sparse_super2", 48 << 10),
        ("-t ext4 -O bigalloc -C 16384", 48 << 10),
        ("-t ext4 -b 1024 -O bigalloc,^64bit -C 32768", 48 << 10),
        ("-t ext4 -O inline_data -I 512", 48 << 10),
        ("-t ext4 -b 1024 -O ^flex_bg,^has_journal", 32 << 10),
        (
            "-t ext4 -O orphan_file,metadata_csum_seed,ea_inode,large_dir",
            48 << 10,
        ),
    ],
    ..EXT
};

pub(crate) const NTFS: Family = Family {
    name: "ntfs",
    tools: &["mkntfs", "ntfs-3g", "ntfsfix"],
    make: "mkntfs -q -F -Q OPTIONS -L 'Sala 1' \"$1\"",
    through: Through::Ntfs3g,
    check: "ntfsfix -n \"$1\"; ntfsinfo -m \"$1\" >/dev/null",
    engine: "native",
    // The backup boot sector, which lies after the last whole cluster.
    tail: 65536,
    variants: &[
        ("-c 512", 24 << 10),
        ("-c 4096", 32 << 10),
        ("-c 4096", 33_333),
        ("-c 65536", 48 << 10),
    ],
};

pub(crate) const FAT: Family = Family {
    name: "fat",
    tools: &["mkfs.fat", "fsck.fat", "mcopy", "mdel", "mmd"],
    make: "mkfs.fat OPTIONS -n SALA1 \"$1\" >/dev/null",
    through: Through::Mtools,
    check: "fsck.fat -n \"$1\"",
    engine: "native",
    tail: 0,
    variants: &[
        ("-F 12 -s 4", 6 << 10),
        ("-F 12 -s 8 -f 1", 12_345),
        ("-F 16", 20 << 10),
        ("-F 16 -s 8 -R 7", 48 << 10),
        ("-F 32 -s 1", 36 << 10),
        ("-F 32 -s 2 -b 9", 80 << 10),
    ],
};

pub(crate) const EXFAT: Family = Family {
    name: "exfat",
    tools: &["mkfs.exfat", "fsck.exfat", "mount.exfat-fuse"],
    make: "mkfs.exfat OPTIONS -L 'Sala 1' \"$1\" >/dev/null",
    through: Through::ExfatFuse,
    check: "fsck.exfat -n \"$1\"",
    engine: "native",
    tail: 0,
    variants: &[("", 24 << 10), ("-c 512", 16 << 10), ("-c 64K", 40_001)],
};

pub(crate) const XFS: Family = Family {
    name: "xfs",
    tools: &["mkfs.xfs", "xfs_repair", "setfattr"],
    make: "mkfs.xfs -q -f OPTIONS \"$1\"",
    // Two volumes of one name are never mounted at once here, but a former one may be remembered.
    through: Through::Kernel("ro,norecovery,nouuid"),
    check: "xfs_repair -n \"$1\"",
    engine: "native",
    tail: 0,
    variants: &[
        ("", 304 << 10),
        ("--unsupported -b size=1024", 64 << 10),
        ("--unsupported -m rmapbt=1,reflink=1 -d agcount=3", 96 << 10),
    ],
};

pub(crate) const XFS_4: Family = Family {
    // Kernels no longer mount it, so the tool itself puts files in.
    make: r#"tree=$(mktemp -d); head -c 900000 /dev/urandom > "$tree/noise"; seq 70000 > "$tree/seq"
printf '%s\n' / '0 0' 'd--755 0 0' "noise ---644 0 0 $tree/noise" "seq ---600 1 2 $tree/seq" '$' > "$tree/proto"
mkfs.xfs -q -f --unsupported -m crc=0 OPTIONS -p "$tree/proto" "$1"; rm -r "$tree""#,
    through: Through::Itself,
    variants: &[("", 64 << 10), ("-b size=1024 -d agcount=2", 64 << 10)],
    ..XFS
};

pub(crate) const BTRFS: Family = Family {
    name: "btrfs",
    tools: &["mkfs.btrfs", "btrfs", "setfattr"],
    make: "mkfs.btrfs -q -f OPTIONS \"$1\"",
    through: Through::Kernel("ro"),
    check: "btrfs check --readonly --check-data-csum \"$1\"",
    engine: "native",
    tail: 0,
    variants: &[
        ("", 128 << 10),
        ("-M", 64 << 10),
        ("-m dup -d dup", 240 << 10),
        ("-m single -n 4096", 112 << 10),
    ],
};

pub(crate) const SWAP: Family = Family {
    name: "swap",
    tools: &["mkswap", "swaplabel"],
    make: "mkswap OPTIONS -L sala1 \"$1\" >/dev/null",
    through: Through::Itself,
    check: "swaplabel \"$1\"",
    engine: "native",
    tail: 0,
    variants: &[("", 8 << 10), ("-p 65536", 8 << 10)],
};

pub(crate) const RAW: Family = Family {
    name: "raw",
    tools: &[],
    make: r#"size=$(blockdev --getsize64 "$1"); head -c 1000000 /dev/urandom > "$1"
head -c 70000 /dev/urandom | dd of="$1" bs=512 seek=$(((size - 70144) / 512)) status=none"#,
    through: Through::Itself,
    check: "test -b \"$1\"",
    engine: "raw",
    // What does not fill a block.
    tail: 4096,
    variants: &[("", 8 << 10), ("", 8191), ("", 9001)],
};

pub(crate) const F2FS: Family = Family {
    name: "f2fs",
    tools: &["mkfs.f2fs", "fsck.f2fs", "sload.f2fs", "partclone.f2fs"],
    make: r#"mkfs.f2fs -q -f OPTIONS "$1"; tree=$(mktemp -d); head -c 900000 /dev/urandom > "$tree/noise"
seq 70000 > "$tree/seq"; sload.f2fs -f "$tree" "$1" >/dev/null; rm -r "$tree""#,
    through: Through::Itself,
    check: "fsck.f2fs --dry-run \"$1\" >/dev/null",
    engine: "partclone",
    tail: 0,
    variants: &[("-l sala1", 112 << 10)],
};
