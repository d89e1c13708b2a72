//! `azud doctor`: what keeps this computer from working, and what to do about it.
//!
//! One file per area: gathering facts, and a pure judgement of them. Nothing is changed, save that a file
//! is made and removed at once to see the clock of a file system. Whatever may hold who asks is
//! asked [`within`] a time.

mod cache;
mod clock;
mod finding;
mod kernel;
mod managers;
mod mounts;
mod site;
mod space;
mod stages;
mod tools;

use std::path::PathBuf;
use std::time::Duration;

use azud_core::code::Code;
use azud_core::namespace::Namespace;
use azud_disk::machine::within;
use azud_disk::remote::State as Mount;
use serde_json::{Value, json};

use self::finding::{Finding, State};
use self::site::{Config, Root, look_at_root, plan};
use super::Context;
use super::repo::{ask_known, known_twice};
use crate::cached;
use crate::failure::Failure;
use crate::opened::now;
use crate::place;
use crate::site::Site;

/// How long a file system may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long all disks together may take, and a walk through a tree.
const LONG: Duration = Duration::from_secs(30);

/// Arguments: none.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// An area and what was found there.
type Section = (&'static str, Vec<Finding>);

impl Args {
    /// Looks at everything and tells it.
    ///
    /// # Errors
    /// `site/problems` when there are any.
    pub fn run(&self, context: &Context) -> Result<(), Failure> {
        let sections = look(context);
        let count = |state| {
            let found = sections.iter().flat_map(|(_, findings)| findings);
            found.filter(|finding| finding.state == state).count()
        };
        let [ok, unknown, warnings, problems] =
            [State::Ok, State::Unknown, State::Warning, State::Problem].map(count);
        let value = json!({
            "findings": json_of(context, &sections),
            "ok": ok,
            "unknown": unknown,
            "warnings": warnings,
            "problems": problems,
        });
        let sum = || {
            let counts = [
                ("ok", ok.into()),
                ("unknown", unknown.into()),
                ("warnings", warnings.into()),
                ("problems", problems.into()),
            ];
            context.catalog.fmt("doctor-sum", &counts)
        };
        let human = || {
            let mut text = text(context, &sections);
            text.push_str(&sum());
            text
        };
        if problems == 0 {
            context.output.answer(&value, human);
            return Ok(());
        }
        let values = [("problems", problems.into())];
        let detail = context.catalog.fmt("doctor-problems", &values);
        let failure = Failure::new(Code::Problems, detail);
        Err(context.output.answered(failure, value, human))
    }
}

fn json_of(context: &Context, sections: &[Section]) -> Vec<Value> {
    let found = sections
        .iter()
        .flat_map(|(area, findings)| findings.iter().map(move |it| (area, it)));
    found
        .map(|(area, finding)| finding.json(&context.catalog, area))
        .collect()
}

/// For people. `--quiet` leaves out what is in order.
fn text(context: &Context, sections: &[Section]) -> String {
    let catalog = &context.catalog;
    let states = [State::Ok, State::Unknown, State::Warning, State::Problem];
    let names = states.map(|state| catalog.text(&format!("doctor-state-{}", state.name())));
    let width = names.iter().map(|name| name.chars().count()).max();
    let quiet = context.output.mode().quiet;
    let mut text = String::new();
    for (area, findings) in sections {
        let shown = findings.iter().filter(|it| !quiet || it.state != State::Ok);
        let lines: Vec<String> = shown
            .map(|finding| finding.text(catalog, width.unwrap_or(0)))
            .collect();
        if !lines.is_empty() {
            let head = catalog.text(&format!("doctor-area-{area}"));
            text += &[&head, "\n", &lines.join("\n"), "\n\n"].concat();
        }
    }
    text
}

fn look(context: &Context) -> Vec<Section> {
    let loaded = Site::load(&context.site);
    let wrong = loaded.as_ref().err().map(|failure| {
        let causes = std::iter::once(&failure.detail).chain(&failure.causes);
        causes.cloned().collect::<Vec<_>>().join(": ")
    });
    let mut sections = vec![
        ("kernel", kernel::judge(&kernel::gather())),
        ("tools", tools::judge(&tools::gather())),
        ("config", Config::look(wrong).judge()),
    ];
    let serving = loaded.as_ref().is_ok_and(|site| site.serving);
    let named = cached::named_directory(context);
    if let Ok(site) = loaded {
        sections.extend(look_at_site(site, named.as_ref().ok().cloned().flatten()));
    }
    sections.push(("managers", look_at_managers()));
    sections.push(("cache", look_at_cache(named, serving)));
    sections
}

/// The directory that the environment names as the cache, else the partition.
fn look_at_cache(named: Result<Option<PathBuf>, Failure>, serving: bool) -> Vec<Finding> {
    let looked = match named {
        Ok(Some(dir)) => within(PATIENCE, move || cache::judge_named(&dir)),
        Ok(None) => within(LONG, move || cache::Facts::gather(serving).judge()),
        Err(failure) => Some(vec![cache::judge_absent(&failure)]),
    };
    looked.unwrap_or_else(|| vec![Finding::unknown("disks-silent")])
}

fn look_at_managers() -> Vec<Finding> {
    let asked = ask_known();
    let hosts = asked.iter().flatten().map(|asked| asked.host.clone());
    let same = managers::judge_same(&known_twice(&hosts.collect::<Vec<_>>()));
    [managers::judge(asked), same].concat()
}

/// What can only be looked at where the configuration is understood.
fn look_at_site(site: Site, cache: Option<PathBuf>) -> Vec<Section> {
    let root = site.layout.root().to_owned();
    let base = site.layout.base().to_owned();
    let mounted = mounts::gather(&site.layout);
    let looked = {
        let root = root.clone();
        within(PATIENCE, move || look_at_root(&root)).unwrap_or(Root::Silent)
    };
    let facts = site::Facts::gather(site.clone(), looked);
    let mut found = facts.judge();
    // It asks every mount itself, and waits for none of them long.
    let asked = within(LONG, move || {
        let namespace = place::of_site(&site)?;
        let plan = (looked == Root::Directory).then(|| plan(&namespace));
        Ok::<_, Failure>((namespace, plan))
    });
    let mut dirs = vec![root.clone()];
    match asked {
        None => found.push(Finding::unknown("names-silent")),
        Some(Err(failure)) => {
            found.push(Finding::unknown("names-unknown").because(failure));
        }
        Some(Ok((namespace, plan))) => {
            if let Some(plan) = plan {
                found.extend(site::judge_names(&base, &plan));
            }
            dirs = places(&namespace);
        }
    }
    dirs.extend(cache);
    dirs.sort();
    dirs.dedup();
    // Who does not answer was told already, and would only be waited for again.
    let silent = |dir: &PathBuf| {
        let mut silent = mounted.iter().filter(|it| it.state != Mount::Mounted);
        silent.any(|it| dir.starts_with(&it.mount.at))
    };
    dirs.retain(|dir| !silent(dir));
    if looked != Root::Directory {
        dirs.retain(|dir| *dir != root);
    }
    let mut sections = vec![("site", found), ("mounts", mounts::judge(&mounted))];
    sections.extend(look_at_places(&dirs));
    sections
}

/// Where images lie: the root, and every repository that is there.
fn places(namespace: &Namespace) -> Vec<PathBuf> {
    let mut dirs = vec![namespace.layout().root().to_owned()];
    dirs.extend(
        namespace
            .trees()
            .iter()
            .map(azud_core::namespace::Tree::path),
    );
    dirs
}

fn look_at_places(dirs: &[PathBuf]) -> Vec<Section> {
    let ask = |patience, ask: fn(PathBuf) -> Vec<Finding>| {
        let found = dirs.iter().flat_map(|dir| {
            let asked = dir.clone();
            let silent = || vec![Finding::unknown("place-silent").with("path", dir.display())];
            within(patience, move || ask(asked)).unwrap_or_else(silent)
        });
        found.collect::<Vec<_>>()
    };
    let mut clocks = vec![clock::judge(now())];
    clocks.extend(ask(PATIENCE, |dir| {
        vec![clock::judge_probe(&clock::probe(dir))]
    }));
    vec![
        ("clocks", clocks),
        (
            "space",
            ask(PATIENCE, |dir| vec![space::judge(&space::gather(dir))]),
        ),
        (
            "stages",
            ask(LONG, |dir| stages::judge(&stages::gather(dir))),
        ),
    ]
}
