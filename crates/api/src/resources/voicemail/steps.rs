//! The documents that callers and owners hear, which this server requests from itself.
//!
//! **Invariant: an address is answered only if this server has signed it**, path and query; and one behind the PIN only while its
//! call lasts. A box takes [`crate::wrong_pins::MOST`] wrong PINs in an hour at most, from whatever callers, as far as this server knows.

use std::collections::HashMap;
use std::sync::LazyLock;

use ::voicemail::access::{self, Wish};
use ::voicemail::leaving::{self, Links, Verdict};
use ::voicemail::{PURPOSE, Settings, State, Step, Visit, Voicemail, VoicemailBox, path};
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::response::Response;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use model::record::{CallRecord, Recording};
use model::{CallSid, RecordingSid, Timestamp, VoicemailBoxSid};
use store::StoreError;
use tracing::warn;
use url::form_urlencoded::{Serializer, parse};

use super::tending;
use crate::ApiState;
use crate::context::{ATTEMPTS, after, now};
use crate::media;
use crate::wrong_pins::WrongPins;

/// Purpose of the digests of PINs.
const PIN: &str = "voicemail-pin";
/// Maximum size of a form in bytes.
const MAX_FORM: usize = 64 * 1024;
const SIGNATURE: &str = "Signature=";

static WRONG: LazyLock<WrongPins> = LazyLock::new(WrongPins::default);

/// The digest of a PIN, by which it is stored.
pub(super) fn digest(state: &ApiState, mailbox: VoicemailBoxSid, pin: &str) -> String {
    state.store.key().sign(PIN, &format!("{mailbox}:{pin}"))
}

/// The address of a step that users are given.
pub(super) fn entry(state: &ApiState, mailbox: VoicemailBoxSid, step: Step) -> String {
    signed(state, &path(mailbox, step), "")
}

fn signed(state: &ApiState, path: &str, query: &str) -> String {
    let signature = state.store.key().sign(PURPOSE, &format!("{path}?{query}"));
    let and = if query.is_empty() { "" } else { "&" };
    format!(
        "{}{path}?{query}{and}{SIGNATURE}{signature}",
        state.public_base
    )
}

/// The parameters of a signed query; what follows the signature was added by the server's own GET.
fn opened<'q>(state: &ApiState, path: &str, query: &'q str) -> Option<(&'q str, &'q str)> {
    let at = query.find(SIGNATURE)?;
    let (own, rest) = (&query[..at], &query[at + SIGNATURE.len()..]);
    let own = own.strip_suffix('&').unwrap_or(own);
    let (signature, form) = rest.split_once('&').unwrap_or((rest, ""));
    let key = state.store.key();
    key.is_signed(PURPOSE, &format!("{path}?{own}"), signature)
        .then_some((own, form))
}

/// What the request says besides its address.
struct Form(Vec<(String, String)>);

impl Form {
    fn get(&self, name: &str) -> Option<&str> {
        let mut pairs = self.0.iter();
        pairs
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    fn call(&self) -> Option<CallSid> {
        self.get("CallSid")?.parse().ok()
    }

    fn digits(&self) -> &str {
        self.get("Digits").unwrap_or_default()
    }

    /// A recording, and its length in whole seconds.
    fn recorded(&self) -> Option<(RecordingSid, i64)> {
        let sid = self.get("RecordingSid")?.parse().ok()?;
        let seconds: f64 = self.get("RecordingDuration")?.parse().ok()?;
        // A length of a call: far below the range of either type.
        #[allow(clippy::cast_possible_truncation)]
        let seconds = seconds.clamp(0.0, 86_400.0).round() as i64;
        Some((sid, seconds))
    }
}

/// Addresses in the documents of a box.
struct Addresses<'a> {
    state: &'a ApiState,
    mailbox: &'a VoicemailBox,
    sounds: HashMap<RecordingSid, String>,
    /// The owner's sounds that can be fetched.
    playable: Vec<String>,
}

