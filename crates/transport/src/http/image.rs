//! An image of a manager, read by ranges.

use std::io::{self, Read};
use std::thread;

use azud_core::assembly::{Layout, Source, SourceError};
use azud_core::format::Hash;
use azud_core::io::ReadAt;

use super::Client;
use crate::error::{NetError, Result};

/// The longest index that is taken: that of an image of many terabytes.
const MAX_INDEX: u64 = 1 << 30;
/// An index in the making, or a manager that restarts, is waited for so often and so long.
const TRIES: u32 = 30;

/// An image of a manager. It is the image that it was when it was opened: another one in its place is told
/// as a change, never mixed in.
#[derive(Debug)]
pub struct RemoteImage {
    pub(super) client: Client,
    pub(super) name: String,
    pub(super) path: String,
    layout: Layout,
    pub(super) tag: String,
}

impl RemoteImage {
    /// Asks for an image by its name in the repository, and for what it consists of.
    ///
    /// # Errors
    /// What the manager says, or what is wrong with its answer.
    pub fn open(client: Client, name: &str) -> Result<Self> {
        Self::of(client, name, TRIES)
    }

    /// The same, without waiting for an index in the making.
    ///
    /// # Errors
    /// As [`RemoteImage::open`]; [`NetError::Later`].
    pub fn glance(client: Client, name: &str) -> Result<Self> {
        Self::of(client, name, 1)
    }

    fn of(client: Client, name: &str, tries: u32) -> Result<Self> {
        let path = path_of(name);
        let layout = layout(&client, &path, (name, tries))?;
        let tag = layout
            .identity()
            .iter()
            .fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
        Ok(Self {
            tag: format!("\"{tag}\""),
            name: name.to_owned(),
            client,
            path,
            layout,
        })
    }

    /// What it consists of.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    fn fetch(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        if buf.is_empty() {
            return Ok(());
        }
        let last = offset + buf.len() as u64 - 1;
        let asked = format!("bytes={offset}-{last}");
        let headers = [("Range", asked.as_str()), ("If-Match", self.tag.as_str())];
        let response = self.client.get(&self.path, &headers, &self.name)?;
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
        let mut body = response.into_body().into_reader();
        body.read_exact(buf)
            .map_err(|error| self.client.broken(error))?;
        // To the end, so that the connection can be used again.
        match body.read(&mut [0]) {
            Ok(0) => Ok(()),
            Ok(_) => Err(self.client.protocol("more than was asked for")),
            Err(error) => Err(self.client.broken(error)),
        }
    }
}

/// Asks for the index, again while it is in the making.
fn layout(client: &Client, path: &str, (name, most): (&str, u32)) -> Result<Layout> {
    let index = format!("{path}/index");
    let mut tries = 1;
    let response = loop {
        match client.get(&index, &[], name) {
            Err(error @ NetError::Later { .. }) if tries < most => {
                tries += 1;
                thread::sleep(error.pause());
            }
            other => break other?,
        }
    };
    let mut bytes = Vec::new();
    let read = response
        .into_body()
        .into_reader()
        .take(MAX_INDEX)
        .read_to_end(&mut bytes);
    read.map_err(|error| client.broken(error))?;
    Layout::parse(bytes).map_err(|_| client.protocol("an index that is none"))
}

impl Source for RemoteImage {
    fn layout(&self) -> std::result::Result<Layout, SourceError> {
        Ok(self.layout.clone())
    }

    fn size(&self) -> Option<u64> {
        Some(self.layout.size())
    }

    fn read(&self, offset: u64, buf: &mut [u8]) -> std::result::Result<(), SourceError> {
        Ok(self.fetch(offset, buf)?)
    }

    fn identity(&self) -> std::result::Result<Hash, SourceError> {
        Ok(*layout(&self.client, &self.path, (&self.name, TRIES))?.identity())
    }

    fn name(&self) -> String {
        format!("{}:{}", self.client.host(), self.name)
    }
}

impl ReadAt for RemoteImage {
    fn len(&self) -> u64 {
        self.layout.size()
    }

    /// What the index says of the ending is not asked for again; the rest is, a few times if need be.
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
        let mut tries = 1;
        loop {
            match self.fetch(offset, buf) {
                Err(error) if error.is_temporary() && tries < TRIES => {
                    tries += 1;
                    thread::sleep(error.pause());
                }
                other => return Ok(other?),
            }
        }
    }
}

/// Where a manager has an image.
pub(super) fn path_of(name: &str) -> String {
    format!("/v1/images/{}", encode(name))
}

/// A name as one segment of a path (RFC 3986): slashes are part of it.
fn encode(name: &str) -> String {
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
