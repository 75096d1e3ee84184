//! Makes one continuous RTP stream from its feeds: prompts, or another leg's packets.
//!
//! The remote party sees one SSRC for the whole call. Each new feed begins a talk spurt: the
//! sequence continues where it was, the timestamp where real time is, and the marker is set. Within
//! a feed the sender's own spacing is kept, so loss and reordering remain visible to the receiver.
//! **Invariant: a new feed never goes back in sequence or time**; packets of a forwarded stream
//! that were sent before its first forwarded one are dropped.

use rtp_proto::Header;
use rtp_proto::rtcp::{NtpTime, SenderInfo};
use rtp_proto::seq;
use rtp_proto::stats::SenderStats;
use std::time::{Duration, Instant};

/// How far the oldest forwarded packet stays behind the newest. Sequence numbers wrap, so the
/// first packet of a feed cannot be the limit forever.
const REORDER_LIMIT: u16 = 1000;

/// Clock units in a time span; wraps as timestamps do.
pub(crate) fn units(span: Duration, rate: u32) -> u32 {
    (span.as_micros() * u128::from(rate) / 1_000_000) as u32
}

#[derive(Debug)]
pub(crate) struct OutStream {
    ssrc: u32,
    /// Timestamp units per second.
    clock_rate: u32,
    sent: SenderStats,
    next_sequence: u16,
    /// A moment and the timestamp that corresponds to it.
    clock: (Instant, u32),
    /// Timestamp after the last sample sent.
    end: u32,
    /// When the last packet was sent, and its timestamp.
    last: Option<(Instant, u32)>,
    feed: Feed,
}

#[derive(Debug, Clone, Copy)]
enum Feed {
    /// The next packet begins a talk spurt.
    Nothing,
    /// Samples that we generate.
    Own,
    /// Another leg's packets.
    Forward(Mapping),
}

/// Maps a forwarded stream's numbers to ours.
#[derive(Debug, Clone, Copy)]
struct Mapping {
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
    /// Our oldest sequence number that may still be sent.
    oldest: u16,
}

impl OutStream {
    pub(crate) fn new(ssrc: u32, sequence: u16, timestamp: u32, now: Instant) -> Self {
        Self {
            ssrc,
            clock_rate: audio::RATE,
            sent: SenderStats::default(),
            next_sequence: sequence,
            clock: (now, timestamp),
            end: timestamp,
            last: None,
            feed: Feed::Nothing,
        }
    }

    pub(crate) fn ssrc(&self) -> u32 {
        self.ssrc
    }

    /// Sets the clock rate of packets sent from `now` on.
    pub(crate) fn set_clock_rate(&mut self, clock_rate: u32, now: Instant) {
        self.clock = (now, self.time(now));
        self.clock_rate = clock_rate;
    }

    /// Makes the next packet begin a talk spurt.
    pub(crate) fn interrupt(&mut self) {
        self.feed = Feed::Nothing;
    }

    /// Skips what was not sent before `at`, without beginning a talk spurt.
    pub(crate) fn catch_up(&mut self, at: Instant) {
        if matches!(self.feed, Feed::Own) {
            self.end = self.resume(at);
        }
    }

    /// The header of one of our own packets, `ticks` timestamp units long and due at `at`.
    pub(crate) fn own(&mut self, payload_type: u8, ticks: u32, at: Instant) -> Header {
        let marker = !matches!(self.feed, Feed::Own);
        let timestamp = if marker { self.resume(at) } else { self.end };
        self.feed = Feed::Own;
        let sequence = self.next_sequence;
        self.next_sequence = sequence.wrapping_add(1);
        self.end = timestamp.wrapping_add(ticks);
        Header {
            marker,
            payload_type,
            sequence,
            timestamp,
            ssrc: self.ssrc,
        }
    }

    /// The timestamp of one of our own key presses, beginning at `at`.
    pub(crate) fn press(&mut self, at: Instant) -> u32 {
        if !matches!(self.feed, Feed::Own) {
            self.end = self.resume(at);
        }
        self.feed = Feed::Own;
        self.end
    }

    /// The header of an event packet that lasts `ticks` timestamp units; `timestamp` is that of its
    /// press. Audio continues after it.
    pub(crate) fn event(
        &mut self,
        payload_type: u8,
        marker: bool,
        timestamp: u32,
        ticks: u32,
    ) -> Header {
        let sequence = self.next_sequence;
        self.next_sequence = sequence.wrapping_add(1);
        self.end = self.end.wrapping_add(ticks);
        Header {
            marker,
            payload_type,
            sequence,
            timestamp,
            ssrc: self.ssrc,
        }
    }

