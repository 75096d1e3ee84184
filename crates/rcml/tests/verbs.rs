//! The fields of each verb, by its text.

use model::{DetectionMode, MachineDetection};
use rcml::{
    Branch, Conference, Detection, Dial, DialRecording, Document, Echo, Gather, LegEvent, Method,
    Noun, Pause, Play, Prompt, RecordingStart, Redirect, Reject, RejectReason, RingTone, Say,
    Sides, Speech, SpeechTimeout, Verb, Voice, Wait,
};

/// The only verb of a document whose only fault may be a repaired bare `&`.
fn clean(xml: &str) -> Verb {
    let mut document = Document::parse(xml).unwrap_or_else(|error| panic!("{xml}: {error}"));
    document
        .findings
        .retain(|finding| finding.code != model::error::REPAIRED);
    assert_eq!(document.findings, [], "{xml}");
    let [verb] = <[Verb; 1]>::try_from(document.verbs).expect(xml);
    verb
}

fn dial(xml: &str) -> Dial {
    match clean(xml) {
        Verb::Dial(dial) => *dial,
        other => panic!("{xml}: {other:?}"),
    }
}

/// The only party that a `Dial` around the given text calls.
fn noun(inside: &str) -> Noun {
    let [noun] =
        <[Noun; 1]>::try_from(dial(&format!("<Dial>{inside}</Dial>")).nouns).expect(inside);
    noun
}

#[test]
fn reads_simple_verbs() {
    let say = |text: &str| Say {
        text: text.to_owned(),
        line: 1,
        ..Say::default()
    };
    let play = |url: &str| Play {
        url: url.to_owned(),
        line: 1,
        ..Play::default()
    };
    let table = [
        ("<Say> Hello  there\n</Say>", Verb::Say(say("Hello  there"))),
        (
            "<Say><![CDATA[a < b]]> &amp; c</Say>",
            Verb::Say(say("a < b & c")),
        ),
        (
            "<Say>one <!-- not --> two</Say>",
            Verb::Say(say("one  two")),
        ),
        (
            "<Say voice='woman' language='en-gb' loop='3'>x</Say>",
            Verb::Say(Say {
                voice: Voice::Woman,
                language: "en-GB".to_owned(),
                looping: Some(3),
                ..say("x")
            }),
        ),
        ("<Say loop='0' language='bf'>x</Say>", {
            Verb::Say(Say {
                looping: None,
                language: "fr-BE".to_owned(),
                ..say("x")
            })
        }),
        ("<Say loop='' voice=' man '>x</Say>", Verb::Say(say("x"))),
        (
            "<Play>\n  a/b.wav?x=1&y=2\n</Play>",
            Verb::Play(play("a/b.wav?x=1&y=2")),
        ),
        (
            "<Play loop='0'>a.wav</Play>",
            Verb::Play(Play {
                looping: None,
                ..play("a.wav")
            }),
        ),
        ("<Play digits='1w#'/>", {
            Verb::Play(Play {
                digits: Some("1w#".to_owned()),
                ..play("")
            })
        }),
        (
            "<Pause/>",
            Verb::Pause(Pause {
                seconds: 1,
                line: 1,
            }),
        ),
        (
            "<Pause length=' 12 '/>",
            Verb::Pause(Pause {
                seconds: 12,
                line: 1,
            }),
        ),
        ("<Hangup/>", Verb::Hangup(rcml::Hangup { line: 1 })),
        (
            "<Reject/>",
            Verb::Reject(Reject {
                reason: RejectReason::Rejected,
                line: 1,
            }),
        ),
        (
            "<Reject reason='busy'/>",
            Verb::Reject(Reject {
                reason: RejectReason::Busy,
                line: 1,
            }),
        ),
        ("<Redirect method='get'> next </Redirect>", {
            Verb::Redirect(Redirect {
                url: "next".to_owned(),
                method: Method::Get,
                line: 1,
            })
        }),
        ("<Redirect>/a&x=1</Redirect>", {
            Verb::Redirect(Redirect {
                url: "/a&x=1".to_owned(),
                method: Method::Post,
                line: 1,
            })
        }),
    ];
    for (xml, verb) in table {
        assert_eq!(clean(xml), verb, "{xml}");
    }
}

