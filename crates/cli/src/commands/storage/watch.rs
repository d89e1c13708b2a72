//! `azud storage watch`.

use std::path::PathBuf;
use std::time::Duration;

use azud_disk::remote::{is_gone, mounted_in, reach};
use azud_disk::watch::{Watch, Woken};
use serde_json::json;

use crate::commands::Context;
use crate::failure::Failure;
use crate::interrupt;
use crate::place;
use crate::site::Site;

/// How long nothing is looked at where the kernel tells nothing.
const INTERVAL: Duration = Duration::from_secs(2);

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {}

impl Args {
    /// Waits for media that are pulled while they are mounted, and takes away their mounts and names. Names follow
    /// what others mount and unmount, too. It ends when it is told to.
    ///
    /// # Errors
    /// When the kernel's table of mounts cannot be watched, or the configuration is not understood.
    pub fn run(&self, context: &Context) -> Result<(), Failure> {
        let watch = Watch::begin()?;
        let mut site = Site::load(&context.site)?;
        interrupt::only_watches();
        context
            .output
            .json(&json!({ "watching": site.layout.mnt() }));
        context
            .output
            .note(&context.catalog.text("storage-watching"));
        step(context, &site);
        let mut left = gone(&site);
        loop {
            let woken = watch.wait(INTERVAL)?;
            if woken != Woken::Time {
                // The configuration may have changed; while somebody writes it the former holds.
                site = Site::load(&context.site).unwrap_or(site);
            }
            // Servers are asked only when something happened.
            if woken == Woken::Mounts || gone(&site) != left {
                step(context, &site);
                left = gone(&site);
            }
        }
    }
}

/// Clears away what was pulled, and brings the names in step.
fn step(context: &Context, site: &Site) {
    let namespace = match place::of_site(site) {
        Ok(namespace) => namespace,
        Err(failure) => return context.output.failure(&context.catalog, &failure),
    };
    for cleared in place::clear(context, &namespace) {
        let name = cleared.to_string();
        context.output.json(&json!({ "withdrawn": name }));
    }
    place::follow(context, &namespace);
}

/// What is mounted in the places of the layout and has lost its device. No server is asked.
fn gone(site: &Site) -> Vec<PathBuf> {
    let mut dirs = vec![site.layout.base(), site.layout.mnt()];
    dirs.dedup();
    let mounted = dirs
        .into_iter()
        .filter_map(reach)
        .flat_map(|dir| mounted_in(&dir));
    let places = mounted.map(|facts| facts.at);
    places.filter(|at| is_gone(at)).collect()
}
