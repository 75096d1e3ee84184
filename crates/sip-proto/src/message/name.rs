//! Header field names: case-insensitive, compact forms (RFC 3261 §7.3.3), unknown ones kept.

use bytes::Bytes;
use std::fmt;

macro_rules! names {
    ($($variant:ident $text:literal $($compact:literal)?;)*) => {
        /// Name of a header field.
        ///
        /// A known name is written in its full, usual spelling; any other keeps its original bytes.
        #[derive(Debug, Clone)]
        #[expect(missing_docs, reason = "each variant is the header field of its name")]
        pub enum HeaderName {
            $($variant,)*
            /// Any other token, as spelled.
            Other(Bytes),
        }

        impl HeaderName {
            /// The full name as written on the wire.
            pub fn as_bytes(&self) -> &[u8] {
                match self {
                    $(Self::$variant => $text.as_bytes(),)*
                    Self::Other(name) => name,
                }
            }

            fn compact(&self) -> Option<u8> {
                match self {
                    $($(Self::$variant => Some($compact),)?)*
                    _ => None,
                }
            }
        }

        const KNOWN: &[(HeaderName, &str)] = &[$((HeaderName::$variant, $text),)*];
    };
}

names! {
    Via "Via" b'v';
    From "From" b'f';
    To "To" b't';
    CallId "Call-ID" b'i';
    CSeq "CSeq";
    MaxForwards "Max-Forwards";
    Contact "Contact" b'm';
    ContentLength "Content-Length" b'l';
    ContentType "Content-Type" b'c';
    Route "Route";
    RecordRoute "Record-Route";
    UserAgent "User-Agent";
    Allow "Allow";
    Supported "Supported" b'k';
    Expires "Expires";
    Authorization "Authorization";
    ProxyAuthorization "Proxy-Authorization";
    WwwAuthenticate "WWW-Authenticate";
    ProxyAuthenticate "Proxy-Authenticate";
    AuthenticationInfo "Authentication-Info";
    Accept "Accept";
    AcceptContact "Accept-Contact" b'a';
    AcceptEncoding "Accept-Encoding";
    AcceptLanguage "Accept-Language";
    AlertInfo "Alert-Info";
    AllowEvents "Allow-Events" b'u';
    CallInfo "Call-Info";
    ContentDisposition "Content-Disposition";
    ContentEncoding "Content-Encoding" b'e';
    ContentLanguage "Content-Language";
    Date "Date";
    Diversion "Diversion";
    ErrorInfo "Error-Info";
    Event "Event" b'o';
    HistoryInfo "History-Info";
    Identity "Identity" b'y';
    IdentityInfo "Identity-Info" b'n';
    InReplyTo "In-Reply-To";
    MimeVersion "MIME-Version";
    MinExpires "Min-Expires";
    MinSe "Min-SE";
    Organization "Organization";
    PAssertedIdentity "P-Asserted-Identity";
    PPreferredIdentity "P-Preferred-Identity";
    Path "Path";
    Priority "Priority";
    Privacy "Privacy";
    ProxyRequire "Proxy-Require";
    RAck "RAck";
    RSeq "RSeq";
    Reason "Reason";
    ReferTo "Refer-To" b'r';
    ReferredBy "Referred-By" b'b';
    ReferSub "Refer-Sub";
    RejectContact "Reject-Contact" b'j';
    RemotePartyId "Remote-Party-ID";
    Replaces "Replaces";
    ReplyTo "Reply-To";
    RequestDisposition "Request-Disposition" b'd';
    Require "Require";
    RetryAfter "Retry-After";
    Server "Server";
    ServiceRoute "Service-Route";
    SessionExpires "Session-Expires" b'x';
    Subject "Subject" b's';
    SubscriptionState "Subscription-State";
    Timestamp "Timestamp";
    Unsupported "Unsupported";
    Warning "Warning";
}

impl HeaderName {
    /// Reads a name in full or compact form; `None` unless it is a token.
    pub fn parse(name: &str) -> Option<Self> {
        if let Some(known) = Self::known(name.as_bytes()) {
            return Some(known);
        }
        crate::parse::is_token(name.as_bytes())
            .then(|| Self::Other(Bytes::copy_from_slice(name.as_bytes())))
    }

    /// The known name spelled `name` in full or compact form.
    pub(crate) fn known(name: &[u8]) -> Option<Self> {
        if let [letter] = name {
            let compact = Some(letter.to_ascii_lowercase());
            return KNOWN
                .iter()
                .find(|(known, _)| known.compact() == compact)
                .map(|k| k.0.clone());
        }
        let mut next = *CHAINS.first.get(name.len())?;
        while let Some((known, text)) = KNOWN.get(usize::from(next)) {
            if text.as_bytes().eq_ignore_ascii_case(name) {
                return Some(known.clone());
            }
            next = CHAINS.next[usize::from(next)];
        }
        None
    }

    /// The full name as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    /// Whether `name` spells this header in full or compact form.
    pub fn is(&self, name: &[u8]) -> bool {
        match name {
            [letter] => {
                let letter = letter.to_ascii_lowercase();
                self.compact() == Some(letter) || self.as_bytes().eq_ignore_ascii_case(&[letter])
            }
            _ => self.as_bytes().eq_ignore_ascii_case(name),
        }
    }
}

/// Known names chained by length, so that a look-up compares only a handful of them.
struct Chains {
    /// Index of the first name of each length.
    first: [u8; 32],
    /// Index of the next name of the same length.
    next: [u8; KNOWN.len()],
}

const END: u8 = u8::MAX;

static CHAINS: Chains = {
    let mut chains = Chains {
        first: [END; 32],
        next: [END; KNOWN.len()],
    };
    let mut at = KNOWN.len();
    while at > 0 {
        at -= 1;
        let len = KNOWN[at].1.len();
        chains.next[at] = chains.first[len];
        chains.first[len] = at as u8;
    }
    chains
};

impl PartialEq for HeaderName {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Other(a), Self::Other(b)) => a.eq_ignore_ascii_case(b),
            (Self::Other(_), _) | (_, Self::Other(_)) => false,
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }
}

impl Eq for HeaderName {}

impl fmt::Display for HeaderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
