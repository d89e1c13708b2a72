//! `azud image rollback IMAGE [VERSION]`.

mod there;

use std::path::{Path, PathBuf};

use azud_core::code::Code;
use azud_core::progress::Progress;
use azud_image::verify;
use azud_server::{Checks, Unsound};
use azud_store::trash::{Which, find, refuse_other, rollback};
use azud_store::{Identity, publish};
use serde_json::json;

use super::history::{Dated, present};
use crate::cached::alone;
use crate::confirm::{Step, settle};
use crate::foreign;
use crate::human;
use crate::opened::{Opened, identify, now};
use crate::plan::{Plan, Value};
use crate::remote::Destination;

use crate::args::Writing;
use crate::commands::Context;
use crate::failure::Failure;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The image.
    pub image: PathBuf,
    /// The version, by default the last one.
    pub version: Option<String>,
    /// Plan and consent.
    #[command(flatten)]
    pub writing: Writing,
}

impl Args {
    /// Brings the version back, once it is known to be whole.
    ///
    /// # Errors
    /// When there is no such version, or it is damaged.
    pub fn run(&self, context: &Context) -> Result<(), Failure> {
        let image = match Destination::named(context, &self.image)? {
            Destination::Here(located) => located.image,
            Destination::There(remote) => return self.there(context, &remote),
        };
        // Of an image in use nothing more is to be said.
        drop(alone(&image)?);
        let which = self.version.clone().map_or(Which::Latest, Which::Named);
        let chosen = Dated::of(find(&image, &which, now())?);
        publish::check(&image, now())?;
        let (side, present) = (Side::here(&chosen), present(&image)?);
        let present = present.as_ref().map(Side::here);
        refuse_other(&chosen.version).map_err(|error| other_may_do(context, error.into()))?;
        let sound = check(context, &chosen.version.path)?;
        let shown = image.path().display().to_string();
        let plan = plan(context, &shown, (&side, present.as_ref()), sound);
        if settle(context, &plan, self.writing) == Step::Stop {
            return Ok(());
        }
        // Another may have become the last one meanwhile.
        let slot = chosen.version.slot.clone().unwrap_or_default();
        let _lease = alone(&image)?;
        let version = rollback(&image, &Which::Named(slot.clone()), now(), &identify)?;
        let identity = version.identity.map(|identity| identity.to_string());
        settled(context, (&shown, &slot), identity.as_deref(), &side);
        Ok(())
    }
}

/// Says what was done.
fn settled(context: &Context, (image, slot): (&str, &str), identity: Option<&str>, side: &Side) {
    let value = json!({
        "action": "image-rollback",
        "image": image,
        "version": slot,
        "identity": identity,
    });
    context.output.result(&value, || {
        let text = context.catalog.text("result-image-rollback");
        format!("{text}: {}", side.describe(context))
    });
}

/// Reads a former version to its end; `false` where nothing tells what its bytes should be.
///
/// # Errors
/// `image/corrupt` and what else `azud image verify` says.
pub(crate) fn check(context: &Context, path: &Path) -> Result<bool, Failure> {
    let progress = context.progress();
    let checked = read_whole(path, &progress);
    drop(progress);
    checked.map_err(|failure| other_may_do(context, failure))
}

/// Of a damaged version people are told that there may be others.
fn other_may_do(context: &Context, failure: Failure) -> Failure {
    failure.with_hint(context.catalog.text("hint-rollback-other"))
}

fn read_whole(path: &Path, progress: &dyn Progress) -> Result<bool, Failure> {
    let checked = match Opened::at(path) {
        Ok(Opened { stored, native }) => verify(&native, &stored, false, progress)
            .map(|()| true)
            .map_err(|error| Failure::from(error).about(&path.display().to_string())),
        Err(failure) if failure.code == Code::NotNative => {
            foreign::check_telling(path, progress).map(|checked| checked.is_vouched())
        }
        Err(failure) => Err(failure),
    };
    match checked {
        Err(failure) if failure.code == Code::UnknownFormat => Ok(false),
        checked => checked,
    }
}

/// The same for those who ask the manager.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReadWhole;

impl Checks for ReadWhole {
    fn check(&self, path: &Path, progress: &dyn Progress) -> Result<bool, Unsound> {
        read_whole(path, progress).map_err(|failure| Unsound {
            code: failure.code,
            detail: failure.detail,
        })
    }
}

/// What a plan tells of a version, wherever it lies.
struct Side {
    slot: Option<String>,
    captured: Option<String>,
    /// Whole, in hexadecimal.
    identity: Option<String>,
    size: u64,
    json: serde_json::Value,
}

fn plan(
    context: &Context,
    image: &str,
    (chosen, present): (&Side, Option<&Side>),
    sound: bool,
) -> Plan {
    let checked = if sound { "sound" } else { "unchecked" };
    let mut plan = Plan::new("image-rollback")
        .text("image", image)
        .text("version", chosen.slot.clone().unwrap_or_default())
        .row("created", text_or_none(chosen.captured.as_ref()))
        .row("identity", chosen.identity())
        .bytes("file-size", chosen.size)
        .row("checked", Value::Word(checked))
        .row(
            "present",
            present.map_or(Value::Word("none"), |present| Value::Made {
                text: present.describe(context),
                json: present.json.clone(),
            }),
        );
    if !sound {
        plan = plan.warning(&context.catalog, "unchecked", &[]);
    }
    let Some(present) = present else { return plan };
    plan = plan.warning(&context.catalog, "to-history", &[]);
    match (&chosen.captured, &present.captured) {
        (Some(then), Some(now)) if then > now => {
            plan.warning(&context.catalog, "rolls-forward", &[])
        }
        _ => plan,
    }
}

fn text_or_none(text: Option<&String>) -> Value {
    text.map_or(Value::Word("none"), |text| Value::Text(text.clone()))
}

impl Side {
    fn here(dated: &Dated) -> Self {
        let version = &dated.version;
        Self {
            slot: version.slot.clone(),
            captured: dated.captured.clone(),
            identity: version.identity.map(|identity| identity.to_string()),
            size: version.size,
            json: dated.json(),
        }
    }

    fn short(&self) -> Option<String> {
        self.identity.as_deref().map(Identity::shortened)
    }

    /// Short for people, whole for programs.
    fn identity(&self) -> Value {
        let pair = self.short().zip(self.identity.clone());
        pair.map_or(Value::Word("none"), |(text, whole)| Value::Made {
            text,
            json: whole.into(),
        })
    }

    /// In a line: when it was captured, who it is, its size.
    fn describe(&self, context: &Context) -> String {
        let captured = self.captured.as_ref().map(|time| {
            let values = [("time", time.as_str().into())];
            context.catalog.fmt("version-captured", &values)
        });
        let size = Some(human::bytes(self.size));
        let parts = [captured, self.short(), size];
        parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}
