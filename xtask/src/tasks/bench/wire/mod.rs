//! A manager and its clients on a cable: downloads against nginx and curl, deployments against their parts and
//! against today's way.

mod deploy;
mod nginx;
mod room;
mod unicast;

pub(super) use deploy::tables as deploy;
pub(super) use unicast::tables as unicast;

/// Whether the tools of a group are here.
fn can(group: &str) -> bool {
    super::can(group, &["ip", "tc", "nginx", "curl", "openssl"])
}
