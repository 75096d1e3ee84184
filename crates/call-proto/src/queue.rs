//! A queue: calls wait in it until others take them, first come, first served.
//!
//! A queue only decides who is next. It owns no leg: a family asks to enter, take or leave, the queue
//! answers, and the families command their own endpoints. Both exchange nothing but messages that the
//! families journal, so each family replays from its own journal. Each place carries the number of the
//! request that started it ([`Req`]): the queue ignores what concerns an earlier place.
//!
//! **Invariant: a call has at most one place in a queue (it waits, takes, or is one of a pair), and a
//! call is notified exactly once that its partner has left.** Calls wait in the order in which they entered,
//! even after one that took them has left again.
//!
//! Left to others: which queue a name means and how many may wait in it (the store), and the audio.

use std::collections::VecDeque;

use model::{CallSid, Timestamp};

use crate::event::{Document, Req};
use crate::queueing::{Note, Parting, QueueEvent, QueueRequest, Standing};

/// A queue's report for the family of a call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct QueueTell {
    /// The call.
    pub call: CallSid,
    /// Number of its place or request.
    pub req: Req,
    /// The report.
    pub event: QueueEvent,
}

/// A queue.
#[derive(Default)]
pub struct Queue {
    /// Sorted by when they entered.
    waiting: VecDeque<Waiter>,
    /// Those for whom no call was waiting.
    takers: VecDeque<Taker>,
    pairs: Vec<Pair>,
    /// When the last call entered: no two enter at the same time.
    last: Timestamp,
    tells: Vec<QueueTell>,
}

#[derive(Clone, Copy)]
struct Waiter {
    call: CallSid,
    req: Req,
    since: Timestamp,
}

struct Taker {
    call: CallSid,
    req: Req,
    greeting: Option<Document>,
}

struct Pair {
    waiter: Waiter,
    taker: Taker,
    connected: bool,
}

impl Queue {
    /// Carries out a request of a call; returns the reports, in order.
    pub fn handle(
        &mut self,
        call: CallSid,
        request: QueueRequest,
        now: Timestamp,
    ) -> Vec<QueueTell> {
        match request {
            // Never reaches a queue: the store answers it.
            QueueRequest::Find { .. } => {}
            QueueRequest::Enter { req, max_size, .. } => self.enter(call, req, max_size, now),
            QueueRequest::Take { req, greeting, .. } => {
                self.leave(call, None, (true, Parting::HungUp));
                let taker = Taker {
                    call,
                    req,
                    greeting,
                };
                self.takers.push_back(taker);
            }
            QueueRequest::Ready { req, .. } => self.connect(call, req),
            QueueRequest::Pass { req, note, .. } => self.pass(call, req, note),
            QueueRequest::Leave { req, met, why, .. } => self.leave(call, Some(req), (met, why)),
        }
        self.match_all();
        std::mem::take(&mut self.tells)
    }

