//! One stream: its messages in both directions.

use std::collections::VecDeque;
use std::time::Duration;

use audio::g711;
use model::{AccountSid, CallSid, StreamSid};
use serde_json::{Map, Value};

use crate::incoming::{self, Incoming};
use crate::outgoing::{Dtmf, Mark, Media, MediaFormat, Outgoing, Stop};

/// Samples of a frame of audio: 20 ms.
pub const FRAME: usize = 160;
/// Maximum frames that wait for a server that does not read: five seconds of one track.
const MAX_WAITING: usize = 250;
/// Maximum other messages that wait for it.
const MAX_OTHERS: usize = 20_000;
/// Maximum marks that wait for their audio.
const MAX_MARKS: usize = 10_000;
/// Maximum bytes of a mark's name.
const MAX_NAME: usize = 1024;
/// How often the connection is checked.
pub(crate) const PING_EVERY: Duration = Duration::from_secs(20);
/// A connection on which nothing has arrived for this long is broken.
pub(crate) const SILENT_FOR: Duration = Duration::from_secs(60);

/// One direction of the call's audio, seen from the server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Track {
    /// What the remote party says.
    Inbound,
    /// What the remote party hears.
    Outbound,
}

impl Track {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Inbound => "inbound",
            Self::Outbound => "outbound",
        }
    }
}

/// What a stream is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Start {
    /// The stream.
    pub stream: StreamSid,
    /// Account under which the call runs.
    pub account: AccountSid,
    /// The call.
    pub call: CallSid,
    /// The audio to send.
    pub tracks: Vec<Track>,
    /// Whether the server may also send audio.
    pub both_ways: bool,
    /// Names and values for the server; of two with the same name, the last one counts.
    pub parameters: Vec<(String, String)>,
}

/// What the shell has to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Order {
    /// Play this after what was played before: 8 kHz, mono.
    Play(Vec<i16>),
    /// Report this number to [`Session::marked`] when everything before it has been played.
    Mark(u64),
    /// Drop what waits to be played, with its marks.
    Clear,
    /// Send a ping.
    Ping,
    /// The connection is broken.
    Broken,
}

/// What passed through a stream.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Frames of 20 ms sent to the server, or waiting to be sent.
    pub sent: u64,
    /// Frames of 20 ms dropped because the server did not take them.
    pub unsent: u64,
    /// Samples received from the server.
    pub received: u64,
    /// Samples of those that were dropped because too much was waiting to be played.
    pub unplayed: u64,
    /// Messages from the server that were not understood.
    pub strange: u64,
    /// What was wrong with the first of them.
    pub first_strange: Option<String>,
}

/// The state of one track.
#[derive(Debug)]
struct Sent {
    track: Track,
    /// Frames sent so far.
    chunks: u64,
    /// Position of the next frame if none is missing, in samples.
    next: u64,
}

/// The messages of one stream. Times are durations since any fixed moment.
#[derive(Debug)]
pub struct Session {
    start: Start,
    /// The identifier of the stream, as text.
    sid: String,
    /// Scratch space for the audio of a message from the server.
    octets: Vec<u8>,
    parameters: Map<String, Value>,
    sequence: u64,
    sent: Vec<Sent>,
    /// Messages for the server, each with whether it is a frame of audio.
    outbox: VecDeque<(String, bool)>,
    /// Frames of audio in it.
    waiting: usize,
    orders: VecDeque<Order>,
    /// Marks whose audio is being played, with their names.
    marks: VecDeque<(u64, String)>,
    next_mark: u64,
    counts: Counts,
    stopped: bool,
    /// When something last arrived.
    heard_at: Duration,
    ping_at: Duration,
}

impl Session {
    /// A stream whose connection has just been made: the first two messages are ready.
    #[must_use]
    pub fn new(start: Start, now: Duration) -> Self {
        let pairs = start.parameters.iter().cloned();
        let sent = start.tracks.iter().map(|track| Sent {
            track: *track,
            chunks: 0,
            next: 0,
        });
        let mut session = Self {
            parameters: pairs
                .map(|(name, value)| (name, Value::String(value)))
                .collect(),
            sequence: 0,
            sent: sent.collect(),
            sid: start.stream.to_string(),
            octets: Vec::new(),
            start,
            outbox: VecDeque::new(),
            waiting: 0,
            orders: VecDeque::new(),
            marks: VecDeque::new(),
            next_mark: 0,
            counts: Counts::default(),
            stopped: false,
            heard_at: now,
            ping_at: now + PING_EVERY,
        };
        session.push(Outgoing::CONNECTED.to_text());
        let sequence_number = session.next_sequence();
        let Start {
            stream,
            account,
            call,
            tracks,
            ..
        } = &session.start;
        let message = Outgoing::Start {
            sequence_number,
            start: Box::new(crate::outgoing::Start {
                account_sid: *account,
                stream_sid: *stream,
                call_sid: *call,
                tracks: tracks.iter().map(|track| track.as_str()).collect(),
                media_format: MediaFormat::ULAW,
                custom_parameters: &session.parameters,
            }),
            stream_sid: *stream,
        };
        let text = message.to_text();
        session.push(text);
        session
    }

