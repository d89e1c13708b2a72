//! The target of a restore, between the command line and its opening: looked at, refused, compared with the plan.

use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use azud_core::code::Code;
use azud_core::name::folder_of;
use azud_core::reference::{RefError, is_nearly_a_device};
use azud_disk::target::check_folder;
use azud_disk::{DeviceFacts, DiskError, Kind, holds};
use azud_store::room::Room;

use crate::commands::Context;
use crate::estimate::Estimate;
use crate::failure::{Failure, Hint};
use crate::opened::spare_images;
use crate::plan::Plan;
use crate::restorable::Restorable;

/// What is at the target's path, if anything.
pub(crate) fn existing(path: &Path) -> Result<Option<DeviceFacts>, Failure> {
    refuse_stdout(path)?;
    match DeviceFacts::read(path) {
        Ok(facts) if facts.read_only => {
            let path = path.to_owned();
            Err(DiskError::ReadOnly { path }.into())
        }
        Ok(facts) => Ok(Some(facts)),
        Err(DiskError::NotFound { .. }) if is_slip(path) => Err(slip(path)),
        // A mistyped device must not become a file in /dev.
        Err(DiskError::NotFound { .. }) if !in_dev(path) => new_file(path).map(|()| None),
        Err(error) => Err(error.into()),
    }
}

/// Whether a name that is none of a file here was meant as a device: one that is there, or would be one with what was left
/// out. With a directory before it, it is what it says.
fn is_slip(path: &Path) -> bool {
    let name = path.as_os_str().to_str().filter(|name| !name.contains('/'));
    let is_there = |name: &str| {
        let meta = std::fs::metadata(Path::new("/dev").join(name));
        meta.is_ok_and(|meta| meta.file_type().is_block_device())
    };
    name.is_some_and(|name| is_nearly_a_device(name) || is_there(name))
}

/// Says how a device is written, and how a file of that name.
fn slip(path: &Path) -> Failure {
    let text = path.display().to_string();
    let hint = Hint::with("hint-nearly-a-device", [("name", text.clone())]);
    let reason = "neither a device nor a file that is there";
    Failure::from(RefError::Device { text, reason }).with_hint(hint)
}

/// Refuses a file that cannot be made: without its directory, or where a link leads nowhere.
fn new_file(path: &Path) -> Result<(), Failure> {
    let dir = folder_of(path);
    if !dir.is_dir() {
        let path = dir.to_owned();
        return Err(DiskError::NotFound { path }.into());
    }
    if std::fs::symlink_metadata(path).is_ok() {
        let path = path.to_owned();
        return Err(DiskError::NotADevice { path }.into());
    }
    Ok(check_folder(dir)?)
}

/// Refuses to make a file called `-`, where standard output was meant.
fn refuse_stdout(device: &Path) -> Result<(), Failure> {
    if device.as_os_str() == "-" {
        let why = "an image is restored to a device or a file, not to standard output";
        return Err(Failure::new(Code::BadDevice, why));
    }
    Ok(())
}

/// Whether a target gets its size from the image: it is made, or a file without content.
pub(crate) fn is_new(facts: Option<&DeviceFacts>) -> bool {
    facts.is_none_or(|facts| facts.kind == Kind::RegularFile && facts.len == 0)
}

/// Adds to the plan of a new file of `size` bytes, of which `used` are content, the room that it takes. Its holes take
/// none.
///
/// # Errors
/// `store/no-room` and `store/file-too-large`.
pub(crate) fn tell_room(
    context: &Context,
    plan: Plan,
    device: &Path,
    (size, used): (u64, u64),
) -> Result<Plan, Failure> {
    let room = Room::of(folder_of(device))?;
    if room.largest.is_some_and(|limit| size > limit) {
        room.refuse(device, size)?;
    }
    let used = used.min(size);
    let needs = Estimate {
        least: 0,
        likely: used,
        most: used,
    };
    needs.tell(context, plan, device)
}

/// Whether a path leads into `/dev`, however it is written.
fn in_dev(path: &Path) -> bool {
    let dir = std::fs::canonicalize(folder_of(path));
    path.starts_with("/dev") || dir.is_ok_and(|dir| dir.starts_with("/dev"))
}

/// While somebody read the plan, another stick may have got the device's name, or a file come into being.
pub(crate) fn as_planned(
    path: &Path,
    planned: Option<&DeviceFacts>,
    now: &DeviceFacts,
) -> azud_disk::Result<()> {
    let same = match planned {
        None => now.kind == Kind::RegularFile && now.len == 0,
        Some(planned) if planned.kind == Kind::BlockDevice => planned == now,
        Some(planned) => planned.kind == now.kind && planned.len == now.len,
    };
    if same {
        return Ok(());
    }
    Err(DiskError::Changed {
        path: path.to_owned(),
        what: "it is not what the plan showed",
    })
}

