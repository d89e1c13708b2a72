//! What only a kernel with everything can show: servers of files, sticks, discs. Run by `cargo xtask vm-tests` in a
//! virtual machine; anywhere else these tests pass over.

#![allow(clippy::print_stderr, reason = "skipped tests say so on the terminal")]

#[path = "../kit/mod.rs"]
mod kit;
#[path = "../mounts/room.rs"]
mod room;

mod copies;
mod disks;
mod pulled;
mod recorded;
mod served;
mod servers;
mod shares;
#[allow(dead_code, reason = "what finds the disk afterwards uses the rest")]
mod steps;
mod sticks;

/// Whether this is the virtual machine, where every device is ours.
fn in_vm() -> bool {
    let inside = std::env::var_os("AZUD_VM").is_some();
    if !inside {
        eprintln!("skipped: it is for the virtual machine (cargo xtask vm-tests)");
    }
    inside
}
