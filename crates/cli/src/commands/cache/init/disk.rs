//! A disk gets one more partition; what it holds stays.

use std::path::{Path, PathBuf};

use azud_core::code::Code;
use azud_disk::cache::{self, CacheFs, LABEL, Signature};
use azud_disk::partition::{self, NewPartition, Place, Table, Wish, plan};
use azud_disk::{DeviceFacts, DiskError, check_unused};

use super::super::{layout, unrecognised};
use super::{Args, exists, warn_others};
use crate::commands::Context;
use crate::confirm::{Asking, Step, settle_asking};
use crate::failure::Failure;
use crate::plan::{Plan, Value};

/// Its node; `None` when it was only planned.
pub(super) fn create(
    args: &Args,
    context: &Context,
    disk: &Path,
    facts: &DeviceFacts,
    signature: &Signature,
) -> Result<Option<PathBuf>, Failure> {
    let caches = cache::find(&[disk.to_owned()])?;
    if let Some(hit) = caches.hits.first() {
        if hit.signature.kind.is_none() && cache::blank(&hit.device)? {
            // A partition of an earlier run that was interrupted, or made by hand.
            return Err(unrecognised(context, &hit.device));
        }
        return Err(exists(context, &hit.device, hit.signature.is_recognised()));
    }
    let table = partition::read(disk)?;
    if table.is_none() {
        refuse_content(disk, signature)?;
    }
    let new = planned(args, disk, facts, table.as_ref())?;
    let inner = layout(context)?.inner().display().to_string();
    let plan = describe(args, context, disk, &new).text("images-at", inner);
    let plan = warn_others(context, plan, disk);
    let name = disk.display().to_string();
    if settle_asking(context, &plan, args.writing, Asking::table(&name))? == Step::Stop {
        return Ok(None);
    }
    Ok(Some(partition::create(disk, table.as_ref(), &new, LABEL)?))
}

/// Without a table, whatever is recognised would be lost.
fn refuse_content(disk: &Path, signature: &Signature) -> Result<(), Failure> {
    check_unused(disk)?;
    if signature.kind.is_some() || signature.ambivalent || signature.has_table {
        let kind = signature.kind.as_deref().unwrap_or("?");
        let detail = format!("{}: {kind}", disk.display());
        return Err(Failure::new(Code::DiskInUse, detail));
    }
    Ok(())
}

fn planned(
    args: &Args,
    disk: &Path,
    facts: &DeviceFacts,
    table: Option<&Table>,
) -> Result<NewPartition, Failure> {
    let wish = Wish {
        size: args.size,
        place: args.start.map_or(Place::End, Place::At),
        scheme: args.table.into(),
        number: args.number,
    };
    let new = plan(facts.len, facts.logical_sector, table, wish);
    let new = new.map_err(|source| DiskError::NoPlace {
        path: disk.to_owned(),
        source,
    })?;
    let (has, needs) = (
        new.range.end - new.range.start,
        CacheFs::from(args.fs).min_size(),
    );
    if has < needs {
        let path = disk.to_owned();
        return Err(DiskError::TooSmall { path, has, needs }.into());
    }
    Ok(new)
}

fn describe(args: &Args, context: &Context, disk: &Path, new: &NewPartition) -> Plan {
    let name = disk.display().to_string();
    let plan = Plan::new("cache-create")
        .text("device", name.clone())
        .row("table", Value::Word(new.scheme.name()))
        .row("partition", Value::Count(new.number.into()))
        .bytes("start", new.range.start)
        .bytes("size", new.range.end - new.range.start)
        .text("file-system", CacheFs::from(args.fs).name());
    if new.new_table {
        plan.warning(&context.catalog, "new-table", &[("device", name.into())])
    } else {
        plan
    }
}
