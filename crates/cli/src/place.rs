//! From what a user names to files: every command goes through here.

mod facts;
mod here;

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

pub(crate) use here::MountedHere;

use azud_core::code::Code;
use azud_core::name::ImageFile;
use azud_core::namespace::{Namespace, Tree as Found};
use azud_core::reference::{DeviceRef, Folder, FolderRef, ImageRef, SubPath, Where};
use azud_disk::remote::{reach, withdraw};
use azud_store::beneath::Beneath;
use azud_store::tree::{Spot, Tree};
use azud_store::{StoreError, links, publish};

use crate::cached;
use crate::commands::Context;
use crate::commands::repo::{is_manager, known_otherwise};
use crate::failure::{Failure, Hint};
use crate::opened::now;
use crate::output::detail;
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
    /// Refuses where the image cannot be made or replaced, before a plan promises it; the size of the one that is
    /// there.
    pub(crate) fn check(&self) -> Result<Option<u64>, Failure> {
        match &self.missing {
            Some(_) => Ok(None),
            None => publish::check(&self.image, now()).map_err(|error| self.refusal(error)),
        }
    }

    /// As [`Located::check`], for an image that is received: an update that was broken off may go on.
    pub(crate) fn check_assembling(&self) -> Result<(), Failure> {
        if self.missing.is_none() {
            let checked = publish::check_assembling(&self.image, now());
            checked.map_err(|error| self.refusal(error))?;
        }
        Ok(())
    }

    fn refusal(&self, error: StoreError) -> Failure {
        refusal(self.image.dir(), error)
    }

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
        ImageRef::Path(path) => {
            answers(path.parent().unwrap_or(&path))?;
            if let Some(path) = in_the_way(&path) {
                let what = "not a directory";
                return Err(StoreError::NotAFile { path, what }.into());
            }
            if is_directory(&path) && !path.exists() {
                return Err(no_directory(&path));
            }
            Ok(Located {
                image: ImageFile::parse(path)?,
                missing: None,
            })
        }
        ImageRef::Placed { place, image } => {
            spot(context, &place, &image).map(|(located, _)| located)
        }
    }
}

/// Whether a path is written as that of a directory.
pub(crate) fn is_directory(path: &Path) -> bool {
    path.as_os_str().as_bytes().ends_with(b"/")
}

/// What is no directory on the way to a file, nor where one is named.
fn in_the_way(path: &Path) -> Option<PathBuf> {
    let skipped = usize::from(!is_directory(path));
    let mut way = path.ancestors().skip(skipped);
    let is_other = |dir: &&Path| std::fs::metadata(dir).is_ok_and(|meta| !meta.is_dir());
    // With a slash behind it no file is one.
    let bare = |dir: &Path| dir.components().collect::<PathBuf>();
    way.find_map(|dir| Some(bare(dir)).filter(|dir| is_other(&dir.as_path())))
}

/// Why nothing can be put below a directory: where it is the directory that is missing, people are told to make it.
pub(crate) fn refusal(dir: &Path, error: StoreError) -> Failure {
    match error {
        StoreError::NotFound(path) if path == dir => no_directory(dir),
        error => error.into(),
    }
}

/// What says that a directory is missing. It is not made: perhaps the disk that it lies on is not mounted.
pub(crate) fn no_directory(dir: &Path) -> Failure {
    let path = dir.display().to_string();
    let failure = Failure::new(Code::NotFound, format!("there is no directory {path}"));
    failure.in_words("directory-absent", [("path", path)])
}

/// Finds where an image is or would be below a directory, never outside of it.
pub(crate) fn within(dir: &Path, image: &SubPath) -> Result<Located, Failure> {
    let tree = Tree::open(dir, Path::new(""))?;
    let spot = tree.spot(image)?;
    Ok(Located {
        image: spot.image,
        missing: spot.missing.then(|| (tree, image.folder().clone())),
    })
}

