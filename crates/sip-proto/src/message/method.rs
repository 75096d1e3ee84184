//! Request methods (RFC 3261 §7.1): case-sensitive, unknown ones kept.

use std::fmt;

/// A request method. Compared byte by byte: `Invite` is not `INVITE`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "each variant is the method of its name")]
pub enum Method {
    Invite,
    Ack,
    Bye,
    Cancel,
    Register,
    Options,
    Info,
    Message,
    Notify,
    Subscribe,
    Refer,
    Update,
    Prack,
    Publish,
    /// Any other token.
    Other(Box<str>),
}

const KNOWN: [(Method, &str); 14] = [
    (Method::Invite, "INVITE"),
    (Method::Ack, "ACK"),
    (Method::Bye, "BYE"),
    (Method::Cancel, "CANCEL"),
    (Method::Register, "REGISTER"),
    (Method::Options, "OPTIONS"),
    (Method::Info, "INFO"),
    (Method::Message, "MESSAGE"),
    (Method::Notify, "NOTIFY"),
    (Method::Subscribe, "SUBSCRIBE"),
    (Method::Refer, "REFER"),
    (Method::Update, "UPDATE"),
    (Method::Prack, "PRACK"),
    (Method::Publish, "PUBLISH"),
];

impl Method {
    /// Reads a method; `None` unless `text` is a token (RFC 3261 §25.1).
    pub fn parse(text: &str) -> Option<Self> {
        if let Some((method, _)) = KNOWN.iter().find(|(_, name)| *name == text) {
            return Some(method.clone());
        }
        crate::parse::is_token(text.as_bytes()).then(|| Self::Other(text.into()))
    }

    /// The method as written on the wire.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Invite => "INVITE",
            Self::Ack => "ACK",
            Self::Bye => "BYE",
            Self::Cancel => "CANCEL",
            Self::Register => "REGISTER",
            Self::Options => "OPTIONS",
            Self::Info => "INFO",
            Self::Message => "MESSAGE",
            Self::Notify => "NOTIFY",
            Self::Subscribe => "SUBSCRIBE",
            Self::Refer => "REFER",
            Self::Update => "UPDATE",
            Self::Prack => "PRACK",
            Self::Publish => "PUBLISH",
            Self::Other(name) => name,
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
