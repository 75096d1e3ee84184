//! The REST API: accounts, clients, applications, numbers, calls, recordings, notifications,
//! deliveries of callbacks.
//!
//! A request passes `entry` (format, credentials), is held against the row of its route (`route`:
//! permission, parameters), is given to the file of its resource, and its answer is written from
//! that resource's table of fields (`value`). What differs between the base paths is data
//! (`dialect`). Live calls are reached through [`Calls`], which the call engine implements.
//!
//! **Invariant: no account reads or changes what is neither its own nor below it.** Left to
//! others: sockets, and what a call does.

#![forbid(unsafe_code)]

mod calls;
mod context;
mod dialect;
mod entry;
mod failure;
mod format;
mod guard;
mod media;
mod messages;
mod naming;
mod openapi;
mod page;
mod params;
mod password;
mod resources;
mod roles;
mod route;
mod source;
mod value;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use store::{RecordingLinks, Store};

pub use calls::Calls;
pub use entry::router;
pub use messages::Messages;
pub use openapi::openapi;
pub use roles::Roles;
pub use route::{RouteInfo, routes};
pub use source::Source;

/// What the API works on.
#[derive(Clone)]
pub struct ApiState {
    /// The database.
    pub store: Store,
    /// The call engine.
    pub calls: Arc<dyn Calls>,
    /// The engine that sends text messages.
    pub messages: Arc<dyn Messages>,
    /// Makes and checks links to recordings.
    pub recording_links: RecordingLinks,
    /// Whether the digest of a client's password is shown: it is as good as the password.
    pub shows_digests: bool,
    /// Folder with the files `RE….wav`.
    pub recordings_dir: PathBuf,
    /// `http://host:port` under which this server is reached, without a slash at the end.
    pub public_base: String,
    /// What the roles may do.
    pub roles: Roles,
    /// Answered by `Version`.
    pub build: Build,
    /// Address of a designer whose pages may read answers.
    pub designer_url: Option<String>,
    /// Set when the server is about to stop: new calls are refused.
    pub draining: Arc<AtomicBool>,
}

/// Which build answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Build {
    /// Product.
    pub name: String,
    /// Version.
    pub version: String,
    /// Revision of the source.
    pub revision: String,
    /// When it was built.
    pub date: String,
}

impl ApiState {
    fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}
