//! Pieces that are asked for before they are sent.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use axum::http::StatusCode;
use azud_core::format::container::ending;
use azud_core::format::index::{Frame, Index};
use azud_core::upload::{MAX_ASKED, RECORD_LEN};
use serde_json::{Value, json};

use super::{Answer, Site, record, refused};
use crate::token::Role;

const PART: usize = 100_000;

/// A native image of frames that are full of these bytes: the frames, and what follows them.
fn native(fills: &[u8]) -> (Vec<Vec<u8>>, Vec<u8>) {
    let parts: Vec<Vec<u8>> = fills.iter().map(|fill| vec![*fill; PART]).collect();
    let frame = |part: &Vec<u8>| Frame {
        compressed_len: u32::try_from(part.len()).unwrap(),
        content_len: u32::try_from(part.len()).unwrap(),
        compressed_hash: *blake3::hash(part).as_bytes(),
        content_hash: *blake3::hash(part).as_bytes(),
    };
    let index = Index {
        frames: parts.iter().map(frame).collect(),
        ..Index::default()
    };
    (parts, ending(&index).0)
}

/// Records of frames at their places, without their bytes.
fn records(fills: &[u8]) -> Vec<u8> {
    let (parts, _) = native(fills);
    let records = parts.iter().enumerate();
    let records = records.map(|(number, part)| record((number * PART) as u64, part));
    records.flat_map(|one| one[..RECORD_LEN].to_vec()).collect()
}

impl Site {
    /// Makes an image that is there.
    fn has(&self, name: &str, fills: &[u8]) {
        let (parts, ending) = native(fills);
        let path = self.images().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, [parts.concat(), ending].concat()).unwrap();
    }

    async fn ask_for(&self, token: &str, id: &str, records: Vec<u8>) -> Answer {
        let what = format!("POST /v1/uploads/{id}/pieces");
        self.ask_as(token, &what, records).await
    }

    /// What is still to be sent of frames; whether it is of no use to ask again.
    async fn lacks(&self, token: &str, id: &str, fills: &[u8]) -> (Value, bool) {
        let (status, mut said) = self.ask_for(token, id, records(fills)).await;
        assert_eq!(status, StatusCode::OK, "{said}");
        (said["lacking"].take(), said["in_vain"].as_bool().unwrap())
    }
}

#[tokio::test]
async fn what_images_have_need_not_be_sent() {
    let site = Site::new();
    site.has("a/x.img", &[1, 2, 3]);
    site.has("b/y.img", &[9, 4]);
    let wanted = [3, 4, 5, 1, 6, 7];
    let id = site.id("a/new", 1 << 20).await;
    let write = site.write.clone();
    let lacks = site.lacks(&write, &id, &wanted).await;
    assert_eq!(lacks, (json!([[2, 1], [4, 2]]), false));
    // They are at their places by now: images may go.
    std::fs::remove_dir_all(site.images().join("b")).unwrap();
    std::fs::remove_file(site.images().join("a/x.img")).unwrap();
    let again = site.lacks(&write, &id, &wanted).await;
    assert_eq!(again, lacks);
    let (parts, ending) = native(&wanted);
    let sent = [2, 4, 5].map(|number| record((number * PART) as u64, &parts[number]));
    assert_eq!(site.put(&id, sent.concat()).await.0, StatusCode::NO_CONTENT);
    let state = site.finish(&id, ending.clone()).await;
    assert_eq!(state["state"], "done", "{state}");
    assert_eq!(state["held"], 3 * PART, "{state}");
    let there = std::fs::read(site.images().join("a/new.img")).unwrap();
    assert!(there == [parts.concat(), ending].concat(), "other bytes");
}

#[tokio::test]
async fn bytes_that_are_no_more_what_they_were_are_to_be_sent() {
    let site = Site::new();
    site.has("a/x.img", &[1, 2, 3]);
    site.has("a/y.img", &[2]);
    let id = site.id("a/new", 1 << 20).await;
    let path = site.images().join("a/x.img");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[..2 * PART].fill(0);
    std::fs::write(&path, bytes).unwrap();
    let write = site.write.clone();
    let lacks = site.lacks(&write, &id, &[1, 2, 3]).await;
    assert_eq!(
        lacks,
        (json!([[0, 1]]), false),
        "another image has the second"
    );
    // Those that were looked into are others by now, or gone.
    site.has("a/x.img", &[8, 8, 8, 8]);
    std::fs::remove_file(site.images().join("a/y.img")).unwrap();
    let id = {
        let body = json!({ "name": "a/new", "bytes": 1 << 20, "sender": "t", "instead_of": "s" });
        let (_, opened) = site.ask("POST /v1/uploads", body.to_string().into()).await;
        opened["id"].as_str().unwrap().to_owned()
    };
    assert_eq!(site.lacks(&write, &id, &[8]).await.0, json!([]));
    site.has("a/x.img", &[8, 9, 9]);
    assert_eq!(site.lacks(&write, &id, &[8, 8, 8]).await.0, json!([]));
    std::fs::remove_file(&path).unwrap();
    let lacks = site.lacks(&write, &id, &[8, 8, 8, 8]).await;
    assert_eq!(lacks, (json!([[3, 1]]), false));
}

