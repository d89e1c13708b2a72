//! `azud cache evict [IMAGE…]`.

use std::path::PathBuf;

use azud_core::cache::{Policy, Sort, last_copies, may_go, may_go_even_last};
use azud_store::StoreError;
use azud_store::cache::{Cache, Gone, NoRoom, Room, Survey};
use serde_json::json;

use super::list::warn;
use super::listed;
use crate::args::Writing;
use crate::args::size::size;
use crate::cached::stays::told;
use crate::cached::{Place, locate, policy};
use crate::commands::Context;
use crate::confirm::{Asking, Step, settle_asking};
use crate::failure::Failure;
use crate::human;
use crate::opened::{identify, now};
use crate::plan::Plan;
use crate::table;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The images; else the least recently used.
    #[arg(value_name = "IMAGE")]
    pub images: Vec<PathBuf>,
    /// Room for so much more.
    #[arg(long, value_name = "SIZE", value_parser = size, conflicts_with = "images")]
    pub free: Option<u64>,
    /// Most that the cache may hold.
    #[arg(long, value_name = "SIZE", value_parser = size, conflicts_with = "images")]
    pub budget: Option<u64>,
    /// What stays free.
    #[arg(long, value_name = "SIZE", value_parser = size, conflicts_with = "images")]
    pub floor: Option<u64>,
    /// Also the last copy of what a partition runs.
    #[arg(long, requires = "images", conflicts_with_all = ["free", "budget", "floor"])]
    pub even_last_copy: bool,
    /// Which cache.
    #[command(flatten)]
    pub place: Place,
    /// Plan and consent.
    #[command(flatten)]
    pub writing: Writing,
}

/// What goes, by its places in the survey, and how much that gives back.
struct Choice {
    victims: Vec<usize>,
    /// Those that are the last copies of what partitions run.
    last: Vec<usize>,
    frees: u64,
    certain: bool,
}

impl Args {
    /// Evicts.
    ///
    /// # Errors
    /// When an image may not go, or no room can be made.
    pub fn run(&self, context: &Context) -> Result<(), Failure> {
        let cache = self.place.open(context)?;
        let images = locate(&cache, &self.images)?;
        let policy = policy(&cache, self.budget, self.floor)?;
        let mut survey = cache.survey(now(), &identify)?;
        warn(context, &survey);
        let choice = if images.is_empty() {
            self.for_room(context, (&cache, &mut survey), &policy)?
        } else {
            named(&survey, &images, self.even_last_copy)?
        };
        if choice.victims.is_empty() {
            show(context, &[]);
            return Ok(());
        }
        cache.check_writable()?;
        let plan = self.plan(context, &cache, (&survey, &choice), &policy);
        let name = cache.root().display().to_string();
        let asking = if choice.last.is_empty() {
            Asking::removal(&name)
        } else {
            Asking::last_copy(&name)
        };
        if settle_asking(context, &plan, self.writing, asking)? == Step::Stop {
            return Ok(());
        }
        let mut gone = Vec::new();
        let done = if images.is_empty() {
            let room = Room {
                need: self.free.unwrap_or(0),
                policy: &policy,
                keep: &[],
                agreed: &survey.paths(&choice.victims),
            };
            cache.make_room(&room, now(), &identify, |one| {
                gone.push(one.clone());
            })
        } else {
            carry_out(&cache, (&survey, &choice), &mut gone)
        };
        // What went is told even if the rest did not.
        if done.is_ok() || !gone.is_empty() {
            show(context, &gone);
        }
        done.map_err(|error| told(context, error))
    }

    fn for_room(
        &self,
        context: &Context,
        (cache, survey): (&Cache, &mut Survey),
        policy: &Policy,
    ) -> Result<Choice, Failure> {
        let need = self.free.unwrap_or(0);
        match cache.plan_room(need, survey, policy) {
            Ok(plan) => Ok(Choice {
                last: Vec::new(),
                frees: plan.frees,
                certain: plan.certain,
                victims: plan.victims,
            }),
            Err(short) => {
                let short = Box::new(NoRoom::of(&short, survey));
                Err(told(context, StoreError::NoRoom(short)))
            }
        }
    }

