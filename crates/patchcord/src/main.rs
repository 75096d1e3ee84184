//! The `patchcord` program: command line, configuration, log, and what runs.
//!
//! **Invariant: standard output carries only answers (the ready line, a ladder), the log goes to
//! standard error, and the exit code is one documented in `docs/operating.md`.** Left to the other
//! crates: everything within calls.

#![forbid(unsafe_code)]

mod archive;
mod audit;
mod backup;
mod calls;
mod cli;
mod config;
mod demo;
mod doctor;
mod health;
mod ladder;
mod lint;
mod live;
mod logging;
mod metrics;
mod migrate;
mod new;
mod notifications;
mod numbers;
mod phones;
mod replay;
mod restore;
mod screen;
mod serve;
mod shutdown;
mod sms;
mod test;
mod token;
mod upkeep;
mod usage;
mod webhooks;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Parser as _;
use clap::error::ErrorKind;

use rehearse::recorded::Keys;

use cli::{
    AuditTask, BinTask, CallsTask, Cli, DoctorTask, NotificationsTask, NumbersTask, PhonesTask,
    SmsTask, Task, TestFlags, WebhooksTask,
};

/// A check failed: a document has findings, a replay differs, a call is suspicious.
const FOUND: u8 = 1;
/// Bad usage or configuration (`EX_USAGE`).
const USAGE: u8 = 64;
/// Anything else that failed (`EX_SOFTWARE`).
const INTERNAL: u8 = 70;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let asked = matches!(
                error.kind(),
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
            );
            // There is no reader left if the terminal is gone.
            let _ = error.print();
            return if asked {
                ExitCode::SUCCESS
            } else {
                ExitCode::from(USAGE)
            };
        }
    };
    match cli.task {
        Task::Serve(flags) => serve(&flags.into()),
        Task::Demo { stay } => exit(run(demo::run(stay))),
        Task::Config { toml: false } => exit(print(&config::document())),
        Task::Config { toml: true } => exit(print(&config::template())),
        Task::Openapi { dialect } => exit(print(&api::openapi_of(dialect.into()))),
        Task::Lint {
            targets,
            dialect,
            json,
            errors_only,
            post,
            token_file,
        } => lint(
            &targets,
            lint::Options {
                dialect: dialect.into(),
                json,
                errors_only,
                post,
                token: token_file,
            },
        ),
        Task::New { folder } => exit(new::run(&folder).and_then(|text| print(&text))),
        Task::Replay { source, data } => replay(&source, &data.into()),
        Task::Calls(CallsTask::List { which, json, data }) => {
            answer(&data.into(), async |config| {
                calls::list(&config, &which.into(), json).await
            })
        }
        Task::Notifications(NotificationsTask::List {
            call,
            account,
            limit,
            follow,
            data,
        }) => {
            let config = match load(&data.into()) {
                Ok(config) => config,
                Err(code) => return code,
            };
            let of = store::NotificationsOf { account, call };
            exit(run(notifications::list(&config, of, limit, follow)))
        }
        Task::Numbers(NumbersTask::Import {
            file,
            replace,
            data,
        }) => answer(&data.into(), async |config| {
            numbers::import(&config, &file, replace).await
        }),
        Task::Migrate { from, to, data } => answer(&data.into(), async |config| {
            migrate::run(&config, from, to).await
        }),
        Task::Bin(BinTask::List {
            account,
            limit,
            data,
        }) => answer(&data.into(), async |config| {
            upkeep::list(&config, account, limit).await
        }),
        Task::Bin(BinTask::Restore { sid, data }) => answer(&data.into(), async |config| {
            upkeep::run(&config, &upkeep::Order::Restore(sid)).await
        }),
        Task::Bin(BinTask::Delete { sid, data }) => answer(&data.into(), async |config| {
            upkeep::run(&config, &upkeep::Order::Delete(sid)).await
        }),
        Task::Erase {
            number,
            account,
            data,
        } => answer(&data.into(), async |config| {
            upkeep::run(&config, &upkeep::Order::Erase(account, number)).await
        }),
        Task::Backup {
            folder,
            without_key,
            data,
        } => answer(&data.into(), async |config| {
            backup::run(&config, &folder, !without_key).await
        }),
        Task::Restore { folder, to, data } => answer(&data.into(), async |config| {
            restore::run(&config, &folder, to).await
        }),
        Task::Audit(AuditTask::List {
            account,
            limit,
            json,
            data,
        }) => answer(&data.into(), async |config| {
            audit::list(&config, account, limit, json).await
        }),
        Task::Phones(PhonesTask::List { json, data }) => answer(&data.into(), async |config| {
            phones::list(&config, now(), json).await
        }),
        Task::Sms(SmsTask::Routes { json, data }) => answer(&data.into(), async |config| {
            sms::routes(&config, json).await
        }),
        Task::Sms(SmsTask::Test {
            account,
            from,
            to,
            body,
            data,
        }) => answer(&data.into(), async |config| {
            sms::test(&config, account, (&from, &to, &body)).await
        }),
        Task::Calls(CallsTask::Show { sid, json, data }) => answer(&data.into(), async |config| {
            calls::show(&config, sid, json, ladder::Style::of_output()).await
        }),
        Task::Test(TestFlags {
            from: Some(sid),
            keys,
            data,
            ..
        }) => {
            let keys = if keys { Keys::Shown } else { Keys::Hidden };
            answer(&data.into(), async |config| {
                calls::script(&config, sid, keys).await
            })
        }
        Task::Test(flags) => test(&flags.order(ladder::Style::of_output())),
        Task::Webhooks(WebhooksTask::List {
            state,
            which,
            limit,
            data,
        }) => answer(&data.into(), async |config| {
            webhooks::list(&config, state, &which, limit).await
        }),
        Task::Webhooks(WebhooksTask::Show { event, data }) => {
            answer(&data.into(), async |config| {
                webhooks::show(&config, event).await
            })
        }
        Task::Webhooks(WebhooksTask::Replay {
            event,
            state,
            which,
            data,
        }) => answer(&data.into(), async |config| {
            webhooks::replay(&config, event, state, &which).await
        }),
        Task::Webhooks(WebhooksTask::Drop { event, which, data }) => {
            answer(&data.into(), async |config| {
                webhooks::drop_waiting(&config, event, &which).await
            })
        }
        Task::Doctor(DoctorTask::Calls { json, data }) => diagnose(&data.into(), async |config| {
            doctor::calls(&config, json).await
        }),
        Task::Doctor(DoctorTask::Phones { json, data }) => diagnose(&data.into(), async |config| {
            doctor::phones::run(&config, json).await
        }),
    }
}

