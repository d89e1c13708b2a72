//! The first request of an upload, and the answers to it that are not the last word.

use std::time::{Duration, Instant};

use azud_core::code::Code;
use azud_core::progress::Interrupted;
use azud_core::upload::{Opened, Opening};

use super::super::client::Method;
use super::super::{Client, Patience};
use super::MAX_STATE;
use crate::error::{NetError, Result};

/// At the beginning a manager that restarts is waited for so often and so long.
const TRIES: u32 = 10;
const PAUSE: Duration = Duration::from_secs(1);
/// So long a manager may put together what somebody who ended had sent.
const TAKING_OVER: Duration = Duration::from_mins(1);

/// What is done about an answer that is none.
enum Next {
    /// It is asked to give this sender up.
    InsteadOf(String),
    /// The same is asked again in a moment.
    Wait,
}

/// How long it was tried.
struct Tried {
    times: u32,
    since: Instant,
}

impl Tried {
    /// What is done about an error.
    ///
    /// # Errors
    /// The same one, where nothing is to be done.
    fn next(
        &mut self,
        opening: &Opening,
        is_dead: &impl Fn(&str) -> bool,
        error: NetError,
    ) -> Result<Next> {
        match error {
            // It is our own where the answer to it was lost.
            NetError::Said {
                code: Code::Locked,
                sender: Some(sender),
                ..
            } if opening.instead_of.as_ref() != Some(&sender)
                && (sender == opening.sender || is_dead(&sender)) =>
            {
                Ok(Next::InsteadOf(sender))
            }
            // The manager still begins with another request of ours, or puts together what the dead one had sent.
            NetError::Later {
                code: Some(Code::Locked),
                ..
            } if self.since.elapsed() < TAKING_OVER => Ok(Next::Wait),
            error if may_pass(&error, opening) && self.times < TRIES => {
                self.times += 1;
                Ok(Next::Wait)
            }
            error => Err(error),
        }
    }
}

/// Whether it may be another answer in a moment: a manager that is not there answered just now, and whom we have named
/// already it gives up, so that this is an answer of before.
fn may_pass(error: &NetError, opening: &Opening) -> bool {
    match error {
        NetError::Unreachable { .. } => true,
        NetError::Said {
            code: Code::Locked,
            sender: Some(sender),
            ..
        } => *sender == opening.sender,
        _ => false,
    }
}

/// Begins, again where the answer is not the last word; who is in the way and has ended is named in `opening`.
///
/// # Errors
/// What the manager says; [`NetError::Interrupted`].
pub(super) fn surely(
    client: &Client,
    patience: &Patience,
    (opening, is_dead): (&mut Opening, &impl Fn(&str) -> bool),
) -> Result<Opened> {
    let mut tried = Tried {
        times: 1,
        since: Instant::now(),
    };
    loop {
        let error = match begin(client, opening) {
            Ok(opened) => return Ok(opened),
            Err(error) => error,
        };
        match tried.next(opening, is_dead, error)? {
            Next::InsteadOf(sender) => opening.instead_of = Some(sender),
            Next::Wait => patience.pause(PAUSE),
        }
        if patience.is_at_its_end() {
            return Err(Interrupted.into());
        }
    }
}

/// Begins.
///
/// # Errors
/// What the manager says.
pub(super) fn begin(client: &Client, opening: &Opening) -> Result<Opened> {
    let body =
        serde_json::to_vec(opening).map_err(|_| client.protocol("a name that cannot be told"))?;
    let answer = client.send(Method::Post, "/v1/uploads", &body, &opening.name);
    let response = answer.map_err(|error| match error {
        // What is to be made is missing only where it is not the token's to see.
        NetError::NotFound { name } => NetError::NotItsImage {
            host: client.host().to_owned(),
            name,
        },
        other => other,
    })?;
    client.json(response, MAX_STATE)
}
