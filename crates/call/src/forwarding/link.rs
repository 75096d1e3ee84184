//! An SMPP link of a route: records to submissions, and what arrives to receipts and texts.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use call_proto::forwarding::Outcome;
use model::message_route::{MessageRoute, RouteSettings, SmppSettings};
use model::record::Message;
use model::{MessageRouteSid, Timestamp, error};
use smpp::{Link, LinkSettings};
use smpp_proto::session::Key;
use smpp_proto::{
    Address, Answer, Bind, Reassembly, SessionSettings, ShortMessage, Submission, TextSettings,
    Tlv, receipt, status, text,
};

use super::receipts::{About, Desk};

/// How long connecting and binding may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// First delay before the next connection.
const RECONNECT_MIN: Duration = Duration::from_millis(500);
/// Longest delay before the next connection.
const RECONNECT_MAX: Duration = Duration::from_secs(60);
/// Pause before a text is recorded for which the server was too busy.
const BUSY_PAUSE: Duration = Duration::from_secs(1);
/// How long an SMSC may ask us to wait, before another route is tried.
const THROTTLE_PATIENCE: Duration = Duration::from_secs(120);

/// A link that is open.
pub(super) struct LinkHere {
    /// Its number among the links since the start.
    pub(super) number: u64,
    link: std::sync::Arc<Link>,
    window: usize,
    reassembly: Reassembly,
    /// Reference number of the next text of several segments.
    reference: u16,
}

impl LinkHere {
    /// # Errors
    /// Why it cannot be opened, for people.
    pub(super) fn open(
        row: &MessageRoute,
        settings: &SmppSettings,
        number: u64,
        events: impl FnMut(smpp_proto::Event) + Send + 'static,
    ) -> Result<Self, String> {
        let tls = if settings.tls {
            Some(smpp::tls()?)
        } else {
            None
        };
        let link = LinkSettings {
            host: settings.host.clone(),
            port: settings.port,
            tls,
            session: SessionSettings {
                bind: Bind {
                    mode: settings.bind,
                    system_id: settings.system_id.clone(),
                    password: row.secret.clone().unwrap_or_default(),
                    system_type: settings.system_type.clone(),
                    version: settings.version,
                    range: Address::default(),
                },
                window: usize::from(settings.window).max(1),
                per_second: settings.per_second,
                connect_timeout: CONNECT_TIMEOUT,
                response_timeout: Duration::from_secs(u64::from(settings.response_s)),
                enquire_after: Duration::from_secs(u64::from(settings.enquire_s)),
                reconnect_min: RECONNECT_MIN,
                reconnect_max: RECONNECT_MAX,
            },
        };
        Ok(Self {
            number,
            link: std::sync::Arc::new(Link::spawn(link, events)),
            window: usize::from(settings.window).max(1),
            reassembly: Reassembly::default(),
            reference: rand::random(),
        })
    }

    /// Messages that it takes at a time: so many that the window never waits for a commit.
    pub(super) const fn limit(&self) -> usize {
        self.window * 2
    }

    /// Submits a message.
    ///
    /// # Errors
    /// The outcome, if it cannot be submitted.
    pub(super) fn submit(
        &mut self,
        token: u64,
        settings: &SmppSettings,
        message: &Message,
        now: Timestamp,
    ) -> Result<(), Outcome> {
        let texts = TextSettings {
            encoding: settings.encoding,
            concatenation: settings.concatenation,
            data_coding: settings.data_coding,
        };
        self.reference = self.reference.wrapping_add(1);
        let Some(segments) = text::segments(&message.body, &texts, self.reference) else {
            let reason = "the text takes more than 255 segments".to_owned();
            return Err(Outcome::Refused(error::MESSAGE_FAILED, reason));
        };
        let left = message
            .forwarding
            .as_ref()
            .map(|forwarding| forwarding.expires.since(now));
        let left = left.unwrap_or_default();
        let base = ShortMessage {
            service_type: settings.service_type.clone(),
            source: address(&message.from, settings.source),
            destination: address(&message.to, settings.destination),
            validity: validity(left),
            registered: u8::from(settings.receipts),
            data_coding: segments.data_coding,
            ..ShortMessage::default()
        };
        let tlvs = settings.tlvs.iter().filter_map(|(tag, digits)| {
            let value = from_hex(digits)?;
            Some(Tlv { tag: *tag, value })
        });
        let tlvs: Vec<Tlv> = tlvs.collect();
        let part = |part: text::Part| {
            let mut message = base.clone();
            part.fill(&mut message);
            message.tlvs.extend(tlvs.iter().cloned());
            message
        };
        self.link.submit(Submission {
            token,
            parts: segments.parts.into_iter().map(part).collect(),
            give_up_at: Instant::now() + left.min(THROTTLE_PATIENCE),
        });
        Ok(())
    }

