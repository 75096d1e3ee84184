//! What is stored: services, the numbers of their pools, sessions, participants and interactions.

use std::time::Duration;

use model::{
    AccountSid, InteractionSid, MaskServiceSid, MaskSessionSid, NumberSid, ParticipantSid,
    Timestamp,
};

use crate::arrival::Kind;
use crate::settings::{Mode, Settings};
use crate::words::words;

/// A service, also called an application: what sessions have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Identifier.
    pub sid: MaskServiceSid,
    /// Account it belongs to.
    pub account: AccountSid,
    /// Its name, unique in the account.
    pub name: String,
    /// What it allows.
    pub settings: Settings,
    /// When it was created.
    pub created: Timestamp,
    /// When it was last changed.
    pub updated: Timestamp,
}

/// A number of a pool. It has the identifier of the account's number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolNumber {
    /// Identifier.
    pub sid: NumberSid,
    /// Account it belongs to.
    pub account: AccountSid,
    /// The service whose pool it is in.
    pub service: MaskServiceSid,
    /// The number, in E.164 form.
    pub phone_number: String,
    /// Whether it is given only to participants for whom it is requested.
    pub is_reserved: bool,
    /// How many participants of open sessions have it.
    pub in_use: i64,
    /// When it was added.
    pub created: Timestamp,
    /// When it was last changed.
    pub updated: Timestamp,
}

words! {
    /// The status of a session.
    Status:
    /// Nothing has happened in it yet.
    Open = "open",
    /// It is open, and there was an interaction.
    InProgress = "in-progress",
    /// It has ended: final.
    Closed = "closed",
}

/// Why a session ended.
pub mod reason {
    /// The application closed it.
    pub const API: &str = "api";
    /// Its time to live was over.
    pub const TTL: &str = "ttl";
    /// Its expiry date was reached.
    pub const EXPIRY: &str = "date-expiry";
    /// Its service was deleted.
    pub const SERVICE: &str = "service-deleted";
    /// Its account was closed.
    pub const ACCOUNT: &str = "account-closed";
}

/// A session, also called a context: one ride, one delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Identifier.
    pub sid: MaskSessionSid,
    /// Account it belongs to.
    pub account: AccountSid,
    /// Its service.
    pub service: MaskServiceSid,
    /// Its name, unique in the service.
    pub name: Option<String>,
    /// As recorded; [`Session::status_at`] also knows the time.
    pub status: Status,
    /// What its participants may do.
    pub mode: Mode,
    /// How long it is open after its creation and its last interaction, in seconds; 0 for no limit.
    pub ttl_s: i64,
    /// When it ends in any case; then the time to live does not count.
    pub expiry: Option<Timestamp>,
    /// How many interactions there were.
    pub interactions: i64,
    /// When the first interaction began.
    pub started: Option<Timestamp>,
    /// When the last interaction began or ended.
    pub last: Option<Timestamp>,
    /// When it was closed.
    pub ended: Option<Timestamp>,
    /// Why it was closed.
    pub reason: Option<String>,
    /// When it was created.
    pub created: Timestamp,
    /// When it was last changed.
    pub updated: Timestamp,
}

impl Session {
    /// How many participants a session has at most.
    pub const PARTICIPANTS: usize = 2;

    /// When it ends unless something happens in it; `None`: not by itself.
    #[must_use]
    pub fn expires(&self) -> Option<Timestamp> {
        let ttl = u64::try_from(self.ttl_s).unwrap_or(0);
        let by_ttl = (ttl > 0).then(|| {
            self.last.unwrap_or(self.created).max(self.created) + Duration::from_secs(ttl)
        });
        self.expiry.or(by_ttl)
    }

    /// Why it ends when its time is over.
    #[must_use]
    pub const fn expiry_reason(&self) -> &'static str {
        if self.expiry.is_some() {
            reason::EXPIRY
        } else {
            reason::TTL
        }
    }

    /// Its status now, also if the end of its time is not on record yet.
    #[must_use]
    pub fn status_at(&self, now: Timestamp) -> Status {
        if self.expires().is_some_and(|expires| expires <= now) {
            return Status::Closed;
        }
        self.status
    }

    /// The same session, with its end if its time is over.
    #[must_use]
    pub fn at(mut self, now: Timestamp) -> Self {
        if self.status != Status::Closed && self.status_at(now) == Status::Closed {
            self.reason = Some(self.expiry_reason().to_owned());
            self.ended = self.expires();
            self.status = Status::Closed;
        }
        self
    }
}

