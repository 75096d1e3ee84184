//! Brings the tables of a database up to date.
//!
//! **Invariant: each migration runs once per database, in order, in one transaction with the
//! note that it ran.**

use model::Timestamp;
use sqlx::{AnyConnection, AssertSqlSafe, Row};
use tracing::info;

use crate::dialect::{Dialect, run};
use crate::secret::SecretKey;
use crate::sql::Columns;
use crate::{Result, StoreError, rows};

/// Number, name and text of every migration.
const MIGRATIONS: &[(i64, &str, &str)] = &[
    (
        1,
        "first",
        include_str!("../../../migrations/0001-first/up.sql"),
    ),
    (
        2,
        "webhooks",
        include_str!("../../../migrations/0002-webhooks/up.sql"),
    ),
    (
        3,
        "authors",
        include_str!("../../../migrations/0003-authors/up.sql"),
    ),
    (
        4,
        "repair",
        include_str!("../../../migrations/0004-repair/up.sql"),
    ),
    (
        5,
        "endings",
        include_str!("../../../migrations/0005-endings/up.sql"),
    ),
    (
        6,
        "pages",
        include_str!("../../../migrations/0006-pages/up.sql"),
    ),
    (
        7,
        "messages",
        include_str!("../../../migrations/0007-messages/up.sql"),
    ),
    (
        8,
        "lanes",
        include_str!("../../../migrations/0008-lanes/up.sql"),
    ),
    (
        9,
        "dialects",
        include_str!("../../../migrations/0009-dialects/up.sql"),
    ),
    (
        10,
        "conferences",
        include_str!("../../../migrations/0010-conferences/up.sql"),
    ),
    (
        11,
        "sealed-clients",
        include_str!("../../../migrations/0011-sealed-clients/up.sql"),
    ),
    (
        12,
        "refusals",
        include_str!("../../../migrations/0012-refusals/up.sql"),
    ),
    (
        13,
        "applications",
        include_str!("../../../migrations/0013-applications/up.sql"),
    ),
];

const NOTES: &str = "CREATE TABLE IF NOT EXISTS migrations (\
    version BIGINT PRIMARY KEY, name TEXT NOT NULL, applied BIGINT NOT NULL)";

/// Seals the digests of clients that an earlier release stored in the clear, and leaves no copy of them
/// in the file. Several processes may do so at once: each row is sealed once.
pub(crate) async fn seal_clients(
    connection: &mut AnyConnection,
    dialect: Dialect,
    key: &SecretKey,
) -> Result<()> {
    let found = sqlx::query("SELECT sid, ha1_md5, ha1_sha256 FROM clients WHERE ha1 IS NULL")
        .fetch_all(&mut *connection)
        .await?;
    if found.is_empty() {
        return Ok(());
    }
    for statement in dialect.overwrite_freed() {
        run(connection, statement).await?;
    }
    run(connection, dialect.begin()).await?;
    for row in &found {
        let row = Columns(row);
        let (md5, sha256) = (row.text("ha1_md5")?, row.text("ha1_sha256")?);
        let sealed = rows::sealed_digests(row.word("sid")?, (&md5, &sha256), key);
        sqlx::query(
            "UPDATE clients SET ha1 = $1, ha1_md5 = '', ha1_sha256 = '' \
             WHERE sid = $2 AND ha1 IS NULL",
        )
        .bind(sealed)
        .bind(row.text("sid")?)
        .execute(&mut *connection)
        .await?;
    }
    run(connection, "COMMIT").await?;
    for statement in dialect.empty_log() {
        run(connection, statement).await?;
    }
    info!(
        clients = found.len(),
        "encrypted the clients' password digests"
    );
    Ok(())
}

/// Runs the migrations that the database has not seen.
pub(crate) async fn migrate(
    connection: &mut AnyConnection,
    dialect: Dialect,
    now: Timestamp,
) -> Result<()> {
    run(connection, dialect.begin()).await?;
    match migrate_locked(connection, dialect, now).await {
        Ok(()) => Ok(run(connection, "COMMIT").await?),
        Err(error) => {
            run(connection, "ROLLBACK").await?;
            Err(error)
        }
    }
}

async fn migrate_locked(
    connection: &mut AnyConnection,
    dialect: Dialect,
    now: Timestamp,
) -> Result<()> {
    if let Some(lock) = dialect.lock_migrations() {
        run(connection, lock).await?;
    }
    run(connection, NOTES).await?;
    let seen = seen_version(connection).await?;
    let newest = MIGRATIONS.last().map_or(0, |(version, _, _)| *version);
    if seen > newest {
        return Err(StoreError::Unusable(format!(
            "the database was written by a newer release (its tables have version {seen}, this \
             release knows up to {newest}): use that release"
        )));
    }
    for (version, name, text) in MIGRATIONS.iter().filter(|(version, ..)| *version > seen) {
        let sql = text.replace("{{blob}}", dialect.blob());
        sqlx::raw_sql(AssertSqlSafe(sql))
            .execute(&mut *connection)
            .await?;
        sqlx::query("INSERT INTO migrations (version, name, applied) VALUES ($1, $2, $3)")
            .bind(*version)
            .bind((*name).to_owned())
            .bind(now.0)
            .execute(&mut *connection)
            .await?;
        info!(version, name, "migrated the database");
    }
    Ok(())
}

async fn seen_version(connection: &mut AnyConnection) -> Result<i64> {
    let row = sqlx::query("SELECT COALESCE(MAX(version), 0) AS version FROM migrations")
        .fetch_one(connection)
        .await?;
    Ok(row.try_get("version")?)
}
