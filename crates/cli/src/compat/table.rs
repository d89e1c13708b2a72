//! The names.

use super::{
    Call, Done, Status, cache, delete, deploy, file, image, info, lock, mount, partition, remove,
    update, volume,
};

/// A name.
pub(crate) struct Name {
    /// The name.
    pub(crate) text: &'static str,
    /// What stands behind it.
    pub(crate) formats: &'static [&'static str],
    /// Whole lines.
    pub(crate) examples: &'static [&'static str],
    /// What it may end with beside 0; the last is its general failure.
    pub(crate) statuses: &'static [Status],
    pub(super) run: fn(&Call) -> Done,
}

use Status::{
    CacheSize, DontSync, Format, Image, ImgSizePartition, Locked, MulticastReceiver, NotCache,
    NotFound, NotWrite, Partition, Repo, UpdateCache,
};

const FILE: &[&str] = &["[REPO|CACHE|CDROM] path", "disk part path"];

const MOUNTABLE: &[&str] = &["disk part", "CACHE|CDROM"];
const MOUNT_ENDS: &[Status] = &[Format, Locked, Partition];
const DELETE_ENDS: &[Status] = &[
    Format, NotFound, Partition, Locked, NotCache, Repo, NotWrite,
];

const FIELD: &[&str] = &["REPO|CACHE path"];
const FIELD_ENDS: &[Status] = &[Format, NotFound, NotCache, Repo, Image];
const UPDATE_ENDS: &[Status] = &[
    Format,
    NotFound,
    NotCache,
    CacheSize,
    MulticastReceiver,
    DontSync,
    UpdateCache,
];

