//! RTP packets (RFC 3550 §5.1), read without copying and rewritten in place.
//!
//! ```text
//!  0                   1                   2                   3
//! |V=2|P|X|  CC   |M|     PT      |        sequence number        |
//! |                           timestamp                           |
//! |                             SSRC                              |
//! |                        CSRC × CC (0–15)                       |
//! |   profile of extension (if X) |  length of extension in words |
//! |   … extension …  | … payload …  | … padding (if P) … | count  |
//! ```
//!
//! **Invariant: a [`Packet`] exists only if header, extension and padding fit into its bytes**,
//! so its accessors cannot fail. Left to others: what the payload means.

/// Length of the fixed header in octets.
pub const HEADER_LEN: usize = 12;

const VERSION_BITS: u8 = 0b1000_0000;
const PADDING_BIT: u8 = 0b0010_0000;
const EXTENSION_BIT: u8 = 0b0001_0000;
const MARKER_BIT: u8 = 0b1000_0000;

/// Why bytes are not an RTP packet, or why one cannot be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RtpError {
    /// Shorter than its own header says.
    #[error("packet is truncated")]
    Short,
    /// The version is not 2.
    #[error("version is not 2")]
    Version,
    /// The padding count is zero or reaches into the header.
    #[error("padding does not fit")]
    Padding,
    /// The output buffer is too small.
    #[error("buffer is too small")]
    NoRoom,
}

/// The fields of the fixed header that change from packet to packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Header {
    /// Marker bit: first packet of a talk spurt or of a key press.
    pub marker: bool,
    /// Payload type, 0–127; higher bits are not sent.
    pub payload_type: u8,
    /// Sequence number, one more for each packet.
    pub sequence: u16,
    /// Sampling time of the first sample, in units of the clock rate.
    pub timestamp: u32,
    /// Synchronisation source: names the stream.
    pub ssrc: u32,
}

impl Header {
    /// Writes the 12 octets of a header without CSRCs, extension and padding at the start of `out`.
    ///
    /// # Errors
    /// [`RtpError::NoRoom`] if `out` is shorter than [`HEADER_LEN`].
    pub fn write(&self, out: &mut [u8]) -> Result<(), RtpError> {
        let fixed: &mut [u8; HEADER_LEN] = out.first_chunk_mut().ok_or(RtpError::NoRoom)?;
        fixed[0] = VERSION_BITS;
        self.write_variable(fixed);
        Ok(())
    }

    /// Writes a whole packet and returns its length in octets.
    ///
    /// # Errors
    /// [`RtpError::NoRoom`] if header and payload do not fit into `out`.
    pub fn write_packet(&self, payload: &[u8], out: &mut [u8]) -> Result<usize, RtpError> {
        let len = HEADER_LEN + payload.len();
        let packet = out.get_mut(..len).ok_or(RtpError::NoRoom)?;
        self.write(packet)?;
        packet[HEADER_LEN..].copy_from_slice(payload);
        Ok(len)
    }

    /// Replaces marker, payload type, sequence number, timestamp and SSRC of a packet in place.
    /// Its CSRCs, extension, payload and padding stay as they are.
    ///
    /// # Errors
    /// [`RtpError::Short`] if `packet` has no fixed header, [`RtpError::Version`] if it is not RTP.
    pub fn rewrite(&self, packet: &mut [u8]) -> Result<(), RtpError> {
        let fixed: &mut [u8; HEADER_LEN] = packet.first_chunk_mut().ok_or(RtpError::Short)?;
        check_version(fixed[0])?;
        self.write_variable(fixed);
        Ok(())
    }

    fn write_variable(&self, fixed: &mut [u8; HEADER_LEN]) {
        let marker = if self.marker { MARKER_BIT } else { 0 };
        fixed[1] = marker | (self.payload_type & 0x7F);
        fixed[2..4].copy_from_slice(&self.sequence.to_be_bytes());
        fixed[4..8].copy_from_slice(&self.timestamp.to_be_bytes());
        fixed[8..12].copy_from_slice(&self.ssrc.to_be_bytes());
    }
}

