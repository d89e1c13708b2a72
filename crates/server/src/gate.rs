//! Who is let in, to which routes, and to which images.
//!
//! Invariant: a route that a token's role may not use is never reached with it. What stands there for the token says
//! which role is needed; a stranger does not come that far.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::Body;
use axum::extract::{Extension, RawPathParams, Request};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use azud_core::code::Code;
use tower::ServiceExt;

use crate::audit::{Asker, Who};
use crate::grant::{Grant, Refusal};
use crate::lasting::while_granted;
use crate::limits::Peer;
use crate::metrics::named;
use crate::problem::{Problem, Veiled};
use crate::refusal::as_problem;
use crate::routes::Shared;
use crate::token::{Pass, Role};

/// The routes of every role.
#[derive(Debug, Clone)]
pub(crate) struct Roles {
    pub(crate) read: Router,
    pub(crate) write: Router,
    pub(crate) admin: Router,
}

/// What only bearers of a token come to.
#[derive(Clone)]
pub(crate) struct Gate {
    shared: Arc<Shared>,
    roles: Roles,
}

impl Gate {
    /// Each role has its own routes and those of the roles below it.
    pub(crate) fn new(shared: Arc<Shared>, roles: Roles) -> Self {
        let too_little = |routes: &Router| routes.clone().route_layer(from_fn(needs_write));
        let write = roles.read.clone().merge(roles.write.clone());
        let read = roles.read.merge(too_little(&roles.write));
        let admin = write.clone().merge(roles.admin);
        let whole = |routes: Router| {
            named(routes.route_layer(from_fn(only_own_images)))
                .fallback(nothing_there)
                .method_not_allowed_fallback(no_such_method)
        };
        Self {
            shared,
            roles: Roles {
                read: whole(read),
                write: whole(write),
                admin: whole(admin),
            },
        }
    }

    /// Answers a request.
    pub(crate) async fn pass(self, mut request: Request) -> Response {
        let peer = request.extensions().get::<Peer>().cloned();
        let (pass, grant) = match self.grant(request.headers(), peer.as_ref()) {
            Ok(granted) => granted,
            Err(refusal) => return refused(refusal),
        };
        let routes = match grant.role() {
            Role::Read => self.roles.read,
            Role::Write => self.roles.write,
            Role::Admin => self.roles.admin,
        };
        let who = bearer(request.headers()).and_then(Who::of_token);
        if let (Some(who), Some(asker)) = (&who, request.extensions_mut().get_mut::<Asker>()) {
            asker.is(who);
        }
        let is_bound = !grant.sees_all();
        request.extensions_mut().insert(grant.clone());
        let mut response = match routes.oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        };
        let veiled = response.extensions_mut().remove::<Veiled>();
        if let Some(Veiled(body)) = veiled.filter(|_| is_bound) {
            *response.body_mut() = Body::from(body);
        }
        let response = self.shared.bodies.counted(response, peer.as_ref()).await;
        let shared = self.shared;
        let still = move || {
            let granted = shared.tokens.grant(&pass, now());
            granted.is_ok_and(|it| it == grant)
        };
        let mut response = while_granted(response, still);
        if let Some(who) = who {
            response.extensions_mut().insert(who);
        }
        response
    }

    fn grant(&self, headers: &HeaderMap, peer: Option<&Peer>) -> Result<(Pass, Grant), Refusal> {
        let (Some(token), Some(peer)) = (bearer(headers), peer) else {
            return Err(Refusal::Unknown);
        };
        let pass = Pass::of(token, peer.address).ok_or(Refusal::Unknown)?;
        let grant = self.shared.tokens.grant(&pass, now())?;
        Ok((pass, grant))
    }
}

/// The token that a request comes with.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let text = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = text.split_once(' ')?;
    scheme.eq_ignore_ascii_case("Bearer").then(|| token.trim())
}

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |time| time.as_secs())
}

/// Images outside a token's bounds are not there for it, whatever is asked of them: every route whose path has a
/// `{name}` is guarded here.
async fn only_own_images(
    Extension(grant): Extension<Grant>,
    params: RawPathParams,
    request: Request,
    next: Next,
) -> Response {
    let hidden = params
        .iter()
        .find(|(key, name)| *key == "name" && !grant.sees(name));
    match hidden {
        Some((_, name)) => {
            Problem::new(StatusCode::NOT_FOUND, Code::NotFound, name).into_response()
        }
        None => next.run(request).await,
    }
}

fn refused(refusal: Refusal) -> Response {
    let (status, code, detail) = match refusal {
        Refusal::Unknown => (
            StatusCode::UNAUTHORIZED,
            Code::Unauthorised,
            "a valid token is needed",
        ),
        Refusal::Expired => (
            StatusCode::UNAUTHORIZED,
            Code::TokenExpired,
            "the token has ended",
        ),
        Refusal::Elsewhere => (
            StatusCode::FORBIDDEN,
            Code::TokenElsewhere,
            "the token is not good at this address",
        ),
    };
    let mut response = Problem::new(status, code, detail).into_response();
    if status == StatusCode::UNAUTHORIZED {
        let bearer = HeaderValue::from_static("Bearer");
        response
            .headers_mut()
            .insert(header::WWW_AUTHENTICATE, bearer);
    }
    response
}

/// What stands for a reader where a route of those is who may write.
async fn needs_write(_: Request, _: Next) -> Problem {
    let detail = "the token is good for reading, and this needs one for writing";
    Problem::new(StatusCode::FORBIDDEN, Code::NotAllowed, detail)
}

/// What stands for everybody where something would be changed, at a manager that takes nothing.
pub(crate) async fn takes_nothing(_: Request, _: Next) -> Problem {
    let detail = "images are only read out here";
    Problem::new(StatusCode::FORBIDDEN, Code::OnlyReadOut, detail)
}

async fn nothing_there(request: Request) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, Code::NotFound, request.uri().path())
}

/// What is there is asked for in another way; which ways there are is told in `Allow`.
async fn no_such_method(_: Request) -> Response {
    as_problem(StatusCode::METHOD_NOT_ALLOWED.into_response()).await
}
