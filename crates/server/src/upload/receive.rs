//! Pieces as they come in the body of a request: checked and written without waiting for the last byte.

use axum::body::Bytes;
use axum::http::StatusCode;
use azud_core::code::Code;
use azud_core::upload::{RECORD_LEN, decode};
use azud_store::StoreError;
use azud_store::assembly::Inbox;
use tokio::sync::mpsc::Receiver;

use super::AGAIN;
use super::session::Session;
use crate::problem::Problem;

/// A body, in the thread that may block.
struct Chunks {
    coming: Receiver<Bytes>,
    rest: Bytes,
}

impl Chunks {
    /// Some of the next bytes, `most` at most; `None` at the end.
    fn next(&mut self, most: u64) -> Option<Bytes> {
        while self.rest.is_empty() {
            self.rest = self.coming.blocking_recv()?;
        }
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        Some(self.rest.split_to(self.rest.len().min(most)))
    }

    /// The next record; `None` at the end.
    fn record(&mut self) -> Result<Option<[u8; RECORD_LEN]>, Problem> {
        let (mut record, mut filled) = ([0; RECORD_LEN], 0);
        while filled < RECORD_LEN {
            match self.next((RECORD_LEN - filled) as u64) {
                Some(bytes) => {
                    record[filled..filled + bytes.len()].copy_from_slice(&bytes);
                    filled += bytes.len();
                }
                None if filled == 0 => return Ok(None),
                None => return Err(cut_off()),
            }
        }
        Ok(Some(record))
    }
}

fn cut_off() -> Problem {
    let text = "it ends within a piece";
    Problem::new(StatusCode::BAD_REQUEST, Code::BadUpload, text)
}

/// What the store says of a piece.
fn refused(error: StoreError) -> Problem {
    let status = match &error {
        StoreError::BadUpload { .. } | StoreError::BadPiece { .. } => StatusCode::BAD_REQUEST,
        StoreError::Coming(_) => StatusCode::SERVICE_UNAVAILABLE,
        _ => return error.into(),
    };
    Problem::of_store(status, Code::BadUpload, &error).retry_after(AGAIN)
}

/// Takes pieces until the body ends.
pub(super) fn receive(session: &Session, coming: Receiver<Bytes>) -> Result<(), Problem> {
    let busy =
        |status, code| Problem::new(status, code, "it is being put together").retry_after(AGAIN);
    let held = session
        .inbox
        .try_read()
        .map_err(|_| busy(StatusCode::SERVICE_UNAVAILABLE, Code::Locked))?;
    let inbox = held
        .as_ref()
        .ok_or_else(|| busy(StatusCode::CONFLICT, Code::NoUpload))?;
    let rest = Bytes::new();
    let mut chunks = Chunks { coming, rest };
    while let Some(record) = chunks.record()? {
        session.touch();
        take(inbox, &record, &mut chunks)?;
    }
    Ok(())
}

fn take(inbox: &Inbox, record: &[u8; RECORD_LEN], chunks: &mut Chunks) -> Result<(), Problem> {
    let piece = decode(record).map_err(|error| {
        Problem::new(StatusCode::BAD_REQUEST, Code::BadUpload, error.to_string())
    })?;
    let Some(mut incoming) = inbox.begin(piece).map_err(refused)? else {
        let mut left = u64::from(piece.len);
        while left > 0 {
            left -= chunks.next(left).ok_or_else(cut_off)?.len() as u64;
        }
        return Ok(());
    };
    while incoming.left() > 0 {
        let bytes = chunks.next(incoming.left()).ok_or_else(cut_off)?;
        incoming.write(&bytes)?;
    }
    incoming.finish().map_err(refused)
}
