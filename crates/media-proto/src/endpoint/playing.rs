//! Sends what we generate for a leg, frame by frame: prompts, live audio, keys and recoded audio.
//!
//! **Invariant: a frame that may not be sent, or is too late, is skipped; time continues.**
//! Left to others: what is in a frame (`player`, `live`, `keys`), and when it is due ([`crate::engine`]).

use super::recoding::Fed;
use super::{Endpoint, frame_len, sampled};
use crate::control::Sink;
use crate::datagram::{Datagram, TAIL};
use crate::keys::{self, KeyFrame, Keys, Way};
use crate::live::Live;
use crate::player::Player;
use crate::report::{PlayId, Report};
use crate::sound::MAX_FRAME;
use crate::timers::TOO_LATE;
use audio::tone::KeyTone;
use rtp_proto::dtmf::{DtmfSender, EventPacket};
use rtp_proto::{HEADER_LEN, Header};
use std::time::{Duration, Instant};

/// Octets of a telephone-event payload.
const EVENT_LEN: usize = 4;
/// Octets of the longest payload we generate; no codec needs more than one per sample.
const MAX_PAYLOAD: usize = MAX_FRAME;

/// What we send instead of the bridged leg's sound.
#[derive(Debug)]
pub(crate) enum Playing {
    Prompt(Player),
    Live(Live),
    Keys(Keys),
}

impl Playing {
    /// The play whose end is to be reported.
    pub(crate) fn play(&self) -> Option<PlayId> {
        match self {
            Self::Prompt(player) => Some(player.play),
            Self::Live(live) => Some(live.play),
            Self::Keys(keys) => keys.play,
        }
    }
}

/// What is played to an endpoint: at most one sound at a time. One that *interrupts* goes first, and the other waits at
/// the place that it had reached.
#[derive(Debug, Default)]
pub(crate) struct Plays {
    main: Option<Playing>,
    interruption: Option<Playing>,
}

impl Plays {
    /// Whether nothing is played or waits.
    pub(crate) const fn are_over(&self) -> bool {
        self.main.is_none() && self.interruption.is_none()
    }

    /// The one that is heard.
    pub(crate) fn current(&self) -> Option<&Playing> {
        self.interruption.as_ref().or(self.main.as_ref())
    }

    pub(crate) fn current_mut(&mut self) -> Option<&mut Playing> {
        self.interruption.as_mut().or(self.main.as_mut())
    }

    /// The one that can be interrupted.
    pub(crate) fn main_mut(&mut self) -> Option<&mut Playing> {
        self.main.as_mut()
    }

    /// Starts one; there must be none of its kind.
    pub(crate) fn begin(&mut self, playing: Playing, interrupts: bool) {
        *self.place(interrupts) = Some(playing);
    }

    /// Ends the one that interrupts, or the other.
    pub(crate) fn end(&mut self, interrupts: bool) -> Option<Playing> {
        self.place(interrupts).take()
    }

    /// Ends the one with this name.
    pub(crate) fn end_named(&mut self, play: PlayId) -> Option<Playing> {
        let is_it = |playing: &mut Playing| playing.play() == Some(play);
        let interruption = self.interruption.take_if(is_it);
        interruption.or_else(|| self.main.take_if(is_it))
    }

    /// Ends the one that is heard.
    pub(crate) fn end_current(&mut self) -> Option<Playing> {
        self.interruption.take().or_else(|| self.main.take())
    }

    const fn place(&mut self, interrupts: bool) -> &mut Option<Playing> {
        if interrupts {
            &mut self.interruption
        } else {
            &mut self.main
        }
    }
}

/// The outcome of a frame.
#[derive(Debug)]
pub(crate) enum Frame {
    /// The time of the next frame, and the header under which this one was sent, if it was.
    Played {
        next_at: Instant,
        sent: Option<Header>,
    },
    /// Nothing was left to send.
    Ended,
}

impl Endpoint {
    /// Makes and sends the frame of the play that is due at `at`; its samples are left in `samples`.
    pub(crate) fn play_frame(
        &mut self,
        samples: &mut [i16; MAX_FRAME],
        at: Instant,
        now: Instant,
        out: &mut impl Sink,
    ) -> Frame {
        let frame_ms = self.frame_ms();
        let span = Duration::from_millis(frame_ms.into());
        if self.plays.are_over() {
            return self.fed_frame(samples, span, at, now, out);
        }
        self.skip_fed(samples, frame_ms, at);
        let samples = &mut samples[..frame_len(frame_ms, audio::RATE)];
        let goes_on = match self.plays.current_mut() {
            Some(Playing::Prompt(player)) => player.fill(samples),
            Some(Playing::Live(live)) => {
                let (id, play) = (self.id, live.play);
                live.fill(samples, |mark| {
                    out.report(id, Report::Marked { play, mark })
                });
                true
            }
            Some(Playing::Keys(keys)) => {
                let frame = keys.next_frame(span, at);
                self.key_frame(frame, samples, at)
            }
            None => false,
        };
        if !goes_on {
            return Frame::Ended;
        }
        let in_time = now.saturating_duration_since(at) <= TOO_LATE;
        let event = self.next_event();
        let sent = match (in_time, event) {
            (true, None) => self.send_samples(samples, audio::RATE, at, now, out),
            (true, Some(event)) => {
                self.send_event(event, samples.len(), now, out);
                None
            }
            (false, _) => {
                self.out.interrupt();
                None
            }
        };
        let next_at = at + span;
        Frame::Played { next_at, sent }
    }

