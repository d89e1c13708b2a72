//! The guides for technicians: every error code has its row, every command is shown, every command line is understood
//! (those of README.md, too), and both languages say the same.
//!
//! `AZUD_WRITE_GUIDE=1 cargo test -p azud --test guide` writes the tables of codes anew.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use azud_cli::args;
use azud_cli::i18n::{Catalog, Lang};
use azud_core::code::Code;
use clap::Command;

/// Set to write the tables instead of comparing them.
const WRITE: &str = "AZUD_WRITE_GUIDE";
const BEGIN: &str = "<!-- Made from the program's own words by crates/cli/tests/guide.rs -->\n";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn file(lang: Lang) -> PathBuf {
    root().join("docs").join(lang.code()).join("guide.md")
}

fn guide(lang: Lang) -> Result<String> {
    let file = file(lang);
    fs::read_to_string(&file).with_context(|| file.display().to_string())
}

/// What the program says of every code.
fn table(lang: Lang) -> String {
    let catalog = Catalog::new(lang);
    let head = match lang {
        Lang::En => "| code | what it means | what to do |",
        Lang::Es => "| código | qué significa | qué hacer |",
    };
    let cell = |text: String| text.replace('|', "\\|").replace('\n', " ");
    let rows = Code::ALL.iter().map(|code| {
        let (what, hint) = (catalog.summary(*code), catalog.hint(*code));
        format!("| `{code}` | {} | {} |\n", cell(what), cell(hint))
    });
    format!(
        "{BEGIN}\n{head}\n|---|---|---|\n{}",
        rows.collect::<String>()
    )
}

#[test]
fn every_code_has_its_row() -> Result<()> {
    for lang in Lang::ALL {
        let text = guide(lang)?;
        let expected = table(lang);
        let (before, found) = match text.find(BEGIN) {
            Some(at) => text.split_at(at),
            None => (text.as_str(), ""),
        };
        if std::env::var_os(WRITE).is_some() {
            fs::write(file(lang), format!("{before}{expected}"))?;
            continue;
        }
        let missing: Vec<&str> = expected
            .lines()
            .filter(|line| !found.contains(line))
            .collect();
        ensure!(
            found == expected,
            "{}: the table is old ({WRITE}=1 writes it anew); it lacks {missing:#?}",
            file(lang).display()
        );
    }
    Ok(())
}

/// The lines of blocks without a language: commands.
fn commands(text: &str) -> Vec<&str> {
    let mut inside = None;
    let mut found = Vec::new();
    for line in text.lines() {
        let is_said = || !line.trim().is_empty() && !line.trim_start().starts_with('#');
        match (line.strip_prefix("```"), inside) {
            (Some(language), None) => inside = Some(language),
            (Some(_), Some(_)) => inside = None,
            (None, Some("")) if is_said() => found.push(line),
            _ => {}
        }
    }
    found
}

/// What a line starts, each with its words, as a shell takes it: without `sudo`, and where nothing is expanded.
fn started(line: &str) -> Vec<Vec<String>> {
    let mut all = vec![Vec::new()];
    let mut word: Option<String> = None;
    let mut quote = None;
    for sign in line.chars().chain([' ']) {
        match (quote, sign) {
            (Some(open), sign) if sign == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(sign);
                word.get_or_insert_default();
            }
            (None, '#') if word.is_none() => break,
            (None, sign) if sign.is_whitespace() || "|&;()<>".contains(sign) => {
                if let (Some(word), Some(words)) = (word.take(), all.last_mut()) {
                    words.push(word);
                }
                if !sign.is_whitespace() {
                    all.push(Vec::new());
                }
                if "<>".contains(sign) {
                    // Where it goes to: a file, which takes the place of a program here.
                    all.push(vec![FILE.to_owned()]);
                }
            }
            (_, sign) => word.get_or_insert_default().push(sign),
        }
    }
    for words in &mut all {
        if words.first().is_some_and(|word| word == "sudo") {
            words.remove(0);
        }
    }
    all.retain(|words| !words.is_empty());
    all
}

/// What stands before the name of a file that something goes to.
const FILE: &str = ">";

