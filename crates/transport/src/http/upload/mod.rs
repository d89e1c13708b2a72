//! Sending an image to a manager, `docs/formats/upload.md`.

mod beginning;
mod pieces;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};
use std::thread;
use std::time::Duration;

use azud_core::assembly::Piece;
use azud_core::code::Code;
use azud_core::format::MAX_FRAMES;
use azud_core::progress::{Phase, Progress};
use azud_core::upload::{Going, Held, Opening, RECORD_LEN, State, decode};

use super::client::Method;
use super::followed::Followed;
use super::{Client, Patience};
use crate::error::{NetError, Result};
use beginning::{begin, surely};

pub use pieces::{Pieces, send, streaming};

/// A manager that is silent is told for no longer that there is an end.
const GIVING_UP: Duration = Duration::from_secs(1);
/// How often it is asked how far it is.
const POLL: Duration = Duration::from_millis(100);
/// The longest answer about an upload.
const MAX_STATE: u64 = 64 << 20;

/// An image on its way to a manager, for several threads.
#[derive(Debug)]
pub struct Upload {
    client: Client,
    patience: Patience,
    opening: Opening,
    id: RwLock<String>,
    beside: Vec<(String, Vec<u8>)>,
    anew: bool,
    sent: AtomicU64,
    arrived: u64,
}

/// How an upload ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// Who the image is, in hexadecimal.
    pub identity: String,
    /// Its bytes.
    pub size: u64,
    /// Whether it was there already.
    pub unchanged: bool,
    /// Whether a former version went to the trash.
    pub replaced: bool,
    /// Bytes of older versions that went for good.
    pub purged: u64,
    /// Bytes that images of the manager had.
    pub held: u64,
}

impl Upload {
    /// Asks whether one could begin: whether the token is for it, and whether there is room. Nothing is made there. Former
    /// versions that would go for good.
    ///
    /// # Errors
    /// What the manager says.
    pub fn rehearse(client: &Client, opening: Opening) -> Result<Vec<Going>> {
        let opening = Opening {
            rehearsal: true,
            ..opening
        };
        begin(client, &opening).map(|opened| opened.purges)
    }

    /// Begins one. Where somebody sends the image already, `is_dead` tells whether that one is known to have ended.
    /// A manager that goes away or fails later on is waited for with `patience`.
    ///
    /// # Errors
    /// What the manager says.
    pub fn open(
        (client, patience): (Client, Patience),
        mut opening: Opening,
        is_dead: impl Fn(&str) -> bool,
    ) -> Result<Self> {
        let opened = surely(&client, &patience, (&mut opening, &is_dead))?;
        opening.instead_of = Some(opening.sender.clone());
        Ok(Self {
            patience: patience.with_pulse_of(&client),
            client,
            opening,
            id: RwLock::new(opened.id),
            beside: Vec::new(),
            anew: false,
            sent: AtomicU64::new(0),
            arrived: opened.arrived,
        })
    }

    /// A side file goes along, by its ending.
    #[must_use]
    pub fn with(mut self, ending: &str, content: Vec<u8>) -> Self {
        self.beside.push((ending.to_owned(), content));
        self
    }

    /// Nothing that an earlier upload left is counted on.
    #[must_use]
    pub fn anew(self) -> Self {
        Self { anew: true, ..self }
    }

    /// Whom it goes to.
    pub fn host(&self) -> &str {
        self.client.host()
    }

    /// Bytes that went to the manager, records included.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Of an image of so many bytes, about those that an earlier upload had left and that were of use: what was neither
    /// sent nor in images of the manager.
    pub fn resumed(&self, published: &Published) -> u64 {
        let otherwise = self.sent().saturating_add(published.held);
        published.size.saturating_sub(otherwise).min(self.arrived)
    }

    /// Does something with the upload, again where the connection or the manager broke down meanwhile.
    fn patiently<T>(&self, work: impl Fn(&str, Option<Duration>) -> Result<T>) -> Result<T> {
        self.patience.within(|left| {
            let id = self.id().clone();
            match work(&id, left).map_err(|error| self.why(&id, error)) {
                Err(NetError::Said {
                    code: Code::NoUpload,
                    ..
                }) => {
                    self.reopen(&id)?;
                    // Nobody who begins again waits for this.
                    let id = self.id().clone();
                    work(&id, left)
                }
                other => other,
            }
        })
    }

    /// What a manager says that closed the connection on a body without being heard. One that is silent closed none.
    fn why(&self, id: &str, error: NetError) -> NetError {
        if !error.is_temporary() || error.is_silence() || self.patience.is_at_its_end() {
            return error;
        }
        let asked = self.client.get(&path(id, ""), &[], &self.opening.name);
        asked
            .err()
            .filter(|said| !said.is_temporary())
            .unwrap_or(error)
    }

    fn id(&self) -> std::sync::RwLockReadGuard<'_, String> {
        self.id.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins again where a manager that restarted, or took us for dead, knows nothing of us any more; what it was
    /// sent is still there.
    fn reopen(&self, lost: &str) -> Result<()> {
        let mut id = self.id.write().unwrap_or_else(PoisonError::into_inner);
        if *id == lost {
            *id = begin(&self.client, &self.opening)?.id;
        }
        Ok(())
    }

