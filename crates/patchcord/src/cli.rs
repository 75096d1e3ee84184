//! The command line.
//!
//! **Invariant: a flag only sets a setting of `config`**, so that file, environment and flags
//! cannot mean different things.

mod examples;

use std::path::PathBuf;
use std::time::Duration;

use call_proto::Dialect;
use clap::{ArgGroup, Args, Parser, Subcommand};
use model::{AccountSid, CallSid, CallStatus, EventSid, Lane, Timestamp};
use store::DeliveryState;

use crate::config;
use crate::token::Token;

/// A programmable communications platform: SIP calls driven by documents from your web application.
#[derive(Parser)]
#[command(version, after_help = examples::PATCHCORD)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) task: Task,
}

/// What to do.
#[derive(Subcommand)]
pub(crate) enum Task {
    /// Run the server until it is stopped.
    ///
    /// When every listener is up, one line of JSON goes to standard output: {"ready":true,...}.
    /// The log goes to standard error. The first SIGTERM or SIGINT drains the server, the second stops it.
    #[command(after_help = examples::SERVE)]
    Serve(ServeFlags),
    /// Place a real call between two built-in phones and show what happened.
    ///
    /// Starts its own server on free ports with a temporary data folder.
    #[command(after_help = examples::DEMO)]
    Demo {
        /// Keep the server running afterwards and print where to look
        #[arg(long)]
        stay: bool,
    },
    /// Print every setting with its default and meaning.
    #[command(after_help = examples::CONFIG)]
    Config {
        /// Print a configuration file to start from: every setting, commented out, with its default
        #[arg(long)]
        toml: bool,
    },
    /// Print the OpenAPI 3.1 document of the REST API in one dialect, as JSON.
    #[command(after_help = examples::OPENAPI)]
    Openapi {
        /// The base path: `/restcomm/2012-04-24` or `/2010-04-01`
        #[arg(long, value_enum, default_value_t)]
        dialect: DialectName,
    },
    /// List calls, and show what happened in one.
    ///
    /// Reads the database directly, whether the server is running or not.
    #[command(subcommand, after_help = examples::CALLS)]
    Calls(CallsTask),
    /// Write a small application to start from: documents, a Python program that serves them, and tests.
    ///
    /// The folder must not exist yet, or must be empty. Exit codes: 0 written, 64 the folder is not empty, 70 it cannot be written.
    #[command(after_help = examples::NEW)]
    New {
        /// Folder for the application
        #[arg(value_name = "DIR")]
        folder: PathBuf,
    },
    /// Show notifications: problems with applications, documents, called parties, messages and API requests.
    ///
    /// Reads the database directly, whether the server is running or not.
    #[command(subcommand, after_help = examples::NOTIFICATIONS)]
    Notifications(NotificationsTask),
    /// Import phone numbers for sale.
    ///
    /// Works on the database directly, whether the server is running or not. docs/numbers.md describes the file.
    #[command(subcommand, after_help = examples::NUMBERS)]
    Numbers(NumbersTask),
    /// Copy the embedded database to PostgreSQL, and compare the two.
    ///
    /// The server must be stopped. An interrupted copy is continued by the same command. Exit codes: 0 both databases have the
    /// same rows, 64 a database cannot be used as it is, 70 the copy was interrupted or differs.
    #[command(after_help = examples::MIGRATE)]
    Migrate {
        /// File of the embedded database [default: patchcord.db in the data folder]
        #[arg(long, value_name = "FILE")]
        from: Option<PathBuf>,
        /// Empty PostgreSQL database: `postgres://USER@HOST/NAME` [default: `database.url` of the configuration, where its
        /// password does not appear in the list of processes]
        #[arg(long, value_name = "URL")]
        to: Option<String>,
        #[command(flatten)]
        data: DataFlags,
    },
    /// List, restore or permanently delete the numbers, recordings and gateways in the bin.
    ///
    /// If a server is running on the embedded database, it carries out the changes.
    #[command(subcommand, after_help = examples::BIN)]
    Bin(BinTask),
    /// Erase a person's number from the records of an account and all below it.
    ///
    /// Deletes the recordings, texts and traces of the calls and messages with that number; their records are kept, with a pseudonym in its place.
    /// Prints a receipt, which the audit log keeps without the number. If a server is running on the embedded database, it carries out the
    /// erasure.
    #[command(after_help = examples::ERASE)]
    Erase {
        /// The number, with `+` and its country code
        #[arg(value_name = "NUMBER", value_parser = person)]
        number: String,
        /// The account: `AC` and 32 hexadecimal digits
        #[arg(long, value_name = "SID")]
        account: AccountSid,
        #[command(flatten)]
        data: DataFlags,
    },
    /// Back up the database, the recordings and the keys to a new folder, while the server runs.
    ///
    /// A PostgreSQL database is written by `pg_dump`, which must be installed. Exit codes: 0 complete, 64 the folder or the data
    /// cannot be used as they are.
    #[command(after_help = examples::BACKUP)]
    Backup {
        /// Folder for the backup; it must be empty, or not exist yet
        #[arg(value_name = "DIR")]
        folder: PathBuf,
        /// Leave out the secret key, which is needed to restore the backup
        #[arg(long)]
        without_key: bool,
        #[command(flatten)]
        data: DataFlags,
    },
    /// Restore a backup to an empty data folder, and check it.
    ///
    /// Exit codes: 0 restored, 64 the backup is damaged, or the folder or database is not empty.
    #[command(after_help = examples::RESTORE)]
    Restore {
        /// Folder with the backup
        #[arg(value_name = "DIR")]
        folder: PathBuf,
        /// For a backup of a PostgreSQL database: an empty one to restore to [default: `database.url` of the configuration]
        #[arg(long, value_name = "URL")]
        to: Option<String>,
        #[command(flatten)]
        data: DataFlags,
    },
    /// Show the changes that were made through the REST API.
    ///
    /// Reads the database directly, whether the server is running or not.
    #[command(subcommand, after_help = examples::AUDIT)]
    Audit(AuditTask),
    /// Show registered phones.
    ///
    /// Reads the database directly, whether the server is running or not.
    #[command(subcommand, after_help = examples::PHONES)]
    Phones(PhonesTask),
    /// Show the routes of text messages, and which of them would be tried for a message.
    ///
    /// Reads the database directly, whether the server is running or not. docs/messaging.md describes routes.
    #[command(subcommand, after_help = examples::SMS)]
    Sms(SmsTask),
    /// Test your application without a phone.
    ///
    /// A YAML script says who calls, which keys are pressed, who answers, and what the result must
    /// be; the real interpreter runs in virtual time, so an hour-long call takes a millisecond.
    /// docs/testing-your-app.md describes the format.
    #[command(after_help = examples::TEST)]
    Test(TestFlags),
    /// Show the results of callbacks, and deliver them again.
    ///
    /// Works on the database directly, whether the server is running or not.
    #[command(subcommand, after_help = examples::WEBHOOK)]
    Webhooks(WebhooksTask),
    /// Check documents as a call would, and show problems with line, column and suggestion.
    ///
    /// Exit codes: 0 no findings, 1 findings, 64 a document could not be read.
    #[command(after_help = examples::LINT)]
    Lint {
        /// File, folder (all *.xml and *.rcml inside), http or https address, or `-` for standard input
        #[arg(required = true, value_name = "FILE|DIR|URL|-")]
        targets: Vec<String>,
        /// Which rules to apply where Restcomm and Twilio differ
        #[arg(long, value_enum, default_value_t)]
        dialect: DialectName,
        /// Print one JSON document with all findings
        #[arg(long)]
        json: bool,
        /// Leave out warnings: only errors are shown and affect the exit code
        #[arg(long)]
        errors_only: bool,
        /// Request URLs by POST, with the parameters of a new call
        #[arg(long)]
        post: bool,
        /// Sign requests with the auth token in this file, as a server signs them
        #[arg(long, value_name = "FILE", value_parser = Token::from_file)]
        token_file: Option<Token>,
    },
    /// Run a finished call or conference again from its journal, and show the first response that differs.
    ///
    /// No calls are placed and no requests are sent: the journal's inputs are repeated at the same
    /// times. Exit codes: 0 all responses are the same, 1 one differs, 64 there is no journal.
    #[command(after_help = examples::REPLAY)]
    Replay {
        /// Call or conference in the database, file with the output of `calls show --json`, or `-` for
        /// standard input
        #[arg(value_name = "CA…|CF…|FILE|-")]
        source: String,
        #[command(flatten)]
        data: DataFlags,
    },
    /// Explain open calls, and list callers and phones that were turned away.
    ///
    /// Reads the database directly, whether the server is running or not. Exit code 1 if an open call looks
    /// wrong, or if anything was turned away.
    #[command(subcommand, after_help = examples::DOCTOR)]
    Doctor(DoctorTask),
}

