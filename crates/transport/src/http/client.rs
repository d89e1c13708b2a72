//! Requests to a manager.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use azud_core::code::Code;
use azud_core::progress::Interrupted;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use ureq::config::Config;
use ureq::http::{Response, StatusCode};
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsConfigBuilder};
use ureq::typestate::WithoutBody;
use ureq::unversioned::transport::{ConnectProxyConnector, Connector};
use ureq::{Agent, Body, RequestBuilder};

use super::ends::{Ends, LookOut};
use super::pulse::Pulse;
use super::reach::{Nameless, Names, Soon};
use super::times::{HASTY, LONGEST_PAUSE, SENDING, SILENCE, Times, USUAL};
use super::tls::ManagerTls;
use crate::error::{NetError, Result};

const IDLE: usize = 16;
/// More than this is no certificate and no error.
pub(super) const SMALL: u64 = 64 << 10;

/// How a manager is reached.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Manager {
    /// Address or name; IPv6 in brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The certificate of its authority, as PEM.
    pub authority: String,
    /// A token.
    pub token: String,
}

/// A connection to a manager, for many requests and threads.
#[derive(Debug, Clone)]
pub struct Client {
    agent: Agent,
    ending: Option<Arc<Ending>>,
    pulse: Arc<Pulse>,
    times: Times,
    host: String,
    base: String,
    bearer: String,
}

/// The end of a client whose requests are broken off.
#[derive(Debug)]
struct Ending {
    ends: Ends,
    /// For what is told after that.
    parting: Agent,
    _look_out: LookOut,
}

/// How a body is sent.
#[derive(Debug, Clone, Copy)]
pub(super) enum Method {
    Post,
    Put,
}

/// What a manager says of a refusal.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Problem {
    detail: String,
    code: String,
    sender: Option<String>,
}

impl Client {
    /// Prepares for a manager; nothing is sent.
    ///
    /// # Errors
    /// [`NetError::BadCertificate`].
    pub fn new(manager: &Manager) -> Result<Self> {
        Self::within(manager, USUAL)
    }

    /// The same for somebody who must not be kept waiting.
    ///
    /// # Errors
    /// As [`Client::new`].
    pub fn hasty(manager: &Manager) -> Result<Self> {
        Self::within(manager, HASTY)
    }

    fn within(manager: &Manager, times: Times) -> Result<Self> {
        let certificate = Certificate::from_pem(manager.authority.as_bytes())
            .map_err(|_| NetError::BadCertificate)?;
        let roots = RootCerts::new_with_certs(&[certificate]);
        let pulse = Arc::<Pulse>::default();
        Ok(Self {
            agent: agent(TlsConfig::builder().root_certs(roots), (times, &pulse)),
            ending: None,
            pulse,
            times,
            host: manager.host.clone(),
            base: format!("https://{}:{}", manager.host, manager.port),
            bearer: format!("Bearer {}", manager.token),
        })
    }

    /// The same for one that others can do without: for a connection to it nobody waits long.
    #[must_use]
    pub fn beside_others(self) -> Self {
        Self {
            times: self.times.beside_others(),
            ..self
        }
    }

    /// All that it asks is broken off when the work is to end, whatever is waited for; but for the last words.
    #[must_use]
    pub fn until(self, asked: fn() -> bool) -> Self {
        let ends = Ends::when(asked);
        let agent = made(self.agent.config().clone(), (ends, &self.pulse));
        let ending = Ending {
            ends,
            _look_out: ends.close(agent.clone()),
            parting: self.agent,
        };
        Self {
            agent,
            ending: Some(Arc::new(ending)),
            ..self
        }
    }

    /// For what is told when the work is over.
    fn parting(&self) -> &Agent {
        self.ending.as_ref().map_or(&self.agent, |it| &it.parting)
    }

    /// What moves on its connections.
    pub(super) fn pulse(&self) -> &Arc<Pulse> {
        &self.pulse
    }

    /// Whom it asks.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// It has so long to take a connection.
    pub(super) fn longest_connecting(&self) -> Duration {
        self.times.connect
    }

