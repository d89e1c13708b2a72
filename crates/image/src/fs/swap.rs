//! Linux swap space: its header is one page, the rest holds nothing after a restart.
//!
//! The signature ends the first page, whose size is the kernel's that made it, so all sizes from 4 to
//! 64 KiB are tried. Signatures of a suspended Linux stand in the same place: the rest of the space is
//! then that system's memory.

use std::ops::Range;

use azud_core::bitmap::Bitmap;
use azud_core::io::ReadAt;

use super::{FsError, FsKind, MapOptions, Volume, bytes};

const NAME: &str = "swap";
const PAGES: [u32; 5] = [4 << 10, 8 << 10, 16 << 10, 32 << 10, 64 << 10];
const SLEEPING: [&[u8]; 4] = [b"S1SUSPEND", b"S2SUSPEND", b"ULSUSPEND", b"LINHIB0001"];
/// The signature of `TuxOnIce` is no text.
const TUX_ON_ICE: &[u8] = &[0xED, 0xC3, 0x02, 0xE9, 0x98, 0x56, 0xE5, 0x0C];
const WAKE_UP: &str = "Start the Linux that sleeps there and shut it down: systemctl poweroff\n\
    or, to lose what it had open: mkswap -U UUID DEVICE (blkid -p DEVICE shows the UUID)";

/// What the end of the first page says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Signature {
    /// The oldest format: nothing but the signature and a map of bad pages.
    Old,
    /// With a header that holds label and UUID.
    New,
    Sleeping,
}

fn find(head: &[u8]) -> Option<(u32, Signature)> {
    PAGES.iter().find_map(|page| {
        let end = head.get(*page as usize - 10..*page as usize)?;
        let signature = match end {
            b"SWAP-SPACE" => Signature::Old,
            b"SWAPSPACE2" => Signature::New,
            _ if SLEEPING.iter().any(|magic| end.starts_with(magic))
                || end.starts_with(TUX_ON_ICE) =>
            {
                Signature::Sleeping
            }
            _ => return None,
        };
        Some((*page, signature))
    })
}

/// Whether the head of a device is that of a swap space, sleeping or not.
pub fn probe(head: &[u8]) -> bool {
    find(head).is_some()
}

/// The header's page is all that is used.
///
/// # Errors
/// [`FsError::Hibernated`] when a Linux sleeps in it, [`FsError::Corrupt`] without a signature,
/// [`FsError::Unsupported`] for another header version, [`FsError::Read`].
pub fn map(device: &dyn ReadAt, _options: &MapOptions) -> Result<Volume, FsError> {
    let head = super::read_head(device)?;
    let corrupt = |what: String| FsError::Corrupt { fs: NAME, what };
    let (page, signature) = find(&head).ok_or_else(|| corrupt("it has no signature".to_owned()))?;
    let blocks = device.len() / u64::from(page);
    let (mut label, mut uuid) = (None, None);
    match signature {
        Signature::Sleeping => {
            return Err(FsError::Hibernated {
                fs: NAME,
                why: "its signature is that of a suspended Linux".to_owned(),
                remedy: WAKE_UP,
            });
        }
        Signature::Old => {}
        Signature::New => {
            let last = last_page(&head).ok_or_else(|| FsError::Unsupported {
                fs: NAME,
                what: "a header version other than 1".to_owned(),
            })?;
            if u64::from(last) >= blocks {
                return Err(corrupt(format!(
                    "it says that it has a page {last}; its device has {blocks}"
                )));
            }
            let id: [u8; 16] = head[1036..1052].try_into().expect("16 bytes");
            uuid = (id != [0; 16]).then(|| bytes::uuid(&id));
            label = bytes::text(&head[1052..1068]);
        }
    }
    let mut used = Bitmap::new(blocks);
    used.set(0);
    Ok(Volume {
        kind: FsKind::Swap,
        block_size: page,
        used,
        device_size: device.len(),
        claimed_used: 1,
        tails: Vec::new(),
        label,
        uuid,
        sector_size: 0,
        left_out: Vec::new(),
    })
}

/// The last page's number, in the byte order in which the header's version is 1.
fn last_page(head: &[u8]) -> Option<u32> {
    let (version, last) = (bytes::le32(head, 1024)?, bytes::le32(head, 1028)?);
    match version {
        1 => Some(last),
        _ if version.swap_bytes() == 1 => Some(last.swap_bytes()),
        _ => None,
    }
}

/// The header's page.
pub fn guards(head: &[u8], device_size: u64) -> Vec<Range<u64>> {
    let page = find(head).map_or(4096, |(page, _)| u64::from(page));
    let range = 0..page.min(device_size);
    std::iter::once(range)
        .filter(|range| !range.is_empty())
        .collect()
}
