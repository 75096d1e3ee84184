//! Translates between the media commands and events of `call-proto` and those of `media`.

use std::sync::Arc;

use audio::answerer::{Heard, Timing};
use call_proto::{
    Answerer, Beep, DigitWay, Event, Interrupting, Lane, MediaCommand, MediaEvent, Pause, Sides,
    Sound, Via,
};
use media::{Control, EndpointId, EngineControl, Part, PlayId, RecordingId, Report, Terms};
use model::record::MediaCounts;
use model::{CallSid, RecordingSid};

use super::{Actor, Input};
use crate::resolve::{self, Destination};
use crate::rooms::mix_of;
use crate::stand_ins;

impl Actor {
    pub(super) fn media_command(&mut self, call: CallSid, command: MediaCommand) {
        let Some(endpoint) = self.leg(call).map(|leg| leg.endpoint) else {
            return;
        };
        let control = match command {
            MediaCommand::Open { offer, towards } => {
                return self.open((call, endpoint), offer, towards);
            }
            MediaCommand::Remote { sdp } => EngineControl::Remote { endpoint, sdp },
            MediaCommand::Renegotiate { offer } => EngineControl::Renegotiate {
                endpoint,
                req: 0,
                offer,
            },
            MediaCommand::Play { play, sound, times } => {
                let audio = self.sound(sound);
                if audio.is_none() {
                    let why = "too many sounds were waiting to be played";
                    self.note(call, Lane::Media, "not played", why);
                }
                EngineControl::Play {
                    endpoint,
                    play: PlayId(play.0),
                    // Nothing is over at once, and the call continues.
                    audio: audio.into_iter().collect(),
                    times,
                    interrupts: false,
                }
            }
            MediaCommand::StopPlay { play } => EngineControl::StopPlay {
                endpoint,
                play: PlayId(play.0),
            },
            MediaCommand::Interject {
                play,
                sound: Interrupting::Clip(clip),
            } => EngineControl::Play {
                endpoint,
                play: PlayId(play.0),
                audio: self.sound(Sound::Clip(clip)).into_iter().collect(),
                times: Some(1),
                interrupts: true,
            },
            MediaCommand::Interject {
                play,
                sound: Interrupting::Keys(digits),
            } => EngineControl::SendDigits {
                endpoint,
                play: PlayId(play.0),
                digits,
                interrupts: true,
            },
            MediaCommand::SendDigits { play, digits } => EngineControl::SendDigits {
                endpoint,
                play: PlayId(play.0),
                digits,
                interrupts: false,
            },
            MediaCommand::PassKey { key } => EngineControl::PassKey { endpoint, key },
            MediaCommand::ListenDigits { on } => EngineControl::ListenDigits { endpoint, on },
            // A bridge of an endpoint with itself is an echo.
            MediaCommand::Echo { on } => {
                let (a, b) = (endpoint, endpoint);
                if on {
                    EngineControl::Bridge { a, b }
                } else {
                    EngineControl::Unbridge { a, b }
                }
            }
            MediaCommand::Bridge { with } => {
                let Some(other) = self.leg(with).map(|leg| leg.endpoint) else {
                    return;
                };
                EngineControl::Bridge {
                    a: endpoint,
                    b: other,
                }
            }
            MediaCommand::Unbridge { with } => {
                let Some(other) = self.leg(with).map(|leg| leg.endpoint) else {
                    return;
                };
                EngineControl::Unbridge {
                    a: endpoint,
                    b: other,
                }
            }
            MediaCommand::Pair { with, queue } => {
                let Some(other) = self.shared.live.endpoint(with) else {
                    return; // It has ended meanwhile.
                };
                let bridge = EngineControl::Bridge {
                    a: endpoint,
                    b: other,
                };
                let pair = (call, with);
                let act = || self.session.control(bridge);
                return self.shared.queues.while_paired(queue, pair, act);
            }
            MediaCommand::Unpair { with } => {
                let Some(other) = self.shared.live.endpoint(with) else {
                    return; // Its endpoint is closed, and with it the bridge.
                };
                EngineControl::Unbridge {
                    a: endpoint,
                    b: other,
                }
            }
            MediaCommand::Record {
                recording,
                sides,
                trim,
            } => {
                let terms = Terms {
                    part: part_of(sides),
                    silence: None,
                    trim,
                };
                return self.record(endpoint, recording, terms);
            }
            MediaCommand::RecordVoice {
                recording,
                silence,
                trim,
            } => {
                let terms = Terms {
                    part: Part::Heard,
                    silence: Some(silence),
                    trim,
                };
                return self.record(endpoint, recording, terms);
            }
            MediaCommand::PauseRecord { recording, pause } => {
                let Some(recording) = self.recording_id(recording) else {
                    return;
                };
                let pause = pause.map(pause_of);
                EngineControl::PauseRecord { recording, pause }
            }
            MediaCommand::DetectMachine { timing } if self.stand_ins.has(call) => {
                return self.stand_ins.detect(call, timing, self.clock.now());
            }
            MediaCommand::StopDetecting if self.stand_ins.has(call) => {
                return self.stand_ins.stop_detecting(call);
            }
            MediaCommand::DetectMachine { timing } => {
                let recording = RecordingId(self.shared.endpoint().0);
                if let Some(leg) = self.legs.get_mut(&call) {
                    leg.detection = Some(recording);
                }
                EngineControl::DetectAnswerer {
                    endpoint,
                    recording,
                    timing: Timing {
                        speech: timing.speech,
                        speech_end: timing.speech_end,
                        silence: timing.silence,
                    },
                }
            }
            MediaCommand::StopDetecting => {
                let leg = self.legs.get_mut(&call);
                let Some(recording) = leg.and_then(|leg| leg.detection.take()) else {
                    return;
                };
                EngineControl::StopRecord { recording }
            }
            MediaCommand::StopRecord { recording } => {
                let Some(recording) = self.recording_id(recording) else {
                    return;
                };
                EngineControl::StopRecord { recording }
            }
            MediaCommand::JoinRoom { conference, place } => {
                let of = |call| self.shared.live.endpoint(call);
                let coaches = place.coaches.map(of);
                EngineControl::Join {
                    endpoint,
                    mix: mix_of(conference),
                    // Nobody hears a coach whose call has ended.
                    talk: place.talks && coaches != Some(None),
                    // Before the start no member talks, so it hears silence. Without any packets,
                    // phones and trunks would consider the line dead.
                    hear: true,
                    coaches: coaches.flatten(),
                }
            }
            MediaCommand::LeaveRoom => EngineControl::Leave { endpoint },
            MediaCommand::Close => EngineControl::Close { endpoint },
        };
        self.session.control(control);
    }

