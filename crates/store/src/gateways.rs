//! Trunks that are defined through the API, and which trunk takes calls to numbers.
//!
//! **Invariant: the password of a gateway is stored sealed.**

use std::sync::OnceLock;

use model::gateway::Gateway;
use model::{GatewaySid, Timestamp};

use crate::admin::Admin;
use crate::row::Row;
use crate::sql::{Arg, Sql, Table, args};
use crate::{Result, SecretKey, Store, StoreError};

pub(crate) static GATEWAYS: Table = Table {
    name: "gateways",
    counted: false,
    columns: &[
        "sid",
        "friendly_name",
        "user_name",
        "password",
        "proxy",
        "register",
        "ttl",
        "created",
        "updated",
    ],
    insert_once: OnceLock::new(),
};

fn args(gateway: &Gateway, key: &SecretKey) -> Vec<Arg> {
    args![
        gateway.sid,
        gateway.friendly_name.as_str(),
        gateway.user_name.as_str(),
        key.seal(gateway.password.as_bytes(), gateway.sid.as_bytes()),
        gateway.proxy.as_str(),
        gateway.register,
        Some(gateway.ttl_s),
        gateway.created,
        gateway.updated
    ]
}

fn read(row: &Row, key: &SecretKey) -> Result<Gateway> {
    let sid: GatewaySid = row.word("sid")?;
    let password = key.open(&row.blob("password")?, sid.as_bytes())?;
    Ok(Gateway {
        sid,
        friendly_name: row.text("friendly_name")?,
        user_name: row.text("user_name")?,
        password: String::from_utf8(password).map_err(|_| StoreError::WrongKey)?,
        proxy: row.text("proxy")?,
        register: row.flag("register")?,
        ttl_s: u32::try_from(row.int("ttl")?).unwrap_or(u32::MAX),
        created: row.time("created")?,
        updated: row.time("updated")?,
    })
}

/// Adds a gateway unless there are too many.
fn insert(mut row: Vec<Arg>, limit: i64) -> Sql {
    row.push(limit.into());
    Sql::new(
        "INSERT INTO gateways \
         (sid, friendly_name, user_name, password, proxy, register, ttl, created, updated) \
         SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9 WHERE (SELECT COUNT(*) FROM gateways) < $10 \
         ON CONFLICT (sid) DO NOTHING",
        row,
    )
}

impl Store {
    /// Every gateway, the oldest first.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn gateways(&self) -> Result<Vec<Gateway>> {
        let mut sql = GATEWAYS.select();
        sql.text(" ORDER BY created, sid");
        self.many(sql, |row| read(row, self.key())).await
    }

    /// A gateway.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn gateway(&self, sid: GatewaySid) -> Result<Option<Gateway>> {
        let mut sql = GATEWAYS.select();
        sql.with(" WHERE sid = ?", sid);
        self.first(sql, |row| read(row, self.key())).await
    }

    /// Adds a gateway; `false` if there are as many as `limit` already.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn insert_gateway(&self, gateway: &Gateway, limit: i64) -> Result<bool> {
        let sql = insert(args(gateway, self.key()), limit);
        self.administer(Admin::Change(sql)).await
    }

    /// Replaces a gateway; `false` if it does not exist, or has changed since it was read.
    ///
    /// - `read`: its `updated` as read; the new one must be another
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn update_gateway(&self, gateway: &Gateway, read: Timestamp) -> Result<bool> {
        let row = args(gateway, self.key());
        self.administer(Admin::UpdateOwned(&GATEWAYS, row, read))
            .await
    }

    /// Whether calls to numbers are to take the second trunk.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn is_on_fallback(&self) -> Result<bool> {
        let sql = Sql::new(
            "SELECT on_fallback FROM outbound_proxy WHERE id = 1",
            Vec::new(),
        );
        let found = self.first(sql, |row| row.flag("on_fallback")).await?;
        Ok(found.unwrap_or(false))
    }

    /// Sets whether calls to numbers are to take the second trunk.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn set_on_fallback(&self, on_fallback: bool) -> Result<()> {
        let sql = Sql::new(
            "INSERT INTO outbound_proxy (id, on_fallback) VALUES (1, $1) \
             ON CONFLICT (id) DO UPDATE SET on_fallback = excluded.on_fallback",
            args![on_fallback],
        );
        self.administer(Admin::Change(sql)).await.map(drop)
    }
}
