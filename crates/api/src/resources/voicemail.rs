//! `/Accounts/{sid}/VoicemailBoxes`: boxes, their messages, the documents that callers and owners hear, and what is done about
//! messages afterwards.
//!
//! What is said and when a message counts is decided in the crate `voicemail`. **Invariant: a message is delivered by `tending`
//! alone**: documents only record that a caller is content with it, so one that the server did not live to deliver is delivered at
//! the next start.

mod boxes;
mod messages;
mod settings;
pub(crate) mod steps;
pub(crate) mod tending;

use ::voicemail::VoicemailBox;
use model::VoicemailBoxSid;
use model::record::Account;

use crate::context::{Context, owned};
use crate::failure::Failure;

pub(crate) use boxes::ROUTES as BOXES;
pub(crate) use messages::ROUTES as MESSAGES;

/// The kind of all of them in permissions.
const KIND: &str = "Voicemail";

async fn find_box(
    context: &Context<'_>,
    account: &Account,
    sid: &str,
) -> Result<VoicemailBox, Failure> {
    let sid: VoicemailBoxSid = sid.parse().map_err(|_| Failure::not_found())?;
    let found = context.state.store.voicemail_box(sid).await?;
    owned(account, found).ok_or_else(Failure::not_found)
}
