//! What the owner of a box hears: PIN, menu, messages.

use model::text::xml;
use model::{RecordingSid, Timestamp};

use crate::hours::local;
use crate::leaving::{Links, farewell, keys, play, say};
use crate::phrases::phrases;
use crate::records::{Voicemail, VoicemailBox};
use crate::settings::Settings;
use crate::step::{Step, Visit};

/// Attempts to enter the PIN within a call.
pub const ATTEMPTS: u32 = 3;

/// Asks for the PIN; says goodbye if the box has none, or after too many wrong ones.
#[must_use]
pub fn question(mailbox: &VoicemailBox, visit: &Visit, links: &dyn Links) -> String {
    let settings = &mailbox.settings;
    let words = phrases(&settings.language);
    if mailbox.pin.is_none() || visit.attempt >= ATTEMPTS {
        return farewell(settings, words.no_access);
    }
    let before = if visit.attempt > 0 {
        say(settings, words.wrong_pin)
    } else {
        String::new()
    };
    format!(
        "<Response><Gather input=\"dtmf\" finishOnKey=\"#\" numDigits=\"{}\" timeout=\"8\" action=\"{}\">{before}{}</Gather>{}<Hangup/></Response>",
        Settings::MAX_PIN,
        xml(&links.step(Step::Pin, visit)),
        say(settings, words.pin),
        say(settings, words.goodbye),
    )
}

/// Ends a call that may not go on.
#[must_use]
pub fn refused(mailbox: &VoicemailBox) -> String {
    let settings = &mailbox.settings;
    farewell(settings, phrases(&settings.language).no_access)
}

/// The main menu.
///
/// - `counts`: how many messages are new, and how many were heard
#[must_use]
pub fn menu(
    mailbox: &VoicemailBox,
    visit: &Visit,
    (new, old): (i64, i64),
    links: &dyn Links,
) -> String {
    let settings = &mailbox.settings;
    let words = phrases(&settings.language);
    let counted = |forms: &[&str; 3], n: i64| match n {
        0 => forms[0].to_owned(),
        1 => forms[1].to_owned(),
        _ => forms[2].replace("{n}", &n.to_string()),
    };
    let mut sentences = vec![counted(&words.new, new), counted(&words.old, old)];
    if new > 0 {
        sentences.push(words.menu_new.to_owned());
    }
    if old > 0 {
        sentences.push(words.menu_old.to_owned());
    }
    sentences.push(words.menu_greeting.to_owned());
    sentences.push(words.menu_end.to_owned());
    sentences.retain(|sentence| !sentence.is_empty());
    let spoken = say(settings, &sentences.join(" "));
    let visit = visit.at(None, false);
    format!(
        "<Response>{}{}<Hangup/></Response>",
        keys(&links.step(Step::Chosen, &visit), 6, &spoken),
        say(settings, words.goodbye),
    )
}

/// A key of the main menu was pressed.
#[must_use]
pub fn chosen(mailbox: &VoicemailBox, visit: &Visit, digits: &str, links: &dyn Links) -> String {
    let settings = &mailbox.settings;
    let words = phrases(&settings.language);
    match digits {
        "1" | "2" => redirect(links, Step::Hear, &visit.at(None, digits == "2"), ""),
        "3" => format!(
            "<Response>{}<Record action=\"{}\" maxLength=\"120\" timeout=\"5\" finishOnKey=\"#\" \
             playBeep=\"true\" trim=\"trim-silence\"/><Redirect>{}</Redirect></Response>",
            say(settings, words.record_greeting),
            xml(&links.step(Step::Greeting, visit)),
            xml(&links.step(Step::Menu, visit)),
        ),
        "#" => farewell(settings, words.goodbye),
        _ => redirect(links, Step::Menu, visit, ""),
    }
}

/// A greeting was recorded: the new value of the setting, and what its owner hears.
#[must_use]
pub fn greeting(
    mailbox: &VoicemailBox,
    visit: &Visit,
    recording: RecordingSid,
    links: &dyn Links,
) -> (String, String) {
    let settings = &mailbox.settings;
    let mut spoken = say(settings, phrases(&settings.language).greeting_saved);
    if let Some(url) = links.sound(recording) {
        spoken += &play(&url);
    }
    let value = format!("{}{recording}", Settings::RECORDED);
    (value, redirect(links, Step::Menu, visit, &spoken))
}

