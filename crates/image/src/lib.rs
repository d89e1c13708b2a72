//! The image engine: used-block maps per file system, frames, capture, restore, verify, diff,
//! import and export.
//!
//! Architecture invariant: synchronous, no network, no repositories. Devices and files arrive as
//! [`azud_core::io`] traits or `Read`/`Write`; whoever calls decides where an image is published.

pub mod fs;
