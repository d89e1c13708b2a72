//! Bearer tokens: who may do what. Only hashes of them are kept.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::state;

/// What a token allows. Each may do what those before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
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
    /// BLAKE3 of the secret, in hexadecimal.
    hash: String,
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

const PREFIX: &str = "azud";
const ID_BYTES: usize = 4;
const SECRET_BYTES: usize = 32;

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
        match std::fs::read(&self.file) {
            Ok(text) => serde_json::from_slice(&text).map_err(io::Error::from),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// Makes one. Its secret cannot be read again.
    ///
    /// # Errors
    /// What the system says.
    pub fn create(&self, role: Role, note: &str, now: u64) -> io::Result<(Token, Secret)> {
        let _alone = self.alone()?;
        let mut tokens = self.list()?;
        let (id, secret) = (random::<ID_BYTES>()?, random::<SECRET_BYTES>()?);
        if tokens.iter().any(|token| token.id == id) {
            return Err(io::Error::other("an id came twice"));
        }
        let token = Token {
            hash: blake3::hash(secret.as_bytes()).to_hex().to_string(),
            role,
            note: note.to_owned(),
            created: now,
            id,
        };
        let text = Secret(format!("{PREFIX}_{}_{secret}", token.id));
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

    /// What a bearer may do. The time it takes tells nothing of the secret.
    pub fn role(&self, text: &str) -> Option<Role> {
        let (id, secret) = text
            .strip_prefix(PREFIX)?
            .strip_prefix('_')?
            .split_once('_')?;
        let tokens = self.current();
        let token = tokens.iter().find(|token| token.id == id)?;
        let expected = blake3::Hash::from_hex(&token.hash).ok()?;
        // Hashes of BLAKE3 are compared in constant time.
        (blake3::hash(secret.as_bytes()) == expected).then_some(token.role)
    }

    /// The tokens as they are now; if the file cannot be read, nobody has one.
    fn current(&self) -> Vec<Token> {
        let stamp = std::fs::metadata(&self.file)
            .and_then(|meta| Ok((meta.modified()?, meta.len())))
            .ok();
        let mut read = self.read.lock().expect("no holder panics");
        if read.stamp != stamp || stamp.is_none() {
            *read = Read {
                tokens: self.list().unwrap_or_default(),
                stamp,
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
        let lock = state::secret_file().open(self.file.with_extension("lock"))?;
        lock.lock()?;
        Ok(lock)
    }
}

fn random<const N: usize>() -> io::Result<String> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(bytes
        .iter()
        .fold(String::new(), |text, byte| format!("{text}{byte:02x}")))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::{Role, Tokens};

    #[test]
    fn a_token_is_good_until_it_is_revoked() {
        let dir = tempfile::tempdir().unwrap();
        let (tokens, other) = (Tokens::in_dir(dir.path()), Tokens::in_dir(dir.path()));
        let (reader, read) = tokens.create(Role::Read, "room 1", 7).unwrap();
        let (_, admin) = other.create(Role::Admin, "", 8).unwrap();
        assert_eq!(tokens.role(read.text()), Some(Role::Read));
        assert_eq!(tokens.role(admin.text()), Some(Role::Admin));
        let all = tokens.list().unwrap();
        assert_eq!((all.len(), all[0].note.as_str()), (2, "room 1"));
        assert!(other.revoke(&reader.id).unwrap());
        assert!(!other.revoke(&reader.id).unwrap());
        assert_eq!(tokens.role(read.text()), None);
        assert_eq!(tokens.role(admin.text()), Some(Role::Admin));
    }

    #[test]
    fn nothing_else_is_a_token() {
        let dir = tempfile::tempdir().unwrap();
        let tokens = Tokens::in_dir(dir.path());
        assert_eq!(tokens.role("azud_00000000_00"), None);
        let (token, secret) = tokens.create(Role::Read, "", 0).unwrap();
        let text = secret.text();
        for bad in [
            "",
            "azud",
            "azud_",
            "azud__",
            &text[1..],
            &text[..text.len() - 1],
            &text.to_uppercase(),
        ] {
            assert_eq!(tokens.role(bad), None, "{bad}");
        }
        let file = std::fs::read_to_string(dir.path().join("tokens.json")).unwrap();
        let (_, bare) = text.rsplit_once('_').unwrap();
        assert!(!file.contains(bare), "the secret is not kept");
        assert_eq!(
            tokens.role(&format!("azud_{}_{}", token.id, token.hash)),
            None
        );
        let mode = std::fs::metadata(dir.path().join("tokens.json"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
