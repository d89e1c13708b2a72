//! A partition, or a disk that is one file system, is formatted; what it holds is lost.

use std::path::Path;

use azud_core::code::Code;
use azud_disk::cache::{self, CacheFs, Signature};
use azud_disk::{DeviceFacts, DiskError, check_unused};

use super::super::layout;
use super::super::tree::{Images, images};
use super::{Args, exists, warn_others};
use crate::commands::Context;
use crate::confirm::{Asking, Step, settle_asking};
use crate::failure::Failure;
use crate::human;
use crate::plan::Plan;

pub(super) fn init(
    args: &Args,
    context: &Context,
    device: &Path,
    facts: &DeviceFacts,
    signature: &Signature,
) -> Result<(), Failure> {
    let name = device.display().to_string();
    refuse(args, device, facts, signature)?;
    let inner = layout(context)?.inner().to_owned();
    let held = survey(device, signature, &inner)?;
    if held.is_cache && !args.reformat {
        return Err(exists(context, device, held.images.is_some()));
    }
    let mut plan = Plan::new("cache-format")
        .text("device", name.clone())
        .bytes("size", facts.len)
        .text("file-system", CacheFs::from(args.fs).name())
        .text("images-at", inner.display().to_string());
    if let Some(kind) = &signature.kind {
        let label = signature.label.as_deref().unwrap_or_default();
        plan = plan.text("holds", format!("{kind} {label}").trim().to_owned());
    }
    plan = plan.warning(
        &context.catalog,
        "destroys",
        &[("device", name.clone().into())],
    );
    if let Some(images) = held.images.filter(|images| images.count > 0) {
        let size = human::bytes(images.bytes);
        let values = [("count", images.count.into()), ("size", size.into())];
        plan = plan.warning(&context.catalog, "images-lost", &values);
    } else if held.is_cache && held.images.is_none() {
        plan = plan.warning(&context.catalog, "images-unknown", &[]);
    }
    plan = warn_others(context, plan, device);
    if settle_asking(context, &plan, args.writing, Asking::content(&name))? == Step::Stop {
        return Ok(());
    }
    args.format(context, device)
}

/// What is never formatted.
fn refuse(
    args: &Args,
    device: &Path,
    facts: &DeviceFacts,
    signature: &Signature,
) -> Result<(), Failure> {
    check_unused(device)?;
    // An extended partition, or one that holds a disk: others lie within it.
    if signature.has_table {
        let detail = device.display().to_string();
        return Err(Failure::new(Code::DiskInUse, detail));
    }
    let needs = CacheFs::from(args.fs).min_size();
    if facts.len < needs {
        return Err(DiskError::TooSmall {
            path: device.to_owned(),
            has: facts.len,
            needs,
        }
        .into());
    }
    Ok(())
}

/// What would be lost.
struct Held {
    is_cache: bool,
    /// Its images, if it could be looked into.
    images: Option<Images>,
}

/// Looks into what is there without writing a byte of it. A partition that is meant for a cache and
/// is not blank is one, also when what is on it is too damaged to be recognised.
fn survey(device: &Path, signature: &Signature, inner: &Path) -> Result<Held, Failure> {
    let meant = !cache::find(&[device.to_owned()])?.hits.is_empty();
    let unknown = Held {
        is_cache: meant && (signature.is_fs || !cache::blank(device)?),
        images: None,
    };
    let Some(kind) = signature.kind.as_deref().filter(|_| signature.is_fs) else {
        return Ok(unknown);
    };
    // What cannot be mounted cannot be counted: the plan says so.
    let Ok(mounted) = cache::peek(device, kind) else {
        return Ok(unknown);
    };
    let images = images(mounted.at(), inner);
    Ok(Held {
        is_cache: meant || cache::identity(mounted.at()).is_some(),
        images: Some(images.unwrap_or(Images { count: 0, bytes: 0 })),
    })
}
