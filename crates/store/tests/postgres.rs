//! The suite on PostgreSQL: on the server at `PATCHCORD_TEST_POSTGRES_URL` (its user
//! must be allowed to create databases), otherwise on one that the test starts, if PostgreSQL is
//! installed.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a step that fails fails the test")]

mod server;
mod suite;

use std::time::Duration;

use server::Postgres;
use sqlx::{AnyConnection, AssertSqlSafe, Connection};
use store::SecretKey;
use suite::Database;

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
    _own: Option<Postgres>,
}

impl Server {
    async fn find() -> Result<Self, String> {
        sqlx::any::install_default_drivers();
        if let Ok(url) = std::env::var("PATCHCORD_TEST_POSTGRES_URL") {
            return Ok(Self { url, _own: None });
        }
        let own = Postgres::start()?;
        let server = Self {
            url: own.url.clone(),
            _own: Some(own),
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

    /// A new database; one left by an earlier run is dropped.
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
