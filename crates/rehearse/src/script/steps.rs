//! What a person on the phone does, step by step.
//!
//! **Invariant: a step begins when the previous one has ended.**

use std::time::Duration;

use call_proto::DigitWay;

use crate::Problem;
use crate::expected::{Expected, Span};
use crate::read::{self, Map};
use crate::scene::{Referral, Vanishes};
use crate::yaml::{Node, Value};

#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) line: usize,
    pub(crate) action: Action,
}

#[derive(Clone, Debug)]
pub(crate) enum Action {
    /// Wait for this to happen, possibly with a time limit.
    Expect(Wanted, Option<Duration>),
    /// Press these keys in sequence; the phone sends them this way.
    Press(String, DigitWay),
    /// Say these words to a listening verb.
    Speak(String),
    /// Ask with a REFER that the other party be connected to somebody else.
    Refer(Referral),
    /// Answer the server's REFER with this SIP status, as soon as it has arrived.
    AnswerRefer(u16),
    /// Report this SIP status of the call that the server's REFER asked for.
    Notify(u16),
    /// Let time pass.
    Wait(Duration),
    /// Stay silent until the other side ends the call.
    Silence,
    Hangup,
    /// Vanish without a message.
    Vanish(Vanishes),
}

/// What a person on the phone can notice.
#[derive(Clone, Debug)]
pub(crate) enum Wanted {
    /// It rings.
    Ring,
    /// The beep before a recording.
    Beep,
    /// The call is answered.
    Answer,
    /// The other side hangs up.
    Hangup,
    /// The call is refused with this SIP status.
    Refused(u16),
    /// The server asks with a REFER that this address be called.
    Refer(Expected),
    /// The REFER is answered with this SIP status.
    Referred(u16),
    /// A NOTIFY reports this SIP status for the transfer.
    Notify(u16),
    Pause(Option<Span>),
    Say(Expected, Moment),
    Play(Expected, Moment),
}

/// The stage at which a sound counts as heard.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Moment {
    Start,
    End,
}

const WORDS: &[&str] = &[
    "expect",
    "press",
    "speak",
    "refer",
    "answer_refer",
    "notify",
    "wait",
    "silence",
    "hangup",
    "vanish",
];

/// - `what`: the key under which they are written.
pub(super) fn read(node: &Node, what: &str) -> Result<Vec<Step>, Problem> {
    let steps = read::all(read::list(node, what)?.iter().map(step))?;
    let mut after = steps
        .iter()
        .skip_while(|step| {
            !matches!(
                step.action,
                Action::Hangup | Action::Silence | Action::Vanish(_)
            )
        })
        .skip(1);
    match after.next() {
        Some(step) => Err(Problem::new(
            step.line,
            "nothing happens after the end of the call",
        )),
        None => Ok(steps),
    }
}

fn step(node: &Node) -> Result<Step, Problem> {
    let line = node.line;
    let action = match &node.value {
        Value::Text(word) => match word.as_str() {
            "hangup" => Action::Hangup,
            "silence" => Action::Silence,
            "vanish" => Action::Vanish(Vanishes::Sound),
            "expect" | "press" | "speak" | "refer" | "answer_refer" | "notify" | "wait" => {
                return Err(Problem::new(line, format!("`{word}` needs a value")));
            }
            other => return Err(read::unknown(line, other, "step", WORDS)),
        },
        Value::Map(_) => {
            let map = Map::of(node, "step", WORDS)?;
            let (name, value) = map.one_of(WORDS)?;
            action(name, value)?
        }
        Value::Null | Value::List(_) => return Err(read::wrong(node, "step", "a word or one key")),
    };
    Ok(Step { line, action })
}

fn action(name: &str, node: &Node) -> Result<Action, Problem> {
    let nothing = node.value == Value::Null;
    Ok(match name {
        "expect" => expect(node)?,
        "press" => press(node)?,
        "refer" => refer(node)?,
        "answer_refer" => Action::AnswerRefer(status(node, name, 200)?),
        "notify" => Action::Notify(status(node, name, 100)?),
        "wait" => Action::Wait(read::duration(node, "wait")?),
        "silence" if nothing => Action::Silence,
        "silence" => Action::Wait(read::duration(node, "silence")?),
        "hangup" if nothing => Action::Hangup,
        "hangup" => return Err(Problem::new(node.line, "`hangup` takes no value")),
        "vanish" if nothing => Action::Vanish(Vanishes::Sound),
        "vanish" => {
            let words = [
                ("sound", Vanishes::Sound),
                ("connection", Vanishes::Connection),
            ];
            Action::Vanish(read::word(node, "vanish", &words)?)
        }
        _ => speak(node)?,
    })
}