/// What to inspect.
#[derive(Subcommand)]
pub(crate) enum DoctorTask {
    /// List open calls: the server and status of each, what it waits for, and what happens next.
    #[command(after_help = examples::DOCTOR)]
    Calls {
        /// Print them as JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        data: DataFlags,
    },
    /// List calls and registrations that were turned away within the last day: wrong passwords, numbers that
    /// are unknown or not public.
    #[command(after_help = examples::DOCTOR)]
    Phones {
        /// Print them as JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        data: DataFlags,
    },
}

/// What to rehearse.
#[derive(Args, Debug)]
#[command(mut_arg("data", |flag| flag.help("With `--from`: folder of the server's data [default: ./patchcord-data]")))]
#[command(mut_arg("config", |flag| flag.help("With `--from`: settings file (TOML)")))]
pub(crate) struct TestFlags {
    /// Scripts, and folders with scripts named `test.yaml` or `*.test.yaml`
    #[arg(required_unless_present = "from", value_name = "FILE|DIR")]
    paths: Vec<PathBuf>,
    /// Draw every call, not only those that failed
    #[arg(long)]
    trace: bool,
    /// Print only what failed, without drawing it
    #[arg(long, short, conflicts_with = "json")]
    quiet: bool,
    /// Print the results as JSON
    #[arg(long)]
    json: bool,
    /// Write the results as JUnit XML
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Sign requests with the auth token in this file, as a server signs them
    #[arg(long, value_name = "FILE", value_parser = Token::from_file)]
    token_file: Option<Token>,
    /// Print a script made from a past call: `CA` and 32 hexadecimal digits
    #[arg(long, value_name = "CALL", conflicts_with_all = ["paths", "trace", "quiet", "json", "junit", "token_file"])]
    pub(crate) from: Option<CallSid>,
    /// Write the pressed keys into that script instead of zeros; they may be a PIN
    #[arg(long, requires = "from", conflicts_with = "paths")]
    pub(crate) keys: bool,
    #[command(flatten)]
    pub(crate) data: DataFlags,
}

