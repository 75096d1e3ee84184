//! Erases a person's number from the records of an account and all below it, with what was said and written in calls and messages.
//!
//! **Invariant: the receipt does not hold the number.** The records stay, with a pseudonym, so that what was used can still be added up.

use std::collections::BTreeSet;
use std::path::Path;

use model::record::{Account, AuditEntry};
use model::{AccountSid, AuditSid, RecordingSid, Timestamp, number};
use store::{Named, Person, Reason, Store, StoreError, Trail};

use crate::closing::{missing, remove_recordings};
use crate::retention::remove_files;

/// What was erased: the receipt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erased {
    /// Account whose records were searched, with all below it.
    pub account: AccountSid,
    /// What the records have instead of the number.
    pub pseudonym: String,
    /// When the erasure was completed.
    pub at: Timestamp,
    /// What was erased or changed, by kind.
    pub counts: Vec<(&'static str, u64)>,
}

impl Erased {
    /// The receipt as JSON.
    #[must_use]
    pub fn json(&self) -> String {
        let mut all = serde_json::Map::new();
        all.insert("account_sid".to_owned(), self.account.to_string().into());
        all.insert("pseudonym".to_owned(), self.pseudonym.clone().into());
        for (kind, count) in &self.counts {
            all.insert((*kind).to_owned(), (*count).into());
        }
        serde_json::Value::Object(all).to_string()
    }

    /// How many of a kind.
    #[must_use]
    pub fn count(&self, kind: &str) -> u64 {
        let found = self.counts.iter().find(|(known, _)| *known == kind);
        found.map_or(0, |(_, count)| *count)
    }
}

