//! The mix of a conference without samples: who hears whom.
//!
//! **Invariant: a member hears every other member that may talk to it, and never itself.**

use std::collections::BTreeMap;

use call_proto::{Place, RoomInput};
use model::{CallSid, ConferenceSid, RecordingSid};

use super::media::Covered;
use super::{Due, Stage};

/// The members of each mix.
#[derive(Default)]
pub(super) struct Mixes {
    members: BTreeMap<CallSid, Member>,
    /// What the current recordings of mixes cover.
    pub(super) recorded: BTreeMap<RecordingSid, Covered>,
}

struct Member {
    conference: ConferenceSid,
    place: Place,
    /// The members that it hears.
    hears: Vec<String>,
}

impl Mixes {
    /// A mix that should be gone but has members.
    pub(super) fn left(&self) -> Option<String> {
        let count = self.members.len();
        (count > 0).then(|| format!("{count} legs are still in a mix"))
    }
}

impl Stage<'_> {
    /// A leg takes a place in the mix, or changes its place.
    pub(super) fn joins_mix(&mut self, call: CallSid, conference: ConferenceSid, place: Place) {
        if let Some(member) = self.mixes.members.get_mut(&call)
            && member.conference == conference
        {
            member.place = place;
        } else {
            self.leaves_mix(call);
            let line = format!("joins conference {}", self.rooms.name(conference));
            self.on_line(call, &line);
            let member = Member {
                conference,
                place,
                hears: Vec::new(),
            };
            self.mixes.members.insert(call, member);
        }
        self.mixes_again(conference);
    }

    /// A leg leaves its mix, if it is in one.
    pub(super) fn leaves_mix(&mut self, call: CallSid) {
        if let Some(member) = self.mixes.members.remove(&call) {
            let line = format!("leaves conference {}", self.rooms.name(member.conference));
            self.on_line(call, &line);
            self.mixes_again(member.conference);
        }
    }

    /// The recording of a mix ends. Members are taken to talk all the time: nothing is trimmed.
    pub(super) fn mix_recorded(&mut self, room: usize, recording: RecordingSid) {
        let covered = self.mixes.recorded.remove(&recording);
        let (Some(covered), Some(after)) = (covered, self.scene.delays.closing) else {
            return;
        };
        let input = if self.scene.faults.disk_full {
            RoomInput::RecordFailed {
                recording,
                reason: "the disk is full".to_owned(),
            }
        } else {
            let duration_ms = covered.length_ms(self.now);
            RoomInput::Recorded {
                recording,
                duration_ms,
                size_bytes: 44 + 16 * duration_ms,
            }
        };
        self.later(after, Due::Room(room, input));
    }

    /// Records for each member whom it hears, if that changed.
    fn mixes_again(&mut self, conference: ConferenceSid) {
        let here = |member: &Member| member.conference == conference;
        let mut talkers: Vec<(usize, CallSid, Option<CallSid>)> = Vec::new();
        for (call, member) in &self.mixes.members {
            if here(member) && member.place.talks {
                talkers.push((self.run.number(*call), *call, member.place.coaches));
            }
        }
        talkers.sort_unstable();
        let mut changed = Vec::new();
        for (call, member) in &mut self.mixes.members {
            if !here(member) {
                continue;
            }
            let others = talkers.iter().filter(|(_, talker, to)| {
                talker != call && to.is_none_or(|coached| coached == *call)
            });
            let heard: Vec<String> = others
                .map(|(_, talker, _)| self.run.name(*talker).to_owned())
                .collect();
            if heard != member.hears {
                let names = if heard.is_empty() {
                    "nobody".to_owned()
                } else {
                    heard.join(", ")
                };
                member.hears = heard;
                changed.push((self.run.number(*call), *call, format!("hears {names}")));
            }
        }
        changed.sort();
        for (_, call, line) in changed {
            self.on_line(call, &line);
        }
    }
}
