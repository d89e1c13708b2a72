//! The command line: what every command accepts, and how a line becomes a [`Cli`].
//!
//! clap knows the shape, the catalogue knows the words: [`help`] puts the user's language into the
//! finished [`clap::Command`], [`usage`] translates refusals.

pub mod help;
pub mod size;
pub mod usage;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::StyledStr;
use clap::{Args, FromArgMatches, Parser};

use crate::commands::Command;
use crate::failure::Failure;
use crate::i18n::{Catalog, Lang};
use crate::site::SiteArgs;

/// Keeps the disk images of computer rooms.
#[derive(Debug, Parser)]
#[command(name = "azud", version)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// For every command.
    #[command(flatten)]
    pub global: Global,
}

/// Options of every command.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// JSON for programs.
    #[arg(long, global = true)]
    pub json: bool,
    /// Nothing but what was asked for.
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Language of messages.
    #[arg(long, global = true, value_name = "LANG", value_parser = lang())]
    pub lang: Option<Lang>,
    /// Where the site keeps its images.
    #[command(flatten)]
    pub site: SiteArgs,
}

/// Options of every command that writes.
#[derive(Debug, Clone, Copy, Default, Args)]
pub struct Writing {
    /// Only show the plan.
    #[arg(long)]
    pub dry_run: bool,
    /// Do not ask.
    #[arg(long, short)]
    pub yes: bool,
}

/// The languages by name, so that completions know them.
fn lang() -> impl clap::builder::TypedValueParser<Value = Lang> {
    use clap::builder::{PossibleValuesParser, TypedValueParser};
    PossibleValuesParser::new(Lang::ALL.map(Lang::code))
        .map(|code| Lang::of_locale(&code).expect("only these are possible"))
}

/// A path where one word has a meaning of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Special {
    /// The word.
    Word,
    /// A path.
    Path(PathBuf),
}

/// A path, or `word` itself; a file of that name is reached as `./word`.
pub fn path_or(word: &'static str) -> impl clap::builder::TypedValueParser<Value = Special> {
    use clap::builder::{PathBufValueParser, TypedValueParser};
    PathBufValueParser::new().map(move |path| {
        if path.as_os_str() == word {
            Special::Word
        } else {
            Special::Path(path)
        }
    })
}

/// What must be known before the line is understood: how to say that it was not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Early {
    /// The language.
    pub lang: Lang,
    /// Whether a program reads.
    pub json: bool,
}

impl Early {
    /// Looks for `--lang` and `--json` among `args`, else at the environment.
    pub fn of(args: &[OsString], variable: impl Fn(&str) -> Option<String>) -> Self {
        let mut asked = None;
        let mut json = false;
        let mut words = args.iter().skip(1).filter_map(|arg| arg.to_str());
        while let Some(word) = words.next() {
            match word {
                "--" => break,
                "--json" => json = true,
                "--lang" => asked = words.next().and_then(Lang::of_locale),
                _ => {
                    if let Some(name) = word.strip_prefix("--lang=") {
                        asked = Lang::of_locale(name);
                    }
                }
            }
        }
        let lang = asked.unwrap_or_else(|| Lang::of_environment(variable));
        Self { lang, json }
    }
}

/// What a line asks for, if not a command.
#[derive(Debug)]
pub enum Stop {
    /// Help or version was asked for.
    Show(StyledStr),
    /// The line ends before the command does: help for people, an error for programs.
    Incomplete(StyledStr, Box<Failure>),
    /// Not understood.
    Usage(Box<Failure>),
}

/// Understands a command line.
///
/// # Errors
/// [`Stop`] when there is nothing to run.
pub fn parse(args: &[OsString], catalog: &Catalog) -> Result<Cli, Stop> {
    let mut command = help::command(catalog);
    command
        .try_get_matches_from_mut(args)
        .and_then(|matches| Cli::from_arg_matches(&matches))
        .map_err(|error| usage::stop(&error, args, catalog))
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::Early;
    use crate::i18n::Lang;

    fn early(line: &str, lang: &str) -> Early {
        let args: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        Early::of(&args, |name| (name == "LANG").then(|| lang.to_owned()))
    }

    #[test]
    fn language_and_json_are_found_anywhere_before_two_dashes() {
        let is = |lang, json| Early { lang, json };
        assert_eq!(early("azud --lang es image", "C"), is(Lang::Es, false));
        assert_eq!(
            early("azud image create --lang=es --json", "C"),
            is(Lang::Es, true)
        );
        assert_eq!(early("azud -- --lang es --json", "C"), is(Lang::En, false));
        assert_eq!(early("azud", "es_ES.UTF-8"), is(Lang::Es, false));
        assert_eq!(early("azud --lang en", "es_ES.UTF-8"), is(Lang::En, false));
        assert_eq!(early("azud --lang fr", "es_ES.UTF-8"), is(Lang::Es, false));
        assert_eq!(early("azud --lang", "es"), is(Lang::Es, false));
    }
}
