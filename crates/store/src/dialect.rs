//! What differs between SQLite and PostgreSQL.
//!
//! **Invariant: no other module names a database,** but for `connect` and `connection`, which speak to it.

use crate::connection::Access;

/// Which database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// Embedded, one process.
    Sqlite,
    /// A server, any number of processes.
    Postgres,
}

/// SQLite: readers do not wait for the writer (WAL), and a commit is on disk when it returns
/// (FULL: one sync per group of commits, so the price is shared by all calls of the moment).
/// Pages that many calls change are copied into the database only once in 16 MiB of changes.
/// The timeout covers another program that holds the file, as a backup does.
const SQLITE_SETUP: &[&str] = &[
    "PRAGMA busy_timeout = 5000",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA wal_autocheckpoint = 4000",
    "PRAGMA foreign_keys = OFF",
    "PRAGMA temp_store = MEMORY",
];

/// What a connection needs that only reads.
const SQLITE_READ_SETUP: &[&str] = &[
    "PRAGMA busy_timeout = 5000",
    "PRAGMA temp_store = MEMORY",
    "PRAGMA query_only = ON",
];

impl Dialect {
    /// From the scheme of the database's address.
    pub(crate) fn of(url: &str) -> Option<Self> {
        match url.split_once(':')?.0 {
            "sqlite" => Some(Self::Sqlite),
            "postgres" | "postgresql" => Some(Self::Postgres),
            _ => None,
        }
    }

    /// Statements for each new connection.
    pub(crate) const fn setup(self, access: Access) -> &'static [&'static str] {
        match (self, access) {
            (Self::Sqlite, Access::Write) => SQLITE_SETUP,
            (Self::Sqlite, Access::Read) => SQLITE_READ_SETUP,
            (Self::Postgres, Access::Write) => &[],
            (Self::Postgres, Access::Read) => {
                &["SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY"]
            }
        }
    }

    /// Begins a transaction that will write.
    pub(crate) const fn begin(self) -> &'static str {
        match self {
            // Takes the write lock at once: waiting for it in mid-transaction cannot succeed.
            Self::Sqlite => "BEGIN IMMEDIATE",
            Self::Postgres => "BEGIN",
        }
    }

    /// Makes concurrent migrations of several processes wait for each other.
    pub(crate) const fn lock_migrations(self) -> Option<&'static str> {
        match self {
            Self::Sqlite => None, // `begin` does.
            Self::Postgres => Some("SELECT CAST(pg_advisory_xact_lock(7261) AS TEXT)"),
        }
    }

    /// Makes transactions of several processes wait for each other that add an account or what belongs
    /// to one, or set the status of accounts.
    pub(crate) const fn lock_directory(self) -> Option<&'static str> {
        match self {
            Self::Sqlite => None, // `begin` does.
            Self::Postgres => Some("SELECT CAST(pg_advisory_xact_lock(7262) AS TEXT)"),
        }
    }

    /// Makes this connection overwrite what it deletes, where a file would keep it, or no longer.
    pub(crate) const fn overwrite_freed(self, on: bool) -> Option<&'static str> {
        match (self, on) {
            (Self::Sqlite, true) => Some("PRAGMA secure_delete = ON"),
            (Self::Sqlite, false) => Some("PRAGMA secure_delete = OFF"),
            (Self::Postgres, _) => None,
        }
    }

    /// Leaves nothing of what was written before in the write-ahead log.
    pub(crate) const fn empty_log(self) -> Option<&'static str> {
        match self {
            Self::Sqlite => Some("PRAGMA wal_checkpoint(TRUNCATE)"),
            Self::Postgres => None,
        }
    }

    /// The text of a migration in this database's words.
    pub(crate) fn migration(self, text: &str) -> String {
        let mut text = text.replace("{{blob}}", self.blob());
        text = text.replace("{{by bytes}}", self.by_bytes());
        for column in ["to_user", "from_user"] {
            let name = format!("{{{{last four of {column}}}}}");
            text = text.replace(&name, &self.last_four(column));
            let covered = match self {
                Self::Sqlite => format!(", {column}"),
                Self::Postgres => String::new(),
            };
            text = text.replace(&format!("{{{{, {column}}}}}"), &covered);
        }
        text
    }

    /// Type of byte columns.
    const fn blob(self) -> &'static str {
        match self {
            Self::Sqlite => "BLOB",
            Self::Postgres => "BYTEA",
        }
    }

    /// Suffix of a text that compares by bytes, as its index does.
    pub(crate) const fn by_bytes(self) -> &'static str {
        match self {
            Self::Sqlite => "",
            Self::Postgres => " COLLATE \"C\"",
        }
    }

    /// The last four characters of a text column in lower case, as indexes have them.
    pub(crate) fn last_four(self, column: &str) -> String {
        match self {
            Self::Sqlite => format!("LOWER(SUBSTR({column}, -4))"),
            Self::Postgres => format!("LOWER(RIGHT({column}, 4))"),
        }
    }

    /// Whether a process without a recent heartbeat is surely gone: only one process at a
    /// time can have an SQLite database open.
    pub(crate) const fn single_process(self) -> bool {
        matches!(self, Self::Sqlite)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_the_schemes() {
        let table = [
            ("sqlite:/tmp/a.db", Some(Dialect::Sqlite)),
            ("postgres://u@h/db", Some(Dialect::Postgres)),
            ("postgresql://u@h/db", Some(Dialect::Postgres)),
            ("mysql://u@h/db", None),
            ("nonsense", None),
        ];
        for (url, dialect) in table {
            assert_eq!(Dialect::of(url), dialect, "{url}");
        }
    }
}