/// A checked view of a received packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    header: Header,
    csrcs: &'a [u8],
    extension: Option<(u16, &'a [u8])>,
    payload: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Checks version, CSRC count, extension length and padding.
    ///
    /// The [`RtpError`] that names the part that does not fit.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, RtpError> {
        let (fixed, rest): (&[u8; HEADER_LEN], _) =
            bytes.split_first_chunk().ok_or(RtpError::Short)?;
        check_version(fixed[0])?;
        let csrc_len = usize::from(fixed[0] & 0x0F) * 4;
        let (csrcs, rest) = rest.split_at_checked(csrc_len).ok_or(RtpError::Short)?;
        let (extension, rest) = if fixed[0] & EXTENSION_BIT == 0 {
            (None, rest)
        } else {
            split_extension(rest)?
        };
        let payload = if fixed[0] & PADDING_BIT == 0 {
            rest
        } else {
            strip_padding(rest)?
        };
        Ok(Self {
            header: read_fixed(fixed),
            csrcs,
            extension,
            payload,
        })
    }

    /// The fixed header.
    pub fn header(&self) -> Header {
        self.header
    }

    /// The payload without padding; may be empty.
    pub fn payload(&self) -> &'a [u8] {
        self.payload
    }

    /// The contributing sources, in order.
    pub fn csrcs(&self) -> impl Iterator<Item = u32> + 'a {
        let (words, _) = self.csrcs.as_chunks();
        words.iter().map(|word| u32::from_be_bytes(*word))
    }

    /// The header extension: its profile word and its content (whole 32-bit words).
    pub fn extension(&self) -> Option<(u16, &'a [u8])> {
        self.extension
    }
}

fn check_version(first_octet: u8) -> Result<(), RtpError> {
    if first_octet >> 6 == 2 {
        Ok(())
    } else {
        Err(RtpError::Version)
    }
}

fn read_fixed(fixed: &[u8; HEADER_LEN]) -> Header {
    let [_, second, s0, s1, t0, t1, t2, t3, r0, r1, r2, r3] = *fixed;
    Header {
        marker: second & MARKER_BIT != 0,
        payload_type: second & 0x7F,
        sequence: u16::from_be_bytes([s0, s1]),
        timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
        ssrc: u32::from_be_bytes([r0, r1, r2, r3]),
    }
}

type Extension<'a> = Option<(u16, &'a [u8])>;

fn split_extension(rest: &[u8]) -> Result<(Extension<'_>, &[u8]), RtpError> {
    let ([p0, p1, l0, l1], rest) = rest.split_first_chunk().ok_or(RtpError::Short)?;
    let len = usize::from(u16::from_be_bytes([*l0, *l1])) * 4;
    let (content, rest) = rest.split_at_checked(len).ok_or(RtpError::Short)?;
    Ok((Some((u16::from_be_bytes([*p0, *p1]), content)), rest))
}

