//! Codes that the manager shows to a person, who types one at a client and gets a token for it. A code is good
//! once and for minutes; only hashes of codes are kept.

use std::fs::File;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use azud_core::access::{NamePattern, Subnet};
use serde::{Deserialize, Serialize};

use crate::grant::Refusal;
use crate::state;
use crate::token::{Role, is_within};

/// How long a code is good.
pub const CODE_LASTS: Duration = Duration::from_mins(5);
/// After so many wrong ones, all codes that are good end.
const WRONG: u32 = 100;
/// So many are good at once.
const MOST: usize = 32;
/// Letters and digits that are not taken for one another: 32, so that each is five bits.
const LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Letters of a code: 40 bits.
const LENGTH: usize = 8;

/// What a code is exchanged for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Promise {
    /// What the token allows.
    pub role: Role,
    /// How long the token is good.
    pub lasts: Duration,
    /// Where its bearer has to be, who types the code as well; anywhere if there is none.
    pub subnets: Vec<Subnet>,
    /// Which images there are for its bearer; all if there is none.
    pub images: Vec<NamePattern>,
    /// What whoever made the code wrote on it.
    pub note: String,
}

/// A code that is good, without itself.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    hash: String,
    role: Role,
    lasts: u64,
    /// A manager of a former version takes no code with these, and gives no token without them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    subnets: Vec<Subnet>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    images: Vec<NamePattern>,
    note: String,
    made: u64,
    wrong: u32,
}

/// The codes of a manager, in `codes.json` of its state.
#[derive(Debug)]
pub struct Codes {
    file: PathBuf,
}

impl Codes {
    /// The codes in a directory of state.
    pub fn in_dir(state: &Path) -> Self {
        Self {
            file: state.join("codes.json"),
        }
    }

    /// Makes one, to be shown once; `now` is in seconds since 1970.
    ///
    /// # Errors
    /// What the system says.
    pub fn create(&self, promise: &Promise, now: u64) -> io::Result<String> {
        let _alone = self.alone()?;
        let mut kept = self.good(now)?;
        if kept.len() >= MOST {
            kept.remove(0);
        }
        let mut random = [0; LENGTH];
        getrandom::fill(&mut random).map_err(io::Error::other)?;
        let code = random.map(|byte| char::from(LETTERS[usize::from(byte) % LETTERS.len()]));
        let code = String::from_iter(code);
        kept.push(Kept {
            hash: hash(&code),
            role: promise.role,
            lasts: promise.lasts.as_secs(),
            subnets: promise.subnets.clone(),
            images: promise.images.clone(),
            note: promise.note.clone(),
            made: now,
            wrong: 0,
        });
        self.write(&kept)?;
        Ok(format!("{}-{}", &code[..LENGTH / 2], &code[LENGTH / 2..]))
    }

    /// Takes a code that somebody typed at an address; it is gone then, unless it is for other addresses. One that is
    /// not good counts against all that are.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn redeem(
        &self,
        (text, peer): (&str, IpAddr),
        now: u64,
    ) -> io::Result<Result<Promise, Refusal>> {
        let _alone = self.alone()?;
        let mut kept = self.good(now)?;
        let given = blake3::Hash::from_hex(hash(&plain(text))).map_err(io::Error::other)?;
        // Hashes of BLAKE3 are compared in constant time.
        let is_it = |kept: &Kept| {
            let expected = blake3::Hash::from_hex(&kept.hash);
            expected.is_ok_and(|expected| expected == given)
        };
        let Some(at) = kept.iter().position(is_it) else {
            if !kept.is_empty() {
                for code in &mut kept {
                    code.wrong += 1;
                }
                kept.retain(|code| code.wrong < WRONG);
                self.write(&kept)?;
            }
            return Ok(Err(Refusal::Unknown));
        };
        if !is_within(&kept[at].subnets, peer) {
            return Ok(Err(Refusal::Elsewhere));
        }
        let found = kept.remove(at);
        // Only what is written down as gone may be taken.
        self.write(&kept)?;
        Ok(Ok(Promise {
            role: found.role,
            lasts: Duration::from_secs(found.lasts),
            subnets: found.subnets,
            images: found.images,
            note: found.note,
        }))
    }

    /// Those that are good; a clock that was set back makes none good for longer.
    fn good(&self, now: u64) -> io::Result<Vec<Kept>> {
        let mut kept: Vec<Kept> = state::read(&self.file)?;
        let lasts = CODE_LASTS.as_secs();
        kept.retain(|code| now >= code.made && now - code.made < lasts);
        Ok(kept)
    }

    fn write(&self, kept: &[Kept]) -> io::Result<()> {
        let text = serde_json::to_vec_pretty(kept)?;
        state::write(&self.file, &text)
    }

    /// Keeps others from changing the file meanwhile.
    fn alone(&self) -> io::Result<File> {
        state::lock(&self.file.with_extension("lock"))
    }
}

