//! Which of several sources is asked: the nearer ones first, those that failed after a rest, those from which nothing
//! comes when it does again, those that lied no more.

use std::time::Duration;

/// Requests that one source has under way before the next one helps.
const AT_ONCE: usize = 4;
/// After so many answers with wrong bytes a source is not asked again: one may be a bad sector.
const MOST_LIES: u32 = 3;
/// How long a source rests after its first failure; twice as long after each further one.
const REST: Duration = Duration::from_secs(1);
/// The longest rest.
const LONGEST_REST: Duration = Duration::from_secs(30);
/// A source that was asked and from which nothing comes for so long is silent.
const SILENCE: Duration = Duration::from_secs(4);

/// What came of asking a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// The right bytes.
    Good,
    /// None.
    Failed,
    /// Other bytes than their hashes say.
    Lied,
    /// It has another image by now.
    Changed,
}

/// How a source has done so far.
#[derive(Debug, Clone, Default)]
struct Health {
    rank: u32,
    busy: usize,
    failures: u32,
    rests_until: Duration,
    lies: u32,
    out: bool,
    /// How much had come when something came last, and when that was.
    heard: u64,
    heard_at: Duration,
    silent: bool,
}

impl Health {
    /// Who failed last is tried with one request.
    fn is_on_trial(&self) -> bool {
        self.failures > 0 && self.busy > 0
    }

    fn something_came(&mut self, now: Duration) {
        (self.heard_at, self.silent) = (now, false);
    }
}

/// The sources of one image, by their numbers. Times are counted from any moment.
#[derive(Debug, Clone)]
pub struct Roster {
    sources: Vec<Health>,
}

impl Roster {
    /// One source of each rank; the lowest is asked first.
    pub fn new(ranks: impl IntoIterator<Item = u32>) -> Self {
        let health = |rank| Health {
            rank,
            ..Health::default()
        };
        Self {
            sources: ranks.into_iter().map(health).collect(),
        }
    }

    /// Whom to ask, other than those that were `tried` for these bytes. Who rests or is silent is asked when nobody else
    /// is left.
    pub fn ask(&mut self, tried: &[usize], now: Duration) -> Option<usize> {
        let usable = self.sources.iter().enumerate();
        let usable = usable.filter(|(number, source)| !source.out && !tried.contains(number));
        let (number, _) = usable.min_by_key(|(number, source)| {
            let crowded = source.busy >= AT_ONCE;
            (
                source.silent,
                source.rests_until > now || source.is_on_trial(),
                crowded,
                source.rank,
                source.busy,
                *number,
            )
        })?;
        let source = &mut self.sources[number];
        if source.busy == 0 {
            // It was not waited for.
            source.something_came(now);
        }
        source.busy += 1;
        Some(number)
    }

    /// How much has come of one so far, as it counts itself. `true` when it turned silent just now.
    pub fn hear(&mut self, number: usize, heard: u64, now: Duration) -> bool {
        let source = &mut self.sources[number];
        if source.heard != heard {
            source.heard = heard;
            source.something_came(now);
            return false;
        }
        let over = source.busy > 0 && now.saturating_sub(source.heard_at) >= SILENCE;
        let turned = over && !source.silent;
        source.silent |= over;
        turned
    }

    /// Whether nothing comes of a source that was asked.
    pub fn is_silent(&self, number: usize) -> bool {
        self.sources.get(number).is_none_or(|source| source.silent)
    }

    /// What came of it.
    pub fn tell(&mut self, number: usize, answer: Answer, now: Duration) {
        let source = &mut self.sources[number];
        source.busy = source.busy.saturating_sub(1);
        source.something_came(now);
        match answer {
            Answer::Good => source.failures = 0,
            Answer::Failed => {
                let rest = REST.saturating_mul(1 << source.failures.min(5));
                source.rests_until = now + rest.min(LONGEST_REST);
                source.failures += 1;
            }
            Answer::Lied => {
                source.lies += 1;
                source.out |= source.lies >= MOST_LIES;
            }
            Answer::Changed => source.out = true,
        }
    }

    /// Whether a source is not asked any more.
    pub fn is_out(&self, number: usize) -> bool {
        self.sources.get(number).is_none_or(|source| source.out)
    }

    /// Whether somebody is not asked any more because of wrong bytes.
    pub fn has_liars(&self) -> bool {
        self.sources.iter().any(|source| source.lies >= MOST_LIES)
    }

    /// Whether nobody is left.
    pub fn is_empty(&self) -> bool {
        self.sources.iter().all(|source| source.out)
    }
}

#[cfg(test)]
mod tests {
    use super::{AT_ONCE, Answer, MOST_LIES, REST, Roster, SILENCE};
    use proptest::prelude::*;
    use std::time::Duration;

    const NOW: Duration = Duration::from_secs(100);

    #[test]
    fn the_nearer_one_is_asked_until_it_has_enough_to_do() {
        let mut roster = Roster::new([1, 0]);
        let asked: Vec<_> = (0..2 * AT_ONCE)
            .filter_map(|_| roster.ask(&[], NOW))
            .collect();
        assert_eq!(asked, [1, 1, 1, 1, 0, 0, 0, 0]);
        roster.tell(1, Answer::Good, NOW);
        assert_eq!(roster.ask(&[], NOW), Some(1));
    }