/// Why nothing was erased.
#[derive(Debug, thiserror::Error)]
pub enum ErasureError {
    /// The text is not a number that identifies a person.
    #[error("write the number with `+` and its country code")]
    NotANumber,
    /// The number belongs to the account itself.
    #[error("it is a number of the account itself; delete it first")]
    OwnNumber,
    /// The database cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Erases a number.
///
/// - `folder`: where the files of recordings are
/// - `phone_number`: with its country code
///
/// # Errors
/// [`ErasureError`]. After an error of the database, the same request erases the rest.
pub async fn erase(
    store: &Store,
    folder: &Path,
    account: &Account,
    phone_number: &str,
    now: Timestamp,
) -> Result<Erased, ErasureError> {
    let e164 = number::e164(phone_number).ok_or(ErasureError::NotANumber)?;
    let mut spellings = number::candidates(&e164);
    spellings.push(format!("00{}", &e164[1..]));
    let own = store.number_candidates(None, &spellings).await?;
    if own.exact.iter().any(|known| known.account == account.sid) {
        return Err(ErasureError::OwnNumber);
    }
    let random: u64 = rand::random();
    let person = Person {
        account: account.sid,
        spellings,
        pseudonym: format!("erased-{:012x}", random & 0xffff_ffff_ffff),
    };
    let mut tally = Tally::default();
    let mut last: Option<String> = None;
    loop {
        let calls = store.calls_of_person(&person, last.as_deref()).await?;
        let Some(call) = calls.last() else { break };
        last = Some(call.sid.clone());
        let over = tally.over(&calls);
        for call in &over {
            erase_sound(store, folder, call, &mut tally).await?;
            let texts = store.messages_of_trail(call).await?;
            tally.texts += texts.len() as u64;
            store.remove_bodies(&texts, Reason::Erasure).await?;
            let emails = store.emails_of_trail(call).await?;
            tally.erase_emails(store, &emails).await?;
            tally.lanes(store.erase_lanes(&call.lanes).await?);
        }
        let sids: Vec<_> = over.iter().map(|call| call.sid.clone()).collect();
        store.erase_calls(&person, &sids).await?;
        tally.calls += sids.len() as u64;
    }
    let mut last: Option<String> = None;
    loop {
        let messages = store.messages_of_person(&person, last.as_deref()).await?;
        let Some(message) = messages.last() else {
            break;
        };
        last = Some(message.sid.clone());
        let over = tally.over(&messages);
        for message in &over {
            tally.lanes(store.erase_lanes(&message.lanes).await?);
        }
        let sids: Vec<_> = over.iter().map(|message| message.sid.clone()).collect();
        store.erase_messages(&person, &sids).await?;
        tally.messages += sids.len() as u64;
    }
    let mut last: Option<String> = None;
    loop {
        let (emails, searched) = store.emails_of_person(&person, last.as_deref()).await?;
        let Some(searched) = searched else { break };
        last = Some(searched);
        let over = tally.over(&emails);
        let sids: Vec<_> = over.iter().map(|email| email.sid.clone()).collect();
        tally.erase_emails(store, &sids).await?;
    }
    let mut last: Option<String> = None;
    loop {
        let (named, searched) = store
            .notifications_of_person(&person, last.as_deref())
            .await?;
        let Some(searched) = searched else { break };
        last = Some(searched);
        for one in named {
            match one {
                // A number that was called in vain is in no record of a leg.
                Named::Call { lanes, is_over } if is_over => {
                    tally.lanes(store.erase_lanes(&lanes).await?);
                }
                Named::Call { lanes, .. } => tally.open.extend(lanes.into_iter().next()),
                Named::Alone(sid) => {
                    store.delete_notifications(&[sid]).await?;
                    tally.lanes[1] += 1;
                }
            }
        }
    }
    let [verifications, safe_numbers, pending] = store.erase_verifications(&person, now).await?;
    let [participants, open_sessions] = store.erase_participants(&person, now).await?;
    let [voicemails, not_mailed] = store.erase_voicemails(&person).await?;
    let opt_outs = store.erase_opt_outs(&person).await?;
    let [caller_ids, entries] = store.erase_elsewhere(&person).await?;
    let [traces, notifications, callbacks, waiting] = tally.lanes;
    Ok(Erased {
        account: account.sid,
        pseudonym: person.pseudonym,
        at: now,
        counts: vec![
            ("calls", tally.calls),
            ("messages", tally.messages),
            ("texts_of_calls", tally.texts),
            ("emails", tally.emails),
            ("verifications", verifications),
            ("safe_numbers", safe_numbers),
            ("participants", participants),
            ("voicemails", voicemails),
            ("recordings", tally.recordings),
            ("traces", traces),
            ("notifications", notifications),
            ("callbacks", callbacks),
            ("caller_ids", caller_ids),
            ("opt_outs", opt_outs),
            ("audit_entries", entries),
            (
                "not_over",
                tally.open.len() as u64 + pending + open_sessions + not_mailed,
            ),
            ("callbacks_waiting", waiting),
            ("files_not_here", tally.files_not_here),
        ],
    })
}

#[derive(Default)]
struct Tally {
    calls: u64,
    messages: u64,
    texts: u64,
    emails: u64,
    recordings: u64,
    lanes: [u64; 4],
    /// What is not over, by the first of its lanes: a call and its messages are one.
    open: BTreeSet<String>,
    files_not_here: u64,
}

impl Tally {
    /// Those that are over; counts the others.
    fn over<'t>(&mut self, trails: &'t [Trail]) -> Vec<&'t Trail> {
        let (over, open): (Vec<_>, Vec<_>) = trails.iter().partition(|trail| trail.is_over);
        self.open.extend(
            open.into_iter()
                .filter_map(|trail| trail.lanes.first().cloned()),
        );
        over
    }

    /// Erases e-mails with their notifications.
    async fn erase_emails(&mut self, store: &Store, sids: &[String]) -> Result<(), StoreError> {
        if sids.is_empty() {
            return Ok(());
        }
        self.lanes[1] += store.erase_failures_of_emails(sids).await?;
        store.remove_emails(sids, Reason::Erasure).await?;
        self.emails += sids.len() as u64;
        Ok(())
    }

    fn lanes(&mut self, counts: [u64; 4]) {
        for (sum, count) in self.lanes.iter_mut().zip(counts) {
            *sum += count;
        }
    }
}

/// Removes the recordings of a call, also those in the bin.
async fn erase_sound(
    store: &Store,
    folder: &Path,
    call: &Trail,
    tally: &mut Tally,
) -> Result<(), StoreError> {
    let (kept, resting) = store.recordings_of_trail(call).await?;
    let removed = remove_files(store, folder, &kept, Reason::Erasure).await?;
    let resting: Vec<RecordingSid> = resting.iter().filter_map(|sid| sid.parse().ok()).collect();
    let count = resting.len();
    let left = remove_recordings(store, folder, resting, missing(store, folder)).await?;
    tally.recordings += (removed + count - left.len()) as u64;
    tally.files_not_here += (kept.len() - removed + left.len()) as u64;
    Ok(())
}

/// Stores the receipt of an erasure by the command line in the audit log of the account; requests of the API are noted there anyway.
///
/// # Errors
/// As reported by the database.
pub async fn note_erasure(store: &Store, erased: &Erased) -> Result<AuditSid, StoreError> {
    let sid = AuditSid::new(erased.at, rand::random());
    let entry = AuditEntry {
        sid,
        account: erased.account,
        actor: erased.account,
        key: None,
        source: "command line".to_owned(),
        request: String::new(),
        method: "POST".to_owned(),
        path: format!("/Accounts/{}/Erasures", erased.account),
        before: None,
        after: Some(erased.json()),
        created: erased.at,
    };
    store.insert_audit_entry(entry).await?;
    Ok(sid)
}
