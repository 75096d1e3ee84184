//! Calls and texts at a number that is a mask, in tables.

use masking::{
    Found, Mode, Participant, PoolNumber, Service, Session, Settings, Status, Strangers, Talk,
};
use model::{MaskServiceSid, MaskSessionSid, ParticipantSid};

use super::*;

const ANN: &str = "+491700000001";
const BEN: &str = "+491700000002";
const MASK: &str = "+12025550100";

fn participant(n: u8, number: &str, mask: &str) -> Participant {
    Participant {
        sid: ParticipantSid::from_bytes([n; 16]),
        account: account(2),
        service: MaskServiceSid::from_bytes([1; 16]),
        session: MaskSessionSid::from_bytes([1; 16]),
        number: number.to_owned(),
        name: String::new(),
        mask: NumberSid::from_bytes([2; 16]),
        mask_number: mask.to_owned(),
        pin: String::new(),
        created: Timestamp(0),
        updated: Timestamp(0),
    }
}

/// What ann finds at her mask: a session with ben, whose mask is +12025550101.
fn found() -> Found {
    let service = MaskServiceSid::from_bytes([1; 16]);
    Found {
        service: Service {
            sid: service,
            account: account(2),
            name: "rides".to_owned(),
            settings: Settings::default(),
            created: Timestamp(0),
            updated: Timestamp(0),
        },
        mask: PoolNumber {
            sid: NumberSid::from_bytes([2; 16]),
            account: account(2),
            service,
            phone_number: MASK.to_owned(),
            is_reserved: false,
            in_use: 1,
            created: Timestamp(0),
            updated: Timestamp(0),
        },
        talk: Some(Talk {
            session: Session {
                sid: MaskSessionSid::from_bytes([1; 16]),
                account: account(2),
                service,
                name: None,
                status: Status::Open,
                mode: Mode::VoiceAndMessage,
                ttl_s: 0,
                expiry: None,
                interactions: 0,
                started: None,
                last: None,
                ended: None,
                reason: None,
                created: Timestamp(0),
                updated: Timestamp(0),
            },
            caller: participant(1, ANN, MASK),
            other: Some(participant(2, BEN, "+12025550101")),
        }),
        pin_address: "http://pbx.example/pin".to_owned(),
        at: Timestamp(0),
    }
}

/// What a caller finds: the session only if it is in it.
pub(super) fn seen_by(found: Found, from: Option<&str>) -> Found {
    let talk = found
        .talk
        .filter(|talk| Some(talk.caller.number.as_str()) == from);
    Found { talk, ..found }
}

fn house(change: fn(&mut House)) -> House {
    let mut house = House::new();
    house.mask = Some(found());
    change(&mut house);
    house
}

fn message(caller: &Caller, from: &str) -> Invitation {
    Invitation {
        from_user: from.to_owned(),
        from_here: false,
        from_registered: false,
        ..invite(caller, MASK)
    }
}

fn settings(house: &mut House) -> &mut Settings {
    &mut house.mask.as_mut().unwrap().service.settings
}

type Case<'a> = (&'a Caller, &'a str, fn(&mut House), &'a str);

const CASES: &[Case<'static>] = &[
    (&Caller::Trunk, ANN, |_| {}, "ben"),
    // The From of a stranger proves nothing, even at a public number.
    (
        &Caller::Unknown,
        ANN,
        |house| house.numbers[0].public = true,
        "nobody",
    ),
    (&Caller::Trunk, BEN, |_| {}, "nobody"),
    (
        &Caller::Trunk,
        BEN,
        |house| settings(house).strangers = Strangers::Announce,
        "announcement",
    ),
    (
        &Caller::Trunk,
        BEN,
        |house| settings(house).out_of_session_url = "http://app/out".to_owned(),
        "http://app/out",
    ),
    // The number is another account's by now.
    (
        &Caller::Trunk,
        ANN,
        |house| house.mask.as_mut().unwrap().mask.account = account(3),
        "another",
    ),
    // The account decides before the service.
    (
        &Caller::Trunk,
        ANN,
        |house| house.closed.push(account(2)),
        "403",
    ),
];

