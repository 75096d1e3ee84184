//! The context of one request: its sender, its target, and the form of the answer.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::response::Response;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use model::email::Email;
use model::geolocation::Geolocation;
use model::record::{
    Account, ApiKey, Application, AuditEntry, CallRecord, CallerId, Client, Conference, Message,
    Notification, Number, Queue, Recording, ShownRecording, Transcription,
};
use model::trigger::UsageTrigger;
use model::{AccountSid, AccountStatus, Timestamp, error};
use store::Delivery;
use verify::{Attempt, Bucket, RateLimit, SafeNumber, Service, Verification};

use crate::ApiState;
use crate::audit::Witness;
use crate::body;
use crate::dialect::RestDialect;
use crate::failure::Failure;
use crate::format::Format;
use crate::params::{Params, absolute, shown};
use crate::roles::{ADMINISTRATOR, Action, CLOSED_TO_KEYS, permits};
use crate::value::{Resource, View, json_list, json_object, xml_element, xml_text};
use crate::warnings::Warnings;

/// An authenticated request.
pub(crate) struct Context<'a> {
    pub(crate) state: &'a ApiState,
    pub(crate) dialect: &'static RestDialect,
    pub(crate) format: Format,
    /// The path as its route has it, below the base path; empty before the route is known.
    pub(crate) path: &'static str,
    pub(crate) params: Params,
    /// The body of a POST or PUT.
    pub(crate) body: Bytes,
    pub(crate) headers: &'a HeaderMap,
    /// The account whose credentials were used.
    pub(crate) caller: Arc<Account>,
    /// The key that was used, unless it was a token or password.
    pub(crate) key: Option<Arc<ApiKey>>,
    /// What the audit log needs, if the request is to change something.
    pub(crate) witness: Option<Witness>,
    /// Warnings to send with the answer.
    pub(crate) warnings: &'a Warnings,
}

/// An answer. Its status is that of the route, except for [`Reply::Raw`].
pub(crate) enum Reply {
    /// A document.
    Document(Document),
    /// An empty answer.
    Nothing,
    /// Any other response.
    Raw(Box<Response>),
}

/// The content of an answer.
pub(crate) struct Document {
    pub(crate) text: String,
    /// The media type of a text that is sent as it is; `None` if it is in the format of the request.
    pub(crate) media_type: Option<&'static str>,
    pub(crate) headers: HeaderMap,
}

impl From<String> for Document {
    fn from(text: String) -> Self {
        Self {
            text,
            media_type: None,
            headers: HeaderMap::new(),
        }
    }
}

impl Reply {
    /// The same beside a code and a message, as an answer in JSON.
    pub(crate) fn in_envelope(self) -> Self {
        let inside = |data: &str| format!("{{\"code\":200,\"message\":\"OK\",\"data\":{data}}}");
        match self {
            Self::Nothing => Self::Document(inside("{}").into()),
            Self::Document(mut document) if document.media_type.is_none() => {
                document.text = inside(&document.text);
                Self::Document(document)
            }
            other @ (Self::Document(_) | Self::Raw(_)) => other,
        }
    }

    /// The same with one more header.
    pub(crate) fn with(mut self, name: HeaderName, value: &str) -> Self {
        if let (Self::Document(document), Ok(value)) = (&mut self, HeaderValue::from_str(value)) {
            document.headers.append(name, value);
        }
        self
    }
}

pub(crate) type Answer = Result<Reply, Failure>;

