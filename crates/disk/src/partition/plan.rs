//! Where a new partition may lie. Pure: the disk is not touched, and its table is only looked at.

use std::ops::Range;

use super::{Entry, Scheme, Table};

/// Partitions begin and end at multiples of this many bytes.
pub const ALIGNMENT: u64 = 1 << 20;
/// Bytes left free at the end of the disk: 8192 sectors, as `OpenGnsys` leaves them.
pub const RESERVED_AT_END: u64 = 8192 * 512;
/// Bytes of the smallest partition that is worth it, as `OpenGnsys` documents it.
pub const MIN_SIZE: u64 = 50 << 20;
/// Partitions that a GPT of the usual size can hold.
const GPT_ENTRIES: u32 = 128;
/// Numbers of an MBR's own entries.
const MBR_ENTRIES: u32 = 4;
/// The number of a cache in an MBR, and never in a GPT: a habit of `OpenGnsys`.
const MBR_CACHE: u32 = 4;
/// Sectors that an MBR can count.
const MBR_SECTORS: u64 = u32::MAX as u64;

/// Where the new partition is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// As far back as there is room.
    End,
    /// At this byte.
    At(u64),
}

/// What is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wish {
    /// Bytes; all of a gap if `None`.
    pub size: Option<u64>,
    /// Where.
    pub place: Place,
    /// The kind of table for a disk that has none.
    pub scheme: Scheme,
    /// Its number; by habit if `None`.
    pub number: Option<u32>,
}

/// What will be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPartition {
    /// The kind of table it is entered in.
    pub scheme: Scheme,
    /// Whether the table is new as well.
    pub new_table: bool,
    /// Its number.
    pub number: u32,
    /// Its bytes on the disk.
    pub range: Range<u64>,
    /// Bytes per sector.
    pub sector: u32,
}

/// Why there is no plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanRefusal {
    /// No gap is large enough.
    #[error("the largest gap has {largest} bytes, {needed} bytes are needed")]
    TooLittleRoom {
        /// Bytes of the largest gap, without what alignment takes.
        largest: u64,
        /// Bytes that are needed.
        needed: u64,
    },
    /// The place is taken, or lies where nothing may be.
    #[error("bytes {} to {} are not free", range.start, range.end)]
    Taken {
        /// What was wanted.
        range: Range<u64>,
    },
    /// A start that is no multiple of [`ALIGNMENT`].
    #[error("the start {start} is no multiple of 1 MiB")]
    Unaligned {
        /// What was wanted.
        start: u64,
    },
    /// All numbers of the table are in use.
    #[error("all {0} numbers of the table are in use")]
    NoNumber(u32),
    /// The number that is wanted is in use, or none that the table has.
    #[error("number {0} is in use or beyond the table's last")]
    NotANumber(u32),
    /// The disk has sectors of another size than the table.
    #[error("the table counts sectors of {table} bytes, the disk has {disk}")]
    SectorSize {
        /// The table's.
        table: u32,
        /// The disk's.
        disk: u32,
    },
}

/// Plans one more partition on a disk of `disk_len` bytes with sectors of `sector` bytes.
///
/// # Errors
/// [`PlanRefusal`].
pub fn plan(
    disk_len: u64,
    sector: u32,
    table: Option<&Table>,
    wish: Wish,
) -> Result<NewPartition, PlanRefusal> {
    if let Some(table) = table
        && table.sector != sector
    {
        return Err(PlanRefusal::SectorSize {
            table: table.sector,
            disk: sector,
        });
    }
    let scheme = table.map_or(wish.scheme, |table| table.scheme);
    let entries = table.map_or(&[][..], |table| &table.entries);
    let number = free_number(scheme, entries, wish.number)?;
    let gaps = gaps(disk_len, sector, scheme, table);
    let range = match wish.place {
        Place::End => at_end(&gaps, wish.size)?,
        Place::At(start) => at(&gaps, start, wish.size)?,
    };
    Ok(NewPartition {
        scheme,
        new_table: table.is_none(),
        number,
        range,
        sector,
    })
}

