//! Other names of the same bytes: a disk and its partitions have page caches of their own.
//!
//! Before reading or writing, what others wrote through another name must reach the medium; after
//! writing, what they have cached of it is old.

use std::fs::File;
use std::path::Path;

use crate::extent::{devices_over, of_path};
use crate::sys;

/// Writes out and forgets what the page caches of a device and of its other names hold.
/// Best effort: it needs `CAP_SYS_ADMIN`, and who may not do it has lost nothing else.
pub(crate) fn settle(path: &Path) {
    let Ok(extent) = of_path(path) else { return };
    for device in devices_over(&extent) {
        if let Ok(node) = File::open(device.node()) {
            let _ = node.sync_data();
            let _ = sys::flush_buffers(&node);
        }
    }
}
