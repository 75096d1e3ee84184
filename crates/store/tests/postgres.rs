//! The suite on PostgreSQL: on the server at `PATCHCORD_TEST_POSTGRES_URL` (its user
//! must be allowed to create databases), otherwise on one that the test starts.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a step that fails fails the test")]

mod proxy;
mod suite;

use std::net::IpAddr;
use std::time::Duration;

use model::record::{Number, Organization, Refusal};
use model::{
    AccountStatus, EmailSid, OrganizationSid, OrganizationStatus, RefusalReason, ServerSid, Source,
    Timestamp,
};
use proxy::Proxy;
use store::{
    AdminSeed, Change, ClaimedEmail, Committed, DiscardedKind, EmailClaim, NewCode, SecretKey,
    Store, StoreError,
};
use suite::{Database, raw};
use testkit::postgres::Postgres;
use testkit::records;
use tokio_postgres::NoTls;
use verify::{Settings, Status};

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
    a_statement_outlives_the_tables_it_was_compiled_for(&server.database("stale").await).await;
    lost_connections_are_replaced(&server, &server.database("lost").await).await;
    a_name_gets_one_owner_of_two_servers(&server.database("names").await).await;
    what_one_server_closes_another_adds_nothing_to(&server.database("closing").await).await;
    codes_of_two_servers_are_no_more_than_the_limits(&server.database("codes").await).await;
}

async fn codes_of_two_servers_are_no_more_than_the_limits(db: &Database) {
    let (one, two) = (db.open().await, db.open().await);
    suite::limits_hold_for(&[&one, &two]).await;
}