fn strip_padding(rest: &[u8]) -> Result<&[u8], RtpError> {
    let count = usize::from(*rest.last().ok_or(RtpError::Padding)?);
    if count == 0 {
        return Err(RtpError::Padding);
    }
    let len = rest.len().checked_sub(count).ok_or(RtpError::Padding)?;
    Ok(&rest[..len])
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: Header = Header {
        marker: true,
        payload_type: 101,
        sequence: 0xFFFE,
        timestamp: 0x0102_0304,
        ssrc: 0xDEAD_BEEF,
    };

    #[test]
    fn written_packet_reads_back() {
        let mut out = [0xAA; 32];
        let len = HEADER.write_packet(b"hello", &mut out).unwrap();
        assert_eq!(
            out[..len],
            [
                0x80, 0xE5, 0xFF, 0xFE, 1, 2, 3, 4, 0xDE, 0xAD, 0xBE, 0xEF, b'h', b'e', b'l', b'l',
                b'o'
            ]
        );
        let packet = Packet::parse(&out[..len]).unwrap();
        assert_eq!(packet.header(), HEADER);
        assert_eq!(packet.payload(), b"hello");
        assert_eq!(packet.csrcs().count(), 0);
        assert_eq!(packet.extension(), None);
        assert_eq!(
            HEADER.write_packet(b"hello", &mut out[..16]),
            Err(RtpError::NoRoom)
        );
        assert_eq!(HEADER.write(&mut out[..11]), Err(RtpError::NoRoom));
    }

    /// Name, first octet, what follows the fixed header, then payload length or error.
    type Case = (&'static str, u8, &'static [u8], Result<usize, RtpError>);

    #[test]
    fn optional_parts() {
        let table: &[Case] = &[
            ("plain", 0x80, &[1, 2, 3], Ok(3)),
            ("empty", 0x80, &[], Ok(0)),
            ("one csrc", 0x81, &[9, 9, 9, 9, 1], Ok(1)),
            ("csrc missing", 0x81, &[9, 9, 9], Err(RtpError::Short)),
            ("15 csrcs missing", 0x8F, &[0; 59], Err(RtpError::Short)),
            (
                "extension of one word",
                0x90,
                &[0xBE, 0xDE, 0, 1, 7, 7, 7, 7, 1],
                Ok(1),
            ),
            ("empty extension", 0x90, &[0xBE, 0xDE, 0, 0, 1, 2], Ok(2)),
            (
                "extension header missing",
                0x90,
                &[0xBE, 0xDE, 0],
                Err(RtpError::Short),
            ),
            (
                "extension too long",
                0x90,
                &[0, 0, 0xFF, 0xFF, 1, 2],
                Err(RtpError::Short),
            ),
            ("padding of 2", 0xA0, &[1, 2, 3, 0, 2], Ok(3)),
            ("only padding", 0xA0, &[0, 0, 3], Ok(0)),
            ("padding of 0", 0xA0, &[1, 2, 0], Err(RtpError::Padding)),
            ("padding too long", 0xA0, &[1, 2, 4], Err(RtpError::Padding)),
            ("padding of nothing", 0xA0, &[], Err(RtpError::Padding)),
            (
                "padding into csrc",
                0xA1,
                &[9, 9, 9, 5],
                Err(RtpError::Padding),
            ),
            ("version 1", 0x40, &[1], Err(RtpError::Version)),
            ("version 3", 0xC0, &[1], Err(RtpError::Version)),
        ];
        for (name, first, rest, expected) in table {
            let mut bytes = vec![0; HEADER_LEN];
            bytes[0] = *first;
            bytes.extend_from_slice(rest);
            assert_eq!(
                Packet::parse(&bytes).map(|p| p.payload().len()),
                *expected,
                "{name}"
            );
        }
        assert_eq!(Packet::parse(&[0x80; 11]), Err(RtpError::Short));
    }

    #[test]
    fn csrcs_and_extension_are_exposed() {
        let mut bytes = vec![0x92, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3];
        bytes.extend_from_slice(&[0, 0, 0, 4, 0, 0, 0, 5, 0x10, 0x00, 0, 1, 6, 7, 8, 9, 42]);
        let packet = Packet::parse(&bytes).unwrap();
        assert_eq!(packet.csrcs().collect::<Vec<_>>(), [4, 5]);
        assert_eq!(packet.extension(), Some((0x1000, &[6, 7, 8, 9][..])));
        assert_eq!(packet.payload(), [42]);
    }

    #[test]
    fn rewrite_keeps_everything_else() {
        let mut bytes = vec![0xB1, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3];
        bytes.extend_from_slice(&[0, 0, 0, 4, 0x10, 0x00, 0, 1, 6, 7, 8, 9, 42, 0, 2]);
        let before = bytes.clone();
        HEADER.rewrite(&mut bytes).unwrap();
        assert_eq!(bytes[0], before[0]);
        assert_eq!(bytes[HEADER_LEN..], before[HEADER_LEN..]);
        assert_eq!(Packet::parse(&bytes).unwrap().header(), HEADER);
        assert_eq!(HEADER.rewrite(&mut [0x80; 11]), Err(RtpError::Short));
        assert_eq!(HEADER.rewrite(&mut [0x00; 12]), Err(RtpError::Version));
    }
}