/// Prints the findings of documents; the exit code says whether there are any.
fn lint(targets: &[String], options: lint::Options) -> ExitCode {
    match run(lint::run(targets, options)) {
        Ok(report) => {
            let code = tell(&report.text, report.clean);
            for line in &report.unread {
                eprintln!("patchcord: {line}");
            }
            if report.unread.is_empty() {
                code
            } else {
                ExitCode::from(USAGE)
            }
        }
        Err(error) => exit(Err(error)),
    }
}

/// Replays a journal; the exit code says whether all answers were the same.
fn replay(source: &str, flags: &config::Flags) -> ExitCode {
    let config = match load(flags) {
        Ok(config) => config,
        Err(code) => return code,
    };
    match run(replay::run(&config, source)) {
        Ok((text, same)) => tell(&text, same),
        Err(error) => {
            eprintln!("patchcord: {}", usage::sentence(&error));
            ExitCode::from(USAGE)
        }
    }
}

/// Prints an answer; `good` determines the exit code.
fn tell(text: &str, good: bool) -> ExitCode {
    let code = if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(FOUND)
    };
    said(print(text), code)
}

/// Prints the answer of `work`.
fn answer(
    flags: &config::Flags,
    work: impl AsyncFnOnce(config::Config) -> anyhow::Result<String>,
) -> ExitCode {
    let config = match load(flags) {
        Ok(config) => config,
        Err(code) => return code,
    };
    exit(run(async { print(&work(config).await?) }))
}

fn test(order: &test::Order) -> ExitCode {
    let outcome = match test::run(order) {
        Ok(outcome) => outcome,
        Err(test::Refusal::Usage(problems)) => {
            for problem in problems {
                eprintln!("{problem}");
            }
            return ExitCode::from(USAGE);
        }
        Err(test::Refusal::Other(error)) => return exit(Err(error)),
    };
    said(print(&outcome.text), outcome.code)
}

/// Prints the findings of `look`; the exit code says whether something is wrong.
fn diagnose(
    flags: &config::Flags,
    look: impl AsyncFnOnce(config::Config) -> anyhow::Result<(String, bool)>,
) -> ExitCode {
    let config = match load(flags) {
        Ok(config) => config,
        Err(code) => return code,
    };
    match run(look(config)) {
        Ok((text, found)) => tell(&text, !found),
        Err(error) => exit(Err(error)),
    }
}

fn print(text: &str) -> anyhow::Result<()> {
    usage::write(&mut std::io::stdout().lock(), text)
}

fn load(flags: &config::Flags) -> Result<config::Config, ExitCode> {
    config::load(flags, environment()).map_err(|errors| {
        eprintln!("patchcord: the configuration cannot be used:\n{errors}");
        ExitCode::from(USAGE)
    })
}

fn serve(flags: &config::Flags) -> ExitCode {
    let config = match load(flags) {
        Ok(config) => config,
        Err(code) => return code,
    };
    logging::start(&config.log);
    exit(run(serve::run(config)))
}

fn now() -> model::Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH);
    model::Timestamp::from_unix(since.unwrap_or_default())
}

/// The environment, without values that are not UTF-8.
fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

fn run<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    // Media, the embedded database and look-ups have their own threads; more workers than the rest
    // needs would only wake each other.
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads((cores / 2).max(1))
        .enable_all()
        .build()?
        .block_on(work)
}

fn exit(outcome: anyhow::Result<()>) -> ExitCode {
    said(outcome, ExitCode::SUCCESS)
}

/// `code`, also if the reader of the output stopped early; another one if anything else failed.
fn said(outcome: anyhow::Result<()>, code: ExitCode) -> ExitCode {
    match outcome {
        Ok(()) => code,
        Err(error) if error.is::<usage::ReaderGone>() => code,
        Err(error) => {
            eprintln!("patchcord: {}", usage::sentence(&error));
            ExitCode::from(if error.is::<usage::WrongUsage>() {
                USAGE
            } else {
                INTERNAL
            })
        }
    }
}

/// Whether an output shows colours: it is a terminal, and its user has not disabled them
/// (<https://no-color.org>).
fn colours(output: &impl IsTerminal) -> bool {
    let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    output.is_terminal() && !unwanted
}
