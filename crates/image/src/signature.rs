//! Signatures of images: minisign's, over the description of an image (`docs/formats/signature.md`).
//!
//! A signature says of one description which image it is: its name in a repository, its identity and when it was
//! signed. All that is read here may come from anybody, until a key says otherwise.

use std::fmt::Write as _;
use std::ops::Range;
use std::str::FromStr;

use azud_core::code::Code;
use azud_core::format::Hash;
use ct_codecs::{Base64, Decoder};
use minisign::{SecretKey, SecretKeyBox};
use minisign_verify::{PublicKey, Signature};
use serde::{Deserialize, Serialize};

/// The longest signature that is read, in bytes.
pub const MAX_SIGNATURE: usize = 16 << 10;

/// What a signer says of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// The version of this claim: 1.
    azud: u32,
    /// Its name in a repository: `aula1/win11.img`.
    pub name: String,
    /// Its identity, 64 hexadecimal digits.
    pub identity: String,
    /// When it was signed, in seconds since 1970.
    pub date: u64,
}

impl Claim {
    /// What is said of an image.
    pub fn new(name: &str, identity: &Hash, date: u64) -> Self {
        Self {
            azud: VERSION,
            name: name.to_owned(),
            identity: hex(identity),
            date,
        }
    }

    /// Whether it is of this image.
    pub fn is_of(&self, identity: &Hash) -> bool {
        self.identity == hex(identity)
    }
}

const VERSION: u32 = 1;
/// Bytes of a secret key.
const SECRET_KEY: usize = 158;
/// Where it says how its password is used.
const KDF: Range<usize> = 2..4;
/// It has none.
const NO_KDF: [u8; 2] = [0; 2];

/// Why a signature is worth nothing, or cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// It is no signature of minisign, or one of the old kind.
    #[error("it is no signature of minisign")]
    Malformed,
    /// None of the keys that are trusted made it.
    #[error("it was made with a key that is not trusted")]
    UnknownKey,
    /// What was signed is something else.
    #[error("it is not of these bytes")]
    Mismatch,
    /// It does not say of which image it is.
    #[error("its trusted comment does not say of which image it is")]
    NoClaim,
    /// It says that it is of another image.
    #[error("it is of {found}, not of {wanted}")]
    Other {
        /// What it says.
        found: String,
        /// What was expected.
        wanted: String,
    },
    /// A public key that is none.
    #[error("it is no public key of minisign")]
    PublicKey,
    /// A secret key that is none.
    #[error("it is no secret key of minisign")]
    SecretKey,
    /// The secret key needs a password, or another one.
    #[error("the password does not open the secret key")]
    Password,
}

impl SignatureError {
    /// The stable code.
    pub fn code(&self) -> Code {
        match self {
            Self::Malformed | Self::UnknownKey | Self::Mismatch | Self::NoClaim => {
                Code::BadSignature
            }
            Self::Other { .. } => Code::OtherImage,
            Self::PublicKey | Self::SecretKey | Self::Password => Code::BadKey,
        }
    }
}

/// A public key that is trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedKey {
    key: PublicKey,
    line: String,
}

impl FromStr for TrustedKey {
    type Err = SignatureError;

    /// Understands the line of a public key (`RW…`), or all of the file with it.
    fn from_str(text: &str) -> Result<Self, SignatureError> {
        let line = text.lines().map(str::trim).rfind(|line| !line.is_empty());
        let line = line.ok_or(SignatureError::PublicKey)?.to_owned();
        match PublicKey::from_base64(&line) {
            Ok(key) => Ok(Self { key, line }),
            Err(_) => Err(SignatureError::PublicKey),
        }
    }
}

impl std::fmt::Display for TrustedKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.line)
    }
}

