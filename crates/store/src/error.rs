//! Errors of the store, grouped by what the caller can do about them.

use model::naming::Claimant;

/// Why the store did not carry out a request.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be opened as configured; the text says how to fix that.
    #[error("{0}")]
    Unusable(String),
    /// The value must be unique and already exists.
    #[error("{0} exists already")]
    Duplicate(&'static str),
    /// The name or number belongs to another account, which has this kind of row for it.
    #[error("another account has this name or number")]
    Taken(Claimant),
    /// The account is closed: nothing can be added to it.
    #[error("the account is closed")]
    AccountClosed,
    /// The organization is closed: no account can be added to it.
    #[error("the organization is closed")]
    OrganizationClosed,
    /// There are as many as the profile of the account allows.
    #[error("there are as many as allowed")]
    TooMany,
    /// The list would take too long to read, with this filter and order.
    #[error("the list takes too long to read")]
    TooLong,
    /// The row next to which a window was requested is not, or no longer, in the list.
    #[error("the list has no row `{0}`")]
    NoRow(String),
    /// A stored value cannot be read.
    #[error("{what} in the database cannot be read: {why}")]
    Corrupt {
        /// The column or value.
        what: &'static str,
        /// The fault.
        why: String,
    },
    /// A stored secret cannot be decrypted with this key.
    #[error(
        "a stored secret cannot be decrypted with this key: is `secret.key` the one the database was created with?"
    )]
    WrongKey,
    /// The database accepts no request at present, for example because its disk is full or fails, or
    /// because every connection is in use. It may later.
    #[error("the database is not available now: {0}")]
    Unavailable(String),
    /// A password could not be hashed, whatever it is.
    #[error("passwords cannot be checked: {0}")]
    Passwords(&'static str),
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
    /// An error from the database.
    #[error("database: {0}")]
    Database(String),
}
