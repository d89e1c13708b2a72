//! Between a plan and its execution: the dry run stops here, and so does whoever has not said that
//! the content of a device may go.

use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal, Write};

use azud_core::code::Code;

use crate::args::Writing;
use crate::commands::Context;
use crate::failure::{Failure, Hint};
use crate::i18n::Catalog;
use crate::interrupt;
use crate::plan::Plan;

/// What comes after a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Step {
    /// Do it.
    Go,
    /// It was a dry run: the command is done.
    Stop,
}

/// Shows the plan of work that destroys nothing.
pub fn settle(context: &Context, plan: &Plan, writing: Writing) -> Step {
    plan.show(&context.catalog, &context.output, writing.dry_run);
    step(context, writing)
}

/// From here on a signal waits for a safe moment, and what is done is told.
fn step(context: &Context, writing: Writing) -> Step {
    if writing.dry_run {
        return Step::Stop;
    }
    interrupt::begin_work();
    context.teller.agreed();
    Step::Go
}

/// What is asked before something goes that does not come back: a name is the yes.
#[derive(Debug, Clone, Copy)]
pub struct Asking<'a> {
    /// The answer that is a yes.
    name: &'a str,
    /// The question.
    prompt: &'static str,
    /// What is said where nobody answers.
    nobody: &'static str,
    /// What to do about a no, where the code's hint is not enough.
    hint: Option<&'static str>,
}

impl<'a> Asking<'a> {
    const fn of(name: &'a str, prompt: &'static str) -> Self {
        Self {
            name,
            prompt,
            nobody: "confirm-nobody",
            hint: None,
        }
    }

    /// What a device holds is destroyed.
    pub const fn content(device: &'a str) -> Self {
        Self::of(device, "confirm-prompt")
    }

    /// A disk's partition table changes, and nothing else on it.
    pub const fn table(disk: &'a str) -> Self {
        Self::of(disk, "confirm-prompt-table")
    }

    /// Images leave a place for good.
    pub const fn removal(place: &'a str) -> Self {
        Self::of(place, "confirm-removal-prompt")
    }

    /// Among them is the last copy of what a partition runs.
    pub const fn last_copy(place: &'a str) -> Self {
        Self::of(place, "confirm-last-copy-prompt")
    }

    /// Nothing is lost, but somebody has to compare a manager's fingerprint.
    pub const fn pin(host: &'a str) -> Self {
        Self {
            nobody: "confirm-pin-nobody",
            ..Self::of(host, "confirm-pin-prompt")
        }
    }

    /// What is kept of a repository, and its token, makes place for less.
    pub const fn replacing(host: &'a str) -> Self {
        Self {
            nobody: "confirm-replacing-nobody",
            hint: Some("hint-replacing"),
            ..Self::of(host, "confirm-replacing-prompt")
        }
    }
}

/// Shows the plan of work that takes something away for good, and asks for a name unless `--yes` was given.
///
/// # Errors
/// `cli/not-confirmed` when the answer is another or nobody is there to answer.
pub fn settle_asking(
    context: &Context,
    plan: &Plan,
    writing: Writing,
    asking: Asking<'_>,
) -> Result<Step, Failure> {
    let ask = !writing.dry_run && !writing.yes;
    // Nobody says yes to a plan that was not shown.
    plan.show(&context.catalog, &context.output, writing.dry_run || ask);
    if ask {
        let mut person = if context.output.mode().json {
            None
        } else {
            person()
        };
        let person = person.as_mut().map(|person| person as &mut dyn Ask);
        let confirmed = confirm(&context.catalog, asking, person);
        confirmed.map_err(|failure| match asking.hint {
            Some(hint) => failure.with_hint(Hint::of(hint)),
            None => failure,
        })?;
    }
    Ok(step(context, writing))
}

/// Somebody who can be asked.
trait Ask {
    /// Their answer, `None` when they went away.
    fn ask(&mut self, prompt: &str) -> io::Result<Option<String>>;
}

struct Terminal {
    file: BufReader<File>,
}

