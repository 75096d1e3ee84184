//! Delivery receipts: `deliver_sm` about a message that was submitted (appendix B).
//!
//! The text of a receipt is specific to each SMSC; what most use is understood, whatever the order and
//! case of its fields, and so are receipts that only have optional parameters.

use model::error;
use model::message_route::IdBase;

use crate::pdu::{MESSAGE_STATE, NETWORK_ERROR_CODE, RECEIPTED_MESSAGE_ID, ShortMessage};

/// A receipt.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Receipt {
    /// The SMSC's identifier of the message, as written in the receipt.
    pub id: String,
    /// What became of the message.
    pub state: ReceiptState,
    /// The SMSC's error, `000` or absent if there is none.
    pub error: Option<String>,
    /// The state in the SMSC's own word, for people.
    pub word: String,
}

/// What became of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReceiptState {
    /// It is still on its way, or its fate is not known.
    Underway,
    /// It has arrived.
    Delivered,
    /// It cannot be delivered.
    Undelivered,
    /// The SMSC gave it up: it expired, or was deleted or rejected.
    Failed,
}

/// `kind` of a short message that is a receipt, and of one that is an intermediate notification.
const KINDS: [u8; 2] = [1, 8];

/// The receipt in a `deliver_sm` or `data_sm`; `None` if it is a message.
#[must_use]
pub fn parse(message: &ShortMessage) -> Option<Receipt> {
    let text: String = message.content().iter().map(|b| char::from(*b)).collect();
    let tagged = message.tlv(RECEIPTED_MESSAGE_ID).map(c_string);
    let state = message.tlv(MESSAGE_STATE).and_then(|value| value.first());
    let is_marked = KINDS.contains(&message.kind());
    // Some SMSCs do not mark them: then all must be there.
    let has = |name| field(&text, name).is_some();
    let is_written = message.kind() == 0 && has("id") && has("stat") && has("done date");
    let is_tagged = tagged.is_some() && state.is_some();
    if !(is_marked || is_tagged || is_written) {
        return None;
    }
    let word = match (field(&text, "stat"), state) {
        (Some(word), _) => word.to_uppercase(),
        (None, Some(state)) => state_word(*state).to_owned(),
        (None, None) => "UNKNOWN".to_owned(),
    };
    let id = tagged.filter(|id| !id.is_empty());
    let error = field(&text, "err").map(str::to_owned);
    let network_error = || {
        let [_, high, low] = message.tlv(NETWORK_ERROR_CODE)? else {
            return None;
        };
        Some(format!("{:03}", u16::from_be_bytes([*high, *low])))
    };
    Some(Receipt {
        id: id
            .or_else(|| field(&text, "id").map(str::to_owned))
            .unwrap_or_default(),
        state: state_of(&word),
        error: error.or_else(network_error),
        word,
    })
}

/// The word for a `message_state` (§5.2.28).
const fn state_word(state: u8) -> &'static str {
    match state {
        1 => "ENROUTE",
        2 => "DELIVRD",
        3 => "EXPIRED",
        4 => "DELETED",
        5 => "UNDELIV",
        6 => "ACCEPTD",
        8 => "REJECTD",
        _ => "UNKNOWN",
    }
}

fn state_of(word: &str) -> ReceiptState {
    let begins = |with: &[&str]| with.iter().any(|start| word.starts_with(start));
    if begins(&["DELIV"]) {
        ReceiptState::Delivered
    } else if begins(&["UNDEL", "NOT_DELIV", "NOTDELIV"]) {
        ReceiptState::Undelivered
    } else if begins(&["EXPIR", "DELET", "REJEC", "FAIL", "SKIP", "CANCEL"]) {
        ReceiptState::Failed
    } else {
        ReceiptState::Underway // ACCEPTD, ENROUTE, UNKNOWN, SCHEDULED and what else there may be.
    }
}

/// The error of our table for an SMSC's `err`; `None` for `000`.
#[must_use]
pub fn error_code(err: &str) -> Option<u16> {
    let number = err.trim_start_matches('0');
    Some(match number {
        "" => return None,
        "1" | "2" | "3" | "38" | "39" | "232" => error::MESSAGE_UNKNOWN_RECIPIENT,
        "4" | "5" | "7" | "22" | "224" | "225" | "229" | "230" => error::MESSAGE_BLOCKED,
        "8" | "11" | "23" | "228" => error::MESSAGE_UNREACHABLE,
        "10" => error::MESSAGE_NO_TEXTS,
        "231" => error::MESSAGE_CARRIER,
        _ => error::MESSAGE_FAILED,
    })
}

/// The value of `name:`, in any case, up to the next space. The text of the message at the end is not
/// searched.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let fields = text
        .split_once("text:")
        .or_else(|| text.split_once("Text:"));
    let fields = fields.map_or(text, |(before, _)| before);
    let lower = fields.to_ascii_lowercase();
    let mut from = 0;
    let value = loop {
        let at = from + lower[from..].find(name)?;
        let rest = &fields[at + name.len()..];
        let starts = at == 0 || !lower.as_bytes()[at - 1].is_ascii_alphanumeric();
        if let Some(value) = rest.strip_prefix(':').filter(|_| starts) {
            break value;
        }
        from = at + name.len();
    };
    let value = value.trim_start_matches(' ');
    let end = value.find(|c: char| c.is_whitespace() || c == '\0');
    let value = value[..end.unwrap_or(value.len())].trim_matches('"');
    // An empty value is followed by the name of the next field.
    (!value.is_empty() && !value.contains(':')).then_some(value)
}

