//! The command line of Azud.
//!
//! One file per command below [`commands`], each in the same order: parse, plan, confirm, apply,
//! show. The habits they share live beside it: words ([`i18n`]), printing ([`output`]), progress,
//! plans, errors ([`failure`]).
//!
//! Architecture invariant: nothing depends on this crate; it alone knows clap, Fluent and terminals.

pub mod args;
pub mod cached;
mod checked;
pub mod commands;
mod compat;
pub mod confirm;
mod estimate;
mod facts;
pub mod failure;
mod foreign;
pub mod human;
pub mod i18n;
mod in_step;
mod interrupt;
mod keeping;
pub mod opened;
mod origin;
pub mod output;
mod place;
pub mod plan;
mod present;
pub mod progress;
mod publish;
pub mod receive;
mod remote;
mod restorable;
mod sending;
pub mod site;
mod sources;
mod sums;
pub mod table;
mod target;
pub mod telling;
mod trust;
mod view;
mod volume;

#[doc(hidden)]
pub use compat::{UNDERSTOOD, Understands};

use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use azud_core::code::Code;

use args::{Early, Stop};
use commands::Context;
use failure::Failure;
use i18n::Catalog;
use output::{Mode, Output};
use site::SiteArgs;
use telling::Teller;

/// Runs the command of the process' arguments. The exit status is 0 when it was done, 1 when it
/// failed, 2 when it was not understood, 128 and its number when a signal ended it; OpenGnsys' names have their own.
pub fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().collect();
    if let Some(name) = compat::called(&args) {
        return compat::main(name, &args);
    }
    if view::called(&args) {
        return view::main();
    }
    let early = Early::of(&args, |name| std::env::var(name).ok());
    let catalog = Arc::new(Catalog::new(early.lang));
    let (context, done) = match args::parse(&args, &catalog) {
        Ok(cli) => {
            let mode = Mode {
                json: cli.global.json,
                quiet: cli.global.quiet,
            };
            interrupt::watch(catalog.lang(), move || Output::standard(mode));
            let output = Output::standard(mode);
            let site = cli.global.site;
            let context = Context {
                catalog,
                output: output.into(),
                site,
                teller: Teller::heeded(),
            };
            let done = cli.command.run(&context);
            (context, done)
        }
        Err(stop) => {
            let mode = Mode {
                json: early.json,
                quiet: false,
            };
            let output = Output::standard(mode);
            let done = explain(stop, &output);
            let site = SiteArgs::default();
            let context = Context {
                catalog,
                output: output.into(),
                site,
                teller: Teller::default(),
            };
            (context, done)
        }
    };
    finish(&context, done)
}

/// Answers a line that is no command. What is left to say is an error.
fn explain(stop: Stop, output: &Output) -> Result<(), Failure> {
    match stop {
        Stop::Show(text) => {
            let text = if colour(&std::io::stdout()) {
                text.ansi().to_string()
            } else {
                text.to_string()
            };
            output.bytes(text.as_bytes());
            Ok(())
        }
        Stop::Incomplete(help, failure) => {
            output.note(&format!("{}\n", help.to_string().trim_end()));
            Err(*failure)
        }
        Stop::Usage(failure) => Err(*failure),
    }
}

fn colour(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

fn finish(context: &Context, done: Result<(), Failure>) -> ExitCode {
    let done = done.and_then(|()| {
        let finished = context.output.finish();
        finished.map_err(|error| Failure::io(Path::new("/dev/stdout"), &error))
    });
    let done = done.map_err(interrupt::told);
    context.teller.end(done.as_ref().err());
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            context.output.failure(&context.catalog, &failure);
            let usage = if failure.code == Code::Usage { 2 } else { 1 };
            ExitCode::from(interrupt::status().unwrap_or(usage))
        }
    }
}
