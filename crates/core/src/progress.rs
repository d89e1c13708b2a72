//! How long work tells how far it is, without knowing who listens.

/// What a stretch of work is doing; each has its own bar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Reading the file system's map of used blocks.
    Map,
    /// Reading, cutting, compressing and storing.
    Capture,
    /// Comparing with what the target holds, and writing what differs.
    Compare,
    /// Decoding and writing.
    Restore,
    /// Reading the medium again.
    ReadBack,
    /// Hashing stored frames.
    Verify,
    /// Converting to or from another format.
    Convert,
    /// Fetching damaged frames again.
    Repair,
    /// Gathering the pieces of an image.
    Assemble,
    /// Sending pieces of an image to a manager.
    Send,
}

impl Phase {
    /// Stable name, used in JSON and as message key.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Map => "map",
            Self::Capture => "capture",
            Self::Compare => "compare",
            Self::Restore => "restore",
            Self::ReadBack => "read-back",
            Self::Verify => "verify",
            Self::Convert => "convert",
            Self::Repair => "repair",
            Self::Assemble => "assemble",
            Self::Send => "send",
        }
    }
}

/// Somebody asked for the end of the work before it was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("stopped half-way, as was asked")]
pub struct Interrupted;

/// Receives progress, and says whether to go on; called from any thread, often, so it must be cheap.
pub trait Progress: Sync {
    /// A phase begins; `total` is in bytes of content.
    fn begin(&self, phase: Phase, total: u64);
    /// `bytes` more are done in the current phase. Between this piece and the next is a good moment to stop.
    ///
    /// # Errors
    /// [`Interrupted`]: whoever works cleans up and returns.
    fn advance(&self, bytes: u64) -> Result<(), Interrupted>;
    /// The current phase is over: all of it is done. One that failed is not said to be.
    fn end(&self) {}
}

/// Progress for nobody.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn begin(&self, _: Phase, _: u64) {}
    fn advance(&self, _: u64) -> Result<(), Interrupted> {
        Ok(())
    }
}
