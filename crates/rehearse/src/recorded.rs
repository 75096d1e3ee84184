//! Makes a script from a recorded call.
//!
//! The trace records when each party did what, which verbs ran and which addresses were requested;
//! it does not hold the application's answers, so the script queries the same server again.
//! **Invariant: the result is a readable script; it passes as long as the application answers as it
//! did.** Left out: network delays, because nothing takes time in a rehearsal, and changes that the
//! API made to the call.
//!
//! Keys come from the journal, since the trace hides them: they may be a PIN. A script is meant to
//! be kept and shown, so unless keys are requested, zeros replace them, as many and at the same
//! times.

mod steps;
mod streams;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use call_proto::journal::{self, Line, Pressed};
use call_proto::{Entry, Lane, TRACED_TEXT, Way, as_taken_over};
use model::record::CallRecord;
use model::{CallSid, Direction, Timestamp};
use url::Url;

use crate::expected::seconds;
use steps::{Steps, about_refer, is_key};

/// Why a call cannot become a script.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NoScript {
    /// The call is still in progress, or too old.
    #[error("the call has no trace; it is stored when the call is over")]
    NoTrace,
    /// Routing connected the call without an application.
    #[error("the call did not request any document, so there is nothing to test")]
    NoApplication,
}

/// How pressed keys are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Keys {
    /// As zeros.
    Hidden,
    /// As they are.
    Shown,
}

/// Makes the script. `children` are the legs that the call dialled.
///
/// # Errors
/// [`NoScript`] if the call holds too little.
pub fn script(
    root: &CallRecord,
    children: &[CallRecord],
    trace: &[Entry],
    journal: &[Line],
    keys: Keys,
) -> Result<String, NoScript> {
    let Some(first) = trace.first() else {
        return Err(NoScript::NoTrace);
    };
    let trace = &as_taken_over(trace)[..];
    let call = Recorded {
        root,
        children,
        trace,
        start: first.at,
        pressed: journal::pressed(journal),
        keys,
    };
    let first_request = call.requests().next().ok_or(NoScript::NoApplication)?;
    let mut out = format!(
        "# Made by `patchcord test --from {}`.\n# The application must be running.\n",
        root.sid
    );
    let is_left_out = |entry: &Entry| entry.lane == Lane::Api && !is_api_end(entry);
    if trace.iter().any(is_left_out) {
        out.push_str("# The API changed the call while it was in progress; that is not part of this script.\n");
    }
    if trace.iter().any(streams::is_opening) {
        out.push_str("# The audio and the messages of streams are not part of this script.\n");
    }
    match journal.last() {
        None => out.push_str("# The journal of the call is missing, so the pressed keys are missing too.\n"),
        Some(Line::Cut) => {
            out.push_str("# The journal of the call is incomplete: late keys are missing.\n");
        }
        Some(_) if keys == Keys::Hidden && !call.pressed.is_empty() => out.push_str(
            "# Zeros stand in for keys that were pressed, as they may be a PIN; fill in the real ones.\n",
        ),
        Some(_) => {}
    }
    let name = format!("{} calls {}", root.from, root.to);
    out += &format!("name: {}\ncall:\n", quoted(&name));
    let _ = writeln!(
        out,
        "  from: {}\n  to: {}",
        quoted(&root.from),
        quoted(&root.to)
    );
    if root.direction == Direction::OutboundApi {
        out.push_str("  direction: api\n");
    }
    if !call.branches().is_empty() {
        // Only there do several phones have one record.
        out.push_str("  dialect: twilio\n");
    }
    let (method, url) = first_request;
    let _ = writeln!(
        out,
        "application:\n  url: {}\n  method: {method}",
        quoted(url)
    );
    call.sounds(&mut out);
    call.caller(&mut out);
    call.parties(&mut out);
    streams::write(trace, &mut out);
    call.api(&mut out);
    call.expect(&mut out, url);
    Ok(out)
}

struct Recorded<'a> {
    root: &'a CallRecord,
    children: &'a [CallRecord],
    trace: &'a [Entry],
    start: Timestamp,
    pressed: Vec<Pressed>,
    keys: Keys,
}

