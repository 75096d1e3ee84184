//! The ladder of the call: four lifelines, time going down.
//!
//! SIP as seen by the phones, HTTP as seen by the application, internal steps from the server's own
//! trace. Never wider than [`WIDTH`].

use std::time::{Duration, SystemTime};

use call_proto::{Entry, Lane, Way};
use phone::{Heard, Seen};

use super::app::Request;

/// Columns of text.
const WIDTH: usize = 100;
/// Where the lifelines of alice, the server, bob and the application are.
const LINES: [usize; 4] = [13, 42, 71, 94];
const NAMES: [&str; 4] = ["alice", "patchcord", "bob", "application"];
const ALICE: usize = 0;
const SERVER: usize = 1;
const BOB: usize = 2;
const APP: usize = 3;

const DIM: &str = "\x1b[2m";
const BOLD: &str = "\x1b[1m";
const PLAIN: &str = "\x1b[0m";

enum Step {
    /// A message from one lifeline to another.
    Arrow {
        from: usize,
        to: usize,
        stroke: char,
        text: String,
    },
    /// An event inside the server.
    Note(String),
}

/// The ladder under construction.
pub(super) struct Ladder {
    start: SystemTime,
    steps: Vec<(SystemTime, Step)>,
}

impl Ladder {
    /// Events before `start` are omitted.
    pub(super) fn new(start: SystemTime) -> Self {
        Self {
            start,
            steps: Vec::new(),
        }
    }

    /// The SIP messages of alice's (0) or bob's (1) phone.
    pub(super) fn add_sip(&mut self, phone: usize, seen: &[Seen]) {
        for message in seen {
            let line = message.text.lines().next().unwrap_or_default();
            self.arrow(message.at, phone, message.sent, '-', sip_text(line));
        }
    }

    /// The streams between alice (0) or bob (1) and the server, at their first packets.
    pub(super) fn add_rtp(&mut self, phone: usize, tone_hz: f64, heard: &[Heard; 2]) {
        let Heard {
            sent,
            received,
            first_sent,
            first_received,
            ..
        } = heard[phone];
        if let Some(at) = first_sent {
            self.arrow(
                at,
                phone,
                true,
                '=',
                format!("RTP {sent} packets {tone_hz} Hz"),
            );
        }
        if let Some(at) = first_received {
            self.arrow(at, phone, false, '=', format!("RTP {received} packets"));
        }
    }

    fn arrow(&mut self, at: SystemTime, phone: usize, sent: bool, stroke: char, text: String) {
        let end = if phone == 0 { ALICE } else { BOB };
        let (from, to) = if sent { (end, SERVER) } else { (SERVER, end) };
        self.steps.push((
            at,
            Step::Arrow {
                from,
                to,
                stroke,
                text,
            },
        ));
    }

    /// The requests to the application, and its answers.
    pub(super) fn add_http(&mut self, requests: &[Request]) {
        let arrow = |from, to, text| Step::Arrow {
            from,
            to,
            stroke: '-',
            text,
        };
        for request in requests {
            let told = ["CallStatus", "DialCallStatus"]
                .into_iter()
                .filter_map(|name| Some(format!(" {name}={}", request.param(name)?)));
            let asked = format!("POST {}{}", request.path, told.collect::<String>());
            self.steps.push((request.at, arrow(SERVER, APP, asked)));
            let answer = format!("200 {}", request.document);
            self.steps
                .push((request.answered, arrow(APP, SERVER, answer)));
        }
    }

    /// The server's internal steps: documents and sound. `name_of` maps a SID to the name of its
    /// leg.
    pub(super) fn add_trace(
        &mut self,
        entries: &[Entry],
        name_of: impl Fn(&str) -> Option<String>,
    ) {
        for entry in entries {
            let shown = match entry.lane {
                Lane::Rcml | Lane::Room | Lane::Api => true,
                Lane::Media => entry.way == Way::Out,
                Lane::Sip | Lane::Http | Lane::Fact => false,
            };
            if shown {
                let at = Duration::from_micros(u64::try_from(entry.at.0).unwrap_or(0));
                let detail = name_of(&entry.detail).unwrap_or_else(|| entry.detail.clone());
                let text = note_text(entry, &detail);
                self.steps
                    .push((SystemTime::UNIX_EPOCH + at, Step::Note(text)));
            }
        }
    }

    /// The drawing.
    pub(super) fn draw(&self, colours: bool) -> String {
        let mut steps: Vec<_> = self
            .steps
            .iter()
            .filter(|(at, _)| *at >= self.start)
            .collect();
        steps.sort_by_key(|(at, _)| *at);
        let mut out = heading(colours);
        for (at, step) in steps {
            let time = at.duration_since(self.start).unwrap_or_default();
            let time = format!("{:>9.3}", time.as_secs_f64());
            out.push_str(&coloured(&time, DIM, colours));
            let row = row(step);
            out.push_str(row.get(time.len()..).unwrap_or_default().trim_end());
            out.push('\n');
        }
        out
    }
}

