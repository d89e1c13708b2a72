//! Bearer tokens: who may do what. Only hashes of them are kept.

use std::fs::File;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::SystemTime;

use azud_core::access::{NamePattern, Subnet, TOKEN_PREFIX, token_parts};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::grant::{Grant, Refusal};
use crate::state;

/// What a token allows. Each may do what those before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// To read images.
    Read,
    /// To change images.
    Write,
    /// To manage the manager.
    Admin,
}

impl Role {
    /// All, from the least.
    pub const ALL: [Self; 3] = [Self::Read, Self::Write, Self::Admin];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }
}

/// A token without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// What it is called, in hexadecimal.
    pub id: String,
    /// What it allows.
    pub role: Role,
    /// What whoever made it wrote on it.
    pub note: String,
    /// When it was made, in seconds since 1970.
    pub created: u64,
    /// Until when, where from and for what it is good; without it everywhere and for ever.
    #[serde(default, skip_serializing_if = "Bounds::is_none")]
    pub bounds: Bounds,
    /// BLAKE3 of the secret, in hexadecimal.
    hash: String,
}

/// How far a token reaches.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Bounds {
    /// When it ends, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<u64>,
    /// Where its bearer has to be; anywhere if there is none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub subnets: Vec<Subnet>,
    /// Which images there are for its bearer; all if there is none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<NamePattern>,
}