/// Refuses a device that is in use, or holds the image itself.
pub(crate) fn refuse_device(device: &Path, image: &Path) -> Result<(), Failure> {
    azud_disk::check_unused(device)?;
    if holds(device, image)? || same_file(device, image) {
        return Err(Failure::new(Code::HoldsSource, image.display().to_string()));
    }
    Ok(())
}

/// What can be refused before anything is shown or opened.
pub(crate) fn refuse(
    device: &Path,
    facts: &DeviceFacts,
    image: &Restorable,
) -> Result<(), Failure> {
    match image.origin.path() {
        Some(path) => refuse_device(device, path)?,
        None => azud_disk::check_unused(device)?,
    }
    spare_images(device)?;
    refuse_small(facts, image.native.minimum_size())?;
    let sector = azud_image::restore::sector_size(&image.native);
    if sector != 0 && facts.kind == Kind::BlockDevice && facts.logical_sector > sector {
        let what = format!(
            "{} has sectors of {} bytes, the image {sector}",
            device.display(),
            facts.logical_sector
        );
        return Err(Failure::new(Code::SectorSize, what));
    }
    Ok(())
}

/// Refuses a target that holds less than is needed. An empty file gets its size from the image; one with content
/// is somebody's, or a disk of a size that was meant, and does not grow.
pub(crate) fn refuse_small(facts: &DeviceFacts, needs: u64) -> Result<(), Failure> {
    let has = facts.len;
    let sized = facts.kind == Kind::BlockDevice || has > 0;
    if sized && has < needs {
        return Err(azud_image::ImageError::TooSmall { has, needs }.into());
    }
    Ok(())
}

fn same_file(a: &Path, b: &Path) -> bool {
    let real = |path: &Path| std::fs::canonicalize(path).ok();
    real(a).is_some() && real(a) == real(b)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use azud_core::code::Code;
    use azud_disk::target::{Target, TargetOptions};
    use azud_disk::{DeviceFacts, Kind};

    use super::{as_planned, existing, in_dev, refuse_small};

    #[test]
    fn regression_a_target_is_what_the_plan_showed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("disk");
        let options = TargetOptions {
            create_len: Some(1 << 20),
            ..TargetOptions::default()
        };
        let open = |planned: Option<&DeviceFacts>| {
            let opened = Target::open_agreed(&path, options, |now| as_planned(&path, planned, now));
            opened.map(drop).map_err(|error| error.code())
        };
        assert_eq!(existing(&path).unwrap(), None);
        assert_eq!(open(None), Ok(()), "made for us");
        // It came into being after the plan: nobody agreed to lose it.
        let thesis = "somebody's thesis";
        std::fs::write(&path, thesis).unwrap();
        let changed = Err(Code::Changed);
        assert_eq!(open(None), changed);
        let facts = DeviceFacts::read(&path).unwrap();
        let mut other = facts.clone();
        other.kind = Kind::BlockDevice;
        assert_eq!(open(Some(&other)), changed);
        // It grew while the plan was read.
        let longer = format!("{thesis}, and a chapter more");
        std::fs::write(&path, &longer).unwrap();
        assert_eq!(open(Some(&facts)), changed);
        let left = std::fs::read_to_string(&path).unwrap();
        assert_eq!(left, longer, "refused, and not extended");
        let facts = DeviceFacts::read(&path).unwrap();
        assert_eq!(open(Some(&facts)), Ok(()));
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 1 << 20, "extended");
    }

    #[test]
    fn regression_a_file_with_content_does_not_grow() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notes.txt");
        let refused = |content: &[u8]| {
            std::fs::write(&path, content).unwrap();
            let facts = DeviceFacts::read(&path).unwrap();
            refuse_small(&facts, 4096).map_err(|failure| failure.code)
        };
        assert_eq!(refused(&[7; 4095]), Err(Code::TooSmall));
        assert_eq!(refused(&[7; 4096]), Ok(()));
        assert_eq!(refused(b""), Ok(()), "it gets its size from the image");
    }

    #[test]
    fn regression_no_file_is_made_in_dev() {
        for path in ["/dev/azud-none", "/tmp/../dev/azud-none", "//dev/azud-none"] {
            assert!(in_dev(Path::new(path)), "{path}");
            assert!(existing(Path::new(path)).is_err(), "{path}");
        }
        assert!(!in_dev(Path::new("azud-none")));
    }
}
