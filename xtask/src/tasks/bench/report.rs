//! The tables with what a reader needs to judge them.

use std::fs;

use anyhow::{Context, Result};
use azud_testkit::tools::run_any;

use super::super::{complain, machine, root, say};
use super::disks::Lab;
use super::table::Table;

const DOCUMENT: &str = "docs/benchmarks.md";
const BEGIN: &str = "<!-- written by cargo xtask bench -->";
const END: &str = "<!-- end -->";

/// Prints the tables and, when asked for, puts them into the document.
pub(super) fn show(lab: &Lab, tables: &[Table]) -> Result<()> {
    let mut text = head(lab)?;
    for table in tables {
        text += "\n";
        text += &table.markdown();
    }
    say(&text);
    if !lab.options.write {
        return Ok(());
    }
    let path = root().join(DOCUMENT);
    let old = fs::read_to_string(&path).with_context(|| DOCUMENT.to_owned())?;
    let new = replace(&old, &text).with_context(|| format!("{DOCUMENT} has lost its marks"))?;
    fs::write(&path, new)?;
    complain(&format!("bench: {DOCUMENT} is written"));
    Ok(())
}

/// What stands between the marks, replaced.
fn replace(old: &str, text: &str) -> Option<String> {
    let (before, rest) = old.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!(
        "{before}{BEGIN}\n\n{}\n\n{END}{after}",
        text.trim_end()
    ))
}

fn head(lab: &Lab) -> Result<String> {
    let zstd = azud_image::zstd_version();
    let tools = [
        format!("{} (zstd {zstd} inside)", version(&lab.azud, "--version")?),
        version("partclone.extfs", "-v")?,
        version("zstd", "--version")?,
        version("ntfsclone", "--version").unwrap_or_default(),
    ];
    Ok(format!(
        "`{}`, {} turns of each side. {}. {}.\n",
        lab.options.command,
        lab.options.runs,
        machine::line()?,
        tools.join(", ")
    ))
}

/// The name of a program and the word of its greeting that says the version.
fn version(program: &str, option: &str) -> Result<String> {
    let name = program.rsplit('/').next().unwrap_or_default();
    let output = run_any(program, &[option])?;
    let greeting = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    let is_version = |word: &&str| {
        let digits = word.trim_start_matches('v');
        digits.starts_with(|c: char| c.is_ascii_digit()) && digits.contains('.')
    };
    let found = greeting.split([' ', '\n', ',']).find(is_version);
    let found = found.with_context(|| format!("the version of {name}"))?;
    Ok(format!("{name} {}", found.trim_start_matches('v')))
}

#[cfg(test)]
mod tests {
    use super::{BEGIN, END, replace};

    #[test]
    fn only_what_is_between_the_marks_is_replaced() {
        let old = format!("# Top\n{BEGIN}\nold\n{END}\nbottom\n");
        let new = replace(&old, "new\n").unwrap();
        assert_eq!(new, format!("# Top\n{BEGIN}\n\nnew\n\n{END}\nbottom\n"));
        assert_eq!(replace(&new, "new").unwrap(), new);
        assert!(replace("nothing", "new").is_none());
    }
}