#[tokio::test]
async fn images_that_a_token_does_not_see_give_it_nothing() {
    let site = Site::new();
    site.has("a/x.img", &[1, 2, 3]);
    let bound = site.token(Role::Write, "b/*");
    let open = async |name: &str| {
        let body = json!({ "name": name, "bytes": 1 << 20, "sender": "s" });
        let (_, opened) = site
            .ask_as(&bound, "POST /v1/uploads", body.to_string().into())
            .await;
        opened["id"].as_str().unwrap().to_owned()
    };
    let id = open("b/x").await;
    let lacks = site.lacks(&bound, &id, &[1, 2, 3]).await;
    assert_eq!(lacks, (json!([[0, 3]]), true));
    site.has("b/own.img", &[2]);
    let id = open("b/y").await;
    let lacks = site.lacks(&bound, &id, &[1, 2, 3]).await;
    assert_eq!(lacks, (json!([[0, 1], [2, 1]]), false));
}

#[tokio::test]
async fn regression_who_takes_pieces_over_keeps_nobody_from_asking() {
    let site = Site::new();
    site.has("x.img", &[1, 2]);
    let write = site.write.clone();
    let id = site.id("y", 1 << 20).await;
    assert_eq!(site.lacks(&write, &id, &[9]).await.0, json!([[0, 1]]));
    let session = site.uploads.find(&id).ok().unwrap();
    let reading = {
        let held_up = session.hold_up();
        let reading = Arc::clone(&session);
        let reading = thread::spawn(move || reading.take_over(&records(&[1])).is_ok());
        while session.taken_over() == 0 && !reading.is_finished() {
            thread::sleep(Duration::from_millis(1));
        }
        assert!(session.has_looked(), "nobody looks again meanwhile");
        drop(held_up);
        reading
    };
    assert!(reading.join().unwrap());
}

#[tokio::test]
async fn what_is_no_question_is_refused() {
    let site = Site::new();
    site.has("x.img", &[1, 2]);
    let id = site.id("y", 32 << 20).await;
    let write = site.write.clone();
    let (part, long) = (vec![1; PART], vec![0; 16 << 20]);
    let beyond = record(32 << 20, &part)[..RECORD_LEN].to_vec();
    let cases: [(&str, Vec<u8>); 5] = [
        ("cut off in a record", records(&[1])[..20].to_vec()),
        ("with bytes behind it", record(0, &part)),
        ("beyond what was said", beyond),
        (
            "more bytes at once than are sent",
            record(0, &long)[..RECORD_LEN].repeat(5),
        ),
        (
            "more than are asked for at once",
            record(0, &[7])[..RECORD_LEN].repeat(MAX_ASKED + 1),
        ),
    ];
    for (case, body) in cases {
        let answer = site.ask_for(&write, &id, body).await;
        assert_eq!(answer.1["code"], "repo/bad-upload", "{case}: {}", answer.1);
        assert_eq!(answer.0, StatusCode::BAD_REQUEST, "{case}");
    }
    assert_eq!(site.lacks(&write, &id, &[1, 2]).await, (json!([]), false));
    let over = record(5, &part)[..RECORD_LEN].to_vec();
    refused(
        &site.ask_for(&write, &id, over).await,
        400,
        "repo/bad-upload",
    );
    let answer = site.ask_for(&write, "0", records(&[1])).await;
    refused(&answer, 404, "repo/no-upload");
    let answer = site.ask_for(&site.read, &id, records(&[1])).await;
    refused(&answer, 403, "repo/not-allowed");
}

#[tokio::test]
async fn where_there_is_no_memory_for_looking_all_is_sent() {
    let site = Site::new();
    site.has("x.img", &[1, 2]);
    let write = site.write.clone();
    let mut all = site.uploads.lookups.share();
    all.hold(site.uploads.lookups.left()).unwrap();
    let id = site.id("y", 1 << 20).await;
    let lacks = site.lacks(&write, &id, &[1, 2]).await;
    assert_eq!(lacks, (json!([[0, 2]]), true));
    drop(all);
    let before = site.uploads.lookups.left();
    let id = site.id("z", 1 << 20).await;
    assert_eq!(site.lacks(&write, &id, &[1, 2]).await, (json!([]), false));
    assert!(site.uploads.lookups.left() < before, "it costs something");
    site.ask(&format!("DELETE /v1/uploads/{id}"), Vec::new())
        .await;
    assert_eq!(site.uploads.lookups.left(), before, "and no longer");
}

#[tokio::test]
async fn what_was_sent_into_a_folder_that_goes_is_told_as_that() {
    let site = Site::new();
    let (parts, ending) = native(&[1]);
    let send = async || {
        let id = site.id("aula10/z", 1 << 20).await;
        let sent = site.put(&id, record(0, &parts[0])).await;
        assert_eq!(sent.0, StatusCode::NO_CONTENT);
        id
    };
    let id = send().await;
    std::fs::remove_dir_all(site.images().join("aula10")).unwrap();
    let state = site.finish(&id, ending.clone()).await;
    assert_eq!(state["code"], "repo/no-upload", "{state}");
    let detail = "what was sent of aula10/z.img is not there any more";
    assert_eq!(state["detail"], detail);
    // The same again makes the folder anew.
    let id = send().await;
    let state = site.finish(&id, ending).await;
    assert_eq!(state["state"], "done", "{state}");
}
