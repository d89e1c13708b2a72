//! Room for an image that is received into a cache: what goes for it.

use std::path::{Path, PathBuf};

use azud_core::cache::{EvictionPlan, Policy, Shortfall, Sort, may_go};
use azud_core::code::Code;
use azud_store::StoreError;
use azud_store::assembly::Prospect;
use azud_store::cache::{Cache, Cached, Gone, NoRoom, Room, Survey};
use serde_json::{Value as Json, json};

use crate::cached::stays::{reason, told, word};
use crate::cached::{holding, policy};
use crate::commands::Context;
use crate::confirm::{Asking, Step, settle_asking};
use crate::failure::{Failure, Hint};
use crate::human;
use crate::opened::{identify, now, rfc3339};
use crate::plan::{Plan, Value};

use super::Receiving;

/// A cache that an image is received into.
pub(super) struct Home {
    cache: Cache,
    /// The image and its source, by their paths from the root: both stay.
    keep: Vec<PathBuf>,
    policy: Policy,
}

/// What goes for an image.
pub(super) struct Making {
    need: u64,
    policy: Policy,
    survey: Survey,
    plan: EvictionPlan,
}

impl Home {
    /// The cache that the image is or would be in, if it is one.
    pub(super) fn of(
        context: &Context,
        receiving: &Receiving<'_>,
    ) -> Result<Option<Self>, Failure> {
        let Some((cache, path)) = holding(context, &receiving.to.image) else {
            return Ok(None);
        };
        // Before anybody counts the room that there is.
        cache.settle(now());
        let source = receiving
            .from
            .path()
            .and_then(|path| std::fs::canonicalize(path).ok());
        let inside = |file: PathBuf| Some(file.strip_prefix(cache.root()).ok()?.to_owned());
        let source = source.and_then(inside);
        Ok(Some(Self {
            policy: policy(&cache, None, None)?,
            keep: source.into_iter().chain([path]).collect(),
            cache,
        }))
    }

    /// The cache and the path of the image from its root.
    pub(super) fn place(&self) -> Option<(Cache, PathBuf)> {
        Some((self.cache.clone(), self.keep.last()?.clone()))
    }

    /// What a check found damaged in the image that is there.
    pub(super) fn known_damage(&self) -> Option<Vec<u64>> {
        self.cache.known_damage(self.keep.last()?).ok()?
    }

    /// Whether the cache would hold more than it may.
    pub(super) fn is_beyond_budget(&self, prospect: &Prospect) -> Result<bool, Failure> {
        match self.policy.budget {
            None => Ok(false),
            Some(budget) => {
                let survey = self.cache.survey(now(), &identify)?;
                Ok(beyond(&survey, prospect.needs, budget))
            }
        }
    }

    /// What goes; nothing where the image fits. An image that fits makes nothing go for the sake of space that
    /// would only be nice to have: the floor is kept when something has to go anyway, as far as that can be. Once a
    /// plan was agreed to, nothing else than it names.
    pub(super) fn making(
        &self,
        context: &Context,
        prospect: &Prospect,
        agreed: Option<&[PathBuf]>,
    ) -> Result<Option<Making>, Failure> {
        let mut survey = self.cache.survey(now(), &identify)?;
        let budget = self.policy.budget;
        let is_beyond = budget.is_some_and(|budget| beyond(&survey, prospect.needs, budget));
        if prospect.lacks == 0 && !is_beyond {
            return Ok(None);
        }
        survey.keep(&self.keep);
        if let Some(agreed) = agreed {
            survey.spare_all_but(agreed);
        }
        // What an earlier run reserved is room for this one, though it is not free.
        let need = prospect.needs.saturating_sub(prospect.reserved);
        let bare = Policy { floor: 0, budget };
        let wishes = [self.policy, bare];
        let wishes = if prospect.lacks == 0 {
            &wishes[1..]
        } else {
            &wishes[..]
        };
        let mut short = None;
        for policy in wishes {
            match self.cache.plan_room(need, &mut survey, policy) {
                Ok(plan) => {
                    let policy = *policy;
                    return Ok((!plan.victims.is_empty()).then_some(Making {
                        need,
                        policy,
                        survey,
                        plan,
                    }));
                }
                Err(error) => short = Some(error),
            }
        }
        Err(no_room(context, &survey, short.as_deref()))
    }

    /// Warns where less stays free than should: that alone keeps no image out, and makes none go.
    pub(super) fn tell_floor(
        &self,
        context: &Context,
        plan: Plan,
        (prospect, making): (&Prospect, Option<&Making>),
    ) -> Plan {
        let frees = making.map_or(0, |making| making.plan.frees);
        let room = prospect.has.saturating_add(frees);
        let left = room.saturating_sub(prospect.needs);
        if prospect.needs == 0 || left >= self.policy.floor {
            return plan;
        }
        let values = [
            ("left", human::bytes(left).into()),
            ("floor", human::bytes(self.policy.floor).into()),
        ];
        plan.warning(&context.catalog, "below-floor", &values)
    }

