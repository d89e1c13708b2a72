//! Clients that take their time, and those that take too much.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::http::StatusCode;
use futures_util::future::{join, join_all};
use futures_util::stream;
use tokio::runtime::Builder;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::time::{sleep, timeout};

use super::super::KNOWN;
use super::super::routes::UNDER_WAY;
use super::super::session::Session;
use super::{Answer, Site, image, record, refused, visible};

const LONG: Duration = Duration::from_mins(1);

/// A body that comes as somebody says it.
fn slow() -> (UnboundedSender<Vec<u8>>, Body) {
    let (say, said) = unbounded_channel::<Vec<u8>>();
    let chunks = stream::unfold(said, async |mut said| {
        let bytes = said.recv().await?;
        Some((Ok::<_, Infallible>(bytes), said))
    });
    (say, Body::from_stream(chunks))
}

impl Site {
    /// Waits until a piece begins to come.
    async fn wait_for_piece(&self, id: &str) {
        let session = self.uploads.find(id).ok().unwrap();
        let coming = || {
            let inbox = session.inbox.read().unwrap();
            inbox.as_ref().unwrap().pieces() > 0
        };
        while !coming() {
            sleep(Duration::from_millis(1)).await;
        }
    }

    /// What a client hears that sends one piece: its first hundred bytes, and when these are there what `more` says of
    /// the record.
    async fn piece_said(
        &self,
        more: impl AsyncFnOnce(&Session, &[u8], UnboundedSender<Vec<u8>>),
    ) -> Answer {
        let (one, ..) = image();
        let id = self.id("x", 2 << 20).await;
        let (say, body) = slow();
        let what = format!("PUT /v1/uploads/{id}/pieces");
        let put = self.send_as(&self.write, &what, body);
        let client = async {
            let record = record(0, &one);
            say.send(record[..100].to_vec()).unwrap();
            self.wait_for_piece(&id).await;
            let session = self.uploads.find(&id).ok().unwrap();
            more(&session, &record, say).await;
        };
        let (answer, ()) = timeout(LONG, join(put, client)).await.unwrap();
        answer
    }
}

#[tokio::test]
async fn a_piece_that_trickles_keeps_no_image_locked() {
    let site = Site::new();
    let answer = site.piece_said(async |session, record, say| {
        let before = session.last();
        say.send(record[100..5000].to_vec()).unwrap();
        sleep(Duration::from_millis(100)).await;
        assert_eq!(session.last(), before, "that is no sign of life");
        site.uploads.give_up_lapsed(Duration::ZERO);
        assert_eq!(visible(&site.images()), Vec::<String>::new(), "unlocked");
        say.send(record[5000..].to_vec()).unwrap();
    });
    refused(&answer.await, 409, "repo/no-upload");
}

#[tokio::test]
async fn a_piece_that_comes_is_a_sign_of_life() {
    let site = Site::new();
    let answer = site.piece_said(async |session, record, say| {
        let before = session.last();
        say.send(record[100..100_000].to_vec()).unwrap();
        while session.last() == before {
            sleep(Duration::from_millis(1)).await;
        }
        say.send(record[100_000..].to_vec()).unwrap();
    });
    assert_eq!(answer.await.0, StatusCode::NO_CONTENT);
}

#[test]
fn slow_clients_keep_no_thread() {
    let few = Builder::new_current_thread()
        .enable_time()
        .max_blocking_threads(2)
        .build()
        .unwrap();
    few.block_on(async {
        let site = Site::new();
        let id = site.id("x", 2 << 20).await;
        let what = format!("PUT /v1/uploads/{id}/pieces");
        let (says, bodies): (Vec<_>, Vec<_>) = (0..8).map(|_| slow()).unzip();
        let slow = bodies
            .into_iter()
            .map(|body| site.send_as(&site.write, &what, body));
        let other = async {
            for say in &says {
                say.send(vec![0; 10]).unwrap();
            }
            sleep(Duration::from_millis(50)).await;
            site.id("y", 4096).await;
            drop(says);
        };
        let both = join(join_all(slow), other);
        let (answers, ()) = timeout(LONG, both).await.expect("nobody is kept waiting");
        for answer in answers {
            refused(&answer, 400, "repo/bad-upload");
        }
    });
}

