//! Installing and asking the names.

use std::fs;
use std::os::unix::fs::symlink;

use anyhow::{Context, Result, ensure};
use azud_testkit::tools::have;

use crate::bench::Machine;
use crate::kit::{done, refused, text};

/// Every name that is installed.
fn names() -> Result<Vec<String>> {
    let list = done(&["aliases", "list"])?;
    let names = list["names"].as_array().context("names")?;
    let names = names.iter().filter_map(|name| name["name"].as_str());
    Ok(names.map(str::to_owned).collect())
}

#[test]
fn names_are_installed_and_what_others_have_stays() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let bin = text(dir.path());
    let listed = || -> Result<usize> { Ok(fs::read_dir(dir.path())?.count()) };
    done(&["aliases", "install", bin, "--dry-run"])?;
    ensure!(listed()? == 0, "a dry run");
    let made = done(&["aliases", "install", bin])?;
    ensure!(
        made["changed"] == names()?.len() && listed()? == names()?.len(),
        "{made}"
    );
    ensure!(done(&["aliases", "install", bin])?["changed"] == 0);
    // A link to an azud elsewhere is brought here, a script of OpenGnsys is not touched.
    let name = dir.path().join("ogGetPath");
    fs::remove_file(&name)?;
    symlink("/gone/azud", &name)?;
    ensure!(done(&["aliases", "install", bin])?["changed"] == 1);
    for theirs in [false, true] {
        fs::remove_file(&name)?;
        if theirs {
            fs::write(&name, "#!/bin/bash\n")?;
        } else {
            symlink("/opt/opengnsys/bin/ogGetPath", &name)?;
        }
        fs::remove_file(dir.path().join("deleteimage"))?;
        ensure!(refused(&["aliases", "install", bin])? == "place/alias-taken");
        ensure!(!dir.path().join("deleteimage").exists(), "made in part");
        symlink("/gone/azud", dir.path().join("deleteimage"))?;
    }
    ensure!(fs::read_to_string(&name)? == "#!/bin/bash\n");
    Ok(())
}

#[test]
fn every_name_explains_itself_on_help() -> Result<()> {
    if !have(&["dash"]) {
        return Ok(());
    }
    let machine = Machine::client()?;
    for name in names()? {
        let said = machine.run(&format!("{name} help"))?;
        let lines: Vec<&str> = said.out.lines().collect();
        ensure!(said.err.is_empty(), "{name}: {}", said.err);
        ensure!(
            lines[0].starts_with(&format!("{name}: ")),
            "{name}: {lines:?}"
        );
        ensure!(
            lines[1].starts_with(&format!("    Format: {name}")),
            "{name}: {lines:?}"
        );
        ensure!(
            lines.iter().any(|line| line.starts_with("    Example: ")),
            "{name}: {lines:?}"
        );
        // Too many arguments are no question.
        let said = machine.ends(&format!("{name} a b c d e f g help"), 1)?;
        ensure!(said.contains(&format!("remedy: {name}")), "{name}: {said}");
    }
    Ok(())
}

#[test]
fn every_test_that_the_page_names_exists() -> Result<()> {
    let manifest = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(manifest.join("../../docs/compat.md"))?;
    let mut sources = String::new();
    for entry in fs::read_dir(manifest.join("tests/compat"))? {
        sources += &fs::read_to_string(entry?.path())?;
    }
    let names = |line: &&str| line.starts_with("| `") && line.split(" | ").count() == 5;
    let rows = page.lines().filter(names);
    let tests = rows.filter_map(|row| row.trim_end_matches(" |").rsplit_once(" | "));
    let tests = tests.flat_map(|(_, cell)| cell.split(", "));
    let tests: Vec<&str> = tests.filter_map(|it| it.strip_prefix('`')).collect();
    ensure!(tests.len() > 10, "{tests:?}");
    for test in tests {
        let function = format!("fn {}()", test.trim_end_matches('`'));
        ensure!(sources.contains(&function), "{test}");
    }
    Ok(())
}
