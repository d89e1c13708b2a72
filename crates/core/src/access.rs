//! Who may come and what they may see: subnets of addresses, patterns of names.
//!
//! Both are written by people and compared with what strangers send, so they are strict: a text that is not
//! understood whole is refused, and what is compared is the checked name, never its spelling in a request.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::reference::{Host, SubPath};

/// The field of an answer that says of an image that none but a manager is to give it.
pub const HTTPS_ONLY_HEADER: &str = "azud-https-only";

/// The name that the certificate of every manager has, and that clients ask for, whatever name or address they
/// reach it by: which manager it is, the pin of its authority says.
///
/// Names under `.invalid` are nobody's (RFC 2606, RFC 6761): no computer has one, no public authority vouches for one,
/// so that this certificate is worth nothing to anybody else. `.internal` and `.local` name computers of a site, and
/// `.alt` (RFC 9476) is for names that something resolves; nothing resolves this one.
pub const MANAGER_NAME: &str = "manager.azud.invalid";

/// What every token begins with.
pub const TOKEN_PREFIX: &str = "azud";

/// The two parts of a token, `azud_<id>_<secret>`.
pub fn token_parts(text: &str) -> Option<(&str, &str)> {
    let rest = text.strip_prefix(TOKEN_PREFIX)?.strip_prefix('_')?;
    rest.split_once('_')
}

/// Whether a text can be a token: both parts of every token are hexadecimal.
pub fn is_token(text: &str) -> bool {
    let is_hex = |part: &str| !part.is_empty() && part.bytes().all(|it| it.is_ascii_hexdigit());
    token_parts(text).is_some_and(|(id, secret)| is_hex(id) && is_hex(secret))
}

/// The longest pattern of names, in bytes.
pub const MAX_PATTERN: usize = 1024;

/// Why a text is no subnet or no pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AccessError {
    /// It is no address with a number of bits.
    #[error("a subnet is an address and a number of bits, like 10.0.0.0/8")]
    Subnet,
    /// There are bits of one computer in it, which is most likely a slip.
    #[error("the address has bits beyond those that the subnet is known by")]
    HostBits,
    /// It can be no name of an image.
    #[error("a pattern is a name of an image, with * for anything")]
    Pattern,
}

/// Whose an address is, where each computer gets a share: one of IPv6 has as many addresses as it likes within 64 bits.
pub fn peer(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into()
        }
        address @ IpAddr::V4(_) => address,
    }
}

/// A subnet: `10.0.0.0/8`, `fd00::/8`, or one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Subnet {
    address: IpAddr,
    bits: u8,
}

impl Subnet {
    /// Whether an address lies in it. IPv4 that came through a socket of IPv6 counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.address.is_ipv4() == address.is_ipv4()
            && prefix(address, self.bits) == prefix(self.address, self.bits)
    }
}

/// The first bits of an address, the others zero, as a number of 128 bits from the left.
fn prefix(address: IpAddr, bits: u8) -> u128 {
    let whole = match address {
        IpAddr::V4(address) => u128::from(address.to_bits()) << 96,
        IpAddr::V6(address) => address.to_bits(),
    };
    let mask = u128::MAX.checked_shr(bits.into()).unwrap_or(0);
    whole & !mask
}

impl FromStr for Subnet {
    type Err = AccessError;

    fn from_str(text: &str) -> Result<Self, AccessError> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| AccessError::Subnet)?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            None => most,
            // `u8` would take a sign as well.
            Some(bits) if bits.bytes().all(|byte| byte.is_ascii_digit()) => bits
                .parse()
                .ok()
                .filter(|bits| *bits <= most)
                .ok_or(AccessError::Subnet)?,
            Some(_) => return Err(AccessError::Subnet),
        };
        if prefix(address, bits) != prefix(address, most) {
            return Err(AccessError::HostBits);
        }
        Ok(Self { address, bits })
    }
}

impl TryFrom<String> for Subnet {
    type Error = AccessError;

    fn try_from(text: String) -> Result<Self, AccessError> {
        text.parse()
    }
}