/// A sound that played on a leg.
struct Sound {
    /// `say` or `play`.
    kind: &'static str,
    /// As a script expects it.
    what: String,
    /// Its length, in script notation.
    length: Option<String>,
    /// Whether the API had it played, which is not part of the script.
    is_of_api: bool,
}

/// Whether the API ends a leg.
fn is_api_end(entry: &Entry) -> bool {
    entry.lane == Lane::Api && matches!(entry.what.as_str(), "complete" | "cancel")
}

impl<'a> Recorded<'a> {
    /// Method and address of each request for a document.
    fn requests(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.trace
            .iter()
            .filter(|entry| entry.lane == Lane::Http && entry.way == Way::Out)
            .filter_map(|entry| entry.what.split_once(' '))
            .filter(|(method, _)| matches!(*method, "GET" | "POST"))
    }

    fn of(&self, call: CallSid) -> impl Iterator<Item = &'a Entry> {
        self.trace
            .iter()
            .filter(move |entry| entry.owner == call.into())
    }

    /// Sounds of a leg in the order in which they were prepared.
    fn prepared(&self, call: CallSid) -> Vec<Sound> {
        let mut sounds: Vec<Sound> = Vec::new();
        // What the API has the leg hear is prepared right after its request.
        let mut is_of_api = false;
        for entry in self.of(call) {
            let mut begins = |kind, what| {
                let sound = Sound::new(kind, what);
                sounds.push(Sound { is_of_api, ..sound });
                is_of_api = false;
            };
            match (entry.lane, entry.way, entry.what.as_str()) {
                (Lane::Api, Way::Here, "say" | "play") => is_of_api = true,
                (Lane::Media, Way::Out, "speak") => begins("say", spoken(&entry.detail)),
                (Lane::Media, Way::Out, "load") => begins("play", entry.detail.clone()),
                (Lane::Media, Way::In, "audio") => {
                    let open = sounds.iter_mut().find(|sound| sound.length.is_none());
                    if let Some(sound) = open {
                        sound.length = Some(entry.detail.replace(' ', ""));
                    }
                }
                _ => {}
            }
        }
        sounds.retain(|sound| !sound.is_of_api);
        sounds
    }

    /// The legs that the API ended.
    fn api(&self, out: &mut String) {
        let names = self.names();
        let name_of = |entry: &Entry| {
            let found = names.iter().find(|(leg, _)| entry.owner == leg.sid.into());
            found.map(|(_, name)| quoted(name))
        };
        let ends = self.trace.iter().filter(|entry| is_api_end(entry));
        let steps: Vec<String> = ends
            .filter_map(|entry| {
                let at = seconds(entry.at.since(self.start));
                Some(format!(
                    "  - {{at: {at}, {}: {}}}",
                    entry.what,
                    name_of(entry)?
                ))
            })
            .collect();
        if !steps.is_empty() {
            let _ = writeln!(out, "api:\n{}", steps.join("\n"));
        }
    }

    /// The records of the legs in order of appearance, with their names in a script.
    fn names(&self) -> Vec<(&CallRecord, String)> {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        let mut names = Vec::new();
        for sid in self.legs() {
            let mut records = std::iter::once(self.root).chain(self.children);
            let Some(leg) = records.find(|record| record.sid == sid) else {
                continue;
            };
            let name = match leg.direction {
                Direction::Inbound => "caller",
                Direction::OutboundApi | Direction::OutboundDial => leg.to.as_str(),
            };
            let count = counts.entry(name).or_default();
            *count += 1;
            let name = match *count {
                1 => name.to_owned(),
                count => format!("{name} {count}"),
            };
            names.push((leg, name));
        }
        names
    }

    fn sounds(&self, out: &mut String) {
        let mut lengths = BTreeMap::new();
        for call in self.legs() {
            for sound in self.prepared(call) {
                if let Some(length) = sound.length {
                    lengths.entry(sound.what).or_insert(length);
                }
            }
        }
        if !lengths.is_empty() {
            out.push_str("sounds:\n");
        }
        for (what, length) in lengths {
            let _ = writeln!(out, "  {}: {length}", quoted(&what));
        }
    }

    /// All legs in order of appearance.
    fn legs(&self) -> Vec<CallSid> {
        let mut legs = vec![self.root.sid];
        for entry in self.trace {
            if let Some(call) = entry.owner.call()
                && !legs.contains(&call)
            {
                legs.push(call);
            }
        }
        legs
    }

    /// The phones without a record that a call of the API rang.
    fn branches(&self) -> Vec<CallSid> {
        let mut legs = self.legs();
        let records = || std::iter::once(self.root).chain(self.children);
        legs.retain(|leg| records().all(|record| record.sid != *leg));
        legs.retain(|_| self.root.direction == Direction::OutboundApi);
        legs
    }

    /// Steps that begin at a given time, with the keys of a leg still to be pressed.
    fn steps(&self, call: CallSid, from: Timestamp) -> Steps {
        let pressed = self.pressed.iter().filter(|pressed| pressed.call == call);
        Steps::new(from, pressed.copied().collect(), self.keys)
    }

    fn caller(&self, out: &mut String) {
        let mut steps = self.steps(self.root.sid, self.start);
        let mut sounds = self.prepared(self.root.sid).into_iter();
        let entries: Vec<&Entry> = self.of(self.root.sid).collect();
        let outbound = self.root.direction != Direction::Inbound;
        let mut answered = outbound;
        for (at, entry) in entries.iter().enumerate() {
            match (entry.lane, entry.way, entry.what.as_str()) {
                (Lane::Sip, Way::In, "200") if outbound => steps.restart(entry.at),
                (Lane::Sip, Way::Out, "200") if !answered => {
                    answered = true;
                    steps.add("expect: answer".to_owned(), entry.at);
                }
                (Lane::Media, Way::Out, "play") if entry.detail == "beep" => {
                    let end = end_of_sound(&entries[at + 1..]);
                    steps.add("expect: beep".to_owned(), end.unwrap_or(entry.at));
                }
                (Lane::Media, Way::Out, "record") => {
                    if let Some(length) = talk(&entries[at..]) {
                        let words = steps::stand_in(length);
                        let step = format!("speak: {words}  # stands in for what was said");
                        steps.add(step, entry.at + steps::speaking_time(&words));
                    }
                }
                (Lane::Media, Way::Out, "play") if entry.detail.ends_with(" ms") => {
                    let Some(sound) = sounds.find(|sound| sound.length.is_some()) else {
                        continue;
                    };
                    let heard = format!("{}: {}", sound.kind, quoted(&sound.what));
                    match end_of_sound(&entries[at + 1..]) {
                        Some(end) => steps.add(format!("expect: {{{heard}}}"), end),
                        None => {
                            steps.add(format!("expect: {{{heard}, at: start}}"), entry.at);
                        }
                    }
                }
                (Lane::Sip, Way::In, "BYE" | "CANCEL") => {
                    steps.hang_up(entry.at);
                    break;
                }
                (Lane::Sip, Way::Out, "BYE") => {
                    steps.add("expect: hangup".to_owned(), entry.at);
                    break;
                }
                (Lane::Sip, Way::Out, status) if !answered && is_refusal(status) => {
                    steps.add(format!("expect: {{refused: {status}}}"), entry.at);
                    break;
                }
                _ if is_key(entry) => steps.press(entry.at),
                _ => {
                    if let Some(step) = about_refer(entry) {
                        steps.do_at(step, entry.at);
                    }
                }
            }
        }
        let lines = steps.block();
        if !lines.is_empty() {
            out.push_str("caller:\n");
        }
        for line in lines {
            let _ = writeln!(out, "  - {line}");
        }
    }

    fn parties(&self, out: &mut String) {
        let mut phones: BTreeMap<&str, Vec<(Timestamp, String)>> = BTreeMap::new();
        let outbound = self.root.direction != Direction::Inbound;
        let root = outbound.then_some(self.root);
        let recorded = root.into_iter().chain(self.children);
        let recorded = recorded.map(|leg| (leg.sid, leg.to.as_str()));
        let others = self.branches().into_iter();
        let others = others.map(|branch| (branch, self.root.to.as_str()));
        for (leg, to) in recorded.chain(others) {
            let ours = leg == self.root.sid;
            if let Some((at, text)) = self.phone(leg, ours) {
                phones.entry(to).or_default().push((at, text));
            }
        }
        if !phones.is_empty() {
            out.push_str("parties:\n");
        }
        for (name, mut legs) in phones {
            legs.sort_by_key(|(at, _)| *at);
            let at_once = |at: &Timestamp| at.since(legs[0].0) < Duration::from_millis(500);
            let rung: Vec<&str> = legs
                .iter()
                .filter(|(at, _)| at_once(at))
                .map(|(_, text)| text.as_str())
                .collect();
            let _ = match rung.as_slice() {
                [one] => writeln!(out, "  {}: {one}", quoted(name)),
                several => writeln!(out, "  {}: [{}]", quoted(name), several.join(", ")),
            };
            if rung.len() < legs.len() {
                out.push_str(
                    "  # Called again later; in a script a phone does the same each time.\n",
                );
            }
        }
    }

    /// What a phone did, and when it was called. For the root, the caller's steps cover the rest.
    fn phone(&self, call: CallSid, is_root: bool) -> Option<(Timestamp, String)> {
        let sip: Vec<&Entry> = self
            .of(call)
            .filter(|entry| entry.lane == Lane::Sip)
            .collect();
        let invite = sip
            .iter()
            .find(|entry| entry.way == Way::Out && entry.what == "INVITE")?;
        let heard = |what: &dyn Fn(&str) -> bool| {
            let found = sip
                .iter()
                .find(|entry| entry.way == Way::In && what(&entry.what));
            found.copied()
        };
        let after = |entry: &Entry| seconds(entry.at.since(invite.at));
        let withdrawn = sip
            .iter()
            .any(|entry| entry.way == Way::Out && entry.what == "CANCEL");
        if let Some(answer) = heard(&|what| what == "200") {
            let answers = format!("answers_after: {}", after(answer));
            let bye = heard(&|what| what == "BYE").filter(|_| !is_root);
            let mut steps = self.steps(call, answer.at);
            if !is_root {
                for entry in self.of(call) {
                    if is_key(entry) {
                        steps.press(entry.at);
                    } else if let Some(step) = about_refer(entry) {
                        steps.do_at(step, entry.at);
                    }
                }
            }
            let text = match bye {
                Some(bye) if steps.is_empty() => {
                    let talk = seconds(bye.at.since(answer.at));
                    format!("{{{answers}, hangs_up_after: {talk}}}")
                }
                None if steps.is_empty() => format!("{{{answers}}}"),
                bye => {
                    if let Some(bye) = bye {
                        steps.hang_up(bye.at);
                    }
                    format!("{{{answers}, then: [{}]}}", steps.flow())
                }
            };
            return Some((invite.at, text));
        }
        let refused = heard(&is_refusal).filter(|_| !withdrawn);
        let text = refused.map_or("no_answer".to_owned(), |refused| {
            format!("{{rejects: {}, after: {}}}", refused.what, after(refused))
        });
        Some((invite.at, text))
    }

    fn expect(&self, out: &mut String, application: &str) {
        let verbs: Vec<&str> = self
            .trace
            .iter()
            .filter(|entry| entry.lane == Lane::Rcml && entry.way == Way::Here)
            .filter_map(|entry| entry.what.strip_prefix('<')?.strip_suffix('>'))
            .collect();
        let _ = writeln!(out, "expect:\n  verbs: [{}]\n  requests:", verbs.join(", "));
        let origin = Url::parse(application).ok().map(|url| url.origin());
        for (method, url) in self.requests() {
            let shown = match Url::parse(url) {
                Ok(parsed) if Some(parsed.origin()) == origin => {
                    let query = parsed
                        .query()
                        .map_or(String::new(), |query| format!("?{query}"));
                    format!("{}{query}", parsed.path())
                }
                _ => url.to_owned(),
            };
            let _ = writeln!(
                out,
                "    - {}",
                quoted(&format!("{method} {}", unnamed(&shown)))
            );
        }
        out.push_str("  legs:\n");
        for (leg, name) in self.names() {
            let reason = leg.reason.as_deref().map_or(String::new(), |reason| {
                format!(", reason: {}", quoted(reason))
            });
            let _ = writeln!(
                out,
                "    {}: {{status: {}{reason}}}",
                quoted(&name),
                leg.status
            );
        }
    }
}

