//! The documents that run for calls and texts at a mask: ordinary RCML.

use model::text::xml as escaped;

use crate::arrival::Connection;
use crate::settings::{Settings, Strangers};

/// For a call: calls the other participant, who sees its own mask.
#[must_use]
pub fn call(settings: &Settings, connection: &Connection) -> String {
    let record = if settings.record {
        " record=\"record-from-answer\""
    } else {
        ""
    };
    format!(
        "<Response><Dial callerId=\"{mask}\" timeout=\"{timeout}\" timeLimit=\"{limit}\" \
         answerOnBridge=\"true\"{record}><Number>{to}</Number></Dial></Response>",
        mask = escaped(&connection.mask),
        timeout = settings.timeout_s,
        limit = settings.time_limit_s,
        to = escaped(&connection.to),
    )
}

/// For a text: sends it to the other participant, who sees its own mask.
#[must_use]
pub fn text(connection: &Connection, body: &str) -> String {
    format!(
        "<Response><Sms from=\"{mask}\" to=\"{to}\">{body}</Sms></Response>",
        mask = escaped(&connection.mask),
        to = escaped(&connection.to),
        body = escaped(body),
    )
}

/// For a call that is not passed on.
#[must_use]
pub fn refused_call(settings: &Settings) -> String {
    match settings.strangers {
        Strangers::Reject => "<Response><Reject/></Response>".to_owned(),
        Strangers::Announce | Strangers::Pin => format!(
            "<Response><Say>{}</Say><Hangup/></Response>",
            escaped(&settings.announcement)
        ),
    }
}

/// For a caller who can enter the PIN of a participant.
///
/// - `action`: receives the keys
#[must_use]
pub fn question(settings: &Settings, action: &str) -> String {
    format!(
        "<Response><Gather action=\"{}\" finishOnKey=\"#\" numDigits=\"{}\" timeout=\"8\">\
         <Say>Please enter your PIN, followed by the hash key.</Say></Gather><Say>{}</Say></Response>",
        escaped(action),
        MAX_PIN,
        escaped(&settings.announcement),
    )
}

/// Longest PIN, in digits.
pub const MAX_PIN: usize = 10;
/// Shortest PIN, in digits.
pub const MIN_PIN: usize = 4;

/// For a text that is not passed on: an answer to its sender, or nothing.
#[must_use]
pub fn refused_text(settings: &Settings) -> String {
    match settings.strangers {
        Strangers::Reject => "<Response/>".to_owned(),
        Strangers::Announce | Strangers::Pin => format!(
            "<Response><Sms>{}</Sms></Response>",
            escaped(&settings.announcement)
        ),
    }
}

#[cfg(test)]
mod tests {
    use model::{AccountSid, MaskServiceSid, MaskSessionSid, ParticipantSid};

    use super::*;
    use crate::arrival::Contact;

    fn connection() -> Connection {
        Connection {
            contact: Contact {
                account: AccountSid::from_bytes([1; 16]),
                service: MaskServiceSid::from_bytes([2; 16]),
                session: MaskSessionSid::from_bytes([3; 16]),
                from: ParticipantSid::from_bytes([4; 16]),
                to: ParticipantSid::from_bytes([5; 16]),
            },
            to: "+49170000002".to_owned(),
            mask: "+4930000002".to_owned(),
        }
    }

    #[test]
    fn a_call_is_an_ordinary_dial() {
        let mut settings = Settings::default();
        let expected = "<Response><Dial callerId=\"+4930000002\" timeout=\"60\" timeLimit=\"14400\" \
                        answerOnBridge=\"true\"><Number>+49170000002</Number></Dial></Response>";
        assert_eq!(call(&settings, &connection()), expected);
        settings.record = true;
        let recorded = call(&settings, &connection());
        assert!(
            recorded.contains(" record=\"record-from-answer\">"),
            "{recorded}"
        );
    }

    #[test]
    fn a_text_cannot_leave_its_element() {
        let document = text(&connection(), "</Sms><Sms to=\"+1\">&\u{1}x");
        let expected = "<Response><Sms from=\"+4930000002\" to=\"+49170000002\">\
                        &lt;/Sms&gt;&lt;Sms to=&quot;+1&quot;&gt;&amp; x</Sms></Response>";
        assert_eq!(document, expected);
    }

    #[test]
    fn strangers_hear_what_the_service_says() {
        let mut settings = Settings::default();
        assert_eq!(refused_call(&settings), "<Response><Reject/></Response>");
        assert_eq!(refused_text(&settings), "<Response/>");
        settings.strangers = Strangers::Announce;
        settings.announcement = "Not now".to_owned();
        assert!(refused_call(&settings).contains("<Say>Not now</Say>"));
        assert!(refused_text(&settings).contains("<Sms>Not now</Sms>"));
    }
}