/// The tree of a place. The cache is the directory that the environment names, if it names one.
fn resolve(context: &Context, place: &Where) -> Result<Found, Failure> {
    let namespace = namespace(context)?;
    if namespace.meaning(place) == Where::Cache
        && let Some(mount) = cached::named_directory(context)?
    {
        return Ok(Found {
            place: Where::Cache,
            mount,
            inner: PathBuf::new(),
        });
    }
    there(context, &namespace, place)
}

/// The tree that is in a place. One that is not mounted because it is a manager is no matter of mounting it.
fn there(context: &Context, namespace: &Namespace, place: &Where) -> Result<Found, Failure> {
    let found = namespace.resolve(place).map_err(Failure::from);
    let found = found.map_err(|failure| {
        if failure.code != Code::PlaceNotMounted {
            return failure;
        }
        if is_manager(context, place) {
            return failure.with_hint(Hint::of("hint-on-the-manager"));
        }
        match known_otherwise(context, place) {
            Some(hint) => failure.with_hint(hint),
            None => failure,
        }
    })?;
    // What the manager serves may lie anywhere, also on what does not answer.
    if found.place == Where::Manager {
        answers(&found.mount)?;
    }
    Ok(found)
}

/// Finds where an image of a repository is or would be, and whether it is there.
fn spot(context: &Context, place: &Where, image: &SubPath) -> Result<(Located, bool), Failure> {
    let found = resolve(context, place)?;
    if let Some(image) = at_top(&found, image) {
        let missing = None;
        return Ok((Located { image, missing }, true));
    }
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

/// The top of a medium whose images lie in a tree further down, as OpenGnsys has it: others may lie there too.
pub(crate) fn top_of_medium(found: &Found) -> Option<Tree> {
    let is_medium = matches!(found.place, Where::Removable(_));
    let below = is_medium && !found.inner.as_os_str().is_empty();
    below.then(|| Tree::open(&found.mount, Path::new("")).ok())?
}

/// An image at the top of a medium, unless the tree further down has one of this name.
fn at_top(found: &Found, image: &SubPath) -> Option<ImageFile> {
    let top = top_of_medium(found)?;
    let there = |tree: &Tree| tree.spot(image).ok().filter(|spot| spot.exists);
    let below = Tree::open(&found.mount, &found.inner).ok();
    if below.is_some_and(|tree| there(&tree).is_some()) {
        return None;
    }
    there(&top).map(|spot| spot.image)
}

/// The path of a file that must be there, if it is in a repository; of a plain path that is not asked.
pub(crate) fn existing(context: &Context, file: &Path) -> Result<PathBuf, Failure> {
    match ImageRef::parse(file)? {
        ImageRef::Path(path) => answers(&path).map(|()| path),
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

/// Refuses a path on whose way a server does not answer: to look at it may take for ever.
pub(crate) fn answers(path: &Path) -> Result<(), Failure> {
    match reach(path) {
        Some(_) => Ok(()),
        None => Err(Failure::new(Code::PlaceSilent, path.display().to_string())),
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
    folder_by(folder, |place| resolve(context, place))
}

/// The same where the environment has no say in what the cache is.
pub(crate) fn folder_there(context: &Context, folder: &Path) -> Result<PathBuf, Failure> {
    folder_by(folder, |place| there(context, &namespace(context)?, place))
}

fn folder_by(
    folder: &Path,
    resolve: impl Fn(&Where) -> Result<Found, Failure>,
) -> Result<PathBuf, Failure> {
    match FolderRef::parse(folder)? {
        FolderRef::Path(path) => answers(&path).map(|()| path),
        FolderRef::Placed { place, folder } => {
            let found = resolve(&place)?;
            match Tree::open(&found.mount, &found.inner)?.folder(&folder) {
                Err(error @ StoreError::NotFound(_)) => {
                    let top = top_of_medium(&found);
                    let there = top.and_then(|top| top.folder(&folder).ok());
                    there.ok_or_else(|| error.into())
                }
                folder => Ok(folder?),
            }
        }
    }
}

/// The top of a medium, if that is another folder than the one of its images, which is named.
pub(crate) fn beside(context: &Context, folder: &Path) -> Result<Option<PathBuf>, Failure> {
    let FolderRef::Placed { place, folder } = FolderRef::parse(folder)? else {
        return Ok(None);
    };
    if !folder.is_top() || !matches!(place, Where::Removable(_)) {
        return Ok(None);
    }
    let found = resolve(context, &place)?;
    Ok(top_of_medium(&found).and_then(|top| top.folder(&folder).ok()))
}

/// The path of a device: numbers and serial numbers are looked up.
pub(crate) fn device(device: &Path) -> Result<PathBuf, Failure> {
    Ok(azud_disk::device_of(&DeviceRef::parse(device)?, &disks())?)
}

/// The disks to be counted, separated by `:`, where the kernel's order is not the site's.
const DISKS: &str = "AZUD_DISKS";

/// The disks that `AZUD_DISKS` names, on which alone the cache is looked for; none for the kernel's.
pub(crate) fn disks() -> Vec<PathBuf> {
    let named = std::env::var_os(DISKS).unwrap_or_default();
    let paths = std::env::split_paths(&named);
    paths.filter(|path| !path.as_os_str().is_empty()).collect()
}

/// What places mean on this machine now. Media that were pulled while they were mounted are cleared away.
pub(crate) fn namespace(context: &Context) -> Result<Namespace, Failure> {
    let site = Site::load(&context.site)?;
    let namespace = of_site(&site)?;
    if clear(context, &namespace).is_empty() {
        Ok(namespace)
    } else {
        of_site(&site)
    }
}

/// What places mean on this machine now, on a site.
pub(crate) fn of_site(site: &Site) -> Result<Namespace, Failure> {
    Ok(Namespace::new(facts::gather(site)?))
}

/// Brings aliases and views on disk in step with what is mounted. To be called after every mount and unmount.
pub(crate) fn keep_in_step(namespace: &Namespace) -> Result<(), Failure> {
    namespace.check_base()?;
    let base = namespace.layout().base();
    links::repair(base, &namespace.aliases(), &namespace.views())?;
    Ok(())
}

/// Takes away what is left of media, and of a cache, that were pulled while they were mounted: the mount, its
/// directory, its names. Says so; returns what they were. Who may not unmount leaves all as it is.
pub(crate) fn clear(context: &Context, namespace: &Namespace) -> Vec<Where> {
    let mut cleared = Vec::new();
    for dead in namespace.dead().iter().filter(|dead| dead.gone) {
        if !matches!(dead.place, Where::Removable(_) | Where::Cache) || withdraw(&dead.at).is_err()
        {
            continue;
        }
        // A directory that is not empty stays.
        let _ = std::fs::remove_dir(&dead.at);
        let values = [("medium", dead.place.to_string().into())];
        let text = context.catalog.fmt("warn-pulled", &values);
        context.output.warn(&context.catalog, &text);
        cleared.push(dead.place.clone());
    }
    if !cleared.is_empty() {
        follow(context, namespace);
    }
    cleared
}

/// As [`keep_in_step`], for when the work that it follows is done: whatever keeps it from being done is told
/// as a warning.
pub(crate) fn follow(context: &Context, namespace: &Namespace) {
    if let Err(failure) = keep_in_step(namespace) {
        let values = [("what", detail(&context.catalog, &failure).into())];
        let text = context.catalog.fmt("warn-names", &values);
        context.output.warn(&context.catalog, &text);
    }
}

/// The tree of a repository.
pub(crate) fn open(context: &Context, place: &Where) -> Result<Tree, Failure> {
    Ok(Tree::beneath(top(context, place)?))
}

/// The directory in which the images of a repository lie.
pub(crate) fn top(context: &Context, place: &Where) -> Result<Beneath, Failure> {
    let found = resolve(context, place)?;
    Ok(Beneath::open(&found.mount)?.enter(&found.inner)?)
}
