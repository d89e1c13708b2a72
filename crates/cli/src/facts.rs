//! What is known of an image in a tree: what it is by its bytes, beside what is claimed of it.

use std::path::Path;

use azud_image::foreign::Compressor;
use azud_image::sniff::{Format, Sniffed, sniff};
use azud_store::lease::Holder;
use azud_store::list::Entry;
use azud_store::side::InfoLine;
use azud_store::{Identity, Stored};
use serde_json::{Value, json};

use crate::cached::Damages;
use crate::i18n::Catalog;
use crate::opened::rfc3339;
use crate::sums::{FalseSum, false_tail};

/// An image of a tree, looked at.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) entry: Entry,
    /// `None` for a directory, and for what cannot be read.
    pub(crate) found: Option<Sniffed>,
    /// Of a native image, that its `.sum` is another's. Its `.full.sum` would take reading all of it.
    pub(crate) false_sum: Option<FalseSum>,
    /// Whether the last check in its cache found it damaged.
    pub(crate) found_damaged: bool,
}

/// Looks at all images of a tree, on all cores.
pub(crate) fn know_all(root: &Path, entries: Vec<Entry>) -> Vec<Known> {
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let share = entries.len().div_ceil(threads).max(1);
    let mut shares: Vec<Vec<Entry>> = Vec::new();
    let mut rest = entries.into_iter().peekable();
    while rest.peek().is_some() {
        shares.push(rest.by_ref().take(share).collect());
    }
    std::thread::scope(|scope| {
        let look = |share: Vec<Entry>| {
            let mut damages = Damages::default();
            let mut look = move |entry| Known::look(root, entry, &mut damages);
            scope.spawn(move || share.into_iter().map(&mut look).collect())
        };
        let running: Vec<_> = shares.into_iter().map(look).collect();
        let done = running.into_iter().map(std::thread::ScopedJoinHandle::join);
        done.flat_map(|part: std::thread::Result<Vec<Known>>| part.expect("no look panics"))
            .collect()
    })
}

impl Known {
    /// Looks at an image below `root`.
    pub(crate) fn of(root: &Path, entry: Entry) -> Self {
        Self::look(root, entry, &mut Damages::default())
    }

    fn look(root: &Path, entry: Entry, damages: &mut Damages) -> Self {
        let look = || {
            let stored = Stored::open(&root.join(&entry.path)).ok()?;
            let found = sniff(&stored).ok()?;
            let is_whole = found.identity.is_some();
            let false_sum = is_whole.then(|| false_tail(&stored).ok()).flatten();
            Some((found, false_sum.flatten()))
        };
        let looked = (!entry.is_dir).then(look).flatten();
        let (found, false_sum) = looked.unzip();
        Self {
            found_damaged: !entry.is_dir && damages.know(&root.join(&entry.path)),
            entry,
            found,
            false_sum: false_sum.flatten(),
        }
    }

    /// What `.info`, else the server's catalogue, says of it.
    pub(crate) fn claim(&self) -> Option<&InfoLine> {
        self.entry.info.as_ref().or(self.entry.listed.as_ref())
    }

    /// The format in a word of the user's language, with the compressor's name behind a `+`.
    pub(crate) fn format(&self, catalog: &Catalog) -> String {
        let word = |format: Format| {
            // Names of programs and formats are the same in all languages.
            let said = catalog.find(&format!("format-{}", format.word()), &[]);
            said.unwrap_or_else(|| format.word().to_owned())
        };
        match &self.found {
            _ if self.entry.is_dir => catalog.text("format-directory"),
            None => catalog.text("format-unreadable"),
            Some(Sniffed {
                format, compressor, ..
            }) => match compressor {
                Compressor::None => word(*format),
                _ if *format == Format::Native => word(*format),
                compressor => format!("{}+{compressor}", word(*format)),
            },
        }
    }

    pub(crate) fn identity(&self) -> Option<String> {
        let identity = self.found.as_ref()?.identity?;
        Some(Identity(identity).to_string())
    }

