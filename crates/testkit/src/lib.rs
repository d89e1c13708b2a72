//! What tests share: external programs, loop devices, mounts, pictures of file trees, poisoned targets.
//!
//! Invariant: whatever a test sets up here is taken down when its guard is dropped, also when the
//! test panics. Only test code depends on this crate.
#![allow(clippy::print_stderr, reason = "skipped tests say so on the terminal")]

pub mod cable;
pub mod forgetful;
mod fuse;
pub mod loops;
pub mod memory;
pub mod poison;
pub mod proxy;
pub mod sandbox;
pub mod tools;
pub mod tree;
pub mod written;
