//! The parties of test accounts: what is called instead of a carrier's numbers.
//!
//! A number decides what its party does (`docs/test-mode.md` lists the numbers). The machine takes the place of SIP:
//! it gets the commands of one outbound leg and returns that leg's events.
//!
//! **Invariant: a party gives each INVITE at most one final response, and its dialog at most one
//! end.** Left to others: the sound, of which there is none: what machine detection would hear is reported
//! as if it had been heard.

use std::time::Duration;

use model::{AnswerTiming, CallSid, Timestamp, error};

use crate::command::LegCommand;
use crate::detection::Answerer;
use crate::event::{Event, LegEvent, MediaEvent};

/// The start of the numbers below; with 7 more digits, they are those that Twilio's test
/// credentials know.
const PREFIX: &str = "+1500555";
/// Time in which a party answers unless its number says otherwise.
const ANSWERS_AFTER: Duration = Duration::from_secs(1);
/// Time after which a connection is lost.
const LOST_AFTER: Duration = Duration::from_secs(2);
/// The greeting of a machine: longer than that of a person may be, whatever the request says.
const BEFORE_BEEP: Duration = Duration::from_millis(500);

/// What a party does when it is called.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Conduct {
    /// Refuses the call with this SIP status.
    Refuses(u16),
    /// Rings and never answers.
    Rings,
    /// Answers.
    Answers {
        /// Time until it answers.
        after: Duration,
        /// What its voice sounds like.
        voice: Voice,
        /// How the call ends if the server does not end it.
        end: End,
    },
}

/// What machine detection hears of a party.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Voice {
    /// A short greeting.
    Person,
    /// A long greeting; then a beep, if there is one.
    Machine {
        /// Whether there is a beep.
        beeps: bool,
    },
    /// The tone of a fax machine.
    Fax,
    /// Nothing.
    Silence,
}

/// How a party ends a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// It does not.
    Never,
    /// It hangs up after this time.
    HangsUp(Duration),
    /// It can no longer be reached after this time.
    IsLost(Duration),
}

/// The numbers with a meaning of their own, and what their parties do.
pub const CONDUCTS: &[(&str, Conduct)] = &[
    ("+15005550006", answers(Voice::Person, End::Never)),
    ("+15005550101", Conduct::Refuses(486)),
    ("+15005550102", Conduct::Rings),
    ("+15005550103", Conduct::Refuses(503)),
    ("+15005550104", Conduct::Refuses(404)),
    ("+15005550105", Conduct::Refuses(603)),
    (
        "+15005550106",
        answers(Voice::Machine { beeps: true }, End::Never),
    ),
    (
        "+15005550107",
        answers(Voice::Machine { beeps: false }, End::Never),
    ),
    ("+15005550108", answers(Voice::Fax, End::Never)),
    ("+15005550109", answers(Voice::Silence, End::Never)),
    (
        "+15005550110",
        answers(Voice::Person, End::IsLost(LOST_AFTER)),
    ),
];

/// Why a number of test mode cannot be called at all, as a number of the error table and a text.
#[must_use]
pub fn refusal(number: &str) -> Option<(u16, &'static str)> {
    let refusals = [
        (
            "+15005550001",
            error::TEST_INVALID,
            "in test mode, this number is not valid",
        ),
        (
            "+15005550002",
            error::TEST_UNROUTABLE,
            "in test mode, no route leads to this number",
        ),
        (
            "+15005550003",
            error::TEST_NO_PERMISSION,
            "in test mode, calls to the country of this number are not permitted",
        ),
        (
            "+15005550004",
            error::TEST_BLOCKED,
            "in test mode, calls to this number are blocked",
        ),
    ];
    let found = refusals.into_iter().find(|(known, ..)| *known == number);
    found.map(|(_, code, text)| (code, text))
}

const fn answers(voice: Voice, end: End) -> Conduct {
    Conduct::Answers {
        after: ANSWERS_AFTER,
        voice,
        end,
    }
}

