//! Rooms step by step: what members are told, and what happens to a recording.

use std::num::NonZeroU32;
use std::sync::Arc;

use model::{HttpMethod, RecordingEvent};

use super::*;
use crate::callback::CallbackTarget;
use crate::context::RecordingAddress;
use crate::dialect::Dialect;
use crate::membership::RoomRecording;
use crate::recording_request::Turn;

/// The inputs, step by step, and the reports to members in that step.
#[test]
fn members_meet_wait_and_part() {
    let table: &[(&[(&str, &str)], &str)] = &[
        (
            &[
                ("1 joins", "1 joined talks hears"),
                ("2 joins", "2 joined talks hears"),
                ("1 leaves", ""),
                ("2 leaves", ""),
            ],
            "last-member-left",
        ),
        (
            &[
                ("1 joins muted", "1 joined hears"),
                ("2 joins", "2 joined talks hears"),
                ("2 leaves", ""),
                ("1 leaves", ""),
            ],
            "last-member-left",
        ),
        (
            &[
                ("1 joins late", "1 joined"),
                ("2 joins late muted", "2 joined"),
                (
                    "3 joins",
                    "3 joined talks hears, 1 moved talks hears, 2 moved hears",
                ),
                ("4 joins late", "4 joined talks hears"),
                ("3 leaves", ""),
                (
                    "5 waits",
                    "1 over time-limit, 2 over time-limit, 4 over time-limit",
                ),
            ],
            "time-limit",
        ),
        (
            &[
                ("1 joins", "1 joined talks hears"),
                ("2 joins ends", "2 joined talks hears"),
                ("2 leaves", "1 over ended-by-member"),
            ],
            "ended-by-member",
        ),
        (
            &[("1 joins ends", "1 joined talks hears"), ("1 leaves", "")],
            "last-member-left",
        ),
        (
            &[
                ("1 joins", "1 joined talks hears"),
                ("2 joins small", "2 refused Full"),
                ("1 leaves", ""),
            ],
            "last-member-left",
        ),
        (
            &[
                ("1 joins loud late", "1 joined"),
                ("2 joins loud late", "2 joined"),
                (
                    "3 joins loud bye",
                    "3 joined talks hears, 1 moved talks hears, 2 moved talks hears, \
                     1 entry tone, 2 entry tone",
                ),
                ("4 joins", "4 joined talks hears"),
                ("3 joins loud again", "3 joined talks hears"),
                ("3 leaves again", ""),
                ("5 joins bye", "5 joined talks hears"),
                ("5 leaves", "1 exit tone, 2 exit tone, 4 exit tone"),
                ("6 joins bye ends", "6 joined talks hears"),
                (
                    "6 leaves",
                    "1 over ended-by-member, 2 over ended-by-member, 4 over ended-by-member",
                ),
            ],
            "ended-by-member",
        ),
        (
            &[
                ("1 joins", "1 joined talks hears"),
                ("2 joins", "2 joined talks hears"),
                ("2 is muted again", ""),
                ("2 is muted", "2 moved hears"),
                ("2 is held", ""),
                ("2 is", "2 moved talks hears"),
                ("2 is ends", ""),
                ("0 ends", "1 over ended-by-api, 2 over ended-by-api"),
            ],
            "ended-by-api",
        ),
        (
            &[
                ("1 joins coach", "1 joined talks to 9 hears"),
                ("1 is", "1 moved talks hears"),
                ("1 is coach muted", "1 moved to 9 hears"),
                ("1 leaves", ""),
            ],
            "last-member-left",
        ),
        (
            &[
                ("1 joins lonely", "1 joined"),
                ("1 joins lonely again", "1 joined"),
                ("2 joins late", "2 joined talks hears, 1 moved talks hears"),
                ("1 leaves again", ""),
                ("2 leaves", ""),
            ],
            "last-member-left",
        ),
        // A member's second request replaces the first; it does not count twice.
        (
            &[
                ("1 joins", "1 joined talks hears"),
                ("1 joins small again", "1 joined talks hears"),
                ("1 leaves", ""),
                ("1 leaves again", ""),
            ],
            "last-member-left",
        ),
        (
            &[
                ("1 joins late", "1 joined"),
                ("0 stops", "1 over shutdown"),
                ("2 joins", "2 refused Unavailable"),
            ],
            "shutdown",
        ),
    ];
    for (steps, end) in table {
        let mut scene = Scene::new();
        for (step, told) in *steps {
            assert_eq!(scene.step(step), *told, "{step} of {steps:?}");
        }
        assert!(scene.room.is_finished(), "{steps:?}");
        assert_eq!(scene.room.poll_timeout(), None);
        assert_eq!(scene.ends, [(*end).to_owned()], "{steps:?}");
    }
}

