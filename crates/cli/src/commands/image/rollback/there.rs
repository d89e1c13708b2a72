//! The same at a manager: it reads the version, and moves what is to be moved.

use azud_core::code::Code;
use azud_transport::NetError;
use azud_transport::http::{Former, Version as Told};

use super::{Args, Side, other_may_do, plan, settled};
use crate::commands::Context;
use crate::confirm::{Step, settle};
use crate::failure::Failure;
use crate::human::printable;
use crate::remote::Remote;

use super::super::history::told_json;

impl Args {
    /// Brings a version of an image of a manager back there.
    pub(super) fn there(&self, context: &Context, image: &Remote) -> Result<(), Failure> {
        let chosen = checked(context, image, self.version.as_deref())?;
        let slot = chosen.version.version.clone().unwrap_or_default();
        let side = Side::of(&chosen.version);
        let versions = image.client.history(&image.name)?;
        let present = versions.iter().find(|told| told.version.is_none());
        let present = present.map(Side::of);
        let shown = image.shown();
        let plan = plan(context, &shown, (&side, present.as_ref()), chosen.sound);
        if settle(context, &plan, self.writing) == Step::Stop {
            return Ok(());
        }
        let progress = context.progress();
        let done = image.client.rollback(&image.name, &slot, &progress);
        drop(progress);
        let done = done.map_err(|error| unheard(context, image, error))?;
        settled(context, (&shown, &slot), done.identity.as_deref(), &side);
        Ok(())
    }
}

impl Side {
    fn of(told: &Told) -> Self {
        Self {
            slot: told.version.as_deref().map(printable),
            captured: told.created.as_deref().map(printable),
            identity: told.identity.as_deref().map(printable),
            size: told.size,
            json: told_json(told),
        }
    }
}

/// The version that is meant, once the manager knows that it is whole.
fn checked(context: &Context, image: &Remote, version: Option<&str>) -> Result<Former, Failure> {
    let progress = context.progress();
    let checked = image.client.check_version(&image.name, version, &progress);
    drop(progress);
    checked.map_err(|error| refused(context, error))
}

/// Where the answer was lost, nobody knows here whether it was done, and done twice it is undone.
fn unheard(context: &Context, image: &Remote, error: NetError) -> Failure {
    if !error.is_temporary() {
        return refused(context, error);
    }
    let image = [("image", image.shown().into())];
    let hint = context.catalog.fmt("hint-rollback-unheard", &image);
    Failure::from(error).with_hint(hint)
}

/// Of a damaged version people are told that there may be others.
fn refused(context: &Context, error: NetError) -> Failure {
    let is_damaged = matches!(
        error.code(),
        Code::Corrupt | Code::Truncated | Code::FalseSum
    );
    let failure = Failure::from(error);
    if is_damaged {
        other_may_do(context, failure)
    } else {
        failure
    }
}
