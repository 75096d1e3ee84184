//! Signs requests, so that an application can distinguish ours from a stranger's.
//!
//! Each request carries two signatures: the one that Twilio's libraries check (HMAC-SHA1 over the
//! address and the sorted parameters of the form) and ours (HMAC-SHA256 over time, event, method,
//! address and body). **Invariant: the request is sent as signed,** byte for byte, and the signed
//! address is included, since a proxy may change the address that the application sees.
//!
//! Left to others: the source of the secrets. `docs/webhooks.md` describes how to verify
//! signatures.

use std::collections::BTreeSet;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use model::{EventSid, HttpMethod};
use sha1::Sha1;
use sha2::Sha256;

/// The event id: the same on every attempt.
pub(crate) const EVENT: &str = "x-patchcord-event";
const TIMESTAMP: &str = "x-patchcord-timestamp";
const SIGNATURE: &str = "x-patchcord-signature";
const SIGNED_URL: &str = "x-patchcord-signed-url";
const TWILIO: &str = "x-twilio-signature";

/// The currently valid secrets of an account.
#[derive(Clone, PartialEq, Eq)]
pub struct Secrets {
    /// The secret that signs everything.
    pub primary: String,
    /// During a change of secrets, our signature is made with this one too.
    pub secondary: Option<String>,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets(…)")
    }
}

/// Identifies and signs a request.
#[derive(Clone, Debug)]
pub struct Stamp {
    /// The event that it reports, so that a repeated request can be distinguished from a new one.
    pub event: EventSid,
    /// The secrets to sign it with; without them it only carries its event id.
    pub secrets: Option<Secrets>,
}

/// A request as sent.
pub(crate) struct Sent<'a> {
    pub(crate) method: HttpMethod,
    /// With the query, without user-info or fragment.
    pub(crate) url: &'a str,
    /// The parameters in the body, if it is a form.
    pub(crate) form: &'a [(String, String)],
    pub(crate) body: &'a str,
    /// Seconds since 1970.
    pub(crate) at_s: u64,
}

impl Stamp {
    /// The headers that identify and sign a request.
    pub(crate) fn headers(&self, sent: &Sent<'_>) -> Vec<(String, String)> {
        let mut headers = vec![(EVENT, self.event.to_string())];
        if let Some(secrets) = &self.secrets {
            headers.push((TIMESTAMP, sent.at_s.to_string()));
            headers.push((SIGNED_URL, sent.url.to_owned()));
            headers.push((SIGNATURE, ours(secrets, self.event, sent)));
            headers.push((TWILIO, twilio(&secrets.primary, sent.url, sent.form)));
        }
        headers
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect()
    }
}

/// Twilio's signature: Base64 of the HMAC-SHA1 of the address, followed by name and value of each
/// parameter of the form, sorted by name, then value, each pair once.
fn twilio(secret: &str, url: &str, form: &[(String, String)]) -> String {
    let mut mac =
        <Hmac<Sha1> as Mac>::new_from_slice(secret.as_bytes()).expect("HMAC takes any key");
    mac.update(url.as_bytes());
    for (name, value) in form.iter().collect::<BTreeSet<_>>() {
        mac.update(name.as_bytes());
        mac.update(value.as_bytes());
    }
    STANDARD.encode(mac.finalize().into_bytes())
}

/// `t=SECONDS,v1=HEX`, with one `v1` per secret.
fn ours(secrets: &Secrets, event: EventSid, sent: &Sent<'_>) -> String {
    let text = canonical(event, sent);
    std::iter::once(&secrets.primary)
        .chain(&secrets.secondary)
        .fold(format!("t={}", sent.at_s), |header, secret| {
            let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(secret.as_bytes())
                .expect("HMAC takes any key");
            mac.update(text.as_bytes());
            format!("{header},v1={}", hex(&mac.finalize().into_bytes()))
        })
}