    /// Sends a frame of the call's audio, or drops it if too much waits already.
    ///
    /// - `at`: its position in samples, since the stream began; a jump means that frames were lost on
    ///   the way here.
    pub fn hear(&mut self, track: Track, at: u64, samples: &[i16; FRAME]) {
        let Some(sent) = self.sent.iter_mut().find(|sent| sent.track == track) else {
            return;
        };
        self.counts.unsent += at.saturating_sub(sent.next) / FRAME as u64;
        sent.next = at + FRAME as u64;
        if self.stopped || self.waiting >= MAX_WAITING * self.start.tracks.len() {
            self.counts.unsent += u64::from(!self.stopped);
            return;
        }
        sent.chunks += 1;
        self.sequence += 1;
        let mut octets = [0; FRAME];
        g711::ulaw_encode_slice(samples, &mut octets);
        let message = Media {
            sequence: self.sequence,
            track: track.as_str(),
            chunk: sent.chunks,
            timestamp: at / u64::from(audio::RATE / 1000),
            octets: &octets,
            stream: &self.sid,
        };
        self.outbox.push_back((message.to_text(), true));
        self.waiting += 1;
        self.counts.sent += 1;
    }

    /// The remote party pressed a key.
    pub fn key(&mut self, digit: char) {
        let message = Outgoing::Dtmf {
            stream_sid: self.start.stream,
            sequence_number: self.next_sequence(),
            dtmf: Dtmf {
                track: "inbound_track",
                digit,
            },
        };
        let text = message.to_text();
        self.push(text);
    }

    /// Everything before a mark has been played.
    pub fn marked(&mut self, mark: u64) {
        if let Some(at) = self.marks.iter().position(|(number, _)| *number == mark)
            && let Some((_, name)) = self.marks.remove(at)
        {
            self.return_mark(&name);
        }
    }

    /// This many samples from the server were dropped instead of played.
    pub fn unplayed(&mut self, samples: usize) {
        self.counts.unplayed += samples as u64;
    }

    /// A text message from the server.
    pub fn receive(&mut self, text: &str, now: Duration) {
        self.heard_at = now;
        match incoming::read(text, &self.sid, &mut self.octets) {
            Ok(_) if !self.start.both_ways => {
                self.strange("a message over a stream that only listens".to_owned());
            }
            Ok(Incoming::Media) => {
                let mut samples = vec![0; self.octets.len()];
                g711::ulaw_decode_slice(&self.octets, &mut samples);
                self.counts.received += samples.len() as u64;
                self.orders.push_back(Order::Play(samples));
            }
            Ok(Incoming::Mark(name)) if name.len() > MAX_NAME => {
                self.strange("`mark` with a name that is too long".to_owned());
            }
            Ok(Incoming::Mark(_)) if self.marks.len() >= MAX_MARKS => {
                self.strange("`mark` although too many are waiting".to_owned());
            }
            Ok(Incoming::Mark(name)) => {
                self.next_mark += 1;
                self.marks.push_back((self.next_mark, name));
                self.orders.push_back(Order::Mark(self.next_mark));
            }
            Ok(Incoming::Clear) => {
                self.orders.push_back(Order::Clear);
                for (_, name) in std::mem::take(&mut self.marks) {
                    self.return_mark(&name);
                }
            }
            Err(fault) => self.strange(fault),
        }
    }

    /// A binary message from the server.
    pub fn receive_binary(&mut self, now: Duration) {
        self.heard_at = now;
        self.strange("a binary message".to_owned());
    }

    /// Anything else from the server, such as the answer to a ping.
    pub fn receive_other(&mut self, now: Duration) {
        self.heard_at = now;
    }

    /// Announces the end: nothing follows the message about it.
    pub fn stop(&mut self) {
        let message = Outgoing::Stop {
            sequence_number: self.next_sequence(),
            stream_sid: self.start.stream,
            stop: Stop {
                account_sid: self.start.account,
                call_sid: self.start.call,
            },
        };
        let text = message.to_text();
        self.push(text);
        self.stopped = true;
    }

    /// The next message for the server.
    pub fn poll_message(&mut self) -> Option<String> {
        let (text, is_audio) = self.outbox.pop_front()?;
        self.waiting -= usize::from(is_audio);
        Some(text)
    }

    /// Whether a message is waiting.
    #[must_use]
    pub fn has_message(&self) -> bool {
        !self.outbox.is_empty()
    }

    /// The next order, to be carried out in this order.
    pub fn poll_order(&mut self) -> Option<Order> {
        self.orders.pop_front()
    }

    /// When to call [`Session::handle_timeout`].
    #[must_use]
    pub fn poll_timeout(&self) -> Duration {
        self.ping_at.min(self.heard_at + SILENT_FOR)
    }

    /// Checks the connection if that is due.
    pub fn handle_timeout(&mut self, now: Duration) {
        if now >= self.heard_at + SILENT_FOR {
            self.orders.push_back(Order::Broken);
            self.heard_at = now;
        } else if now >= self.ping_at {
            self.orders.push_back(Order::Ping);
            self.ping_at = now + PING_EVERY;
        }
    }

    /// What has passed so far; frames that are still waiting count as not taken.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut counts = self.counts.clone();
        counts.sent -= self.waiting as u64;
        counts.unsent += self.waiting as u64;
        counts
    }

    fn return_mark(&mut self, name: &str) {
        let message = Outgoing::Mark {
            sequence_number: self.next_sequence(),
            stream_sid: self.start.stream,
            mark: Mark { name },
        };
        let text = message.to_text();
        self.push(text);
    }

    fn push(&mut self, text: String) {
        if self.outbox.len() - self.waiting >= MAX_OTHERS {
            // It sends, but does not read.
            self.orders.push_back(Order::Broken);
        } else if !self.stopped {
            self.outbox.push_back((text, false));
        }
    }

    fn next_sequence(&mut self) -> String {
        self.sequence += 1;
        self.sequence.to_string()
    }

    fn strange(&mut self, fault: String) {
        self.counts.strange += 1;
        self.counts.first_strange.get_or_insert(fault);
    }
}
