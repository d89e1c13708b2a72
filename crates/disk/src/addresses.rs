//! The machine's own addresses, as the kernel tells them.

use std::net::IpAddr;
use std::path::Path;

use crate::error::{DiskError, Result};

/// The addresses of the machine's interfaces: no loopback, and no link-local IPv6 addresses, which mean
/// nothing without their interface. IPv4 first, in the kernel's order.
///
/// # Errors
/// [`DiskError::Io`] when the kernel does not tell.
pub fn own_addresses() -> Result<Vec<IpAddr>> {
    let interfaces = if_addrs::get_if_addrs()
        .map_err(|error| DiskError::at(Path::new("/proc/net"), "asking for addresses", error))?;
    Ok(useful(interfaces.iter().map(if_addrs::Interface::ip)))
}

fn useful(addresses: impl Iterator<Item = IpAddr>) -> Vec<IpAddr> {
    let mut found: Vec<IpAddr> = Vec::new();
    for address in addresses.map(|address| address.to_canonical()) {
        let local = match address {
            IpAddr::V4(_) => false,
            IpAddr::V6(address) => address.is_unicast_link_local(),
        };
        if !(address.is_loopback() || local || found.contains(&address)) {
            found.push(address);
        }
    }
    found.sort_by_key(IpAddr::is_ipv6);
    found
}

#[cfg(test)]
mod tests {
    use super::{own_addresses, useful};
    use std::net::IpAddr;

    #[test]
    fn loopback_and_link_local_addresses_are_left_out() {
        let list = [
            "::1",
            "fd00::5",
            "127.0.0.1",
            "fe80::1",
            "10.0.0.5",
            "10.0.0.5",
            "10.0.0.4",
        ];
        let addresses = list.map(|text| text.parse::<IpAddr>().unwrap());
        let found: Vec<String> = useful(addresses.into_iter())
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(found, ["10.0.0.5", "10.0.0.4", "fd00::5"]);
    }

    #[test]
    fn the_kernel_tells_the_addresses() {
        // One that the machine sends from must be among them; without a route there is none to compare.
        let socket = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
        if socket.connect("192.0.2.1:9").is_err() {
            return;
        }
        let own = socket.local_addr().unwrap().ip();
        let found = own_addresses().unwrap();
        assert!(
            own.is_loopback() || found.contains(&own),
            "{own} in {found:?}"
        );
    }
}
