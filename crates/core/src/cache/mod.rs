//! What a cache keeps and what goes first when room is needed.
//!
//! Pure: whoever keeps the files says what there is, and carries the plan out.
//!
//! Invariants: nothing that is pinned, in use, half moved or of no agreed plan goes to make room, and of what the machine's partitions
//! run the last sound copy stays; former versions go before images, the least recently used first; no
//! plan takes more than is needed.

mod room;

use crate::format::Hash;

pub use room::{EvictionPlan, Shortfall, plan_room};

/// Which sort of thing an item is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Sort {
    /// A version in the trash: it goes before any image.
    Former,
    /// An image under its name.
    Image,
}

/// Something in the cache that takes space.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "facts that have nothing to do with each other"
)]
pub struct Item {
    /// What it is called: its path in the cache.
    pub name: String,
    /// Image or former version.
    pub sort: Sort,
    /// Bytes it takes on the medium, side files included.
    pub bytes: u64,
    /// Of these, the bytes that are certainly free once it is gone: those that it shares with nothing.
    pub surely: u64,
    /// When it was last of use, in seconds since 1970.
    pub used: u64,
    /// Somebody said that it stays.
    pub pinned: bool,
    /// Somebody is at work with it.
    pub in_use: bool,
    /// A part of it lies in an update of it that was broken off.
    pub half_moved: bool,
    /// The plan that somebody agreed to does not name it.
    pub not_planned: bool,
    /// Who it is, if that can be told.
    pub identity: Option<Hash>,
    /// Whether it is known to be damaged; such a copy cannot stand in for another.
    pub damaged: bool,
    /// The partitions of this machine that run what it holds.
    pub runs_on: Vec<String>,
}

/// Why an item stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stays {
    /// It is pinned.
    Pinned,
    /// It is in use.
    InUse,
    /// A part of it lies in an update that was broken off.
    HalfMoved,
    /// The plan that was agreed to does not name it.
    NotPlanned,
    /// It is the last copy of what these partitions run.
    LastCopy(String),
}

/// The space of a file system, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// All of it.
    pub total: u64,
    /// What can be written.
    pub free: u64,
}

/// How much a cache may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Images and former versions together take no more.
    pub budget: Option<u64>,
    /// So much of the file system stays free.
    pub floor: u64,
}

impl Policy {
    /// What holds when nothing was said: no budget, and a twentieth of the file system stays free, at
    /// least 1 GiB. A small file system keeps a quarter, or nothing would fit.
    pub fn of_size(total: u64) -> Self {
        const LEAST: u64 = 1 << 30;
        Self {
            budget: None,
            floor: (total / 20).max(LEAST).min(total / 4),
        }
    }
}

/// Why an item may not go, whatever becomes of the others.
fn held_fast(item: &Item) -> Option<Stays> {
    if item.in_use {
        Some(Stays::InUse)
    } else if item.half_moved {
        Some(Stays::HalfMoved)
    } else if item.pinned {
        Some(Stays::Pinned)
    } else if item.not_planned {
        Some(Stays::NotPlanned)
    } else {
        None
    }
}

/// Whether nothing stands in for the item at `at` once those of `gone` have gone, though a partition runs it.
fn is_last(items: &[Item], at: usize, gone: &[bool]) -> bool {
    let item = &items[at];
    let stands_in = |(other, gone): (&Item, &bool)| {
        !gone && !other.damaged && item.identity.is_some() && other.identity == item.identity
    };
    let mut others = items.iter().zip(gone).enumerate();
    !item.runs_on.is_empty() && !others.any(|(number, pair)| number != at && stands_in(pair))
}

/// Why the item at `at` may not go, if so, once those of `gone` have gone.
pub(crate) fn stays(items: &[Item], at: usize, gone: &[bool]) -> Option<Stays> {
    let item = &items[at];
    let last = || is_last(items, at, gone).then(|| Stays::LastCopy(item.runs_on.join(", ")));
    held_fast(item).or_else(last)
}

/// Why each of these items, named by their places, may not go together with those before it; the first
/// reason that is found.
///
/// # Errors
/// The place of the item that stays, and why.
pub fn may_go(items: &[Item], wanted: &[usize]) -> Result<(), (usize, Stays)> {
    let mut gone = vec![false; items.len()];
    for &at in wanted {
        if let Some(why) = stays(items, at, &gone) {
            return Err((at, why));
        }
        gone[at] = true;
    }
    Ok(())
}

/// As [`may_go`], where somebody said that last copies may go too; [`last_copies`] says which are some.
///
/// # Errors
/// As [`may_go`], but never [`Stays::LastCopy`].
pub fn may_go_even_last(items: &[Item], wanted: &[usize]) -> Result<(), (usize, Stays)> {
    let mut held = wanted
        .iter()
        .filter_map(|&at| Some((at, held_fast(&items[at])?)));
    held.next().map_or(Ok(()), Err)
}

/// Which of these items, gone in this order, are the last copies of what partitions run.
pub fn last_copies(items: &[Item], wanted: &[usize]) -> Vec<usize> {
    let mut gone = vec![false; items.len()];
    let last = wanted.iter().copied().filter(|&at| {
        let last = is_last(items, at, &gone);
        gone[at] = true;
        last
    });
    last.collect()
}
