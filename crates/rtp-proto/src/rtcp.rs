//! RTCP compound packets (RFC 3550 §6).
use std::time::Duration;

/// NTP timestamp: 32.32 fixed-point seconds since 1900.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NtpTime(pub u64);
impl NtpTime {
    /// From the time since the Unix epoch.
    pub fn from_unix(_since_epoch: Duration) -> Self {
        unimplemented!()
    }
    /// The middle 32 bits, as LSR carries them.
    pub fn middle(self) -> u32 {
        unimplemented!()
    }
}
/// Why bytes are not an RTCP compound packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RtcpError {
    /// Cut short.
    #[error("packet is cut short")]
    Short,
    /// Wrong version.
    #[error("version is not 2")]
    Version,
    /// Bad padding.
    #[error("padding does not fit")]
    Padding,
    /// No room in the output buffer.
    #[error("buffer is too small")]
    NoRoom,
}
/// Sender part of an SR.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SenderInfo {
    /// Wall clock.
    pub ntp: NtpTime,
    /// RTP timestamp at that time.
    pub rtp_timestamp: u32,
    /// Packets sent.
    pub packets: u32,
    /// Payload octets sent.
    pub octets: u32,
}
/// One report block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReportBlock {
    /// Source reported on.
    pub ssrc: u32,
    /// Share lost since the last report, in 1/256.
    pub fraction_lost: u8,
    /// Packets lost in total (24 bits, signed).
    pub cumulative_lost: i32,
    /// Extended highest sequence number.
    pub highest_sequence: u32,
    /// Interarrival jitter in timestamp units.
    pub jitter: u32,
    /// Middle of the last SR's NTP time.
    pub last_sr: u32,
    /// Delay since the last SR, in 1/65536 s.
    pub delay_since_last_sr: u32,
}
/// One packet of a compound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RtcpPacket<'a> {
    /// SR.
    SenderReport {
        /// Sender.
        ssrc: u32,
        /// Sender part.
        info: SenderInfo,
        /// Report blocks.
        reports: Reports<'a>,
    },
    /// RR.
    ReceiverReport {
        /// Sender.
        ssrc: u32,
        /// Report blocks.
        reports: Reports<'a>,
    },
    /// SDES.
    SourceDescription(Sdes<'a>),
    /// BYE.
    Goodbye(Bye<'a>),
    /// Any other packet type.
    Other {
        /// RTCP packet type.
        packet_type: u8,
    },
}
/// Report blocks, read on demand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reports<'a>(&'a [u8]);
impl<'a> Reports<'a> {
    /// The blocks in order.
    pub fn iter(&self) -> impl Iterator<Item = ReportBlock> + 'a {
        let _ = self.0;
        std::iter::empty()
    }
}
/// SDES content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sdes<'a>(&'a [u8]);
impl<'a> Sdes<'a> {
    /// Canonical names by source.
    pub fn cnames(&self) -> impl Iterator<Item = (u32, &'a [u8])> + 'a {
        let _ = self.0;
        std::iter::empty()
    }
}
/// BYE content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bye<'a>(&'a [u8]);
impl<'a> Bye<'a> {
    /// Sources that leave.
    pub fn sources(&self) -> impl Iterator<Item = u32> + 'a {
        let _ = self.0;
        std::iter::empty()
    }
}
/// A checked compound packet.
#[derive(Debug, Clone, Copy)]
pub struct Compound<'a>(&'a [u8]);
impl<'a> Compound<'a> {
    /// Checks the whole datagram.
    pub fn parse(_bytes: &'a [u8]) -> Result<Self, RtcpError> {
        unimplemented!()
    }
    /// The packets in order.
    pub fn packets(&self) -> impl Iterator<Item = RtcpPacket<'a>> + 'a {
        let _ = self.0;
        std::iter::empty()
    }
}
/// Writes a compound packet into a buffer.
#[derive(Debug)]
pub struct CompoundWriter<'a> {
    out: &'a mut [u8],
    len: usize,
}
impl<'a> CompoundWriter<'a> {
    /// Starts at the beginning of `out`.
    pub fn new(out: &'a mut [u8]) -> Self {
        Self { out, len: 0 }
    }
    /// Appends an SR (at most 31 blocks).
    pub fn sender_report(
        &mut self,
        _ssrc: u32,
        _info: &SenderInfo,
        _reports: &[ReportBlock],
    ) -> Result<(), RtcpError> {
        let _ = &self.out;
        unimplemented!()
    }
    /// Appends an RR (at most 31 blocks).
    pub fn receiver_report(
        &mut self,
        _ssrc: u32,
        _reports: &[ReportBlock],
    ) -> Result<(), RtcpError> {
        unimplemented!()
    }
    /// Appends an SDES with one CNAME.
    pub fn cname(&mut self, _ssrc: u32, _cname: &str) -> Result<(), RtcpError> {
        unimplemented!()
    }
    /// Appends a BYE.
    pub fn bye(&mut self, _ssrc: u32, _reason: &str) -> Result<(), RtcpError> {
        unimplemented!()
    }
    /// Octets written.
    pub fn finish(self) -> usize {
        self.len
    }
}
