//! How long a manager that went away is waited for, and who is told meanwhile.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use std::{fmt, io};

use azud_core::code::Code;
use azud_core::progress::Interrupted;

use super::Client;
use super::ends::Ends;
use super::pulse::Pulse;
use crate::error::{NetError, Result};

/// Between two tries.
const PAUSE: Duration = Duration::from_millis(250);
/// The longest pause.
const MOST: Duration = Duration::from_secs(2);
/// A try that is limited because the waiting ends may take so long at least.
const LEAST: Duration = Duration::from_secs(2);
/// So long one may take when it was waited for long enough: others who ask may be many, one after the other.
const BRIEF: Duration = Duration::from_millis(500);
/// An outage that was given up so long ago says nothing of now.
const PAST: Duration = Duration::from_secs(10);
/// Without another word.
const USUAL: Duration = Duration::from_mins(1);

/// What one who waits is told; `false` ends the waiting.
type Told = dyn Fn(&NetError, Moment) -> bool + Send + Sync;

/// What happens to somebody who waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// The manager does not answer: the waiting begins.
    Begins,
    /// It still does not.
    Lasts,
    /// Nothing moves between here and there, and what was asked for is waited for all the same.
    Silent,
    /// Nothing came yet since the first word to it: for that it has so long, and is not asked again.
    Unheard(Duration),
}

/// Asks again what may succeed later. What is shared between threads is one outage for all of them.
#[derive(Clone)]
pub struct Patience {
    lasts: Duration,
    /// The same, for an index that is being made: whoever makes it answers, and gets on.
    making: Duration,
    told: Arc<Told>,
    /// Of the work.
    ends: Ends,
    /// What moves on the connections to the manager.
    pulse: Option<Arc<Pulse>>,
    state: Arc<Mutex<State>>,
}

/// The manager does not answer, or not yet.
#[derive(Debug, Clone, Copy)]
struct Outage {
    began: Instant,
    /// When it was met last.
    met: Instant,
    /// Whether it is that an index is being made.
    making: bool,
}

/// Since when somebody alone is answered, and always with the same no; whether that is that an index is being made.
#[derive(Debug, Default)]
struct Refusals(Option<(bool, Instant)>);

impl Refusals {
    /// Hears of an answer to what was asked then, which may be a no; whether nothing else came for so long. A try that took
    /// as long itself was on its way meanwhile.
    fn hear(&mut self, no: Option<bool>, asked: Instant, lasts: Duration) -> bool {
        let before = self.0.filter(|_| asked.elapsed() < lasts);
        let before = before.filter(|(making, _)| no == Some(*making));
        self.0 = no.map(|making| before.unwrap_or_else(|| (making, Instant::now())));
        before.is_some_and(|(_, since)| since.elapsed() >= lasts)
    }
}

/// What is known of a manager's outages.
#[derive(Debug, Default)]
struct State {
    since: Option<Outage>,
    /// When the last one ended.
    ended: Option<Instant>,
    /// When somebody was told last.
    told: Option<Instant>,
}

impl State {
    fn end(&mut self) {
        if self.since.take().is_some() {
            self.ended = Some(Instant::now());
        }
    }

    /// Whether somebody is to hear of an outage that began then. Of requests that a manager broke off together some get
    /// an answer before others try again: for all that, it is one outage.
    fn is_news(&mut self, began: Instant) -> bool {
        let is_told = self.told.is_some_and(|told| told >= began);
        let is_same = self.ended.is_some_and(|ended| ended.elapsed() < PAST);
        if !is_told && !is_same {
            self.told = Some(Instant::now());
            return true;
        }
        false
    }
}

impl Default for Patience {
    fn default() -> Self {
        Self::new(USUAL, |_, _| true)
    }
}

impl fmt::Debug for Patience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Patience").field(&self.lasts).finish()
    }
}

impl Patience {
    /// Waits at most so long after the last answer, or the last moment at which something moved; `told` hears of it and may end it.
    pub fn new(
        lasts: Duration,
        told: impl Fn(&NetError, Moment) -> bool + Send + Sync + 'static,
    ) -> Self {
        Self {
            lasts,
            making: lasts,
            told: Arc::new(told),
            ends: Ends::default(),
            pulse: None,
            state: Arc::default(),
        }
    }

