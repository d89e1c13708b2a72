//! What an assembly is going to do, and what it did.

use std::time::SystemTime;

use azud_core::assembly::Layout;
use azud_core::name::ImageFile;

use super::local::{INDEX, identity};
use crate::durable;
use crate::error::Result;
use crate::identity::Identity;
use crate::plan::Placed;
use crate::publish::{Outcome, Published, Staging, Written, current};
use crate::side::{Carried, InfoLine, SumPair};

/// Whether pieces may move over from the old image, which then is whole only together with the new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Moving {
    /// When there is no room for both images.
    #[default]
    Auto,
    /// Never.
    Never,
    /// Wherever it can be done.
    Always,
}

/// How an image comes to its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// It is there already.
    Nothing,
    /// Beside the old one, which then goes to the trash.
    Copy,
    /// Pieces move over from the old one, which is not kept.
    Move,
}

/// What will be done. Sizes are in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prospect {
    /// Who the image is.
    pub identity: Identity,
    /// Its size.
    pub size: u64,
    /// How it comes.
    pub way: Way,
    /// What an earlier run left.
    pub resumed: u64,
    /// What images here have.
    pub local: u64,
    /// How much of that need not be copied, where two files can share blocks.
    pub shared: u64,
    /// What the source must give.
    pub source: u64,
    /// The room that is needed …
    pub needs: u64,
    /// … the room that there is …
    pub has: u64,
    /// … of which an earlier run has reserved so much …
    pub reserved: u64,
    /// … and what has to become free before it can be done.
    pub lacks: u64,
}

/// What is published beside the bytes.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The content of `.info`, if there is to be one.
    pub info: Option<InfoLine>,
    /// What goes along with the image; what stood beside the old one and is not among it goes with that.
    pub carried: Vec<Carried>,
    /// The time, for the trash.
    pub now: SystemTime,
}

/// What was done. Sizes are in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Who the image is.
    pub identity: Identity,
    /// Its size.
    pub size: u64,
    /// How it came.
    pub way: Way,
    /// What an earlier run had left.
    pub resumed: u64,
    /// What images here had.
    pub local: u64,
    /// Of these what earlier runs left.
    pub left: u64,
    /// What the source gave.
    pub source: u64,
    /// Pieces that an image here should have had, but were damaged.
    pub damaged: usize,
    /// Sums of the file; `None` if it was there already.
    pub sums: Option<SumPair>,
    /// What became of the old image; `None` if there was nothing to do.
    pub outcome: Option<Outcome>,
}

impl Report {
    pub(super) fn nothing(prospect: &Prospect) -> Self {
        Self {
            identity: prospect.identity,
            size: prospect.size,
            way: Way::Nothing,
            resumed: 0,
            local: 0,
            left: 0,
            source: 0,
            damaged: 0,
            sums: None,
            outcome: None,
        }
    }
}

/// Publishes a file that is whole.
pub(super) fn publish(
    staging: Staging,
    wanted: &Layout,
    (written, moved): (&Written, bool),
    facts: &Facts,
    report: &Report,
) -> Result<Report> {
    let mut beside = Vec::new();
    if !wanted.is_native() {
        let mut path = staging.path().into_os_string();
        path.push(INDEX);
        durable::write(path.as_ref(), wanted.description())?;
        beside.push(Placed {
            ending: INDEX.to_owned(),
            size: wanted.description().len() as u64,
        });
    }
    for carried in &facts.carried {
        beside.push(carried.write(staging.dir(), staging.image())?);
    }
    let published = Published {
        identity: report.identity,
        info: facts.info.clone(),
        now: facts.now,
    };
    let former = |image: &ImageFile| {
        if moved {
            return Ok(None);
        }
        current(image, &identity)
    };
    let outcome = staging.publish_assembled(written, &published, beside, former)?;
    Ok(Report {
        sums: Some(written.sums.clone()),
        outcome: Some(outcome),
        ..report.clone()
    })
}
