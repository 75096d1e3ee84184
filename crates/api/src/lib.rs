//! The REST API: accounts, clients, applications, numbers, calls, recordings, notifications,
//! deliveries of callbacks.
//!
//! A request passes `entry` (format, credentials), is checked against the row of its route
//! (`route`: permission, parameters), is handled in the file of its resource, and its answer is
//! written from that resource's table of fields (`value`). Differences between the base paths are
//! data (`dialect`). Live calls are reached through [`Calls`], which the call engine implements.
//!
//! **Invariant: no account reads or changes anything that is neither its own nor below it.** Left
//! to others: sockets, and the behaviour of calls.

#![forbid(unsafe_code)]

mod audit;
mod body;
mod calls;
mod closing;
mod common;
mod context;
mod dialect;
mod entry;
mod erasure;
mod etags;
mod failure;
mod format;
mod guard;
mod media;
mod messages;
mod monitor;
mod mp3;
mod naming;
mod openapi;
mod page;
mod pages;
mod params;
mod password;
mod provider;
mod provider_posts;
mod rates;
mod reference;
mod replays;
mod resources;
mod retention;
mod roles;
mod route;
mod test_stock;
mod trunks;
mod unasked;
mod unrouted;
mod value;
mod warnings;
mod wrong_pins;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use model::email::Senders;
use store::{RecordingLinks, Retention, Store};

pub use calls::Calls;
pub use closing::{Gone, clear_closed_accounts, delete_discarded, empty_bin, finish_removals};
pub use entry::router;
pub use erasure::{Erased, ErasureError, erase, note_erasure};
pub use messages::{MessageOutcome, Messages};
pub use monitor::Monitor;
pub use mp3::{Mp3Encoder, Mp3Error};
pub use openapi::{OpenApi, openapi, openapi_of};
pub use provider::{Carrier, NumberProvider, ProviderError, release_numbers};
pub use rates::RateLimits;
pub use reference::{Page, reference};
pub use replays::forget_old_rows;
pub use resources::masking::ending::end_interactions;
pub use resources::usage::triggers::fire_usage_triggers;
pub use resources::voicemail::tending::{Transcriber, VoicemailNews, VoicemailTender};
pub use retention::apply_retention;
pub use roles::{Permission, PermissionError, Roles};
pub use route::{RouteInfo, routes};
pub use trunks::{Outbound, Registration, Trunks};

/// The services and settings that the API uses.
#[derive(Clone)]
pub struct ApiState {
    /// The database.
    pub store: Store,
    /// The call engine.
    pub calls: Arc<dyn Calls>,
    /// The engine that sends text messages.
    pub messages: Arc<dyn Messages>,
    /// Whose name e-mails may be sent in; `None` if this server sends none.
    pub mail: Option<Senders>,
    /// Whether this server can write down what is said.
    pub transcribes: bool,
    /// Counts what the server handles.
    pub monitor: Arc<dyn Monitor>,
    /// The trunks of the running server.
    pub trunks: Arc<dyn Trunks>,
    /// Sells phone numbers.
    pub numbers: NumberProvider,
    /// Creates and checks links to recordings.
    pub recording_links: RecordingLinks,
    /// Whether the digest of a client's password is shown, which is equivalent to the password.
    pub shows_digests: bool,
    /// Folder with the files `RE….wav`.
    pub recordings_dir: PathBuf,
    /// Makes MP3 files of recordings, if a program that can is installed.
    pub mp3: Option<Mp3Encoder>,
    /// How long what was deleted rests in the bin.
    pub bin_lifetime: Duration,
    /// How long accounts keep data for which they have set nothing.
    pub retention: Retention,
    /// Address of this server for clients, `http://host:port`, without a trailing slash.
    pub public_base: String,
    /// The permissions of each role.
    pub roles: Roles,
    /// Returned by `Version`.
    pub build: Build,
    /// Origins of web pages that may read answers: `https://host` or `https://host:port`.
    pub allowed_origins: Vec<String>,
    /// How many requests an account may send.
    pub rate_limits: RateLimits,
    /// Set when the server is about to stop, so that new calls are refused.
    pub draining: Arc<AtomicBool>,
}

/// The running build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Build {
    /// Product name.
    pub name: String,
    /// Version.
    pub version: String,
    /// Revision of the source.
    pub revision: String,
    /// Build date.
    pub date: String,
}

impl ApiState {
    /// The number of messages that wait in a voicemail box has changed.
    async fn waiting_changed(&self, mailbox: &::voicemail::VoicemailBox) {
        if let Some(client) = &mailbox.client {
            self.calls.messages_waiting(mailbox.account, client).await;
        }
    }

    fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}
