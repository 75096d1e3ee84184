//! Keys pressed by the remote party of a leg, however they are signalled.
//!
//! Some phones signal a key in two ways at once. **Invariant: only the way that signalled a leg's
//! first key counts.** A key from an INFO is passed on to the other leg of a bridge; keys in the
//! media are passed on there.

use model::CallSid;

use crate::context::Context;
use crate::event::DigitWay;
use crate::trace::Lane;

/// Maximum number of keys in one INFO.
const MOST: usize = 32;

/// The way in which the keys of one leg are signalled.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    /// Set once the remote party has sent a key.
    way: Option<DigitWay>,
}

impl Keys {
    /// Whether a key signalled this way counts.
    pub(crate) fn count(&mut self, way: DigitWay, leg: CallSid, cx: &mut Context) -> bool {
        let first = *self.way.get_or_insert(way);
        if first != way {
            let detail = format!("keys of this leg come {}", first.as_str());
            cx.trace(leg, Lane::Media, "key ignored", &detail);
        }
        first == way
    }
}

/// The keys in an INFO: `Signal=` of `application/dtmf-relay`, else the whole body.
pub(crate) fn keys_of(content_type: &str, body: &str) -> Vec<char> {
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    if kind.eq_ignore_ascii_case("application/dtmf-relay") {
        let signal = body.lines().find_map(|line| {
            let (name, value) = line.split_once('=')?;
            name.trim().eq_ignore_ascii_case("signal").then_some(value)
        });
        return signal
            .and_then(|text| key_of(text.trim()))
            .into_iter()
            .collect();
    }
    let text = body.trim();
    // Some send the event number (RFC 4733 §3.2) instead of the key.
    if let Some(key @ ('*' | '#' | 'A'..='D')) = key_of(text) {
        return vec![key];
    }
    let keys: Option<Vec<char>> = text.chars().map(key_in).collect();
    keys.filter(|keys| keys.len() <= MOST).unwrap_or_default()
}

fn key_of(text: &str) -> Option<char> {
    match text {
        "10" => Some('*'),
        "11" => Some('#'),
        "12" => Some('A'),
        "13" => Some('B'),
        "14" => Some('C'),
        "15" => Some('D'),
        _ => {
            let mut letters = text.chars();
            let key = key_in(letters.next()?);
            key.filter(|_| letters.next().is_none())
        }
    }
}

fn key_in(letter: char) -> Option<char> {
    let key = letter.to_ascii_uppercase();
    matches!(key, '0'..='9' | '*' | '#' | 'A'..='D').then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn info_carries_keys_in_many_forms() {
        let table = [
            ("application/dtmf-relay", "Signal=5\r\nDuration=160", "5"),
            (
                "Application/DTMF-Relay; x=y",
                "Duration=250\nsignal = #\n",
                "#",
            ),
            ("application/dtmf-relay", "Signal=10", "*"),
            ("application/dtmf-relay", "Signal=11", "#"),
            ("application/dtmf-relay", "Signal=15", "D"),
            ("application/dtmf-relay", "Signal=flash", ""),
            ("application/dtmf-relay", "", ""),
            ("application/dtmf", "7", "7"),
            ("application/dtmf", " d\r\n", "D"),
            ("application/dtmf", "11", "#"),
            ("text/plain", "12#", "12#"),
            ("text/plain", "hello", ""),
            ("application/media_control+xml", "<media_control/>", ""),
            ("", "", ""),
        ];
        for (content_type, body, keys) in table {
            let found: String = keys_of(content_type, body).into_iter().collect();
            assert_eq!(found, keys, "{content_type} {body}");
        }
        assert_eq!(keys_of("text/plain", &"1".repeat(33)), Vec::<char>::new());
    }
}
