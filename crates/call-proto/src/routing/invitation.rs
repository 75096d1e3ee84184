//! The content of an INVITE or MESSAGE, and how much of it is trusted.

use std::net::IpAddr;

use model::{OrganizationSid, number};

use crate::event::Headers;

/// Prefix of the headers that name our own calls.
const OURS: &str = "X-RestComm-";

/// The sender of the INVITE.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Caller {
    /// An unknown caller.
    Unknown,
    /// Its credentials are wrong or outdated.
    Unproved,
    /// A client, authenticated by digest.
    Client {
        /// Its login.
        login: String,
    },
    /// A trunk, recognised by its address.
    Trunk,
}

/// The parts of an INVITE or MESSAGE that routing needs.
#[derive(Clone, Debug)]
pub struct Invitation {
    /// The sender.
    pub caller: Caller,
    /// User part of From; not authenticated.
    pub from_user: String,
    /// The organization that From names, or the first one; that of the client, if it is authenticated.
    pub from_organization: OrganizationSid,
    /// Whether the host of From is this server.
    pub from_here: bool,
    /// Whether it came from an address at which a client with that user part is registered.
    pub from_registered: bool,
    /// The organization whose domain the Request-URI names; `None` if it names none.
    pub called_organization: Option<OrganizationSid>,
    /// User part of the Request-URI.
    pub called_user: String,
    /// Whether the Request-URI names this server rather than another one.
    pub called_here: bool,
    /// Request-URI.
    pub request_uri: String,
    /// User part of To.
    pub to_user: String,
    /// `X-` header fields and Diversion, in order.
    pub headers: Headers,
    /// Whether the body, if any, is of a supported type.
    pub body_type_ok: bool,
}

impl Invitation {
    /// The called address, if it is another server's. An address literal without a port may be ours
    /// behind a redirect.
    pub(super) fn foreign(&self) -> Option<&str> {
        let uri = self.request_uri.as_str();
        let host = uri.strip_prefix("sip:")?.rsplit('@').next()?;
        let host = host.split([';', '?']).next()?;
        let literal = host.trim_matches(['[', ']']).parse::<IpAddr>();
        (!self.called_here && literal.is_err()).then_some(uri)
    }

    /// The header fields that the call may carry: only trunks are trusted to name who diverted a
    /// call, and headers that name our own calls are not accepted from outside.
    pub(super) fn believed_headers(&self) -> Headers {
        let by_trunk = self.caller == Caller::Trunk;
        let keep = |(name, _): &&(String, String)| {
            let start = name.get(..OURS.len());
            let is_ours = start.is_some_and(|start| start.eq_ignore_ascii_case(OURS));
            !is_ours && (by_trunk || !name.eq_ignore_ascii_case("Diversion"))
        };
        self.headers.iter().filter(keep).cloned().collect()
    }
}

/// User part of a Diversion header (RFC 5806).
pub(super) fn forwarded_from(headers: &Headers) -> Option<String> {
    let (_, value) = headers
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case("Diversion"))?;
    let after = value.split_once("sip:")?.1;
    let user = number::of_user_part(after.split_once('@')?.0);
    (!user.is_empty()).then(|| user.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn diversion_names_the_forwarder() {
        let header = |value: &str| vec![("Diversion".to_owned(), value.to_owned())];
        let table = [
            ("<sip:777@x>;reason=busy", Some("777")),
            ("<sip:+12025550100;npdi@x;user=phone>", Some("+12025550100")),
            ("<tel:777>", None),
            ("<sip:@x>", None),
        ];
        for (value, user) in table {
            assert_eq!(forwarded_from(&header(value)).as_deref(), user, "{value}");
        }
        assert_eq!(forwarded_from(&Headers::new()), None);
    }
}
