//! `azud storage …`: USB sticks and discs. One file per verb.

pub mod list;
pub mod mount;
pub mod unmount;
pub mod watch;

use std::path::{Path, PathBuf};

use azud_core::code::Code;
use azud_core::layout::Layout;
use azud_core::reference::{Removable, Where};
use azud_disk::removable::Medium;
use clap::Subcommand;

use super::Context;
use crate::failure::Failure;
use crate::place;
use crate::site::Site;

/// What can be done with removable storage.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Lists what is plugged in.
    List(list::Args),
    /// Mounts one medium, or all.
    Mount(mount::Args),
    /// Unmounts one.
    Unmount(unmount::Args),
    /// Withdraws what is pulled.
    Watch(watch::Args),
}

impl Verb {
    /// Runs it.
    ///
    /// # Errors
    /// Whatever kept it from being done.
    pub fn run(&self, context: &Context) -> Result<(), Failure> {
        match self {
            Self::List(args) => args.run(context),
            Self::Mount(args) => args.run(context),
            Self::Unmount(args) => args.run(context),
            Self::Watch(args) => args.run(context),
        }
    }
}

/// What was pulled while it was mounted; what is left of it is cleared away.
fn sweep(context: &Context, site: &Site) -> Result<Vec<Removable>, Failure> {
    let cleared = place::clear(context, &place::of_site(site)?);
    let media = cleared.into_iter().filter_map(|place| match place {
        Where::Removable(medium) => Some(medium),
        _ => None,
    });
    Ok(media.collect())
}

/// The medium whose place a directory is.
fn removable(at: &Path) -> Option<Removable> {
    match Where::parse(at.file_name()?.to_str()?) {
        Ok(Where::Removable(medium)) => Some(medium),
        _ => None,
    }
}

/// Where a medium is mounted, free of symbolic links above it.
fn place_of(layout: &Layout, medium: &Removable) -> PathBuf {
    let mnt = std::fs::canonicalize(layout.mnt()).unwrap_or_else(|_| layout.mnt().to_owned());
    mnt.join(medium.to_string())
}

/// The medium that a user names: `USB-tools`, `tools`, or its device.
fn find<'a>(media: &'a [Medium], wanted: &str) -> Result<&'a Medium, Failure> {
    let called = |exactly: bool| {
        let equal = |text: &str| {
            if exactly {
                text == wanted
            } else {
                text.eq_ignore_ascii_case(wanted)
            }
        };
        let is_it = move |medium: &&'a Medium| {
            let name = medium.name.as_ref();
            medium.node == Path::new(wanted)
                || name.is_some_and(|name| equal(&name.to_string()) || equal(name.id()))
        };
        media.iter().filter(is_it).collect::<Vec<_>>()
    };
    let mut found = called(true);
    if found.is_empty() {
        found = called(false);
    }
    match found.as_slice() {
        [medium] => Ok(medium),
        [] => Err(Failure::new(Code::NoMedium, wanted)),
        several => {
            let nodes = several
                .iter()
                .map(|medium| medium.node.display().to_string());
            let nodes: Vec<String> = nodes.collect();
            Err(Failure::new(
                Code::AmbiguousPlace,
                format!("{wanted}: {}", nodes.join(", ")),
            ))
        }
    }
}
