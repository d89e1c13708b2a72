//! The master file table: finding records and whole attribute values, also when attribute lists
//! scatter them over several records.
//!
//! Invariant: every allocation is bounded by the volume's own size or by [`MAX_LIST`].

use azud_core::io::ReadAt;

use super::boot::Boot;
use super::corrupt;
use super::record::{Attribute, Part, Record, Reference, Value, kind};
use super::runs::Stream;
use crate::fs::FsError;
use crate::fs::bytes::{le16, le32, le64};

/// The longest attribute list that NTFS allows, in bytes.
const MAX_LIST: u64 = 256 << 10;

/// The whole value of an attribute.
#[derive(Debug)]
pub(super) enum Content {
    /// Within the record.
    Resident(Vec<u8>),
    /// In clusters.
    Stream(Stream),
}

/// One line of an attribute list: where a part of an attribute is described.
#[derive(Debug)]
struct Line {
    first: u64,
    record: Reference,
}

/// The table, ready to be read.
#[derive(Debug)]
pub(super) struct Mft<'a> {
    device: &'a Device<'a>,
    stream: Stream,
}

/// A device with what its boot sector says.
pub(super) struct Device<'a> {
    /// The device.
    pub(super) io: &'a dyn ReadAt,
    /// Its boot sector.
    pub(super) boot: Boot,
}

impl std::fmt::Debug for Device<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.boot.fmt(f)
    }
}

fn is(attribute: &Attribute<'_>, kind: u32, name: &str) -> bool {
    attribute.kind == kind && name_is(attribute.name, name)
}

fn name_is(utf16: &[u8], name: &str) -> bool {
    utf16
        .chunks(2)
        .eq(name.encode_utf16().map(u16::to_le_bytes))
}

impl Content {
    /// Length in bytes.
    pub(super) fn size(&self) -> u64 {
        match self {
            Self::Resident(value) => value.len() as u64,
            Self::Stream(stream) => stream.size,
        }
    }

    /// Fills `buf` from `offset`.
    pub(super) fn read(
        &self,
        device: &Device<'_>,
        offset: u64,
        buf: &mut [u8],
    ) -> Result<(), FsError> {
        match self {
            Self::Resident(value) => value
                .as_slice()
                .read_exact_at(buf, offset)
                .map_err(|_| corrupt("something lies beyond the end of its file")),
            Self::Stream(stream) => stream.read(device.io, device.boot.cluster, offset, buf),
        }
    }

    /// The value's runs; none when it is resident.
    pub(super) fn stream(&self) -> Option<&Stream> {
        match self {
            Self::Resident(_) => None,
            Self::Stream(stream) => Some(stream),
        }
    }
}

impl<'a> Mft<'a> {
    /// Finds the table's own runs: the first are in its first record, where the boot sector points; more may be
    /// in records that the runs known so far lead to.
    pub(super) fn open(device: &'a Device<'a>) -> Result<Self, FsError> {
        let boot = &device.boot;
        let first = Record::parse(boot.read_records(device.io, boot.mft, 1)?, 0)?;
        let mut found = None;
        for attribute in first.attributes()? {
            if is(&attribute, kind::DATA, "") && attribute.first() == 0 {
                found = Some((attribute.value(boot.clusters)?, attribute.flags));
                break;
            }
        }
        let Some((Value::Elsewhere(part), flags)) = found else {
            return Err(corrupt("$MFT does not say where it is"));
        };
        let stream = Stream {
            runs: part.runs,
            size: part.size,
            initialized: part.initialized,
            flags,
        };
        let mut mft = Self { device, stream };
        for line in mft.lines(&first, kind::DATA, "")?.unwrap_or_default() {
            if line.first != 0 {
                let (part, flags) = mft.part(&first, (kind::DATA, ""), &line)?;
                mft.stream.flags |= flags;
                append(&mut mft.stream, part, boot)?;
            }
        }
        if !mft.stream.is_plain() {
            return Err(corrupt("$MFT has holes or is compressed"));
        }
        if mft.stream.runs.first().and_then(|run| run.lcn) != Some(boot.mft) {
            return Err(corrupt("$MFT is not where the boot sector says"));
        }
        Ok(mft)
    }