impl Sound {
    fn new(kind: &'static str, what: String) -> Self {
        Self {
            kind,
            what,
            length: None,
            is_of_api: false,
        }
    }
}

/// The end of the sound that began before these entries; `None` if it is cut off, or if a key is
/// pressed meanwhile: a press after its end would be too late.
/// How long a recorded person talked, as far as the record shows: from the start of the recording,
/// the first entry, to the key or the end of the call that ended it, or to the silence before its end.
/// `None` for the recording of a connection, and for an empty one.
fn talk(entries: &[&Entry]) -> Option<Duration> {
    /// The silence that ends a recording unless the document says otherwise.
    const SILENCE: Duration = Duration::from_secs(5);
    let (start, rest) = entries.split_first()?;
    let ended = |entry: &&&Entry| entry.lane == Lane::Rcml && entry.what == "<Record> ended";
    let end = rest.iter().find(ended)?;
    let saved = rest.iter().find(|entry| {
        entry.lane == Lane::Media && entry.way == Way::In && entry.what == "recorded"
    })?;
    if saved.detail.ends_with(" 0 ms") {
        return None;
    }
    let length = end.at.since(start.at);
    let talked = if end.detail == "silence" {
        length.saturating_sub(SILENCE)
    } else {
        length
    };
    Some(talked.max(Duration::from_millis(500)))
}

