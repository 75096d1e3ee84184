//! RTCP compound packets (RFC 3550 §6): sender and receiver reports, source descriptions, BYE.
//!
//! ```text
//! |V=2|P|  count  |  packet type  |   length in words, minus one  |
//! ```
//!
//! **Invariant: a [`Compound`] exists only if every packet in it fits, and every report, chunk
//! and source that its counts promise is there**, so reading it cannot fail.
//! A lone packet is accepted too (RFC 5506), in any order; packet types we do not know are kept as
//! [`RtcpPacket::Other`]. Left to others: when to send (RFC 3550 §6.2).

use std::time::Duration;

const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const SOURCE_DESCRIPTION: u8 = 202;
const GOODBYE: u8 = 203;

const BLOCK_LEN: usize = 24;
/// The 5-bit count of a packet can hold no more.
const MAX_COUNT: usize = 31;
const CNAME: u8 = 1;
/// Seconds from 1900 (NTP) to 1970 (Unix).
const NTP_UNIX_OFFSET: u64 = 2_208_988_800;

/// NTP timestamp: seconds since 1900 as a 32.32 fixed-point number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NtpTime(pub u64);

impl NtpTime {
    /// Converts the time since the Unix epoch.
    pub fn from_unix(since_epoch: Duration) -> Self {
        let seconds = since_epoch.as_secs().wrapping_add(NTP_UNIX_OFFSET);
        let fraction = (u64::from(since_epoch.subsec_nanos()) << 32) / 1_000_000_000;
        Self((seconds << 32) | fraction)
    }

    /// The middle 32 bits (16.16 s), as LSR carries them.
    pub fn middle(self) -> u32 {
        (self.0 >> 16) as u32
    }
}

/// Why bytes are not RTCP, or why a packet cannot be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RtcpError {
    /// A packet is shorter than its length or counts say.
    #[error("packet is truncated")]
    Short,
    /// The version is not 2.
    #[error("version is not 2")]
    Version,
    /// The padding does not fit, or is not in the last packet.
    #[error("padding does not fit")]
    Padding,
    /// The output buffer is too small, or an item exceeds its field.
    #[error("buffer is too small")]
    NoRoom,
}

/// Sender part of a sender report (§6.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SenderInfo {
    /// Wall clock when the report was made.
    pub ntp: NtpTime,
    /// The same moment on the clock of the stream.
    pub rtp_timestamp: u32,
    /// Packets sent.
    pub packets: u32,
    /// Payload octets sent.
    pub octets: u32,
}

/// What a receiver says about one source (§6.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReportBlock {
    /// The source reported on.
    pub ssrc: u32,
    /// Share of packets lost since the last report, in 1/256.
    pub fraction_lost: u8,
    /// Packets lost in total; 24 bits, negative if duplicates outweigh losses.
    pub cumulative_lost: i32,
    /// Extended highest sequence number: wraps above, number below.
    pub highest_sequence: u32,
    /// Interarrival jitter in timestamp units.
    pub jitter: u32,
    /// [`NtpTime::middle`] of the last sender report; 0 if there was none.
    pub last_sr: u32,
    /// Time since that report in 1/65536 s; 0 if there was none.
    pub delay_since_last_sr: u32,
}

/// One packet of a compound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RtcpPacket<'a> {
    /// SR: what a sender sent, and what it received.
    SenderReport {
        /// SSRC of the sender.
        ssrc: u32,
        /// What it sent.
        info: SenderInfo,
        /// What it received.
        reports: Reports<'a>,
    },
    /// RR: what a participant received.
    ReceiverReport {
        /// SSRC of the receiver.
        ssrc: u32,
        /// What it received.
        reports: Reports<'a>,
    },
    /// SDES: names of sources.
    SourceDescription(Sdes<'a>),
    /// BYE: sources that are leaving.
    Goodbye(Bye<'a>),
    /// A packet type we do not read.
    Other {
        /// The RTCP packet type.
        packet_type: u8,
    },
}

/// Report blocks, read on demand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reports<'a>(&'a [[u8; BLOCK_LEN]]);

impl<'a> Reports<'a> {
    /// The blocks in order.
    pub fn iter(&self) -> impl Iterator<Item = ReportBlock> + 'a {
        self.0.iter().map(read_block)
    }
}