#[test]
fn reads_conferences() {
    let conference = |xml: &str| {
        let dial = dial(&format!("<Dial>{xml}</Dial>"));
        dial.conference().cloned().expect("a conference")
    };
    let plain = conference("<Conference> stand up </Conference>");
    let expected = Conference {
        line: 1,
        ..Conference::new("stand up")
    };
    assert_eq!(plain, expected);
    assert!(plain.start_on_enter && !plain.muted && !plain.end_on_exit);
    assert_eq!(plain.max_participants.get(), 40);

    let full = conference(
        "<Conference muted='true' startConferenceOnEnter='false' endConferenceOnExit='true' \
         maxParticipants='3' beep='onExit' waitUrl='/w' waitMethod='get'>room</Conference>",
    );
    let wait = Wait::At {
        url: "/w".to_owned(),
        method: Method::Get,
    };
    assert_eq!(full.wait, wait);
    assert_eq!(plain.status_callback_events, None);
    assert_eq!((full.beep.enter, full.beep.exit), (false, true));
    for (value, both) in [("TRUE", true), ("False", false)] {
        let xml = format!("<Dial><Conference beep='{value}'>room</Conference></Dial>");
        let beep = dial(&xml).conference().expect("a conference").beep;
        assert_eq!((beep.enter, beep.exit), (both, both), "{value}");
    }
    let silent = conference("<Conference waitUrl=' '>room</Conference>");
    assert_eq!((plain.wait, silent.wait), (Wait::Music, Wait::Silence));
    assert!(full.muted && !full.start_on_enter && full.end_on_exit);
    assert_eq!(full.max_participants.get(), 3);
}

#[test]
fn reads_dial_attributes() {
    let plain = dial("<Dial>+2000</Dial>");
    let number = Noun::Number(Branch {
        line: 1,
        ..Branch::new("+2000")
    });
    assert_eq!(
        plain,
        Dial {
            line: 1,
            ..Dial::new(vec![number.clone()])
        }
    );
    assert_eq!((plain.timeout_s, plain.time_limit_s), (30, 14_400));

    let full = dial(
        "<Dial action='/a?b=1&c=2' method='GET' timeout='12' timeLimit='900' callerId='+1999' \
         record='TRUE' referUrl='/r' referMethod='GET' dialMusic='m.wav' \
         hangupOnStar='true' answerOnBridge='false'>+2000</Dial>",
    );
    let expected = Dial {
        nouns: vec![number],
        action: Some("/a?b=1&c=2".to_owned()),
        method: Method::Get,
        sequential: false,
        timeout_s: 12,
        time_limit_s: 900,
        caller_id: Some("+1999".to_owned()),
        record: Some(DialRecording {
            from: RecordingStart::Answer,
            sides: Sides::Mixed,
            trim: false,
        }),
        recording_callback: None,
        refer_url: Some("/r".to_owned()),
        refer_method: Method::Get,
        dial_music: Some("m.wav".to_owned()),
        ring_tone: RingTone::default(),
        hangup_on_star: true,
        answer_on_bridge: Some(false),
        line: 1,
    };
    assert_eq!(full, expected);
}

#[test]
fn finds_the_parties_to_call() {
    let number = |target: &str| {
        Noun::Number(Branch {
            line: 1,
            ..Branch::new(target)
        })
    };
    let client = |target: &str| {
        Noun::Client(Branch {
            line: 1,
            ..Branch::new(target)
        })
    };
    let sip = |target: &str| {
        Noun::Sip(Branch {
            line: 1,
            ..Branch::new(target)
        })
    };
    let table = [
        ("+2000", number("+2000")),
        ("zed@h.example", sip("sip:zed@h.example")),
        ("client:ann", client("ann")),
        ("client", client("client")),
        ("client:ann@h.example", sip("sip:client:ann@h.example")),
        ("<Number>+1 (202) 555-0123</Number>", number("+12025550123")),
        ("<Number>555-0123</Number>", number("5550123")),
        ("<Number>*21#</Number>", number("*21#")),
        ("<Number>0012025550123</Number>", number("0012025550123")),
        ("<Client> ann </Client>", client("ann")),
        ("<Client>client:ann</Client>", client("ann")),
        (
            "<Sip>sip:z@h;transport=tcp</Sip>",
            sip("sip:z@h;transport=tcp"),
        ),
        ("<Sip>SIPS:z@h</Sip>", sip("SIPS:z@h")),
        ("<Uri>z@h:5070</Uri>", sip("sip:z@h:5070")),
    ];
    for (inside, expected) in table {
        assert_eq!(noun(inside), expected, "{inside}");
    }
}