    /// Makes the room, of what was agreed to. What went is added to `gone`.
    pub(super) fn make(
        &self,
        context: &Context,
        (making, agreed): (&Making, &[PathBuf]),
        gone: &mut Vec<Gone>,
    ) -> Result<(), Failure> {
        let room = Room {
            need: making.need,
            policy: &making.policy,
            keep: &self.keep,
            agreed,
        };
        let done = self
            .cache
            .make_room(&room, now(), &identify, |one| gone.push(one.clone()));
        done.map_err(|error| told(context, error))
    }

    /// Shows a plan that tells what goes, and asks.
    pub(super) fn settle(
        &self,
        context: &Context,
        plan: &Plan,
        receiving: &Receiving<'_>,
    ) -> Result<Step, Failure> {
        let name = self.cache.root().display().to_string();
        let asking = Asking::removal(&name);
        settle_asking(context, plan, receiving.terms.writing, asking)
    }
}

fn beyond(survey: &Survey, need: u64, budget: u64) -> bool {
    let held = survey.cached.iter().map(|cached| cached.bytes);
    held.fold(need, u64::saturating_add) > budget
}

fn no_room(context: &Context, survey: &Survey, short: Option<&Shortfall>) -> Failure {
    let short = short.cloned().unwrap_or(Shortfall {
        needed: 0,
        could_free: 0,
        stay: Vec::new(),
    });
    let short = Box::new(NoRoom::of(&short, survey));
    told(context, StoreError::NoRoom(short))
}

impl Making {
    /// What goes, by paths from the root.
    pub(super) fn victims(&self) -> Vec<PathBuf> {
        self.survey.paths(&self.plan.victims)
    }

    /// Why nothing may go.
    pub(super) fn refuse(&self, context: &Context) -> Failure {
        let needed = human::bytes(self.plan.frees);
        let values = [("needed", needed.into())];
        Failure::new(Code::NoRoom, context.catalog.fmt("cache-no-evict", &values))
            .with_hint(Hint::of("hint-evict"))
    }

    /// Adds what goes, and what would go before it but stays, with the reasons.
    pub(super) fn show(&self, context: &Context, plan: Plan) -> Plan {
        let going = self.plan.victims.iter().map(|&at| &self.survey.cached[at]);
        let going: Vec<&Cached> = going.collect();
        let text = |cached: &&Cached| {
            let used = rfc3339(cached.used);
            let values = [
                ("name", cached.path.display().to_string().into()),
                ("used", used.into()),
            ];
            let key = match cached.sort {
                Sort::Former => "evicts-former",
                Sort::Image => "evicts-image",
            };
            context.catalog.fmt(key, &values)
        };
        let json = |cached: &&Cached| {
            json!({
                "path": cached.path,
                "former": cached.sort == Sort::Former,
                "bytes": cached.bytes,
                "last_used": rfc3339(cached.used),
            })
        };
        let mut plan = plan.row("evicts", made(&going, text, json));
        let stay = self.stay(&going);
        if !stay.is_empty() {
            let text = |(path, why): &(PathBuf, _)| {
                format!("{}: {}", path.display(), reason(context, why))
            };
            let json = |(path, why): &(PathBuf, _)| json!({ "path": path, "why": word(why) });
            plan = plan.row("older", made(&stay, text, json));
        }
        plan = plan.bytes("frees", self.plan.frees);
        if !self.plan.certain {
            plan = plan.warning(&context.catalog, "uncertain", &[]);
        }
        plan.warning(&context.catalog, "evicts", &[])
    }

    /// What was of use longer ago than something that goes, and why it stays.
    fn stay(&self, going: &[&Cached]) -> Vec<(PathBuf, azud_core::cache::Stays)> {
        let items = self.survey.items();
        let last = going.iter().map(|cached| cached.used).max();
        let older = self.survey.cached.iter().enumerate();
        let older = older.filter(|(_, cached)| Some(cached.used) < last);
        older
            .filter_map(|(at, cached)| {
                let (_, why) = may_go(&items, &[at]).err()?;
                Some((cached.path.clone(), why))
            })
            .collect()
    }
}

fn made<T>(all: &[T], text: impl Fn(&T) -> String, json: impl Fn(&T) -> Json) -> Value {
    let texts: Vec<String> = all.iter().map(text).collect();
    Value::Made {
        text: texts.join(", "),
        json: all.iter().map(json).collect(),
    }
}

/// What went, as programs read it.
pub(super) fn paths(gone: &[Gone]) -> Vec<&Path> {
    gone.iter().map(|gone| gone.path.as_path()).collect()
}
