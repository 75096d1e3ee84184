//! The event package `message-summary` (RFC 3842): its names, and the body of a NOTIFY.

use model::waiting::Waiting;

/// Name of the event package (RFC 3842 §4.1).
pub(in crate::ua) const PACKAGE: &str = "message-summary";
/// Content-Type of a summary (RFC 3842 §4.5).
pub(super) const SUMMARY: &str = "application/simple-message-summary";

/// A summary (RFC 3842 §5.2). Messages count as waiting if they have not been heard. There are no urgent ones.
///
/// - `account`: SIP address of the client whose messages these are
pub(super) fn summary(account: &str, waiting: Waiting) -> String {
    let Waiting { new, old } = waiting;
    let is_waiting = if new > 0 { "yes" } else { "no" };
    format!(
        "Messages-Waiting: {is_waiting}\r\nMessage-Account: {account}\r\nVoice-Message: {new}/{old} (0/0)\r\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_is_written_as_phones_read_it() {
        let table = [
            (0, 0, "no", "0/0"),
            (1, 0, "yes", "1/0"),
            (0, 3, "no", "0/3"),
            (u32::MAX, 8, "yes", "4294967295/8"),
        ];
        for (new, old, is_waiting, counts) in table {
            let expected = format!(
                "Messages-Waiting: {is_waiting}\r\nMessage-Account: sip:kim@pbx.example\r\nVoice-Message: {counts} (0/0)\r\n"
            );
            let waiting = Waiting { new, old };
            assert_eq!(summary("sip:kim@pbx.example", waiting), expected);
        }
    }
}