    /// Waits from the last moment on at which something moved between here and that manager, and hears of silence.
    #[must_use]
    pub(super) fn with_pulse_of(self, client: &Client) -> Self {
        let pulse = Arc::clone(client.pulse());
        let (told, state, ends) = (Arc::clone(&self.told), Arc::clone(&self.state), self.ends);
        let (host, first) = (client.host().to_owned(), client.longest_connecting());
        pulse.is_heard_by(move |has_come| {
            let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
            if state.since.is_some() || ends.now() {
                return;
            }
            state.told = Some(Instant::now());
            drop(state);
            let (host, source) = (host.clone(), io::ErrorKind::TimedOut.into());
            let moment = if has_come {
                Moment::Silent
            } else {
                Moment::Unheard(first)
            };
            told(&NetError::Unreachable { host, source }, moment);
        });
        let pulse = Some(pulse);
        Self { pulse, ..self }
    }

    /// Ends in the midst of what comes, too, when the work is to end.
    #[must_use]
    pub fn until(self, asked: fn() -> bool) -> Self {
        let ends = Ends::when(asked);
        Self { ends, ..self }
    }

    /// Whether nobody waits for what comes any more.
    pub(super) fn is_at_its_end(&self) -> bool {
        self.ends.now()
    }

    /// Waits for a moment, unless the work is to end.
    pub(super) fn pause(&self, time: Duration) {
        self.ends.pause(time);
    }

    /// Waits so long for an index that is being made.
    #[must_use]
    pub fn for_indexes(self, making: Duration) -> Self {
        Self { making, ..self }
    }

    /// Does what may have to be done again; it is tried twice at least. `act` hears for how long it may be silent, so that
    /// nobody waits longer than was said.
    pub(super) fn within<T>(
        &self,
        mut act: impl FnMut(Option<Duration>) -> Result<T>,
    ) -> Result<T> {
        let mut pause = PAUSE;
        let mut refusals = Refusals::default();
        loop {
            if self.is_at_its_end() {
                return Err(Interrupted.into());
            }
            let (asked, waits) = (
                Instant::now(),
                self.pulse.as_ref().map(|pulse| pulse.waits()),
            );
            let done = act(self.left());
            drop(waits);
            let error = match done {
                Err(error) if error.is_temporary() && self.is_at_its_end() => {
                    return Err(Interrupted.into());
                }
                Err(error) if error.is_temporary() => error,
                other => {
                    self.lock().end();
                    return other;
                }
            };
            let making = error.code() == Code::IndexInMaking;
            let (outage, is_first, moment) = self.meet(making, asked);
            let left = self.left_of(outage);
            // What others hear ends an outage, and says nothing of this.
            let no = (making || error.is_fault()).then_some(making);
            let in_vain = refusals.hear(no, asked, self.lasts(making));
            let over = in_vain || !is_first && left.is_zero();
            if over || !(self.told)(&error, moment) {
                return Err(error);
            }
            let wanted = match &error {
                NetError::Later { after, .. } => *after,
                _ => pause,
            };
            self.ends.pause(wanted.min(left));
            pause = (pause * 2).min(MOST);
        }
    }

    fn lasts(&self, making: bool) -> Duration {
        if making { self.making } else { self.lasts }
    }

    /// How much of the waiting is left, in an outage.
    fn left(&self) -> Option<Duration> {
        let present = self.lock().since?;
        let left = self.left_of(present);
        let least = if left.is_zero() { BRIEF } else { LEAST };
        (!self.is_past(present)).then(|| left.max(least))
    }

    fn left_of(&self, outage: Outage) -> Duration {
        let lasts = self.lasts(outage.making);
        lasts.saturating_sub(outage.began.elapsed())
    }

    /// Whether an outage was given up, and that is a while ago.
    fn is_past(&self, outage: Outage) -> bool {
        self.left_of(outage).is_zero() && outage.met.elapsed() >= PAST
    }