impl TestFlags {
    pub(crate) fn order(self, style: crate::ladder::Style) -> crate::test::Order {
        crate::test::Order {
            paths: self.paths,
            junit: self.junit,
            json: self.json,
            trace: self.trace,
            quiet: self.quiet,
            token: self.token_file,
            style,
        }
    }
}

/// What to do with callbacks.
#[derive(Subcommand)]
pub(crate) enum WebhooksTask {
    /// Print the newest callbacks.
    #[command(after_help = examples::WEBHOOK)]
    List {
        /// `pending`, `delivered` or `dead` (given up)
        #[arg(long, value_name = "STATE")]
        state: Option<DeliveryState>,
        #[command(flatten)]
        which: WhichWebhooks,
        /// Maximum number to print
        #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(i64).range(1..=10_000))]
        limit: i64,
        #[command(flatten)]
        data: DataFlags,
    },
    /// Print everything that is known about one callback.
    #[command(after_help = examples::WEBHOOK)]
    Show {
        /// The callback: `EV` and 32 hexadecimal digits.
        event: EventSid,
        #[command(flatten)]
        data: DataFlags,
    },
    /// Redeliver callbacks that were delivered or given up.
    #[command(after_help = examples::WEBHOOK, group = ArgGroup::new("chosen").required(true).multiple(true)
        .args(["event", "state", "lane", "from", "until"]))]
    Replay {
        /// One callback: `EV` and 32 hexadecimal digits.
        event: Option<EventSid>,
        /// `delivered` or `dead` (given up)
        #[arg(long, value_name = "STATE", value_parser = ended_state)]
        state: Option<DeliveryState>,
        #[command(flatten)]
        which: WhichWebhooks,
        #[command(flatten)]
        data: DataFlags,
    },
    /// Drop waiting callbacks: they are never sent, and the next callbacks in their lanes follow.
    #[command(after_help = examples::WEBHOOK, group = ArgGroup::new("unwanted").required(true).multiple(true)
        .args(["event", "lane", "from", "until"]))]
    Drop {
        /// One callback: `EV` and 32 hexadecimal digits.
        event: Option<EventSid>,
        #[command(flatten)]
        which: WhichWebhooks,
        #[command(flatten)]
        data: DataFlags,
    },
}

