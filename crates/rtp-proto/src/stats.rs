//! What a receiver and a sender know about a stream (RFC 3550 §A.1, §A.3, §A.8).
//!
//! **Invariant: a single odd packet never changes the picture.** A sequence number far from the
//! stream counts only when the next packet follows it (§A.1); a new SSRC starts a new stream.
//! Left to others: sending the reports, and deciding which source may speak.

use crate::packet::Header;
use crate::rtcp::{NtpTime, ReportBlock, SenderInfo};
use crate::seq;
use std::time::{Duration, Instant};

/// A jump forward by more than this is not plain loss (§A.1).
const MAX_DROPOUT: u16 = 3000;
/// A step back by more than this is not plain reordering (§A.1). Fewer than `Stream::seen` has bits.
const MAX_MISORDER: u16 = 100;

/// How a packet fits into the stream so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// First packet of a stream: the very first, a new SSRC, or a confirmed jump.
    Restarted,
    /// Newer than all before.
    InOrder,
    /// Not newer, but new: late or reordered.
    Late,
    /// It has arrived before.
    Duplicate,
    /// So far from the stream that it does not count until its successor confirms it.
    Stray,
}

/// What one receiver knows about its current source.
#[derive(Debug, Clone)]
pub struct ReceiverStats {
    clock_rate: u32,
    stream: Option<Stream>,
    last_sr: Option<(u32, NtpTime, Instant)>,
    /// Totals of streams that were replaced by a restart.
    past: Totals,
}

#[derive(Debug, Clone, Copy, Default)]
struct Totals {
    received: u64,
    expected: u64,
}

#[derive(Debug, Clone)]
struct Stream {
    ssrc: u32,
    first: u32,
    highest: u32,
    /// Bit n is set if the packet n before the highest has arrived.
    seen: u128,
    /// Sequence number that would confirm a jump.
    restart_at: Option<u16>,
    received: u64,
    /// Totals at the last report.
    reported: Totals,
    /// Arrival and timestamp of the last packet.
    last: (Instant, u32),
    /// Jitter times 16, in timestamp units (§A.8).
    jitter_q4: u32,
}

impl ReceiverStats {
    /// `clock_rate`: of the RTP timestamps, in Hz.
    pub fn new(clock_rate: u32) -> Self {
        Self {
            clock_rate,
            stream: None,
            last_sr: None,
            past: Totals::default(),
        }
    }

    /// Sets the clock rate of the packets that follow, in Hz.
    pub fn set_clock_rate(&mut self, clock_rate: u32) {
        self.clock_rate = clock_rate;
    }

    /// Counts one packet.
    pub fn handle_packet(&mut self, header: &Header, now: Instant) -> Arrival {
        let clock_rate = self.clock_rate;
        let Some(stream) = self
            .stream
            .as_mut()
            .filter(|stream| stream.ssrc == header.ssrc)
        else {
            return self.restart(header, now);
        };
        match stream.place(header.sequence) {
            Arrival::Restarted => self.restart(header, now),
            Arrival::Stray => Arrival::Stray,
            arrival @ (Arrival::InOrder | Arrival::Late | Arrival::Duplicate) => {
                stream.received += 1;
                stream.measure_jitter(header.timestamp, now, clock_rate);
                arrival
            }
        }
    }

    /// Remembers a sender report for the next [`Self::report`] to refer to.
    pub fn handle_sender_report(&mut self, ssrc: u32, ntp: NtpTime, now: Instant) {
        self.last_sr = Some((ssrc, ntp, now));
    }

    /// The report block for the next RTCP packet; starts a new interval for the fraction lost.
    /// `None` before the first packet.
    pub fn report(&mut self, now: Instant) -> Option<ReportBlock> {
        let stream = self.stream.as_mut()?;
        let totals = stream.totals();
        let expected = totals.expected.saturating_sub(stream.reported.expected);
        let received = totals.received.saturating_sub(stream.reported.received);
        stream.reported = totals;
        let (last_sr, delay_since_last_sr) = match self.last_sr {
            Some((ssrc, ntp, at)) if ssrc == stream.ssrc => (ntp.middle(), since(at, now)),
            Some(_) | None => (0, 0),
        };
        Some(ReportBlock {
            ssrc: stream.ssrc,
            fraction_lost: fraction(expected.saturating_sub(received), expected),
            cumulative_lost: signed_difference(totals.expected, totals.received),
            highest_sequence: stream.highest,
            jitter: stream.jitter_q4 >> 4,
            last_sr,
            delay_since_last_sr,
        })
    }

