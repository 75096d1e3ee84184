//! Compares what is expected of the whole call with what happened.
//!
//! **Invariant: a failure names the expectation, the actual outcome, and the line.**

mod legs;

use std::collections::BTreeSet;
use std::time::Duration;

use model::Timestamp;
use model::email::Email;
use model::record::{Conference, Message};

use crate::expected::{Expected, seconds};
use crate::run::Run;
use crate::script::{Fields, List, Params, RequestWish, Script, ValueWish, Wish};
use crate::stage::recording_address;
use crate::{Asked, Failure};

pub(crate) fn check(script: &Script, run: &mut Run) {
    let wishes = &script.wishes;
    let mut failures = Vec::new();
    if let Some(list) = &wishes.verbs {
        let verbs = run.verbs.iter().map(|verb| (verb.as_str(), verb.clone()));
        failures.extend(texts(list, "verb", verbs.collect()));
    }
    for (list, what, asked) in [
        (&wishes.requests, "request", &run.requests),
        (&wishes.callbacks, "callback", &run.callbacks),
    ] {
        if let Some(list) = list {
            failures.extend(requests(script, run, list, what, asked));
        }
    }
    if let Some(list) = &wishes.dial_call_status {
        let found = run
            .requests
            .iter()
            .filter_map(|asked| param(asked, "DialCallStatus"));
        let found = found.map(|status| (status, status.to_owned()));
        failures.extend(texts(list, "DialCallStatus", found.collect()));
    }
    if let Some(list) = &wishes.notifications {
        let codes: Vec<String> = run
            .notifications
            .iter()
            .map(|found| found.code.to_string())
            .collect();
        let found = codes.iter().zip(&run.notifications);
        let found = found.map(|(code, about)| (code.as_str(), format!("{code} ({})", about.text)));
        failures.extend(texts(list, "notification", found.collect()));
    }
    if let Some(list) = &wishes.recordings {
        failures.extend(recordings(list, run));
    }
    if let Some(list) = &wishes.messages {
        let shown = run.messages.iter();
        let shown = shown.map(|found| format!("to {} ({})", found.to, found.status));
        let field = |at: usize, name: &str| message_field(&run.messages[at], name, run);
        failures.extend(records(list, "message", &shown.collect::<Vec<_>>(), field));
    }
    if let Some(list) = &wishes.emails {
        let shown = run.emails.iter();
        let shown = shown.map(|found| format!("to {} ({})", found.to, found.subject));
        let field = |at: usize, name: &str| email_field(&run.emails[at], name, run);
        failures.extend(records(list, "e-mail", &shown.collect::<Vec<_>>(), field));
    }
    if let Some(list) = &wishes.conferences {
        let shown = run.conferences.iter();
        let shown = shown.map(|found| format!("{} ({})", found.name, found.status));
        let field = |at: usize, name: &str| conference_field(&run.conferences[at], name, run);
        failures.extend(records(
            list,
            "conference",
            &shown.collect::<Vec<_>>(),
            field,
        ));
    }
    failures.extend(legs::check(wishes, run));
    if let Some((line, span)) = &wishes.duration
        && !span.fits(run.length)
    {
        let found = seconds(run.length);
        let text = format!("expected a duration of {span}, but it was {found}");
        failures.push(Failure { line: *line, text });
    }
    failures.sort_by_key(|failure| failure.line);
    run.failures.extend(failures);
}

fn param<'a>(asked: &'a Asked, name: &str) -> Option<&'a str> {
    let found = asked.params.iter().find(|(known, _)| known == name);
    found.map(|(_, value)| value.as_str())
}

/// Compares texts; each comes with a longer form for failure messages.
fn texts(list: &List<Expected>, what: &str, found: Vec<(&str, String)>) -> Option<Failure> {
    let shown: Vec<String> = found.iter().map(|(_, shown)| shown.clone()).collect();
    let misfit = |line: usize, wish: &Expected, at: usize| {
        let (text, shown) = &found[at];
        (!wish.fits(Some(text))).then(|| (line, format!("{what} {wish}, but it was {shown}")))
    };
    let is_meant = |_: &Expected, _| false;
    compare(list, what, &shown, Expected::to_string, misfit, is_meant)
}

fn recordings(list: &List<Expected>, run: &Run) -> Option<Failure> {
    let words: Vec<String> = run
        .recordings
        .iter()
        .map(|found| {
            let length = u64::try_from(found.duration_ms).unwrap_or_default();
            let length = seconds(Duration::from_millis(length));
            let conference = || run.conference_name(found.conference?);
            let of_call = found.call.map(|call| run.name(call));
            let owner = of_call.or_else(conference).unwrap_or("?");
            let channels = if found.kind.channels == 2 {
                " dual"
            } else {
                ""
            };
            format!("{owner} {length}{channels}")
        })
        .collect();
    let found = words.iter().map(|word| (word.as_str(), word.clone()));
    texts(list, "recording", found.collect())
}

