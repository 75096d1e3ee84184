//! Brings the tables of a database up to date.
//!
//! **Invariant: each migration runs once per database, in order, in one transaction with the
//! note that it ran.**

use model::Timestamp;
use tracing::info;

use crate::connection::Connection;
use crate::dialect::Dialect;
use crate::secret::SecretKey;
use crate::sql::{Sql, args};
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
    (
        14,
        "recordings",
        include_str!("../../../migrations/0014-recordings/up.sql"),
    ),
    (
        15,
        "participants",
        include_str!("../../../migrations/0015-participants/up.sql"),
    ),
    (
        16,
        "registrations",
        include_str!("../../../migrations/0016-registrations/up.sql"),
    ),
    (
        17,
        "queues",
        include_str!("../../../migrations/0017-queues/up.sql"),
    ),
    (
        18,
        "coaches",
        include_str!("../../../migrations/0018-coaches/up.sql"),
    ),
    (
        19,
        "recording-states",
        include_str!("../../../migrations/0019-recording-states/up.sql"),
    ),
    (
        20,
        "inventory",
        include_str!("../../../migrations/0020-inventory/up.sql"),
    ),
    (
        21,
        "caller-ids",
        include_str!("../../../migrations/0021-caller-ids/up.sql"),
    ),
    (
        22,
        "usage",
        include_str!("../../../migrations/0022-usage/up.sql"),
    ),
    (
        23,
        "transcriptions",
        include_str!("../../../migrations/0023-transcriptions/up.sql"),
    ),
    (
        24,
        "lists",
        include_str!("../../../migrations/0024-lists/up.sql"),
    ),
    (
        25,
        "replies",
        include_str!("../../../migrations/0025-replies/up.sql"),
    ),
    (
        26,
        "keys",
        include_str!("../../../migrations/0026-keys/up.sql"),
    ),
    (
        27,
        "audit",
        include_str!("../../../migrations/0027-audit/up.sql"),
    ),
    (
        28,
        "filters",
        include_str!("../../../migrations/0028-filters/up.sql"),
    ),
    (
        29,
        "orders",
        include_str!("../../../migrations/0029-orders/up.sql"),
    ),
    (
        30,
        "organizations",
        include_str!("../../../migrations/0030-organizations/up.sql"),
    ),
    (
        31,
        "profiles",
        include_str!("../../../migrations/0031-profiles/up.sql"),
    ),
    (
        32,
        "extensions",
        include_str!("../../../migrations/0032-extensions/up.sql"),
    ),
    (
        34,
        "gateways",
        include_str!("../../../migrations/0034-gateways/up.sql"),
    ),
    (
        35,
        "outbound-proxy",
        include_str!("../../../migrations/0035-outbound-proxy/up.sql"),
    ),
    (
        36,
        "usage-triggers",
        include_str!("../../../migrations/0036-usage-triggers/up.sql"),
    ),
    (
        37,
        "geolocations",
        include_str!("../../../migrations/0037-geolocations/up.sql"),
    ),
    (
        39,
        "copies",
        include_str!("../../../migrations/0039-copies/up.sql"),
    ),
    (
        40,
        "bin",
        include_str!("../../../migrations/0040-bin/up.sql"),
    ),
    (
        41,
        "retention",
        include_str!("../../../migrations/0041-retention/up.sql"),
    ),
    (
        43,
        "test-accounts",
        include_str!("../../../migrations/0043-test-accounts/up.sql"),
    ),
    (
        51,
        "emails",
        include_str!("../../../migrations/0051-emails/up.sql"),
    ),
    (
        54,
        "verify",
        include_str!("../../../migrations/0054-verify/up.sql"),
    ),
    (
        55,
        "message-routes",
        include_str!("../../../migrations/0055-message-routes/up.sql"),
    ),
    (
        56,
        "forwarded-messages",
        include_str!("../../../migrations/0056-forwarded-messages/up.sql"),
    ),
    (
        60,
        "email-privacy",
        include_str!("../../../migrations/0060-email-privacy/up.sql"),
    ),
    (
        65,
        "verify-writes",
        include_str!("../../../migrations/0065-verify-writes/up.sql"),
    ),
    (
        66,
        "opt-outs",
        include_str!("../../../migrations/0066-opt-outs/up.sql"),
    ),
    (
        67,
        "messaging",
        include_str!("../../../migrations/0067-messaging/up.sql"),
    ),
    (
        68,
        "masking",
        include_str!("../../../migrations/0068-masking/up.sql"),
    ),
    (
        70,
        "email-records",
        include_str!("../../../migrations/0070-email-records/up.sql"),
    ),
    (
        71,
        "voicemail",
        include_str!("../../../migrations/0071-voicemail/up.sql"),
    ),
    (
        72,
        "sealed-emails",
        include_str!("../../../migrations/0072-sealed-emails/up.sql"),
    ),
    (
        73,
        "bounded-masks",
        include_str!("../../../migrations/0073-bounded-masks/up.sql"),
    ),
];

