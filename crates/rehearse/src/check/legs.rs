//! Compares what is expected of each leg with what happened.

use call_proto::Invite;
use model::record::CallRecord;

use super::{compare, fails, moment, texts, value};
use crate::Failure;
use crate::expected::seconds;
use crate::run::{Happened, Leg, Run};
use crate::script::{LegHeaders, LegLines, LegWish, Timed, Wishes};

pub(super) fn check(wishes: &Wishes, run: &Run) -> Vec<Failure> {
    let mut failures = Vec::new();
    if let Some(list) = &wishes.all_legs {
        let names = run.legs.iter();
        let names = names.map(|leg| (leg.name.as_str(), leg.name.clone()));
        failures.extend(texts(list, "leg", names.collect()));
    }
    for wish in &wishes.legs {
        let field = |leg: &Leg, field: &str| of_record(&leg.record, field, run);
        failures.extend(fields(wish, run, &field));
    }
    for wish in &wishes.invites {
        let field = |leg: &Leg, field: &str| of_invite(run.invites.get(&leg.record.sid)?, field);
        failures.extend(fields(wish, run, &field));
    }
    for wish in &wishes.invite_headers {
        failures.extend(invite_headers(wish, run));
    }
    for wish in &wishes.own_headers {
        failures.extend(own_headers(wish, run));
    }
    for wish in &wishes.sent {
        failures.extend(lines(wish, "message", &run.sent, run));
    }
    for wish in &wishes.heard {
        failures.extend(lines(wish, "line", &run.heard, run));
    }
    failures
}

/// The leg with this name.
fn find<'a>(line: usize, name: &str, run: &'a Run) -> Result<&'a Leg, Failure> {
    run.leg(name).ok_or_else(|| {
        let names: Vec<&str> = run.legs.iter().map(|leg| leg.name.as_str()).collect();
        let names = names.join(", ");
        fails(
            line,
            format!("expected a leg `{name}`, but there was {names}"),
        )
    })
}

fn fields(wish: &LegWish, run: &Run, found: &dyn Fn(&Leg, &str) -> Option<String>) -> Vec<Failure> {
    let leg = match find(wish.line, &wish.name, run) {
        Ok(leg) => leg,
        Err(failure) => return vec![failure],
    };
    let mut failures = Vec::new();
    for (line, field, expected) in &wish.fields {
        let found = found(leg, field);
        if !expected.fits(found.as_deref()) {
            let found = found.map_or("nothing".to_owned(), |found| format!("`{found}`"));
            let name = &wish.name;
            let text = format!("expected {field} {expected} of leg `{name}`, but it was {found}");
            failures.push(fails(*line, text));
        }
    }
    failures
}

/// A field of a record, in the script's notation.
fn of_record(record: &CallRecord, field: &str, run: &Run) -> Option<String> {
    match field {
        "status" => Some(record.status.to_string()),
        "reason" => record.reason.clone(),
        "duration" => record.duration_s.map(|seconds| format!("{seconds}s")),
        "ring" => record.ring_duration_s.map(|seconds| format!("{seconds}s")),
        "sip_status" => record.sip_status.map(|status| status.to_string()),
        "by" => record.hangup_by.map(|by| by.as_str().to_owned()),
        "sip_reason" => record.sip_reason.clone(),
        "from" => Some(record.from.clone()),
        "to" => Some(record.to.clone()),
        "direction" => Some(record.direction.as_str().to_owned()),
        "parent" => record.parent.map(|parent| run.name(parent).to_owned()),
        "answered_by" => record.answered_by.clone(),
        "forwarded_from" => record.forwarded_from.clone(),
        _ => None,
    }
}

/// A field of an INVITE, in the script's notation.
fn of_invite(invite: &Invite, field: &str) -> Option<String> {
    let credentials = invite.route.credentials.as_ref();
    match field {
        "uri" => Some(invite.route.uri.clone()),
        "from" => Some(invite.from.clone()),
        "name" => invite.from_display.clone(),
        "login" => credentials.map(|(login, _)| login.clone()),
        "password" => credentials.map(|(_, password)| password.clone()),
        _ => None,
    }
}

/// Compares the headers, allowing no others.
fn invite_headers(wish: &LegHeaders, run: &Run) -> Vec<Failure> {
    let name = &wish.name;
    // A missing leg was already reported for its other fields.
    let Some(leg) = run.leg(name) else {
        return Vec::new();
    };
    let Some(invite) = run.invites.get(&leg.record.sid) else {
        let text = format!("expected an INVITE to leg `{name}`, but there was none");
        return vec![fails(wish.line, text)];
    };
    let mut failures = compare_headers(wish, &invite.headers, run);
    let known = |header: &str| wish.headers.iter().any(|(_, known, _)| known == header);
    if let Some((header, _)) = invite.headers.iter().find(|(header, _)| !known(header)) {
        let text = format!("expected no other header of leg `{name}`, but there was {header}");
        failures.push(fails(wish.line, text));
    }
    failures
}

fn own_headers(wish: &LegHeaders, run: &Run) -> Vec<Failure> {
    match find(wish.line, &wish.name, run) {
        Ok(leg) => {
            let headers = run.own_headers.get(&leg.record.sid);
            compare_headers(wish, headers.map_or(&[], Vec::as_slice), run)
        }
        Err(failure) => vec![failure],
    }
}

fn compare_headers(wish: &LegHeaders, headers: &[(String, String)], run: &Run) -> Vec<Failure> {
    let wrong = |(line, name, expected): &(usize, String, _)| {
        let found = headers.iter().find(|(known, _)| known == name);
        let text = value(name, expected, found.map(|(_, text)| text.as_str()), run)?;
        let leg = &wish.name;
        Some(fails(
            *line,
            format!("expected header of leg `{leg}`: {text}"),
        ))
    };
    wish.headers.iter().filter_map(wrong).collect()
}

/// The events on a leg, in order.
fn lines(wish: &LegLines, what: &str, all: &[Happened], run: &Run) -> Option<Failure> {
    let leg = match find(wish.lines.line, &wish.name, run) {
        Ok(leg) => leg,
        Err(failure) => return Some(failure),
    };
    let found: Vec<&Happened> = all
        .iter()
        .filter(|happened| happened.call == leg.record.sid)
        .collect();
    let shown: Vec<String> = found
        .iter()
        .map(|happened| {
            let at = seconds(happened.at.since(run.started));
            format!("{at} {}", happened.what)
        })
        .collect();
    let name = &wish.name;
    let describe = |wish: &Timed| {
        let Timed { at, what } = wish;
        at.map_or_else(|| what.to_string(), |at| format!("{} {what}", seconds(at)))
    };
    let misfit = |line: usize, wish: &Timed, at: usize| {
        let (in_time, _) = moment(wish.at, found[at].at, run);
        let fits = in_time && wish.what.fits(Some(&found[at].what));
        let wanted = describe(wish);
        let text = || format!("{what} {wanted} of leg `{name}`, but it was {}", shown[at]);
        (!fits).then(|| (line, text()))
    };
    let what = format!("{what} of leg `{name}`");
    compare(&wish.lines, &what, &shown, describe, misfit, |_, _| false)
}