#[test]
fn splits_header_lists() {
    type Headers = &'static [(&'static str, &'static str)];
    let table: &[(&str, &str, Headers)] = &[
        (
            "<Client>ann?X-C1=12&X-C2=34</Client>",
            "ann",
            &[("X-C1", "12"), ("X-C2", "34")],
        ),
        (
            "<Client>ann?X-C1=12&amp;X-C2=34</Client>",
            "ann",
            &[("X-C1", "12"), ("X-C2", "34")],
        ),
        ("<Number>+2000?X-C1=12</Number>", "+2000", &[("X-C1", "12")]),
        (
            "<Sip>sip:z@h?alpha=1&beta=2</Sip>",
            "sip:z@h",
            &[("X-alpha", "1"), ("X-beta", "2")],
        ),
        ("<Sip>sip:a?b@h?c=d</Sip>", "sip:a?b@h", &[("X-c", "d")]),
        (
            "<Sip>sip:z@h?x-low=1&n</Sip>",
            "sip:z@h",
            &[("X-low", "1"), ("X-n", "")],
        ),
        (
            "<Client>ann?a=b%20c%3D&d=50%</Client>",
            "ann",
            &[("X-a", "b c="), ("X-d", "50%")],
        ),
        ("<Client>ann?a=b=c&&</Client>", "ann", &[("X-a", "b=c")]),
        (
            "<Client>client:client:x?a=%E3%80%80</Client>",
            "client:x",
            &[("X-a", "\u{3000}")],
        ),
        ("z@h?a=1", "sip:z@h", &[("X-a", "1")]),
        ("<Client>ann?</Client>", "ann", &[]),
    ];
    for (inside, target, headers) in table {
        let noun = noun(inside);
        let branch = noun.branch().expect(inside);
        assert_eq!(branch.target, *target, "{inside}");
        let found: Vec<(&str, &str)> = branch
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        assert_eq!(found, *headers, "{inside}");
    }
}

#[test]
fn reads_noun_attributes() {
    let number = noun(
        "<Number statusCallback='/s' statusCallbackMethod='get' \
         statusCallbackEvent='initiated,  answered' sendDigits='ww12#'>+2000</Number>",
    );
    let expected = Branch {
        status_callback: Some("/s".to_owned()),
        status_callback_method: Method::Get,
        status_callback_events: Some(vec![LegEvent::Initiated, LegEvent::Answered]),
        send_digits: Some("ww12#".to_owned()),
        line: 1,
        ..Branch::new("+2000")
    };
    assert_eq!(number, Noun::Number(expected));

    let number = noun(
        "<Number machineDetection='DetectMessageEnd' machineDetectionTimeout='10' \
         machineDetectionSpeechThreshold='1000' machineDetectionSpeechEndThreshold='500' \
         machineDetectionSilenceTimeout='2000' amdStatusCallback='/amd' \
         amdStatusCallbackMethod='get'>+2000</Number>",
    );
    let detection = number.branch().and_then(|branch| branch.detection.clone());
    let values = [10, 1000, 500, 2000].into_iter();
    let mut values = values.map(Ok::<_, std::convert::Infallible>);
    let terms = MachineDetection::read(DetectionMode::DetectMessageEnd, |_| values.next().unwrap());
    let expected = Detection {
        terms: terms.unwrap(),
        callback: Some("/amd".to_owned()),
        callback_method: Method::Get,
    };
    assert_eq!(detection.as_deref(), Some(&expected));
    for off in ["", "machineDetection='Disable'"] {
        let number = noun(&format!("<Number {off}>+2000</Number>"));
        let branch = number.branch().unwrap();
        assert_eq!(branch.detection, None, "{off}");
    }

    let sip = noun(
        "<Sip username='pbx' password=' s3 ' statusCallback='/s' \
         statusCallbackEvent='completed ringing,ringing'>sip:z@h</Sip>",
    );
    let expected = Branch {
        username: Some("pbx".to_owned()),
        password: Some("s3".to_owned()),
        status_callback: Some("/s".to_owned()),
        status_callback_events: Some(vec![LegEvent::Completed, LegEvent::Ringing]),
        line: 1,
        ..Branch::new("sip:z@h")
    };
    assert_eq!(sip, Noun::Sip(expected));
}

#[test]
fn dials_several_at_once_in_order() {
    let dial = dial(
        "<Dial>\n <Client>ann</Client>\n <Sip>sip:z@h</Sip>\n <Number>+2000</Number>\n</Dial>",
    );
    let names: Vec<(&str, u32)> = dial
        .nouns
        .iter()
        .filter_map(|noun| noun.branch().map(|branch| (noun.name(), branch.line)))
        .collect();
    assert_eq!(names, [("Client", 2), ("Sip", 3), ("Number", 4)]);
}

#[test]
fn leaves_out_headers_beyond_the_limit() {
    let value = "v".repeat(500);
    let xml = format!("<Dial><Client>ann?a={value}&b={value}&c=1&d={value}</Client></Dial>");
    let document = Document::parse(&xml).expect("well-formed");
    let codes: Vec<u16> = document
        .findings
        .iter()
        .map(|finding| finding.code)
        .collect();
    assert_eq!(codes, [model::error::DIAL_HEADERS, model::error::REPAIRED]);
    let Verb::Dial(dial) = &document.verbs[0] else {
        panic!("{document:?}")
    };
    let branch = dial.nouns[0].branch().expect("a client");
    let names: Vec<&str> = branch
        .headers
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(names, ["X-a", "X-b", "X-c"]);
}

