//! Signatures at fixed places that are long enough to be believed as they stand.

/// A few bytes that give something away.
pub(super) struct Magic {
    /// The name, as `blkid` spells it.
    pub(super) name: &'static str,
    /// Where the bytes are.
    pub(super) at: u64,
    /// The bytes.
    pub(super) bytes: &'static [u8],
}

const fn magic(name: &'static str, at: u64, bytes: &'static [u8]) -> Magic {
    Magic { name, at, bytes }
}

const KIB: u64 = 1024;

/// Shared by bcache and, formerly, bcachefs.
const BCACHE: &[u8] = b"\xc6\x85\x73\xf6\x4e\x1a\x45\xca\x82\x65\xf5\x7f\x48\xba\x6d\x81";

/// bcachefs also keeps copies at the end.
pub(super) const BCACHEFS: &[u8] =
    b"\xc6\x85\x73\xf6\x66\xce\x90\xa9\xd9\x6a\x60\xcf\x80\x3d\xf7\xef";

/// Linux software RAID, little endian as all 1.x superblocks are.
pub(super) const RAID: &[u8] = b"\xfc\x4e\x2b\xa9";

/// The GUID that tells a `BitLocker` To Go volume from the FAT32 it looks like.
const TO_GO: &[u8] = b"\x3b\xd6\x67\x49\x29\x2e\xd8\x4a\x83\x99\xf6\xa3\x39\xe3\xd0\x01";

/// Counted from the beginning of the device.
pub(super) const MAGICS: &[Magic] = &[
    magic("crypto_LUKS", 0, b"LUKS\xba\xbe"),
    magic("BitLocker", 3, b"-FVE-FS-"),
    magic("BitLocker", 424, TO_GO),
    magic("DM_snapshot_cow", 0, b"SnAp"),
    magic("DM_verity_hash", 0, b"verity\0\0"),
    magic("DM_integrity", 0, b"integrt\0"),
    magic("stratis", 512, b"!Stra0tis\x86\xff\x02^\x41rh"),
    magic("stratis", 9 * 512, b"!Stra0tis\x86\xff\x02^\x41rh"),
    magic("vdo", 0, b"dmvdo001"),
    magic("ceph_bluestore", 0, b"bluestore block device"),
    magic("oracleasm", 32, b"ORCLDISK"),
    magic("linux_raid_member", 0, RAID),
    magic("linux_raid_member", 4096, RAID),
    magic("bcache", 4 * KIB + 24, BCACHE),
    magic("bcachefs", 4 * KIB + 24, BCACHEFS),
    magic("f2fs", KIB, b"\x10\x20\xf5\xf2"),
    magic("f2fs", 5 * KIB, b"\x10\x20\xf5\xf2"),
    magic("apfs", 32, b"NXSB"),
    magic("jfs", 32 * KIB, b"JFS1"),
    magic("jfs", 60 * KIB, b"JFS1"),
    magic("reiserfs", 8 * KIB + 20, b"ReIsErFs"),
    magic("reiserfs", 8 * KIB + 52, b"ReIsErFs"),
    magic("reiserfs", 8 * KIB + 52, b"ReIsEr2Fs"),
    magic("reiserfs", 64 * KIB + 52, b"ReIsErFs"),
    magic("reiserfs", 64 * KIB + 52, b"ReIsEr2Fs"),
    magic("reiserfs", 64 * KIB + 52, b"ReIsEr3Fs"),
    magic("reiser4", 64 * KIB, b"ReIsEr4"),
    magic("squashfs", 0, b"hsqs"),
    magic("squashfs", 0, b"sqsh"),
    magic("squashfs", 0, b"qshs"),
    magic("erofs", KIB, b"\xe2\xe1\xf5\xe0"),
    magic("cramfs", 0, b"\x45\x3d\xcd\x28"),
    magic("cramfs", 0, b"\x28\xcd\x3d\x45"),
    magic("cramfs", 512, b"\x45\x3d\xcd\x28"),
    magic("romfs", 0, b"-rom1fs-"),
    magic("bfs", 0, b"\xce\xfa\xad\x1b"),
    magic("befs", 32, b"BFS1"),
    magic("befs", 32, b"1SFB"),
    magic("befs", 512 + 32, b"BFS1"),
    magic("befs", 512 + 32, b"1SFB"),
    magic("ReFS", 0, b"\0\0\0ReFS\0"),
    magic("hpfs", 8 * KIB, b"\x49\xe8\x95\xf9"),
    magic("vxfs", KIB, b"\xf5\xfc\x01\xa5"),
    magic("vxfs", 8 * KIB, b"\xa5\x01\xfc\xf5"),
    magic("gfs2", 64 * KIB, b"\x01\x16\x19\x70"),
    magic("ocfs2", KIB, b"OCFSV2"),
    magic("ocfs2", 2 * KIB, b"OCFSV2"),
    magic("ocfs2", 4 * KIB, b"OCFSV2"),
    magic("ocfs2", 8 * KIB, b"OCFSV2"),
    magic("zonefs", 0, b"SFOZ"),
    magic("ubi", 0, b"UBI#"),
    magic("ubifs", 0, b"\x31\x18\x10\x06"),
    magic("xfs_external_log", 0, b"\xfe\xed\xba\xbe"),
    magic("swsuspend", 0, b"\xed\xc3\x02\xe9\x98\x56\xe5\x0c"),
    magic("VMFS_volume_member", 1024 * KIB, b"\x0d\xd0\x01\xc0"),
    magic("VMFS", 2048 * KIB, b"\x5e\xf1\xab\x2f"),
    magic("gpt", 512, b"EFI PART"),
    magic("gpt", 4096, b"EFI PART"),
    magic("sgi", 0, b"\x0b\xe5\xa9\x41"),
    magic("bsd", 64, b"\x57\x45\x56\x82"),
    magic("bsd", 512, b"\x57\x45\x56\x82"),
    magic("qcow2", 0, b"QFI\xfb"),
    magic("partclone-image", 0, b"partclone-image"),
    magic("ntfsclone-image", 0, b"\0ntfsclone-image"),
];

/// Counted back from the end of the device.
pub(super) const END_MAGICS: &[Magic] = &[
    magic("gpt", 512, b"EFI PART"),
    magic("gpt", 4096, b"EFI PART"),
    magic("isw_raid_member", 1024, b"Intel Raid ISM Cfg Sig. "),
    magic("nvidia_raid_member", 1024, b"NVIDIA  "),
    magic("lsi_mega_raid_member", 512, b"$XIDE$"),
    magic("ddf_raid_member", 512, b"\xde\x11\xde\x11"),
    magic("ddf_raid_member", 512, b"\x11\xde\x11\xde"),
];

/// At the end of the first page, ten bytes long.
pub(super) const SWAP: &[(&str, &[u8])] = &[
    ("swap", b"SWAP-SPACE"),
    ("swap", b"SWAPSPACE2"),
    ("swsuspend", b"S1SUSPEND"),
    ("swsuspend", b"S2SUSPEND"),
    ("swsuspend", b"ULSUSPEND"),
    ("swsuspend", b"LINHIB0001"),
];

/// UFS and UFS2 with their relatives, 1372 bytes into the superblock, in either byte order.
pub(super) const UFS: &[u32] = &[
    0x0001_1954,
    0x1954_0119,
    0x0019_5612,
    0x0009_5014,
    0x0061_2195,
    0x0523_1994,
];
