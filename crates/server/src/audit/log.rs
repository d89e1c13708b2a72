//! The audit log's end at the disk: a thread of its own, so that no answer waits for it.

use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::Asked;
use crate::{gate, state};

/// A file is set aside when it has so many bytes; so many that were set aside are kept.
const LONGEST: u64 = 8 << 20;
const KEPT: u32 = 3;
/// The same again within so long is counted only.
const SAME: Duration = Duration::from_mins(10);
/// How often it is looked whose time is over.
const SETTLING: Duration = Duration::from_mins(1);
/// So many kinds of request are told apart; beyond them, what a peer asks for is not.
const KINDS: usize = 4096;
/// So many of one peer with one token.
const KINDS_OF_A_PEER: usize = 256;
const FILE: &str = "audit.log";
/// What was changed, once more: reading does not push it out.
const CHANGES: &str = "changes.log";

/// What is written down, and what waits for that.
pub(super) struct Log {
    file: PathBuf,
    changes: PathBuf,
    kinds: HashMap<Asked, Again>,
    missed: Arc<AtomicU64>,
}

/// What came since a kind was told.
struct Again {
    /// By a clock that nobody sets.
    told: Instant,
    /// How often.
    count: u64,
    /// The last one, and when that was.
    last: (Asked, u64),
}

impl Log {
    pub(super) fn new(state: &Path, missed: Arc<AtomicU64>) -> Self {
        Self {
            file: state.join(FILE),
            changes: state.join(CHANGES),
            kinds: HashMap::new(),
            missed,
        }
    }

    /// Until the manager ends.
    pub(super) fn keep(mut self, waiting: &Receiver<Option<Asked>>) {
        let mut settled = Instant::now();
        loop {
            match waiting.recv_timeout(SETTLING) {
                Ok(Some(asked)) => self.note(&asked, Instant::now(), gate::now()),
                Err(RecvTimeoutError::Timeout) => (),
                Ok(None) | Err(RecvTimeoutError::Disconnected) => break,
            }
            let now = Instant::now();
            if now.duration_since(settled) >= SETTLING {
                self.settle(|again| now.duration_since(again.told) >= SAME);
                settled = now;
            }
        }
        self.settle(|_| true);
    }

    /// `now` is by the manager's clock, in seconds since 1970.
    fn note(&mut self, asked: &Asked, at: Instant, now: u64) {
        // Who changed what is told of each time.
        if asked.changed.is_some() {
            return self.tell(asked, now, 0);
        }
        let kind = self.told_apart(asked.kind());
        let mut repeated = 0;
        if let Some(again) = self.kinds.get_mut(&kind) {
            if at.saturating_duration_since(again.told) < SAME {
                again.count += 1;
                again.last = (asked.clone(), now);
                return;
            }
            repeated = again.count;
        } else if self.kinds.len() >= KINDS {
            self.forget_oldest();
        }
        let again = Again {
            told: at,
            count: 0,
            last: (asked.clone(), now),
        };
        self.kinds.insert(kind, again);
        self.tell(asked, now, repeated);
    }

    /// A kind as it is counted: one of too many is one with the others, whatever was asked for.
    fn told_apart(&self, mut kind: Asked) -> Asked {
        if kind.meant.is_some() && !self.kinds.contains_key(&kind) {
            let of_peer = self.kinds.keys().filter(|it| it.has_asker_of(&kind));
            if self.kinds.len() >= KINDS || of_peer.count() >= KINDS_OF_A_PEER {
                kind.meant = None;
            }
        }
        kind
    }

    /// Tells what was only counted of kinds, and forgets them.
    fn settle(&mut self, is_over: impl Fn(&Again) -> bool) {
        let over = self.kinds.extract_if(|_, again| is_over(again));
        let over: Vec<Again> = over.map(|(_, again)| again).collect();
        for again in over {
            self.tell_rest(&again);
        }
    }

    /// The same with the one that was told longest ago.
    fn forget_oldest(&mut self) {
        let oldest = self.kinds.iter().min_by_key(|(_, again)| again.told);
        let oldest = oldest.map(|(kind, _)| kind.clone());
        if let Some(again) = oldest.and_then(|kind| self.kinds.remove(&kind)) {
            self.tell_rest(&again);
        }
    }

    fn tell_rest(&self, Again { count, last, .. }: &Again) {
        if let Some(more) = count.checked_sub(1) {
            self.tell(&last.0, last.1, more);
        }
    }

