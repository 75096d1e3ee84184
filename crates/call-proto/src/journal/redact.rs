//! Inputs without passwords, for a journal.
//!
//! **Invariant: a family that is told the redacted input does the same, but for the password.** So a
//! password keeps its length and every character that means something to XML or to an address:
//! findings keep their columns, and what was well-formed stays so.

use rcml::ReplyKind;

use crate::callback::CallbackTarget;
use crate::command::Target;
use crate::event::{Document, Event, Fallback, Fetched, Modify, Redirect, Route, Via};
use crate::family::{Inbound, OutboundApi, Script};

/// Stands for a password that nothing reads.
pub(super) const HIDDEN: &str = "***";

pub(super) fn inbound(inbound: &Inbound) -> Inbound {
    let mut inbound = inbound.clone();
    match &mut inbound.script {
        Script::Document(source) => document(source),
        // Routing makes them, without passwords.
        Script::Verbs { .. } => {}
    }
    if let Some(target) = &mut inbound.status_callback {
        callback(target);
    }
    inbound
}

pub(super) fn outbound(outbound: &OutboundApi) -> OutboundApi {
    let mut outbound = outbound.clone();
    outbound.routes.iter_mut().for_each(route);
    credentials(&mut outbound.credentials);
    if let Target::Sip(uri) = &mut outbound.target {
        *uri = addresses(uri);
    }
    outbound.from = addresses(&outbound.from);
    document(&mut outbound.document);
    if let Some(leg) = &mut outbound.callback {
        callback(&mut leg.target);
    }
    outbound
}

pub(super) fn event(event: &Event) -> Event {
    let mut event = event.clone();
    match &mut event {
        Event::Resolved { routes, .. } => {
            let found = routes.iter_mut().flatten();
            found.for_each(|routes| routes.iter_mut().for_each(route));
        }
        Event::Fetched {
            result: Ok(answer), ..
        } => fetched(answer),
        Event::Ask {
            modify: Modify::Redirect(redirect),
            ..
        }
        | Event::Modify(Modify::Redirect(redirect)) => redirected(redirect),
        _ => {}
    }
    event
}

fn route(route: &mut Route) {
    credentials(&mut route.credentials);
    route.uri = addresses(&route.uri);
    route.to = route.to.as_deref().map(addresses);
    if let Via::Uri(uri) = &mut route.via {
        *uri = addresses(uri);
    }
}

pub(super) fn credentials(credentials: &mut Option<(String, String)>) {
    if let Some((_, password)) = credentials {
        HIDDEN.clone_into(password);
    }
}

fn fetched(answer: &mut Fetched) {
    answer.url = addresses(&answer.url);
    let kind = answer.content_type.as_deref().and_then(ReplyKind::of);
    answer.body = addresses(&answer.body);
    if kind == Some(ReplyKind::Xml) {
        answer.body = attributes(&answer.body);
    }
}

fn redirected(redirect: &mut Redirect) {
    document(&mut redirect.document);
    if let Some((url, _)) = &mut redirect.status_callback {
        *url = addresses(url);
    }
}

fn document(document: &mut Document) {
    document.url = addresses(&document.url);
    if let Some(Fallback { url, .. }) = &mut document.fallback {
        *url = addresses(url);
    }
}

fn callback(target: &mut CallbackTarget) {
    target.url = addresses(&target.url);
}

/// A text with the user names and passwords of its addresses made unreadable.
fn addresses(text: &str) -> String {
    replace_passwords(&replace_logins(text, blurred), blurred)
}

/// A text in whose addresses what stands before `@` is replaced.
fn replace_logins(text: &str, with: impl Fn(&str) -> String) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("://") {
        out.push_str(before);
        out.push_str("://");
        let ends = |c: char| c.is_whitespace() || "/\\?#\"'`<>".contains(c);
        let authority = &after[..after.find(ends).unwrap_or(after.len())];
        rest = after;
        if let Some(at) = authority.rfind('@') {
            out.push_str(&with(&authority[..at]));
            rest = &after[at..];
        }
    }
    out.push_str(rest);
    out
}

/// A text without the user names and passwords of its addresses.
pub(crate) fn hide_logins(text: &str) -> String {
    let hidden = |_: &str| HIDDEN.to_owned();
    replace_passwords(&replace_logins(text, hidden), hidden)
}

