//! Whether another code may be sent.
//!
//! Fraud with verifications ("pumping") sends codes to many numbers of a block that earns money for each text, and never
//! gives one back. So what counts is how many codes went to a block of numbers and how many of them were confirmed, besides
//! plain limits for a recipient, a network and a day. **Invariant: the decision follows from the settings and the counts
//! alone.**

use std::fmt;
use std::time::Duration;

use crate::settings::Settings;

/// Digits at the end of a number by which the numbers of a block differ.
const BLOCK_DIGITS: usize = 4;
/// Of the codes to a block that are too new to be confirmed, at most this many.
const UNSETTLED: i64 = 30;

/// What was sent to a group of numbers during the last hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Watch {
    /// Codes sent.
    pub sent: i64,
    /// Those of them that are older than [`Seen::SETTLED`].
    pub settled: i64,
    /// Those of all that were confirmed.
    pub confirmed: i64,
}

impl Watch {
    /// Whether hardly any of the codes that could have been confirmed were.
    ///
    /// - `least`: fewer codes prove nothing
    /// - `percent`: how many of them must be confirmed
    fn is_suspicious(self, least: i64, percent: i64) -> bool {
        self.settled >= least && self.confirmed * 100 < self.settled * percent
    }
}

/// What was sent by a service before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Seen {
    /// To the same recipient within [`Seen::RECIPIENT`].
    pub to_recipient: i64,
    /// The time since the last of them.
    pub since_last: Option<Duration>,
    /// To the block of the recipient.
    pub block: Watch,
    /// Requested from the same network within [`Seen::HOUR`]; 0 if the network is not known.
    pub from_network: i64,
    /// Within [`Seen::DAY`].
    pub today: i64,
}

impl Seen {
    /// The period of the limit for a recipient.
    pub const RECIPIENT: Duration = Duration::from_secs(10 * 60);
    /// The period of most limits.
    pub const HOUR: Duration = Duration::from_secs(60 * 60);
    /// The period of the limit for a service.
    pub const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    /// How long a person may take to give the code before it counts as not confirmed.
    pub const SETTLED: Duration = Duration::from_secs(90);
}

/// Why no code is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// One was sent just now: wait this long.
    Resend(Duration),
    /// The recipient got as many as it may.
    Recipient,
    /// The block of numbers got as many as it may.
    Block,
    /// Hardly any code to the block is confirmed.
    Unconfirmed,
    /// The network requested as many as it may.
    Network,
    /// The service sent as many as it may in a day.
    Day,
}

impl Limit {
    /// A word for records and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Resend(_) => "resend",
            Self::Recipient => "recipient",
            Self::Block => "block",
            Self::Unconfirmed => "unconfirmed",
            Self::Network => "network",
            Self::Day => "day",
        }
    }

    /// After how long it is worth trying again.
    #[must_use]
    pub fn wait(self) -> Duration {
        match self {
            Self::Resend(wait) => wait,
            Self::Recipient => Seen::RECIPIENT,
            Self::Block | Self::Unconfirmed | Self::Network => Seen::HOUR,
            Self::Day => Seen::DAY,
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resend(wait) => write!(
                f,
                "a code was sent to this recipient just now; send another one in {} s",
                wait.as_secs().max(1)
            ),
            Self::Recipient => write!(
                f,
                "this recipient has received as many codes as it may within ten minutes"
            ),
            Self::Block => write!(
                f,
                "the numbers that begin like this one have received as many codes as they may within an hour"
            ),
            Self::Unconfirmed => write!(
                f,
                "hardly any of the codes sent to numbers that begin like this one are confirmed, as in fraud; \
                 add the number to the safe list if it is not"
            ),
            Self::Network => write!(
                f,
                "as many codes as permitted within an hour were requested from the network of DeviceIp"
            ),
            Self::Day => write!(
                f,
                "the service has sent as many codes as it may within 24 hours (DailyLimit)"
            ),
        }
    }
}

/// The block that a number belongs to: what it has in common with the others of the block. An e-mail address is a block of
/// its own.
#[must_use]
pub fn block_of(to: &str) -> &str {
    if to.contains('@') {
        return to;
    }
    let end = to.len().saturating_sub(BLOCK_DIGITS).max(4);
    to.get(..end).unwrap_or(to)
}

