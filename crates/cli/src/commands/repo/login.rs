//! `azud login [ADDRESS]`: a person at a client gets a token that is good for hours.

use std::io::IsTerminal;
use std::path::PathBuf;

use azud_core::access::token_parts;
use azud_core::code::Code;
use azud_transport::NetError;
use azud_transport::http::{Client, Login, Manager, login};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Goal;
use super::access::How;
use super::known::{Register, rehearse, remove, replace};
use super::manager::{Secret, files, keep_authority, known, meet, read_authority, secret_in};
use crate::args::Writing;
use crate::args::size::pin;
use crate::commands::Context;
use crate::commands::serve::PORT;
use crate::commands::token::only_for;
use crate::confirm::{Step, settle};
use crate::failure::{Failure, Hint};
use crate::interrupt;
use crate::opened::{host, moment, now, rfc3339, seconds};
use crate::plan::Plan;
use crate::table;

/// Longest line that is read as a code.
const LONGEST: u64 = 256;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The manager.
    #[arg(default_value = "REPO", hide_default_value = true)]
    pub address: String,
    /// Forget the login.
    #[arg(long, conflicts_with_all = ["pin", "port"])]
    pub out: bool,
    /// Its port, if it is not known yet.
    #[arg(long, value_name = "PORT")]
    pub port: Option<u16>,
    /// The fingerprint of its authority, if it is not known yet.
    #[arg(long, value_name = "PIN", value_parser = pin)]
    pub pin: Option<String>,
    /// Plan and consent.
    #[command(flatten)]
    pub writing: Writing,
}

/// A login as it is kept.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    token: String,
    /// By this computer's clock, in seconds since 1970.
    until: u64,
}

impl Kept {
    fn is_good(&self) -> bool {
        self.until > seconds(now()) && !self.token.is_empty()
    }

    fn good(self) -> Option<String> {
        self.is_good().then_some(self.token)
    }
}

impl Args {
    /// Exchanges a code for a token.
    ///
    /// # Errors
    /// When the manager is not known or does not take the code.
    pub fn run(&self, context: &Context) -> Result<(), Failure> {
        let host = Goal::of(context, &self.address)?.host.to_string();
        if self.out {
            return self.forget(context, &host);
        }
        let plan = Plan::new("login").text("address", host.as_str());
        let (authority, port) = self.authority(&host)?;
        if settle(context, &plan, self.writing) == Step::Stop {
            return Ok(());
        }
        let manager = Manager {
            host: host.clone(),
            port: port.unwrap_or(PORT),
            authority,
            token: String::new(),
        };
        // A code is good once: it is not given for a token that nobody can keep.
        rehearse(&file(&host))?;
        if self.pin.is_some() {
            Register::rehearse()?;
        }
        let code = code(context)?;
        let client = Client::new(&manager)?.until(interrupt::is_asked);
        let login = login(&client, &code, &note());
        let login = login.map_err(|error| refused(context, error))?;
        self.remember(&manager, port)?;
        let until = keep(&host, &login)?;
        let value = json!({
            "action": "login",
            "address": host,
            "id": login.id,
            "role": login.role,
            "until": until,
            "subnets": login.subnets,
            "images": login.images,
        });
        context.output.result(&value, || {
            let label = |key: &str| context.catalog.text(&format!("label-{key}"));
            let mut rows = vec![
                (label("role"), login.role.clone()),
                (label("token-until"), until.clone()),
            ];
            let bounds = only_for(&login.subnets, &login.images);
            if !bounds.is_empty() {
                rows.push((label("token-bounds"), bounds));
            }
            let done = context.catalog.text("result-login");
            format!("{done}\n{}", table::rows(&rows))
        });
        Ok(())
    }

    /// The certificate of the manager's authority and its port, as they are known, else as the pin says.
    fn authority(&self, host: &str) -> Result<(String, Option<u16>), Failure> {
        if let Some(pin) = &self.pin {
            let (authority, _) = meet(host, self.port.unwrap_or(PORT), Some(pin))?;
            return Ok((authority, self.port));
        }
        let register = Register::read()?;
        let found = register.find(host);
        let Some(known) = found.filter(|known| known.protocol == How::Http) else {
            let hint = Hint::with("hint-login-unknown", [("host", host.to_owned())]);
            return Err(Failure::new(Code::UnknownRepo, host).with_hint(hint));
        };
        let authority = read_authority(&files(host).0)?;
        Ok((authority, self.port.or(known.port)))
    }

    /// Remembers a manager that was met here.
    fn remember(&self, manager: &Manager, port: Option<u16>) -> Result<(), Failure> {
        if self.pin.is_none() {
            return Ok(());
        }
        keep_authority(&manager.host, &manager.authority)?;
        Register::change(|register| register.add(known(&manager.host, port)))
    }

