//! Pieces as they come in the body of a request: checked and written without waiting for the last byte. While none
//! comes nobody waits for it but the request itself.

use std::sync::Arc;

use axum::body::Bytes;
use axum::http::StatusCode;
use azud_core::assembly::Piece;
use azud_core::code::Code;
use azud_core::upload::{MAX_BATCH, RECORD_LEN, decode};
use azud_store::StoreError;
use azud_store::assembly::{Inbox, Incoming};
use tokio::sync::mpsc::Receiver;

use super::AGAIN;
use super::session::Session;
use crate::problem::Problem;
use crate::routes::about;

/// A body, as far as it came.
#[derive(Debug, Default)]
struct Taking {
    /// The next record, as far as it came.
    record: Vec<u8>,
    piece: Option<Coming>,
}

/// What comes behind a record.
#[derive(Debug)]
enum Coming {
    New(Box<Incoming>),
    /// So many bytes that are here already.
    Known(u64),
}

impl Coming {
    fn left(&self) -> u64 {
        match self {
            Self::New(incoming) => incoming.left(),
            Self::Known(left) => *left,
        }
    }
}

impl Taking {
    /// Takes the next bytes.
    fn take(&mut self, session: &Session, bytes: &Bytes) -> Result<(), Problem> {
        let held = session.try_inbox()?;
        let inbox = there(held.as_ref())?;
        session.hold_table_of(inbox)?;
        session.came(bytes.len());
        let mut bytes = &bytes[..];
        while !bytes.is_empty() {
            bytes = self.some(inbox, bytes)?;
        }
        Ok(())
    }

    /// Takes some of the bytes; those that are left.
    fn some<'a>(&mut self, inbox: &Inbox, bytes: &'a [u8]) -> Result<&'a [u8], Problem> {
        let Some(mut piece) = self.piece.take() else {
            let (some, rest) = split(bytes, (RECORD_LEN - self.record.len()) as u64);
            self.record.extend_from_slice(some);
            if let Ok(record) = <&[u8; RECORD_LEN]>::try_from(&self.record[..]) {
                self.piece = Some(begin(inbox, record)?);
                self.record.clear();
            }
            return Ok(rest);
        };
        let (some, rest) = split(bytes, piece.left());
        match &mut piece {
            Coming::New(incoming) => inbox.write(incoming, some).map_err(refused)?,
            Coming::Known(left) => *left -= some.len() as u64,
        }
        match piece {
            Coming::New(incoming) if incoming.left() == 0 => {
                inbox.finish(&incoming).map_err(refused)?;
            }
            Coming::Known(0) => {}
            piece => self.piece = Some(piece),
        }
        Ok(rest)
    }

    /// There is no more.
    fn end(&self) -> Result<(), Problem> {
        if self.record.is_empty() && self.piece.is_none() {
            return Ok(());
        }
        let text = "it ends within a piece";
        Err(Problem::new(StatusCode::BAD_REQUEST, Code::BadUpload, text))
    }
}

fn split(bytes: &[u8], most: u64) -> (&[u8], &[u8]) {
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    bytes.split_at(bytes.len().min(most))
}

/// The inbox, if it can still take something.
pub(super) fn there(held: Option<&Inbox>) -> Result<&Inbox, Problem> {
    held.ok_or_else(|| busy(StatusCode::CONFLICT, Code::NoUpload))
}

pub(super) fn busy(status: StatusCode, code: Code) -> Problem {
    Problem::new(status, code, "it is being put together").retry_after(AGAIN)
}

fn understood(record: &[u8; RECORD_LEN]) -> Result<Piece, Problem> {
    decode(record)
        .map_err(|error| Problem::new(StatusCode::BAD_REQUEST, Code::BadUpload, error.to_string()))
}

/// The pieces that records without their bytes ask for.
pub(super) fn asked(records: &[u8]) -> Result<Vec<Piece>, Problem> {
    let bad = |text| Problem::new(StatusCode::BAD_REQUEST, Code::BadUpload, text);
    let (records, rest) = records.as_chunks::<RECORD_LEN>();
    if !rest.is_empty() {
        return Err(bad("it ends within a record"));
    }
    let pieces: Vec<Piece> = records.iter().map(understood).collect::<Result<_, _>>()?;
    let bytes: u64 = pieces.iter().map(|piece| u64::from(piece.len)).sum();
    if bytes > MAX_BATCH {
        return Err(bad("so much at once is not looked for"));
    }
    Ok(pieces)
}

fn begin(inbox: &Inbox, record: &[u8; RECORD_LEN]) -> Result<Coming, Problem> {
    let piece = understood(record)?;
    let begun = inbox.begin(piece).map_err(refused)?;
    let new = |incoming| Coming::New(Box::new(incoming));
    Ok(begun.map_or(Coming::Known(piece.len.into()), new))
}

/// What the store says of a piece.
pub(super) fn refused(error: StoreError) -> Problem {
    let status = match &error {
        StoreError::BadUpload { .. } | StoreError::BadPiece { .. } => StatusCode::BAD_REQUEST,
        StoreError::Coming(_) => StatusCode::SERVICE_UNAVAILABLE,
        _ => return error.into(),
    };
    Problem::of_store(status, Code::BadUpload, &error).retry_after(AGAIN)
}

/// Takes pieces until the body ends.
pub(super) async fn receive(
    session: Arc<Session>,
    mut coming: Receiver<Bytes>,
) -> Result<(), Problem> {
    let mut taking = Taking::default();
    while let Some(bytes) = coming.recv().await {
        let mut there = vec![bytes];
        while let Ok(bytes) = coming.try_recv() {
            there.push(bytes);
        }
        let (to, mut so_far) = (Arc::clone(&session), taking);
        let work = move |_: &str| {
            there
                .iter()
                .try_for_each(|bytes| so_far.take(&to, bytes))
                .map(|()| so_far)
        };
        taking = about(session.name(), work).await?;
    }
    taking.end()?;
    session.touch();
    Ok(())
}
