//! The bytes of a file in order, each piece held against its hash: a file, or a server that has it, may have other bytes
//! than when its signature was checked.

use std::io::{self, Cursor, Read};
use std::sync::Arc;

use azud_core::assembly::Layout;
use azud_core::io::ReadAt;
use azud_image::foreign::ForeignError;
use azud_store::Stored;

use super::in_order::whole;

/// A reader of the image of another program that was read before.
pub(super) struct Held {
    file: Arc<Stored>,
    layout: Layout,
    /// Number of the piece that comes next.
    next: usize,
    now: Cursor<Vec<u8>>,
}

impl Held {
    /// From the first byte on.
    pub(super) fn of(file: Arc<Stored>, layout: Layout) -> Self {
        Self {
            file,
            layout,
            next: 0,
            now: Cursor::default(),
        }
    }

    /// Fetches the next piece; `None` at the end.
    fn fetch(&mut self) -> io::Result<Option<Cursor<Vec<u8>>>> {
        let Some(piece) = self.layout.pieces().get(self.next) else {
            return Ok(None);
        };
        let mut bytes = std::mem::take(&mut self.now).into_inner();
        bytes.resize(piece.len as usize, 0);
        whole(self.file.read_exact_at(&mut bytes, piece.offset))?;
        if !self.layout.fits(piece.offset, &bytes) {
            return Err(ForeignError::Changed.into());
        }
        self.next += 1;
        Ok(Some(Cursor::new(bytes)))
    }
}

impl Read for Held {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            let len = self.now.read(buf)?;
            if len > 0 || buf.is_empty() {
                return Ok(len);
            }
            match self.fetch()? {
                Some(bytes) => self.now = bytes,
                None => return Ok(0),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, OpenOptions};
    use std::io::Read;
    use std::os::unix::fs::FileExt;
    use std::sync::Arc;

    use azud_image::foreign::ForeignError;
    use azud_store::Stored;
    use azud_store::assembly::FileSource;

    use super::Held;

    #[test]
    fn other_bytes_than_before_are_not_given() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.img");
        let bytes: Vec<u8> = (0..5_000_000u32).map(|at| (at % 251) as u8).collect();
        fs::write(&path, &bytes).unwrap();
        let layout = FileSource::open(&path).unwrap().hashed().unwrap();
        let all = || {
            let mut given = Vec::new();
            let held = Held::of(Arc::new(Stored::open(&path).unwrap()), layout.clone());
            let read = { held }.read_to_end(&mut given);
            (given, read.map_err(ForeignError::from_io))
        };
        let (given, read) = all();
        assert!(read.is_ok() && given == bytes);
        let file = OpenOptions::new().write(true).open(&path).unwrap();
        file.write_all_at(b"\xff", 3_000_000).unwrap();
        let (given, read) = all();
        assert!(matches!(read, Err(ForeignError::Changed)), "{read:?}");
        assert!(given.len() < 3_000_000 && bytes.starts_with(&given));
        fs::write(&path, &bytes[..4_000_000]).unwrap();
        let (_, read) = all();
        assert!(matches!(read, Err(ForeignError::Changed)), "{read:?}");
    }
}
