//! Sounds without samples: what plays on which leg, and for how long.
//!
//! **Invariant: one leg plays one thing at a time; the next replaces it.**

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use call_proto::{
    AudioFailure, Clip, Event, Fetched, MediaCommand, MediaEvent, Pause, PlayId, ReplyKind, Req,
    Sides, Sound,
};
use model::record::MediaCounts;
use model::{CallSid, RecordingSid, Timestamp, error};

use super::pages::{self, Answered};
use super::{Due, Stage};
use crate::heard::{Heard, Sense};
use crate::scene::UNUSABLE;

/// How long a sound of unknown length plays.
const SOME_SOUND: Duration = Duration::from_secs(1);

/// Length of the beep before a recording.
const RECORD_BEEP: Duration = Duration::from_millis(200);
/// Length of a conference's tones.
const BEEP_LENGTH: Duration = Duration::from_millis(300);

/// Length of a key and the silence after it.
const KEY_LENGTH: Duration = Duration::from_millis(200);
/// Length of a `w` or `W`.
const KEY_PAUSE: Duration = Duration::from_millis(500);

#[derive(Default)]
pub(super) struct Media {
    /// The content of each clip; the index is its number.
    clips: Vec<Sense>,
    /// What plays on a leg, and its index among what is heard there.
    playing: BTreeMap<CallSid, (PlayId, usize)>,
    recording: BTreeMap<RecordingSid, Take>,
    /// Legs on which machine detection listens.
    pub(super) detecting: BTreeSet<CallSid>,
}

/// How long it takes to press these keys.
pub(super) fn keys_length(keys: &str) -> Duration {
    let length = keys.chars().map(|key| match key {
        'w' | 'W' => KEY_PAUSE,
        _ => KEY_LENGTH,
    });
    length.sum()
}

/// The time that a recording covers.
pub(super) struct Covered {
    /// Its start, moved forward by the pauses that it leaves out.
    since: Timestamp,
    /// The start of a pause that it leaves out.
    left_out_since: Option<Timestamp>,
}

impl Covered {
    pub(super) const fn from(now: Timestamp) -> Self {
        Self {
            since: now,
            left_out_since: None,
        }
    }

    /// A pause begins or, with `None`, ends.
    pub(super) fn pause(&mut self, pause: Option<Pause>, now: Timestamp) {
        if let Some(paused) = self.left_out_since.take() {
            self.since = self.since + now.since(paused);
        }
        self.left_out_since = pause.filter(|it| *it == Pause::Skip).map(|_| now);
    }

    pub(super) fn length_ms(&self, now: Timestamp) -> i64 {
        let until = self.left_out_since.unwrap_or(now);
        until.as_millis() - self.since.as_millis()
    }
}

/// A recording in progress.
struct Take {
    call: CallSid,
    since: Timestamp,
    covered: Covered,
    channels: u8,
    /// For one of what a person says.
    voice: Option<Voice>,
}

/// What a person has said in a recording.
struct Voice {
    /// The silence that ends it.
    limit: Duration,
    trim: bool,
    /// When the first word began and the last one ended.
    spoken: Option<(Timestamp, Timestamp)>,
    words: usize,
}

impl Media {
    pub(super) fn some_recording(&self) -> Option<RecordingSid> {
        self.recording.keys().next().copied()
    }
}