#[test]
fn a_call_at_a_mask_reaches_the_other_participant_only() {
    for (caller, from, change, expected) in CASES {
        let mut house = house(*change);
        let said = match house.decide(&message(caller, from)) {
            Decision::Admit(admission) => {
                assert_eq!(admission.account, account(2));
                let own =
                    matches!(&admission.script, Script::Document(own) if own.url.ends_with("/v"));
                let Script::Document(document) = admission.script else {
                    panic!("{from}: not a document");
                };
                let meets = admission.contact.is_some();
                match document.text.as_deref() {
                    None if own => "another".to_owned(),
                    None => document.url,
                    Some(text) if text.contains(BEN) => {
                        assert!(meets && !text.contains(ANN), "{text}");
                        assert!(text.contains("callerId=\"+12025550101\""), "{text}");
                        "ben".to_owned()
                    }
                    Some(text) if text.contains("<Reject/>") => "nobody".to_owned(),
                    Some(text) if text.contains("<Say>") => "announcement".to_owned(),
                    Some(text) => text.to_owned(),
                }
            }
            other => said(&other)[..3].to_owned(),
        };
        assert_eq!(said, *expected, "{caller:?} {from}");
    }
}

#[test]
fn a_text_at_a_mask_reaches_the_other_participant_only() {
    for (caller, from, change, expected) in CASES {
        let mut house = house(*change);
        let settings = super::super::House {
            public_base: BASE,
            has_outbound_proxy: true,
        };
        let message = message(caller, from);
        let decision = house.settle(|rows| route_text(&message, ("a < b", "SIP"), settings, rows));
        let said = match decision {
            TextDecision::Run(arrival) => match arrival.document.text.as_deref() {
                None => arrival.document.url,
                Some(text) if text.contains(BEN) => {
                    assert!(arrival.contact.is_some() && !text.contains(ANN), "{text}");
                    assert!(text.contains(">a &lt; b</Sms>"), "{text}");
                    "ben".to_owned()
                }
                Some("<Response/>") => "nobody".to_owned(),
                Some(_) => "announcement".to_owned(),
            },
            // The number itself has no application for texts.
            TextDecision::Refuse(refusal) if refusal.sip_status == 404 => "another".to_owned(),
            TextDecision::Refuse(refusal) => refusal.sip_status.to_string(),
            other => format!("{other:?}"),
        };
        assert_eq!(said, *expected, "{caller:?} {from}");
    }
}

/// Calls and texts that are decided from the same rows count, one by one; those that are refused do not.
#[test]
fn a_session_has_no_more_interactions_than_its_service_allows() {
    let mut house = house(|house| settings(house).max_interactions = 3);
    let is_passed_on =
        |house: &mut House, from: &str| match house.decide(&message(&Caller::Trunk, from)) {
            Decision::Admit(admission) => admission.contact.is_some(),
            other => panic!("{}", said(&other)),
        };
    for (from, expected) in [(ANN, true), (BEN, false), (ANN, true)] {
        assert_eq!(is_passed_on(&mut house, from), expected, "{from}");
    }
    let settings = super::super::House {
        public_base: BASE,
        has_outbound_proxy: true,
    };
    for expected in [true, false] {
        let text = message(&Caller::Trunk, ANN);
        match house.settle(|rows| route_text(&text, ("hi", "SIP"), settings, rows)) {
            TextDecision::Run(arrival) => assert_eq!(arrival.contact.is_some(), expected),
            other => panic!("{other:?}"),
        }
    }
    assert!(!is_passed_on(&mut house, ANN));
    assert_eq!(house.turns, 3);
}

/// Someone who calls from another number is asked for a PIN, and only then.
#[test]
fn a_stranger_is_asked_for_a_pin_if_the_service_says_so() {
    let mut house = house(|house| settings(house).strangers = Strangers::Pin);
    for (from, is_asked) in [(ANN, false), (BEN, true)] {
        let Decision::Admit(admission) = house.decide(&message(&Caller::Trunk, from)) else {
            panic!("{from} is refused");
        };
        let Script::Document(document) = admission.script else {
            panic!("{from}: not a document");
        };
        let text = document.text.unwrap_or_default();
        assert_eq!(
            text.contains("<Gather action=\"http://pbx.example/pin\""),
            is_asked,
            "{text}"
        );
    }
}
