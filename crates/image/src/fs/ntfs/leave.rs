//! Leaving out what page, swap and hibernation files hold.
//!
//! Invariant: only clusters of these files' own runs are cleared, each once, and never the first
//! [`KEPT`] bytes of a file: a stale header on the target must not pass for a sleeping Windows.

use azud_core::bitmap::Bitmap;

use super::corrupt;
use super::index::find;
use super::mft::Mft;
use super::record::kind;
use super::runs::Stream;
use crate::fs::{FsError, LeftOut};

/// Files whose content Windows makes anew.
const FILES: [&str; 3] = ["pagefile.sys", "hiberfil.sys", "swapfile.sys"];
/// How much of the beginning of each file is kept in bytes, rounded up to clusters.
const KEPT: u64 = 64 << 10;

/// Clears the clusters from `used` and says of which files.
pub(super) fn leave_out(mft: &Mft<'_>, used: &mut Bitmap) -> Result<Vec<LeftOut>, FsError> {
    let cluster = u64::from(mft.device().boot.cluster);
    let mut all: Vec<LeftOut> = Vec::new();
    for (name, reference) in find(mft, &FILES)? {
        let record = mft.referred(reference)?;
        if record.is_directory() || mft.content(&record, kind::REPARSE_POINT, "")?.is_some() {
            continue;
        }
        let content = mft.content(&record, kind::DATA, "")?;
        // Windows may encrypt its page file, never compress it. A compressed file is somebody's own.
        let stream = content.as_ref().and_then(|content| content.stream());
        let Some(stream) = stream.filter(|stream| !stream.is_compressed()) else {
            continue;
        };
        let bytes = clear(stream, KEPT.div_ceil(cluster), (name, used))? * cluster;
        if bytes > 0 {
            all.push(LeftOut {
                name: name.to_owned(),
                bytes,
            });
        }
    }
    Ok(all)
}

/// Clears all of a stream's clusters but the first `kept`; returns how many.
fn clear(stream: &Stream, kept: u64, (name, used): (&str, &mut Bitmap)) -> Result<u64, FsError> {
    let mut cleared = 0;
    for run in &stream.runs {
        let Some(lcn) = run.lcn else { continue };
        let skip = kept.saturating_sub(run.vcn).min(run.count);
        let (start, count) = (lcn + skip, run.count - skip);
        if count == 0 {
            continue;
        }
        // Clusters that another run has already cleared are caught here as well.
        if !super::is_used(used, start, count) {
            return Err(corrupt(format!(
                "clusters of {name} are marked free in $Bitmap or belong to two files"
            )));
        }
        used.clear_range(start, count);
        cleared += count;
    }
    Ok(cleared)
}