/// Compares the fields of records.
fn records(
    list: &List<Fields>,
    what: &str,
    shown: &[String],
    field: impl Fn(usize, &str) -> Option<String>,
) -> Option<Failure> {
    let misfit = |line: usize, wish: &Fields, at: usize| {
        let wrong = wish.iter().find_map(|(line, name, wish)| {
            let found = field(at, name);
            let was = found.as_deref().unwrap_or("nothing");
            let text = format!("{name} {wish}, but it was `{was}`");
            (!wish.fits(found.as_deref())).then_some((*line, text))
        });
        wrong.map(|(at, text)| (at.max(line), format!("{what} with {text}")))
    };
    let describe = |wish: &Fields| {
        let fields = wish.iter().map(|(_, name, wish)| format!("{name} {wish}"));
        format!("with {}", fields.collect::<Vec<_>>().join(", "))
    };
    compare(list, what, shown, describe, misfit, |_, _| false)
}

fn conference_field(conference: &Conference, name: &str, run: &Run) -> Option<String> {
    let moment = |at: Timestamp| seconds(at.since(run.started));
    match name {
        "name" => Some(conference.name.clone()),
        "status" => Some(conference.status.to_string()),
        "reason" => conference.reason.clone(),
        "created" => Some(moment(conference.created)),
        "started" => conference.started.map(moment),
        "ended" => conference.ended.map(moment),
        _ => None,
    }
}

fn message_field(message: &Message, name: &str, run: &Run) -> Option<String> {
    match name {
        "to" => Some(message.to.clone()),
        "from" => Some(message.from.clone()),
        "body" => Some(message.body.clone()),
        "status" => Some(message.status.to_string()),
        "error_code" => message.error_code.map(|code| code.to_string()),
        "reason" => message.reason.clone(),
        "direction" => Some(message.direction.to_string()),
        "leg" => message.call.map(|call| run.name(call).to_owned()),
        "at" => Some(seconds(message.created.since(run.started))),
        _ => None,
    }
}

fn email_field(email: &Email, name: &str, run: &Run) -> Option<String> {
    match name {
        "to" => Some(email.to.clone()),
        "from" => Some(email.from.clone()),
        "cc" => Some(email.cc.join(", ")),
        "bcc" => Some(email.bcc.join(", ")),
        "subject" => Some(email.subject.clone()),
        "body" => Some(email.body.clone()),
        "type" => Some(
            if email.html {
                "text/html"
            } else {
                "text/plain"
            }
            .to_owned(),
        ),
        "attachments" => Some(email.recordings.len().to_string()),
        "leg" => email.call.map(|call| run.name(call).to_owned()),
        "at" => Some(seconds(email.created.since(run.started))),
        _ => None,
    }
}

fn requests(
    script: &Script,
    run: &Run,
    list: &List<RequestWish>,
    what: &str,
    found: &[Asked],
) -> Option<Failure> {
    let url = |asked: &Asked| script.application.shown(&asked.url);
    let shown: Vec<String> = found
        .iter()
        .map(|asked| format!("{} {}", asked.method, url(asked)))
        .collect();
    let is_meant = |wish: &RequestWish, at: usize| {
        let asked = &found[at];
        let method = wish.method.is_none_or(|method| method == asked.method);
        method && moment(wish.at, asked.at, run).0 && wish.url.fits(Some(&url(asked)))
    };
    let misfit = |line: usize, wish: &RequestWish, at: usize| {
        let asked = &found[at];
        if !is_meant(wish, at) {
            let (_, when) = moment(wish.at, asked.at, run);
            let text = format!("{what} {}, but it was {when}{}", address(wish), shown[at]);
            return Some((line, text));
        }
        let about = format!("{what} {}", shown[at]);
        match &wish.params {
            Params::Some(params) => params
                .iter()
                .find_map(|(line, name, wish)| {
                    let text = value(name, wish, param(asked, name), run)?;
                    Some((*line, text))
                })
                .map(|(line, text)| (line, format!("{about} with {text}"))),
            Params::All(params) => all_params(params, asked, run)
                .map(|failure| (failure.line, format!("{about}: {}", failure.text))),
        }
    };
    compare(list, what, &shown, address, misfit, is_meant)
}

/// Whether something happened in time, and its time for the message if that matters.
fn moment(wanted: Option<Duration>, at: Timestamp, run: &Run) -> (bool, String) {
    let since = at.since(run.started);
    match wanted {
        Some(wanted) => (wanted == since, format!("{} ", seconds(since))),
        None => (true, String::new()),
    }
}

