//! Partition tables: read, planned for one more partition, given that one more, or rid of one.
//!
//! Invariants: a plan is made by a pure function over the table as it was read; what is applied is
//! that plan and nothing else; every entry that was there before is the same afterwards, or the
//! change is reported as a failure. Sizes and places are bytes.

mod apply;
mod plan;
mod read;
mod remove;

use std::ops::Range;

pub use apply::create;
pub use plan::{
    ALIGNMENT, MIN_SIZE, NewPartition, Place, PlanRefusal, RESERVED_AT_END, Wish, plan,
};
pub use read::{parse, read};
pub use remove::remove;

/// The two kinds of table that Azud writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// GUID partition table.
    Gpt,
    /// The table of MS-DOS, also known as MBR.
    Mbr,
}

impl Scheme {
    /// `gpt` or `mbr`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gpt => "gpt",
            Self::Mbr => "mbr",
        }
    }

    /// As sfdisk calls it.
    const fn label(self) -> &'static str {
        match self {
            Self::Gpt => "gpt",
            Self::Mbr => "dos",
        }
    }
}

/// One partition of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Number, from 1; logical partitions of an MBR from 5.
    pub number: u32,
    /// Its bytes on the disk.
    pub range: Range<u64>,
    /// Type: a GUID in capitals, or the MBR's two hexadecimal digits in small letters, without leading zero.
    pub kind: String,
    /// Name, in a GPT that has one. Whatever was written there.
    pub name: Option<String>,
    /// Own GUID, in a GPT.
    pub uuid: Option<String>,
    /// Attributes and the mark of the active partition, as sfdisk shows them.
    pub flags: String,
}

impl Entry {
    /// Whether it is an MBR's container of logical partitions.
    pub fn is_extended(&self) -> bool {
        matches!(self.kind.as_str(), "5" | "f" | "85")
    }
}

/// A partition table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Its kind.
    pub scheme: Scheme,
    /// The disk's GUID or the MBR's signature.
    pub id: String,
    /// Bytes per logical sector.
    pub sector: u32,
    /// Bytes that the table itself lets partitions use; an MBR says nothing about it.
    pub usable: Option<Range<u64>>,
    /// In the order of the table.
    pub entries: Vec<Entry>,
}
