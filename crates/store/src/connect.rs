//! Opens a database: address, lock, pool, and error texts that say what to do.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::connection::{Access, Connection, Failure, Server, Target, host_count};
use crate::dialect::Dialect;
use crate::readers::Readers;
use crate::{Result, StoreError};

/// Connections that read. The writer has one of its own.
const READERS: u32 = 4;
/// How long an earlier process may take to let go of the file.
const LOCK_PATIENCE: Duration = Duration::from_secs(3);
/// How long a server may leave a connection, bytes or a statement unanswered, if its address does not
/// say so. Less than the silence after which other servers take over the calls of this one.
const SILENCE: Duration = Duration::from_secs(15);
/// Probes of an idle connection that remain unanswered until it is given up, within [`SILENCE`].
const PROBES: u32 = 2;

/// An opened database.
pub(crate) struct Opened {
    pub(crate) dialect: Dialect,
    /// Brings the tables up to date, and is the writer's then.
    pub(crate) connection: Connection,
    pub(crate) target: Target,
    /// Held as long as the process uses an SQLite database.
    pub(crate) lock: Option<File>,
}

impl Opened {
    /// Connections that read, once the tables are up to date.
    pub(crate) fn readers(&self) -> Readers {
        Readers::new(self.target.clone(), READERS)
    }
}

/// Connects to `sqlite:PATH` or `postgres://…`.
pub(crate) async fn open(url: &str) -> Result<Opened> {
    let (dialect, target) = target(url)?;
    let lock = match &target {
        Target::Embedded(path) => {
            let lock = lock(path).await?;
            // Made here so that it is private from the start; SQLite gives its mode to the files beside
            // it. An error is reported by the connection.
            let _ = private_file(path);
            Some(lock)
        }
        Target::Shared(_) => None,
    };
    let connection = target.connect(Access::Write).await;
    Ok(Opened {
        dialect,
        connection: connection.map_err(|error| unusable(url, error))?,
        target,
        lock,
    })
}

/// A connection that only reads, beside a server that may use the database, and where it leads.
pub(crate) async fn open_to_read(url: &str) -> Result<(Readers, Target)> {
    let (_, target) = target(url)?;
    let readers = Readers::new(target.clone(), 1);
    let checked = readers.check().await;
    checked.map_err(|error| unusable(url, error))?;
    Ok((readers, target))
}

pub(crate) fn target(url: &str) -> Result<(Dialect, Target)> {
    match Dialect::of(url) {
        Some(Dialect::Sqlite) => Ok((Dialect::Sqlite, Target::Embedded(sqlite_path(url)?))),
        Some(Dialect::Postgres) => Ok((Dialect::Postgres, Target::Shared(server(url)?))),
        None => Err(StoreError::Unusable(format!(
            "`{}` is not a database address: write `sqlite:PATH` or `postgres://USER@HOST/NAME`",
            without_secrets(url)
        ))),
    }
}

/// The server of an address, with limits for what the address does not limit: in it, `connect_timeout`
/// is for a connection to each of its hosts and `tcp_user_timeout` for anything later.
fn server(url: &str) -> Result<Box<Server>> {
    let mut config: tokio_postgres::Config = url
        .parse()
        .map_err(|error| unusable(url, Failure::Shared(error)))?;
    let connecting = *config.get_connect_timeout().unwrap_or(&SILENCE);
    let silence = *config.get_tcp_user_timeout().unwrap_or(&SILENCE);
    config.connect_timeout(connecting).tcp_user_timeout(silence);
    let probe_after = SILENCE / (PROBES + 1);
    if config.get_keepalives_idle() == tokio_postgres::Config::new().get_keepalives_idle() {
        config.keepalives_idle(probe_after);
    }
    if config.get_keepalives_interval().is_none() {
        config.keepalives_interval(probe_after);
    }
    if config.get_keepalives_retries().is_none() {
        config.keepalives_retries(PROBES);
    }
    let hosts = u32::try_from(host_count(&config)).unwrap_or(u32::MAX);
    Ok(Box::new(Server {
        connecting: connecting.saturating_mul(hosts.max(1)),
        silence,
        config,
    }))
}

fn sqlite_path(url: &str) -> Result<PathBuf> {
    let rest = url.strip_prefix("sqlite:").unwrap_or(url);
    let rest = rest.strip_prefix("//").unwrap_or(rest);
    let path = rest.split('?').next().unwrap_or_default();
    if path.is_empty() || path == ":memory:" {
        return Err(StoreError::Unusable(
            "the database must be a file: write `sqlite:PATH`".to_owned(),
        ));
    }
    Ok(PathBuf::from(path))
}

/// Opens a file for writing; if it does not exist, it is created, readable by its owner only.
pub(crate) fn private_file(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn lock_path(database: &Path) -> PathBuf {
    PathBuf::from(format!("{}.lock", database.display()))
}

/// Takes the lock that keeps a second server off the same file. SQLite's own locks would not:
/// they are held for a moment only, and two servers would close each other's calls.
pub(crate) async fn lock(database: &Path) -> Result<File> {
    let path = lock_path(database);
    let file = private_file(&path).map_err(|error| {
        StoreError::Unusable(format!(
            "`{}` cannot be written: {error}; the database needs a folder this user may write to",
            path.display()
        ))
    })?;
    let give_up = Instant::now() + LOCK_PATIENCE;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if Instant::now() < give_up => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::Unusable(format!(
                    "the database `{}` is in use by another server: stop that one, or give this \
                     one a database of its own",
                    database.display()
                )));
            }
            Err(TryLockError::Error(error)) => {
                return Err(StoreError::Unusable(format!(
                    "`{}` cannot be locked: {error}",
                    path.display()
                )));
            }
        }
    }
}

