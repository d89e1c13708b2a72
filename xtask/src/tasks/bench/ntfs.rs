//! The tables over an NTFS volume.

use anyhow::Result;

use super::can;
use super::data;
use super::disks::{Lab, Origin};
use super::engine::{capture, prepare, restore};
use super::peers::{NTFS_A0, NTFS_A1, NTFSCLONE};
use super::table::Table;

/// All tables; none when tools are missing.
pub(super) fn tables(lab: &Lab) -> Result<Vec<Table>> {
    if !can(
        "NTFS",
        &["mkntfs", "ntfs-3g", "partclone.ntfs", "ntfsclone"],
    ) {
        return Ok(Vec::new());
    }
    let origin = Origin::open(&data::ntfs(&lab.options)?)?;
    let wants = |table| lab.options.wants("ntfs", table);
    let mut tables = Vec::new();
    if wants("capture") {
        let peers = [
            (NTFS_A1, Some(3.5)),
            (NTFS_A0, Some(2.2)),
            (NTFSCLONE, None),
        ];
        tables.push(capture(lab, &origin, "NTFS", &peers)?);
    } else {
        prepare(lab, &origin, &[NTFS_A1, NTFS_A0, NTFSCLONE])?;
    }
    if wants("restore") {
        let peers = [
            (NTFS_A1, Some(4.0)),
            (NTFS_A0, Some(2.2)),
            (NTFSCLONE, None),
        ];
        tables.push(restore(lab, &origin, "NTFS", &peers)?);
    }
    Ok(tables)
}
