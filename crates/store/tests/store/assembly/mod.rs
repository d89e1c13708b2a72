//! Images received: whatever fails or is killed, the old one can be read, and the next run goes on.

mod crash;
mod faults;
mod inbox;
mod kit;
mod lost;
mod reader;
mod several;
mod standing;
mod ways;
