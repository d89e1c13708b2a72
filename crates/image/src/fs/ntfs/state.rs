//! Whether the volume was left in a state whose maps can be believed.
//!
//! The rules are those by which ntfs-3g grants a writable mount, with the dirty flag on top as
//! partclone has it: an empty log is a clean one, a log in use is clean only if it says so, and a
//! log of version 2.0 means that Windows holds newer metadata in its memory.

use super::index::find;
use super::mft::{Content, Mft};
use super::record::kind;
use super::runs::Stream;
use super::{NAME, corrupt, unsupported};
use crate::fs::FsError;
use crate::fs::bytes::{le16, le32, le64};

const LOG_FILE: u64 = 2;
const VOLUME: u64 = 3;
const DIRTY: u16 = 1;
/// How much of `hiberfil.sys` is its header.
const HIBERFIL_HEADER: u64 = 4096;
/// "No client" in the lists of the log.
const NO_CLIENT: u16 = 0xFFFF;
const LOG_IS_CLEAN: u16 = 2;
/// Two restart pages of the usual size.
const MIN_LOG: u64 = 2 * 4096;
/// Windows limits the log to this size.
const MAX_LOG: u64 = 1 << 32;

const REPAIR: &str = "In Windows: chkdsk X: /f (X: being the volume's letter), restart Windows, then shut it down\n\
    In Linux, only if Windows cannot be started: ntfsfix -d DEVICE";
const WAKE_UP: &str = "In Windows: shutdown /s /f /t 0\n\
    or hold the Shift key while choosing Shut down\n\
    or, to switch hibernation and fast start-up off for good, as administrator: powercfg /h off, then shut down";

/// What `$Volume` says.
#[derive(Debug)]
pub(super) struct Volume {
    /// The label.
    pub(super) label: Option<String>,
    flags: u16,
}

fn dirty(why: impl Into<String>) -> FsError {
    FsError::Dirty {
        fs: NAME,
        why: why.into(),
        remedy: REPAIR,
    }
}

fn hibernated(why: impl Into<String>) -> FsError {
    FsError::Hibernated {
        fs: NAME,
        why: why.into(),
        remedy: WAKE_UP,
    }
}

/// Reads `$Volume`.
pub(super) fn volume(mft: &Mft<'_>) -> Result<Volume, FsError> {
    let record = mft.record(VOLUME)?;
    let information = match mft.content(&record, kind::VOLUME_INFORMATION, "")? {
        Some(Content::Resident(value)) if value.len() >= 12 => value,
        _ => return Err(corrupt("$Volume lacks its information")),
    };
    let (major, minor) = (information[8], information[9]);
    if !matches!((major, minor), (1, 1 | 2) | (2, _) | (3, 0 | 1)) {
        return Err(unsupported(format!("version {major}.{minor}")));
    }
    let label = match mft.content(&record, kind::VOLUME_NAME, "")? {
        Some(Content::Resident(name)) => {
            let units = name
                .chunks_exact(2)
                .map(|unit| u16::from_le_bytes([unit[0], unit[1]]));
            let text: String = char::decode_utf16(units)
                .map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER))
                .collect();
            Some(text.trim_end_matches('\0').to_owned()).filter(|text| !text.is_empty())
        }
        _ => None,
    };
    Ok(Volume {
        label,
        flags: le16(&information, 10).unwrap_or_default(),
    })
}

/// Refuses hibernated and dirty volumes, and those whose log is open.
pub(super) fn check(mft: &Mft<'_>, volume: &Volume) -> Result<(), FsError> {
    let asleep = hibernation(mft);
    if let Err(FsError::Hibernated { .. }) = asleep {
        return asleep;
    }
    // Before damage found on the way: a dirty volume is expected to have some.
    if volume.flags & DIRTY != 0 {
        return Err(dirty("the dirty flag of $Volume is set"));
    }
    asleep?;
    log(mft)
}

