//! `azud cache mount [DEVICE]`.

use std::path::{Path, PathBuf};

use azud_disk::DiskError;
use azud_disk::cache::{Hit, furnish};
use azud_disk::mounting::{Kind, Mounted, Mounting, mount};
use serde_json::json;

use super::{keep_in_step, layout, the_cache, unrecognised};
use crate::args::Writing;
use crate::commands::Context;
use crate::confirm::{Step, settle};
use crate::failure::Failure;
use crate::plan::{Plan, Value};

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which one.
    pub device: Option<PathBuf>,
    /// Where.
    #[arg(long, value_name = "DIR")]
    pub at: Option<PathBuf>,
    /// Refuse all writing.
    #[arg(long)]
    pub read_only: bool,
    /// Plan and consent.
    #[command(flatten)]
    pub writing: Writing,
}

impl Args {
    /// Mounts the cache.
    ///
    /// # Errors
    /// When there is none, there are several, or it cannot be mounted.
    pub fn run(&self, context: &Context) -> Result<(), Failure> {
        let hit = the_cache(context, self.device.as_ref())?;
        let layout = layout(context)?;
        let name = hit.device.strip_prefix("/dev").unwrap_or(&hit.device);
        let at = match &self.at {
            Some(at) => at.clone(),
            None => layout.cache_mount(&name.to_string_lossy()),
        };
        let fs = file_system(context, &hit)?;
        if let Some(there) = hit.mounts.first() {
            return self.mounted_already(context, &hit, &there.at, &at);
        }
        let plan = Plan::new("cache-mount")
            .text("device", hit.device.display().to_string())
            .text("file-system", fs)
            .text("mounted-at", at.display().to_string())
            .row(
                "read-only",
                Value::Word(if self.read_only { "yes" } else { "no" }),
            );
        if settle(context, &plan, self.writing) == Step::Stop {
            return Ok(());
        }
        let (mounted, read_only) = self.mount(context, &hit.device, fs, &at)?;
        if !read_only {
            furnish(mounted.at(), layout.inner())?;
        }
        let at = mounted.keep();
        keep_in_step(context);
        show(context, &hit.device, &at, read_only);
        Ok(())
    }

    /// A medium that is write-protected is mounted all the same, and that is said.
    fn mount(
        &self,
        context: &Context,
        device: &Path,
        fs: &str,
        at: &Path,
    ) -> Result<(Mounted, bool), Failure> {
        let mut mounting = Mounting {
            source: device.as_os_str(),
            at,
            kind: Kind::Device(fs),
            read_only: self.read_only,
            options: "",
        };
        let mounted = match mount(&mounting) {
            Err(DiskError::ReadOnly { .. }) if !self.read_only => {
                mounting.read_only = true;
                let mounted = mount(&mounting)?;
                let text = context.catalog.text("warn-read-only-medium");
                context.output.warn(&context.catalog, &text);
                mounted
            }
            done => done?,
        };
        Ok((mounted, mounting.read_only))
    }

    fn mounted_already(
        &self,
        context: &Context,
        hit: &Hit,
        there: &Path,
        at: &Path,
    ) -> Result<(), Failure> {
        let wanted = std::fs::canonicalize(at).unwrap_or_else(|_| at.to_owned());
        // Who does not say where takes it where it is.
        if self.at.is_some() && there != wanted {
            return Err(DiskError::Mounted {
                path: hit.device.clone(),
                at: there.to_owned(),
            }
            .into());
        }
        let read_only = hit.mounts.first().is_some_and(|mount| mount.read_only);
        if read_only && !self.read_only {
            let text = context.catalog.text("warn-mounted-read-only");
            context.output.warn(&context.catalog, &text);
        }
        show(context, &hit.device, there, read_only);
        Ok(())
    }
}

/// Its type, if it can be mounted.
fn file_system<'a>(context: &Context, hit: &'a Hit) -> Result<&'a str, Failure> {
    match &hit.signature.kind {
        Some(kind) if hit.signature.is_recognised() => Ok(kind),
        _ => Err(unrecognised(context, &hit.device)),
    }
}

fn show(context: &Context, device: &Path, at: &Path, read_only: bool) {
    let value = json!({
        "action": "cache-mount",
        "device": device,
        "at": at,
        "read_only": read_only,
    });
    context.output.result(&value, || {
        let at = at.display().to_string();
        context
            .catalog
            .fmt("result-cache-mount", &[("at", at.into())])
    });
}