    /// Source of the current stream.
    pub fn ssrc(&self) -> Option<u32> {
        self.stream.as_ref().map(|stream| stream.ssrc)
    }

    /// Packets received over all streams, duplicates included.
    pub fn received(&self) -> u64 {
        self.past.received + self.totals().received
    }

    /// Packets that should have arrived, over all streams.
    pub fn expected(&self) -> u64 {
        self.past.expected + self.totals().expected
    }

    /// Packets that never arrived; 0 if duplicates outweigh losses.
    pub fn lost(&self) -> u64 {
        self.expected().saturating_sub(self.received())
    }

    /// Interarrival jitter of the current stream (§6.4.1).
    pub fn jitter(&self) -> Duration {
        let units = self
            .stream
            .as_ref()
            .map_or(0, |stream| stream.jitter_q4 >> 4);
        Duration::from_secs_f64(f64::from(units) / f64::from(self.clock_rate.max(1)))
    }

    fn totals(&self) -> Totals {
        self.stream.as_ref().map(Stream::totals).unwrap_or_default()
    }

    fn restart(&mut self, header: &Header, now: Instant) -> Arrival {
        let before = self.totals();
        self.past.received += before.received;
        self.past.expected += before.expected;
        self.stream = Some(Stream::new(header, now));
        Arrival::Restarted
    }
}

impl Stream {
    fn new(header: &Header, now: Instant) -> Self {
        let first = u32::from(header.sequence);
        Self {
            ssrc: header.ssrc,
            first,
            highest: first,
            seen: 1,
            restart_at: None,
            received: 1,
            reported: Totals::default(),
            last: (now, header.timestamp),
            jitter_q4: 0,
        }
    }

    fn totals(&self) -> Totals {
        let expected = u64::from(self.highest.wrapping_sub(self.first)) + 1;
        Totals {
            received: self.received,
            expected,
        }
    }

    /// Where a sequence number belongs; moves the highest one forward (§A.1).
    fn place(&mut self, sequence: u16) -> Arrival {
        let newest = self.highest as u16;
        let ahead = sequence.wrapping_sub(newest);
        let behind = newest.wrapping_sub(sequence);
        if behind < MAX_MISORDER {
            let bit = 1 << behind;
            let arrival = match self.seen & bit {
                0 => Arrival::Late,
                _ => Arrival::Duplicate,
            };
            self.seen |= bit;
            return arrival;
        }
        if ahead < MAX_DROPOUT {
            self.highest = self.highest.wrapping_add(u32::from(ahead));
            self.seen = self.seen.checked_shl(ahead.into()).unwrap_or(0) | 1;
            self.restart_at = None;
            return Arrival::InOrder;
        }
        if self.restart_at == Some(sequence) {
            return Arrival::Restarted;
        }
        self.restart_at = Some(sequence.wrapping_add(1));
        Arrival::Stray
    }

    /// One step of the jitter filter (§A.8), in fixed point with four fractional bits.
    fn measure_jitter(&mut self, timestamp: u32, now: Instant, clock_rate: u32) {
        let (last_arrival, last_timestamp) = self.last;
        self.last = (now, timestamp);
        let elapsed = now.saturating_duration_since(last_arrival);
        let elapsed_units = elapsed.as_micros() * u128::from(clock_rate) / 1_000_000;
        let sent_units = i128::from(seq::timestamp_distance(last_timestamp, timestamp));
        let arrived_units = i128::try_from(elapsed_units).unwrap_or(i128::MAX);
        let difference = arrived_units.saturating_sub(sent_units).unsigned_abs();
        // A change of more than a second is a pause or a jump of the sender, not jitter.
        let Some(difference) = u32::try_from(difference).ok().filter(|d| *d <= clock_rate) else {
            return;
        };
        self.jitter_q4 = self.jitter_q4 + difference - ((self.jitter_q4 + 8) >> 4);
    }
}