fn heading(colours: bool) -> String {
    let mut row = Row::new();
    row.write(2, "seconds");
    for (name, line) in NAMES.iter().zip(LINES) {
        let left = line.saturating_sub(name.len() / 2).min(WIDTH - name.len());
        row.write(left, name);
    }
    coloured(row.text().trim_end(), BOLD, colours) + "\n"
}

fn coloured(text: &str, colour: &str, colours: bool) -> String {
    if colours {
        format!("{colour}{text}{PLAIN}")
    } else {
        text.to_owned()
    }
}

fn row(step: &Step) -> String {
    let mut row = Row::new();
    for line in LINES {
        row.write(line, "|");
    }
    match step {
        Step::Note(text) => row.write(
            LINES[SERVER] + 2,
            &cut(text, LINES[APP] - LINES[SERVER] - 3),
        ),
        Step::Arrow {
            from,
            to,
            stroke,
            text,
        } => {
            let (left, right) = (LINES[*from.min(to)] + 1, LINES[*from.max(to)]);
            let stem = stroke.to_string().repeat(right - left);
            row.write(left, &stem);
            let label = cut(text, right - left - 5);
            let spare = right - left - label.chars().count() - 2;
            // The side with the arrow head gets the longer half.
            let inset = if from < to {
                spare / 2
            } else {
                spare.div_ceil(2)
            };
            row.write(left + inset, &format!(" {label} "));
            if from < to {
                row.write(right - 1, ">");
            } else {
                row.write(left, "<");
            }
        }
    }
    row.text()
}

/// One line of the drawing.
struct Row(Vec<char>);

impl Row {
    fn new() -> Self {
        Self(vec![' '; WIDTH])
    }

    fn write(&mut self, at: usize, text: &str) {
        for (cell, c) in self.0.iter_mut().skip(at).zip(text.chars()) {
            *cell = c;
        }
    }

    fn text(&self) -> String {
        self.0.iter().collect()
    }
}

/// `INVITE +1000`, `BYE`, `180 Ringing`.
fn sip_text(start_line: &str) -> String {
    if let Some(status) = start_line.strip_prefix("SIP/2.0 ") {
        return status.to_owned();
    }
    let mut words = start_line.split(' ');
    let (method, uri) = (
        words.next().unwrap_or_default(),
        words.next().unwrap_or_default(),
    );
    if method != "INVITE" {
        return method.to_owned();
    }
    let user = uri.split_once(':').map_or(uri, |(_, rest)| rest);
    let user = user.split('@').next().unwrap_or_default();
    format!("{method} {user}")
}

fn note_text(entry: &Entry, detail: &str) -> String {
    let part = match entry.lane {
        Lane::Media => "audio: ",
        Lane::Sip | Lane::Http | Lane::Rcml | Lane::Room | Lane::Fact | Lane::Api => "",
    };
    let text = format!("{part}{} {detail}", entry.what);
    text.trim_end().to_owned()
}

fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(width.saturating_sub(1)).collect();
    short.push('…');
    short
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use model::{CallSid, Timestamp};

    const PICTURE: &str = "  seconds  \
alice                      patchcord                       bob                application
    0.000    |------- INVITE +1000 ------>|                            |                      |
    0.002    |<------- 100 Trying --------|                            |                      |
    0.010    |                            |--------- POST /voice CallStatus=ringing --------->|
    0.011    |                            |<- 200 <Response><Dial><Client>bob</Client></Dia… -|
    0.020    |                            | audio: bridge bob          |                      |
    0.030    |                            |-------- INVITE bob ------->|                      |
    0.031    |                            |<------- 180 Ringing -------|                      |
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
        let mut ladder = Ladder::new(start);
        ladder.add_sip(
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
        ladder.add_sip(
            1,
            &[
                seen(30, false, "INVITE sip:bob@127.0.0.1:4 SIP/2.0"),
                seen(31, true, "SIP/2.0 180 Ringing"),
            ],
        );
        ladder.add_http(&[Request {
            at: at(10),
            answered: at(11),
            path: "/voice".to_owned(),
            params: vec![("CallStatus".to_owned(), "ringing".to_owned())],
            document: "<Response><Dial><Client>bob</Client></Dial></Response>".to_owned(),
        }]);
        ladder.add_trace(
            &[Entry {
                at: Timestamp(100_020_000),
                owner: CallSid::from_bytes([1; 16]).into(),
                lane: Lane::Media,
                way: Way::Out,
                what: "bridge".to_owned(),
                detail: "CA2".to_owned(),
            }],
            |sid| (sid == "CA2").then(|| "bob".to_owned()),
        );
        let drawn = ladder.draw(false);
        assert_eq!(drawn, PICTURE, "{drawn}");
        assert!(drawn.lines().all(|line| line.chars().count() <= WIDTH));
        assert!(ladder.draw(true).contains(BOLD));
    }
}