/// Which callbacks.
#[derive(Args, Debug)]
pub(crate) struct WhichWebhooks {
    /// Only callbacks of one call, conference, message or account: `CA`, `CF`, `SM` or `AC` and 32 hexadecimal digits
    #[arg(long, visible_alias = "call", value_name = "SID")]
    pub(crate) lane: Option<Lane>,
    /// Only callbacks created at or after this day or time
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub(crate) from: Option<Timestamp>,
    /// Only callbacks created at or before this time or the end of this day
    #[arg(long, value_name = "TIME", value_parser = end_of_moment)]
    pub(crate) until: Option<Timestamp>,
}

const DAY: Duration = Duration::from_secs(24 * 3600);

/// The start of a day, or a moment.
fn moment(text: &str) -> Result<Timestamp, String> {
    day(text)
        .or_else(|| Timestamp::from_rfc3339(text))
        .ok_or_else(|| "write `2026-03-01` or `2026-03-01T08:00:00Z`".to_owned())
}

/// The state of a callback that can be delivered again.
fn ended_state(text: &str) -> Result<DeliveryState, String> {
    match text.parse() {
        Ok(DeliveryState::Pending) => Err("a pending callback needs no replay".to_owned()),
        Ok(state) => Ok(state),
        Err(_) => Err("write `delivered` or `dead`".to_owned()),
    }
}

/// The status of a call.
fn status(text: &str) -> Result<CallStatus, String> {
    let words = CallStatus::WORDS.join(", ");
    text.parse().map_err(|_| format!("write one of {words}"))
}

/// The end of a day, or a moment.
fn end_of_moment(text: &str) -> Result<Timestamp, String> {
    day(text).map_or_else(|| moment(text), |start| Ok(start + DAY))
}

fn day(text: &str) -> Option<Timestamp> {
    (text.trim().len() == "yyyy-MM-dd".len())
        .then(|| Timestamp::from_day(text))
        .flatten()
}

/// A dialect, by its name.
#[derive(clap::ValueEnum, Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum DialectName {
    /// As Restcomm's documentation describes
    #[default]
    Restcomm,
    /// As Twilio's documentation describes
    Twilio,
}

