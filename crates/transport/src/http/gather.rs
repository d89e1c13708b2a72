//! Reads of many threads as few requests: so many are under way at once, and what waits beside each other goes as one.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use azud_core::assembly::{Depth, MAX_RUN};

use crate::error::Result;

/// A read by its offset, and a number that tells two of one offset apart.
type Key = (u64, u64);

/// One read, as the others see it.
#[derive(Debug)]
enum Read {
    /// Nobody fetches it yet: so many bytes.
    Waiting(usize),
    /// Somebody does.
    UnderWay,
    /// It came with others.
    Came(Vec<u8>),
    /// What it was asked with did not come: it is to be asked for alone.
    Alone,
}

#[derive(Debug, Default)]
struct State {
    reads: BTreeMap<Key, Read>,
    next: u64,
    under_way: usize,
}

/// Where reads wait for each other.
#[derive(Debug)]
pub(super) struct Gather {
    begun: Instant,
    depth: Mutex<Depth>,
    state: Mutex<State>,
    changed: Condvar,
}

impl Default for Gather {
    fn default() -> Self {
        Self {
            begun: Instant::now(),
            depth: Mutex::default(),
            state: Mutex::default(),
            changed: Condvar::new(),
        }
    }
}

impl Gather {
    /// Fills `buf` from `offset` by way of `fetch`, perhaps together with what others want.
    ///
    /// # Errors
    /// Those of `fetch` for these very bytes.
    pub(super) fn read(
        &self,
        (offset, buf): (u64, &mut [u8]),
        fetch: &dyn Fn(u64, &mut [u8]) -> Result<()>,
    ) -> Result<()> {
        let mut state = self.lock();
        let own = (offset, state.next);
        state.next += 1;
        state.reads.insert(own, Read::Waiting(buf.len()));
        loop {
            match state.reads.get(&own) {
                Some(Read::Came(_)) => {
                    if let Some(Read::Came(bytes)) = state.reads.remove(&own) {
                        buf.copy_from_slice(&bytes);
                    }
                    return Ok(());
                }
                None | Some(Read::Alone) => {
                    state.reads.remove(&own);
                    drop(state);
                    return fetch(offset, buf);
                }
                Some(Read::Waiting(_)) if state.under_way < self.depth().limit() => {
                    let members = together(&state, own);
                    for (member, _) in &members {
                        state.reads.insert(*member, Read::UnderWay);
                    }
                    state.under_way += 1;
                    drop(state);
                    return self.lead(own, &members, buf, fetch);
                }
                Some(Read::Waiting(_) | Read::UnderWay) => {
                    state = self
                        .changed
                        .wait(state)
                        .unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }

    /// Fetches what several want, of which one's own is a part.
    fn lead(
        &self,
        own: Key,
        members: &[(Key, usize)],
        buf: &mut [u8],
        fetch: &dyn Fn(u64, &mut [u8]) -> Result<()>,
    ) -> Result<()> {
        if let [_] = members {
            let done = fetch(own.0, buf);
            self.end(own, &[], buf.len(), done.is_ok());
            return done;
        }
        let mut all = vec![0; members.iter().map(|(_, len)| len).sum()];
        let begin = members.first().map_or(own.0, |((offset, _), _)| *offset);
        let done = fetch(begin, &mut all);
        let mut parts = Vec::new();
        let mut rest = &all[..];
        for (member, len) in members {
            let (part, after) = rest.split_at(*len);
            rest = after;
            if *member == own {
                buf.copy_from_slice(part);
            } else {
                let part = done.is_ok().then(|| part.to_vec());
                parts.push((*member, part));
            }
        }
        self.end(own, &parts, all.len(), done.is_ok());
        match done {
            // It was waited for long enough.
            Err(error) if error.is_temporary() => Err(error),
            // Whose bytes these were not may be what fails.
            Err(_) => fetch(own.0, buf),
            Ok(()) => Ok(()),
        }
    }

    /// Gives the others their part, and the next one its turn.
    fn end(&self, own: Key, parts: &[(Key, Option<Vec<u8>>)], bytes: usize, came: bool) {
        {
            let now = self.begun.elapsed();
            let mut depth = self.depth();
            if came {
                depth.arrived(bytes as u64, now);
            } else {
                depth.failed(now);
            }
        }
        let mut state = self.lock();
        state.under_way -= 1;
        state.reads.remove(&own);
        for (member, part) in parts {
            let read = part.clone().map_or(Read::Alone, Read::Came);
            state.reads.insert(*member, read);
        }
        drop(state);
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn depth(&self) -> MutexGuard<'_, Depth> {
        self.depth.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The waiting reads that lie beside this one without a gap, ascending; no more than goes in one request.
fn together(state: &State, own: Key) -> Vec<(Key, usize)> {
    let waiting = |read: &Read| match read {
        Read::Waiting(len) => Some(*len),
        _ => None,
    };
    let Some(len) = state.reads.get(&own).and_then(waiting) else {
        return Vec::new();
    };
    let most = usize::try_from(MAX_RUN).unwrap_or(usize::MAX);
    let mut members = vec![(own, len)];
    let (mut begin, mut end, mut bytes) = (own.0, own.0 + len as u64, len);
    for (key, read) in state.reads.range(..own).rev() {
        match waiting(read) {
            Some(len) if key.0 + len as u64 == begin && bytes + len <= most => {
                members.insert(0, (*key, len));
                begin = key.0;
                bytes += len;
            }
            _ => break,
        }
    }
    for (key, read) in state.reads.range(own..).skip(1) {
        match waiting(read) {
            Some(len) if key.0 == end && bytes + len <= most => {
                members.push((*key, len));
                end += len as u64;
                bytes += len;
            }
            _ => break,
        }
    }
    members
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;
    use std::time::Duration;

    use super::Gather;
    use crate::error::{NetError, Result};

    fn byte(offset: u64) -> u8 {
        u8::try_from(offset % 251).unwrap()
    }

    fn give(offset: u64, buf: &mut [u8]) {
        for (at, value) in buf.iter_mut().enumerate() {
            *value = byte(offset + at as u64);
        }
    }

    #[test]
    fn many_threads_get_their_bytes_with_fewer_requests() {
        const THREADS: u64 = 32;
        let gather = Gather::default();
        let (requests, under_way, most) = (AtomicUsize::new(0), AtomicUsize::new(0), Mutex::new(0));
        let fetch = |offset: u64, buf: &mut [u8]| -> Result<()> {
            requests.fetch_add(1, Ordering::Relaxed);
            let now = under_way.fetch_add(1, Ordering::Relaxed) + 1;
            let mut most = most.lock().unwrap();
            *most = now.max(*most);
            drop(most);
            thread::sleep(Duration::from_millis(20));
            give(offset, buf);
            under_way.fetch_sub(1, Ordering::Relaxed);
            Ok(())
        };
        thread::scope(|scope| {
            for n in 0..THREADS {
                let (gather, fetch) = (&gather, &fetch);
                scope.spawn(move || {
                    let mut buf = vec![0; 1000];
                    gather.read((n * 1000, &mut buf), fetch).unwrap();
                    let right = buf
                        .iter()
                        .enumerate()
                        .all(|(at, value)| *value == byte(n * 1000 + at as u64));
                    assert!(right, "read {n}");
                });
            }
        });
        let (requests, most) = (requests.into_inner(), most.into_inner().unwrap());
        assert!(
            requests <= 32 && most < 32,
            "{requests} requests, {most} at once"
        );
        assert!(gather.lock().reads.is_empty(), "nothing is left");
    }

    #[test]
    fn a_failure_hits_only_whose_bytes_do_not_come() {
        let gather = Gather::default();
        let fetch = |offset: u64, buf: &mut [u8]| -> Result<()> {
            thread::sleep(Duration::from_millis(5));
            let bad = 5500;
            if offset <= bad && bad < offset + buf.len() as u64 {
                return Err(NetError::BadCertificate);
            }
            give(offset, buf);
            Ok(())
        };
        thread::scope(|scope| {
            for n in 0..16 {
                let (gather, fetch) = (&gather, &fetch);
                scope.spawn(move || {
                    let mut buf = vec![0; 1000];
                    let done = gather.read((n * 1000, &mut buf), fetch);
                    assert_eq!(done.is_ok(), n != 5, "read {n}");
                    assert!(n == 5 || buf[7] == byte(n * 1000 + 7), "read {n}");
                });
            }
        });
        assert_eq!(gather.lock().under_way, 0);
    }
}
