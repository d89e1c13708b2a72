//! Which partition is the cache: `OpenGnsys`' rules in their order.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::Dev;

use super::LABEL;
use super::probe::{Signature, probe};
use crate::error::{DiskError, Result};
use crate::extent::{Extent, of_device};
use crate::mounting::{MountFacts, mounts_of};
use crate::partition::{self, Table};
use crate::removable::is_removable;
use crate::sysfs::BlockDev;

/// `OpenGnsys`' type of caches in an MBR, and that of its forerunner.
const MBR_TYPES: [&str; 2] = ["0xca", "0xa7"];
/// Memory, optical and floppy drives: no cache lies there, and the latter are slow to answer.
const PASSED_OVER: [&str; 4] = ["ram", "zram", "sr", "fd"];

/// Why a device is taken for a cache. The earlier rule is the stronger one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// Its file system has the label.
    FsLabel,
    /// Its partition has the name.
    PartLabel,
    /// Its partition has the type, in an MBR.
    MbrType,
    /// The disk's table gives it the name, though the kernel does not.
    TableName,
}

impl Rule {
    /// A word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::FsLabel => "label",
            Self::PartLabel => "partlabel",
            Self::MbrType => "mbr-type",
            Self::TableName => "gpt-name",
        }
    }
}

/// A device that a rule names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// Its node.
    pub device: PathBuf,
    /// The node of its disk, for a partition.
    pub disk: Option<PathBuf>,
    /// The strongest rule that names it.
    pub rule: Rule,
    /// Bytes.
    pub len: u64,
    /// Whether it is on removable storage: what somebody plugs in does not take the place of the computer's own.
    pub removable: bool,
    /// What is on it.
    pub signature: Signature,
    /// Where it is mounted.
    pub mounts: Vec<MountFacts>,
}

impl Hit {
    /// How much it is the cache; less is stronger.
    fn strength(&self) -> (bool, Rule) {
        (self.removable, self.rule)
    }
}

/// What a search found.
#[derive(Debug, Default)]
pub struct Found {
    /// The computer's own before what is plugged in, by strength of the rule, then by name.
    pub hits: Vec<Hit>,
    /// Devices that could not be looked at, and why.
    pub skipped: Vec<(PathBuf, DiskError)>,
}

/// Looks at every block device for caches, or only at the devices of `scope` and their partitions.
///
/// # Errors
/// [`DiskError::NotFound`], [`DiskError::NotADevice`] for the scope; [`DiskError::ToolMissing`].
pub fn find(scope: &[PathBuf]) -> Result<Found> {
    let scope = scope
        .iter()
        .map(|path| number(path))
        .collect::<Result<Vec<_>>>()?;
    let all = BlockDev::all();
    let devices = all.iter().filter(|device| {
        let inside =
            scope.is_empty() || scope.contains(&device.dev) || scope.contains(&device.disk().dev);
        inside && may_be_cache(device)
    });
    let mut search = Search::default();
    for device in devices {
        search.look(device)?;
    }
    Ok(search.finish())
}

fn number(path: &Path) -> Result<Dev> {
    use std::os::unix::fs::FileTypeExt;
    let meta = std::fs::metadata(path).map_err(|error| DiskError::at(path, "looking", error))?;
    if !meta.file_type().is_block_device() {
        return Err(DiskError::NotADevice {
            path: path.to_owned(),
        });
    }
    Ok(meta.rdev())
}

/// What others stand on (a RAID, a mapping) is in use; the device on top is looked at itself.
fn may_be_cache(device: &BlockDev) -> bool {
    let name = device.name();
    let kind = name.trim_end_matches(|c: char| c.is_ascii_digit());
    !PASSED_OVER.contains(&kind)
        && device.size().is_some_and(|size| size > 0)
        && device.holders().is_empty()
}

/// The strongest rule that a signature meets.
fn judge(signature: &Signature) -> Option<Rule> {
    let is = |value: &Option<String>, wanted: &str| value.as_deref() == Some(wanted);
    if signature.is_fs && is(&signature.label, LABEL) {
        Some(Rule::FsLabel)
    } else if is(&signature.part_name, LABEL) {
        Some(Rule::PartLabel)
    } else if is(&signature.scheme, "dos")
        && MBR_TYPES.iter().any(|kind| is(&signature.part_type, kind))
    {
        Some(Rule::MbrType)
    } else {
        None
    }
}

#[derive(Default)]
struct Search {
    found: Found,
    seen: Vec<Extent>,
    /// Partitions that no rule but the last can name.
    unnamed: Vec<(BlockDev, Signature)>,
}

impl Search {
    fn look(&mut self, device: &BlockDev) -> Result<()> {
        match probe(&device.node()) {
            Ok(signature) => match judge(&signature) {
                Some(rule) => self.add(device, signature, rule),
                None if device.partition().is_some() => {
                    self.unnamed.push((device.clone(), signature));
                }
                None => {}
            },
            Err(error @ DiskError::ToolMissing { .. }) => return Err(error),
            Err(error) => self.found.skipped.push((device.node(), error)),
        }
        Ok(())
    }