/// The text that our signature covers: time, event, method and address, a line each, then the body.
fn canonical(event: EventSid, sent: &Sent<'_>) -> String {
    let Sent {
        method,
        url,
        body,
        at_s,
        ..
    } = sent;
    format!("{at_s}\n{event}\n{}\n{url}\n{body}", method.as_str())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a `String` cannot fail.
        let _ = fmt::Write::write_fmt(&mut text, format_args!("{byte:02x}"));
        text
    })
}

/// A request that someone else has signed, as we sign ours.
#[derive(Clone, Copy, Debug)]
pub struct Signed<'a> {
    /// Its header field `X-Patchcord-Event`.
    pub event: &'a str,
    /// Its method.
    pub method: HttpMethod,
    /// The signed address.
    pub url: &'a str,
    /// Its body.
    pub body: &'a str,
}

/// How far a signature's time may be from ours, in seconds.
const FRESH_S: u64 = 300;

impl Signed<'_> {
    /// Whether a signature was made with a secret, not more than five minutes from now. Takes the same time for any wrong one.
    ///
    /// - `header`: the field `X-Patchcord-Signature`, `t=SECONDS,v1=HEX` with one or more `v1`
    /// - `now_s`: seconds since 1970
    #[must_use]
    pub fn is_genuine(&self, secret: &str, header: &str, now_s: i64) -> bool {
        let mut parts = header.split(',').map(str::trim);
        let stamp = parts.next().and_then(|part| part.strip_prefix("t="));
        let Some((stamp, at_s)) = stamp.and_then(|text| Some((text, text.parse::<i64>().ok()?)))
        else {
            return false;
        };
        if at_s.abs_diff(now_s) > FRESH_S {
            return false;
        }
        let Self {
            event,
            method,
            url,
            body,
        } = self;
        let text = format!("{stamp}\n{event}\n{}\n{url}\n{body}", method.as_str());
        let marks = parts.filter_map(|part| bytes_of(part.strip_prefix("v1=")?));
        // Each mark is compared: how many there are is not a secret.
        marks.fold(false, |found, mark| {
            let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(secret.as_bytes())
                .expect("HMAC takes any key");
            mac.update(text.as_bytes());
            found | mac.verify_slice(&mark).is_ok()
        })
    }
}

