//! RTP packets (RFC 3550 §5.1).
/// Length of the fixed header.
pub const HEADER_LEN: usize = 12;
/// Why bytes are not an RTP packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RtpError {
    /// Shorter than its own header says.
    #[error("packet is cut short")]
    Short,
    /// Not version 2.
    #[error("version is not 2")]
    Version,
    /// The padding count is zero or longer than the payload.
    #[error("padding does not fit")]
    Padding,
    /// The output buffer is too small.
    #[error("buffer is too small")]
    NoRoom,
}
/// The fields of the fixed header that change from packet to packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Header {
    /// Marker bit: first packet of a talk spurt.
    pub marker: bool,
    /// Payload type, 0–127.
    pub payload_type: u8,
    /// Sequence number.
    pub sequence: u16,
    /// Timestamp in units of the clock rate.
    pub timestamp: u32,
    /// Source.
    pub ssrc: u32,
}
impl Header {
    /// Writes the 12 octets of a header without CSRC and extension at the start of `out`.
    pub fn write(&self, _out: &mut [u8]) -> Result<(), RtpError> {
        unimplemented!()
    }
    /// Writes header and payload; returns the packet's length.
    pub fn write_packet(&self, _payload: &[u8], _out: &mut [u8]) -> Result<usize, RtpError> {
        unimplemented!()
    }
    /// Overwrites marker, payload type, sequence, timestamp and SSRC of a packet in place; CSRCs, extension, payload stay.
    pub fn rewrite(&self, _packet: &mut [u8]) -> Result<(), RtpError> {
        unimplemented!()
    }
}
/// A checked view of a received packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    bytes: &'a [u8],
}
impl<'a> Packet<'a> {
    /// Checks version, CSRC count, extension length and padding.
    pub fn parse(_bytes: &'a [u8]) -> Result<Self, RtpError> {
        unimplemented!()
    }
    /// The fixed header.
    pub fn header(&self) -> Header {
        unimplemented!()
    }
    /// The payload without padding.
    pub fn payload(&self) -> &'a [u8] {
        unimplemented!()
    }
    /// The contributing sources.
    pub fn csrcs(&self) -> impl Iterator<Item = u32> + 'a {
        std::iter::empty()
    }
    /// The header extension: profile word and content.
    pub fn extension(&self) -> Option<(u16, &'a [u8])> {
        unimplemented!()
    }
}
