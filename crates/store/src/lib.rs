//! Repositories on disk.