/// Plays a message, or says that there are no more.
#[must_use]
pub fn hear(
    mailbox: &VoicemailBox,
    visit: &Visit,
    message: Option<&Voicemail>,
    now: Timestamp,
    links: &dyn Links,
) -> String {
    played(mailbox, visit, message, now, links, "")
}

/// A message is deleted, and this is the next one.
#[must_use]
pub fn after_deletion(
    mailbox: &VoicemailBox,
    visit: &Visit,
    next: Option<&Voicemail>,
    now: Timestamp,
    links: &dyn Links,
) -> String {
    let settings = &mailbox.settings;
    let deleted = say(settings, phrases(&settings.language).deleted);
    played(mailbox, visit, next, now, links, &deleted)
}

fn played(
    mailbox: &VoicemailBox,
    visit: &Visit,
    message: Option<&Voicemail>,
    now: Timestamp,
    links: &dyn Links,
    before: &str,
) -> String {
    let settings = &mailbox.settings;
    let words = phrases(&settings.language);
    let Some(message) = message else {
        let spoken = format!("{before}{}", say(settings, words.no_more));
        return redirect(links, Step::Menu, &visit.at(None, false), &spoken);
    };
    let (day, time) = when(settings, message.created, now);
    let introduction = words
        .message
        .replace("{from}", &spoken_number(&message.from, words.unknown))
        .replace("{day}", &day)
        .replace("{time}", &time);
    let mut spoken = format!("{before}{}", say(settings, &introduction));
    if let Some(url) = message.recording.and_then(|sid| links.sound(sid)) {
        spoken += &play(&url);
    }
    spoken += &say(settings, words.keys);
    let visit = visit.at(Some(message.sid), visit.old);
    // Whoever presses nothing has heard it: the next one follows.
    format!(
        "<Response>{}<Redirect>{}</Redirect></Response>",
        keys(&links.step(Step::Heard, &visit), 4, &spoken),
        xml(&links.step(Step::Heard, &visit)),
    )
}

/// What a key during or after a message means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// To hear it again.
    Again,
    /// To keep it; also without a key.
    Keep,
    /// To delete it.
    Delete,
    /// To return to the menu; it stays as it is.
    Menu,
}

/// What a key during or after a message means.
#[must_use]
pub fn wish(digits: &str) -> Wish {
    match digits {
        "1" => Wish::Again,
        "3" => Wish::Delete,
        "#" | "*" => Wish::Menu,
        _ => Wish::Keep,
    }
}

/// What follows a message that is kept, or left as it is.
#[must_use]
pub fn heard(mailbox: &VoicemailBox, visit: &Visit, wish: Wish, links: &dyn Links) -> String {
    let settings = &mailbox.settings;
    match wish {
        Wish::Menu => redirect(links, Step::Menu, &visit.at(None, false), ""),
        Wish::Again | Wish::Keep | Wish::Delete => {
            let kept = say(settings, phrases(&settings.language).kept);
            redirect(links, Step::Hear, visit, &kept)
        }
    }
}

/// Says something, then goes to a step.
fn redirect(links: &dyn Links, step: Step, visit: &Visit, before: &str) -> String {
    format!(
        "<Response>{before}<Redirect>{}</Redirect></Response>",
        xml(&links.step(step, visit))
    )
}

/// The digits of a number one by one, since nobody says them as a quantity.
fn spoken_number(from: &str, unknown: &str) -> String {
    let digits = from.strip_prefix('+').unwrap_or(from);
    if digits.is_empty() || from == "anonymous" {
        return unknown.to_owned();
    }
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return from.trim_start_matches("client:").to_owned();
    }
    let digits: Vec<String> = digits.chars().map(String::from).collect();
    digits.join(" ")
}

