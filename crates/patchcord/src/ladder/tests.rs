//! The picture of a trace.

use call_proto::Way;

use super::*;

const PLAIN_80: Style = Style {
    width: 80,
    colours: false,
};

fn entry(ms: i64, leg: u8, lane: Lane, way: Way, what: &str, detail: &str) -> Entry {
    Entry {
        at: Timestamp(1_000_000 + ms * 1_000),
        owner: CallSid::from_bytes([leg; 16]).into(),
        lane,
        way,
        what: what.to_owned(),
        detail: detail.to_owned(),
    }
}

fn name(sid: CallSid) -> String {
    let number = sid.as_bytes()[0];
    ["kim", "ann", "bob", "carol", "dave", "eve"][usize::from(number)].to_owned()
}

const PICTURE: &str = "  seconds   \
kim              patchcord              ann              application
    0.000    |--- INVITE 1000 -->|                   |                    |
    0.020    |                   |------ POST http://app.example/v ------>|
    0.030    |                   | error 11205: Connection refused; check |
             |                   |   that the web server runs             |
    0.040    |                   |----- INVITE ----->|                    |
    0.050    |                   |<-- 180 Ringing ---|                    |
    0.060    |                   | ann: stops playing|                    |
";

#[test]
fn each_party_has_a_lifeline_and_a_failure_is_told_once() {
    let failure = "Connection refused; check that the web server runs";
    let entries = [
        entry(0, 0, Lane::Sip, Way::In, "INVITE", "kim calls 1000"),
        entry(20, 0, Lane::Http, Way::Out, "POST http://app.example/v", ""),
        entry(30, 0, Lane::Http, Way::In, "error 11205", failure),
        entry(30, 0, Lane::Rcml, Way::Here, "error 11205", failure),
        entry(40, 1, Lane::Sip, Way::Out, "INVITE", "sip:ann@10.0.0.1"),
        entry(50, 1, Lane::Sip, Way::In, "180", ""),
        entry(60, 1, Lane::Media, Way::Out, "stop play", ""),
    ];
    let drawn = draw(&entries, name, PLAIN_80);
    assert_eq!(drawn, PICTURE, "\n{drawn}");
    let coloured = Style {
        colours: true,
        ..PLAIN_80
    };
    assert!(draw(&entries, name, coloured).contains(BOLD));
    assert_eq!(draw(&[], name, PLAIN_80), "");
}

#[test]
fn a_stranger_cannot_write_to_the_terminal() {
    let entries = [
        entry(0, 0, Lane::Sip, Way::In, "INVITE", "kim calls 1\x1b[2J"),
        entry(1, 0, Lane::Sip, Way::In, "486", "No\u{9b}1m"),
        entry(2, 0, Lane::Rcml, Way::Here, "\x07", "\x1b]0;"),
    ];
    let drawn = draw(&entries, |_| "k\x1bm\n".to_owned(), PLAIN_80);
    let controls: Vec<char> = drawn.chars().filter(|c| c.is_control()).collect();
    assert_eq!(controls, ['\n'; 4], "{drawn:?}");
    assert!(drawn.contains("k\u{fffd}m"), "{drawn:?}");
}

#[test]
fn wide_characters_leave_the_lifelines_where_they_are() {
    let entries = [
        entry(0, 0, Lane::Sip, Way::In, "INVITE", "山田太郎 calls 1"),
        entry(1, 0, Lane::Media, Way::Out, "speak", "もしもし、こんにちは"),
        entry(2, 0, Lane::Sip, Way::In, "486", "Busy"),
    ];
    let drawn = draw(&entries, |_| "山田".to_owned(), PLAIN_80);
    let columns = |line: &str| {
        let bars = line.char_indices().filter(|(_, c)| *c == '|');
        bars.map(|(at, _)| width(&line[..at])).collect::<Vec<_>>()
    };
    let arrows: Vec<_> = drawn.lines().skip(1).map(columns).collect();
    let first: Vec<_> = arrows.iter().filter_map(|bars| bars.first()).collect();
    assert!(first.windows(2).all(|pair| pair[0] == pair[1]), "{drawn}");
    assert!(drawn.contains("もしもし"), "{drawn}");
}

#[test]
fn no_line_is_too_wide_and_no_text_is_lost() {
    let words = "a sentence with https://example.org/a/very/long/address/that/fits/into/no/line/at/all/of/them at its end";
    for width in MIN_WIDTH..=MAX_WIDTH {
        for legs in 1..=6 {
            let mut entries = Vec::new();
            for leg in 0..legs {
                entries.push(entry(
                    0,
                    leg,
                    Lane::Sip,
                    Way::Out,
                    "INVITE",
                    "sip:a.long.name.of.a.phone@x",
                ));
                entries.push(entry(0, leg, Lane::Sip, Way::In, "486", words));
                entries.push(entry(0, leg, Lane::Media, Way::Out, "speak", words));
                entries.push(entry(0, leg, Lane::Http, Way::Out, words, ""));
            }
            let style = Style {
                width,
                colours: false,
            };
            let drawn = draw(&entries, name, style);
            let widest = drawn.lines().map(screen::width).max();
            assert!(widest <= Some(width), "{width}, {legs} legs\n{drawn}");
            let text: String = drawn
                .chars()
                .filter(|c| !c.is_whitespace() && !"|-<>".contains(*c))
                .collect();
            let letters = words.replace([' ', '-'], "");
            let found = text.matches(&letters).count();
            // As a phrase, as speech and as a request.
            assert!(
                found >= 3 * usize::from(legs),
                "{width}, {legs} legs: {found}\n{drawn}"
            );
        }
    }
}

#[test]
fn parties_share_a_lifeline_if_there_is_no_room_for_each() {
    let mut entries = vec![entry(0, 0, Lane::Sip, Way::In, "INVITE", "kim calls 1")];
    for leg in 1..=5 {
        entries.push(entry(10, leg, Lane::Sip, Way::In, "200", ""));
    }
    let drawn = draw(&entries, name, PLAIN_80);
    assert!(drawn.contains("5 parties"), "{drawn}");
    assert!(drawn.contains("|<--- bob: 200 OK ---|"), "{drawn}");
    let two = draw(&entries[..3], name, PLAIN_80);
    assert!(two.contains("ann") && !two.contains("parties"), "{two}");
}