impl Links for Addresses<'_> {
    fn step(&self, step: Step, visit: &Visit) -> String {
        let mut query = Serializer::new(String::new());
        query.extend_pairs(visit.pairs());
        signed(self.state, &path(self.mailbox.sid, step), &query.finish())
    }

    fn sound(&self, recording: RecordingSid) -> Option<String> {
        self.sounds.get(&recording).cloned()
    }

    fn plays(&self, address: &str) -> bool {
        self.playable.iter().any(|known| known == address)
    }
}

impl<'a> Addresses<'a> {
    /// With the recordings of greetings, and others, as far as they exist.
    async fn new(
        state: &'a ApiState,
        mailbox: &'a VoicemailBox,
        others: impl IntoIterator<Item = RecordingSid>,
    ) -> Result<Self, StoreError> {
        let settings = &mailbox.settings;
        let greetings = [
            &settings.greeting,
            &settings.greeting_busy,
            &settings.greeting_no_answer,
            &settings.greeting_closed,
        ];
        let greetings = greetings
            .into_iter()
            .filter_map(|text| text.strip_prefix(Settings::RECORDED)?.parse().ok());
        let mut sounds = HashMap::new();
        for sid in greetings.chain(others) {
            if let Some(recording) = state.store.recording(sid).await?
                && is_of(state, mailbox, &recording).await?
            {
                let (links, base) = (&state.recording_links, &state.public_base);
                sounds.insert(sid, media::link_of(links, base, recording.account, sid));
            }
        }
        Ok(Self {
            state,
            mailbox,
            sounds,
            playable: Vec::new(),
        })
    }

    /// With the owner's sounds that this caller may hear, as far as they can be fetched.
    async fn with_sounds(mut self, visit: &Visit) -> Self {
        for address in leaving::addresses(&self.mailbox.settings, visit.case) {
            let calls = &self.state.calls;
            if calls.can_play(self.mailbox.account, address).await {
                self.playable.push(address.to_owned());
            }
        }
        self
    }
}

/// Answers a request for a document.
pub(crate) async fn answer(state: &ApiState, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, MAX_FORM).await.unwrap_or_default();
    let path = parts.uri.path();
    let query = parts.uri.query().unwrap_or_default();
    let Some((own, more)) = opened(state, path, query) else {
        return plain(
            StatusCode::FORBIDDEN,
            "This address is not signed by this server; copy it from the voicemail box.\n",
        );
    };
    let more = parse(more.as_bytes()).into_owned();
    let form = Form(more.chain(parse(&body).into_owned()).collect());
    match stepped(state, path, own, &form, now()).await {
        Ok(Some(text)) => document(text),
        Ok(None) => plain(
            StatusCode::NOT_FOUND,
            "There is no such voicemail box, or its call is over.\n",
        ),
        Err(error) => {
            warn!(%error, "a document of a voicemail box could not be made");
            plain(
                StatusCode::SERVICE_UNAVAILABLE,
                "The database is not available.\n",
            )
        }
    }
}