/// The version of the tables that this release works with.
pub(crate) fn newest() -> i64 {
    MIGRATIONS.last().map_or(0, |(version, _, _)| *version)
}

const NOTES: &str = "CREATE TABLE IF NOT EXISTS migrations (\
    version BIGINT PRIMARY KEY, name TEXT NOT NULL, applied BIGINT NOT NULL)";

/// Seals the digests of clients that are stored in the clear, and leaves no copy of them
/// in the file. Several processes may do so at once: each row is sealed once.
pub(crate) async fn seal_clients(
    connection: &mut Connection,
    dialect: Dialect,
    key: &SecretKey,
) -> Result<()> {
    let text = "SELECT sid, ha1_md5, ha1_sha256 FROM clients WHERE ha1 IS NULL";
    let found = connection.all(&Sql::new(text, Vec::new())).await?;
    if found.is_empty() {
        return Ok(());
    }
    if let Some(statement) = dialect.overwrite_freed(true) {
        connection.run(statement).await?;
    }
    connection.run(dialect.begin()).await?;
    for row in &found {
        let (md5, sha256) = (row.text("ha1_md5")?, row.text("ha1_sha256")?);
        let sealed = rows::sealed_digests(row.word("sid")?, (&md5, &sha256), key);
        let sql = Sql::new(
            "UPDATE clients SET ha1 = $1, ha1_md5 = '', ha1_sha256 = '' \
             WHERE sid = $2 AND ha1 IS NULL",
            args![sealed, row.text("sid")?],
        );
        connection.execute(sql).await?;
    }
    connection.run("COMMIT").await?;
    if let Some(statement) = dialect.empty_log() {
        connection.run(statement).await?;
    }
    if let Some(statement) = dialect.overwrite_freed(false) {
        connection.run(statement).await?;
    }
    info!(
        clients = found.len(),
        "encrypted the clients' password digests"
    );
    Ok(())
}

/// Runs the migrations that the database has not seen.
pub(crate) async fn migrate(
    connection: &mut Connection,
    dialect: Dialect,
    now: Timestamp,
) -> Result<()> {
    connection.run(dialect.begin()).await?;
    match migrate_locked(connection, dialect, now).await {
        Ok(()) => Ok(connection.run("COMMIT").await?),
        Err(error) => {
            // Whatever comes of it, the first error says more.
            let _ = connection.leave().await;
            Err(error)
        }
    }
}

async fn migrate_locked(
    connection: &mut Connection,
    dialect: Dialect,
    now: Timestamp,
) -> Result<()> {
    if let Some(lock) = dialect.lock_migrations() {
        connection.run_long(lock).await?;
    }
    connection.run(NOTES).await?;
    let seen = seen_version(connection).await?;
    let newest = newest();
    if seen > newest {
        return Err(StoreError::Unusable(format!(
            "the database was written by a newer release (its tables have version {seen}, this \
             release knows up to {newest}): use that release"
        )));
    }
    for (version, name, text) in MIGRATIONS.iter().filter(|(version, ..)| *version > seen) {
        let tables = dialect.migration(text);
        connection.run_long(&tables).await?;
        let note = Sql::new(
            "INSERT INTO migrations (version, name, applied) VALUES ($1, $2, $3)",
            args![*version, *name, now],
        );
        connection.execute(note).await?;
        info!(version, name, "migrated the database");
    }
    Ok(())
}

/// The version of the tables; 0 if no migration ran yet.
pub(crate) async fn seen_version(connection: &mut Connection) -> Result<i64> {
    let text = "SELECT MAX(version) AS version FROM migrations";
    let found = connection.all(&Sql::new(text, Vec::new())).await?;
    let seen = found.first().map(|row| row.opt_int("version"));
    Ok(seen.transpose()?.flatten().unwrap_or(0))
}