/// The chunks of an SDES packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sdes<'a> {
    chunks: &'a [u8],
    count: usize,
}

impl<'a> Sdes<'a> {
    /// Source and canonical name of each chunk that has one.
    pub fn cnames(&self) -> impl Iterator<Item = (u32, &'a [u8])> + 'a {
        let mut rest = self.chunks;
        (0..self.count)
            .map_while(move |_| next_chunk(&mut rest))
            .filter_map(|(ssrc, items)| {
                let mut items = items;
                std::iter::from_fn(move || next_item(&mut items))
                    .find(|(kind, _)| *kind == CNAME)
                    .map(|(_, text)| (ssrc, text))
            })
    }
}

/// The content of a BYE packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bye<'a> {
    sources: &'a [[u8; 4]],
    reason: &'a [u8],
}

impl<'a> Bye<'a> {
    /// The sources that are leaving.
    pub fn sources(&self) -> impl Iterator<Item = u32> + 'a {
        self.sources.iter().map(|word| u32::from_be_bytes(*word))
    }

    /// The reason given, empty if none.
    pub fn reason(&self) -> &'a [u8] {
        self.reason
    }
}

/// A checked compound packet.
#[derive(Debug, Clone, Copy)]
pub struct Compound<'a>(&'a [u8]);

impl<'a> Compound<'a> {
    /// Checks a whole datagram.
    ///
    /// # Errors
    /// The [`RtcpError`] of the first packet that does not fit.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, RtcpError> {
        let mut rest = bytes;
        if rest.is_empty() {
            return Err(RtcpError::Short);
        }
        while !rest.is_empty() {
            let packet = split_packet(&mut rest)?;
            read_packet(packet)?;
        }
        Ok(Self(bytes))
    }

    /// The packets in order.
    pub fn packets(&self) -> impl Iterator<Item = RtcpPacket<'a>> + 'a {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let packet = split_packet(&mut rest).ok()?;
            read_packet(packet).ok()
        })
    }
}

/// One packet, cut out of the compound, its padding removed.
struct RawPacket<'a> {
    count: usize,
    packet_type: u8,
    body: &'a [u8],
}

fn split_packet<'a>(rest: &mut &'a [u8]) -> Result<RawPacket<'a>, RtcpError> {
    let ([first, packet_type, l0, l1], after) = rest.split_first_chunk().ok_or(RtcpError::Short)?;
    if first >> 6 != 2 {
        return Err(RtcpError::Version);
    }
    let len = usize::from(u16::from_be_bytes([*l0, *l1])) * 4;
    let (mut body, after) = after.split_at_checked(len).ok_or(RtcpError::Short)?;
    if first & 0b0010_0000 != 0 {
        body = strip_padding(body, after.is_empty())?;
    }
    *rest = after;
    Ok(RawPacket {
        count: usize::from(first & 0x1F),
        packet_type: *packet_type,
        body,
    })
}

/// Padding is a multiple of four and allowed only in the last packet (§6.4.1).
fn strip_padding(body: &[u8], last: bool) -> Result<&[u8], RtcpError> {
    let count = usize::from(*body.last().ok_or(RtcpError::Padding)?);
    if !last || count == 0 || !count.is_multiple_of(4) {
        return Err(RtcpError::Padding);
    }
    let len = body.len().checked_sub(count).ok_or(RtcpError::Padding)?;
    Ok(&body[..len])
}

fn read_packet(raw: RawPacket<'_>) -> Result<RtcpPacket<'_>, RtcpError> {
    match raw.packet_type {
        SENDER_REPORT => read_sender_report(&raw),
        RECEIVER_REPORT => read_receiver_report(&raw),
        SOURCE_DESCRIPTION => read_sdes(&raw),
        GOODBYE => read_bye(&raw),
        packet_type => Ok(RtcpPacket::Other { packet_type }),
    }
}

fn read_sender_report<'a>(raw: &RawPacket<'a>) -> Result<RtcpPacket<'a>, RtcpError> {
    let (words, rest): (&[u8; 24], _) = raw.body.split_first_chunk().ok_or(RtcpError::Short)?;
    let word = |index: usize| u32_at(words, index);
    let info = SenderInfo {
        ntp: NtpTime(u64::from(word(1)) << 32 | u64::from(word(2))),
        rtp_timestamp: word(3),
        packets: word(4),
        octets: word(5),
    };
    Ok(RtcpPacket::SenderReport {
        ssrc: word(0),
        info,
        reports: read_reports(rest, raw.count)?,
    })
}

