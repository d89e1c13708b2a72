//! The process that answers for a view of a manager: `repo mount` starts it and goes away.

mod manager;

use std::ffi::OsString;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use azud_core::code::Code;
use azud_disk::remote::withdraw;
use azud_disk::view::{is_at, take_device};
use azud_transport::http::Manager;
use azud_view::Readers;
use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::i18n::Lang;
use crate::interrupt;
use crate::output::{Mode, Output};

/// What the process is called.
pub(crate) const NAME: &str = "azud-view";
/// The longest order.
const LONGEST: u64 = 1 << 20;
/// How often is looked whether it is to end.
const NAP: Duration = Duration::from_millis(200);
/// So long files may still be open when it is told to end.
const LAST: Duration = Duration::from_secs(2);

/// What it has to know.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) manager: Manager,
    pub(crate) at: PathBuf,
    /// Whether every user of the computer may read it; else root alone.
    pub(crate) for_all: bool,
}

impl Order {
    pub(crate) fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("our own types serialise")
    }
}

/// Whether this is that process.
pub(crate) fn called(args: &[OsString]) -> bool {
    args.first().is_some_and(|name| name == NAME)
}

/// Answers until the view is unmounted, or a signal asks for the end: then it is unmounted here.
pub(crate) fn main() -> ExitCode {
    let mode = Mode {
        json: false,
        quiet: true,
    };
    interrupt::watch(Lang::En, move || Output::standard(mode));
    interrupt::begin_work();
    match answer() {
        Ok(()) => ExitCode::SUCCESS,
        // Nobody is there to be told why.
        Err(_) => ExitCode::FAILURE,
    }
}

fn answer() -> Result<(), Failure> {
    let device = take_device()?;
    let mut order = Vec::new();
    let stdin = Path::new("/dev/stdin");
    let read = std::io::stdin().take(LONGEST).read_to_end(&mut order);
    read.map_err(|error| Failure::io(stdin, &error))?;
    let Order {
        manager,
        at,
        for_all,
    } = serde_json::from_slice(&order)
        .map_err(|error| Failure::new(Code::Usage, error.to_string()))?;
    let source = manager::Images::new(manager)?;
    let readers = if for_all {
        Readers::Everybody
    } else {
        Readers::Root
    };
    let answering = thread::Builder::new()
        .name("view".to_owned())
        .spawn(move || azud_view::serve(source, readers, device));
    let answering = answering.map_err(|error| Failure::io(&at, &error))?;
    while !answering.is_finished() {
        if interrupt::go_on().is_err() {
            end(&at, || answering.is_finished());
            return Ok(());
        }
        thread::sleep(NAP);
    }
    let ended = answering
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    ended.map_err(|error| Failure::io(&at, &error))
}

/// Takes the view away. Who still has files open is waited for a little.
fn end(at: &Path, ended: impl Fn() -> bool) {
    if is_at(at) && withdraw(at).is_ok() {
        let begun = Instant::now();
        while !ended() && begun.elapsed() < LAST {
            thread::sleep(NAP);
        }
        let _ = std::fs::remove_dir(at);
    }
}
