//! Translates between the leg commands and events of `call-proto` and those of `sip`.

use call_proto::routing::Caller;
use call_proto::{Headers, Invite, LegCommand, LegEvent, OutgoingMessage, Refer};
use model::CallSid;
use sip::{Credentials, DialogSnapshot, InviteSpec, MessageSpec, Peer};
use tracing::warn;

/// The SIP command for a leg command. An INVITE is made by [`invite`].
pub(crate) fn command(command: LegCommand) -> Option<sip::LegCommand> {
    Some(match command {
        LegCommand::Headers(headers) => sip::LegCommand::SetHeaders(headers),
        LegCommand::Ring => sip::LegCommand::Progress {
            status: 180,
            headers: Headers::new(),
        },
        LegCommand::Answer { sdp } => sip::LegCommand::Answer {
            sdp,
            headers: Headers::new(),
        },
        LegCommand::Reject { status, reason } => sip::LegCommand::Reject {
            status,
            reason: None,
            headers: reason_header(status, reason),
        },
        LegCommand::Cancel => sip::LegCommand::Cancel,
        LegCommand::Bye { reason } => sip::LegCommand::Bye {
            headers: reason_header(500, reason),
        },
        LegCommand::AnswerReinvite { sdp } => sip::LegCommand::AnswerReinvite {
            sdp,
            headers: Headers::new(),
        },
        LegCommand::RejectReinvite { status } => sip::LegCommand::RejectReinvite { status },
        LegCommand::AcceptRefer => sip::LegCommand::AcceptRefer,
        LegCommand::RejectRefer { status, reason } => sip::LegCommand::RejectRefer {
            status,
            headers: reason_header(status, Some(reason)),
        },
        LegCommand::ReferDone { status } => sip::LegCommand::ReferDone { status },
        LegCommand::Refer { target } => sip::LegCommand::Refer { target },
        LegCommand::Invite(_) => return None,
    })
}

/// The INVITE towards `peer`.
pub(crate) fn invite(invite: Invite, leg_headers: Headers, peer: Peer) -> InviteSpec {
    let from = from_uri(&invite.from, &invite.route.from_host);
    let mut spec = InviteSpec::new(invite.route.uri, from, peer);
    spec.to = invite.route.to;
    spec.from_display = invite.from_display;
    spec.sdp = invite.sdp;
    spec.headers = invite.headers;
    spec.leg_headers = leg_headers;
    spec.max_forwards = invite.max_forwards;
    spec.credentials = credentials(invite.route.credentials);
    spec
}

/// The sender of a request, as routing knows it.
pub(crate) fn caller(caller: &sip::Caller) -> Caller {
    match caller {
        sip::Caller::Client { login } => Caller::Client {
            login: login.clone(),
        },
        sip::Caller::Trunk { .. } => Caller::Trunk,
        sip::Caller::BadCredentials { .. } => Caller::Unproved,
        sip::Caller::Unknown => Caller::Unknown,
    }
}

/// Whether it has proved who it is.
pub(crate) const fn is_proved(caller: &sip::Caller) -> bool {
    match caller {
        sip::Caller::Client { .. } | sip::Caller::Trunk { .. } => true,
        sip::Caller::BadCredentials { .. } | sip::Caller::Unknown => false,
    }
}

/// The MESSAGE towards `peer`.
pub(crate) fn message(message: OutgoingMessage, peer: Peer) -> MessageSpec {
    let route = message.route;
    MessageSpec {
        from: from_uri(&message.from, &route.from_host),
        target: route.uri,
        to: route.to,
        route: peer,
        text: message.text,
        headers: message.headers,
        credentials: credentials(route.credentials),
    }
}

pub(crate) fn credentials(credentials: Option<(String, String)>) -> Option<Credentials> {
    credentials.map(|(username, password)| Credentials { username, password })
}

/// A dialog as stored for a restart.
pub(crate) fn kept(dialog: &DialogSnapshot) -> Option<String> {
    let tell = |error| warn!(%error, "a dialog cannot be kept for a restart");
    serde_json::to_string(dialog).map_err(tell).ok()
}