    /// No index is taken that is longer.
    pub(super) fn longest_index(&self) -> u64 {
        self.times.longest_index
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// Asks whether the manager accepts the token.
    ///
    /// # Errors
    /// What keeps it from answering.
    pub fn check(&self) -> Result<()> {
        self.get("/v1/images", &[], "images").map(drop)
    }

    /// Sends a request. `name` is what is asked for, in words for messages.
    pub(super) fn get(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        name: &str,
    ) -> Result<Response<Body>> {
        let request = self.agent.get(self.url(path));
        self.ask(request, headers, name)
    }

    /// The same for a part of an image: a manager that falls silent is not waited for.
    pub(super) fn get_part(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        (name, left): (&str, Option<Duration>),
    ) -> Result<Response<Body>> {
        let silence = self.times.silence.unwrap_or(SILENCE);
        let times = Times {
            silence: Some(silence),
            ..self.times
        };
        self.ask(self.request(path, times, left), headers, name)
    }

    /// The same for an index, which may take its time.
    pub(super) fn get_index(
        &self,
        path: &str,
        (name, left): (&str, Option<Duration>),
    ) -> Result<Response<Body>> {
        self.ask(self.request(path, self.times, left), &[], name)
    }

    /// A request whose manager may be silent for so long at most, where that is said.
    fn request(
        &self,
        path: &str,
        times: Times,
        left: Option<Duration>,
    ) -> RequestBuilder<WithoutBody> {
        let least = |time: Duration| left.map_or(time, |left| left.min(time));
        let silence = times.silence.map(least).or(left);
        let config = self.agent.get(self.url(path)).config();
        config
            .timeout_connect(Some(least(times.connect)))
            .timeout_recv_response(Some(least(times.answer)))
            .timeout_per_read(silence)
            .build()
    }

    /// Whatever is answered within a time, a refusal too.
    pub(super) fn get_within(&self, path: &str, patience: Duration) -> Result<Response<Body>> {
        let request = self.agent.get(self.url(path));
        let request = request.config().timeout_global(Some(patience)).build();
        let answer = request.header("Authorization", &self.bearer).call();
        answer.map_err(|error| self.failed(error))
    }

    fn ask(
        &self,
        request: RequestBuilder<WithoutBody>,
        headers: &[(&str, &str)],
        name: &str,
    ) -> Result<Response<Body>> {
        let mut request = request.header("Authorization", &self.bearer);
        for (key, value) in headers {
            request = request.header(*key, *value);
        }
        self.answered(request.call(), name)
    }

    /// Sends a body. `name` is what it is about, in words for messages.
    pub(super) fn send(
        &self,
        method: Method,
        path: &str,
        body: &[u8],
        name: &str,
    ) -> Result<Response<Body>> {
        let url = self.url(path);
        let request = match method {
            Method::Post => self.agent.post(url),
            Method::Put => self.agent.put(url),
        };
        let request = request.header("Authorization", &self.bearer);
        self.answered(request.send(body), name)
    }

    /// Puts a long body. A manager that takes nothing of it for a while is not waited for, nor one that may be silent
    /// for so long only, where that is said.
    pub(super) fn put(
        &self,
        path: &str,
        body: &[u8],
        (name, left): (&str, Option<Duration>),
    ) -> Result<()> {
        let least = |time: Duration| left.map_or(time, |left| left.min(time));
        let config = self.agent.put(self.url(path)).config();
        let request = config
            .timeout_connect(Some(least(self.times.connect)))
            .timeout_per_write(Some(SILENCE))
            .build();
        let request = request.header("Authorization", &self.bearer);
        self.answered(request.send(body), name).map(drop)
    }

    /// Asks for something to be taken away, also as a last word; where that is said, it is not waited for longer. It is not
    /// broken off: whether that is gone should be known.
    pub(super) fn delete(&self, path: &str, name: &str, patience: Option<Duration>) -> Result<()> {
        let request = self.parting().delete(self.url(path));
        let request = request.config().timeout_global(patience).build();
        let request = request.header("Authorization", &self.bearer);
        self.answered(request.call(), name).map(drop)
    }

    fn answered(
        &self,
        answer: std::result::Result<Response<Body>, ureq::Error>,
        name: &str,
    ) -> Result<Response<Body>> {
        let response = answer.map_err(|error| self.failed(error))?;
        self.said(response, name)
    }

    /// An answer, unless it is a refusal.
    pub(super) fn said(&self, response: Response<Body>, name: &str) -> Result<Response<Body>> {
        if response.status().is_success() {
            return Ok(response);
        }
        Err(self.refusal(response, name))
    }

    /// What an answer says in JSON.
    pub(super) fn json<T: DeserializeOwned>(
        &self,
        response: Response<Body>,
        most: u64,
    ) -> Result<T> {
        let bytes = self.bytes(response, most)?;
        serde_json::from_slice(&bytes)
            .map_err(|_| self.protocol("an answer that is not understood"))
    }

    /// All bytes of an answer, `most` at most.
    pub(super) fn bytes(&self, response: Response<Body>, most: u64) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let reader = response.into_body().into_reader();
        let read = reader.take(most).read_to_end(&mut bytes);
        read.map_err(|error| self.broken(error))?;
        Ok(bytes)
    }

    /// Sends JSON, perhaps as a last word, and waits no longer than `patience` for all of it.
    pub(super) fn post_parting(
        &self,
        path: &str,
        body: &[u8],
        patience: Duration,
    ) -> Result<Response<Body>> {
        let request = self.parting().post(self.url(path));
        let request = request.config().timeout_global(Some(patience)).build();
        let request = request
            .header("Authorization", &self.bearer)
            .header("Content-Type", "application/json");
        self.answered(request.send(body), path)
    }