    fn add(&mut self, device: &BlockDev, signature: Signature, rule: Rule) {
        // The same bytes under a second name are no second cache.
        let extent = of_device(device.dev);
        if self.seen.contains(&extent) {
            return;
        }
        self.seen.push(extent);
        self.found.hits.push(Hit {
            device: device.node(),
            disk: device.partition().map(|(disk, ..)| disk.node()),
            rule,
            len: device.size().unwrap_or(0),
            removable: is_removable(device),
            signature,
            mounts: mounts_of(&device.node()),
        });
    }

    fn finish(mut self) -> Found {
        let mut tables: Vec<(Dev, Option<Table>)> = Vec::new();
        for (device, signature) in std::mem::take(&mut self.unnamed) {
            let Some((disk, number, start)) = device.partition() else {
                continue;
            };
            if tables.iter().all(|(dev, _)| *dev != disk.dev) {
                // A table that sfdisk does not understand names nothing.
                tables.push((disk.dev, partition::read(&disk.node()).ok().flatten()));
            }
            let table = tables.iter().find(|(dev, _)| *dev == disk.dev);
            if table
                .and_then(|(_, table)| table.as_ref())
                .is_some_and(|table| names_it(table, number, start))
            {
                self.add(&device, signature, Rule::TableName);
            }
        }
        let key = |hit: &Hit| (hit.strength(), hit.device.clone());
        self.found.hits.sort_by_key(key);
        self.found
    }
}

fn names_it(table: &Table, number: u32, start: u64) -> bool {
    table.entries.iter().any(|entry| {
        (entry.number, entry.range.start) == (number, start) && entry.name.as_deref() == Some(LABEL)
    })
}

/// The one cache among the hits: the only one of the strongest rule that names any, on the computer's own disks if
/// there is one.
///
/// # Errors
/// [`DiskError::NoCache`], [`DiskError::SeveralCaches`].
pub fn only(hits: &[Hit]) -> Result<&Hit> {
    let strongest = hits.iter().map(Hit::strength).min();
    let best = hits.iter().filter(|hit| Some(hit.strength()) == strongest);
    let best: Vec<&Hit> = best.collect();
    match &best[..] {
        [] => Err(DiskError::NoCache),
        [hit] => Ok(hit),
        several => Err(DiskError::SeveralCaches {
            devices: several.iter().map(|hit| hit.device.clone()).collect(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::{Hit, Rule, judge, only};
    use crate::cache::Signature;
    use crate::error::DiskError;

    fn text(value: &str) -> Option<String> {
        (!value.is_empty()).then(|| value.to_owned())
    }

    fn signature(label: &str, scheme: &str, name: &str, kind: &str) -> Signature {
        Signature {
            is_fs: true,
            label: text(label),
            scheme: text(scheme),
            part_name: text(name),
            part_type: text(kind),
            ..Signature::default()
        }
    }

    #[test]
    fn the_rules_in_their_order() {
        let cases = [
            (signature("CACHE", "gpt", "CACHE", ""), Some(Rule::FsLabel)),
            (signature("data", "gpt", "CACHE", ""), Some(Rule::PartLabel)),
            (signature("", "dos", "", "0xca"), Some(Rule::MbrType)),
            (signature("", "dos", "", "0xa7"), Some(Rule::MbrType)),
            (signature("", "gpt", "", "0xca"), None),
            (signature("", "dos", "", "0x83"), None),
            (signature("cache", "gpt", "Cache", "0x83"), None),
            (signature("CACHE ", "gpt", "CACHE\n", ""), None),
            (Signature::default(), None),
        ];
        for (signature, rule) in cases {
            assert_eq!(judge(&signature), rule, "{signature:?}");
        }
        let swap = Signature {
            is_fs: false,
            ..signature("CACHE", "", "", "")
        };
        assert_eq!(judge(&swap), None);
    }

    #[test]
    fn two_of_one_rule_are_named_and_a_weaker_one_does_not_count() {
        let hit = |device: &str, rule| Hit {
            device: device.into(),
            disk: None,
            rule,
            len: 1,
            removable: false,
            signature: Signature::default(),
            mounts: Vec::new(),
        };
        assert!(matches!(only(&[]), Err(DiskError::NoCache)));
        let (a, b, c) = (
            hit("/dev/sda4", Rule::FsLabel),
            hit("/dev/sdb4", Rule::PartLabel),
            hit("/dev/sdc1", Rule::PartLabel),
        );
        assert_eq!(only(&[a.clone(), b.clone(), c.clone()]).expect("one"), &a);
        // What is plugged in counts where there is nothing else.
        let stick = Hit {
            removable: true,
            ..hit("/dev/sdd1", Rule::FsLabel)
        };
        assert_eq!(only(&[stick.clone(), b.clone()]).expect("one"), &b);
        assert_eq!(only(std::slice::from_ref(&stick)).expect("one"), &stick);
        let error = only(&[b, c, stick]).expect_err("two");
        let text = error.to_string();
        assert!(
            text.contains("/dev/sdb4") && text.contains("/dev/sdc1"),
            "{text}"
        );
    }
}
