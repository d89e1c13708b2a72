//! What is here: the old image and others, what an earlier run left, the file system and its room.

use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use azud_core::assembly::{Layout, Medium, Need, Origin, Plan, Run};
use azud_core::bitmap::Bitmap;
use azud_core::name::ImageFile;

use super::around::{Around, candidates};
use super::local::Local;
use super::{Moving, Prospect, State, Way};
use super::{former, inbox};
use crate::error::{Result, StoreError};
use crate::identity::Identity;
use crate::room::{block, file_limit, file_system, free, is_remote, kind, on_medium};
use crate::stage::{assembly, check_target};
use crate::stored::Stored;

/// File systems whose files can share blocks.
const SHARING: [i64; 2] = [0x5846_5342, 0x9123_683E];

/// What is asked of an assembly.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) moving: Moving,
    /// Where the image here is in doubt, the numbers of pieces that are known to be damaged.
    pub(super) doubt: Option<&'a [u64]>,
    pub(super) around: Option<&'a Around>,
}

/// Everything that a decision needs.
#[derive(Debug)]
pub(super) struct View {
    /// Images here; the one that is replaced is the first, if there is one.
    pub(super) locals: Vec<Local>,
    /// Which of them earlier runs left.
    pub(super) left: Range<usize>,
    /// Whether there is one.
    pub(super) replaces: bool,
    pub(super) state: Option<State>,
    pub(super) plan: Plan,
    pub(super) medium: Medium,
    /// Bytes of the medium's room that an earlier run has reserved.
    pub(super) reserved: u64,
    pub(super) need: Need,
    pub(super) way: Way,
}

/// Refuses a place where an image of this size cannot be, whatever is tried.
pub(super) fn refuse_impossible(image: &ImageFile, size: u64) -> Result<()> {
    check_target(image)?;
    match file_limit(kind(&file_system(image.dir())?)) {
        Some(limit) if size > limit => Err(StoreError::FileTooLarge {
            path: image.path(),
            size,
            limit,
        }),
        _ => Ok(()),
    }
}

impl View {
    pub(super) fn of(image: &ImageFile, wanted: &Layout, asked: Asked<'_>) -> Result<Self> {
        let current = check_target(image)?.map(|_| Stored::open(&image.path()));
        let mut current = current.transpose()?.and_then(Local::of);
        if let Some(local) = &mut current {
            local.leave_out(asked.doubt.unwrap_or_default());
        }
        let stage = assembly(image);
        let state = State::sure(&stage, image)?
            .filter(|state| state.wanted.identity() == wanted.identity());
        let replaces = current.is_some();
        let mut locals: Vec<Local> = current.into_iter().collect();
        let begins = locals.len();
        locals.extend(former::pieces(&stage, image));
        locals.extend(inbox::spare(&stage));
        let left = begins..locals.len();
        locals.extend(
            candidates(image, asked.around)?
                .iter()
                .filter_map(|path| Local::open(path)),
        );
        let layouts: Vec<&Layout> = locals.iter().map(|local| &local.layout).collect();
        let nothing = Bitmap::new(wanted.pieces().len() as u64);
        let verified = state
            .as_ref()
            .map_or(&nothing, |state| &state.record.verified);
        let mut plan = Plan::make(wanted, verified, &layouts);
        // What is open keeps others from moving it, for as long as this one takes.
        let mut stay = plan.thin(left.end, locals.len()).into_iter();
        locals.retain(|_| stay.next().unwrap_or(true));
        let reserved = reserved(image, &stage, verified_bytes(wanted, verified));
        let medium = medium(image, reserved)?;
        let need = Need::of(&plan, wanted, &medium);
        let mut view = Self {
            locals,
            left,
            replaces,
            state,
            plan,
            medium,
            reserved,
            need,
            way: Way::Nothing,
        };
        // What is half moved is not whole without the new file, though it is the same image.
        if asked.doubt.is_some() || !view.replaces_itself(wanted) || view.is_half_moved() {
            view.way = view.choose(image, asked.moving);
        }
        Ok(view)
    }

    /// Whether the image that is replaced is the wanted one: damaged, or it would stay.
    pub(super) fn replaces_itself(&self, wanted: &Layout) -> bool {
        let current = self.locals.first().filter(|_| self.replaces);
        current.is_some_and(|local| local.layout.identity() == wanted.identity())
    }

