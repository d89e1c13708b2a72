//! A person gets a token for a code that the manager showed.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Extension, State};
use axum::http::StatusCode;
use azud_core::access::peer;
use azud_core::code::Code;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::audit::{Asker, Changed};
use crate::codes::{Codes, Promise};
use crate::gate::now;
use crate::grant::Refusal;
use crate::limits::Peer;
use crate::problem::Problem;
use crate::refusal::{not_taken, not_understood};
use crate::routes::{Shared, blocking};
use crate::token::{Bounds, Role, Secret, Token};

/// Longest request, in bytes.
const LONGEST: usize = 4096;
/// Longest note, in characters.
const NOTE: usize = 200;
/// So many attempts of one peer in a row.
const ATTEMPTS: u32 = 5;
/// Then one after each such time.
const ATTEMPT_AFTER: Duration = Duration::from_secs(2);
/// Peers that are remembered; beyond them, one that tried least makes room.
const PEERS: usize = 10_000;

/// Which peers tried lately.
#[derive(Debug, Default)]
pub(crate) struct Attempts(Mutex<HashMap<IpAddr, (u32, Instant)>>);

/// What a client sends.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Login {
    code: String,
    /// Who it is, in the token's list.
    #[serde(default)]
    note: String,
}

/// What it gets.
#[derive(Debug, Serialize, ToSchema)]
struct LoggedIn {
    /// What the token is called.
    id: String,
    role: Role,
    /// The token itself, shown this once.
    token: String,
    /// How long it is good, in seconds.
    lasts: u64,
    /// Where it is good; everywhere if there is none.
    subnets: Vec<String>,
    /// The images that there are for it, as patterns; all if there is none.
    images: Vec<String>,
}

pub(crate) fn routes() -> OpenApiRouter<Arc<Shared>> {
    OpenApiRouter::new()
        .routes(routes!(login))
        .layer(DefaultBodyLimit::max(LONGEST))
}

