//! `azud token create|list|revoke`.

use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use azud_core::code::Code;
use azud_server::{Role, Tokens, prepare};
use clap::{Subcommand, ValueEnum};
use serde_json::json;

use super::Context;
use super::serve::State;
use crate::failure::Failure;
use crate::opened::{now, rfc3339};
use crate::table;

/// What can be done with tokens.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Makes one.
    Create(Create),
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
    /// The manager's state.
    #[command(flatten)]
    state: State,
}

impl Create {
    fn run(&self, context: &Context) -> Result<(), Failure> {
        let dir = self.state.dir()?;
        prepare(&dir)?;
        let seconds = now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |time| time.as_secs());
        let made = Tokens::in_dir(&dir).create(self.role.into(), &self.note, seconds);
        let (token, secret) = made.map_err(|error| failed(&dir, &error))?;
        let value = json!({ "action": "token-create", "id": token.id, "role": token.role, "token": secret.text() });
        context.output.answer(&value, || {
            let note = context.catalog.text("token-once");
            format!("{}\n{note}", secret.text())
        });
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
        let dir = self.state.dir()?;
        let tokens = Tokens::in_dir(&dir)
            .list()
            .map_err(|error| failed(&dir, &error))?;
        let when = |seconds| {
            rfc3339(
                UNIX_EPOCH
                    .checked_add(Duration::from_secs(seconds))
                    .unwrap_or(UNIX_EPOCH),
            )
        };
        let values = tokens.iter().map(|token| {
            json!({ "id": token.id, "role": token.role, "note": token.note, "created": when(token.created) })
        });
        let value = json!({ "tokens": values.collect::<Vec<_>>() });
        context.output.answer(&value, || {
            let head = ["token-id", "role", "made", "note"];
            let head = head.map(|key| context.catalog.text(&format!("label-{key}")));
            let row = |token: &azud_server::Token| {
                vec![
                    token.id.clone(),
                    token.role.as_str().to_owned(),
                    when(token.created),
                    token.note.clone(),
                ]
            };
            table::table(&head, &tokens.iter().map(row).collect::<Vec<_>>())
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
}

impl Revoke {
    fn run(&self, context: &Context) -> Result<(), Failure> {
        let dir = self.state.dir()?;
        let there = Tokens::in_dir(&dir)
            .revoke(&self.id)
            .map_err(|error| failed(&dir, &error))?;
        if !there {
            return Err(Failure::new(Code::NoToken, self.id.as_str()));
        }
        let value = json!({ "action": "token-revoke", "id": self.id });
        context
            .output
            .result(&value, || context.catalog.text("result-token-revoke"));
        Ok(())
    }
}

fn failed(dir: &Path, error: &std::io::Error) -> Failure {
    Failure::io(&dir.join("tokens.json"), error)
}
