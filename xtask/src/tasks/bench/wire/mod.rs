//! A manager and its clients on a cable: downloads against nginx and curl, deployments against their parts and
//! against today's way.

mod deploy;
mod nginx;
mod room;
mod unicast;

pub(super) use deploy::tables as deploy;
pub(super) use unicast::tables as unicast;

use azud_testkit::tools::find;

use super::super::complain;

/// Whether the tools of a group are here.
fn can(group: &str) -> bool {
    for tool in ["ip", "tc", "nginx", "curl", "openssl"] {
        if find(tool).is_none() {
            complain(&format!("bench: no {group}: {tool} is not installed"));
            return false;
        }
    }
    true
}