impl Stage<'_> {
    pub(super) fn speak(&mut self, call: CallSid, req: Req, text: String) {
        let unspeakable = self.scene.faults.unspeakable.as_ref();
        let length = if unspeakable.is_some_and(|word| text.contains(word)) {
            Err(format!("`{text}` cannot be spoken"))
        } else {
            Ok(self.scripted_length(&text).unwrap_or_else(|| {
                let characters = text.chars().count() as u64;
                self.speaking_time(characters)
            }))
        };
        self.audio(call, req, Sense::Say(text), length);
    }

    pub(super) fn load(&mut self, call: CallSid, req: Req, url: String) {
        let length = match self.scripted_length(&url) {
            Some(length) => Ok(length),
            None => match pages::answering(&self.scene.pages, &mut self.asked, &url).by {
                Answered::Page(Ok(page)) if page.status == 200 && is_text(&page) => {
                    Err(format!("the page {url} is not a sound"))
                }
                Answered::Page(Ok(page)) if page.status == 200 => Ok(SOME_SOUND),
                Answered::Page(Ok(page)) => {
                    Err(format!("{url} answered with status {}", page.status))
                }
                Answered::Page(Err(_)) => Err(format!("{url} could not be reached")),
                Answered::Application(there) => {
                    let known = self.application.sound(call, &there);
                    known.map(|length| length.unwrap_or(SOME_SOUND))
                }
            },
        };
        self.audio(call, req, Sense::Play(url), length);
    }

    fn scripted_length(&self, what: &str) -> Option<Duration> {
        let mut sounds = self.scene.sounds.iter();
        let found = sounds.find(|(expected, _)| expected.fits(Some(what)));
        found.map(|(_, length)| *length)
    }

    fn audio(&mut self, call: CallSid, req: Req, what: Sense, length: Result<Duration, String>) {
        let result = match length {
            Ok(length) => {
                self.media.clips.push(what);
                let id = self.media.clips.len() as u64 - 1;
                Ok(Clip { id, length })
            }
            Err(text) => Err(AudioFailure {
                code: error::MEDIA_DOWNLOAD,
                text,
            }),
        };
        self.tell_soon(call, Event::Audio { req, result });
    }

    pub(super) fn media_command(&mut self, call: CallSid, command: MediaCommand) {
        match command {
            MediaCommand::Open { offer, .. } => {
                let is_deaf = self.scene.faults.deaf.contains(self.party(call));
                let event = if is_deaf || is_unusable(offer.as_deref()) {
                    refused()
                } else {
                    let sdp = format!("description for {}", self.run.name(call));
                    MediaEvent::Opened { sdp }
                };
                self.tell_soon(call, Event::Media(event));
            }
            MediaCommand::Remote { sdp } => {
                if is_unusable(Some(&sdp)) {
                    self.tell_soon(call, Event::Media(refused()));
                }
            }
            MediaCommand::Renegotiate { offer } => {
                let sdp = if is_unusable(offer.as_deref()) {
                    Err("no codec in common".to_owned())
                } else {
                    Ok("new description".to_owned())
                };
                self.tell_soon(call, Event::Media(MediaEvent::Renegotiated { sdp }));
            }
            MediaCommand::Play { play, sound, times } => self.play_sound(call, play, sound, times),
            MediaCommand::StopPlay { play } if self.is_interrupted_by(call, play) => {
                self.interruption_ends(call, true);
            }
            MediaCommand::StopPlay { play } => {
                self.silences_agents(call, Some(play));
                if self
                    .media
                    .playing
                    .get(&call)
                    .is_some_and(|(now, _)| *now == play)
                {
                    self.on_line(call, "stop");
                    self.cut_off(call);
                }
            }
            MediaCommand::SendDigits { play, digits } => self.send_keys(call, play, &digits),
            MediaCommand::Interject { play, sound } => self.interrupts(call, play, sound),
            MediaCommand::PassKey { key } => {
                let keys = key.to_string();
                self.on_line(call, &format!("keys {keys}"));
                self.notices(call, Sense::Keys(keys));
            }
            MediaCommand::ListenDigits { .. } => {}
            MediaCommand::Echo { on } => {
                self.cut_off(call);
                self.on_line(call, if on { "echo" } else { "stop echo" });
            }
            MediaCommand::Pair { with, queue } => {
                if self.queues.are_paired(queue, call, with) {
                    let with = format!("joins {}", self.run.name(with));
                    self.on_line(call, &with);
                }
            }
            MediaCommand::Bridge { with } => {
                let with = format!("joins {}", self.run.name(with));
                self.on_line(call, &with);
            }
            MediaCommand::Unbridge { with } | MediaCommand::Unpair { with } => {
                let with = format!("leaves {}", self.run.name(with));
                self.on_line(call, &with);
            }
            // Parties that hear each other are taken to talk all the time: nothing is trimmed.
            MediaCommand::Record {
                recording, sides, ..
            } => {
                self.begin_take(call, recording, sides, None);
            }
            MediaCommand::RecordVoice {
                recording,
                silence,
                trim,
            } => {
                let voice = Voice {
                    limit: silence,
                    trim,
                    spoken: None,
                    words: 0,
                };
                self.begin_take(call, recording, Sides::Inbound, Some(voice));
                self.later(silence, Due::Quiet(recording, 0));
            }
            MediaCommand::PauseRecord { recording, pause } => {
                let what = match pause {
                    Some(_) => "pause recording",
                    None => "resume recording",
                };
                self.on_line(call, what);
                if let Some(take) = self.media.recording.get_mut(&recording) {
                    take.covered.pause(pause, self.now);
                }
            }
            MediaCommand::DetectMachine { timing } => self.detects(call, timing),
            MediaCommand::StopDetecting => {
                self.media.detecting.remove(&call);
            }
            MediaCommand::StopRecord { recording } => self.recorded(call, recording),
            MediaCommand::JoinRoom { conference, place } => {
                self.joins_mix(call, conference, place);
            }
            MediaCommand::LeaveRoom => self.leaves_mix(call),
            MediaCommand::Close => {
                self.leaves_mix(call);
                self.all_is_quiet(call);
                self.media.detecting.remove(&call);
                let closed = MediaEvent::Closed(MediaCounts::default());
                self.tell_soon(call, Event::Media(closed));
            }
        }
    }

    pub(super) fn on_line(&mut self, call: CallSid, what: &str) {
        self.run.hears(self.now, call, what.to_owned());
    }

    fn play_sound(&mut self, call: CallSid, play: PlayId, sound: Sound, times: Option<u32>) {
        self.cut_off(call);
        let sense = match sound {
            Sound::Ringback(_) => Sense::Ring,
            Sound::RecordBeep => Sense::RecordBeep,
            Sound::Music => Sense::Music,
            Sound::Beep(beep) => Sense::Beep(beep),
            Sound::Clip(clip) => self.clip(clip),
        };
        let place = self.heard.get(&call).map_or(0, Vec::len);
        let words = if let Sound::Ringback(tone) = sound {
            tone.words()
        } else {
            sound_on_line(&sense, times)
        };
        self.on_line(call, &words);
        self.hears(call, Heard::begins(sense, self.now));
        self.media.playing.insert(call, (play, place));
        self.waits_behind(call, play);
        let length = match sound {
            Sound::Clip(clip) => clip.length,
            Sound::Beep(_) => BEEP_LENGTH,
            Sound::RecordBeep => RECORD_BEEP,
            Sound::Ringback(_) | Sound::Music => return,
        };
        if let Some(times) = times {
            let done = Event::Media(MediaEvent::PlayDone { play });
            self.tell_in(length.saturating_mul(times), call, done);
        }
    }

    fn send_keys(&mut self, call: CallSid, play: PlayId, keys: &str) {
        self.cut_off(call);
        let place = self.heard.get(&call).map_or(0, Vec::len);
        self.on_line(call, &format!("keys {keys}"));
        self.hears(call, Heard::begins(Sense::Keys(keys.to_owned()), self.now));
        self.media.playing.insert(call, (play, place));
        self.waits_behind(call, play);
        let done = Event::Media(MediaEvent::PlayDone { play });
        self.tell_in(keys_length(keys), call, done);
    }

    /// What is heard of a clip.
    pub(super) fn clip(&self, clip: Clip) -> Sense {
        let number = usize::try_from(clip.id).unwrap_or(usize::MAX);
        let known = self.media.clips.get(number).cloned();
        known.unwrap_or(Sense::Play(String::new()))
    }

    /// What a leg plays, besides an interruption.
    pub(super) fn plays_now(&self, call: CallSid) -> Option<PlayId> {
        self.media.playing.get(&call).map(|(play, _)| *play)
    }

    /// A sound reaches its end; false if it was cut off before.
    pub(super) fn played(&mut self, call: CallSid, done: PlayId) -> bool {
        if let Some(counts) = self.interruption_played(call, done) {
            return counts;
        }
        let playing = self.media.playing.get(&call);
        let plays = playing.is_some_and(|(play, _)| *play == done);
        if plays {
            self.sound_ends(call, false);
        }
        plays
    }

    fn cut_off(&mut self, call: CallSid) {
        self.silences_agents(call, None);
        self.sound_ends(call, true);
    }

    pub(super) fn sound_ends(&mut self, call: CallSid, cut: bool) {
        if let Some((_, place)) = self.media.playing.remove(&call)
            && let Some(heard) = self.heard.get_mut(&call).and_then(|all| all.get_mut(place))
        {
            heard.ends(self.now, cut);
        }
    }

    /// The leg no longer hears anything.
    pub(super) fn all_is_quiet(&mut self, call: CallSid) {
        self.interruption_ends(call, true);
        self.cut_off(call);
        for heard in self.heard.get_mut(&call).into_iter().flatten() {
            heard.ends(self.now, true);
        }
    }

    fn begin_take(
        &mut self,
        call: CallSid,
        recording: RecordingSid,
        sides: Sides,
        voice: Option<Voice>,
    ) {
        let words = match sides {
            Sides::Apart => "record dual",
            Sides::Outbound => "record outbound",
            Sides::Inbound if voice.is_none() => "record inbound",
            Sides::Mixed | Sides::Inbound => "record",
        };
        self.on_line(call, words);
        let take = Take {
            call,
            since: self.now,
            covered: Covered::from(self.now),
            channels: sides.channels(),
            voice,
        };
        self.media.recording.insert(recording, take);
    }

    /// A word was said on a leg; whether it is being recorded.
    pub(super) fn records_word(&mut self, call: CallSid, length: Duration) -> bool {
        let now = self.now;
        let mut takes = self.media.recording.iter_mut();
        let found = takes.find_map(|(sid, take)| {
            let voice = take.voice.as_mut().filter(|_| take.call == call)?;
            let from = Timestamp(now.0.saturating_sub(Timestamp::from_unix(length).0));
            let from = from.max(take.since);
            voice.spoken = Some((voice.spoken.map_or(from, |(from, _)| from), now));
            voice.words += 1;
            Some((*sid, voice.limit, voice.words))
        });
        if let Some((sid, limit, words)) = found {
            self.later(limit, Due::Quiet(sid, words));
        }
        found.is_some()
    }

    /// A recorded person has been silent since this word count, unless more words came.
    pub(super) fn quiet(&mut self, recording: RecordingSid, words: usize) {
        let take = self.media.recording.get(&recording);
        let silent = take.filter(|take| {
            take.voice
                .as_ref()
                .is_some_and(|voice| voice.words == words)
        });
        if let Some(call) = silent.map(|take| take.call) {
            let event = MediaEvent::RecordSilence { recording };
            self.tell_soon(call, Event::Media(event));
        }
    }

    fn recorded(&mut self, call: CallSid, recording: RecordingSid) {
        self.on_line(call, "stop recording");
        let Some(take) = self.media.recording.remove(&recording) else {
            return;
        };
        let Some(after) = self.scene.delays.closing else {
            return;
        };
        let duration_ms = match &take.voice {
            Some(voice) if voice.trim => {
                let spoken = voice.spoken;
                spoken.map_or(0, |(since, until)| until.as_millis() - since.as_millis())
            }
            Some(_) | None => take.covered.length_ms(self.now),
        };
        let event = if self.scene.faults.disk_full {
            MediaEvent::RecordFailed {
                recording,
                reason: "the disk is full".to_owned(),
            }
        } else {
            MediaEvent::Recorded {
                recording,
                duration_ms,
                size_bytes: 44 + 16 * i64::from(take.channels) * duration_ms,
            }
        };
        self.tell_in(after, call, Event::Media(event));
    }
}

