//! What this computer can do: drivers and features of the kernel, room, clocks. Nothing is changed, no
//! module loaded.
//!
//! Invariant: a question that the kernel may never answer is asked through [`within`].

mod clock;
mod drivers;
mod features;
mod mounted;
mod patience;

pub use clock::skew;
pub use drivers::{Driver, Drivers};
pub use features::{Room, direct_io, is_root, resolves_beneath, room};
pub use mounted::mounted_below;
pub use patience::within;
