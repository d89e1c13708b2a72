//! What the source has, asked again when it was asked too long ago. One asks for all who want to know.

use std::collections::HashSet;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::errors::again;
use crate::tree::Tree;
use crate::{Entry, Source};

/// So long an answer holds, a failure too; longer if it took longer to come.
pub(crate) const FRESH: Duration = Duration::from_secs(1);

/// The tree of a source.
#[derive(Debug)]
pub(crate) struct Fresh<S> {
    source: Arc<S>,
    state: Mutex<State>,
    came: Condvar,
}

#[derive(Debug, Default)]
struct State {
    tree: Arc<Tree>,
    /// Numbers that must not be used again.
    renewed: HashSet<u64>,
    until: Option<Instant>,
    failed: Option<io::Error>,
    asking: bool,
}

impl<S: Source> Fresh<S> {
    pub(crate) fn new(source: Arc<S>) -> Self {
        Self {
            source,
            state: Mutex::default(),
            came: Condvar::new(),
        }
    }

    /// What the source has now.
    ///
    /// # Errors
    /// Why it cannot be told.
    pub(crate) fn tree(&self) -> io::Result<Arc<Tree>> {
        let mut state = self.lock();
        while state.asking {
            state = self
                .came
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        if state.until.is_none_or(|until| Instant::now() >= until) {
            state.asking = true;
            drop(state);
            let begun = Instant::now();
            let answer = self.source.list();
            state = self.lock();
            state.asking = false;
            state.take(answer, begun.elapsed());
            self.came.notify_all();
        }
        match &state.failed {
            Some(error) => Err(again(error)),
            None => Ok(Arc::clone(&state.tree)),
        }
    }

    /// What was known when it was asked last, if it then answered and that is not long ago.
    pub(crate) fn recent(&self) -> Option<Arc<Tree>> {
        let state = self.lock();
        let recent = state.until.is_some_and(|until| Instant::now() < until);
        (recent && state.failed.is_none()).then(|| Arc::clone(&state.tree))
    }

    /// What was known at last.
    pub(crate) fn last(&self) -> Arc<Tree> {
        Arc::clone(&self.lock().tree)
    }

    /// A file is another one than was told: the source is asked again, and the number is given to nobody.
    pub(crate) fn renew(&self, number: u64) {
        let mut state = self.lock();
        state.renewed.insert(number);
        state.until = None;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn take(&mut self, answer: io::Result<impl Iterator<Item = Entry>>, lasted: Duration) {
        match answer {
            Ok(entries) => {
                let renewed = std::mem::take(&mut self.renewed);
                let tree = Tree::of(entries, &self.tree, &|number| renewed.contains(&number));
                self.tree = Arc::new(tree);
                self.failed = None;
                self.until = Some(Instant::now() + lasted.max(FRESH));
            }
            Err(error) => {
                self.failed = Some(error);
                self.until = Some(Instant::now() + FRESH);
            }
        }
    }
}
