//! Messages from the server.
//!
//! **Invariant: any text gives a message or a fault, which does not quote audio.**

use std::borrow::Cow;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;

/// Maximum characters of a server's text in a fault.
const QUOTED: usize = 40;

/// Accepts payloads with and without padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A message from the server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Incoming {
    /// Audio to play; it is in the buffer.
    Media,
    /// Return this name once everything before it has been played.
    Mark(String),
    /// Drop what waits to be played.
    Clear,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Message<'a> {
    #[serde(borrow)]
    event: Option<Text<'a>>,
    #[serde(borrow)]
    stream_sid: Option<Text<'a>>,
    #[serde(borrow)]
    media: Option<Media<'a>>,
    mark: Option<Mark>,
}

#[derive(Deserialize)]
struct Media<'a> {
    #[serde(borrow)]
    payload: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Mark {
    name: Option<String>,
}

/// A string that is only copied if it contains escapes. (Inside `Option`, a plain `Cow` is always copied.)
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// Reads a message for the stream with this identifier, which the message may leave out.
///
/// - `audio`: receives the audio of the message (µ-law at 8 kHz); its old content is lost.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn read(text: &str, stream: &str, audio: &mut Vec<u8>) -> Result<Incoming, String> {
    let message: Message<'_> = serde_json::from_str(text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        format!("not a message in JSON (line {line}, column {column})")
    })?;
    if let Some(Text(other)) = message.stream_sid.filter(|sid| sid.0 != stream) {
        return Err(format!(
            "the streamSid `{}` of another stream",
            short(&other)
        ));
    }
    match message.event.as_ref().map(|event| &*event.0) {
        Some("media") => {
            let payload = message.media.and_then(|media| media.payload);
            let Text(payload) = payload.ok_or("`media` without a payload")?;
            audio.clear();
            let decoded = BASE64.decode_vec(payload.as_bytes(), audio);
            decoded.map_err(|_| "`media` whose payload is not Base64")?;
            Ok(Incoming::Media)
        }
        Some("mark") => {
            let name = message.mark.and_then(|mark| mark.name);
            Ok(Incoming::Mark(name.ok_or("`mark` without a name")?))
        }
        Some("clear") => Ok(Incoming::Clear),
        Some(event) => Err(format!("the event `{}`", short(event))),
        None => Err("a message without an event".to_owned()),
    }
}

/// The beginning of a server's text, to quote it.
pub(crate) fn short(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_control())
        .take(QUOTED)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_servers_send() {
        let media = |payload: &[u8]| Ok((Incoming::Media, payload.to_vec()));
        let other = |message| Ok((message, Vec::new()));
        let table = [
            (
                r#"{"event":"media","streamSid":"MZ1","media":{"payload":"/wB/"}}"#,
                media(&[0xff, 0, 0x7f]),
            ),
            // An escape, as some encoders write it.
            (
                r#"{"event":"media","streamSid":"MZ1","media":{"payload":"\/wB\u002f"}}"#,
                media(&[0xff, 0, 0x7f]),
            ),
            // Without an identifier, without padding, with more than is needed.
            (
                r#"{"media":{"track":"outbound","payload":"/wA","chunk":1},"event":"media","x":[]}"#,
                media(&[0xff, 0]),
            ),
            (r#"{"event":"media","media":{"payload":""}}"#, media(&[])),
            (
                r#"{"event":"mark","streamSid":"MZ1","mark":{"name":"a \u00e9"}}"#,
                other(Incoming::Mark("a é".to_owned())),
            ),
            (
                r#"{"event":"clear","streamSid":"MZ1"}"#,
                other(Incoming::Clear),
            ),
            (
                r#" {"event":"clear","streamSid":null}"#,
                other(Incoming::Clear),
            ),
            (
                r#"{"event":"clear","streamSid":"MZ2"}"#,
                Err("the streamSid `MZ2` of another stream"),
            ),
            (r#"{"event":"hello"}"#, Err("the event `hello`")),
            (r#"{"event":"Media"}"#, Err("the event `Media`")),
            (
                r#"{"media":{"payload":"/w=="}}"#,
                Err("a message without an event"),
            ),
            (r#"{"event":"media"}"#, Err("`media` without a payload")),
            (
                r#"{"event":"media","media":{}}"#,
                Err("`media` without a payload"),
            ),
            (
                r#"{"event":"media","media":{"payload":"secret!"}}"#,
                Err("`media` whose payload is not Base64"),
            ),
            (
                r#"{"event":"mark","mark":{}}"#,
                Err("`mark` without a name"),
            ),
            (
                r#"{"event":"mark","mark":"x"}"#,
                Err("not a message in JSON (line 1, column 26)"),
            ),
            ("hello", Err("not a message in JSON (line 1, column 1)")),
            ("", Err("not a message in JSON (line 1, column 0)")),
            ("[]", Err("not a message in JSON (line 1, column 2)")),
            (
                r#"{"event":7}"#,
                Err("not a message in JSON (line 1, column 10)"),
            ),
        ];
        for (text, expected) in table {
            let expected = expected.map_err(str::to_owned);
            let mut audio = Vec::new();
            let found = read(text, "MZ1", &mut audio).map(|message| (message, audio));
            assert_eq!(found, expected, "{text}");
        }
        let long = format!(r#"{{"event":"{}"}}"#, "é".repeat(100));
        let fault = format!("the event `{}`", "é".repeat(40));
        assert_eq!(read(&long, "MZ1", &mut Vec::new()), Err(fault));
    }

    #[test]
    fn no_text_is_too_strange() {
        let seed = r#"{"event":"media","streamSid":"MZ1","media":{"payload":"/wB/"}}"#;
        let mut random = 0x9E37_79B9_7F4A_7C15_u64;
        let mut below = move |limit: usize| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            usize::try_from(random % limit as u64).unwrap_or(0)
        };
        let (mut read_well, mut audio) = (0, Vec::new());
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
            match read(&text, "MZ1", &mut audio) {
                Ok(_) => read_well += 1,
                Err(fault) => assert!(!fault.is_empty() && fault.len() < 200, "{fault}"),
            }
        }
        assert!((500..19_500).contains(&read_well), "{read_well}");
    }
}