#[test]
fn reads_addresses_of_transfers() {
    let table = [
        ("<Sip>sip:ann@pbx.example</Sip>", "sip:ann@pbx.example"),
        (
            "<ReferSip>SIPS:ann@h:5061;a=b</ReferSip>",
            "sips:ann@h:5061;a=b",
        ),
        ("<Sip>ann@h</Sip>", "sip:ann@h"),
        ("<Sip>pbx.example</Sip>", "sip:pbx.example"),
        (
            "<Sip>sip:[2001:db8::1]:5070</Sip>",
            "sip:[2001:db8::1]:5070",
        ),
        // Headers keep their names, and what is not allowed in a URI is escaped.
        (
            "<Sip>sip:ann@h?X-Id=1&amp;User-to-User=5%3bencoding=hex</Sip>",
            "sip:ann@h?X-Id=1&User-to-User=5%3Bencoding%3Dhex",
        ),
        (
            "<Sip>sip:ann@h?Subject=a b&amp;Flag</Sip>",
            "sip:ann@h?Subject=a%20b&Flag=",
        ),
        (
            "<Sip>sip:ann@h?Subject=%3C%22%40%C3%A4%3E%2C+</Sip>",
            "sip:ann@h?Subject=%3C%22%40%C3%A4%3E%2C+",
        ),
    ];
    for (inside, target) in table {
        let verb = clean(&format!("<Refer>{inside}</Refer>"));
        let Verb::Refer(refer) = verb else {
            panic!("{verb:?}");
        };
        assert_eq!(refer.target.as_deref(), Some(target), "{inside}");
        assert_eq!((refer.action, refer.method), (None, Method::Post));
    }
    assert_eq!(clean("<Echo/>"), Verb::Echo(Echo { line: 1 }));
}

#[test]
fn gather() {
    let read = |xml: &str| match clean(xml) {
        Verb::Gather(gather) => *gather,
        verb => panic!("{verb:?}"),
    };
    let plain = Gather {
        line: 1,
        ..Gather::default()
    };
    assert_eq!(
        (plain.timeout_s, plain.finish_on_key.as_str(), plain.method),
        (5, "#", Method::Post)
    );
    let keys = |text: &str| text.to_owned();
    let table = [
        ("<Gather/>", plain.clone()),
        (
            "<Gather finishOnKey='' input='DTMF'/>",
            Gather {
                finish_on_key: keys(""),
                ..plain.clone()
            },
        ),
        (
            "<Gather finishOnKey='*1' startInputKey='12' numDigits='3' timeout='7' action='/g?a=b' \
             method='get' actionOnEmptyResult='true'/>",
            Gather {
                finish_on_key: keys("*1"),
                start_input_key: Some(keys("12")),
                num_digits: Some(3),
                timeout_s: 7,
                action: Some(keys("/g?a=b")),
                method: Method::Get,
                action_on_empty_result: true,
                ..plain.clone()
            },
        ),
        (
            "<Gather typeAhead='false'/>",
            Gather {
                type_ahead: false,
                ..plain.clone()
            },
        ),
        (
            "<Gather input='Speech' language='en_gb' hints='yes, no way ,,' speechTimeout='Auto' \
             partialResultCallback='/p' partialResultCallbackMethod='get'/>",
            Gather {
                keys: false,
                speech: Some(Speech {
                    language: keys("en-GB"),
                    hints: vec![keys("yes"), keys("no way")],
                    timeout: Some(SpeechTimeout::Auto),
                    partial_result_callback: Some(keys("/p")),
                    partial_result_callback_method: Method::Get,
                }),
                ..plain.clone()
            },
        ),
        (
            "<Gather input='SPEECH  dtmf' speechTimeout='3'/>",
            Gather {
                speech: Some(Speech {
                    timeout: Some(SpeechTimeout::Seconds(3)),
                    ..Speech::default()
                }),
                ..plain.clone()
            },
        ),
        (
            "<Gather><Say>a</Say><Play loop='2'>b</Play><Pause/></Gather>",
            Gather {
                prompts: vec![
                    Prompt::Say(Say {
                        text: keys("a"),
                        line: 1,
                        ..Say::default()
                    }),
                    Prompt::Play(Play {
                        url: keys("b"),
                        looping: Some(2),
                        line: 1,
                        ..Play::default()
                    }),
                    Prompt::Pause(Pause {
                        seconds: 1,
                        line: 1,
                    }),
                ],
                ..plain.clone()
            },
        ),
    ];
    for (xml, expected) in table {
        assert_eq!(read(xml), expected, "{xml}");
    }
}
