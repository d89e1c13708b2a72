//! Lets workers through in the order of their tickets, so that writes ascend.

use std::sync::{Condvar, Mutex, PoisonError};

/// A turnstile that begins with ticket 0.
#[derive(Debug, Default)]
pub(super) struct Turnstile {
    next: Mutex<usize>,
    moved: Condvar,
}

/// A worker's place in the queue. Dropping it lets the next one through, also after an error.
#[derive(Debug)]
pub(super) struct Ticket<'a> {
    turnstile: &'a Turnstile,
    number: usize,
}

impl Turnstile {
    /// Takes a place. Tickets must be taken for every number from 0 without gaps.
    pub(super) fn ticket(&self, number: usize) -> Ticket<'_> {
        Ticket {
            turnstile: self,
            number,
        }
    }
}

impl Ticket<'_> {
    /// Returns when all earlier tickets are gone.
    pub(super) fn wait(&self) {
        let mut next = self
            .turnstile
            .next
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        while *next < self.number {
            next = self
                .turnstile
                .moved
                .wait(next)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        self.wait();
        *self
            .turnstile
            .next
            .lock()
            .unwrap_or_else(PoisonError::into_inner) += 1;
        self.turnstile.moved.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::Turnstile;

    #[test]
    fn tickets_pass_in_order_even_when_some_give_up() {
        let turnstile = Turnstile::default();
        let seen = std::sync::Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for n in (0..20).rev() {
                let (turnstile, seen) = (&turnstile, &seen);
                scope.spawn(move || {
                    let ticket = turnstile.ticket(n);
                    if n % 5 != 0 {
                        ticket.wait();
                        seen.lock().expect("no panic").push(n);
                    }
                });
            }
        });
        let want: Vec<usize> = (0..20).filter(|n| n % 5 != 0).collect();
        assert_eq!(*seen.lock().expect("no panic"), want);
    }
}
