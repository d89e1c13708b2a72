//! Who an image is: 32 bytes that the caller vouches for. The store compares, prints and keeps them, no more.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The identity of an image's content; equal identities mean equal files.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Identity(pub [u8; 32]);

/// Tells the identity of a file, where it can be told. It should be quick (read a trailer, not the
/// whole): it is called while the directory is locked.
pub type Identify<'a> = dyn Fn(&Path) -> Option<Identity> + 'a;

impl Identity {
    /// The first twelve hex digits: enough to name a version.
    pub fn short(&self) -> String {
        Self::shortened(&self.to_string())
    }

    /// The same of one that somebody else says, whatever that is.
    pub fn shortened(text: &str) -> String {
        text.chars().take(12).collect()
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({})", self.short())
    }
}

impl From<Identity> for String {
    fn from(identity: Identity) -> Self {
        identity.to_string()
    }
}

impl TryFrom<String> for Identity {
    type Error = BadIdentity;

    fn try_from(text: String) -> Result<Self, BadIdentity> {
        text.parse()
    }
}

/// Not 64 hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an identity is 64 lower-case hex digits")]
pub struct BadIdentity;

impl FromStr for Identity {
    type Err = BadIdentity;

    fn from_str(text: &str) -> Result<Self, BadIdentity> {
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Ok(byte - b'0'),
            b'a'..=b'f' => Ok(byte - b'a' + 10),
            _ => Err(BadIdentity),
        };
        let text = text.as_bytes();
        let mut bytes = [0; 32];
        if text.len() != 2 * bytes.len() {
            return Err(BadIdentity);
        }
        for (byte, pair) in bytes.iter_mut().zip(text.chunks(2)) {
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Ok(Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::Identity;

    #[test]
    fn hex_round_trip() {
        let identity = Identity(std::array::from_fn(|i| u8::try_from(i * 7).unwrap()));
        let text = identity.to_string();
        assert_eq!(text.parse::<Identity>().unwrap(), identity);
        assert_eq!(identity.short(), &text[..12]);
        assert!(text[1..].parse::<Identity>().is_err());
        assert!(text.to_uppercase().parse::<Identity>().is_err());
        assert!("é".repeat(32).parse::<Identity>().is_err());
    }
}
