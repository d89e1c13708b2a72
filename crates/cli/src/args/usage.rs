//! Refusals of the command line, in the user's language and in the shape of every other error.

use std::error::Error;
use std::ffi::OsString;

use azud_core::code::Code;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::size::BadValue;
use super::{Stop, help};
use crate::failure::Failure;
use crate::i18n::Catalog;

/// What clap's answer means.
pub fn stop(error: &clap::Error, args: &[OsString], catalog: &Catalog) -> Stop {
    let command = command_of(args, catalog);
    let hint = catalog.fmt("usage-hint", &[("command", command.into())]);
    let failure = Failure {
        causes: cause(error, catalog).into_iter().collect(),
        ..Failure::new(Code::Usage, detail(error, catalog)).with_hint(hint)
    };
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Stop::Show(error.render()),
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            Stop::Incomplete(error.render(), Box::new(failure))
        }
        _ => Stop::Usage(Box::new(failure)),
    }
}

fn detail(error: &clap::Error, catalog: &Catalog) -> String {
    let context = |kind| error.get(kind).map(words).unwrap_or_default();
    let arg = context(ContextKind::InvalidArg);
    let say = |key: &str, name: &str, value: String| catalog.fmt(key, &[(name, value.into())]);
    match error.kind() {
        ErrorKind::UnknownArgument => {
            let tip = context(ContextKind::SuggestedArg);
            say("usage-unknown", "arg", arg) + &suggestion(catalog, tip)
        }
        ErrorKind::InvalidSubcommand => {
            let tip = context(ContextKind::SuggestedSubcommand);
            let command = context(ContextKind::InvalidSubcommand);
            say("usage-no-command", "command", command) + &suggestion(catalog, tip)
        }
        ErrorKind::MissingRequiredArgument => say("usage-missing", "args", arg),
        ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            catalog.text("usage-which-command")
        }
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => {
            let value = context(ContextKind::InvalidValue);
            if value.is_empty() {
                return say("usage-no-value", "arg", arg);
            }
            let values = [("arg", arg.into()), ("value", value.into())];
            catalog.fmt("usage-bad-value", &values)
        }
        ErrorKind::ArgumentConflict => {
            let other = context(ContextKind::PriorArg);
            catalog.fmt(
                "usage-conflict",
                &[("arg", arg.into()), ("other", other.into())],
            )
        }
        _ => {
            let text = error.to_string();
            let line = text.lines().next().unwrap_or_default();
            line.trim_start_matches("error: ").to_owned()
        }
    }
}

fn cause(error: &clap::Error, catalog: &Catalog) -> Option<String> {
    if error.kind() == ErrorKind::InvalidValue {
        let values = error
            .get(ContextKind::ValidValue)
            .map(words)
            .unwrap_or_default();
        return (!values.is_empty())
            .then(|| catalog.fmt("usage-valid-values", &[("values", values.into())]));
    }
    let source = error.source()?;
    match source.downcast_ref() {
        Some(BadValue(key)) => Some(catalog.text(key)),
        None => Some(source.to_string()),
    }
}

fn suggestion(catalog: &Catalog, tip: String) -> String {
    if tip.is_empty() {
        return tip;
    }
    let tip = catalog.fmt("usage-suggestion", &[("tip", tip.into())]);
    format!(" {tip}")
}

fn words(value: &ContextValue) -> String {
    match value {
        ContextValue::Strings(list) => list.join(", "),
        ContextValue::None => String::new(),
        other => other.to_string(),
    }
}

/// The command that the line begins to name: where help is to be had.
fn command_of(args: &[OsString], catalog: &Catalog) -> String {
    let root = help::command(catalog);
    let mut command = &root;
    let mut path = String::from("azud");
    for word in args.iter().skip(1).filter_map(|arg| arg.to_str()) {
        if let Some(sub) = command.find_subcommand(word) {
            path = format!("{path} {word}");
            command = sub;
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use azud_core::code::Code;

    use crate::args::{Stop, parse};
    use crate::failure::Failure;
    use crate::i18n::{Catalog, Lang};

    fn refusal(line: &str, lang: Lang) -> Failure {
        let args: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        match parse(&args, &Catalog::new(lang)) {
            Err(Stop::Usage(failure) | Stop::Incomplete(_, failure)) => {
                assert_eq!(failure.code, Code::Usage);
                *failure
            }
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn refusals_name_the_culprit_and_where_help_is() {
        let cases = [
            ("azud image crate a b", "crate", "azud image --help"),
            ("azud image create a", "<IMAGE>", "azud image create --help"),
            (
                "azud image create a b --levle 3",
                "--level",
                "azud image create --help",
            ),
            (
                "azud image create a b --level 20",
                "20",
                "azud image create --help",
            ),
            (
                "azud image create a b --level",
                "--level",
                "azud image create --help",
            ),
            (
                "azud image restore a b --unused all",
                "all",
                "azud image restore --help",
            ),
            (
                "azud image restore a b --unused leave --discard",
                "--unused",
                "azud image restore",
            ),
            ("azud image", "image", "azud image --help"),
        ];
        for (line, culprit, help) in cases {
            let failure = refusal(line, Lang::En);
            let text = format!("{} {:?}", failure.detail, failure.hint);
            assert!(
                text.contains(culprit) && text.contains(help),
                "{line}: {failure:?}"
            );
        }
    }

    #[test]
    fn causes_are_translated() {
        let level = refusal("azud image create a b --level 20", Lang::Es);
        assert_eq!(level.causes, ["es un número entero del 1 al 19"]);
        let size = refusal("azud image create a b --keep-bytes 10Q", Lang::Es);
        assert!(size.causes[0].contains("10M"), "{size:?}");
        let unused = refusal("azud image restore a b --unused all", Lang::Es);
        assert!(
            unused.causes[0].contains("leave, discard, zero"),
            "{unused:?}"
        );
    }
}
