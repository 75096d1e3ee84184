//! The weather: how late and how often events arrive, and which have no cause.
//!
//! **Invariant: all randomness comes from the seed of the scene, and calm weather uses none.**

use std::time::Duration;

use call_proto::{
    AgentText, Answerer, AudioFailure, Event, Fetched, FromAgent, Headers, LegEvent, MediaEvent,
    PlayId, Refer, RelayNews, Req, SpeechNews, StreamCounts, StreamNews, StreamOver,
};
use model::{CallSid, RecordingSid, Timestamp, error};

use super::{Due, Stage};
use crate::scene::Weather;

/// How long after the start a storm invents events, in milliseconds.
const STORM_MS: u64 = 40_000;

/// A small pseudo-random generator; the same seed gives the same numbers.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The numbers of this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ 0x9e37_79b9_7f4a_7c15)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// From 0 to `end` - 1.
    pub fn below(&mut self, end: u64) -> u64 {
        (self.next() >> 11) % end.max(1)
    }

    /// True once in `times` times on average.
    pub fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// One of these at random.
    ///
    /// # Panics
    /// If there are none.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        let at = usize::try_from(self.below(from.len() as u64)).unwrap_or(0);
        &from[at]
    }
}

impl Stage<'_> {
    pub(super) fn tell_soon(&mut self, call: CallSid, event: Event) {
        self.tell_in(Duration::ZERO, call, event);
    }

    /// Sends an event to a leg after this time, plus the weather's delay.
    pub(super) fn tell_in(&mut self, after: Duration, call: CallSid, event: Event) {
        let late = self.lateness();
        if self.scene.weather == Weather::Stormy && self.random.once_in(8) {
            let again = after + Duration::from_millis(self.random.below(4_000));
            self.later(again, Due::Tell(call, event.clone()));
        }
        self.later(after + late, Due::Tell(call, event));
    }

    /// How late the next event arrives.
    pub(super) fn lateness(&mut self) -> Duration {
        Duration::from_millis(match self.scene.weather {
            Weather::Calm => 0,
            Weather::Windy => self.random.below(500),
            Weather::Stormy if self.random.once_in(4) => self.random.below(4_000),
            Weather::Stormy => self.random.below(50),
        })
    }

    /// Whether an event precedes a timer. In good weather it does when both are due at once.
    pub(super) fn is_first(&mut self, due: Timestamp, timer: Option<Timestamp>) -> bool {
        let Some(timer) = timer else {
            return true;
        };
        let is_tie = due == timer && self.scene.weather != Weather::Calm;
        due < timer || (due == timer && !(is_tie && self.random.once_in(2)))
    }

    pub(super) fn storm_gathers(&mut self) {
        if self.scene.weather == Weather::Stormy {
            for _ in 0..self.random.below(12) {
                let at = self.random.below(STORM_MS);
                self.later(Duration::from_millis(at), Due::Noise);
            }
        }
    }

    /// An event without a cause in this world.
    pub(super) fn noise(&mut self) {
        let calls: Vec<CallSid> = self.remotes.keys().copied().collect();
        if calls.is_empty() {
            return;
        }
        let call = *self.random.pick(&calls);
        let event = self.invented();
        self.tell(call, event);
    }

    fn invented(&mut self) -> Event {
        let req = Req(self.random.below(12));
        match self.random.below(7) {
            0 | 1 => Event::Leg(self.random.pick(&leg_noise()).clone()),
            2 => {
                let recording = self.media.some_recording();
                let recording = recording.unwrap_or(RecordingSid::from_bytes([5; 16]));
                let play = PlayId(self.random.below(12));
                let noise = media_noise(recording, play);
                Event::Media(self.random.pick(&noise).clone())
            }
            3 => Event::Resolved {
                req,
                routes: Vec::new(),
            },
            4 => Event::Fetched {
                req,
                result: Ok(Fetched {
                    status: 200,
                    content_type: None,
                    body: String::new(),
                    url: "http://app/v".to_owned(),
                    headers: Vec::new(),
                }),
            },
            5 => Event::Audio {
                req,
                result: Err(AudioFailure {
                    code: error::MEDIA_DOWNLOAD,
                    text: text(),
                }),
            },
            _ if self.random.once_in(3) => Event::Stream {
                req,
                news: self.random.pick(&stream_noise()).clone(),
            },
            _ if self.random.once_in(3) => Event::Relay {
                req,
                news: self.random.pick(&relay_noise()).clone(),
            },
            _ => {
                let speech = [
                    SpeechNews::Partial(text()),
                    SpeechNews::Final {
                        text: text(),
                        confidence: None,
                    },
                    SpeechNews::Unavailable,
                    SpeechNews::Failed { reason: text() },
                ];
                let news = self.random.pick(&speech).clone();
                Event::Speech { req, news }
            }
        }
    }
}

fn stream_noise() -> [StreamNews; 3] {
    let over = |failure| {
        StreamNews::Over(Box::new(StreamOver {
            failure,
            counts: StreamCounts::default(),
        }))
    };
    [
        StreamNews::Connected,
        over(None),
        over(Some((error::STREAM_LOST, text()))),
    ]
}

fn relay_noise() -> [RelayNews; 5] {
    let said = AgentText {
        token: text(),
        last: true,
        ..AgentText::default()
    };
    [
        RelayNews::Connected,
        RelayNews::Message(FromAgent::Text(said)),
        RelayNews::Message(FromAgent::End { handoff: None }),
        RelayNews::Strange(text()),
        RelayNews::Over(None),
    ]
}

fn text() -> String {
    "noise".to_owned()
}

fn leg_noise() -> [LegEvent; 12] {
    [
        LegEvent::Progress {
            status: 183,
            headers: Headers::new(),
        },
        LegEvent::Answered {
            headers: Headers::new(),
            sip_call_id: text(),
            sdp: None,
        },
        LegEvent::Answered {
            headers: Headers::new(),
            sip_call_id: text(),
            sdp: Some(text()),
        },
        LegEvent::Rejected {
            status: 500,
            reason: text(),
            sip_call_id: text(),
            headers: Headers::new(),
        },
        LegEvent::Canceled,
        LegEvent::Acked { sdp: None },
        LegEvent::NoAck,
        LegEvent::Bye { reason: None },
        LegEvent::ByeDone,
        LegEvent::Reinvite { sdp: None },
        LegEvent::Lost { reason: text() },
        LegEvent::Refer(Box::new(Refer {
            target: "sip:ann@h.example".to_owned(),
            target_user: "ann".to_owned(),
            transferor: text(),
            transferee: text(),
            replaces: None,
        })),
    ]
}

fn media_noise(recording: RecordingSid, play: PlayId) -> [MediaEvent; 12] {
    [
        MediaEvent::Opened { sdp: text() },
        MediaEvent::Refused {
            status: 488,
            reason: text(),
        },
        MediaEvent::Renegotiated { sdp: Ok(text()) },
        MediaEvent::Renegotiated { sdp: Err(text()) },
        MediaEvent::PlayDone { play },
        MediaEvent::Heard,
        MediaEvent::Silence,
        MediaEvent::Recorded {
            recording,
            duration_ms: 100,
            size_bytes: 1,
        },
        MediaEvent::RecordFailed {
            recording,
            reason: text(),
        },
        MediaEvent::RecordSilence { recording },
        MediaEvent::Answerer(Answerer::Machine),
        MediaEvent::Answerer(Answerer::Beep),
    ]
}
