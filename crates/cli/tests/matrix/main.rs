//! Every file system there and back again: a dirty volume on a loop device is captured, verified, restored
//! over poison or over another volume of its kind, judged by its own checker and compared file by
//! file; and stock tools restore the same image to the same bytes.

#[path = "../kit/mod.rs"]
mod kit;
mod trip;
mod variants;

use anyhow::{Context, Result};
use azud_testkit::tools::{have, have_root};
use variants::Family;

fn family(family: &Family) -> Result<()> {
    if !have_root() || !have(family.tools) || !have(&["zstd", "partclone.restore", "blkid", "cmp"])
    {
        return Ok(());
    }
    for (number, options) in family.variants.iter().enumerate() {
        trip::there_and_back(family, options, number % 2 == 1)
            .with_context(|| format!("{} {:?}", family.name, options.0))?;
    }
    Ok(())
}

macro_rules! families {
    ($($test:ident: $family:ident,)+) => {
        $(#[test]
        fn $test() -> Result<()> {
            family(&variants::$family)
        })+
    };
}

families! {
    loop_ext_blocks: EXT_BLOCKS,
    loop_ext_layouts: EXT_LAYOUTS,
    loop_ntfs: NTFS,
    loop_fat: FAT,
    loop_exfat: EXFAT,
    loop_xfs: XFS,
    loop_xfs_version_4: XFS_4,
    loop_btrfs: BTRFS,
    loop_swap: SWAP,
    loop_unknown_content: RAW,
    loop_f2fs_by_partclone: F2FS,
}
