//! The volumes of the matrix: everything that mke2fs and its relatives can switch on.

/// What a volume needs beyond the tools.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Needs {
    /// Nothing: files suffice.
    Files,
    /// Loop mounts.
    Root,
}

/// One volume.
pub(crate) struct Variant {
    /// mke2fs options.
    pub(crate) options: &'static str,
    /// Size of the image file.
    pub(crate) size: &'static str,
    /// A shell script that changes the volume `$1` afterwards.
    pub(crate) then: &'static str,
    /// What `then` needs.
    pub(crate) needs: Needs,
}

const fn plain(size: &'static str, options: &'static str) -> Variant {
    Variant {
        options,
        size,
        then: "",
        needs: Needs::Files,
    }
}

const fn then(size: &'static str, options: &'static str, then: &'static str) -> Variant {
    Variant {
        options,
        size,
        then,
        needs: Needs::Files,
    }
}

const fn mounted(size: &'static str, options: &'static str, then: &'static str) -> Variant {
    Variant {
        options,
        size,
        then,
        needs: Needs::Root,
    }
}

/// Beginning of the scripts that mount `$1` at `$m`; they end with `done_with_it`.
pub(crate) const MOUNT: &str = r#"m=$(mktemp -d); mount -o loop "$1" "$m"; trap 'umount "$m"' EXIT
done_with_it() { trap - EXIT; sync -f "$m"; umount "$m"; rmdir "$m"; }"#;

const CHURN: &str = r#"
for i in $(seq 400); do head -c $((i * 97)) /dev/urandom > "$m/churn-$i"; done
sync -f "$m"; rm -rf "$m"/churn-*[02468] "$m/many"; mkdir "$m/new"
for i in $(seq 50); do head -c 9000 /dev/urandom > "$m/new/$i"; done; done_with_it"#;

const FILL: &str = r#"
dd if=/dev/urandom of="$m/fill" bs=64k 2> /dev/null || true
for i in $(seq 200); do echo $i > "$m/more-$i" || true; done 2> /dev/null; done_with_it"#;

const BIG_XATTR: &str = r#"
setfattr -n user.big -v "$(printf '%03000d' 7)" "$m/noise"
setfattr -n user.big -v "$(printf '%03000d' 8)" "$m/tiny"; done_with_it"#;

/// Growing a mounted volume takes a privilege that root in a container may lack; then it stays as it is.
const GROW: &str = r#"
resize2fs "$(findmnt -no SOURCE "$m")" || true
head -c 9M /dev/urandom > "$m/grown" || true; done_with_it"#;