/// The difference of a parameter or header from the expected value, if any.
fn value(name: &str, wish: &ValueWish, found: Option<&str>, run: &Run) -> Option<String> {
    let expected = match wish {
        ValueWish::Text(expected) => expected.clone(),
        ValueWish::Sid(leg) => match run.leg(leg) {
            Some(leg) => Expected::Text(leg.record.sid.to_string()),
            None => {
                return Some(format!(
                    "{name} the SID of `{leg}`, but there is no such leg"
                ));
            }
        },
        ValueWish::Recording(number) => match run.recordings.get(number.wrapping_sub(1)) {
            Some(made) => Expected::Text(recording_address(made.account, made.sid)),
            None => {
                let text = format!("{name} the address of recording {number}, but there is none");
                return Some(text);
            }
        },
    };
    if expected.fits(found) {
        return None;
    }
    let was = match found {
        None => "not there".to_owned(),
        Some("") => "empty".to_owned(),
        Some(value) => format!("`{value}`"),
    };
    Some(match expected {
        Expected::Absent => format!("no {name}, but it was {was}"),
        Expected::Text(_) | Expected::Pattern(_) => format!("{name} {expected}, but it was {was}"),
    })
}

/// Compares all parameters of a request.
fn all_params(
    list: &List<(String, Option<ValueWish>)>,
    asked: &Asked,
    run: &Run,
) -> Option<Failure> {
    let shown: Vec<String> = asked.params.iter().map(|(name, _)| name.clone()).collect();
    let misfit = |line: usize, (name, wish): &(String, Option<ValueWish>), at: usize| {
        let (found, text) = &asked.params[at];
        if name != found {
            return Some((line, format!("parameter `{name}`, but it was `{found}`")));
        }
        let text = value(name, wish.as_ref()?, Some(text), run)?;
        Some((line, format!("parameter {text}")))
    };
    compare(
        list,
        "parameter",
        &shown,
        |(name, _)| format!("`{name}`"),
        misfit,
        |(name, _), at| *name == asked.params[at].0,
    )
}

/// A request in the script's notation.
fn address(wish: &RequestWish) -> String {
    let at = wish
        .at
        .map_or_else(String::new, |at| format!("{} ", seconds(at)));
    match wish.method {
        Some(method) => format!("{at}{method} {}", wish.url),
        None => format!("{at}{}", wish.url),
    }
}

/// Compares a whole list. The set of reachable positions grows at `...` and advances by one at
/// everything else; once it is empty, the list cannot match.
///
/// - `is_meant`: whether an item is the one at this position, although it may differ in details; if
///   several positions are reachable, only those are explained
fn compare<T>(
    list: &List<T>,
    what: &str,
    shown: &[String],
    describe: impl Fn(&T) -> String,
    misfit: impl Fn(usize, &T, usize) -> Option<(usize, String)>,
    is_meant: impl Fn(&T, usize) -> bool,
) -> Option<Failure> {
    let mut places = BTreeSet::from([0]);
    let mut last_line = list.line;
    for item in &list.items {
        let Wish::One(line, wish) = item else {
            let from = places.first().copied().unwrap_or(0);
            places = (from..=shown.len()).collect();
            continue;
        };
        last_line = *line;
        let here = places.iter().filter(|place| **place < shown.len());
        let fits = |place: &&usize| misfit(*line, wish, **place).is_none();
        let next: BTreeSet<usize> = here.filter(fits).map(|place| place + 1).collect();
        if next.is_empty() {
            let here = places.iter().copied().filter(|place| *place < shown.len());
            let explained = here.filter(|place| places.len() == 1 || is_meant(wish, *place));
            let mut misfits: Vec<_> = explained
                .filter_map(|place| misfit(*line, wish, place))
                .collect();
            misfits.dedup();
            if let Some((line, _)) = misfits.first() {
                let texts = misfits.iter().map(|(_, text)| format!("expected {text}"));
                return Some(fails(*line, texts.collect::<Vec<_>>().join("; ")));
            }
            let from = places.first().copied().unwrap_or(0);
            let rest = if from < shown.len() {
                shown[from..].join(", ")
            } else if from == 0 {
                "none".to_owned()
            } else {
                format!("none after {}", shown[..from].join(", "))
            };
            let text = format!("expected {what} {}, but there was {rest}", describe(wish));
            return Some(fails(*line, text));
        }
        places = next;
    }
    if places.contains(&shown.len()) {
        return None;
    }
    let from = places.last().copied().unwrap_or(0);
    let after = match from.checked_sub(1).and_then(|last| shown.get(last)) {
        Some(last) => format!(" after {last}"),
        None => String::new(),
    };
    let rest = shown[from..].join(", ");
    let text = format!("expected no {what}{after}, but there was {rest}");
    Some(fails(last_line, text))
}

fn fails(line: usize, text: String) -> Failure {
    Failure { line, text }
}
