//! `createImage`, `restoreImage`.

use std::path::{Path, PathBuf};

use azud_core::code::Code;
use azud_core::name::ImageFile;
use azud_core::reference::{SubPath, Where};
use azud_disk::holds;
use azud_disk::mounting::{mounts_of, unmount};
use azud_store::lease::refuse_held;

use super::args::{Partition, image, place as parse_place, refuse};
use super::container::{node, reach_cache};
use super::volume::refuse_locked;
use super::{Call, Done, Status, agreed, not_yet};
use crate::commands::image::{create, restore};
use crate::failure::Failure;
use crate::place;

/// `disk part REPO|CACHE|IP name`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Create {
    partition: Partition,
    place: Where,
    image: SubPath,
}

pub(super) fn parse_create(args: &[String]) -> Result<Create, Failure> {
    match args {
        [disk, part, place, name] => Ok(Create {
            partition: Partition::parse(disk, part)?,
            place: parse_place(place)?,
            image: image(name)?,
        }),
        _ => Err(refuse(format!("{} arguments", args.len()))),
    }
}

/// `REPO|CACHE|IP name disk part [PROTOCOL [options]]`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Restore {
    place: Where,
    image: SubPath,
    partition: Partition,
    multicast: bool,
}

pub(super) fn parse_restore(args: &[String]) -> Result<Restore, Failure> {
    let [place, name, disk, part, how @ ..] = args else {
        return Err(refuse(format!("{} arguments", args.len())));
    };
    let place = parse_place(place)?;
    let multicast = match how.first().map(|word| word.to_ascii_uppercase()).as_deref() {
        None | Some("UNICAST" | "UNICAST-DIRECT") => false,
        Some("MULTICAST" | "MULTICAST-DIRECT") => true,
        Some(other) => return Err(refuse(format!("{other} is no protocol"))),
    };
    Ok(Restore {
        place,
        image: image(name)?,
        partition: Partition::parse(disk, part)?,
        multicast,
    })
}

/// Captures a partition into the image of a repository.
pub(super) fn create_image(call: &Call) -> Done {
    let Create {
        partition,
        place,
        image,
    } = parse_create(&call.args)?;
    let tree = tree_of(call, &place)?;
    tree.folder(image.folder())?;
    let device = node(partition)?;
    refuse_locked(&device)?;
    let name = PathBuf::from(format!("{place}:{image}"));
    let file = place::locate(&call.context, &name)?.image;
    free(&device, file.dir())?;
    let args = agreed::<create::Args, _>([device.as_os_str(), name.as_os_str()]);
    args.run(&call.context)?;
    let context = &call.context;
    let values = [("image", name.display().to_string().into())];
    let text = context.catalog.fmt("compat-no-zstd", &values);
    context.output.warn(&context.catalog, &text);
    Ok(Status::Ok)
}

/// Puts the image of a repository on a partition.
pub(super) fn restore_image(call: &Call) -> Done {
    let Restore {
        place,
        image,
        partition,
        multicast,
    } = parse_restore(&call.args)?;
    let source = Source::find(call, &place, &image)?;
    // From the cache a protocol says nothing.
    if multicast && !source.is_local(call)? {
        return Err(not_yet(call, Status::MulticastReceiver, "MULTICAST"));
    }
    source.restore(call, partition)
}

/// The same as the function is called, which knows no protocols.
pub(super) fn og_restore_image(call: &Call) -> Done {
    let [place, name, disk, part] = call.args.as_slice() else {
        return Err(refuse(format!("{} arguments", call.args.len())).into());
    };
    let partition = Partition::parse(disk, part)?;
    let source = Source::find(call, &container(place)?, &image(name)?)?;
    source.refuse_held()?;
    source.restore(call, partition)
}

/// `REPO` or `CACHE`, as functions are given it.
fn container(text: &str) -> Result<Where, Failure> {
    match text.to_ascii_uppercase().as_str() {
        "REPO" => Ok(Where::Manager),
        "CACHE" => Ok(Where::Cache),
        _ => Err(refuse(format!("{text:?} is not REPO or CACHE"))),
    }
}

