//! `azud repo mount` of a manager: a view of its images for other programs.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use azud_core::code::Code;
use azud_disk::machine::within;
use azud_disk::remote::{State, state, withdraw};
use azud_disk::view::{Answering, mount as mount_view};
use azud_transport::http::{Manager, pin_of};

use super::Goal;
use super::access::How;
use super::known::Known;
use super::mount::{Args, Shown, show};
use crate::commands::Context;
use crate::confirm::{Step, settle};
use crate::failure::Failure;
use crate::in_step::follow;
use crate::plan::Plan;
use crate::view::{NAME, Order};

/// Whether anybody answers is known after this time.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the kernel calls a view: whose it is, at which port, and by which authority it is known.
fn source(manager: &Manager) -> Result<String, Failure> {
    let Manager { host, port, .. } = manager;
    Ok(format!("{host}:{port},{}", pin_of(&manager.authority)?))
}

/// The address of a manager, and the same with its port, by what the kernel calls a view of it.
pub(crate) fn named(source: &Path) -> (String, PathBuf) {
    let text = source.to_string_lossy();
    let at = text.split(',').next().unwrap_or_default();
    let address = at.rsplit_once(':').map_or(at, |(address, _)| address);
    (address.to_owned(), at.into())
}

/// Mounts a view of a manager. Where that fails nothing stays mounted, and no process stays.
pub(super) fn mount(
    context: &Context,
    goal: &Goal,
    (args, known): (&Args, &Known),
    plan: &Plan,
) -> Result<(), Failure> {
    if args.access.write {
        let hint = context.catalog.text("hint-view-read-only");
        return Err(Failure::new(Code::Usage, "--write").with_hint(hint));
    }
    let at = goal.at.as_path();
    let shown = Shown {
        address: &known.address,
        at,
        protocol: How::Http.as_str(),
        source: known.address.clone(),
        read_only: true,
    };
    let manager = args.way.manager(&known.address)?;
    let source = source(&manager)?;
    if goal.is_mounted() && state(at) == State::Mounted {
        let same = goal
            .there()
            .is_some_and(|facts| facts.is_view() && facts.source.as_os_str() == &*source);
        let open = fs::metadata(at).is_ok_and(|it| it.mode() & 0o007 != 0);
        if !same || args.for_all != open {
            return Err(goal.taken(context));
        }
        show(context, &shown, "result-repo-mounted");
        return Ok(());
    }
    if settle(context, plan, args.writing) == Step::Stop {
        return Ok(());
    }
    if goal.is_mounted() {
        withdraw(at)?;
    }
    let order = Order {
        manager,
        at: at.to_owned(),
        for_all: args.for_all,
    };
    let (mounted, device) = mount_view(source.as_ref(), at)?;
    let told = [OsStr::new(&known.address), at.as_os_str()];
    let answering = Answering::start(NAME, &told, &order.to_json(), device)?;
    let asked = mounted.at().to_owned();
    let read = within(PATIENCE, move || fs::read_dir(&asked).map(drop));
    match read {
        None => Err(Failure::new(Code::Unreachable, &known.address)),
        Some(Err(error)) => Err(Failure::io(at, &error)),
        Some(Ok(())) => Ok(()),
    }?;
    mounted.keep();
    answering.keep();
    follow(context);
    show(context, &shown, "result-repo-mount");
    Ok(())
}
