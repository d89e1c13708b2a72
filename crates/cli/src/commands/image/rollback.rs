//! `azud image rollback IMAGE [VERSION]`.

use std::path::{Path, PathBuf};

use azud_core::code::Code;
use azud_core::name::ImageFile;
use azud_image::verify;
use azud_store::Identity;
use azud_store::publish;
use azud_store::trash::{Which, find, rollback};
use serde_json::json;

use super::history::{Dated, present};
use crate::cached::alone;
use crate::confirm::{Step, settle};
use crate::foreign;
use crate::human;
use crate::opened::{Opened, identify, now};
use crate::place;
use crate::plan::{Plan, Value};

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
        let image = place::locate(context, &self.image)?.image;
        // Of an image in use nothing more is to be said.
        drop(alone(&image)?);
        let which = self.version.clone().map_or(Which::Latest, Which::Named);
        let chosen = Dated::of(find(&image, &which, now())?);
        publish::check(&image, now())?;
        let present = present(&image)?;
        let sound = check(context, &chosen.version.path)?;
        let plan = plan(context, &image, (&chosen, present.as_ref()), sound);
        if settle(context, &plan, self.writing) == Step::Stop {
            return Ok(());
        }
        // Another may have become the last one meanwhile.
        let slot = chosen.version.slot.clone().unwrap_or_default();
        let _lease = alone(&image)?;
        let version = rollback(&image, &Which::Named(slot.clone()), now(), &identify)?;
        let value = json!({
            "action": "image-rollback",
            "image": image.path(),
            "version": slot,
            "identity": version.identity.map(|identity| identity.to_string()),
        });
        context.output.result(&value, || {
            let text = context.catalog.text("result-image-rollback");
            format!("{text}: {}", chosen.describe(context))
        });
        Ok(())
    }
}

/// Reads a former version to its end; `false` where nothing tells what its bytes should be.
///
/// # Errors
/// `image/corrupt` and what else `azud image verify` says.
pub(crate) fn check(context: &Context, path: &Path) -> Result<bool, Failure> {
    let checked = match Opened::at(path) {
        Ok(Opened { stored, native }) => {
            let progress = context.progress();
            let done = verify(&native, &stored, false, &progress);
            drop(progress);
            done.map(|()| true)
                .map_err(|error| Failure::from(error).about(&path.display().to_string()))
        }
        Err(failure) if failure.code == Code::NotNative => {
            foreign::check(context, path).map(|checked| checked.is_vouched())
        }
        Err(failure) => Err(failure),
    };
    match checked {
        Ok(sound) => Ok(sound),
        Err(failure) if failure.code == Code::UnknownFormat => Ok(false),
        Err(failure) => {
            let hint = context.catalog.text("hint-rollback-other");
            Err(failure.with_hint(hint))
        }
    }
}

fn plan(
    context: &Context,
    image: &ImageFile,
    (chosen, present): (&Dated, Option<&Dated>),
    sound: bool,
) -> Plan {
    let version = &chosen.version;
    let slot = version.slot.clone().unwrap_or_default();
    let mut plan = Plan::new("image-rollback")
        .text("image", image.path().display().to_string())
        .text("version", slot)
        .row("created", text_or_none(chosen.captured.as_ref()))
        .row("identity", identity(version.identity.as_ref()))
        .bytes("file-size", version.size)
        .row(
            "checked",
            Value::Word(if sound { "sound" } else { "unchecked" }),
        )
        .row(
            "present",
            present.map_or(Value::Word("none"), |present| Value::Made {
                text: present.describe(context),
                json: present.json(),
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

/// Short for people, whole for programs.
fn identity(identity: Option<&Identity>) -> Value {
    identity.map_or(Value::Word("none"), |identity| Value::Made {
        text: identity.short(),
        json: identity.to_string().into(),
    })
}

impl Dated {
    /// In a line: when it was captured, who it is, its size.
    fn describe(&self, context: &Context) -> String {
        let version = &self.version;
        let captured = self.captured.as_ref().map(|time| {
            let values = [("time", time.as_str().into())];
            context.catalog.fmt("version-captured", &values)
        });
        let identity = version.identity.map(|identity| identity.short());
        let size = Some(human::bytes(version.size));
        let parts = [captured, identity, size];
        parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}
