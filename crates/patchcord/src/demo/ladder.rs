//! What the ladder of the demo consists of.
//!
//! SIP as the phones saw it, HTTP as the application saw it, steps inside from the server's own trace.

use std::time::{Duration, SystemTime};

use call_proto::{Entry, Lane, Way};
use model::{CallSid, Timestamp};
use phone::{Heard, Seen};

use super::NAMES;
use super::app::Request;
use crate::ladder::{End, Ladder, Step, Stroke, Style, note};

/// The ladder being collected.
pub(super) struct Story {
    start: SystemTime,
    ladder: Ladder,
}

impl Story {
    /// What happened before `start` is left out.
    pub(super) fn new(start: SystemTime) -> Self {
        Self {
            start,
            ladder: Ladder::new(NAMES.map(str::to_owned).to_vec()),
        }
    }

    /// The SIP messages of alice's (0) or bob's (1) phone.
    pub(super) fn add_sip(&mut self, phone: usize, seen: &[Seen]) {
        for message in seen {
            let line = message.text.lines().next().unwrap_or_default();
            let (label, detail) = sip_text(line);
            let stroke = Stroke::Message;
            self.arrow(message.at, phone, message.sent, stroke, label, detail);
        }
    }

    /// The streams between alice (0) or bob (1) and the server, at their first packets.
    pub(super) fn add_rtp(&mut self, phone: usize, heard: &[Heard; 2]) {
        let Heard {
            sent,
            received,
            first_sent,
            first_received,
            ..
        } = heard[phone];
        let stroke = Stroke::Stream;
        if let Some(at) = first_sent {
            let label = format!("RTP {sent} packets");
            self.arrow(at, phone, true, stroke, label, String::new());
        }
        if let Some(at) = first_received {
            let label = format!("RTP {received} packets");
            self.arrow(at, phone, false, stroke, label, String::new());
        }
    }

    fn arrow(
        &mut self,
        at: SystemTime,
        phone: usize,
        sent: bool,
        stroke: Stroke,
        label: String,
        detail: String,
    ) {
        let end = End::Party(phone);
        let (from, to) = if sent {
            (end, End::Server)
        } else {
            (End::Server, end)
        };
        let step = Step::Arrow {
            from,
            to,
            stroke,
            label,
            detail,
        };
        self.ladder.add(moment(at), step);
    }

    /// The requests to the application, and its answers.
    pub(super) fn add_http(&mut self, requests: &[Request]) {
        let arrow = |from, to, label, detail| Step::Arrow {
            from,
            to,
            stroke: Stroke::Message,
            label,
            detail,
        };
        for request in requests {
            let told: Vec<String> = ["CallStatus", "DialCallStatus"]
                .into_iter()
                .filter_map(|name| Some(format!("{name}={}", request.param(name)?)))
                .collect();
            let label = format!("POST {}", request.path);
            let asked = arrow(End::Server, End::Application, label, told.join(" "));
            self.ladder.add(moment(request.at), asked);
            let (label, document) = ("200 OK".to_owned(), request.document.clone());
            let answer = arrow(End::Application, End::Server, label, document);
            self.ladder.add(moment(request.answered), answer);
        }
    }

    /// What the server did inside: documents and sound.
    pub(super) fn add_trace(
        &mut self,
        entries: &[Entry],
        name_of: impl Fn(CallSid) -> Option<String>,
    ) {
        for entry in entries {
            let shown = match entry.lane {
                Lane::Rcml | Lane::Room | Lane::Api | Lane::Fact => true,
                Lane::Media => entry.way == Way::Out,
                Lane::Sip | Lane::Http => false,
            };
            if let Some(text) = note(entry, &name_of).filter(|_| shown) {
                self.ladder.add(entry.at, Step::Note(text));
            }
        }
    }

    /// The picture.
    pub(super) fn draw(self, style: Style) -> String {
        self.ladder.draw(moment(self.start), style)
    }
}

fn moment(at: SystemTime) -> Timestamp {
    let since_1970 = at.duration_since(SystemTime::UNIX_EPOCH);
    Timestamp::from_unix(since_1970.unwrap_or(Duration::ZERO))
}

/// `INVITE` and `+1000`, `BYE`, `180` and `Ringing`.
fn sip_text(start_line: &str) -> (String, String) {
    let response = start_line.strip_prefix("SIP/2.0 ");
    let (first, rest) = response
        .unwrap_or(start_line)
        .split_once(' ')
        .unwrap_or((start_line, ""));
    let detail = match first {
        _ if response.is_some() => rest,
        "INVITE" => user_of(rest.split(' ').next().unwrap_or_default()),
        _ => "",
    };
    (first.to_owned(), detail.to_owned())
}

/// `bob` of `sip:bob@host`.
fn user_of(uri: &str) -> &str {
    let rest = uri.split_once(':').map_or(uri, |(_, rest)| rest);
    rest.split('@').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    const PICTURE: &str = "  seconds  \
alice                    patchcord                     bob                    application
    0.000    |------ INVITE +1000 ----->|                          |                          |
    0.002    |<------ 100 Trying -------|                          |                          |
    0.010    |                          |---------- POST /voice CallStatus=ringing ---------->|
    0.011    |                          |<---------------------- 200 OK ----------------------|
             |                          | <Response><Dial><Client>bob</Client></Dial></Resp   |
             |                          |   onse>                  |                          |
    0.020    |                          | alice and bob are connected                         |
    0.030    |                          |------- INVITE bob ------>|                          |
    0.031    |                          |<------ 180 Ringing ------|                          |
";

    #[test]
    fn the_picture() {
        let start = SystemTime::UNIX_EPOCH + Duration::from_secs(100);
        let at = |ms: u64| start + Duration::from_millis(ms);
        let seen = |ms, sent, text: &str| Seen {
            at: at(ms),
            sent,
            peer: SocketAddr::from(([127, 0, 0, 1], 5060)),
            text: format!("{text}\r\nVia: x\r\n\r\n"),
        };
        let mut story = Story::new(start);
        story.add_sip(
            0,
            &[
                Seen {
                    at: start - Duration::from_secs(1),
                    ..seen(0, true, "REGISTER sip:x SIP/2.0")
                },
                seen(0, true, "INVITE sip:+1000@patchcord SIP/2.0"),
                seen(2, false, "SIP/2.0 100 Trying"),
            ],
        );
        story.add_sip(
            1,
            &[
                seen(30, false, "INVITE sip:bob@127.0.0.1:4 SIP/2.0"),
                seen(31, true, "SIP/2.0 180 Ringing"),
            ],
        );
        story.add_http(&[Request {
            at: at(10),
            answered: at(11),
            path: "/voice".to_owned(),
            params: vec![("CallStatus".to_owned(), "ringing".to_owned())],
            document: "<Response><Dial><Client>bob</Client></Dial></Response>".to_owned(),
        }]);
        let sid = |n| CallSid::from_bytes([n; 16]);
        story.add_trace(
            &[Entry {
                at: Timestamp(100_020_000),
                owner: sid(0).into(),
                lane: Lane::Media,
                way: Way::Out,
                what: "bridge".to_owned(),
                detail: sid(1).to_string(),
            }],
            |sid| Some(NAMES[usize::from(sid.as_bytes()[0])].to_owned()),
        );
        let drawn = story.draw(Style::FILE);
        assert_eq!(drawn, PICTURE, "\n{drawn}");
    }
}
