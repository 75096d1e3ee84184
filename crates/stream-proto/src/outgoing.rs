//! Messages to the server.
//!
//! Numbers are written as text, as Twilio does. **Invariant: the fields and their order are Twilio's.**

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
    Media {
        sequence_number: String,
        media: Media<'a>,
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

#[derive(Serialize)]
pub(crate) struct Media<'a> {
    pub(crate) track: &'static str,
    pub(crate) chunk: String,
    pub(crate) timestamp: String,
    pub(crate) payload: &'a str,
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
