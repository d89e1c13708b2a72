//! The words of Azud's domain: bitmaps of used blocks, the image format, the cutter, names of
//! images, places and devices, error codes.
//!
//! Architecture invariant: nothing here opens a file, reads a clock, starts a thread or knows an
//! async runtime. Bytes come in as slices and go out as vectors; devices are seen through the
//! traits of [`io`].

pub mod access;
pub mod assembly;
pub mod bitmap;
pub mod cache;
pub mod code;
pub mod cut;
pub mod format;
pub mod io;
pub mod layout;
pub mod name;
pub mod namespace;
pub mod progress;
pub mod reference;
pub mod report;
pub mod room;
pub mod upload;
