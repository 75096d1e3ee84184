//! The trace in plain words.
//!
//! The words of the trace itself are a stored format, which `patchcord test --from` reads, too. A line that
//! is not known here is shown as it is.

use call_proto::{Entry, Lane, TRACED_TEXT, Way};
use model::CallSid;

use super::{End, Step, Stroke};

/// What a line of the trace is in the picture; `None` if it only repeats what is shown already.
///
/// - `party`: whose line it is, by its place among the parties; the lines of any but the first name it
pub(super) fn step(
    entry: &Entry,
    party: usize,
    name_of: impl Fn(CallSid) -> Option<String>,
) -> Option<Step> {
    if let Some(arrow) = arrow(entry, party) {
        return Some(arrow);
    }
    let text = note(entry, &name_of)?;
    let owner = entry.owner.call().filter(|_| party > 0).and_then(name_of);
    Some(Step::Note(match owner {
        Some(owner) => format!("{owner}: {text}"),
        None => text,
    }))
}

/// What goes to or comes from a party or the application.
fn arrow(entry: &Entry, party: usize) -> Option<Step> {
    let Entry {
        lane,
        way,
        what,
        detail,
        ..
    } = entry;
    let (far, stroke, label, detail) = match lane {
        Lane::Sip if *way != Way::Here && is_message(what) => {
            let (label, detail) = message(*way, what, detail);
            (End::Party(party), Stroke::Message, label, detail)
        }
        Lane::Media if *way == Way::In => {
            let (label, detail) = match what.as_str() {
                "first packet" => ("RTP begins", String::new()),
                "key" => ("key", in_brackets(detail)),
                _ => return None,
            };
            (End::Party(party), Stroke::Stream, label.to_owned(), detail)
        }
        Lane::Http => match way {
            Way::Out => {
                let label = what.to_owned();
                (End::Application, Stroke::Message, label, detail.clone())
            }
            // The address is only of interest if the application has redirected the request.
            Way::In if what.parse::<u16>().is_ok() => {
                let label = with_phrase(what, usual_in_http);
                (End::Application, Stroke::Message, label, String::new())
            }
            Way::In | Way::Here => return None,
        },
        Lane::Sip | Lane::Media | Lane::Rcml | Lane::Fact | Lane::Room | Lane::Api => return None,
    };
    let (from, to) = match way {
        Way::In => (far, End::Server),
        Way::Out | Way::Here => (End::Server, far),
    };
    Some(Step::Arrow {
        from,
        to,
        stroke,
        label,
        detail,
    })
}

/// Whether it is a SIP message between the server and the party of the leg.
fn is_message(what: &str) -> bool {
    let first = what.split(' ').next().unwrap_or_default();
    let is_status = first.len() == 3 && first.parse::<u16>().is_ok();
    let of_text_message = what == "MESSAGE" || what.ends_with(" to MESSAGE");
    let method = [
        "INVITE",
        "ACK",
        "BYE",
        "CANCEL",
        "INFO",
        "re-INVITE",
        "REFER",
        "NOTIFY",
    ];
    !of_text_message && (is_status || method.contains(&what))
}

/// `INVITE 1000`, `180 Ringing`, `BYE`. Whom the server invites is above the lifeline.
fn message(way: Way, what: &str, detail: &str) -> (String, String) {
    let detail = match (way, what) {
        (Way::Out, "INVITE") => "",
        (_, "INVITE") => detail
            .rsplit_once(" calls ")
            .map_or(detail, |(_, called)| called),
        _ => detail,
    };
    let label = match detail {
        "" => with_phrase(what, usual_in_sip),
        _ => what.to_owned(),
    };
    (label, detail.to_owned())
}

/// A status with its usual phrase.
fn with_phrase(status: &str, usual: impl FnOnce(u16) -> Option<&'static str>) -> String {
    let phrase = status.parse().ok().and_then(usual);
    format!("{status} {}", phrase.unwrap_or_default())
        .trim_end()
        .to_owned()
}