/// All of them.
pub(crate) const VARIANTS: &[Variant] = &[
    // Generations and block sizes.
    plain("24M", "-t ext2 -b 1024"),
    plain("24M", "-t ext2 -b 2048 -I 128"),
    plain("24M", "-t ext2 -r 0"),
    plain(
        "24M",
        "-t ext2 -b 4096 -g 512 -O ^sparse_super,^resize_inode",
    ),
    plain("32M", "-t ext3 -b 1024"),
    plain("32M", "-t ext3 -b 2048"),
    plain("48M", "-t ext4"),
    plain("32M", "-t ext4 -b 1024"),
    plain("32M", "-t ext4 -b 2048 -I 1024"),
    plain("64M", "-t ext4 -b 4096 -g 1024"),
    plain("33333K", "-t ext4 -b 4096 -g 256 -N 4096"),
    plain("96M", "-t ext4 -b 65536"),
    plain("96M", "-t ext4 -b 65536 -g 256 -O ^has_journal"),
    // Layout of descriptors, bitmaps and backups.
    plain("48M", "-t ext4 -b 1024 -O ^64bit,^metadata_csum,uninit_bg"),
    plain("48M", "-t ext4 -b 1024 -O ^metadata_csum,uninit_bg"),
    plain("48M", "-t ext4 -b 1024 -O ^64bit"),
    plain("48M", "-t ext4 -b 1024 -O ^flex_bg"),
    plain(
        "48M",
        "-t ext4 -b 1024 -g 512 -G 64 -E packed_meta_blocks=1",
    ),
    plain("48M", "-t ext4 -b 1024 -g 512 -O meta_bg,^resize_inode"),
    plain(
        "32M",
        "-t ext2 -b 1024 -g 512 -O meta_bg,^resize_inode,^sparse_super",
    ),
    plain(
        "48M",
        "-t ext4 -b 2048 -g 256 -N 4096 -O meta_bg,^resize_inode,uninit_bg,^metadata_csum,^flex_bg",
    ),
    plain("48M", "-t ext4 -b 1024 -O sparse_super2"),
    plain(
        "48M",
        "-t ext4 -b 1024 -O sparse_super2,^resize_inode -E num_backup_sb=1",
    ),
    plain(
        "48M",
        "-t ext4 -b 1024 -O sparse_super2,^resize_inode -E num_backup_sb=0",
    ),
    plain(
        "48M",
        "-t ext4 -b 1024 -O ^sparse_super,^resize_inode,uninit_bg,^metadata_csum",
    ),
    plain("48M", "-t ext4 -b 1024 -O ^resize_inode"),
    plain(
        "32M",
        "-t ext4 -b 1024 -E resize=8388608,lazy_itable_init=1,lazy_journal_init=1",
    ),
    // Empty: every group but the first few is without a bitmap. A size in the options means no tree.
    plain("64M", "-t ext4 -b 1024 -O ^has_journal 64M"),
    plain(
        "64M",
        "-t ext4 -b 1024 -O ^has_journal,^metadata_csum,uninit_bg,^flex_bg 64M",
    ),
    plain("64M", "-t ext4 -b 1024 -O ^has_journal,sparse_super2 64M"),
    plain(
        "64M",
        "-t ext4 -b 1024 -O ^has_journal,^sparse_super,^resize_inode 64M",
    ),
    plain(
        "64M",
        "-t ext4 -b 1024 -g 512 -O ^has_journal,meta_bg,^resize_inode 64M",
    ),
    plain(
        "64M",
        "-t ext4 -b 1024 -O ^has_journal,bigalloc -C 2048 64M",
    ),
    plain("64M", "-t ext4 -b 4096 -g 256 -O ^has_journal 64M"),
    // Clusters.
    plain("64M", "-t ext4 -O bigalloc -C 65536"),
    plain("64M", "-t ext4 -b 1024 -O bigalloc -C 2048"),
    plain(
        "64M",
        "-t ext4 -b 1024 -O bigalloc,^metadata_csum,uninit_bg -C 4096 -N 4096",
    ),
    plain(
        "64M",
        "-t ext4 -b 1024 -O bigalloc,meta_bg,^resize_inode -C 2048",
    ),
    plain(
        "64M",
        "-t ext4 -b 4096 -g 4096 -O bigalloc,^has_journal -C 16384",
    ),
    // Everything else.
    plain("32M", "-t ext4 -O inline_data"),
    plain("32M", "-t ext4 -O metadata_csum_seed"),
    plain("32M", "-t ext4 -O casefold -E encoding=utf8"),
    // mke2fs -d does not count what it copies: e2fsck writes the usage.
    then("32M", "-t ext4 -O quota", r#"e2fsck -fy "$1" || true"#),
    then(
        "32M",
        "-t ext4 -O quota,project -E quotatype=usrquota:grpquota:prjquota",
        r#"e2fsck -fy "$1" || true"#,
    ),
    plain("32M", "-t ext4 -O orphan_file"),
    plain("64M", "-t ext4 -O fast_commit"),
    plain("32M", "-t ext4 -O large_dir,dir_nlink"),
    plain("32M", "-t ext4 -O encrypt,stable_inodes"),
    plain("32M", "-t ext4 -O verity"),
    plain("32M", "-t ext4 -b 1024 -O mmp"),
    plain("32M", "-t ext4 -O ^has_journal"),
    plain(
        "32M",
        "-t ext4 -O ^extents,^64bit,^has_journal,mmp -L label",
    ),
    // Changed afterwards.
    then("32M", "-t ext4 -b 1024 16M", r#"resize2fs "$1""#),
    then(
        "64M",
        "-t ext4 -b 1024 -g 256 -E resize=4097 -N 4096 4M",
        r#"debugfs -wR 'rm noise' "$1"; resize2fs "$1""#,
    ),
    then(
        "64M",
        "-t ext4 -b 1024 -O meta_bg,^resize_inode 16M",
        r#"resize2fs "$1""#,
    ),
    then(
        "48M",
        "-t ext4 -b 1024",
        r#"e2fsck -fy "$1" || true; resize2fs "$1" 20M"#,
    ),
    then(
        "48M",
        "-t ext4 -b 1024 -O sparse_super2",
        r#"e2fsck -fy "$1" || true; resize2fs "$1" 27M"#,
    ),
    then(
        "48M",
        "-t ext4 -b 1024",
        r#"e2fsck -fy "$1" || true; resize2fs -M "$1""#,
    ),
    then(
        "48M",
        "-t ext4 -b 1024 -O ^64bit",
        r#"e2fsck -fy "$1" || true; resize2fs -b "$1""#,
    ),
    then(
        "32M",
        "-t ext4 -b 1024 -O ^metadata_csum",
        r#"tune2fs -O metadata_csum "$1"; e2fsck -fyD "$1" || true"#,
    ),
    then(
        "32M",
        "-t ext4 -b 1024",
        r#"tune2fs -O ^metadata_csum "$1"; e2fsck -fy "$1" || true"#,
    ),
    then(
        "32M",
        "-t ext4 -b 1024 -O metadata_csum_seed",
        r#"tune2fs -U random "$1""#,
    ),
    then(
        "32M",
        "-t ext4",
        r#"tune2fs -O orphan_file,quota,project "$1"; e2fsck -fy "$1" || true"#,
    ),
    mounted("48M", "-t ext4 -b 1024", CHURN),
    mounted("48M", "-t ext2 -b 1024", CHURN),
    mounted(
        "48M",
        "-t ext4 -O bigalloc,inline_data,orphan_file -C 16384",
        CHURN,
    ),
    mounted(
        "48M",
        "-t ext4 -b 2048 -O fast_commit,^metadata_csum,uninit_bg -g 1024",
        CHURN,
    ),
    mounted("24M", "-t ext4 -b 1024", FILL),
    mounted("24M", "-t ext4 -b 4096 -g 512 -O bigalloc -C 8192", FILL),
    mounted("32M", "-t ext4 -b 1024 -O ea_inode", BIG_XATTR),
    mounted(
        "64M",
        "-t ext4 -b 1024 -g 256 -O ^has_journal -N 2048 6M",
        GROW,
    ),
    mounted("48M", "-t ext4 -b 1024 -g 1024 16M", GROW),
];
