//! How many voice messages wait for clients.
//!
//! The messages of a client are those in all boxes of its account that name its login. **Invariant: the messages of one account are
//! never counted for a client of another one**, also if both have had the same login.

use model::OrganizationSid;
use model::record::Client;
use model::waiting::Waiting;

use crate::row::Row;
use crate::sql::Sql;
use crate::{Result, Store, rows};

/// Clients in one statement: two arguments each.
const AT_ONCE: usize = 500;

/// The boxes of a client.
const BOXES: &str =
    "voicemail_boxes b WHERE b.account = clients.account AND b.client = clients.login";

impl Store {
    /// The messages in the boxes of clients, by organization and login. Clients without a box are left out.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn waiting_messages(
        &self,
        clients: &[(OrganizationSid, String)],
    ) -> Result<Vec<(Client, Waiting)>> {
        let mut found = Vec::new();
        for some in clients.chunks(AT_ONCE) {
            let read = |row: &Row| {
                let waiting = Waiting {
                    new: count(row, "new_messages")?,
                    old: count(row, "old_messages")?,
                };
                Ok((rows::client(row, self.key())?, waiting))
            };
            found.append(&mut self.many(select(some), read).await?);
        }
        Ok(found)
    }
}

fn select(clients: &[(OrganizationSid, String)]) -> Sql {
    let counted = |state: &str, name: &str| {
        format!(
            "(SELECT COUNT(*) FROM voicemail_messages m WHERE m.state = '{state}' \
             AND m.mailbox IN (SELECT b.sid FROM {BOXES})) AS {name}"
        )
    };
    let columns = rows::CLIENTS.columns.join(", ");
    let (new, old) = (
        counted("new", "new_messages"),
        counted("heard", "old_messages"),
    );
    let mut sql = Sql::new(
        format!(
            "SELECT {columns}, {new}, {old} FROM clients \
             WHERE EXISTS (SELECT 1 FROM {BOXES}) AND (organization, login) IN (VALUES "
        ),
        Vec::new(),
    );
    for (at, (organization, login)) in clients.iter().enumerate() {
        sql.with(if at == 0 { "(?" } else { ", (?" }, *organization)
            .with(", ?)", login.as_str());
    }
    sql.text(")");
    sql
}

fn count(row: &Row, column: &'static str) -> Result<u32> {
    Ok(u32::try_from(row.int(column)?).unwrap_or(u32::MAX))
}
