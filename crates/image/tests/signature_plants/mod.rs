//! Signatures to plant by hand, and tools that make real ones.
#![allow(unreachable_pub, reason = "a module of a test")]

/// Expected type, whether Debian 12's wipefs lists such a stub, and what to write where (from the end if negative).
pub type Plant = (&'static str, bool, &'static [(i64, &'static [u8])]);

pub const PLANTS: &[Plant] = &[
    ("crypto_LUKS", true, &[(0, b"LUKS\xba\xbe\0\x01")]),
    (
        "crypto_LUKS",
        true,
        &[
            (0x4000, b"SKUL\xba\xbe\0\x02\0\0\0\0\0\0\x40\0"),
            (0x4100, b"\0\0\0\0\0\0\x40\0"),
        ],
    ),
    (
        "LVM2_member",
        true,
        &[(512, b"LABELONE\x01\0\0\0\0\0\0\0\0\0\0\0\x20\0\0\0LVM2 001")],
    ),
    (
        "LVM2_member",
        true,
        &[(0, b"LABELONE\0\0\0\0\0\0\0\0\0\0\0\0\x20\0\0\0LVM2 001")],
    ),
    (
        "LVM2_member",
        true,
        &[(
            1536,
            b"LABELONE\x03\0\0\0\0\0\0\0\0\0\0\0\x20\0\0\0LVM2 001",
        )],
    ),
    (
        "linux_raid_member",
        true,
        &[(0, b"\xfc\x4e\x2b\xa9\x01\0\0\0")],
    ),
    (
        "linux_raid_member",
        true,
        &[(4096, b"\xfc\x4e\x2b\xa9\x01\0\0\0"), (4096 + 144, b"\x08")],
    ),
    (
        "linux_raid_member",
        true,
        &[
            (-8192, b"\xfc\x4e\x2b\xa9\x01\0\0\0"),
            (-8192 + 144, b"\xf0\x1f"),
        ],
    ),
    (
        "linux_raid_member",
        true,
        &[(-65536, b"\xfc\x4e\x2b\xa9\0\0\0\0\x5a\0\0\0")],
    ),
    (
        "linux_raid_member",
        true,
        &[(-65536, b"\xa9\x2b\x4e\xfc\0\0\0\0\0\0\0\x5a")],
    ),
    (
        "swap",
        true,
        &[(8192 - 10, b"SWAPSPACE2"), (1024, b"\x01\0\0\0\x10\0\0\0")],
    ),
    ("swsuspend", true, &[(4096 - 10, b"S1SUSPEND\0")]),
    ("swsuspend", true, &[(4096 - 10, b"LINHIB0001")]),
    ("apfs", false, &[(32, b"NXSB")]),
    ("hfs", true, &[(1024, b"BD"), (1024 + 20, b"\0\0\x10\0")]),
    (
        "hfsplus",
        true,
        &[(1024, b"H+\0\x04"), (1024 + 40, b"\0\0\x10\0\0\0\x01\0")],
    ),
    (
        "hfsplus",
        false,
        &[(-1024, b"HX\0\x05"), (-1024 + 40, b"\0\0\x10\0")],
    ),
    ("jfs", false, &[(0xF000, b"JFS1")]),
    (
        "reiserfs",
        false,
        &[(65536 + 52, b"ReIsEr3Fs"), (65536 + 44, b"\0\x10")],
    ),
    ("reiser4", true, &[(65536, b"ReIsEr4")]),
    ("ufs", true, &[(8192 + 1372, b"\x54\x19\x01\0")]),
    ("ufs", true, &[(65536 + 1372, b"\x19\x54\x01\x19")]),
    ("squashfs", true, &[(0, b"hsqs"), (28, b"\x04\0")]),
    ("erofs", true, &[(1024, b"\xe2\xe1\xf5\xe0")]),
    (
        "iso9660",
        true,
        &[(32768, b"\x01CD001\x01"), (34816, b"\xffCD001\x01")],
    ),
    (
        "udf",
        false,
        &[
            (32768, b"\0BEA01\x01"),
            (34816, b"\0NSR02\x01"),
            (36864, b"\0TEA01\x01"),
        ],
    ),
    (
        "zfs_member",
        false,
        &[(
            16384,
            b"\x01\x01\0\0\0\0\0\0\0\0\0\x01\0\0\0\x24\0\0\0\x20\0\0\0\x07version",
        )],
    ),
    (
        "zfs_member",
        false,
        &[(-131_072, b"\x0c\xb1\xba\0\0\0\0\0")],
    ),
    (
        "bcachefs",
        false,
        &[(
            -512 * 300 + 24,
            b"\xc6\x85\x73\xf6\x66\xce\x90\xa9\xd9\x6a\x60\xcf\x80\x3d\xf7\xef",
        )],
    ),
    ("BitLocker", false, &[(0, b"\xeb\x58\x90-FVE-FS-")]),
    (
        "BitLocker",
        false,
        &[
            (3, b"MSWIN4.1"),
            (
                424,
                b"\x3b\xd6\x67\x49\x29\x2e\xd8\x4a\x83\x99\xf6\xa3\x39\xe3\xd0\x01",
            ),
        ],
    ),
    ("LVM1_member", true, &[(0, b"HM\x01\0\0\0\0\0\0\x04\0\0")]),
    ("DM_snapshot_cow", true, &[(0, b"SnAp\x01\0\0\0\x01\0\0\0")]),
    ("gfs2", false, &[(65536, b"\x01\x16\x19\x70")]),
    ("ocfs2", false, &[(4096, b"OCFSV2")]),
    ("vxfs", true, &[(1024, b"\xf5\xfc\x01\xa5")]),
    ("hpfs", false, &[(8192, b"\x49\xe8\x95\xf9")]),
    ("befs", false, &[(512 + 32, b"BFS1")]),
    ("ubi", true, &[(0, b"UBI#\x01")]),
    ("oracleasm", true, &[(32, b"ORCLDISK")]),
    ("stratis", false, &[(512, b"!Stra0tis\x86\xff\x02^\x41rh")]),
    (
        "isw_raid_member",
        true,
        &[(-1024, b"Intel Raid ISM Cfg Sig. 1.2.01")],
    ),
    ("nvidia_raid_member", true, &[(-1024, b"NVIDIA  ")]),
    ("lsi_mega_raid_member", true, &[(-512, b"$XIDE$")]),
    ("gpt", false, &[(-512, b"EFI PART\0\0\x01\0")]),
    ("gpt", false, &[(4096, b"EFI PART\0\0\x01\0")]),
    (
        "dos",
        true,
        &[
            (446, b"\x80\0\x02\0\x83\0\0\0\0\x08\0\0\0\x10\0\0"),
            (510, b"\x55\xaa"),
        ],
    ),
    ("mac", true, &[(0, b"ER\x02\0"), (512, b"PM")]),
    ("bsd", false, &[(512, b"\x57\x45\x56\x82")]),
    ("partclone-image", false, &[(0, b"partclone-image")]),
    ("ntfsclone-image", false, &[(0, b"\0ntfsclone-image")]),
];

/// Type, tools, MiB and script that makes it in `$1`.
pub type Recipe = (&'static str, &'static [&'static str], u64, &'static str);

/// Tools that every machine for tests has.
pub const MADE: &[Recipe] = &[
    ("f2fs", &["mkfs.f2fs"], 64, "mkfs.f2fs \"$1\""),
    ("swap", &["mkswap"], 4, "mkswap \"$1\""),
    ("swap", &["mkswap"], 4, "mkswap -p 8192 \"$1\""),
    ("swap", &["mkswap"], 4, "mkswap -p 65536 \"$1\""),
    ("minix", &["mkfs.minix"], 4, "mkfs.minix -1 \"$1\""),
    ("minix", &["mkfs.minix"], 4, "mkfs.minix -2 -n 14 \"$1\""),
    ("minix", &["mkfs.minix"], 4, "mkfs.minix -3 \"$1\""),
    (
        "cramfs",
        &["mkfs.cramfs"],
        0,
        "d=$(mktemp -d); mkfs.cramfs \"$d\" \"$1\"; rmdir \"$d\"; truncate -s 2M \"$1\"",
    ),
    (
        "gpt",
        &["sfdisk"],
        4,
        "echo start=2048 | sfdisk -X gpt \"$1\"",
    ),
    (
        "dos",
        &["sfdisk"],
        4,
        "echo start=2048 | sfdisk -X dos \"$1\"",
    ),
    ("dos", &["sfdisk"], 4, "echo 'label: dos' | sfdisk \"$1\""),
    ("sun", &["sfdisk"], 16, "echo 'label: sun' | sfdisk \"$1\""),
    ("sgi", &["sfdisk"], 16, "echo 'label: sgi' | sfdisk \"$1\""),
    (
        "qcow2",
        &["qemu-img"],
        0,
        "qemu-img create -f qcow2 \"$1\" 4M; truncate -s 2M \"$1\"",
    ),
];

/// Tools that need not be there; what they make is planted by hand above as well.
pub const PERHAPS: &[Recipe] = &[
    (
        "LVM2_member",
        &["pvcreate"],
        8,
        "l=$(losetup -f --show \"$1\"); trap 'losetup -d $l' EXIT; pvcreate -ff -y $l; blockdev --flushbufs $l",
    ),
    (
        "crypto_LUKS",
        &["cryptsetup"],
        32,
        "echo x | cryptsetup luksFormat -q --type luks1 --pbkdf-force-iterations 1000 \"$1\" -",
    ),
    (
        "crypto_LUKS",
        &["cryptsetup"],
        32,
        "echo x | cryptsetup luksFormat -q --type luks2 --pbkdf pbkdf2 --pbkdf-force-iterations 1000 \"$1\" -",
    ),
    (
        "crypto_LUKS",
        &["cryptsetup"],
        32,
        "echo x | cryptsetup luksFormat -q --type luks2 --luks2-metadata-size 1m --pbkdf pbkdf2 --pbkdf-force-iterations 1000 \"$1\" -",
    ),
    (
        "DM_verity_hash",
        &["veritysetup"],
        4,
        "truncate -s 1M \"$1\".data; veritysetup format \"$1\".data \"$1\"; rm \"$1\".data",
    ),
    ("nilfs2", &["mkfs.nilfs2"], 160, "mkfs.nilfs2 -f \"$1\""),
    ("jfs", &["mkfs.jfs"], 24, "mkfs.jfs -q \"$1\""),
    ("reiserfs", &["mkreiserfs"], 40, "mkreiserfs -q -ff \"$1\""),
    (
        "reiser4",
        &["mkfs.reiser4"],
        40,
        "mkfs.reiser4 -y -f \"$1\"",
    ),
    (
        "erofs",
        &["mkfs.erofs"],
        0,
        "d=$(mktemp -d); mkfs.erofs \"$1\" \"$d\"; rmdir \"$d\"; truncate -s 2M \"$1\"",
    ),
    (
        "squashfs",
        &["mksquashfs"],
        0,
        "d=$(mktemp -d); rm -f \"$1\"; mksquashfs \"$d\" \"$1\"; rmdir \"$d\"; truncate -s 2M \"$1\"",
    ),
    ("udf", &["mkudffs"], 8, "mkudffs \"$1\""),
    ("udf", &["mkudffs"], 8, "mkudffs -b 4096 \"$1\""),
    (
        "iso9660",
        &["genisoimage"],
        0,
        "d=$(mktemp -d); echo x > $d/x; genisoimage -J -r -o \"$1\" \"$d\"; rm -r \"$d\"",
    ),
    (
        "udf",
        &["genisoimage"],
        0,
        "d=$(mktemp -d); echo x > $d/x; genisoimage -udf -o \"$1\" \"$d\"; rm -r \"$d\"",
    ),
    ("bcache", &["make-bcache"], 64, "make-bcache -C \"$1\""),
    ("bcache", &["make-bcache"], 16, "make-bcache -B \"$1\""),
    ("apfs", &["mkapfs"], 256, "mkapfs \"$1\""),
    (
        "gfs2",
        &["mkfs.gfs2"],
        128,
        "mkfs.gfs2 -O -q -p lock_nolock -j 1 -J 8 \"$1\"",
    ),
    (
        "ocfs2",
        &["mkfs.ocfs2"],
        128,
        "printf 'y\\ny\\ny\\n' | mkfs.ocfs2 -q -F -M local \"$1\"",
    ),
    (
        "ocfs2",
        &["mkfs.ocfs2"],
        128,
        "printf 'y\\ny\\ny\\n' | mkfs.ocfs2 -q -b 512 -F -M local \"$1\"",
    ),
    (
        "romfs",
        &["genromfs"],
        0,
        "d=$(mktemp -d); genromfs -d \"$d\" -f \"$1\"; rmdir \"$d\"; truncate -s 2M \"$1\"",
    ),
    ("hfs", &["hformat"], 4, "hformat -f \"$1\""),
];
