//! Outgoing e-mail: from the outbox to the operator's mail server.
//!
//! - [`Post`] takes the mails that are due from an [`Outbox`], and sends each until it is finished.
//! - [`Carrier`] is where they go: a mail server, by SMTP (RFC 5321) with TLS (RFC 3207, RFC 8314), or a [`Catcher`],
//!   which keeps them for a developer to read.
//!
//! **Invariant: a mail leaves the outbox only when the mail server has accepted it, or with the reason why it was given
//! up.** One that the server accepted just before this process was killed is sent again after the next start, with the
//! same `Message-ID`.
//!
//! Left to others: storing the outbox, and reading recordings.

#![forbid(unsafe_code)]

mod carrier;
mod catcher;
mod compose;
mod outbox;
mod plan;
mod post;

pub use carrier::{Carrier, CarrierError, Security, SmtpSettings};
pub use catcher::{Catcher, CaughtMail, MAX_CAUGHT};
pub use compose::Attachment;
pub use outbox::{AttachmentError, Claimed, Outbox, OutboxError, Recordings};
pub use plan::PlanConfig;
pub use post::{Post, PostStats};
