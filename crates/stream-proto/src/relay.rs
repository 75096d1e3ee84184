//! The messages of a conversation in text (`<ConversationRelay>`), as in Twilio's ConversationRelay, and
//! how its connection is kept.
//!
//! **Invariant: any text gives a message or a fault; a fault quotes at most a few words of it.** Unknown
//! fields are ignored; a type that is not known is a fault.
//!
//! Left to others: what the messages mean for the call, and which languages and addresses are valid.

use std::time::Duration;

use model::{AccountSid, CallSid, SessionSid};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::incoming::short;
use crate::session::{PING_EVERY, SILENT_FOR};

/// Maximum keys of one message.
const MAX_DIGITS: usize = 1000;
/// How many messages of a server are read in a second; the others wait in the connection.
const MESSAGES_PER_SECOND: u32 = 500;

/// A message of the server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RelayIncoming {
    /// A piece of what to say.
    Text {
        /// The words.
        token: String,
        /// Whether the answer is complete.
        last: bool,
        /// Language of the words, as written.
        lang: Option<String>,
        /// How it can be stopped.
        manner: RelayManner,
    },
    /// Play a sound.
    Play {
        /// Its address, as written.
        source: String,
        /// How often; `None` means until something stops it.
        times: Option<u32>,
        /// How it can be stopped.
        manner: RelayManner,
    },
    /// Press keys.
    SendDigits {
        /// `0`–`9`, `*`, `#`, `A`–`D`, and `w`.
        digits: String,
    },
    /// Use other languages.
    Language {
        /// For texts, as written.
        tts: Option<String>,
        /// For the remote party, as written.
        transcription: Option<String>,
    },
    /// End the conversation.
    End {
        /// For the action.
        handoff: Option<String>,
    },
}

/// How something can be stopped; `None`: as the document says.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RelayManner {
    /// By what input: `none`, `dtmf`, `speech` or `any`.
    pub interruptible: Option<&'static str>,
    /// Whether by the next text.
    pub preemptible: Option<bool>,
}

/// A message to the server.
#[derive(Serialize)]
#[serde(
    tag = "type",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
#[expect(missing_docs, reason = "the fields are those of Twilio's messages")]
pub enum RelayOutgoing<'a> {
    /// The conversation begins.
    Setup {
        session_id: SessionSid,
        account_sid: AccountSid,
        parent_call_sid: String,
        call_sid: CallSid,
        from: &'a str,
        to: &'a str,
        forwarded_from: &'a str,
        /// Every call here is a SIP call.
        call_type: &'static str,
        caller_name: &'a str,
        direction: &'a str,
        call_status: &'a str,
        custom_parameters: Map<String, Value>,
    },
    /// The remote party spoke.
    Prompt {
        voice_prompt: &'a str,
        lang: &'a str,
        last: bool,
    },
    /// The remote party pressed a key.
    Dtmf { digit: char },
    /// The remote party interrupted.
    Interrupt {
        utterance_until_interrupt: &'a str,
        duration_until_interrupt_ms: u64,
    },
    /// Something that the document wants the server to be informed of.
    Info {
        name: &'a str,
        value: &'a str,
        /// Milliseconds since the Unix epoch.
        #[serde(skip_serializing_if = "Option::is_none")]
        ts: Option<u64>,
    },
    /// Something went wrong.
    Error { description: &'a str },
}

impl RelayOutgoing<'_> {
    /// The text of the message.
    #[must_use]
    pub fn to_text(&self) -> String {
        // These types have no keys or values that JSON cannot hold.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// Reads a message of the server.
///
/// # Errors
/// What is wrong with it.
pub fn read_relay(text: &str) -> Result<RelayIncoming, String> {
    let message: Value = serde_json::from_str(text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        format!("not a message in JSON (line {line}, column {column})")
    })?;
    let Value::Object(fields) = message else {
        return Err("a message that is not an object".to_owned());
    };
    let fields = Fields(&fields);
    match fields.text("type")?.as_deref() {
        Some("text") => Ok(RelayIncoming::Text {
            token: fields.required("text", "token")?,
            last: fields.flag("last")?.unwrap_or(false),
            lang: fields.text("lang")?,
            manner: fields.manner()?,
        }),
        Some("play") => {
            let times = fields.count("loop")?.unwrap_or(1);
            Ok(RelayIncoming::Play {
                source: fields.required("play", "source")?,
                times: (times > 0).then_some(times),
                manner: fields.manner()?,
            })
        }
        Some("sendDigits") => Ok(RelayIncoming::SendDigits {
            digits: digits(&fields.required("sendDigits", "digits")?)?,
        }),
        Some("language") => {
            let tts = fields.text("ttsLanguage")?;
            let transcription = fields.text("transcriptionLanguage")?;
            if tts.is_none() && transcription.is_none() {
                return Err("`language` without a ttsLanguage or transcriptionLanguage".to_owned());
            }
            Ok(RelayIncoming::Language { tts, transcription })
        }
        Some("end") => Ok(RelayIncoming::End {
            handoff: fields.handoff(),
        }),
        Some(other) => Err(format!("the type `{}`", short(other))),
        None => Err("a message without a type".to_owned()),
    }
}