    /// Makes and sends a frame of the bridged leg's audio.
    fn fed_frame(
        &mut self,
        samples: &mut [i16; MAX_FRAME],
        span: Duration,
        at: Instant,
        now: Instant,
        out: &mut impl Sink,
    ) -> Frame {
        let rate = self.fed_rate();
        let samples = &mut samples[..frame_len(self.frame_ms(), rate)];
        let in_time = now.saturating_duration_since(at) <= TOO_LATE;
        match self.next_fed(samples, at) {
            Fed::Sound if in_time => {
                self.send_samples(samples, rate, at, now, out);
            }
            Fed::Sound | Fed::Nothing => self.out.interrupt(),
            Fed::Rest => return Frame::Ended,
        }
        let next_at = at + span;
        let sent = None;
        Frame::Played { next_at, sent }
    }

    /// Skips the bridged leg's audio while something is played.
    fn skip_fed(&mut self, samples: &mut [i16; MAX_FRAME], frame_ms: u32, at: Instant) {
        if self.is_fed() {
            let len = frame_len(frame_ms, self.fed_rate());
            self.next_fed(&mut samples[..len], at);
        }
    }

    /// Prepares a frame of pressed keys; false if none are left.
    fn key_frame(&mut self, frame: KeyFrame, samples: &mut [i16], at: Instant) -> bool {
        let events = self.sends_events();
        let Some(Playing::Keys(keys)) = self.plays.current_mut() else {
            return false;
        };
        samples.fill(0);
        match frame {
            KeyFrame::Begin(digit) if events => {
                let (start, frame) = (self.out.press(at), samples.len() as u16);
                let sender = DtmfSender::new(digit, start, keys::LONGEST, frame);
                keys.way = sender.map_or(Way::Nothing, Way::Event);
            }
            KeyFrame::Begin(digit) => {
                keys.way = KeyTone::new(digit).map_or(Way::Nothing, Way::Tone);
            }
            KeyFrame::Release => match &mut keys.way {
                Way::Event(sender) => sender.release(),
                Way::Tone(_) | Way::Nothing => keys.way = Way::Nothing,
            },
            KeyFrame::Down | KeyFrame::Up => {}
            KeyFrame::Over => return false,
        }
        if let Way::Tone(tone) = &mut keys.way {
            tone.fill(samples);
        }
        true
    }

    /// The event packet of this frame, if the key is sent as an event.
    fn next_event(&mut self) -> Option<EventPacket> {
        match self.plays.current_mut() {
            Some(Playing::Keys(Keys {
                way: Way::Event(sender),
                ..
            })) => sender.next_packet(),
            Some(Playing::Keys(_) | Playing::Prompt(_) | Playing::Live(_)) | None => None,
        }
    }

    /// Sends a frame of samples at `rate` Hz; returns its header if it was sent.
    pub(crate) fn send_samples(
        &mut self,
        samples: &[i16],
        rate: u32,
        at: Instant,
        now: Instant,
        out: &mut impl Sink,
    ) -> Option<Header> {
        let Some((agreed, to)) = self.may_send() else {
            self.out.interrupt();
            return None;
        };
        let (codec, payload_type) = (agreed.codec, agreed.payload_type);
        let mut packet = [0; HEADER_LEN + MAX_PAYLOAD + TAIL];
        let voice = self.voice.as_mut()?;
        let payload = &mut packet[HEADER_LEN..HEADER_LEN + MAX_PAYLOAD];
        let len = voice.encode(samples, rate, payload);
        let ticks = codec.ticks(codec.samples(len));
        let header = self.out.own(payload_type, ticks, at);
        header.write(&mut packet).ok()?;
        let mut datagram = Datagram::new(&mut packet, HEADER_LEN + len);
        self.transmit(&header, len, &mut datagram, to, now, out);
        Some(header)
    }

    /// Sends the event packet of a frame of that many samples.
    fn send_event(
        &mut self,
        event: EventPacket,
        samples: usize,
        now: Instant,
        out: &mut impl Sink,
    ) {
        let may_send = self.may_send();
        let target = may_send.and_then(|(agreed, to)| Some((agreed.telephone_event?, to)));
        let Some((payload_type, to)) = target else {
            self.out.interrupt();
            return;
        };
        let header = self
            .out
            .event(payload_type, event.marker, event.timestamp, samples as u32);
        let mut packet = [0; HEADER_LEN + EVENT_LEN + TAIL];
        if let Ok(len) = header.write_packet(&event.payload, &mut packet) {
            let header = sampled(header, &event.payload);
            let mut datagram = Datagram::new(&mut packet, len);
            self.transmit(&header, EVENT_LEN, &mut datagram, to, now, out);
        }
    }
}