    #[test]
    fn who_failed_rests_longer_each_time_and_is_a_last_resort() {
        let mut roster = Roster::new([0, 1]);
        let mut rests = Vec::new();
        for _ in 0..8 {
            let number = roster.ask(&[1], NOW).unwrap();
            roster.tell(number, Answer::Failed, NOW);
            rests.push(roster.sources[0].rests_until.as_secs() - NOW.as_secs());
        }
        assert_eq!(rests, [1, 2, 4, 8, 16, 30, 30, 30]);
        assert_eq!(roster.ask(&[], NOW), Some(1));
        roster.tell(1, Answer::Failed, NOW);
        let later = NOW + Duration::from_secs(31);
        assert_eq!(roster.ask(&[], later), Some(0), "it has rested");
        roster.tell(0, Answer::Good, later);
        assert_eq!(roster.ask(&[0], later), Some(1));
        assert_eq!(roster.ask(&[0, 1], later), None, "nobody else");
    }

    #[test]
    fn who_is_silent_gets_nothing_new_until_something_comes() {
        let mut roster = Roster::new([0, 1]);
        let silence = NOW + SILENCE;
        assert!(!roster.hear(0, 0, silence), "it was not asked");
        assert_eq!(roster.ask(&[], NOW), Some(0));
        assert!(!roster.hear(0, 1, NOW) && !roster.hear(0, 1, NOW + SILENCE / 2));
        assert!(roster.hear(0, 1, silence) && roster.is_silent(0));
        assert!(!roster.hear(0, 1, silence), "it was told");
        for _ in 0..2 * AT_ONCE {
            assert_eq!(roster.ask(&[], silence), Some(1));
        }
        assert_eq!(roster.ask(&[1], silence), Some(0), "nobody else is left");
        assert!(!roster.hear(0, 2, silence) && !roster.is_silent(0));
        assert_eq!(roster.ask(&[], silence), Some(0), "it woke up");
        assert!(!roster.hear(1, 0, silence), "it was asked just now");
        assert!(roster.hear(1, 0, silence + SILENCE));
        roster.tell(1, Answer::Good, silence + SILENCE);
        assert!(!roster.is_silent(1));
    }

    #[test]
    fn who_failed_last_is_tried_with_one_request() {
        let mut roster = Roster::new([0, 1]);
        assert_eq!(roster.ask(&[], NOW), Some(0));
        roster.tell(0, Answer::Failed, NOW);
        let later = NOW + 2 * REST;
        assert_eq!(roster.ask(&[], later), Some(0));
        assert_eq!(roster.ask(&[], later), Some(1), "it is on trial");
        roster.tell(0, Answer::Good, later);
        assert_eq!(roster.ask(&[], later), Some(0));
        assert_eq!(roster.ask(&[], later), Some(0));
    }

    #[test]
    fn who_has_another_image_is_out() {
        let mut roster = Roster::new([0]);
        let number = roster.ask(&[], NOW).unwrap();
        roster.tell(number, Answer::Changed, NOW);
        assert!(roster.is_empty() && roster.is_out(0) && roster.is_out(7));
        assert!(!roster.has_liars());
        assert_eq!(roster.ask(&[], NOW), None);
    }

    /// How a source behaves: it gives the right bytes in so many of 100 cases, lies in so many of the others.
    #[derive(Debug, Clone, Copy)]
    struct Habit {
        rank: u32,
        good: u8,
        lies: u8,
    }

    fn habits() -> impl Strategy<Value = Vec<Habit>> {
        let habit = (0..3_u32, 0..=100_u8, 0..=100_u8);
        let habit = habit.prop_map(|(rank, good, lies)| Habit { rank, good, lies });
        prop::collection::vec(habit, 1..6)
    }

    /// Whoever better could have been asked: nobody rested less, had less to do or was nearer.
    fn best(roster: &Roster, (number, tried): (usize, &[usize]), now: Duration) -> bool {
        let key = |number: usize| {
            let source = &roster.sources[number];
            (
                source.silent,
                source.rests_until > now || source.is_on_trial(),
                source.busy >= AT_ONCE,
                source.rank,
                source.busy,
            )
        };
        let others = (0..roster.sources.len()).filter(|n| !tried.contains(n) && !roster.is_out(*n));
        others.into_iter().all(|other| key(number) <= key(other))
    }

    proptest! {
        /// Any sources whatever: who lies too often is never asked again, and whatever an honest one has comes.
        #[test]
        fn one_honest_source_is_enough(
            mut habits in habits(),
            honest in any::<prop::sample::Index>(),
            dice in prop::collection::vec((0..100_u8, 0..100_u8), 1..400),
        ) {
            let honest = honest.index(habits.len());
            habits[honest].good = 100;
            let mut roster = Roster::new(habits.iter().map(|habit| habit.rank));
            let mut lies = vec![0; habits.len()];
            let mut dice = dice.iter().cycle();
            for piece in 0..100 {
                let now = Duration::from_millis(100 * piece);
                let mut tried = Vec::new();
                loop {
                    let before = roster.clone();
                    let number = roster.ask(&tried, now);
                    prop_assert!(number.is_some(), "the honest one is always left");
                    let number = number.unwrap();
                    prop_assert!(!tried.contains(&number) && lies[number] < MOST_LIES);
                    prop_assert!(best(&before, (number, &tried), now));
                    let (good, lie) = *dice.next().unwrap();
                    let answer = if good < habits[number].good {
                        Answer::Good
                    } else if lie < habits[number].lies {
                        lies[number] += 1;
                        Answer::Lied
                    } else {
                        Answer::Failed
                    };
                    roster.tell(number, answer, now);
                    if answer == Answer::Good {
                        break;
                    }
                    tried.push(number);
                }
            }
            prop_assert!(roster.sources.iter().all(|source| source.busy == 0));
            prop_assert_eq!(roster.has_liars(), lies.contains(&MOST_LIES));
        }
    }
}