/// The day and time of a message, in the zone of the box.
fn when(settings: &Settings, at: Timestamp, now: Timestamp) -> (String, String) {
    let words = phrases(&settings.language);
    let (at, now) = (
        local(&settings.time_zone, at),
        local(&settings.time_zone, now),
    );
    let days = now
        .date()
        .since(at.date())
        .map_or(0, |span| span.get_days());
    let day = match days {
        0 => words.today.to_owned(),
        1 => words.yesterday.to_owned(),
        2..7 => {
            words.days[usize::from(at.weekday().to_monday_zero_offset().unsigned_abs())].to_owned()
        }
        _ => at.date().to_string(),
    };
    (day, at.strftime("%H:%M").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::leaving::tests::{Plain, mailbox, visit};
    use crate::records::Case;

    fn at(text: &str) -> Timestamp {
        Timestamp::from_rfc3339(text).unwrap()
    }

    fn message(from: &str, created: &str) -> Voicemail {
        let visit = visit(Case::Direct);
        let recording = RecordingSid::from_bytes([1; 16]);
        let mut message = Voicemail::recorded(&mailbox(), &visit, (recording, 9), at(created));
        message.from = from.to_owned();
        message
    }

    #[test]
    fn the_pin_is_asked_for_three_times() {
        let mut mailbox = mailbox();
        let mut visit = visit(Case::Direct);
        assert!(question(&mailbox, &visit, &Plain).contains("not available"));
        mailbox.pin = Some("digest".to_owned());
        for attempt in 0..ATTEMPTS {
            visit.attempt = attempt;
            let asked = question(&mailbox, &visit, &Plain);
            assert!(asked.contains("action=\"/pin\""), "{asked}");
            assert_eq!(asked.contains("not correct"), attempt > 0, "{asked}");
        }
        visit.attempt = ATTEMPTS;
        assert!(question(&mailbox, &visit, &Plain).contains("not available"));
    }

    #[test]
    fn the_menu_offers_what_there_is() {
        let mailbox = mailbox();
        let hears = |counts| menu(&mailbox, &visit(Case::Direct), counts, &Plain);
        let none = hears((0, 0));
        assert!(none.contains("no new messages. To record"), "{none}");
        let some = hears((1, 12));
        assert!(
            some.contains("one new message. There are 12 old messages. To hear new"),
            "{some}"
        );
        let answer = |key| chosen(&mailbox, &visit(Case::Direct), key, &Plain);
        assert!(answer("1").contains("<Redirect>/hear</Redirect>"));
        assert!(answer("3").contains("<Record action=\"/greeting\""));
        assert!(answer("#").contains("Goodbye"));
        assert!(answer("9").contains("<Redirect>/menu</Redirect>"));
    }

    #[test]
    fn messages_are_introduced_by_caller_and_time() {
        let mut mailbox = mailbox();
        let now = at("2026-12-04T01:00:00Z");
        let table = [
            (
                "+4930",
                "2026-12-04T00:30:00Z",
                "Message from 4 9 3 0, today at 00:30.",
            ),
            (
                "client:bob",
                "2026-12-03T22:30:00Z",
                "Message from bob, yesterday at 22:30.",
            ),
            (
                "anonymous",
                "2026-11-30T12:00:00Z",
                "Message from an unknown caller, Monday at 12:00.",
            ),
            (
                "",
                "2026-11-01T12:00:00Z",
                "Message from an unknown caller, 2026-11-01 at 12:00.",
            ),
        ];
        for (from, created, expected) in table {
            let message = message(from, created);
            let heard = hear(&mailbox, &visit(Case::Direct), Some(&message), now, &Plain);
            assert!(heard.contains(expected), "{heard}");
            assert!(heard.contains("<Play>/sound</Play>"), "{heard}");
            assert!(
                heard.contains("<Redirect>/heard?message</Redirect>"),
                "{heard}"
            );
        }
        mailbox.settings.time_zone = "Europe/Berlin".to_owned();
        mailbox.settings.language = "de".to_owned();
        let message = message("+4930", "2026-12-03T23:30:00Z");
        let heard = hear(&mailbox, &visit(Case::Direct), Some(&message), now, &Plain);
        assert!(
            heard.contains("Nachricht von 4 9 3 0, heute um 00:30."),
            "{heard}"
        );
        let over = hear(&mailbox, &visit(Case::Direct), None, now, &Plain);
        assert!(over.contains("<Redirect>/menu</Redirect>"), "{over}");
    }

    #[test]
    fn keys_of_a_message() {
        let mailbox = mailbox();
        let answer = |key| heard(&mailbox, &visit(Case::Direct), wish(key), &Plain);
        assert!(answer("2").contains("saved") && answer("").contains("saved"));
        let next = after_deletion(&mailbox, &visit(Case::Direct), None, Timestamp(0), &Plain);
        assert!(
            next.contains("Deleted.</Say><Say language=\"en\">There are no more"),
            "{next}"
        );
        assert_eq!([wish("1"), wish("3")], [Wish::Again, Wish::Delete]);
        assert!(answer("#").contains("<Redirect>/menu</Redirect>"));
    }
}
