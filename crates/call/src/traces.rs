//! The trace of a family: kept small in memory, stored compressed at the end.

use std::io::{Read, Write};

use call_proto::Entry;
use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;

/// Entries of one family; more are counted and left out.
const MAX_ENTRIES: usize = 2_000;

#[derive(Default)]
pub(crate) struct Trace {
    entries: Vec<Entry>,
    left_out: usize,
}

impl Trace {
    pub(crate) fn add(&mut self, entry: Entry) {
        if self.entries.len() < MAX_ENTRIES {
            self.entries.push(entry);
        } else {
            self.left_out += 1;
        }
    }

    /// The row of the store: compressed JSON.
    pub(crate) fn pack(mut self) -> std::io::Result<Vec<u8>> {
        if self.left_out > 0
            && let Some(last) = self.entries.last().cloned()
        {
            let what = format!("{} more entries left out", self.left_out);
            self.entries.push(Entry {
                what,
                detail: String::new(),
                ..last
            });
        }
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
        serde_json::to_writer(&mut encoder, &self.entries)?;
        encoder.flush()?;
        encoder.finish()
    }
}

/// The entries of a stored trace.
///
/// # Errors
/// If the bytes are not a trace.
pub fn unpack(blob: &[u8]) -> std::io::Result<Vec<Entry>> {
    let mut json = Vec::new();
    ZlibDecoder::new(blob)
        .take(64 << 20)
        .read_to_end(&mut json)?;
    Ok(serde_json::from_slice(&json)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use call_proto::{Lane, Way};
    use model::{CallSid, Timestamp};

    #[test]
    fn what_is_packed_can_be_read() {
        let mut trace = Trace::default();
        for n in 0..MAX_ENTRIES + 3 {
            trace.add(Entry {
                at: Timestamp(1),
                call: CallSid::from_bytes([1; 16]),
                lane: Lane::Sip,
                way: Way::In,
                what: format!("entry {n}"),
                detail: String::new(),
            });
        }
        let entries = unpack(&trace.pack().unwrap()).unwrap();
        assert_eq!(entries.len(), MAX_ENTRIES + 1);
        assert_eq!(entries[7].what, "entry 7");
        assert_eq!(entries[MAX_ENTRIES].what, "3 more entries left out");
        assert!(unpack(b"nonsense").is_err());
    }
}
