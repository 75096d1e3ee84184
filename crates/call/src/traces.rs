//! The trace and the journal of a family: little in memory, the rest compressed, one row at the end.
//!
//! Lines of JSON, prefixed by `T` for a trace entry and `J` for a journal line, in pieces that are
//! compressed one by one. **Invariant: a family holds at most [`BUFFER`] bytes as text and not much
//! more than [`MAX_JOURNAL`] compressed**; a journal that would be larger is cut and marked as
//! such.

use std::cell::RefCell;
use std::io::{BufRead, BufReader, Read};

use call_proto::Entry;
use call_proto::journal::Line;
use flate2::read::{MultiGzDecoder, ZlibDecoder};
use flate2::{Compress, Compression, FlushCompress, Status};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Maximum entries of one family; the rest are counted and dropped.
const MAX_ENTRIES: usize = 2_000;

/// Maximum bytes waiting to be compressed.
const BUFFER: usize = 16 * 1024;

/// Compressed bytes after which the journal is cut, and its longest line.
const MAX_JOURNAL: usize = 256 * 1024;

/// Maximum text decompressed from a row.
const MAX_TEXT: u64 = 64 << 20;

const ENTRY: u8 = b'T';
const JOURNAL: u8 = b'J';

#[derive(Clone, Default)]
pub(crate) struct Trace {
    text: Vec<u8>,
    packed: Vec<u8>,
    entries: usize,
    left_out: usize,
    last: Option<Entry>,
    is_cut: bool,
}

impl Trace {
    pub(crate) fn add(&mut self, entry: Entry) {
        if self.entries < MAX_ENTRIES && self.write(ENTRY, &entry) {
            self.entries += 1;
        } else {
            self.left_out += 1;
            self.last = Some(entry);
        }
    }

    /// Adds a line to the journal; false once it is full, which its last line records.
    pub(crate) fn journal(&mut self, line: &Line) -> bool {
        if self.is_cut {
            return false;
        }
        if self.packed.len() < MAX_JOURNAL && self.write(JOURNAL, line) {
            return true;
        }
        self.is_cut = true;
        self.write(JOURNAL, &Line::Cut);
        false
    }

    /// Writes a line; false, without writing, if it is too long.
    fn write(&mut self, kind: u8, line: &impl Serialize) -> bool {
        let before = self.text.len();
        self.text.push(kind);
        let written = serde_json::to_writer(&mut self.text, line).is_ok();
        if !written || self.text.len() - before > MAX_JOURNAL {
            self.text.truncate(before);
            return false;
        }
        self.text.push(b'\n');
        if self.text.len() >= BUFFER {
            // If it cannot be compressed the text stays, and the end retries.
            let _ = self.squeeze();
        }
        true
    }

    fn squeeze(&mut self) -> std::io::Result<()> {
        PACKER.with_borrow_mut(|packer| gzip(packer, &self.text, &mut self.packed))?;
        self.text = Vec::new();
        Ok(())
    }

    /// The row of the store.
    pub(crate) fn pack(mut self) -> std::io::Result<Vec<u8>> {
        if let Some(last) = self.last.take() {
            let what = format!("{} more entries left out", self.left_out);
            let detail = String::new();
            self.write(
                ENTRY,
                &Entry {
                    what,
                    detail,
                    ..last
                },
            );
        }
        self.squeeze()?;
        Ok(self.packed)
    }
}

thread_local! {
    /// The tables of a compressor are much larger than the text of a call.
    static PACKER: RefCell<Compress> = RefCell::new(Compress::new_gzip(Compression::fast(), 15));
}

/// Appends `text` to `packed` as one gzip member; appends nothing if it fails.
fn gzip(packer: &mut Compress, text: &[u8], packed: &mut Vec<u8>) -> std::io::Result<()> {
    let start = packed.len();
    packer.reset();
    loop {
        let done = usize::try_from(packer.total_in()).unwrap_or(text.len());
        packed.reserve(text.len() / 4 + 256);
        match packer.compress_vec(&text[done..], packed, FlushCompress::Finish) {
            Ok(Status::StreamEnd) => return Ok(()),
            Ok(Status::Ok | Status::BufError) => {}
            Err(error) => {
                packed.truncate(start);
                return Err(error.into());
            }
        }
    }
}