    /// Whether no call is waiting, taking another or connected.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.takers.is_empty() && self.pairs.is_empty()
    }

    /// Where a waiting call stands.
    #[must_use]
    pub fn standing(&self, call: CallSid, now: Timestamp) -> Option<Standing> {
        let at = self.waiting.iter().position(|it| it.call == call)?;
        let waited = |it: &Waiter| now.seconds_since(it.since).max(0);
        let size = self.waiting.len();
        let total: i64 = self.waiting.iter().map(waited).sum();
        Some(Standing {
            position: at + 1,
            size,
            waited_s: waited(&self.waiting[at]),
            average_s: total / i64::try_from(size).unwrap_or(i64::MAX),
        })
    }

    /// Whether a call is connected to one that it took.
    #[must_use]
    pub fn are_paired(&self, taker: CallSid, waiter: CallSid) -> bool {
        let is_it = |pair: &Pair| pair.taker.call == taker && pair.waiter.call == waiter;
        self.pairs.iter().any(|pair| pair.connected && is_it(pair))
    }

    fn enter(&mut self, call: CallSid, req: Req, max_size: u32, now: Timestamp) {
        self.leave(call, None, (true, Parting::HungUp));
        if self.waiting.len() >= max_size as usize {
            return self.tell(call, req, QueueEvent::Full);
        }
        let since = now.max(Timestamp(self.last.0 + 1));
        self.last = since;
        self.waiting.push_back(Waiter { call, req, since });
        self.tell(call, req, QueueEvent::Entered { since });
    }

    /// Lets the first of those who wait be called, as long as there is someone for it.
    fn match_all(&mut self) {
        while !self.waiting.is_empty()
            && let Some(taker) = self.takers.pop_front()
            && let Some(waiter) = self.waiting.pop_front()
        {
            let (by, greeting) = (taker.call, taker.greeting.clone());
            let called = QueueEvent::Called { by, greeting };
            self.tell(waiter.call, waiter.req, called);
            let with = waiter.call;
            self.tell(taker.call, taker.req, QueueEvent::Matched { with });
            self.pairs.push(Pair {
                waiter,
                taker,
                connected: false,
            });
        }
    }

    fn connect(&mut self, call: CallSid, req: Req) {
        let is_it = |pair: &&mut Pair| {
            !pair.connected && pair.waiter.call == call && pair.waiter.req == req
        };
        let Some(pair) = self.pairs.iter_mut().find(is_it) else {
            return; // The other one has left meanwhile.
        };
        pair.connected = true;
        let taker = (pair.taker.call, pair.taker.req);
        self.tell(call, req, QueueEvent::Connected { with: taker.0 });
        self.tell(taker.0, taker.1, QueueEvent::Connected { with: call });
    }

    fn pass(&mut self, call: CallSid, req: Req, note: Note) {
        let mut connected = self.pairs.iter().filter(|pair| pair.connected);
        let partner = connected.find_map(|pair| {
            let ends = [
                (pair.waiter.call, pair.waiter.req),
                (pair.taker.call, pair.taker.req),
            ];
            let at = ends.iter().position(|end| *end == (call, req))?;
            Some(ends[1 - at])
        });
        if let Some((partner, req)) = partner {
            self.tell(partner, req, QueueEvent::Passed { note });
        }
    }

    /// - `req`: number of the place; `None`: whichever it is.
    /// - `met`: whether one that took another knows that they were connected.
    fn leave(&mut self, call: CallSid, req: Option<Req>, (met, why): (bool, Parting)) {
        let is = |of: CallSid, number: Req| of == call && req.is_none_or(|req| req == number);
        self.waiting.retain(|it| !is(it.call, it.req));
        self.takers.retain(|it| !is(it.call, it.req));
        let in_pair = |pair: &Pair| {
            is(pair.waiter.call, pair.waiter.req) || is(pair.taker.call, pair.taker.req)
        };
        let Some(at) = self.pairs.iter().position(in_pair) else {
            return;
        };
        let Pair {
            waiter,
            taker,
            connected,
        } = self.pairs.swap_remove(at);
        let waiter_left = is(waiter.call, waiter.req);
        match (connected, waiter_left) {
            (true, true) => self.tell(taker.call, taker.req, QueueEvent::Parted { why }),
            (true, false) if met => {
                self.tell(waiter.call, waiter.req, QueueEvent::Parted { why });
            }
            (false, true) => {
                self.tell(taker.call, taker.req, QueueEvent::Unmatched);
                self.takers.push_front(taker);
            }
            (true | false, false) => {
                self.tell(waiter.call, waiter.req, QueueEvent::Returned);
                let at = self.waiting.partition_point(|it| it.since < waiter.since);
                self.waiting.insert(at, waiter);
            }
        }
    }

    fn tell(&mut self, call: CallSid, req: Req, event: QueueEvent) {
        self.tells.push(QueueTell { call, req, event });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::QueueSid;

    /// The steps, and the reports that each of them causes.
    #[test]
    fn calls_wait_are_taken_and_part() {
        let table: &[&[(&str, &str)]] = &[
            &[
                ("1 enters", "1 entered"),
                ("2 enters", "2 entered"),
                ("7 takes", "1 called by 7, 7 matched 1"),
                ("1 ready", "1 connected 7, 7 connected 1"),
                ("1 ready", ""),
                ("8 takes", "2 called by 8, 8 matched 2"),
                ("1 passes", "7 passed"),
                ("7 passes", "1 passed"),
                ("2 passes", ""),
                ("7 leaves", "1 parted"),
                ("1 passes", ""),
                ("2 leaves", "8 unmatched"),
                ("3 enters", "3 entered, 3 called by 8, 8 matched 3"),
                ("3 ready", "3 connected 8, 8 connected 3"),
                ("3 leaves", "8 parted"),
            ],
            // First come, first served, also after a call in vain.
            &[
                ("7 takes", ""),
                ("1 enters", "1 entered, 1 called by 7, 7 matched 1"),
                ("2 enters", "2 entered"),
                ("3 enters", "3 entered"),
                ("7 leaves", "1 returned"),
                ("8 takes", "1 called by 8, 8 matched 1"),
                ("8 leaves", "1 returned"),
                ("2 leaves", ""),
                ("1 leaves", ""),
                ("9 takes", "3 called by 9, 9 matched 3"),
                ("3 leaves", "9 unmatched"),
                ("9 leaves", ""),
            ],
            // The taker leaves before it hears of the connection: the caller waits again.
            &[
                ("1 enters", "1 entered"),
                ("7 takes", "1 called by 7, 7 matched 1"),
                ("1 ready", "1 connected 7, 7 connected 1"),
                ("7 leaves unmet", "1 returned"),
                ("8 takes", "1 called by 8, 8 matched 1"),
                ("1 leaves", "8 unmatched"),
                ("8 leaves", ""),
            ],
            // The one that was to take the other is served first again.
            &[
                ("1 enters", "1 entered"),
                ("7 takes", "1 called by 7, 7 matched 1"),
                ("8 takes", ""),
                ("1 leaves", "7 unmatched"),
                ("2 enters", "2 entered, 2 called by 7, 7 matched 2"),
                ("8 leaves", ""),
                ("7 leaves", "2 returned"),
                ("2 leaves", ""),
            ],
            &[
                ("1 enters", "1 entered"),
                ("2 enters small", "2 full"),
                ("1 leaves again", ""),
                ("1 enters again", "1 entered"),
                ("1 leaves", ""),
                ("1 leaves again", ""),
                ("2 enters small", "2 entered"),
                ("2 leaves", ""),
            ],
        ];
        for steps in table {
            let mut queue = Queue::default();
            for (step, told) in *steps {
                let tells = queue.handle_step(step);
                assert_eq!(tells, *told, "{step} of {steps:?}");
            }
            assert!(queue.is_empty(), "{steps:?}");
        }
    }

    #[test]
    fn each_knows_its_place() {
        let mut queue = Queue::default();
        let enter = || QueueRequest::Enter {
            req: Req(1),
            queue: QueueSid::from_bytes([9; 16]),
            max_size: 5,
        };
        for (call, at) in [(1, 0), (2, 4_000), (3, 4_000)] {
            queue.handle(
                CallSid::from_bytes([call; 16]),
                enter(),
                Timestamp::from_millis(at),
            );
        }
        let now = Timestamp::from_millis(10_500);
        let standing = queue.standing(CallSid::from_bytes([3; 16]), now).unwrap();
        assert_eq!((standing.position, standing.size), (3, 3));
        assert_eq!((standing.waited_s, standing.average_s), (6, 7));
        assert_eq!(queue.standing(CallSid::from_bytes([4; 16]), now), None);
    }

    impl Queue {
        fn handle_step(&mut self, step: &str) -> String {
            let (who, what) = step.split_once(' ').expect("two words");
            let call = CallSid::from_bytes([who.parse().expect("a number"); 16]);
            let has = |word: &str| what.split(' ').any(|it| it == word);
            let req = Req(1 + u64::from(has("again")));
            let queue = QueueSid::from_bytes([9; 16]);
            let request = match what.split(' ').next() {
                Some("enters") => QueueRequest::Enter {
                    req,
                    queue,
                    max_size: if has("small") { 1 } else { 5 },
                },
                Some("takes") => QueueRequest::Take {
                    req,
                    queue,
                    greeting: None,
                },
                Some("passes") => QueueRequest::Pass {
                    req,
                    queue,
                    note: Note::Key('5'),
                },
                Some("ready") => QueueRequest::Ready { req, queue },
                _ => QueueRequest::Leave {
                    req,
                    queue,
                    met: !has("unmet"),
                    why: Parting::HungUp,
                },
            };
            let name = |call: CallSid| call.as_bytes()[0];
            let told = self.handle(call, request, Timestamp(0)).into_iter();
            let words = told.map(|tell| {
                let event = match tell.event {
                    QueueEvent::Entered { .. } => "entered".to_owned(),
                    QueueEvent::Full => "full".to_owned(),
                    QueueEvent::Called { by, .. } => format!("called by {}", name(by)),
                    QueueEvent::Returned => "returned".to_owned(),
                    QueueEvent::Matched { with } => format!("matched {}", name(with)),
                    QueueEvent::Unmatched => "unmatched".to_owned(),
                    QueueEvent::Connected { with } => format!("connected {}", name(with)),
                    QueueEvent::Passed { .. } => "passed".to_owned(),
                    QueueEvent::Parted { .. } => "parted".to_owned(),
                    other => format!("{other:?}"),
                };
                format!("{} {event}", name(tell.call))
            });
            words.collect::<Vec<_>>().join(", ")
        }
    }
}