    /// What an earlier upload of this name left, as far as it is counted on.
    ///
    /// # Errors
    /// What the manager says.
    pub fn left(&self) -> Result<Vec<Piece>> {
        if self.anew {
            return Ok(Vec::new());
        }
        let most = (MAX_FRAMES * RECORD_LEN) as u64;
        let name = &self.opening.name;
        let bytes = self.patiently(|id, _| {
            let response = self.client.get(&path(id, "/pieces"), &[], name)?;
            self.client.bytes(response, most)
        })?;
        let records = bytes.as_chunks::<RECORD_LEN>().0.iter();
        let pieces = records
            .map(|record| decode(record).map_err(|_| self.client.protocol("a record of no piece")));
        pieces.collect()
    }

    /// Sends records and pieces.
    ///
    /// # Errors
    /// What the manager says.
    fn put(&self, batch: &[u8]) -> Result<()> {
        let name = &self.opening.name;
        self.patiently(|id, left| {
            let path = path(id, "/pieces");
            self.client.put(&path, batch, (name, left))
        })?;
        self.sent.fetch_add(batch.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    /// Asks for pieces, by their records, that images of the manager may have.
    ///
    /// # Errors
    /// What the manager says.
    fn ask(&self, records: &[u8]) -> Result<Held> {
        let name = &self.opening.name;
        let held = self.patiently(|id, _| {
            let path = path(id, "/pieces");
            let response = self.client.send(Method::Post, &path, records, name)?;
            self.client.json(response, MAX_STATE)
        })?;
        self.sent.fetch_add(records.len() as u64, Ordering::Relaxed);
        Ok(held)
    }

    /// A sign of life.
    fn state(&self) -> Result<State> {
        let name = &self.opening.name;
        self.patiently(|id, _| {
            let response = self.client.get(&path(id, ""), &[], name)?;
            self.client.json(response, MAX_STATE)
        })
    }

    /// Says what the image is, by its description and in short, and waits until it is published. `Err` with pieces, by number,
    /// that are still to be sent before that.
    ///
    /// # Errors
    /// What the manager says; [`NetError::Interrupted`].
    pub fn finish(
        &self,
        (description, identity): (&[u8], &str),
        progress: &dyn Progress,
    ) -> Result<std::result::Result<Published, Vec<usize>>> {
        let name = &self.opening.name;
        let ended = self.patiently(|id, _| {
            for (ending, content) in &self.beside {
                let path = path(id, &format!("/beside/{ending}"));
                self.client.send(Method::Put, &path, content, name)?;
            }
            let path = path(id, "/image");
            self.client.send(Method::Post, &path, description, name)?;
            self.wait((id, identity), progress)
        })?;
        self.sent
            .fetch_add(description.len() as u64, Ordering::Relaxed);
        match ended {
            State::Done {
                identity,
                size,
                way,
                held,
                replaced,
                purged,
            } => Ok(Ok(Published {
                identity,
                size,
                unchanged: way == "nothing",
                replaced,
                purged,
                held,
            })),
            State::Lacking { pieces } => {
                let numbers = pieces.iter().flat_map(|(first, count)| {
                    *first..first.saturating_add(*count).min(MAX_FRAMES)
                });
                Ok(Err(numbers.take(MAX_FRAMES).collect()))
            }
            State::Failed { code, detail } => Err(NetError::Said {
                host: self.client.host().to_owned(),
                code: code.parse().unwrap_or(Code::BadAnswer),
                detail,
                sender: None,
            }),
            State::Receiving | State::Working { .. } => {
                Err(self.client.protocol("an end that is none"))
            }
        }
    }

    /// Until the manager is at an end.
    fn wait(&self, (id, wanted): (&str, &str), progress: &dyn Progress) -> Result<State> {
        let mut followed = Followed::new(Phase::Assemble, progress);
        loop {
            let response = self.client.get(&path(id, ""), &[], &self.opening.name)?;
            match self.client.json(response, MAX_STATE)? {
                State::Working { done, total } => {
                    followed.is_at(done, total)?;
                    thread::sleep(POLL);
                }
                State::Receiving => return Err(self.client.protocol("an image that is forgotten")),
                State::Done { identity, .. } if identity != wanted => {
                    return Err(self.client.protocol("the end of another image"));
                }
                other => {
                    if matches!(other, State::Done { .. }) {
                        followed.end();
                    }
                    return Ok(other);
                }
            }
        }
    }

    /// Gives it up, so that others can send the image at once; what arrived stays.
    pub fn give_up(&self) {
        let (path, name) = (path(&self.id(), ""), &self.opening.name);
        // If it cannot be told, it lapses.
        let _ = self.client.delete(&path, name, Some(GIVING_UP));
    }
}

fn path(id: &str, what: &str) -> String {
    format!("/v1/uploads/{id}{what}")
}

impl Client {
    /// Asks whether the token is good for taking away. There is no upload of that name: whoever may not even ask for
    /// one is told so. A manager that cannot say it now says it when something is to go.
    ///
    /// # Errors
    /// Why not.
    pub fn may_write(&self) -> Result<()> {
        match self.get(&path("none", ""), &[], "uploads") {
            Err(error) if error.is_temporary() => Ok(()),
            Ok(_)
            | Err(
                NetError::NotFound { .. }
                | NetError::Said {
                    code: Code::NoUpload,
                    ..
                },
            ) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
