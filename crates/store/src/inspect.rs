//! Looks into a database beside the server that uses it, and changes nothing but what callbacks
//! shall be delivered again (`deliveries`).

use model::CallSid;
use model::record::CallRecord;
use sqlx::AnyPool;

use crate::sql::{Columns, Sql, args};
use crate::{Result, connect, rows};

/// A look into a database.
pub struct Inspect {
    pub(crate) readers: AnyPool,
}

impl Inspect {
    /// Opens `sqlite:PATH` or `postgres://…` for reading. The database must exist.
    ///
    /// # Errors
    /// [`crate::StoreError::Unusable`] with a text for the operator.
    pub async fn open(url: &str) -> Result<Self> {
        Ok(Self {
            readers: connect::open_to_read(url).await?,
        })
    }

    /// A leg.
    ///
    /// # Errors
    /// As the database reports.
    pub async fn call(&self, sid: CallSid) -> Result<Option<CallRecord>> {
        let mut sql = rows::CALLS.select();
        sql.with(" WHERE sid = ?", sid);
        let row = sql.first(&self.readers).await?;
        row.as_ref().map(rows::call).transpose()
    }

    /// The legs that a leg caused, oldest first.
    ///
    /// # Errors
    /// As the database reports.
    pub async fn children(&self, sid: CallSid) -> Result<Vec<CallRecord>> {
        let mut sql = rows::CALLS.select();
        sql.with(" WHERE parent = ?", sid)
            .text(" ORDER BY created, sid");
        let found = sql.all(&self.readers).await?;
        found.iter().map(rows::call).collect()
    }

    /// The newest legs of all accounts, newest first.
    ///
    /// # Errors
    /// As the database reports.
    pub async fn newest(&self, limit: i64) -> Result<Vec<CallRecord>> {
        let mut sql = rows::CALLS.select();
        sql.text(" ORDER BY created DESC, sid DESC")
            .with(" LIMIT ?", limit);
        let found = sql.all(&self.readers).await?;
        found.iter().map(rows::call).collect()
    }

    /// The trace of a root leg, as it was committed.
    ///
    /// # Errors
    /// As the database reports.
    pub async fn trace(&self, call: CallSid) -> Result<Option<Vec<u8>>> {
        let sql = Sql::new("SELECT content FROM traces WHERE call = $1", args![call]);
        let row = sql.first(&self.readers).await?;
        row.as_ref()
            .map(|row| Columns(row).blob("content"))
            .transpose()
    }
}