/// The keys alone, or `{keys: "1", by: info}`.
fn press(node: &Node) -> Result<Action, Problem> {
    let Value::Map(_) = node.value else {
        return Ok(Action::Press(keys(node)?, DigitWay::Event));
    };
    let map = Map::of(node, "press", &["keys", "by"])?;
    let missing = || Problem::new(map.line, "`press` needs `keys`");
    let keys = keys(map.get("keys").ok_or_else(missing)?)?;
    let ways = [
        ("event", DigitWay::Event),
        ("tone", DigitWay::Tone),
        ("info", DigitWay::Info),
    ];
    let way = match map.get("by") {
        Some(node) => read::word(node, "by", &ways)?,
        None => DigitWay::Event,
    };
    Ok(Action::Press(keys, way))
}

fn keys(node: &Node) -> Result<String, Problem> {
    let keys = read::text(node, "press")?;
    let known = |key: char| key.is_ascii_digit() || "*#ABCD".contains(key);
    match keys.chars().find(|key| !known(*key)) {
        Some(key) => {
            let text = format!("`press`: there is no key `{key}`; use 0-9, *, # and A-D");
            Err(Problem::new(node.line, text))
        }
        None => Ok(keys),
    }
}

/// The requested party, its SIP address or the user part of one: alone, or `{to: ann, replaces: kim}` with
/// the leg of the own call to that party.
fn refer(node: &Node) -> Result<Action, Problem> {
    let (to, replaces) = match node.value {
        Value::Map(_) => {
            let map = Map::of(node, "refer", &["to", "replaces"])?;
            let text = |key| map.get(key).map(|node| read::text(node, key)).transpose();
            (text("to")?.unwrap_or_default(), text("replaces")?)
        }
        _ => (read::text(node, "refer")?, None),
    };
    if to.trim().is_empty() {
        return Err(Problem::new(node.line, "`refer` needs a party"));
    }
    Ok(Action::Refer(Referral { to, replaces }))
}

/// A SIP status, which is at least this.
fn status(node: &Node, what: &str, least: u16) -> Result<u16, Problem> {
    let status = read::number(node, what)?;
    if (least..700).contains(&status) {
        return Ok(status);
    }
    let text = format!("`{what}`: {status} is not a SIP status from {least} to 699");
    Err(Problem::new(node.line, text))
}

fn speak(node: &Node) -> Result<Action, Problem> {
    let text = read::text(node, "speak")?;
    if text.trim().is_empty() {
        return Err(Problem::new(node.line, "`speak` needs words"));
    }
    Ok(Action::Speak(text))
}

fn expect(node: &Node) -> Result<Action, Problem> {
    const KEYS: &[&str] = &[
        "say", "play", "pause", "ring", "beep", "answer", "refused", "refer", "referred", "notify",
        "hangup", "at", "within",
    ];
    const FORMS: &[&str] = &[
        "ring",
        "beep",
        "answer",
        "hangup",
        "pause",
        "{say: ...}",
        "{play: ...}",
        "{refused: ...}",
        "{refer: ...}",
        "{referred: ...}",
        "{notify: ...}",
    ];
    if let Value::Text(word) = &node.value {
        return match word.as_str() {
            "ring" | "beep" | "answer" | "hangup" | "pause" => {
                Ok(Action::Expect(plain(word), None))
            }
            other => Err(read::unknown(node.line, other, "expect", FORMS)),
        };
    }
    let map = Map::of(node, "expect", KEYS)?;
    let (name, value) = map.one_of(&[
        "say", "play", "pause", "ring", "beep", "answer", "refused", "refer", "referred", "notify",
        "hangup",
    ])?;
    let moment = match map.get("at") {
        Some(node) if !matches!(name, "say" | "play") => {
            return Err(Problem::new(node.line, "`at` belongs to `say` and `play`"));
        }
        Some(node) => read::word(
            node,
            "at",
            &[("start", Moment::Start), ("end", Moment::End)],
        )?,
        None => Moment::End,
    };
    let wanted = match (name, &value.value) {
        ("say", _) => Wanted::Say(sound(value, "say")?, moment),
        ("play", _) => Wanted::Play(sound(value, "play")?, moment),
        ("refused", _) => Wanted::Refused(read::number(value, "refused")?),
        ("refer", _) => Wanted::Refer(sound(value, "refer")?),
        ("referred", _) => Wanted::Referred(read::number(value, "referred")?),
        ("notify", _) => Wanted::Notify(read::number(value, "notify")?),
        ("pause", Value::Text(_)) => Wanted::Pause(Some(read::span(value, "pause")?)),
        (word, Value::Null) => plain(word),
        (word, _) => return Err(Problem::new(value.line, format!("`{word}` takes no value"))),
    };
    Ok(Action::Expect(wanted, map.duration("within")?))
}

fn sound(node: &Node, what: &str) -> Result<Expected, Problem> {
    read::text(node, what)?;
    read::expected(node, what)
}

fn plain(word: &str) -> Wanted {
    match word {
        "ring" => Wanted::Ring,
        "beep" => Wanted::Beep,
        "answer" => Wanted::Answer,
        "pause" => Wanted::Pause(None),
        _ => Wanted::Hangup,
    }
}
