//! `ogMount`, `ogUnmount`, `ogGetRepoIp`, `ogIsRepoLocked`: what is mounted, and who uses it.

use std::path::{Path, PathBuf};

use azud_core::code::Code;
use azud_core::reference::Where;
use azud_disk::DeviceFacts;
use azud_disk::mounting::{MountFacts, in_use, mounted_at, mounts_of, unmount};

use super::args::{Container, mountable, none};
use super::container::{mount_cdrom, mount_partition, node};
use super::{Call, Done, Refusal, Status, cache};
use crate::failure::Failure;
use crate::place;
use crate::site::Site;

/// Mounts what is named and prints where.
pub(super) fn mount(call: &Call) -> Done {
    let at = match mountable(&call.args)? {
        Container::Partition(partition) => {
            refuse_locked(&node(partition)?)?;
            mount_partition(call, partition)?
        }
        Container::Cdrom => mount_cdrom(call)?,
        Container::Cache | Container::Repo => return cache::mount_and_print(call),
    };
    call.print(&at.display().to_string());
    Ok(Status::Ok)
}

/// Unmounts what is named; nothing to do if it is not mounted.
pub(super) fn umount(call: &Call) -> Done {
    match mountable(&call.args)? {
        Container::Partition(partition) => {
            let node = node(partition)?;
            refuse_locked(&node)?;
            for there in mounts_of(&node).iter().rev() {
                unmount(&there.at)?;
            }
        }
        Container::Cdrom => {
            let at = Site::load(&call.context.site)?.layout.mnt().join("cdrom");
            if let Some(there) = mounted_at(&at) {
                unmount(&there.at)?;
            }
        }
        Container::Cache | Container::Repo => return cache::unmount_if_mounted(call),
    }
    Ok(Status::Ok)
}

/// A partition that `ogLock` of OpenGnsys keeps to itself, alone or with its disk.
pub(super) fn refuse_locked(partition: &Path) -> Result<(), Refusal> {
    let disk = DeviceFacts::read(partition)?.partition.map(|it| it.disk);
    for device in [Some(partition), disk.as_deref()].into_iter().flatten() {
        let lock = lock_file(device);
        if lock.exists() {
            let what = format!("{}: {}", device.display(), lock.display());
            return Err(Refusal::told(
                Status::Locked,
                Failure::new(Code::Busy, what),
            ));
        }
    }
    Ok(())
}

/// `/var/lock/lock-dev-sda1`.
fn lock_file(device: &Path) -> PathBuf {
    let name = device.display().to_string().replace('/', "-");
    Path::new("/var/lock").join(format!("lock{name}"))
}

/// Prints the address of the server whose share the manager's tree is; nothing if it is none.
pub(super) fn repo_address(call: &Call) -> Done {
    none(&call.args)?;
    let tree = place::namespace(&call.context)?.resolve(&Where::Manager);
    if let Ok(tree) = tree
        && let Some(server) = mounted_at(&tree.mount).as_ref().and_then(server)
    {
        call.print(&server);
    }
    Ok(Status::Ok)
}

/// The server of an NFS or SMB share, as it was named when it was mounted.
fn server(share: &MountFacts) -> Option<String> {
    let source = share.source.to_str()?;
    let host = match share.fs_type.as_str() {
        "nfs" | "nfs4" => source.split_once(":/")?.0,
        "cifs" | "smb3" => source.strip_prefix("//")?.split('/').next()?,
        _ => return None,
    };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    (!bare.is_empty()).then(|| bare.to_owned())
}

/// Ends with 0 if anybody has a file of the manager's tree open, with 1 if not.
pub(super) fn repo_in_use(call: &Call) -> Done {
    none(&call.args)?;
    let top = place::top(&call.context, &Where::Manager)?
        .path()
        .to_owned();
    // Nothing of it is open here any more.
    Ok(if in_use(&top) {
        Status::Ok
    } else {
        Status::Format
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use azud_disk::mounting::MountFacts;

    use super::{lock_file, server};

    #[test]
    fn a_share_names_its_server() {
        for (fs_type, source, host) in [
            ("nfs", "10.0.0.1:/opt/opengnsys/images", Some("10.0.0.1")),
            ("nfs4", "[fd00::1]:/images", Some("fd00::1")),
            ("cifs", "//10.0.0.1/ogimages/aula1", Some("10.0.0.1")),
            ("smb3", "//srv/ogimages", Some("srv")),
            ("nfs", "10.0.0.1", None),
            ("cifs", "///x", None),
            ("ext4", "/dev/sda1", None),
        ] {
            let facts = MountFacts {
                at: "/x".into(),
                source: source.into(),
                fs_type: fs_type.to_owned(),
                read_only: false,
            };
            assert_eq!(server(&facts).as_deref(), host, "{source}");
        }
    }

    #[test]
    fn slashes_of_a_device_are_dashes_in_its_lock() {
        let lock = lock_file(Path::new("/dev/cciss/c0d0p1"));
        assert_eq!(lock, Path::new("/var/lock/lock-dev-cciss-c0d0p1"));
    }
}
