//! Number masking: services and their pools ([`Store::mask_service`] and the like), sessions and participants (`sessions`),
//! calls and texts between them (`interactions`), and what one at a mask finds (`arrivals`).
//!
//! **Invariant: of a mask and a real number, there is one participant of an open session at most**: the column `pair` is unique,
//! and null once the session is closed.

mod arrivals;
mod interactions;
mod rows;
mod sessions;
mod write;

use ::masking::{PoolNumber, Service};
use model::{AccountSid, MaskServiceSid, NumberSid, Timestamp};

use crate::admin::Admin;
use crate::filter::{Rows, Scope, Window};
use crate::sql::{Sql, args};
use crate::{Result, Store};

pub use interactions::Ended;
pub(crate) use interactions::{add_interaction, insert_interaction, name_outbound};
use rows::{NUMBERS, SERVICES, number_args, read_number, read_service, service_args};
pub use sessions::SessionFilter;
pub use write::NotJoined;
pub(crate) use write::{Write, apply, close_of_account};

impl Store {
    /// Services of an account, newest first.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn mask_services(
        &self,
        account: AccountSid,
        window: &Window,
    ) -> Result<Rows<Service>> {
        let scope = Some(Scope::Own(account));
        self.newest(&SERVICES, scope, window, |_| {}, read_service)
            .await
    }

    /// A service.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn mask_service(&self, sid: MaskServiceSid) -> Result<Option<Service>> {
        self.one(&SERVICES, sid, read_service).await
    }

    /// The service of an account with this name.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn mask_service_of_name(
        &self,
        account: AccountSid,
        name: &str,
    ) -> Result<Option<Service>> {
        let mut sql = SERVICES.select();
        sql.with(" WHERE account = ?", account)
            .with(" AND name = ?", name);
        self.first(sql, read_service).await
    }

    /// Adds a service.
    ///
    /// # Errors
    /// [`crate::StoreError::Duplicate`] if the account has one of that name, and
    /// [`crate::StoreError::AccountClosed`] if it is closed.
    pub async fn insert_mask_service(&self, service: &Service) -> Result<()> {
        let insert = Admin::InsertOwned(service.account, &SERVICES, service_args(service));
        self.administer(insert).await.map(drop)
    }

    /// Replaces a service; `false` if it does not exist, or has changed since it was read.
    ///
    /// - `read`: its `updated` as read; the new one must be another
    ///
    /// # Errors
    /// [`crate::StoreError::Duplicate`] if the account has another one of that name.
    pub async fn update_mask_service(&self, service: &Service, read: Timestamp) -> Result<bool> {
        let update = Admin::UpdateOwned(&SERVICES, service_args(service), read);
        self.administer(update).await
    }

    /// Deletes a service with its pool, and closes its sessions, which stay on record.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn delete_mask_service(&self, sid: MaskServiceSid, at: Timestamp) -> Result<()> {
        let delete = Admin::Mask(Box::new(Write::DeleteService { sid, at }));
        self.administer(delete).await.map(drop)
    }

    /// The pool of a service, newest first. What is [`PoolNumber::in_use`] is not counted.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn mask_numbers(
        &self,
        service: &Service,
        window: &Window,
    ) -> Result<Rows<PoolNumber>> {
        let scope = Some(Scope::Own(service.account));
        let fill = |conditions: &mut crate::query::Conditions| {
            conditions.add(" AND service = ?", service.sid);
        };
        self.newest(&NUMBERS, scope, window, fill, read_number)
            .await
    }

    /// A number of a pool.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn mask_number(&self, sid: NumberSid) -> Result<Option<PoolNumber>> {
        self.one(&NUMBERS, sid, read_number).await
    }

    /// How many participants of open sessions have a number as their mask.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn mask_uses(&self, sid: NumberSid, now: Timestamp) -> Result<i64> {
        let sql = Sql::new(
            "SELECT COUNT(*) AS n FROM mask_participants p JOIN mask_sessions s ON s.sid = p.session \
             WHERE p.mask = $1 AND p.pair IS NOT NULL AND (s.expires IS NULL OR s.expires > $2)",
            args![sid, now],
        );
        let found = self.first(sql, |row| row.int("n")).await?;
        Ok(found.unwrap_or_default())
    }

    /// Adds a number to a pool.
    ///
    /// # Errors
    /// [`crate::StoreError::Duplicate`] if it is in a pool already.
    pub async fn insert_mask_number(&self, number: &PoolNumber) -> Result<()> {
        let insert = Write::InsertNumber(number.account, NUMBERS.insert(number_args(number)));
        let insert = Admin::Mask(Box::new(insert));
        self.administer(insert).await.map(drop)
    }

    /// Replaces a number of a pool; `false` if it is not there, or has changed since it was read.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn update_mask_number(&self, number: &PoolNumber, read: Timestamp) -> Result<bool> {
        let update = Admin::UpdateOwned(&NUMBERS, number_args(number), read);
        self.administer(update).await
    }

    /// Takes a number out of its pool; `false` if an open session uses it.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn delete_mask_number(&self, sid: NumberSid, now: Timestamp) -> Result<bool> {
        let delete = Admin::Mask(Box::new(Write::DeleteNumber { sid, at: now }));
        self.administer(delete).await
    }
}