    fn plan(
        &self,
        context: &Context,
        cache: &Cache,
        (survey, choice): (&Survey, &Choice),
        policy: &Policy,
    ) -> Plan {
        let names = choice
            .victims
            .iter()
            .map(|&at| survey.cached[at].path.display().to_string());
        let mut plan = Plan::new("cache-evict")
            .text("cache", cache.root().display().to_string())
            .row("images", listed(names.collect()))
            .bytes("frees", choice.frees)
            .bytes("free", survey.space.free);
        if self.images.is_empty() {
            plan = plan
                .bytes("need", self.free.unwrap_or(0))
                .bytes("floor", policy.floor);
            plan = match policy.budget {
                Some(budget) => plan.bytes("budget", budget),
                None => plan,
            };
        }
        if !choice.certain {
            plan = plan.warning(&context.catalog, "uncertain", &[]);
        }
        for &at in &choice.last {
            let cached = &survey.cached[at];
            let values = [
                ("image", cached.path.display().to_string().into()),
                ("partition", cached.runs_on.join(", ").into()),
            ];
            plan = plan.warning(&context.catalog, "last-copy", &values);
        }
        plan.warning(&context.catalog, "evicts", &[])
    }
}

/// The images that were named, with their former versions as far as those may go.
fn named(survey: &Survey, images: &[PathBuf], even_last: bool) -> Result<Choice, Failure> {
    let rule = if even_last { may_go_even_last } else { may_go };
    let items = survey.items();
    let mut victims = Vec::new();
    for path in images {
        let at = survey.cached.iter().position(|cached| cached.path == *path);
        victims.push(at.ok_or_else(|| StoreError::NotFound(path.clone()))?);
    }
    rule(&items, &victims).map_err(|(at, why)| StoreError::Stays {
        image: survey.cached[at].path.clone(),
        why,
    })?;
    for (at, cached) in survey.cached.iter().enumerate() {
        let of_these = cached
            .former_of()
            .is_some_and(|image| images.contains(&image));
        if cached.sort == Sort::Former && of_these {
            victims.push(at);
            let held = may_go_even_last(&items, &victims).is_err();
            // Nobody named it: as a last copy it stays.
            if held || last_copies(&items, &victims).contains(&at) {
                victims.pop();
            }
        }
    }
    let bytes = |of: fn(&azud_core::cache::Item) -> u64| {
        victims.iter().map(|&at| of(&items[at])).sum::<u64>()
    };
    let frees = bytes(|item| item.bytes);
    Ok(Choice {
        certain: bytes(|item| item.surely) == frees,
        last: last_copies(&items, &victims),
        frees,
        victims,
    })
}

fn carry_out(
    cache: &Cache,
    (survey, choice): (&Survey, &Choice),
    gone: &mut Vec<Gone>,
) -> Result<(), StoreError> {
    for &at in &choice.victims {
        let path = survey.cached[at].path.clone();
        // What became the last copy since the plan was shown is not given up.
        let freed = if choice.last.contains(&at) {
            cache.evict_even_last(&path, now(), &identify)?
        } else {
            cache.evict(&path, now(), &identify)?
        };
        gone.push(Gone { path, freed });
    }
    Ok(())
}

fn show(context: &Context, gone: &[Gone]) {
    let bytes: u64 = gone.iter().map(|gone| gone.freed.bytes).sum();
    let measured: u64 = gone.iter().map(|gone| gone.freed.measured).sum();
    let paths: Vec<&PathBuf> = gone.iter().map(|gone| &gone.path).collect();
    let value = json!({
        "action": "cache-evict",
        "evicted": paths,
        "bytes": bytes,
        "freed": measured,
    });
    context.output.result(&value, || {
        if gone.is_empty() {
            return context.catalog.text("result-nothing");
        }
        let label = context.catalog.text("label-freed");
        let rows = [(label, human::bytes(measured))];
        format!(
            "{}\n{}",
            context.catalog.text("result-cache-evict"),
            table::rows(&rows)
        )
    });
}
