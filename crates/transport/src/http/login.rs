//! A token for a code that the manager showed to a person.

use std::time::Duration;

use serde::Deserialize;
use serde_json::json;

use super::Client;
use super::client::Method;
use crate::error::Result;

/// The longest answer that is read.
const LONGEST: u64 = 64 << 10;

/// What a manager gives for a code.
#[derive(Clone, Deserialize)]
pub struct Login {
    /// What the token is called in the manager's list.
    pub id: String,
    /// What it allows.
    pub role: String,
    /// The token.
    pub token: String,
    /// How long it is good, in seconds: the clocks of both may differ.
    lasts: u64,
    /// Where it is good; everywhere if there is none.
    #[serde(default)]
    pub subnets: Vec<String>,
    /// The images that there are for it; all if there is none.
    #[serde(default)]
    pub images: Vec<String>,
}

impl Login {
    /// How long the token is good.
    pub fn lasts(&self) -> Duration {
        Duration::from_secs(self.lasts)
    }
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// Exchanges a code. `note` says in the manager's list who it was.
///
/// # Errors
/// [`NetError::BadLogin`](crate::NetError::BadLogin), [`NetError::TokenElsewhere`](crate::NetError::TokenElsewhere), and what keeps the manager from answering.
pub fn login(client: &Client, code: &str, note: &str) -> Result<Login> {
    let body = json!({ "code": code, "note": note }).to_string();
    let response = client.send(Method::Post, "/v1/login", body.as_bytes(), "login")?;
    client.json(response, LONGEST)
}
