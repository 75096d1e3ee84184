//! What a caller hears who leaves a message: ordinary RCML.

use model::RecordingSid;
use model::text::xml;

use crate::hours::Hours;
use crate::phrases::phrases;
use crate::records::{Case, VoicemailBox};
use crate::settings::Settings;
use crate::step::{Step, Visit};

/// Addresses in the documents.
pub trait Links {
    /// The signed address of a step.
    fn step(&self, step: Step, visit: &Visit) -> String;
    /// The address of a recording; `None` if it does not exist any more.
    fn sound(&self, recording: RecordingSid) -> Option<String>;
    /// Whether the sound at an address of the owner can be played now.
    fn plays(&self, address: &str) -> bool;
}

/// How a visit begins.
///
/// - `dialled`: `DialCallStatus`, if the box is the `action` of a `<Dial>`
///
/// `None` if the called party has answered, so that there is nothing to leave.
#[must_use]
pub fn case_of(
    mailbox: &VoicemailBox,
    dialled: Option<&str>,
    now: model::Timestamp,
) -> Option<Case> {
    let case = match dialled {
        Some("completed" | "answered") => return None,
        Some("busy") => Case::Busy,
        Some(_) => Case::NoAnswer,
        None => Case::Direct,
    };
    let settings = &mailbox.settings;
    let hours: Hours = settings.opening_hours.parse().unwrap_or_default();
    let is_open = hours.are_open(&settings.time_zone, now);
    Some(if is_open { case } else { Case::Closed })
}

/// The greeting, then a message is recorded.
#[must_use]
pub fn greeting(mailbox: &VoicemailBox, visit: &Visit, links: &dyn Links) -> String {
    let settings = &mailbox.settings;
    let words = phrases(&settings.language);
    let (own, general) = (own(settings, visit.case), general(settings, visit.case));
    let mut spoken = [own, general]
        .into_iter()
        .filter(|text| !text.is_empty())
        .find_map(|text| sound(settings, text, links))
        .unwrap_or_else(|| say(settings, words.greetings[visit.case as usize]));
    if !settings.operator.is_empty() {
        spoken += &say(settings, words.operator);
    }
    if !settings.notice.is_empty() {
        spoken += &sound(settings, &settings.notice, links).unwrap_or_default();
    }
    // A key skips the greeting, reaches the operator, or lets the owner in.
    let keys = keys(&links.step(Step::Greeted, visit), 1, &spoken);
    format!(
        "<Response>{keys}{}</Response>",
        record(mailbox, visit, links)
    )
}

/// A key was pressed during the greeting.
#[must_use]
pub fn greeted(mailbox: &VoicemailBox, visit: &Visit, digits: &str, links: &dyn Links) -> String {
    let settings = &mailbox.settings;
    match digits {
        "0" if !settings.operator.is_empty() => operator(settings, &links.step(Step::Again, visit)),
        "*" if mailbox.pin.is_some() => {
            format!(
                "<Response><Redirect>{}</Redirect></Response>",
                xml(&links.step(Step::Access, visit))
            )
        }
        _ => format!("<Response>{}</Response>", record(mailbox, visit, links)),
    }
}

/// Connects to the operator.
///
/// - `otherwise`: where a caller gets who has not reached anyone
fn operator(settings: &Settings, otherwise: &str) -> String {
    let called = match settings.operator.strip_prefix("client:") {
        Some(login) => format!("<Client>{}</Client>", xml(login)),
        None => format!("<Number>{}</Number>", xml(&settings.operator)),
    };
    let action = xml(otherwise);
    format!("<Response><Dial action=\"{action}\">{called}</Dial></Response>")
}

/// Another message is recorded in place of the one that the visit is about, which counts until there is another.
#[must_use]
pub fn again(mailbox: &VoicemailBox, visit: &Visit, links: &dyn Links) -> String {
    let settings = &mailbox.settings;
    let spoken = say(settings, phrases(&settings.language).again);
    format!(
        "<Response>{spoken}{}</Response>",
        record(mailbox, visit, links)
    )
}

/// A message was recorded: what the caller can do with it.
///
/// - `hung_up`: the call is over, so nobody hears the answer
#[must_use]
pub fn recorded(mailbox: &VoicemailBox, visit: &Visit, hung_up: bool, links: &dyn Links) -> String {
    let settings = &mailbox.settings;
    if hung_up {
        return "<Response/>".to_owned();
    }
    if settings.review {
        return review(mailbox, visit, "", links);
    }
    farewell(settings, phrases(&settings.language).thanks)
}

/// What a key after the recording means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The message is sent.
    Send,
    /// It is played.
    Play,
    /// It is recorded again.
    Again,
}

/// What a key after the recording means; any other one, and none, sends the message.
#[must_use]
pub fn verdict(digits: &str) -> Verdict {
    match digits {
        "2" => Verdict::Play,
        "3" => Verdict::Again,
        _ => Verdict::Send,
    }
}

