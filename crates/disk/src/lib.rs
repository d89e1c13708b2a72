//! Devices, mounts, external programs.
