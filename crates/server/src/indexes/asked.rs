//! Images whose indexes somebody asked for: a few are made at once, the others wait for their turn.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;

use super::{be_courteous, held};

/// So many are made at once.
const AT_ONCE: usize = 2;
/// Of these, so many of images that others have: their server may hang.
const AT_OTHERS: usize = 1;
/// So many wait, of ours and of those that others have; of more it is heard when they are asked for again.
const WAITING: usize = 256;

/// Those that wait, and who makes them.
#[derive(Debug, Default)]
pub(super) struct Asked(Mutex<Queue>);

#[derive(Debug, Default)]
struct Queue {
    /// Images, and whether others have them.
    waiting: VecDeque<(PathBuf, bool)>,
    /// Threads.
    at_work: usize,
    /// Those of them that are at an image which others have.
    at_others: usize,
}

impl Asked {
    /// Has `make` called for a path in a thread of its own, when it is its turn.
    pub(super) fn ask(
        self: &Arc<Self>,
        (path, is_others): (&Path, bool),
        make: impl Fn(&Path) + Send + 'static,
    ) {
        let mut queue = held(&self.0);
        let waits = queue.waiting.iter().any(|(one, _)| one == path);
        let alike = queue.waiting.iter().filter(|one| one.1 == is_others);
        if !waits && alike.count() < WAITING {
            queue.waiting.push_back((path.to_owned(), is_others));
        }
        if queue.at_work < AT_ONCE {
            let asked = Arc::clone(self);
            let started = thread::Builder::new().spawn(move || asked.work(&make));
            // Without a thread it waits until somebody asks again.
            queue.at_work += usize::from(started.is_ok());
        }
    }

    fn work(&self, make: &dyn Fn(&Path)) {
        be_courteous();
        while let Some((path, is_others)) = self.next_one() {
            // An image that breaks it must not keep the others waiting.
            let _ = catch_unwind(AssertUnwindSafe(|| make(&path)));
            held(&self.0).at_others -= usize::from(is_others);
        }
    }

    /// The next one; without one, the thread ends. What waits for whoever is at an image of others, that thread finds.
    fn next_one(&self) -> Option<(PathBuf, bool)> {
        let mut queue = held(&self.0);
        let may = queue.at_others < AT_OTHERS;
        let next = queue.waiting.iter().position(|one| may || !one.1);
        let next = next.and_then(|number| queue.waiting.remove(number));
        match &next {
            Some((_, is_others)) => queue.at_others += usize::from(*is_others),
            None => queue.at_work -= 1,
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    use std::sync::{Arc, Mutex};
    use std::thread::sleep;
    use std::time::Duration;

    use super::{AT_ONCE, AT_OTHERS, Asked, WAITING, held};

    const MOMENT: Duration = Duration::from_millis(1);

    #[derive(Default)]
    struct Maker {
        begun: AtomicUsize,
        may_end: AtomicBool,
        made: Mutex<Vec<PathBuf>>,
    }

    fn ask(asked: &Arc<Asked>, maker: &Arc<Maker>, number: usize) {
        ask_of((asked, false), maker, number);
    }

    fn ask_of((asked, is_others): (&Arc<Asked>, bool), maker: &Arc<Maker>, number: usize) {
        let maker = Arc::clone(maker);
        let make = move |path: &Path| {
            maker.begun.fetch_add(1, Ordering::Relaxed);
            while !maker.may_end.load(Ordering::Relaxed) {
                sleep(MOMENT);
            }
            held(&maker.made).push(path.to_owned());
            assert_ne!(path, Path::new("7"), "it breaks");
        };
        asked.ask((Path::new(&number.to_string()), is_others), make);
    }

    #[test]
    fn a_few_are_made_at_once_and_each_of_them_once() {
        let (asked, maker) = (Arc::<Asked>::default(), Arc::<Maker>::default());
        for number in (0..20).chain(0..20) {
            ask(&asked, &maker, number);
            // Those at work no longer wait: who makes them knows.
            while number < AT_ONCE && maker.begun.load(Ordering::Relaxed) <= number {
                sleep(MOMENT);
            }
        }
        sleep(20 * MOMENT);
        assert_eq!(maker.begun.load(Ordering::Relaxed), AT_ONCE);
        maker.may_end.store(true, Ordering::Relaxed);
        while held(&asked.0).at_work > 0 {
            sleep(MOMENT);
        }
        assert_eq!(held(&maker.made).len(), 20 + AT_ONCE);
        // One who comes later finds somebody to work.
        ask(&asked, &maker, 21);
        while held(&maker.made).len() < 21 + AT_ONCE {
            sleep(MOMENT);
        }
    }

    #[test]
    fn regression_a_server_that_hangs_keeps_no_index_of_other_images() {
        let asked = Arc::<Asked>::default();
        let (hangs, works) = (Arc::<Maker>::default(), Arc::<Maker>::default());
        works.may_end.store(true, Ordering::Relaxed);
        // More than wait for their turn.
        for number in 100..110 + WAITING {
            ask_of((&asked, true), &hangs, number);
        }
        // Who found nothing to do has gone: each thread makes as whoever had it started.
        while hangs.begun.load(Ordering::Relaxed) == 0 || held(&asked.0).at_work > AT_OTHERS {
            sleep(MOMENT);
        }
        for number in 10..14 {
            ask(&asked, &works, number);
        }
        let all_made = || held(&works.made).len() == 4;
        let moments = (0..5000).take_while(|_| !all_made());
        moments.for_each(|_| sleep(MOMENT));
        let (made, begun) = (all_made(), hangs.begun.load(Ordering::Relaxed));
        hangs.may_end.store(true, Ordering::Relaxed);
        assert_eq!((made, begun), (true, AT_OTHERS));
        while held(&asked.0).at_work > 0 {
            sleep(MOMENT);
        }
        let made = held(&hangs.made).len();
        assert!((WAITING..=WAITING + AT_OTHERS).contains(&made), "{made}");
    }

    #[test]
    fn not_all_that_is_named_waits() {
        let (asked, maker) = (Arc::<Asked>::default(), Arc::<Maker>::default());
        for number in 0..2 * WAITING {
            ask(&asked, &maker, number);
        }
        assert!(held(&asked.0).waiting.len() <= WAITING);
        maker.may_end.store(true, Ordering::Relaxed);
    }
}
