//! Sessions and their participants.

use ::masking::{Participant, Service, Session};
use model::{MaskServiceSid, MaskSessionSid, ParticipantSid, Timestamp};

use super::rows::{PARTICIPANTS, SESSIONS, read_participant, read_session, session_args};
use super::write::{NotJoined, Write, deletions, why_not};
use crate::admin::Admin;
use crate::filter::{Rows, Scope, Window};
use crate::query::Conditions;
use crate::sql::{ROWS_AT_ONCE, Sql, args};
use crate::{Result, Store};

/// Selects sessions of a service.
#[derive(Debug, Clone)]
pub struct SessionFilter<'a> {
    /// The service.
    pub service: &'a Service,
    /// Only closed ones, or only those that are not, as far as that is on record.
    pub is_closed: Option<bool>,
    /// Part of the list.
    pub window: Window,
}

impl Store {
    /// Sessions that a filter matches, newest first.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn mask_sessions(&self, filter: &SessionFilter<'_>) -> Result<Rows<Session>> {
        let scope = Some(Scope::Own(filter.service.account));
        let fill = |conditions: &mut Conditions| {
            conditions.add(" AND service = ?", filter.service.sid);
            match filter.is_closed {
                Some(true) => conditions.add(" AND status = ?", "closed"),
                Some(false) => conditions.add(" AND status <> ?", "closed"),
                None => {}
            }
        };
        self.newest(&SESSIONS, scope, &filter.window, fill, read_session)
            .await
    }

    /// A session.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn mask_session(&self, sid: MaskSessionSid) -> Result<Option<Session>> {
        self.one(&SESSIONS, sid, read_session).await
    }

    /// The session of a service with this name.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn mask_session_of_name(
        &self,
        service: &Service,
        name: &str,
    ) -> Result<Option<Session>> {
        let mut sql = SESSIONS.select();
        sql.with(" WHERE service = ?", service.sid)
            .with(" AND name = ?", name);
        self.first(sql, read_session).await
    }

    /// Adds a session.
    ///
    /// # Errors
    /// [`crate::StoreError::Duplicate`] if the service has one of that name, and
    /// [`crate::StoreError::AccountClosed`] if its account is closed.
    pub async fn insert_mask_session(&self, session: &Session) -> Result<()> {
        let insert = Admin::InsertOwned(session.account, &SESSIONS, session_args(session));
        self.administer(insert).await.map(drop)
    }

    /// Replaces a session; `false` if it does not exist, or has changed since it was read. If it is closed now, its
    /// masks are free.
    ///
    /// # Errors
    /// [`crate::StoreError::Duplicate`] if the service has another one of that name.
    pub async fn update_mask_session(&self, session: &Session, read: Timestamp) -> Result<bool> {
        let write = Write::UpdateSession(Box::new(session.clone()), read);
        self.administer(Admin::Mask(Box::new(write))).await
    }

    /// Deletes a session with its participants and interactions.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn delete_mask_session(&self, sid: MaskSessionSid) -> Result<()> {
        let delete = Admin::Mask(Box::new(Write::DeleteSession(sid)));
        self.administer(delete).await.map(drop)
    }

    /// Closes sessions whose time is over; returns whether there were any.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn close_expired_sessions(&self, now: Timestamp) -> Result<bool> {
        let due = Sql::new(
            "SELECT sid FROM mask_sessions WHERE status <> 'closed' AND expires <= $1 LIMIT 1",
            args![now],
        );
        if self.first(due, |row| row.text("sid")).await?.is_none() {
            return Ok(false);
        }
        let close = Admin::Mask(Box::new(Write::CloseExpired { at: now }));
        self.administer(close).await
    }

    /// Deletes sessions of a service that ended before this time, or those whose service was deleted.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn forget_mask_sessions(
        &self,
        service: Option<&Service>,
        before: Timestamp,
    ) -> Result<()> {
        if let Some(service) = service {
            return self.forget_sessions_of(service.sid, before).await;
        }
        let mut last = String::new();
        while let Some(next) = self.next_service_of_sessions(&last).await? {
            if self.mask_service(next).await?.is_none() {
                self.forget_sessions_of(next, before).await?;
            }
            last = next.to_string();
        }
        Ok(())
    }

    /// The next service, in the order of the identifiers, that has closed sessions: found by the index alone, however many sessions
    /// there are.
    async fn next_service_of_sessions(&self, after: &str) -> Result<Option<MaskServiceSid>> {
        let sql = Sql::new(
            "SELECT service FROM mask_sessions WHERE ended IS NOT NULL AND service > $1 \
             ORDER BY service LIMIT 1",
            args![after],
        );
        self.first(sql, |row| row.word("service")).await
    }

    async fn forget_sessions_of(&self, service: MaskServiceSid, before: Timestamp) -> Result<()> {
        loop {
            let mut sql = Sql::default();
            sql.with("SELECT sid FROM mask_sessions WHERE service = ?", service)
                .with(" AND ended < ?", before)
                .with(" AND ended IS NOT NULL LIMIT ?", ROWS_AT_ONCE / 100);
            let old: Vec<MaskSessionSid> = self.many(sql, |row| row.word("sid")).await?;
            if old.is_empty() {
                return Ok(());
            }
            self.administer_all(deletions(&old).map(Admin::Execute))
                .await?;
        }
    }

    /// All services, whatever their accounts: those after one of them, by identifier.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn all_mask_services(
        &self,
        after: Option<&Service>,
        limit: i64,
    ) -> Result<Vec<Service>> {
        let after = after.map_or_else(String::new, |service| service.sid.to_string());
        let mut sql = super::rows::SERVICES.select();
        sql.with(" WHERE sid > ?", after)
            .with(" ORDER BY sid LIMIT ?", limit);
        self.many(sql, super::rows::read_service).await
    }

    /// The participants of a session, oldest first.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn mask_participants(&self, session: MaskSessionSid) -> Result<Vec<Participant>> {
        let mut sql = PARTICIPANTS.select();
        sql.with(" WHERE session = ?", session)
            .text(" ORDER BY created, sid");
        self.many(sql, read_participant).await
    }

    /// A participant.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn mask_participant(&self, sid: ParticipantSid) -> Result<Option<Participant>> {
        self.one(&PARTICIPANTS, sid, read_participant).await
    }

    /// Adds a participant to a session and gives it a mask; returns it with that.
    ///
    /// - `participant`: its mask is not used
    /// - `wanted`: the mask that is requested
    ///
    /// # Errors
    /// As reported by the database. The inner error says why it cannot be added.
    pub async fn join_mask_session(
        &self,
        service: &Service,
        participant: Participant,
        wanted: Option<model::NumberSid>,
    ) -> Result<std::result::Result<Participant, NotJoined>> {
        let now = participant.created;
        let sid = participant.sid;
        for _ in 0..10 {
            let write = Write::Join {
                settings: service.settings.clone(),
                participant: Box::new(participant.clone()),
                wanted,
            };
            if self.administer(Admin::Mask(Box::new(write))).await?
                && let Some(joined) = self.mask_participant(sid).await?
            {
                return Ok(Ok(joined));
            }
            if let Some(why) = why_not(self, service, &participant, wanted, now).await? {
                return Ok(Err(why));
            }
            // What was in the way has just gone.
        }
        Ok(Err(NotJoined::Contended))
    }

    /// Removes a participant; its mask is free.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn delete_mask_participant(&self, sid: ParticipantSid) -> Result<()> {
        let delete = Admin::Mask(Box::new(Write::DeleteParticipant(sid)));
        self.administer(delete).await.map(drop)
    }
}