    /// Words for what is to be noticed: `word-<it>` translates them.
    pub(crate) fn states(&self) -> Vec<&'static str> {
        let lock = self.entry.lock.as_ref().map(|holder| match holder {
            Holder::Mounted => "mounted",
            Holder::Reduced => "reduced",
            _ => "locked",
        });
        let problem = self.found.as_ref().and_then(|found| found.problem.as_ref());
        let damaged = (self.found_damaged || problem.is_some()).then_some("damaged");
        // It was whole then; who writes in place can put back when that was.
        let verified = self.entry.verified.filter(|_| damaged.is_none());
        let verified = verified.map(|_| "verified");
        let untrue = (!self.contradictions().is_empty()).then_some("untrue");
        let false_sum = self.false_sum.as_ref().map(|_| "false-sum");
        [lock, verified, damaged, untrue, false_sum]
            .into_iter()
            .flatten()
            .collect()
    }

    /// Where what is claimed is not what was found: the fact, the claim, the finding.
    pub(crate) fn contradictions(&self) -> Vec<(&'static str, String, String)> {
        let (Some(claim), Some(found)) = (self.claim(), &self.found) else {
            return Vec::new();
        };
        let mut all = Vec::new();
        let mut compare = |fact, claimed: &str, found: &str, same: bool| {
            if !claimed.is_empty() && !same {
                all.push((fact, claimed.to_owned(), found.to_owned()));
            }
        };
        let program = match found.format {
            // What stock tools take a native image for.
            Format::Native | Format::Partclone(_) => "partclone",
            other => other.word(),
        };
        let dd = claim.program.to_ascii_lowercase().starts_with(program);
        compare("program", &claim.program, program, dd);
        let compressor = found.compressor.as_str();
        let same = claim.compressor.eq_ignore_ascii_case(compressor);
        compare("compressor", &claim.compressor, compressor, same);
        if let Some(fs) = &found.fs {
            compare("fs", &claim.fs, fs, same_fs(&claim.fs, fs));
        }
        if let Some(size) = found.device_size {
            let kb = size.div_ceil(1024);
            // Stock tools take it from a rounded text and are up to some 5 % off.
            let near = claim.size_kb.abs_diff(kb) <= kb / 10 + 1;
            compare("size_kb", &claim.size_kb.to_string(), &kb.to_string(), near);
        }
        all
    }

    /// The same, for programs.
    pub(crate) fn untrue_json(&self) -> Vec<Value> {
        let all = self.contradictions().into_iter();
        all.map(|(fact, claimed, found)| json!({"fact": fact, "claimed": claimed, "found": found}))
            .collect()
    }

    /// All of it, for programs.
    pub(crate) fn json(&self) -> Value {
        let (entry, found) = (&self.entry, self.found.as_ref());
        let from = if entry.info.is_some() {
            "info"
        } else {
            "repoinfo"
        };
        let claimed = self.claim().map(|claim| {
            let mut value = json!(claim);
            value["from"] = from.into();
            value
        });
        let untrue = self.untrue_json();
        let side: Vec<&str> = entry.side.clone();
        json!({
            "path": entry.path.display().to_string(),
            "file_size": entry.size,
            "modified": entry.modified.map(rfc3339),
            "native": found.is_some_and(|found| found.format == Format::Native),
            "format": match found {
                _ if entry.is_dir => "directory",
                Some(found) => found.format.word(),
                None => "unreadable",
            },
            "version": found.and_then(|found| match found.format {
                Format::Partclone(version) => Some(version),
                _ => None,
            }),
            "compressor": found.map(|found| found.compressor.as_str()),
            "fs": found.and_then(|found| found.fs.clone()).unwrap_or_default(),
            "device_size": found.and_then(|found| found.device_size),
            "used": found.and_then(|found| found.used),
            "tool": found.and_then(|found| found.tool.clone()),
            "identity": self.identity(),
            "problem": found.and_then(|found| found.problem.clone()),
            "found_damaged": self.found_damaged,
            "claimed": claimed,
            "untrue": untrue,
            "false_sum": self.false_sum.as_ref().map(FalseSum::json),
            "lock": entry.lock.as_ref().map(lock_json),
            "side_files": side,
            "verified": entry.verified,
        })
    }
}

/// A lock, for programs.
fn lock_json(holder: &Holder) -> Value {
    let mut value = json!({ "kind": holder.word(), "text": holder.to_string() });
    if let Holder::Azud {
        host,
        pid,
        since,
        sender,
        ..
    } = holder
    {
        if let Some(sender) = sender {
            value["for"] = sender.as_str().into();
        }
        value["host"] = host.as_str().into();
        value["pid"] = (*pid).into();
        value["since"] = (*since).into();
    }
    value
}

/// `EXT4` and partclone's `EXTFS` are the same, as are `HFSPLUS` and `HFS Plus`.
fn same_fs(a: &str, b: &str) -> bool {
    let plain = |text: &str| {
        let text: String = text.chars().filter(char::is_ascii_alphanumeric).collect();
        let text = text.to_ascii_uppercase();
        if text.starts_with("EXT") && !text.starts_with("EXFAT") {
            "EXTFS".to_owned()
        } else {
            text
        }
    };
    plain(a) == plain(b)
}