    fn open(
        &mut self,
        (call, endpoint): (CallSid, EndpointId),
        offer: Option<String>,
        towards: Option<Via>,
    ) {
        let is_caller = call == self.root;
        let endpoints = self.shared.parts.media.counts().endpoints;
        if let Some(place) = &mut self.place
            && !place.open(endpoint, is_caller, endpoints)
        {
            let refused = MediaEvent::Refused {
                status: 503,
                reason: "the ports that strangers may use are taken".to_owned(),
            };
            // The task holds the other end.
            let _ = self.inbox.send(Input::Event(call, Event::Media(refused)));
            return;
        }
        // Behind NAT, RTP arrives from an address that is not in the SDP. A party that we call is
        // known.
        let (signalling, proved) = match towards {
            Some(via) => {
                let signalling = match self.peers.get(resolve::key(&via)) {
                    Some(Destination::Sip(peer)) => Some(peer.remote.ip()),
                    Some(Destination::StandIn(_)) => Some(stand_ins::HOST),
                    None => None,
                };
                (signalling, true)
            }
            None => (
                self.source.map(|source| source.host),
                self.source.is_none_or(|source| source.proved),
            ),
        };
        if let Some(leg) = self.legs.get_mut(&call) {
            leg.opened = true;
        }
        self.session.control(Control::Open {
            endpoint,
            offer,
            signalling,
            proved,
            like: self.first_endpoint_beside(endpoint),
        });
    }

    /// The endpoint whose codec another one should use: that of the family's first leg.
    fn first_endpoint_beside(&self, endpoint: EndpointId) -> Option<EndpointId> {
        let endpoints = self.legs.values().filter(|leg| leg.recorded);
        let endpoints = endpoints.map(|leg| leg.endpoint);
        endpoints.filter(|other| *other != endpoint).min()
    }

    fn record(&mut self, endpoint: EndpointId, sid: RecordingSid, terms: Terms) {
        let recording = RecordingId(self.shared.endpoint().0);
        self.recordings.insert(recording, sid);
        let path = self.shared.config.recordings.join(format!("{sid}.wav"));
        self.session.control(Control::Record {
            recording,
            endpoint,
            terms,
            path,
        });
    }

    /// The name of an open recording on the media side.
    fn recording_id(&self, sid: RecordingSid) -> Option<RecordingId> {
        let mut known = self.recordings.iter();
        known.find(|(_, open)| **open == sid).map(|(id, _)| *id)
    }

