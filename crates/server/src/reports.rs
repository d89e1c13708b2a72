//! What computers tell of their work: taken, kept through restarts, shown to those who look after the room.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::thread;
use std::time::Duration;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, FromRef, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use azud_core::code::Code;
use azud_core::reference::{Host, ImageRef, Where};
use azud_core::report::Report;
use azud_core::room::{Computer, Room, Shown};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::events::{Events, View};
use crate::gate;
use crate::grant::Grant;
use crate::limits::Peer;
use crate::problem::Problem;
use crate::refusal::{not_taken, not_understood};
use crate::routes::blocking;
use crate::state;

/// No report is longer, in bytes.
const LONGEST: usize = 8 << 10;
/// What changed is written down after so long, which a crash may lose …
const WRITING: Duration = Duration::from_secs(2);
/// … where that is more than so many bytes, after a second for each time as many: it is written anew, all of it …
const A_SECOND: usize = 64 << 10;
/// … but after so long, however many these are.
const SELDOM: Duration = Duration::from_mins(10);
/// When a computer may try again that found no room, in seconds.
const AGAIN_AFTER: u32 = 60;
/// The file in the manager's state.
pub const FILE: &str = "room.json";

/// The reports of all computers.
#[derive(Debug)]
pub(crate) struct Reports {
    file: PathBuf,
    room: Mutex<Room>,
    changed: AtomicBool,
    taken: AtomicU64,
    events: Arc<Events>,
    /// Addresses and names of the manager, by which computers name its images.
    own: Vec<Host>,
}

/// The reports, as routes get them.
#[derive(Debug, Clone)]
pub(crate) struct AllReports(pub(crate) Arc<Reports>);

impl Reports {
    /// Those of a manager's state. What is damaged is set aside: the room tells anew what it is.
    pub(crate) fn open(state: &Path, events: Arc<Events>, own: Vec<Host>) -> Arc<Self> {
        let file = state.join(FILE);
        let set_aside = |_| {
            // If that fails, the next writing replaces it.
            let _ = std::fs::rename(&file, file.with_extension("bad"));
            Room::default()
        };
        let room = written(state).map_or_else(set_aside, Room::of);
        let reports = Arc::new(Self {
            file,
            room: Mutex::new(room),
            changed: AtomicBool::new(false),
            taken: AtomicU64::new(0),
            events,
            own,
        });
        let kept = Arc::downgrade(&reports);
        thread::spawn(move || keep_writing(&kept));
        reports
    }

    fn room(&self) -> MutexGuard<'_, Room> {
        self.room.lock().expect("no holder panics")
    }

    /// Takes a report.
    fn take(&self, report: Report, address: &str, now: u64) -> Result<(), Problem> {
        let report = self.as_called_here(report);
        let shown = match self.room().note(report, address, now) {
            Ok(computer) => computer.shown(now),
            Err(full) => {
                let status = StatusCode::TOO_MANY_REQUESTS;
                let problem = Problem::new(status, Code::TooBusy, full.to_string());
                return Err(problem.retry_after(AGAIN_AFTER));
            }
        };
        self.changed.store(true, Ordering::Release);
        self.taken.fetch_add(1, Ordering::Relaxed);
        self.events.tell(shown);
        Ok(())
    }

    /// A report in which images have one name, whichever spelling and whichever name of the manager were used there:
    /// what succeeds with one mends what failed.
    fn as_called_here(&self, report: Report) -> Report {
        Report {
            image: self.called(report.image),
            to: report.to.map(|to| self.called(to)),
            ..report
        }
    }

    fn called(&self, image: String) -> String {
        let Ok(ImageRef::Placed { place, image }) = ImageRef::parse(&image) else {
            return image;
        };
        let place = match place {
            Where::Host(host) if self.own.contains(&host) => Where::Manager,
            place => place,
        };
        ImageRef::Placed { place, image }.brief()
    }

    /// How many computers are at work, and how many reports were taken.
    pub(crate) fn counts(&self) -> (usize, u64) {
        let at_work = self.room().at_work(gate::now());
        (at_work, self.taken.load(Ordering::Relaxed))
    }

    /// All computers that the bearer of a token may see, as JSON. The room is open to others meanwhile.
    fn shown(&self, now: u64, grant: &Grant) -> String {
        let all = self.room().all();
        let all = all.iter().map(|it| it.shown(now));
        let computers: Vec<Shown> = all.filter_map(|it| self.part(it, grant)).collect();
        serde_json::to_string(&Whole { computers }).expect("our own types serialise")
    }

    /// What of a computer concerns images that a token is good for.
    fn part(&self, shown: Shown, grant: &Grant) -> Option<Shown> {
        shown.concerning(|image| grant.concerns(image, &self.own))
    }

    /// Writes down what changed; after how long that is to be done again. What cannot be written now is tried then.
    pub(crate) fn keep(&self) -> Duration {
        if !self.changed.swap(false, Ordering::AcqRel) {
            return WRITING;
        }
        let all = self.room().all();
        let all: Vec<&Computer> = all.iter().map(AsRef::as_ref).collect();
        let text = serde_json::to_vec(&all).expect("our own types serialise");
        if state::write(&self.file, &text).is_err() {
            self.changed.store(true, Ordering::Release);
        }
        let seconds = text.len() / A_SECOND;
        Duration::from_secs(seconds as u64).clamp(WRITING, SELDOM)
    }
}

