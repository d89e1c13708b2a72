//! `azud token create|code|list|revoke`.

use std::path::Path;
use std::time::Duration;

use azud_core::access::{AccessError, NamePattern, Subnet};
use azud_core::code::Code;
use azud_server::{Bounds, CODE_LASTS, Codes, Promise, Role, Token, Tokens, check_secrets};
use clap::{Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::Context;
use super::serve::State;
use crate::args::Writing;
use crate::args::size::{BadValue, duration};
use crate::confirm::{Step, settle};
use crate::failure::Failure;
use crate::opened::{moment, now, rfc3339, seconds};
use crate::plan::Plan;
use crate::table;

/// What can be done with tokens.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Makes one.
    Create(Create),
    /// Shows a code for a login.
    Code(MakeCode),
    /// Lists them.
    List(List),
    /// Takes one back.
    Revoke(Revoke),
}

impl Verb {
    /// Runs it.
    ///
    /// # Errors
    /// When the manager's state cannot be read or written.
    pub fn run(&self, context: &Context) -> Result<(), Failure> {
        match self {
            Self::Create(args) => args.run(context),
            Self::Code(args) => args.run(context),
            Self::List(args) => args.run(context),
            Self::Revoke(args) => args.run(context),
        }
    }
}

/// What a token allows.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum RoleName {
    /// To read images.
    Read,
    /// To change them.
    Write,
    /// To manage the manager.
    Admin,
}

impl From<RoleName> for Role {
    fn from(name: RoleName) -> Self {
        match name {
            RoleName::Read => Self::Read,
            RoleName::Write => Self::Write,
            RoleName::Admin => Self::Admin,
        }
    }
}

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Create {
    /// What it allows.
    #[arg(long, value_enum, default_value = "read")]
    role: RoleName,
    /// A note to oneself.
    #[arg(
        long,
        default_value = "",
        value_name = "TEXT",
        hide_default_value = true
    )]
    note: String,
    /// How long it is good.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    expires: Option<Duration>,
    /// What it is bound to.
    #[command(flatten)]
    reach: Reach,
    /// The manager's state.
    #[command(flatten)]
    state: State,
}

/// What a token is bound to.
#[derive(Debug, clap::Args)]
struct Reach {
    /// Where it is good.
    #[arg(long, value_name = "SUBNET", value_parser = subnet)]
    subnet: Vec<Subnet>,
    /// Which images there are for it.
    #[arg(long, value_name = "PATTERN", value_parser = pattern)]
    images: Vec<NamePattern>,
}

fn subnet(text: &str) -> Result<Subnet, BadValue> {
    text.parse().map_err(bad_value)
}

pub(super) fn pattern(text: &str) -> Result<NamePattern, BadValue> {
    text.parse().map_err(bad_value)
}

fn bad_value(error: AccessError) -> BadValue {
    BadValue(match error {
        AccessError::Subnet => "bad-subnet",
        AccessError::HostBits => "bad-host-bits",
        AccessError::Pattern => "bad-pattern",
    })
}

impl Create {
    fn run(&self, context: &Context) -> Result<(), Failure> {
        let dir = self.state.of_manager(context)?;
        check_secrets(&dir)?;
        let seconds = seconds(now());
        let bounds = Bounds {
            expires: self.expires.map(|it| seconds + it.as_secs()),
            subnets: self.reach.subnet.clone(),
            images: self.reach.images.clone(),
        };
        let made = Tokens::in_dir(&dir).create(self.role.into(), &self.note, bounds, seconds);
        let (token, secret) = made.map_err(|error| failed(&dir, &error))?;
        let mut value = shown(&token);
        value["action"] = "token-create".into();
        value["token"] = secret.text().into();
        answer(context, &value, (secret.text(), "token-once"));
        Ok(())
    }
}

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct MakeCode {
    /// What the token for it allows.
    #[arg(long, value_enum, default_value = "write")]
    role: RoleName,
    /// How long that token is good.
    #[arg(long, value_name = "DURATION", default_value = "8h", value_parser = duration)]
    expires: Duration,
    /// What that token is bound to.
    #[command(flatten)]
    reach: Reach,
    /// A note to oneself.
    #[arg(
        long,
        default_value = "",
        value_name = "TEXT",
        hide_default_value = true
    )]
    note: String,
    /// The manager's state.
    #[command(flatten)]
    state: State,
}

