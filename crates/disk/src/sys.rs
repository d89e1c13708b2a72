//! The ioctls that rustix lacks, each behind a safe function. The only `unsafe` of the project.
#![expect(
    unsafe_code,
    reason = "ioctls are typed by their opcode, which the compiler cannot check"
)]

use std::os::fd::AsFd;

use rustix::io::{Errno, Result};
use rustix::ioctl::{Getter, NoArg, Opcode, Setter, ioctl, opcode};

/// The letter of the block-device ioctls (`linux/fs.h`).
const BLK: u8 = 0x12;
const BLKROGET: Opcode = opcode::none(BLK, 94);
const BLKFLSBUF: Opcode = opcode::none(BLK, 97);
const BLKGETSIZE64: Opcode = opcode::read::<usize>(BLK, 114);
const BLKDISCARD: Opcode = opcode::none(BLK, 119);
const BLKZEROOUT: Opcode = opcode::none(BLK, 127);
const BLKGETDISKSEQ: Opcode = opcode::read::<u64>(BLK, 128);
const BLKPG: Opcode = opcode::none(BLK, 105);
const BLKPG_ADD_PARTITION: i32 = 1;
const BLKPG_DEL_PARTITION: i32 = 2;
const LOOP_GET_STATUS64: Opcode = 0x4C05;

/// Size of a block device in bytes.
pub(crate) fn device_size(fd: impl AsFd) -> Result<u64> {
    // SAFETY: BLKGETSIZE64 is declared with size_t but writes a u64 (`put_u64` in block/ioctl.c).
    unsafe { ioctl(fd, Getter::<BLKGETSIZE64, u64>::new()) }
}

/// Whether a block device refuses writes.
pub(crate) fn device_read_only(fd: impl AsFd) -> Result<bool> {
    // SAFETY: BLKROGET writes one int.
    unsafe { ioctl(fd, Getter::<BLKROGET, i32>::new()) }.map(|flag| flag != 0)
}

/// The number that a disk gets anew whenever its medium or its backing changes (Linux 5.15).
pub(crate) fn disk_sequence(fd: impl AsFd) -> Result<u64> {
    // SAFETY: BLKGETDISKSEQ writes one u64.
    unsafe { ioctl(fd, Getter::<BLKGETDISKSEQ, u64>::new()) }
}

/// Writes a block device's dirty pages and forgets its clean ones; needs `CAP_SYS_ADMIN`.
pub(crate) fn flush_buffers(fd: impl AsFd) -> Result<()> {
    // SAFETY: BLKFLSBUF takes no argument.
    unsafe { ioctl(fd, NoArg::<BLKFLSBUF>::new()) }
}

/// Discards a range of a block device.
pub(crate) fn discard(fd: impl AsFd, offset: u64, len: u64) -> Result<()> {
    // SAFETY: BLKDISCARD reads two u64, offset and length in bytes.
    unsafe { ioctl(fd, Setter::<BLKDISCARD, [u64; 2]>::new([offset, len])) }
}

/// Makes a range of a block device zero, by the device's own means where it has them.
pub(crate) fn zero_out(fd: impl AsFd, offset: u64, len: u64) -> Result<()> {
    // SAFETY: BLKZEROOUT reads two u64, offset and length in bytes.
    unsafe { ioctl(fd, Setter::<BLKZEROOUT, [u64; 2]>::new([offset, len])) }
}

/// `struct blkpg_partition` of `linux/blkpg.h`.
#[repr(C)]
struct BlkpgPartition {
    start: i64,
    length: i64,
    number: i32,
    names: [u8; 128],
}

/// `struct blkpg_ioctl_arg`.
#[repr(C)]
struct BlkpgArg {
    op: i32,
    flags: i32,
    len: i32,
    data: *mut BlkpgPartition,
}

/// Shows a partition of a disk (number, first byte, bytes) without reading the table again, which fails on a
/// disk that is in use. `EBUSY` when there is one of that number, or one that overlaps.
pub(crate) fn add_partition(fd: impl AsFd, number: i32, start: u64, length: u64) -> Result<()> {
    partition(fd, BLKPG_ADD_PARTITION, number, start, length)
}

/// Hides a partition of a disk. `EBUSY` when anybody has it open, `ENXIO` when it is not shown.
pub(crate) fn delete_partition(fd: impl AsFd, number: i32) -> Result<()> {
    partition(fd, BLKPG_DEL_PARTITION, number, 0, 0)
}

fn partition(fd: impl AsFd, op: i32, number: i32, start: u64, length: u64) -> Result<()> {
    let bytes = |count: u64| i64::try_from(count).map_err(|_| Errno::FBIG);
    let mut partition = BlkpgPartition {
        start: bytes(start)?,
        length: bytes(length)?,
        number,
        names: [0; 128],
    };
    let arg = BlkpgArg {
        op,
        flags: 0,
        len: i32::try_from(size_of::<BlkpgPartition>()).map_err(|_| Errno::INVAL)?,
        data: &raw mut partition,
    };
    // SAFETY: BLKPG reads one struct blkpg_ioctl_arg, which BlkpgArg mirrors, and through its pointer one
    // struct blkpg_partition, which BlkpgPartition mirrors and which outlives the call.
    unsafe { ioctl(fd, Setter::<BLKPG, BlkpgArg>::new(arg)) }
}

const _: () = assert!(
    size_of::<BlkpgPartition>() == 152 && size_of::<BlkpgArg>() == 24,
    "the structs of linux/blkpg.h have 152 and 24 bytes"
);

/// `struct loop_info64` of `linux/loop.h`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub(crate) struct LoopStatus {
    /// Device number of the file system that holds the backing file.
    pub(crate) device: u64,
    /// Inode of the backing file.
    pub(crate) inode: u64,
    /// Device number of the backing block device; 0 for a file.
    pub(crate) rdevice: u64,
    /// First byte of the backing that is seen.
    pub(crate) offset: u64,
    size_limit: u64,
    number_key_flags: [u32; 4],
    names_and_key: [u8; 160],
    init: [u64; 2],
}

/// What a loop device stands on.
pub(crate) fn loop_status(fd: impl AsFd) -> Result<LoopStatus> {
    // SAFETY: LOOP_GET_STATUS64 writes one struct loop_info64, which LoopStatus mirrors; any bytes are valid in it.
    unsafe { ioctl(fd, Getter::<LOOP_GET_STATUS64, LoopStatus>::new()) }
}

const _: () = assert!(
    size_of::<LoopStatus>() == 232,
    "struct loop_info64 has 232 bytes"
);
