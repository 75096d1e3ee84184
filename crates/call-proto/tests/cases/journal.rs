//! Journals that differ from the family's answers: the replay finds where. And content that no
//! journal may hold.
//!
//! Every other test checks that its own journal replays identically.

use call_proto::journal::{BrokenJournal, Difference, Line, Verdict, replay};
use call_proto::{Event, LegEvent};

use crate::world::{Run, World, phone, plain};

/// K calls ann, who answers and hangs up.
fn call() -> Run {
    World::document("<Dial action='/a'><Client>ann</Client></Dial>")
        .app("/a", plain("text/xml", "<Response><Hangup/></Response>"))
        .phone("ann", phone().rings(1.0).answers(3.0).talks(5.0))
        .run()
}

/// The first difference found by replaying the lines.
fn difference(lines: &[Line]) -> Difference {
    match replay(lines) {
        Ok(Verdict::Differs(difference)) => *difference,
        other => panic!("{other:?}"),
    }
}

/// The position of the first matching line.
fn find(lines: &[Line], fits: impl Fn(&Line) -> bool) -> usize {
    lines.iter().position(fits).expect("there is such a line")
}

fn is_answer(line: &Line) -> bool {
    matches!(line, Line::Event { event, .. }
        if matches!(**event, Event::Leg(LegEvent::Answered { .. })))
}

/// The number of inputs before a line.
fn step_of(lines: &[Line], at: usize) -> usize {
    let inputs = lines[..at].iter().filter(|line| {
        matches!(
            line,
            Line::Start(_) | Line::Event { .. } | Line::Room { .. } | Line::Timeout { .. }
        )
    });
    inputs.count()
}

#[test]
fn a_changed_answer_is_found_at_its_place() {
    let mut run = call();
    let asked = find(
        &run.journal,
        |line| matches!(line, Line::Out(texts) if texts.iter().any(|text| text.contains("http://app/a"))),
    );
    let Line::Out(texts) = &mut run.journal[asked] else {
        unreachable!("it was just found")
    };
    let text = texts.iter_mut().find(|text| text.contains("http://app/a"));
    let text = text.expect("it was just found");
    let before = text.clone();
    *text = text.replace("/a\"", "/b\"");
    let changed = text.clone();
    let found = difference(&run.journal);
    assert_eq!(found.step + 1, step_of(&run.journal, asked));
    assert_eq!((found.expected, found.got), (Some(changed), Some(before)));
}

#[test]
fn an_input_that_was_changed_is_found_by_its_answer() {
    let mut run = call();
    let answer = find(&run.journal, is_answer);
    let Line::Event { at, event, .. } = &mut run.journal[answer] else {
        unreachable!("it was just found")
    };
    let at = *at;
    **event = Event::Leg(LegEvent::Rejected {
        status: 486,
        reason: String::new(),
        sip_call_id: String::new(),
        headers: Vec::new(),
    });
    let found = difference(&run.journal);
    assert_eq!(found.step, step_of(&run.journal, answer));
    assert_eq!(found.at, at);
    assert!(found.input.contains("486"), "{}", found.input);
}

#[test]
fn an_input_that_is_missing_is_found() {
    let mut run = call();
    let answer = find(&run.journal, is_answer);
    run.journal.remove(answer);
    let found = difference(&run.journal);
    assert_eq!(found.step + 1, step_of(&run.journal, answer));
    assert_eq!(found.got, None);
}

#[test]
fn a_journal_without_an_end_differs_from_one_that_was_cut() {
    let run = call();
    let answer = find(&run.journal, is_answer);
    let mut lines = run.journal[..answer].to_vec();
    let found = difference(&lines);
    assert_eq!(found.got.as_deref(), Some("it continues"));
    lines.push(Line::Cut);
    let steps = step_of(&lines, answer);
    let complete = false;
    assert_eq!(replay(&lines), Ok(Verdict::Identical { steps, complete }));
    assert_eq!(replay(&lines[1..]), Err(BrokenJournal::NoStart));
    assert_eq!(replay(&[]), Err(BrokenJournal::NoStart));
    let twice = [&run.journal[..1], &run.journal[..]].concat();
    assert_eq!(replay(&twice), Err(BrokenJournal::SecondStart));
}

#[test]
fn no_password_is_in_a_journal() {
    let xml = "<Response>\n<Say>one</Say><Dial action='http://u1:Secret-1@app/a'>\
               <Sip username='joe' password=\"Secret-2\" Url='x'>sip:ann@pbx.example</Sip>\
               <Sip>sip:zed:Secret-3@h.example</Sip></Dial></Response>";
    let run = World::new()
        .app("/v", plain("text/xml", xml))
        .app("/a", plain("text/xml", "<Response><Hangup/></Response>"))
        .phone("ann", phone().rings(1.0).answers(3.0).talks(5.0))
        .phone("zed:Secret-3", phone().rings(1.0))
        .run();
    assert_eq!(
        run.invite("zed:Secret-3").route.uri,
        "sip:zed:Secret-3@h.example"
    );
    let invite = run.invite("ann");
    let login = Some(("joe".to_owned(), "Secret-2".to_owned()));
    assert_eq!(invite.route.credentials, login);
    let finding = run.notifications.first().expect("`Url` is wrong");
    assert_eq!((finding.line, finding.column), (Some(2), Some(95)));
    let json = serde_json::to_string(&run.journal).expect("it can be written");
    assert!(json.contains("joe"), "{json}");
    // The world makes Call-IDs from dialled texts; a phone does not.
    let json = json.replace("call of zed:Secret-3", "");
    assert!(!json.contains("Secret"), "{json}");
}
