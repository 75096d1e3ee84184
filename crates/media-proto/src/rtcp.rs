//! RTCP: a report every five seconds or so (RFC 3550 §6).
//!
//! Each end of a bridge has its own RTCP session with us; nothing is passed on. BYE is ignored:
//! only signalling ends a call. **Invariant: a report is a compound of SR or RR and a CNAME**
//! (§6.1). Left to others: when it is due, and its socket.

use rtp_proto::rtcp::{Compound, CompoundWriter, NtpTime, RtcpError, RtcpPacket, SenderInfo};
use rtp_proto::stats::{self, ReceiverStats};
use std::time::{Duration, Instant};

/// Mean interval between reports (§6.2).
const INTERVAL: Duration = Duration::from_secs(5);
/// A party is a sender if it sent within two intervals (§6.4).
pub(crate) const RECENTLY: Duration = Duration::from_secs(10);
/// Longest report we write.
pub(crate) const MAX_LEN: usize = 128;

/// Our wall clock, for sender reports.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WallClock {
    pub(crate) started: Instant,
    /// Time since the Unix epoch at `started`.
    pub(crate) unix_time: Duration,
}

impl WallClock {
    pub(crate) fn ntp(&self, now: Instant) -> NtpTime {
        NtpTime::from_unix(self.unix_time + now.saturating_duration_since(self.started))
    }
}

/// Time until the next report: 0.5 to 1.5 of the mean, so that senders do not synchronise (§6.3.1).
pub(crate) fn interval(random: u32) -> Duration {
    let share = f64::from(random) / f64::from(u32::MAX);
    INTERVAL.mul_f64(0.5 + share)
}

/// Writes a report and returns its length.
///
/// # Errors
/// [`RtcpError::NoRoom`] if `out` is too short.
pub(crate) fn write(
    out: &mut [u8],
    ssrc: u32,
    cname: &str,
    sent: Option<SenderInfo>,
    heard: &mut ReceiverStats,
    now: Instant,
) -> Result<usize, RtcpError> {
    let block = heard.report(now);
    let mut writer = CompoundWriter::new(out);
    match sent {
        Some(info) => writer.sender_report(ssrc, &info, block.as_slice())?,
        None => writer.receiver_report(ssrc, block.as_slice())?,
    }
    writer.cname(ssrc, cname)?;
    Ok(writer.finish())
}

/// Processes the remote party's reports; returns the round-trip time if one contains it.
///
/// # Errors
/// If the datagram is not RTCP.
pub(crate) fn read(
    bytes: &[u8],
    own_ssrc: u32,
    heard: &mut ReceiverStats,
    clock: &WallClock,
    now: Instant,
) -> Result<Option<Duration>, RtcpError> {
    let mut round_trip = None;
    for packet in Compound::parse(bytes)?.packets() {
        let reports = match packet {
            RtcpPacket::SenderReport {
                ssrc,
                info,
                reports,
            } => {
                heard.handle_sender_report(ssrc, info.ntp, now);
                reports
            }
            RtcpPacket::ReceiverReport { reports, .. } => reports,
            RtcpPacket::SourceDescription(_)
            | RtcpPacket::Goodbye(_)
            | RtcpPacket::Other { .. } => continue,
        };
        let mut about_us = reports.iter().filter(|block| block.ssrc == own_ssrc);
        let told = about_us
            .next()
            .and_then(|block| stats::round_trip(&block, clock.ntp(now)));
        round_trip = told.or(round_trip);
    }
    Ok(round_trip)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_spread_around_five_seconds() {
        for (random, ms) in [(0, 2500), (u32::MAX / 2, 5000), (u32::MAX, 7500)] {
            assert!(
                interval(random).abs_diff(Duration::from_millis(ms)) < Duration::from_millis(1)
            );
        }
    }
}
