//! Repositories by name: the manager, the cache, other computers, removable media.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::RefError;

/// Which repository is meant, as it was written: what it comes to on this machine is told by
/// [`Namespace`](crate::namespace::Namespace).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Where {
    /// `REPO`: the manager.
    Manager,
    /// `CACHE`, `localhost` or a loopback address: this computer's cache.
    Cache,
    /// A computer: another manager, an external store, a client's cache.
    Host(Host),
    /// Removable storage.
    Removable(Removable),
}

impl Where {
    /// Understands `REPO`, `CACHE`, `localhost`, an address (IPv6 with or without its brackets), a host
    /// name, `USB-id` or `DVD-id`; upper and lower case mean the same, save in an id.
    ///
    /// # Errors
    /// [`RefError::Place`], with the reason.
    pub fn parse(text: &str) -> Result<Self, RefError> {
        let is = |name: &str| text.eq_ignore_ascii_case(name);
        if is("REPO") {
            return Ok(Self::Manager);
        }
        if is("CACHE") || is("localhost") {
            return Ok(Self::Cache);
        }
        for media in Media::ALL {
            let prefix = media.prefix();
            let has = text
                .get(..prefix.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(prefix));
            if has {
                return Removable::new(media, &text[prefix.len()..]).map(Self::Removable);
            }
        }
        Ok(match Host::parse(text)? {
            Host::Address(address) if address.is_loopback() => Self::Cache,
            host => Self::Host(host),
        })
    }
}

impl fmt::Display for Where {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Manager => f.write_str("REPO"),
            Self::Cache => f.write_str("CACHE"),
            Self::Host(host) => host.fmt(f),
            Self::Removable(removable) => removable.fmt(f),
        }
    }
}

/// A computer on the network.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Host {
    /// By address. Printed with brackets if it is IPv6: that is also the name of its folder.
    Address(IpAddr),
    /// By name, in lower case.
    Name(String),
}

impl Host {
    /// Understands an address or a host name.
    ///
    /// # Errors
    /// [`RefError::Place`], with the reason.
    pub fn parse(text: &str) -> Result<Self, RefError> {
        let refuse = |reason| RefError::Place {
            text: text.to_owned(),
            reason,
        };
        if let Some(address) = address(text) {
            return if names_a_computer(address) {
                Ok(Self::Address(address))
            } else {
                Err(refuse("no computer has that address"))
            };
        }
        check_name(text).map_err(refuse)?;
        Ok(Self::Name(text.to_ascii_lowercase()))
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
            Self::Address(address) => address.fmt(f),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// An address, IPv6 with or without its brackets. IPv4 inside IPv6 is the IPv4 address that it means.
pub(crate) fn address(text: &str) -> Option<IpAddr> {
    let inner = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'));
    let address = match inner {
        Some(inner) => IpAddr::V6(inner.parse::<Ipv6Addr>().ok()?),
        None => text.parse().ok()?,
    };
    Some(address.to_canonical())
}

fn names_a_computer(address: IpAddr) -> bool {
    let broadcast = address == IpAddr::V4(Ipv4Addr::BROADCAST);
    !(address.is_unspecified() || address.is_multicast() || broadcast)
}

/// The rules of host names (RFC 1123), with the `_` that some sites use.
fn check_name(text: &str) -> Result<(), &'static str> {
    const SHAPE: &str = "a host name has letters, digits, '-' and '.'";
    if text.is_empty() {
        return Err("it is empty");
    }
    if text.len() > 253 {
        return Err("it is too long for a host name");
    }
    for label in text.split('.') {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        let ok = !label.is_empty()
            && label.len() <= 63
            && label.bytes().all(plain)
            && !label.starts_with('-')
            && !label.ends_with('-');
        if !ok {
            return Err(SHAPE);
        }
    }
    let last = text.rsplit('.').next().unwrap_or_default();
    if last.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("it looks like an address and is none");
    }
    Ok(())
}

/// Kinds of removable storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Media {
    /// USB sticks and disks.
    Usb,
    /// Optical discs.
    Dvd,
}

impl Media {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Usb, Self::Dvd];

    /// `USB-` or `DVD-`.
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Usb => "USB-",
            Self::Dvd => "DVD-",
        }
    }
}

/// A removable medium: printed as its alias and folder, `USB-id`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Removable {
    media: Media,
    id: String,
}

