//! Whether the file system was left cleanly: else its bitmaps are not the truth yet.
//!
//! A mounted ext3 or ext4 says "clean" all the time; only the flag that its journal needs to be
//! replayed gives it away. Without a journal it is the "clean" bit itself that is taken back.

use azud_core::io::ReadAt;

use super::features::{COMPAT_HAS_JOURNAL, INCOMPAT_MMP, INCOMPAT_RECOVER, RO_ORPHAN_PRESENT};
use super::superblock::Superblock;
use crate::fs::FsError;
use crate::fs::bytes::{le32, read_vec};

const STATE_VALID: u16 = 1;
const STATE_ERROR: u16 = 2;
const MMP_MAGIC: u32 = 0x004D_4D50;
const MMP_CLEAN: u32 = 0xFF4D_4D50;

const REPLAY: &str = "e2fsck -p DEVICE\nor: mount DEVICE /mnt && umount /mnt";
const REPLAY_EXTERNAL: &str = "e2fsck -p -j JOURNAL-DEVICE DEVICE\nor: mount -o journal_path=JOURNAL-DEVICE DEVICE /mnt && umount /mnt";
const CHECK: &str = "e2fsck -f DEVICE";
const IN_USE: &str = "unmount it on the computer that has it mounted\nor, if none has: e2fsck -p DEVICE\n\
    or, if an e2fsck was interrupted: tune2fs -f -E clear_mmp DEVICE && e2fsck -f DEVICE";

/// Refuses what was not left cleanly.
pub(super) fn check(device: &dyn ReadAt, sb: &Superblock) -> Result<(), FsError> {
    let dirty = |why: &str, remedy| {
        Err(FsError::Dirty {
            fs: sb.features.family(),
            why: why.to_owned(),
            remedy,
        })
    };
    if sb.features.incompat & INCOMPAT_RECOVER != 0 {
        let external = sb.features.compat & COMPAT_HAS_JOURNAL != 0 && sb.journal_inode == 0;
        let remedy = if external { REPLAY_EXTERNAL } else { REPLAY };
        return dirty(
            "the flag needs_recovery is set: its journal was not replayed, or it is mounted",
            remedy,
        );
    }
    if sb.state & STATE_ERROR != 0 {
        return dirty("its state says that errors were found", CHECK);
    }
    if sb.state != STATE_VALID {
        return dirty(
            "its state is not clean: it was not unmounted, or it is mounted",
            CHECK,
        );
    }
    if sb.features.ro_compat & RO_ORPHAN_PRESENT != 0 {
        return dirty(
            "the flag orphan_present is set: deleted files still wait to be released",
            REPLAY,
        );
    }
    if sb.last_orphan != 0 {
        return dirty(
            "the list of orphaned inodes is not empty: deleted files still wait to be released",
            REPLAY,
        );
    }
    if sb.features.incompat & INCOMPAT_MMP != 0 && mmp_in_use(device, sb)? {
        return dirty(
            "its multiple mount protection says that it is in use",
            IN_USE,
        );
    }
    Ok(())
}

fn mmp_in_use(device: &dyn ReadAt, sb: &Superblock) -> Result<bool, FsError> {
    if sb.mmp_block <= sb.first_block || sb.mmp_block >= sb.blocks {
        return Err(sb.corrupt(format!(
            "the multiple mount protection is at the impossible block {}",
            sb.mmp_block
        )));
    }
    // Beyond all bytes it cannot be read, and that is said.
    let at = sb.mmp_block.saturating_mul(u64::from(sb.block_size));
    let head = read_vec(device, at, 8)?;
    if le32(&head, 0) != Some(MMP_MAGIC) {
        return Err(sb.corrupt("the block of its multiple mount protection holds something else"));
    }
    Ok(le32(&head, 4) != Some(MMP_CLEAN))
}
