//! The root directory, for the one thing wanted from it: the volume label.
//!
//! Invariant: at most [`MAX_ROOT`] bytes are read, and a chain that leaves the volume or turns in circles
//! merely ends the search: without its label the volume is as good.

use azud_core::io::ReadAt;

use super::boot::Boot;
use super::table;
use crate::fs::FsError;
use crate::fs::bytes::{read_vec, text};

/// A directory holds at most 65,536 entries of 32 bytes.
const MAX_ROOT: u64 = 65_536 * 32;

const LABEL: u8 = 0x08;
/// Read-only, hidden, system, label, directory: all of them together mark a part of a long name.
const KIND: u8 = 0x1F;

/// The label's entry in the root directory, else the one in the boot sector.
pub(super) fn label(device: &dyn ReadAt, boot: &Boot) -> Result<Option<String>, FsError> {
    let found = if boot.wide() {
        in_chain(device, boot)?
    } else {
        let len = usize::try_from(boot.root.end - boot.root.start).expect("at most MAX_ROOT");
        in_directory(&read_vec(device, boot.root.start, len)?)
    };
    let name = match found {
        Search::Found(name) => Some(name),
        Search::End | Search::More => boot.label.filter(|name| name != b"NO NAME    "),
    };
    Ok(name.and_then(|name| text(&name)))
}

enum Search {
    Found([u8; 11]),
    End,
    More,
}

fn in_chain(device: &dyn ReadAt, boot: &Boot) -> Result<Search, FsError> {
    let mut cluster = boot.root_cluster;
    let len = usize::try_from(boot.cluster).expect("at most 512 KiB");
    for _ in 0..MAX_ROOT.div_ceil(boot.cluster) {
        if !(2..boot.clusters + 2).contains(&cluster) {
            break;
        }
        match in_directory(&read_vec(device, boot.at(cluster), len)?) {
            Search::More => cluster = table::entry(device, boot, cluster)?,
            done => return Ok(done),
        }
    }
    Ok(Search::End)
}

fn in_directory(entries: &[u8]) -> Search {
    for entry in entries.chunks_exact(32) {
        match (entry[0], entry[11] & KIND) {
            (0, _) => return Search::End,
            (0xE5, _) => {}
            (_, kind) if kind & !1 == LABEL => {
                let mut name: [u8; 11] = entry[..11].try_into().expect("a chunk of 32");
                // 0xE5 as first letter would mean "deleted".
                name[0] = if name[0] == 0x05 { 0xE5 } else { name[0] };
                return Search::Found(name);
            }
            _ => {}
        }
    }
    Search::More
}
