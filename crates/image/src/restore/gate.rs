//! Lets the first write of a restore through only after the target was prepared.

use std::sync::Mutex;

use super::sink::Sink;
use crate::error::ImageError;

/// What has become of the preparation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Untouched,
    /// It was begun and has failed, or is under way.
    Begun,
    Open,
}

/// A gate that every worker passes before it writes: the first one prepares the target, the others wait for it.
pub(super) struct Gate<'a> {
    sink: &'a Sink<'a>,
    state: Mutex<State>,
}

impl<'a> Gate<'a> {
    pub(super) fn new(sink: &'a Sink<'a>) -> Self {
        let state = Mutex::new(State::Untouched);
        Self { sink, state }
    }

    /// Returns when the target is prepared; `false` when another worker has failed at that: nothing may be written
    /// then, and the error is told by the other.
    pub(super) fn pass(&self) -> Result<bool, ImageError> {
        let mut state = self.state.lock().expect("no holder panics");
        if *state == State::Untouched {
            // A second attempt could succeed where what the first one wrote is lost.
            *state = State::Begun;
            self.sink.prepare()?;
            *state = State::Open;
        }
        Ok(*state == State::Open)
    }

    /// Whether anybody passed.
    pub(super) fn is_open(&self) -> bool {
        *self.state.lock().expect("no holder panics") == State::Open
    }
}
