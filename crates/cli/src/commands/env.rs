//! `azud env`.

use azud_core::namespace::{Namespace, Variable, View};
use clap::ValueEnum;
use serde_json::{Map, Value, json};

use super::Context;
use crate::failure::Failure;
use crate::output::detail;
use crate::place;

/// For whom the variables are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Syntax {
    /// POSIX shells: sh, dash, bash, ash, zsh.
    Sh,
    /// fish.
    Fish,
}

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which shell reads it.
    #[arg(long, value_name = "SHELL", default_value = "sh")]
    shell: Syntax,
}

impl Args {
    /// Prints where the repositories are, for `eval "$(azud env)"`. The views that the values name are made
    /// first; what would lead through one that cannot be made is not set.
    ///
    /// # Errors
    /// When the configuration is not understood, or what holds the names does not answer.
    pub fn run(&self, context: &Context) -> Result<(), Failure> {
        let variables = variables(context)?;
        let members: Map<String, Value> = variables
            .iter()
            .map(|variable| (variable.name.clone(), json!(variable.value)))
            .collect();
        let value = json!({ "variables": members });
        context
            .output
            .answer(&value, || self.shell.lines(&variables));
        Ok(())
    }
}

/// What [`Args::run`] prints for POSIX shells.
///
/// # Errors
/// As there.
pub(crate) fn for_sh(context: &Context) -> Result<String, Failure> {
    Ok(Syntax::Sh.lines(&variables(context)?))
}

/// The variables, whose views are there.
fn variables(context: &Context) -> Result<Vec<Variable>, Failure> {
    let namespace = place::namespace(context)?;
    for dead in namespace.dead() {
        let values = [("path", dead.at.display().to_string().into())];
        let text = context.catalog.fmt("warn-silent", &values);
        context.output.warn(&context.catalog, &text);
    }
    let Err(failure) = place::keep_in_step(&namespace) else {
        return Ok(namespace.environment());
    };
    // Nor can the views be looked at then.
    namespace.check_base()?;
    let stands = |view: &View| {
        std::fs::read_link(view.dir.join(&view.inner)).is_ok_and(|to| to == view.target)
    };
    let variables = namespace.environment_where(&stands);
    warn(context, &failure, &unset(&namespace, &variables));
    Ok(variables)
}

/// What would have a value if all views were there.
fn unset(namespace: &Namespace, variables: &[Variable]) -> Vec<String> {
    let whole = namespace.environment().into_iter();
    let both = whole.zip(variables);
    let unset = both.filter(|(whole, there)| whole.value.is_some() && there.value.is_none());
    unset.map(|(whole, _)| whole.name).collect()
}

fn warn(context: &Context, failure: &Failure, unset: &[String]) {
    let why = detail(&context.catalog, failure);
    let text = if unset.is_empty() {
        why
    } else {
        let values = [("names", unset.join(", ").into()), ("why", why.into())];
        context.catalog.fmt("warn-no-views", &values)
    };
    context.output.warn(&context.catalog, &text);
}

impl Syntax {
    fn lines(self, variables: &[Variable]) -> String {
        let lines = variables.iter().map(|variable| self.line(variable));
        lines.collect::<Vec<_>>().join("\n")
    }

    /// Sets a variable, or takes away what an earlier run had set.
    fn line(self, Variable { name, value }: &Variable) -> String {
        match (self, value) {
            (Self::Sh, Some(value)) => {
                format!("export {name}='{}'", value.replace('\'', r"'\''"))
            }
            (Self::Sh, None) => format!("unset {name}"),
            (Self::Fish, Some(value)) => {
                let value = value.replace('\\', r"\\").replace('\'', r"\'");
                format!("set -gx {name} '{value}'")
            }
            (Self::Fish, None) => format!("set -e {name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use azud_core::namespace::Variable;

    use super::Syntax;

    #[test]
    fn every_shell_reads_hostile_values_back() {
        let hostile = r#"a'b"c $(touch /tmp/azud-x) `id` \ \' \\ ñ *?[a] !"#;
        let variable = Variable {
            name: "AZUD_VALUE".to_owned(),
            value: Some(hostile.to_owned()),
        };
        let shells: [(&[&str], Syntax); 5] = [
            (&["dash"], Syntax::Sh),
            (&["bash"], Syntax::Sh),
            (&["busybox", "ash"], Syntax::Sh),
            (&["zsh"], Syntax::Sh),
            (&["fish"], Syntax::Fish),
        ];
        for (shell, syntax) in shells {
            let line = syntax.line(&variable);
            let script = format!("{line}\nprintf %s \"$AZUD_VALUE\"\n");
            let mut command = Command::new(shell[0]);
            command.args(&shell[1..]).arg("-c").arg(script);
            let Ok(output) = command.output() else {
                // Strict mode fails in the test of the whole command, which knows the tools it needs.
                continue;
            };
            assert_eq!(
                String::from_utf8_lossy(&output.stdout),
                hostile,
                "{shell:?}"
            );
        }
    }

    #[test]
    fn what_is_gone_is_unset() {
        let variable = Variable {
            name: "USB".to_owned(),
            value: None,
        };
        assert_eq!(Syntax::Sh.line(&variable), "unset USB");
        assert_eq!(Syntax::Fish.line(&variable), "set -e USB");
    }
}
