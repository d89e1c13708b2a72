//! Room is made: one item after another, looking again after each.

use std::path::PathBuf;
use std::time::SystemTime;

use azud_core::cache::{EvictionPlan, Policy, Shortfall, Stays, plan_room};

use super::Cache;
use super::evict::Freed;
use super::survey::Survey;
use crate::error::{Result, StoreError};
use crate::identity::Identify;
use crate::stored::is_open;

/// Room that is to be made.
#[derive(Debug, Clone, Copy)]
pub struct Room<'a> {
    /// For so many more bytes.
    pub need: u64,
    /// Within this policy.
    pub policy: &'a Policy,
    /// These stay, by their paths from the root, whoever uses them.
    pub keep: &'a [PathBuf],
    /// These may go: the agreed plan names them. Nothing else does.
    pub agreed: &'a [PathBuf],
}

/// Something that left the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gone {
    /// Its path from the root.
    pub path: PathBuf,
    /// What that gave back.
    pub freed: Freed,
}

/// Why no room can be made, in bytes and paths from the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoRoom {
    /// Bytes that would have to become free, beyond those that are.
    pub needed: u64,
    /// Bytes that could become free, at most.
    pub could_free: u64,
    /// What stays, and why.
    pub stay: Vec<(PathBuf, Stays)>,
}

impl NoRoom {
    /// As a plan for this survey told it.
    pub fn of(short: &Shortfall, survey: &Survey) -> Self {
        let named = |(at, why): &(usize, Stays)| (survey.cached[*at].path.clone(), why.clone());
        Self {
            needed: short.needed,
            could_free: short.could_free,
            stay: short.stay.iter().map(named).collect(),
        }
    }
}

impl Cache {
    /// What goes so that `need` more bytes fit within the policy. What somebody has open gives nothing back: it is in
    /// use, in the survey too.
    ///
    /// # Errors
    /// As [`plan_room`].
    pub fn plan_room(
        &self,
        need: u64,
        survey: &mut Survey,
        policy: &Policy,
    ) -> std::result::Result<EvictionPlan, Box<Shortfall>> {
        loop {
            let plan = plan_room(need, &survey.items(), survey.space, policy)?;
            let open = |at: &usize| is_open(&self.root.join(&survey.cached[*at].path));
            let open: Vec<usize> = plan.victims.iter().copied().filter(open).collect();
            if open.is_empty() {
                return Ok(plan);
            }
            for at in open {
                survey.cached[at].in_use = true;
            }
        }
    }

    /// Evicts until the bytes that are needed fit within the policy, and no longer, of what was agreed to. How much an
    /// eviction gives back is only known afterwards where files share extents, and others may be at work too: so
    /// the plan is made anew after each. `gone` hears of each as it happens. In the place of one that cannot go another goes.
    ///
    /// # Errors
    /// [`StoreError::NoRoom`] before anything went, if it cannot be done; later, if what went gave back less
    /// than it took. [`StoreError::Pending`] or [`StoreError::HalfMoved`] of one that could not go, where the others are not
    /// enough. [`StoreError::ReadOnly`], [`StoreError::Locked`], or what the system says.
    pub fn make_room(
        &self,
        room: &Room<'_>,
        now: SystemTime,
        identify: &Identify<'_>,
        mut gone: impl FnMut(&Gone),
    ) -> Result<()> {
        // Of those that cannot go, each is tried once.
        let (mut spared, mut stuck) = (Vec::new(), None);
        loop {
            let mut survey = self.survey(now, identify)?;
            survey.keep(room.keep);
            survey.keep(&spared);
            survey.spare_all_but(room.agreed);
            let plan = match self.plan_room(room.need, &mut survey, room.policy) {
                Ok(plan) => plan,
                Err(short) => {
                    let no_room = || StoreError::NoRoom(Box::new(NoRoom::of(&short, &survey)));
                    return Err(stuck.unwrap_or_else(no_room));
                }
            };
            let Some(&first) = plan.victims.first() else {
                return Ok(());
            };
            let path = survey.cached[first].path.clone();
            match self.evict(&path, now, identify) {
                Ok(freed) => {
                    gone(&Gone { path, freed });
                    continue;
                }
                // Somebody else took it, or began to use it, since we looked.
                Err(StoreError::NotFound(_) | StoreError::Stays { .. }) => {}
                Err(error @ (StoreError::Pending { .. } | StoreError::HalfMoved(_))) => {
                    stuck.get_or_insert(error);
                }
                Err(error) => return Err(error),
            }
            spared.push(path);
        }
    }
}
