//! The superblock: what it says, checked against the device.

use azud_core::io::ReadAt;

use super::checksum::Kind;
use super::tree::Root;
use super::{Fields, MAGIC, NAME, SUPERBLOCK_LEN, SUPERBLOCKS, bytes, corrupt, unsupported};
use crate::fs::FsError;

/// Features that change nothing of what the extent and chunk trees say: mixed back references, default
/// subvolume, mixed block groups, LZO, zstd, big metadata, extended inode references, RAID5/6 and
/// RAID1C3/4 (the flags stay when no chunk has the profile any more), skinny metadata, no holes,
/// metadata UUID, simple quotas.
const INCOMPAT_KNOWN: u64 = 0x0FFF | 0x1_0000;
const INCOMPAT_METADATA_UUID: u64 = 0x400;
/// Names of features that are known but not handled, for the message.
const INCOMPAT_NAMES: [(u64, &str); 3] = [
    (0x1000, "zoned allocation"),
    (0x2000, "extent tree v2"),
    (0x4000, "the RAID stripe tree"),
];
/// Free space tree, its being valid, verity, block group tree.
const RO_COMPAT_KNOWN: u64 = 0x0F;

/// Flags of a superblock: written once, relocated once, an error happened.
const FLAG_ERROR: u64 = 1 << 2;
const FLAGS_KNOWN: u64 = 0b11 | FLAG_ERROR;
const FLAG_NAMES: [(u64, &str); 5] = [
    (1 << 32, "a seed device"),
    (1 << 33, "a metadata dump"),
    (1 << 34, "a metadata dump"),
    (1 << 35, "an unfinished change of its UUID (btrfstune)"),
    (1 << 36, "an unfinished change of its UUID (btrfstune)"),
];

const DEV_ITEM: usize = 0xC9;
const LABEL: usize = 0x12B;
const LABEL_LEN: usize = 256;
const SYSTEM_CHUNKS: usize = 0x32B;
const SYSTEM_CHUNKS_LEN: usize = 2048;

const REMEDY: &str = "mount DEVICE /mnt && umount /mnt\n\
    btrfs rescue zero-log DEVICE   (only if it cannot be mounted; gives up what was synced last)";

/// The facts of a superblock that passed every check.
#[derive(Debug)]
pub(super) struct Superblock {
    /// Unit of allocation in bytes, a power of two.
    pub(super) sector_size: u32,
    /// Size of tree blocks in bytes, a power of two, at least a sector.
    pub(super) node_size: u32,
    /// Bytes of the device that the file system manages; they fit it.
    pub(super) device_bytes: u64,
    /// Bytes of all extents, each copy counted once.
    pub(super) bytes_used: u64,
    /// The device's number in chunks.
    pub(super) device_id: u64,
    /// The tree of trees.
    pub(super) root: Root,
    /// The tree of chunks.
    pub(super) chunk_root: Root,
    /// Chunks that hold the chunk tree: keys and chunk items in turn.
    pub(super) system_chunks: Vec<u8>,
    /// How superblock and tree blocks are checksummed.
    pub(super) checksum: Kind,
    /// The UUID that users see.
    pub(super) fsid: [u8; 16],
    /// The UUID in tree blocks.
    pub(super) metadata_uuid: [u8; 16],
    /// Volume label.
    pub(super) label: Option<String>,
}

impl Superblock {
    /// Reads and checks the primary superblock.
    pub(super) fn read(device: &dyn ReadAt) -> Result<Self, FsError> {
        if device.len() < SUPERBLOCKS[0] + SUPERBLOCK_LEN {
            return Err(corrupt("the device is too small to hold a superblock"));
        }
        let raw = bytes::read_vec(device, SUPERBLOCKS[0], 4096)?;
        let fields = Fields(&raw);
        if !raw[64..].starts_with(MAGIC) || fields.u64(48) != SUPERBLOCKS[0] {
            return Err(corrupt("there is no superblock at 64 KiB"));
        }
        let checksum = Kind::from_number(fields.u16(0xC4))?;
        if !checksum.holds(&raw) {
            return Err(corrupt("the checksum of its superblock is wrong"));
        }
        check_features(fields)?;
        let sb = Self::parse(fields, checksum)?;
        sb.check_geometry(fields, device.len())?;
        if fields.u64(0x60) != 0 {
            let why = format!(
                "it has a log tree at {} (log_root) that only a mount replays",
                fields.u64(0x60)
            );
            return Err(FsError::Dirty {
                fs: NAME,
                why,
                remedy: REMEDY,
            });
        }
        Ok(sb)
    }