/// Exchange a code that the manager showed for a token.
#[utoipa::path(
    post,
    path = "/v1/login",
    request_body = Login,
    responses((status = 200, description = "A token of its own.", body = LoggedIn))
)]
async fn login(
    State(shared): State<Arc<Shared>>,
    Extension(peer): Extension<Peer>,
    asker: Option<Extension<Asker>>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<LoggedIn>, Problem> {
    if !shared.attempts.may(peer.address, Instant::now()) {
        let detail = "this address tries too often";
        let wait = u32::try_from(ATTEMPT_AFTER.as_secs()).expect("seconds");
        return Err(
            Problem::new(StatusCode::TOO_MANY_REQUESTS, Code::TooManyLogins, detail)
                .retry_after(wait),
        );
    }
    let bad = |text: String| Problem::new(StatusCode::BAD_REQUEST, Code::BadLogin, text);
    let body = body.map_err(|error| not_taken(&error, Code::BadLogin))?;
    let login: Login =
        serde_json::from_slice(&body).map_err(|error| bad(not_understood(&error)))?;
    let work = move || {
        let made = exchange(&shared, &login, peer.address)?;
        if let Some(Extension(asker)) = asker {
            // Who hung up meanwhile has not heard of it.
            asker.changed(StatusCode::OK, Changed::tokens("token-made"));
        }
        Ok(made)
    };
    let (token, secret, lasts) = blocking(work).await?;
    Ok(Json(LoggedIn {
        id: token.id,
        role: token.role,
        token: secret.text().to_owned(),
        lasts: lasts.as_secs(),
        subnets: texts(&token.bounds.subnets),
        images: texts(&token.bounds.images),
    }))
}

fn texts<T: ToString>(bounds: &[T]) -> Vec<String> {
    bounds.iter().map(ToString::to_string).collect()
}

/// Takes the code and makes the token.
fn exchange(
    shared: &Shared,
    login: &Login,
    peer: IpAddr,
) -> Result<(Token, Secret, Duration), Problem> {
    let failed = |error: std::io::Error| {
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        Problem::new(status, azud_core::code::of_io(&error), error.to_string())
    };
    let now = now();
    let redeemed = Codes::in_dir(&shared.state)
        .redeem((&login.code, peer), now)
        .map_err(failed)?;
    let Promise {
        role,
        lasts,
        subnets,
        images,
        note,
    } = redeemed.map_err(refused)?;
    let printable = login.note.chars().filter(|letter| !letter.is_control());
    let who: String = printable.take(NOTE).collect();
    let note = [note.as_str(), who.as_str(), &peer.to_string()].join(" ");
    let bounds = Bounds {
        expires: Some(now.saturating_add(lasts.as_secs())),
        subnets,
        images,
    };
    let made = shared.tokens.create(role, note.trim(), bounds, now);
    let (token, secret) = made.map_err(failed)?;
    Ok((token, secret, lasts))
}

fn refused(refusal: Refusal) -> Problem {
    if refusal == Refusal::Elsewhere {
        let detail = "the code is not good at this address";
        return Problem::new(StatusCode::FORBIDDEN, Code::TokenElsewhere, detail);
    }
    let detail = "the code is not good";
    Problem::new(StatusCode::UNAUTHORIZED, Code::BadLogin, detail)
}

impl Attempts {
    /// Counts an attempt; whether it may be made.
    fn may(&self, address: IpAddr, now: Instant) -> bool {
        let key = peer(address);
        let mut lately = self.0.lock().expect("no holder panics");
        let left = |(count, since): (u32, Instant)| {
            let gone = now.saturating_duration_since(since).as_millis() / ATTEMPT_AFTER.as_millis();
            count.saturating_sub(u32::try_from(gone).unwrap_or(u32::MAX))
        };
        let count = lately.get(&key).map_or(0, |said| left(*said));
        if count >= ATTEMPTS {
            return false;
        }
        if lately.len() >= PEERS {
            lately.retain(|_, said| left(*said) > 0);
        }
        if lately.len() >= PEERS && !lately.contains_key(&key) {
            // Whoever comes from thousands of addresses shuts nobody out.
            let least = lately.iter().min_by_key(|(_, said)| (left(**said), said.1));
            if let Some(least) = least.map(|(address, _)| *address) {
                lately.remove(&least);
            }
        }
        lately.insert(key, (count + 1, now));
        true
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::net::IpAddr;
    use std::time::{Duration, Instant};

    use axum::body::Body;
    use axum::http::{Request, StatusCode};
    use serde_json::json;
    use tokio::time::{sleep, timeout};
    use tower::ServiceExt;

    use super::{ATTEMPT_AFTER, ATTEMPTS, Attempts, PEERS};
    use crate::audit::{Audit, audited};
    use crate::codes::{Codes, Promise};
    use crate::limits::Peer;
    use crate::token::Role;
    use crate::upload::tests::Site;

    #[tokio::test]
    async fn regression_a_token_whose_client_left_is_told_of() {
        let site = Site::new();
        let promise = Promise {
            role: Role::Write,
            lasts: Duration::from_mins(1),
            subnets: Vec::new(),
            images: Vec::new(),
            note: String::new(),
        };
        let code = || {
            let code = Codes::in_dir(site.state()).create(&promise, super::now());
            json!({ "code": code.unwrap() }).to_string()
        };
        let codes = [code(), code()];
        let audit = Audit::open(site.state());
        let api = audited(site.api().clone(), audit.clone());
        let ask = |code: &String| {
            let request = Request::post("/v1/login").extension(Peer::alone([127, 0, 0, 1]));
            let request = request.body(Body::from(code.clone())).unwrap();
            api.clone().oneshot(request)
        };
        let told = || {
            let log = fs::read_to_string(site.state().join("audit.log"));
            let log = log.unwrap_or_default();
            (log.matches(r#""change":"token-made""#).count(), log)
        };
        // Another program looks at the codes.
        let alone = crate::state::lock(&site.state().join("codes.lock")).unwrap();
        let left = timeout(Duration::from_millis(100), ask(&codes[0])).await;
        assert!(left.is_err(), "the client is gone");
        drop(alone);
        for _ in 0..1000 {
            if told().0 > 0 {
                break;
            }
            sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(told().0, 1, "{}", told().1);
        // Who stays is told of no more than once.
        assert_eq!(ask(&codes[1]).await.unwrap().status(), StatusCode::OK);
        audit.close();
        assert_eq!(told().0, 2, "{}", told().1);
    }

    #[test]
    fn an_address_has_few_attempts() {
        let (attempts, start) = (Attempts::default(), Instant::now());
        let address: IpAddr = "10.0.0.1".parse().unwrap();
        for _ in 0..ATTEMPTS {
            assert!(attempts.may(address, start));
        }
        assert!(!attempts.may(address, start));
        assert!(attempts.may("10.0.0.2".parse().unwrap(), start));
        let later = start + ATTEMPT_AFTER;
        assert!(attempts.may(address, later) && !attempts.may(address, later));
        let much_later = start + Duration::from_hours(1);
        assert!((0..ATTEMPTS).all(|_| attempts.may(address, much_later)));
        assert!(!attempts.may(address, much_later));
    }

    #[test]
    fn regression_a_computer_of_ipv6_has_no_more_attempts() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        let may = |address: &str| attempts.may(address.parse().unwrap(), now);
        for number in 1..=ATTEMPTS {
            assert!(may(&format!("fd00::{number}")));
        }
        assert!(!may("fd00::6"));
        assert!(may("fd00:0:0:1::1"), "another one");
    }

    #[test]
    fn regression_who_has_many_addresses_shuts_nobody_out() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        let guesser: IpAddr = "10.0.0.9".parse().unwrap();
        assert!((0..ATTEMPTS).all(|_| attempts.may(guesser, now)));
        for number in 0..u32::try_from(PEERS + 100).unwrap() {
            let address = std::net::Ipv4Addr::from_bits(0xac10_0000 + number);
            attempts.may(address.into(), now);
        }
        assert_eq!(attempts.0.lock().unwrap().len(), PEERS);
        assert!(attempts.may("10.0.0.1".parse().unwrap(), now));
        assert!(!attempts.may(guesser, now), "nor gets more of them");
    }
}
