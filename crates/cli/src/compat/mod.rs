//! OpenGnsys' names: what they are called with, print and end with is OpenGnsys', what is done is Azud's.
//!
//! A name is reached by the name under which the program is called; `azud aliases install` makes the links.
//! Invariants: only what the name is asked for goes to standard output, everything else to standard error;
//! arguments are understood by functions that touch nothing; nothing is done here that the commands of
//! Azud do not do. `docs/compat.md` lists each with its test, and what differs on purpose.

mod args;
mod cache;
mod container;
mod delete;
mod deploy;
mod file;
mod image;
mod info;
mod lock;
mod mount;
mod partition;
mod remove;
mod status;
mod table;
mod understood;
mod update;
mod volume;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use azud_core::code::Code;

use crate::commands::Context;
use crate::failure::Failure;
use crate::i18n::{Catalog, Lang};
use crate::interrupt;
use crate::output::{Mode, Output};
use crate::site::SiteArgs;
use crate::telling::Teller;

pub(crate) use status::Status;
pub(crate) use table::{NAMES, Name};
pub use understood::{UNDERSTOOD, Understands};

/// A name being called.
struct Call {
    args: Vec<String>,
    /// For the commands behind: whatever they say goes to standard error.
    context: Context,
    answer: Output,
}

impl Call {
    /// A line of the answer.
    fn print(&self, line: &str) {
        self.answer.bytes(format!("{line}\n").as_bytes());
    }
}

/// How a call ends: a failure has the number that its code means, or one that is told.
type Done = Result<Status, Refusal>;

/// A failure.
#[derive(Debug)]
struct Refusal {
    status: Option<Status>,
    failure: Box<Failure>,
}

impl Refusal {
    fn told(status: Status, failure: Failure) -> Self {
        Self {
            status: Some(status),
            failure: Box::new(failure),
        }
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self {
            status: None,
            failure: Box::new(failure),
        }
    }
}

macro_rules! through_failure {
    ($($error:ty),+) => {$(
        impl From<$error> for Refusal {
            fn from(error: $error) -> Self {
                Failure::from(error).into()
            }
        }
    )+};
}

through_failure!(
    azud_store::StoreError,
    azud_disk::DiskError,
    azud_core::name::NameError
);

/// The name under which the program was called, if it is one of OpenGnsys'.
pub(crate) fn called(args: &[OsString]) -> Option<&'static Name> {
    let name = Path::new(args.first()?).file_name()?.to_str()?;
    NAMES.iter().find(|known| known.text == name)
}

/// Does what the name means; the exit status is OpenGnsys'.
pub(crate) fn main(name: &'static Name, args: &[OsString]) -> ExitCode {
    let lang = Lang::of_environment(|variable| std::env::var(variable).ok());
    let mut call = Call {
        args: Vec::new(),
        context: Context {
            catalog: Catalog::new(lang).into(),
            output: Output::aside().into(),
            site: SiteArgs::default(),
            teller: Teller::heeded(),
        },
        answer: Output::standard(Mode::default()),
    };
    interrupt::watch(lang, Output::aside);
    let done = words(args).and_then(|words| {
        call.args = words;
        if call.args == ["help"] {
            help(name, &call);
            return Ok(Status::Ok);
        }
        (name.run)(&call)
    });
    let finished = call.answer.finish();
    let done = done.and_then(|status| match finished {
        Ok(()) => Ok(status),
        Err(error) => Err(Failure::io(Path::new("/dev/stdout"), &error).into()),
    });
    let failed = done.is_err();
    if done.is_ok() {
        call.context.teller.end(None);
    }
    let status = done.unwrap_or_else(|refusal| tell(name, &call, refusal));
    let signal = failed.then(interrupt::status).flatten();
    ExitCode::from(signal.unwrap_or_else(|| status.number()))
}

fn words(args: &[OsString]) -> Result<Vec<String>, Refusal> {
    let words = args.iter().skip(1).map(|word| {
        let text = word.to_str().map(str::to_owned);
        text.ok_or_else(|| args::refuse(format!("{} is not UTF-8", word.display())).into())
    });
    words.collect()
}

/// Name, format, examples.
fn help(name: &Name, call: &Call) {
    let text = |key: &str| call.context.catalog.text(key);
    let about = text(&format!("compat-{}", name.text));
    call.print(&format!("{}: {about}", name.text));
    for format in name.formats {
        let line = format!("{} {format}", name.text);
        call.print(&format!(
            "    {}: {}",
            text("compat-format"),
            line.trim_end()
        ));
    }
    for example in name.examples {
        call.print(&format!("    {}: {example}", text("compat-example")));
    }
}

/// Says what is wrong, with the right order of arguments if that is it.
fn tell(name: &Name, call: &Call, refusal: Refusal) -> Status {
    let Refusal { status, failure } = refusal;
    let failure = interrupt::told(*failure);
    call.context.teller.end(Some(&failure));
    let known = |status: &Status| name.statuses.contains(status);
    let status = status
        .filter(known)
        .unwrap_or_else(|| Status::of(failure.code, name.statuses));
    let failure = if status == Status::Format && failure.hint.is_none() {
        let lines = name.formats.iter().map(|it| format!("{} {it}", name.text));
        let lines = lines.collect::<Vec<_>>().join("\n");
        failure.with_hint(lines.trim_end())
    } else {
        failure
    };
    call.context.output.failure(&call.context.catalog, &failure);
    status
}

/// A way through the network that is not here yet: it is refused, not replaced by another.
fn not_yet(call: &Call, status: Status, protocol: &str) -> Refusal {
    let hint = call.context.catalog.text("compat-not-yet");
    Refusal::told(status, Failure::new(Code::Usage, protocol).with_hint(hint))
}

/// The arguments of a command of ours, to what nobody need agree any more: whoever types these names has said
/// what is to be done. The words are values; options have a place of their own.
fn agreed<A, W>(words: impl IntoIterator<Item = W>) -> A
where
    A: clap::Args,
    W: Into<OsString> + Clone,
{
    #[derive(clap::Parser)]
    struct Line<A: clap::Args> {
        #[command(flatten)]
        args: A,
    }
    let line = ["azud", "--yes", "--"].map(OsString::from).into_iter();
    <Line<A> as clap::Parser>::parse_from(line.chain(words.into_iter().map(Into::into))).args
}