#[test]
fn an_unrecorded_room_leaves_no_fact() {
    let mut scene = Scene::new();
    assert_eq!(scene.step("1 joins"), "1 joined talks hears");
    scene.room.handle(RoomInput::NotRecorded, Timestamp(0));
    assert!(scene.room.is_finished());
    let commands = scene.room.poll_commands();
    let refused = RoomEvent::Refused {
        why: RoomRefusal::Unavailable,
    };
    assert!(
        commands
            .iter()
            .any(|command| matches!(command, RoomCommand::Tell { event, .. } if *event == refused))
    );
    assert!(
        !commands
            .iter()
            .any(|command| matches!(command, RoomCommand::Commit(_)))
    );
}

fn settings() -> Settings {
    let address = |_: &Dialect, _, recording: RecordingSid| format!("/{recording}");
    Settings {
        instance: InstanceSid::from_bytes([1; 16]),
        recording_address: RecordingAddress(Arc::new(address)),
        max_redirects: 20,
        null_strings: false,
        screening_releases_both: false,
        type_ahead: true,
        recording_wait: Duration::from_secs(5),
    }
}

/// A recording that reports everything.
fn recording() -> RoomRecording {
    let target = CallbackTarget {
        url: "http://app.example/r".to_owned(),
        method: HttpMethod::Post,
        author: AccountSid::from_bytes([1; 16]),
    };
    RoomRecording {
        trim: false,
        callback: Some((target, RecordingEvent::ALL.to_vec())),
        dialect: Dialect::TWILIO,
    }
}

/// The steps of a recorded conference, and what each does to the recording.
#[test]
fn a_conference_is_recorded_from_its_start_to_its_end() {
    let table: &[&[(&str, &str)]] = &[
        &[
            ("1 joins late recorded", ""),
            ("2 joins recorded", "started, told in-progress, record"),
            ("1 leaves", ""),
            ("2 leaves", "stop, open"),
            ("0 closed 1500", "closed, recorded, told completed"),
        ],
        // The first who asks is late.
        &[
            ("1 joins", ""),
            ("2 joins recorded", "started, told in-progress, record"),
            ("3 joins recorded", ""),
            ("0 ends", "stop, open"),
            ("0 closed 0", "closed, told absent"),
        ],
        // It ends before the conference does; there is no other.
        &[
            ("1 joins recorded", "started, told in-progress, record"),
            ("0 fails", "reported, told failed, notified"),
            ("2 joins recorded", ""),
            ("0 fails", ""),
            ("0 ends", ""),
        ],
        &[
            ("1 joins recorded", "started, told in-progress, record"),
            ("0 stops", "stop, open"),
            ("5 waits", "reported, told failed, notified"),
        ],
        // The conference never starts.
        &[("1 joins late recorded", ""), ("1 leaves", "")],
        // The API pauses it, continues it, and ends it before the conference does.
        &[
            ("0 skips", "nothing is being recorded"),
            ("1 joins recorded", "started, told in-progress, record"),
            ("0 resumes", "the recording is in progress already"),
            ("0 skips", "paused, pause Skip"),
            ("0 pauses", "the recording is paused already"),
            ("0 resumes named", "in-progress, resume"),
            ("0 pauses", "paused, pause Silence"),
            ("0 resumes other", "there is no such recording in progress"),
            ("0 cuts", "stopped, stop"),
            ("0 cuts", "nothing is being recorded"),
            ("0 skips named", "the recording has ended"),
            ("0 closed 1500", "closed, recorded, told completed"),
            ("2 joins recorded", ""),
            ("0 ends", ""),
            ("0 skips", "the call is not in progress"),
        ],
        // It is not closed in time, while the conference continues.
        &[
            ("1 joins recorded", "started, told in-progress, record"),
            ("0 cuts", "stopped, stop"),
            ("5 waits", "reported, told failed, notified"),
            ("0 ends", ""),
        ],
    ];
    for steps in table {
        let mut scene = Scene::new();
        for (step, expected) in *steps {
            scene.step(step);
            assert_eq!(scene.recorded.join(", "), *expected, "{step} of {steps:?}");
        }
        assert!(scene.room.is_finished(), "{steps:?}");
        assert_eq!(scene.room.poll_timeout(), None);
    }
}

