//! What computers tell a manager of their work, and what it tells of them.

use std::io::Read;
use std::time::Duration;

use azud_core::report::Report;
use azud_core::room::Shown;
use serde::Deserialize;

use super::Client;
use crate::error::Result;

/// A report that takes longer is given up: the next one knows more.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest answer that is taken: the most computers with the longest texts, all of them quotation marks.
const MAX_ROOM: u64 = 128 << 20;

#[derive(Deserialize)]
struct Room {
    computers: Vec<Shown>,
}

impl Client {
    /// Tells the manager of this computer's work. It takes seconds at most.
    ///
    /// # Errors
    /// What keeps the manager from taking it.
    pub fn report(&self, report: &Report) -> Result<()> {
        let body = serde_json::to_vec(report).expect("our own types serialise");
        let response = self.post_parting("/v1/reports", &body, PATIENCE)?;
        // To the end, so that the connection can be used again.
        let mut rest = response.into_body().into_reader().take(1);
        let _ = rest.read(&mut [0]);
        Ok(())
    }

    /// Asks how the computers of the room are.
    ///
    /// # Errors
    /// What the manager says, or what is wrong with its answer.
    pub fn room(&self) -> Result<Vec<Shown>> {
        let response = self.get("/v1/room", &[], "room")?;
        let mut text = Vec::new();
        let body = response.into_body().into_reader();
        let read = body.take(MAX_ROOM).read_to_end(&mut text);
        read.map_err(|error| self.broken(error))?;
        let room: Room = serde_json::from_slice(&text)
            .map_err(|_| self.protocol("a list of computers that is none"))?;
        // Whatever the manager let pass is shown on a terminal here.
        let fit = |shown: &Shown| shown.computer.report.check().is_ok();
        Ok(room.computers.into_iter().filter(fit).collect())
    }
}
