//! The image engine: used-block maps per file system, frames, capture, restore, verify, diff,
//! import and export.
//!
//! Architecture invariant: synchronous, no network, no repositories. Devices and files arrive as
//! [`azud_core::io`] traits or `Read`/`Write`; whoever calls decides where an image is published.

pub mod capture;
mod codec;
mod decode;
mod diff;
mod ending;
mod error;
pub mod foreign;
pub mod fs;
mod head;
mod indexed;
mod native;
mod pack;
mod par;
pub mod repair;
pub mod restore;
pub mod signature;
pub mod sniff;
mod verify;

pub use codec::{DEFAULT_LEVEL, LEVELS, zstd_version};
pub use decode::{write_packed, write_partclone};
pub use diff::{Difference, diff};
pub use error::ImageError;
pub use indexed::Indexed;
pub use native::{Geometry, Native};
pub use pack::Packing;
pub use verify::verify;