    /// The header under which a packet of another stream goes out; `None` if it is too old.
    ///
    /// - `ticks`: how long it lasts, in timestamp units.
    /// - `restarted`: the packet does not continue those before it in its stream.
    pub(crate) fn forward(
        &mut self,
        header: &Header,
        payload_type: u8,
        ticks: u32,
        restarted: bool,
        now: Instant,
    ) -> Option<Header> {
        let (mapping, begins) = match self.feed {
            Feed::Forward(mapping) if mapping.ssrc == header.ssrc && !restarted => (mapping, false),
            Feed::Forward(_) | Feed::Own | Feed::Nothing => (self.mapping(header, now), true),
        };
        let sequence = header.sequence.wrapping_add(mapping.sequence);
        if seq::distance(mapping.oldest, sequence) < 0 {
            return None;
        }
        let timestamp = header.timestamp.wrapping_add(mapping.timestamp);
        self.feed = Feed::Forward(self.advance(mapping, sequence));
        let end = timestamp.wrapping_add(ticks);
        if seq::timestamp_distance(self.end, end) > 0 {
            self.end = end;
        }
        let marker = header.marker || begins;
        Some(Header {
            marker,
            payload_type,
            sequence,
            timestamp,
            ssrc: self.ssrc,
        })
    }

    /// Counts a packet that was sent.
    pub(crate) fn count(&mut self, header: &Header, payload_octets: usize, now: Instant) {
        self.sent.sent(payload_octets);
        self.last = Some((now, header.timestamp));
    }

    /// The sender part of a report; `None` if nothing was sent within `recently`.
    pub(crate) fn sender_info(
        &self,
        ntp: NtpTime,
        recently: Duration,
        now: Instant,
    ) -> Option<SenderInfo> {
        let (at, timestamp) = self.last?;
        let age = now.saturating_duration_since(at);
        let timestamp = timestamp.wrapping_add(units(age, self.clock_rate));
        (age <= recently).then(|| self.sent.info(ntp, timestamp))
    }

    fn mapping(&mut self, header: &Header, now: Instant) -> Mapping {
        let timestamp = self.resume(now);
        Mapping {
            ssrc: header.ssrc,
            sequence: self.next_sequence.wrapping_sub(header.sequence),
            timestamp: timestamp.wrapping_sub(header.timestamp),
            oldest: self.next_sequence,
        }
    }

    fn advance(&mut self, mapping: Mapping, sequence: u16) -> Mapping {
        if seq::distance(self.next_sequence, sequence) >= 0 {
            self.next_sequence = sequence.wrapping_add(1);
        }
        let limit = self.next_sequence.wrapping_sub(REORDER_LIMIT);
        let moved = seq::distance(mapping.oldest, limit) > 0;
        Mapping {
            oldest: if moved { limit } else { mapping.oldest },
            ..mapping
        }
    }

    /// The clock's timestamp at `at`.
    fn time(&self, at: Instant) -> u32 {
        let (since, timestamp) = self.clock;
        let passed = units(at.saturating_duration_since(since), self.clock_rate);
        timestamp.wrapping_add(passed)
    }

