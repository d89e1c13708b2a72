//! `azud completions SHELL`.

use clap_complete::Shell;
use serde_json::json;

use super::Context;
use crate::args::help;
use crate::failure::Failure;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The shell.
    shell: Shell,
}

impl Args {
    /// Prints the script.
    ///
    /// # Errors
    /// None.
    pub fn run(&self, context: &Context) -> Result<(), Failure> {
        let mut script = Vec::new();
        let mut command = help::command(&context.catalog);
        clap_complete::generate(self.shell, &mut command, "azud", &mut script);
        let script = String::from_utf8_lossy(&script);
        let value = json!({ "shell": self.shell.to_string(), "script": script });
        context
            .output
            .answer(&value, || script.trim_end().to_owned());
        Ok(())
    }
}
