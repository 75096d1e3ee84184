//! Reception and transmission statistics (RFC 3550 §A.1, §A.3, §A.8).
use crate::packet::Header;
use crate::rtcp::{NtpTime, ReportBlock, SenderInfo};
use std::time::{Duration, Instant};

/// How a packet fits into the stream so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// First packet of the stream, or the sender restarted (new SSRC or sequence jump).
    Restarted,
    /// Newer than all before.
    InOrder,
    /// Older than the newest; late, reordered or a duplicate.
    Late,
    /// So far from the stream that it is ignored until a successor confirms it.
    Stray,
}
/// What one receiver knows about one source.
#[derive(Debug, Clone)]
pub struct ReceiverStats {
    clock_rate: u32,
}
impl ReceiverStats {
    /// `clock_rate` in Hz.
    pub fn new(clock_rate: u32) -> Self {
        Self { clock_rate }
    }
    /// Counts one packet.
    pub fn handle_packet(&mut self, _header: &Header, _now: Instant) -> Arrival {
        unimplemented!()
    }
    /// Remembers a sender report for LSR/DLSR.
    pub fn handle_sender_report(&mut self, _ssrc: u32, _ntp: NtpTime, _now: Instant) {
        unimplemented!()
    }
    /// The report block for the next RTCP packet; starts a new interval. `None` before the first packet.
    pub fn report(&mut self, _now: Instant) -> Option<ReportBlock> {
        unimplemented!()
    }
    /// Source of the stream.
    pub fn ssrc(&self) -> Option<u32> {
        unimplemented!()
    }
    /// Packets received, duplicates included.
    pub fn received(&self) -> u64 {
        unimplemented!()
    }
    /// Packets that should have come.
    pub fn expected(&self) -> u64 {
        unimplemented!()
    }
    /// Packets that never came (0 if duplicates outweigh losses).
    pub fn lost(&self) -> u64 {
        unimplemented!()
    }
    /// Interarrival jitter.
    pub fn jitter(&self) -> Duration {
        let _ = self.clock_rate;
        unimplemented!()
    }
}
/// What one sender has sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SenderStats {
    /// Packets sent.
    pub packets: u64,
    /// Payload octets sent.
    pub octets: u64,
}
impl SenderStats {
    /// Counts one packet.
    pub fn sent(&mut self, payload_octets: usize) {
        self.packets += 1;
        self.octets += payload_octets as u64;
    }
    /// The sender part of a report.
    pub fn info(&self, _ntp: NtpTime, _rtp_timestamp: u32) -> SenderInfo {
        unimplemented!()
    }
}
/// Round-trip time from a report block about our stream, `now` on the clock of our sender reports.
pub fn round_trip(_block: &ReportBlock, _now: NtpTime) -> Option<Duration> {
    unimplemented!()
}