    fn sound(&mut self, sound: Sound) -> Option<Arc<[i16]>> {
        match sound {
            Sound::Ringback(tone) => audio::ringback::of(tone.as_str()),
            Sound::RecordBeep => Some(audio::tone::beep()),
            Sound::Music => Some(audio::music::hold_music()),
            Sound::Beep(Beep::Enter) => Some(audio::tone::entry()),
            Sound::Beep(Beep::Exit) => Some(audio::tone::exit()),
            Sound::Clip(clip) => self.clips.take(clip),
        }
    }

    /// Reports what strangers no longer have to open.
    pub(super) fn note_opened(&mut self, endpoint: EndpointId, report: &Report) {
        let Some(place) = &mut self.place else {
            return;
        };
        match report {
            Report::Opened { .. }
            | Report::Refused { .. }
            | Report::Failed { .. }
            | Report::Closed { .. } => place.opened(endpoint),
            Report::Answerer { .. }
            | Report::Marked { .. }
            | Report::Overflow { .. }
            | Report::RemoteSet
            | Report::Renegotiated { .. }
            | Report::PlayDone { .. }
            | Report::Heard
            | Report::Silence
            | Report::Digit { .. }
            | Report::RecordSilence { .. }
            | Report::Recorded { .. }
            | Report::RecordFailed { .. } => {}
        }
    }

    pub(super) fn media_event(&mut self, report: Report) -> Option<MediaEvent> {
        Some(match report {
            Report::Opened { sdp } => MediaEvent::Opened { sdp },
            Report::Refused { status, reason } => MediaEvent::Refused { status, reason },
            Report::Failed { reason } => MediaEvent::Refused {
                status: 500,
                reason,
            },
            Report::Renegotiated { req: _, sdp } => MediaEvent::Renegotiated { sdp },
            Report::PlayDone {
                play,
                stopped: false,
            } => MediaEvent::PlayDone {
                play: call_proto::PlayId(play.0),
            },
            // Those of live plays went to their stream.
            Report::Marked { .. } | Report::Overflow { .. } => {
                return None;
            }
            Report::PlayDone { stopped: true, .. } | Report::RemoteSet => return None,
            Report::Heard => MediaEvent::Heard,
            Report::Silence => MediaEvent::Silence,
            Report::Digit { digit, way } => MediaEvent::Digit {
                digit,
                way: match way {
                    media::DigitWay::Event => DigitWay::Event,
                    media::DigitWay::Tone => DigitWay::Tone,
                },
            },
            Report::RecordSilence { recording } => MediaEvent::RecordSilence {
                recording: *self.recordings.get(&recording)?,
            },
            Report::Answerer { heard } => MediaEvent::Answerer(answerer(heard)),
            Report::Recorded {
                recording,
                duration_ms,
                size_bytes,
            } => MediaEvent::Recorded {
                recording: self.recordings.remove(&recording)?,
                duration_ms: i64::try_from(duration_ms).unwrap_or(i64::MAX),
                size_bytes: i64::try_from(size_bytes).unwrap_or(i64::MAX),
            },
            Report::RecordFailed { recording, reason } => MediaEvent::RecordFailed {
                recording: self.recordings.remove(&recording)?,
                reason,
            },
            Report::Closed { stats } => MediaEvent::Closed(counts_of(&stats)),
        })
    }
}

const fn answerer(heard: Heard) -> Answerer {
    match heard {
        Heard::Human => Answerer::Human,
        Heard::Machine => Answerer::Machine,
        Heard::Beep => Answerer::Beep,
        Heard::Silence => Answerer::Silence,
        Heard::Fax => Answerer::Fax,
        Heard::Nothing => Answerer::Nothing,
    }
}

/// The part of a leg that is recorded.
const fn part_of(sides: Sides) -> Part {
    match sides {
        Sides::Mixed => Part::All,
        Sides::Apart => Part::Apart,
        Sides::Inbound => Part::Heard,
        Sides::Outbound => Part::Sent,
    }
}

/// What a pause becomes in the file.
pub(crate) const fn pause_of(pause: Pause) -> media::Pause {
    match pause {
        Pause::Silence => media::Pause::Silence,
        Pause::Skip => media::Pause::Skip,
    }
}

pub(super) fn counts_of(stats: &media::Stats) -> MediaCounts {
    MediaCounts {
        packets_in: stats.packets_in,
        packets_out: stats.packets_out,
        lost: stats.lost,
        jitter_us: u64::try_from(stats.jitter.as_micros()).unwrap_or(u64::MAX),
        transcoded: stats.transcoded,
        wrong_source: stats.wrong_source,
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_ring_tone_of_a_document_can_be_played() {
        for tone in rcml::RingTone::all() {
            assert!(audio::ringback::of(tone.as_str()).is_some(), "{tone:?}");
        }
        assert_eq!(rcml::RingTone::all().count(), audio::ringback::TABLE.len());
    }
}
