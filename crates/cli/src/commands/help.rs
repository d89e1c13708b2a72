//! `azud help [COMMAND]...`.

use azud_core::code::Code;
use serde_json::json;

use super::Context;
use crate::args::help;
use crate::failure::Failure;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The command, word by word.
    #[arg(value_name = "COMMAND")]
    words: Vec<String>,
}

impl Args {
    /// Prints the command's help.
    ///
    /// # Errors
    /// `cli/usage` when there is no such command.
    pub fn run(&self, context: &Context) -> Result<(), Failure> {
        let mut root = help::command(&context.catalog);
        root.build();
        let mut command = &mut root;
        for word in &self.words {
            command = command.find_subcommand_mut(word).ok_or_else(|| {
                let values = [("command", word.as_str().into())];
                Failure::new(
                    Code::Usage,
                    context.catalog.fmt("usage-no-command", &values),
                )
            })?;
        }
        let text = command.render_help().to_string();
        let text = text.trim_end();
        context
            .output
            .answer(&json!({ "help": text }), || text.to_owned());
        Ok(())
    }
}