/// Other programs that documents start.
const OTHERS: &[&str] = &[
    FILE,
    "apt",
    "cargo",
    "cp",
    "curl",
    "journalctl",
    "partclone.restore",
    "systemctl",
    "umask",
    "zstd",
];

/// Refuses a line in which a program is neither Azud, with what it understands, nor one of the others.
fn understood(line: &str, catalog: &Catalog) -> Result<()> {
    let programs = started(line);
    ensure!(!programs.is_empty(), "{line}");
    for words in programs {
        if words.first().is_some_and(|word| word != "azud") {
            ensure!(OTHERS.contains(&words[0].as_str()), "{}: {line}", words[0]);
            continue;
        }
        // A fingerprint is longer than what is shown of it.
        let whole = |word: String| word.replace("sha256:…", &format!("sha256:{:064}", 0));
        let words: Vec<_> = words.into_iter().map(|word| whole(word).into()).collect();
        let parsed = args::parse(&words, catalog);
        ensure!(parsed.is_ok(), "{line}: {parsed:?}");
    }
    Ok(())
}

#[test]
fn every_command_line_is_understood() -> Result<()> {
    let english = Catalog::new(Lang::En);
    for lang in Lang::ALL {
        let text = guide(lang)?;
        let lines = commands(&text);
        ensure!(lines.len() > 20, "{lines:?}");
        let catalog = Catalog::new(lang);
        lines
            .iter()
            .try_for_each(|line| understood(line, &catalog))?;
    }
    let readme = fs::read_to_string(root().join("README.md"))?;
    let lines = commands(&readme);
    ensure!(lines.len() > 20, "{lines:?}");
    lines
        .iter()
        .try_for_each(|line| understood(line, &english))?;
    for wrong in [
        "azud room state",
        "(umask 077; azud token make > x)",
        "rm x",
    ] {
        ensure!(understood(wrong, &english).is_err(), "{wrong}");
    }
    Ok(())
}

/// What a technician does without: a package brings the first two, and each command explains itself.
const NOT_TOLD: &[&str] = &["completions", "man", "help"];

/// The commands that do something, by their words.
fn verbs(command: &Command, above: &[&str]) -> Vec<Vec<String>> {
    let of = |sub: &Command| {
        let path = [above, &[sub.get_name()]].concat();
        if sub.has_subcommands() {
            return verbs(sub, &path);
        }
        vec![path.into_iter().map(str::to_owned).collect()]
    };
    command.get_subcommands().flat_map(of).collect()
}

#[test]
fn every_command_that_a_technician_needs_is_shown() -> Result<()> {
    let all = verbs(&args::help::command(&Catalog::new(Lang::En)), &["azud"]);
    ensure!(all.len() > 40, "{all:?}");
    for lang in Lang::ALL {
        let text = guide(lang)?;
        let lines = commands(&text);
        let shown: Vec<_> = lines.into_iter().flat_map(started).collect();
        let is_shown = |verb: &Vec<String>| shown.iter().any(|words| words.starts_with(verb));
        let missing: Vec<_> = all
            .iter()
            .filter(|verb| !NOT_TOLD.contains(&verb[1].as_str()) && !is_shown(verb))
            .collect();
        ensure!(missing.is_empty(), "{lang:?}: {missing:?}");
    }
    Ok(())
}

#[test]
fn both_languages_have_the_same_parts_and_commands() -> Result<()> {
    let of = |lang| -> Result<(Vec<usize>, Vec<String>)> {
        let text = guide(lang)?;
        let heads = text.lines().filter(|line| line.starts_with('#'));
        let depths = heads.map(|line| line.chars().take_while(|c| *c == '#').count());
        let bare = |line: &str| {
            line.split(" #")
                .next()
                .unwrap_or_default()
                .trim_end()
                .to_owned()
        };
        let lines = commands(&text).into_iter().map(bare);
        Ok((depths.collect(), lines.collect()))
    };
    let (english, spanish) = (of(Lang::En)?, of(Lang::Es)?);
    ensure!(english.1 == spanish.1, "{:#?}\n{:#?}", english.1, spanish.1);
    // A comment in a block of settings begins with the same sign.
    ensure!(english.0 == spanish.0, "{:?} {:?}", english.0, spanish.0);
    Ok(())
}
