//! The end of the work that somebody asked for. Nobody can be woken who waits for a name, for a connection or for an answer:
//! the first two are left to themselves, the connections of a client are closed.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use ureq::Agent;

/// How often it is looked whether the work is to end.
const LOOK: Duration = Duration::from_millis(100);

/// Whether the work is to end. By default it never is.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Ends(Option<fn() -> bool>);

/// Somebody looks out for the end, until this is dropped.
#[derive(Debug)]
pub(super) struct LookOut {
    _hold: Sender<()>,
}

impl Ends {
    /// When this says so.
    pub(super) const fn when(asked: fn() -> bool) -> Self {
        Self(Some(asked))
    }

    /// Whether they have come.
    pub(super) fn now(self) -> bool {
        self.0.is_some_and(|asked| asked())
    }

    /// Waits so long at most.
    pub(super) fn pause(self, time: Duration) {
        let begun = Instant::now();
        while !self.now() {
            let left = time.saturating_sub(begun.elapsed());
            if left.is_zero() {
                return;
            }
            thread::sleep(left.min(LOOK));
        }
    }

    /// Does what may take long, in a thread of its own that is left to itself when the work is to end; there is nothing then.
    pub(super) fn leaving<T: Send + 'static>(
        self,
        act: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        if self.0.is_none() {
            return Some(act());
        }
        let (tell, told) = mpsc::channel();
        thread::spawn(move || {
            // Perhaps nobody waits for it any more.
            let _ = tell.send(act());
        });
        loop {
            match told.recv_timeout(LOOK) {
                Ok(done) => return Some(done),
                Err(RecvTimeoutError::Timeout) if !self.now() => {}
                // That thread may have panicked, too.
                Err(_) => return None,
            }
        }
    }

    /// Closes all connections of an agent at the end, those in use first of all.
    pub(super) fn close(self, agent: Agent) -> LookOut {
        let (hold, held) = mpsc::channel();
        thread::spawn(move || {
            while held.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
                if self.now() {
                    agent.shutdown();
                    return;
                }
            }
        });
        LookOut { _hold: hold }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::{Arc, mpsc};
    use std::thread;
    use std::time::{Duration, Instant};

    use ureq::tls::TlsConfig;

    use super::super::client::{agent, made};
    use super::super::times::USUAL;
    use super::Ends;

    const LONG: Duration = Duration::from_mins(1);
    /// Nothing comes sooner of a computer that takes no connection, let alone of one that says nothing.
    const SOON: Duration = Duration::from_secs(2);

    /// Asks who listens there, until the end comes; how long that was ago when it was given up.
    fn given_up(listener: &TcpListener, (begin, ends): (fn(), Ends)) -> Duration {
        let url = format!("https://{}/", listener.local_addr().unwrap());
        let pulse = Arc::default();
        let config = agent(
            TlsConfig::builder().disable_verification(true),
            (USUAL, &pulse),
        )
        .config()
        .clone();
        let agent = made(config, (ends, &pulse));
        let _look_out = ends.close(agent.clone());
        thread::scope(|scope| {
            let asking = scope.spawn(|| agent.get(url).call().map(drop));
            thread::sleep(Duration::from_millis(300));
            begin();
            let asked = Instant::now();
            asking.join().unwrap().unwrap_err();
            asked.elapsed()
        })
    }

    #[test]
    fn an_answer_that_does_not_come_is_not_waited_for() {
        static ASKED: AtomicBool = AtomicBool::new(false);
        let ends = Ends::when(|| ASKED.load(Ordering::Relaxed));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let after = given_up(&listener, (|| ASKED.store(true, Ordering::Relaxed), ends));
        assert!(after < SOON, "{after:?}");
    }

    #[test]
    fn a_connection_that_does_not_come_is_not_waited_for() {
        static ASKED: AtomicBool = AtomicBool::new(false);
        let ends = Ends::when(|| ASKED.load(Ordering::Relaxed));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        // Its kernel takes so many for it, and no more.
        let address = listener.local_addr().unwrap();
        let connect = || TcpStream::connect_timeout(&address, Duration::from_millis(200)).ok();
        let taken: Vec<TcpStream> = std::iter::from_fn(connect).collect();
        let after = given_up(&listener, (|| ASKED.store(true, Ordering::Relaxed), ends));
        assert!(after < SOON, "{after:?} after {}", taken.len());
    }

    #[test]
    fn whoever_waits_goes_on_at_the_end() {
        static ASKED: AtomicBool = AtomicBool::new(false);
        let ends = Ends::when(|| ASKED.load(Ordering::Relaxed));
        assert_eq!(ends.leaving(|| 7), Some(7));
        let begun = Instant::now();
        let (hold, held) = mpsc::channel::<()>();
        thread::spawn(|| {
            thread::sleep(Duration::from_millis(300));
            ASKED.store(true, Ordering::Relaxed);
        });
        assert!(ends.leaving(move || held.recv_timeout(LONG)).is_none());
        drop(hold);
        ends.pause(LONG);
        assert!(begun.elapsed() < LONG / 2, "{:?}", begun.elapsed());
    }

    #[test]
    fn without_an_end_all_is_waited_for() {
        let ends = Ends::default();
        let begun = Instant::now();
        ends.pause(Duration::from_millis(250));
        assert!(begun.elapsed() >= Duration::from_millis(250) && !ends.now());
        assert_eq!(
            ends.leaving(|| thread::current().id()),
            Some(thread::current().id())
        );
    }
}
