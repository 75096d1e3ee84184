//! `patchcord migrate`: copies the embedded database to PostgreSQL.
//!
//! **Invariant: success is reported only if both databases have the same rows.** Left to `store::Transfer`: the copy and what it
//! refuses. What the database does not hold (recordings, the secret key) is checked here.

use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use store::{Compared, Phase, Progress, SecretKey, Transfer};

use crate::config::Config;
use crate::usage::WrongUsage;

/// How often the progress is printed.
const INTERVAL: Duration = Duration::from_secs(1);
/// Missing recordings that are named.
const NAMED: usize = 5;

/// Copies `from`, or the database in the data folder, to `to`, or the configured database.
///
/// # Errors
/// [`WrongUsage`] if a database cannot be used as it is; otherwise as the databases report.
pub(crate) async fn run(
    config: &Config,
    from: Option<PathBuf>,
    to: Option<String>,
) -> Result<String> {
    let from = from.unwrap_or_else(|| config.server.data.join("patchcord.db"));
    let configured = config.database.url.as_ref().map(|url| url.expose());
    let Some(to) = to.or_else(|| configured.map(str::to_owned)) else {
        let advice = "name the target with `--to postgres://USER@HOST/NAME`, or set `database.url`";
        return Err(WrongUsage(advice.to_owned()).into());
    };
    let folder = from.parent().unwrap_or(Path::new(".")).to_owned();
    let mut transfer = Transfer::open(&from, &to).await.map_err(usage)?;
    check_key(config, &folder, &mut transfer).await?;
    if transfer.found() > 0 {
        eprintln!(
            "continuing an earlier copy: {} of {} rows are there",
            transfer.found(),
            transfer.total()
        );
    }
    let mut screen = Screen::new(transfer.found());
    let copied = transfer.copy(|progress| screen.show(&progress)).await;
    screen.end_line();
    copied.map_err(|error| interrupted(&error))?;
    let mut screen = Screen::new(0);
    let compared = transfer.compare(|progress| screen.show(&progress)).await;
    screen.end_line();
    let compared = compared.map_err(|error| interrupted(&error))?;
    let table = table(&compared);
    let different = names_of_different(&compared);
    if !different.is_empty() {
        print(&table)?;
        bail!(
            "the databases differ in {}: use neither the target nor its copy; create an empty database, copy \
             again, and report this as a bug",
            different.join(", ")
        );
    }
    let recordings = recordings(&folder, &mut transfer).await?;
    transfer.finish().await?;
    Ok(format!("{table}\n{}", what_next(&folder, &recordings)))
}

fn usage(error: store::StoreError) -> anyhow::Error {
    match error {
        store::StoreError::Unusable(text) => WrongUsage(text).into(),
        other => other.into(),
    }
}

fn interrupted(error: &store::StoreError) -> anyhow::Error {
    anyhow::anyhow!("{error}; nothing is lost: repeat the same command, which continues the copy")
}

fn print(text: &str) -> Result<()> {
    crate::usage::write(&mut std::io::stdout().lock(), text)
}

/// Refuses to copy what a server could not decrypt afterwards.
async fn check_key(config: &Config, folder: &Path, transfer: &mut Transfer) -> Result<()> {
    let file = folder.join("secret.key");
    let key = match &config.server.secret_key {
        Some(key) => SecretKey::from_hex(key.expose())?,
        None if file.is_file() => SecretKey::load_or_create(folder)?,
        None => {
            return Err(WrongUsage(format!(
                "there is no `{}`, and `server.secret_key` is not set: without the key, a server cannot \
                 decrypt the tokens and passwords in the database. Restore the file or set the key, then \
                 repeat the command",
                file.display()
            ))
            .into());
        }
    };
    if transfer.is_key(&key).await? {
        return Ok(());
    }
    Err(WrongUsage(format!(
        "the secret key (`server.secret_key`, or else `{}`) does not decrypt the secrets of the database: use \
         the one that the database was created with",
        file.display()
    ))
    .into())
}

/// How many recordings have their files.
struct Recordings {
    all: usize,
    missing: usize,
    named: Vec<String>,
}

async fn recordings(folder: &Path, transfer: &mut Transfer) -> Result<Recordings> {
    let files = folder.join("recordings");
    let (mut all, mut missing, mut named) = (0, 0, Vec::new());
    let mut after = None;
    loop {
        let page = transfer.recordings_after(after).await?;
        let Some(last) = page.last() else {
            return Ok(Recordings {
                all,
                missing,
                named,
            });
        };
        after = Some(*last);
        all += page.len();
        for sid in page {
            if !files.join(format!("{sid}.wav")).is_file() {
                missing += 1;
                if named.len() < NAMED {
                    named.push(sid.to_string());
                }
            }
        }
    }
}

fn table(compared: &[Compared]) -> String {
    let mut text = format!(
        "{:24} {:>12} {:>12}  {:32}  {:32}\n",
        "table", "rows", "copied", "checksum", "checksum of the copy"
    );
    for table in compared {
        let (source, target) = (table.source, table.target);
        let _ = writeln!(
            text,
            "{:24} {:>12} {:>12}  {:032x}  {:032x}",
            table.table, source.rows, target.rows, source.checksum, target.checksum
        );
    }
    text
}