fn usual_in_sip(status: u16) -> Option<&'static str> {
    Some(sip_proto::message::StatusCode(status).default_reason())
}

fn usual_in_http(status: u16) -> Option<&'static str> {
    let status = axum::http::StatusCode::from_u16(status).ok()?;
    status.canonical_reason()
}

/// What happened inside the server, in a sentence.
pub(crate) fn note(entry: &Entry, name_of: impl Fn(CallSid) -> Option<String>) -> Option<String> {
    let named = |sid: &str| {
        let name = sid.parse().ok().and_then(&name_of);
        name.unwrap_or_else(|| sid.to_owned())
    };
    let (what, detail) = (entry.what.as_str(), entry.detail.as_str());
    Some(match entry.lane {
        Lane::Sip => return of_sip(what, detail),
        Lane::Media => {
            let owner = entry.owner.call().map_or_else(String::new, |sid| {
                name_of(sid).unwrap_or_else(|| sid.to_string())
            });
            return match what {
                "bridge" => Some(format!("{owner} and {} are connected", named(detail))),
                "unbridge" => Some(format!("{owner} and {} are disconnected", named(detail))),
                _ => of_media(entry.way, what, detail),
            };
        }
        Lane::Rcml => of_document(what, detail),
        Lane::Room => of_room(entry.way, what, &named(detail)),
        Lane::Api => of_api(what, detail),
        Lane::Http | Lane::Fact => plain(what, detail),
    })
}

fn of_sip(what: &str, detail: &str) -> Option<String> {
    Some(match what {
        "look up" => format!("looks for {detail}"),
        "routes" => match detail {
            "1" => "found 1 address to call".to_owned(),
            "0" => "found no address to call".to_owned(),
            _ => format!("found {detail} addresses to call"),
        },
        // The response that says so is drawn.
        "refused" => return None,
        "no ACK" => "no ACK was received".to_owned(),
        "header left out" => format!("left out the header {detail}"),
        "MESSAGE" => format!("sends a text message to {detail}"),
        _ => match what.strip_suffix(" to MESSAGE") {
            Some(status) => plain(
                "the text message was answered with",
                format!("{status} {detail}").trim_end(),
            ),
            None => plain(what, detail),
        },
    })
}