    /// The device with its boot sector.
    pub(super) fn device(&self) -> &'a Device<'a> {
        self.device
    }

    /// The table's own clusters.
    pub(super) fn stream(&self) -> &Stream {
        &self.stream
    }

    /// Reads a record.
    pub(super) fn record(&self, number: u64) -> Result<Record, FsError> {
        let boot = &self.device.boot;
        let size = u64::from(boot.record);
        let offset = number.checked_mul(size);
        let inside = offset.filter(|at| {
            at.checked_add(size)
                .is_some_and(|end| end <= self.stream.initialized)
        });
        let offset = inside
            .ok_or_else(|| corrupt(format!("MFT record {number} lies beyond the end of $MFT")))?;
        let mut bytes = vec![0; boot.record as usize];
        self.stream
            .read(self.device.io, boot.cluster, offset, &mut bytes)?;
        Record::parse(bytes, number)
    }

    /// Reads a record that something refers to.
    pub(super) fn referred(&self, reference: Reference) -> Result<Record, FsError> {
        let record = self.record(reference.number)?;
        if reference.sequence != 0 && reference.sequence != record.sequence() {
            return Err(corrupt(format!(
                "MFT record {} is another file's by now",
                reference.number
            )));
        }
        Ok(record)
    }

    /// The whole value of an attribute of a file, `None` when the file has none such.
    pub(super) fn content(
        &self,
        record: &Record,
        kind: u32,
        name: &str,
    ) -> Result<Option<Content>, FsError> {
        let boot = &self.device.boot;
        let Some(lines) = self.lines(record, kind, name)? else {
            let attributes = record.attributes()?;
            let Some(attribute) = attributes
                .iter()
                .find(|attribute| is(attribute, kind, name))
            else {
                return Ok(None);
            };
            return match attribute.value(boot.clusters)? {
                Value::Resident(value) => Ok(Some(Content::Resident(value.to_vec()))),
                Value::Elsewhere(part) => {
                    begin(part, attribute.flags, boot).map(|s| Some(Content::Stream(s)))
                }
            };
        };
        let mut lines = lines.into_iter();
        let Some(line) = lines.next() else {
            return Ok(None);
        };
        let mut stream = match self.first_value(record, (kind, name), &line)? {
            Content::Stream(stream) => stream,
            resident @ Content::Resident(_) => return Ok(Some(resident)),
        };
        for line in lines {
            let (part, flags) = self.part(record, (kind, name), &line)?;
            stream.flags |= flags;
            append(&mut stream, part, boot)?;
        }
        Ok(Some(Content::Stream(stream)))
    }

    /// The lines of a file's attribute list for one attribute, ascending; `None` without a list.
    fn lines(&self, record: &Record, kind: u32, name: &str) -> Result<Option<Vec<Line>>, FsError> {
        let attributes = record.attributes()?;
        let Some(list) = attributes
            .iter()
            .find(|attribute| is(attribute, kind::LIST, ""))
        else {
            return Ok(None);
        };
        let boot = &self.device.boot;
        let bytes = match list.value(boot.clusters)? {
            Value::Resident(value) => value.to_vec(),
            Value::Elsewhere(part) => {
                let stream = begin(part, list.flags, boot)?;
                let len = usize::try_from(stream.size.min(MAX_LIST + 1)).expect("at most MAX_LIST");
                if stream.size > MAX_LIST || !stream.is_plain() {
                    return Err(corrupt(format!(
                        "the attribute list of MFT record {} is no list",
                        record.number()
                    )));
                }
                let mut bytes = vec![0; len];
                stream.read(self.device.io, boot.cluster, 0, &mut bytes)?;
                bytes
            }
        };
        parse_lines(&bytes, kind, name).map(Some).ok_or_else(|| {
            corrupt(format!(
                "the attribute list of MFT record {} is damaged",
                record.number()
            ))
        })
    }

