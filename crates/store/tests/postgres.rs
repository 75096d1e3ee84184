//! The suite on PostgreSQL: on the server that `PATCHCORD_TEST_POSTGRES_URL` names (its user
//! must be allowed to create databases), else on one that the test starts if the programs are
//! installed.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a step that fails fails the test")]

mod suite;

use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use sqlx::{AnyConnection, AssertSqlSafe, Connection};
use store::SecretKey;
use suite::Database;

/// The user `nobody`: PostgreSQL refuses to run as root.
const NOBODY: u32 = 65_534;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_suite_runs_on_postgresql() {
    let server = match Server::find().await {
        Ok(server) => server,
        Err(reason) => {
            eprintln!("skipped: {reason}");
            return;
        }
    };
    macro_rules! run {
        ($($case:ident,)+) => {
            $({
                eprintln!("{}", stringify!($case));
                suite::$case(&server.database(stringify!($case)).await).await;
            })+
        };
    }
    suite::for_each_case!(run);
}

struct Server {
    url: String,
    process: Option<Child>,
    _dir: Option<tempfile::TempDir>,
}

impl Server {
    async fn find() -> Result<Self, String> {
        sqlx::any::install_default_drivers();
        match std::env::var("PATCHCORD_TEST_POSTGRES_URL") {
            Ok(url) => Ok(Self {
                url,
                process: None,
                _dir: None,
            }),
            Err(_) => Self::start().await,
        }
    }

    async fn start() -> Result<Self, String> {
        let dir = tempfile::tempdir().map_err(|error| error.to_string())?;
        let data = dir.path().join("data");
        let is_root = unprivileged(dir.path());
        run(command("initdb", is_root)
            .args([
                "--auth=trust",
                "--username=test",
                "--no-sync",
                "--encoding=UTF8",
            ])
            .arg("--pgdata")
            .arg(&data))?;
        let port = free_port()?;
        let process = command("postgres", is_root)
            .arg("-D")
            .arg(&data)
            .arg("-k")
            .arg(dir.path())
            .args([
                "-h",
                "127.0.0.1",
                "-p",
                &port.to_string(),
                "-c",
                "fsync=off",
            ])
            .spawn()
            .map_err(|error| format!("`postgres` cannot be started: {error}"))?;
        let server = Self {
            url: format!("postgres://test@127.0.0.1:{port}"),
            process: Some(process),
            _dir: Some(dir),
        };
        for _ in 0..100 {
            if server.admin().await.is_ok() {
                return Ok(server);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Err("`postgres` did not get ready in 10 s".to_owned())
    }

    async fn admin(&self) -> sqlx::Result<AnyConnection> {
        AnyConnection::connect(&format!("{}/postgres", self.url)).await
    }

    /// A new database; one of an earlier run is dropped.
    async fn database(&self, case: &str) -> Database {
        let name: String = format!("patchcord_{case}").chars().take(60).collect();
        let mut admin = self.admin().await.unwrap();
        for sql in [
            format!("DROP DATABASE IF EXISTS {name}"),
            format!("CREATE DATABASE {name}"),
        ] {
            sqlx::raw_sql(AssertSqlSafe(sql))
                .execute(&mut admin)
                .await
                .unwrap();
        }
        Database {
            url: format!("{}/{name}", self.url),
            key: SecretKey::random(),
            _dir: None,
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// Gives the folder to `nobody` if we are root; says whether we are.
fn unprivileged(dir: &Path) -> bool {
    chown(dir, Some(NOBODY), Some(NOBODY)).is_ok()
}

fn command(program: &str, is_root: bool) -> Command {
    let mut command = Command::new(program);
    command
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    if is_root {
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}

fn run(command: &mut Command) -> Result<(), String> {
    let program = command.get_program().to_string_lossy().into_owned();
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("`{program}` failed: {status}")),
        Err(error) => Err(format!("`{program}` cannot be started: {error}")),
    }
}

fn free_port() -> Result<u16, String> {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
    Ok(socket
        .local_addr()
        .map_err(|error| error.to_string())?
        .port())
}
