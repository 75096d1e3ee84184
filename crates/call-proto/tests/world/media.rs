//! The media side: endpoints that open, play, bridge and record, without a single sample.

use std::collections::BTreeMap;

use call_proto::{Event, MediaCommand, MediaEvent, PlayId, Sound};
use model::{CallSid, RecordingSid, Timestamp};

use super::UNUSABLE;
use super::stage::Stage;

pub(super) struct Media {
    closing_ms: Option<u64>,
    disk_full: bool,
    /// What is played, by leg.
    playing: BTreeMap<CallSid, PlayId>,
    /// Since when, by recording.
    recording: BTreeMap<RecordingSid, Timestamp>,
    /// Names of clips; the index is the clip's number.
    clips: Vec<String>,
}

impl Media {
    pub(super) fn new(closing_ms: Option<u64>, disk_full: bool) -> Self {
        Self {
            closing_ms,
            disk_full,
            playing: BTreeMap::new(),
            recording: BTreeMap::new(),
            clips: Vec::new(),
        }
    }

    /// A number for a clip with this name.
    pub(super) fn clip(&mut self, name: &str) -> u64 {
        self.clips.push(name.to_owned());
        self.clips.len() as u64 - 1
    }

    pub(super) fn some_recording(&self) -> Option<RecordingSid> {
        self.recording.keys().next().copied()
    }

    fn sound(&self, sound: Sound) -> String {
        match sound {
            Sound::Ringback => "ring tone".to_owned(),
            Sound::Clip(clip) => {
                let at = usize::try_from(clip.id).unwrap_or(usize::MAX);
                self.clips.get(at).cloned().unwrap_or_default()
            }
        }
    }
}

impl Stage {
    pub(super) fn media_command(&mut self, call: CallSid, command: MediaCommand) {
        let name = self.name(call);
        let now = self.now;
        match command {
            MediaCommand::Open { offer, .. } => {
                let unusable = offer.is_some_and(|offer| offer.contains(UNUSABLE));
                let event = if unusable || self.is_deaf(&name) {
                    refused()
                } else {
                    let sdp = format!("description for {name}");
                    MediaEvent::Opened { sdp }
                };
                self.tell_in(0, call, Event::Media(event));
            }
            MediaCommand::Remote { sdp } => {
                if sdp.contains(UNUSABLE) {
                    self.tell_in(0, call, Event::Media(refused()));
                }
            }
            MediaCommand::Renegotiate { offer } => {
                let unusable = offer.is_some_and(|offer| offer.contains(UNUSABLE));
                let sdp = if unusable {
                    Err("no codec in common".to_owned())
                } else {
                    Ok("new description".to_owned())
                };
                self.tell_in(0, call, Event::Media(MediaEvent::Renegotiated { sdp }));
            }
            MediaCommand::Play { play, sound, times } => {
                let what = self.media.sound(sound);
                let often = match times {
                    None => " for ever".to_owned(),
                    Some(1) => String::new(),
                    Some(times) => format!(" {times} times"),
                };
                self.run.media(now, &name, &format!("play {what}{often}"));
                self.media.playing.insert(call, play);
                if let (Sound::Clip(clip), Some(times)) = (sound, times) {
                    let length = u64::try_from(clip.length.as_millis()).unwrap_or(u64::MAX);
                    let done = Event::Media(MediaEvent::PlayDone { play });
                    self.tell_in(length.saturating_mul(times.into()), call, done);
                }
            }
            MediaCommand::SendDigits { play, digits } => {
                self.run.media(now, &name, &format!("press {digits}"));
                self.media.playing.insert(call, play);
                let length = 200 * digits.len() as u64;
                let done = Event::Media(MediaEvent::PlayDone { play });
                self.tell_in(length, call, done);
            }
            MediaCommand::PassKey { key } => {
                self.run.media(now, &name, &format!("pass on {key}"));
            }
            MediaCommand::ListenDigits { .. } => {}
            MediaCommand::StopPlay { play } => {
                if self.media.playing.get(&call) == Some(&play) {
                    self.media.playing.remove(&call);
                    self.run.media(now, &name, "stop");
                }
            }
            MediaCommand::Bridge { with } => {
                let with = self.name(with);
                self.run.media(now, &name, &format!("bridge {with}"));
            }
            MediaCommand::Unbridge { with } => {
                let with = self.name(with);
                self.run.media(now, &name, &format!("unbridge {with}"));
            }
            MediaCommand::Record { recording, .. } => {
                self.run.media(now, &name, "record");
                self.media.recording.insert(recording, now);
            }
            MediaCommand::StopRecord { recording } => self.recording_stops(call, recording),
            MediaCommand::JoinRoom { .. } | MediaCommand::LeaveRoom => {}
            MediaCommand::Close => {
                self.media.playing.remove(&call);
                let closed = MediaEvent::Closed(model::record::MediaCounts::default());
                self.tell_in(0, call, Event::Media(closed));
            }
        }
    }

    fn recording_stops(&mut self, call: CallSid, recording: RecordingSid) {
        let name = self.name(call);
        self.run.media(self.now, &name, "stop recording");
        let Some(since) = self.media.recording.remove(&recording) else {
            return;
        };
        let Some(in_ms) = self.media.closing_ms else {
            return;
        };
        let duration_ms = self.now.as_millis() - since.as_millis();
        let event = if self.media.disk_full {
            MediaEvent::RecordFailed {
                recording,
                reason: "the disk is full".to_owned(),
            }
        } else {
            MediaEvent::Recorded {
                recording,
                duration_ms,
                size_bytes: 44 + 16 * duration_ms,
            }
        };
        self.tell_in(in_ms, call, Event::Media(event));
    }
}

fn refused() -> MediaEvent {
    MediaEvent::Refused {
        status: 488,
        reason: "no codec in common".to_owned(),
    }
}