fn hibernation(mft: &Mft<'_>) -> Result<(), FsError> {
    for (name, reference) in find(mft, &["hiberfil.sys"])? {
        let record = mft.referred(reference)?;
        if record.is_directory() {
            continue;
        }
        let content = mft
            .content(&record, kind::DATA, "")?
            .ok_or_else(|| corrupt(format!("{name} has no data")))?;
        if content.size() < HIBERFIL_HEADER {
            return Err(hibernated(format!(
                "a {name} of only {} bytes points to another volume",
                content.size()
            )));
        }
        if content.stream().is_some_and(Stream::is_encoded) {
            return Err(unsupported(format!("a compressed or encrypted {name}")));
        }
        let mut magic = [0; 4];
        content.read(mft.device(), 0, &mut magic)?;
        if matches!(
            &magic,
            b"hibr" | b"HIBR" | b"rstr" | b"RSTR" | b"horm" | b"HORM"
        ) {
            let magic = String::from_utf8_lossy(&magic).into_owned();
            return Err(hibernated(format!(
                "{name} begins with {magic}: hibernation or fast start-up"
            )));
        }
    }
    Ok(())
}

/// What is needed of one of the log's two restart pages.
struct Restart {
    lsn: u64,
    version: (u16, u16),
    client: u16,
    flags: u16,
}

fn log(mft: &Mft<'_>) -> Result<(), FsError> {
    let record = mft.record(LOG_FILE)?;
    let log = mft
        .content(&record, kind::DATA, "")?
        .ok_or_else(|| corrupt("$LogFile has no data"))?;
    if log.stream().is_none_or(|stream| !stream.is_plain()) {
        return Err(corrupt("$LogFile has holes or is compressed"));
    }
    if log.size() < MIN_LOG {
        return Err(dirty("$LogFile is too short to be one"));
    }
    let (restart, empty) = newest_restart(mft, &log)?;
    let Some(restart) = restart else {
        return if empty {
            Ok(())
        } else {
            Err(dirty("$LogFile is neither empty nor readable"))
        };
    };
    if restart.version == (2, 0) {
        return Err(hibernated(
            "$LogFile is of version 2.0: Windows kept metadata in memory (fast start-up) or lost the volume",
        ));
    }
    if restart.client != NO_CLIENT && restart.flags & LOG_IS_CLEAN == 0 {
        return Err(dirty(format!(
            "$LogFile is in use (flags 0x{:x}) and not marked clean",
            restart.flags
        )));
    }
    Ok(())
}

/// Looks for restart pages at the beginning and at every power of two from 512, where pages of any size
/// may begin. Also says whether nothing but 0xFF was seen.
fn newest_restart(mft: &Mft<'_>, log: &Content) -> Result<(Option<Restart>, bool), FsError> {
    let size = log.size().min(MAX_LOG) & !0xFFF;
    let mut newest: Option<Restart> = None;
    let mut empty = true;
    let mut pages = 0;
    let mut at = 0_u64;
    while at < size && pages < 2 {
        let mut page = [0; 512];
        log.read(mft.device(), at, &mut page)?;
        if page[..4] == [0xFF; 4] {
            if !empty {
                break;
            }
        } else {
            empty = false;
        }
        if &page[..4] == b"RCRD" {
            break;
        }
        if let Some(restart) = restart_page(&page, at) {
            pages += 1;
            if newest
                .as_ref()
                .is_none_or(|newest| restart.lsn > newest.lsn)
            {
                newest = Some(restart);
            }
        }
        at = if at == 0 { 512 } else { at * 2 };
    }
    Ok((newest, empty))
}

/// Reads a restart page, or one that chkdsk changed, from its first sector. All that is asked of it lies
/// before the end of that sector, so that no fix-up touches it.
fn restart_page(page: &[u8; 512], at: u64) -> Option<Restart> {
    let by_chkdsk = &page[..4] == b"CHKD";
    if !by_chkdsk && &page[..4] != b"RSTR" {
        return None;
    }
    let (system_page, log_page) = (le32(page, 16)?, le32(page, 20)?);
    let is_size = |size: u32| size >= 512 && size.is_power_of_two();
    if !is_size(system_page) || !is_size(log_page) || (at != 0 && at != u64::from(system_page)) {
        return None;
    }
    let version = (le16(page, 28)?, le16(page, 26)?);
    let start = usize::from(le16(page, 24)?);
    if !matches!(version, (1, 1) | (2, 0))
        || !start.is_multiple_of(8)
        || start < 30
        || start + 24 > 510
    {
        return None;
    }
    let area = &page[start..];
    let lsn = if by_chkdsk {
        le64(page, 8)?
    } else {
        le64(area, 0)?
    };
    Some(Restart {
        lsn,
        version,
        client: le16(area, 12)?,
        flags: le16(area, 14)?,
    })
}
