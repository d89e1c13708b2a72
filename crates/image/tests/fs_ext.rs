//! ext2/3/4 maps against real volumes made by mke2fs, and against what partclone, dumpe2fs, e2fsck
//! and the kernel think of them.
#![allow(clippy::unwrap_used, reason = "a test may")]

#[path = "fs_ext/dirty.rs"]
mod dirty;
#[path = "fs_ext/guards.rs"]
mod guards;
#[path = "fs_ext/hostile.rs"]
mod hostile;
#[path = "fs_ext/kit.rs"]
mod kit;
#[path = "fs_ext/matrix.rs"]
mod matrix;
#[path = "fs_ext/variants.rs"]
mod variants;
