//! What a new file may need, beside the room that there is for it.

use std::path::Path;

use azud_core::io::ReadAt;
use azud_image::fs::Volume;
use azud_store::room::Room;

use crate::commands::Context;
use crate::failure::Failure;
use crate::opened::Opened;
use crate::plan::Plan;

/// Of what is captured, so much becomes an image where nothing better is known: a half.
const TYPICAL: u64 = 2;

/// Bytes that a file will have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Estimate {
    /// Known.
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

    /// Of the image of a volume, which is like another image, or like a half of what it holds.
    pub(crate) fn of_image(volume: &Volume, like: Option<&Path>) -> Self {
        let used = volume.used_bytes();
        // What cannot be compressed grows a little; map and index come to it.
        let most = used + used / 128 + volume.used.len() / 8 + (1 << 20);
        let likely = like
            .and_then(|path| ratio(path, used))
            .unwrap_or(used / TYPICAL);
        Self {
            least: 0,
            likely: likely.min(most),
            most,
        }
    }

    /// Adds the need and the room to a plan, with a warning where it may not fit.
    ///
    /// # Errors
    /// `store/no-room` and `store/file-too-large` where even what is known does not fit.
    pub(crate) fn tell(self, context: &Context, plan: Plan, path: &Path) -> Result<Plan, Failure> {
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
        let room = Room::of(dir.unwrap_or(Path::new(".")))?;
        room.refuse(path, self.least)?;
        let plan = plan
            .bytes("room-needed", self.likely)
            .bytes("room-most", self.most)
            .bytes("room", room.free);
        let fits = |bytes| room.refuse(path, bytes).is_ok();
        Ok(if !fits(self.likely) {
            plan.warning(&context.catalog, "hardly-fits", &[])
        } else if !fits(self.most) {
            plan.warning(&context.catalog, "may-not-fit", &[])
        } else {
            plan
        })
    }
}

/// What `used` bytes become if they are compressed as well as those of an image.
fn ratio(path: &Path, used: u64) -> Option<u64> {
    let Opened { stored, native } = Opened::at(path).ok()?;
    let header = &native.geometry().header;
    let its = header.used_blocks * u64::from(header.block_size);
    let likely = u128::from(used) * u128::from(stored.len());
    u64::try_from(likely.checked_div(its.into())?).ok()
}

#[cfg(test)]
mod tests {
    use azud_image::fs::raw;

    use super::Estimate;

    #[test]
    fn a_bound_is_above_what_is_likely() {
        let volume = raw::map(64 << 20);
        let all = Estimate::of_image(&volume, None);
        assert_eq!((all.least, all.likely), (0, 32 << 20));
        assert!(all.most > 64 << 20 && all.most < 66 << 20, "{all:?}");
    }
}
