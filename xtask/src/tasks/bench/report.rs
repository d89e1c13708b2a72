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
/// Begins the tables of a group, which end where the next ones begin.
const GROUP: &str = "<!-- group ";
const GROUP_END: &str = " -->";
/// Stands where nothing was measured yet.
const NOTHING: &str = "Not measured on this version.";

/// Prints the tables of a group and, when asked for, puts them into the document in place of its former ones.
pub(super) fn show(lab: &Lab, group: &str, tables: &[Table]) -> Result<()> {
    if tables.is_empty() {
        return Ok(());
    }
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
    let new = replace(&old, group, &text);
    let new = new.with_context(|| format!("{DOCUMENT} has lost its marks"))?;
    fs::write(&path, new)?;
    complain(&format!("bench: {DOCUMENT} is written, group {group}"));
    Ok(())
}

/// The document with this text as that of the group; what other groups have stays.
fn replace(old: &str, group: &str, text: &str) -> Option<String> {
    let (before, rest) = old.split_once(BEGIN)?;
    let (inside, after) = rest.split_once(END)?;
    let mut parts = inside.split(GROUP);
    let unmarked = parts.next().unwrap_or_default().trim();
    let mut out = format!("{before}{BEGIN}\n\n");
    if !unmarked.is_empty() && unmarked != NOTHING {
        out += unmarked;
        out += "\n\n";
    }
    let mut groups = Vec::new();
    for part in parts {
        groups.push(part.split_once(GROUP_END)?);
    }
    match groups.iter_mut().find(|(name, _)| *name == group) {
        Some((_, former)) => *former = text,
        None => groups.push((group, text)),
    }
    for (name, text) in groups {
        out += &[GROUP, name, GROUP_END, "\n\n", text.trim(), "\n\n"].concat();
    }
    Some(format!("{out}{END}{after}"))
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
    use super::{BEGIN, END, NOTHING, replace};

    #[test]
    fn each_group_replaces_its_own_tables_only() {
        let old = format!("# Top\n{BEGIN}\n\n{NOTHING}\n\n{END}\nbottom\n");
        let one = replace(&old, "ext4", "one\n").unwrap();
        assert_eq!(
            one,
            format!("# Top\n{BEGIN}\n\n<!-- group ext4 -->\n\none\n\n{END}\nbottom\n")
        );
        let two = replace(&one, "list", "two").unwrap();
        assert!(two.contains("one") && two.contains("two"), "{two}");
        assert_eq!(replace(&two, "list", "two").unwrap(), two);
        let three = replace(&two, "ext4", "three").unwrap();
        assert!(!three.contains("one") && three.contains("three"), "{three}");
        assert!(three.find("three") < three.find("two"), "{three}");
        assert!(replace("nothing", "ext4", "new").is_none());
    }

    #[test]
    fn tables_without_a_mark_stay() {
        let old = format!("{BEGIN}\nold\n{END}");
        let new = replace(&old, "list", "new").unwrap();
        assert!(new.contains("old") && new.contains("new"), "{new}");
    }
}