fn c_string(value: &[u8]) -> String {
    let end = value.iter().position(|b| *b == 0).unwrap_or(value.len());
    value[..end].iter().map(|b| char::from(*b)).collect()
}

/// An identifier in the form in which it is kept: lower case, without zeros in front.
#[must_use]
pub fn normal_id(id: &str) -> String {
    let id = id.trim().to_ascii_lowercase();
    match id.trim_start_matches('0') {
        "" => id,
        significant => significant.to_owned(),
    }
}

/// What a message with the identifier `id` of a receipt may be kept under, most likely first.
#[must_use]
pub fn candidates(id: &str, base: IdBase) -> Vec<String> {
    let id = normal_id(id);
    // The receipt is decimal: what was kept is hexadecimal. And the reverse.
    let to_hex = || id.parse::<u128>().ok().map(|number| format!("{number:x}"));
    let to_decimal = || {
        u128::from_str_radix(&id, 16)
            .ok()
            .map(|number| number.to_string())
    };
    let mut found: Vec<String> = match base {
        IdBase::Same => vec![id],
        IdBase::HexDecimal => to_hex().into_iter().collect(),
        IdBase::DecimalHex => to_decimal().into_iter().collect(),
        IdBase::Any => [Some(id.clone()), to_hex(), to_decimal()]
            .into_iter()
            .flatten()
            .collect(),
    };
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pdu::Tlv;

    fn of(esm_class: u8, text: &str, tlvs: Vec<Tlv>) -> Option<Receipt> {
        parse(&ShortMessage {
            esm_class,
            text: text.as_bytes().to_vec(),
            tlvs,
            ..ShortMessage::default()
        })
    }

    #[test]
    fn formats_in_use() {
        use ReceiptState::{Delivered, Failed, Undelivered, Underway};
        for (text, id, state, error) in [
            (
                "id:0123456789 sub:001 dlvrd:001 submit date:2611221200 done date:2611221201 stat:DELIVRD err:000 text:Hello id:7 stat:UNDELIV",
                "0123456789",
                Delivered,
                Some("000"),
            ),
            (
                "id:a1b2-c3 sub:001 dlvrd:000 submit date:2611221200 done date:2611221201 stat:UNDELIV err:022 text:",
                "a1b2-c3",
                Undelivered,
                Some("022"),
            ),
            ("ID:9 STAT:EXPIRED ERR:011", "9", Failed, Some("011")),
            (
                "id: 77 stat: REJECTD err: 231 Text: x",
                "77",
                Failed,
                Some("231"),
            ),
            (
                "id:5 sub: dlvrd: stat:ACCEPTD err: text:",
                "5",
                Underway,
                None,
            ),
            ("stat:DELIVERED id:\"5\"\nerr:0", "5", Delivered, Some("0")),
            (
                "id:5 submit date:2611221200 stat:ENROUTE",
                "5",
                Underway,
                None,
            ),
        ] {
            let receipt = of(0x04, text, Vec::new()).unwrap();
            assert_eq!(
                (receipt.id.as_str(), receipt.state, receipt.error.as_deref()),
                (id, state, error),
                "{text}"
            );
        }
    }

    #[test]
    fn optional_parameters_suffice() {
        let tlv = |tag, value: &[u8]| Tlv {
            tag,
            value: value.to_vec(),
        };
        let tlvs = vec![
            tlv(RECEIPTED_MESSAGE_ID, b"1f\0"),
            tlv(MESSAGE_STATE, &[5]),
            tlv(NETWORK_ERROR_CODE, &[3, 0, 8]),
        ];
        let receipt = of(0, "", tlvs).unwrap();
        assert_eq!(
            (receipt.id.as_str(), receipt.state),
            ("1f", ReceiptState::Undelivered)
        );
        assert_eq!(receipt.error.as_deref(), Some("008"));
    }

    #[test]
    fn messages_are_not_receipts() {
        assert_eq!(of(0, "id:5 stat:DELIVRD", Vec::new()), None);
        assert_eq!(of(0, "what is your id: 7?", Vec::new()), None);
        assert!(of(0, "id:5 done date:2611221200 stat:DELIVRD", Vec::new()).is_some());
        assert!(of(0x04, "unreadable", Vec::new()).unwrap().id.is_empty());
    }

    #[test]
    fn identifiers_of_both_bases() {
        for (id, base, expected) in [
            ("00A1", IdBase::Same, vec!["a1"]),
            ("161", IdBase::HexDecimal, vec!["a1"]),
            ("A1", IdBase::DecimalHex, vec!["161"]),
            ("0161", IdBase::Any, vec!["161", "a1", "353"]),
            ("a1-2", IdBase::Any, vec!["a1-2"]),
            ("000", IdBase::Same, vec!["000"]),
        ] {
            assert_eq!(candidates(id, base), expected, "{id} {base:?}");
        }
    }

    #[test]
    fn errors_of_the_table() {
        for (err, expected) in [
            ("000", None),
            ("001", Some(error::MESSAGE_UNKNOWN_RECIPIENT)),
            ("022", Some(error::MESSAGE_BLOCKED)),
            ("8", Some(error::MESSAGE_UNREACHABLE)),
            ("010", Some(error::MESSAGE_NO_TEXTS)),
            ("231", Some(error::MESSAGE_CARRIER)),
            ("999", Some(error::MESSAGE_FAILED)),
            ("x", Some(error::MESSAGE_FAILED)),
        ] {
            assert_eq!(error_code(err), expected, "{err}");
        }
    }
}
