//! Programs that know nothing of Azud and fetch images by HTTP alone: a part of another image is never mixed in.

use anyhow::{Context, Result, ensure};

use crate::raw::{Head, Line, bearer};
use crate::server::Room;
use crate::{MIB, image, noise};

#[test]
fn a_download_goes_on_with_the_same_image_alone() -> Result<()> {
    let room = Room::new()?;
    image(&room, "one.img", &noise(911, MIB))?;
    let manager = room.serve()?;
    let (line, bearer) = (Line::to(&room, &manager)?, bearer(&manager.admin));
    let get = |path: &str, more: &[(&str, &str)]| {
        let token = [("Authorization", bearer.as_str())];
        line.get(path, &[&token[..], more].concat())
    };
    let path = "/v1/images/one";
    let tag = |head: &Head| head.fields.get("etag").cloned().context("a tag");
    let (head, first) = get(path, &[])?;
    let before = tag(&head)?;
    let rest = [("Range", "bytes=1000-"), ("If-Range", before.as_str())];
    let (head, body) = get(path, &rest)?;
    ensure!(head.status == 206 && body == first[1000..], "{head:?}");
    image(&room, "one.img", &noise(912, MIB))?;
    let (head, second) = get(path, &rest)?;
    ensure!(head.status == 200 && tag(&head)? != before, "{head:?}");
    ensure!(second.len() as u64 == std::fs::metadata(room.images().join("one.img"))?.len());
    // Both are still there for who says which he means.
    let after = tag(&head)?;
    for (meant, whole) in [
        (format!("\"x\", {before}"), &first),
        (format!("{after}, \"x\""), &second),
    ] {
        let (head, body) = get(path, &[("If-Match", &meant)])?;
        ensure!(head.status == 200 && body == **whole, "{meant}: {head:?}");
        let (head, _) = get(&format!("{path}/index"), &[("If-Match", &meant)])?;
        ensure!(
            head.status == 200 && meant.contains(&tag(&head)?),
            "{head:?}"
        );
    }
    for path in [path, "/v1/images/one/index"] {
        let (head, _) = get(path, &[("If-Match", "\"x\"")])?;
        ensure!(head.status == 412, "{path}: {head:?}");
    }
    Ok(())
}

#[test]
fn a_part_that_is_not_there_is_told_with_the_size() -> Result<()> {
    let room = Room::new()?;
    image(&room, "one.img", &noise(913, MIB))?;
    let manager = room.serve()?;
    let (line, bearer) = (Line::to(&room, &manager)?, bearer(&manager.admin));
    let size = std::fs::metadata(room.images().join("one.img"))?.len();
    for (range, status, said) in [
        ("bytes=99999999-", 416, Some(format!("bytes */{size}"))),
        (
            "bytes=0-18446744073709551615",
            206,
            Some(format!("bytes 0-{}/{size}", size - 1)),
        ),
        ("lines=0-9", 200, None),
    ] {
        let fields = [("Authorization", bearer.as_str()), ("Range", range)];
        let (head, _) = line.get("/v1/images/one", &fields)?;
        let told = head.fields.get("content-range").cloned();
        ensure!(head.status == status && told == said, "{range}: {head:?}");
    }
    Ok(())
}

#[test]
fn nobody_removes_another_image_than_he_means() -> Result<()> {
    let room = Room::new()?;
    image(&room, "one.img", &noise(914, MIB))?;
    let manager = room.serve()?;
    let (line, bearer) = (Line::to(&room, &manager)?, bearer(&manager.admin));
    let remove = |meant: &str| {
        let mut raw = line.connect()?;
        let fields = [("Authorization", bearer.as_str()), ("If-Match", meant)];
        raw.begin("DELETE /v1/images/one", &fields)?;
        raw.head()
    };
    let fields = [("Authorization", bearer.as_str())];
    let (head, _) = line.get("/v1/images/one/index", &fields)?;
    let tag = head.fields.get("etag").context("a tag")?;
    image(&room, "one.img", &noise(915, MIB))?;
    let head = remove(tag)?;
    ensure!(head.status == 412, "{head:?}");
    let (head, _) = line.get("/v1/images/one/index", &fields)?;
    let tag = head.fields.get("etag").context("a tag")?;
    let head = remove(&format!("\"x\", {tag}"))?;
    ensure!(head.status == 204, "{head:?}");
    Ok(())
}
