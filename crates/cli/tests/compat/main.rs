//! OpenGnsys' names as its scripts use them: every test is a script that dash runs.

mod bench;
mod caches;
mod delete;
mod deploy;
mod devices;
mod files;
mod images;
#[path = "../kit/mod.rs"]
mod kit;
mod names;
