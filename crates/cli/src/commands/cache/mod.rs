//! `azud cache …`: the cache partition of this computer.

pub mod find;
pub mod init;
pub mod mount;
pub mod status;
mod tree;
pub mod unmount;

use std::path::{Path, PathBuf};

use azud_disk::cache::{self, Hit};
use clap::Subcommand;

use super::Context;
use crate::failure::Failure;

/// What can be done with the cache.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Lists the devices that are caches.
    Find(find::Args),
    /// Makes a cache.
    Init(init::Args),
    /// Mounts the cache.
    Mount(mount::Args),
    /// Unmounts the cache.
    Unmount(unmount::Args),
    /// Describes the cache.
    Status(status::Args),
}

impl Verb {
    /// Runs it.
    ///
    /// # Errors
    /// Whatever kept it from being done.
    pub fn run(&self, context: &Context) -> Result<(), Failure> {
        match self {
            Self::Find(args) => args.run(context),
            Self::Init(args) => args.run(context),
            Self::Mount(args) => args.run(context),
            Self::Unmount(args) => args.run(context),
            Self::Status(args) => args.run(context),
        }
    }
}

/// Where images lie inside a cache partition, in the layout `opengnsys`.
const INNER: &str = "opt/opengnsys/images";

/// Where the cache is mounted unless the user says where.
fn place(at: Option<&Path>) -> PathBuf {
    at.unwrap_or(Path::new("/opt/opengnsys/cache")).to_owned()
}

/// The one cache: among all devices, or on the one that is named.
fn the_cache(context: &Context, device: Option<&PathBuf>) -> Result<Hit, Failure> {
    let scope: Vec<PathBuf> = device.into_iter().cloned().collect();
    let found = cache::find(&scope)?;
    warn_skipped(context, &found);
    Ok(cache::only(&found.hits)?.clone())
}

fn warn_skipped(context: &Context, found: &cache::Found) {
    for (_, why) in &found.skipped {
        context.output.warn(&context.catalog, &why.to_string());
    }
}
