//! The types that a setting may have, each read from text.
//!
//! **Invariant: a value of these types needs no further check.** Where the text comes from is left
//! to `source`.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::num::{NonZeroU16, NonZeroU32, NonZeroU64};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;

use model::AccountSid;
use model::source::Network;
use tracing_subscriber::filter::Targets;
use url::Url;

use super::Reason;

/// A type that a setting may have.
pub(super) trait Setting: Sized {
    /// The form of a value, human-readable.
    const KIND: &'static str;
    /// Whether it must not be shown, and may come from a file.
    const SECRET: bool = false;

    /// Reads a value.
    fn read(text: &str) -> Result<Self, Reason>;
}

macro_rules! parsed {
    ($($Type:ty, $kind:literal;)+) => {$(
        impl Setting for $Type {
            const KIND: &'static str = $kind;

            fn read(text: &str) -> Result<Self, Reason> {
                text.parse().map_err(|_| format!("`{text}` is not {}", Self::KIND))
            }
        }
    )+};
}

parsed! {
    bool, "`true` or `false`";
    u32, "a whole number";
    NonZeroU16, "a port";
    NonZeroU32, "a whole number above 0";
    NonZeroU64, "a whole number above 0";
    IpAddr, "an IP address";
    Network, "an address or network such as `192.0.2.0/24`";
    CommandLine, "a program and its arguments";
    AccountSid, "`AC` and 32 hexadecimal digits";
    Domain, "a domain name";
    Email, "an e-mail address";
    MailSecurity, "`tls`, `starttls`, `opportunistic` or `none`";
    Sender, "an e-mail address or domain";
    Text, "a text without control characters";
    HttpAddress, "an address such as `https://carrier.example/v1`";
    MediaBytes, "a whole number from 1 to 67108864";
    LogFormat, "`human` or `json`";
    PortRange, "`first-last` or `any`";
    Origin, "an origin such as `https://console.example`";
}

impl Setting for SocketAddr {
    const KIND: &'static str = "an address and a port";

    fn read(text: &str) -> Result<Self, Reason> {
        text.parse().map_err(|_| {
            let port = text.rsplit(':').next().unwrap_or(text);
            let port = port.parse::<u16>().map_or(8080, |port| port);
            format!(
                "`{text}` is not {}: write `127.0.0.1:{port}` for this machine alone, or `0.0.0.0:{port}` \
                 for all its networks",
                Self::KIND
            )
        })
    }
}

impl<T: Setting> Setting for Option<T> {
    const KIND: &'static str = T::KIND;
    const SECRET: bool = T::SECRET;

    fn read(text: &str) -> Result<Self, Reason> {
        if text.is_empty() {
            Ok(None)
        } else {
            T::read(text).map(Some)
        }
    }
}

impl Setting for Vec<IpAddr> {
    const KIND: &'static str = "a list of IP addresses";

    fn read(text: &str) -> Result<Self, Reason> {
        listed(text)
    }
}

impl Setting for Vec<Network> {
    const KIND: &'static str = "a list of IP addresses and networks such as `192.0.2.0/24`";

    fn read(text: &str) -> Result<Self, Reason> {
        listed(text)
    }
}

impl Setting for Vec<Origin> {
    const KIND: &'static str = "a list of origins such as `https://console.example`";

    fn read(text: &str) -> Result<Self, Reason> {
        listed(text)
    }
}

impl Setting for Vec<Sender> {
    const KIND: &'static str = "a list of e-mail addresses and domains such as `@example.org`";

    fn read(text: &str) -> Result<Self, Reason> {
        listed(text)
    }
}

fn listed<T: Setting>(text: &str) -> Result<Vec<T>, Reason> {
    let parts = text
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty());
    parts.map(T::read).collect()
}

impl Setting for PathBuf {
    const KIND: &'static str = "a path";

    fn read(text: &str) -> Result<Self, Reason> {
        if text.is_empty() {
            return Err("a path cannot be empty".to_owned());
        }
        Ok(Self::from(text))
    }
}

/// A text that must not be shown.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(String);

impl Secret {
    /// The text itself; keep it out of logs and messages.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

impl Setting for Secret {
    const KIND: &'static str = "a string";
    const SECRET: bool = true;

