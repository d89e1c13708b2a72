//! Help in the user's language: the catalogue's words laid over clap's command.
//!
//! `help-<command>-<subcommand>` says what a command does, its attributes what each argument means;
//! `help-args` has the arguments that many commands share. A missing text fails the tests.

use std::collections::HashMap;

use clap::{Arg, ArgAction, Args, Command};

use super::Cli;
use crate::i18n::Catalog;

/// Wide terminals do not make long lines easier to read.
const WIDTH: usize = 80;

/// The whole command line in one language.
pub fn command(catalog: &Catalog) -> Command {
    let version = Arg::new("version")
        .short('V')
        .long("version")
        .action(ArgAction::Version);
    // Before clap's derived arguments, so that these options are listed before the general ones.
    let root = Command::new("azud")
        .disable_version_flag(true)
        .arg(version)
        .arg(help());
    let root = translate(Cli::augment_args(root), catalog, "help");
    let mut usages = HashMap::new();
    let mut built = root.clone();
    built.build();
    collect_usages(&mut built, catalog, "azud", &mut usages);
    apply_usages(root, "azud", &usages)
}

fn help() -> Arg {
    Arg::new("help")
        .short('h')
        .long("help")
        .action(ArgAction::Help)
}

fn translate(command: Command, catalog: &Catalog, key: &str) -> Command {
    let mut place = 0;
    let usage = command.get_styles().get_usage();
    let heading = catalog.text("usage-heading");
    let template = format!(
        "{{about-with-newline}}\n{usage}{heading}{usage:#} {{usage}}\n\n{{all-args}}{{after-help}}"
    );
    let has_help = command.get_arguments().any(|arg| arg.get_id() == "help");
    command
        .about(catalog.text(key))
        .disable_help_flag(true)
        .disable_help_subcommand(true)
        .args((!has_help).then(help))
        .mut_args(|arg| {
            place += 1;
            translate_arg(arg.display_order(place), catalog, key)
        })
        .subcommand_help_heading(catalog.text("usage-commands"))
        .subcommand_value_name(catalog.text("value-command"))
        .max_term_width(WIDTH)
        .help_template(template)
        .mut_subcommands(|sub| {
            let key = format!("{key}-{}", sub.get_name());
            translate(sub, catalog, &key)
        })
}

fn translate_arg(arg: Arg, catalog: &Catalog, key: &str) -> Arg {
    let id = arg.get_id().as_str().replace('_', "-");
    let own = catalog.find(&format!("{key}.{id}"), &[]);
    let help = own.unwrap_or_else(|| catalog.text(&format!("help-args.{id}")));
    let heading = match (arg.is_positional(), arg.is_global_set()) {
        (true, _) => "usage-arguments",
        (false, true) => "usage-global",
        (false, false) => "usage-options",
    };
    let arg = arg.help_heading(catalog.text(heading));
    if arg.get_action().takes_values() {
        translate_values(arg, catalog, help)
    } else {
        arg.help(help)
    }
}

/// clap would append possible and default values in English.
fn translate_values(arg: Arg, catalog: &Catalog, mut help: String) -> Arg {
    let possible: Vec<String> = arg
        .get_possible_values()
        .iter()
        .map(|value| value.get_name().to_owned())
        .collect();
    if !possible.is_empty() {
        let values = possible.join(", ").into();
        help += " ";
        help += &catalog.fmt("usage-possible", &[("values", values)]);
    }
    if let [default] = arg.get_default_values() {
        let value = default.to_string_lossy().into_owned().into();
        help += " ";
        help += &catalog.fmt("usage-default", &[("value", value)]);
    }
    let names: Vec<String> = arg
        .get_value_names()
        .unwrap_or_default()
        .iter()
        .map(|name| catalog.text(&format!("value-{}", name.to_lowercase())))
        .collect();
    let arg = arg
        .help(help)
        .hide_possible_values(true)
        .hide_default_value(true);
    if names.is_empty() {
        arg
    } else {
        arg.value_names(names)
    }
}

/// clap writes `[OPTIONS]` itself, so its finished usage is taken and translated.
fn collect_usages(
    command: &mut Command,
    catalog: &Catalog,
    path: &str,
    into: &mut HashMap<String, String>,
) {
    let usage = command.render_usage().to_string();
    let usage = usage.strip_prefix("Usage: ").unwrap_or(&usage);
    let usage = usage.replace("[OPTIONS]", &catalog.text("usage-any-options"));
    into.insert(path.to_owned(), usage);
    for sub in command.get_subcommands_mut() {
        let path = format!("{path} {}", sub.get_name());
        collect_usages(sub, catalog, &path, into);
    }
}

fn apply_usages(command: Command, path: &str, usages: &HashMap<String, String>) -> Command {
    command
        .override_usage(usages[path].clone())
        .mut_subcommands(|sub| {
            let path = format!("{path} {}", sub.get_name());
            apply_usages(sub, &path, usages)
        })
}

#[cfg(test)]
mod tests {
    use super::command;
    use crate::i18n::{Catalog, Lang};

    #[test]
    fn the_command_line_is_sound_in_every_language() {
        for lang in Lang::ALL {
            // Also fails for a command or argument without a text.
            command(&Catalog::new(lang)).debug_assert();
        }
    }

    #[test]
    fn spanish_help_has_no_english_left() {
        let catalog = Catalog::new(Lang::Es);
        let mut command = command(&catalog);
        let create = command.find_subcommand_mut("image").unwrap();
        let help = create
            .find_subcommand_mut("create")
            .unwrap()
            .render_help()
            .to_string();
        assert!(
            help.contains("Uso: azud image create [OPCIONES] <DISPOSITIVO> <IMAGEN>"),
            "{help}"
        );
        for english in [
            "Usage",
            "OPTIONS",
            "Options",
            "Arguments",
            "Print",
            "default",
            "values",
        ] {
            assert!(!help.contains(english), "{english} in {help}");
        }
        let device = help.find("\n  <DISPOSITIVO>").unwrap();
        assert!(device < help.find("\n  <IMAGEN>").unwrap(), "{help}");
    }
}
