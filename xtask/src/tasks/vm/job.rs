//! What the machine is to do, written down where it can read it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::options::Options;

const INSIDE: &str = include_str!("inside.sh");

/// What the machine is given to do: a directory it can see.
#[derive(Debug)]
pub(super) struct Job {
    dir: tempfile::TempDir,
}

impl Job {
    /// Writes it down in `cache`. `path` comes before the machine's own `PATH`.
    pub(super) fn write(cache: &Path, options: &Options, path: &Path) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("job-").tempdir_in(cache)?;
        let (modules, disks) = devices(options);
        let files = [
            ("inside", INSIDE.to_owned()),
            ("command", script(options, path)?),
            ("modules", modules.join(" ")),
            ("disks", disks.join(" ")),
            ("seconds", options.timeout.as_secs().to_string()),
        ];
        for (name, text) in files {
            fs::write(dir.path().join(name), text)?;
        }
        Ok(Self { dir })
    }

    /// The directory.
    pub(super) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// A file in it.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

/// A word as the shell must be told it.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// The command as a shell script, in this directory and with the variables it is to have.
fn script(options: &Options, path: &Path) -> Result<String> {
    let mut lines = vec![
        ["PATH=", &quoted(&path.to_string_lossy()), ":$PATH"].concat(),
        "export PATH AZUD_VM=1 LANG=C.UTF-8".to_owned(),
    ];
    for name in &options.env {
        if let Ok(value) = std::env::var(name) {
            lines.push(format!("export {name}={}", quoted(&value)));
        }
    }
    let here = std::env::current_dir()?;
    lines.push(format!("cd {}", quoted(&here.to_string_lossy())));
    let words: Vec<String> = options.command.iter().map(|word| quoted(word)).collect();
    lines.push(format!("exec {}\n", words.join(" ")));
    Ok(lines.join("\n"))
}

/// The modules that the machine's devices need, and the names their disks will have.
fn devices(options: &Options) -> (Vec<&'static str>, Vec<String>) {
    let (mut modules, mut disks) = (Vec::new(), Vec::new());
    if options.dvd.is_some() {
        modules.extend(["ahci", "sr_mod"]);
        disks.push("sr0".to_owned());
    }
    if !options.usb.is_empty() {
        modules.extend(["xhci_pci", "usb_storage", "sd_mod"]);
    }
    if !options.disks.is_empty() {
        modules.push("virtio_blk");
    }
    if !options.nvme.is_empty() {
        modules.push("nvme");
        disks.extend((0..options.nvme.len()).map(|number| format!("nvme{number}n1")));
    }
    for (kind, files) in [("sd", &options.usb), ("vd", &options.disks)] {
        let letters = ('a'..='z').take(files.len());
        disks.extend(letters.map(|letter| format!("{kind}{letter}")));
    }
    (modules, disks)
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn the_shell_gets_words_whole() {
        assert_eq!(quoted("a b"), "'a b'");
        assert_eq!(quoted("it's $x"), "'it'\\''s $x'");
    }
}
