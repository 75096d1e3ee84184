//! Key presses as telephone events (RFC 4733).
use crate::packet::Header;
use std::time::{Duration, Instant};
/// One telephone-event payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// Event code; 0–15 are the DTMF keys.
    pub code: u8,
    /// Last packet of the press.
    pub end: bool,
    /// Power in dB below 0 dBm0, 0–63.
    pub volume: u8,
    /// Time since key down, in timestamp units.
    pub duration: u16,
}
impl Event {
    /// Reads the first 4 octets; `None` if there are fewer.
    pub fn parse(_payload: &[u8]) -> Option<Self> {
        unimplemented!()
    }
    /// The 4 payload octets.
    pub fn encode(&self) -> [u8; 4] {
        unimplemented!()
    }
    /// The key; `None` for codes above 15.
    pub fn digit(&self) -> Option<char> {
        unimplemented!()
    }
}
/// Code of a key (`0`–`9`, `*`, `#`, `A`–`D`, also lower case).
pub fn code_of(_digit: char) -> Option<u8> {
    unimplemented!()
}
/// Turns received events into digits, each reported once, when its first packet arrives.
#[derive(Debug, Clone, Default)]
pub struct DtmfReceiver {
    _current: (),
}
impl DtmfReceiver {
    /// A receiver that has heard nothing.
    pub fn new() -> Self {
        Self::default()
    }
    /// Feeds one telephone-event packet; returns the digit of a new key press.
    pub fn handle_packet(
        &mut self,
        _header: &Header,
        _payload: &[u8],
        _now: Instant,
    ) -> Option<char> {
        unimplemented!()
    }
}
/// One packet to send: the caller adds sequence, SSRC, payload type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventPacket {
    /// Marker bit.
    pub marker: bool,
    /// RTP timestamp (the start of the press, in all its packets).
    pub timestamp: u32,
    /// The payload.
    pub payload: [u8; 4],
}
/// Sends one key press: a packet per frame, then the end packet three times.
#[derive(Debug, Clone)]
pub struct DtmfSender {
    _sent: (),
}
impl DtmfSender {
    /// - `timestamp`: RTP timestamp at key down; - `length`: of the press; - `frame`: packet interval in timestamp units.
    /// `None` if `digit` is no key.
    pub fn new(_digit: char, _timestamp: u32, _length: Duration, _frame: u16) -> Option<Self> {
        unimplemented!()
    }
    /// The packet of this frame; `None` when the press is over.
    pub fn next_packet(&mut self) -> Option<EventPacket> {
        unimplemented!()
    }
}
