//! The store as its users see it: published images, their trash, and what is left after a crash.
#![allow(
    clippy::unwrap_used,
    reason = "in helpers of tests, too, a panic is what is wanted"
)]

mod assembly;
mod beneath;
mod cache;
mod common;
mod crash;
mod gate;
mod killed;
mod leftover;
mod links;
mod list;
mod media;
mod order;
mod publish;
mod trash;
