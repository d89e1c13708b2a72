//! `cargo xtask check`: what neither the compiler nor clippy looks after.

mod dependencies;
mod links;
mod sizes;
mod words;

use std::fs;

use anyhow::{Context, Result, bail};

use super::{complain, output_of, root, say};

/// A text file of the project.
#[derive(Debug)]
struct Source {
    /// Its path from the top of the workspace.
    path: String,
    text: String,
}

/// Breaches of the rules, and what is only worth a word.
#[derive(Debug, Default)]
struct Findings {
    failures: Vec<String>,
    warnings: Vec<String>,
}

impl Findings {
    fn fail(&mut self, text: String) {
        self.failures.push(text);
    }

    fn warn(&mut self, text: String) {
        self.warnings.push(text);
    }
}

/// Checks everything and reports all that is wrong.
pub(super) fn run(args: &[String]) -> Result<()> {
    if let Some(arg) = args.first() {
        bail!("takes no argument, but was given {arg}");
    }
    let sources = sources()?;
    let mut findings = Findings::default();
    dependencies::check(&mut findings)?;
    sizes::check(&sources, &mut findings);
    words::check(&sources, &mut findings);
    links::check(&sources, |path| root().join(path).exists(), &mut findings);
    for warning in &findings.warnings {
        complain(&format!("warning: {warning}"));
    }
    for failure in &findings.failures {
        complain(&format!("error: {failure}"));
    }
    match findings.failures.len() {
        0 => say(&format!("check: {} files are in order", sources.len())),
        count => bail!("{count} breaches of the house's rules"),
    }
    Ok(())
}

/// Whether a path ends in `.ending`.
fn has_ending(path: &str, ending: &str) -> bool {
    path.rsplit_once('.')
        .is_some_and(|(_, last)| last == ending)
}

/// Every text file that is tracked or about to be.
fn sources() -> Result<Vec<Source>> {
    const TEXT: [&str; 7] = ["rs", "md", "toml", "ftl", "sh", "yml", "run"];
    let list = output_of("git", &["ls-files", "-z", "-co", "--exclude-standard"])?;
    let paths = list.split('\0').filter(|path| {
        let ending = path.rsplit(['.', '/']).next().unwrap_or_default();
        TEXT.contains(&ending)
    });
    let mut sources = Vec::new();
    for path in paths {
        let file = root().join(path);
        // Deleted, but not yet from the index.
        if !file.exists() {
            continue;
        }
        let text = fs::read_to_string(&file).with_context(|| format!("reading {path}"))?;
        let path = path.to_owned();
        sources.push(Source { path, text });
    }
    Ok(sources)
}