impl From<DialectName> for model::DialectName {
    fn from(name: DialectName) -> Self {
        match name {
            DialectName::Restcomm => Self::Restcomm,
            DialectName::Twilio => Self::Twilio,
        }
    }
}

impl From<DialectName> for Dialect {
    fn from(name: DialectName) -> Self {
        match name {
            DialectName::Restcomm => Self::RESTCOMM,
            DialectName::Twilio => Self::TWILIO,
        }
    }
}

/// What to show about calls.
#[derive(Subcommand)]
pub(crate) enum CallsTask {
    /// Print the newest calls.
    #[command(after_help = examples::CALLS)]
    List {
        #[command(flatten)]
        which: WhichCalls,
        /// Print them as JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        data: DataFlags,
    },
    /// Print one call as a ladder: SIP, documents and audio, in order of time.
    ///
    /// The trace of a live call comes from the running server: use the server's data folder, on its machine.
    #[command(after_help = examples::CALLS)]
    Show {
        /// The call: `CA` and 32 hexadecimal digits.
        sid: CallSid,
        /// Print the records, the trace and the journal as JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        data: DataFlags,
    },
}

/// Which calls.
#[derive(Args, Debug)]
pub(crate) struct WhichCalls {
    /// Maximum number to print
    #[arg(long, default_value_t = 20, value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
    limit: i64,
    /// Only calls with this status, such as `completed` or `failed`
    #[arg(long, value_name = "STATUS", value_parser = status)]
    status: Option<CallStatus>,
    /// Only calls whose caller or called party contains this text
    #[arg(long, value_name = "TEXT")]
    number: Option<String>,
    /// Only calls created at or after this day or time
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: Option<Timestamp>,
}

impl From<WhichCalls> for store::RecentCalls {
    fn from(which: WhichCalls) -> Self {
        Self {
            status: which.status,
            party: which.number,
            since: which.since,
            limit: which.limit,
        }
    }
}

/// What to show about notifications.
#[derive(Subcommand)]
pub(crate) enum NotificationsTask {
    /// Print the latest notifications in chronological order.
    #[command(after_help = examples::NOTIFICATIONS)]
    List {
        /// Only those of one call: `CA` and 32 hexadecimal digits.
        #[arg(long, value_name = "SID")]
        call: Option<CallSid>,
        /// Only those of one account: `AC` and 32 hexadecimal digits.
        #[arg(long, value_name = "SID")]
        account: Option<AccountSid>,
        /// Maximum number to print
        #[arg(long, default_value_t = 20, value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
        limit: i64,
        /// Keep printing new ones until interrupted
        #[arg(long, short)]
        follow: bool,
        #[command(flatten)]
        data: DataFlags,
    },
}

/// What to do with numbers for sale.
#[derive(Subcommand)]
pub(crate) enum NumbersTask {
    /// Add the numbers of a CSV file to those for sale, or replace what is known about them.
    ///
    /// Nothing is imported if a line cannot be used. Exit codes: 0 imported, 64 a line or the file cannot be used.
    #[command(after_help = examples::NUMBERS)]
    Import {
        /// CSV file whose first line names the columns
        #[arg(value_name = "FILE.csv")]
        file: PathBuf,
        /// Take numbers that are not in the file off sale; accounts keep theirs
        #[arg(long)]
        replace: bool,
        #[command(flatten)]
        data: DataFlags,
    },
}

