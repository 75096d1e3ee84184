//! Records about where devices are.

use std::sync::OnceLock;

use model::geolocation::Geolocation;
use model::{AccountSid, GeolocationSid, Timestamp};

use crate::admin::Admin;
use crate::row::{Row, corrupt};
use crate::sql::{Arg, Sql, Table, args};
use crate::{Result, Store};

static GEOLOCATIONS: Table = Table {
    name: "geolocations",
    counted: false,
    columns: &[
        "sid", "account", "kind", "content", "status", "cause", "created", "updated",
    ],
    insert_once: OnceLock::new(),
};

fn args(geolocation: &Geolocation) -> Vec<Arg> {
    args![
        geolocation.sid,
        geolocation.account,
        geolocation.kind.as_str(),
        // Texts always have a JSON form.
        serde_json::to_string(&geolocation.values).unwrap_or_default(),
        geolocation.status.as_str(),
        geolocation.cause.clone(),
        geolocation.created,
        geolocation.updated
    ]
}

fn read(row: &Row) -> Result<Geolocation> {
    let values = serde_json::from_str(&row.text("content")?);
    Ok(Geolocation {
        sid: row.word("sid")?,
        account: row.word("account")?,
        kind: row.word("kind")?,
        values: values.map_err(|error| corrupt("content", error))?,
        status: row.word("status")?,
        cause: row.opt_text("cause")?,
        created: row.time("created")?,
        updated: row.time("updated")?,
    })
}

/// Adds a record unless its account has too many.
fn insert(geolocation: &Geolocation, limit: i64) -> Sql {
    let mut row = args(geolocation);
    row.push(limit.into());
    Sql::new(
        "INSERT INTO geolocations (sid, account, kind, content, status, cause, created, updated) \
         SELECT $1, $2, $3, $4, $5, $6, $7, $8 \
         WHERE (SELECT COUNT(*) FROM geolocations WHERE account = $2) < $9 \
         ON CONFLICT (sid) DO NOTHING",
        row,
    )
}

impl Store {
    /// Every record of an account, newest first.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn geolocations(&self, account: AccountSid) -> Result<Vec<Geolocation>> {
        let mut sql = GEOLOCATIONS.select();
        sql.with(" WHERE account = ?", account)
            .text(" ORDER BY created DESC, sid DESC");
        self.many(sql, read).await
    }

    /// A record.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn geolocation(&self, sid: GeolocationSid) -> Result<Option<Geolocation>> {
        self.one(&GEOLOCATIONS, sid, read).await
    }

    /// Adds a record; `false` if the account has as many as `limit` already.
    ///
    /// # Errors
    /// [`crate::StoreError::AccountClosed`] if its account is closed.
    pub async fn insert_geolocation(&self, geolocation: &Geolocation, limit: i64) -> Result<bool> {
        let sql = insert(geolocation, limit);
        let insert = Admin::InsertInto(geolocation.account, sql);
        self.administer(insert).await
    }

    /// Replaces a record; `false` if it does not exist, or has changed since it was read.
    ///
    /// - `read`: its `updated` as read; the new one must be another
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn update_geolocation(
        &self,
        geolocation: &Geolocation,
        read: Timestamp,
    ) -> Result<bool> {
        let update = Admin::UpdateOwned(&GEOLOCATIONS, args(geolocation), read);
        self.administer(update).await
    }

    /// Deletes a record, if it exists.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn delete_geolocation(&self, sid: GeolocationSid) -> Result<()> {
        let delete = Admin::Execute(GEOLOCATIONS.delete(sid));
        self.administer(delete).await.map(drop)
    }
}
