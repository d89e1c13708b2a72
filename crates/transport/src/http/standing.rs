//! How a manager stands to who asks.

use std::time::Duration;

use serde::Deserialize;
use ureq::Body;
use ureq::http::Response;

use super::Client;
use crate::error::{NetError, Result};

/// The longest answer that is read.
const LONGEST: u64 = 64 << 10;

/// An answer, or what there was instead of one.
#[derive(Debug)]
pub struct Standing {
    /// The manager's clock, as HTTP writes it; also of one that refuses.
    pub date: Option<String>,
    /// What the token allows.
    pub allowed: Result<Allowed>,
}

/// What a token allows, as the manager tells it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
pub struct Allowed {
    /// `read`, `write` or `admin`, or one that is not known here. A manager that does not know the question says
    /// nothing.
    pub role: Option<String>,
    /// Whether the manager takes nothing from anybody.
    pub read_only: bool,
}

impl Client {
    /// Asks whether the manager is there, takes the token, and what for. It looks at no image for that, and has so long
    /// for all of it.
    pub fn standing(&self, patience: Duration) -> Standing {
        let answer = match self.get_within("/v1/token", patience) {
            Ok(answer) => answer,
            Err(error) => {
                return Standing {
                    date: None,
                    allowed: Err(error),
                };
            }
        };
        Standing {
            date: date(&answer),
            allowed: self.allowed(answer),
        }
    }

    fn allowed(&self, answer: Response<Body>) -> Result<Allowed> {
        match self.said(answer, "token") {
            Ok(answer) => self.json(answer, LONGEST),
            // One of an older version, which has let the token pass before it looked for the route.
            Err(NetError::NotFound { .. }) => Ok(Allowed::default()),
            Err(error) => Err(error),
        }
    }
}

fn date(answer: &Response<Body>) -> Option<String> {
    let said = answer.headers().get("date")?;
    said.to_str().ok().map(str::to_owned)
}