/// The event for the call of a leg; `None` for events that concern only the shell.
///
/// - `call_of`: the live call with a SIP leg.
pub(crate) fn event(
    event: sip::LegEvent,
    call_of: impl Fn(sip::LegId) -> Option<CallSid>,
) -> Option<LegEvent> {
    Some(match event {
        sip::LegEvent::Progress {
            status,
            headers,
            sdp: _,
        } => LegEvent::Progress { status, headers },
        sip::LegEvent::Answered {
            headers,
            sdp,
            call_id,
        } => LegEvent::Answered {
            headers,
            sip_call_id: call_id,
            sdp,
        },
        sip::LegEvent::Rejected {
            status,
            reason,
            headers,
            call_id,
        } => LegEvent::Rejected {
            status,
            reason,
            sip_call_id: call_id,
            headers,
        },
        sip::LegEvent::Canceled => LegEvent::Canceled,
        sip::LegEvent::Acked { sdp } | sip::LegEvent::ReinviteAcked { sdp } => {
            LegEvent::Acked { sdp }
        }
        sip::LegEvent::NoAck => LegEvent::NoAck,
        sip::LegEvent::Bye { headers: _, reason } => LegEvent::Bye { reason },
        sip::LegEvent::ByeDone { .. } => LegEvent::ByeDone,
        sip::LegEvent::Lost => LegEvent::Lost {
            reason: "the remote party is gone".to_owned(),
        },
        sip::LegEvent::Reinvite { sdp } => LegEvent::Reinvite { sdp },
        sip::LegEvent::Refer(refer) => LegEvent::Refer(Box::new(Refer {
            target: refer.target,
            target_user: refer.target_user,
            transferor: refer.contact_user,
            transferee: refer.to_user,
            replaces: refer.replaces.and_then(call_of),
        })),
        sip::LegEvent::ReferAnswered { status } => LegEvent::ReferAnswered { status },
        sip::LegEvent::ReferReported { status, is_last } => {
            LegEvent::ReferReported { status, is_last }
        }
        sip::LegEvent::Info { content_type, body } => LegEvent::Info {
            content_type,
            body: String::from_utf8_lossy(&body).into_owned(),
        },
        sip::LegEvent::ReinviteDone { .. }
        | sip::LegEvent::Dialog(_)
        | sip::LegEvent::MessageDone { .. }
        | sip::LegEvent::RegisterDone { .. }
        | sip::LegEvent::HeaderRefused { .. }
        | sip::LegEvent::InfoDone { .. } => return None,
    })
}

/// RFC 3326: the cause is the SIP status, the text adds detail.
pub(crate) fn reason_header(status: u16, text: Option<String>) -> Headers {
    let Some(text) = text else {
        return Headers::new();
    };
    let clean: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .filter(|c| *c != '"' && *c != '\\')
        .take(200)
        .collect();
    vec![(
        "Reason".to_owned(),
        format!("SIP;cause={status};text=\"{clean}\""),
    )]
}

/// The SIP address of a party that is named by an address, number or client.
pub(crate) fn from_uri(from: &str, host: &str) -> String {
    if from.contains('@') {
        let known = from.starts_with("sip:") || from.starts_with("sips:");
        return if known {
            from.to_owned()
        } else {
            format!("sip:{from}")
        };
    }
    format!("sip:{}@{host}", escape_user(from))
}

/// Percent-encodes characters not allowed in a user part (RFC 3261 §25.1).
pub(crate) fn escape_user(user: &str) -> String {
    let mut escaped = String::with_capacity(user.len());
    for byte in user.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => escaped.push(char::from(byte)),
            b'-' | b'_' | b'.' | b'!' | b'~' | b'*' | b'\'' | b'(' | b')' => {
                escaped.push(char::from(byte));
            }
            b'&' | b'=' | b'+' | b'$' | b',' => escaped.push(char::from(byte)),
            _ => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn makes_from_uris() {
        let table = [
            ("kim", "sip:kim@h"),
            ("+1999", "sip:+1999@h"),
            ("a b\r\n", "sip:a%20b%0D%0A@h"),
            ("sip:x@y", "sip:x@y"),
            ("x@y", "sip:x@y"),
        ];
        for (from, expected) in table {
            assert_eq!(from_uri(from, "h"), expected);
        }
    }

    #[test]
    fn reasons_cannot_break_a_header() {
        let headers = reason_header(500, Some("a\r\nX: 1\"\\".to_owned()));
        assert_eq!(headers[0].1, "SIP;cause=500;text=\"a  X: 1\"");
    }
}