/// What was meant by what somebody typed.
fn plain(text: &str) -> String {
    let letters = text.chars().filter(|it| !matches!(it, '-' | ' '));
    let same = letters.map(|letter| match letter.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        other => other,
    });
    same.collect()
}

fn hash(code: &str) -> String {
    blake3::hash(code.as_bytes()).to_hex().to_string()
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};
    use std::time::Duration;

    use super::{CODE_LASTS, Codes, MOST, Promise, WRONG};
    use crate::grant::Refusal;
    use crate::token::Role;

    fn redeemed(codes: &Codes, text: &str, now: u64) -> Result<Promise, Refusal> {
        let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
        codes.redeem((text, here), now).unwrap()
    }

    fn promise() -> Promise {
        Promise {
            role: Role::Write,
            lasts: Duration::from_hours(8),
            subnets: Vec::new(),
            images: vec!["aula1/*".parse().unwrap()],
            note: "ana".to_owned(),
        }
    }

    #[test]
    fn a_code_is_good_once() {
        let dir = tempfile::tempdir().unwrap();
        let codes = Codes::in_dir(dir.path());
        let code = codes.create(&promise(), 100).unwrap();
        let other = codes.create(&promise(), 100).unwrap();
        assert_eq!(code.len(), 9, "{code}");
        let none = Err(Refusal::Unknown);
        assert_eq!(redeemed(&codes, "AAAA-AAAA", 101), none);
        let typed = code.to_lowercase().replace('-', " ");
        assert_eq!(redeemed(&codes, &typed, 101), Ok(promise()));
        assert_eq!(redeemed(&codes, &code, 101), none);
        assert_eq!(redeemed(&codes, &other, 101), Ok(promise()));
        let text = std::fs::read_to_string(dir.path().join("codes.json")).unwrap();
        assert!(!text.contains(&other), "{text}");
    }

    #[test]
    fn a_code_that_is_typed_elsewhere_stays_good() {
        let dir = tempfile::tempdir().unwrap();
        let codes = Codes::in_dir(dir.path());
        let bound = Promise {
            subnets: vec!["10.0.0.0/8".parse().unwrap()],
            ..promise()
        };
        let code = codes.create(&bound, 100).unwrap();
        let there = "10.2.3.4".parse().unwrap();
        for _ in 0..2 * WRONG {
            let refused = redeemed(&codes, &code, 101);
            assert_eq!(refused, Err(Refusal::Elsewhere));
        }
        let wrong = codes.redeem(("AAAA-AAAA", there), 101).unwrap();
        assert_eq!(wrong, Err(Refusal::Unknown), "nothing is told");
        assert_eq!(codes.redeem((&code, there), 101).unwrap(), Ok(bound));
    }

    /// Codes outlive the program that made them, for minutes.
    #[test]
    fn codes_of_a_former_version_are_understood() {
        let dir = tempfile::tempdir().unwrap();
        let codes = Codes::in_dir(dir.path());
        let hash = super::hash("AAAAAAAA");
        let text = format!(
            r#"[{{"hash":"{hash}","role":"write","lasts":60,"note":"","made":1,"wrong":0}}]"#
        );
        std::fs::write(dir.path().join("codes.json"), text).unwrap();
        let promise = redeemed(&codes, "AAAA-AAAA", 2).unwrap();
        assert!(promise.subnets.is_empty() && promise.images.is_empty());
    }

    #[test]
    fn a_code_is_good_for_minutes() {
        let dir = tempfile::tempdir().unwrap();
        let codes = Codes::in_dir(dir.path());
        let code = codes.create(&promise(), 1000).unwrap();
        let late = 1000 + CODE_LASTS.as_secs();
        let early = redeemed(&codes, &code, 999);
        assert_eq!(early, Err(Refusal::Unknown), "before it was made");
        let code = codes.create(&promise(), 1000).unwrap();
        assert!(redeemed(&codes, &code, late).is_err());
        let code = codes.create(&promise(), 1000).unwrap();
        assert!(redeemed(&codes, &code, late - 1).is_ok());
    }

    #[test]
    fn guessing_ends_all_codes() {
        let dir = tempfile::tempdir().unwrap();
        let codes = Codes::in_dir(dir.path());
        let code = codes.create(&promise(), 0).unwrap();
        for _ in 0..WRONG {
            assert!(redeemed(&codes, "WRONG", 0).is_err());
        }
        assert!(redeemed(&codes, &code, 0).is_err());
        for _ in 0..2 * MOST {
            codes.create(&promise(), 0).unwrap();
        }
        assert_eq!(codes.good(0).unwrap().len(), MOST);
    }

    #[test]
    fn letters_that_look_alike_are_the_same() {
        assert_eq!(super::plain("o0il-1lzU"), "00111 1ZU".replace(' ', ""));
    }
}