/// Checks a signature of a description, and that it says so of its identity.
///
/// # Errors
/// [`SignatureError`].
pub fn check(
    (description, identity): (&[u8], &Hash),
    signature: &[u8],
    keys: &[TrustedKey],
) -> Result<Claim, SignatureError> {
    let text = std::str::from_utf8(signature).ok();
    let signature = text
        .filter(|text| text.len() <= MAX_SIGNATURE)
        .and_then(|text| Signature::decode(text).ok())
        .ok_or(SignatureError::Malformed)?;
    let mut why = SignatureError::UnknownKey;
    let good = keys.iter().any(|trusted| {
        match trusted.key.verify(description, &signature, false) {
            Ok(()) => return true,
            Err(minisign_verify::Error::UnexpectedKeyId) => (),
            Err(minisign_verify::Error::InvalidSignature) => why = SignatureError::Mismatch,
            Err(_) => why = SignatureError::Malformed,
        }
        false
    });
    if !good {
        return Err(why);
    }
    let claim: Claim =
        serde_json::from_str(signature.trusted_comment()).map_err(|_| SignatureError::NoClaim)?;
    if claim.azud != VERSION {
        return Err(SignatureError::NoClaim);
    }
    let wanted = hex(identity);
    if claim.identity != wanted {
        let found = claim.identity;
        return Err(SignatureError::Other { found, wanted });
    }
    Ok(claim)
}

/// A secret key that is ready to sign.
pub struct SigningKey(SecretKey);

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningKey")
    }
}

impl SigningKey {
    /// Whether the file of a secret key needs a password.
    ///
    /// # Errors
    /// [`SignatureError::SecretKey`].
    pub fn is_locked(text: &str) -> Result<bool, SignatureError> {
        Ok(decoded(text)?[KDF] != NO_KDF)
    }

    /// Understands the file of a secret key; opening one with a password takes seconds and a gigabyte.
    ///
    /// # Errors
    /// [`SignatureError::SecretKey`], [`SignatureError::Password`].
    pub fn open(text: &str, password: Option<String>) -> Result<Self, SignatureError> {
        let bytes = decoded(text)?;
        let key = if bytes[KDF] == NO_KDF {
            // Stock minisign leaves the checksum of such a key out, which the library would miss; a key that is
            // damaged cannot sign anything that fits.
            SecretKey::from_bytes(&bytes).map_err(|_| SignatureError::SecretKey)
        } else {
            let password = password.ok_or(SignatureError::Password)?;
            let boxed = SecretKeyBox::from_string(text).map_err(|_| SignatureError::SecretKey)?;
            let opened = boxed.into_secret_key(Some(password));
            opened.map_err(|_| SignatureError::Password)
        };
        key.map(Self)
    }

    /// The public key that goes with it.
    ///
    /// # Errors
    /// [`SignatureError::SecretKey`].
    pub fn public(&self) -> Result<TrustedKey, SignatureError> {
        let public = minisign::PublicKey::from_secret_key(&self.0);
        let public = public.map_err(|_| SignatureError::SecretKey)?;
        public.to_base64().parse()
    }

    /// Signs a description: the text of the file beside the image.
    ///
    /// # Errors
    /// [`SignatureError::SecretKey`].
    pub fn sign(&self, description: &[u8], claim: &Claim) -> Result<String, SignatureError> {
        let comment = serde_json::to_string(claim).expect("our own types serialise");
        let public =
            minisign::PublicKey::from_secret_key(&self.0).map_err(|_| SignatureError::SecretKey)?;
        let made = minisign::sign(
            Some(&public),
            &self.0,
            description,
            Some(&comment),
            Some("signature of an image of Azud"),
        );
        made.map(minisign::SignatureBox::into_string)
            .map_err(|_| SignatureError::SecretKey)
    }
}

/// The bytes of a secret key: its second line.
fn decoded(text: &str) -> Result<Vec<u8>, SignatureError> {
    let line = text.lines().nth(1).ok_or(SignatureError::SecretKey)?;
    let bytes = Base64::decode_to_vec(line.trim(), None);
    let bytes = bytes.map_err(|_| SignatureError::SecretKey)?;
    if bytes.len() != SECRET_KEY {
        return Err(SignatureError::SecretKey);
    }
    Ok(bytes)
}