    /// The outage that is met by what was asked for then, whether it begins, and what is to be told. One of the other
    /// sort is another one.
    fn meet(&self, making: bool, asked: Instant) -> (Outage, bool, Moment) {
        let (mut state, met) = (self.lock(), Instant::now());
        let present = state.since;
        if let Some(present) = present.filter(|it| it.making == making && !self.is_past(*it)) {
            let outage = Outage { met, ..present };
            state.since = Some(outage);
            return (outage, false, Moment::Lasts);
        }
        let began = self.pulse.as_ref().map_or(met, |it| it.last().max(asked));
        let outage = Outage { began, met, making };
        state.since = Some(outage);
        let moment = if making || state.is_news(began) {
            Moment::Begins
        } else {
            Moment::Lasts
        };
        (outage, true, moment)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    use std::sync::{Arc, Mutex};
    use std::thread;
    use std::time::{Duration, Instant};

    use azud_core::code::Code;

    use super::super::pulse::Pulse;
    use super::{BRIEF, Moment, Patience};
    use crate::error::{NetError, Result};

    impl Patience {
        fn with<T>(&self, mut act: impl FnMut() -> Result<T>) -> Result<T> {
            self.within(|_| act())
        }
    }

    fn later() -> NetError {
        says(None)
    }

    fn says(code: Option<Code>) -> NetError {
        NetError::Later {
            host: "h".into(),
            detail: String::new(),
            after: Duration::from_millis(1),
            code,
        }
    }

    #[test]
    fn what_succeeds_later_is_asked_again_and_told_once() {
        let told = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&told);
        let patience = Patience::new(Duration::from_mins(1), move |_, moment| {
            heard.lock().unwrap().push(moment);
            true
        });
        let mut tries = 0;
        let done = patience.with(|| {
            tries += 1;
            if tries < 3 { Err(later()) } else { Ok(tries) }
        });
        assert_eq!(done.unwrap(), 3);
        assert_eq!(*told.lock().unwrap(), [Moment::Begins, Moment::Lasts]);
    }

    /// Others get what they ask for all the time.
    #[test]
    fn what_alone_is_refused_is_not_asked_for_ever() {
        let fault = || NetError::Refused {
            host: "h".into(),
            status: 500,
            detail: String::new(),
        };
        let making = || says(Some(Code::IndexInMaking));
        for refusal in [&fault as &(dyn Fn() -> NetError + Sync), &making] {
            let patience = Patience::new(Duration::from_millis(300), |_, _| true);
            let done = AtomicBool::new(false);
            let begun = Instant::now();
            thread::scope(|scope| {
                scope.spawn(|| {
                    while !done.load(Ordering::Relaxed) && begun.elapsed() < Duration::from_secs(20)
                    {
                        patience.with(|| Ok(())).unwrap();
                        thread::sleep(Duration::from_millis(1));
                    }
                });
                patience.with(|| Err::<(), _>(refusal())).unwrap_err();
                done.store(true, Ordering::Relaxed);
            });
            assert!(
                begun.elapsed() < Duration::from_secs(10),
                "{:?}",
                begun.elapsed()
            );
        }
    }

    /// What was waited for, and may be for hours, says nothing of the next outage.
    #[test]
    fn one_sort_of_refusal_is_not_held_against_the_other() {
        let fault = || NetError::Refused {
            host: "h".into(),
            status: 500,
            detail: String::new(),
        };
        for broken in [&later as &dyn Fn() -> NetError, &fault] {
            let lasts = Duration::from_millis(300);
            let patience = Patience::new(lasts, |_, _| true);
            let patience = patience.for_indexes(Duration::from_mins(1));
            let begun = Instant::now();
            let mut left = 2;
            let done = patience.with(|| {
                // Meanwhile others are answered.
                patience.lock().end();
                if begun.elapsed() < lasts * 2 {
                    return Err(says(Some(Code::IndexInMaking)));
                }
                left -= 1;
                if left > 0 { Err(broken()) } else { Ok(()) }
            });
            done.unwrap();
        }
    }