/// `lost` of `expected` in 1/256, at most 255.
fn fraction(lost: u64, expected: u64) -> u8 {
    let share = (lost << 8).checked_div(expected).unwrap_or(0);
    u8::try_from(share).unwrap_or(u8::MAX)
}

fn signed_difference(expected: u64, received: u64) -> i32 {
    let difference = i128::from(expected) - i128::from(received);
    i32::try_from(difference.clamp(-0x80_0000, 0x7F_FFFF)).unwrap_or(0)
}

/// Time from `at` to `now` in 1/65536 s.
fn since(at: Instant, now: Instant) -> u32 {
    let micros = now.saturating_duration_since(at).as_micros();
    u32::try_from(micros * 65536 / 1_000_000).unwrap_or(u32::MAX)
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

    /// The sender part of a report; the counters wrap at 32 bits there.
    pub fn info(&self, ntp: NtpTime, rtp_timestamp: u32) -> SenderInfo {
        SenderInfo {
            ntp,
            rtp_timestamp,
            packets: self.packets as u32,
            octets: self.octets as u32,
        }
    }
}

/// Round-trip time from a report block about our stream (§6.4.1).
///
/// - `now`: arrival of the block, on the clock our sender reports carry.
///
/// `None` if the block does not refer to a sender report, or refers to the future.
pub fn round_trip(block: &ReportBlock, now: NtpTime) -> Option<Duration> {
    if block.last_sr == 0 {
        return None;
    }
    let answered = block.last_sr.wrapping_add(block.delay_since_last_sr);
    let units = now.middle().wrapping_sub(answered).cast_signed();
    let units = u32::try_from(units).ok()?;
    Some(Duration::from_secs_f64(f64::from(units) / 65536.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Name, sequence numbers, then received, expected, lost, highest.
    type Case = (&'static str, &'static [u16], (u64, u64, u64, u32));

    #[test]
    fn counts_by_sequence_number() {
        let table: &[Case] = &[
            ("in order", &[10, 11, 12], (3, 3, 0, 12)),
            ("one lost", &[10, 12], (2, 3, 1, 12)),
            ("reordered", &[10, 12, 11, 13], (4, 4, 0, 13)),
            ("duplicate", &[10, 11, 11, 12], (4, 3, 0, 12)),
            ("wrap", &[65534, 65535, 0, 1], (4, 4, 0, 65537)),
            ("late over the wrap", &[65535, 1, 0, 2], (4, 4, 0, 65538)),
            ("stray ignored", &[10, 30000, 11, 12], (3, 3, 0, 12)),
            (
                "jump confirmed",
                &[10, 30000, 30001, 30002],
                (3, 3, 0, 30002),
            ),
            ("far back, unconfirmed", &[5000, 10, 5001], (2, 2, 0, 5001)),
        ];
        for (name, sequences, expected) in table {
            let (mut stats, start) = (ReceiverStats::new(8000), Instant::now_for_test());
            for sequence in *sequences {
                stats.handle_packet(&header(1, *sequence, 0), start);
            }
            let highest = stats.report(start).unwrap().highest_sequence;
            let seen = (stats.received(), stats.expected(), stats.lost(), highest);
            assert_eq!(seen, *expected, "{name}");
        }
    }

    #[test]
    fn each_packet_is_new_once() {
        let (mut stats, now) = (ReceiverStats::new(8000), Instant::now_for_test());
        let table = [
            (65_500, Arrival::Restarted),
            (65_500, Arrival::Duplicate),
            // 65 lost and reordered over the wrap.
            (30, Arrival::InOrder),
            (65_500, Arrival::Duplicate),
            (65_501, Arrival::Late),
            (65_501, Arrival::Duplicate),
            (29, Arrival::Late),
            (31, Arrival::InOrder),
            (29, Arrival::Duplicate),
            (30, Arrival::Duplicate),
            // More than the window holds.
            (1000, Arrival::InOrder),
            (999, Arrival::Late),
            (901, Arrival::Late),
            (901, Arrival::Duplicate),
            (1000, Arrival::Duplicate),
        ];
        for (sequence, expected) in table {
            let arrival = stats.handle_packet(&header(1, sequence, 0), now);
            assert_eq!(arrival, expected, "{sequence}");
        }
    }

    #[test]
    fn new_source_restarts_and_totals_stay() {
        let (mut stats, now) = (ReceiverStats::new(8000), Instant::now_for_test());
        let arrivals = [(1, 5), (1, 7), (2, 900), (2, 901), (2, 901), (2, 900)]
            .map(|(ssrc, sequence)| stats.handle_packet(&header(ssrc, sequence, 0), now));
        assert_eq!(
            arrivals,
            [
                Arrival::Restarted,
                Arrival::InOrder,
                Arrival::Restarted,
                Arrival::InOrder,
                Arrival::Duplicate,
                Arrival::Duplicate
            ]
        );
        assert_eq!(stats.ssrc(), Some(2));
        assert_eq!((stats.received(), stats.expected()), (6, 5));
        assert_eq!(stats.report(now).unwrap().cumulative_lost, -2);
    }

    #[test]
    fn fraction_lost_is_per_interval() {
        let (mut stats, now) = (ReceiverStats::new(8000), Instant::now_for_test());
        for sequence in [0, 1, 3] {
            stats.handle_packet(&header(1, sequence, 0), now);
        }
        let block = stats.report(now).unwrap();
        assert_eq!((block.fraction_lost, block.cumulative_lost), (64, 1));
        for sequence in 4..8 {
            stats.handle_packet(&header(1, sequence, 0), now);
        }
        let block = stats.report(now).unwrap();
        assert_eq!((block.fraction_lost, block.cumulative_lost), (0, 1));
    }

    #[test]
    fn jitter_follows_the_reference_filter() {
        // Arrivals in ms for packets sent every 20 ms.
        let even: Vec<u64> = (0..200).map(|n| n * 20).collect();
        let alternating: Vec<u64> = (0..200).map(|n| n * 20 + (n % 2) * 10).collect();
        let paused: Vec<u64> = (0..200)
            .map(|n| n * 20 + if n > 100 { 5000 } else { 0 })
            .collect();
        for (name, arrivals, expected_ms) in [
            ("even", even, 0.0),
            ("alternating", alternating, 10.0),
            ("paused", paused, 0.0),
        ] {
            let (mut stats, start) = (ReceiverStats::new(8000), Instant::now_for_test());
            for (n, at) in arrivals.iter().enumerate() {
                let n = u16::try_from(n).unwrap();
                let now = start + Duration::from_millis(*at);
                stats.handle_packet(&header(1, n, u32::from(n) * 160), now);
            }
            let jitter_ms = stats.jitter().as_secs_f64() * 1000.0;
            assert!((jitter_ms - expected_ms).abs() < 0.3, "{name}: {jitter_ms}");
        }
    }

    #[test]
    fn round_trip_from_report() {
        let (mut stats, start) = (ReceiverStats::new(8000), Instant::now_for_test());
        assert_eq!(stats.report(start), None);
        stats.handle_packet(&header(7, 1, 0), start);
        let sent = NtpTime::from_unix(Duration::from_secs(1_700_000_000));
        stats.handle_sender_report(7, sent, start);
        let block = stats.report(start + Duration::from_millis(500)).unwrap();
        assert_eq!(block.last_sr, sent.middle());
        assert_eq!(block.delay_since_last_sr, 32768);
        let now = NtpTime::from_unix(Duration::from_millis(1_700_000_000_620));
        let rtt = round_trip(&block, now).unwrap().as_millis();
        assert!((119..=120).contains(&rtt), "{rtt}");
        assert_eq!(round_trip(&ReportBlock::default(), now), None);
        assert_eq!(round_trip(&block, sent), None);
    }

    #[test]
    fn sender_counters() {
        let mut stats = SenderStats::default();
        stats.sent(160);
        stats.sent(160);
        let info = stats.info(NtpTime(5), 77);
        assert_eq!(
            (info.packets, info.octets, info.rtp_timestamp),
            (2, 320, 77)
        );
    }

    fn header(ssrc: u32, sequence: u16, timestamp: u32) -> Header {
        Header {
            marker: false,
            payload_type: 0,
            sequence,
            timestamp,
            ssrc,
        }
    }

    /// Provides a starting point for virtual time.
    trait TestClock {
        fn now_for_test() -> Instant;
    }
    impl TestClock for Instant {
        #[expect(clippy::disallowed_methods, reason = "virtual time needs an origin")]
        fn now_for_test() -> Instant {
            Instant::now()
        }
    }
}