/// A participant of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Participant {
    /// Identifier.
    pub sid: ParticipantSid,
    /// Account it belongs to.
    pub account: AccountSid,
    /// The service of its session.
    pub service: MaskServiceSid,
    /// Its session.
    pub session: MaskSessionSid,
    /// The real number, in E.164 form.
    pub number: String,
    /// A name for the application.
    pub name: String,
    /// The number of the pool that it was given.
    pub mask: NumberSid,
    /// The same, in E.164 form.
    pub mask_number: String,
    /// What it enters if it calls from another number; empty for none.
    pub pin: String,
    /// When it was added.
    pub created: Timestamp,
    /// When it was last changed.
    pub updated: Timestamp,
}

/// What identifies a participant when a call or text arrives: unique among open sessions.
#[must_use]
pub fn pair(mask: NumberSid, number: &str) -> String {
    format!("{mask} {number}")
}

words! {
    /// The status of an interaction.
    State:
    /// It goes on.
    InProgress = "in-progress",
    /// The other participant was reached: final.
    Completed = "completed",
    /// The other participant was not reached: final.
    Failed = "failed",
}

/// A call or text of one participant to the other. It holds no numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interaction {
    /// Identifier.
    pub sid: InteractionSid,
    /// Account it belongs to.
    pub account: AccountSid,
    /// The service of its session.
    pub service: MaskServiceSid,
    /// Its session.
    pub session: MaskSessionSid,
    /// A call or a text.
    pub kind: Kind,
    /// Who called or texted.
    pub from: ParticipantSid,
    /// Who was to be reached.
    pub to: ParticipantSid,
    /// The call or message that arrived.
    pub inbound: String,
    /// Its status when the interaction ended.
    pub inbound_status: Option<String>,
    /// The call or message to the other participant.
    pub outbound: Option<String>,
    /// Its status when the interaction ended.
    pub outbound_status: Option<String>,
    /// Its status.
    pub state: State,
    /// How long the two talked, in seconds.
    pub duration_s: Option<i64>,
    /// When it began.
    pub created: Timestamp,
    /// When it was last changed.
    pub updated: Timestamp,
    /// When it ended.
    pub ended: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(ttl_s: i64, expiry: Option<i64>, last: Option<i64>) -> Session {
        let seconds = |at: i64| Timestamp(at * 1_000_000);
        Session {
            sid: MaskSessionSid::from_bytes([1; 16]),
            account: AccountSid::from_bytes([2; 16]),
            service: MaskServiceSid::from_bytes([3; 16]),
            name: None,
            status: Status::Open,
            mode: Mode::VoiceAndMessage,
            ttl_s,
            expiry: expiry.map(seconds),
            interactions: 0,
            started: None,
            last: last.map(seconds),
            ended: None,
            reason: None,
            created: seconds(100),
            updated: seconds(100),
        }
    }

    #[test]
    fn a_session_ends_by_its_date_or_after_its_last_interaction() {
        // Time to live, date, last interaction; when it ends and why.
        let table = [
            (0, None, None, None),
            (60, None, None, Some((160, reason::TTL))),
            (60, None, Some(150), Some((210, reason::TTL))),
            (60, Some(120), Some(150), Some((120, reason::EXPIRY))),
            (60, Some(900), None, Some((900, reason::EXPIRY))),
        ];
        for (ttl, date, last, expected) in table {
            let session = session(ttl, date, last);
            let Some((end, why)) = expected else {
                assert_eq!(session.status_at(Timestamp(i64::MAX)), Status::Open);
                continue;
            };
            let before = Timestamp(end * 1_000_000 - 1);
            assert_eq!(session.clone().at(before), session);
            let over = session.at(Timestamp(end * 1_000_000));
            assert_eq!(over.status, Status::Closed);
            assert_eq!(over.reason.as_deref(), Some(why));
            assert_eq!(over.ended, Some(Timestamp(end * 1_000_000)));
        }
    }
}