impl Context<'_> {
    /// The JSON document in the body, which is not parsed yet.
    pub(crate) fn document(&self) -> Result<String, Failure> {
        body::document(self.headers, &self.body)
    }

    /// Whether the caller is the top account.
    pub(crate) fn is_super_admin(&self) -> bool {
        self.caller.parent.is_none() && self.caller.status == AccountStatus::Active
    }

    /// Whether the caller's role is Administrator.
    pub(crate) fn is_administrator(&self) -> bool {
        self.caller.role == ADMINISTRATOR
    }

    /// Refuses what the caller's role or key does not permit.
    pub(crate) fn permit(&self, action: Action, target: &str) -> Result<(), Failure> {
        if let Some(key) = &self.key {
            let all = key.permissions.is_empty();
            let permitted = all || permits(&key.permissions, action, target);
            if CLOSED_TO_KEYS.contains(&target) || !permitted {
                let action = action.as_str();
                let text = format!("The API key does not permit {action}:{target}.");
                return Err(Failure::forbidden().saying(text));
            }
        }
        if self.state.roles.allow(&self.caller.role, action, target) {
            Ok(())
        } else {
            let (role, action) = (&self.caller.role, action.as_str());
            let text = format!("The role {role} does not permit {action}:{target}.");
            Err(Failure::forbidden().saying(text))
        }
    }

    /// The account that a request operates on: the one named in its path, if the caller's role
    /// permits the action and the account is the caller or below it. The caller, if the path names
    /// none.
    pub(crate) async fn operate(
        &self,
        segment: Option<&str>,
        action: Action,
        target: &str,
    ) -> Result<Arc<Account>, Failure> {
        self.permit(action, target)?;
        let Some(segment) = segment else {
            return Ok(Arc::clone(&self.caller));
        };
        let named = self.resolve(segment).await?;
        let Some(account) = self.covered(named).await? else {
            return Err(self.uncovered());
        };
        if action == Action::Create && account.status == AccountStatus::Closed {
            return Err(Failure::of(error::ACCOUNT_NOT_ACTIVE));
        }
        Ok(account)
    }

    /// The account with this SID, e-mail address or friendly name.
    async fn resolve(&self, segment: &str) -> Result<Option<Arc<Account>>, Failure> {
        let store = &self.state.store;
        Ok(match segment.parse::<AccountSid>() {
            Ok(sid) => store.account(sid).await?,
            Err(_) => match store.account_of_email(segment).await? {
                Some(account) => Some(account),
                None => store.account_of_name(segment).await?.map(Arc::new),
            },
        })
    }

    /// The account, if it is the caller or below it.
    pub(crate) async fn covered(
        &self,
        account: Option<Arc<Account>>,
    ) -> Result<Option<Arc<Account>>, Failure> {
        let mut next = account.clone();
        for _ in 0..Account::MAX_ANCESTRY {
            let Some(at) = next else { break };
            if at.sid == self.caller.sid {
                return Ok(account);
            }
            let Some(above) = at.parent else { break };
            next = self.state.store.account(above).await?;
        }
        Ok(None)
    }

    /// The refusal for an account that is neither the caller nor below it. Whether such an account
    /// exists is not revealed: one that does not exist is refused in the same way.
    fn uncovered(&self) -> Failure {
        if self.caller.parent.is_none() {
            // It covers all accounts of the server, so there is no such account to hide.
            return Failure::not_found();
        }
        let text = "The account does not exist, or the credentials do not cover it: they cover their own account and those below it.";
        let refused = Failure::forbidden().saying(text);
        self.dialect.pick([refused, Failure::not_found()])
    }

    /// Accounts above this one, nearest first.
    pub(crate) async fn depth(&self, account: &Account) -> Result<usize, Failure> {
        let mut depth = 0;
        let mut parent = account.parent;
        while let (Some(above), true) = (parent, depth < Account::MAX_ANCESTRY) {
            depth += 1;
            parent = match self.state.store.account(above).await? {
                Some(account) => account.parent,
                None => None,
            };
        }
        Ok(depth)
    }

    /// An address that will be requested immediately. A mere path would lead to this server, which
    /// serves no documents.
    pub(crate) fn absolute(&self, name: &str, text: &str) -> Result<String, Failure> {
        absolute(text).map(String::from).ok_or_else(|| {
            let reason = format!("`{}` is not an http or https address", shown(text));
            Failure::parameter(name, &reason)
        })
    }

    /// The address of a parameter; `None` if it is absent or empty.
    pub(crate) fn optional_address(&self, name: &str) -> Result<Option<String>, Failure> {
        let text = self.params.filled(name);
        text.map(|text| self.absolute(name, text.trim()))
            .transpose()
    }

    /// Warns of each parameter that was given although it has no effect.
    ///
    /// - `without`: what it would need, as in `MachineDetection`
    pub(crate) fn warn_unused(&self, names: &[&str], without: &str) {
        for name in names {
            if self.params.filled(name).is_some() {
                let text = format!("{name}: it has no effect without {without}");
                self.warnings.add(error::REQUEST_WARNING, text);
            }
        }
    }

    /// Warns of each parameter that was given although another one takes precedence.
    pub(crate) fn warn_beside(&self, names: &[&str], other: &str) {
        for name in names {
            if self.params.filled(name).is_some() {
                let text = format!("{name}: it has no effect together with {other}");
                self.warnings.add(error::REQUEST_WARNING, text);
            }
        }
    }

    pub(crate) fn view(&self) -> View<'_> {
        View {
            dialect: self.dialect,
            public_base: &self.state.public_base,
            links: &self.state.recording_links,
            shows_digests: self.state.shows_digests,
            hides_secrets: false,
        }
    }

    fn view_without_secrets(&self) -> View<'_> {
        View {
            hides_secrets: true,
            ..self.view()
        }
    }

    /// The answer that shows one resource.
    pub(crate) fn show<T>(&self, resource: &Resource<T>, record: &T) -> Reply {
        if let Some(witness) = &self.witness {
            let mut shown = String::new();
            let entries = resource.entries(record, self.view_without_secrets());
            json_object(&mut shown, self.dialect, &entries);
            witness.saw(shown);
        }
        let entries = resource.entries(record, self.view());
        let mut out = String::new();
        match self.format {
            Format::Json => json_object(&mut out, self.dialect, &entries),
            Format::Xml => {
                let root = self.dialect.root;
                let name = self.dialect.pick(resource.xml);
                out.push_str(&format!("<{root}>"));
                xml_element(&mut out, self.dialect, name, &entries);
                out.push_str(&format!("</{root}>"));
            }
        }
        Reply::Document(out.into())
    }

    /// The answer that lists texts.
    ///
    /// - `list`, `item`: XML elements
    pub(crate) fn texts(&self, (list, item): (&str, &str), texts: &[String]) -> Reply {
        let mut out = String::new();
        match self.format {
            Format::Json => out = serde_json::json!(texts).to_string(),
            Format::Xml => {
                let root = self.dialect.root;
                out.push_str(&format!("<{root}><{list}>"));
                for text in texts {
                    out.push_str(&format!("<{item}>"));
                    xml_text(&mut out, text);
                    out.push_str(&format!("</{item}>"));
                }
                out.push_str(&format!("</{list}></{root}>"));
            }
        }
        Reply::Document(out.into())
    }

    /// The answer that shows some resources without an envelope.
    pub(crate) fn bare<T>(&self, resource: &Resource<T>, records: &[T]) -> Reply {
        if let Some(witness) = &self.witness {
            let view = self.view_without_secrets();
            let items: Vec<_> = records
                .iter()
                .map(|record| resource.entries(record, view))
                .collect();
            let mut shown = String::new();
            json_list(&mut shown, self.dialect, &items);
            witness.saw(shown);
        }
        let items: Vec<_> = records
            .iter()
            .map(|record| resource.entries(record, self.view()))
            .collect();
        let mut out = String::new();
        match self.format {
            Format::Json => json_list(&mut out, self.dialect, &items),
            Format::Xml => {
                let root = self.dialect.root;
                let list = self.dialect.pick(resource.xml_list);
                out.push_str(&format!("<{root}><{list}>"));
                for item in &items {
                    xml_element(
                        &mut out,
                        self.dialect,
                        self.dialect.pick(resource.xml),
                        item,
                    );
                }
                out.push_str(&format!("</{list}></{root}>"));
            }
        }
        Reply::Document(out.into())
    }
}