fn hex(hash: &Hash) -> String {
    hash.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use minisign::KeyPair;
    use proptest::prelude::*;

    use super::{Claim, MAX_SIGNATURE, SignatureError, SigningKey, TrustedKey, check};

    const HASH: [u8; 32] = [7; 32];

    fn keys() -> (SigningKey, TrustedKey) {
        let pair = KeyPair::generate_unencrypted_keypair().unwrap();
        let secret = pair.sk.to_box(None).unwrap().into_string();
        assert!(!SigningKey::is_locked(&secret).unwrap());
        let public = pair.pk.to_box().unwrap().into_string();
        let short = pair.pk.to_base64();
        assert_eq!(public.parse::<TrustedKey>(), short.parse());
        (
            SigningKey::open(&secret, None).unwrap(),
            public.parse().unwrap(),
        )
    }

    #[test]
    fn a_signature_is_good_for_its_bytes_its_key_and_its_image() {
        let ((key, public), (_, other)) = (keys(), keys());
        let claim = Claim::new("aula1/win 11 ñ.img", &HASH, 1_700_000_000);
        let text = key.sign(b"index", &claim).unwrap();
        let signed =
            |document: &[u8], keys: &[TrustedKey]| check((document, &HASH), text.as_bytes(), keys);
        assert_eq!(signed(b"index", std::slice::from_ref(&public)), Ok(claim));
        assert!(signed(b"index", &[other.clone(), public.clone()]).is_ok());
        assert_eq!(signed(b"index", &[]), Err(SignatureError::UnknownKey));
        assert_eq!(signed(b"index", &[other]), Err(SignatureError::UnknownKey));
        let keys = [public];
        assert_eq!(signed(b"indeX", &keys), Err(SignatureError::Mismatch));
        let wrong = check((b"index", &[8; 32]), text.as_bytes(), &keys);
        assert!(matches!(wrong, Err(SignatureError::Other { .. })));
        let forged = text.replace("win 11", "win 12");
        let forged = check((b"index", &HASH), forged.as_bytes(), &keys);
        assert_eq!(forged, Err(SignatureError::Mismatch));
    }

    #[test]
    fn a_signature_that_says_nothing_is_not_enough() {
        let pair = KeyPair::generate_unencrypted_keypair().unwrap();
        let keys = [pair.pk.to_base64().parse().unwrap()];
        let newer = r#"{"azud":2,"name":"a","identity":"","date":0}"#;
        for comment in ["timestamp:1", "", "{}", newer] {
            let signed = minisign::sign(None, &pair.sk, &b"index"[..], Some(comment), None);
            let text = signed.unwrap().into_string();
            let said = check((b"index", &HASH), text.as_bytes(), &keys);
            assert_eq!(said, Err(SignatureError::NoClaim), "{comment}");
        }
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for bad in ["", "\n", "RW", "untrusted comment: x\nRWQ"] {
            assert_eq!(bad.parse::<TrustedKey>(), Err(SignatureError::PublicKey));
            assert!(SigningKey::open(bad, None).is_err());
            assert!(SigningKey::open(bad, Some(String::new())).is_err());
        }
    }

    proptest! {
        /// Anybody may write a signature; none makes a fool of us.
        #[test]
        fn nothing_read_is_trusted_or_fatal(
            lines in prop::collection::vec("[A-Za-z0-9+/=: ]{0,120}", 0..6),
            bytes in prop::collection::vec(any::<u8>(), 0..400),
        ) {
            let key = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3".parse();
            let keys: [TrustedKey; 1] = [key.unwrap()];
            let text = lines.join("\n");
            prop_assert!(check((b"x", &HASH), text.as_bytes(), &keys).is_err());
            prop_assert!(check((b"x", &HASH), &bytes, &keys).is_err());
        }
    }

    #[test]
    fn an_endless_signature_is_not_read() {
        let text = "x".repeat(MAX_SIGNATURE + 1);
        let said = check((b"x", &HASH), text.as_bytes(), &[]);
        assert_eq!(said, Err(SignatureError::Malformed));
    }
}