/// Decides whether another code may be sent.
///
/// - `is_safe`: whether the recipient is on the safe list, so that the limits of groups do not apply
///
/// # Errors
/// The limit that is reached.
pub fn judge(settings: &Settings, seen: &Seen, is_safe: bool) -> Result<(), Limit> {
    let resend = Duration::from_secs(settings.resend_s.unsigned_abs());
    if let Some(wait) = seen.since_last.and_then(|since| resend.checked_sub(since))
        && !wait.is_zero()
    {
        return Err(Limit::Resend(wait));
    }
    if seen.to_recipient >= settings.max_sends {
        return Err(Limit::Recipient);
    }
    if seen.today >= settings.daily_limit {
        return Err(Limit::Day);
    }
    if is_safe {
        return Ok(());
    }
    let unsettled = seen.block.sent - seen.block.settled - seen.block.confirmed;
    let watch = settings.watch_percent > 0;
    if watch
        && seen
            .block
            .is_suspicious(settings.watch_least, settings.watch_percent)
    {
        return Err(Limit::Unconfirmed);
    }
    if seen.block.sent >= settings.block_limit || watch && unsettled >= UNSETTLED {
        return Err(Limit::Block);
    }
    if seen.from_network >= settings.network_limit {
        return Err(Limit::Network);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_have_their_last_four_digits_open() {
        let table = [
            ("+4915112345678", "+491511234"),
            ("+12025550100", "+1202555"),
            ("+49301", "+493"),
            ("kim@example.org", "kim@example.org"),
            ("", ""),
        ];
        for (to, block) in table {
            assert_eq!(block_of(to), block);
        }
    }

    #[test]
    fn each_limit_refuses_and_the_safe_list_lifts_those_of_groups() {
        let settings = Settings::default();
        let quiet = Seen::default();
        let block = |sent, settled, confirmed| Seen {
            block: Watch {
                sent,
                settled,
                confirmed,
            },
            ..quiet
        };
        let second = Duration::from_secs(1);
        // What was seen, and the answers without and with the safe list.
        let table = [
            (quiet, Ok(()), Ok(())),
            (
                Seen {
                    since_last: Some(second),
                    ..quiet
                },
                Err(Limit::Resend(29 * second)),
                Err(Limit::Resend(29 * second)),
            ),
            (
                Seen {
                    since_last: Some(30 * second),
                    ..quiet
                },
                Ok(()),
                Ok(()),
            ),
            (
                Seen {
                    to_recipient: 5,
                    ..quiet
                },
                Err(Limit::Recipient),
                Err(Limit::Recipient),
            ),
            (
                Seen {
                    from_network: settings.network_limit,
                    ..quiet
                },
                Err(Limit::Network),
                Ok(()),
            ),
            (
                Seen {
                    today: settings.daily_limit,
                    ..quiet
                },
                Err(Limit::Day),
                Err(Limit::Day),
            ),
            // Nobody has had the time to confirm.
            (block(29, 0, 0), Ok(()), Ok(())),
            (block(30, 0, 0), Err(Limit::Block), Ok(())),
            (block(19, 19, 0), Ok(()), Ok(())),
            (block(20, 20, 1), Err(Limit::Unconfirmed), Ok(())),
            (block(20, 20, 6), Ok(()), Ok(())),
            // A busy service whose codes are confirmed.
            (block(150, 120, 110), Ok(()), Ok(())),
            (block(200, 200, 190), Err(Limit::Block), Ok(())),
        ];
        for (seen, plain, safe) in table {
            assert_eq!(judge(&settings, &seen, false), plain, "{seen:?}");
            assert_eq!(judge(&settings, &seen, true), safe, "{seen:?}");
        }
    }

    /// 10,000 codes to one block, as fast as possible or slowly, none of which is confirmed.
    #[test]
    fn a_pumping_run_is_stopped_within_fifty_sends() {
        let settings = Settings {
            resend_s: 0,
            ..Settings::default()
        };
        for gap_ms in [0, 10, 300, 1_000, 3_000] {
            let mut sent_at: Vec<u64> = Vec::new();
            let mut refused = 0;
            for n in 0..10_000 {
                let now = n * gap_ms;
                let since = |period: Duration| {
                    let after = |at: &&u64| now - **at < period.as_millis() as u64;
                    sent_at.iter().filter(after).count() as i64
                };
                let (hour, new) = (since(Seen::HOUR), since(Seen::SETTLED));
                let seen = Seen {
                    block: Watch {
                        sent: hour,
                        settled: hour - new,
                        confirmed: 0,
                    },
                    today: sent_at.len() as i64,
                    ..Seen::default()
                };
                match judge(&settings, &seen, false) {
                    Ok(()) => sent_at.push(now),
                    Err(_) => refused += 1,
                }
            }
            let hours = 1 + 10_000 * gap_ms / 3_600_000;
            assert!(sent_at.len() as u64 <= 50 * hours, "{} sent", sent_at.len());
            assert!(refused > 0);
            // The first hour never lets more through.
            let first = sent_at.iter().filter(|at| **at < 3_600_000).count();
            assert!(
                first <= 50,
                "{first} in the first hour, one per {gap_ms} ms"
            );
        }
    }
}