/// All names that are installed.
pub(crate) const NAMES: &[Name] = &[
    Name {
        text: "ogGetPath",
        formats: FILE,
        examples: &["ogGetPath REPO /aula1/win10.img", "ogGetPath 1 2 /Windows"],
        statuses: &[Format, Partition, NotCache, Repo, NotFound],
        run: file::get_path,
    },
    Name {
        text: "ogGetParentPath",
        formats: FILE,
        examples: &["ogGetParentPath CACHE /aula1/win10.img"],
        statuses: &[Format, Partition, NotCache, Repo, NotFound],
        run: file::get_parent_path,
    },
    Name {
        text: "ogMakeDir",
        formats: FILE,
        examples: &["ogMakeDir REPO /aula1"],
        statuses: &[Format, NotFound, Partition, NotCache, Repo, NotWrite],
        run: file::make_dir,
    },
    Name {
        text: "ogDeleteFile",
        formats: FILE,
        examples: &["ogDeleteFile CACHE /aula1/win10.img"],
        statuses: DELETE_ENDS,
        run: remove::delete_file,
    },
    Name {
        text: "ogDeleteTree",
        formats: FILE,
        examples: &["ogDeleteTree CACHE /aula1"],
        statuses: DELETE_ENDS,
        run: remove::delete_tree,
    },
    Name {
        text: "ogCalculateChecksum",
        formats: FILE,
        examples: &["ogCalculateChecksum REPO /win10.img"],
        statuses: &[Format, Partition, NotCache, Repo, NotFound],
        run: file::checksum,
    },
    Name {
        text: "ogCalculateFullChecksum",
        formats: FILE,
        examples: &["ogCalculateFullChecksum CACHE /win10.img"],
        statuses: &[Format, Partition, NotCache, Repo, NotFound],
        run: file::full_checksum,
    },
    Name {
        text: "ogFindCache",
        formats: &[""],
        examples: &["ogFindCache"],
        statuses: &[Format, Partition],
        run: cache::find,
    },
    Name {
        text: "ogGetCacheSize",
        formats: &[""],
        examples: &["ogGetCacheSize"],
        statuses: &[Format, Partition],
        run: cache::size,
    },
    Name {
        text: "ogGetCacheSpace",
        formats: &[""],
        examples: &["ogGetCacheSpace"],
        statuses: &[Format, Partition],
        run: partition::space,
    },
    Name {
        text: "ogCreateCache",
        formats: &["[disk [part]] sizeKB"],
        examples: &["ogCreateCache 1 4 20000000"],
        statuses: &[Format, NotFound, Partition],
        run: partition::create_cache,
    },
    Name {
        text: "ogDeleteCache",
        formats: &[""],
        examples: &["ogDeleteCache"],
        statuses: &[Format, Partition],
        run: partition::delete_cache,
    },
    Name {
        text: "ogFormatCache",
        formats: &[""],
        examples: &["ogFormatCache"],
        statuses: &[Format, Partition],
        run: partition::format_cache,
    },
    Name {
        text: "initCache",
        formats: &["[disk [part]] -1|0|sizeKB [NOMOUNT]"],
        examples: &["initCache 1 4 20000000", "initCache -1"],
        statuses: &[Format, Partition],
        run: partition::init_cache,
    },
    Name {
        text: "ogMountCache",
        formats: &[""],
        examples: &["ogMountCache"],
        statuses: &[Format, Partition],
        run: cache::og_mount,
    },
    Name {
        text: "ogUnmountCache",
        formats: &[""],
        examples: &["ogUnmountCache"],
        statuses: &[Format, Partition],
        run: cache::og_unmount,
    },
    Name {
        text: "MountCache",
        formats: &[""],
        examples: &["eval \"$(MountCache)\""],
        statuses: &[Format, NotCache, Partition],
        run: cache::mount,
    },
    Name {
        text: "MountRepo",
        formats: &["REPO|IP [auto|file|nfs|smb]"],
        examples: &["eval \"$(MountRepo 10.0.0.1 nfs)\""],
        statuses: &[Format, NotFound, Partition, Repo],
        run: mount::repo,
    },
    Name {
        text: "MountStorage",
        formats: &["[id]"],
        examples: &["eval \"$(MountStorage)\"", "MountStorage USB-tools"],
        statuses: &[Format, NotFound, Partition],
        run: mount::storage,
    },
    Name {
        text: "ogMount",
        formats: MOUNTABLE,
        examples: &["ogMount 1 2", "ogMount CACHE"],
        statuses: MOUNT_ENDS,
        run: volume::mount,
    },
    Name {
        text: "ogUnmount",
        formats: MOUNTABLE,
        examples: &["ogUnmount 1 2", "ogUnmount CDROM"],
        statuses: MOUNT_ENDS,
        run: volume::umount,
    },
    Name {
        text: "ogGetRepoIp",
        formats: &[""],
        examples: &["ogGetRepoIp"],
        statuses: &[Format],
        run: volume::repo_address,
    },
    Name {
        text: "ogIsRepoLocked",
        formats: &[""],
        examples: &["ogIsRepoLocked && echo busy"],
        statuses: &[Format, Repo],
        run: volume::repo_in_use,
    },
    Name {
        text: "ogIsImageLocked",
        formats: &["[REPO|CACHE] path.ext", "disk part path.ext"],
        examples: &["ogIsImageLocked REPO /aula1/win10.img"],
        statuses: &[Format, Partition, NotCache, Repo, NotFound],
        run: lock::is_locked,
    },
    Name {
        text: "ogLockImage",
        formats: &["[REPO|CACHE] path.ext", "disk part path.ext"],
        examples: &["ogLockImage REPO /aula1/win10.img"],
        statuses: &[
            Format, NotFound, Partition, Locked, NotCache, Repo, NotWrite,
        ],
        run: lock::lock,
    },
    Name {
        text: "ogUnlockImage",
        formats: &["[REPO|CACHE] path.ext", "disk part path.ext"],
        examples: &["ogUnlockImage REPO /aula1/win10.img"],
        statuses: &[
            Format, NotFound, Partition, Locked, NotCache, Repo, NotWrite,
        ],
        run: lock::unlock,
    },
    Name {
        text: "ogGetImageInfo",
        formats: &["/path.ext"],
        examples: &["ogGetImageInfo /opt/opengnsys/images/REPO/win10.img"],
        statuses: &[Format, NotFound, Image],
        run: info::info,
    },
    Name {
        text: "ogGetImageProgram",
        formats: FIELD,
        examples: &["ogGetImageProgram REPO /aula1/win10"],
        statuses: FIELD_ENDS,
        run: info::program,
    },
    Name {
        text: "ogGetImageCompressor",
        formats: FIELD,
        examples: &["ogGetImageCompressor REPO /aula1/win10"],
        statuses: FIELD_ENDS,
        run: info::compressor,
    },
    Name {
        text: "ogGetImageType",
        formats: FIELD,
        examples: &["ogGetImageType REPO /aula1/win10"],
        statuses: FIELD_ENDS,
        run: info::fs,
    },
    Name {
        text: "ogGetImageSize",
        formats: FIELD,
        examples: &["ogGetImageSize REPO /aula1/win10"],
        statuses: FIELD_ENDS,
        run: info::size,
    },
    Name {
        text: "updateCache",
        formats: &["REPO|IP /path.ext UNICAST|MULTICAST|TORRENT|RSYNC [options]"],
        examples: &["updateCache REPO /aula1/win10.img UNICAST"],
        statuses: UPDATE_ENDS,
        run: update::update_cache,
    },
    Name {
        text: "UpdateCache",
        formats: &["REPO|IP subdirectory image"],
        examples: &["UpdateCache 10.0.0.1 aula1 win10"],
        statuses: UPDATE_ENDS,
        run: update::update_cache_of_design,
    },
    Name {
        text: "ogUpdateCacheIsNecesary",
        formats: &["REPO path.ext [UNICAST|MULTICAST|TORRENT|RSYNC|FULL]"],
        examples: &["ogUpdateCacheIsNecesary REPO /aula1/win10.img FULL"],
        statuses: &[Format, NotCache, NotFound],
        run: update::is_necessary,
    },
    Name {
        text: "createImage",
        formats: &["disk part REPO|CACHE|IP name"],
        examples: &["createImage 1 2 REPO aula1/win10"],
        statuses: &[
            Format, NotFound, Partition, NotWrite, NotCache, CacheSize, Image,
        ],
        run: image::create_image,
    },
    Name {
        text: "restoreImage",
        formats: &[
            "REPO|CACHE|IP name disk part [UNICAST|UNICAST-DIRECT|MULTICAST|MULTICAST-DIRECT [options]]",
        ],
        examples: &["restoreImage REPO aula1/win10 1 2 UNICAST"],
        statuses: &[Format, NotFound, ImgSizePartition, MulticastReceiver, Image],
        run: image::restore_image,
    },
    Name {
        text: "ogRestoreImage",
        formats: &["REPO|CACHE path disk part"],
        examples: &["ogRestoreImage REPO /aula1/win10 1 2"],
        statuses: &[Format, NotFound, Partition, Locked, ImgSizePartition, Image],
        run: image::og_restore_image,
    },
    Name {
        text: "deployImage",
        formats: &[
            "REPO|CACHE|IP name disk part [UNICAST[-CACHE]|UNICAST-DIRECT|MULTICAST…|TORRENT… [options]]",
        ],
        examples: &["deployImage REPO aula1/win10 1 2 UNICAST"],
        statuses: &[
            Format,
            NotFound,
            Partition,
            Locked,
            NotCache,
            CacheSize,
            ImgSizePartition,
            UpdateCache,
            MulticastReceiver,
            Image,
        ],
        run: deploy::deploy_image,
    },
    Name {
        text: "deleteimage",
        formats: &["[-b|-r] name"],
        examples: &["deleteimage aula1/win10", "deleteimage -r win10"],
        statuses: &[Format, NotFound, Locked, Repo, Image],
        run: delete::delete_image,
    },
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::NAMES;
    use crate::i18n::{Catalog, Lang};

    #[test]
    fn every_name_has_its_words_and_its_row() {
        let page = include_str!("../../../../docs/compat.md");
        let mut seen = BTreeSet::new();
        for name in NAMES {
            assert!(seen.insert(name.text), "{} twice", name.text);
            for catalog in Lang::ALL.map(Catalog::new) {
                catalog.text(&format!("compat-{}", name.text));
            }
            let row = page
                .lines()
                .find(|line| line.starts_with(&format!("| `{}` |", name.text)))
                .unwrap_or_else(|| panic!("docs/compat.md has no row of {}", name.text));
            let cells: Vec<&str> = row.split(" | ").collect();
            let numbers: Vec<u8> = cells[2]
                .split(' ')
                .filter_map(|word| word.parse().ok())
                .collect();
            let mut expected: Vec<u8> = name.statuses.iter().map(|it| it.number()).collect();
            expected.push(0);
            expected.sort_unstable();
            assert_eq!(numbers, expected, "{row}");
        }
    }
}
