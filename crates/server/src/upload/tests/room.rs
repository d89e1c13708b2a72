//! Room that was set aside for what does not come.

use std::fs::{File, read_dir};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::PathBuf;

use axum::http::StatusCode;
use azud_core::format::ranges::RangeIndex;

use super::{Site, image, record, refused};

const BYTES: u64 = 16 << 20;

impl Site {
    /// The file of the image that is sent as `x`, as long as it is not whole.
    fn begun(&self) -> Option<PathBuf> {
        let names = read_dir(self.images()).unwrap();
        let mut paths = names.map(|name| name.unwrap().path());
        let stage = paths.find(|path| path.display().to_string().contains(".azud-assembly-"))?;
        Some(stage.join("x.img"))
    }

    /// What it takes on the medium.
    fn taken(&self) -> u64 {
        let begun = self.begun();
        begun.map_or(0, |file| file.metadata().unwrap().blocks() * 512)
    }

    async fn begin_with(&self, pieces: &[Vec<u8>]) -> String {
        let id = self.id("x", BYTES).await;
        assert!(self.taken() >= BYTES, "set aside");
        let sent = self.put(&id, pieces.concat()).await;
        assert_eq!(sent.0, StatusCode::NO_CONTENT);
        id
    }
}

#[tokio::test]
async fn an_upload_that_fails_gives_it_back_at_once() {
    let site = Site::new();
    let (one, two, index) = image();
    let pieces = [record(0, &one), record(1 << 20, &two)];
    let id = site.begin_with(&pieces[..1]).await;
    let close = format!("DELETE /v1/uploads/{id}");
    let closed = site.ask(&close, Vec::new()).await;
    assert_eq!(closed.0, StatusCode::NO_CONTENT);
    let mut others = site.uploads.budget.share();
    // Enough for its words, and not for its table.
    others.hold(site.uploads.budget.left() - 60).unwrap();
    refused(&site.open("x", BYTES).await, 429, "repo/too-many-uploads");
    assert!(site.taken() < BYTES / 2, "no memory for it");
    drop(others);

    let id = site.begin_with(&pieces[..1]).await;
    let size = BYTES + 1;
    let hashes = vec![[0; 32]; 17];
    let larger = RangeIndex { size, hashes }.encode();
    assert_eq!(site.finish(&id, larger).await["code"], "repo/bad-upload");
    assert!(site.taken() < BYTES / 2, "larger than was said");

    let id = site.begin_with(&pieces).await;
    let file = File::options().write(true).open(site.begun().unwrap());
    file.unwrap().write_all_at(b"damage", 7).unwrap();
    assert_eq!(site.finish(&id, index).await["state"], "failed");
    assert_eq!(site.taken(), 0, "nothing is known of it any more");
}