/// The answer to a key after the recording.
#[must_use]
pub fn reviewed(
    mailbox: &VoicemailBox,
    visit: &Visit,
    verdict: Verdict,
    links: &dyn Links,
) -> String {
    let settings = &mailbox.settings;
    match verdict {
        Verdict::Send => farewell(settings, phrases(&settings.language).thanks),
        Verdict::Again => again(mailbox, visit, links),
        Verdict::Play => {
            let sound = visit.recording.and_then(|sid| links.sound(sid));
            let played = sound.map(|url| play(&url)).unwrap_or_default();
            review(mailbox, visit, &played, links)
        }
    }
}

/// The menu after the recording.
fn review(mailbox: &VoicemailBox, visit: &Visit, before: &str, links: &dyn Links) -> String {
    let settings = &mailbox.settings;
    let words = phrases(&settings.language);
    let spoken = format!("{before}{}", say(settings, words.review));
    let keys = keys(&links.step(Step::Review, visit), 6, &spoken);
    format!(
        "<Response>{keys}{}<Hangup/></Response>",
        say(settings, words.thanks)
    )
}

/// Records a message; what follows is for a caller who said nothing.
fn record(mailbox: &VoicemailBox, visit: &Visit, links: &dyn Links) -> String {
    let settings = &mailbox.settings;
    format!(
        "<Record action=\"{action}\" maxLength=\"{max}\" timeout=\"{silence}\" finishOnKey=\"#\" \
         playBeep=\"true\" trim=\"trim-silence\" recordingStatusCallback=\"{kept}\" \
         recordingStatusCallbackEvent=\"completed absent\"/>{nothing}<Hangup/>",
        action = xml(&links.step(Step::Recorded, visit)),
        kept = xml(&links.step(Step::Kept, visit)),
        max = settings.max_length_s,
        silence = settings.silence_s,
        nothing = say(settings, phrases(&settings.language).no_message),
    )
}

/// A caller hears this, and may press one key.
///
/// - `timeout_s`: how long a key is awaited afterwards
pub(crate) fn keys(action: &str, timeout_s: u32, spoken: &str) -> String {
    format!(
        "<Gather input=\"dtmf\" numDigits=\"1\" finishOnKey=\"\" timeout=\"{timeout_s}\" action=\"{}\">{spoken}</Gather>",
        xml(action)
    )
}

pub(crate) fn say(settings: &Settings, text: &str) -> String {
    format!(
        "<Say language=\"{}\">{}</Say>",
        xml(&settings.language),
        xml(text)
    )
}

pub(crate) fn play(url: &str) -> String {
    format!("<Play>{}</Play>", xml(url))
}

pub(crate) fn farewell(settings: &Settings, text: &str) -> String {
    format!("<Response>{}<Hangup/></Response>", say(settings, text))
}

/// A greeting: a recording, the address of a sound, or a text; `None` for a recording that is gone, and a sound that cannot be
/// fetched: a caller can leave a message whatever has become of the greeting.
fn sound(settings: &Settings, text: &str, links: &dyn Links) -> Option<String> {
    if let Some(recording) = text.strip_prefix(Settings::RECORDED) {
        let url = links.sound(recording.parse().ok()?)?;
        return Some(play(&url));
    }
    if !is_address(text) {
        return Some(say(settings, text));
    }
    links.plays(text).then(|| play(text))
}

/// Whether a greeting is the address of a sound rather than a text.
#[must_use]
pub fn is_address(text: &str) -> bool {
    text.starts_with("http://") || text.starts_with("https://")
}

/// The addresses of sounds that a caller in this case may hear.
#[must_use]
pub fn addresses(settings: &Settings, case: Case) -> Vec<&str> {
    let all = [
        own(settings, case),
        general(settings, case),
        &settings.notice,
    ];
    all.into_iter().filter(|text| is_address(text)).collect()
}

/// The greeting of a case.
fn own(settings: &Settings, case: Case) -> &str {
    match case {
        Case::Direct => "",
        Case::Busy => &settings.greeting_busy,
        Case::NoAnswer => &settings.greeting_no_answer,
        Case::Closed => &settings.greeting_closed,
    }
}

