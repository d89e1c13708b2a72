//! Clients that are gone without a word: the cable is pulled, and no end of a connection ever comes.

use std::io::{Read, Write};
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use azud_testkit::cable::{Cable, Side};
use azud_testkit::tools::{have, have_root};

use crate::pressure::descriptors;
use crate::raw::bearer;
use crate::server::{Manager, Room};
use crate::{MIB, image, noise};

const PATIENCE: Duration = Duration::from_secs(6);
/// Of each kind.
const CLIENTS: usize = 6;

/// A connection over TLS from the other computer. What comes is read only when it is asked for.
struct Far(Child);

impl Far {
    fn to(room: &Room, manager: &Manager) -> Result<Self> {
        let cable = room.cable.as_ref().context("a cable")?;
        let mut command = cable.command(Side::Client, "openssl");
        let address = format!("{}:{}", Cable::SERVER, manager.port);
        command.args(["s_client", "-quiet", "-connect", &address]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        Ok(Self(command.stderr(Stdio::null()).spawn()?))
    }

    fn say(&mut self, text: &str) -> Result<()> {
        let to = self.0.stdin.as_mut().context("a pipe")?;
        to.write_all(text.as_bytes())?;
        Ok(to.flush()?)
    }

    /// The first bytes of an answer.
    fn hear(&mut self) -> Result<String> {
        let mut first = [0; 12];
        let from = self.0.stdout.as_mut().context("a pipe")?;
        from.read_exact(&mut first)?;
        Ok(String::from_utf8_lossy(&first).into_owned())
    }
}

impl Drop for Far {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn loop_who_vanishes_without_a_word_is_let_go() -> Result<()> {
    if !(have(&["ip", "tc", "openssl"]) && have_root()) {
        return Ok(());
    }
    let room = Room::over(Some(Cable::new(None)?))?;
    image(&room, "one.img", &noise(81, 32 * MIB))?;
    let patience = format!("{}s", PATIENCE.as_secs());
    let manager = room.serve_with(&["--patience", &patience])?;
    let before = descriptors(&manager)?;
    let shown = format!("Host: og\r\nAuthorization: {}\r\n", bearer(&manager.admin));
    let mut held = Vec::new();
    for number in 0..CLIENTS {
        // In the middle of an answer that nobody takes.
        let mut taking = Far::to(&room, &manager)?;
        taking.say(&format!("GET /v1/images/one HTTP/1.1\r\n{shown}\r\n"))?;
        ensure!(taking.hear()? == "HTTP/1.1 200", "no image");
        // With nothing under way.
        let mut idle = Far::to(&room, &manager)?;
        idle.say("GET /health HTTP/1.1\r\nHost: og\r\n\r\n")?;
        ensure!(idle.hear()? == "HTTP/1.1 200", "no health");
        // In the middle of what it sends. The answer comes before the body does.
        let mut sending = Far::to(&room, &manager)?;
        let opening = format!(r#"{{"name":"new{number}","bytes":9,"sender":"s"}}"#);
        let head = format!(
            "Content-Type: application/json\r\nContent-Length: {}\r\n",
            opening.len()
        );
        sending.say(&format!(
            "POST /v1/uploads HTTP/1.1\r\n{shown}{head}\r\n{}",
            &opening[..9]
        ))?;
        held.extend([taking, idle, sending]);
    }
    // All of them are connected before the cable is pulled.
    let begun = Instant::now();
    while descriptors(&manager)? < before + 3 * CLIENTS {
        ensure!(begun.elapsed() < PATIENCE, "they did not all come");
        sleep(Duration::from_millis(10));
    }
    room.cable.as_ref().context("a cable")?.plug(false)?;
    drop(held);
    let pulled = Instant::now();
    while descriptors(&manager)? > before + 2 {
        ensure!(
            pulled.elapsed() < 2 * PATIENCE,
            "{} descriptors instead of {before}",
            descriptors(&manager)?
        );
        sleep(Duration::from_millis(50));
    }
    Ok(())
}
