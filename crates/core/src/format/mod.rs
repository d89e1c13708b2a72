//! The native image format, `docs/formats/image.md`: pure functions between bytes and structures.

pub mod partclone;