/// An image that is there.
#[derive(Debug)]
pub(super) struct Source {
    /// `PLACE:path`.
    pub(super) name: PathBuf,
    /// Its file.
    pub(super) file: PathBuf,
    place: Where,
}

impl Source {
    /// Finds it; the cache is mounted for it.
    pub(super) fn find(call: &Call, place: &Where, image: &SubPath) -> Result<Self, Failure> {
        tree_of(call, place)?;
        let name = PathBuf::from(format!("{place}:{image}"));
        let file = place::existing(&call.context, &name)?;
        let place = place.clone();
        Ok(Self { name, file, place })
    }

    /// Whether it is in this computer's cache.
    pub(super) fn is_local(&self, call: &Call) -> Result<bool, Failure> {
        Ok(place::namespace(&call.context)?.meaning(&self.place) == Where::Cache)
    }

    /// Refuses one that somebody has locked.
    pub(super) fn refuse_held(&self) -> Result<(), Failure> {
        Ok(refuse_held(&ImageFile::parse(&self.file)?)?)
    }

    /// Puts it on a partition, which is unmounted for it.
    pub(super) fn restore(&self, call: &Call, partition: Partition) -> Done {
        let device = node(partition)?;
        refuse_locked(&device)?;
        free(&device, &self.file)?;
        let args = agreed::<restore::Args, _>([self.name.as_os_str(), device.as_os_str()]);
        args.run(&call.context)?;
        Ok(Status::Ok)
    }
}

/// The repository; the cache is mounted for it.
fn tree_of(call: &Call, place: &Where) -> Result<azud_store::tree::Tree, Failure> {
    let meaning = place::namespace(&call.context)?.meaning(place);
    if meaning == Where::Cache {
        reach_cache(call)?;
    }
    place::open(&call.context, place)
}

/// Unmounts a partition, unless the image lies on it.
fn free(device: &Path, image: &Path) -> Result<(), Failure> {
    if holds(device, image)? {
        return Err(Failure::new(Code::HoldsSource, image.display().to_string()));
    }
    for there in mounts_of(device).iter().rev() {
        unmount(&there.at)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use azud_core::code::Code;

    use super::{parse_create, parse_restore};

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn create_image_takes_the_partition_first() {
        let parsed = parse_create(&words("1 2 REPO /aula1/win10")).unwrap();
        assert_eq!((parsed.partition.disk, parsed.partition.part), (1, 2));
        assert_eq!(
            format!("{}:{}", parsed.place, parsed.image),
            "REPO:aula1/win10.img"
        );
        for line in [
            "REPO win10 1 2",
            "1 2 win10 REPO",
            "1 2 REPO",
            "1 2 REPO win10 UNICAST",
            "1 2 REPO win10.img",
            "/dev/sda 2 REPO win10",
        ] {
            assert_eq!(
                parse_create(&words(line)).unwrap_err().code,
                Code::Usage,
                "{line}"
            );
        }
    }

    #[test]
    fn restore_image_takes_the_partition_last() {
        let parsed = parse_restore(&words("cache win10 1 2 unicast-direct")).unwrap();
        assert_eq!((parsed.partition.disk, parsed.partition.part), (1, 2));
        assert_eq!(
            format!("{}:{}", parsed.place, parsed.image),
            "CACHE:win10.img"
        );
        assert!(!parsed.multicast);
        let line = "10.0.0.1 win10 1 2 MULTICAST 9000:full-duplex:239.194.17.2:70M:20:120";
        assert!(parse_restore(&words(line)).unwrap().multicast);
        for line in [
            "1 2 REPO win10",
            "REPO win10 1",
            "REPO 1 2 win10",
            "REPO win10 1 2 TORRENT",
            "REPO win10 sda 2",
        ] {
            assert_eq!(
                parse_restore(&words(line)).unwrap_err().code,
                Code::Usage,
                "{line}"
            );
        }
    }
}