fn end_of_sound(rest: &[&Entry]) -> Option<Timestamp> {
    let mut rest = rest.iter().take_while(|next| !is_sound_start(next));
    let next =
        rest.find(|next| is_key(next) || (next.lane == Lane::Media && next.what == "played"));
    next.filter(|next| !is_key(next)).map(|end| end.at)
}

fn is_sound_start(entry: &Entry) -> bool {
    entry.lane == Lane::Media && entry.way == Way::Out && entry.what == "play"
}

fn is_refusal(what: &str) -> bool {
    what.parse::<u16>().is_ok_and(|status| status >= 300)
}

/// The expectation for speech of which a trace holds only the beginning.
fn spoken(traced: &str) -> String {
    if traced.chars().count() < TRACED_TEXT && !traced.starts_with('~') {
        traced.to_owned()
    } else {
        format!("~^{}", escaped(traced))
    }
}

/// Identifiers differ from call to call, so an address with one is expected as a pattern.
fn unnamed(address: &str) -> String {
    let sid = |text: &str| {
        let digits = text.get(2..34)?;
        let letters = text.get(..2)?.bytes().all(|byte| byte.is_ascii_uppercase());
        (letters && digits.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(34)
    };
    let mut pattern = String::new();
    let mut rest = address;
    let mut found = false;
    while let Some(next) = rest.chars().next() {
        if let Some(length) = sid(rest) {
            let _ = write!(pattern, "{}[0-9a-f]{{32}}", &rest[..2]);
            rest = &rest[length..];
            found = true;
        } else {
            pattern.push_str(&escaped(&rest[..next.len_utf8()]));
            rest = &rest[next.len_utf8()..];
        }
    }
    if found {
        format!("~^{pattern}$")
    } else {
        address.to_owned()
    }
}

/// A text as a regular expression that matches it literally.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if "\\.+*?()|[]{}^$#&-~".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// A quoted text: JSON notation, which is also YAML.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