/// A text in whose SIP addresses the password is replaced: `user:password@host`, with `sip:` before it
/// or not (RFC 3261 §19.1.1).
fn replace_passwords(text: &str, with: impl Fn(&str) -> String) -> String {
    let ends = |c: char| c.is_whitespace() || "\\/?\"'`<>()[]{},;=&".contains(c);
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('@') {
        let start = before
            .char_indices()
            .rev()
            .find(|(_, c)| ends(*c))
            .map_or(0, |(at, c)| at + c.len_utf8());
        let token = &before[start..];
        let scheme = ["sip:", "sips:"].into_iter();
        let scheme = scheme
            .filter(|scheme| token.starts_with(scheme))
            .map(str::len);
        let name = scheme.max().unwrap_or(0);
        match token[name..].find(':') {
            Some(colon) => {
                let secret = name + colon + 1;
                out.push_str(&before[..start + secret]);
                out.push_str(&with(&token[secret..]));
            }
            None => out.push_str(before),
        }
        out.push('@');
        rest = after;
    }
    out.push_str(rest);
    out
}

/// A document with the values of attributes named `password` made unreadable.
fn attributes(xml: &str) -> String {
    const NAME: &str = "password";
    let mut out = String::with_capacity(xml.len());
    let mut rest = xml;
    while let Some((before, after)) = rest.split_once(NAME) {
        out.push_str(before);
        out.push_str(NAME);
        rest = after;
        let Some(value) = after.trim_start().strip_prefix('=').map(str::trim_start) else {
            continue;
        };
        let Some(quote) = value.chars().next().filter(|c| matches!(c, '"' | '\'')) else {
            continue;
        };
        let length = value[1..].find(quote).unwrap_or(value.len() - 1);
        let start = after.len() - value.len() + 1;
        out.push_str(&after[..start]);
        out.push_str(&blurred(&after[start..start + length]));
        rest = &after[start + length..];
    }
    out.push_str(rest);
    out
}

/// A secret of which only the length and some punctuation is left. References are kept whole.
fn blurred(secret: &str) -> String {
    let mut out = String::with_capacity(secret.len());
    let mut reference = 0;
    for (at, c) in secret.char_indices() {
        if c == '&' {
            reference = reference_length(&secret[at..]);
        }
        let keep = reference > 0 || c.is_whitespace() || "&<#;:._-".contains(c);
        out.push(if keep { c } else { 'x' });
        reference = reference.saturating_sub(c.len_utf8());
    }
    out
}

/// Length of a reference such as `&lt;` or `&#10;` at the start of a text, or 0.
fn reference_length(text: &str) -> usize {
    let name = text[1..].strip_prefix('#').unwrap_or(&text[1..]);
    let end = name.find(|c: char| !c.is_ascii_alphanumeric());
    match end {
        Some(end) if end > 0 && name[end..].starts_with(';') => text.len() - name.len() + end + 1,
        Some(_) | None => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hides_logins_of_addresses() {
        let table = [
            (
                "http://ann:s3cret@app.example/a@b",
                "http://xxx:xxxxxx@app.example/a@b",
            ),
            (
                "http://app.example/?to=ann@b",
                "http://app.example/?to=ann@b",
            ),
            (
                "<Play>http://u:p%40@h/x</Play>",
                "<Play>http://x:xxxx@h/x</Play>",
            ),
            ("http://h/?next=https://u@v/", "http://h/?next=https://x@v/"),
            ("http://a@b@h", "http://xxx@h"),
            ("no address: a@b", "no address: a@b"),
            ("http://", "http://"),
        ];
        for (text, expected) in table {
            assert_eq!(addresses(text), expected);
        }
    }

    #[test]
    fn hides_passwords_of_nouns_and_keeps_every_column() {
        let table = [
            (
                "<Sip password=\"s3cret\">a</Sip>",
                "<Sip password=\"xxxxxx\">a</Sip>",
            ),
            ("<Sip password = 'pä$$ w'/>", "<Sip password = 'xxxx x'/>"),
            (
                "<Sip password=\"a&amp;b&c\"/>",
                "<Sip password=\"x&amp;x&x\"/>",
            ),
            (
                "<Sip password=\"&#65;&b!;\"/>",
                "<Sip password=\"&#65;&xx;\"/>",
            ),
            ("<Sip password=secret/>", "<Sip password=secret/>"),
            ("<Say>the password is</Say>", "<Say>the password is</Say>"),
            ("<Sip password=\"", "<Sip password=\""),
            ("<Sip password=\"open", "<Sip password=\"xxxx"),
        ];
        for (text, expected) in table {
            assert_eq!(attributes(text), expected);
            assert_eq!(attributes(text).chars().count(), text.chars().count());
        }
    }
}
