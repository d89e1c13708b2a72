//! Makes the checksums of a patched volume right again, so that they do not stop every patch.

use azud_core::io::ReadAt;

use super::base::CHUNK;
use super::device::Device;

/// More groups than any base has.
const MOST_GROUPS: u32 = 64;

/// CRC-32C as ext4 has it: without the final inversion, so that a result seeds the next piece.
fn crc32c(seed: u32, data: &[u8]) -> u32 {
    !crc32c::crc32c_append(!seed, data)
}

fn crc16(seed: u16, data: &[u8]) -> u16 {
    data.iter().fold(seed, |crc, byte| {
        (0..8).fold(crc ^ u16::from(*byte), |crc, _| {
            crc >> 1 ^ if crc & 1 == 1 { 0xA001 } else { 0 }
        })
    })
}

fn le16(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(bytes[at..at + 2].try_into().expect("two bytes"))
}

fn le32(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

/// Block bitmaps, group descriptors, superblock.
pub fn ext(device: &mut Device<'_>) {
    let mut sb = device.read(1024, 1024);
    let ro_compat = le32(&sb, 0x64);
    if ro_compat & 0x400 != 0 {
        let seed = if le32(&sb, 0x60) & 0x2000 != 0 {
            le32(&sb, 0x270)
        } else {
            crc32c(u32::MAX, &sb[0x68..0x78])
        };
        groups(device, &sb, Some(seed));
        let sum = crc32c(u32::MAX, &sb[..0x3FC]).to_le_bytes();
        sb[0x3FC..].copy_from_slice(&sum);
        device.write(1024, &sb);
    } else if ro_compat & 0x10 != 0 {
        groups(device, &sb, None);
    }
}

/// The descriptors that follow the first superblock; `seed` with `metadata_csum`.
fn groups(device: &mut Device<'_>, sb: &[u8], seed: Option<u32>) {
    let block = 1024u64 << (le32(sb, 0x18) & 7);
    let per_group = le32(sb, 0x24).clamp(8, 8 * u32::try_from(block).expect("small"));
    let size = match le16(sb, 0xFE) {
        size @ 64..=1024 if le32(sb, 0x60) & 0x80 != 0 => usize::from(size),
        _ => 32,
    };
    // Behind the superblock: with clusters, blocks of 1 KiB are numbered from 0 all the same.
    let table = (1024 / block + 1) * block;
    let blocks = le32(sb, 4).saturating_sub(le32(sb, 0x14));
    let count = blocks.div_ceil(le32(sb, 0x20).max(1));
    for group in 0..count.min(MOST_GROUPS) {
        let at = table + u64::from(group) * size as u64;
        let mut raw = device.read(at, size);
        if let Some(seed) = seed {
            let bitmap = u64::from(le32(&raw, 0)) * block;
            let sum = crc32c(seed, &device.read(bitmap, per_group as usize / 8)).to_le_bytes();
            raw[0x18..0x1A].copy_from_slice(&sum[..2]);
            if size >= 64 {
                raw[0x38..0x3A].copy_from_slice(&sum[2..]);
            }
        }
        raw[0x1E..0x20].fill(0);
        let number = group.to_le_bytes();
        let sum = if let Some(seed) = seed {
            crc32c(crc32c(seed, &number), &raw).to_le_bytes()
        } else {
            let crc = crc16(crc16(u16::MAX, &sb[0x68..0x78]), &number);
            let crc = crc16(crc16(crc, &raw[..0x1E]), &raw[0x20..]);
            u32::from(crc).to_le_bytes()
        };
        raw[0x1E..0x20].copy_from_slice(&sum[..2]);
        device.write(at, &raw);
    }
}

/// Headers of groups by sectors of 512 bytes, free-space trees by blocks of 4096.
pub fn xfs(device: &mut Device<'_>) {
    const SECTORS: [(&[u8; 4], usize); 4] = [
        (b"XFSB", 224),
        (b"XAGF", 216),
        (b"XAGI", 312),
        (b"XAFL", 32),
    ];
    const BLOCKS: [(&[u8; 4], usize); 2] = [(b"AB3B", 52), (b"AB3C", 52)];
    for chunk in device.changed() {
        let at = chunk * CHUNK as u64;
        for sector in (0..8).map(|sector| at + sector * 512) {
            xfs_piece(device, sector, 512, &SECTORS);
        }
        xfs_piece(device, at, CHUNK, &BLOCKS);
    }
}

fn xfs_piece(device: &mut Device<'_>, at: u64, len: usize, kinds: &[(&[u8; 4], usize)]) {
    let mut piece = device.read(at, len);
    if let Some((_, sum_at)) = kinds.iter().find(|(magic, _)| piece.starts_with(*magic)) {
        piece[*sum_at..sum_at + 4].fill(0);
        let sum = crc32c::crc32c(&piece).to_le_bytes();
        piece[*sum_at..sum_at + 4].copy_from_slice(&sum);
        device.write(at, &piece);
    }
}

/// The first superblock and all changed tree blocks.
pub fn btrfs(device: &mut Device<'_>) {
    const SUPERBLOCK: u64 = 64 << 10;
    const FIELD: usize = 32;
    let mut seal = |at: u64, len: usize| {
        let mut block = device.read(at, len);
        let sum = crc32c::crc32c(&block[FIELD..]).to_le_bytes();
        block[..4].copy_from_slice(&sum);
        device.write(at, &block);
    };
    seal(SUPERBLOCK, CHUNK);
    let sb = device.read(SUPERBLOCK, CHUNK);
    let node = u64::from(le32(&sb, 0x94));
    if !node.is_power_of_two() || !(4096..=65536).contains(&node) {
        return;
    }
    let mut nodes: Vec<u64> = device
        .changed()
        .iter()
        .map(|chunk| chunk * CHUNK as u64 / node * node)
        .filter(|at| *at > SUPERBLOCK)
        .collect();
    nodes.dedup();
    for at in nodes {
        let mut block = device.read(at, usize::try_from(node).expect("at most 64 KiB"));
        if block[FIELD..FIELD + 16] == sb[FIELD..FIELD + 16] {
            let sum = crc32c::crc32c(&block[FIELD..]).to_le_bytes();
            block[..4].copy_from_slice(&sum);
            device.write(at, &block);
        }
    }
}

/// Both boot regions.
pub fn exfat(device: &mut Device<'_>) {
    let sector = 1usize << device.read(108, 1)[0].clamp(9, 12);
    for region in [0, 12 * sector as u64] {
        if region + 12 * sector as u64 > device.len() {
            return;
        }
        let summed = device.read(region, 11 * sector);
        let counted = summed.iter().enumerate();
        let counted = counted.filter(|(at, _)| !matches!(at, 106 | 107 | 112));
        let sum = counted.fold(0u32, |sum, (_, byte)| {
            sum.rotate_right(1).wrapping_add(u32::from(*byte))
        });
        device.write(
            region + 11 * sector as u64,
            &sum.to_le_bytes().repeat(sector / 4),
        );
    }
}
