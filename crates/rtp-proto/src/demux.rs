//! Distinguishes RTP, RTCP, STUN and DTLS that share a socket (RFC 5761 §4, RFC 7983 §7).
//!
//! **Invariant: decides by the first two octets alone**; the parsers check the rest.

/// The protocol that a datagram appears to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An RTP packet.
    Rtp,
    /// An RTCP packet: version 2 and a packet type of 192–223.
    Rtcp,
    /// A STUN message: first octet 0–3.
    Stun,
    /// A DTLS record: first octet 20–63.
    Dtls,
    /// None of these.
    Unknown,
}

/// Classifies a datagram.
///
/// RTCP packet types 192–223 are the values RFC 5761 §4 keeps free of RTP: with the marker bit
/// they would be payload types 64–95, which dynamic assignment avoids.
pub fn classify(datagram: &[u8]) -> Kind {
    match datagram {
        [0..=3, ..] => Kind::Stun,
        [20..=63, ..] => Kind::Dtls,
        [128..=191, 192..=223, ..] => Kind::Rtcp,
        [128..=191, _, ..] => Kind::Rtp,
        _ => Kind::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_by_first_octets() {
        let table: &[(&[u8], Kind)] = &[
            (&[0x80, 0], Kind::Rtp),
            (&[0x80, 0x80], Kind::Rtp),
            (&[0x80, 101], Kind::Rtp),
            (&[0x80, 101 | 0x80], Kind::Rtp),
            (&[0x80, 127 | 0x80], Kind::Rtp),
            (&[0xBF, 8], Kind::Rtp),
            (&[0x80, 191], Kind::Rtp),
            (&[0x80, 192], Kind::Rtcp),
            (&[0x81, 200], Kind::Rtcp),
            (&[0x81, 207], Kind::Rtcp),
            (&[0x80, 223], Kind::Rtcp),
            (&[0x80, 224], Kind::Rtp),
            (&[0x00, 0x01], Kind::Stun),
            (&[22, 254], Kind::Dtls),
            (&[64, 0], Kind::Unknown),
            (&[192, 0], Kind::Unknown),
            (&[0x80], Kind::Unknown),
            (&[], Kind::Unknown),
        ];
        for (bytes, kind) in table {
            assert_eq!(classify(bytes), *kind, "{bytes:?}");
        }
    }
}