/// Whether a page cannot stand for a sound: it has a text, and is not declared to be one.
fn is_text(page: &Fetched) -> bool {
    let declared = page.content_type.as_deref().unwrap_or_default();
    // As in a call, a file is decoded whatever kind of sound it is declared to be.
    let is_audio = declared.to_ascii_lowercase().starts_with("audio/")
        || ReplyKind::of(declared) == Some(ReplyKind::Audio);
    !page.body.trim().is_empty() && !is_audio
}

fn is_unusable(sdp: Option<&str>) -> bool {
    sdp.is_some_and(|sdp| sdp.contains(UNUSABLE))
}

fn refused() -> MediaEvent {
    MediaEvent::Refused {
        status: 488,
        reason: "no codec in common".to_owned(),
    }
}

/// A sound in script notation, as expected on the line.
pub(super) fn sound_on_line(sense: &Sense, times: Option<u32>) -> String {
    let what = match sense {
        Sense::Ring => return "ring tone".to_owned(),
        Sense::RecordBeep => return "beep".to_owned(),
        Sense::Music => return "hold music".to_owned(),
        Sense::Beep(beep) => return beep.as_str().to_owned(),
        Sense::Say(text) => format!("say {text}"),
        Sense::Play(url) => format!("play {url}"),
        other => other.to_string(),
    };
    match times {
        None => format!("{what} for ever"),
        Some(1) => what,
        Some(times) => format!("{what} {times} times"),
    }
}