impl Conduct {
    /// What the party of a number does: `+150055502NN` hangs up NN seconds after it answers,
    /// `+150055503NN` answers after NN seconds; the party of a number without a meaning of its own answers and stays.
    #[must_use]
    pub fn of(number: &str) -> Self {
        if let Some((_, conduct)) = CONDUCTS.iter().find(|(known, _)| *known == number) {
            return *conduct;
        }
        let stays = answers(Voice::Person, End::Never);
        let Some(digits) = number.strip_prefix(PREFIX).filter(|rest| rest.len() == 4) else {
            return stays;
        };
        let Some((kind, Ok(seconds))) = digits.split_at_checked(2).map(|(a, b)| (a, b.parse()))
        else {
            return stays;
        };
        let time = Duration::from_secs(seconds);
        match kind {
            "02" => answers(Voice::Person, End::HangsUp(time)),
            "03" => Conduct::Answers {
                after: time,
                voice: Voice::Person,
                end: End::Never,
            },
            _ => stays,
        }
    }

    /// The SIP status with which the party answers a text message.
    #[must_use]
    pub const fn message_status(self) -> u16 {
        match self {
            Self::Refuses(status) => status,
            Self::Rings => 408,
            Self::Answers { .. } => 200,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// No final response yet.
    Setup,
    Up,
    Over,
}

/// What a party is about to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Doing {
    Ring,
    Refuse(u16),
    Answer,
    HangUp,
    Vanish,
    BeHeard(Answerer),
    ConfirmBye,
    RefuseRefer,
}

/// The party of one outbound leg.
#[derive(Debug)]
pub struct StandIn {
    call: CallSid,
    conduct: Conduct,
    /// Its session description, if it answers.
    sdp: String,
    state: State,
    /// What it does and when, in no particular order.
    plan: Vec<(Timestamp, Doing)>,
}

impl StandIn {
    /// A party that gets an INVITE.
    ///
    /// - `sdp`: its answer to the offer
    #[must_use]
    pub fn new(call: CallSid, conduct: Conduct, sdp: String, now: Timestamp) -> Self {
        let plan = match conduct {
            Conduct::Refuses(status) => vec![
                (now, Doing::Ring),
                (now + ANSWERS_AFTER, Doing::Refuse(status)),
            ],
            Conduct::Rings => vec![(now, Doing::Ring)],
            Conduct::Answers { after, .. } => {
                vec![(now, Doing::Ring), (now + after, Doing::Answer)]
            }
        };
        Self {
            call,
            conduct,
            sdp,
            state: State::Setup,
            plan,
        }
    }

    /// A command for the leg, after its INVITE.
    pub fn handle_command(&mut self, command: &LegCommand, now: Timestamp) {
        match (command, self.state) {
            (LegCommand::Cancel, State::Setup) => self.plan = vec![(now, Doing::Refuse(487))],
            (LegCommand::Cancel | LegCommand::Bye { .. }, State::Up) => {
                self.state = State::Over;
                self.plan = vec![(now, Doing::ConfirmBye)];
            }
            (LegCommand::Refer { .. }, State::Up) => self.plan.push((now, Doing::RefuseRefer)),
            // Headers of messages that are not sent, answers to requests that it does not make, and what crossed its end.
            (
                LegCommand::Headers(_)
                | LegCommand::Ring
                | LegCommand::Answer { .. }
                | LegCommand::Reject { .. }
                | LegCommand::Invite(_)
                | LegCommand::Cancel
                | LegCommand::Bye { .. }
                | LegCommand::AnswerReinvite { .. }
                | LegCommand::RejectReinvite { .. }
                | LegCommand::AcceptRefer
                | LegCommand::RejectRefer { .. }
                | LegCommand::ReferDone { .. }
                | LegCommand::Refer { .. },
                _,
            ) => {}
        }
    }

    /// Machine detection begins to listen.
    pub fn handle_detection(&mut self, timing: AnswerTiming, now: Timestamp) {
        if let Conduct::Answers { voice, .. } = self.conduct {
            let heard = heard(voice, timing);
            let plan = heard
                .into_iter()
                .map(|(after, heard)| (now + after, Doing::BeHeard(heard)));
            self.plan.extend(plan);
        }
    }

    /// Machine detection no longer listens.
    pub fn handle_end_of_detection(&mut self) {
        self.plan
            .retain(|(_, doing)| !matches!(doing, Doing::BeHeard(_)));
    }

