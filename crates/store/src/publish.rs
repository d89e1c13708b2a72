//! Publishing: an image becomes visible whole, with its side files, or not at all.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use azud_core::name::ImageFile;

use crate::assembly::is_half_moved;
use crate::bulk::Bulk;
use crate::durable;
use crate::error::{At, Result, StoreError};
use crate::identity::{Identify, Identity};
use crate::lease::{Lease, refuse_certain};
use crate::plan::{Current, Place, Placed, Plan};
use crate::recover::Settled;
use crate::side::{Carried, FULL_SUM, INFO, InfoLine, SUM, SumPair, Sums};
use crate::slot::shelf;
use crate::stage::{Stage, check_dir, check_target};

/// A version being made, in a hidden directory beside the image, which is locked for others. Dropped without [`Staging::publish`],
/// it leaves nothing behind.
#[derive(Debug)]
pub struct Staging {
    image: ImageFile,
    stage: Stage,
    lease: Lease,
}

/// What is published beside the bytes.
#[derive(Debug, Clone)]
pub struct Published {
    /// Who the new version is.
    pub identity: Identity,
    /// The content of `.info`, if there is to be one.
    pub info: Option<InfoLine>,
    /// The time, for the trash.
    pub now: SystemTime,
}

/// What publishing did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// There was no image of that name.
    Created,
    /// The former version went to the trash.
    Updated {
        /// Its directory there.
        former: PathBuf,
    },
    /// The version was there already: its bytes were written anew, none went to the trash.
    Unchanged,
}

/// Refuses what [`Staging::begin`] and its like would refuse, as far as that can be told without changing anything,
/// so that a plan promises no more than its run keeps. The size of the image that is there now.
///
/// # Errors
/// As [`Staging::begin`].
pub fn check(image: &ImageFile, now: SystemTime) -> Result<Option<u64>> {
    let size = check_assembling(image, now)?;
    if is_half_moved(image) {
        return Err(StoreError::HalfMoved(image.path()));
    }
    Ok(size)
}

/// As [`check`], for whoever may go on with the assembly of the image.
///
/// # Errors
/// As [`Staging::begin`].
pub fn check_assembling(image: &ImageFile, now: SystemTime) -> Result<Option<u64>> {
    check_dir(image)?;
    let size = check_target(image)?;
    refuse_certain(image, now)?;
    durable::check_writable(image.dir())?;
    Ok(size)
}

impl Staging {
    /// Makes ready to publish, and first finishes what others left.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] (no such directory), [`StoreError::NotAFile`], [`StoreError::ReadOnly`],
    /// [`StoreError::NoSpace`], [`StoreError::Held`], [`StoreError::Locked`], [`StoreError::Pending`].
    pub fn begin(image: &ImageFile, now: SystemTime) -> Result<Self> {
        check_dir(image)?;
        check_target(image)?;
        let lease = Lease::take(image, now)?;
        let _settled = Settled::enter(image.dir(), image.name(), now)?;
        Ok(Self {
            image: image.clone(),
            stage: Stage::make(image)?,
            lease,
        })
    }

    /// Takes up the assembly of an image where it was left, or begins one. Dropped without being
    /// published it stays, to be taken up again.
    pub(crate) fn resume(image: &ImageFile, now: SystemTime) -> Result<Self> {
        Self::resume_for(image, None, now)
    }

    /// The same, and says in the lock who sends the image.
    pub(crate) fn resume_for(
        image: &ImageFile,
        sender: Option<&str>,
        now: SystemTime,
    ) -> Result<Self> {
        check_dir(image)?;
        check_target(image)?;
        let lease = Lease::take_for(image, sender, now)?;
        let _settled = Settled::enter_assembling(image.dir(), image.name(), now)?;
        Ok(Self {
            image: image.clone(),
            stage: Stage::resume(image, now)?,
            lease,
        })
    }

    /// As [`accompany`], of the image that is locked already.
    pub(crate) fn accompany(&self, carried: &[Carried], now: SystemTime) -> Result<()> {
        accompany_locked((&self.image, &self.lease), carried, now)
    }

    /// Clears away what was begun, for good.
    pub(crate) fn abandon(self) -> Result<()> {
        self.stage.abandon()
    }