fn of_media(way: Way, what: &str, detail: &str) -> Option<String> {
    Some(match (way, what) {
        // The line beside it says it.
        (Way::In, "opened" | "audio") | (Way::Here, "bridged") => return None,
        (Way::Out, "play") if detail == "beep" => "plays a beep".to_owned(),
        (Way::Out, "play") if detail.ends_with(" ms") => {
            format!("plays {} of sound", seconds(detail))
        }
        // A built-in sound.
        (Way::Out, "play") => format!("plays the {detail}"),
        (Way::Out, "stop play") => "stops playing".to_owned(),
        (Way::Out, "echo") => "sends back what the party says".to_owned(),
        (Way::Out, "stop echo") => "no longer sends it back".to_owned(),
        (Way::In, "played") => "finishes playing".to_owned(),
        (Way::Out, "speak") if detail.chars().count() < TRACED_TEXT => format!("says: {detail}"),
        (Way::Out, "speak") => format!("says: {detail}…"),
        (Way::Out, "load") => format!("fetches the sound {detail}"),
        (Way::Out, "send keys") => "sends keys".to_owned(),
        (Way::Out, "interrupt with") => {
            format!(
                "plays {} of sound instead of anything else",
                seconds(detail)
            )
        }
        (Way::Out, "interrupt with keys") => "sends keys instead of any sound".to_owned(),
        (Way::Out, "pass on a key") => "passes the key on".to_owned(),
        (Way::Out, "record") => format!("starts the recording {detail}"),
        (Way::Out, "pause record") => format!("pauses the recording {detail}"),
        (Way::Out, "resume record") => format!("continues the recording {detail}"),
        (Way::Out, "stop record") => format!("stops the recording {detail}"),
        (Way::In, "recorded") if detail.ends_with(" 0 ms") => "nothing was recorded".to_owned(),
        (Way::In, "recorded") => match detail.split_once(' ') {
            Some((sid, length)) => format!("saved {} as {sid}", seconds(length)),
            None => plain(what, detail),
        },
        (Way::In, "nothing to record") => "the caller is silent".to_owned(),
        (Way::In, "record failed") => plain("the recording failed", detail),
        (Way::Out, "detect machine") => "finds out if a machine answers".to_owned(),
        (Way::In, "answerer") => format!("hears {detail}"),
        (Way::Here, "answered by") => format!("result of machine detection: {detail}"),
        (Way::Out, "overhear") => format!("listens to what the party hears ({detail})"),
        (Way::Here, "transcription") => format!("transcribes: {detail}"),
        (Way::Out, "listen") => format!("listens for speech ({detail})"),
        (Way::Out, "end of speech") => "the speech has ended".to_owned(),
        (Way::Out, "stop listening") => "stops listening".to_owned(),
        (Way::In, "speech so far") => format!("recognized so far: {detail}"),
        (Way::In, "speech") => format!("recognized: {detail}"),
        (Way::In, "no recognizer") => "no speech recognizer is configured".to_owned(),
        (Way::In, "recognizer failed") => plain("the speech recognizer failed", detail),
        (Way::Out, "open stream") => format!("opens the stream {detail}"),
        (Way::In, "stream connected") => "the server accepted the stream".to_owned(),
        (Way::Out, "begin stream") => "the stream begins".to_owned(),
        (Way::Out, "open conversation") => format!("opens the conversation {detail}"),
        (Way::In, "conversation connected") => "the server accepted the conversation".to_owned(),
        (Way::Out, "begin conversation") => "the conversation begins".to_owned(),
        (Way::Out, "close conversation") => "closes the conversation".to_owned(),
        (Way::Out, "prompt") => format!("sends what was said: {detail}"),
        (Way::Out, "interrupt") => format!("reports an interruption {detail} of text"),
        (Way::Out, "error to the server") => format!("reports an error to the server: {detail}"),
        (Way::In, "not understood") => format!("the server's message is not understood: {detail}"),
        (Way::In, "server plays") => format!("the server plays {detail}"),
        (Way::In, "server presses keys") => "the server presses keys".to_owned(),
        (Way::In, "server changes the language") => {
            format!("the server changes the language to {detail}")
        }
        (Way::In, "server ends the conversation") => "the server ends the conversation".to_owned(),
        (Way::Here, "conversation ended") => format!("the conversation is over: {detail}"),
        (Way::Out, "close stream") => "closes the stream".to_owned(),
        (Way::Here, "stream ended") => format!("the stream is over: {detail}"),
        (Way::In, "silence") => "no more RTP is received".to_owned(),
        (Way::In, "renegotiated") if detail.is_empty() => "the audio was changed".to_owned(),
        (Way::In, "renegotiated") => plain("the audio cannot be changed", detail),
        (Way::In | Way::Here, "refused") => plain("the audio was refused", detail),
        (Way::In | Way::Here, "closed") => plain("RTP ends", detail),
        _ => plain(what, detail),
    })
}

fn of_document(what: &str, detail: &str) -> String {
    match (what, detail.rsplit_once("; ")) {
        ("transferred", _) => format!("the party is transferred to {detail}"),
        ("transfer failed", _) => format!("the transfer failed; {detail}"),
        ("key kept", _) => "a key is kept for the next <Gather>".to_owned(),
        ("<Gather> ended", Some((why, keys))) => {
            let why = match why {
                "all keys" => "all keys were pressed",
                _ => why,
            };
            let keys = match keys {
                "0 keys" => "no keys",
                "1 keys" => "1 key",
                _ => keys,
            };
            format!("{what}: {why} ({keys})")
        }
        // A place, not an explanation.
        _ if what.ends_with('>') && detail.starts_with("line ") => format!("{what}, {detail}"),
        _ => plain(what, detail),
    }
}

