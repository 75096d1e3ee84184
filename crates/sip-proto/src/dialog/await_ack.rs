//! Repeats the 2xx to an INVITE until its ACK arrives (RFC 3261 §13.3.1.4).
//!
//! The INVITE transaction does not do this, so the dialog repeats the 2xx itself, on every
//! transport. Invariant: **once acknowledged or given up, it never sends again.** Left to others:
//! matching the ACK to its dialog, and the BYE when none comes.

use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::transaction::timers::{PATIENCE, T1, T2};

/// A 2xx of ours without its ACK.
pub(crate) struct AwaitAck {
    ok: Bytes,
    resend_at: Instant,
    interval: Duration,
    give_up_at: Instant,
}

/// The action due for a 2xx.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Due {
    /// Nothing yet.
    Nothing,
    /// Send it again.
    Resend(Bytes),
    /// No ACK will come.
    GiveUp,
}

impl AwaitAck {
    /// Starts when `ok` has just been sent for the first time.
    pub(crate) fn new(ok: Bytes, now: Instant) -> Self {
        Self {
            ok,
            resend_at: now + T1,
            interval: T1,
            give_up_at: now + PATIENCE,
        }
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Due {
        if self.give_up_at <= now {
            return Due::GiveUp;
        }
        if self.resend_at > now {
            return Due::Nothing;
        }
        self.interval = T2.min(self.interval * 2);
        self.resend_at = now + self.interval;
        Due::Resend(self.ok.clone())
    }

    pub(crate) fn poll_timeout(&self) -> Instant {
        self.resend_at.min(self.give_up_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write as _;

    #[test]
    fn resends_until_it_gives_up() {
        let start = crate::ua::testing::start();
        let mut machine = AwaitAck::new(Bytes::from_static(b"ok"), start);
        let mut seen = String::new();
        loop {
            let at = machine.poll_timeout();
            let ms = at.duration_since(start).as_millis();
            match machine.handle_timeout(at) {
                Due::Resend(_) => write!(seen, "{ms} send, ").expect("writes to a string"),
                Due::GiveUp => break write!(seen, "{ms} NoAck").expect("writes to a string"),
                Due::Nothing => panic!("woken for nothing at {ms}"),
            }
        }
        assert_eq!(
            seen,
            "500 send, 1500 send, 3500 send, 7500 send, 11500 send, 15500 send, 19500 send, \
             23500 send, 27500 send, 31500 send, 32000 NoAck"
        );
    }
}