/// The keys of a message.
fn digits(written: &str) -> Result<String, String> {
    let key = |c: char| match c {
        '0'..='9' | '*' | '#' | 'A'..='D' | 'w' => Some(c),
        'a'..='d' => Some(c.to_ascii_uppercase()),
        'W' => Some('w'),
        _ => None,
    };
    let digits: Option<String> = written.chars().map(key).collect();
    match digits {
        Some(digits) if (1..=MAX_DIGITS).contains(&digits.len()) => Ok(digits),
        Some(_) => Err(format!(
            "`sendDigits` without keys, or with more than {MAX_DIGITS}"
        )),
        None => Err("`sendDigits` with other keys than 0-9, *, #, A-D and w".to_owned()),
    }
}

/// The fields of a message. `null` counts as absent.
struct Fields<'a>(&'a Map<String, Value>);

impl Fields<'_> {
    fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    fn text(&self, name: &str) -> Result<Option<String>, String> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(format!("`{name}` that is not a text")),
        }
    }

    fn required(&self, kind: &str, name: &str) -> Result<String, String> {
        let text = self.text(name)?;
        text.ok_or_else(|| format!("`{kind}` without a {name}"))
    }

    /// Also accepts the words, which some languages write.
    fn flag(&self, name: &str) -> Result<Option<bool>, String> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(Value::String(word)) if word.eq_ignore_ascii_case("true") => Ok(Some(true)),
            Some(Value::String(word)) if word.eq_ignore_ascii_case("false") => Ok(Some(false)),
            Some(_) => Err(format!("`{name}` that is neither true nor false")),
        }
    }

    /// Also accepts digits in a text.
    fn count(&self, name: &str) -> Result<Option<u32>, String> {
        let count = match self.get(name) {
            None => return Ok(None),
            Some(Value::Number(number)) => number.as_u64().and_then(|count| count.try_into().ok()),
            Some(Value::String(text)) => text.parse().ok(),
            Some(_) => None,
        };
        match count {
            Some(count) => Ok(Some(count)),
            None => Err(format!("`{name}` that is not a whole number")),
        }
    }

    fn manner(&self) -> Result<RelayManner, String> {
        const NAME: &str = "interruptible";
        let interruptible = match self.get(NAME) {
            None => None,
            Some(Value::Bool(true)) => Some("any"),
            Some(Value::Bool(false)) => Some("none"),
            Some(Value::String(word)) => Some(match word.to_ascii_lowercase().as_str() {
                "none" | "false" => "none",
                "dtmf" => "dtmf",
                "speech" => "speech",
                "any" | "true" => "any",
                _ => return Err(format!("`{NAME}` that is `{}`", short(word))),
            }),
            Some(_) => return Err(format!("`{NAME}` that is neither true nor false")),
        };
        Ok(RelayManner {
            interruptible,
            preemptible: self.flag("preemptible")?,
        })
    }

    /// A text as it is, and anything else as JSON.
    fn handoff(&self) -> Option<String> {
        self.get("handoffData").map(|value| match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        })
    }
}

/// Limits how fast the messages of a server are read. Times count from the start of the connection.
#[derive(Debug)]
pub struct RelayPace {
    /// The second that is counted, and the messages in it.
    second: u64,
    count: u32,
}

impl RelayPace {
    /// No message was read yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            second: 0,
            count: 0,
        }
    }

    /// A message was read; returns when the next one may be read, unless at once.
    pub fn read(&mut self, now: Duration) -> Option<Duration> {
        if now.as_secs() != self.second {
            self.second = now.as_secs();
            self.count = 0;
        }
        self.count += 1;
        (self.count >= MESSAGES_PER_SECOND).then(|| Duration::from_secs(self.second + 1))
    }
}

impl Default for RelayPace {
    fn default() -> Self {
        Self::new()
    }
}

/// Whether a connection is alive. Times count from its start.
#[derive(Debug)]
pub struct RelayPulse {
    heard: Duration,
    ping_at: Duration,
}

/// What is due on a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pulse {
    /// Send a ping.
    Ping,
    /// Nothing has arrived for too long: it is broken.
    Broken,
}

