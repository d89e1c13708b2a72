//! `azud storage watch`.

use std::path::{Path, PathBuf};
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
        announce(context, site.layout.mnt());
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

/// Says that it has begun, to whoever wants to hear.
fn announce(context: &Context, mnt: &Path) {
    if context.output.mode().quiet {
        return;
    }
    context.output.json(&json!({ "watching": mnt }));
    let text = context.catalog.text("storage-watching");
    context.output.note(&text);
}

/// Clears away what was pulled, and brings the names in step.
fn step(context: &Context, site: &Site) {
    let namespace = match place::of_site(site) {
        Ok(namespace) => namespace,
        Err(failure) => return context.output.failure(&context.catalog, &failure),
    };
    let cleared = place::clear(context, &namespace);
    for cleared in cleared.iter().filter(|_| !context.output.mode().quiet) {
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::announce;
    use crate::commands::Context;
    use crate::i18n::{Catalog, Lang};
    use crate::output::memory::output;
    use crate::site::SiteArgs;
    use crate::telling::Teller;

    #[test]
    fn whoever_wants_quiet_is_not_told_that_it_begins() {
        for (json, quiet) in [(false, false), (false, true), (true, false), (true, true)] {
            let (output, out, err) = output(json, quiet);
            let context = Context {
                catalog: Catalog::new(Lang::En).into(),
                output: output.into(),
                site: SiteArgs::default(),
                teller: Teller::default(),
            };
            announce(&context, Path::new("/mnt"));
            let said = [out.text(), err.text()].concat();
            assert_eq!(said.is_empty(), quiet, "json {json}: {said}");
        }
    }
}
