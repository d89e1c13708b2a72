//! Devices, mounts, external programs: the only crate of the project that knows ioctls, `unsafe`
//! (in `sys` alone) and child processes. Linux only, and synchronous.
//!
//! Invariants: a [`source::Source`] never writes; a [`target::Target`] is either wholly direct or
//! wholly buffered; a device that is in use is refused with the place where it is used; a child
//! that fails is an error for whoever reads from it, and no child outlives its handle.

pub mod busy;
pub mod error;
mod extent;
pub mod facts;
mod mounts;
pub mod same;
mod sys;
mod sysfs;
mod table;

pub use busy::check_unused;
pub use error::{DiskError, Result};
pub use facts::{DeviceFacts, Kind};
pub use same::holds;
