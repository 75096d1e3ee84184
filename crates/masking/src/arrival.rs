//! What a call or text at a number of a pool means.

use model::{AccountSid, MaskServiceSid, MaskSessionSid, NumberSid, ParticipantSid, Timestamp};
use serde::{Deserialize, Serialize};

use crate::records::{Participant, PoolNumber, Service, Session, Status};
use crate::words::words;

words! {
    /// What an interaction is.
    Kind:
    /// A call.
    Voice = "voice",
    /// A text.
    Message = "message",
}

/// Path of the address that receives the PIN of a caller.
pub const PIN_PATH: &str = "/restcomm/masks";
/// What the query of that address is signed for.
pub const PIN: &str = "mask-pin";

/// The query of that address, to be signed.
#[must_use]
pub fn pin_query(number: NumberSid) -> String {
    format!("Number={number}")
}

/// What is known about a call or text at a number of a pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The service whose pool the number is in.
    pub service: Service,
    /// The number.
    pub mask: PoolNumber,
    /// The session in which the caller has this number as its mask; `None` if there is no open one.
    pub talk: Option<Talk>,
    /// Address that receives the PIN of a caller who is asked for it.
    pub pin_address: String,
    /// When all this was read.
    pub at: Timestamp,
}

/// A session from the point of view of a caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Talk {
    /// The session.
    pub session: Session,
    /// The caller.
    pub caller: Participant,
    /// The other participant, if there is one yet.
    pub other: Option<Participant>,
}

/// Who meets whom, without numbers: what becomes the record of an interaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// Account of the service.
    pub account: AccountSid,
    /// The service.
    pub service: MaskServiceSid,
    /// The session.
    pub session: MaskSessionSid,
    /// Who called or texted.
    pub from: ParticipantSid,
    /// Who is to be reached.
    pub to: ParticipantSid,
}

/// Whom a call or text is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// Who meets whom.
    pub contact: Contact,
    /// The real number of the other participant.
    pub to: String,
    /// What the other participant sees as the sender: its own mask.
    pub mask: String,
}

/// Why a call or text is not passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// Its sender is in no open session with this mask.
    NoSession,
    /// The session has no other participant yet.
    Alone,
    /// The session is not for calls, or not for texts.
    Mode,
    /// The session has had as many interactions as its service allows.
    TooMany,
}

/// Decides whom a call or text at a mask is for.
///
/// # Errors
/// [`Why`] it is not passed on.
pub fn decide(found: &Found, kind: Kind) -> Result<Connection, Why> {
    let talk = found.talk.as_ref().ok_or(Why::NoSession)?;
    let session = &talk.session;
    if session.status_at(found.at) == Status::Closed {
        return Err(Why::NoSession);
    }
    let allowed = match kind {
        Kind::Voice => session.mode.allows_voice(),
        Kind::Message => session.mode.allows_messages(),
    };
    if !allowed {
        return Err(Why::Mode);
    }
    let most = found.service.settings.max_interactions;
    if most > 0 && session.interactions >= most {
        return Err(Why::TooMany);
    }
    let other = talk.other.as_ref().ok_or(Why::Alone)?;
    Ok(Connection {
        contact: Contact {
            account: found.service.account,
            service: found.service.sid,
            session: session.sid,
            from: talk.caller.sid,
            to: other.sid,
        },
        to: other.number.clone(),
        mask: other.mask_number.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Mode, Settings};

    fn participant(n: u8) -> Participant {
        Participant {
            sid: ParticipantSid::from_bytes([n; 16]),
            account: AccountSid::from_bytes([1; 16]),
            service: MaskServiceSid::from_bytes([2; 16]),
            session: MaskSessionSid::from_bytes([3; 16]),
            number: format!("+4917000000{n}"),
            name: String::new(),
            mask: NumberSid::from_bytes([n + 10; 16]),
            mask_number: format!("+493000000{n}"),
            pin: String::new(),
            created: Timestamp(0),
            updated: Timestamp(0),
        }
    }

    fn found() -> Found {
        let (account, service) = (
            AccountSid::from_bytes([1; 16]),
            MaskServiceSid::from_bytes([2; 16]),
        );
        Found {
            service: Service {
                sid: service,
                account,
                name: "rides".to_owned(),
                settings: Settings::default(),
                created: Timestamp(0),
                updated: Timestamp(0),
            },
            mask: PoolNumber {
                sid: NumberSid::from_bytes([11; 16]),
                account,
                service,
                phone_number: "+4930000001".to_owned(),
                is_reserved: false,
                in_use: 1,
                created: Timestamp(0),
                updated: Timestamp(0),
            },
            talk: Some(Talk {
                session: Session {
                    sid: MaskSessionSid::from_bytes([3; 16]),
                    account,
                    service,
                    name: None,
                    status: Status::Open,
                    mode: Mode::VoiceAndMessage,
                    ttl_s: 60,
                    expiry: None,
                    interactions: 0,
                    started: None,
                    last: None,
                    ended: None,
                    reason: None,
                    created: Timestamp(0),
                    updated: Timestamp(0),
                },
                caller: participant(1),
                other: Some(participant(2)),
            }),
            pin_address: String::new(),
            at: Timestamp(59_000_000),
        }
    }

    #[test]
    fn the_other_one_is_reached_and_sees_its_own_mask() {
        let connection = decide(&found(), Kind::Voice).unwrap();
        assert_eq!(connection.to, "+49170000002");
        assert_eq!(connection.mask, "+4930000002");
        assert_eq!(connection.contact.from, ParticipantSid::from_bytes([1; 16]));
        assert_eq!(connection.contact.to, ParticipantSid::from_bytes([2; 16]));
    }

    #[test]
    fn everything_else_is_not_passed_on() {
        type Change = fn(&mut Found);
        let table: &[(Change, Kind, Why)] = &[
            (|f| f.talk = None, Kind::Voice, Why::NoSession),
            (
                |f| f.at = Timestamp(60_000_000),
                Kind::Voice,
                Why::NoSession,
            ),
            (
                |f| f.talk.as_mut().unwrap().session.status = Status::Closed,
                Kind::Message,
                Why::NoSession,
            ),
            (
                |f| f.talk.as_mut().unwrap().other = None,
                Kind::Voice,
                Why::Alone,
            ),
            (
                |f| f.talk.as_mut().unwrap().session.mode = Mode::MessageOnly,
                Kind::Voice,
                Why::Mode,
            ),
            (
                |f| f.talk.as_mut().unwrap().session.mode = Mode::VoiceOnly,
                Kind::Message,
                Why::Mode,
            ),
            (
                |f| {
                    f.service.settings.max_interactions = 2;
                    f.talk.as_mut().unwrap().session.interactions = 2;
                },
                Kind::Voice,
                Why::TooMany,
            ),
        ];
        for (change, kind, expected) in table {
            let mut found = found();
            change(&mut found);
            assert_eq!(decide(&found, *kind), Err(*expected), "{found:?}");
        }
    }
}