/// The longest id in bytes: longer than any label or UUID that file systems have.
const MAX_ID: usize = 128;

impl Removable {
    /// A medium by its id: the label if it is unique and this accepts it, else the UUID.
    ///
    /// # Errors
    /// [`RefError::Place`] for an id that would not be safe as the name of a folder.
    pub fn new(media: Media, id: &str) -> Result<Self, RefError> {
        let plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '+');
        let reason = if id.is_empty() {
            "it has no id"
        } else if id.len() > MAX_ID {
            "its id is too long"
        } else if id.starts_with('.') || !id.chars().all(plain) {
            "an id has letters, digits, '-', '_', '+' and '.', and does not begin with '.'"
        } else {
            return Ok(Self {
                media,
                id: id.to_owned(),
            });
        };
        Err(RefError::Place {
            text: format!("{}{id}", media.prefix()),
            reason,
        })
    }

    /// USB or DVD.
    pub fn media(&self) -> Media {
        self.media
    }

    /// The label or UUID.
    pub fn id(&self) -> &str {
        &self.id
    }
}

impl fmt::Display for Removable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.media.prefix(), self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::{Host, Media, Removable, Where};
    use crate::code::Code;
    use proptest::prelude::*;

    fn parsed(text: &str) -> Where {
        Where::parse(text).expect(text)
    }

    #[test]
    fn aliases_are_known_in_any_case() {
        for text in ["REPO", "repo", "Repo"] {
            assert_eq!(parsed(text), Where::Manager);
        }
        for text in [
            "CACHE",
            "cache",
            "LocalHost",
            "127.0.0.1",
            "127.8.9.1",
            "[::1]",
            "::1",
            "[::ffff:127.0.0.1]",
        ] {
            assert_eq!(parsed(text), Where::Cache, "{text}");
        }
    }

    #[test]
    fn computers_have_one_spelling() {
        for (text, shown) in [
            ("10.0.0.1", "10.0.0.1"),
            ("[::ffff:10.0.0.1]", "10.0.0.1"),
            ("[2001:0DB8::0:1]", "[2001:db8::1]"),
            ("2001:db8::1", "[2001:db8::1]"),
            ("NAS-1.Example.ORG", "nas-1.example.org"),
            ("aula_3", "aula_3"),
        ] {
            assert_eq!(parsed(text).to_string(), shown);
        }
    }

    #[test]
    fn what_is_no_computer_is_refused() {
        let long = "a".repeat(64);
        for text in [
            "",
            ".",
            "..",
            "a..b",
            "a.",
            "-a",
            "a-",
            "a b",
            "a/b",
            "ñ",
            "10.0.0.256",
            "10.0.0.01",
            "1",
            "[10.0.0.1]",
            "[fe80::1%eth0]",
            "[]",
            "0.0.0.0",
            "255.255.255.255",
            "224.0.0.1",
            "[ff02::1]",
            "[::]",
            long.as_str(),
        ] {
            let error = Where::parse(text).expect_err(text);
            assert_eq!(error.code(), Code::BadPlace, "{text}");
        }
    }

    #[test]
    fn removable_media_keep_the_case_of_their_id() {
        assert_eq!(parsed("usb-Tools").to_string(), "USB-Tools");
        assert_eq!(parsed("DVD-1A2B-3C4D").to_string(), "DVD-1A2B-3C4D");
        let Where::Removable(medium) = parsed("dvd-x") else {
            panic!("no medium")
        };
        assert_eq!((medium.media(), medium.id()), (Media::Dvd, "x"));
        for id in ["", "..", ".x", "a/b", "a b", "a:b", "a\nb", "$(reboot)"] {
            assert!(Removable::new(Media::Usb, id).is_err(), "{id:?}");
        }
        assert!(Where::parse("USB-").is_err());
        assert!(Removable::new(Media::Usb, &"x".repeat(129)).is_err());
    }

    proptest! {
        #[test]
        fn proptest_places_survive_being_printed(text in "\\PC{0,20}|[a-zA-Z0-9.:\\[\\]-]{0,20}") {
            if let Ok(place) = Where::parse(&text) {
                prop_assert_eq!(Where::parse(&place.to_string()).unwrap(), place);
            }
            if let Ok(host) = Host::parse(&text) {
                prop_assert_eq!(Host::parse(&host.to_string()).unwrap(), host);
            }
        }
    }
}
