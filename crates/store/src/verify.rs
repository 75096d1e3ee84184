//! Verifications: services ([`Store::verify_service`] and the like), codes that were sent (`codes`), limits
//! (`limits`).

mod attempts;
mod codes;
mod limits;
mod rows;
mod seen;
mod write;

use std::time::Duration;

use ::verify::Service;
use model::{AccountSid, Timestamp, VerifyServiceSid};

use crate::admin::Admin;
use crate::filter::{Rows, Scope, Window};
use crate::sql::{ROWS_AT_ONCE, Sql};
use crate::{Result, Store};

pub use attempts::{AttemptCounts, AttemptFilter};
use rows::{SERVICES, read_service, service_args};
pub use seen::SendTo;
pub use write::{Hit, NewCode};
pub(crate) use write::{Write, apply};

/// How long verifications and what was counted for them are kept after their end.
const KEPT: Duration = Duration::from_secs(30 * 24 * 60 * 60);

impl Store {
    /// Services of an account, newest first.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn verify_services(
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
    pub async fn verify_service(&self, sid: VerifyServiceSid) -> Result<Option<Service>> {
        self.one(&SERVICES, sid, read_service).await
    }

    /// The oldest service of an account with this name.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn verify_service_of_name(
        &self,
        account: AccountSid,
        name: &str,
    ) -> Result<Option<Service>> {
        let mut sql = SERVICES.select();
        sql.with(" WHERE account = ?", account)
            .with(" AND name = ?", name)
            .text(" ORDER BY created, sid LIMIT 1");
        self.first(sql, read_service).await
    }

    /// Adds a service.
    ///
    /// # Errors
    /// [`crate::StoreError::AccountClosed`] if its account is closed.
    pub async fn insert_verify_service(&self, service: Service) -> Result<()> {
        let insert = Admin::InsertOwned(service.account, &SERVICES, service_args(&service));
        self.administer(insert).await.map(drop)
    }

    /// The oldest service of an account with the name of this one, which is added if there is none; `None` if it is deleted
    /// at the same moment.
    ///
    /// # Errors
    /// [`crate::StoreError::AccountClosed`] if its account is closed.
    pub async fn verify_service_or_insert(&self, service: Service) -> Result<Option<Service>> {
        let insert = Sql::new(
            "INSERT INTO verify_services (sid, account, name, settings, created, updated) \
             SELECT $1, $2, $3, $4, $5, $6 WHERE NOT EXISTS \
             (SELECT sid FROM verify_services WHERE account = $2 AND name = $3)",
            service_args(&service),
        );
        let insert = Admin::InsertInto(service.account, insert);
        self.administer(insert).await?;
        self.verify_service_of_name(service.account, &service.name)
            .await
    }

    /// Replaces a service; `false` if it does not exist, or has changed since it was read.
    ///
    /// - `read`: its `updated` as read; the new one must be another
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn update_verify_service(&self, service: Service, read: Timestamp) -> Result<bool> {
        let update = Admin::UpdateOwned(&SERVICES, service_args(&service), read);
        self.administer(update).await
    }

    /// Deletes a service with its limits; its verifications and what was sent stay until they are old.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn delete_verify_service(&self, sid: VerifyServiceSid) -> Result<()> {
        let mut buckets = Sql::default();
        buckets.with(
            "DELETE FROM verify_buckets WHERE rate_limit IN (SELECT sid FROM verify_limits WHERE service = ?)",
            sid,
        );
        let mut limits = Sql::default();
        limits.with("DELETE FROM verify_limits WHERE service = ?", sid);
        let all = [buckets, limits, SERVICES.delete(sid)].map(Admin::Execute);
        self.administer_all(all).await.map(drop)
    }

    /// Forgets verifications and what was counted for them when they are old.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn forget_old_verifications(&self, now: Timestamp) -> Result<()> {
        for table in ["verifications", "verify_attempts"] {
            let mut sql = Sql::default();
            sql.text(&format!(
                "DELETE FROM {table} WHERE sid IN (SELECT sid FROM {table}"
            ))
            .with(" WHERE created < ?", now - KEPT)
            .with(" LIMIT ?)", ROWS_AT_ONCE);
            while self.administer(Admin::Execute(sql.clone())).await? {}
        }
        let mut hits = Sql::default();
        hits.with("DELETE FROM verify_hits WHERE created < ?", now - KEPT);
        self.administer(Admin::Execute(hits)).await.map(drop)
    }
}