    /// Whether pieces of the old image were given up for this one.
    pub(super) fn is_half_moved(&self) -> bool {
        let moving = self.state.as_ref().and_then(|state| state.record.moving);
        let current = self.locals.first().filter(|_| self.replaces);
        current.is_some_and(|local| moving == Some(*local.layout.identity()))
    }

    /// Beside the old image where there is room for both.
    fn choose(&self, image: &ImageFile, moving: Moving) -> Way {
        if self.is_half_moved() {
            return Way::Move;
        }
        let movable = self.replaces && only_name(&image.path()) && is_ours_alone(image);
        match moving {
            Moving::Always if movable => Way::Move,
            Moving::Auto if movable && self.need.copy > self.medium.available => Way::Move,
            _ => Way::Copy,
        }
    }

    /// The room that the way takes.
    fn needs(&self) -> u64 {
        match self.way {
            Way::Nothing => 0,
            Way::Copy => self.need.copy,
            Way::Move => self.need.moving,
        }
    }

    /// Bytes by which the room is too small. What is half moved goes on with the room that it finds.
    fn lacks(&self) -> u64 {
        if self.is_half_moved() {
            return 0;
        }
        self.needs().saturating_sub(self.medium.available)
    }

    /// Refuses where there is too little room.
    fn refuse_lack(self, image: &ImageFile) -> Result<Self> {
        if self.lacks() == 0 {
            return Ok(self);
        }
        Err(StoreError::TooLittleRoom {
            path: image.path(),
            needs: self.needs(),
            has: self.medium.available,
        })
    }

    /// As [`View::of`], where there is room enough.
    pub(super) fn roomy(image: &ImageFile, wanted: &Layout, asked: Asked<'_>) -> Result<Self> {
        Self::of(image, wanted, asked)?.refuse_lack(image)
    }

    /// The numbers of the pieces that the source gives.
    pub(super) fn fetched(&self) -> Vec<Range<usize>> {
        let runs = self.plan.runs().iter();
        let runs = runs.filter(|run| run.origin == Origin::Source);
        runs.map(Run::pieces).collect()
    }

    pub(super) fn prospect(&self, wanted: &Layout) -> Prospect {
        let verified = self.state.as_ref().map(|state| &state.record.verified);
        Prospect {
            identity: Identity(*wanted.identity()),
            size: wanted.size(),
            way: self.way,
            resumed: verified.map_or(0, |verified| verified_bytes(wanted, verified)),
            local: self.plan.local_bytes(),
            shared: self.need.shared,
            source: self.plan.source_bytes(),
            needs: self.needs(),
            lacks: self.lacks(),
            has: self.medium.available,
            reserved: self.reserved,
        }
    }
}

/// Blocks of a file that has other names too, or is open elsewhere, are not ours to give up. (Who has it
/// open is seen by its lock.)
fn only_name(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|meta| meta.nlink() == 1)
}

/// A server and its other clients do not see all locks of this one.
fn is_ours_alone(image: &ImageFile) -> bool {
    file_system(image.dir()).is_ok_and(|fs| !is_remote(kind(&fs)))
}

fn verified_bytes(wanted: &Layout, verified: &Bitmap) -> u64 {
    let pieces = wanted.pieces().iter().enumerate();
    let verified = pieces.filter(|(number, _)| verified.get(*number as u64));
    verified.map(|(_, piece)| u64::from(piece.len)).sum()
}

/// Bytes of a block that two files beside an image can share, if they can.
pub(super) fn shares(image: &ImageFile) -> Result<Option<u64>> {
    let fs = file_system(image.dir())?;
    Ok(SHARING.contains(&kind(&fs)).then(|| block(&fs)))
}

/// What an earlier run reserved and did not fill.
fn reserved(image: &ImageFile, stage: &Path, verified: u64) -> u64 {
    let taken = std::fs::symlink_metadata(stage.join(image.name()));
    let taken = taken.map_or(0, |meta| on_medium(&meta));
    taken.saturating_sub(verified)
}

/// The file system; what is reserved counts as room.
fn medium(image: &ImageFile, reserved: u64) -> Result<Medium> {
    let fs = file_system(image.dir())?;
    Ok(Medium {
        block: block(&fs),
        shares: SHARING.contains(&kind(&fs)),
        available: free(&fs).saturating_add(reserved),
    })
}
