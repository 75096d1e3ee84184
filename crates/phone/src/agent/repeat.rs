//! Retransmits a message until it is answered (RFC 3261 §17, T1 = 500 ms).

use std::time::{Duration, Instant};

use bytes::Bytes;

const T1: Duration = Duration::from_millis(500);
const T2: Duration = Duration::from_secs(4);
/// 64 × T1.
const PATIENCE: Duration = Duration::from_secs(32);

/// The action that is due.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Due {
    Nothing,
    Send(Bytes),
    GaveUp,
}

#[derive(Clone, Debug)]
pub(super) struct Repeat {
    bytes: Bytes,
    next: Option<Instant>,
    gap: Duration,
    longest: Duration,
    give_up_at: Instant,
}

impl Repeat {
    /// For requests other than INVITE, and for final responses to INVITE: intervals grow to T2.
    pub(super) fn new(bytes: Bytes, now: Instant) -> Self {
        Self {
            bytes,
            next: Some(now + T1),
            gap: T1,
            longest: T2,
            give_up_at: now + PATIENCE,
        }
    }

    /// For INVITE: intervals grow without limit.
    pub(super) fn invite(bytes: Bytes, now: Instant) -> Self {
        Self {
            longest: PATIENCE,
            ..Self::new(bytes, now)
        }
    }

    /// A provisional response to INVITE arrived: it is not retransmitted, and the answer may take
    /// long.
    pub(super) fn hold(&mut self, now: Instant) {
        self.next = None;
        self.give_up_at = now + Duration::from_secs(600);
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) -> Due {
        if self.give_up_at <= now {
            return Due::GaveUp;
        }
        match self.next {
            Some(at) if at <= now => {
                self.gap = self.longest.min(self.gap * 2);
                self.next = Some(now + self.gap);
                Due::Send(self.bytes.clone())
            }
            Some(_) | None => Due::Nothing,
        }
    }

    pub(super) fn deadline(&self) -> Instant {
        self.next
            .map_or(self.give_up_at, |next| next.min(self.give_up_at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_the_rfc() {
        let invite = "500 1500 3500 7500 15500 31500 gone 32000";
        let other = "500 1500 3500 7500 11500 15500 19500 23500 27500 31500 gone 32000";
        let start = Instant::now();
        let table = [
            (Repeat::invite(Bytes::new(), start), invite),
            (Repeat::new(Bytes::new(), start), other),
        ];
        for (mut repeat, expected) in table {
            let mut seen = Vec::new();
            loop {
                let now = repeat.deadline();
                let at = now.duration_since(start).as_millis().to_string();
                match repeat.handle_timeout(now) {
                    Due::Send(_) => seen.push(at),
                    Due::GaveUp => break seen.extend(["gone".to_owned(), at]),
                    Due::Nothing => panic!("a deadline without effect at {at}"),
                }
            }
            assert_eq!(seen.join(" "), expected);
        }
    }
}