    fn with_line<T>(
        &self,
        base: &Record,
        line: &Line,
        then: impl FnOnce(&Record) -> Result<T, FsError>,
    ) -> Result<T, FsError> {
        if line.record.number == base.number() {
            return then(base);
        }
        let record = self.referred(line.record)?;
        if record.base().number != base.number() {
            return Err(corrupt(format!(
                "MFT record {} does not continue {}",
                record.number(),
                base.number()
            )));
        }
        then(&record)
    }

    /// The part of an attribute that a line of the list leads to.
    fn part(
        &self,
        base: &Record,
        (kind, name): (u32, &str),
        line: &Line,
    ) -> Result<(Part, u16), FsError> {
        self.with_line(base, line, |record| {
            let attributes = record.attributes()?;
            let found = attributes
                .iter()
                .find(|a| is(a, kind, name) && a.first() == line.first);
            let found = found.ok_or_else(|| missing(record))?;
            match found.value(self.device.boot.clusters)? {
                Value::Elsewhere(part) => Ok((part, found.flags)),
                Value::Resident(_) => Err(missing(record)),
            }
        })
    }

    /// The first part likewise, which may be the whole.
    fn first_value(
        &self,
        base: &Record,
        (kind, name): (u32, &str),
        line: &Line,
    ) -> Result<Content, FsError> {
        self.with_line(base, line, |record| {
            let attributes = record.attributes()?;
            let found = attributes
                .iter()
                .find(|a| is(a, kind, name) && a.first() == line.first);
            let found = found.ok_or_else(|| missing(record))?;
            match found.value(self.device.boot.clusters)? {
                Value::Elsewhere(part) => {
                    begin(part, found.flags, &self.device.boot).map(Content::Stream)
                }
                Value::Resident(value) => Ok(Content::Resident(value.to_vec())),
            }
        })
    }
}

fn missing(record: &Record) -> FsError {
    corrupt(format!(
        "MFT record {} lacks an attribute that a list promises",
        record.number()
    ))
}

/// A stream from the part with its beginning.
fn begin(part: Part, flags: u16, boot: &Boot) -> Result<Stream, FsError> {
    let (size, initialized) = (part.size, part.initialized);
    let mut stream = Stream {
        runs: Vec::new(),
        size,
        initialized,
        flags,
    };
    append(&mut stream, part, boot)?;
    Ok(stream)
}

/// Continues a stream; no stream can have more clusters than the volume.
fn append(stream: &mut Stream, part: Part, boot: &Boot) -> Result<(), FsError> {
    if part.first != stream.end() {
        return Err(corrupt(
            "the parts of an attribute do not follow each other",
        ));
    }
    stream.runs.extend(part.runs);
    if stream.allocated() > boot.clusters {
        return Err(corrupt("a file has more clusters than the volume"));
    }
    Ok(())
}

fn parse_lines(mut list: &[u8], kind: u32, name: &str) -> Option<Vec<Line>> {
    let mut lines: Vec<Line> = Vec::new();
    while !list.is_empty() {
        let len = usize::from(le16(list, 4)?);
        let line = list.get(..len).filter(|line| line.len() >= 26)?;
        let name_at = usize::from(line[7]);
        let own_name = line.get(name_at..name_at + 2 * usize::from(line[6]))?;
        if le32(line, 0)? == kind && name_is(own_name, name) {
            let first = le64(line, 8)?;
            // An unordered list could lead around in circles.
            if lines.last().is_some_and(|last| last.first >= first) {
                return None;
            }
            lines.push(Line {
                first,
                record: Reference::from_raw(le64(line, 16)?),
            });
        }
        list = &list[len..];
    }
    Some(lines)
}
