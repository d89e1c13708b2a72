//! How bytes come from other computers. Each transport is a driver of what core decides.
//!
//! Architecture invariants: nothing that comes over a wire is believed until its hash fits; no disk and no
//! repository is known here.

mod error;
pub mod http;

pub use error::{NetError, Result};
