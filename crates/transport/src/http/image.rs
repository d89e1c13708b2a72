//! An image of a manager, read by ranges.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use azud_core::access::HTTPS_ONLY_HEADER;
use azud_core::assembly::{Layout, Source, SourceError};
use azud_core::format::Hash;
use azud_core::io::ReadAt;
use azud_core::progress::Interrupted;

use super::gather::Gather;
use super::{Client, Patience};
use crate::error::{NetError, Result};

/// A manager that breaks the first connection off is tried so often, and so long lies between.
const FIRST_TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_millis(750);
/// What does not match its hash is asked for so often.
const TRIES: u32 = 3;

/// An image of a manager. It is the image that it was when it was opened: another one in its place is told
/// as a change, never mixed in.
#[derive(Debug)]
pub struct RemoteImage {
    pub(super) client: Client,
    pub(super) name: String,
    pub(super) path: String,
    layout: Arc<Layout>,
    pub(super) tag: String,
    patience: Patience,
    gather: Gather,
    received: AtomicU64,
    /// Whatever came of its manager, also of reads that are not done.
    heard: AtomicU64,
    https_only: bool,
}

impl RemoteImage {
    /// Asks for an image by its name in the repository, and for what it consists of. An index in the making is
    /// waited for, and so is, later on, a manager that went away.
    ///
    /// # Errors
    /// What the manager says, or what is wrong with its answer.
    pub fn open(client: Client, name: &str, patience: Patience) -> Result<Self> {
        let (path, patience) = (path_of(name), patience.with_pulse_of(&client));
        let asked = first_layout(&client, (&path, name), &patience)?;
        Ok(Self::of((client, path, name), asked, patience))
    }

    /// The same, without waiting for an index in the making.
    ///
    /// # Errors
    /// As [`RemoteImage::open`]; [`NetError::Later`].
    pub fn glance(client: Client, name: &str) -> Result<Self> {
        let path = path_of(name);
        let asked = layout(&client, &path, (name, None))?;
        Ok(Self::of((client, path, name), asked, Patience::default()))
    }

    fn of(
        (client, path, name): (Client, String, &str),
        (layout, https_only): (Layout, bool),
        patience: Patience,
    ) -> Self {
        let tag = layout
            .identity()
            .iter()
            .fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
        Self {
            tag: format!("\"{tag}\""),
            name: name.to_owned(),
            patience: patience.with_pulse_of(&client),
            client,
            path,
            received: AtomicU64::new(layout.description().len() as u64),
            heard: AtomicU64::new(0),
            layout: Arc::new(layout),
            https_only,
            gather: Gather::default(),
        }
    }

    /// Waits for its manager in another way from now on.
    #[must_use]
    pub fn with_patience(self, patience: Patience) -> Self {
        let patience = patience.with_pulse_of(&self.client);
        Self { patience, ..self }
    }

    /// What it consists of.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Whose it is.
    pub fn host(&self) -> &str {
        self.client.host()
    }

    /// What its manager calls it.
    pub fn name_there(&self) -> &str {
        &self.name
    }

    /// Has what it consists of in common with others, by way of `find`, which is given it and gives what is equal.
    ///
    /// # Errors
    /// Those of `find`.
    pub fn sharing<E>(
        mut self,
        find: impl FnOnce(Arc<Layout>) -> std::result::Result<Arc<Layout>, E>,
    ) -> std::result::Result<Self, E> {
        self.layout = find(self.layout)?;
        Ok(self)
    }

    /// Whether neighbours, swarms and sessions are not to give it.
    pub fn https_only(&self) -> bool {
        self.https_only
    }

    /// Bytes of index and image that came so far.
    pub fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// What is wrong with bytes that do not fit.
    pub(super) fn other_bytes(&self) -> NetError {
        self.client.protocol("other bytes than its index says")
    }

    /// Fetches a range, again and again if need be.
    fn fetch_surely(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        self.patience.within(|left| self.fetch(offset, buf, left))
    }

    fn fetch(&self, offset: u64, buf: &mut [u8], left: Option<Duration>) -> Result<()> {
        if buf.is_empty() {
            return Ok(());
        }
        let last = offset + buf.len() as u64 - 1;
        let asked = format!("bytes={offset}-{last}");
        let headers = [("Range", asked.as_str()), ("If-Match", self.tag.as_str())];
        let asked = (self.name.as_str(), left);
        let response = self.client.get_part(&self.path, &headers, asked)?;
        self.heard.fetch_add(1, Ordering::Relaxed);
        let says = |key: &str| {
            response
                .headers()
                .get(key)
                .and_then(|value| value.to_str().ok())
        };
        if says("etag").is_some_and(|tag| tag != self.tag) {
            return Err(NetError::Changed {
                name: self.name.clone(),
            });
        }
        let expected = format!("bytes {offset}-{last}/{}", self.layout.size());
        if response.status().as_u16() != 206 || says("content-range") != Some(expected.as_str()) {
            return Err(self.client.protocol("another range than was asked for"));
        }
        let len = says("content-length").is_none_or(|len| len == buf.len().to_string());
        if !len {
            return Err(self.client.protocol("another range than was asked for"));
        }
        let mut body = response.into_body().into_reader();
        self.fill(&mut body, buf)?;
        self.received.fetch_add(buf.len() as u64, Ordering::Relaxed);
        // To the end, so that the connection can be used again.
        match body.read(&mut [0]) {
            Ok(0) => Ok(()),
            Ok(_) => Err(self.client.protocol("more than was asked for")),
            Err(error) => Err(self.client.broken(error)),
        }
    }