    fn read(text: &str) -> Result<Self, Reason> {
        if text.is_empty() {
            return Err("a secret cannot be empty".to_owned());
        }
        Ok(Self(text.to_owned()))
    }
}

/// A host name, in lower case.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Domain(String);

impl Domain {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Domain {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let label = |label: &str| {
            let inner = label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-');
            inner
                && (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        let valid = text.len() <= 253 && text.split('.').all(label);
        valid.then(|| Self(text.to_ascii_lowercase())).ok_or(())
    }
}

/// The origin of web pages, as browsers write it: `https://host` or `https://host:port` (RFC 6454 §6.2).
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Origin(String);

impl Origin {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Origin {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let url = Url::parse(text).map_err(|_| ())?;
        let origin = url.origin().ascii_serialization();
        // Nothing else is in the address; the parser adds the path `/`.
        let is_bare = url.as_str().strip_suffix('/') == Some(origin.as_str());
        let valid = matches!(url.scheme(), "http" | "https") && is_bare;
        valid.then_some(Self(origin)).ok_or(())
    }
}

/// Size of a media file that can be decoded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct MediaBytes(usize);

impl MediaBytes {
    pub(crate) const fn get(self) -> usize {
        self.0
    }
}

impl FromStr for MediaBytes {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let size = text.parse().map_err(|_| ())?;
        let fits = (1..=audio::wav::MAX_FILE).contains(&size);
        fits.then_some(Self(size)).ok_or(())
    }
}

/// A text with exactly one `@`, of at most 254 bytes; whether mail arrives there cannot be checked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Email(String);

impl Email {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Email {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let fits = text.len() <= model::record::Account::MAX_EMAIL_BYTES;
        let clean = text.chars().all(|c| !c.is_whitespace() && !c.is_control());
        let valid = fits
            && clean
            && text.split_once('@').is_some_and(|(user, host)| {
                !user.is_empty() && !host.is_empty() && !host.contains('@')
            });
        valid.then(|| Self(text.to_owned())).ok_or(())
    }
}

/// A text of one line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Text(String);

impl Text {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Text {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let valid = !text.is_empty() && !text.chars().any(char::is_control);
        valid.then(|| Self(text.to_owned())).ok_or(())
    }
}

/// A sender of e-mails: an address, or a domain with all of its addresses.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Sender(String);

impl Sender {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Sender {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let domain = text.strip_prefix('@').unwrap_or(text);
        let valid = model::email::is_address(text) || domain.parse::<Domain>().is_ok();
        valid.then(|| Self(text.to_owned())).ok_or(())
    }
}

/// How the connection to a mail server is protected.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum MailSecurity {
    /// TLS from the first byte.
    Tls,
    /// STARTTLS, without which nothing is sent.
    StartTls,
    /// STARTTLS if the server offers it.
    Opportunistic,
    /// None.
    Plain,
}

impl FromStr for MailSecurity {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "tls" => Ok(Self::Tls),
            "starttls" => Ok(Self::StartTls),
            "opportunistic" => Ok(Self::Opportunistic),
            "none" => Ok(Self::Plain),
            _ => Err(()),
        }
    }
}

/// An HTTP or HTTPS address without a query, to which paths can be appended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct HttpAddress(Url);

impl HttpAddress {
    pub(crate) const fn as_url(&self) -> &Url {
        &self.0
    }
}

impl FromStr for HttpAddress {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let url = Url::parse(text).map_err(drop)?;
        let valid = matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.query().is_none()
            && url.fragment().is_none();
        valid.then_some(Self(url)).ok_or(())
    }
}

/// A program and its arguments, separated by spaces. It is not passed to a shell.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct CommandLine {
    /// A path, or a name to look up in `$PATH`.
    pub(crate) program: String,
    pub(crate) arguments: Vec<String>,
}

impl FromStr for CommandLine {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut words = text.split_whitespace().map(str::to_owned);
        let program = words.next().filter(|_| !text.contains('\0')).ok_or(())?;
        let arguments = words.collect();
        Ok(Self { program, arguments })
    }
}

/// Format of log lines.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum LogFormat {
    /// Human-readable text.
    Human,
    /// One JSON object per line.
    Json,
}

impl FromStr for LogFormat {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "human" => Ok(Self::Human),
            "json" => Ok(Self::Json),
            _ => Err(()),
        }
    }
}

/// Which log lines are written: a level, or levels by module.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct LogLevel(Targets);

impl LogLevel {
    /// The filter that these directives describe.
    pub(crate) fn filter(&self) -> Targets {
        self.0.clone()
    }
}

impl Setting for LogLevel {
    const KIND: &'static str = "a level or directives";

    fn read(text: &str) -> Result<Self, Reason> {
        const LEVELS: &[&str] = &["off", "error", "warn", "info", "debug", "trace"];
        for directive in text.split(',') {
            let level = directive.rsplit('=').next().unwrap_or(directive).trim();
            if !LEVELS.contains(&level) {
                return Err(format!("`{level}` is not one of {}", LEVELS.join(", ")));
            }
        }
        let targets = text
            .parse()
            .map_err(|_| "not a list of directives".to_owned())?;
        Ok(Self(targets))
    }
}