    fn forget(&self, context: &Context, host: &str) -> Result<(), Failure> {
        let login = file(host);
        let is_any = login
            .try_exists()
            .map_err(|error| Failure::io(&login, &error))?;
        if !is_any && Register::read()?.find(host).is_none() {
            let hint = context.catalog.text("hint-not-known");
            return Err(Failure::new(Code::UnknownRepo, host).with_hint(hint));
        }
        let plan = Plan::new("logout").text("address", host);
        let plan = outlives(context, plan, (host, "login-outlives"));
        if is_any && settle(context, &plan, self.writing) == Step::Stop {
            return Ok(());
        }
        let running = running(host);
        remove(&login)?;
        let value = json!({
            "action": "logout",
            "address": host,
            "was_logged_in": is_any,
            "good_there_until": running.map(|kept| rfc3339(moment(kept.until))),
        });
        let done = || {
            if is_any {
                return context.catalog.text("result-logout");
            }
            let host = [("host", host.into())];
            context.catalog.fmt("result-no-login", &host)
        };
        context.output.result(&value, done);
        Ok(())
    }
}

/// A login that has not ended. What cannot be read is no reason to keep it.
fn running(host: &str) -> Option<Kept> {
    let kept = read(host).ok().flatten();
    kept.filter(Kept::is_good)
}

/// Says in a plan by which a login is forgotten that its token stays good at the manager, and until when.
pub(super) fn outlives(context: &Context, plan: Plan, (host, key): (&str, &'static str)) -> Plan {
    let Some(Kept { token, until }) = running(host) else {
        return plan;
    };
    let id = token_parts(&token).map_or("ID", |(id, _)| id).to_owned();
    let values = [
        ("host", host.to_owned().into()),
        ("until", rfc3339(moment(until)).into()),
        ("id", id.into()),
    ];
    plan.warning(&context.catalog, key, &values)
}

/// A code that is for other addresses is good still; that of a request that was broken off may not be.
fn refused(context: &Context, error: NetError) -> Failure {
    let failure = Failure::from(error);
    let hint = match failure.code {
        Code::TokenElsewhere => "hint-code-elsewhere",
        Code::Interrupted => "hint-login-broken-off",
        _ => return failure,
    };
    failure.with_hint(context.catalog.text(hint))
}

/// The token of a login that has not ended. Of one that has its end is kept, and no secret.
pub(super) fn current(host: &str) -> Result<Option<String>, Failure> {
    let kept = read(host)?;
    if let Some(Kept { token, until }) = &kept
        && *until <= seconds(now())
        && !token.is_empty()
        // Somebody may have come since.
        && read(host)?.is_some_and(|again| again.token == *token)
    {
        // Where it cannot be written it does no harm.
        let _ = write(host, (String::new(), *until));
    }
    Ok(kept.and_then(Kept::good))
}

/// The token of a login that has not ended; all stays as it is.
pub(super) fn valid(host: &str) -> Result<Option<String>, Failure> {
    Ok(read(host)?.and_then(Kept::good))
}

fn read(host: &str) -> Result<Option<Kept>, Failure> {
    let file = file(host);
    if !file.exists() {
        return Ok(None);
    }
    let text = secret_in(&file, Secret::Token)?;
    Ok(serde_json::from_str(&text).ok())
}

fn write(host: &str, (token, until): (String, u64)) -> Result<(), Failure> {
    let text = serde_json::to_vec(&Kept { token, until }).expect("our own types serialise");
    replace(&file(host), &text, 0o600)
}

/// Keeps a login in a file of its owner's alone; until when it is good.
fn keep(host: &str, login: &Login) -> Result<String, Failure> {
    let until = seconds(now()).saturating_add(login.lasts().as_secs());
    write(host, (login.token.clone(), until))?;
    Ok(rfc3339(moment(until)))
}

/// What somebody types at the terminal, else the first line of standard input; never an argument, which others see.
fn code(context: &Context) -> Result<String, Failure> {
    if std::io::stdin().is_terminal() {
        context.output.note(&context.catalog.text("login-prompt"));
    }
    let line = interrupt::line(LONGEST)?;
    let code = line.trim();
    if code.is_empty() {
        return Err(Failure::new(Code::BadLogin, "-"));
    }
    Ok(code.to_owned())
}

/// Who it is, for the manager's list.
fn note() -> String {
    let variable = |name: &str| std::env::var(name).ok().filter(|it| !it.is_empty());
    let who = variable("SUDO_USER").or_else(|| variable("USER"));
    format!("{}@{}", who.unwrap_or_default(), host())
}

/// Whether it is the token of a login that a manager is shown.
pub(crate) fn is_kept(host: &str) -> bool {
    valid(host).is_ok_and(|token| token.is_some())
}

/// Whether somebody was logged in here until the login ended.
pub(crate) fn has_ended(host: &str) -> bool {
    read(host).is_ok_and(|kept| kept.is_some_and(|kept| kept.good().is_none()))
}

/// Where a login is kept.
pub(super) fn file(host: &str) -> PathBuf {
    files(host).1.with_extension("login")
}
