//! `azud room status`.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::Duration;

use azud_core::code::Code;
use azud_core::reference::Where;
use azud_core::room::{Room, Shown};
use azud_disk::running::is_closed;
use azud_server::{ROOM_FILE, written_room};
use azud_transport::http::Client;
use serde_json::Value;

use super::show::{human, json};
use crate::commands::serve::State;
use crate::commands::{Context, repo};
use crate::failure::Failure;
use crate::interrupt;
use crate::opened::{now, seconds};
use crate::site::Site;

/// How often it is looked again.
const INTERVAL: Duration = Duration::from_secs(1);
/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Show it anew whenever it changes, until stopped.
    #[arg(long)]
    watch: bool,
    /// The manager's state, on the manager itself.
    #[command(flatten)]
    state: State,
}

/// Who knows of the computers.
enum Source {
    /// The manager is asked.
    Manager(Client),
    /// The manager is here: what it wrote down.
    Here(PathBuf),
}

impl Source {
    fn computers(&self) -> Result<Vec<Shown>, Failure> {
        match self {
            Self::Manager(client) => Ok(client.room()?),
            Self::Here(dir) => {
                let failed = |error| Failure::io(&dir.join(ROOM_FILE), &error);
                let room = Room::of(written_room(dir).map_err(failed)?);
                let now = seconds(now());
                Ok(room.computers().map(|it| it.shown(now)).collect())
            }
        }
    }
}

impl Args {
    /// Shows the computers.
    ///
    /// # Errors
    /// When there is no manager, or it does not let its room be seen.
    pub fn run(&self, context: &Context) -> Result<(), Failure> {
        let source = self.source(context)?;
        let computers = source.computers()?;
        if !self.watch {
            context
                .output
                .answer(&json(context, &computers), || human(context, &computers));
            return Ok(());
        }
        watch(context, &source, computers)
    }

    /// What is written down here, on the manager's own computer; elsewhere the manager is asked. Where none is named, one
    /// whose state lies here is meant.
    fn source(&self, context: &Context) -> Result<Source, Failure> {
        let here = || Ok(Source::Here(self.state.of_manager(context)?));
        let site = Site::load(&context.site)?;
        if self.state.is_said() || site.serving {
            return here();
        }
        let failure = match repo::manager(context, &Where::Manager) {
            Ok(Some(client)) => return Ok(Source::Manager(client)),
            Ok(None) => unknown(context),
            Err(failure) => failure,
        };
        // Who serves a cache alone has a state as well, and another computer's room is meant.
        if repo::is_elsewhere(&site)? {
            return Err(failure);
        }
        here().map_err(|error| match error.code {
            Code::NoState => failure,
            _ => error,
        })
    }
}

fn unknown(context: &Context) -> Failure {
    let failure = Failure::new(Code::UnknownRepo, Where::Manager.to_string());
    match repo::known_otherwise(context, &Where::Manager) {
        Some(hint) => failure.with_hint(hint),
        None => failure,
    }
}

/// Shows the room whenever something changed. A manager that is away for a while is asked again.
fn watch(context: &Context, source: &Source, first: Vec<Shown>) -> Result<(), Failure> {
    interrupt::only_watches();
    let redraws = !context.output.mode().json && std::io::stdout().is_terminal();
    let mut computers = first;
    let mut shown = None;
    let mut told = false;
    loop {
        let seen = without_age(&json(context, &computers));
        // While the manager is away, that it is stays in sight.
        if redraws && !told || shown.as_ref() != Some(&seen) {
            let table = || human(context, &computers);
            if redraws {
                context.output.redraw(table);
            } else {
                context.output.answer(&json(context, &computers), table);
            }
            shown = Some(seen);
        }
        if !waits_for_reader(INTERVAL) {
            return Ok(());
        }
        match source.computers() {
            Ok(new) => {
                computers = new;
                // Whoever was told that it is away is told that it is back.
                if std::mem::take(&mut told) {
                    shown = None;
                }
            }
            Err(failure) if matches!(failure.code, Code::Unreachable | Code::TooBusy) => {
                if !told {
                    let summary = context.catalog.summary(failure.code);
                    context.output.warn(&context.catalog, &summary);
                }
                told = true;
            }
            Err(failure) => return Err(failure),
        }
    }
}

/// Waits so long; whether somebody still reads what is shown.
fn waits_for_reader(time: Duration) -> bool {
    // Who cannot be asked is there.
    let closed = is_closed(&std::io::stdout(), time);
    !closed.unwrap_or_else(|_| {
        sleep(time);
        false
    })
}

/// That time passes is no change.
fn without_age(value: &Value) -> Value {
    let mut value = value.clone();
    for computer in value["computers"].as_array_mut().into_iter().flatten() {
        computer["age"] = Value::Null;
        computer["seen"] = Value::Null;
    }
    value
}
