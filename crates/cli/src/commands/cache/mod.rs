//! `azud cache …`: the cache partition of this computer, and the images in it.

mod check;
pub mod evict;
pub mod find;
pub mod init;
pub mod list;
pub mod mount;
pub mod pin;
pub mod repair;
pub mod status;
mod throttle;
mod tree;
pub mod unmount;
pub mod update;
pub mod verify;

use std::path::{Path, PathBuf};

use azud_core::code::Code;
use azud_core::layout::Layout;
use azud_disk::DiskError;
use azud_disk::cache::{self, Hit};
use clap::Subcommand;

use super::Context;
use crate::failure::Failure;
use crate::output::{detail, told};
use crate::place;
use crate::plan::Value;
use crate::site::Site;

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
    /// Lists what it holds.
    List(list::Args),
    /// Keeps images.
    Pin(pin::Args),
    /// Lets images go again.
    Unpin(pin::Args),
    /// Removes images.
    Evict(evict::Args),
    /// Checks images.
    Verify(verify::Args),
    /// Fetches damaged frames again.
    Repair(repair::Args),
    /// Brings an image up to date.
    Update(update::Args),
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
            Self::List(args) => args.run(context),
            Self::Pin(args) => args.run(context, true),
            Self::Unpin(args) => args.run(context, false),
            Self::Evict(args) => args.run(context),
            Self::Verify(args) => args.run(context),
            Self::Repair(args) => args.run(context),
            Self::Update(args) => args.run(context),
        }
    }
}

/// The layout of this site: where the cache is mounted, and where images lie in it.
fn layout(context: &Context) -> Result<Layout, Failure> {
    Ok(Site::load(&context.site)?.layout)
}

/// The one cache: among the disks that are counted, or on the device that is named.
pub(crate) fn the_cache(context: &Context, device: Option<&PathBuf>) -> Result<Hit, Failure> {
    let scope = match device {
        Some(device) => vec![place::device(device)?],
        None => place::disks(),
    };
    let found = cache::find(&scope)?;
    warn_skipped(context, &found);
    match cache::only(&found.hits) {
        // Somebody has chosen already.
        Err(DiskError::SeveralCaches { devices }) => {
            let at_home = at_home(&layout(context)?, &found.hits);
            Ok(at_home.ok_or(DiskError::SeveralCaches { devices })?)
        }
        other => Ok(other?.clone()),
    }
}

/// The one that is mounted where the cache belongs.
fn at_home(layout: &Layout, hits: &[Hit]) -> Option<Hit> {
    let is_at_home = |hit: &&Hit| {
        let name = hit.device.strip_prefix("/dev").unwrap_or(&hit.device);
        let home = layout.cache_mount(&name.to_string_lossy());
        let home = std::fs::canonicalize(&home).unwrap_or(home);
        hit.mounts.iter().any(|mount| mount.at == home)
    };
    hits.iter().find(is_at_home).cloned()
}

/// What can be done about a cache without a file system that is recognised. Formatting is named first only where
/// nothing is on it: what held images may be repaired.
pub(crate) fn unrecognised_hint(context: &Context, device: &Path) -> String {
    let key = match cache::blank(device) {
        Ok(true) => "hint-cache-blank",
        Ok(false) | Err(_) => "hint-cache-unrecognised",
    };
    let name = device.display().to_string();
    context.catalog.fmt(key, &[("device", name.into())])
}

/// The cache has no file system that is recognised.
fn unrecognised(context: &Context, device: &Path) -> Failure {
    Failure::new(Code::CacheUnformatted, device.display().to_string())
        .with_hint(unrecognised_hint(context, device))
}

/// Brings the names of the cache in step with where it is mounted now. It is mounted, or not, all the same.
fn keep_in_step(context: &Context) {
    let done = place::namespace(context).and_then(|names| place::keep_in_step(&names));
    if let Err(failure) = done {
        let said = detail(&context.catalog, &failure);
        let why = format!("{}: {said}", failure.code);
        context.output.warn(&context.catalog, &why);
    }
}

fn warn_skipped(context: &Context, found: &cache::Found) {
    for (_, why) in &found.skipped {
        let text = told(&context.catalog, why);
        context.output.warn(&context.catalog, &text);
    }
}

/// Several paths as a row of a plan.
fn listed(paths: Vec<String>) -> Value {
    Value::Made {
        text: paths.join(", "),
        json: paths.into(),
    }
}