fn document(text: String) -> Response {
    let mut response = Response::new(Body::from(text));
    let content_type = HeaderValue::from_static("application/xml");
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

fn plain(status: StatusCode, text: &'static str) -> Response {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response
}

/// The document of a step; `None` if there is none.
async fn stepped(
    state: &ApiState,
    path: &str,
    own: &str,
    form: &Form,
    now: Timestamp,
) -> Result<Option<String>, StoreError> {
    let mut names = path.rsplit('/');
    let step: Option<Step> = names.next().and_then(|name| name.parse().ok());
    let mailbox = names.next().and_then(|name| name.parse().ok());
    let (Some(step), Some(mailbox)) = (step, mailbox) else {
        return Ok(None);
    };
    let Some(mailbox) = state.store.voicemail_box(mailbox).await? else {
        return Ok(None);
    };
    let value = |name: &str| {
        let mut pairs = parse(own.as_bytes());
        pairs
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
    };
    let visit = match Visit::read(value) {
        Some(visit) => visit,
        None if step.is_entry() => {
            let Some(case) = leaving::case_of(&mailbox, form.get("DialCallStatus"), now) else {
                return Ok(Some("<Response><Hangup/></Response>".to_owned()));
            };
            let party = |name| form.get(name).unwrap_or_default();
            Visit::new(form.call(), party("From"), party("To"), case)
        }
        None => return Ok(None),
    };
    if step.is_private() && !is_live(state, &mailbox, &visit).await? {
        return Ok(None);
    }
    let at = At {
        state,
        mailbox: &mailbox,
        visit: &visit,
        form,
        now,
    };
    at.run(step).await.map(Some)
}

/// Whether the call of a visit, one of the box's account, is not over.
async fn is_live(
    state: &ApiState,
    mailbox: &VoicemailBox,
    visit: &Visit,
) -> Result<bool, StoreError> {
    let Some(call) = visit.call else {
        return Ok(false);
    };
    match state.store.call(call).await? {
        Some(call) if call.ended.is_none() => is_at(state, mailbox, &call).await,
        Some(_) | None => Ok(false),
    }
}

/// Whether a call is one of the box's account: its own, or one of somebody else to its number.
async fn is_at(
    state: &ApiState,
    mailbox: &VoicemailBox,
    call: &CallRecord,
) -> Result<bool, StoreError> {
    if call.account == mailbox.account {
        return Ok(true);
    }
    let Some(number) = call.number else {
        return Ok(false);
    };
    let number = state.store.number(number).await?;
    Ok(number.is_some_and(|number| number.account == mailbox.account))
}

/// Whether a recording is the account's own, or was made in a call to its number.
async fn is_of(
    state: &ApiState,
    mailbox: &VoicemailBox,
    recording: &Recording,
) -> Result<bool, StoreError> {
    if recording.account == mailbox.account {
        return Ok(true);
    }
    let Some(call) = recording.call else {
        return Ok(false);
    };
    match state.store.call(call).await? {
        Some(call) => is_at(state, mailbox, &call).await,
        None => Ok(false),
    }
}

/// A request in a box.
struct At<'a> {
    state: &'a ApiState,
    mailbox: &'a VoicemailBox,
    visit: &'a Visit,
    form: &'a Form,
    now: Timestamp,
}

