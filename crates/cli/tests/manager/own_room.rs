//! Whose room is shown: that of the manager on this computer, or of another one.

use std::fs;

use anyhow::{Result, ensure};
use serde_json::json;

use crate::kit::text;
use crate::reports::{computer, look_after};
use crate::server::{Room, refusal};
use crate::{MIB, image, noise};

#[test]
fn the_manager_s_own_computer_shows_its_room_before_anybody_has_reported() -> Result<()> {
    let room = Room::new()?;
    let config = room.dir().join("etc/azud.toml");
    let set = |site: &str| fs::write(&config, site);
    for (site, code) in [
        ("", "place/no-manager"),
        ("serving = true\n", "server/no-state"),
        ("manager = '127.0.0.1'\n", "repo/unknown"),
    ] {
        set(site)?;
        refusal(&room.run(&["room", "status"])?, code)?;
    }
    let manager = room.serve()?;
    for site in [
        "",
        "serving = true\n",
        "manager = '127.0.0.1'\n",
        "manager = '127.0.0.1'\nserving = true\n",
    ] {
        set(site)?;
        let none = room.done(&["room", "status"])?;
        ensure!(none["computers"] == json!([]), "{site}: {none}");
    }
    drop(manager);
    Ok(())
}

#[test]
fn the_room_of_a_cache_is_not_taken_for_that_of_the_manager() -> Result<()> {
    let room = Room::new()?;
    let manager = look_after(&room)?;
    image(&room, "one.img", &noise(68, MIB))?;
    let to = room.dir().join("to.img");
    room.done(&["image", "copy", "REPO:one", text(&to), "--yes"])?;
    computer(&room)?;
    // It writes down all that it knows at its end.
    drop(manager);
    // The same state, as of a computer whose manager is another one, to which nobody has introduced it.
    let site = "manager = '203.0.113.9'\n";
    fs::write(room.dir().join("etc/azud.toml"), site)?;
    refusal(&room.run(&["room", "status"])?, "repo/unknown")?;
    let here = room.done(&["room", "status", "--state", text(&room.state())])?;
    ensure!(
        here["computers"].as_array().map(Vec::len) == Some(1),
        "{here}"
    );
    Ok(())
}
