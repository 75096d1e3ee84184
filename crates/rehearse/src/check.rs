//! What is expected of the whole call, compared with what happened.
//!
//! **Invariant: a failure says what was expected, what there was instead, and the line.**

use std::collections::BTreeSet;

use crate::expected::{Expected, seconds};
use crate::run::{Leg, Run};
use crate::script::{LegWish, List, RequestWish, Script, Wish};
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
            failures.extend(requests(script, list, what, asked));
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
    for wish in &wishes.legs {
        failures.extend(leg(wish, &run.legs));
    }
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

/// Compares texts; each comes with a longer form for people.
fn texts(list: &List<Expected>, what: &str, found: Vec<(&str, String)>) -> Option<Failure> {
    let shown: Vec<String> = found.iter().map(|(_, shown)| shown.clone()).collect();
    let misfit = |line: usize, wish: &Expected, at: usize| {
        let (text, shown) = &found[at];
        (!wish.fits(Some(text))).then(|| (line, format!("{what} {wish}, but it was {shown}")))
    };
    compare(list, what, &shown, Expected::to_string, misfit)
}

fn requests(
    script: &Script,
    list: &List<RequestWish>,
    what: &str,
    found: &[Asked],
) -> Option<Failure> {
    let url = |asked: &Asked| script.application.shown(&asked.url);
    let shown: Vec<String> = found
        .iter()
        .map(|asked| format!("{} {}", asked.method, url(asked)))
        .collect();
    let misfit = |line: usize, wish: &RequestWish, at: usize| {
        let asked = &found[at];
        let method = wish.method.is_none_or(|method| method == asked.method);
        if !method || !wish.url.fits(Some(&url(asked))) {
            let text = format!("{what} {}, but it was {}", address(wish), shown[at]);
            return Some((line, text));
        }
        let mut params = wish.params.iter();
        let (line, name, expected) =
            params.find(|(_, name, expected)| !expected.fits(param(asked, name)))?;
        let was = param(asked, name).map_or("not there".to_owned(), |value| format!("`{value}`"));
        let text = format!(
            "{what} {} with {name} {expected}, but it was {was}",
            shown[at]
        );
        Some((*line, text))
    };
    compare(list, what, &shown, address, misfit)
}

/// A request as the script writes it.
fn address(wish: &RequestWish) -> String {
    match wish.method {
        Some(method) => format!("{method} {}", wish.url),
        None => wish.url.to_string(),
    }
}

/// Compares a whole list. The set of places that could be reached so far grows at `...` and moves
/// on by one at everything else; when it is empty, nothing can fit any more.
fn compare<T>(
    list: &List<T>,
    what: &str,
    shown: &[String],
    describe: impl Fn(&T) -> String,
    misfit: impl Fn(usize, &T, usize) -> Option<(usize, String)>,
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
            let from = places.first().copied().unwrap_or(0);
            return Some(match (places.len(), from < shown.len()) {
                (1, true) => misfit(*line, wish, from).map_or_else(
                    || fails(*line, describe(wish)),
                    |(line, text)| fails(line, format!("expected {text}")),
                ),
                (_, there) => {
                    let rest = if there {
                        shown[from..].join(", ")
                    } else if from == 0 {
                        "none".to_owned()
                    } else {
                        format!("none after {}", shown[..from].join(", "))
                    };
                    let text = format!("expected {what} {}, but there was {rest}", describe(wish));
                    fails(*line, text)
                }
            });
        }
        places = next;
    }
    if places.contains(&shown.len()) {
        return None;
    }
    let from = places.last().copied().unwrap_or(0);
    let text = format!(
        "expected no more {what}, but there was {}",
        shown[from..].join(", ")
    );
    Some(fails(last_line, text))
}

fn fails(line: usize, text: String) -> Failure {
    Failure { line, text }
}

fn leg(wish: &LegWish, legs: &[Leg]) -> Vec<Failure> {
    let Some(leg) = legs.iter().find(|leg| leg.name == wish.name) else {
        let names: Vec<&str> = legs.iter().map(|leg| leg.name.as_str()).collect();
        let text = format!(
            "expected a leg `{}`, but there was {}",
            wish.name,
            names.join(", ")
        );
        return vec![fails(wish.line, text)];
    };
    let record = &leg.record;
    let mut failures = Vec::new();
    for (line, field, expected) in &wish.fields {
        let found = match *field {
            "status" => Some(record.status.to_string()),
            "reason" => record.reason.clone(),
            "duration" => record.duration_s.map(|seconds| format!("{seconds}s")),
            "ring" => record.ring_duration_s.map(|seconds| format!("{seconds}s")),
            _ => record.sip_status.map(|status| status.to_string()),
        };
        if !expected.fits(found.as_deref()) {
            let found = found.map_or("nothing".to_owned(), |found| format!("`{found}`"));
            let name = &wish.name;
            let text = format!("expected {field} {expected} of leg `{name}`, but it was {found}");
            failures.push(fails(*line, text));
        }
    }
    failures
}