impl At<'_> {
    async fn run(&self, step: Step) -> Result<String, StoreError> {
        let (mailbox, visit) = (self.mailbox, self.visit);
        let links = Addresses::new(self.state, mailbox, visit.recording).await?;
        Ok(match step {
            Step::Leave => {
                let links = links.with_sounds(visit).await;
                leaving::greeting(mailbox, visit, &links)
            }
            Step::Again => match self.form.get("DialCallStatus") {
                // The operator has answered.
                Some("completed" | "answered") => "<Response><Hangup/></Response>".to_owned(),
                Some(_) | None => leaving::again(mailbox, visit, &links),
            },
            Step::Greeted => leaving::greeted(mailbox, visit, self.form.digits(), &links),
            Step::Recorded => {
                let Some(recorded) = self.form.recorded() else {
                    return Ok("<Response/>".to_owned());
                };
                self.keep(recorded).await?;
                let hung_up = self.form.digits() == "hangup";
                leaving::recorded(mailbox, &visit.about(recorded.0), hung_up, &links)
            }
            Step::Kept => {
                // Its answer is not read.
                match (self.form.get("RecordingStatus"), self.form.recorded()) {
                    (Some("completed"), Some(recorded)) => self.keep(recorded).await?,
                    (Some("absent"), Some((sid, _))) => self.keep_empty(sid).await?,
                    _ => {}
                }
                "<Response/>".to_owned()
            }
            Step::Review => {
                let verdict = leaving::verdict(self.form.digits());
                self.settle(verdict).await?;
                leaving::reviewed(mailbox, visit, verdict, &links)
            }
            Step::Access => access::question(mailbox, visit, &links),
            Step::Pin => self.pin(&links).await?,
            Step::Menu => self.menu(&links).await?,
            Step::Chosen => access::chosen(mailbox, visit, self.form.digits(), &links),
            Step::Hear => self.hear().await?,
            Step::Heard => self.heard(&links).await?,
            Step::Greeting => self.greeting().await?,
        })
    }

    /// A message was recorded: this may be said twice, by the document and by the callback. What the form names counts only if it
    /// is a recording of the account, made in this call.
    async fn keep(&self, recorded: (RecordingSid, i64)) -> Result<(), StoreError> {
        let store = &self.state.store;
        let is_own = match store.recording(recorded.0).await? {
            Some(recording) => {
                let of_call = self.visit.call.is_none() || recording.call == self.visit.call;
                of_call && is_of(self.state, self.mailbox, &recording).await?
            }
            None => false,
        };
        if !is_own {
            return Ok(());
        }
        let message = Voicemail::recorded(self.mailbox, self.visit, recorded, self.now);
        self.insert(&message).await?;
        match self.visit.recording {
            // There is another one now in place of the first.
            Some(first) if first != recorded.0 && message.state != State::Empty => {
                store.settle_voicemail(Voicemail::sid_of(first), true).await
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Nothing was said, and nothing is stored but that.
    async fn keep_empty(&self, recording: RecordingSid) -> Result<(), StoreError> {
        if self.state.store.recording(recording).await?.is_some() {
            return Ok(());
        }
        let mut message = Voicemail::recorded(self.mailbox, self.visit, (recording, 0), self.now);
        message.recording = None;
        message.state = State::Empty;
        self.insert(&message).await
    }

    async fn insert(&self, message: &Voicemail) -> Result<(), StoreError> {
        match self.state.store.keep_voicemail(message).await {
            // Nothing of a closed account is kept.
            Err(StoreError::AccountClosed) => Ok(()),
            kept => kept.map(drop),
        }
    }

    /// The caller has decided about the message.
    async fn settle(&self, verdict: Verdict) -> Result<(), StoreError> {
        let Some(recording) = self.visit.recording else {
            return Ok(());
        };
        let sid = Voicemail::sid_of(recording);
        let store = &self.state.store;
        match verdict {
            Verdict::Send => store.settle_voicemail(sid, false).await,
            // It counts until there is another one.
            Verdict::Again | Verdict::Play => Ok(()),
        }
    }

    async fn pin(&self, links: &Addresses<'_>) -> Result<String, StoreError> {
        let (mailbox, visit) = (self.mailbox, self.visit);
        let name = mailbox.sid.to_string();
        if WRONG.is_spent(&name, self.now) {
            return Ok(access::refused(mailbox));
        }
        let entered = digest(self.state, mailbox.sid, self.form.digits());
        let is_right = mailbox.pin.as_ref() == Some(&entered);
        if is_right {
            return self.menu(links).await;
        }
        WRONG.count(&name, self.now);
        let mut again = visit.clone();
        again.attempt += 1;
        Ok(access::question(mailbox, &again, links))
    }

    async fn menu(&self, links: &Addresses<'_>) -> Result<String, StoreError> {
        let of = [self.mailbox.sid];
        let counted = self.state.store.voicemail_counts(&of).await?;
        let count = |state| {
            let mut rows = counted.iter();
            rows.find(|(_, of, _)| *of == state).map_or(0, |row| row.2)
        };
        let counts = (count(State::New), count(State::Heard));
        let mut visit = self.visit.clone();
        // The caller may have been asked for the PIN where somebody else's call was to be answered.
        visit.call = visit.call.or_else(|| self.form.call());
        Ok(access::menu(self.mailbox, &visit, counts, links))
    }

    /// The message that is heard next.
    async fn next(&self) -> Result<Option<Voicemail>, StoreError> {
        let store = &self.state.store;
        let last = match self.visit.message {
            Some(sid) => store.voicemail(sid).await?,
            None => None,
        };
        let state = if self.visit.old {
            State::Heard
        } else {
            State::New
        };
        let sid = self.mailbox.sid;
        store.next_voicemail(sid, state, last.as_ref()).await
    }

    async fn hear(&self) -> Result<String, StoreError> {
        let message = self.next().await?;
        let recording = message.as_ref().and_then(|message| message.recording);
        let links = Addresses::new(self.state, self.mailbox, recording).await?;
        let (mailbox, visit) = (self.mailbox, self.visit);
        Ok(access::hear(
            mailbox,
            visit,
            message.as_ref(),
            self.now,
            &links,
        ))
    }

    async fn heard(&self, links: &Addresses<'_>) -> Result<String, StoreError> {
        let wish = access::wish(self.form.digits());
        let store = &self.state.store;
        let message = match self.visit.message {
            Some(sid) => store.voicemail(sid).await?,
            None => None,
        };
        let message = message.filter(|message| message.mailbox == self.mailbox.sid);
        let mut visit = self.visit.clone();
        match (wish, &message) {
            (Wish::Again, Some(message)) => {
                let links = Addresses::new(self.state, self.mailbox, message.recording).await?;
                let (mailbox, message) = (self.mailbox, Some(message));
                return Ok(access::hear(mailbox, &visit, message, self.now, &links));
            }
            (Wish::Keep, Some(message)) => self.mark_heard(message).await?,
            (Wish::Delete, Some(message)) => {
                // What follows it is found by its time, so it is read before it goes.
                let state = message.state;
                let next = store
                    .next_voicemail(self.mailbox.sid, state, Some(message))
                    .await?;
                tending::delete(store, message, self.now).await?;
                self.state.waiting_changed(self.mailbox).await;
                let recording = next.as_ref().and_then(|message| message.recording);
                let links = Addresses::new(self.state, self.mailbox, recording).await?;
                return Ok(access::after_deletion(
                    self.mailbox,
                    &visit,
                    next.as_ref(),
                    self.now,
                    &links,
                ));
            }
            (Wish::Menu, _) | (_, None) => {}
        }
        if message.is_none() {
            visit.message = None;
        }
        Ok(access::heard(self.mailbox, &visit, wish, links))
    }

    async fn mark_heard(&self, message: &Voicemail) -> Result<(), StoreError> {
        let store = &self.state.store;
        let mut found = Some(message.clone());
        for _ in 0..ATTEMPTS {
            let Some(mut message) = found.filter(|message| message.state == State::New) else {
                return Ok(());
            };
            let read = message.updated;
            message.state = State::Heard;
            message.heard = message.heard.or(Some(self.now));
            message.updated = after(read);
            if store.update_voicemail(&message, read).await? {
                self.state.waiting_changed(self.mailbox).await;
                return Ok(());
            }
            found = store.voicemail(message.sid).await?;
        }
        Ok(())
    }

    async fn greeting(&self) -> Result<String, StoreError> {
        let links = Addresses::new(self.state, self.mailbox, None).await?;
        let Some((recording, _)) = self.form.recorded() else {
            return self.menu(&links).await;
        };
        let links = Addresses::new(self.state, self.mailbox, Some(recording)).await?;
        if links.sound(recording).is_none() {
            return self.menu(&links).await;
        }
        let (value, text) = access::greeting(self.mailbox, self.visit, recording, &links);
        let store = &self.state.store;
        for _ in 0..ATTEMPTS {
            let Some(mut mailbox) = store.voicemail_box(self.mailbox.sid).await? else {
                break;
            };
            let read = mailbox.updated;
            let old = std::mem::replace(&mut mailbox.settings.greeting, value.clone());
            mailbox.updated = after(read);
            if store.update_voicemail_box(&mailbox, read).await? {
                let old = old.strip_prefix(Settings::RECORDED).unwrap_or_default();
                let old = old.parse().ok().filter(|old| *old != recording);
                tending::discard(store, (mailbox.account, None), old, self.now).await?;
                break;
            }
        }
        Ok(text)
    }
}
