//! Requests to the web applications of customers: documents, sound files and callbacks.
//!
//! - [`Fetcher`] makes one request, with redirects, cookies, credentials and signatures.
//! - [`Fetcher::open_socket`] opens a WebSocket.
//! - [`MediaCache`] keeps sound files on disk.
//! - [`Callbacks`] delivers the rows of the outbox, retrying until they are finished.
//!
//! **Invariant: no connection is made to an address that the account may not reach;** addresses are
//! checked after the name is resolved, on every redirect, and the connection goes to the checked
//! address. Credentials and cookies never reach another origin or another call.
//!
//! Left to others: what a document means, which addresses an account may reach, and storing the
//! outbox.

#![forbid(unsafe_code)]

mod address;
mod budget;
mod callbacks;
mod client;
mod coding;
mod cookie;
mod delivery;
mod error;
mod fetch;
mod freshness;
mod http_date;
mod media;
mod media_files;
mod media_memory;
mod outbox;
mod retry_after;
mod signature;
mod socket;

pub use address::resolve;
pub use budget::{Budget, NoRoom, Reserved};
pub use callbacks::{Callbacks, Keyring, KeyringError, PolicyOf};
pub use cookie::CookieJar;
pub use delivery::{CallbackConfig, CallbackStats};
pub use error::{FetchError, Problem};
pub use fetch::{BodyKind, FetchConfig, FetchRequest, Fetched, Fetcher, StartError};
pub use media::{MediaCache, MediaLimits, Sound, SoundOwner, Workspace};
pub use model::egress::AddressPolicy;
pub use outbox::{
    Failure, MemoryOutbox, OutboxError, OutboxStore, Outcome, PendingCallback, RowPlace,
};
pub use signature::{Secrets, Signed, Stamp};
pub use socket::{MAX_MESSAGE, SocketError, SocketRequest, WebSocket};
pub use tokio_tungstenite;