/// Whether a server holds an embedded database; `None` for a shared one. A server that starts at
/// this moment waits for the lock a little longer.
pub(crate) fn in_use(url: &str) -> Result<Option<bool>> {
    let Target::Embedded(path) = target(url)?.1 else {
        return Ok(None);
    };
    let path = lock_path(&path);
    let Ok(file) = File::open(path) else {
        return Ok(Some(false)); // No server has used it yet.
    };
    Ok(Some(matches!(
        file.try_lock_shared(),
        Err(TryLockError::WouldBlock)
    )))
}

/// Says what cannot be used without showing a password of the address.
pub(crate) fn unusable(url: &str, error: impl std::fmt::Display) -> StoreError {
    let shown = without_secrets(url);
    StoreError::Unusable(format!("the database `{shown}` cannot be opened: {error}"))
}

/// An address without what may hold a password: all before the host, and the query.
pub(crate) fn without_secrets(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        let may_hold_one = Dialect::of(url) != Some(Dialect::Sqlite) && url.contains(['=', '@']);
        return if may_hold_one { "…" } else { url }.to_owned();
    };
    let (before, query) = match rest.split_once('?') {
        Some((before, query)) => (before, Some(query)),
        None => (rest, None),
    };
    if query.is_some_and(|query| query.contains('@')) {
        return format!("{scheme}://…"); // The `?` may be part of a password.
    }
    let (user, host) = match before.rsplit_once('@') {
        Some((_, host)) => ("…@", host),
        None => ("", before),
    };
    let query = query.map_or("", |_| "?…");
    format!("{scheme}://{user}{host}{query}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_file_of_an_address() {
        let table = [
            ("sqlite:/var/lib/p/p.db", Some("/var/lib/p/p.db")),
            ("sqlite:///var/p.db?mode=rwc", Some("/var/p.db")),
            ("sqlite:p.db", Some("p.db")),
            ("sqlite::memory:", None),
            ("sqlite:", None),
        ];
        for (url, path) in table {
            assert_eq!(sqlite_path(url).ok(), path.map(PathBuf::from), "{url}");
        }
    }

    #[test]
    fn error_texts_keep_passwords_out() {
        let table = [
            (
                "postgres://bob:secret@db.example/p",
                "postgres://…@db.example/p",
            ),
            (
                "postgres://db.example/p?user=bob&password=secret",
                "postgres://db.example/p?…",
            ),
            (
                "postgres://bob@db.example/p?password=secret",
                "postgres://…@db.example/p?…",
            ),
            ("postgres://db.example/p?password=my@secret", "postgres://…"),
            ("postgres://bob:my?secret@db.example/p", "postgres://…"),
            ("mysql://bob:secret@db.example/p", "mysql://…@db.example/p"),
            ("host=db.example password=secret", "…"),
            ("sqlite:/a=b/p.db", "sqlite:/a=b/p.db"),
        ];
        for (url, shown) in table {
            let text = unusable(url, Failure::Busy).to_string();
            assert!(text.contains(&format!("`{shown}`")), "{text}");
        }
        let text = target("mysql://bob:secret@db.example/p")
            .unwrap_err()
            .to_string();
        assert!(!text.contains("secret"), "{text}");
    }

    #[test]
    fn a_lost_server_is_noticed_without_settings_and_settings_win() {
        let known = |url| {
            let server = server(url).unwrap();
            let seconds = |limit: Option<Duration>| limit.unwrap().as_secs();
            let config = &server.config;
            let probes = (
                config.get_keepalives_idle().as_secs(),
                seconds(config.get_keepalives_interval()),
                config.get_keepalives_retries().unwrap(),
            );
            let limits = (server.connecting.as_secs(), server.silence.as_secs());
            (
                probes,
                limits,
                seconds(config.get_tcp_user_timeout().copied()),
            )
        };
        assert_eq!(known("postgres://u@h/p"), ((5, 5, 2), (15, 15), 15));
        let set = "postgres://u@h,i/p?connect_timeout=2&tcp_user_timeout=7&keepalives_idle=8\
                   &keepalives_interval=9&keepalives_retries=3";
        assert_eq!(known(set), ((8, 9, 3), (4, 7), 7));
        let unnamed = "postgres:///p?user=u&hostaddr=127.0.0.1,127.0.0.2";
        assert_eq!(known(unnamed), ((5, 5, 2), (30, 15), 15));
    }

    #[tokio::test]
    async fn a_server_that_accepts_and_says_nothing_is_given_up() {
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = silent.local_addr().unwrap().port();
        let url = format!("postgres://u@127.0.0.1:{port}/p?connect_timeout=1");
        let limit = Duration::from_secs(10);
        let opened = tokio::time::timeout(limit, open(&url))
            .await
            .expect("an end");
        let text = opened.err().expect("an error").to_string();
        assert!(text.ends_with("the server does not respond"), "{text}");
    }
}
