//! `ogFindCache`, `ogGetCacheSize`, `ogMountCache`, `ogUnmountCache`, `MountCache`.

use std::path::Path;

use azud_core::code::Code;
use azud_disk::Numbers;
use azud_disk::mounting::mounts_of;
use azud_store::links;
use azud_store::links::Change;

use super::args::none;
use super::container::{AGREED, mount_cache, the_cache};
use super::{Call, Done, Status};
use crate::commands::cache::unmount;
use crate::commands::env;
use crate::failure::Failure;
use crate::place;
use crate::site::Site;

/// Prints disk and partition of the cache.
pub(super) fn find(call: &Call) -> Done {
    none(&call.args)?;
    let hit = the_cache(call)?;
    let (disk, part) = Numbers::read(&place::disks())?
        .of(&hit.device)
        .ok_or_else(|| {
            let name = hit.device.display();
            Failure::new(
                Code::NoCache,
                format!("{name} is on no disk that is counted"),
            )
        })?;
    call.print(&format!("{disk} {part}"));
    Ok(Status::Ok)
}

/// Prints the size of its partition in KiB.
pub(super) fn size(call: &Call) -> Done {
    none(&call.args)?;
    call.print(&(the_cache(call)?.len / 1024).to_string());
    Ok(Status::Ok)
}

/// Mounts it and prints where.
pub(super) fn og_mount(call: &Call) -> Done {
    none(&call.args)?;
    mount_and_print(call)
}

/// The same for whoever names it otherwise.
pub(super) fn mount_and_print(call: &Call) -> Done {
    let at = mount_cache(call)?;
    if let Ok(hit) = the_cache(call)
        && mounts_of(&hit.device).iter().any(|there| there.at == at)
    {
        link(call, &hit.device, &at)?;
    }
    call.print(&at.display().to_string());
    Ok(Status::Ok)
}

/// `/mnt/DEVICE`, where OpenGnsys' scripts look for partitions, leads to the cache. What is there and no link stays.
fn link(call: &Call, device: &Path, at: &Path) -> Result<(), Failure> {
    let mnt = mnt(call)?;
    let path = mnt.join(device.file_name().unwrap_or_default());
    if path == at {
        return Ok(());
    }
    let change = links::correction(&path, at)?;
    links::apply(&mnt, change.as_slice())?;
    Ok(())
}

fn mnt(call: &Call) -> Result<std::path::PathBuf, Failure> {
    Ok(Site::load(&call.context.site)?.layout.mnt().to_owned())
}

/// Unmounts it; nothing to do if it is not mounted.
pub(super) fn og_unmount(call: &Call) -> Done {
    none(&call.args)?;
    unmount_if_mounted(call)
}

/// The same for whoever names it otherwise.
pub(super) fn unmount_if_mounted(call: &Call) -> Done {
    let hit = the_cache(call)?;
    if hit.mounts.is_empty() {
        return Ok(Status::Ok);
    }
    let args = unmount::Args {
        device: Some(hit.device.clone()),
        writing: AGREED,
    };
    args.run(&call.context)?;
    let mnt = mnt(call)?;
    let path = mnt.join(hit.device.file_name().unwrap_or_default());
    let leads_to_it = |target: std::path::PathBuf| hit.mounts.iter().any(|it| it.at == target);
    if std::fs::read_link(&path).is_ok_and(leads_to_it) {
        links::apply(&mnt, &[Change::Withdraw { path }])?;
    }
    Ok(Status::Ok)
}

/// Mounts it and prints the variables for the script, to be read with `eval`.
pub(super) fn mount(call: &Call) -> Done {
    none(&call.args)?;
    mount_cache(call)?;
    print_variables(call)
}

/// Prints what `azud env` prints.
pub(super) fn print_variables(call: &Call) -> Done {
    call.print(&env::for_sh(&call.context)?);
    Ok(Status::Ok)
}
