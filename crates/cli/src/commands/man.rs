//! `azud man DIR`: one page per command, in the user's language.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Command;
use serde_json::json;

use super::Context;
use crate::args::help;
use crate::failure::Failure;
use crate::i18n::Catalog;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where to.
    dir: PathBuf,
}

impl Args {
    /// Writes the pages.
    ///
    /// # Errors
    /// When the directory or a page cannot be written.
    pub fn run(&self, context: &Context) -> Result<(), Failure> {
        fs::create_dir_all(&self.dir).map_err(|error| Failure::io(&self.dir, &error))?;
        let mut root = help::command(&context.catalog);
        root.build();
        let mut pages = Vec::new();
        write_pages(&root, &context.catalog, &self.dir, &mut pages)?;
        context
            .output
            .result(&json!({ "dir": self.dir, "pages": pages }), || {
                let values = [("count", pages.len().into())];
                let count = context.catalog.fmt("man-done", &values);
                format!("{count} {}", self.dir.display())
            });
        Ok(())
    }
}

fn write_pages(
    command: &Command,
    catalog: &Catalog,
    dir: &Path,
    pages: &mut Vec<String>,
) -> Result<(), Failure> {
    let page = clap_mangen::Man::new(command.clone())
        .source(concat!("azud ", env!("CARGO_PKG_VERSION")))
        .manual("Azud");
    let name = page.get_filename();
    let path = dir.join(&name);
    let mut text = Vec::new();
    page.render(&mut text).expect("writing to memory");
    let text = translate(&String::from_utf8_lossy(&text), catalog);
    fs::write(&path, text).map_err(|error| Failure::io(&path, &error))?;
    pages.push(name);
    for sub in command.get_subcommands() {
        write_pages(sub, catalog, dir, pages)?;
    }
    Ok(())
}

/// What the exit status says, for every page.
fn status(catalog: &Catalog) -> String {
    let (heading, text) = (catalog.text("man-status"), catalog.text("man-statuses"));
    format!(".SH \"{heading}\"\n{text}\n")
}

/// The page's own headings; what stands below them is in the user's language already.
fn translate(page: &str, catalog: &Catalog) -> String {
    let line = |line: &str| {
        if line.starts_with(".TH ") {
            // The absent date must not make room for the next argument.
            return format!("{}\n", line.replacen(" 1  ", " 1 \"\" ", 1));
        }
        let heading = line.strip_prefix(".SH ").map(|name| name.trim_matches('"'));
        let text = match heading {
            Some("NAME") => catalog.text("man-name"),
            Some("SYNOPSIS") => catalog.text("man-synopsis"),
            Some("DESCRIPTION") => catalog.text("man-description"),
            Some("VERSION") => catalog.text("man-version"),
            Some(other) => other.to_uppercase(),
            None => return format!("{line}\n"),
        };
        format!(".SH \"{text}\"\n")
    };
    page.lines().map(line).collect::<String>() + &status(catalog)
}