impl Bounds {
    fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// A token for its bearer: `azud_<id>_<secret>`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The text to be handed over, once.
    pub fn text(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

/// What somebody shows, and from where: of the secret its hash alone, so that it can be shown again later.
#[derive(Debug, Clone)]
pub(crate) struct Pass {
    id: String,
    hash: blake3::Hash,
    address: IpAddr,
}

impl Pass {
    /// Of a text that may be a token.
    pub(crate) fn of(text: &str, address: IpAddr) -> Option<Self> {
        let (id, secret) = token_parts(text)?;
        Some(Self {
            id: id.to_owned(),
            hash: blake3::hash(secret.as_bytes()),
            address,
        })
    }
}

/// All tokens of a manager, in `tokens.json` of its state. Another process may change them at any time.
#[derive(Debug)]
pub struct Tokens {
    file: PathBuf,
    read: Mutex<Read>,
}

/// What was read, and of which file.
#[derive(Debug, Default)]
struct Read {
    stamp: Option<(SystemTime, u64)>,
    tokens: Vec<Token>,
}

const ID_BYTES: usize = 4;
const SECRET_BYTES: usize = 32;
/// A clock that shows so much less than when a token was made says nothing of when the token ends.
const CLOCK_SLACK: u64 = 24 * 60 * 60;

impl Tokens {
    /// The tokens in a directory of state.
    pub fn in_dir(state: &Path) -> Self {
        Self {
            file: state.join("tokens.json"),
            read: Mutex::default(),
        }
    }

    /// All of them.
    ///
    /// # Errors
    /// When the file cannot be read or understood.
    pub fn list(&self) -> io::Result<Vec<Token>> {
        state::read(&self.file)
    }

    /// Makes one. Its secret cannot be read again.
    ///
    /// # Errors
    /// What the system says.
    pub fn create(
        &self,
        role: Role,
        note: &str,
        bounds: Bounds,
        now: u64,
    ) -> io::Result<(Token, Secret)> {
        let _alone = self.alone()?;
        let mut tokens = self.list()?;
        let (id, secret) = (
            state::random::<ID_BYTES>()?,
            state::random::<SECRET_BYTES>()?,
        );
        if tokens.iter().any(|token| token.id == id) {
            return Err(io::Error::other("an id came twice"));
        }
        let token = Token {
            hash: blake3::hash(secret.as_bytes()).to_hex().to_string(),
            role,
            note: note.to_owned(),
            created: now,
            bounds,
            id,
        };
        let text = Secret(format!("{TOKEN_PREFIX}_{}_{secret}", token.id));
        tokens.push(token.clone());
        self.write(&tokens)?;
        Ok((token, text))
    }

    /// Takes one back; `false` if there is none of that id.
    ///
    /// # Errors
    /// What the system says.
    pub fn revoke(&self, id: &str) -> io::Result<bool> {
        let _alone = self.alone()?;
        let mut tokens = self.list()?;
        let before = tokens.len();
        tokens.retain(|token| token.id != id);
        if tokens.len() == before {
            return Ok(false);
        }
        self.write(&tokens)?;
        Ok(true)
    }

    /// What a bearer at an address may do at a time, in seconds since 1970. How long it takes tells nothing of
    /// the secret, and why a token is not accepted is told only to who has the secret.
    pub(crate) fn grant(&self, pass: &Pass, now: u64) -> Result<Grant, Refusal> {
        let tokens = self.current();
        let token = tokens.iter().find(|token| token.id == pass.id);
        let token = token.ok_or(Refusal::Unknown)?;
        let expected = blake3::Hash::from_hex(&token.hash).map_err(|_| Refusal::Unknown)?;
        // Hashes of BLAKE3 are compared in constant time.
        if pass.hash != expected {
            return Err(Refusal::Unknown);
        }
        let Bounds {
            expires,
            subnets,
            images,
        } = &token.bounds;
        if expires.is_some_and(|end| now >= end || now + CLOCK_SLACK < token.created) {
            return Err(Refusal::Expired);
        }
        if !is_within(subnets, pass.address) {
            return Err(Refusal::Elsewhere);
        }
        Ok(Grant::new(token.role, images))
    }

    /// The tokens as they are now; if the file cannot be read, nobody has one.
    fn current(&self) -> Vec<Token> {
        let stamp = std::fs::metadata(&self.file)
            .and_then(|meta| Ok((meta.modified()?, meta.len())))
            .ok();
        let mut read = self.read.lock().expect("no holder panics");
        if read.stamp != stamp || stamp.is_none() {
            // What could not be read once is read again for the next who asks.
            *read = match self.list() {
                Ok(tokens) => Read { stamp, tokens },
                Err(_) => Read::default(),
            };
        }
        read.tokens.clone()
    }

    fn write(&self, tokens: &[Token]) -> io::Result<()> {
        let mut text = serde_json::to_vec_pretty(tokens)?;
        text.push(b'\n');
        state::write(&self.file, &text)
    }

    /// Keeps other processes from changing the file meanwhile.
    fn alone(&self) -> io::Result<File> {
        state::lock(&self.file.with_extension("lock"))
    }
}

/// Whether an address is in one of these subnets; everybody is where there is none.
pub(crate) fn is_within(subnets: &[Subnet], peer: IpAddr) -> bool {
    subnets.is_empty() || subnets.iter().any(|subnet| subnet.contains(peer))
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};
    use std::os::unix::fs::PermissionsExt;

    use super::{Bounds, CLOCK_SLACK, Pass, Role, Tokens};
    use crate::grant::{Grant, Refusal};

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn granted(tokens: &Tokens, text: &str, peer: IpAddr, now: u64) -> Result<Grant, Refusal> {
        tokens.grant(&Pass::of(text, peer).ok_or(Refusal::Unknown)?, now)
    }

    fn role(tokens: &Tokens, text: &str) -> Option<Role> {
        Some(granted(tokens, text, HERE, 9).ok()?.role())
    }

    #[test]
    fn a_token_is_good_until_it_is_revoked() {
        let dir = tempfile::tempdir().unwrap();
        let (tokens, other) = (Tokens::in_dir(dir.path()), Tokens::in_dir(dir.path()));
        let none = Bounds::default;
        let (reader, read) = tokens.create(Role::Read, "room 1", none(), 7).unwrap();
        let (_, admin) = other.create(Role::Admin, "", none(), 8).unwrap();
        assert_eq!(role(&tokens, read.text()), Some(Role::Read));
        assert_eq!(role(&tokens, admin.text()), Some(Role::Admin));
        let all = tokens.list().unwrap();
        assert_eq!((all.len(), all[0].note.as_str()), (2, "room 1"));
        assert!(other.revoke(&reader.id).unwrap());
        assert!(!other.revoke(&reader.id).unwrap());
        assert_eq!(role(&tokens, read.text()), None);
        assert_eq!(role(&tokens, admin.text()), Some(Role::Admin));
    }

    #[test]
    fn nothing_else_is_a_token() {
        let dir = tempfile::tempdir().unwrap();
        let tokens = Tokens::in_dir(dir.path());
        assert_eq!(role(&tokens, "azud_00000000_00"), None);
        let made = tokens.create(Role::Read, "", Bounds::default(), 0);
        let (token, secret) = made.unwrap();
        let text = secret.text();
        for bad in [
            "",
            "azud",
            "azud_",
            "azud__",
            &text[1..],
            &text[..text.len() - 1],
            &text.to_uppercase(),
            &format!("azud_{}_{}", token.id, token.hash),
        ] {
            assert_eq!(role(&tokens, bad), None, "{bad}");
        }
        let file = std::fs::read_to_string(dir.path().join("tokens.json")).unwrap();
        let (_, bare) = text.rsplit_once('_').unwrap();
        assert!(!file.contains(bare), "the secret is not kept");
        let mode = std::fs::metadata(dir.path().join("tokens.json"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_file_that_cannot_be_read_once_is_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let made = Tokens::in_dir(dir.path()).create(Role::Read, "", Bounds::default(), 0);
        let (_, secret) = made.unwrap();
        let file = dir.path().join("tokens.json");
        let (good, meta) = (std::fs::read(&file).unwrap(), file.metadata().unwrap());
        let write = |bytes: &[u8]| {
            let mut options = std::fs::File::options();
            let mut out = options.write(true).truncate(true).open(&file).unwrap();
            std::io::Write::write_all(&mut out, bytes).unwrap();
            out.set_modified(meta.modified().unwrap()).unwrap();
        };
        let tokens = Tokens::in_dir(dir.path());
        write(&vec![b'?'; good.len()]);
        assert_eq!(role(&tokens, secret.text()), None);
        write(&good);
        assert_eq!(role(&tokens, secret.text()), Some(Role::Read));
    }

    #[test]
    fn a_token_ends_when_it_says() {
        let dir = tempfile::tempdir().unwrap();
        let tokens = Tokens::in_dir(dir.path());
        let made = 10 * CLOCK_SLACK;
        let bounds = Bounds {
            expires: Some(made + 60),
            ..Bounds::default()
        };
        let (_, secret) = tokens.create(Role::Write, "", bounds, made).unwrap();
        let at = |now| granted(&tokens, secret.text(), HERE, now).map(|it| it.role());
        assert_eq!(at(made + 59), Ok(Role::Write));
        assert_eq!(at(made + 60), Err(Refusal::Expired));
        assert_eq!(at(made - CLOCK_SLACK), Ok(Role::Write));
        assert_eq!(at(0), Err(Refusal::Expired), "a clock without a battery");
        let wrong = secret.text().replace("azud_", "azud_0");
        let wrong = granted(&tokens, &wrong, HERE, made + 60);
        assert_eq!(wrong.unwrap_err(), Refusal::Unknown, "nothing is told");
    }

    #[test]
    fn a_token_is_for_its_subnets_and_images() {
        let dir = tempfile::tempdir().unwrap();
        let tokens = Tokens::in_dir(dir.path());
        let bounds = Bounds {
            subnets: vec!["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()],
            images: vec!["aula1/*".parse().unwrap()],
            expires: None,
        };
        let (_, secret) = tokens.create(Role::Read, "", bounds, 0).unwrap();
        let from = |peer: &str| granted(&tokens, secret.text(), peer.parse().unwrap(), 0);
        assert_eq!(from("192.168.0.1").unwrap_err(), Refusal::Elsewhere);
        assert!(from("fd00::1").is_ok());
        let grant = from("::ffff:10.2.3.4").unwrap();
        assert!(grant.sees("aula1/win") && !grant.sees("aula2/win"));
        assert!(!grant.sees("aula1/../aula2/win") && !grant.sees(""));
    }

    #[test]
    fn tokens_of_former_versions_are_understood_and_what_is_not_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let hash = blake3::hash(b"secret").to_hex();
        let write = |more: &str| {
            let text = format!(
                r#"[{{"id":"01","role":"read","note":"","created":1,{more}"hash":"{hash}"}}]"#
            );
            std::fs::write(dir.path().join("tokens.json"), text).unwrap();
            role(&Tokens::in_dir(dir.path()), "azud_01_secret")
        };
        assert_eq!(write(""), Some(Role::Read));
        assert_eq!(write(r#""bounds":{"images":["a*"]},"#), Some(Role::Read));
        assert_eq!(write(r#""bounds":{"image":["a*"]},"#), None);
        assert_eq!(write(r#""bounds":{"subnets":["10.0.0.0/99"]},"#), None);
    }
}
