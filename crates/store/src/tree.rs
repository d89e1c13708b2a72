//! A repository's tree of images: names in it become files, and nothing outside can be reached.

mod alike;

use std::path::{Path, PathBuf};

use azud_core::name::ImageFile;
use azud_core::reference::{Folder, SubPath};

use crate::beneath::Beneath;
use crate::error::{Result, StoreError};

pub use alike::alike;

/// The images of a repository.
#[derive(Debug)]
pub struct Tree {
    top: Beneath,
}

/// Where an image is or is to be.
#[derive(Debug)]
pub struct Spot {
    /// The file. Its directory is free of links, as far as it exists.
    pub image: ImageFile,
    /// Whether it is there.
    pub exists: bool,
    /// Whether folders are missing on the way.
    pub missing: bool,
}

impl Tree {
    /// Opens the tree at `inner` in what is mounted at `mount`. Links that the medium has on the way are
    /// followed only inside it.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::Outside`], [`StoreError::Io`].
    pub fn open(mount: &Path, inner: &Path) -> Result<Self> {
        Ok(Self::beneath(Beneath::open(mount)?.enter(inner)?))
    }

    /// The tree whose top is open.
    pub fn beneath(top: Beneath) -> Self {
        Self { top }
    }

    /// Finds a folder by its exact name; its path is free of links.
    ///
    /// # Errors
    /// As [`Tree::spot`], and [`StoreError::NotFound`].
    pub fn folder(&self, folder: &Folder) -> Result<PathBuf> {
        match self.descend(folder)? {
            Way::Whole(sub) => Ok(self.top.enter(&sub)?.path().to_owned()),
            Way::Broken { .. } => Err(StoreError::NotFound(self.top.path().join(folder.path()))),
        }
    }

    /// Finds where an image is, or would be.
    ///
    /// # Errors
    /// [`StoreError::Outside`] when a link on the way leads out of the tree, [`StoreError::CaseTwin`] when a
    /// part of the name is only there in another case, [`StoreError::Io`].
    pub fn spot(&self, image: &SubPath) -> Result<Spot> {
        let sub = match self.descend(image.folder())? {
            Way::Whole(sub) => sub,
            Way::Broken { there, missing } => {
                let dir = self.top.enter(&there)?.path().join(missing);
                return Ok(Spot {
                    image: ImageFile::in_dir(dir, image.name())?,
                    exists: false,
                    missing: true,
                });
            }
        };
        let dir = self.top.enter(&sub)?.path().to_owned();
        let exists = self.has(&sub, image.name())?;
        if exists {
            // A link that leads out is refused; what it leads to inside is the image.
            self.top.look_at(&sub.join(image.name()))?;
        }
        Ok(Spot {
            image: ImageFile::in_dir(dir, image.name())?,
            exists,
            missing: false,
        })
    }

    /// Makes the folders for an image that are missing: the same as where it comes from.
    ///
    /// # Errors
    /// As [`Tree::spot`].
    pub fn make_folder(&self, folder: &Folder) -> Result<PathBuf> {
        self.descend(folder)?;
        self.top.make_dirs(folder.components())
    }

    /// Goes down as far as the folder exists.
    fn descend(&self, folder: &Folder) -> Result<Way> {
        let mut there = PathBuf::new();
        for (at, name) in folder.components().iter().enumerate() {
            if !self.has(&there, name)? {
                let missing = folder.components()[at..].iter().collect();
                return Ok(Way::Broken { there, missing });
            }
            there.push(name);
        }
        Ok(Way::Whole(there))
    }

    /// Whether a directory lists exactly this name. On file systems that know no case (FAT) it could be
    /// opened by another one, so opening it would not tell.
    fn has(&self, dir: &Path, name: &str) -> Result<bool> {
        let names = self.top.names(dir)?;
        if names.iter().any(|there| there == name) {
            return Ok(true);
        }
        let folded = name.to_lowercase();
        let twin = names
            .iter()
            .filter_map(|there| there.to_str())
            .find(|there| there.to_lowercase() == folded);
        match twin {
            Some(twin) => Err(StoreError::CaseTwin {
                wanted: self.top.path().join(dir).join(name),
                there: twin.to_owned(),
            }),
            None => Ok(false),
        }
    }
}

/// How far a folder exists.
enum Way {
    Whole(PathBuf),
    Broken { there: PathBuf, missing: PathBuf },
}
