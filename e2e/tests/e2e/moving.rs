//! The database is moved to PostgreSQL, and backed up and restored, by the commands that operators use.
//!
//! **Invariant: what is compared comes from the databases or the API**, not from what the commands say about themselves.

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use e2e::process::Process;
use e2e::server::{ADMIN_SID, Options, program};
use e2e::{Server, wait};
use serde_json::Value;
use testkit::postgres::Postgres;

const SOON: Duration = Duration::from_secs(20);
/// A debug build copies and compares some thousand rows in a second.
const COPY: Duration = Duration::from_secs(120);
const KEY: &str = "5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e";
const CALLS: u32 = 6_000;

fn stop(server: &mut Server) -> anyhow::Result<()> {
    server.process().signal("TERM")?;
    let status = server.process().finish(SOON)?;
    ensure!(status.success(), "{status}");
    Ok(())
}

/// A stopped server with many calls, and a list of the newest.
fn with_calls() -> anyhow::Result<(Server, Value)> {
    let options = Options::default().variable("PATCHCORD_SERVER__SECRET_KEY", KEY);
    let mut server = options.start()?;
    server.rest().number("1000", "http://127.0.0.1:1/v")?;
    server.rest().client("ann", "ann-Secret-1")?;
    stop(&mut server)?;
    let file = rusqlite::Connection::open(server.data().join("patchcord.db"))?;
    file.execute_batch(&format!(
        "INSERT INTO calls (sid, instance, account, to_user, from_user, status, direction, created, updated, ended, \
         muted, caller_name) WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < {CALLS}) \
         SELECT printf('CA%032x', n), (SELECT sid FROM instances LIMIT 1), '{ADMIN_SID}', '1000', 'Zoë ' || n, 'completed', \
         'inbound', 1700000000000000 + n, 1700000000000000 + n, 1700000000000000 + n, 0, NULL FROM c; \
         INSERT INTO traces (lane, content) SELECT sid, zeroblob(2000) FROM calls; \
         INSERT INTO recordings (sid, account, call, duration_ms, size_bytes, created, updated) \
         SELECT 'RE' || substr(sid, 3), account, sid, 1000, 8000, created, created FROM calls LIMIT 2; \
         INSERT INTO counters (account, kind, n) VALUES ('{ADMIN_SID}', 'calls', {CALLS})"
    ))?;
    drop(file);
    let recording = server
        .data()
        .join("recordings")
        .join(format!("RE{:032x}.wav", 1));
    std::fs::write(recording, "RIFF")?;
    server.start_again()?;
    let calls = server.rest().get("Calls")?;
    ensure!(calls["total"] == CALLS, "{}", calls["total"]);
    stop(&mut server)?;
    Ok((server, calls))
}

fn migrate(server: &Server, to: &str) -> Command {
    let mut command = program();
    command
        .arg("migrate")
        .arg("--from")
        .arg(server.data().join("patchcord.db"))
        .args(["--to", to])
        .env("PATCHCORD_SECRET_KEY", KEY);
    command
}

/// Standard error of a command that must be refused as wrong usage.
fn refused(mut command: Command) -> anyhow::Result<String> {
    let output = command.output()?;
    ensure!(output.status.code() == Some(64), "{output:?}");
    Ok(String::from_utf8_lossy(&output.stderr).into_owned())
}

fn succeeded(output: &Output) -> anyhow::Result<String> {
    ensure!(output.status.success(), "{output:?}");
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A new database; `None` if PostgreSQL is not ready yet.
fn create(postgres: &Postgres, name: &str) -> Option<String> {
    sql(postgres, &format!("CREATE DATABASE {name}"))?;
    Some(format!("{}/{name}", postgres.url))
}

fn sql(postgres: &Postgres, statement: &str) -> Option<()> {
    sql_in(&format!("{}/postgres", postgres.url), statement)
}

fn sql_in(url: &str, statement: &str) -> Option<()> {
    let runtime = tokio::runtime::Runtime::new().ok()?;
    runtime.block_on(async {
        let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls)
            .await
            .ok()?;
        tokio::spawn(connection);
        client.batch_execute(statement).await.ok()
    })
}

