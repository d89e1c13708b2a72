//! Progress of work that a manager does: it is asked from time to time how far it is.

use azud_core::progress::{Interrupted, Phase, Progress};

/// How far the work was when the manager was asked last.
pub(super) struct Followed<'a> {
    phase: Phase,
    progress: &'a dyn Progress,
    done: u64,
    /// Of the stretch that is going on, if one is.
    total: Option<u64>,
}

impl<'a> Followed<'a> {
    /// Nothing has begun yet.
    pub(super) fn new(phase: Phase, progress: &'a dyn Progress) -> Self {
        Self {
            phase,
            progress,
            done: 0,
            total: None,
        }
    }

    /// Tells how far it is. Another whole, or less done than before, is another stretch: the former came to its end.
    pub(super) fn is_at(&mut self, done: u64, total: u64) -> Result<(), Interrupted> {
        if total == 0 {
            // It does not know yet how much there is to do.
            return self.progress.advance(0);
        }
        if self.total != Some(total) || done < self.done {
            self.end();
            self.progress.begin(self.phase, total);
            (self.done, self.total) = (0, Some(total));
        }
        let new = done - self.done;
        self.done = done;
        self.progress.advance(new)
    }

    /// It is done.
    pub(super) fn end(&mut self) {
        if self.total.take().is_some() {
            self.progress.end();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use azud_core::progress::{Interrupted, Phase, Progress};

    use super::Followed;

    #[derive(Default)]
    struct Heard(Mutex<Vec<String>>);

    impl Heard {
        fn hears(&self, text: String) {
            self.0.lock().unwrap().push(text);
        }
    }

    impl Progress for Heard {
        fn begin(&self, _: Phase, total: u64) {
            self.hears(format!("of {total}"));
        }

        fn advance(&self, bytes: u64) -> Result<(), Interrupted> {
            self.hears(format!("+{bytes}"));
            Ok(())
        }

        fn end(&self) {
            self.hears("end".to_owned());
        }
    }

    /// A manager that gathers an image reads it once more, and both are of about the same length.
    #[test]
    fn what_begins_anew_is_a_stretch_of_its_own() {
        let heard = Heard::default();
        let mut followed = Followed::new(Phase::Assemble, &heard);
        followed.end();
        for (done, total) in [(0, 0), (40, 100), (40, 100), (97, 100), (3, 100), (50, 90)] {
            followed.is_at(done, total).unwrap();
        }
        followed.end();
        let all = heard.0.into_inner().unwrap().join(" ");
        assert_eq!(all, "+0 of 100 +40 +0 +57 end of 100 +3 end of 90 +50 end");
    }
}