/// What happens to a recording, in words.
fn recording_words(fact: &Fact) -> Option<String> {
    Some(match fact {
        Fact::RecordingStarted { .. } => "started".to_owned(),
        Fact::RecordingChanged { status, .. } => status.to_string(),
        Fact::RecordingClosed { .. } => "closed".to_owned(),
        Fact::RecordingReported { .. } => "reported".to_owned(),
        Fact::Recorded(_) => "recorded".to_owned(),
        Fact::Notified(_) => "notified".to_owned(),
        Fact::Callback(callback) => {
            let status = callback.params.iter();
            let mut status = status.filter(|(name, _)| name == "RecordingStatus");
            format!("told {}", status.next()?.1)
        }
        _ => return None,
    })
}

struct Scene {
    room: Room,
    now: Timestamp,
    ends: Vec<String>,
    /// What the last step did to the recording.
    recorded: Vec<String>,
    recording: Option<RecordingSid>,
}

impl Scene {
    fn new() -> Self {
        let opening = RoomOpening {
            sid: ConferenceSid::from_bytes([7; 16]),
            instance: InstanceSid::from_bytes([1; 16]),
            account: AccountSid::from_bytes([1; 16]),
            name: "standup".to_owned(),
            life: Duration::from_secs(60),
            seed: 1,
        };
        Self {
            room: Room::new(opening, &settings(), Timestamp(0)),
            now: Timestamp(0),
            ends: Vec::new(),
            recorded: Vec::new(),
            recording: None,
        }
    }