    /// The directory in which it is made.
    pub(crate) fn dir(&self) -> &Path {
        self.stage.path()
    }

    pub(crate) fn image(&self) -> &ImageFile {
        &self.image
    }

    /// Where the new version is written until it is published.
    pub fn path(&self) -> PathBuf {
        self.stage.path().join(self.image.name())
    }

    /// The file to write the image into; once.
    ///
    /// # Errors
    /// As [`Staging::begin`].
    pub fn writer(&self) -> Result<ImageWriter> {
        let path = self.path();
        let file = durable::create(&path)?;
        Ok(ImageWriter {
            bulk: Bulk::new(file),
            path,
            len: 0,
            sums: Sums::new(),
        })
    }

    /// Publishes what was written. When this returns, the new version is on the medium under its name,
    /// and the former one in the trash; when it fails, the former one is where it was, with one
    /// exception: [`StoreError::Pending`] says that the change is certain but somebody else has to finish it.
    ///
    /// # Errors
    /// As [`Staging::begin`].
    pub fn publish(
        self,
        written: &Written,
        facts: &Published,
        identify: &Identify<'_>,
    ) -> Result<Outcome> {
        let files = self.write_side_files(written, facts)?;
        let (dir, name) = (self.image.dir().to_owned(), self.image.name().to_owned());
        let enter = || Settled::enter(&dir, &name, facts.now);
        self.commit((written, files), facts, enter, |image| {
            current(image, identify)
        })
    }

    /// As [`Staging::publish`], of an image that was assembled; `former` looks at what stands under the
    /// name, and says `None` if nothing of it is worth keeping. Files that the caller put beside the image
    /// are named by their endings.
    pub(crate) fn publish_assembled(
        self,
        written: &Written,
        facts: &Published,
        beside: Vec<Placed>,
        former: impl FnOnce(&ImageFile) -> Result<Option<Current>>,
    ) -> Result<Outcome> {
        let mut files = beside;
        files.extend(self.write_side_files(written, facts)?);
        let (dir, name) = (self.image.dir().to_owned(), self.image.name().to_owned());
        let enter = || Settled::enter_assembling(&dir, &name, facts.now);
        self.commit((written, files), facts, enter, former)
    }

    fn commit(
        mut self,
        (written, files): (&Written, Vec<Placed>),
        facts: &Published,
        enter: impl FnOnce() -> Result<Settled>,
        former: impl FnOnce(&ImageFile) -> Result<Option<Current>>,
    ) -> Result<Outcome> {
        durable::sync_dir(self.stage.path())?;
        let image = &self.image;
        let _settled = enter()?;
        self.lease.confirm()?;
        let current = former(image)?;
        let place = Place { from: None, files };
        let same =
            current.is_some_and(|c| c.identity == Some(facts.identity) && c.size == written.len);
        let plan = if same {
            Plan::refresh(image, place)
        } else {
            Plan::draft(image, current, Some(place), facts.now)?
        };
        carry_out(&plan, &mut self.stage, image)?;
        Ok(match plan.retired() {
            _ if same => Outcome::Unchanged,
            Some(slot) => Outcome::Updated {
                former: shelf(image).join(slot.to_string()),
            },
            None => Outcome::Created,
        })
    }

    fn write_side_files(&self, written: &Written, facts: &Published) -> Result<Vec<Placed>> {
        let found = durable::file_size(&self.path())?;
        if found != Some(written.len) {
            return Err(StoreError::corrupt(
                &self.path(),
                "it is not as long as what was written",
            ));
        }
        let SumPair { tail, full } = &written.sums;
        let info = facts.info.as_ref().map(InfoLine::to_line);
        let texts = [
            (INFO, info),
            (SUM, Some(format!("{tail}\n"))),
            (FULL_SUM, Some(format!("{full}\n"))),
        ];
        let mut files = Vec::new();
        for (ending, text) in texts {
            let Some(text) = text else { continue };
            let path = self
                .stage
                .path()
                .join(format!("{}{ending}", self.image.name()));
            durable::write(&path, text.as_bytes())?;
            files.push(Placed {
                ending: ending.to_owned(),
                size: text.len() as u64,
            });
        }
        files.push(Placed {
            ending: String::new(),
            size: written.len,
        });
        Ok(files)
    }
}