    fn tell(&self, asked: &Asked, now: u64, repeated: u64) {
        let missed = self.missed.swap(0, Ordering::Relaxed);
        let line = asked.line(now, repeated, missed);
        let mut written = write(&self.file, &line);
        if asked.changed.is_some() {
            // Whatever became of the other one.
            written = write(&self.changes, &line).and(written);
        }
        if written.is_err() {
            let lost = missed + repeated + 1;
            self.missed.fetch_add(lost, Ordering::Relaxed);
        }
    }
}

fn write(path: &Path, line: &Value) -> std::io::Result<()> {
    let mut file = open(path)?;
    if file.metadata()?.len() >= LONGEST {
        for number in (0..KEPT).rev() {
            // What is not there yet cannot be set aside.
            let _ = std::fs::rename(aside(path, number), aside(path, number + 1));
        }
        file = open(path)?;
    }
    file.write_all(format!("{line}\n").as_bytes())
}

fn open(path: &Path) -> std::io::Result<File> {
    let mut options = state::secret_file();
    options.write(false).append(true).open(path)
}

/// The file, and those that were set aside.
fn aside(path: &Path, number: u32) -> PathBuf {
    match number {
        0 => path.to_owned(),
        number => path.with_extension(format!("log.{number}")),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;
    use std::sync::Arc;
    use std::sync::mpsc::sync_channel;
    use std::time::{Duration, Instant};

    use super::{Asked, KEPT, KINDS, KINDS_OF_A_PEER, LONGEST, Log, SAME};
    use crate::audit::Changed;

    fn log(dir: &Path) -> Log {
        Log::new(dir, Arc::default())
    }

    fn asked(path: &str, status: u16) -> Asked {
        Asked {
            who: Some("0a0b0c0d".to_owned()),
            address: "10.0.0.7".parse().ok(),
            method: "GET".to_owned(),
            path: path.to_owned(),
            meant: (status < 400).then(|| path.to_owned()),
            status,
            changed: None,
        }
    }

    fn lines(dir: &Path) -> Vec<serde_json::Value> {
        let text = fs::read_to_string(dir.join("audit.log")).unwrap();
        let lines = text.lines().map(serde_json::from_str);
        lines.collect::<Result<_, _>>().unwrap()
    }

    #[test]
    fn the_same_again_is_counted() {
        let dir = tempfile::tempdir().unwrap();
        let (mut log, start) = (log(dir.path()), Instant::now());
        for _ in 0..100 {
            log.note(&asked("/v1/images/a", 206), start, 1000);
        }
        log.note(&asked("/v1/images/b", 206), start, 1001);
        for number in 0..50 {
            let refused = Asked {
                method: format!("X{number}"),
                ..asked(&format!("/v1/images/{number}"), 404)
            };
            log.note(&refused, start, 1002);
        }
        log.note(&asked("/v1/images/a", 206), start + SAME, 1600);
        let lines = lines(dir.path());
        let told: Vec<_> = lines
            .iter()
            .map(|it| it["path"].as_str().unwrap())
            .collect();
        let a = "/v1/images/a";
        assert_eq!(told, [a, "/v1/images/b", "/v1/images/0", a]);
        assert_eq!(lines[3]["repeated"], 99);
        assert_eq!(
            (&lines[0]["who"], &lines[0]["time"]),
            (&"0a0b0c0d".into(), &1000.into())
        );
    }

    /// Requests that lines stand for.
    fn told(lines: &[serde_json::Value]) -> u64 {
        let count = |line: &serde_json::Value| 1 + line["repeated"].as_u64().unwrap_or(0);
        lines.iter().map(count).sum()
    }

    #[test]
    fn no_count_gets_lost() {
        let dir = tempfile::tempdir().unwrap();
        let (mut log, start) = (log(dir.path()), Instant::now());
        let a = || asked("/v1/images/a", 206);
        for time in 0..10 {
            log.note(&a(), start, time);
        }
        log.settle(|again| start.duration_since(again.told) >= SAME);
        assert_eq!(told(&lines(dir.path())), 1, "its time is not over");
        log.settle(|_| true);
        assert_eq!(told(&lines(dir.path())), 10);
        assert_eq!(lines(dir.path())[1]["time"], 9, "when the last one came");
        // So many others that it is forgotten.
        for _ in 0..10 {
            log.note(&a(), start, 20);
        }
        let later = start + Duration::from_secs(1);
        for number in 0..u32::try_from(KINDS).unwrap() {
            let other = Asked {
                address: Some(std::net::Ipv4Addr::from_bits(number).into()),
                ..a()
            };
            log.note(&other, later, 21);
        }
        assert_eq!(told(&lines(dir.path())), 20 + KINDS as u64);
        // The manager ends.
        let (lines_to, waiting) = sync_channel(9);
        for _ in 0..5 {
            lines_to.send(Some(asked("/v1/images/z", 206))).unwrap();
        }
        lines_to.send(None).unwrap();
        log.keep(&waiting);
        assert_eq!(told(&lines(dir.path())), 25 + KINDS as u64);
    }

    #[test]
    fn regression_who_asks_for_everything_in_turn_does_not_fill_the_log() {
        let dir = tempfile::tempdir().unwrap();
        let (mut log, start) = (log(dir.path()), Instant::now());
        for _ in 0..3 {
            for number in 0..2 * KINDS {
                log.note(&asked(&format!("/v1/images/{number}"), 206), start, 1);
            }
        }
        let others = 1;
        assert_eq!(lines(dir.path()).len(), KINDS_OF_A_PEER + others);
        // Somebody else is told as ever, and nothing is lost.
        let other = Asked {
            address: "10.0.0.8".parse().ok(),
            ..asked("/v1/images/7", 206)
        };
        log.note(&other, start, 2);
        assert_eq!(lines(dir.path()).last().unwrap()["address"], "10.0.0.8");
        log.settle(|_| true);
        assert_eq!(told(&lines(dir.path())), 6 * KINDS as u64 + 1);
    }

    #[test]
    fn a_clock_that_is_set_back_hides_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let (mut log, start) = (log(dir.path()), Instant::now());
        log.note(&asked("/v1/images/a", 200), start, 1_000_000);
        log.note(&asked("/v1/images/a", 200), start + SAME, 1000);
        let lines = lines(dir.path());
        assert_eq!((lines.len(), &lines[1]["time"]), (2, &1000.into()));
    }

    #[test]
    fn changes_are_told_one_by_one() {
        let dir = tempfile::tempdir().unwrap();
        let (mut log, start) = (log(dir.path()), Instant::now());
        let removal = Asked {
            changed: Some(Changed::image("aula1/win", "removed")),
            ..asked("/v1/images/aula1%2Fwin", 204)
        };
        for time in 0..3 {
            let at = start + Duration::from_secs(time);
            log.note(&removal, at, time);
        }
        let lines = lines(dir.path());
        assert_eq!(lines.len(), 3);
        assert_eq!(lines[2]["image"], "aula1/win.img");
        assert_eq!(lines[2]["change"], "removed");
    }

    #[test]
    fn regression_reading_pushes_no_change_out() {
        let dir = tempfile::tempdir().unwrap();
        let (mut log, start) = (log(dir.path()), Instant::now());
        let removal = Asked {
            changed: Some(Changed::image("aula1/win", "removed")),
            ..asked("/v1/images/aula1%2Fwin", 204)
        };
        log.note(&removal, start, 1);
        for number in 1..KEPT + 3 {
            let full = fs::File::options()
                .write(true)
                .open(dir.path().join("audit.log"));
            full.unwrap().set_len(LONGEST).unwrap();
            log.note(&asked("/v1/images/a", 200), start + number * SAME, 5);
        }
        let files = fs::read_dir(dir.path()).unwrap();
        let files = files.map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap());
        let has_it = files.filter(|file| file.contains("removed"));
        assert_eq!(has_it.count(), 1);
        let changes = fs::read_to_string(dir.path().join("changes.log")).unwrap();
        assert!(changes.contains("aula1/win.img"), "{changes}");
    }

    #[test]
    fn the_log_does_not_grow_for_ever() {
        let dir = tempfile::tempdir().unwrap();
        let (mut log, start) = (log(dir.path()), Instant::now());
        for number in 0..=KEPT + 2 {
            let full = fs::File::options()
                .write(true)
                .create(true)
                .truncate(false)
                .open(dir.path().join("audit.log"));
            full.unwrap().set_len(LONGEST).unwrap();
            log.note(&asked("/v1/images/a", 200), start + number * SAME, 5);
        }
        assert_eq!(lines(dir.path()).len(), 1);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1 + KEPT as usize);
    }

    #[test]
    fn what_cannot_be_written_is_counted() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = log(&dir.path().join("later"));
        let now = Instant::now();
        log.note(&asked("/v1/images/a", 200), now, 5);
        fs::create_dir(dir.path().join("later")).unwrap();
        log.note(&asked("/v1/images/b", 200), now, 6);
        assert_eq!(lines(&dir.path().join("later"))[0]["missed"], 1);
    }
}
