//! What somebody whose token is bound to images learns and does by way of an upload.

use std::time::Duration;

use axum::http::StatusCode;
use azud_core::format::ranges::RangeIndex;
use azud_store::retention::{Retention, trashed};
use serde_json::{Value, json};

use super::{Site, record, refused};
use crate::token::{Bounds, Role, Tokens};

impl Site {
    pub(super) fn token(&self, role: Role, images: &str) -> String {
        let bounds = Bounds {
            images: vec![images.parse().unwrap()],
            ..Bounds::default()
        };
        let made = Tokens::in_dir(self.dir.path()).create(role, "", bounds, 0);
        made.unwrap().1.text().to_owned()
    }

    /// What its plan says of former versions that go: their images.
    async fn planned(&self, token: &str, name: &str) -> Vec<Value> {
        let body = json!({ "name": name, "bytes": 5000, "sender": "s", "rehearsal": true });
        let body = body.to_string().into();
        let (status, said) = self.ask_as(token, "POST /v1/uploads", body).await;
        assert_eq!(status, StatusCode::OK, "{said}");
        let purges = said["purges"].as_array().into_iter().flatten();
        purges.map(|purge| purge["image"].clone()).collect()
    }

    /// Sends a version; bytes that went for good by that.
    async fn send(&self, token: &str, name: &str, fill: u8) -> u64 {
        let bytes = vec![fill; 5000];
        let index = RangeIndex {
            size: bytes.len() as u64,
            hashes: vec![*blake3::hash(&bytes).as_bytes()],
        };
        let body = json!({ "name": name, "bytes": 5000, "sender": "s" });
        let body = body.to_string().into();
        let (_, opened) = self.ask_as(token, "POST /v1/uploads", body).await;
        let id = opened["id"].as_str().unwrap();
        let pieces = format!("PUT /v1/uploads/{id}/pieces");
        self.ask_as(token, &pieces, record(0, &bytes)).await;
        let image = format!("POST /v1/uploads/{id}/image");
        self.ask_as(token, &image, index.encode()).await;
        loop {
            let state = format!("GET /v1/uploads/{id}");
            let (_, state) = self.ask_as(token, &state, Vec::new()).await;
            if state["state"] != "working" {
                assert_eq!(state["state"], "done", "{state}");
                return state["purged"].as_u64().unwrap();
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

#[tokio::test]
async fn former_versions_of_others_are_neither_told_nor_sent_away() {
    let site = Site::keeping(Retention {
        max_age: Duration::ZERO,
        max_bytes: Some(0),
        keep: 1,
    });
    let mine = site.token(Role::Write, "a/mine*");
    let all = site.write.clone();
    site.send(&all, "a/secret", 1).await;
    let removed = site.ask("DELETE /v1/images/a%2Fsecret", Vec::new()).await;
    assert_eq!(removed.0, StatusCode::NO_CONTENT);
    for fill in 2..4 {
        assert_eq!(site.planned(&mine, "a/mine").await, Vec::<Value>::new());
        assert_eq!(site.send(&mine, "a/mine", fill).await, 0);
    }
    assert_eq!(site.planned(&mine, "a/mine").await, ["mine.img"]);
    assert!(site.send(&mine, "a/mine", 4).await > 5000, "its own");
    let left = || -> Vec<String> {
        let left = trashed(&site.images().join("a")).unwrap();
        left.into_iter().map(|version| version.image).collect()
    };
    assert_eq!(left(), ["mine.img", "secret.img"]);
    assert_eq!(site.planned(&all, "a/new").await, ["secret.img"]);
    assert!(site.send(&all, "a/new", 5).await > 5000);
    assert_eq!(left(), ["mine.img"]);
}

#[tokio::test]
async fn a_name_in_another_case_is_told_to_who_is_bound_to_none() {
    let site = Site::new();
    site.send(&site.write.clone(), "a/winSECRET", 1).await;
    let bound = site.token(Role::Write, "a/winsecret");
    let opening = json!({ "name": "a/winsecret", "bytes": 5000, "sender": "s" });
    let opening = opening.to_string().into_bytes();
    for (what, body) in [
        ("GET /v1/images/a%2Fwinsecret", Vec::new()),
        ("DELETE /v1/images/a%2Fwinsecret", Vec::new()),
        ("POST /v1/uploads", opening),
    ] {
        let answer = site.ask_as(&bound, what, body.clone()).await;
        refused(&answer, 409, "image/case-twin");
        let detail = answer.1["detail"].as_str().unwrap();
        assert!(!answer.1.to_string().contains("SECRET"), "{what}: {detail}");
        assert!(detail.contains("a/winsecret.img"), "{what}: {detail}");
        let answer = site.ask(what, body).await;
        refused(&answer, 409, "image/case-twin");
        assert!(answer.1.to_string().contains("winSECRET.img"), "{what}");
    }
}

#[tokio::test]
async fn figures_of_all_are_not_for_who_is_bound() {
    let site = Site::new();
    let bound = site.token(Role::Read, "a/*");
    let answer = site.ask_as(&bound, "GET /metrics", Vec::new()).await;
    refused(&answer, 403, "repo/not-allowed");
    let (status, _) = site.ask_as(&site.read, "GET /metrics", Vec::new()).await;
    assert_eq!(status, StatusCode::OK);
}