fn names_of_different(compared: &[Compared]) -> Vec<String> {
    let different = compared.iter().filter(|table| table.source != table.target);
    different
        .map(|table| format!("`{}`", table.table))
        .collect()
}

fn what_next(folder: &Path, recordings: &Recordings) -> String {
    let shown = folder.display();
    let present = recordings.all - recordings.missing;
    let mut files = format!(
        "{present} of {} recordings have their files",
        recordings.all
    );
    if recordings.missing > 0 {
        let _ = write!(files, "; missing: {}", recordings.named.join(", "));
        if recordings.missing > recordings.named.len() {
            let _ = write!(
                files,
                " and {} more",
                recordings.missing - recordings.named.len()
            );
        }
    }
    format!(
        "The copy is finished: both databases have the same rows.\n\
         \n\
         The database does not hold these parts of {shown}. If the server gets another data folder, copy them there:\n\
         \x20 secret.key   decrypts the tokens and passwords in the database; it was checked\n\
         \x20 recordings/  {files}\n\
         \x20 server.id    keeps phones registered\n\
         \n\
         Now start the server with `database.url` (PATCHCORD_DATABASE__URL) set to the new database. It no longer uses\n\
         {shown}/patchcord.db; changes made in that file from now on are not copied.\n"
    )
}

/// Prints the progress on standard error: one line that is replaced on a terminal, otherwise one line each time.
struct Screen {
    started: Instant,
    /// Rows that were done at the start.
    before: u64,
    shown: Option<Instant>,
    replaces: bool,
}

impl Screen {
    fn new(before: u64) -> Self {
        Self {
            started: Instant::now(),
            before,
            shown: None,
            replaces: std::io::stderr().is_terminal(),
        }
    }

    fn show(&mut self, progress: &Progress<'_>) {
        let now = Instant::now();
        let is_due = self.shown.is_none_or(|shown| now - shown >= INTERVAL);
        if !is_due && progress.done < progress.total {
            return;
        }
        self.shown = Some(now);
        let line = line(progress, self.before, now - self.started);
        let mut output = std::io::stderr().lock();
        // There is no reader left if the terminal is gone.
        let _ = if self.replaces {
            write!(output, "\r{line:70}")
        } else {
            writeln!(output, "{line}")
        };
        let _ = output.flush();
    }

    fn end_line(&self) {
        if self.replaces && self.shown.is_some() {
            eprintln!();
        }
    }
}

/// - `before`: rows that were done when the phase began, `elapsed` ago
fn line(progress: &Progress<'_>, before: u64, elapsed: Duration) -> String {
    let verb = match progress.phase {
        Phase::Copying => "copying",
        Phase::Comparing => "comparing",
    };
    let (done, total) = (progress.done, progress.total);
    let percent = (done * 100).checked_div(total).unwrap_or(100);
    let now_done = done.saturating_sub(before);
    let left = u64::try_from(elapsed.as_millis())
        .unwrap_or(u64::MAX)
        .saturating_mul(total.saturating_sub(done))
        .checked_div(now_done);
    let left = left.map_or_else(String::new, |ms| {
        format!(", about {} left", time_left(ms.div_ceil(1_000)))
    });
    format!(
        "{verb} {}: {done} of {total} rows ({percent} %){left}",
        progress.table
    )
}

fn time_left(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds.div_ceil(60)),
        _ => format!("{} h", seconds.div_ceil(3_600)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_left_follows_from_the_rows_of_this_run() {
        let line = |phase, done, before, elapsed| {
            let progress = Progress {
                phase,
                table: "calls",
                done,
                total: 1_000,
            };
            super::line(&progress, before, Duration::from_secs(elapsed))
        };
        let (copying, comparing) = (Phase::Copying, Phase::Comparing);
        let table = [
            (
                line(copying, 0, 0, 9),
                "copying calls: 0 of 1000 rows (0 %)",
            ),
            (
                line(copying, 250, 0, 10),
                "copying calls: 250 of 1000 rows (25 %), about 30 s left",
            ),
            (
                line(copying, 550, 500, 60),
                "copying calls: 550 of 1000 rows (55 %), about 9 min left",
            ),
            (
                line(comparing, 100, 0, 1_000),
                "comparing calls: 100 of 1000 rows (10 %), about 3 h left",
            ),
            (
                line(comparing, 1_000, 0, 10),
                "comparing calls: 1000 of 1000 rows (100 %), about 0 s left",
            ),
        ];
        for (line, expected) in table {
            assert_eq!(line, expected);
        }
    }

    #[test]
    fn what_differs_is_named() {
        let sum = |rows| store::Sum { rows, checksum: 7 };
        let compared = |table: &str, rows| Compared {
            table: table.to_owned(),
            source: sum(2),
            target: sum(rows),
        };
        let all = [compared("calls", 2), compared("messages", 1)];
        assert_eq!(names_of_different(&all), ["`messages`"]);
        let shown = table(&all);
        let line = shown.lines().last().unwrap();
        let words: Vec<_> = line.split_whitespace().collect();
        assert_eq!(words[..3], ["messages", "2", "1"]);
    }
}