/// The one that is wanted. Else, MBR: 4, else the highest that is free; GPT: the lowest but 4.
fn free_number(scheme: Scheme, entries: &[Entry], wanted: Option<u32>) -> Result<u32, PlanRefusal> {
    let free = |number: &u32| entries.iter().all(|entry| entry.number != *number);
    if let Some(number) = wanted {
        let limit = match scheme {
            Scheme::Mbr => MBR_ENTRIES,
            Scheme::Gpt => GPT_ENTRIES,
        };
        let usable = (1..=limit).contains(&number) && free(&number);
        return usable
            .then_some(number)
            .ok_or(PlanRefusal::NotANumber(number));
    }
    let (found, limit) = match scheme {
        Scheme::Mbr => ((1..=MBR_ENTRIES).rev().find(free), MBR_ENTRIES),
        Scheme::Gpt => {
            let mut numbers = (1..=GPT_ENTRIES).filter(|number| *number != MBR_CACHE);
            (numbers.find(free), GPT_ENTRIES)
        }
    };
    found.ok_or(PlanRefusal::NoNumber(limit))
}

/// The free stretches that a partition may fill, ascending, aligned, none empty.
fn gaps(disk_len: u64, sector: u32, scheme: Scheme, table: Option<&Table>) -> Vec<Range<u64>> {
    let mut end = disk_len.saturating_sub(RESERVED_AT_END);
    let mut start = ALIGNMENT;
    if let Some(usable) = table.and_then(|table| table.usable.clone()) {
        start = start.max(usable.start);
        end = end.min(usable.end);
    }
    if scheme == Scheme::Mbr {
        end = end.min(MBR_SECTORS * u64::from(sector));
    }
    // Logical partitions lie within the extended one, which is taken as a whole.
    let entries = table.map_or(&[][..], |table| &table.entries);
    let ranges = entries.iter().map(|entry| entry.range.clone());
    // An entry without a sector takes no room and divides none.
    let mut taken: Vec<Range<u64>> = ranges.filter(|range| !range.is_empty()).collect();
    taken.sort_by_key(|range| range.start);
    let mut gaps = Vec::new();
    let mut from = start;
    for range in taken.into_iter().chain([end..end]) {
        let gap = up(from)..down(range.start.min(end));
        if gap.start < gap.end {
            gaps.push(gap);
        }
        from = from.max(range.end);
    }
    gaps
}

fn up(at: u64) -> u64 {
    at.checked_next_multiple_of(ALIGNMENT).unwrap_or(u64::MAX)
}

fn down(at: u64) -> u64 {
    at - at % ALIGNMENT
}

/// The end of the last gap that holds it; without a size, all of the largest gap.
fn at_end(gaps: &[Range<u64>], size: Option<u64>) -> Result<Range<u64>, PlanRefusal> {
    let room = |gap: &Range<u64>| gap.end - gap.start;
    let needed = up(size.unwrap_or(MIN_SIZE).max(MIN_SIZE));
    let largest = gaps.iter().max_by_key(|gap| room(gap));
    let refusal = || PlanRefusal::TooLittleRoom {
        largest: largest.map_or(0, room),
        needed,
    };
    let gap = match size {
        Some(_) => gaps.iter().rfind(|gap| room(gap) >= needed),
        None => largest.filter(|gap| room(gap) >= needed),
    };
    let gap = gap.ok_or_else(refusal)?;
    Ok(match size {
        Some(_) => gap.end - needed..gap.end,
        None => gap.clone(),
    })
}

/// From a start: so much, or all that is free there.
fn at(gaps: &[Range<u64>], start: u64, size: Option<u64>) -> Result<Range<u64>, PlanRefusal> {
    if !start.is_multiple_of(ALIGNMENT) {
        return Err(PlanRefusal::Unaligned { start });
    }
    let needed = up(size.unwrap_or(MIN_SIZE).max(MIN_SIZE));
    let end = start.saturating_add(needed);
    let gap = gaps
        .iter()
        .find(|gap| gap.start <= start && end <= gap.end)
        .ok_or(PlanRefusal::Taken { range: start..end })?;
    Ok(start..if size.is_some() { end } else { gap.end })
}
