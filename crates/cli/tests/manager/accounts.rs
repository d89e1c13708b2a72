//! A manager whose account may not do all that it is asked for.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use azud_testkit::tools::{have, have_root};

use crate::kit::text;
use crate::server::{Room, refusal};
use crate::{MIB, image, noise};

/// Less than whoever waits for a manager waits.
const SOON: Duration = Duration::from_secs(8);

fn allow(path: &Path, mode: u32) -> Result<()> {
    Ok(fs::set_permissions(path, fs::Permissions::from_mode(mode))?)
}

#[test]
fn what_the_managers_account_may_not_do_is_told_at_once() -> Result<()> {
    if !have_root() || !have(&["setpriv"]) {
        return Ok(());
    }
    let room = Room::new()?;
    image(&room, "aula1/win.img", &noise(61, MIB))?;
    let there = room.images().join("aula1/win.img");
    let manager = room.serve_as_nobody()?;
    room.know_as(&manager, "write")?;
    let here = room.dir().join("here.img");
    let fetch = ["image", "copy", "REPO:aula1/win", text(&here), "--yes"];
    room.done(&fetch)?;
    fs::remove_file(&here)?;

    let refused = |args: &[&str], code: &str| {
        let begun = Instant::now();
        refusal(&room.run(args)?, code)?;
        ensure!(begun.elapsed() < SOON, "{code}: {:?}", begun.elapsed());
        Ok(())
    };
    allow(&there, 0o600)?;
    refused(&fetch, "repo/cannot-read")?;
    ensure!(!here.exists(), "something was made");
    allow(&there, 0o644)?;
    room.done(&fetch)?;
    let send = ["image", "copy", text(&here), "REPO:aula1/new", "--yes"];
    refused(&send, "repo/cannot-store")?;
    let remove = ["image", "rm", "REPO:aula1/win", "--yes"];
    refused(&remove, "repo/cannot-store")?;
    ensure!(there.exists(), "it was removed");
    Ok(())
}