impl From<Subnet> for String {
    fn from(value: Subnet) -> Self {
        value.to_string()
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

/// Names of images: a name, in which each `*` stands for any text, slashes included.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NamePattern(String);

impl NamePattern {
    /// Whether an image is meant. `aula1/win` means `aula1/win.img` too, as it does wherever images are named.
    pub fn matches(&self, image: &SubPath) -> bool {
        let whole = image.to_string();
        let bare = whole.strip_suffix(crate::name::EXTENSION);
        glob(self.0.as_bytes(), whole.as_bytes())
            || bare.is_some_and(|bare| glob(self.0.as_bytes(), bare.as_bytes()))
    }

    /// Of a pattern that begins with a repository (`10.0.0.9:aula1/*`), the rest, if it is that one. No `*` stands
    /// for a repository.
    #[must_use]
    pub fn in_repository(&self, host: &Host) -> Option<Self> {
        let rest = self.0.strip_prefix(&host.to_string())?.strip_prefix(':')?;
        rest.parse().ok()
    }
}

/// Matches from left to right; behind a `*` the shortest match is enough, for a later one cannot do better.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut seen) = (0, 0);
    let mut star = None;
    while seen < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, seen));
                at += 1;
            }
            Some(byte) if *byte == text[seen] => {
                at += 1;
                seen += 1;
            }
            _ => {
                let Some((back, taken)) = star else {
                    return false;
                };
                star = Some((back, taken + 1));
                at = back + 1;
                seen = taken + 1;
            }
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

impl FromStr for NamePattern {
    type Err = AccessError;

    fn from_str(text: &str) -> Result<Self, AccessError> {
        // With letters in place of the stars it has to be a name.
        let sample = text.replace('*', "x");
        if text.len() > MAX_PATTERN || SubPath::parse(&sample).is_err() {
            return Err(AccessError::Pattern);
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for NamePattern {
    type Error = AccessError;

    fn try_from(text: String) -> Result<Self, AccessError> {
        text.parse()
    }
}

impl From<NamePattern> for String {
    fn from(value: NamePattern) -> Self {
        value.to_string()
    }
}

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::{AccessError, NamePattern, Subnet};
    use crate::reference::SubPath;

    fn within(subnet: &str, address: &str) -> bool {
        let address: IpAddr = address.parse().unwrap();
        subnet.parse::<Subnet>().unwrap().contains(address)
    }

    #[test]
    fn an_address_is_in_its_subnet_alone() {
        assert!(within("10.0.0.0/8", "10.255.0.1"));
        assert!(!within("10.0.0.0/8", "11.0.0.1"));
        assert!(within("10.1.2.3", "10.1.2.3") && !within("10.1.2.3", "10.1.2.2"));
        assert!(within("0.0.0.0/0", "8.8.8.8") && !within("0.0.0.0/0", "::1"));
        assert!(within("10.0.0.0/8", "::ffff:10.0.0.1"), "IPv4 within IPv6");
        assert!(within("fd00::/8", "fdff::1") && !within("fd00::/8", "fe80::1"));
        assert!(within("::/0", "fd00::1") && !within("::/0", "10.0.0.1"));
        assert!(within("192.168.4.0/22", "192.168.7.255"));
        assert!(!within("192.168.4.0/22", "192.168.8.0"));
    }

    #[test]
    fn what_is_no_subnet_is_refused() {
        for bad in [
            "",
            "/",
            "10/8",
            "10.0.0.0/",
            "10.0.0.0/33",
            "::/129",
            "10.0.0.0/+8",
            "10.0.0.0/8/8",
            "10.0.0.0 /8",
            "aula1",
        ] {
            assert_eq!(bad.parse::<Subnet>(), Err(AccessError::Subnet), "{bad}");
        }
        let slip = "10.0.0.1/8".parse::<Subnet>();
        assert_eq!(slip, Err(AccessError::HostBits));
        assert_eq!(
            "10.0.0.0/8".parse::<Subnet>().unwrap().to_string(),
            "10.0.0.0/8"
        );
    }

    fn means(pattern: &str, name: &str) -> bool {
        let name = SubPath::parse(name).unwrap();
        pattern.parse::<NamePattern>().unwrap().matches(&name)
    }

    #[test]
    fn a_pattern_means_whole_names() {
        assert!(means("aula1/*", "aula1/win") && means("aula1/*", "aula1/exams/win"));
        assert!(!means("aula1/*", "aula10/win") && !means("aula1/*", "other/aula1/win"));
        assert!(means("win", "win") && means("win.img", "win") && means("win", "win.img"));
        assert!(!means("win", "win2") && !means("win", "win.dsk") && !means("win", "aula1/win"));
        assert!(means("*", "a/b/c") && means("a*b*c", "a-b-b-c") && !means("a*b*c", "a-b-b-d"));
        assert!(means("*/win*", "aula1/win11") && !means("*/win*", "win11"));
    }

    #[test]
    fn a_hostile_pattern_costs_little() {
        let pattern = "a*".repeat(100);
        let name = "a".repeat(200) + "b";
        assert!(!means(&(pattern + "c"), &name));
    }

    #[test]
    fn what_can_be_no_name_is_no_pattern() {
        for bad in ["", "/", "../*", "a/../b*", "a//*", ".hidden*", "a\n*"] {
            assert_eq!(
                bad.parse::<NamePattern>(),
                Err(AccessError::Pattern),
                "{bad:?}"
            );
        }
    }
}