/// While it is held, no copy to this database can end: the last thing a copy writes is that it is finished.
///
/// Without it, a fast machine ends the copy before the test kills it.
struct Unfinished {
    _session: tokio_postgres::Client,
    _runtime: tokio::runtime::Runtime,
}

impl Unfinished {
    fn hold(url: &str) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Runtime::new()?;
        let session = runtime.block_on(async {
            let (session, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await?;
            tokio::spawn(connection);
            let lock = "BEGIN; LOCK TABLE copies IN SHARE MODE";
            session.batch_execute(lock).await?;
            anyhow::Ok(session)
        })?;
        Ok(Self {
            _session: session,
            _runtime: runtime,
        })
    }
}

/// The rows of each table.
fn rows(url: &str) -> anyhow::Result<Vec<(String, u64)>> {
    let runtime = tokio::runtime::Runtime::new()?;
    let own = ["migrations", "copies", "copied_tables"];
    let contents =
        runtime.block_on(async { store::Snapshot::open(url).await?.contents().await })?;
    let tables = contents.tables.into_iter();
    Ok(tables
        .filter(|(name, _)| !own.contains(&name.as_str()))
        .collect())
}

#[test]
fn a_copy_to_postgresql_survives_kills_and_loses_nothing() -> anyhow::Result<()> {
    let Some(postgres) = Postgres::required() else {
        return Ok(());
    };
    let url = wait::until("PostgreSQL", SOON, || create(&postgres, "target"))?;
    let (mut server, calls) = with_calls()?;
    let folder = tempfile::tempdir()?;
    let log = folder.path().join("log");
    let mut continued = 0;
    for after in [0_u64, 60, 200, 500] {
        // The first run makes the tables, and is killed long before its end.
        let unfinished = (after > 0).then(|| Unfinished::hold(&url)).transpose()?;
        let mut copy = Process::start(migrate(&server, &url), &folder.path().join("out"), &log)?;
        wait::until("the copy", COPY, || {
            let text = std::fs::read_to_string(&log).ok()?;
            let runs = text.contains("copying") || text.contains("comparing");
            (runs || copy.ended().is_some()).then_some(())
        })?;
        std::thread::sleep(Duration::from_millis(after));
        copy.signal("KILL")?;
        copy.finish(SOON)?;
        // The session of a killed copy may wait for the lock, and keeps the next copy out as long as it does.
        drop(unfinished);
        continued += usize::from(std::fs::read_to_string(&log)?.contains("continuing"));
        // No server starts on a part.
        let options = Options::default()
            .variable("PATCHCORD_DATABASE__URL", &url)
            .variable("PATCHCORD_SERVER__SECRET_KEY", KEY);
        let (status, log) = options.refused()?;
        ensure!(
            !status.success() && log.contains("unfinished copy"),
            "{log}"
        );
    }
    ensure!(continued == 3, "{continued} runs continued a copy");
    let said = succeeded(&migrate(&server, &url).output()?)?;
    ensure!(said.contains("both databases have the same rows"), "{said}");
    ensure!(
        said.contains("1 of 2 recordings have their files"),
        "{said}"
    );
    let source = format!("sqlite:{}", server.data().join("patchcord.db").display());
    let (there, here) = (rows(&url)?, rows(&source)?);
    ensure!(there == here, "{here:?}\n{there:?}");
    ensure!(
        here.contains(&("calls".to_owned(), CALLS.into())),
        "{here:?}"
    );
    let again = refused(migrate(&server, &url))?;
    ensure!(again.contains("nothing is left to do"), "{again}");

    let moved = Options::default()
        .variable("PATCHCORD_DATABASE__URL", &url)
        .variable("PATCHCORD_SERVER__SECRET_KEY", KEY)
        .start()?;
    ensure!(moved.rest().get("Calls")? == calls);
    let clients = moved.rest().get("Clients")?;
    ensure!(clients[0]["login"] == "ann", "{clients}");

    // What cannot be copied is refused.
    server.start_again()?;
    let other = create(&postgres, "other").context("a database")?;
    let used = refused(migrate(&server, &other))?;
    ensure!(used.contains("stop the server"), "{used}");
    stop(&mut server)?;
    sql_in(
        &other,
        "CREATE TABLE things (n BIGINT); INSERT INTO things VALUES (1)",
    )
    .context("rows")?;
    let full = refused(migrate(&server, &other))?;
    ensure!(
        full.contains("not empty") && full.contains("`things`"),
        "{full}"
    );
    let mut wrong_key = migrate(&server, &other);
    wrong_key.env("PATCHCORD_SECRET_KEY", "00".repeat(32));
    sql_in(&other, "DROP TABLE things").context("no rows")?;
    let wrong_key = refused(wrong_key)?;
    ensure!(wrong_key.contains("does not decrypt"), "{wrong_key}");
    let file = rusqlite::Connection::open(server.data().join("patchcord.db"))?;
    file.execute_batch(
        "INSERT INTO migrations (version, name, applied) VALUES (9999, 'later', 0)",
    )?;
    drop(file);
    let newer = refused(migrate(&server, &other))?;
    ensure!(newer.contains("version 9999"), "{newer}");
    Ok(())
}

