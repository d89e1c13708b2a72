//! Signatures that are spread over several places, all of which must go.

use super::Found;

/// A ZFS label, of which there are two at each end of a device.
const LABEL: u64 = 256 * 1024;

/// Uberblocks fill the second half of a label, at least 1 KiB apart.
const UBERBLOCKS: std::ops::Range<u64> = LABEL / 2..LABEL;

/// Finds one label, names all four: any one that stays may bring the pool back.
pub(super) fn zfs(found: &mut Found<'_>) {
    let size = found.view.size / LABEL * LABEL;
    if size < 4 * LABEL {
        return;
    }
    let labels = [0, LABEL, size - 2 * LABEL, size - LABEL];
    if labels.iter().any(|label| has_label(found, *label)) {
        for label in labels {
            found.add_range("zfs_member", label..label + LABEL);
        }
    }
}

fn has_label(found: &Found<'_>, label: u64) -> bool {
    // The list of names and values at 16 KiB: encoding (1: XDR), byte order, and "version" as first name.
    let list = found.view.get(label + 16 * 1024, 32);
    let named = list.is_some_and(|list| {
        list[0] == 1 && list[1] <= 1 && list.windows(7).any(|name| name == b"version")
    });
    let uberblock = |at| {
        found.view.has(at, &0x00BA_B10C_u64.to_le_bytes())
            || found.view.has(at, &0x00BA_B10C_u64.to_be_bytes())
    };
    named
        || UBERBLOCKS
            .step_by(1024)
            .any(|offset| uberblock(label + offset))
}

/// Volume descriptors of optical discs.
const FIRST: u64 = 32 * 1024;
const NAMES: [&[u8; 5]; 7] = [
    b"BEA01", b"BOOT2", b"CD001", b"CDW02", b"NSR02", b"NSR03", b"TEA01",
];

/// ISO 9660, UDF and both at once: descriptors in a row from 32 KiB on, 2 KiB apart (4 KiB on such sectors).
pub(super) fn optical(found: &mut Found<'_>) {
    let mut udf = false;
    let mut end = None;
    for at in (FIRST..FIRST + 64 * 2048).step_by(2048) {
        if let Some(name) = found
            .view
            .get(at + 1, 5)
            .filter(|name| NAMES.iter().any(|known| known == name))
        {
            udf |= name.starts_with(b"NSR");
            end = Some(at + 2048);
        }
    }
    // High Sierra, the forerunner.
    if found.view.has(FIRST + 9, b"CDROM") {
        end = end.max(Some(FIRST + 2048));
    }
    if let Some(end) = end {
        found.add_range(if udf { "udf" } else { "iso9660" }, FIRST..end);
    }
}