    /// A manager that was killed broke off several requests; some of them get an answer before others fail.
    #[test]
    fn what_comes_and_goes_is_told_once() {
        let told = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&told);
        let patience = Patience::new(Duration::from_mins(1), move |_, moment| {
            heard.lock().unwrap().push(moment);
            true
        });
        for _ in 0..4 {
            let mut answers = [false, true].into_iter();
            let done = patience.with(|| answers.next().filter(|is| *is).ok_or_else(later));
            done.unwrap();
        }
        let begun = |moment: &&Moment| **moment == Moment::Begins;
        let told = told.lock().unwrap();
        assert_eq!(told.iter().filter(begun).count(), 1, "{told:?}");
    }

    #[test]
    fn it_begins_when_something_moved_last_and_not_before_it_was_asked_for() {
        let pulse = Arc::<Pulse>::default();
        let lasts = Duration::from_millis(500);
        let patience = Patience {
            pulse: Some(Arc::clone(&pulse)),
            ..Patience::new(lasts, |_, _| true)
        };
        // Nothing moved for longer than is waited, since nobody asked.
        thread::sleep(lasts);
        let begun = Instant::now();
        patience.with(|| Err::<(), _>(later())).unwrap_err();
        assert!(begun.elapsed() >= lasts, "{:?}", begun.elapsed());
        let patience = Patience::new(lasts, |_, _| true);
        let patience = Patience {
            pulse: Some(Arc::clone(&pulse)),
            ..patience
        };
        let tries = AtomicUsize::new(0);
        let silent = || {
            if tries.fetch_add(1, Ordering::Relaxed) == 0 {
                pulse.beat();
                thread::sleep(lasts);
            }
            Err::<(), _>(later())
        };
        patience.with(silent).unwrap_err();
        assert_eq!(tries.into_inner(), 2, "it was over after the first");
    }

    #[test]
    fn an_index_in_the_making_is_waited_for_longer_than_one_who_is_silent() {
        let patience = Patience::new(Duration::ZERO, |_, _| true);
        let patience = patience.for_indexes(Duration::from_mins(1));
        let tried = |answers: &[Option<Code>]| {
            let mut answers = answers.iter();
            patience.with(|| answers.next().map_or(Ok(()), |code| Err(says(*code))))
        };
        let making = Code::IndexInMaking;
        tried(&[Some(making); 9]).unwrap();
        // Who answers like that was not away before, nor is afterwards.
        tried(&[None, Some(making), None, Some(making)]).unwrap();
        tried(&[Some(making), None, None]).unwrap_err();
        let usual = Patience::new(Duration::ZERO, |_, _| true);
        let error = usual.with(|| Err::<(), _>(says(Some(making)))).unwrap_err();
        assert_eq!(error.code(), Code::IndexInMaking, "as the manager says");
    }

    #[test]
    fn each_try_hears_how_much_of_the_waiting_is_left() {
        let lasts = Duration::from_mins(1);
        let patience = Patience::new(lasts, |_, _| true);
        let mut heard = Vec::new();
        let ask = |left: Option<Duration>| {
            heard.push(left);
            if heard.len() < 3 {
                Err(later())
            } else {
                Ok(())
            }
        };
        patience.within(ask).unwrap();
        let [None, Some(first), Some(second)] = heard[..] else {
            panic!("{heard:?}")
        };
        assert!(lasts > first && first > second && second > lasts / 2);
        assert_eq!(patience.left(), None, "it is over");
        let over = Patience::new(Duration::ZERO, |_, _| true);
        over.with(|| Err::<(), _>(later())).unwrap_err();
        assert_eq!(over.left(), Some(BRIEF), "others need not wait anew");
    }

    #[test]
    fn who_wants_to_be_asked_much_later_is_not_waited_for_at_the_end() {
        static ASKED: AtomicBool = AtomicBool::new(false);
        let patience = Patience::new(Duration::from_mins(1), |_, _| true);
        let patience = patience.until(|| ASKED.load(Ordering::Relaxed));
        let busy = || -> Result<()> {
            // It is heard in the midst of the pause.
            thread::spawn(|| {
                thread::sleep(Duration::from_millis(300));
                ASKED.store(true, Ordering::Relaxed);
            });
            Err(NetError::Later {
                host: "h".into(),
                detail: String::new(),
                after: Duration::from_secs(30),
                code: None,
            })
        };
        let begun = Instant::now();
        let error = patience.with(busy).unwrap_err();
        assert_eq!(error.code(), Code::Interrupted);
        assert!(begun.elapsed() < Duration::from_secs(5));
    }

    #[test]
    fn patience_ends_by_itself_by_refusal_and_by_what_never_succeeds() {
        let tries = AtomicUsize::new(0);
        let fail = || {
            tries.fetch_add(1, Ordering::Relaxed);
            Err::<(), _>(later())
        };
        Patience::new(Duration::ZERO, |_, _| true)
            .with(fail)
            .unwrap_err();
        assert_eq!(tries.swap(0, Ordering::Relaxed), 2, "once more at least");
        Patience::new(Duration::from_mins(1), |_, _| false)
            .with(fail)
            .unwrap_err();
        assert_eq!(tries.load(Ordering::Relaxed), 1, "told not to wait");
        let gone = || {
            tries.fetch_add(1, Ordering::Relaxed);
            Err::<(), _>(NetError::BadCertificate)
        };
        Patience::default().with(gone).unwrap_err();
        assert_eq!(tries.load(Ordering::Relaxed), 2);
    }
}
