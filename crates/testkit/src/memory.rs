//! A device in memory that remembers every write and flush, so that a power cut can be replayed.

use std::io;
use std::sync::{Mutex, MutexGuard};

use azud_core::io::{ReadAt, WriteAt};

/// Something that happened to the device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Bytes written at an offset (zeroing and discarding too: as zeros).
    Write(u64, Vec<u8>),
    /// All before is on the medium.
    Flush,
}

#[derive(Debug, Default)]
struct State {
    bytes: Vec<u8>,
    log: Vec<Event>,
    writes_left: Option<usize>,
}

/// A device in memory.
#[derive(Debug, Default)]
pub struct Memory(Mutex<State>);

impl Memory {
    /// A device with this content.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Mutex::new(State {
            bytes,
            ..State::default()
        }))
    }

    /// From now on, this many writes succeed; then every write and flush fails.
    pub fn fail_after(&self, writes: usize) {
        self.state().writes_left = Some(writes);
    }

    /// The content now.
    pub fn bytes(&self) -> Vec<u8> {
        self.state().bytes.clone()
    }

    /// What happened since the beginning, or since the last call.
    pub fn take_log(&self) -> Vec<Event> {
        std::mem::take(&mut self.state().log)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no holder panics")
    }
}

/// The content of a device that held `before` after these events.
pub fn replay(before: &[u8], events: &[Event]) -> Vec<u8> {
    let mut bytes = before.to_vec();
    for event in events {
        if let Event::Write(offset, data) = event {
            let at = usize::try_from(*offset).expect("in memory");
            bytes[at..at + data.len()].copy_from_slice(data);
        }
    }
    bytes
}

impl ReadAt for Memory {
    fn len(&self) -> u64 {
        self.state().bytes.len() as u64
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        self.state().bytes.read_exact_at(buf, offset)
    }
}

impl WriteAt for Memory {
    fn write_all_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        let mut state = self.state();
        if let Some(left) = &mut state.writes_left {
            *left = left
                .checked_sub(1)
                .ok_or_else(|| io::Error::other("the power went"))?;
        }
        let at = usize::try_from(offset).map_err(|_| io::ErrorKind::WriteZero)?;
        let end = at.checked_add(buf.len()).ok_or(io::ErrorKind::WriteZero)?;
        state
            .bytes
            .get_mut(at..end)
            .ok_or(io::ErrorKind::WriteZero)?
            .copy_from_slice(buf);
        state.log.push(Event::Write(offset, buf.to_vec()));
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        let mut state = self.state();
        if state.writes_left == Some(0) {
            return Err(io::Error::other("the power went"));
        }
        state.log.push(Event::Flush);
        Ok(())
    }

    fn discard(&self, offset: u64, len: u64) -> io::Result<()> {
        self.zero(offset, len)
    }

    fn zero(&self, offset: u64, len: u64) -> io::Result<()> {
        self.write_all_at(
            &vec![0; usize::try_from(len).map_err(|_| io::ErrorKind::WriteZero)?],
            offset,
        )
    }
}
