//! From what a user names to files: every command goes through here.

mod facts;

use std::path::{Path, PathBuf};

use azud_core::code::Code;
use azud_core::name::ImageFile;
use azud_core::namespace::Namespace;
use azud_core::reference::{DeviceRef, Folder, FolderRef, ImageRef, SubPath, Where};
use azud_store::beneath::Beneath;
use azud_store::tree::{Spot, Tree};
use azud_store::{StoreError, links};

use crate::commands::Context;
use crate::failure::Failure;
use crate::site::Site;

/// Where an image is or is to be.
#[derive(Debug)]
pub(crate) struct Located {
    /// The file.
    pub(crate) image: ImageFile,
    /// Folders of a repository that are missing on the way.
    missing: Option<(Tree, Folder)>,
}

impl Located {
    /// Makes the folders that are missing: the same as where the image comes from. For commands that write,
    /// once they are confirmed.
    pub(crate) fn prepare(&self) -> Result<(), Failure> {
        if let Some((tree, folder)) = &self.missing {
            tree.make_folder(folder)?;
        }
        Ok(())
    }
}

/// Finds where an image is or would be: by its path, or in a repository, never outside of it.
pub(crate) fn locate(context: &Context, image: &Path) -> Result<Located, Failure> {
    match ImageRef::parse(image)? {
        ImageRef::Path(path) => Ok(Located {
            image: ImageFile::parse(path)?,
            missing: None,
        }),
        ImageRef::Placed { place, image } => {
            spot(context, &place, &image).map(|(located, _)| located)
        }
    }
}

/// Finds where an image of a repository is or would be, and whether it is there.
fn spot(context: &Context, place: &Where, image: &SubPath) -> Result<(Located, bool), Failure> {
    let found = namespace(context)?.resolve(place)?;
    let (tree, image) = match Tree::open(&found.mount, &found.inner) {
        // A cache that others formatted: its place for images is one more folder that is missing.
        Err(StoreError::NotFound(_)) if !found.inner.as_os_str().is_empty() => {
            let whole = found.inner.join(image.path());
            let tree = Tree::open(&found.mount, Path::new(""))?;
            (tree, SubPath::parse(&whole.to_string_lossy())?)
        }
        opened => (opened?, image.clone()),
    };
    let Spot {
        image: file,
        exists,
        missing,
    } = tree.spot(&image)?;
    let located = Located {
        image: file,
        missing: missing.then(|| (tree, image.folder().clone())),
    };
    Ok((located, exists))
}

/// The path of a file that must be there, if it is in a repository; of a plain path that is not asked.
pub(crate) fn existing(context: &Context, file: &Path) -> Result<PathBuf, Failure> {
    match ImageRef::parse(file)? {
        ImageRef::Path(path) => Ok(path),
        ImageRef::Placed { place, image } => {
            let (located, exists) = spot(context, &place, &image)?;
            let path = located.image.path();
            if exists {
                Ok(path)
            } else {
                Err(StoreError::NotFound(path).into())
            }
        }
    }
}

/// A path of this machine, for what is no image: `REPO:x` would become a file of that name.
pub(crate) fn plain(path: &Path) -> Result<(), Failure> {
    match ImageRef::parse(path)? {
        ImageRef::Path(_) => Ok(()),
        ImageRef::Placed { .. } => {
            let text = format!("{} is in a repository", path.display());
            Err(Failure::new(Code::BadName, text))
        }
    }
}

/// The path of a folder of images.
pub(crate) fn folder(context: &Context, folder: &Path) -> Result<PathBuf, Failure> {
    match FolderRef::parse(folder)? {
        FolderRef::Path(path) => Ok(path),
        FolderRef::Placed { place, folder } => {
            let found = namespace(context)?.resolve(&place)?;
            Ok(Tree::open(&found.mount, &found.inner)?.folder(&folder)?)
        }
    }
}

/// The path of a device: numbers and serial numbers are looked up.
pub(crate) fn device(device: &Path) -> Result<PathBuf, Failure> {
    Ok(azud_disk::device_of(&DeviceRef::parse(device)?)?)
}

/// What places mean on this machine now.
pub(crate) fn namespace(context: &Context) -> Result<Namespace, Failure> {
    of_site(&Site::load(&context.site)?)
}

/// What places mean on this machine now, on a site.
pub(crate) fn of_site(site: &Site) -> Result<Namespace, Failure> {
    Ok(Namespace::new(facts::gather(site)?))
}

/// Brings aliases and views on disk in step with what is mounted. To be called after every mount and unmount.
pub(crate) fn keep_in_step(namespace: &Namespace) -> Result<(), StoreError> {
    let base = namespace.layout().base();
    links::repair(base, &namespace.aliases(), &namespace.views()).map(drop)
}

/// The tree of a repository.
pub(crate) fn open(context: &Context, place: &Where) -> Result<Tree, Failure> {
    Ok(Tree::beneath(top(context, place)?))
}

/// The directory in which the images of a repository lie.
pub(crate) fn top(context: &Context, place: &Where) -> Result<Beneath, Failure> {
    let found = namespace(context)?.resolve(place)?;
    Ok(Beneath::open(&found.mount)?.enter(&found.inner)?)
}