/// The entries of a stored trace.
///
/// # Errors
/// If the bytes are not a trace.
pub fn unpack(blob: &[u8]) -> std::io::Result<Vec<Entry>> {
    if is_lines(blob) {
        return lines(blob, ENTRY);
    }
    // Rows from before there were journals: one compressed array.
    let mut json = Vec::new();
    ZlibDecoder::new(blob)
        .take(MAX_TEXT)
        .read_to_end(&mut json)?;
    Ok(serde_json::from_slice(&json)?)
}

/// The journal stored with a trace; empty if there is none.
///
/// # Errors
/// If the bytes are not a trace.
pub fn unpack_journal(blob: &[u8]) -> std::io::Result<Vec<Line>> {
    if is_lines(blob) {
        return lines(blob, JOURNAL);
    }
    Ok(Vec::new())
}

fn is_lines(blob: &[u8]) -> bool {
    blob.starts_with(&[0x1f, 0x8b])
}

/// The lines of one kind.
fn lines<T: DeserializeOwned>(blob: &[u8], kind: u8) -> std::io::Result<Vec<T>> {
    let mut reader = BufReader::new(MultiGzDecoder::new(blob).take(MAX_TEXT));
    let mut found = Vec::new();
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line)? > 0 {
        if line.first() == Some(&kind) {
            found.push(serde_json::from_slice(&line[1..])?);
        }
        line.clear();
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use call_proto::{Lane, Way};
    use model::{CallSid, Timestamp};

    fn entry(what: String) -> Entry {
        Entry {
            at: Timestamp(1),
            owner: CallSid::from_bytes([1; 16]).into(),
            lane: Lane::Sip,
            way: Way::In,
            what,
            detail: String::new(),
        }
    }

    /// A line that barely compresses.
    fn noise(seed: u64, bytes: usize) -> Line {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            char::from(b'!' + u8::try_from((state >> 33) % 90).unwrap_or(0))
        };
        Line::Out(vec![(0..bytes).map(|_| next()).collect()])
    }

    #[test]
    fn what_is_packed_can_be_read() {
        let mut trace = Trace::default();
        for n in 0..MAX_ENTRIES + 3 {
            trace.add(entry(format!("entry {n}")));
            assert!(trace.journal(&Line::Timeout { at: Timestamp(7) }));
            assert!(trace.text.len() < BUFFER);
        }
        let blob = trace.pack().unwrap();
        let entries = unpack(&blob).unwrap();
        assert_eq!(entries.len(), MAX_ENTRIES + 1);
        assert_eq!(entries[7].what, "entry 7");
        assert_eq!(entries[MAX_ENTRIES].what, "3 more entries left out");
        assert_eq!(unpack_journal(&blob).unwrap().len(), MAX_ENTRIES + 3);
        assert!(unpack(b"nonsense").is_err());
    }

    #[test]
    fn a_large_journal_is_cut_and_the_trace_goes_on() {
        let mut trace = Trace::default();
        let kept = (0..1_000).take_while(|seed| trace.journal(&noise(*seed, 5_000)));
        let kept = kept.count();
        assert!(kept > 50 && kept < 100, "{kept} lines");
        trace.add(entry("late".to_owned()));
        let blob = trace.pack().unwrap();
        assert!(
            blob.len() < MAX_JOURNAL + 2 * BUFFER,
            "{} bytes",
            blob.len()
        );
        let lines = unpack_journal(&blob).unwrap();
        assert_eq!(lines.len(), kept + 1);
        assert!(matches!(lines.last(), Some(Line::Cut)));
        assert_eq!(unpack(&blob).unwrap()[0].what, "late");
    }

    #[test]
    fn a_line_that_is_too_long_cuts_the_journal() {
        let mut trace = Trace::default();
        assert!(trace.journal(&noise(1, 10)));
        assert!(!trace.journal(&noise(1, MAX_JOURNAL)));
        let lines = unpack_journal(&trace.pack().unwrap()).unwrap();
        assert!(matches!(lines[..], [Line::Out(_), Line::Cut]), "{lines:?}");
    }

    #[test]
    fn rows_without_a_journal_can_be_read() {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), Compression::fast());
        serde_json::to_writer(&mut encoder, &[entry("old".to_owned())]).unwrap();
        let blob = encoder.finish().unwrap();
        assert_eq!(unpack(&blob).unwrap()[0].what, "old");
        assert_eq!(unpack_journal(&blob).unwrap().len(), 0);
    }
}