    fn step(&mut self, step: &str) -> String {
        let (who, what) = step.split_once(' ').expect("two words");
        let member = CallSid::from_bytes([who.parse().expect("a number"); 16]);
        let has = |word: &str| what.split(' ').any(|it| it == word);
        let req = Req(1 + u64::from(has("again")));
        let wish = Wish {
            muted: has("muted"),
            starts: !has("late"),
            needs_company: has("lonely"),
            ends: has("ends"),
            max_members: NonZeroU32::new(if has("small") { 1 } else { 40 }).expect("not 0"),
            beeps_on_enter: has("loud"),
            beeps_on_exit: has("bye"),
            label: None,
            coaches: has("coach").then(|| CallSid::from_bytes([9; 16])),
            callback: None,
            recording: has("recorded").then(|| Box::new(recording())),
        };
        self.now = self.now + Duration::from_secs(1);
        match what.split(' ').next() {
            Some("joins") => self
                .room
                .handle(RoomInput::Join { member, req, wish }, self.now),
            Some("leaves") => self.room.handle(
                RoomInput::Leave {
                    member,
                    req,
                    why: Departure::HungUp,
                },
                self.now,
            ),
            Some("is") => {
                let terms = Terms {
                    muted: has("muted"),
                    ends: has("ends"),
                    on_hold: has("held"),
                    coaches: has("coach").then(|| CallSid::from_bytes([9; 16])),
                };
                let input = RoomInput::Change { member, req, terms };
                self.room.handle(input, self.now);
            }
            Some("closed") => {
                let recording = self.recording.expect("a recording");
                let length = what.split(' ').nth(1).expect("a length");
                let input = RoomInput::Recorded {
                    recording,
                    duration_ms: length.parse().expect("a number"),
                    size_bytes: 44,
                };
                self.room.handle(input, self.now);
            }
            Some("fails") => {
                let recording = self.recording.expect("a recording");
                let reason = "the disk is full".to_owned();
                let input = RoomInput::RecordFailed { recording, reason };
                self.room.handle(input, self.now);
            }
            Some(word @ ("pauses" | "skips" | "resumes" | "cuts")) => {
                let other = RecordingSid::from_bytes([9; 16]);
                let change = RecordingChange {
                    recording: match has("other") {
                        true => Some(other),
                        false => self.recording.filter(|_| has("named")),
                    },
                    turn: match word {
                        "pauses" => Turn::Pause(Pause::Silence),
                        "skips" => Turn::Pause(Pause::Skip),
                        "resumes" => Turn::Resume,
                        _ => Turn::Stop,
                    },
                };
                let ask = Ask(1);
                let input = RoomInput::ChangeRecording { ask, change };
                self.room.handle(input, self.now);
            }
            Some("ends") => self.room.handle(RoomInput::End, self.now),
            Some("stops") => self.room.handle(RoomInput::Shutdown, self.now),
            _ => {
                self.now = self.room.poll_timeout().expect("a timer");
                self.room.handle_timeout(self.now);
            }
        }
        let mut told = Vec::new();
        self.recorded.clear();
        for command in self.room.poll_commands() {
            match command {
                RoomCommand::Commit(facts) => {
                    self.recorded
                        .extend(facts.iter().filter_map(recording_words));
                    self.ends
                        .extend(facts.into_iter().filter_map(|fact| match fact {
                            Fact::ConferenceEnded { reason, .. } => Some(reason),
                            _ => None,
                        }))
                }
                RoomCommand::Tell { member, event, .. } => {
                    told.push(format!("{} {}", member.as_bytes()[0], words(event)));
                }
                RoomCommand::Record { recording, .. } => {
                    self.recording = Some(recording);
                    self.recorded.push("record".to_owned());
                }
                RoomCommand::PauseRecord { pause, .. } => {
                    let words = pause.map(|pause| format!("pause {pause:?}"));
                    self.recorded.push(words.unwrap_or("resume".to_owned()));
                }
                RoomCommand::Reply { outcome, .. } => {
                    self.recorded.extend(outcome.err().map(|it| it.to_string()));
                }
                RoomCommand::StopRecord { .. } => self.recorded.push("stop".to_owned()),
                RoomCommand::Trace(_) => {}
            }
        }
        if self.room.is_over() && !self.room.is_finished() {
            self.recorded.push("open".to_owned());
        }
        told.join(", ")
    }
}

fn words(event: RoomEvent) -> String {
    let placed = |verb: &str, place: Place| {
        let talks = if place.talks { " talks" } else { "" };
        let hears = if place.started { " hears" } else { "" };
        let coaches = place
            .coaches
            .map(|call| format!(" to {}", call.as_bytes()[0]));
        format!("{verb}{talks}{}{hears}", coaches.unwrap_or_default())
    };
    match event {
        RoomEvent::Joined { place, .. } => placed("joined", place),
        RoomEvent::Moved { place, .. } => placed("moved", place),
        RoomEvent::Beep(beep) => beep.as_str().to_owned(),
        RoomEvent::Refused { why } => format!("refused {why:?}"),
        RoomEvent::Over { why } => format!("over {}", why.as_str()),
    }
}
