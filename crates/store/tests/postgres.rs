//! The suite on PostgreSQL: on the server at `PATCHCORD_TEST_POSTGRES_URL` (its user
//! must be allowed to create databases), otherwise on one that the test starts.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a step that fails fails the test")]

mod server;
mod suite;

use std::time::Duration;

use model::record::{Number, Organization};
use model::{OrganizationSid, Timestamp};
use server::Postgres;
use store::{Change, SecretKey};
use suite::{Database, raw};
use tokio_postgres::NoTls;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_suite_runs_on_postgresql() {
    let Some(server) = Server::find().await else {
        return;
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
    lost_connections_are_replaced(&server.database("lost").await).await;
    a_name_gets_one_owner_of_two_servers(&server.database("names").await).await;
}

async fn a_name_gets_one_owner_of_two_servers(db: &Database) {
    let (one, two) = (db.open().await, db.open().await);
    let here = suite::values::organization(&one, 1, "one.example").await;
    let there = suite::values::organization(&one, 2, "two.example").await;
    // Many at once, so that the transactions of both servers overlap.
    let pairs = (1..100).map(|n| {
        let (one, two) = (one.clone(), two.clone());
        let (plain, plus) = (format!("1202555{n:04}"), format!("+1202555{n:04}"));
        let of_another = Number {
            account: suite::values::account_sid(2),
            ..suite::values::number(100 + n, there, &plus)
        };
        let first = suite::values::number(n, here, &plain);
        (
            tokio::spawn(async move { one.insert_number(first).await }),
            tokio::spawn(async move { two.insert_number(of_another).await }),
        )
    });
    for (first, second) in pairs.collect::<Vec<_>>() {
        let added = (first.await.unwrap(), second.await.unwrap());
        assert!(added.0.is_ok() != added.1.is_ok(), "{added:?}");
    }
}

const END_OTHERS: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                          WHERE datname = current_database() AND pid <> pg_backend_pid()";

async fn lost_connections_are_replaced(db: &Database) {
    let store = db.open().await;
    let sid = OrganizationSid::from_bytes([1; 16]);
    let organization = Organization {
        sid,
        domain_name: "one.example".to_owned(),
        created: Timestamp(1),
    };
    store.insert_organization(organization).await.unwrap();
    let read_by_all = || async {
        let reads = (0..16).map(|_| {
            let store = store.clone();
            tokio::spawn(async move { store.default_organization().await })
        });
        for read in reads.collect::<Vec<_>>() {
            let found = read.await.unwrap().unwrap();
            assert_eq!(found.map(|organization| organization.sid), Some(sid));
        }
    };
    read_by_all().await;
    let ended = raw::rows(&db.url, END_OTHERS).await;
    assert!(ended.len() >= 2, "the writer and a reader: {ended:?}");
    read_by_all().await;
    let instance = store.instance();
    let alive = Change::Alive {
        instance,
        at: Timestamp(i64::MAX),
    };
    store.commit(vec![alive]).await.unwrap();
    let last = store.last_alive().await.unwrap();
    assert_eq!(last, Some(Timestamp(i64::MAX)));
}

struct Server {
    url: String,
    _own: Option<Postgres>,
}

impl Server {
    /// A server that is ready; `None` if these tests are switched off.
    async fn find() -> Option<Self> {
        if let Ok(url) = std::env::var("PATCHCORD_TEST_POSTGRES_URL") {
            return Some(Self { url, _own: None });
        }
        Self::start().await
    }

    /// A server of its own.
    async fn start() -> Option<Self> {
        let own = Postgres::required()?;
        let server = Self {
            url: own.url.clone(),
            _own: Some(own),
        };
        for _ in 0..100 {
            if tokio_postgres::connect(&server.admin(), NoTls)
                .await
                .is_ok()
            {
                return Some(server);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("`postgres` did not get ready in 10 s")
    }

    fn admin(&self) -> String {
        format!("{}/postgres", self.url)
    }

    /// A new database; one left by an earlier run is dropped.
    async fn database(&self, case: &str) -> Database {
        let name: String = format!("patchcord_{case}").chars().take(60).collect();
        for statement in ["DROP DATABASE IF EXISTS", "CREATE DATABASE"] {
            raw::run(&self.admin(), &format!("{statement} {name}")).await;
        }
        Database {
            url: format!("{}/{name}", self.url),
            key: SecretKey::random(),
            _dir: None,
        }
    }
}