    /// Reads all of `buf`, and lets it be heard that something comes. Where the work is to end, what came is there.
    fn fill(&self, body: &mut impl Read, buf: &mut [u8]) -> Result<()> {
        let mut rest = buf;
        while !rest.is_empty() {
            if self.patience.is_at_its_end() {
                return Err(Interrupted.into());
            }
            let len = match body.read(rest) {
                Ok(0) => return Err(self.client.protocol("less than was asked for")),
                Ok(len) => len,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(self.client.broken(error)),
            };
            self.heard.fetch_add(len as u64, Ordering::Relaxed);
            rest = &mut rest[len..];
        }
        Ok(())
    }
}

/// Asks for the index the first time: it may be in the making, but a manager that is not there is told so at once. One
/// that goes away while it is waited for is waited for, too.
fn first_layout(
    client: &Client,
    (path, name): (&str, &str),
    patience: &Patience,
) -> Result<(Layout, bool)> {
    let (mut answered, mut tries) = (false, 1);
    patience.within(|left| {
        let asked = loop {
            match layout(client, path, (name, left)) {
                // Who takes a connection and drops it has too many at the moment, or is just being started.
                Err(error) if !answered && error.is_broken_off() && tries < FIRST_TRIES => {
                    tries += 1;
                    patience.pause(PAUSE);
                }
                other => break other,
            }
        };
        answered |= matches!(asked, Err(NetError::Later { .. }));
        match asked {
            Err(error) if !answered => Ok(Err(error)),
            other => other.map(Ok),
        }
    })?
}

/// What it consists of, and whether it travels over HTTPS alone.
fn layout(client: &Client, path: &str, asked: (&str, Option<Duration>)) -> Result<(Layout, bool)> {
    let index = format!("{path}/index");
    let response = client.get_index(&index, asked)?;
    let https_only = response.headers().contains_key(HTTPS_ONLY_HEADER);
    let mut bytes = Vec::new();
    let read = response
        .into_body()
        .into_reader()
        .take(client.longest_index())
        .read_to_end(&mut bytes);
    read.map_err(|error| client.broken(error))?;
    let layout = Layout::parse(bytes).map_err(|_| client.protocol("an index that is none"))?;
    Ok((layout, https_only))
}

impl Source for RemoteImage {
    fn layout(&self) -> std::result::Result<Layout, SourceError> {
        Ok(Layout::clone(&self.layout))
    }

    fn size(&self) -> Option<u64> {
        Some(self.layout.size())
    }

    fn is_far(&self) -> bool {
        true
    }

    fn heard(&self) -> u64 {
        self.heard.load(Ordering::Relaxed)
    }

    fn read(&self, offset: u64, buf: &mut [u8]) -> std::result::Result<(), SourceError> {
        let done = self.fetch_surely(offset, buf);
        done.map_err(|error| match error {
            NetError::Changed { .. } => SourceError::Changed,
            // It was waited for long enough.
            error => SourceError::Permanent(io::Error::other(error)),
        })
    }

    fn identity(&self) -> std::result::Result<Hash, SourceError> {
        let layout = self
            .patience
            .within(|left| layout(&self.client, &self.path, (&self.name, left)));
        Ok(*layout?.0.identity())
    }

    fn name(&self) -> String {
        format!("{}:{}", self.client.host(), self.name)
    }
}

impl ReadAt for RemoteImage {
    fn len(&self) -> u64 {
        self.layout.size()
    }

    /// What the index says of the ending is not asked for again; what does not match it is, a few times. Whoever
    /// reads holds the bytes against their hash all the same.
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        let end = offset
            .checked_add(buf.len() as u64)
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        if end > self.layout.size() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let (ending, at) = (self.layout.ending(), self.layout.ending_offset());
        if let Some(start) = offset.checked_sub(at).filter(|_| !ending.is_empty()) {
            let start = usize::try_from(start).map_err(io::Error::other)?;
            buf.copy_from_slice(&ending[start..start + buf.len()]);
            return Ok(());
        }
        let fetch = |offset: u64, buf: &mut [u8]| self.fetch_surely(offset, buf);
        self.gather.read((offset, buf), &fetch)?;
        for _ in 1..TRIES {
            if self.layout.fits(offset, buf) {
                break;
            }
            self.fetch_surely(offset, buf)?;
        }
        Ok(())
    }
}

/// Where a manager has an image.
pub(super) fn path_of(name: &str) -> String {
    format!("/v1/images/{}", encode(name))
}

/// A name as one segment of a path (RFC 3986): slashes are part of it.
pub(super) fn encode(name: &str) -> String {
    name.bytes().fold(String::new(), |text, byte| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
            text + char::from(byte).encode_utf8(&mut [0; 4])
        }
        other => format!("{text}%{other:02X}"),
    })
}

#[cfg(test)]
mod tests {
    use super::encode;

    #[test]
    fn a_name_is_one_segment() {
        assert_eq!(encode("aula1/win 11ñ.img"), "aula1%2Fwin%2011%C3%B1.img");
        assert_eq!(encode("a-b_c.d~e%"), "a-b_c.d~e%25");
    }
}
