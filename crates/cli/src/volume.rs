//! Which blocks of a source count: Azud's own maps first, partclone for what it does not know, else all.

use std::io;
use std::path::Path;

use azud_core::io::ReadAt;
use azud_disk::{DeviceFacts, Holes, Source, partclone};
use azud_image::foreign::ForeignError;
use azud_image::foreign::partclone::read_map;
use azud_image::fs::{self, FsError, FsKind, MapOptions, Volume, raw, signature};

use clap::ValueEnum;

use crate::failure::Failure;
use crate::i18n::Catalog;

/// Who reads the file system's map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Engine {
    /// Azud itself.
    Native,
    /// partclone.
    Partclone,
}

/// What to do with a source that was not shut down cleanly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Dirty {
    /// Take the whole device.
    Raw,
}

/// How to look for the map.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Choices {
    /// Who reads it; `None` leaves it to what is found.
    pub(crate) engine: Option<Engine>,
    /// What to do when the file system is not clean.
    pub(crate) dirty: Option<Dirty>,
    /// What the map contains.
    pub(crate) options: MapOptions,
}

/// A volume and how its map came about.
#[derive(Debug)]
pub(crate) struct Found {
    /// The volume.
    pub(crate) volume: Volume,
    /// Who read the map: `native`, `partclone`, or `raw` for nobody.
    pub(crate) by: &'static str,
    /// Why the file system was not clean, if it was captured all the same.
    pub(crate) dirty: Option<String>,
    /// What volumes are packed in, by blkid's name for it, if it is captured whole and is that.
    pub(crate) packed: Option<&'static str>,
    /// What of a file that is captured whole need not be read.
    pub(crate) holes: Holes,
}

/// partclone's programs for file systems that are not read natively, by blkid's name for them.
const EXTRACTORS: &[(&str, &str)] = &[
    ("f2fs", "partclone.f2fs"),
    ("hfs", "partclone.hfsp"),
    ("hfsplus", "partclone.hfsp"),
    ("apfs", "partclone.apfs"),
    ("jfs", "partclone.jfs"),
    ("reiserfs", "partclone.reiserfs"),
    ("reiser4", "partclone.reiser4"),
    ("nilfs2", "partclone.nilfs2"),
    ("ufs", "partclone.ufs"),
    ("minix", "partclone.minix"),
];

/// What volumes are packed in, by blkid's name for it.
const PACKED: [&str; 5] = [
    "crypto_LUKS",
    "BitLocker",
    "LVM2_member",
    "linux_raid_member",
    "zfs_member",
];

/// So much of a device's end may hold a signature.
const TAIL: u64 = 1 << 20;

/// Finds the map of a source.
///
/// # Errors
/// What the map says of the file system; `tool/missing` and `tool/failed` for partclone.
pub(crate) fn find(source: &mut Source, choices: Choices) -> Result<Found, Failure> {
    if choices.engine == Some(Engine::Partclone) {
        return by_partclone(source);
    }
    match fs::map(&*source, &choices.options) {
        Ok(Some(volume)) => Ok(Found {
            volume,
            by: "native",
            dirty: None,
            packed: None,
            holes: Holes::default(),
        }),
        Ok(None) if choices.engine == Some(Engine::Native) => {
            whole(source, &signatures(source)?, None)
        }
        Ok(None) => unknown(source),
        Err(error @ (FsError::Dirty { .. } | FsError::Hibernated { .. }))
            if choices.dirty.is_some() =>
        {
            whole(source, &signatures(source)?, Some(error.to_string()))
        }
        Err(error) => Err(Failure::from(error).on(source.path())),
    }
}

/// Why a source was captured whole, as an image keeps it (in the engine's words), in the user's language.
pub(crate) fn unclean(catalog: &Catalog, kept: &str) -> String {
    let say = |between: &str, key: &str, name: &str| {
        let (fs, why) = kept.split_once(between)?;
        let values = [("fs", fs.into()), (name, catalog.term(why).into())];
        catalog.find(key, &values)
    };
    say(" was not shut down cleanly: ", "detail-dirty", "why")
        .or_else(|| {
            say(
                " belongs to a hibernated system: ",
                "detail-hibernated",
                "what",
            )
        })
        .unwrap_or_else(|| kept.to_owned())
}

/// `names` are those of the signatures on it.
fn whole(source: &Source, names: &[&str], dirty: Option<String>) -> Result<Found, Failure> {
    let packed = PACKED.iter().find(|name| names.contains(name));
    Ok(Found {
        packed: packed.copied(),
        volume: raw::map(source.len()),
        by: "raw",
        dirty,
        holes: source.holes()?,
    })
}