    fn parse(fields: Fields, checksum: Kind) -> Result<Self, FsError> {
        let fsid = fields.uuid(0x20);
        let other_uuid = fields.u64(0xBC) & INCOMPAT_METADATA_UUID != 0;
        let system_len = fields.u32(0xA0) as usize;
        if system_len > SYSTEM_CHUNKS_LEN {
            return Err(corrupt(format!(
                "{system_len} bytes of system chunks in its superblock"
            )));
        }
        Ok(Self {
            sector_size: fields.u32(0x90),
            node_size: fields.u32(0x94),
            device_bytes: fields.u64(DEV_ITEM + 8),
            bytes_used: fields.u64(0x78),
            device_id: fields.u64(DEV_ITEM),
            root: Root {
                logical: fields.u64(0x50),
                generation: fields.u64(0x48),
                level: fields.u8(0xC6),
            },
            chunk_root: Root {
                logical: fields.u64(0x58),
                generation: fields.u64(0xA4),
                level: fields.u8(0xC7),
            },
            system_chunks: fields.0[SYSTEM_CHUNKS..SYSTEM_CHUNKS + system_len].to_vec(),
            checksum,
            fsid,
            metadata_uuid: if other_uuid { fields.uuid(0x23B) } else { fsid },
            label: bytes::text(&fields.0[LABEL..LABEL + LABEL_LEN]),
        })
    }

    fn check_geometry(&self, fields: Fields, device_size: u64) -> Result<(), FsError> {
        let sizes = self.sector_size.is_power_of_two()
            && self.node_size.is_power_of_two()
            && (2048..=65536).contains(&self.sector_size)
            && (self.sector_size..=65536).contains(&self.node_size);
        if !sizes {
            return Err(corrupt(format!(
                "sectors of {} bytes and nodes of {}",
                self.sector_size, self.node_size
            )));
        }
        if fields.u64(0x88) != 1 {
            return Err(unsupported(format!("{} devices", fields.u64(0x88))));
        }
        if self.device_bytes > device_size || self.bytes_used > self.device_bytes {
            return Err(corrupt(format!(
                "{} bytes, {} of them in use, do not fit a device of {device_size} bytes",
                self.device_bytes, self.bytes_used
            )));
        }
        Ok(())
    }
}

fn check_features(fields: Fields) -> Result<(), FsError> {
    let flags = fields.u64(56);
    let incompat = fields.u64(0xBC);
    let named = FLAG_NAMES.iter().find(|(bit, _)| flags & bit != 0);
    if let Some((_, name)) =
        named.or_else(|| INCOMPAT_NAMES.iter().find(|(bit, _)| incompat & bit != 0))
    {
        return Err(unsupported(*name));
    }
    if flags & FLAG_ERROR != 0 {
        return Err(corrupt(
            "its superblock says that an error happened (run btrfs check)",
        ));
    }
    let unknown = [
        ("superblock flags", flags & !FLAGS_KNOWN),
        ("incompatible features", incompat & !INCOMPAT_KNOWN),
        (
            "read-only compatible features",
            fields.u64(0xB4) & !RO_COMPAT_KNOWN,
        ),
    ];
    match unknown.iter().find(|(_, bits)| *bits != 0) {
        Some((name, bits)) => Err(unsupported(format!("{name} {bits:#x}"))),
        None => Ok(()),
    }
}
