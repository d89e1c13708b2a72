//! Repositories and removable storage, as far as any kernel can: bound directories, loop devices, helpers
//! that only pretend. The rest is tested in the virtual machine.

#[path = "../kit/mod.rs"]
mod kit;

mod repo;
mod room;
mod silent;
mod storage;
