//! How the packets of one leg are protected on the wire.
//!
//! Each accepted packet passes [`Link::open`] and each sent one [`Link::seal`], and nothing else looks
//! at protected bytes. Left to others: keys and handshakes, which come with the transports that need them.

use crate::datagram::Datagram;

/// The transport of a leg's packets.
#[derive(Debug)]
pub(super) enum Link {
    /// RTP as it is (RFC 3551).
    Plain,
}

impl Link {
    /// Takes the protection off a packet in place; false if it is not authentic.
    pub(super) fn open(&mut self, _packet: &mut Datagram<'_>) -> bool {
        match self {
            Self::Plain => true,
        }
    }

    /// Protects a packet in place; false if it cannot be sent.
    pub(super) fn seal(&mut self, _packet: &mut Datagram<'_>) -> bool {
        match self {
            Self::Plain => true,
        }
    }
}
