//! What a call or text at a number finds, if the number is in a pool.

use ::masking::{Found, Participant, Talk, pair};
use model::{NumberSid, Timestamp, number};

use super::rows::{PARTICIPANTS, read_participant};
use crate::sql::Sql;
use crate::{Result, Store};

impl Store {
    /// What is known about a call or text at a number; `None` if it is in no pool, which is looked up in memory.
    ///
    /// - `from`: the caller, as it was given; `None` if it is not trusted
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn mask_arrival(
        &self,
        called: NumberSid,
        from: Option<&str>,
        now: Timestamp,
    ) -> Result<Option<Found>> {
        if !self.is_in_pool(called).await? {
            return Ok(None);
        }
        let caller = match from {
            Some(from) => self.caller_of_mask(called, from).await?,
            None => None,
        };
        self.found_by(called, caller, now).await
    }

    /// The same for a caller who has entered a PIN.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn mask_arrival_by_pin(
        &self,
        called: NumberSid,
        pin: &str,
        now: Timestamp,
    ) -> Result<Option<Found>> {
        let mut sql: Sql = PARTICIPANTS.select();
        sql.with(" WHERE mask = ?", called)
            .with(" AND pair IS NOT NULL AND pin <> '' AND pin = ?", pin);
        let caller = self.first(sql, read_participant).await?;
        self.found_by(called, caller, now).await
    }

    async fn found_by(
        &self,
        called: NumberSid,
        caller: Option<Participant>,
        now: Timestamp,
    ) -> Result<Option<Found>> {
        let Some(mask) = self.mask_number(called).await? else {
            return Ok(None);
        };
        let Some(service) = self.mask_service(mask.service).await? else {
            return Ok(None);
        };
        let talk = match caller {
            Some(caller) => self.talk_of(caller).await?,
            None => None,
        };
        Ok(Some(Found {
            service,
            mask,
            talk,
            pin_address: String::new(),
            at: now,
        }))
    }

    async fn is_in_pool(&self, number: NumberSid) -> Result<bool> {
        let cache = &self.caches().pooled;
        let generation = match cache.get(&number) {
            Ok(known) => return Ok(known),
            Err(generation) => generation,
        };
        let found = self.mask_number(number).await?.is_some();
        cache.keep(generation, number, found);
        Ok(found)
    }

    /// The participant of an open session that has this mask and number.
    async fn caller_of_mask(&self, mask: NumberSid, from: &str) -> Result<Option<Participant>> {
        let spellings = number::candidates(from);
        let mut sql: Sql = PARTICIPANTS.select();
        for (at, spelling) in spellings.iter().enumerate() {
            let before = if at == 0 { " WHERE pair IN (?" } else { ", ?" };
            sql.with(before, pair(mask, spelling));
        }
        sql.text(")");
        self.first(sql, read_participant).await
    }

    /// The session of a participant, with the other one, if the account still has that one's mask: calls must not show a number
    /// of another account.
    async fn talk_of(&self, caller: Participant) -> Result<Option<Talk>> {
        let Some(session) = self.mask_session(caller.session).await? else {
            return Ok(None);
        };
        let all = self.mask_participants(session.sid).await?;
        let mut other = all.into_iter().find(|one| one.sid != caller.sid);
        if let Some(one) = &other
            && one.mask != caller.mask
        {
            let number = self.number(one.mask).await?;
            let is_own = number.is_some_and(|number| number.account == one.account);
            other = other.filter(|_| is_own);
        }
        Ok(Some(Talk {
            session,
            caller,
            other,
        }))
    }
}