impl MakeCode {
    fn run(&self, context: &Context) -> Result<(), Failure> {
        let dir = self.state.of_manager(context)?;
        check_secrets(&dir)?;
        let promise = Promise {
            role: self.role.into(),
            lasts: self.expires,
            subnets: self.reach.subnet.clone(),
            images: self.reach.images.clone(),
            note: self.note.clone(),
        };
        let made = Codes::in_dir(&dir).create(&promise, seconds(now()));
        let code = made.map_err(|error| Failure::io(&dir.join("codes.json"), &error))?;
        let value = json!({
            "action": "token-code",
            "code": code,
            "role": promise.role,
            "lasts": CODE_LASTS.as_secs(),
            "subnets": promise.subnets,
            "images": promise.images,
        });
        answer(context, &value, (&code, "token-code-once"));
        let bounds = only_for(&promise.subnets, &promise.images);
        if !bounds.is_empty() && !context.output.mode().quiet {
            let bounds = [("bounds", bounds.into())];
            context
                .output
                .note(&context.catalog.fmt("token-code-bounds", &bounds));
        }
        Ok(())
    }
}

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct List {
    /// The manager's state.
    #[command(flatten)]
    state: State,
}

impl List {
    fn run(&self, context: &Context) -> Result<(), Failure> {
        let dir = self.state.of_manager(context)?;
        let tokens = Tokens::in_dir(&dir)
            .list()
            .map_err(|error| failed(&dir, &error))?;
        let now = seconds(now());
        let values = tokens.iter().map(|token| {
            let mut value = shown(token);
            value["expired"] = has_ended(token, now).into();
            value
        });
        let value = json!({ "tokens": values.collect::<Vec<_>>() });
        context.output.answer(&value, || {
            let head = [
                "token-id",
                "role",
                "made",
                "token-expires",
                "token-bounds",
                "note",
            ];
            let head = head.map(|key| context.catalog.text(&format!("label-{key}")));
            let row = |token: &Token| {
                vec![
                    token.id.clone(),
                    token.role.as_str().to_owned(),
                    when(token.created),
                    until(context, token, now),
                    only_for(&token.bounds.subnets, &token.bounds.images),
                    token.note.clone(),
                ]
            };
            let rows: Vec<_> = tokens.iter().map(row).collect();
            table::aligned(&head, &rows, &[0, 1, 2, 3, 4, 5])
        });
        Ok(())
    }
}

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Revoke {
    /// Which one, as the list shows it.
    id: String,
    /// The manager's state.
    #[command(flatten)]
    state: State,
    /// Plan and consent.
    #[command(flatten)]
    writing: Writing,
}

impl Revoke {
    fn run(&self, context: &Context) -> Result<(), Failure> {
        let dir = self.state.of_manager(context)?;
        let tokens = Tokens::in_dir(&dir);
        let all = tokens.list().map_err(|error| failed(&dir, &error))?;
        let none = || Failure::new(Code::NoToken, self.id.as_str());
        let token = all.iter().find(|token| token.id == self.id);
        let token = token.ok_or_else(none)?;
        let plan = Plan::new("token-revoke")
            .text("token-id", token.id.as_str())
            .text("role", token.role.as_str())
            .text("note", token.note.as_str());
        if settle(context, &plan, self.writing) == Step::Stop {
            return Ok(());
        }
        let there = tokens.revoke(&self.id);
        if !there.map_err(|error| failed(&dir, &error))? {
            return Err(none());
        }
        let value = json!({ "action": "token-revoke", "id": self.id });
        context
            .output
            .result(&value, || context.catalog.text("result-token-revoke"));
        Ok(())
    }
}

/// A secret, alone on its way into a file; people are told beside it what is to be known of it.
fn answer(context: &Context, value: &Value, (secret, note): (&str, &str)) {
    context.output.answer(value, || secret.to_owned());
    if !context.output.mode().quiet {
        context.output.note(&context.catalog.text(note));
    }
}

fn when(seconds: u64) -> String {
    rfc3339(moment(seconds))
}

/// A token for scripts, without its secret.
fn shown(token: &Token) -> Value {
    json!({
        "id": token.id,
        "role": token.role,
        "note": token.note,
        "created": when(token.created),
        "expires": token.bounds.expires.map(when),
        "subnets": token.bounds.subnets,
        "images": token.bounds.images,
    })
}

fn has_ended(token: &Token, now: u64) -> bool {
    token.bounds.expires.is_some_and(|end| now >= end)
}

/// How long a token is good, in one cell.
fn until(context: &Context, token: &Token, now: u64) -> String {
    let end = token.bounds.expires.map(when).unwrap_or_default();
    if has_ended(token, now) {
        return context.catalog.fmt("token-ended", &[("end", end.into())]);
    }
    end
}

/// What a token is bound to, in one cell.
pub(super) fn only_for(subnets: &[impl ToString], images: &[impl ToString]) -> String {
    let subnets = subnets.iter().map(ToString::to_string);
    let images = images.iter().map(ToString::to_string);
    subnets.chain(images).collect::<Vec<_>>().join(", ")
}

fn failed(dir: &Path, error: &std::io::Error) -> Failure {
    Failure::io(&dir.join("tokens.json"), error)
}
