//! Devices, mounts, external programs: the only crate of the project that knows ioctls, `unsafe`
//! (in `sys` alone) and child processes. Linux only, and synchronous.
//!
//! Invariants: a [`source::Source`] never writes; a [`target::Target`] is either wholly direct or
//! wholly buffered; a device that is in use is refused with the place where it is used; a child
//! that fails is an error for whoever reads from it, and no child outlives its handle but the one that answers for
//! a [`view`].

pub mod addresses;
pub mod busy;
pub mod cache;
pub mod command;
pub mod credentials;
mod direct;
mod disks;
pub mod error;
mod extent;
pub mod facts;
pub mod holes;
pub mod machine;
pub mod mounting;
mod mounts;
mod neighbours;
mod numbers;
pub mod partclone;
pub mod partition;
pub mod qemu;
pub mod remote;
pub mod removable;
pub mod running;
pub mod same;
pub mod source;
mod sys;
mod sysfs;
mod table;
pub mod target;
pub mod view;
pub mod watch;

pub use addresses::own_addresses;
pub use busy::check_unused;
pub use disks::device_of;
pub use error::{DiskError, Result};
pub use facts::{DeviceFacts, Kind};
pub use holes::Holes;
pub use mounts::{mount_points, mount_points_in};
pub use numbers::Numbers;
pub use same::holds;
pub use source::{Access, Source};
pub use table::{Table, table};
pub use target::{Target, TargetOptions};
