//! Routes the events of each leg to its listener.
//!
//! **No event is lost before its leg is listened to**, and a leg that never gets a listener leaves
//! bounded state behind.

use std::collections::{BTreeMap, VecDeque};

use sip_proto::ua::{LegEvent, LegId};

use crate::LegEvents;

/// Legs that ended before they had a listener, whose last events are kept.
const MAX_ABANDONED: usize = 4096;

#[derive(Default)]
pub(crate) struct Routes {
    routes: BTreeMap<LegId, Route>,
    abandoned: VecDeque<LegId>,
}

enum Route {
    Waiting { events: Vec<LegEvent>, over: bool },
    Open(LegEvents),
    Closed,
}

impl Routes {
    /// Registers a new inbound leg, whose listener is still to come.
    pub(crate) fn expect(&mut self, leg: LegId) {
        self.routes.insert(
            leg,
            Route::Waiting {
                events: Vec::new(),
                over: false,
            },
        );
    }

    /// Sends a leg's events to `listener`, waiting ones first.
    pub(crate) fn listen(&mut self, leg: LegId, listener: LegEvents) {
        match self.routes.insert(leg, Route::Open(listener.clone())) {
            Some(Route::Waiting { events, over }) => {
                for event in events {
                    // A listener that is already gone misses them.
                    let _ = listener.send((leg, event));
                }
                if over {
                    self.routes.remove(&leg);
                }
            }
            Some(Route::Open(_) | Route::Closed) => {}
            // An inbound leg that ended long ago; outbound ones (even) are new.
            None if leg.0 % 2 == 1 => {
                self.routes.remove(&leg);
            }
            None => {}
        }
    }

    /// Drops a leg's listener; `lives` if the core still knows the leg.
    pub(crate) fn forget(&mut self, leg: LegId, lives: bool) {
        if !lives {
            self.routes.remove(&leg);
        } else if let Some(route) = self.routes.get_mut(&leg) {
            *route = Route::Closed;
        }
    }

    /// Delivers an event. False if the listener has vanished.
    pub(crate) fn deliver(&mut self, leg: LegId, event: LegEvent) -> bool {
        match self.routes.get_mut(&leg) {
            Some(Route::Waiting { events, .. }) => events.push(event),
            Some(Route::Open(listener)) => return listener.send((leg, event)).is_ok(),
            Some(Route::Closed) | None => {}
        }
        true
    }

    /// The core has forgotten the leg.
    pub(crate) fn over(&mut self, leg: LegId) {
        match self.routes.get_mut(&leg) {
            Some(Route::Waiting { events, over }) if !events.is_empty() => {
                *over = true;
                self.abandoned.push_back(leg);
                if self.abandoned.len() > MAX_ABANDONED
                    && let Some(oldest) = self.abandoned.pop_front()
                {
                    self.drop_abandoned(oldest);
                }
            }
            Some(_) => {
                self.routes.remove(&leg);
            }
            None => {}
        }
    }

    fn drop_abandoned(&mut self, leg: LegId) {
        if matches!(
            self.routes.get(&leg),
            Some(Route::Waiting { over: true, .. })
        ) {
            self.routes.remove(&leg);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::mpsc;

    #[test]
    fn keeps_events_until_somebody_listens() {
        let mut routes = Routes::default();
        let (sender, mut receiver) = mpsc::unbounded_channel();
        let leg = LegId(1);
        routes.expect(leg);
        assert!(routes.deliver(leg, LegEvent::Acked { sdp: None }));
        assert!(routes.deliver(leg, LegEvent::Canceled));
        routes.over(leg);
        routes.listen(leg, sender.clone());
        assert_eq!(
            receiver.try_recv(),
            Ok((leg, LegEvent::Acked { sdp: None }))
        );
        assert_eq!(receiver.try_recv(), Ok((leg, LegEvent::Canceled)));
        assert!(
            routes.routes.is_empty(),
            "a leg that is over leaves nothing"
        );

        routes.listen(LegId(2), sender);
        assert!(routes.deliver(LegId(2), LegEvent::NoAck));
        assert_eq!(receiver.try_recv(), Ok((LegId(2), LegEvent::NoAck)));
        drop(receiver);
        assert!(
            !routes.deliver(LegId(2), LegEvent::Lost),
            "the listener is gone"
        );
        routes.forget(LegId(2), true);
        assert!(
            routes.deliver(LegId(2), LegEvent::Lost),
            "nobody wants to know"
        );
        routes.over(LegId(2));
        let (sender, _receiver) = mpsc::unbounded_channel();
        routes.listen(LegId(4), sender);
        routes.forget(LegId(4), false);
        assert!(
            routes.routes.is_empty(),
            "a leg that never called leaves nothing"
        );
    }

    #[test]
    fn bounds_what_nobody_listens_to() {
        let mut routes = Routes::default();
        for leg in (1..).step_by(2).take(MAX_ABANDONED + 100).map(LegId) {
            routes.expect(leg);
            routes.deliver(leg, LegEvent::Canceled);
            routes.over(leg);
        }
        assert_eq!(routes.routes.len(), MAX_ABANDONED);
        routes.expect(LegId(1_000_001));
        routes.over(LegId(1_000_001));
        assert_eq!(
            routes.routes.len(),
            MAX_ABANDONED,
            "nothing happened on it, nothing is kept"
        );
    }
}
