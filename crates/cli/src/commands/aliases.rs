//! `azud aliases …`: OpenGnsys' names as links to this program.

use std::path::{Path, PathBuf};

use azud_core::code::Code;
use azud_store::links::{self, Change};
use clap::Subcommand;
use serde_json::json;

use super::Context;
use crate::args::Writing;
use crate::compat::NAMES;
use crate::confirm::{Step, settle};
use crate::failure::Failure;
use crate::plan::{Plan, Value};

/// What can be done with the names.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Makes the links.
    Install(InstallArgs),
    /// Lists the names.
    List,
}

impl Verb {
    /// Runs it.
    ///
    /// # Errors
    /// Whatever kept it from being done.
    pub fn run(&self, context: &Context) -> Result<(), Failure> {
        match self {
            Self::Install(args) => args.run(context),
            Self::List => {
                list(context);
                Ok(())
            }
        }
    }
}

fn list(context: &Context) {
    let names: Vec<_> = NAMES
        .iter()
        .map(|name| {
            let statuses: Vec<u8> = name.statuses.iter().map(|it| it.number()).collect();
            json!({ "name": name.text, "formats": name.formats, "statuses": statuses })
        })
        .collect();
    context.output.answer(&json!({ "names": names }), || {
        let lines = NAMES.iter().flat_map(|name| {
            let lines = name.formats.iter();
            lines.map(|format| format!("{} {format}", name.text).trim_end().to_owned())
        });
        lines.collect::<Vec<_>>().join("\n")
    });
}

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct InstallArgs {
    /// Where to.
    pub dir: PathBuf,
    /// Plan and consent.
    #[command(flatten)]
    pub writing: Writing,
}

impl InstallArgs {
    /// Makes a link of every name. Other programs of the same names stay, and then nothing is made.
    ///
    /// # Errors
    /// `place/alias-taken`; when the directory cannot be written.
    pub fn run(&self, context: &Context) -> Result<(), Failure> {
        let program =
            std::env::current_exe().map_err(|error| Failure::io(Path::new("azud"), &error))?;
        let dir = std::fs::canonicalize(&self.dir);
        let dir = dir.map_err(|error| Failure::io(&self.dir, &error))?;
        let mut changes = Vec::new();
        for name in NAMES {
            changes.extend(change(&dir.join(name.text), &program)?);
        }
        let names: Vec<String> = changes.iter().map(link_name).collect();
        let names = if names.is_empty() {
            Value::Word("none")
        } else {
            Value::Text(names.join(" "))
        };
        let plan = Plan::new("aliases-install")
            .text("directory", dir.display().to_string())
            .text("program", program.display().to_string())
            .row("names", names);
        if settle(context, &plan, self.writing) == Step::Stop {
            return Ok(());
        }
        links::apply(&dir, &changes)?;
        let names: Vec<&str> = NAMES.iter().map(|name| name.text).collect();
        let value = json!({
            "action": "aliases-install",
            "directory": dir,
            "names": names,
            "changed": changes.len(),
        });
        context.output.result(&value, || {
            let values = [("count", NAMES.len().into())];
            context.catalog.fmt("result-aliases-install", &values)
        });
        Ok(())
    }
}

fn link_name(change: &Change) -> String {
    let (Change::Make { path, .. } | Change::Repoint { path, .. } | Change::Withdraw { path }) =
        change;
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// What is to be done so that one name leads to the program. A link to something that is no Azud is another's.
fn change(path: &Path, program: &Path) -> Result<Option<Change>, Failure> {
    let change = links::correction(path, program)?;
    if matches!(change, Some(Change::Repoint { .. })) {
        let target = std::fs::read_link(path).map_err(|error| Failure::io(path, &error))?;
        if target.file_name() != program.file_name() {
            let text = format!("{} leads to {}", path.display(), target.display());
            return Err(Failure::new(Code::AliasTaken, text));
        }
    }
    Ok(change)
}
