//! The command lines: ours, and those of today's tools as people use them.

use std::fs;
use std::path::Path;

use anyhow::Result;

use super::disks::{Disk, Lab, Origin, check, text, warm};
use super::measure::measure;
use super::table::{Side, Turn};

/// Ours. The former image, if any, is given by `$4`.
const CREATE: &str = r#""$1" --quiet image create --yes --base "$4" "$2" "$3""#;
const RESTORE: &str = r#""$1" --quiet image restore --yes "$2" "$3"; sync "$3""#;
const CHANGED_ONLY: &str =
    r#""$1" --quiet image restore --yes --changed-only "$2" "$3"; sync "$3""#;

/// How a peer captures (`$1` device, `$2` file) and restores (`$1` file, `$2` device).
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer {
    /// As tables call it.
    pub(super) name: &'static str,
    /// File name of its image.
    pub(super) image: &'static str,
    capture: &'static str,
    restore: &'static str,
}

const PARTCLONE_RESTORE: &str =
    r#"zstd -dcq "$1" | partclone.restore -q -s - -o "$2" -L /dev/null; sync "$2""#;

/// partclone with its checksums: what people use.
pub(super) const EXT_A1: Peer = Peer {
    name: "partclone -a1, zstd -3 -T0",
    image: "a1.pc.zst",
    capture: r#"partclone.extfs -c -a1 -s "$1" -o - -q -L /dev/null | zstd -q -3 -T0 >"$2"; sync "$2""#,
    restore: PARTCLONE_RESTORE,
};

/// partclone without checksums: its fastest way.
pub(super) const EXT_A0: Peer = Peer {
    name: "partclone -a0, zstd -3 -T0",
    image: "a0.pc.zst",
    capture: r#"partclone.extfs -c -a0 -s "$1" -o - -q -L /dev/null | zstd -q -3 -T0 >"$2"; sync "$2""#,
    restore: PARTCLONE_RESTORE,
};

/// The same for NTFS.
pub(super) const NTFS_A1: Peer = Peer {
    capture: r#"partclone.ntfs -c -a1 -s "$1" -o - -q -L /dev/null | zstd -q -3 -T0 >"$2"; sync "$2""#,
    ..EXT_A1
};

/// The same for NTFS.
pub(super) const NTFS_A0: Peer = Peer {
    capture: r#"partclone.ntfs -c -a0 -s "$1" -o - -q -L /dev/null | zstd -q -3 -T0 >"$2"; sync "$2""#,
    ..EXT_A0
};

/// ntfsclone has no checksums at all.
pub(super) const NTFSCLONE: Peer = Peer {
    name: "ntfsclone, zstd -3 -T0",
    image: "ntfsclone.zst",
    capture: r#"ntfsclone -q --save-image -o - "$1" | zstd -q -3 -T0 >"$2"; sync "$2""#,
    restore: r#"zstd -dcq "$1" | ntfsclone -q --restore-image --overwrite "$2" -; sync "$2""#,
};

impl Peer {
    /// Captures; the image stays in the lab.
    pub(super) fn capture(&self, lab: &Lab, origin: &Origin) -> Result<Turn> {
        let file = lab.path(self.image);
        if file.exists() {
            fs::remove_file(&file)?;
        }
        let sample = measure(self.capture, &[origin.name(), text(&file)?])?;
        let size = Some(fs::metadata(&file)?.len());
        Ok(Turn { sample, size })
    }

    /// Its side of a capture.
    pub(super) fn capture_side<'a>(
        self,
        lab: &'a Lab,
        origin: &'a Origin,
        hold: Option<f64>,
    ) -> Side<'a> {
        Side::new(self.name, hold, move |_| {
            origin.warm()?;
            self.capture(lab, origin)
        })
    }

    /// Its side of a restore.
    pub(super) fn restore_side<'a>(
        self,
        lab: &'a Lab,
        origin: &'a Origin,
        hold: Option<f64>,
    ) -> Side<'a> {
        Side::new(self.name, hold, move |run| {
            let image = lab.path(self.image);
            let disk = lab.disk(origin.volume.device_size)?;
            warm(&image)?;
            let sample = measure(self.restore, &[text(&image)?, disk.name()])?;
            if run == 0 {
                check(&disk, origin, self.name, false)?;
            }
            Ok(Turn { sample, size: None })
        })
    }
}

/// Our image of the unchanged volume, in its own directory because of its side files.
pub(super) const OURS: &str = "ours";

/// Captures `origin` into the directory `name` of the lab, with a base or none.
pub(super) fn create(lab: &Lab, origin: &Origin, name: &str, base: Option<&Path>) -> Result<Turn> {
    let image = lab.fresh_dir(name)?.join("volume.img");
    let base = base.map_or(Ok("none"), text)?;
    let sample = measure(CREATE, &[&lab.azud, origin.name(), text(&image)?, base])?;
    let size = Some(fs::metadata(&image)?.len());
    Ok(Turn { sample, size })
}

/// Our side of a capture.
pub(super) fn create_side<'a>(lab: &'a Lab, origin: &'a Origin) -> Side<'a> {
    Side::new("azud", None, move |_| {
        origin.warm()?;
        create(lab, origin, OURS, None)
    })
}

/// Where [`create`] put an image.
pub(super) fn image(lab: &Lab, name: &str) -> std::path::PathBuf {
    lab.path(name).join("volume.img")
}

/// Restores an image of ours, whole or what changed.
pub(super) fn restore(lab: &Lab, image: &Path, disk: &Disk, changed_only: bool) -> Result<Turn> {
    warm(image)?;
    let script = if changed_only { CHANGED_ONLY } else { RESTORE };
    let sample = measure(script, &[&lab.azud, text(image)?, disk.name()])?;
    Ok(Turn { sample, size: None })
}

/// Our side of a restore.
pub(super) fn restore_side<'a>(lab: &'a Lab, origin: &'a Origin) -> Side<'a> {
    Side::new("azud", None, move |run| {
        let disk = lab.disk(origin.volume.device_size)?;
        let turn = restore(lab, &image(lab, OURS), &disk, false)?;
        if run == 0 {
            check(&disk, origin, "azud", true)?;
        }
        Ok(turn)
    })
}
