//! No text makes the reader panic, and every document it returns keeps its invariants.

use rcml::{Document, Noun, Verb};
use testkit::random::Random;

const SEEDS: [&str; 6] = [
    "<Response><Say voice='woman' loop=\"2\">Hi &amp; <![CDATA[<b>]]> &#x41;</Say></Response>",
    "<?xml version='1.0'?><!-- c --><r:Response><Play digits='1w'>a?b=1&c=2</Play></r:Response>",
    "<Dial timeout='5' record='true'><Sip username='u'>sip:z@h?a=1&X-b=%0d</Sip>\n<Client>ä</Client></Dial>",
    "<Response>\n<Pause length='1'/><Reject reason='busy'/><Redirect method='GET'>x</Redirect></Response>",
    "<Dial>client:ann?X-a=1</Dial>",
    "<Gather input='speech' hints='a, b' language='en-GB' speechTimeout='auto' partialResultCallback='/p'/>",
];

const PIECES: [&str; 16] = [
    "&",
    "<",
    ">",
    "]]>",
    "<![CDATA[",
    "<!--",
    "-->",
    "&#10;",
    "&#0;",
    "\"",
    "'",
    "/>",
    "ß\u{1F600}",
    "<a:b ",
    "<!DOCTYPE a [<!ENTITY b 'c'>]>",
    " xmlns:r='",
];

#[test]
fn survives_mutated_documents() {
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let mut read = 0;
    for round in 0..200_000 {
        let mut text = SEEDS[round % SEEDS.len()].to_owned();
        for _ in 0..=random.index(3) {
            mutate(&mut text, &mut random);
        }
        match Document::parse(&text) {
            Ok(document) => {
                read += 1;
                check(&document, &text);
                if round % 8 == 0 {
                    let written = document.to_xml();
                    let again = Document::parse(&written).expect(&written);
                    assert_eq!(again.to_xml(), written, "{text}");
                }
            }
            Err(error) => assert!(error.line > 0 && error.column > 0, "{text}"),
        }
    }
    assert!(
        read > 20_000,
        "only {read} mutated documents could still be read"
    );
}

/// The invariants of every document.
fn check(document: &Document, text: &str) {
    let lines = u32::try_from(text.split('\n').count()).expect("short");
    for finding in &document.findings {
        assert!(
            (1..=lines).contains(&finding.line) && finding.column > 0,
            "{text}"
        );
        assert!(model::error::entry(finding.code).is_some(), "{text}");
    }
    for verb in &document.verbs {
        let Verb::Dial(dial) = verb else { continue };
        for branch in dial.nouns.iter().filter_map(Noun::branch) {
            assert!(!branch.target.is_empty() && !branch.target.contains(char::is_control));
            for (name, value) in &branch.headers {
                assert!(
                    name.starts_with("X-") && !value.contains(char::is_control),
                    "{text}"
                );
            }
        }
    }
}

fn mutate(text: &mut String, random: &mut Random) {
    let at = text.floor_char_boundary(random.index(text.len() + 1));
    let end = text.ceil_char_boundary((at + random.index(6)).min(text.len()));
    match random.index(4) {
        0 => text.insert_str(at, PIECES[random.index(PIECES.len())]),
        1 => text.replace_range(at..end, ""),
        2 => {
            let copy = text[at..end].to_owned();
            let to = text.floor_char_boundary(random.index(text.len() + 1));
            text.insert_str(to, &copy);
        }
        _ => {
            let letter = char::from(u8::try_from(random.index(128)).expect("below 128"));
            text.replace_range(at..end, letter.encode_utf8(&mut [0; 4]));
        }
    }
}