    /// When it does something next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        self.plan.iter().map(|(at, _)| *at).min()
    }

    /// What it has done by now, in order.
    pub fn handle_timeout(&mut self, now: Timestamp) -> Vec<Event> {
        let mut events = Vec::new();
        // One at a time: what is done may change the plan.
        while let Some(at) = self.poll_timeout().filter(|at| *at <= now) {
            let place = self.plan.iter().position(|(due, _)| *due == at);
            let Some((_, doing)) = place.map(|place| self.plan.remove(place)) else {
                break;
            };
            events.extend(self.act(doing, at));
        }
        events
    }

    fn act(&mut self, doing: Doing, at: Timestamp) -> Option<Event> {
        let sip_call_id = format!("{}@test-mode.invalid", self.call);
        let headers = Vec::new();
        let event = match (doing, self.state) {
            (Doing::Ring, State::Setup) => LegEvent::Progress {
                status: 180,
                headers,
            },
            (Doing::Refuse(status), State::Setup) => {
                self.state = State::Over;
                self.plan.clear();
                LegEvent::Rejected {
                    status,
                    reason: String::new(),
                    sip_call_id,
                    headers,
                }
            }
            (Doing::Answer, State::Setup) => {
                self.state = State::Up;
                if let Conduct::Answers { end, .. } = self.conduct {
                    self.plan.extend(match end {
                        End::Never => None,
                        End::HangsUp(after) => Some((at + after, Doing::HangUp)),
                        End::IsLost(after) => Some((at + after, Doing::Vanish)),
                    });
                }
                LegEvent::Answered {
                    headers,
                    sip_call_id,
                    sdp: Some(self.sdp.clone()),
                }
            }
            (Doing::HangUp, State::Up) => {
                self.state = State::Over;
                self.plan.clear();
                LegEvent::Bye { reason: None }
            }
            (Doing::Vanish, State::Up) => {
                self.state = State::Over;
                self.plan.clear();
                LegEvent::Lost {
                    reason: "the remote party is gone".to_owned(),
                }
            }
            (Doing::RefuseRefer, State::Up) => LegEvent::ReferAnswered { status: 405 },
            (Doing::BeHeard(heard), State::Up) => {
                return Some(Event::Media(MediaEvent::Answerer(heard)));
            }
            (Doing::ConfirmBye, State::Over) => LegEvent::ByeDone,
            (
                Doing::Ring
                | Doing::Refuse(_)
                | Doing::Answer
                | Doing::HangUp
                | Doing::Vanish
                | Doing::BeHeard(_)
                | Doing::RefuseRefer
                | Doing::ConfirmBye,
                _,
            ) => return None,
        };
        Some(Event::Leg(event))
    }
}

