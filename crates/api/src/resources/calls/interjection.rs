//! What a live call is to hear at once, whatever it is doing: words, a sound, or keys towards its remote party.

use call_proto::Interjection;

use super::send_digits;
use crate::context::Context;
use crate::failure::Failure;
use crate::route::{Is, Param, param};

/// Longest text to say, in characters.
const LONGEST: usize = 4096;

/// The parameters of a request that may not have one of `Say`, `Play` and `SendDigits` as well.
const ALONE: &[&str] = &[
    "Say",
    "Play",
    "SendDigits",
    "Url",
    "Twiml",
    "Status",
    "Mute",
];

/// The parameters of a call that is to hear something.
pub(super) const INTERJECTIONS: &[Param] = &[
    param(
        "Say",
        Is::Text,
        "Words to say to the remote party at once, at most 4,096 characters. A sound that is playing is interrupted and continues afterwards; a connected party or conference is not heard meanwhile. The response is sent when the words begin. Refused (21220) before the call is answered, and while an earlier `Say`, `Play` or `SendDigits` is in progress. Only one of `Say`, `Play`, `SendDigits`, `Url`, `Twiml`, `Status` and `Mute` can be given.",
    ),
    param(
        "Voice",
        Is::Word(&["man", "woman"]),
        "Voice for `Say`; `man` if not given.",
    ),
    param(
        "Language",
        Is::Text,
        "Language of `Say`, such as `en-GB`; `en` if not given.",
    ),
    param(
        "Play",
        Is::Text,
        "Address of a sound to play to the call once, as for `Say`.",
    ),
    param(
        "SendDigits",
        Is::Text,
        "Keys to press towards the remote party of the call at once: `0`–`9`, `*`, `#`, `A`–`D`, and `w` for half a second of silence; at most 32.",
    ),
];

/// What the call is to hear, if the request has that.
pub(super) fn interjection(context: &Context<'_>) -> Result<Option<Interjection>, Failure> {
    let params = &context.params;
    let mut given = ALONE
        .iter()
        .copied()
        .filter(|name| params.filled(name).is_some());
    let name = match given.next() {
        Some(name @ ("Say" | "Play" | "SendDigits")) => name,
        _ => {
            for name in ["Voice", "Language"] {
                if params.filled(name).is_some() {
                    return Err(Failure::parameter(name, "it belongs to Say"));
                }
            }
            return Ok(None);
        }
    };
    if let Some(other) = given.next() {
        let why = format!("it cannot be combined with {other}");
        return Err(Failure::parameter(name, &why));
    }
    let author = context.caller.sid;
    let found = match name {
        "Say" => return said(context).map(Some),
        "Play" => {
            let url = context.optional_address("Play")?;
            url.map(|url| Interjection::play(author, url))
        }
        _ => send_digits(params)?.map(|keys| Interjection::keys(author, keys)),
    };
    Ok(found)
}

fn said(context: &Context<'_>) -> Result<Interjection, Failure> {
    let params = &context.params;
    let text = params.filled("Say").unwrap_or_default();
    if text.chars().count() > LONGEST {
        let why = format!("at most {LONGEST} characters are allowed");
        return Err(Failure::parameter("Say", &why));
    }
    let is_woman = params.word("Voice") == Some("woman");
    let language = params.filled("Language");
    Interjection::say(context.caller.sid, text, is_woman, language).ok_or_else(|| {
        let why = "it is not the tag of a known language, such as en-GB";
        Failure::parameter("Language", why)
    })
}
