//! Addresses in a form that people may see.
//!
//! **Invariant: a returned address has no user-info, and no value of a parameter whose name
//! suggests a secret.** For logs, traces and notifications; never for connecting.

use url::Url;

use crate::target::split_sip_scheme;

const LONGEST: usize = 300;

/// Parts of parameter names whose values must not be shown.
const SECRETS: [&str; 7] = [
    "token",
    "secret",
    "password",
    "passwd",
    "key",
    "signature",
    "auth",
];

/// An HTTP address without its secrets, at most 300 characters. In a text that is not an absolute
/// address, everything before an `@` and after a `?` is left out.
#[must_use]
pub fn redacted(address: &str) -> String {
    let Ok(mut url) = Url::parse(address) else {
        let rest = address.rsplit_once('@').map_or(address, |(_, rest)| rest);
        return shortened(rest.split('?').next().unwrap_or_default());
    };
    let _ = url.set_username("");
    let _ = url.set_password(None);
    if url.query().is_some_and(has_secret) {
        let pairs: Vec<(String, String)> = url
            .query_pairs()
            .map(|(name, value)| {
                let value = if is_secret(&name) {
                    "***".into()
                } else {
                    value
                };
                (name.into_owned(), value.into_owned())
            })
            .collect();
        url.query_pairs_mut().clear().extend_pairs(pairs);
    }
    shortened(url.as_str())
}

/// An HTTP address without user name and password.
#[must_use]
pub fn without_user_info(address: &str) -> String {
    match Url::parse(address) {
        Ok(mut url) if !url.username().is_empty() || url.password().is_some() => {
            // Both fail only for addresses that cannot hold them.
            let _ = url.set_username("");
            let _ = url.set_password(None);
            url.into()
        }
        Ok(_) | Err(_) => address.to_owned(),
    }
}

/// A SIP address without password and header list.
#[must_use]
pub fn redacted_sip(address: &str) -> String {
    let (before, host) = address.rsplit_once('@').unwrap_or(("", address));
    let host = host.split('?').next().unwrap_or_default();
    let (scheme, user) = split_sip_scheme(before).unwrap_or(("", before));
    let name = user.split(':').next().unwrap_or_default();
    let at = if before.is_empty() { "" } else { "@" };
    shortened(&format!("{scheme}{name}{at}{host}"))
}

/// Whether a text with `@` is valid in a From header: `user@host`, optionally with `sip:` or
/// `sips:`, a port and parameters (RFC 3261 §25.1).
#[must_use]
pub fn is_sip_address(text: &str) -> bool {
    let rest = split_sip_scheme(text).map_or(text, |(_, rest)| rest);
    let Some((user, host)) = rest.rsplit_once('@') else {
        return false;
    };
    let user_ok = |c: char| c.is_ascii_alphanumeric() || "-_.!~*'()&=+$,;?/%:".contains(c);
    let host_ok = |c: char| c.is_ascii_alphanumeric() || "-.:[];=_".contains(c);
    !user.is_empty()
        && user.chars().all(user_ok)
        && host.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '[')
        && host.chars().all(host_ok)
}

/// Whether a text names a SIP server: `host[:port]`, optionally with `sip:` and parameters.
#[must_use]
pub fn is_next_hop(text: &str) -> bool {
    let host = text.strip_prefix("sip:").unwrap_or(text);
    // With a user part it is an address, which has its own rules.
    !host.contains('@') && is_sip_address(&format!("x@{host}"))
}

fn shortened(text: &str) -> String {
    let mut short: String = text.chars().take(LONGEST).collect();
    if text.len() > short.len() {
        short.push('…');
    }
    short
}

fn has_secret(query: &str) -> bool {
    url::form_urlencoded::parse(query.as_bytes()).any(|(name, _)| is_secret(&name))
}

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRETS.iter().any(|part| name.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_left_out() {
        let table = [
            ("http://app/v?a=b&c=d", "http://app/v?a=b&c=d"),
            ("https://u:p@app/v", "https://app/v"),
            (
                "http://app/v?Auth-Token=1&x=2&apikey=3",
                "http://app/v?Auth-Token=***&x=2&apikey=***",
            ),
            ("http://u:p@[::1/v?token=1", "[::1/v"),
            ("next?token=1", "next"),
        ];
        for (address, expected) in table {
            assert_eq!(redacted(address), expected);
        }
        let long = format!("http://app/{}", "é".repeat(400));
        assert_eq!(redacted(&long).chars().count(), LONGEST + 1);
    }

    #[test]
    fn knows_a_sip_address() {
        for text in [
            "kim@h.example",
            "sip:kim@h:5060",
            "sips:+1999@[::1];x=y",
            "a:b@10.0.0.1",
        ] {
            assert!(is_sip_address(text), "{text}");
        }
        for text in [
            "kim",
            "@h",
            "kim@",
            "SIP:@h",
            "kim@ h",
            "John <john@h>",
            "\"x\" <sip:me@h>;tag=9",
            "a@h\r\nX: 1",
            "a@h?x=1",
        ] {
            assert!(!is_sip_address(text), "{text}");
        }
    }

    #[test]
    fn sip_addresses_lose_password_and_headers() {
        let table = [
            (
                "sip:zed:pw@h:5070;transport=tcp?X-A=1",
                "sip:zed@h:5070;transport=tcp",
            ),
            ("sips:zed@h", "sips:zed@h"),
            ("SIP:zed:pw@h", "sip:zed@h"),
            ("zed:pw@h", "zed@h"),
            ("sip:h", "sip:h"),
            ("ann", "ann"),
        ];
        for (address, expected) in table {
            assert_eq!(redacted_sip(address), expected);
        }
    }
}
