//! The power of the manager goes while an image is sent to it.

use std::path::Path;
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::Duration;

use anyhow::Result;
use azud_testkit::forgetful::Forgetful;
use azud_testkit::tools::have_root;

use super::{Lab, cut};
use crate::kit::text;
use crate::server::{Manager, Room};

/// A manager of what is on a medium, and a client that may write.
fn serve(room: &Room, medium: &Path) -> Result<Manager> {
    let manager = room.serve_bare(&["--images", text(medium)])?;
    room.know_as(&manager, "write")?;
    Ok(manager)
}

fn send(room: &Room, lab: &Lab) -> Result<Child> {
    let from = lab.path("new.img");
    let mut command = room.command(&["image", "copy", text(&from), "REPO:aula", "--yes"]);
    let command = command.stdout(Stdio::null()).stderr(Stdio::null());
    Ok(command.spawn()?)
}

/// Whether the client says that it is done. It would wait a while for a manager whose disk fails; nobody waits
/// for a computer without power.
fn is_done(mut client: Child, computer: &Forgetful) -> Result<bool> {
    let mut patience = 40;
    loop {
        if let Some(status) = client.try_wait()? {
            return Ok(status.success());
        }
        if patience == 0 {
            client.kill()?;
            client.wait()?;
            return Ok(false);
        }
        patience -= u32::from(computer.is_cut());
        sleep(Duration::from_millis(50));
    }
}

#[test]
fn stress_an_image_that_is_sent_while_the_power_goes_is_the_old_or_the_new() -> Result<()> {
    if !have_root() {
        return Ok(());
    }
    let lab = Lab::new()?;
    let room = Room::new()?;
    cut(&lab, (54, false), |computer| {
        let manager = serve(&room, computer.path())?;
        let done = is_done(send(&room, &lab)?, computer)?;
        manager.kill()?;
        Ok(done)
    })
}