/// Adds numbers, one after the other, until told to stop; returns those that were confirmed.
fn load(server: &Server, stop: &std::sync::atomic::AtomicBool) -> Vec<String> {
    let rest = server.rest();
    let mut confirmed = Vec::new();
    let mut next = 2_000;
    while !stop.load(std::sync::atomic::Ordering::Relaxed) {
        next += 1;
        if rest
            .number(&next.to_string(), "http://127.0.0.1:1/v")
            .is_ok()
        {
            confirmed.push(next.to_string());
        }
    }
    confirmed
}

fn backup(server: &Server, folder: &Path) -> Command {
    let mut command = program();
    command
        .arg("backup")
        .arg(folder)
        .arg("--data")
        .arg(server.data());
    command
}

fn restore(folder: &Path, data: &Path) -> Command {
    let mut command = program();
    command.arg("restore").arg(folder).arg("--data").arg(data);
    command
}

fn numbers(server: &Server) -> anyhow::Result<Vec<String>> {
    let all = server
        .rest()
        .all("IncomingPhoneNumbers", "incomingPhoneNumbers")?;
    let text = |number: &Value| Some(number["phone_number"].as_str()?.to_owned());
    Ok(all.iter().filter_map(text).collect())
}

#[test]
fn a_backup_under_load_has_every_row_that_was_committed_before_it() -> anyhow::Result<()> {
    let mut server = Server::start()?;
    let recording = format!("recordings/RE{:032x}.wav", 7);
    std::fs::write(server.data().join(&recording), "RIFF")?;
    let file = rusqlite::Connection::open(server.data().join("patchcord.db"))?;
    file.execute_batch(&format!(
        "INSERT INTO recordings (sid, account, duration_ms, size_bytes, created, updated) \
         VALUES ('RE{:032x}', '{ADMIN_SID}', 1, 4, 1, 1), ('RE{:032x}', '{ADMIN_SID}', 1, 4, 1, 1)",
        7, 8
    ))?;
    let folder = tempfile::tempdir()?;
    let (made, data) = (folder.path().join("backup"), folder.path().join("data"));
    let ends = std::sync::atomic::AtomicBool::new(false);
    let (before, output, after) = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..1)
            .map(|_| scope.spawn(|| load(&server, &ends)))
            .collect();
        let listed = wait::until("numbers", SOON, || {
            numbers(&server).ok().filter(|numbers| numbers.len() > 20)
        });
        let output = backup(&server, &made).output();
        ends.store(true, std::sync::atomic::Ordering::Relaxed);
        let after = writers
            .into_iter()
            .flat_map(|writer| writer.join().unwrap_or_default());
        (listed, output, after.count())
    });
    let before = before?;
    let said = succeeded(&output?)?;
    ensure!(said.contains("1 recording has no file"), "{said}");
    ensure!(after >= before.len(), "{after} numbers");
    stop(&mut server)?;

    let checked = Command::new("sha256sum")
        .args(["--check", "--quiet", "SHA256SUMS"])
        .current_dir(&made)
        .output()?;
    ensure!(checked.status.success(), "{checked:?}");
    let said = succeeded(&restore(&made, &data).output()?)?;
    ensure!(said.contains("1 recording"), "{said}");
    ensure!(std::fs::read(data.join(&recording))? == b"RIFF");
    let twice = refused(restore(&made, &data))?;
    ensure!(twice.contains("exists already"), "{twice}");

    // The server starts on what was restored: in its own folder, for the same settings.
    let own = server.data();
    std::fs::rename(&own, folder.path().join("old"))?;
    std::fs::rename(&data, &own)?;
    server.start_again()?;
    let restored = numbers(&server)?;
    let lost: Vec<_> = before
        .iter()
        .filter(|number| !restored.contains(number))
        .collect();
    ensure!(lost.is_empty(), "{lost:?}");
    stop(&mut server)?;

    // A restore that was interrupted is repeated, and no server starts before.
    let begun = folder.path().join("begun");
    std::fs::create_dir_all(begun.join("recordings"))?;
    std::fs::write(begun.join("restore.unfinished"), "")?;
    std::fs::write(begun.join("server.id"), "half")?;
    let mut serve = program();
    serve.arg("serve").arg("--data").arg(&begun);
    serve.args(["--http", "127.0.0.1:0", "--sip", "127.0.0.1:0"]);
    let output = serve.output()?;
    let text = String::from_utf8_lossy(&output.stderr);
    ensure!(
        !output.status.success() && text.contains("repeat `patchcord restore`"),
        "{text}"
    );
    succeeded(&restore(&made, &begun).output()?)?;
    ensure!(std::fs::read(begun.join("server.id"))? == std::fs::read(own.join("server.id"))?);

    // A damaged backup is not restored.
    std::fs::write(made.join(&recording), "RIFX")?;
    let damaged = refused(restore(&made, &folder.path().join("none")))?;
    ensure!(damaged.contains("has changed since"), "{damaged}");
    ensure!(!folder.path().join("none").exists());
    Ok(())
}