/// Puts side files beside an image that stays as it is: all of those that are not there yet, or none.
///
/// # Errors
/// [`StoreError::Locked`], [`StoreError::Io`], [`StoreError::Pending`].
pub fn accompany(image: &ImageFile, carried: &[Carried], now: SystemTime) -> Result<()> {
    if carried.iter().all(|one| one.is_beside(image)) {
        return Ok(());
    }
    let lease = Lease::take(image, now)?;
    accompany_locked((image, &lease), carried, now)
}

fn accompany_locked(
    (image, lease): (&ImageFile, &Lease),
    carried: &[Carried],
    now: SystemTime,
) -> Result<()> {
    let fresh: Vec<&Carried> = carried.iter().filter(|one| !one.is_beside(image)).collect();
    if fresh.is_empty() {
        return Ok(());
    }
    let _settled = Settled::enter_assembling(image.dir(), image.name(), now)?;
    let mut stage = Stage::make(image)?;
    let files = fresh.iter().map(|one| one.write(stage.path(), image));
    let files = files.collect::<Result<Vec<Placed>>>()?;
    durable::sync_dir(stage.path())?;
    lease.confirm()?;
    let plan = Plan::accompany(image, Place { from: None, files });
    carry_out(&plan, &mut stage, image)
}

/// Commits a plan and carries it out. The caller holds the directory's lock.
pub(crate) fn carry_out(plan: &Plan, stage: &mut Stage, image: &ImageFile) -> Result<()> {
    let committed = plan.commit(stage.path(), image.dir());
    // Whether a failed commit reached the medium is not known for certain; if the mark is there, it counts.
    if let Err(error) = committed {
        if Plan::read(stage.path()).is_ok_and(|found| found.is_none()) {
            return Err(error);
        }
        stage.keep();
        return Err(pending(image, error));
    }
    stage.keep();
    plan.roll_forward(stage.path(), image.dir())
        .map_err(|error| pending(image, error))
}

fn pending(image: &ImageFile, source: StoreError) -> StoreError {
    StoreError::Pending {
        image: image.path(),
        source: Box::new(source),
    }
}

/// The version that stands under the name now.
pub(crate) fn current(image: &ImageFile, identify: &Identify<'_>) -> Result<Option<Current>> {
    Ok(check_target(image)?.map(|size| Current {
        size,
        identity: identify(&image.path()),
    }))
}

/// What an [`ImageWriter`] wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// How many bytes.
    pub len: u64,
    /// Their sums.
    pub sums: SumPair,
}

/// Writes an image and computes its sums in the same pass. It needs no buffer before it.
///
/// Its errors carry a [`StoreError`], and keep the kind of the system's.
#[derive(Debug)]
pub struct ImageWriter {
    bulk: Bulk,
    path: PathBuf,
    len: u64,
    sums: Sums,
}

impl ImageWriter {
    /// Reserves space before anything is written, so that a full disk shows now rather than at the end. File systems that
    /// cannot reserve are left in peace; what is reserved too much is given back by [`ImageWriter::finish`].
    ///
    /// # Errors
    /// [`StoreError::NoSpace`].
    pub fn reserve(&self, len: u64) -> Result<()> {
        debug_assert!(self.is_empty(), "nothing is written");
        durable::reserve(self.bulk.file(), &self.path, 0, len)
    }

    /// How many bytes were written.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether nothing was written yet.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Brings everything onto the medium.
    ///
    /// # Errors
    /// [`StoreError::NoSpace`] (some file systems notice only now), [`StoreError::Io`].
    pub fn finish(self) -> Result<Written> {
        let Self {
            bulk,
            path,
            len,
            sums,
        } = self;
        let file = bulk.finish().at("write", &path)?;
        file.set_len(len).at("set the length of", &path)?;
        durable::sync_file(&file, &path)?;
        Ok(Written {
            len,
            sums: sums.finish(),
        })
    }

    fn path(&self) -> &Path {
        &self.path
    }
}

impl Write for ImageWriter {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.bulk
            .write_all(buf)
            .map_err(|error| StoreError::io("write", self.path(), error))?;
        self.sums.update(buf);
        self.len += buf.len() as u64;
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