fn read_receiver_report<'a>(raw: &RawPacket<'a>) -> Result<RtcpPacket<'a>, RtcpError> {
    let (ssrc, rest) = raw.body.split_first_chunk().ok_or(RtcpError::Short)?;
    let reports = read_reports(rest, raw.count)?;
    Ok(RtcpPacket::ReceiverReport {
        ssrc: u32::from_be_bytes(*ssrc),
        reports,
    })
}

fn read_reports(bytes: &[u8], count: usize) -> Result<Reports<'_>, RtcpError> {
    // A profile-specific extension follows the blocks; we skip it.
    let (blocks, _) = bytes.as_chunks();
    blocks.get(..count).map(Reports).ok_or(RtcpError::Short)
}

fn read_block(bytes: &[u8; BLOCK_LEN]) -> ReportBlock {
    let lost = u32_at(bytes, 1);
    ReportBlock {
        ssrc: u32_at(bytes, 0),
        fraction_lost: bytes[4],
        // Shifting left and right again extends the sign of the 24-bit field.
        cumulative_lost: (lost << 8).cast_signed() >> 8,
        highest_sequence: u32_at(bytes, 2),
        jitter: u32_at(bytes, 3),
        last_sr: u32_at(bytes, 4),
        delay_since_last_sr: u32_at(bytes, 5),
    }
}

/// The 32-bit word at `index` of a packet part made of 24 octets.
fn u32_at(words: &[u8; 24], index: usize) -> u32 {
    let (words, _) = words.as_chunks();
    words.get(index).map_or(0, |word| u32::from_be_bytes(*word))
}

fn read_sdes<'a>(raw: &RawPacket<'a>) -> Result<RtcpPacket<'a>, RtcpError> {
    let mut rest = raw.body;
    for _ in 0..raw.count {
        next_chunk(&mut rest).ok_or(RtcpError::Short)?;
    }
    Ok(RtcpPacket::SourceDescription(Sdes {
        chunks: raw.body,
        count: raw.count,
    }))
}

/// Cuts one chunk off: source and items. A chunk ends with a zero octet and is padded to a word.
fn next_chunk<'a>(rest: &mut &'a [u8]) -> Option<(u32, &'a [u8])> {
    let (ssrc, items) = rest.split_first_chunk()?;
    let mut after = items;
    while next_item(&mut after).is_some() {}
    let items_len = items.len() - after.len();
    if after.first() != Some(&0) {
        return None;
    }
    let padded = (items_len + 1).next_multiple_of(4);
    *rest = items.get(padded..)?;
    Some((u32::from_be_bytes(*ssrc), &items[..items_len]))
}

/// Cuts one item off: kind and text. `None` at the closing zero or if it does not fit.
fn next_item<'a>(items: &mut &'a [u8]) -> Option<(u8, &'a [u8])> {
    let ([kind, len], rest) = items.split_first_chunk()?;
    if *kind == 0 {
        return None;
    }
    let (text, after) = rest.split_at_checked(usize::from(*len))?;
    *items = after;
    Some((*kind, text))
}

fn read_bye<'a>(raw: &RawPacket<'a>) -> Result<RtcpPacket<'a>, RtcpError> {
    let (words, _) = raw.body.as_chunks();
    let sources = words.get(..raw.count).ok_or(RtcpError::Short)?;
    let reason = match &raw.body[raw.count * 4..] {
        [] => &[][..],
        [len, text @ ..] => text.get(..usize::from(*len)).ok_or(RtcpError::Short)?,
    };
    Ok(RtcpPacket::Goodbye(Bye { sources, reason }))
}