    /// A message or receipt came: it is acknowledged when it is on record.
    pub(super) fn arrived(
        &mut self,
        key: Key,
        message: ShortMessage,
        desk: Desk,
        rows: &BTreeMap<MessageRouteSid, MessageRoute>,
    ) {
        let Some(row) = rows.get(&desk.route) else {
            return;
        };
        let RouteSettings::Smpp(settings) = &row.settings else {
            return;
        };
        let link = std::sync::Arc::clone(&self.link);
        if let Some(found) = receipt::parse(&message) {
            // A link that only sends gets its receipts through another one to the same SMSC.
            let leads_there = |row: &&MessageRoute| match &row.settings {
                RouteSettings::Smpp(other) => {
                    (&other.host, &other.system_id) == (&settings.host, &settings.system_id)
                }
                RouteSettings::Http(_) | RouteSettings::Sip(_) | RouteSettings::Client => false,
            };
            let routes = rows.values().filter(leads_there).map(|row| row.sid);
            let about = About {
                routes: routes.collect(),
                base: settings.id_base,
                from: message.source.digits,
            };
            tokio::spawn(async move {
                let status = desk.receipt(&found, &about).await;
                link.acknowledge(key, status);
            });
            return;
        }
        let arrived = self
            .reassembly
            .handle(&message, settings.inbound_encoding, Instant::now());
        let Some(text) = arrived else {
            return link.acknowledge(key, status::OK);
        };
        let via = row.name.clone();
        tokio::spawn(async move {
            let status = desk.text(text, &via).await;
            link.acknowledge(key, status);
        });
    }

    /// The link is closed: the missing segments would come by another one.
    pub(super) fn give_up_all(&mut self) {
        self.reassembly.give_up_all();
    }

    /// Records the texts of which segments are missing for good, without them. The others were acknowledged, so a full server tries
    /// again.
    pub(super) fn give_up_texts(
        &mut self,
        desk: Desk,
        rows: &BTreeMap<MessageRouteSid, MessageRoute>,
    ) {
        let given_up = self.reassembly.handle_timeout(Instant::now());
        if given_up.is_empty() {
            return;
        }
        let via = rows.get(&desk.route).map(|row| row.name.clone());
        let via = via.unwrap_or_default();
        tokio::spawn(async move {
            for text in given_up {
                while desk.text(text.clone(), &via).await == status::TEMPORARY {
                    tokio::time::sleep(BUSY_PAUSE).await;
                }
            }
        });
    }
}

/// What an answer means for the message.
pub(super) fn outcome(answer: Answer) -> Outcome {
    let described = |code: u32| format!("the SMSC answered {} ({code:#x})", status::name(code));
    match answer {
        Answer::Accepted(ids) => {
            Outcome::Accepted(ids.iter().map(|id| receipt::normal_id(id)).collect())
        }
        Answer::Refused(code) => match status::refusal(code) {
            status::Refusal::SlowDown | status::Refusal::Temporary => {
                Outcome::Unavailable(described(code))
            }
            status::Refusal::Permanent => Outcome::Refused(refusal_code(code), described(code)),
        },
        Answer::Doubtful => Outcome::Doubtful("the SMSC did not answer".to_owned()),
        Answer::NotSent => Outcome::NotSent,
        Answer::Returned => Outcome::Returned,
    }
}

/// The number of the error table for a `command_status`.
const fn refusal_code(status: u32) -> u16 {
    match status {
        0x0B | 0x50 | 0x51 => error::MESSAGE_UNKNOWN_RECIPIENT,
        0xFE => error::MESSAGE_NO_TEXTS,
        0x65 | 0x66 => error::MESSAGE_BLOCKED,
        _ => error::MESSAGE_FAILED,
    }
}

/// An address with its type and plan: international for `+` and digits, alphanumeric for letters, else
/// unknown (a short code), unless the route says what it is.
fn address(party: &str, fixed: Option<(u8, u8)>) -> Address {
    let digits = party.strip_prefix('+').unwrap_or(party);
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let (ton, npi) = fixed.unwrap_or(match (is_number, digits.len()) {
        (true, 0..=8) if digits.len() == party.len() => (0, 1),
        (true, _) => (1, 1),
        (false, _) => (5, 0),
    });
    Address {
        ton,
        npi,
        digits: if is_number { digits } else { party }.to_owned(),
    }
}

/// A relative time (§7.1.1.2), rounded up to a minute.
fn validity(left: Duration) -> String {
    let minutes = left.as_secs().div_ceil(60).max(1);
    let (days, hours, minutes) = (minutes / 1_440, minutes / 60 % 24, minutes % 60);
    let (months, days) = (days / 30, days % 30);
    format!(
        "00{:02}{days:02}{hours:02}{minutes:02}00000R",
        months.min(12)
    )
}

fn from_hex(digits: &str) -> Option<Vec<u8>> {
    let bytes = digits.as_bytes().chunks(2);
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    bytes.map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_by_their_form() {
        for (party, ton, npi, digits) in [
            ("+4915112345678", 1, 1, "4915112345678"),
            ("4915112345678", 1, 1, "4915112345678"),
            ("12345", 0, 1, "12345"),
            ("Shop", 5, 0, "Shop"),
        ] {
            let found = address(party, None);
            assert_eq!(
                (found.ton, found.npi, found.digits.as_str()),
                (ton, npi, digits),
                "{party}"
            );
        }
        assert_eq!(address("Shop", Some((3, 2))).ton, 3);
    }

    #[test]
    fn validity_is_a_relative_time() {
        for (seconds, expected) in [
            (1, "000000000100000R"),
            (3_600, "000000010000000R"),
            (4 * 3_600 + 61, "000000040200000R"),
            (36 * 3_600, "000001120000000R"),
            (31 * 86_400, "000101000000000R"),
        ] {
            assert_eq!(
                validity(Duration::from_secs(seconds)),
                expected,
                "{seconds}"
            );
            assert_eq!(expected.len(), 16);
        }
    }

    #[test]
    fn values_in_hexadecimal_digits() {
        assert_eq!(from_hex("00ff1A"), Some(vec![0, 255, 26]));
        assert_eq!(from_hex("0g"), None);
    }
}
