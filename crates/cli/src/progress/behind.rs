//! Work that goes on behind another's bar: it gets its own when that one has ended and it has not.

use std::sync::{Mutex, MutexGuard, PoisonError};

use azud_core::progress::{Interrupted, Phase, Progress};

use crate::interrupt;

/// Counts the work until it is all that is under way, and shows from then on what is left of it.
pub(crate) struct Behind<'a> {
    shown: &'a dyn Progress,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    is_shown: bool,
    is_to_stop: bool,
    /// The phase that is under way, and how much of it is left.
    running: Option<(Phase, u64)>,
}

impl<'a> Behind<'a> {
    /// Work that may be shown there later.
    pub(crate) fn new(shown: &'a dyn Progress) -> Self {
        Self {
            shown,
            state: Mutex::default(),
        }
    }

    /// What it stood behind has ended. What is done of its phase is not shown as done now: no rate would be true.
    pub(crate) fn come_forward(&self) {
        let mut state = self.lock();
        state.is_shown = true;
        if let Some((phase, left)) = state.running {
            self.shown.begin(phase, left);
        }
    }

    /// It is to end before it is done.
    pub(crate) fn stop(&self) {
        self.lock().is_to_stop = true;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Progress for Behind<'_> {
    fn begin(&self, phase: Phase, total: u64) {
        let mut state = self.lock();
        state.running = Some((phase, total));
        if state.is_shown {
            self.shown.begin(phase, total);
        }
    }

    fn advance(&self, bytes: u64) -> Result<(), Interrupted> {
        let mut state = self.lock();
        if state.is_to_stop {
            return Err(Interrupted);
        }
        if state.is_shown {
            return self.shown.advance(bytes);
        }
        if let Some((_, left)) = &mut state.running {
            *left = left.saturating_sub(bytes);
        }
        interrupt::go_on()
    }

    fn end(&self) {
        let mut state = self.lock();
        if state.running.take().is_some() && state.is_shown {
            self.shown.end();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use azud_core::progress::{Interrupted, Phase, Progress};

    use super::Behind;

    /// Remembers what it is told.
    #[derive(Default)]
    struct Told(Mutex<Vec<String>>);

    impl Told {
        fn add(&self, word: String) {
            self.0.lock().unwrap().push(word);
        }

        fn words(&self) -> Vec<String> {
            self.0.lock().unwrap().clone()
        }
    }

    impl Progress for Told {
        fn begin(&self, phase: Phase, total: u64) {
            self.add(format!("{} of {total}", phase.name()));
        }

        fn advance(&self, bytes: u64) -> Result<(), Interrupted> {
            self.add(bytes.to_string());
            Ok(())
        }

        fn end(&self) {
            self.add("end".to_owned());
        }
    }

    #[test]
    fn what_is_left_is_shown_when_nothing_else_is_under_way() {
        let told = Told::default();
        let behind = Behind::new(&told);
        behind.begin(Phase::Assemble, 100);
        behind.advance(60).unwrap();
        assert!(told.words().is_empty(), "another's progress stands for it");
        behind.come_forward();
        behind.advance(40).unwrap();
        behind.end();
        behind.begin(Phase::Verify, 7);
        behind.end();
        let words = ["assemble of 40", "40", "end", "verify of 7", "end"];
        assert_eq!(told.words(), words);
    }

    #[test]
    fn what_has_ended_is_not_shown_again() {
        let told = Told::default();
        let behind = Behind::new(&told);
        behind.begin(Phase::Assemble, 100);
        behind.end();
        behind.come_forward();
        behind.end();
        assert!(told.words().is_empty());
        behind.stop();
        assert_eq!(behind.advance(1), Err(Interrupted));
    }
}
