//! What the command line of the benchmark says.

use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};

use super::super::root;

const USAGE: &str = "\
bench [--runs N] [--dir DIR] [--targets DIR] [--tree DIR] [--ext4 FILE] [--only GROUP[/TABLE],...] [--write]
bench frames DIR
  --runs N        turns of each side (5)
  --dir DIR       where volumes are kept (target/bench)
  --targets DIR   where images and targets are made (DIR/work)
  --tree DIR      files for the volumes (/usr)
  --ext4 FILE     an ext4 volume that is there already; it is only read
  --only LIST     ext4, ext4/capture, ext4/recapture, ext4/restore, ext4/verify, ext4/again, ntfs, list, update, unicast, deploy, upload ...
  --write         put the tables into docs/benchmarks.md, each group in place of its former ones";

/// The options.
#[derive(Debug)]
pub(super) struct Options {
    /// Turns of each side.
    pub(super) runs: usize,
    /// Where volumes are kept.
    pub(super) dir: PathBuf,
    /// Where images and targets are made.
    pub(super) targets: PathBuf,
    /// Files for the volumes.
    pub(super) tree: PathBuf,
    /// An ext4 volume to use.
    pub(super) ext4: Option<PathBuf>,
    /// Groups and tables; empty means all.
    pub(super) only: Vec<String>,
    /// Whether the document is rewritten.
    pub(super) write: bool,
    /// How it was called, files without their folders.
    pub(super) command: String,
}

impl Options {
    pub(super) fn parse(args: &[String]) -> Result<Self> {
        let mut options = Self {
            runs: 5,
            dir: root().join("target/bench"),
            targets: PathBuf::new(),
            tree: PathBuf::from("/usr"),
            ext4: None,
            only: Vec::new(),
            write: false,
            command: "cargo xtask bench".to_owned(),
        };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            options.command += " ";
            options.command += arg;
            if arg == "--write" {
                options.write = true;
                continue;
            }
            ensure!(
                ["--runs", "--dir", "--targets", "--tree", "--ext4", "--only"]
                    .contains(&arg.as_str()),
                "{arg} is unknown\n{USAGE}"
            );
            let value = args
                .next()
                .with_context(|| format!("{arg} needs a value"))?;
            options.command += " ";
            options.command += match value.strip_prefix('/') {
                Some(path) => path.rsplit('/').next().unwrap_or_default(),
                None => value,
            };
            options.set(arg, value)?;
        }
        ensure!(options.runs > 0, "--runs 0 measures nothing");
        ensure!(
            !options.write || options.only.iter().all(|only| !only.contains('/')),
            "--write takes whole groups: the tables that are left out would be lost"
        );
        if options.targets.as_os_str().is_empty() {
            options.targets = options.dir.join("work");
        }
        Ok(options)
    }

    fn set(&mut self, option: &str, value: &str) -> Result<()> {
        match option {
            "--runs" => self.runs = value.parse().context("--runs needs a number")?,
            "--dir" => self.dir = value.into(),
            "--targets" => self.targets = value.into(),
            "--tree" => self.tree = value.into(),
            "--ext4" => self.ext4 = Some(value.into()),
            "--only" => self.only = value.split(',').map(str::to_owned).collect(),
            _ => bail!("{USAGE}"),
        }
        Ok(())
    }

    /// Whether a table of a group is wanted.
    pub(super) fn wants(&self, group: &str, table: &str) -> bool {
        let full = format!("{group}/{table}");
        self.only.is_empty() || self.only.iter().any(|only| *only == group || *only == full)
    }
}

#[cfg(test)]
mod tests {
    use super::Options;

    fn parse(line: &str) -> anyhow::Result<Options> {
        let args: Vec<String> = line.split_ascii_whitespace().map(str::to_owned).collect();
        Options::parse(&args)
    }

    #[test]
    fn a_line_is_understood_and_kept_without_folders() {
        let options = parse("--runs 3 --ext4 /srv/data/big.img --only ntfs,ext4/restore").unwrap();
        assert_eq!(options.runs, 3);
        assert_eq!(
            options.command,
            "cargo xtask bench --runs 3 --ext4 big.img --only ntfs,ext4/restore"
        );
        assert!(options.wants("ext4", "restore") && options.wants("ntfs", "capture"));
        assert!(!options.wants("ext4", "capture"));
        assert!(options.targets.ends_with("target/bench/work"));
    }

    #[test]
    fn nonsense_is_refused() {
        for line in [
            "--runs",
            "--runs x",
            "--runs 0",
            "--what 1",
            "word",
            "--write --only ext4/again",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
