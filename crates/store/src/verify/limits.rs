//! Limits that applications count by values of their own, and the safe list.

use ::verify::{Bucket, RateLimit, SafeNumber, Service};
use model::{
    AccountSid, Timestamp, VerifyBucketSid, VerifyLimitSid, VerifySafeSid, VerifyServiceSid,
};

use super::rows::{
    BUCKETS, LIMITS, SAFE, bucket_args, limit_args, read_bucket, read_limit, read_safe,
};
use crate::admin::Admin;
use crate::filter::{Rows, Scope, Window};
use crate::sql::{Sql, args};
use crate::{Result, Store};

impl Store {
    /// The limits of a service, newest first.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn verify_limits(
        &self,
        service: &Service,
        window: &Window,
    ) -> Result<Rows<RateLimit>> {
        let scope = Some(Scope::Own(service.account));
        let fill = |conditions: &mut crate::query::Conditions| {
            conditions.add(" AND service = ?", service.sid);
        };
        self.newest(&LIMITS, scope, window, fill, read_limit).await
    }

    /// A limit.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn verify_limit(&self, sid: VerifyLimitSid) -> Result<Option<RateLimit>> {
        self.one(&LIMITS, sid, read_limit).await
    }

    /// The limit of a service with this name.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn verify_limit_of_name(
        &self,
        service: VerifyServiceSid,
        name: &str,
    ) -> Result<Option<RateLimit>> {
        let mut sql = LIMITS.select();
        sql.with(" WHERE service = ?", service)
            .with(" AND name = ?", name);
        self.first(sql, read_limit).await
    }

    /// Adds a limit.
    ///
    /// # Errors
    /// [`crate::StoreError::Duplicate`] if the service has one of that name.
    pub async fn insert_verify_limit(&self, limit: RateLimit) -> Result<()> {
        let insert = Admin::InsertOwned(limit.account, &LIMITS, limit_args(&limit));
        self.administer(insert).await.map(drop)
    }

    /// Replaces a limit; `false` if it does not exist, or has changed since it was read.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn update_verify_limit(&self, limit: RateLimit, read: Timestamp) -> Result<bool> {
        let update = Admin::UpdateOwned(&LIMITS, limit_args(&limit), read);
        self.administer(update).await
    }

    /// Deletes a limit with its buckets.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn delete_verify_limit(&self, sid: VerifyLimitSid) -> Result<()> {
        let mut buckets = Sql::default();
        buckets.with("DELETE FROM verify_buckets WHERE rate_limit = ?", sid);
        let all = [buckets, LIMITS.delete(sid)].map(Admin::Execute);
        self.administer_all(all).await.map(drop)
    }

    /// The buckets of a limit, newest first.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn verify_buckets(&self, limit: &RateLimit, window: &Window) -> Result<Rows<Bucket>> {
        let scope = Some(Scope::Own(limit.account));
        let fill = |conditions: &mut crate::query::Conditions| {
            conditions.add(" AND rate_limit = ?", limit.sid);
        };
        self.newest(&BUCKETS, scope, window, fill, read_bucket)
            .await
    }

    /// A bucket.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn verify_bucket(&self, sid: VerifyBucketSid) -> Result<Option<Bucket>> {
        self.one(&BUCKETS, sid, read_bucket).await
    }

    /// Adds a bucket.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn insert_verify_bucket(&self, bucket: Bucket) -> Result<()> {
        let insert = Admin::InsertOwned(bucket.account, &BUCKETS, bucket_args(&bucket));
        self.administer(insert).await.map(drop)
    }

    /// Replaces a bucket; `false` if it does not exist, or has changed since it was read.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn update_verify_bucket(&self, bucket: Bucket, read: Timestamp) -> Result<bool> {
        let update = Admin::UpdateOwned(&BUCKETS, bucket_args(&bucket), read);
        self.administer(update).await
    }

    /// Deletes a bucket.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn delete_verify_bucket(&self, sid: VerifyBucketSid) -> Result<()> {
        let delete = Admin::Execute(BUCKETS.delete(sid));
        self.administer(delete).await.map(drop)
    }

    /// Whether a number is on the safe list of an account.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn safe_number(
        &self,
        account: AccountSid,
        phone_number: &str,
    ) -> Result<Option<SafeNumber>> {
        let mut sql = SAFE.select();
        sql.with(" WHERE account = ?", account)
            .with(" AND phone_number = ?", phone_number);
        self.first(sql, read_safe).await
    }

    /// Adds a number to a safe list.
    ///
    /// # Errors
    /// [`crate::StoreError::Duplicate`] if it is there already.
    pub async fn insert_safe_number(&self, safe: SafeNumber) -> Result<()> {
        let row = args![
            safe.sid,
            safe.account,
            safe.phone_number.as_str(),
            safe.created
        ];
        self.administer(Admin::InsertOwned(safe.account, &SAFE, row))
            .await
            .map(drop)
    }

    /// Takes a number off a safe list.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn delete_safe_number(&self, sid: VerifySafeSid) -> Result<()> {
        let delete = Admin::Execute(SAFE.delete(sid));
        self.administer(delete).await.map(drop)
    }
}
