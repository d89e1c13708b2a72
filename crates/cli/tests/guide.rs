//! The guides for technicians: every error code has its row, every command line is understood, and both languages say
//! the same.
//!
//! `AZUD_WRITE_GUIDE=1 cargo test -p azud --test guide` writes the tables of codes anew.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use azud_cli::args;
use azud_cli::i18n::{Catalog, Lang};
use azud_core::code::Code;

/// Set to write the tables instead of comparing them.
const WRITE: &str = "AZUD_WRITE_GUIDE";
const BEGIN: &str = "<!-- Made from the program's own words by crates/cli/tests/guide.rs -->\n";

fn file(lang: Lang) -> PathBuf {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    docs.join(lang.code()).join("guide.md")
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
        match (line.strip_prefix("```"), inside) {
            (Some(language), None) => inside = Some(language),
            (Some(_), Some(_)) => inside = None,
            (None, Some("")) if !line.trim().is_empty() => found.push(line),
            _ => {}
        }
    }
    found
}

#[test]
fn every_command_line_is_understood() -> Result<()> {
    for lang in Lang::ALL {
        let text = guide(lang)?;
        let catalog = Catalog::new(lang);
        let lines = commands(&text);
        ensure!(lines.len() > 20, "{lines:?}");
        for line in lines {
            let words = line.split_whitespace().skip_while(|word| *word == "sudo");
            let words: Vec<_> = words
                .take_while(|word| *word != "#")
                .map(Into::into)
                .collect();
            ensure!(words.first().is_some_and(|word| word == "azud"), "{line}");
            let understood = args::parse(&words, &catalog);
            ensure!(understood.is_ok(), "{line}: {understood:?}");
        }
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
