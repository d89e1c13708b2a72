//! What of a file is holes: it reads as zeros, so nobody needs to read it.

use std::io;
use std::ops::Range;

use azud_core::io::ReadAt;

use crate::source::check_range;

/// The holes of a file, ascending and apart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Holes(pub(crate) Vec<Range<u64>>);

impl Holes {
    /// Their bytes.
    pub fn bytes(&self) -> u64 {
        self.0.iter().map(|hole| hole.end - hole.start).sum()
    }

    /// A reader of the file that fills in zeros where it has holes, and reads the rest from `file`.
    pub fn around<'a>(&'a self, file: &'a dyn ReadAt) -> Around<'a> {
        Around { file, holes: self }
    }

    /// Splits a range at the edges of the holes: (part, whether it is a hole), ascending.
    fn split(&self, range: Range<u64>) -> impl Iterator<Item = (Range<u64>, bool)> + '_ {
        let mut at = range.start;
        let first = self.0.partition_point(|hole| hole.end <= range.start);
        let mut holes = self.0[first..].iter().peekable();
        std::iter::from_fn(move || {
            if at >= range.end {
                return None;
            }
            let hole = holes.peek().filter(|hole| hole.start < range.end);
            let (end, is_hole) = match hole {
                Some(hole) if hole.start <= at => (hole.end.min(range.end), true),
                Some(hole) => (hole.start, false),
                None => (range.end, false),
            };
            if is_hole {
                holes.next();
            }
            let part = at..end;
            at = end;
            Some((part, is_hole))
        })
    }
}

/// A file whose holes are not read.
pub struct Around<'a> {
    file: &'a dyn ReadAt,
    holes: &'a Holes,
}

impl std::fmt::Debug for Around<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Around").field(&self.holes).finish()
    }
}

impl ReadAt for Around<'_> {
    fn len(&self) -> u64 {
        self.file.len()
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        check_range(offset, buf.len(), self.len())?;
        for (part, is_hole) in self.holes.split(offset..offset + buf.len() as u64) {
            let within = |at: u64| usize::try_from(at - offset).expect("within the buffer");
            let buf = &mut buf[within(part.start)..within(part.end)];
            if is_hole {
                buf.fill(0);
            } else {
                self.file.read_exact_at(buf, part.start)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use azud_core::io::ReadAt;

    use super::Holes;

    #[test]
    fn holes_are_zeros_and_the_rest_is_read() {
        // The file under it tells where it was read.
        let file = [7; 100];
        let holes = Holes(vec![0..10, 20..30, 90..100]);
        assert_eq!(holes.bytes(), 30);
        let mut wanted = file;
        for hole in &holes.0 {
            wanted[usize::try_from(hole.start).unwrap()..usize::try_from(hole.end).unwrap()]
                .fill(0);
        }
        let bytes = &file[..];
        let around = holes.around(&bytes);
        for from in 0..100 {
            for to in from..=100 {
                let mut buf = vec![1; to - from];
                around.read_exact_at(&mut buf, from as u64).unwrap();
                assert!(buf == wanted[from..to], "{from}..{to}");
            }
        }
        assert!(around.read_exact_at(&mut [0; 2], 99).is_err());
    }
}