/// What is heard of a voice, and how long after the answer.
fn heard(voice: Voice, timing: AnswerTiming) -> Vec<(Duration, Answerer)> {
    // It talks for as long as it takes to be a machine, and no longer.
    let greeting = timing.speech;
    match voice {
        Voice::Person => vec![(
            timing.speech.min(ANSWERS_AFTER) + timing.speech_end,
            Answerer::Human,
        )],
        Voice::Machine { beeps: true } => vec![
            (greeting, Answerer::Machine),
            (greeting + BEFORE_BEEP, Answerer::Beep),
        ],
        Voice::Machine { beeps: false } => vec![
            (greeting, Answerer::Machine),
            (greeting + timing.speech_end, Answerer::Silence),
        ],
        Voice::Fax => vec![(BEFORE_BEEP, Answerer::Fax)],
        Voice::Silence => vec![(timing.silence, Answerer::Nothing)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMING: AnswerTiming = AnswerTiming {
        speech: Duration::from_millis(2400),
        speech_end: Duration::from_millis(1200),
        silence: Duration::from_millis(5000),
    };

    fn words(event: &Event) -> String {
        match event {
            Event::Leg(LegEvent::Progress { status, .. } | LegEvent::Rejected { status, .. }) => {
                status.to_string()
            }
            Event::Leg(LegEvent::Answered { .. }) => "answer".to_owned(),
            Event::Leg(LegEvent::Bye { .. }) => "bye".to_owned(),
            Event::Leg(LegEvent::Lost { .. }) => "lost".to_owned(),
            Event::Leg(LegEvent::ByeDone) => "bye done".to_owned(),
            Event::Leg(LegEvent::ReferAnswered { status }) => format!("refer {status}"),
            Event::Media(MediaEvent::Answerer(heard)) => heard.as_str().to_owned(),
            other => format!("{other:?}"),
        }
    }

    /// Everything a leg sees in the first minute, with times in ms. Detection starts with the answer.
    fn timeline(number: &str, commands: &[(u64, LegCommand)]) -> String {
        let at = |ms: u64| Timestamp::from_unix(Duration::from_millis(ms));
        let sid = CallSid::from_bytes([1; 16]);
        let mut party = StandIn::new(sid, Conduct::of(number), String::new(), at(0));
        let mut seen = Vec::new();
        for ms in (0..60_000).step_by(100) {
            for (_, command) in commands.iter().filter(|(when, _)| *when == ms) {
                party.handle_command(command, at(ms));
            }
            for event in party.handle_timeout(at(ms)) {
                if let Event::Leg(LegEvent::Answered { .. }) = event {
                    party.handle_detection(TIMING, at(ms));
                }
                seen.push(format!("{ms} {}", words(&event)));
            }
        }
        seen.join(", ")
    }

    #[test]
    fn a_number_decides_what_its_party_does() {
        let table = [
            ("+15005550006", "0 180, 1000 answer, 3200 a person"),
            ("+12025550123", "0 180, 1000 answer, 3200 a person"),
            ("100", "0 180, 1000 answer, 3200 a person"),
            ("+15005550101", "0 180, 1000 486"),
            ("+15005550102", "0 180"),
            ("+15005550103", "0 180, 1000 503"),
            ("+15005550104", "0 180, 1000 404"),
            ("+15005550105", "0 180, 1000 603"),
            (
                "+15005550106",
                "0 180, 1000 answer, 3400 a machine, 3900 a beep",
            ),
            (
                "+15005550107",
                "0 180, 1000 answer, 3400 a machine, 4600 silence after the greeting",
            ),
            ("+15005550108", "0 180, 1000 answer, 1500 a fax machine"),
            ("+15005550109", "0 180, 1000 answer, 6000 nothing"),
            ("+15005550110", "0 180, 1000 answer, 3000 lost"),
            ("+15005550200", "0 180, 1000 answer, 1000 bye"),
            (
                "+15005550205",
                "0 180, 1000 answer, 3200 a person, 6000 bye",
            ),
            ("+15005550300", "0 180, 0 answer, 2200 a person"),
            ("+15005550312", "0 180, 12000 answer, 14200 a person"),
        ];
        for (number, expected) in table {
            assert_eq!(timeline(number, &[]), expected, "{number}");
        }
    }

    #[test]
    fn the_server_ends_calls() {
        let bye = || LegCommand::Bye { reason: None };
        let refer = || LegCommand::Refer {
            target: "sip:x@y".to_owned(),
        };
        let table = [
            (
                "+15005550102",
                vec![(5000, LegCommand::Cancel)],
                "0 180, 5000 487",
            ),
            (
                "+15005550006",
                vec![(1500, bye()), (1600, bye())],
                "0 180, 1000 answer, 1500 bye done",
            ),
            // A CANCEL that crosses the answer, and a BYE that crosses the party's.
            (
                "+15005550006",
                vec![(1100, LegCommand::Cancel)],
                "0 180, 1000 answer, 1100 bye done",
            ),
            (
                "+15005550200",
                vec![(1100, bye())],
                "0 180, 1000 answer, 1000 bye",
            ),
            (
                "+15005550006",
                vec![(2000, refer())],
                "0 180, 1000 answer, 2000 refer 405, 3200 a person",
            ),
        ];
        for (number, commands, expected) in table {
            assert_eq!(timeline(number, &commands), expected, "{number}");
        }
    }

    #[test]
    fn every_number_is_documented() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/test-mode.md");
        let page = std::fs::read_to_string(path).unwrap_or_default();
        for (number, _) in CONDUCTS {
            assert!(page.contains(&format!("| `{number}` |")), "{number}");
        }
    }
}