fn keep_writing(reports: &Weak<Reports>) {
    let mut pause = WRITING;
    loop {
        thread::sleep(pause);
        match reports.upgrade() {
            Some(reports) => pause = reports.keep(),
            None => return,
        }
    }
}

/// What a manager wrote down of its room; it may be some seconds old.
///
/// # Errors
/// When the file cannot be read or understood.
pub fn written(state: &Path) -> io::Result<Vec<Computer>> {
    state::read(&state.join(FILE))
}

/// The route by which any client tells of its work.
pub(crate) fn telling<S>() -> OpenApiRouter<S>
where
    S: Clone + Send + Sync + 'static,
    AllReports: FromRef<S>,
{
    OpenApiRouter::new()
        .routes(routes!(tell))
        .layer(DefaultBodyLimit::max(LONGEST))
}

/// The routes that show the room: who it concerns may change images, too.
pub(crate) fn watching<S>() -> OpenApiRouter<S>
where
    S: Clone + Send + Sync + 'static,
    AllReports: FromRef<S>,
{
    OpenApiRouter::new()
        .routes(routes!(room))
        .routes(routes!(events))
}

/// All computers that a token may see.
#[derive(Debug, Serialize, ToSchema)]
struct Whole {
    computers: Vec<Shown>,
}

/// Tell of a job.
///
/// Whoever is at work tells at most a few times a second; what is not taken changes nothing about the work.
#[utoipa::path(
    post,
    path = "/v1/reports",
    request_body = Report,
    responses((status = 204, description = "It was taken."))
)]
async fn tell(
    State(AllReports(reports)): State<AllReports>,
    Extension(peer): Extension<Peer>,
    body: Result<Bytes, BytesRejection>,
) -> Result<StatusCode, Problem> {
    let bad = |text: String| Problem::new(StatusCode::BAD_REQUEST, Code::BadReport, text);
    let body = body.map_err(|error| not_taken(&error, Code::BadReport))?;
    let report: Report =
        serde_json::from_slice(&body).map_err(|error| bad(not_understood(&error)))?;
    report.check().map_err(|error| bad(error.to_string()))?;
    reports.take(report, &peer.address.to_string(), gate::now())?;
    Ok(StatusCode::NO_CONTENT)
}

/// What every computer does, carries and failed at.
#[utoipa::path(
    get,
    path = "/v1/room",
    responses((status = 200, description = "The computers by name.", body = Whole))
)]
async fn room(
    State(AllReports(reports)): State<AllReports>,
    Extension(grant): Extension<Grant>,
) -> Result<Response, Problem> {
    let text = blocking(move || Ok(reports.shown(gate::now(), &grant))).await?;
    let kind = (header::CONTENT_TYPE, "application/json");
    Ok(([kind], text).into_response())
}

