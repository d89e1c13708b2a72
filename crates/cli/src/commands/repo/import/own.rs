//! Images of a source that lie in the very folder which gets them: what earlier runs brought, where it is within the source. Brought
//! again, all of it would lie one folder deeper after each run.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::Item;
use crate::commands::repo::same_directory;

/// Leaves them out; how many they are. Whatever way leads to that folder, it is the same one.
pub(super) fn leave_out(items: &mut Vec<Item>, source: &Path, target: &Path) -> u64 {
    // The last one is the source itself.
    let above = |item: &Item| -> Vec<PathBuf> {
        let above = Path::new(&item.name).ancestors().skip(1);
        above.map(Path::to_owned).collect()
    };
    let folders: BTreeSet<PathBuf> = items.iter().flat_map(above).collect();
    let is_own = |folder: &PathBuf| same_directory(&source.join(folder), target);
    let own: Vec<PathBuf> = folders.into_iter().filter(is_own).collect();
    let before = items.len();
    items.retain(|item| {
        !own.iter()
            .any(|folder| Path::new(&item.name).starts_with(folder))
    });
    (before - items.len()) as u64
}