/// What to do with the bin.
#[derive(Subcommand)]
pub(crate) enum BinTask {
    /// Print the numbers, recordings and gateways in the bin, the latest first.
    #[command(after_help = examples::BIN)]
    List {
        /// Only those of one account: `AC` and 32 hexadecimal digits.
        #[arg(long, value_name = "SID")]
        account: Option<AccountSid>,
        /// Maximum number to print
        #[arg(long, default_value_t = 20, value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
        limit: i64,
        #[command(flatten)]
        data: DataFlags,
    },
    /// Restore a number, recording or gateway.
    #[command(after_help = examples::BIN)]
    Restore {
        /// Number, recording or gateway: `PN`, `RE` or `GW` and 32 hexadecimal digits
        #[arg(value_name = "SID", value_parser = discarded)]
        sid: String,
        #[command(flatten)]
        data: DataFlags,
    },
    /// Permanently delete a number, recording or gateway.
    #[command(after_help = examples::BIN)]
    Delete {
        /// Number, recording or gateway: `PN`, `RE` or `GW` and 32 hexadecimal digits
        #[arg(value_name = "SID", value_parser = discarded)]
        sid: String,
        #[command(flatten)]
        data: DataFlags,
    },
}

/// A number that identifies a person.
fn person(text: &str) -> Result<String, String> {
    let reason = "write the number with `+` and its country code";
    model::number::e164(text).ok_or_else(|| reason.to_owned())
}

/// The SID of something that can be in the bin.
fn discarded(text: &str) -> Result<String, String> {
    let is_hex = text.len() == 34 && text.chars().skip(2).all(|c| c.is_ascii_hexdigit());
    match store::DiscardedKind::of_sid(text).filter(|_| is_hex) {
        Some(_) => Ok(text.to_owned()),
        None => Err("write `PN`, `RE` or `GW` and 32 hexadecimal digits".to_owned()),
    }
}

/// What to show of the audit log.
#[derive(Subcommand)]
pub(crate) enum AuditTask {
    /// Print the latest changes in chronological order.
    #[command(after_help = examples::AUDIT)]
    List {
        /// Only those in one account: `AC` and 32 hexadecimal digits.
        #[arg(long, value_name = "SID")]
        account: Option<AccountSid>,
        /// Maximum number to print
        #[arg(long, default_value_t = 20, value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
        limit: i64,
        /// Print one JSON object per line, with the resource before and after each change
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        data: DataFlags,
    },
}

/// What to show about routes of text messages.
#[derive(Subcommand)]
pub(crate) enum SmsTask {
    /// Print the routes, lowest `Priority` first, and whether the running server can use them.
    #[command(after_help = examples::SMS)]
    Routes {
        /// Print them as JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        data: DataFlags,
    },
    /// Print which routes would be tried for a message, in order, and how many segments it needs; nothing is sent.
    #[command(after_help = examples::SMS)]
    Test {
        /// Account that would send it
        account: AccountSid,
        /// Sender
        from: String,
        /// Recipient
        to: String,
        /// The text
        #[arg(default_value = "test")]
        body: String,
        #[command(flatten)]
        data: DataFlags,
    },
}

/// What to show about phones.
#[derive(Subcommand)]
pub(crate) enum PhonesTask {
    /// Print each registered phone, with its address and the time until its registration expires.
    #[command(after_help = examples::PHONES)]
    List {
        /// Print them as JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        data: DataFlags,
    },
}

