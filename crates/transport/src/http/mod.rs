//! The primary transport: a manager's HTTP API.

mod authority;
mod catalogue;
mod client;
mod ends;
mod followed;
mod gather;
mod image;
mod login;
mod patience;
mod pulse;
mod reach;
mod rollback;
mod room;
mod side;
mod standing;
mod stream;
mod times;
mod tls;
mod upload;
mod wire;

pub use authority::{authority, pin_of};
pub use catalogue::{Beside, Listed, Lock, Version};
pub use client::{Client, Manager};
pub use image::RemoteImage;
pub use login::{Login, login};
pub use patience::{Moment, Patience};
pub use rollback::Former;
pub use standing::{Allowed, Standing};
pub use stream::Stream;
pub use times::SILENCE;
pub use upload::{Pieces, Published, Upload, send, streaming};
