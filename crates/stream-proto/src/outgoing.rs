//! Messages to the server.
//!
//! Numbers are written as text, as Twilio does. **Invariant: the fields and their order are Twilio's.**

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use model::{AccountSid, CallSid, StreamSid};
use serde::Serialize;
use serde_json::{Map, Value};

/// The version of the protocol.
const VERSION: &str = "1.0.0";

#[derive(Serialize)]
#[serde(tag = "event", rename_all = "camelCase")]
pub(crate) enum Outgoing<'a> {
    Connected {
        protocol: &'static str,
        version: &'static str,
    },
    #[serde(rename_all = "camelCase")]
    Start {
        sequence_number: String,
        start: Box<Start<'a>>,
        stream_sid: StreamSid,
    },
    #[serde(rename_all = "camelCase")]
    Dtmf {
        stream_sid: StreamSid,
        sequence_number: String,
        dtmf: Dtmf,
    },
    #[serde(rename_all = "camelCase")]
    Mark {
        sequence_number: String,
        stream_sid: StreamSid,
        mark: Mark<'a>,
    },
    #[serde(rename_all = "camelCase")]
    Stop {
        sequence_number: String,
        stream_sid: StreamSid,
        stop: Stop,
    },
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Start<'a> {
    pub(crate) account_sid: AccountSid,
    pub(crate) stream_sid: StreamSid,
    pub(crate) call_sid: CallSid,
    pub(crate) tracks: Vec<&'static str>,
    pub(crate) media_format: MediaFormat,
    pub(crate) custom_parameters: &'a Map<String, Value>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MediaFormat {
    encoding: &'static str,
    sample_rate: u32,
    channels: u32,
}

/// A message with a frame of audio. There are fifty a second, so it is written directly.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Media<'a> {
    pub(crate) sequence: u64,
    pub(crate) track: &'static str,
    pub(crate) chunk: u64,
    /// In ms.
    pub(crate) timestamp: u64,
    /// µ-law.
    pub(crate) octets: &'a [u8],
    pub(crate) stream: &'a str,
}

#[derive(Serialize)]
pub(crate) struct Dtmf {
    pub(crate) track: &'static str,
    pub(crate) digit: char,
}

#[derive(Serialize)]
pub(crate) struct Mark<'a> {
    pub(crate) name: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Stop {
    pub(crate) account_sid: AccountSid,
    pub(crate) call_sid: CallSid,
}

impl MediaFormat {
    /// The only format.
    pub(crate) const ULAW: Self = Self {
        encoding: "audio/x-mulaw",
        sample_rate: audio::RATE,
        channels: 1,
    };
}

impl Media<'_> {
    /// Octets of a message without its payload; it may be longer after years.
    const LENGTH: usize = 192;

    pub(crate) fn to_text(self) -> String {
        let Self {
            sequence,
            track,
            chunk,
            timestamp,
            octets,
            stream,
        } = self;
        let mut text = String::with_capacity(Self::LENGTH + octets.len().div_ceil(3) * 4);
        // Nothing in it has to be escaped, and writing to a string cannot fail.
        let _ = write!(
            text,
            r#"{{"event":"media","sequenceNumber":"{sequence}","media":{{"track":"{track}","chunk":"{chunk}","timestamp":"{timestamp}","payload":""#
        );
        STANDARD.encode_string(octets, &mut text);
        let _ = write!(text, r#""}},"streamSid":"{stream}"}}"#);
        text
    }
}

impl Outgoing<'_> {
    pub(crate) const CONNECTED: Self = Self::Connected {
        protocol: "Call",
        version: VERSION,
    };

    pub(crate) fn to_text(&self) -> String {
        // These types have no keys or values that JSON cannot hold.
        serde_json::to_string(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn audio_is_written_as_the_other_messages_are() {
        let media = Media {
            sequence: 7,
            track: "inbound",
            chunk: 5,
            timestamp: 80,
            octets: &[0xff, 0, 0x7f, 0xfb],
            stream: "MZ1",
        };
        let expected = "{\"event\":\"media\",\"sequenceNumber\":\"7\",\"media\":{\"track\":\"inbound\",\
                        \"chunk\":\"5\",\"timestamp\":\"80\",\"payload\":\"/wB/+w==\"},\"streamSid\":\"MZ1\"}";
        assert_eq!(media.to_text(), expected);
        // The estimate suffices for the longest values of a year.
        let long = Media {
            sequence: 10_000_000_000,
            chunk: 10_000_000_000,
            timestamp: 100_000_000_000,
            octets: &[],
            stream: "MZ00000000000000000000000000000000",
            ..media
        };
        assert!(long.to_text().len() <= Media::LENGTH);
    }
}
