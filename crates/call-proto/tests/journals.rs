//! Journals recorded by earlier versions still replay identically.
//!
//! **Invariant: a change that does not affect the behaviour of a kind of call does not affect its
//! journals.** `journals/README.md` explains them and what to do after an intended change.

use std::io::Read as _;
use std::path::Path;

use call_proto::journal::{self, Line, Verdict};
use flate2::read::GzDecoder;
use regex_lite::Regex;

/// The files in `journals/`, and how many journals each of them holds.
const SOURCES: [(&str, usize); 3] = [("random", 149), ("rehearsals", 35), ("server", 16)];

/// Parts of commands that are written differently now although they mean the same: the recorded
/// form, as a regular expression, and today's form.
const RENAMED: [(&str, &str); 15] = [
    (
        "` is no verb; it was skipped",
        "` is not a verb; it was skipped",
    ),
    (
        "the content type `([^`]*)` is no document",
        "the application answered with `${1}`, which is not a document; send `text/xml`",
    ),
    (
        "the answer has no content type",
        "the response has no content type",
    ),
    ("` names nobody to call", "` does not name a party to call"),
    (
        "only one element, with everything inside, makes a document",
        "this is text, not XML; send XML that begins with `<Response>`",
    ),
    (
        "`Reject` refuses nobody: the call is answered for (`[A-Za-z]+` in line [0-9]+)",
        "`Reject` has no effect: ${1} has already answered the call",
    ),
    ("(in line [0-9]+) has no end", "${1} never ends"),
    (r"\bin line ([0-9]+)", "on line ${1}"),
    ("redirect in a circle", "redirect in a loop"),
    (" was not taken: ", " was not accepted: "),
    ("speech was not recognised: ", "speech was not recognized: "),
    (
        "level: 1, code: (12200|12202|12204|12300),",
        "level: 0, code: ${1},",
    ),
    ("sound: Ringback,", r#"sound: Ringback(RingTone("us")),"#),
    (
        r"Record \{ recording: (\w+), with: Some\(\w+\) \}",
        "Record { recording: ${1}, sides: Mixed, trim: false }",
    ),
    (
        r"(Leg \{ event_names: (true|false), recording: (None|Some\(LegRecording \{[^{}]*\}\))) \}",
        "${1}, others: 0 }",
    ),
];

/// A recorded journal, with a JSON text for each of its lines.
struct Kept {
    name: String,
    lines: Vec<String>,
}

#[test]
fn every_kept_journal_replays_identically() {
    let mut differing = Vec::new();
    for (source, count) in SOURCES {
        let kept = read(source);
        assert_eq!(kept.len(), count, "journals of {source}");
        for journal in kept {
            if let Err(difference) = replay(&journal.lines) {
                differing.push(format!("{source}, {}: {difference}", journal.name));
            }
        }
    }
    let count = differing.len();
    assert!(count == 0, "{count} differ:\n{}", differing.join("\n"));
}

/// Journals are corrupted in several ways, and each time the replay notices.
#[test]
fn a_spoilt_journal_is_noticed() {
    for (source, _) in SOURCES {
        let text = unpacked(source);
        let (but_one, _) = text.trim_end().rsplit_once('\n').expect("it has lines");
        assert!(parse(but_one).is_err(), "{source} without its last line");
        for journal in read(source).into_iter().step_by(7) {
            let name = &journal.name;
            let said = |line: &String| line.starts_with("{\"out\":");
            let place = journal.lines.iter().rposition(said);
            let place = place.expect("a call says something");
            let mut silent = journal.lines.clone();
            silent.remove(place);
            assert!(replay(&silent).is_err(), "{name} without its last words");
            let mut other = journal.lines;
            other[place] = other[place].replacen(' ', " x", 1);
            assert!(replay(&other).is_err(), "{name} with another word");
        }
    }
}

fn unpacked(source: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/journals");
    let file = folder.join(format!("{source}.jsonl.gz"));
    let packed = std::fs::read(&file).unwrap_or_else(|error| panic!("{source}: {error}"));
    let mut text = String::new();
    let unpacked = GzDecoder::new(&packed[..]).read_to_string(&mut text);
    unpacked.unwrap_or_else(|error| panic!("{source} is cut: {error}"));
    text
}

fn read(source: &str) -> Vec<Kept> {
    parse(&unpacked(source)).unwrap_or_else(|error| panic!("{source}: {error}"))
}

/// The journals in a file: each preceded by a line with its name and number of lines.
fn parse(text: &str) -> Result<Vec<Kept>, String> {
    let mut lines = text.lines();
    let mut kept = Vec::new();
    while let Some(head) = lines.next() {
        let head: serde_json::Value = serde_json::from_str(head).expect("it is JSON");
        let name = head["journal"].as_str().expect("it has a name").to_owned();
        let count = head["lines"].as_u64().expect("it has a length");
        let count = usize::try_from(count).expect("it is small");
        let lines: Vec<String> = lines.by_ref().take(count).map(str::to_owned).collect();
        if lines.len() != count {
            return Err(format!("{name} has {} of {count} lines", lines.len()));
        }
        kept.push(Kept { name, lines });
    }
    Ok(kept)
}

/// Replays a journal, which must cover its call to the end.
fn replay(lines: &[String]) -> Result<(), String> {
    let renamed: Vec<(Regex, &str)> = RENAMED
        .iter()
        .map(|(old, new)| (Regex::new(old).expect("it is an expression"), *new))
        .collect();
    let read = lines.iter().map(|line| {
        let line: Line = serde_json::from_str(line).map_err(|error| format!("{error}: {line}"))?;
        let Line::Out(mut texts) = line else {
            return Ok(line);
        };
        for (old, new) in &renamed {
            for text in &mut texts {
                *text = old.replace_all(text, *new).into_owned();
            }
        }
        Ok(Line::Out(texts))
    });
    let lines = read.collect::<Result<Vec<Line>, String>>()?;
    match journal::replay(&lines) {
        Ok(Verdict::Identical { complete: true, .. }) => Ok(()),
        Ok(Verdict::Identical { .. }) => Err("it was cut".to_owned()),
        Ok(Verdict::Differs(difference)) => Err(format!("{difference:#?}")),
        Err(error) => Err(error.to_string()),
    }
}