    fn refusal(&self, response: Response<Body>, name: &str) -> NetError {
        let status = response.status();
        let after = retry_after(&response);
        let mut text = Vec::new();
        let _ = response
            .into_body()
            .into_reader()
            .take(SMALL)
            .read_to_end(&mut text);
        let Problem {
            detail,
            code,
            sender,
        } = serde_json::from_slice(&text).unwrap_or_default();
        let (host, name) = (self.host.clone(), name.to_owned());
        let code = code.parse::<Code>().ok();
        match status {
            _ if code == Some(Code::BadLogin) => NetError::BadLogin { host },
            _ if code == Some(Code::TokenExpired) => NetError::TokenExpired { host },
            _ if code == Some(Code::TokenElsewhere) => NetError::TokenElsewhere { host },
            _ if code == Some(Code::NotAllowed) => NetError::MayOnlyRead { host },
            _ if code == Some(Code::OnlyReadOut) => NetError::OnlyReadOut { host },
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => NetError::Unauthorised { host },
            StatusCode::NOT_FOUND if !is_something_else(code) => NetError::NotFound { name },
            StatusCode::PRECONDITION_FAILED => NetError::Changed { name },
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => NetError::Later {
                host,
                detail,
                after,
                code,
            },
            status if let Some(code) = code.filter(|code| says(status, *code)) => NetError::Said {
                host,
                code,
                detail,
                sender,
            },
            status => NetError::Refused {
                host,
                status: status.as_u16(),
                detail,
            },
        }
    }

    pub(super) fn protocol(&self, what: &'static str) -> NetError {
        NetError::Protocol {
            host: self.host.clone(),
            what,
        }
    }

    pub(super) fn broken(&self, source: io::Error) -> NetError {
        self.failed(ureq::Error::Io(source))
    }

    /// What is broken off is not the manager's fault.
    fn failed(&self, error: ureq::Error) -> NetError {
        if self.ending.as_ref().is_some_and(|it| it.ends.now()) {
            return Interrupted.into();
        }
        failed(&self.host, error)
    }
}

/// When a manager wants to be asked again; nobody waits long because of a header.
fn retry_after(response: &Response<Body>) -> Duration {
    let said = response.headers().get("retry-after");
    let seconds = said.and_then(|value| value.to_str().ok()?.parse().ok());
    Duration::from_secs(seconds.unwrap_or(1)).clamp(Duration::from_millis(200), LONGEST_PAUSE)
}

pub(super) fn agent(tls: TlsConfigBuilder, (times, pulse): (Times, &Arc<Pulse>)) -> Agent {
    let config = Agent::config_builder()
        // A manager has one certificate, and whoever looks on along the way need not know whose it is.
        .tls_config(tls.use_sni(false).build())
        .https_only(true)
        .http_status_as_error(false)
        .max_redirects(0)
        .max_idle_connections_per_host(IDLE)
        .timeout_connect(Some(times.connect))
        .timeout_send_body(Some(SENDING))
        .timeout_recv_response(Some(times.answer))
        .timeout_recv_body(Some(times.body))
        .timeout_per_read(times.silence)
        .user_agent(concat!("azud/", env!("CARGO_PKG_VERSION")))
        .build();
    made(config, (Ends::default(), pulse))
}

pub(super) fn made(config: Config, (ends, pulse): (Ends, &Arc<Pulse>)) -> Agent {
    // What ureq does by itself, but for the name.
    let connector =
        ().chain(ConnectProxyConnector::default())
            .chain(Soon(ends, Arc::clone(pulse)))
            .chain(ManagerTls::default());
    Agent::with_parts(config, connector, Names(ends))
}

pub(super) fn failed(host: &str, error: ureq::Error) -> NetError {
    let host = host.to_owned();
    if is_untrusted(&error) {
        return NetError::Untrusted { host };
    }
    let error = match error {
        ureq::Error::Other(error) => match error.downcast::<Nameless>() {
            Ok(nameless) => {
                let Nameless { name, source } = *nameless;
                return NetError::Nameless { host, name, source };
            }
            Err(error) => ureq::Error::Other(error),
        },
        error => error,
    };
    NetError::Unreachable {
        host,
        source: error.into_io(),
    }
}

/// Whether a refusal is about what was asked for, and not about the manager's health.
fn says(status: StatusCode, code: Code) -> bool {
    let other = [StatusCode::INSUFFICIENT_STORAGE, StatusCode::BAD_GATEWAY];
    // Waiting does not help against this one.
    status.is_client_error() || other.contains(&status) || code == Code::CannotRead
}

/// Whether it is not the image that is not there, but what it would be in, or a version of it.
fn is_something_else(code: Option<Code>) -> bool {
    matches!(
        code,
        Some(Code::NoUpload | Code::NoSuchVersion | Code::PlaceNotMounted | Code::PlaceGone)
    )
}

fn is_untrusted(error: &ureq::Error) -> bool {
    let bad = |error: &rustls::Error| matches!(error, rustls::Error::InvalidCertificate(_));
    match error {
        ureq::Error::Rustls(error) => bad(error),
        ureq::Error::Io(error) => {
            let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
            inner.is_some_and(bad)
        }
        _ => false,
    }
}
