//! What a new file may need, beside the room that there is for it.

use std::path::Path;

use azud_core::format::index::Facts;
use azud_core::io::ReadAt;
use azud_core::name::folder_of;
use azud_image::LEVELS;
use azud_image::capture::{Sample, sample};
use azud_image::fs::Volume;
use azud_store::StoreError;
use azud_store::room::Room;

use crate::commands::Context;
use crate::failure::Failure;
use crate::human::bytes;
use crate::opened::Opened;
use crate::plan::Plan;

/// Of what is captured, so much becomes an image where nothing better is known: a half.
const TYPICAL: u64 = 2;

/// Bytes that a file will have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Estimate {
    /// Known, or as good as known by samples.
    pub(crate) least: u64,
    /// By what is known of the like.
    pub(crate) likely: u64,
    /// An upper bound.
    pub(crate) most: u64,
}

impl Estimate {
    /// Of a file whose size is known.
    pub(crate) const fn exactly(bytes: u64) -> Self {
        Self {
            least: bytes,
            likely: bytes,
            most: bytes,
        }
    }

    /// Of the image of a volume, which is like another image of it, or like a half of what it holds.
    pub(crate) fn of_image(volume: &Volume, like: Option<&Path>) -> Self {
        let used = volume.used_bytes();
        // What cannot be compressed grows a little; map and index come to it.
        let most = used + used / 128 + volume.used.len() / 8 + (1 << 20);
        let likely = like
            .and_then(|path| ratio(path, volume))
            .unwrap_or(used / TYPICAL);
        Self {
            least: 0,
            likely: likely.min(most),
            most,
        }
    }

    /// The same, where it is not certain that there is room by samples of what is captured: reading those takes a
    /// second, beginning in vain may take an hour.
    pub(crate) fn or_sampled(
        self,
        path: &Path,
        (volume, device): (&Volume, &dyn ReadAt),
        (level, has_base): (i32, bool),
    ) -> Self {
        let fits = |room: Room| room.refuse(path, self.most).is_ok();
        if Room::of(folder_of(path)).is_ok_and(fits) {
            return self;
        }
        self.sampled((volume, device), (level, has_base))
    }

    /// The same, by samples of what is captured.
    pub(crate) fn sampled(
        self,
        (volume, device): (&Volume, &dyn ReadAt),
        (level, has_base): (i32, bool),
    ) -> Self {
        // The frames of a base may be of any level.
        let level = if has_base { *LEVELS.end() } else { level };
        // Whatever keeps it from being read is told by the work itself.
        let Ok(Sample { likely, least }) = sample(device, volume, level) else {
            return self;
        };
        Self {
            least,
            likely: likely.min(self.most),
            ..self
        }
    }

    /// Adds the need and the room to a plan, with a warning where it may not fit.
    ///
    /// # Errors
    /// `store/no-room` and `store/file-too-large` where even what is known does not fit.
    pub(crate) fn tell(self, context: &Context, plan: Plan, path: &Path) -> Result<Plan, Failure> {
        let room = Room::of(folder_of(path))?;
        room.refuse(path, self.least)
            .map_err(|error| self.refused(error))?;
        let plan = plan
            .bytes("room-needed", self.likely)
            .bytes("room-most", self.most)
            .bytes("room", room.free);
        let fits = |bytes| room.refuse(path, bytes).is_ok();
        Ok(if !fits(self.likely) {
            let values = [
                ("needed", bytes(self.likely).into()),
                ("room", bytes(room.free).into()),
            ];
            plan.warning(&context.catalog, "hardly-fits", &values)
        } else if !fits(self.most) {
            plan.warning(&context.catalog, "may-not-fit", &[])
        } else {
            plan
        })
    }

    /// A need that samples tell is said as what it is.
    fn refused(self, error: StoreError) -> Failure {
        let StoreError::TooLittleRoom { path, has, .. } = &error else {
            return error.into();
        };
        if self.least == self.most {
            return error.into();
        }
        let path = path.display().to_string();
        let numbers = [self.likely, self.least, *has];
        let [likely, least, has] = numbers.map(|bytes| bytes.to_string());
        let values = [
            ("path", path),
            ("likely", likely),
            ("least", least),
            ("has", has),
        ];
        Failure::from(error).in_words("sampled-room", values)
    }
}

/// What the bytes of a volume become if they are compressed as well as those of an image of it; `None` for an image
/// of another one, which tells nothing.
fn ratio(path: &Path, volume: &Volume) -> Option<u64> {
    let Opened { stored, native } = Opened::at(path).ok()?;
    if !is_of(native.facts(), native.geometry().header.device_size, volume) {
        return None;
    }
    let header = &native.geometry().header;
    let its = header.used_blocks * u64::from(header.block_size);
    let likely = u128::from(volume.used_bytes()) * u128::from(stored.len());
    u64::try_from(likely.checked_div(its.into())?).ok()
}

/// Whether an image says that it is of this volume: by the file system and its UUID; by its size where none has one.
fn is_of(facts: &Facts, device_size: u64, volume: &Volume) -> bool {
    let same = match (&facts.uuid, &volume.uuid) {
        (Some(its), Some(uuid)) => its == uuid,
        (None, None) => device_size == volume.device_size,
        _ => false,
    };
    same && facts.fs == volume.kind.partclone_name()
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use azud_core::format::index::Facts;
    use azud_core::progress::Silent;
    use azud_image::capture::{CaptureOptions, capture};
    use azud_image::fs::raw;

    use super::Estimate;

    #[test]
    fn an_image_of_another_volume_tells_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("base.img");
        let mut volume = raw::map(8 << 20);
        volume.uuid = Some("one".to_owned());
        let options = CaptureOptions {
            level: 1,
            base: None,
            lengths: None,
            facts: Facts::default(),
        };
        let mut file = std::fs::File::create(&path).unwrap();
        let zeros = std::io::repeat(0).take(8 << 20);
        capture(&volume, Vec::new(), zeros, &options, (&mut file, &Silent)).unwrap();
        let likely = |volume: &_| Estimate::of_image(volume, Some(&path)).likely;
        assert!(likely(&volume) < 1 << 20, "zeros compress well");
        // The same volume, grown: its UUID tells.
        let mut other = raw::map(16 << 20);
        other.uuid = Some("one".to_owned());
        assert!(likely(&other) < 1 << 20);
        other.uuid = Some("two".to_owned());
        assert_eq!(likely(&other), 8 << 20);
        volume.uuid = None;
        assert_eq!(likely(&volume), 4 << 20);
        volume.uuid = Some("one".to_owned());
        volume.kind = azud_image::fs::FsKind::Ext;
        assert_eq!(likely(&volume), 4 << 20);
    }

    #[test]
    fn a_bound_is_above_what_is_likely() {
        let volume = raw::map(64 << 20);
        let all = Estimate::of_image(&volume, None);
        assert_eq!((all.least, all.likely), (0, 32 << 20));
        assert!(all.most > 64 << 20 && all.most < 66 << 20, "{all:?}");
    }
}