#[tokio::test]
async fn a_body_that_goes_on_for_ever_is_cut_and_keeps_nothing_busy() {
    let site = Site::within(Duration::from_millis(300));
    let (one, _, index) = image();
    let id = site.id("x", 2 << 20).await;
    for (what, bytes) in [
        (format!("PUT /v1/uploads/{id}/pieces"), record(0, &one)),
        (
            format!("PUT /v1/uploads/{id}/beside/.minisig"),
            vec![1; 900],
        ),
        (format!("POST /v1/uploads/{id}/image"), index.clone()),
    ] {
        let (say, body) = slow();
        // Always something, and never all of it.
        let trickles = async {
            for byte in bytes {
                if say.send(vec![byte]).is_err() {
                    break;
                }
                sleep(Duration::from_millis(20)).await;
            }
        };
        let sent = join(site.send_as(&site.write, &what, body), trickles);
        let (answer, ()) = timeout(LONG, sent).await.expect("nobody waits for ever");
        refused(&answer, 400, "repo/bad-upload");
        let told = answer.1["detail"].to_string();
        assert!(told.contains("did not come in time"), "{what}: {told}");
    }
    assert_eq!(
        site.put(&id, record(0, &one)).await.0,
        StatusCode::NO_CONTENT
    );
    assert_eq!(site.finish(&id, index).await["state"], "lacking");
}

#[tokio::test]
async fn of_descriptions_one_comes_at_a_time() {
    let site = Site::new();
    let (.., index) = image();
    let id = site.id("x", 2 << 20).await;
    let (say, body) = slow();
    let what = format!("POST /v1/uploads/{id}/image");
    let first = site.send_as(&site.write, &what, body);
    let second = async {
        say.send(index[..5].to_vec()).unwrap();
        let answer = site.ask(&what, index.clone()).await;
        say.send(index[5..].to_vec()).unwrap();
        drop(say);
        answer
    };
    let (first, second) = timeout(LONG, join(first, second)).await.unwrap();
    refused(&second, 503, "image/locked");
    assert_eq!(first.0, StatusCode::ACCEPTED);
    // Whoever was cut off may come again.
    let id = site.id("y", 2 << 20).await;
    let (_say, body) = slow();
    let what = format!("POST /v1/uploads/{id}/image");
    let cut = timeout(
        Duration::from_millis(50),
        site.send_as(&site.write, &what, body),
    );
    assert!(cut.await.is_err());
    assert_eq!(site.finish(&id, index).await["state"], "lacking");
}

#[tokio::test]
async fn uploads_share_a_memory_that_has_an_end() {
    let site = Site::new();
    let (one, two, index) = image();
    let budget = &site.uploads.budget;
    let all = budget.left();
    let id = site.id("x", 2 << 20).await;
    let mut others = budget.share();
    others.hold(all - UNDER_WAY).unwrap();
    assert_eq!(
        site.put(&id, record(0, &one)).await.0,
        StatusCode::NO_CONTENT
    );
    let too_many = "repo/too-many-uploads";
    refused(&site.put(&id, record(1 << 20, &two)).await, 429, too_many);
    others.hold(all).unwrap();
    refused(&site.put(&id, Vec::new()).await, 429, too_many);
    let (what, beside) = (
        format!("POST /v1/uploads/{id}/image"),
        format!("PUT /v1/uploads/{id}/beside/.minisig"),
    );
    refused(&site.ask(&what, index.clone()).await, 429, too_many);
    refused(&site.ask(&beside, vec![1; 9]).await, 429, too_many);
    drop(others);
    assert_eq!(
        site.put(&id, record(1 << 20, &two)).await.0,
        StatusCode::NO_CONTENT
    );
    assert_eq!(
        site.ask(&beside, vec![1; 9]).await.0,
        StatusCode::NO_CONTENT
    );
    assert!(budget.left() < all);
    assert_eq!(site.finish(&id, index).await["state"], "done");
    assert_eq!(
        site.ask(&beside, vec![1; 9]).await.0,
        StatusCode::NO_CONTENT
    );
    assert_eq!(budget.left(), all, "of what is over nothing is kept");
}

#[tokio::test]
async fn of_uploads_that_are_over_a_number_is_known() {
    let site = Site::new();
    let all = site.uploads.budget.left();
    let mut ids = Vec::new();
    for _ in 0..KNOWN + 9 {
        let id = site.id("x", 4096).await;
        let beside = format!("PUT /v1/uploads/{id}/beside/.minisig");
        site.ask(&beside, vec![1; 99]).await;
        let state = site.finish(&id, b"no index at all".to_vec()).await;
        assert_eq!(state["state"], "failed");
        ids.push(id);
    }
    assert_eq!(site.uploads.sessions().len(), KNOWN);
    assert_eq!(site.uploads.budget.left(), all);
    let get = |id: &str| format!("GET /v1/uploads/{id}");
    refused(
        &site.ask(&get(&ids[0]), Vec::new()).await,
        404,
        "repo/no-upload",
    );
    let last = site.ask(&get(ids.last().unwrap()), Vec::new()).await;
    assert_eq!(last.0, StatusCode::OK);
}