impl Reply {
    /// The HTTP response.
    ///
    /// - `success`: status unless the answer sets one
    pub(crate) fn into_response(self, format: Format, success: StatusCode) -> Response {
        match self {
            Self::Raw(response) => *response,
            Self::Nothing => {
                let mut response = Response::new(Body::empty());
                *response.status_mut() = success;
                response
            }
            Self::Document(Document {
                text,
                media_type,
                headers,
            }) => {
                // The line end is for terminals: a prompt begins on a line of its own.
                let text = match (media_type, format) {
                    (Some(_), _) => text,
                    (None, Format::Json) => format!("{text}\n"),
                    (None, Format::Xml) => {
                        format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{text}\n")
                    }
                };
                let mut response = Response::new(Body::from(text));
                *response.status_mut() = success;
                *response.headers_mut() = headers;
                let media_type = media_type.unwrap_or_else(|| format.media_type());
                let content_type = HeaderValue::from_static(media_type);
                response.headers_mut().insert(CONTENT_TYPE, content_type);
                response
            }
        }
    }
}

/// A record that belongs to an account.
pub(crate) trait Owned {
    /// The account that it belongs to.
    fn owner(&self) -> AccountSid;
}

macro_rules! owned {
    ($($record:ty),+) => {
        $(impl Owned for $record {
            fn owner(&self) -> AccountSid {
                self.account
            }
        })+
    };
}
owned!(
    ApiKey,
    Application,
    AuditEntry,
    CallRecord,
    CallerId,
    Client,
    Conference,
    Geolocation,
    Message,
    Notification,
    Number,
    model::opt_out::OptOut,
    Queue,
    Recording,
    Transcription,
    Attempt,
    Bucket,
    RateLimit,
    SafeNumber,
    Service,
    UsageTrigger,
    Verification,
    ::masking::Service,
    ::masking::PoolNumber,
    ::masking::Session,
    ::masking::Participant,
    ::masking::Interaction,
    ::voicemail::VoicemailBox
);

impl Owned for Email {
    fn owner(&self) -> AccountSid {
        self.account
    }
}

impl Owned for store::Discarded {
    fn owner(&self) -> AccountSid {
        self.account
    }
}

impl Owned for ShownRecording {
    fn owner(&self) -> AccountSid {
        self.recording.account
    }
}

impl Owned for Delivery {
    fn owner(&self) -> AccountSid {
        self.callback.account
    }
}

/// The record named in a path below an account, if it belongs to that account: every handler of a
/// single item goes through here. Records of other accounts are treated as missing.
pub(crate) fn owned<T: Owned>(account: &Account, found: Option<T>) -> Option<T> {
    found.filter(|found| found.owner() == account.sid)
}

/// How often a change is tried while other requests change the same row.
pub(crate) const ATTEMPTS: usize = 10;

/// When a row is changed that was last changed at `read`: later, also if another server's clock is ahead.
pub(crate) fn after(read: Timestamp) -> Timestamp {
    now().max(Timestamp(read.0.saturating_add(1)))
}

/// The clock of this crate.
pub(crate) fn now() -> Timestamp {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(Timestamp(0), Timestamp::from_unix)
}