/// Writes a compound packet into a buffer, packet after packet.
#[derive(Debug)]
pub struct CompoundWriter<'a> {
    out: &'a mut [u8],
    len: usize,
}

impl<'a> CompoundWriter<'a> {
    /// Starts at the beginning of `out`; 128 octets hold a report with one block and a short name.
    pub fn new(out: &'a mut [u8]) -> Self {
        Self { out, len: 0 }
    }

    /// Appends an SR.
    ///
    /// # Errors
    /// [`RtcpError::NoRoom`] if it does not fit or has more than 31 blocks; nothing is written then.
    pub fn sender_report(
        &mut self,
        ssrc: u32,
        info: &SenderInfo,
        reports: &[ReportBlock],
    ) -> Result<(), RtcpError> {
        let body = self.open(SENDER_REPORT, reports.len(), 24 + reports.len() * BLOCK_LEN)?;
        let words = [
            ssrc,
            (info.ntp.0 >> 32) as u32,
            info.ntp.0 as u32,
            info.rtp_timestamp,
            info.packets,
            info.octets,
        ];
        let (head, blocks) = body.split_at_mut(24);
        put_words(head, &words);
        put_blocks(blocks, reports);
        Ok(())
    }

    /// Appends an RR.
    ///
    /// # Errors
    /// As [`Self::sender_report`].
    pub fn receiver_report(&mut self, ssrc: u32, reports: &[ReportBlock]) -> Result<(), RtcpError> {
        let body = self.open(
            RECEIVER_REPORT,
            reports.len(),
            4 + reports.len() * BLOCK_LEN,
        )?;
        let (head, blocks) = body.split_at_mut(4);
        put_words(head, &[ssrc]);
        put_blocks(blocks, reports);
        Ok(())
    }

    /// Appends an SDES with one chunk that holds one CNAME.
    ///
    /// # Errors
    /// [`RtcpError::NoRoom`] if it does not fit or the name has more than 255 octets.
    pub fn cname(&mut self, ssrc: u32, cname: &str) -> Result<(), RtcpError> {
        let len = u8::try_from(cname.len()).map_err(|_| RtcpError::NoRoom)?;
        // Source, item header, text, closing zero; padded to a word.
        let body_len = (4 + 2 + cname.len() + 1).next_multiple_of(4);
        let body = self.open(SOURCE_DESCRIPTION, 1, body_len)?;
        body.fill(0);
        put_words(body, &[ssrc]);
        body[4] = CNAME;
        body[5] = len;
        body[6..6 + cname.len()].copy_from_slice(cname.as_bytes());
        Ok(())
    }

    /// Appends a BYE of one source; an empty `reason` is left out.
    ///
    /// # Errors
    /// [`RtcpError::NoRoom`] if it does not fit or the reason has more than 255 octets.
    pub fn bye(&mut self, ssrc: u32, reason: &str) -> Result<(), RtcpError> {
        let len = u8::try_from(reason.len()).map_err(|_| RtcpError::NoRoom)?;
        let reason_len = if reason.is_empty() {
            0
        } else {
            (1 + reason.len()).next_multiple_of(4)
        };
        let body = self.open(GOODBYE, 1, 4 + reason_len)?;
        body.fill(0);
        put_words(body, &[ssrc]);
        if let [_, _, _, _, count, text @ ..] = body {
            *count = len;
            text[..reason.len()].copy_from_slice(reason.as_bytes());
        }
        Ok(())
    }

    /// Octets written.
    pub fn finish(self) -> usize {
        self.len
    }

    /// Writes a packet header and returns the space for its body (`body_len`, whole words).
    fn open(
        &mut self,
        packet_type: u8,
        count: usize,
        body_len: usize,
    ) -> Result<&mut [u8], RtcpError> {
        if count > MAX_COUNT {
            return Err(RtcpError::NoRoom);
        }
        let words = u16::try_from(body_len / 4).map_err(|_| RtcpError::NoRoom)?;
        let end = self.len + 4 + body_len;
        let packet = self.out.get_mut(self.len..end).ok_or(RtcpError::NoRoom)?;
        self.len = end;
        let (header, body) = packet.split_at_mut(4);
        let [l0, l1] = words.to_be_bytes();
        header.copy_from_slice(&[0x80 | count as u8, packet_type, l0, l1]);
        Ok(body)
    }
}

