//! Pieces that images of the manager have: they need not be sent.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use azud_core::upload::{Held, in_runs};
use azud_store::assembly::Lookup;

use super::{Session, held};
use crate::budget::Budget;
use crate::problem::Problem;
use crate::upload::receive::{asked, refused, there};

impl Session {
    /// Whether it is known where pieces lie. Nobody waits here for who is just looking, or reading.
    pub(in crate::upload) fn has_looked(&self) -> bool {
        held(&self.lookup).is_some()
    }

    /// Looks where pieces lie. Where there is no memory to note it, nothing is anywhere. One does it at a time.
    pub(in crate::upload) fn look(&self, budget: &Arc<Budget>) -> Result<(), Problem> {
        let inbox = self.try_inbox()?;
        let found = there(inbox.as_ref())?.look_around()?;
        let mut share = budget.share();
        let found = match share.hold(found.memory()) {
            Ok(()) => found,
            Err(_) => Lookup::default(),
        };
        // Who gives the upload up waits for the inbox first.
        *held(&self.lookup) = Some((Arc::new(found), share));
        Ok(())
    }

    /// Takes over, as if they were sent, those of the pieces in records that images have.
    pub(in crate::upload) fn take_over(&self, records: &[u8]) -> Result<Held, Problem> {
        let pieces = asked(records)?;
        // Others ask meanwhile.
        let lookup = held(&self.lookup).as_ref().map(|(it, _)| Arc::clone(it));
        let in_vain = lookup.as_ref().is_some_and(|lookup| lookup.is_empty());
        let lookup = lookup.unwrap_or_default();
        let inbox = self.try_inbox()?;
        let inbox = there(inbox.as_ref())?;
        let (lacking, bytes) = inbox.take_over(&pieces, &lookup).map_err(refused)?;
        self.held.fetch_add(bytes, Ordering::Relaxed);
        self.hold_table_of(inbox)?;
        Ok(Held {
            lacking: in_runs(lacking),
            in_vain,
        })
    }

    /// Keeps whoever takes pieces over from coming to an end.
    #[cfg(test)]
    pub(in crate::upload) fn hold_up(&self) -> std::sync::MutexGuard<'_, crate::budget::Share> {
        held(&self.table)
    }

    /// Bytes of pieces that images had.
    #[cfg(test)]
    pub(in crate::upload) fn taken_over(&self) -> u64 {
        self.held.load(Ordering::Relaxed)
    }
}
