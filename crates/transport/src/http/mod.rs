//! The primary transport: a manager's HTTP API.

mod client;
mod image;

pub use client::{Client, Manager, authority, pin_of};
pub use image::RemoteImage;