/// The greeting where the case has none.
fn general(settings: &Settings, case: Case) -> &str {
    match case {
        Case::Closed => "",
        Case::Direct | Case::Busy | Case::NoAnswer => &settings.greeting,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use model::{AccountSid, Timestamp, VoicemailBoxSid};

    use super::*;

    /// Addresses as a reader of a test wants them.
    pub(crate) struct Plain;

    impl Links for Plain {
        fn step(&self, step: Step, visit: &Visit) -> String {
            let message = visit
                .message
                .map_or_else(String::new, |_| "?message".to_owned());
            format!("/{step}{message}")
        }

        fn sound(&self, recording: RecordingSid) -> Option<String> {
            (recording.as_bytes()[0] != 0).then(|| "/sound".to_owned())
        }

        fn plays(&self, address: &str) -> bool {
            !address.contains("gone")
        }
    }

    pub(crate) fn mailbox() -> VoicemailBox {
        VoicemailBox {
            sid: VoicemailBoxSid::from_bytes([1; 16]),
            account: AccountSid::from_bytes([2; 16]),
            name: "Ann".to_owned(),
            client: None,
            pin: None,
            settings: Settings::default(),
            created: Timestamp(0),
            updated: Timestamp(0),
        }
    }

    pub(crate) fn visit(case: Case) -> Visit {
        Visit::new(None, "+4930123", "1000", case)
    }

    #[test]
    fn the_greeting_is_that_of_the_case_or_the_general_one() {
        let mut mailbox = mailbox();
        let hears = |mailbox: &VoicemailBox, case| greeting(mailbox, &visit(case), &Plain);
        assert!(hears(&mailbox, Case::Busy).contains("is on another call"));
        assert!(hears(&mailbox, Case::Closed).contains("We are closed"));
        mailbox.settings.greeting = "This is <Ann>".to_owned();
        mailbox.settings.greeting_busy = "https://a.example/busy.wav".to_owned();
        assert!(
            hears(&mailbox, Case::Busy)
                .contains("<Play>https://a.example/busy.wav</Play></Gather>")
        );
        for case in [Case::Direct, Case::NoAnswer] {
            assert!(
                hears(&mailbox, case).contains("<Say language=\"en\">This is &lt;Ann&gt;</Say>")
            );
        }
        // One that cannot be fetched.
        mailbox.settings.greeting_busy = "https://a.example/gone.wav".to_owned();
        assert!(hears(&mailbox, Case::Busy).contains("This is &lt;Ann&gt;"));
        assert_eq!(
            addresses(&mailbox.settings, Case::Busy),
            ["https://a.example/gone.wav"]
        );
        assert!(addresses(&mailbox.settings, Case::Closed).is_empty());
        // What Ann says about herself is wrong when nobody is there.
        assert!(hears(&mailbox, Case::Closed).contains("We are closed"));
        // A greeting that was recorded by phone, and one whose recording is gone.
        for (byte, expected) in [(1, "<Play>/sound</Play>"), (0, "This is &lt;Ann&gt;")] {
            let sid = RecordingSid::from_bytes([byte; 16]);
            mailbox.settings.greeting_no_answer = format!("{}{sid}", Settings::RECORDED);
            assert!(hears(&mailbox, Case::NoAnswer).contains(expected));
        }
    }

    #[test]
    fn the_case_follows_from_the_dial_and_the_hours() {
        let mut mailbox = mailbox();
        let tuesday = Timestamp::from_rfc3339("2026-12-01T12:00:00Z").unwrap();
        let table = [
            (None, Some(Case::Direct)),
            (Some("busy"), Some(Case::Busy)),
            (Some("no-answer"), Some(Case::NoAnswer)),
            (Some("failed"), Some(Case::NoAnswer)),
            (Some("completed"), None),
            (Some("answered"), None),
        ];
        for (dialled, expected) in table {
            assert_eq!(case_of(&mailbox, dialled, tuesday), expected, "{dialled:?}");
        }
        mailbox.settings.opening_hours = "Wed 09:00-17:00".to_owned();
        assert_eq!(case_of(&mailbox, Some("busy"), tuesday), Some(Case::Closed));
        assert_eq!(case_of(&mailbox, Some("completed"), tuesday), None);
    }

    #[test]
    fn keys_during_the_greeting() {
        let mut mailbox = mailbox();
        let answer =
            |mailbox: &VoicemailBox, key| greeted(mailbox, &visit(Case::Direct), key, &Plain);
        // There is neither an operator nor a PIN: every key skips the greeting.
        for key in ["0", "*", "#", "5"] {
            assert!(
                answer(&mailbox, key).starts_with("<Response><Record "),
                "{key}"
            );
        }
        mailbox.settings.operator = "client:bob".to_owned();
        mailbox.pin = Some("digest".to_owned());
        let operator = "<Dial action=\"/again\"><Client>bob</Client></Dial>";
        assert!(answer(&mailbox, "0").contains(operator));
        assert!(answer(&mailbox, "*").contains("<Redirect>/access</Redirect>"));
        mailbox.settings.operator = "+4930".to_owned();
        assert!(answer(&mailbox, "0").contains("<Number>+4930</Number>"));
    }

    #[test]
    fn a_caller_can_listen_and_record_again_where_the_box_allows_it() {
        let mut mailbox = mailbox();
        let visit = visit(Case::Direct).about(RecordingSid::from_bytes([1; 16]));
        let after = |mailbox: &VoicemailBox, hung_up| recorded(mailbox, &visit, hung_up, &Plain);
        assert!(after(&mailbox, false).contains("Thank you"));
        assert_eq!(after(&mailbox, true), "<Response/>");
        mailbox.settings.review = true;
        assert!(after(&mailbox, false).contains("action=\"/review\""));
        let answer = |key| reviewed(&mailbox, &visit, verdict(key), &Plain);
        assert!(answer("1").contains("Thank you"));
        assert!(answer("2").contains("<Play>/sound</Play><Say"));
        assert!(answer("3").contains("<Record "));
    }
}
