//! A base with patches over it, as a device.

use std::collections::BTreeMap;
use std::io;

use azud_core::io::ReadAt;

use super::Input;
use super::base::{Base, CHUNK};

/// The most patches of one input.
const MOST: usize = 256;
/// The most bytes that one patch copies from elsewhere.
const LONGEST_COPY: usize = 2 * CHUNK;

/// A volume as an input changed it.
pub struct Device<'a> {
    base: &'a Base,
    len: u64,
    changed: BTreeMap<u64, Vec<u8>>,
}

impl<'a> Device<'a> {
    /// The base with another size: 0 leaves it as it is.
    pub fn new(base: &'a Base, size: u8) -> Self {
        let len = match size & 3 {
            0 => base.len,
            1 => base.len / 2,
            2 => base.len - 512,
            _ => base.len + 4096,
        };
        let changed = BTreeMap::new();
        Self { base, len, changed }
    }

    /// Applies all patches of the rest of an input: a position (u32, the uppermost bit: on the device rather
    /// than in the hot chunks), a byte for kind and length, and the bytes or, for a copy, where from.
    pub fn patch(&mut self, input: &mut Input<'_>) {
        for _ in 0..MOST {
            if self.patch_once(input).is_none() {
                return;
            }
        }
    }

    fn patch_once(&mut self, input: &mut Input<'_>) -> Option<()> {
        let at = self.place(input.u32()?);
        let kind = input.u8()?;
        let len = usize::from(kind & 0x1F) + 1;
        match kind >> 6 {
            0 | 1 => {
                let bytes = input.bytes(len)?;
                self.write(at, bytes);
            }
            2 => {
                let mask = input.u8()?;
                let old = self.read(at, len);
                self.write(at, &old.iter().map(|byte| byte ^ mask).collect::<Vec<_>>());
            }
            _ => {
                let from = self.place(input.u32()?);
                let copied = self.read(from, len * LONGEST_COPY / 32);
                self.write(at, &copied);
            }
        }
        Some(())
    }

    fn place(&self, word: u32) -> u64 {
        let at = word & 0x7FFF_FFFF;
        if word == at {
            self.base.hot_offset(at as usize)
        } else {
            u64::from(at) % self.base.len.max(1)
        }
    }

    /// Numbers of the chunks that were changed.
    pub fn changed(&self) -> Vec<u64> {
        self.changed.keys().copied().collect()
    }

    /// Bytes of the device; beyond its end there are zeros.
    pub fn read(&self, at: u64, len: usize) -> Vec<u8> {
        let mut out = vec![0; len];
        self.fill(at, &mut out);
        out
    }

    fn fill(&self, at: u64, out: &mut [u8]) {
        let mut done = 0;
        while done < out.len() {
            let (number, start) = split(at + done as u64);
            let take = (CHUNK - start).min(out.len() - done);
            let to = &mut out[done..done + take];
            match self.chunk(number) {
                Some(chunk) => to.copy_from_slice(&chunk[start..start + take]),
                None => to.fill(0),
            }
            done += take;
        }
    }

    /// Writes as far as the device's chunks go.
    pub fn write(&mut self, at: u64, bytes: &[u8]) {
        let mut done = 0;
        while done < bytes.len() {
            let (number, start) = split(at + done as u64);
            let take = (CHUNK - start).min(bytes.len() - done);
            let old = || self.base.chunk(number).map_or(vec![0; CHUNK], Vec::from);
            let chunk = self.changed.entry(number).or_insert_with(old);
            chunk[start..start + take].copy_from_slice(&bytes[done..done + take]);
            done += take;
        }
    }

    fn chunk(&self, number: u64) -> Option<&[u8]> {
        let changed = self.changed.get(&number).map(Vec::as_slice);
        changed.or_else(|| self.base.chunk(number))
    }
}

fn split(at: u64) -> (u64, usize) {
    let start = usize::try_from(at % CHUNK as u64).expect("within a chunk");
    (at / CHUNK as u64, start)
}

impl ReadAt for Device<'_> {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        let end = offset.checked_add(buf.len() as u64);
        if end.is_none_or(|end| end > self.len) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.fill(offset, buf);
        Ok(())
    }
}