impl RelayPulse {
    /// The connection was just made.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            heard: Duration::ZERO,
            ping_at: PING_EVERY,
        }
    }

    /// Something arrived.
    pub fn heard(&mut self, now: Duration) {
        self.heard = now;
    }

    /// When something is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Duration {
        self.ping_at.min(self.heard + SILENT_FOR)
    }

    /// What is due.
    pub fn handle_timeout(&mut self, now: Duration) -> Option<Pulse> {
        if now >= self.heard + SILENT_FOR {
            return Some(Pulse::Broken);
        }
        if now >= self.ping_at {
            self.ping_at = now + PING_EVERY;
            return Some(Pulse::Ping);
        }
        None
    }
}

impl Default for RelayPulse {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(token: &str, last: bool) -> RelayIncoming {
        RelayIncoming::Text {
            token: token.to_owned(),
            last,
            lang: None,
            manner: RelayManner::default(),
        }
    }

    #[test]
    fn reads_what_servers_send() {
        let some = |text: &str| Some(text.to_owned());
        let table = [
            (r#"{"type":"text","token":"Hi "}"#, Ok(text("Hi ", false))),
            (
                r#"{"last":true,"token":"","type":"text","new":[1]}"#,
                Ok(text("", true)),
            ),
            (
                r#"{"type":"text","token":"a","last":"true","lang":null}"#,
                Ok(text("a", true)),
            ),
            (
                r#"{"type":"text","token":"é","last":false,"lang":"fr-FR","interruptible":false,"preemptible":true}"#,
                Ok(RelayIncoming::Text {
                    token: "é".to_owned(),
                    last: false,
                    lang: some("fr-FR"),
                    manner: RelayManner {
                        interruptible: Some("none"),
                        preemptible: Some(true),
                    },
                }),
            ),
            (
                r#"{"type":"play","source":"https://h/a.mp3","loop":0,"interruptible":"DTMF"}"#,
                Ok(RelayIncoming::Play {
                    source: "https://h/a.mp3".to_owned(),
                    times: None,
                    manner: RelayManner {
                        interruptible: Some("dtmf"),
                        preemptible: None,
                    },
                }),
            ),
            (
                r#"{"type":"sendDigits","digits":"9Wa#"}"#,
                Ok(RelayIncoming::SendDigits {
                    digits: "9wA#".to_owned(),
                }),
            ),
            (
                r#"{"type":"language","ttsLanguage":"es-ES"}"#,
                Ok(RelayIncoming::Language {
                    tts: some("es-ES"),
                    transcription: None,
                }),
            ),
            (
                r#"{"type":"end"}"#,
                Ok(RelayIncoming::End { handoff: None }),
            ),
            (
                r#"{"type":"end","handoffData":"{\"a\":1}"}"#,
                Ok(RelayIncoming::End {
                    handoff: some("{\"a\":1}"),
                }),
            ),
            (
                r#"{"type":"end","handoffData":{"a":1}}"#,
                Ok(RelayIncoming::End {
                    handoff: some("{\"a\":1}"),
                }),
            ),
            (r#"{"type":"hello"}"#, Err("the type `hello`")),
            (r#"{"token":"a"}"#, Err("a message without a type")),
            (r#"{"type":7}"#, Err("`type` that is not a text")),
            (r#"{"type":"text"}"#, Err("`text` without a token")),
            (
                r#"{"type":"text","token":"a","last":1}"#,
                Err("`last` that is neither true nor false"),
            ),
            (
                r#"{"type":"text","token":"a","interruptible":"maybe"}"#,
                Err("`interruptible` that is `maybe`"),
            ),
            (r#"{"type":"play"}"#, Err("`play` without a source")),
            (
                r#"{"type":"play","source":"x","loop":-1}"#,
                Err("`loop` that is not a whole number"),
            ),
            (
                r#"{"type":"sendDigits","digits":"12x"}"#,
                Err("`sendDigits` with other keys than 0-9, *, #, A-D and w"),
            ),
            (
                r#"{"type":"sendDigits","digits":""}"#,
                Err("`sendDigits` without keys, or with more than 1000"),
            ),
            (
                r#"{"type":"language"}"#,
                Err("`language` without a ttsLanguage or transcriptionLanguage"),
            ),
            ("[]", Err("a message that is not an object")),
            ("hello", Err("not a message in JSON (line 1, column 1)")),
            ("", Err("not a message in JSON (line 1, column 0)")),
        ];
        for (written, expected) in table {
            let expected = expected.map_err(str::to_owned);
            assert_eq!(read_relay(written), expected, "{written}");
        }
    }

    #[test]
    fn writes_what_servers_read() {
        let mut custom_parameters = Map::new();
        custom_parameters.insert("a".to_owned(), "b".into());
        let setup = RelayOutgoing::Setup {
            session_id: SessionSid::from_bytes([1; 16]),
            account_sid: AccountSid::from_bytes([2; 16]),
            parent_call_sid: String::new(),
            call_sid: CallSid::from_bytes([3; 16]),
            from: "+15550100",
            to: "1000",
            forwarded_from: "",
            call_type: "SIP",
            caller_name: "",
            direction: "inbound",
            call_status: "in-progress",
            custom_parameters,
        };
        let one = "01".repeat(16);
        let (two, three) = (one.replace('1', "2"), one.replace('1', "3"));
        assert_eq!(
            setup.to_text(),
            format!(
                "{{\"type\":\"setup\",\"sessionId\":\"VX{one}\",\"accountSid\":\"AC{two}\",\"parentCallSid\":\"\",\
                 \"callSid\":\"CA{three}\",\"from\":\"+15550100\",\"to\":\"1000\",\"forwardedFrom\":\"\",\
                 \"callType\":\"SIP\",\"callerName\":\"\",\"direction\":\"inbound\",\"callStatus\":\"in-progress\",\
                 \"customParameters\":{{\"a\":\"b\"}}}}"
            )
        );
        let table = [
            (
                RelayOutgoing::Prompt {
                    voice_prompt: "say \"hi\"",
                    lang: "en-US",
                    last: true,
                },
                r#"{"type":"prompt","voicePrompt":"say \"hi\"","lang":"en-US","last":true}"#,
            ),
            (
                RelayOutgoing::Dtmf { digit: '#' },
                r##"{"type":"dtmf","digit":"#"}"##,
            ),
            (
                RelayOutgoing::Interrupt {
                    utterance_until_interrupt: "Life is",
                    duration_until_interrupt_ms: 460,
                },
                r#"{"type":"interrupt","utteranceUntilInterrupt":"Life is","durationUntilInterruptMs":460}"#,
            ),
            (
                RelayOutgoing::Info {
                    name: "agentSpeaking",
                    value: "on",
                    ts: Some(1_752_091_234_567),
                },
                r#"{"type":"info","name":"agentSpeaking","value":"on","ts":1752091234567}"#,
            ),
            (
                RelayOutgoing::Info {
                    name: "tokensPlayed",
                    value: "Hi.",
                    ts: None,
                },
                r#"{"type":"info","name":"tokensPlayed","value":"Hi."}"#,
            ),
            (
                RelayOutgoing::Error { description: "x" },
                r#"{"type":"error","description":"x"}"#,
            ),
        ];
        for (message, expected) in table {
            assert_eq!(message.to_text(), expected);
        }
    }

    #[test]
    fn no_text_is_too_strange() {
        let seed = r#"{"type":"text","token":"Hello","last":true,"interruptible":"any"}"#;
        let mut random = 0x9E37_79B9_7F4A_7C15_u64;
        let mut below = move |limit: usize| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            usize::try_from(random % limit as u64).unwrap_or(0)
        };
        let mut read_well = 0;
        for _ in 0..20_000 {
            let mut text: Vec<char> = seed.chars().collect();
            for _ in 0..=below(3) {
                let at = below(text.len());
                match below(3) {
                    0 => drop(text.remove(at)),
                    1 => text[at] = char::from(b' ' + below(95) as u8),
                    _ => text.insert(at, ['"', '{', '}', '\\', 'é', '\0'][below(6)]),
                }
            }
            let text: String = text.into_iter().collect();
            match read_relay(&text) {
                Ok(_) => read_well += 1,
                Err(fault) => assert!(!fault.is_empty() && fault.len() < 200, "{fault}"),
            }
        }
        assert!((500..19_500).contains(&read_well), "{read_well}");
    }

    #[test]
    fn messages_are_read_at_a_pace() {
        let mut pace = RelayPace::new();
        let at = Duration::from_millis(1_300);
        for _ in 1..MESSAGES_PER_SECOND {
            assert_eq!(pace.read(at), None);
        }
        let next = Duration::from_secs(2);
        assert_eq!(pace.read(at), Some(next));
        assert_eq!(pace.read(next), None);
    }

    #[test]
    fn a_silent_connection_is_broken() {
        let seconds = Duration::from_secs;
        let mut pulse = RelayPulse::new();
        assert_eq!(pulse.poll_timeout(), seconds(20));
        assert_eq!(pulse.handle_timeout(seconds(19)), None);
        assert_eq!(pulse.handle_timeout(seconds(20)), Some(Pulse::Ping));
        pulse.heard(seconds(21));
        assert_eq!(pulse.handle_timeout(seconds(40)), Some(Pulse::Ping));
        assert_eq!(pulse.handle_timeout(seconds(60)), Some(Pulse::Ping));
        assert_eq!(pulse.handle_timeout(seconds(80)), Some(Pulse::Ping));
        assert_eq!(pulse.poll_timeout(), seconds(81));
        assert_eq!(pulse.handle_timeout(seconds(81)), Some(Pulse::Broken));
    }
}