fn of_room(way: Way, what: &str, detail: &str) -> String {
    match (way, what) {
        (Way::Out, "join") => format!("asks to join the conference `{detail}`"),
        (Way::Out, "leave") => "leaves the conference".to_owned(),
        (Way::In, "joined") => format!("joined the conference {detail}"),
        (Way::In, "moved") => match detail {
            "talks and hears" => "talks and hears in the conference".to_owned(),
            "hears" => "only hears the conference".to_owned(),
            "waits" => "waits for the conference to start".to_owned(),
            _ => plain("the conference changed its role", detail),
        },
        (Way::In, "beep") => format!("the conference plays the {detail}"),
        (Way::Here, "pause recording") => plain("the API pauses the recording", detail),
        (Way::Here, "resume recording") => "the API continues the recording".to_owned(),
        (Way::Here, "stop recording") => "the API ends the recording".to_owned(),
        (Way::Out, "change") => "reports its new part in the conference".to_owned(),
        (Way::Out, "announced") => "the announcement is over".to_owned(),
        (Way::Out, "find the queue") => format!("looks for the queue `{detail}`"),
        (Way::Out, "enter the queue") => "asks for a place in the queue".to_owned(),
        (Way::Out, "take the first call") => "asks for the first call of the queue".to_owned(),
        (Way::Out, "ready") => "has heard what comes before the connection".to_owned(),
        (Way::Out, "leave the queue") => plain("leaves the queue or its partner", detail),
        (Way::In, "queue found") => format!("found the queue {detail}"),
        (Way::In, "no such queue") => "there is no such queue".to_owned(),
        (Way::In, "queue not available") => plain("the queue is not available", detail),
        (Way::In, "waits in the queue") => "waits in the queue now".to_owned(),
        (Way::In, "waits in the queue again") => "waits in its old place again".to_owned(),
        (Way::In, "queue full") => "the queue is full".to_owned(),
        (Way::In, "taken") => format!("is taken from the queue by {detail}"),
        (Way::In, "takes") => format!("takes {detail} from the queue"),
        (Way::In, "seeks the next call") => {
            "the call that it took has gone; waits for the next".to_owned()
        }
        (Way::In, "connected") => format!("is connected to {detail}"),
        (Way::Out, "to the other call") => detail.to_owned(),
        (Way::In, "the other call") => format!("the connected call {detail}"),
        (Way::Out, "asks for the other party") => {
            format!("asks {detail} for the party that it is connected to")
        }
        (Way::In, "asked to hand over") => format!("{detail} asks for the connected party"),
        (Way::Out, "hand-over") => match detail {
            "agreed" => "hands the connected party over".to_owned(),
            _ => "has no party to hand over".to_owned(),
        },
        (Way::In, "hand-over") => match detail {
            "agreed" => "the other call hands its party over".to_owned(),
            _ => "the other call has no party to hand over".to_owned(),
        },
        (Way::In, "parted") => plain("the other one has left", detail),
        (Way::In, "refused") => plain("the conference refused the call", detail),
        (Way::In, "conference over") => plain("the conference is over", detail),
        _ => plain(what, detail),
    }
}

fn of_api(what: &str, detail: &str) -> String {
    match what {
        "complete" => "the API ends the call".to_owned(),
        "cancel" => "the API cancels the call".to_owned(),
        "redirect" => format!("the API redirects the call to {detail}"),
        "participant" => format!("the API changes its part in the conference: {detail}"),
        "record" => format!("the API records the call ({detail})"),
        "pause recording" => plain("the API pauses the recording", detail),
        "resume recording" => "the API continues the recording".to_owned(),
        "stop recording" => "the API ends the recording".to_owned(),
        "refused" => plain("the change by the API was refused", detail),
        "shutdown" => "the server shuts down".to_owned(),
        "say" => "the API says something to the call".to_owned(),
        "play" => "the API plays a sound to the call".to_owned(),
        "press keys" => "the API presses keys".to_owned(),
        _ => plain(what, detail),
    }
}