/// Where the records are.
#[derive(Args, Debug)]
pub(crate) struct DataFlags {
    /// Folder of the server's data [default: ./patchcord-data]
    #[arg(long, value_name = "DIR")]
    data: Option<String>,
    /// Settings file (TOML)
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl From<DataFlags> for config::Flags {
    fn from(flags: DataFlags) -> Self {
        Self {
            file: flags.config,
            data: flags.data,
            ..Self::default()
        }
    }
}

/// Flags of `serve`; each wins over the environment and the file.
#[derive(Args, Debug)]
pub(crate) struct ServeFlags {
    /// Folder for everything that must survive a restart [default: ./patchcord-data]
    #[arg(long, value_name = "DIR")]
    data: Option<String>,
    /// Address of the API; port 0 means any free port [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR:PORT")]
    http: Option<String>,
    /// Address of SIP over UDP and TCP; port 0 means any free port [default: 0.0.0.0:5060]
    #[arg(long, value_name = "ADDR:PORT")]
    sip: Option<String>,
    /// Address of /metrics [default: 127.0.0.1:9090, or a free port]
    #[arg(long, value_name = "ADDR:PORT")]
    metrics: Option<String>,
    /// For a developer's machine: without `mail.server`, e-mail is not sent but shown at `/dev/mail`
    #[arg(long)]
    dev: bool,
    /// Settings file (TOML)
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl From<ServeFlags> for config::Flags {
    fn from(flags: ServeFlags) -> Self {
        let ServeFlags {
            data,
            http,
            sip,
            metrics,
            dev,
            config: file,
        } = flags;
        Self {
            file,
            data,
            http,
            sip,
            metrics,
            dev: dev.then(|| "true".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_has_examples_and_help() {
        let mut open = vec![Cli::command()];
        let mut seen = 0;
        while let Some(command) = open.pop() {
            seen += 1;
            let name = command.get_name().to_owned();
            let help = command.get_after_help().map(ToString::to_string);
            let help = help.unwrap_or_default();
            assert!(help.contains("Examples:"), "{name} has no examples");
            open.extend(command.get_subcommands().cloned());
        }
        assert!(seen > 10, "{seen}");
        for line in ["help", "help lint", "help calls show"] {
            let words = ["patchcord"].into_iter().chain(line.split(' '));
            let Err(shown) = Cli::try_parse_from(words) else {
                panic!("{line} is not help")
            };
            assert_eq!(shown.kind(), clap::error::ErrorKind::DisplayHelp, "{line}");
        }
    }

    #[test]
    fn a_script_of_a_call_is_asked_for_by_its_sid() {
        let sid = "CA0123456789abcdef0123456789abcdef";
        let table = [
            (format!("--from {sid}"), true),
            (format!("--from {sid} --keys"), true),
            (format!("--from {sid} a.yaml"), false),
            ("--keys a.yaml".to_owned(), false),
            ("a.yaml".to_owned(), true),
        ];
        for (line, good) in table {
            let words = ["patchcord", "test"].into_iter().chain(line.split(' '));
            assert_eq!(Cli::try_parse_from(words).is_ok(), good, "{line}");
        }
    }

    #[test]
    fn a_replay_says_what() {
        let table = [
            ("replay", false),
            ("replay EV0123456789abcdef0123456789abcdef", true),
            ("replay EV1", false),
            ("show EVfoo", false),
            ("list --lane CF0123456789abcdef0123456789abcdef", true),
            ("list --lane SM00", false),
            ("replay --state dead", true),
            ("replay --state gone", false),
            ("replay --state pending", false),
            ("list --state pending", true),
            (
                "replay --from 2026-03-01 --until 2026-03-01T08:00:00Z",
                true,
            ),
            ("replay --from yesterday", false),
            ("list", true),
            ("list --limit 0", false),
            ("show", false),
        ];
        for (line, good) in table {
            let words = ["patchcord", "webhooks"].into_iter().chain(line.split(' '));
            assert_eq!(Cli::try_parse_from(words).is_ok(), good, "{line}");
        }
        let day = moment("2026-03-01").unwrap();
        assert_eq!(end_of_moment("2026-03-01"), Ok(day + DAY));
        assert_eq!(end_of_moment("2026-03-01T00:00:00Z"), Ok(day));
    }

    #[test]
    fn flags_become_settings() {
        let cli = Cli::try_parse_from([
            "patchcord",
            "serve",
            "--sip",
            "1.2.3.4:5",
            "--config",
            "a.toml",
        ])
        .unwrap();
        let Task::Serve(flags) = cli.task else {
            unreachable!("serve was parsed")
        };
        let flags = config::Flags::from(flags);
        assert_eq!(flags.sip.as_deref(), Some("1.2.3.4:5"));
        assert_eq!(flags.file, Some(PathBuf::from("a.toml")));
        assert_eq!(flags.http, None);
    }
}