async fn what_one_server_closes_another_adds_nothing_to(db: &Database) {
    let (one, two) = (db.open().await, db.open().await);
    let organization = suite::values::organization(&one, 1, "one.example").await;
    for n in 1..40 {
        suite::values::insert_account(&one, n, None, organization).await;
    }
    let pairs = (1..40).map(|n| {
        let (one, two) = (one.clone(), two.clone());
        let closed = async move {
            let (sid, at) = (suite::values::account_sid(n), Timestamp(9));
            one.set_account_status(sid, AccountStatus::Closed, at).await
        };
        let added = async move { suite::add_to(&two, n, organization).await };
        (tokio::spawn(added), tokio::spawn(closed))
    });
    for (added, closed) in pairs.collect::<Vec<_>>() {
        closed.await.unwrap().unwrap();
        for added in added.await.unwrap() {
            let as_expected = matches!(added, Ok(()) | Err(StoreError::AccountClosed));
            assert!(as_expected, "{added:?}");
        }
    }
    for n in 1..40 {
        assert_eq!(suite::owned_by(&one, n).await, (0, 0, 0, 0), "account {n}");
    }
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_server_holds_up_neither_the_writer_nor_readers_nor_the_end() {
    let Some(server) = Server::start().await else {
        return;
    };
    let db = server.database("silent").await;
    let proxy = Proxy::start(server.port()).await;
    let url = format!(
        "postgres://test@127.0.0.1:{}/patchcord_silent?connect_timeout=1&tcp_user_timeout=1",
        proxy.port
    );
    let store = Store::open(&url, db.key.clone()).await.unwrap();
    assert!(store.default_organization().await.unwrap().is_none());
    proxy.pause(true);
    let (mut write, mut read) = (write_to(&store), read_from(&store));
    within(20, async {
        while store.takes_writes() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    assert!(!write.is_finished() && !read.is_finished(), "they wait");
    proxy.pause(false);
    let written = within(20, &mut write).await.unwrap();
    assert!(written.unwrap().all_applied());
    within(20, &mut read).await.unwrap().unwrap();
    assert!(store.takes_writes());
    // The end is not delayed by what waits for the server.
    proxy.pause(true);
    let (write, read) = (write_to(&store), read_from(&store));
    tokio::time::sleep(Duration::from_millis(100)).await;
    within(25, store.close()).await;
    let unwritten = within(1, write).await.unwrap();
    assert!(
        matches!(unwritten, Err(StoreError::Unavailable(_))),
        "{unwritten:?}"
    );
    read.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_writer_leaves_a_server_that_only_reads() {
    let Some(server) = Server::start().await else {
        return;
    };
    let db = server.database("demoted").await;
    let (store, alone) = (db.open().await, server.database("alone").await.open().await);
    // What the server becomes, and new connections to one of the databases do not: they reach
    // another server, as it were.
    default_read_only(&server, "demoted", "off").await;
    let demote = "ALTER SYSTEM SET default_transaction_read_only = on";
    raw::run(&server.admin(), demote).await;
    raw::rows(&server.admin(), "SELECT CAST(pg_reload_conf() AS TEXT)").await;
    let demoted = "SHOW default_transaction_read_only";
    within(10, async {
        while raw::rows(&server.admin(), demoted).await != [[Some("on".to_owned())]] {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    // Each connection rereads its settings by itself.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let written = within(10, write_to(&store)).await.unwrap();
    assert!(written.unwrap().all_applied(), "on another connection");
    // Without a server that writes, a commit is neither lost nor refused for good.
    default_read_only(&server, "demoted", "on").await;
    raw::rows(&db.url, END_OTHERS).await;
    for (store, name) in [(&alone, "alone"), (&store, "demoted")] {
        for _ in 0..2 {
            let unwritten = within(10, write_to(store)).await.unwrap();
            assert!(
                matches!(unwritten, Err(StoreError::Unavailable(_))),
                "{name}: {unwritten:?}"
            );
            assert!(!store.takes_writes(), "{name}");
        }
        default_read_only(&server, name, "off").await;
        let written = within(10, write_to(store)).await.unwrap();
        assert!(written.unwrap().all_applied(), "{name}");
        assert!(store.takes_writes(), "{name}");
    }
}

/// Whether new connections to a database only read; `on` or `off`.
async fn default_read_only(server: &Server, database: &str, setting: &str) {
    let set = format!(
        "BEGIN READ WRITE; ALTER DATABASE patchcord_{database} \
         SET default_transaction_read_only = {setting}; COMMIT"
    );
    raw::run(&server.admin(), &set).await;
}

/// A server that freezes within a transaction and thaws later finds that transaction abandoned.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_frozen_server_left_half_done_is_not_continued() {
    let Some(server) = Server::start().await else {
        return;
    };
    let db = server.database("frozen").await;
    let proxy = Proxy::start(server.port()).await;
    let url = format!(
        "postgres://test@127.0.0.1:{}/patchcord_frozen?connect_timeout=1&tcp_user_timeout=3",
        proxy.port
    );
    let store = Store::open(&url, db.key.clone()).await.unwrap();
    store.commit(vec![refusal()]).await.unwrap();
    // The statement of the next commit waits for a row, and its answer is not forwarded.
    let holder = raw::server(&db.url).await;
    let hold = "BEGIN; UPDATE refusals SET last_at = last_at";
    holder.batch_execute(hold).await.unwrap();
    let commit = {
        let store = store.clone();
        tokio::spawn(async move { store.commit(vec![refusal()]).await })
    };
    until(&db.url, WAITS_FOR_A_LOCK, "1").await;
    proxy.pause(true);
    within(20, async {
        while store.takes_writes() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    // It gives up the first attempt to connect, too.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    holder.batch_execute("COMMIT").await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    proxy.pause(false);
    let written = within(20, commit).await.unwrap().unwrap();
    assert!(written.all_applied());
    let count = raw::rows(&db.url, "SELECT n FROM refusals").await;
    assert_eq!(count, [[Some("2".to_owned())]]);
}

/// A host that vanishes within a transaction keeps no row from other servers for long.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_locks_of_a_vanished_host_are_released() {
    let Some(server) = Server::start().await else {
        return;
    };
    let db = server.database("vanished").await;
    let proxy = Proxy::start(server.port()).await;
    let url = format!(
        "postgres://test@127.0.0.1:{}/patchcord_vanished?connect_timeout=1&tcp_user_timeout=3",
        proxy.port
    );
    let vanishes = Store::open(&url, db.key.clone()).await.unwrap();
    let other = db.open().await;
    other.commit(vec![refusal()]).await.unwrap();
    let holder = raw::server(&db.url).await;
    let hold = "BEGIN; UPDATE refusals SET last_at = last_at";
    holder.batch_execute(hold).await.unwrap();
    let lost = tokio::spawn(async move { vanishes.commit(vec![refusal()]).await });
    until(&db.url, WAITS_FOR_A_LOCK, "1").await;
    // Its server gets the row; the proxy does not even forward the end of the connection.
    proxy.pause(true);
    holder.batch_execute("COMMIT").await.unwrap();
    until(&db.url, WAITS_FOR_A_LOCK, "0").await;
    let written = within(10, other.commit(vec![refusal()])).await;
    assert!(written.unwrap().all_applied());
    // It was only the network.
    proxy.pause(false);
    let written = within(20, lost).await.unwrap();
    assert!(written.unwrap().all_applied());
    let count = raw::rows(&db.url, "SELECT n FROM refusals").await;
    assert_eq!(count, [[Some("3".to_owned())]]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_that_takes_too_long_ends_on_the_server_and_is_not_repeated() {
    let Some(server) = Server::start().await else {
        return;
    };
    let db = server.database("slow").await;
    let url = format!("{}?tcp_user_timeout=3", db.url);
    let store = Store::open(&url, db.key.clone()).await.unwrap();
    let holder = raw::server(&db.url).await;
    let hold = "BEGIN; LOCK TABLE organizations IN ACCESS EXCLUSIVE MODE";
    holder.batch_execute(hold).await.unwrap();
    let slow = within(10, read_from(&store)).await.unwrap();
    assert!(matches!(slow, Err(StoreError::Unavailable(_))), "{slow:?}");
    until(&db.url, WAITS_FOR_A_LOCK, "0").await;
    // Nor does one that nothing waits for stay.
    let abandoned = read_from(&store);
    until(&db.url, WAITS_FOR_A_LOCK, "1").await;
    abandoned.abort();
    until(&db.url, WAITS_FOR_A_LOCK, "0").await;
    holder.batch_execute("ROLLBACK").await.unwrap();
    within(10, read_from(&store)).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_that_count_the_same_rows_do_not_wait_for_each_other() {
    let Some(server) = Server::start().await else {
        return;
    };
    let db = server.database("counted").await;
    // A deadlock lasts.
    let patient = "ALTER DATABASE patchcord_counted SET deadlock_timeout = '1min'";
    raw::run(&server.admin(), patient).await;
    let (one, two) = (db.open().await, db.open().await);
    one.commit(vec![refusal()]).await.unwrap();
    let holder = raw::server(&db.url).await;
    let hold = "BEGIN; UPDATE refusals SET last_at = last_at";
    holder.batch_execute(hold).await.unwrap();
    let account = suite::values::account_sid(1);
    let call = |n| Change::CallCreated(Box::new(suite::values::call(&one, account, n)));
    let notification = |n| Change::Notification(Box::new(suite::values::notification(n, "")));
    let commits = [
        (one.clone(), vec![call(1), refusal(), notification(1)]),
        (two.clone(), vec![notification(2), refusal(), call(2)]),
    ];
    let commits =
        commits.map(|(store, changes)| tokio::spawn(async move { store.commit(changes).await }));
    until(&db.url, WAITS_FOR_A_LOCK, "2").await;
    holder.batch_execute("COMMIT").await.unwrap();
    for commit in commits {
        let written = within(10, commit).await.unwrap().unwrap();
        assert!(written.all_applied());
    }
    let counters = "SELECT kind, n FROM counters ORDER BY kind";
    let expected = [["calls", "2"], ["notifications", "2"]];
    let expected = expected.map(|row| row.map(|text| Some(text.to_owned())).to_vec());
    assert_eq!(raw::rows(&db.url, counters).await, expected);
}

const WAITS_FOR_A_LOCK: &str = "SELECT COUNT(*) FROM pg_stat_activity \
    WHERE datname = current_database() AND wait_event_type = 'Lock'";

/// Waits until a query returns this.
async fn until(url: &str, query: &str, expected: &str) {
    within(10, async {
        while raw::rows(url, query).await != [[Some(expected.to_owned())]] {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

fn refusal() -> Change {
    Change::Refused(Box::new(Refusal {
        source: Source::from(IpAddr::from([127, 0, 0, 1])),
        reason: RefusalReason::NotFound,
        name: String::new(),
        count: 1,
        first: Timestamp(i64::MAX),
        last: Timestamp(i64::MAX),
    }))
}

/// A commit whose confirmation is lost is repeated, and finds what it wrote.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_confirmation_does_not_turn_into_a_refusal() {
    let Some(server) = Server::start().await else {
        return;
    };
    let db = server.database("unconfirmed").await;
    let proxy = Proxy::start(server.port()).await;
    let url = format!(
        "postgres://test@127.0.0.1:{}/patchcord_unconfirmed?connect_timeout=1&tcp_user_timeout=2",
        proxy.port
    );
    let store = Store::open(&url, db.key.clone()).await.unwrap();
    let holder = raw::server(&db.url).await;
    holder.batch_execute(CONFIRMED_LATE).await.unwrap();
    macro_rules! unconfirmed {
        ($request:expr) => {{
            holder
                .batch_execute("SELECT pg_advisory_lock(1)")
                .await
                .unwrap();
            let requested = async {
                until(&db.url, WAITS_FOR_A_LOCK, "1").await;
                proxy.pause(true);
                holder
                    .batch_execute("SELECT pg_advisory_unlock(1)")
                    .await
                    .unwrap();
                within(20, async {
                    while store.takes_writes() {
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                })
                .await;
                proxy.pause(false);
            };
            within(40, async { tokio::join!($request, requested).0 }).await
        }};
    }
    let made = unconfirmed!(store.first_start("one.example", AdminSeed::default()));
    let made = made.unwrap().expect("it was empty");
    let account = store.account(made.sid).await.unwrap().unwrap();
    assert!(store.knows(&account, &made.token));
    let number = suite::values::number(1, account.organization, "+12025550100");
    unconfirmed!(store.insert_number(number.clone())).unwrap();
    let public = Number {
        public: true,
        updated: Timestamp(9),
        ..number.clone()
    };
    let read = number.updated;
    assert!(unconfirmed!(store.update_number(public.clone(), read)).unwrap());
    assert!(!store.update_number(public, read).await.unwrap());
    let (kind, sid) = (DiscardedKind::Number, number.sid.to_string());
    assert!(unconfirmed!(store.discard(kind, &sid, Timestamp(9))).unwrap());
    assert!(!store.discard(kind, &sid, Timestamp(9)).await.unwrap());
    assert!(unconfirmed!(store.restore(&sid)).unwrap());
    assert!(!store.restore(&sid).await.unwrap());
    // What is counted is counted once.
    let at = Timestamp(9);
    let service = suite::verify::service(1, Settings::default());
    let hit = store.hit(&suite::verify::bucket(1, 2), "value", at);
    let code = NewCode {
        hits: vec![hit.clone()],
        ..suite::verify::code(&service, 1, suite::verify::TO, at)
    };
    assert!(unconfirmed!(store.record_code(&code)).unwrap());
    assert!(!store.is_full(&hit).await.unwrap());
    let sid = code.verification.sid;
    assert!(unconfirmed!(store.count_guess(sid, at)).unwrap());
    let guessed = store.verification(sid).await.unwrap().unwrap();
    assert_eq!((guessed.sends, guessed.checks), (1, 1));
    let approved = Status::Approved;
    assert!(unconfirmed!(store.end_verification(sid, approved, at)).unwrap());
    assert!(!store.end_verification(sid, approved, at).await.unwrap());
    let email = records::email(EmailSid::from_bytes([1; 16]), account.sid, at);
    store.insert_email(&email).await.unwrap();
    let claim = EmailClaim {
        holder: ServerSid::from_bytes([1; 16]),
        lease: Duration::from_secs(600),
        longest_wait: Duration::from_secs(60),
        limit: 10,
    };
    let claimed = unconfirmed!(store.claim_emails(&claim, at)).unwrap();
    assert_eq!(claimed, [ClaimedEmail { email, attempt: 1 }]);
}

/// The confirmation of changes to some tables waits for a lock.
const CONFIRMED_LATE: &str = "\
    CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql \
    AS 'BEGIN PERFORM pg_advisory_xact_lock(1); RETURN NULL; END'; \
    CREATE CONSTRAINT TRIGGER wait AFTER INSERT ON organizations \
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION wait(); \
    CREATE CONSTRAINT TRIGGER wait AFTER INSERT OR UPDATE ON verifications \
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION wait(); \
    CREATE CONSTRAINT TRIGGER wait AFTER UPDATE ON emails \
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION wait(); \
    CREATE CONSTRAINT TRIGGER wait AFTER INSERT OR UPDATE OR DELETE ON numbers \
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION wait();";

type Write = tokio::task::JoinHandle<Result<Committed, StoreError>>;

fn write_to(store: &Store) -> Write {
    let store = store.clone();
    tokio::spawn(async move {
        let instance = store.instance();
        let at = Timestamp(i64::MAX);
        store.commit(vec![Change::Alive { instance, at }]).await
    })
}

fn read_from(store: &Store) -> tokio::task::JoinHandle<Result<(), StoreError>> {
    let store = store.clone();
    tokio::spawn(async move { store.default_organization().await.map(drop) })
}

async fn within<T>(seconds: u64, work: impl Future<Output = T>) -> T {
    let limit = Duration::from_secs(seconds);
    tokio::time::timeout(limit, work).await.expect("in time")
}

const END_OTHERS: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                          WHERE datname = current_database() AND pid <> pg_backend_pid()";

async fn a_statement_outlives_the_tables_it_was_compiled_for(db: &Database) {
    let store = db.open().await;
    suite::values::organization(&store, 1, "one.example").await;
    for size in [300, 200] {
        assert!(store.default_organization().await.unwrap().is_some());
        let resize = format!("ALTER TABLE organizations ALTER domain_name TYPE VARCHAR({size})");
        raw::run(&db.url, &resize).await;
        assert!(store.default_organization().await.unwrap().is_some());
    }
}

async fn lost_connections_are_replaced(server: &Server, db: &Database) {
    let store = db.open().await;
    let sid = OrganizationSid::from_bytes([1; 16]);
    let organization = Organization {
        sid,
        domain_name: "one.example".to_owned(),
        status: OrganizationStatus::Active,
        created: Timestamp(1),
        updated: Timestamp(1),
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
    // Whatever keeps it from connecting, a commit waits.
    let accept = "ALTER DATABASE patchcord_lost ALLOW_CONNECTIONS";
    let end = END_OTHERS.replace("current_database()", "'patchcord_lost'");
    raw::run(&server.admin(), &format!("{accept} false")).await;
    raw::rows(&server.admin(), &end).await;
    let mut write = write_to(&store);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(!write.is_finished(), "{:?}", write.await);
    raw::run(&server.admin(), &format!("{accept} true")).await;
    let written = within(10, &mut write).await.unwrap();
    assert!(written.unwrap().all_applied());
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

    fn port(&self) -> u16 {
        let (_, port) = self.url.rsplit_once(':').unwrap();
        port.parse().unwrap()
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