fn plain(what: &str, detail: &str) -> String {
    if detail.is_empty() {
        what.to_owned()
    } else {
        format!("{what}: {detail}")
    }
}

/// `2.6 s` for `2648 ms`.
fn seconds(milliseconds: &str) -> String {
    let number = milliseconds.strip_suffix(" ms").map(str::parse::<u32>);
    match number {
        Some(Ok(number)) => format!("{:.1} s", f64::from(number) / 1000.0),
        _ => milliseconds.to_owned(),
    }
}

/// `(telephone-event)` for `by telephone-event`.
fn in_brackets(way: &str) -> String {
    format!("({})", way.strip_prefix("by ").unwrap_or(way))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use super::*;
    use model::Timestamp;

    /// The lines of a step, without a picture.
    fn said(lane: Lane, way: Way, what: &str, detail: &str, party: usize) -> String {
        let sid = |n| CallSid::from_bytes([n; 16]);
        let entry = Entry {
            at: Timestamp(0),
            owner: sid(u8::try_from(party).unwrap()).into(),
            lane,
            way,
            what: what.to_owned(),
            detail: detail.replace("ANN", &sid(1).to_string()),
        };
        let name = |leg: CallSid| Some(["kim", "ann"][usize::from(leg.as_bytes()[0])].to_owned());
        match step(&entry, party, name) {
            None => "-".to_owned(),
            Some(Step::Note(text)) => text,
            Some(Step::Arrow {
                from,
                to,
                stroke,
                label,
                detail,
            }) => {
                let text = format!("{from:?} {stroke:?} {to:?}: {label} {detail}");
                text.trim_end().to_owned()
            }
        }
    }

    /// What of the trace is shown as it is; errors and warnings without their numbers.
    const AS_IT_IS: &[(Lane, Way, &str)] = &[
        (Lane::Sip, Way::In, "lost"),
        (Lane::Sip, Way::Out, "takes over"),
        (Lane::Sip, Way::Here, "lost"),
        (Lane::Http, Way::In, "error"),
        (Lane::Rcml, Way::Here, "<Dial> ended"),
        (Lane::Rcml, Way::Here, "<Enqueue> ended"),
        (Lane::Rcml, Way::Here, "<Play>"),
        (Lane::Rcml, Way::Here, "<Email> not sent"),
        (Lane::Rcml, Way::Here, "e-mail queued"),
        (Lane::Rcml, Way::Here, "<Record> ended"),
        (Lane::Rcml, Way::Here, "<Refer> ended"),
        (Lane::Rcml, Way::Here, "attended transfer"),
        (Lane::Rcml, Way::Here, "connection ended"),
        (Lane::Rcml, Way::Here, "end of document"),
        (Lane::Rcml, Way::Here, "error"),
        (Lane::Rcml, Way::Here, "key dropped"),
        (Lane::Rcml, Way::Here, "key ignored"),
        (Lane::Rcml, Way::Here, "kept keys dropped"),
        (Lane::Rcml, Way::Here, "warning"),
        (Lane::Media, Way::In, "error"),
        (Lane::Room, Way::Here, "conference ended"),
        (Lane::Room, Way::Here, "conference started"),
        (Lane::Room, Way::Here, "joined"),
        (Lane::Room, Way::Here, "left"),
        (Lane::Room, Way::Here, "recording closed"),
        (Lane::Room, Way::Here, "recording started"),
        (Lane::Room, Way::Here, "refused"),
    ];

    /// Answers nothing: everything is in the scripts.
    struct Nobody;

    impl rehearse::Application for Nobody {
        fn document(
            &mut self,
            asked: &rehearse::Asked,
        ) -> Result<call_proto::Fetched, call_proto::FetchFailure> {
            panic!("{} is no page of the script", asked.url);
        }

        fn sound(&mut self, _: CallSid, url: &str) -> Result<Option<Duration>, String> {
            panic!("{url} is not in the script");
        }

        fn callback(&mut self, _: &rehearse::Asked) {}
    }

    /// Rehearses the conformance cases, which have every verb.
    #[test]
    fn every_word_of_a_trace_is_known() {
        let cases = concat!(env!("CARGO_MANIFEST_DIR"), "/../rehearse/tests/cases");
        let (mut verbs, mut shown) = (BTreeSet::new(), BTreeSet::new());
        for file in std::fs::read_dir(cases).unwrap() {
            let file = file.unwrap().path();
            let is_script = file.extension().is_some_and(|kind| kind == "yaml");
            if !is_script {
                continue;
            }
            let script = std::fs::read_to_string(&file).unwrap();
            let script = rehearse::Script::parse(&script).unwrap();
            for entry in rehearse::run(&script, &mut Nobody).trace {
                if entry.lane == Lane::Rcml && entry.what.ends_with('>') {
                    verbs.insert(entry.what.clone());
                }
                let as_it_is = plain(&entry.what, &entry.detail);
                if arrow(&entry, 0).is_none() && note(&entry, |_| None) == Some(as_it_is) {
                    let what = entry.what.trim_end_matches(|c: char| c.is_ascii_digit());
                    shown.insert((entry.lane, entry.way, what.trim_end().to_owned()));
                }
            }
        }
        let unknown: Vec<_> = shown
            .iter()
            .filter(|(lane, way, what)| !AS_IT_IS.contains(&(*lane, *way, what.as_str())))
            .collect();
        assert!(unknown.is_empty(), "{unknown:?}");
        let verbs: Vec<&str> = verbs.iter().map(String::as_str).collect();
        let expected = [
            "<Connect>",
            "<Dial>",
            "<Echo>",
            "<Email>",
            "<Enqueue>",
            "<Gather>",
            "<Hangup>",
            "<Leave>",
            "<Pause>",
            "<Play>",
            "<Record>",
            "<Redirect>",
            "<Refer>",
            "<Reject>",
            "<Say>",
            "<Sms>",
            "<Start>",
            "<Stop>",
        ];
        assert_eq!(verbs, expected);
    }

    #[test]
    fn messages_become_arrows() {
        use Lane::{Http, Media, Sip};
        use Way::{In, Out};
        let table = [
            (
                Sip,
                In,
                "INVITE",
                "kim calls 1000",
                "Party(0) Message Server: INVITE 1000",
            ),
            (
                Sip,
                Out,
                "INVITE",
                "sip:ann@10.0.0.1",
                "Server Message Party(0): INVITE",
            ),
            (Sip, Out, "180", "", "Server Message Party(0): 180 Ringing"),
            (Sip, In, "486", "", "Party(0) Message Server: 486 Busy Here"),
            (
                Sip,
                In,
                "487",
                "",
                "Party(0) Message Server: 487 Request Terminated",
            ),
            (
                Http,
                In,
                "500",
                "",
                "Application Message Server: 500 Internal Server Error",
            ),
            (
                Sip,
                In,
                "486",
                "Not Now",
                "Party(0) Message Server: 486 Not Now",
            ),
            (
                Sip,
                In,
                "200 to BYE",
                "",
                "Party(0) Message Server: 200 to BYE",
            ),
            (Sip, In, "BYE", "", "Party(0) Message Server: BYE"),
            (Sip, In, "no ACK", "", "no ACK was received"),
            (
                Http,
                Out,
                "POST http://app/v",
                "",
                "Server Message Application: POST http://app/v",
            ),
            (
                Http,
                In,
                "200",
                "http://app/v",
                "Application Message Server: 200 OK",
            ),
            (Http, In, "error 11205", "refused", "error 11205: refused"),
            (
                Media,
                In,
                "first packet",
                "",
                "Party(0) Stream Server: RTP begins",
            ),
            (
                Media,
                In,
                "key",
                "by tone",
                "Party(0) Stream Server: key (tone)",
            ),
        ];
        for (lane, way, what, detail, expected) in table {
            assert_eq!(said(lane, way, what, detail, 0), expected, "{what}");
        }
    }

    #[test]
    fn the_rest_is_told_in_plain_words() {
        use Lane::{Api, Fact, Media, Rcml, Room, Sip};
        use Way::{Here, In, Out};
        let table = [
            (Sip, Out, "look up", "client ann", "looks for client ann"),
            (Sip, In, "routes", "0", "found no address to call"),
            (Sip, In, "routes", "2", "found 2 addresses to call"),
            (Sip, Here, "refused", "Busy", "-"),
            (
                Sip,
                In,
                "202 to MESSAGE",
                "",
                "the text message was answered with: 202",
            ),
            (Media, In, "opened", "", "-"),
            (Media, Out, "play", "2648 ms", "plays 2.6 s of sound"),
            (Media, Out, "play", "ring tone", "plays the ring tone"),
            (Media, Out, "play", "beep", "plays a beep"),
            (Media, Out, "bridge", "ANN", "kim and ann are connected"),
            (Media, In, "recorded", "RE1 1250 ms", "saved 1.2 s as RE1"),
            (Media, In, "recorded", "RE1 0 ms", "nothing was recorded"),
            (
                Media,
                Here,
                "stream ended",
                "MZ1 the call ended",
                "the stream is over: MZ1 the call ended",
            ),
            (Media, Out, "echo", "", "sends back what the party says"),
            (
                Rcml,
                Here,
                "key kept",
                "no verb takes it",
                "a key is kept for the next <Gather>",
            ),
            (Rcml, Here, "<Dial>", "line 2", "<Dial>, line 2"),
            (Rcml, Here, "<Dial> ended", "busy", "<Dial> ended: busy"),
            (
                Rcml,
                Here,
                "<Gather> ended",
                "all keys; 1 keys",
                "<Gather> ended: all keys were pressed (1 key)",
            ),
            (
                Rcml,
                Here,
                "<Gather> ended",
                "time is up; 0 keys",
                "<Gather> ended: time is up (no keys)",
            ),
            (
                Rcml,
                Here,
                "error 11205",
                "no response",
                "error 11205: no response",
            ),
            (
                Room,
                Out,
                "join",
                "team",
                "asks to join the conference `team`",
            ),
            (
                Room,
                In,
                "moved",
                "waits",
                "waits for the conference to start",
            ),
            (Api, Here, "complete", "", "the API ends the call"),
            (
                Api,
                Here,
                "record",
                "mixed",
                "the API records the call (mixed)",
            ),
            (
                Api,
                Here,
                "pause recording",
                "skip",
                "the API pauses the recording: skip",
            ),
            (
                Media,
                Out,
                "resume record",
                "RE1",
                "continues the recording RE1",
            ),
            (
                Api,
                Here,
                "participant",
                "mute",
                "the API changes its part in the conference: mute",
            ),
            (
                Room,
                In,
                "beep",
                "exit tone",
                "the conference plays the exit tone",
            ),
            (
                Fact,
                Here,
                "internal failure",
                "why",
                "internal failure: why",
            ),
        ];
        for (lane, way, what, detail, expected) in table {
            assert_eq!(said(lane, way, what, detail, 0), expected, "{what}");
        }
        // All but the first party are named.
        assert_eq!(said(Media, Out, "stop play", "", 1), "ann: stops playing");
    }
}
