//! Who asked for what, when, and what became of it: JSON lines in the manager's state, without secrets.
//!
//! An image is fetched by many requests, so the same again within some minutes is counted and told with the next
//! line of its kind. The disk is waited for by a thread of its own; what it cannot take is counted, not waited for.

use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use serde_json::{Value, json};

use crate::gate;
use crate::limits::Peer;
use crate::state;

/// A file is set aside when it has so many bytes; so many that were set aside are kept.
const LONGEST: u64 = 8 << 20;
const KEPT: u32 = 3;
/// The same again within so many seconds is counted only.
const SAME: u64 = 600;
/// So many kinds of request are told apart.
const KINDS: usize = 4096;
/// So many lines may wait for the disk.
const WAITING: usize = 1024;
/// Longer paths are cut, in bytes.
const PATH: usize = 512;
const FILE: &str = "audit.log";
/// Nobody's actions, or many a second: `/metrics` counts them.
const COMMON: [&str; 5] = [
    "/health",
    "/metrics",
    "/v1/reports",
    "/v1/room",
    "/v1/token",
];

/// Whose token was accepted.
#[derive(Debug, Clone)]
pub(crate) struct Who(String);

impl Who {
    /// The part of an accepted token that is no secret.
    pub(crate) fn of_token(text: &str) -> Option<Self> {
        text.split('_').nth(1).map(|id| Self(id.to_owned()))
    }
}

/// What was asked and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Asked {
    who: Option<String>,
    address: Option<IpAddr>,
    method: String,
    path: String,
    status: u16,
}

impl Asked {
    /// Refusals of one kind are alike, whatever was asked for: nobody can fill the file with them.
    fn kind(&self) -> Self {
        let mut kind = self.clone();
        if self.status >= 400 {
            kind.path.clear();
        }
        kind
    }

    fn line(&self, now: u64, repeated: u64, missed: u64) -> Value {
        let mut line = json!({
            "time": now,
            "who": self.who,
            "address": self.address,
            "method": self.method,
            "path": self.path,
            "status": self.status,
        });
        if repeated > 0 {
            line["repeated"] = json!(repeated);
        }
        if missed > 0 {
            line["missed"] = json!(missed);
        }
        line
    }
}

/// The log's end at the routes.
#[derive(Debug)]
pub(crate) struct Audit {
    lines: SyncSender<Asked>,
    missed: Arc<AtomicU64>,
}

impl Audit {
    /// The log in a manager's state; its thread ends with the last of this.
    pub(crate) fn open(state: &Path) -> Self {
        let (lines, waiting) = sync_channel(WAITING);
        let missed = Arc::new(AtomicU64::new(0));
        let mut log = Log {
            file: state.join(FILE),
            kinds: HashMap::new(),
            missed: Arc::clone(&missed),
        };
        thread::spawn(move || log.keep(&waiting));
        Self { lines, missed }
    }