/// The room, told as it changes.
///
/// At first, and whenever the watcher was too slow, an event `room` with all computers; then an event `computer` for
/// each that tells something. It breaks off when the token is no longer good for it.
#[utoipa::path(
    get,
    path = "/v1/events",
    responses((status = 200, description = "Server-sent events.", body = String, content_type = "text/event-stream"))
)]
async fn events(
    State(AllReports(reports)): State<AllReports>,
    Extension(grant): Extension<Grant>,
    Extension(peer): Extension<Peer>,
) -> Result<Response, Problem> {
    let (all, bound, one) = (Arc::clone(&reports), grant.clone(), Arc::clone(&reports));
    let view = View {
        whole: Arc::new(move || all.shown(gate::now(), &bound)),
        part: (!grant.sees_all()).then_some(move |shown| one.part(shown, &grant)),
    };
    reports.events.watch(&peer, view)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::body::Body;
    use axum::http::{Request, StatusCode};
    use azud_core::reference::Host;
    use azud_core::report::Report;
    use futures_util::StreamExt;
    use tower::ServiceExt;

    use super::{A_SECOND, AllReports, FILE, Reports, SELDOM, WRITING, telling, watching, written};
    use crate::events::Events;
    use crate::grant::Grant;
    use crate::limits::Peer;
    use crate::token::Role;

    fn told_to(reports: &Arc<Reports>) -> axum::Router {
        let state = AllReports(Arc::clone(reports));
        telling().with_state(state).into()
    }

    fn watched_at(reports: &Arc<Reports>) -> axum::Router {
        let state = AllReports(Arc::clone(reports));
        watching().with_state(state).into()
    }

    fn all() -> Grant {
        Grant::new(Role::Write, &[])
    }

    fn get_as(grant: Grant, path: &str) -> Request<Body> {
        let peer = Peer::alone([10, 0, 0, 1]);
        let request = Request::get(path).extension(grant).extension(peer);
        request.body(Body::empty()).unwrap()
    }

    fn get(path: &str) -> Request<Body> {
        get_as(all(), path)
    }

    fn post(body: impl Into<Body>) -> Request<Body> {
        let request = Request::post("/v1/reports");
        let peer = Peer::alone([10, 0, 0, 7]);
        request.extension(peer).body(body.into()).unwrap()
    }

    #[tokio::test]
    async fn who_watches_is_told_the_whole_and_then_what_is_new() {
        let dir = tempfile::tempdir().unwrap();
        let events = Arc::new(Events::new());
        let reports = Reports::open(dir.path(), Arc::clone(&events), Vec::new());
        let report = Report::begun("pc1", "deploy", "REPO:win");
        reports.take(report, "10.0.0.1", 5).unwrap();
        let watched = watched_at(&reports).oneshot(get("/v1/events")).await;
        let mut told = watched.unwrap().into_body().into_data_stream();
        let mut next = async || {
            let bytes = told.next().await?.unwrap();
            Some(String::from_utf8(bytes.to_vec()).unwrap())
        };
        let whole = next().await.unwrap();
        assert!(whole.starts_with("event: room\n"), "{whole}");
        assert!(whole.contains("pc1"), "{whole}");
        let new = Report::begun("pc2", "deploy", "REPO:win");
        let body = serde_json::to_string(&new).unwrap();
        let taken = told_to(&reports).oneshot(post(body)).await.unwrap();
        assert_eq!(taken.status(), StatusCode::NO_CONTENT);
        let one = next().await.unwrap();
        assert!(one.starts_with("event: computer\n"), "{one}");
        assert!(one.contains("pc2") && one.contains("10.0.0.7"), "{one}");
        assert!(!one.contains("pc1"), "{one}");
        events.close();
        assert_eq!(next().await, None, "the manager ends");
    }

    #[tokio::test]
    async fn a_token_that_is_bound_to_images_sees_only_who_works_with_them() {
        let dir = tempfile::tempdir().unwrap();
        let events = Arc::new(Events::new());
        let own = vec![Host::parse("10.0.0.2").unwrap()];
        let reports = Reports::open(dir.path(), Arc::clone(&events), own);
        let take = |host, image, time| {
            let report = Report::begun(host, "deploy", image);
            reports.take(report, "10.0.0.1", time).unwrap();
        };
        let failed = Report::begun("pc1", "deploy", "REPO:secret").failed("disk/no-space", "full");
        reports.take(failed, "10.0.0.1", 3).unwrap();
        let done = Report::begun("pc1", "deploy", "REPO:secret").finished();
        reports.take(done, "10.0.0.1", 4).unwrap();
        take("pc1", "REPO:win", 5);
        take("pc2", "REPO:secret", 5);
        take("pc3", "/tmp/secret.img", 5);
        take("pc6", "10.0.0.9:win", 5);
        take("pc7", "USB-x:win", 5);
        take("of-the-manager", "10.0.0.2:win", 5);
        let copy = Report::begun("copier", "image-copy", "REPO:win").going_to("REPO:secret/exam");
        let failed = copy.clone().failed("disk/no-space", "");
        for report in [failed, copy] {
            reports.take(report, "10.0.0.1", 5).unwrap();
        }
        let bound = || Grant::new(Role::Write, &["win".parse().unwrap()]);
        let seen = reports.shown(9, &bound());
        assert!(seen.contains("pc1"), "{seen}");
        assert!(seen.contains("of-the-manager"), "{seen}");
        assert!(seen.contains("copier") && !seen.contains("exam"), "{seen}");
        for hidden in ["secret", "pc2", "pc3", "pc6", "pc7"] {
            assert!(!seen.contains(hidden), "{hidden}: {seen}");
            assert!(reports.shown(9, &all()).contains(hidden), "{hidden}");
        }
        let request = get_as(bound(), "/v1/events");
        let watched = watched_at(&reports).oneshot(request).await;
        let mut told = watched.unwrap().into_body().into_data_stream();
        let mut next = async || {
            let bytes = told.next().await.unwrap().unwrap();
            String::from_utf8(bytes.to_vec()).unwrap()
        };
        let whole = next().await;
        assert!(whole.contains("pc1"), "{whole}");
        take("pc4", "REPO:secret", 6);
        take("pc5", "CACHE:win", 6);
        let one = next().await;
        assert!(one.contains("pc5"), "{one}");
        for hidden in ["secret", "pc4"] {
            assert!(!whole.contains(hidden) && !one.contains(hidden), "{hidden}");
        }
    }

    #[test]
    fn an_image_is_the_same_under_each_name_of_the_manager() {
        let dir = tempfile::tempdir().unwrap();
        let own = ["10.77.0.1", "og.campus.es"].map(|host| Host::parse(host).unwrap());
        let reports = Reports::open(dir.path(), Arc::new(Events::new()), own.to_vec());
        let take = |report: Report| {
            reports.take(report, "10.0.0.1", 5).unwrap();
            let seen: serde_json::Value = serde_json::from_str(&reports.shown(9, &all())).unwrap();
            let failures = seen["computers"][0]["failures"].as_array().cloned();
            let images = failures.unwrap().into_iter().map(|it| it["image"].clone());
            images.collect::<Vec<_>>()
        };
        let of = |image| Report::begun("pc1", "deploy", image);
        let failed = |image| of(image).failed("disk/io", "");
        take(failed("10.77.0.1:aula1/win.img"));
        take(failed("OG.campus.es:aula1/win"));
        let left = take(failed("10.77.0.9:aula1/win"));
        assert_eq!(left, ["10.77.0.9:aula1/win", "REPO:aula1/win"]);
        let left = take(of("repo:aula1/win").finished());
        assert_eq!(left, ["10.77.0.9:aula1/win"]);
    }

    #[tokio::test]
    async fn too_many_watchers_are_told_to_come_later() {
        let dir = tempfile::tempdir().unwrap();
        let reports = Reports::open(dir.path(), Arc::new(Events::new()), Vec::new());
        let watch = async || {
            watched_at(&reports)
                .oneshot(get("/v1/events"))
                .await
                .unwrap()
        };
        let mut watchers = Vec::new();
        let refused = loop {
            let answer = watch().await;
            if answer.status() != StatusCode::OK {
                break answer;
            }
            watchers.push(answer);
        };
        assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(refused.headers().contains_key("retry-after"));
        watchers.pop();
        assert_eq!(watch().await.status(), StatusCode::OK, "one left");
    }

    #[tokio::test]
    async fn regression_one_computer_does_not_watch_for_all() {
        let dir = tempfile::tempdir().unwrap();
        let reports = Reports::open(dir.path(), Arc::new(Events::new()), Vec::new());
        let peers = [1, 2].map(|number| Peer::alone([10, 0, 0, number]));
        let watch = async |peer: &Peer| {
            let mut request = get("/v1/events");
            request.extensions_mut().insert(peer.clone());
            watched_at(&reports).oneshot(request).await.unwrap()
        };
        let mut watchers = Vec::new();
        let refused = loop {
            let answer = watch(&peers[0]).await;
            if answer.status() != StatusCode::OK {
                break answer;
            }
            watchers.push(answer);
        };
        assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(refused.headers().contains_key("retry-after"));
        assert_eq!(watch(&peers[1]).await.status(), StatusCode::OK, "another");
        watchers.pop();
        assert_eq!(watch(&peers[0]).await.status(), StatusCode::OK, "one left");
    }

    #[tokio::test]
    async fn what_is_no_report_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let reports = Reports::open(dir.path(), Arc::new(Events::new()), Vec::new());
        let status = async |body: String| {
            let answer = told_to(&reports).oneshot(post(body)).await;
            answer.unwrap().status()
        };
        let good = serde_json::to_string(&Report::begun("pc1", "deploy", "x")).unwrap();
        for bad in [
            String::new(),
            "{}".to_owned(),
            good.replace("pc1", ""),
            good.replace("pc1", "\\u001b[2J"),
            good.replace("deploy", "../../etc"),
            good.replace(":0", ":-1"),
        ] {
            assert_eq!(status(bad.clone()).await, StatusCode::BAD_REQUEST, "{bad}");
        }
        let long = good.replace('x', &"x".repeat(1 << 20));
        assert_eq!(status(long).await, StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(reports.shown(0, &all()), r#"{"computers":[]}"#);
        assert_eq!(status(good).await, StatusCode::NO_CONTENT);
    }

    #[test]
    fn regression_a_room_of_many_is_written_down_less_often() {
        let dir = tempfile::tempdir().unwrap();
        let reports = Reports::open(dir.path(), Arc::new(Events::new()), Vec::new());
        let take = |host: &str, detail: &str| {
            let failed = Report::begun(host, "deploy", "REPO:win").failed("disk/io", detail);
            reports.take(failed, "10.0.0.1", 5).unwrap();
        };
        let detail = "x".repeat(400);
        for number in 0..1000 {
            take(&format!("pc{number}"), &detail);
        }
        // What changed may be written down by itself meanwhile.
        let pauses = (0..10).map(|_| {
            take("pc1", &detail);
            reports.keep()
        });
        let pause = pauses.max().unwrap();
        let size = std::fs::metadata(dir.path().join(FILE)).unwrap().len();
        assert_eq!(pause.as_secs(), size / A_SECOND as u64);
        assert!(WRITING < pause && pause < SELDOM, "{pause:?}");
        assert_eq!(reports.keep(), WRITING, "nothing new costs nothing");
    }

    #[test]
    fn the_room_outlives_the_manager() {
        let dir = tempfile::tempdir().unwrap();
        let open = || Reports::open(dir.path(), Arc::new(Events::new()), Vec::new());
        let first = open();
        let report = |host| Report::begun(host, "deploy", "REPO:win");
        first.take(report("pc1"), "10.0.0.1", 5).unwrap();
        let failed = report("pc2").failed("disk/no-space", "full");
        first.take(failed, "10.0.0.2", 6).unwrap();
        first.keep();
        let shown = first.shown(9, &all());
        drop(first);
        assert_eq!(written(dir.path()).unwrap().len(), 2);
        assert_eq!(open().shown(9, &all()), shown);
        std::fs::write(dir.path().join(FILE), "[{]").unwrap();
        let anew = open();
        assert_eq!(anew.shown(9, &all()), r#"{"computers":[]}"#);
        assert!(dir.path().join("room.bad").exists());
    }
}
