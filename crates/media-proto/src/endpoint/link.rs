//! How the packets of one leg are protected on the wire.
//!
//! Each received packet passes [`Link::open`] or [`Link::open_rtcp`] and each sent one [`Link::seal`] or
//! [`Link::seal_rtcp`], and nothing else looks at protected bytes. RTCP has its own pair, since SRTCP numbers
//! and protects packets differently from SRTP (RFC 3711 §3.4). Left to others: keys and handshakes,
//! which come with the transports that need them.

use crate::datagram::Datagram;

/// The transport of a leg's packets.
#[derive(Debug)]
pub(super) enum Link {
    /// Unprotected RTP (RFC 3551).
    Plain,
}

impl Link {
    /// Removes the protection of an RTP packet in place; false if it is not authentic.
    pub(super) fn open(&mut self, _packet: &mut Datagram<'_>) -> bool {
        match self {
            Self::Plain => true,
        }
    }

    /// Protects an RTP packet in place; false if it cannot be sent.
    pub(super) fn seal(&mut self, _packet: &mut Datagram<'_>) -> bool {
        match self {
            Self::Plain => true,
        }
    }

    /// Removes the protection of an RTCP packet in place; false if it is not authentic.
    pub(super) fn open_rtcp(&mut self, _packet: &mut Datagram<'_>) -> bool {
        match self {
            Self::Plain => true,
        }
    }

    /// Protects an RTCP packet in place; false if it cannot be sent.
    pub(super) fn seal_rtcp(&mut self, _packet: &mut Datagram<'_>) -> bool {
        match self {
            Self::Plain => true,
        }
    }
}
