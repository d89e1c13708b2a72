//! Clients that do not keep to the protocol, against the routes themselves.

mod bound;
mod greedy;
mod held;
mod room;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use azud_core::assembly::Piece;
use azud_core::format::ranges::RangeIndex;
use azud_core::progress::Progress;
use azud_core::reference::SubPath;
use azud_core::upload::{MAX_BATCH, encode};
use azud_store::retention::{Retention, trashed};
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::clock::Rules;
use crate::indexes::Indexes;
use crate::library::Library;
use crate::limits::Peers;
use crate::login::Attempts;
use crate::mounts::NoMounts;
use crate::rollback::{Checks, Rollbacks, Unsound};
use crate::routes::{Shared, api};
use crate::seclusion::Seclusion;
use crate::token::{Bounds, Role, Tokens};

/// Nothing that is sent is held against anything by it.
#[derive(Debug)]
struct Anything;

impl Checks for Anything {
    fn check(&self, _: &Path, _: &dyn Progress) -> Result<bool, Unsound> {
        Ok(false)
    }
}

/// A manager's routes over a directory of its own.
pub(crate) struct Site {
    dir: tempfile::TempDir,
    api: Router,
    uploads: Arc<super::Uploads>,
    write: String,
    read: String,
}

type Answer = (StatusCode, Value);

impl Site {
    pub(crate) fn new() -> Self {
        Self::keeping(Retention::default())
    }

    fn keeping(rules: Retention) -> Self {
        Self::since(rules, None)
    }

    /// One that was looked at last so long ago.
    fn since(rules: Retention, last: Option<Duration>) -> Self {
        Self::made(rules, last, super::BODY)
    }

    /// One where a body has so long.
    fn within(body: Duration) -> Self {
        Self::made(Retention::default(), None, body)
    }

    fn made(rules: Retention, last: Option<Duration>, body: Duration) -> Self {
        let dir = tempfile::tempdir().unwrap();
        if let Some(ago) = last {
            let then = (SystemTime::now() - ago).duration_since(SystemTime::UNIX_EPOCH);
            let seen = json!({ "last": then.unwrap().as_secs() });
            std::fs::write(dir.path().join("clock.json"), seen.to_string()).unwrap();
        }
        let images = dir.path().join("images");
        std::fs::create_dir(&images).unwrap();
        let tokens = Tokens::in_dir(dir.path());
        let token = |role| {
            tokens
                .create(role, "", Bounds::default(), 0)
                .unwrap()
                .1
                .text()
                .to_owned()
        };
        let (write, read) = (token(Role::Write), token(Role::Read));
        let bodies = Arc::default();
        let indexes = Indexes::new(dir.path(), Arc::clone(&bodies));
        let uploads = super::Uploads::within(images.clone(), Rules::new(rules, dir.path()), body);
        let shared = Shared {
            library: Arc::new(Library::new(
                images.clone(),
                indexes,
                (Arc::new(NoMounts), Seclusion::default()),
            )),
            tokens,
            authority: String::new(),
            uploads: Arc::clone(&uploads),
            rollbacks: Rollbacks::new(Arc::new(Anything)),
            bodies,
            state: dir.path().to_owned(),
            attempts: Attempts::default(),
            reports: crate::reports::Reports::open(
                dir.path(),
                Arc::new(crate::events::Events::new()),
                Vec::new(),
            ),
            metrics: Arc::default(),
            read_only: false,
        };
        let api = api(shared);
        Self {
            dir,
            api,
            uploads,
            write,
            read,
        }
    }

    pub(crate) fn api(&self) -> &Router {
        &self.api
    }

    pub(crate) fn state(&self) -> &Path {
        self.dir.path()
    }

    fn images(&self) -> std::path::PathBuf {
        self.dir.path().join("images")
    }

    async fn ask_as(&self, token: &str, what: &str, body: Vec<u8>) -> Answer {
        self.send_as(token, what, Body::from(body)).await
    }

    async fn send_as(&self, token: &str, what: &str, body: Body) -> Answer {
        let (method, path) = what.split_once(' ').unwrap();
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("Authorization", format!("Bearer {token}"))
            .extension(Arc::new(Peers::default()).enter([127, 0, 0, 1].into()).1)
            .body(body)
            .unwrap();
        let response = self.api.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }

    async fn ask(&self, what: &str, body: Vec<u8>) -> Answer {
        self.ask_as(&self.write, what, body).await
    }

    async fn open(&self, name: &str, bytes: u64) -> Answer {
        let body = json!({ "name": name, "bytes": bytes, "sender": "s" });
        self.ask("POST /v1/uploads", body.to_string().into()).await
    }