    /// The timestamp of a talk spurt that begins at `at`: real time, but never before what was
    /// already sent.
    fn resume(&mut self, at: Instant) -> u32 {
        let by_clock = self.time(at);
        if self.last.is_none() || seq::timestamp_distance(self.end, by_clock) >= 0 {
            return by_clock;
        }
        self.clock = (at, self.end);
        self.end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAR: Header = Header {
        marker: false,
        payload_type: 0,
        sequence: 65_534,
        timestamp: 7,
        ssrc: 9,
    };

    fn stream(now: Instant) -> OutStream {
        OutStream::new(1, 100, 1000, now)
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// Sends a forwarded packet and returns sequence, timestamp and marker.
    fn forward(
        stream: &mut OutStream,
        sequence: u16,
        timestamp: u32,
        now: Instant,
    ) -> Option<(u16, u32, bool)> {
        let header = Header {
            sequence,
            timestamp,
            ..FAR
        };
        let header = stream.forward(&header, 0, 160, false, now)?;
        stream.count(&header, 160, now);
        Some((header.sequence, header.timestamp, header.marker))
    }

    #[test]
    fn own_frames_follow_on_each_other() {
        let now = instant();
        let mut stream = stream(now);
        let mut next = |at| {
            let header = stream.own(0, 160, now + ms(at));
            stream.count(&header, 160, now + ms(at));
            (header.sequence, header.timestamp, header.marker)
        };
        assert_eq!(next(10), (100, 1080, true));
        // A frame made late keeps its place.
        assert_eq!(next(37), (101, 1240, false));
        stream.interrupt();
        let header = stream.own(0, 160, now + ms(1000));
        assert_eq!(
            (header.sequence, header.timestamp, header.marker),
            (102, 9000, true)
        );
    }

    #[test]
    fn a_new_clock_rate_counts_from_when_it_comes() {
        let now = instant();
        let mut stream = stream(now);
        stream.set_clock_rate(48_000, now + ms(1000));
        let header = stream.own(0, 960, now + ms(1500));
        assert_eq!(header.timestamp, 1000 + 8000 + 24_000);
        stream.set_clock_rate(8000, now + ms(2000));
        stream.interrupt();
        let header = stream.own(0, 160, now + ms(2500));
        assert_eq!(header.timestamp, 1000 + 8000 + 48_000 + 4000);
    }

    #[test]
    fn forwarding_keeps_loss_order_and_spacing() {
        let now = instant();
        let mut stream = stream(now);
        let at = now + ms(100);
        let table = [
            (65_534, 7, Some((100, 1800, true))),
            (0, 327, Some((102, 2120, false))),
            (65_535, 167, Some((101, 1960, false))),
            (1, 9007, Some((103, 10_800, false))),
            // Sent before the first one we forwarded: its number was used for another packet.
            (65_533, 0, None),
        ];
        for (sequence, timestamp, expected) in table {
            assert_eq!(
                forward(&mut stream, sequence, timestamp, at),
                expected,
                "{sequence}"
            );
        }
    }

    #[test]
    fn a_new_feed_never_goes_back() {
        let now = instant();
        let mut stream = stream(now);
        let own = stream.own(0, 160, now);
        stream.count(&own, 160, now);
        // 5 ms later, while the 20 ms frame still plays.
        assert_eq!(
            forward(&mut stream, 7, 77, now + ms(5)),
            Some((101, 1160, true))
        );
        // The sender is a second ahead of its clock; then we send again.
        assert_eq!(
            forward(&mut stream, 8, 8077, now + ms(25)),
            Some((102, 9160, false))
        );
        let own = stream.own(0, 160, now + ms(45));
        assert_eq!((own.sequence, own.timestamp, own.marker), (103, 9320, true));
        stream.count(&own, 160, now);
        // From there on, real time applies again.
        assert_eq!(
            forward(&mut stream, 9, 0, now + ms(145)),
            Some((104, 10_120, true))
        );
    }

    #[test]
    fn other_ssrc_and_restart_begin_anew() {
        let now = instant();
        let mut stream = stream(now);
        assert_eq!(forward(&mut stream, 5, 0, now), Some((100, 1000, true)));
        let other = Header {
            ssrc: 10,
            sequence: 40_000,
            timestamp: 555,
            ..FAR
        };
        let header = stream.forward(&other, 8, 160, false, now + ms(20)).unwrap();
        assert_eq!(
            (header.sequence, header.timestamp, header.payload_type),
            (101, 1160, 8)
        );
        stream.count(&header, 160, now);
        let restarted = Header {
            sequence: 9,
            timestamp: 1,
            ..other
        };
        let header = stream
            .forward(&restarted, 8, 160, true, now + ms(40))
            .unwrap();
        assert_eq!(
            (header.sequence, header.timestamp, header.marker),
            (102, 1320, true)
        );
    }

    #[test]
    fn runs_for_hours() {
        let now = instant();
        let mut stream = stream(now);
        for count in 0..200_000u32 {
            let at = now + Duration::from_millis(20) * count;
            let sent = forward(&mut stream, count as u16, count * 160, at);
            let expected = (
                100u16.wrapping_add(count as u16),
                1000 + count * 160,
                count == 0,
            );
            assert_eq!(sent, Some(expected));
        }
    }

    #[test]
    fn sender_report_follows_the_clock() {
        let now = instant();
        let mut stream = stream(now);
        let info = |stream: &OutStream, at| {
            let info = stream.sender_info(NtpTime(1), ms(1000), now + at)?;
            Some((info.rtp_timestamp, info.packets, info.octets))
        };
        assert_eq!(info(&stream, ms(0)), None);
        forward(&mut stream, 1, 1, now);
        assert_eq!(info(&stream, ms(500)), Some((5000, 1, 160)));
        assert_eq!(info(&stream, ms(1001)), None);
    }

    #[expect(clippy::disallowed_methods, reason = "a test has to begin somewhere")]
    fn instant() -> Instant {
        Instant::now()
    }
}