/// Not read natively: partclone where it knows the signature, else the whole device.
fn unknown(source: &mut Source) -> Result<Found, Failure> {
    let names: Vec<&str> = signatures(source)?;
    let known = EXTRACTORS.iter().any(|(name, _)| names.contains(name));
    if known {
        by_partclone(source)
    } else {
        whole(source, &names, None)
    }
}

fn signatures(source: &Source) -> Result<Vec<&'static str>, Failure> {
    let head = fs::read_head(source)?;
    let len = source.len().min(TAIL);
    let mut tail = vec![0; usize::try_from(len).expect("at most TAIL")];
    source
        .read_exact_at(&mut tail, source.len() - len)
        .map_err(|error| Failure::io(source.path(), &error))?;
    let found = signature::foreign(&head, &tail, source.len());
    Ok(found.into_iter().map(|signature| signature.name).collect())
}

fn by_partclone(source: &mut Source) -> Result<Found, Failure> {
    let program = extractor(source)?;
    let mut volume = source.lend(|device| map_by(program, device))??;
    if fs::kind(&fs::read_head(source)?) == Some(FsKind::Ntfs) {
        fs::complete_ntfs(source, &mut volume)?;
    }
    Ok(Found {
        volume,
        by: "partclone",
        dirty: None,
        packed: None,
        holes: Holes::default(),
    })
}

/// Some of partclone's programs open the device exclusively.
fn map_by(program: &str, device: &Path) -> Result<Volume, Failure> {
    let mut stream = partclone::used_map(device, program)?;
    let read = read_map(&mut stream);
    if matches!(read, Err(ForeignError::UnknownFormat)) {
        // They complain on their standard output: the status tells it better.
        let rest = io::copy(&mut stream, &mut io::sink());
        rest.map_err(|source| ForeignError::Read { source })?;
    }
    Ok(read?)
}

fn extractor(source: &Source) -> Result<&'static str, Failure> {
    let head = fs::read_head(source)?;
    if let Some(kind) = fs::kind(&head) {
        return Ok(match kind {
            FsKind::Ext => "partclone.extfs",
            FsKind::Ntfs => "partclone.ntfs",
            FsKind::ExFat => "partclone.exfat",
            FsKind::Xfs => "partclone.xfs",
            FsKind::Btrfs => "partclone.btrfs",
            _ => "partclone.fat",
        });
    }
    let names = signatures(source)?;
    let found = EXTRACTORS.iter().find(|(name, _)| names.contains(name));
    found.map(|(_, program)| *program).ok_or_else(|| {
        Failure::new(
            azud_core::code::Code::FsUnknown,
            source.path().display().to_string(),
        )
    })
}

/// What an image remembers of the device it was taken from.
pub(crate) fn source_facts(
    path: &Path,
    facts: &DeviceFacts,
) -> azud_core::format::index::SourceFacts {
    azud_core::format::index::SourceFacts {
        path: path.display().to_string(),
        start: facts.partition.as_ref().map(|partition| partition.start),
        disk_guid: facts.table_id.clone(),
        partition_guid: facts.partition_id.clone(),
        logical_sector: Some(facts.logical_sector),
    }
}

#[cfg(test)]
mod tests {
    use azud_image::fs::FsError;

    use super::unclean;
    use crate::i18n::{Catalog, Lang};

    #[test]
    fn why_it_was_captured_whole_is_told_in_the_users_language() {
        let dirty = FsError::Dirty {
            fs: "FAT",
            why: "the dirty bit in the boot sector is set".to_owned(),
            remedy: "",
        };
        let asleep = FsError::Hibernated {
            fs: "NTFS",
            why: "hiberfil.sys begins with 'hibr': hibernation or fast start-up".to_owned(),
            remedy: "",
        };
        for (error, es) in [
            (dirty, "FAT no se cerró bien: el sector"),
            (
                asleep,
                "NTFS es de un sistema hibernado: hiberfil.sys empieza",
            ),
        ] {
            let kept = error.to_string();
            assert_eq!(unclean(&Catalog::new(Lang::En), &kept), kept);
            let said = unclean(&Catalog::new(Lang::Es), &kept);
            assert!(said.starts_with(es), "{said}");
        }
        let other = "whatever a later version says";
        assert_eq!(unclean(&Catalog::new(Lang::Es), other), other);
    }
}