impl Ask for Terminal {
    fn ask(&mut self, prompt: &str) -> io::Result<Option<String>> {
        let terminal = self.file.get_mut();
        write!(terminal, "{prompt} ")?;
        terminal.flush()?;
        let mut line = String::new();
        let read = self.file.read_line(&mut line)?;
        if read == 0 {
            // What follows begins on a line of its own.
            writeln!(self.file.get_mut())?;
        }
        Ok((read > 0).then_some(line))
    }
}

/// The controlling terminal, so that standard input may carry an image; only when somebody looks at
/// one of our streams, or a script in the background would wait for ever.
fn person() -> Option<Terminal> {
    if !io::stdin().is_terminal() && !io::stderr().is_terminal() {
        return None;
    }
    let file = File::options()
        .read(true)
        .write(true)
        .open("/dev/tty")
        .ok()?;
    Some(Terminal {
        file: BufReader::new(file),
    })
}

fn confirm(
    catalog: &Catalog,
    asking: Asking<'_>,
    person: Option<&mut dyn Ask>,
) -> Result<(), Failure> {
    let values = [("device", asking.name.into())];
    let refused = |key: &str| Failure::new(Code::NotConfirmed, catalog.fmt(key, &values));
    let Some(person) = person else {
        return Err(refused(asking.nobody));
    };
    let prompt = catalog.fmt(asking.prompt, &values);
    match interrupt::question(|| person.ask(&prompt)) {
        Ok(Some(answer)) if answer.trim_end_matches(['\r', '\n']) == asking.name => Ok(()),
        Ok(Some(_)) => Err(refused("confirm-other")),
        Ok(None) | Err(_) => Err(refused(asking.nobody)),
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use azud_core::code::Code;

    use super::{Ask, Asking, Step, confirm, settle, settle_asking};
    use crate::args::Writing;
    use crate::commands::Context;
    use crate::i18n::{Catalog, Lang};
    use crate::output::memory::output;
    use crate::plan::Plan;
    use crate::site::SiteArgs;
    use crate::telling::Teller;

    struct Says(Option<&'static str>);

    impl Ask for Says {
        fn ask(&mut self, prompt: &str) -> io::Result<Option<String>> {
            assert!(prompt.contains("/dev/sdz9"), "{prompt}");
            Ok(self.0.map(str::to_owned))
        }
    }

    #[test]
    fn only_the_very_name_is_a_yes() {
        let catalog = Catalog::new(Lang::En);
        let asking = Asking::content("/dev/sdz9");
        let ask = |answer| confirm(&catalog, asking, Some(&mut Says(answer)));
        assert_eq!(ask(Some("/dev/sdz9\n")), Ok(()));
        for answer in [
            Some("/dev/sdz\n"),
            Some("yes\n"),
            Some("\n"),
            Some("/dev/sdz9 \n"),
            None,
        ] {
            assert_eq!(
                ask(answer).unwrap_err().code,
                Code::NotConfirmed,
                "{answer:?}"
            );
        }
        let nobody = confirm(&catalog, asking, None).unwrap_err();
        assert_eq!(nobody.code, Code::NotConfirmed);
    }

    #[test]
    fn a_dry_run_stops_and_yes_goes() {
        let plan = Plan::new("image-restore").text("device", "/dev/sdz9");
        let settled = |dry_run, yes| {
            // With --json nobody is asked, whatever terminal the test runs on.
            let (output, out, _) = output(true, false);
            let context = Context {
                catalog: Catalog::new(Lang::En).into(),
                output: output.into(),
                site: SiteArgs::default(),
                teller: Teller::default(),
            };
            let writing = Writing { dry_run, yes };
            let step = settle_asking(&context, &plan, writing, Asking::content("/dev/sdz9"));
            assert!(out.text().contains("/dev/sdz9"));
            (
                step.map_err(|failure| failure.code),
                settle(&context, &plan, writing),
            )
        };
        assert_eq!(settled(true, false), (Ok(Step::Stop), Step::Stop));
        assert_eq!(settled(true, true), (Ok(Step::Stop), Step::Stop));
        assert_eq!(settled(false, true), (Ok(Step::Go), Step::Go));
        assert_eq!(settled(false, false), (Err(Code::NotConfirmed), Step::Go));
    }
}