/// UDP ports for media: a range, or any chosen by the system.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct PortRange(RangeInclusive<u16>);

impl PortRange {
    /// First and last port; `0..=0` for any.
    pub(crate) fn range(&self) -> RangeInclusive<u16> {
        self.0.clone()
    }

    /// Pairs of an even port and the next one; `None` for any ports.
    pub(crate) fn pairs(&self) -> Option<usize> {
        let (first, last) = (usize::from(*self.0.start()), usize::from(*self.0.end()));
        let even = first.next_multiple_of(2);
        (first > 0).then(|| (last + 1).saturating_sub(even) / 2)
    }
}

impl FromStr for PortRange {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        if text == "any" {
            return Ok(Self(0..=0));
        }
        let (first, last) = text.split_once('-').ok_or(())?;
        let parse = |text: &str| text.trim().parse::<u16>().map_err(|_| ());
        let (first, last) = (parse(first)?, parse(last)?);
        // RTP and its RTCP need two ports.
        let usable = first > 0 && last > first;
        usable.then_some(Self(first..=last)).ok_or(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reads<T: Setting>(good: &[&str], bad: &[&str]) {
        for text in good {
            assert!(T::read(text).is_ok(), "{text} should be {}", T::KIND);
        }
        for text in bad {
            assert!(T::read(text).is_err(), "{text} should not be {}", T::KIND);
        }
    }

    #[test]
    fn what_each_type_takes() {
        reads::<bool>(&["true", "false"], &["yes", "", "1", "True"]);
        reads::<NonZeroU32>(&["1", "4294967295"], &["0", "-1", "1.5", "x", "4294967296"]);
        reads::<SocketAddr>(
            &["127.0.0.1:0", "[::]:5060"],
            &["127.0.0.1", ":5060", "host:1"],
        );
        reads::<Vec<IpAddr>>(&["", "1.2.3.4, ::1"], &["1.2.3.4,x"]);
        reads::<AccountSid>(
            &["AC0123456789abcdef0123456789abcdef"],
            &["AC0123", "CA0123456789abcdef0123456789abcdef"],
        );
        reads::<Domain>(
            &["patchcord", "a.example"],
            &["", "-a", "a..b", "a b", "a/b", "a\nb"],
        );
        let too_long = format!("a@{}", "b".repeat(253));
        reads::<Email>(&["a@b"], &["a", "@b", "a@", "a@b@c", "a @b", &too_long]);
        reads::<HttpAddress>(
            &["https://c.example/v1", "http://127.0.0.1:8000"],
            &[
                "",
                "c.example",
                "ftp://c.example/",
                "https://c.example/?x=1",
            ],
        );
        reads::<CommandLine>(&["/a/b", " recognize  --fast "], &["", " ", "a\0b"]);
        reads::<Origin>(
            &[
                "https://a.example",
                "http://LOCALHOST:3000",
                "https://a.example:443/",
                "http://[::1]:8000",
            ],
            &[
                "",
                "*",
                "null",
                "a.example",
                "https://",
                "ftp://a",
                "https://a/b",
                "https://u@a",
                "https://a?b",
            ],
        );
        assert_eq!(
            Origin::read("https://A.example:443/"),
            Origin::read("https://a.example")
        );
        reads::<MailSecurity>(
            &["tls", "starttls", "opportunistic", "none"],
            &["", "TLS", "ssl"],
        );
        reads::<Vec<Sender>>(
            &["", "a@b", "@b.example, c.example"],
            &["a b", "@", "a@b@c", "@-b"],
        );
        reads::<Option<Text>>(&["", "ann", "ann b"], &["a\nb"]);
        reads::<Option<NonZeroU16>>(&["", "25"], &["0", "65536", "x"]);
        reads::<LogFormat>(&["human", "json"], &["xml", "JSON"]);
        reads::<LogLevel>(
            &["info", "info,sip=debug"],
            &["loud", "sip=loud", "", "info,,"],
        );
        reads::<PortRange>(
            &["any", "10000-20000"],
            &["5", "0-5", "20-10", "7-7", "1-70000"],
        );
        reads::<Option<Secret>>(&["", "x"], &[]);
        reads::<PathBuf>(&["./a"], &[""]);
    }

    #[test]
    fn a_secret_never_shows() {
        let secret = Secret::read("open sesame").unwrap();
        assert_eq!(format!("{secret:?}"), "<secret>");
        assert_eq!(secret.expose(), "open sesame");
    }
}