    async fn id(&self, name: &str, bytes: u64) -> String {
        let (status, opened) = self.open(name, bytes).await;
        assert_eq!(status, StatusCode::CREATED, "{opened}");
        opened["id"].as_str().unwrap().to_owned()
    }

    async fn put(&self, id: &str, body: Vec<u8>) -> Answer {
        self.ask(&format!("PUT /v1/uploads/{id}/pieces"), body)
            .await
    }

    /// Says what the image is and waits for the end.
    async fn finish(&self, id: &str, description: Vec<u8>) -> Value {
        let what = format!("POST /v1/uploads/{id}/image");
        let (status, _) = self.ask(&what, description).await;
        assert_eq!(status, StatusCode::ACCEPTED);
        loop {
            let (_, state) = self.ask(&format!("GET /v1/uploads/{id}"), Vec::new()).await;
            if state["state"] != "working" {
                return state;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }
}

fn record(offset: u64, bytes: &[u8]) -> Vec<u8> {
    let piece = Piece {
        offset,
        len: u32::try_from(bytes.len()).unwrap(),
        hash: *blake3::hash(bytes).as_bytes(),
    };
    [&encode(&piece)[..], bytes].concat()
}

/// A foreign image of two ranges.
fn image() -> (Vec<u8>, Vec<u8>, Vec<u8>) {
    let (one, two) = (vec![1; 1 << 20], vec![2; 77]);
    let hashes = [&one, &two].map(|part| *blake3::hash(part).as_bytes());
    let size = (one.len() + two.len()) as u64;
    let hashes = hashes.to_vec();
    (one, two, RangeIndex { size, hashes }.encode())
}

#[track_caller]
fn refused(answer: &Answer, status: u16, code: &str) {
    let said = (answer.0.as_u16(), answer.1["code"].as_str());
    assert_eq!(said, (status, Some(code)), "{}", answer.1);
}

fn visible(dir: &Path) -> Vec<String> {
    let names = std::fs::read_dir(dir).unwrap();
    let names = names.map(|name| name.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| !name.starts_with('.')).collect();
    names.sort();
    names
}

#[tokio::test]
async fn pieces_in_any_order_become_an_image() {
    let site = Site::new();
    let (one, two, index) = image();
    let id = site.id("a/x", 2 << 20).await;
    assert_eq!(visible(&site.images().join("a")), ["x.img.lock"]);
    let state = site.finish(&id, index.clone()).await;
    assert_eq!(state, json!({ "state": "lacking", "pieces": [[0, 2]] }));
    let both = [record(1 << 20, &two), record(0, &one)].concat();
    assert_eq!(site.put(&id, both.clone()).await.0, StatusCode::NO_CONTENT);
    assert_eq!(site.put(&id, both).await.0, StatusCode::NO_CONTENT, "again");
    let beside = |ending: &str| format!("PUT /v1/uploads/{id}/beside/{ending}");
    let answer = site.ask(&beside(".minisig"), b"signed".to_vec()).await;
    assert_eq!(answer.0, StatusCode::NO_CONTENT);
    for (ending, bytes) in [(".info", 9), ("..%2Fx", 9), (".minisig", 1 << 20)] {
        let answer = site.ask(&beside(ending), vec![0; bytes]).await;
        refused(&answer, 400, "repo/bad-upload");
    }
    let state = site.finish(&id, index.clone()).await;
    assert_eq!(state["state"], "done", "{state}");
    let file = std::fs::read(site.images().join("a/x.img")).unwrap();
    assert_eq!(file, [one, two].concat());
    let names = [
        "x.img",
        "x.img.full.sum",
        "x.img.index",
        "x.img.minisig",
        "x.img.sum",
    ];
    assert_eq!(visible(&site.images().join("a")), names);
    // Once more, by somebody who does not know.
    let id = site.id("a/x", 2 << 20).await;
    assert_eq!(site.finish(&id, index).await["way"], "nothing");
    let hidden = std::fs::read_dir(site.images().join("a")).unwrap();
    let hidden = hidden.map(|name| name.unwrap().file_name());
    let assembling = |name: &std::ffi::OsString| name.to_string_lossy().contains("assembly");
    assert_eq!(hidden.filter(assembling).count(), 0);
}

#[tokio::test]
async fn what_is_no_piece_is_refused_and_what_came_before_stays() {
    let site = Site::new();
    let (one, two, index) = image();
    let id = site.id("x", 2 << 20).await;
    let mut wrong = record(1 << 20, &two);
    *wrong.last_mut().unwrap() ^= 1;
    let cases: [(&str, Vec<u8>); 6] = [
        ("other bytes", wrong),
        ("beyond what was said", record(2 << 20, &two)),
        ("over another", record(5, &two)),
        ("cut off in a piece", record(1 << 20, &two)[..50].to_vec()),
        ("cut off in a record", record(1 << 20, &two)[..20].to_vec()),
        ("no length", [0xff; 48].to_vec()),
    ];
    for (case, body) in cases {
        let body = [record(0, &one), body].concat();
        let answer = site.put(&id, body).await;
        refused(&answer, 400, "repo/bad-upload");
        assert!(answer.1["detail"].is_string(), "{case}");
    }
    let flood = vec![0; usize::try_from(MAX_BATCH).unwrap() + 1];
    refused(&site.put(&id, flood).await, 400, "repo/bad-upload");
    let state = site.finish(&id, index.clone()).await;
    assert_eq!(state["pieces"], json!([[1, 1]]), "only the good one stays");
    let nonsense = site.finish(&id, b"no index at all".to_vec()).await;
    assert_eq!(nonsense["code"], "repo/bad-upload", "{nonsense}");
    assert_eq!(visible(&site.images()), Vec::<String>::new(), "unlocked");
    // The next one need not send it again.
    let id = site.id("x", 2 << 20).await;
    assert_eq!(site.finish(&id, index).await["pieces"], json!([[1, 1]]));
}

#[tokio::test]
async fn an_upload_whose_client_is_silent_lapses_and_unlocks_the_image() {
    let site = Site::new();
    let (one, _, index) = image();
    let id = site.id("x", 2 << 20).await;
    assert_eq!(
        site.put(&id, record(0, &one)).await.0,
        StatusCode::NO_CONTENT
    );
    site.uploads.give_up_lapsed(super::LAPSE);
    refused(&site.open("x", 2 << 20).await, 409, "image/locked");
    // Nobody who wants the image is sent to the manager's own process.
    for what in [
        "POST /v1/uploads",
        "DELETE /v1/images/x",
        "POST /v1/images/x/removal/check",
        "POST /v1/images/x/rollback",
        "POST /v1/images/x/rollback/check",
    ] {
        let body = json!({ "name": "x", "bytes": 9, "sender": "t" });
        let answer = site.ask(what, body.to_string().into()).await;
        refused(&answer, 409, "image/locked");
        let detail = answer.1["detail"].as_str().unwrap();
        let (who, when) = detail.split_once(", which lapses after ").expect(detail);
        assert_eq!(who, "x.img is being received from 127.0.0.1", "{what}");
        let (seconds, _) = when.split_once(" seconds").unwrap();
        assert!(seconds.parse::<u64>().unwrap() <= 120, "{what}: {detail}");
    }
    assert_eq!(visible(&site.images()), ["x.img.lock"]);
    // Its piece is still coming as long as somebody holds the file for it.
    let session = site.uploads.find(&id).ok().unwrap();
    let held = session.inbox.read().unwrap();
    site.uploads.give_up_lapsed(Duration::ZERO);
    drop(held);
    refused(&site.open("x", 2 << 20).await, 409, "image/locked");
    site.uploads.give_up_lapsed(Duration::ZERO);
    assert_eq!(visible(&site.images()), Vec::<String>::new());
    refused(&site.put(&id, record(0, &one)).await, 404, "repo/no-upload");
    // Whoever comes next need not send the piece again.
    let id = site.id("x", 2 << 20).await;
    assert_eq!(site.finish(&id, index).await["pieces"], json!([[1, 1]]));
}

#[tokio::test]
async fn an_index_that_lies_publishes_nothing() {
    let site = Site::new();
    let (one, two, _) = image();
    let id = site.id("x", 2 << 20).await;
    let both = [record(0, &one), record(1 << 20, &two)].concat();
    site.put(&id, both).await;
    let hashes = vec![*blake3::hash(&one).as_bytes(), [7; 32]];
    let size = (one.len() + two.len()) as u64;
    let state = site.finish(&id, RangeIndex { size, hashes }.encode()).await;
    assert_eq!(state["pieces"], json!([[1, 1]]));
    let larger = RangeIndex {
        size: 3 << 20,
        hashes: vec![[0; 32]; 3],
    };
    let state = site.finish(&id, larger.encode()).await;
    assert_eq!(state["code"], "repo/bad-upload", "{state}");
    assert_eq!(visible(&site.images()), Vec::<String>::new());
}

#[tokio::test]
async fn names_and_room_are_looked_at_first() {
    let site = Site::new();
    for name in ["../x", "/x", "a/../x", ".x", "a//x", "", "x.img.info"] {
        let (status, said) = site.open(name, 1).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{name}: {said}");
    }
    let answer = site.open("x", 1 << 60).await;
    refused(&answer, 507, "store/no-room");
    let answer = site.ask("POST /v1/uploads", b"{}".to_vec()).await;
    refused(&answer, 400, "repo/bad-upload");
    assert_eq!(visible(&site.images()), Vec::<String>::new());
}

#[tokio::test]
async fn an_upload_is_its_senders_alone() {
    let site = Site::new();
    let id = site.id("x", 1 << 20).await;
    let second = site.open("x", 1 << 20).await;
    refused(&second, 409, "image/locked");
    assert_eq!(second.1["sender"], "s");
    for what in ["GET /v1/uploads/0", "DELETE /v1/uploads/0"] {
        refused(&site.ask(what, Vec::new()).await, 404, "repo/no-upload");
    }
    refused(&site.put("0", Vec::new()).await, 404, "repo/no-upload");
    // Whoever may only read does not come to it.
    let get = format!("GET /v1/uploads/{id}");
    let answer = site.ask_as(&site.read, &get, Vec::new()).await;
    refused(&answer, 403, "repo/not-allowed");
    let body = json!({ "name": "x", "bytes": 1, "sender": "t", "instead_of": "s" });
    let (status, _) = site.ask("POST /v1/uploads", body.to_string().into()).await;
    assert_eq!(status, StatusCode::CREATED, "the first one is dead");
    refused(&site.ask(&get, Vec::new()).await, 404, "repo/no-upload");
}

#[tokio::test]
async fn a_request_that_comes_again_while_the_first_one_works_is_to_wait() {
    let site = Site::new();
    let first = site.uploads.begin(&SubPath::parse("x").unwrap()).unwrap();
    refused(&site.open("x", 2 << 20).await, 503, "image/locked");
    site.id("y", 2 << 20).await;
    drop(first);
    site.id("x", 2 << 20).await;
    refused(&site.open("x", 2 << 20).await, 409, "image/locked");
}

#[tokio::test]
async fn there_are_no_thousands_of_uploads() {
    let site = Site::new();
    for number in 0..super::MOST {
        site.id(&format!("x{number}"), 4096).await;
    }
    let answer = site.open("more", 4096).await;
    refused(&answer, 429, "repo/too-many-uploads");
}

/// A version of `x`; whether others went for it.
async fn send_version(site: &Site, fill: u8) -> bool {
    let bytes = vec![fill; 5000];
    let index = RangeIndex {
        size: bytes.len() as u64,
        hashes: vec![*blake3::hash(&bytes).as_bytes()],
    };
    let id = site.id("x", 5000).await;
    site.put(&id, record(0, &bytes)).await;
    let state = site.finish(&id, index.encode()).await;
    state["purged"].as_u64().unwrap() > 5000
}

/// To a clock that is ahead everything is old.
#[tokio::test]
async fn regression_a_clock_that_leapt_empties_no_trash() {
    const DAYS: Duration = Duration::from_hours(24);
    for (last, all) in [(2 * DAYS, false), (40 * DAYS, true)] {
        let site = Site::since(Retention::default(), Some(last));
        send_version(&site, 1).await;
        for image in ["x.img", "gone.img"] {
            let slot = format!(".azud-trash/{image}/20200101T000000Z-unknown");
            let slot = site.images().join(slot);
            std::fs::create_dir_all(&slot).unwrap();
            std::fs::write(slot.join(image), [7; 6000]).unwrap();
        }
        let rehearsal = json!({ "name": "x", "bytes": 5000, "sender": "s", "rehearsal": true });
        let told = site.ask("POST /v1/uploads", rehearsal.to_string().into());
        let told = told.await.1["purges"].as_array().map_or(0, Vec::len);
        assert_eq!(told, if all { 0 } else { 2 }, "{last:?}");
        assert_eq!(send_version(&site, 2).await, !all, "{last:?}");
        let there = trashed(&site.images()).unwrap().len();
        assert_eq!(there, if all { 3 } else { 1 }, "{last:?}");
    }
}

#[tokio::test]
async fn former_versions_go_as_the_rules_say() {
    let site = Site::keeping(Retention {
        max_age: Duration::ZERO,
        ..Retention::default()
    });
    let mut purged = Vec::new();
    for fill in 1..5 {
        purged.push(send_version(&site, fill).await);
    }
    assert_eq!(
        purged,
        [false, false, true, true],
        "the last former version stays"
    );
    assert_eq!(trashed(&site.images()).unwrap().len(), 1);
}
