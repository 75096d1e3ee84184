//! The command line.
//!
//! **Invariant: a flag only ever stands for a setting of `config`**, so that file, environment and flags
//! cannot mean different things.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::config;

/// A programmable communications platform: SIP calls driven by documents of your web application.
#[derive(Parser)]
#[command(version, after_help = EXAMPLES, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) task: Task,
}

const EXAMPLES: &str = "\
Examples:
  patchcord serve                                  everything by default, data in ./patchcord-data
  patchcord serve --sip 0.0.0.0:5080 --data /var/lib/patchcord
  patchcord serve --config /etc/patchcord.toml
  PATCHCORD_FETCH__TIMEOUT_MS=3000 patchcord serve
  patchcord calls list
  patchcord calls show CA0123456789abcdef0123456789abcdef
  patchcord doctor calls                           what is open, whose it is, what will become of it

Exit codes: 0 ended as asked, 1 doctor found something, 64 wrong usage or configuration, 70 anything else.";

/// What to do.
#[derive(Subcommand)]
pub(crate) enum Task {
    /// Run the server until it is told to stop.
    ///
    /// When everything listens, one line of JSON goes to standard output: {"ready":true,...}.
    /// The log goes to standard error. The first SIGTERM drains, the second stops.
    Serve(ServeFlags),
    /// Place a real call between two built-in phones and show what happened.
    ///
    /// Starts a server of its own on free ports and a throw-away data folder.
    Demo {
        /// Keep the server running afterwards and print where to look
        #[arg(long)]
        stay: bool,
    },
    /// Print every setting with its default and meaning.
    Config,
    /// Show what is on record about calls.
    ///
    /// Reads the database beside the server, whether it runs or not.
    #[command(subcommand)]
    Calls(CallsTask),
    /// Look for what is wrong.
    ///
    /// Reads the database beside the server, whether it runs or not. Exit code 1 if something is.
    #[command(subcommand)]
    Doctor(DoctorTask),
}

/// What to look at.
#[derive(Subcommand)]
pub(crate) enum DoctorTask {
    /// List the open calls: who runs each, since when, what it waits for, what will happen.
    Calls {
        /// Print them as JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        data: DataFlags,
    },
}

/// What to show about calls.
#[derive(Subcommand)]
pub(crate) enum CallsTask {
    /// Print the newest calls.
    List(DataFlags),
    /// Print one call as a ladder: SIP, documents, audio, on one clock.
    Show {
        /// The call, `CA` and 32 digits.
        sid: String,
        /// Print the records and the trace as JSON.
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
    /// Settings as TOML
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
    /// Address of the API; port 0 takes a free one [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR:PORT")]
    http: Option<String>,
    /// Address of SIP over UDP and TCP; port 0 takes a free one [default: 0.0.0.0:5060]
    #[arg(long, value_name = "ADDR:PORT")]
    sip: Option<String>,
    /// Address of /metrics [default: 127.0.0.1:9090, or a free port]
    #[arg(long, value_name = "ADDR:PORT")]
    metrics: Option<String>,
    /// Settings as TOML
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
            config: file,
        } = flags;
        Self {
            file,
            data,
            http,
            sip,
            metrics,
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