    fn tell(&self, asked: Asked) {
        if self.lines.try_send(asked).is_err() {
            self.missed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Writes down whatever a router is asked.
pub(crate) fn audited(router: Router, audit: Audit) -> Router {
    router.layer(from_fn_with_state(Arc::new(audit), note))
}

async fn note(State(audit): State<Arc<Audit>>, request: Request, next: Next) -> Response {
    let path: String = request.uri().path().chars().take(PATH).collect();
    let method: String = request.method().as_str().chars().take(16).collect();
    let address = request.extensions().get::<Peer>().map(|peer| peer.address);
    let response = next.run(request).await;
    let status = response.status().as_u16();
    if status >= 400 || !COMMON.contains(&path.as_str()) {
        audit.tell(Asked {
            who: response.extensions().get::<Who>().map(|who| who.0.clone()),
            address,
            method,
            path,
            status,
        });
    }
    response
}

/// The log's end at the disk.
struct Log {
    file: PathBuf,
    /// When a kind was told last, and how often it came since.
    kinds: HashMap<Asked, (u64, u64)>,
    missed: Arc<AtomicU64>,
}

impl Log {
    fn keep(&mut self, waiting: &Receiver<Asked>) {
        while let Ok(asked) = waiting.recv() {
            self.note(&asked, gate::now());
        }
    }

    fn note(&mut self, asked: &Asked, now: u64) {
        let kind = asked.kind();
        let mut repeated = 0;
        if let Some((told, count)) = self.kinds.get_mut(&kind) {
            if now.saturating_sub(*told) < SAME {
                *count += 1;
                return;
            }
            repeated = *count;
        } else if self.kinds.len() >= KINDS {
            self.kinds.clear();
        }
        let missed = self.missed.swap(0, Ordering::Relaxed);
        self.kinds.insert(kind, (now, 0));
        if self.write(&asked.line(now, repeated, missed)).is_err() {
            self.missed.fetch_add(missed + 1, Ordering::Relaxed);
        }
    }

    fn write(&self, line: &Value) -> std::io::Result<()> {
        let mut file = self.open()?;
        if file.metadata()?.len() >= LONGEST {
            for number in (0..KEPT).rev() {
                // What is not there yet cannot be set aside.
                let _ = std::fs::rename(self.aside(number), self.aside(number + 1));
            }
            file = self.open()?;
        }
        file.write_all(format!("{line}\n").as_bytes())
    }

    fn open(&self) -> std::io::Result<File> {
        let mut options = state::secret_file();
        options.write(false).append(true).open(&self.file)
    }

    /// The file, and those that were set aside.
    fn aside(&self, number: u32) -> PathBuf {
        match number {
            0 => self.file.clone(),
            number => self.file.with_extension(format!("log.{number}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::fs;
    use std::path::Path;
    use std::sync::Arc;
    use std::sync::atomic::AtomicU64;

    use super::{Asked, KEPT, LONGEST, Log, SAME, Who};

    fn log(dir: &Path) -> Log {
        Log {
            file: dir.join("audit.log"),
            kinds: HashMap::new(),
            missed: Arc::new(AtomicU64::new(0)),
        }
    }

    fn asked(path: &str, status: u16) -> Asked {
        Asked {
            who: Some("0a0b0c0d".to_owned()),
            address: "10.0.0.7".parse().ok(),
            method: "GET".to_owned(),
            path: path.to_owned(),
            status,
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
        let mut log = log(dir.path());
        for _ in 0..100 {
            log.note(&asked("/v1/images/a", 206), 1000);
        }
        log.note(&asked("/v1/images/b", 206), 1001);
        for number in 0..50 {
            log.note(&asked(&format!("/v1/images/{number}"), 404), 1002);
        }
        log.note(&asked("/v1/images/a", 206), 1000 + SAME);
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

    #[test]
    fn the_log_does_not_grow_for_ever() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = log(dir.path());
        for number in 0..=u64::from(KEPT) + 2 {
            let full = fs::File::options()
                .write(true)
                .create(true)
                .truncate(false)
                .open(dir.path().join("audit.log"));
            full.unwrap().set_len(LONGEST).unwrap();
            log.note(&asked("/v1/images/a", 200), number * 2 * SAME);
        }
        assert_eq!(lines(dir.path()).len(), 1);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1 + KEPT as usize);
    }

    #[test]
    fn what_cannot_be_written_is_counted() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = log(&dir.path().join("later"));
        log.note(&asked("/v1/images/a", 200), 5);
        fs::create_dir(dir.path().join("later")).unwrap();
        log.note(&asked("/v1/images/b", 200), 6);
        assert_eq!(lines(&dir.path().join("later"))[0]["missed"], 1);
    }

    #[test]
    fn of_a_token_only_its_name_is_kept() {
        let who = Who::of_token("azud_0a0b0c0d_5ec3e7").unwrap();
        assert_eq!(who.0, "0a0b0c0d");
    }
}