fn put_words(out: &mut [u8], words: &[u32]) {
    let (chunks, _) = out.as_chunks_mut();
    for (chunk, word) in chunks.iter_mut().zip(words) {
        *chunk = word.to_be_bytes();
    }
}

fn put_blocks(out: &mut [u8], reports: &[ReportBlock]) {
    for (chunk, report) in out.chunks_exact_mut(BLOCK_LEN).zip(reports) {
        let lost = report
            .cumulative_lost
            .clamp(-0x80_0000, 0x7F_FFFF)
            .cast_unsigned()
            & 0xFF_FFFF;
        let words = [
            report.ssrc,
            u32::from(report.fraction_lost) << 24 | lost,
            report.highest_sequence,
            report.jitter,
            report.last_sr,
            report.delay_since_last_sr,
        ];
        put_words(chunk, &words);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INFO: SenderInfo = SenderInfo {
        ntp: NtpTime(0x0102_0304_0506_0708),
        rtp_timestamp: 9,
        packets: 10,
        octets: 11,
    };
    const BLOCK: ReportBlock = ReportBlock {
        ssrc: 20,
        fraction_lost: 128,
        cumulative_lost: -3,
        highest_sequence: 0x0001_FFFF,
        jitter: 21,
        last_sr: 22,
        delay_since_last_sr: 23,
    };

    #[test]
    fn compound_reads_back() {
        let mut out = [0xAA; 200];
        let mut writer = CompoundWriter::new(&mut out);
        writer.sender_report(1, &INFO, &[BLOCK]).unwrap();
        writer.receiver_report(2, &[]).unwrap();
        writer.cname(1, "leg@host").unwrap();
        writer.cname(3, "abcde").unwrap();
        writer.bye(1, "").unwrap();
        writer.bye(3, "gone").unwrap();
        let len = writer.finish();
        assert_eq!(len % 4, 0);
        let compound = Compound::parse(&out[..len]).unwrap();
        let mut seen = Vec::new();
        for packet in compound.packets() {
            seen.push(match packet {
                RtcpPacket::SenderReport {
                    ssrc,
                    info,
                    reports,
                } => {
                    assert_eq!(info, INFO);
                    assert_eq!(reports.iter().collect::<Vec<_>>(), [BLOCK]);
                    format!("SR {ssrc}")
                }
                RtcpPacket::ReceiverReport { ssrc, reports } => {
                    format!("RR {ssrc} {}", reports.iter().count())
                }
                RtcpPacket::SourceDescription(sdes) => {
                    let (ssrc, name) = sdes.cnames().next().unwrap();
                    format!("SDES {ssrc} {}", String::from_utf8_lossy(name))
                }
                RtcpPacket::Goodbye(bye) => format!(
                    "BYE {:?} {}",
                    bye.sources().collect::<Vec<_>>(),
                    String::from_utf8_lossy(bye.reason())
                ),
                RtcpPacket::Other { packet_type } => format!("{packet_type}"),
            });
        }
        assert_eq!(
            seen,
            [
                "SR 1",
                "RR 2 0",
                "SDES 1 leg@host",
                "SDES 3 abcde",
                "BYE [1] ",
                "BYE [3] gone"
            ]
        );
    }

    #[test]
    fn hostile_and_odd_packets() {
        let table: &[(&str, &[u8], Result<usize, RtcpError>)] = &[
            ("nothing", &[], Err(RtcpError::Short)),
            ("three octets", &[0x80, 201, 0], Err(RtcpError::Short)),
            ("empty bye", &[0x80, 203, 0, 0], Ok(1)),
            ("version 1", &[0x40, 203, 0, 0], Err(RtcpError::Version)),
            (
                "length beyond end",
                &[0x80, 201, 0, 2, 0, 0, 0, 1],
                Err(RtcpError::Short),
            ),
            (
                "rr without source",
                &[0x80, 201, 0, 0],
                Err(RtcpError::Short),
            ),
            (
                "rr that promises a block",
                &[0x81, 201, 0, 1, 0, 0, 0, 1],
                Err(RtcpError::Short),
            ),
            (
                "short sr",
                &[0x80, 200, 0, 1, 0, 0, 0, 1],
                Err(RtcpError::Short),
            ),
            (
                "bye of 2 with 1",
                &[0x82, 203, 0, 1, 0, 0, 0, 1],
                Err(RtcpError::Short),
            ),
            (
                "bye, long reason",
                &[0x80, 203, 0, 1, 9, b'a', 0, 0],
                Err(RtcpError::Short),
            ),
            ("unknown type", &[0x80, 206, 0, 1, 1, 2, 3, 4], Ok(1)),
            ("two packets", &[0x80, 203, 0, 0, 0x80, 204, 0, 0], Ok(2)),
            ("padding in the last", &[0xA0, 203, 0, 1, 0, 0, 0, 4], Ok(1)),
            (
                "padding in the first",
                &[0xA0, 203, 0, 1, 0, 0, 0, 4, 0x80, 203, 0, 0],
                Err(RtcpError::Padding),
            ),
            (
                "padding of 3",
                &[0xA0, 203, 0, 1, 0, 0, 0, 3],
                Err(RtcpError::Padding),
            ),
            (
                "padding of 8 in 4",
                &[0xA0, 203, 0, 1, 0, 0, 0, 8],
                Err(RtcpError::Padding),
            ),
            (
                "padding of nothing",
                &[0xA0, 203, 0, 0],
                Err(RtcpError::Padding),
            ),
            (
                "sdes chunk without end",
                &[0x81, 202, 0, 1, 0, 0, 0, 1],
                Err(RtcpError::Short),
            ),
            (
                "sdes item beyond end",
                &[0x81, 202, 0, 2, 0, 0, 0, 1, 1, 200, b'a', 0],
                Err(RtcpError::Short),
            ),
            (
                "sdes without items",
                &[0x81, 202, 0, 2, 0, 0, 0, 1, 0, 0, 0, 0],
                Ok(1),
            ),
        ];
        for (name, bytes, expected) in table {
            let packets = Compound::parse(bytes).map(|compound| compound.packets().count());
            assert_eq!(packets, *expected, "{name}");
        }
    }

    #[test]
    fn writer_refuses_what_does_not_fit() {
        let mut out = [0; 64];
        let mut writer = CompoundWriter::new(&mut out);
        assert_eq!(
            writer.receiver_report(1, &[BLOCK; 32]),
            Err(RtcpError::NoRoom)
        );
        assert_eq!(
            writer.receiver_report(1, &[BLOCK; 3]),
            Err(RtcpError::NoRoom)
        );
        assert_eq!(writer.cname(1, &"x".repeat(256)), Err(RtcpError::NoRoom));
        assert_eq!(writer.bye(1, &"x".repeat(256)), Err(RtcpError::NoRoom));
        assert_eq!(writer.finish(), 0);
    }

    #[test]
    fn ntp_time() {
        let half_past = NtpTime::from_unix(Duration::from_millis(500));
        assert_eq!(half_past, NtpTime(0x83AA_7E80_8000_0000));
        assert_eq!(half_past.middle(), 0x7E80_8000);
    }

    #[test]
    fn cumulative_loss_is_clamped_to_24_bits() {
        for (lost, read) in [
            (i32::MAX, 0x7F_FFFF),
            (i32::MIN, -0x80_0000),
            (-1, -1),
            (5, 5),
        ] {
            let mut out = [0; 32];
            let mut writer = CompoundWriter::new(&mut out);
            writer
                .receiver_report(
                    1,
                    &[ReportBlock {
                        cumulative_lost: lost,
                        ..BLOCK
                    }],
                )
                .unwrap();
            let compound = Compound::parse(&out).unwrap();
            let Some(RtcpPacket::ReceiverReport { reports, .. }) = compound.packets().next() else {
                panic!("not an RR");
            };
            assert_eq!(reports.iter().next().unwrap().cumulative_lost, read);
        }
    }
}
