//! Routes of text messages.
//!
//! **Invariant: the secret of a route is stored sealed only.**

use std::sync::OnceLock;

use model::message_route::{MessageRoute, RouteSettings};
use model::{AccountSid, MessageRouteSid, Timestamp};

use crate::admin::Admin;
use crate::filter::{Rows, Scope, Window};
use crate::readers::Readers;
use crate::row::{Row, corrupt};
use crate::secret::SecretKey;
use crate::sql::{Arg, Table, args};
use crate::{Result, Store};

static MESSAGE_ROUTES: Table = Table {
    name: "message_routes",
    counted: false,
    columns: &[
        "sid",
        "account",
        "name",
        "enabled",
        "priority",
        "from_prefix",
        "to_prefix",
        "price",
        "on_doubt",
        "settings",
        "secret",
        "created",
        "updated",
    ],
    insert_once: OnceLock::new(),
};

fn args_of(route: &MessageRoute, key: &SecretKey) -> Vec<Arg> {
    let secret = route.secret.as_ref();
    let settings = serde_json::to_string(&route.settings);
    args![
        route.sid,
        route.account,
        route.name.as_str(),
        route.enabled,
        route.priority,
        route.from_prefix.as_str(),
        route.to_prefix.as_str(),
        route.price,
        route.on_doubt.as_str(),
        settings.expect("it is made of texts and numbers"),
        secret.map(|secret| key.seal(secret.as_bytes(), route.sid.as_bytes())),
        route.created,
        route.updated
    ]
}

fn read(row: &Row, key: &SecretKey) -> Result<MessageRoute> {
    let mut route = read_without_secret(row)?;
    if let Some(sealed) = row.opt_blob("secret")? {
        let text = String::from_utf8(key.open(&sealed, route.sid.as_bytes())?);
        route.secret = Some(text.map_err(|error| corrupt("secret", error))?);
    }
    Ok(route)
}

fn read_without_secret(row: &Row) -> Result<MessageRoute> {
    let settings: RouteSettings =
        serde_json::from_str(&row.text("settings")?).map_err(|error| corrupt("settings", error))?;
    Ok(MessageRoute {
        sid: row.word("sid")?,
        account: row.word("account")?,
        name: row.text("name")?,
        enabled: row.flag("enabled")?,
        priority: row.int("priority")?,
        from_prefix: row.text("from_prefix")?,
        to_prefix: row.text("to_prefix")?,
        price: row.int("price")?,
        on_doubt: row.word("on_doubt")?,
        settings,
        secret: None,
        created: row.time("created")?,
        updated: row.time("updated")?,
    })
}

/// All routes without their secrets, the oldest first.
pub(crate) async fn all_without_secrets(readers: &Readers) -> Result<Vec<MessageRoute>> {
    let mut sql = MESSAGE_ROUTES.select();
    sql.text(" ORDER BY created, sid");
    readers.many(sql, read_without_secret).await
}

impl Store {
    /// All routes, the oldest first.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn all_message_routes(&self) -> Result<Vec<MessageRoute>> {
        let mut sql = MESSAGE_ROUTES.select();
        sql.text(" ORDER BY created, sid");
        self.many(sql, |row| read(row, self.key())).await
    }

    /// Part of an account's routes, newest first.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn message_routes(
        &self,
        account: AccountSid,
        window: &Window,
    ) -> Result<Rows<MessageRoute>> {
        let scope = Some(Scope::Own(account));
        let read = |row: &Row| read(row, self.key());
        self.newest(&MESSAGE_ROUTES, scope, window, |_| {}, read)
            .await
    }

    /// A route.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn message_route(&self, sid: MessageRouteSid) -> Result<Option<MessageRoute>> {
        let mut sql = MESSAGE_ROUTES.select();
        sql.with(" WHERE sid = ?", sid);
        self.first(sql, |row| read(row, self.key())).await
    }

    /// Adds a route.
    ///
    /// # Errors
    /// [`crate::StoreError::AccountClosed`] if its account is closed.
    pub async fn insert_message_route(&self, route: &MessageRoute) -> Result<()> {
        let args = args_of(route, self.key());
        self.administer(Admin::InsertOwned(route.account, &MESSAGE_ROUTES, args))
            .await
            .map(drop)
    }

    /// Replaces a route; `false` if it does not exist, or has changed since it was read.
    ///
    /// - `read`: its `updated` as read; the new one must be another
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn update_message_route(
        &self,
        route: &MessageRoute,
        read: Timestamp,
    ) -> Result<bool> {
        let args = args_of(route, self.key());
        self.administer(Admin::UpdateOwned(&MESSAGE_ROUTES, args, read))
            .await
    }

    /// Deletes a route, if it exists.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn delete_message_route(&self, sid: MessageRouteSid) -> Result<()> {
        let delete = Admin::Execute(MESSAGE_ROUTES.delete(sid));
        self.administer(delete).await.map(drop)
    }
}
