//! What can go wrong in the store, by what the caller can do about it.

/// Why the store did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be opened as configured; the text says what to change.
    #[error("{0}")]
    Unusable(String),
    /// The value must be unique and exists already.
    #[error("{0} exists already")]
    Duplicate(&'static str),
    /// The list has no row, or none any more, beside which a window could lie.
    #[error("the list has no row `{0}`")]
    NoRow(String),
    /// A stored value cannot be read.
    #[error("{what} in the database cannot be read: {why}")]
    Corrupt {
        /// Which column or value.
        what: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// A stored secret does not open with this key.
    #[error(
        "a stored secret cannot be decrypted with this key: is `secret.key` the one the database was created with?"
    )]
    WrongKey,
    /// The database takes no writes now, as when its disk is full or fails. It may later.
    #[error("the database cannot be written now: {0}")]
    Unavailable(String),
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
    /// The database refused.
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
}