#[test]
fn a_postgresql_database_is_backed_up_and_restored() -> anyhow::Result<()> {
    let Some(postgres) = Postgres::required() else {
        return Ok(());
    };
    let url = wait::until("PostgreSQL", SOON, || create(&postgres, "used"))?;
    let options = || Options::default().variable("PATCHCORD_SERVER__SECRET_KEY", KEY);
    let mut server = options()
        .variable("PATCHCORD_DATABASE__URL", &url)
        .start()?;
    server.rest().number("1000", "http://127.0.0.1:1/v")?;
    let folder = tempfile::tempdir()?;
    let (made, data) = (folder.path().join("backup"), folder.path().join("data"));
    let mut command = backup(&server, &made);
    command
        .env("PATCHCORD_DATABASE__URL", &url)
        .env("PATCHCORD_SECRET_KEY", KEY);
    succeeded(&command.output()?)?;
    stop(&mut server)?;
    let without_key = refused(restore(&made, &data))?;
    ensure!(without_key.contains("secret key"), "{without_key}");
    let to = |url: &str| {
        let mut command = restore(&made, &data);
        command.args(["--to", url]).env("PATCHCORD_SECRET_KEY", KEY);
        command
    };
    let full = refused(to(&url))?;
    ensure!(full.contains("not empty"), "{full}");
    let new = create(&postgres, "new").context("a database")?;
    succeeded(&to(&new).output()?)?;
    let restored = options()
        .variable("PATCHCORD_DATABASE__URL", &new)
        .start()?;
    ensure!(numbers(&restored)? == ["1000"]);
    Ok(())
}