fn bytes_of(hex: &str) -> Option<Vec<u8>> {
    let is_hex = hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
    let pairs = is_hex.then(|| hex.as_bytes().chunks(2))?;
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    pairs.map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn a_signature_of_ours_is_genuine_and_no_other() {
        let (event, url) = (EventSid::from_bytes([7; 16]), "https://pbx.example/x");
        let secrets = |secret: &str| Secrets {
            primary: secret.to_owned(),
            secondary: Some("another".to_owned()),
        };
        let sent = |body| Sent {
            method: HttpMethod::Post,
            url,
            form: &[],
            body,
            at_s: 1_700_000_000,
        };
        let header = ours(&secrets("right"), event, &sent("{}"));
        let now = 1_700_000_299;
        for (secret, header, body, now, expected) in [
            ("right", header.as_str(), "{}", now, true),
            ("another", &header, "{}", now, true),
            ("wrong", &header, "{}", now, false),
            ("right", &header, "{ }", now, false),
            ("right", &header, "{}", now + 2, false),
            ("right", &header, "{}", 1_699_999_699, false),
            ("right", "", "{}", now, false),
            ("right", "t=1700000000", "{}", now, false),
            ("right", "t=1700000000,v1=00", "{}", now, false),
            ("right", "t=x,v1=é", "{}", now, false),
        ] {
            let name = event.to_string();
            let signed = Signed {
                event: &name,
                method: HttpMethod::Post,
                url,
                body,
            };
            let found = signed.is_genuine(secret, header, now);
            assert_eq!(found, expected, "{secret} {header} {body} {now}");
        }
    }

    #[test]
    fn signs_as_twilio_does() {
        // Computed independently of this code, and accepted by the validator of Twilio's Python
        // library.
        let form = pairs(&[
            ("To", "+18005551212"),
            ("CallSid", "CA1234567890ABCDE"),
            ("From", "+12349013030"),
            ("Digits", "1234"),
            ("Caller", "+12349013030"),
            ("Name", "Zoë & Co"),
            ("Empty", ""),
        ]);
        let twice = pairs(&[("A", "2"), ("A", "1"), ("A", "2"), ("B", "x")]);
        let table = [
            (
                "https://example.com/myapp.php?foo=1&bar=2",
                &form[..],
                "h6Pf2uSa5JQtYl9fMLIeskDr4BI=",
            ),
            (
                "https://example.com/myapp.php?foo=1&bar=2",
                &[],
                "7fNPeNJw743o4w4nyZb6i1KILQ8=",
            ),
            (
                "http://example.com:8443/a%20b",
                &twice,
                "EJujEDDCOr37SQ27dHHbOsFwGPw=",
            ),
        ];
        for (url, form, expected) in table {
            assert_eq!(twilio("12345", url, form), expected, "{url} {form:?}");
        }
    }

    #[test]
    fn marks_a_request_with_every_live_secret() {
        let event = EventSid::from_bytes([7; 16]);
        let sent = Sent {
            method: HttpMethod::Post,
            url: "https://example.com/status?x=1",
            form: &pairs(&[("CallStatus", "completed"), ("Name", "Zoë")]),
            body: "CallStatus=completed&Name=Zo%C3%AB",
            at_s: 1_700_000_000,
        };
        // Computed independently of this code.
        let (new, old) = (
            "fc561a477bbfd55f961ed4baa9c73a71d00ede13c37622a0d396b4f6888211f8",
            "bded50dd5e3d8da9d5855e3797b2bb2acaa0d39921ebd83954b2a35e5d0e157d",
        );
        let table = [
            (None, format!("t=1700000000,v1={new}")),
            (Some("before"), format!("t=1700000000,v1={new},v1={old}")),
        ];
        for (secondary, expected) in table {
            let secrets = Secrets {
                primary: "now".to_owned(),
                secondary: secondary.map(str::to_owned),
            };
            let stamp = Stamp {
                event,
                secrets: Some(secrets),
            };
            let headers = stamp.headers(&sent);
            let value = |name: &str| {
                let found = headers.iter().find(|(known, _)| known == name);
                found.map(|(_, value)| value.as_str())
            };
            assert_eq!(value(SIGNATURE), Some(expected.as_str()));
            assert_eq!(value(TIMESTAMP), Some("1700000000"));
            assert_eq!(value(SIGNED_URL), Some(sent.url));
            assert_eq!(value(EVENT), Some("EV07070707070707070707070707070707"));
            assert_eq!(
                value(TWILIO),
                Some("Vddn6v5yZoYL8WSbSdFSjAJKmEk="),
                "signed with the first only"
            );
        }
        let named = Stamp {
            event,
            secrets: None,
        };
        assert_eq!(named.headers(&sent).len(), 1);
    }

    #[test]
    fn a_change_anywhere_changes_ours() {
        let secrets = Secrets {
            primary: "now".to_owned(),
            secondary: None,
        };
        let event = EventSid::from_bytes([7; 16]);
        let sent = |method, url, body, at_s| Sent {
            method,
            url,
            form: &[],
            body,
            at_s,
        };
        let base = ours(
            &secrets,
            event,
            &sent(HttpMethod::Post, "http://a/", "b", 1),
        );
        let other_event = EventSid::from_bytes([8; 16]);
        for (event, sent) in [
            (other_event, sent(HttpMethod::Post, "http://a/", "b", 1)),
            (event, sent(HttpMethod::Get, "http://a/", "b", 1)),
            (event, sent(HttpMethod::Post, "http://a/?", "b", 1)),
            (event, sent(HttpMethod::Post, "http://a/", "c", 1)),
            (event, sent(HttpMethod::Post, "http://a/", "b", 2)),
        ] {
            let changed = ours(&secrets, event, &sent);
            let mark = |text: &str| text.split_once(",v1=").map(|(_, hex)| hex.to_owned());
            assert_ne!(mark(&changed), mark(&base));
        }
        assert!(!format!("{secrets:?}").contains("now"));
    }
}
