//! A server with a few accounts, and a client of its API.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use api::{
    ApiState, Build, Calls, MessageOutcome, Messages, Monitor, Outbound, RateLimits, Registration,
    Roles, Trunks,
};
use async_trait::async_trait;
use axum::body::{Body, to_bytes};
use axum::{Extension, Router};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use call_proto::forwarding::{ProviderPost, ProviderRefusal};
use call_proto::{
    Changed, CreateError, Modify, ModifyError, NewCall, NewMessage, RecordingChange,
    RecordingRefusal, SendError, Turn, Unreachable,
};
use http::{HeaderMap, Request, StatusCode};
use model::Source;
use model::census::Figures;
use model::message_route::RouteHealth;
use model::record::{Account, CallRecord, Message, Organization, RecordingKind, StartedRecording};
use model::{
    AccountSid, AccountStatus, CallSid, CallStatus, ConferenceSid, ConferenceStatus, GatewaySid,
    InstanceSid, MessageDirection, MessageRouteSid, MessageSid, MessageStatus, OrganizationSid,
    OrganizationStatus, RecordingSid, RecordingSource, RecordingStatus, Timestamp,
};
use serde_json::Value;
use store::{AdminSeed, Change, RecordingLinks, SecretKey, Store};
use tokio::sync::oneshot;
use tower::ServiceExt;

const BASE: &str = "/restcomm/2012-04-24";
pub(crate) const PASSWORD: &str = "RestComm12";

/// User and password of a request.
pub(crate) type Credentials = (String, String);

/// A server, its database and its call engine.
pub(crate) struct Server {
    pub(crate) store: Store,
    pub(crate) engine: Arc<TestEngine>,
    pub(crate) draining: Arc<AtomicBool>,
    pub(crate) dir: tempfile::TempDir,
    /// The top account.
    pub(crate) admin: AccountSid,
    pub(crate) organization: OrganizationSid,
    router: Router,
    requests: AtomicU32,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::with_role("Reader", &["RestComm:Read:Accounts"]).await
    }

    /// A server with one more role.
    pub(crate) async fn with_role(name: &str, permissions: &[&str]) -> Self {
        let permissions = permissions.iter().map(|text| text.parse().unwrap());
        let permissions = permissions.collect();
        Self::with(|state| state.roles = state.roles.clone().with(name, permissions)).await
    }

    /// A server with another configuration.
    pub(crate) async fn with(change: impl FnOnce(&mut ApiState)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", dir.path().join("p.db").display());
        let store = Store::open(&url, SecretKey::random()).await.unwrap();
        Self::on(store, dir, change).await
    }

    /// Two servers that share a database; `None` if tests of PostgreSQL are switched off.
    #[cfg(unix)]
    pub(crate) async fn two() -> Option<(Self, Self, testkit::postgres::Postgres)> {
        let postgres = testkit::postgres::Postgres::required()?;
        let url = format!("{}/postgres", postgres.url);
        let key = SecretKey::random();
        let give_up = Instant::now() + Duration::from_secs(20);
        let one = loop {
            match Store::open(&url, key.clone()).await {
                Ok(store) => break store,
                Err(error) => assert!(Instant::now() < give_up, "not ready: {error}"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        let two = Store::open(&url, key).await.unwrap();
        let dir = || tempfile::tempdir().unwrap();
        let one = Self::on(one, dir(), |_| ()).await;
        let two = Self::on(two, dir(), |_| ()).await;
        Some((one, two, postgres))
    }

    async fn on(store: Store, dir: tempfile::TempDir, change: impl FnOnce(&mut ApiState)) -> Self {
        let sid = account_sid("admin");
        let seed = AdminSeed {
            sid: Some(sid),
            token: Some("token-admin".to_owned()),
            email: Some("admin@example.org".to_owned()),
            password: Some(PASSWORD.to_owned()),
        };
        // `None`: another server has set the database up.
        store.first_start("one.example", seed).await.unwrap();
        let organization = store.default_organization().await.unwrap().unwrap().sid;
        let engine = Arc::new(TestEngine {
            store: store.clone(),
            created: Mutex::new(Vec::new()),
            modified: Mutex::new(Vec::new()),
            messages: Mutex::new(Vec::new()),
            outcomes: Mutex::default(),
            is_busy: AtomicBool::new(false),
            waiting: Mutex::default(),
            figures: Mutex::new(Figures::default()),
            outbound: Mutex::default(),
        });
        let draining = Arc::new(AtomicBool::new(false));
        let mut state = ApiState {
            store: store.clone(),
            calls: engine.clone(),
            messages: engine.clone(),
            mail: Some(model::email::Senders::default()),
            transcribes: true,
            monitor: engine.clone(),
            trunks: engine.clone(),
            numbers: api::NumberProvider::Inventory,
            recording_links: RecordingLinks::new(store.key().clone(), None),
            shows_digests: true,
            recordings_dir: dir.path().to_path_buf(),
            retention: store::Retention::default(),
            mp3: None,
            bin_lifetime: Duration::from_secs(30 * 24 * 3600),
            public_base: "http://pbx.example:8080".to_owned(),
            roles: Roles::default().with("Keeper", vec!["*:Accounts".parse().unwrap()]),
            build: Build {
                name: "Patchcord".to_owned(),
                version: "1.2.3".to_owned(),
                revision: "abcdef".to_owned(),
                date: "2024-05-06".to_owned(),
            },
            allowed_origins: vec!["https://designer.example".to_owned()],
            rate_limits: RateLimits::default(),
            draining: draining.clone(),
        };
        change(&mut state);
        let router = api::router(state);
        Self {
            store,
            engine,
            draining,
            dir,
            admin: sid,
            organization,
            router,
            requests: AtomicU32::new(1),
        }
    }

    /// Its routes, to serve them on a socket.
    pub(crate) fn router(&self) -> Router {
        let source = Extension(Source::from(IpAddr::V4(Ipv4Addr::LOCALHOST)));
        self.router.clone().layer(source)
    }

    /// The credentials of the top account.
    pub(crate) fn admin(&self) -> Credentials {
        (self.admin.to_string(), "token-admin".to_owned())
    }

    /// Adds an account whose token is `token-NAME`.
    pub(crate) async fn account(&self, name: &str, parent: AccountSid) -> AccountSid {
        self.account_with(name, Some(parent), "Administrator", AccountStatus::Active)
            .await
    }

    pub(crate) async fn account_with(
        &self,
        name: &str,
        parent: Option<AccountSid>,
        role: &str,
        status: AccountStatus,
    ) -> AccountSid {
        let sid = account_sid(name);
        let account = Account {
            sid,
            organization: self.organization,
            parent,
            friendly_name: name.to_owned(),
            email: format!("{name}@example.org"),
            status,
            role: role.to_owned(),
            password_hash: None,
            auth_token: format!("token-{name}"),
            secondary_token: None,
            is_test: false,
            created: now(),
            updated: now(),
        };
        self.store.insert_account(account, None).await.unwrap();
        sid
    }

    pub(crate) async fn other_organization(&self, domain: &str) -> OrganizationSid {
        let sid = OrganizationSid::from_bytes(sixteen(domain));
        let organization = Organization {
            sid,
            domain_name: domain.to_owned(),
            status: OrganizationStatus::Active,
            created: now(),
            updated: now(),
        };
        self.store.insert_organization(organization).await.unwrap();
        sid
    }

    pub(crate) async fn get(&self, who: &Credentials, path: &str) -> Answer {
        self.ask("GET", Some(who), path, &[], "").await
    }

    pub(crate) async fn post(&self, who: &Credentials, path: &str, form: &str) -> Answer {
        self.ask("POST", Some(who), path, &[], form).await
    }

    pub(crate) async fn put(&self, who: &Credentials, path: &str, form: &str) -> Answer {
        self.ask("PUT", Some(who), path, &[], form).await
    }

    pub(crate) async fn delete(&self, who: &Credentials, path: &str) -> Answer {
        self.ask("DELETE", Some(who), path, &[], "").await
    }

    /// Sends any request, each from another address; `path` is below the version unless it starts
    /// with a base path.
    pub(crate) async fn ask(
        &self,
        method: &str,
        who: Option<&Credentials>,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let count = self.requests.fetch_add(1, Ordering::Relaxed);
        let address = Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 0, 0, 0)) + count);
        let request = (method, path, headers, body);
        self.ask_from(address.into(), who, request).await
    }

    /// The same from an address.
    pub(crate) async fn ask_from(
        &self,
        address: IpAddr,
        who: Option<&Credentials>,
        (method, path, headers, body): (&str, &str, &[(&str, &str)], &str),
    ) -> Answer {
        let bases = [
            "/restcomm",
            "/2010-04-01",
            "/2012-04-24",
            "/docs",
            "/v2",
            "/2fa",
            "/v1",
            "/numbermasking",
        ];
        let uri = if bases.iter().any(|base| path.starts_with(base)) {
            path.to_owned()
        } else {
            format!("{BASE}{path}")
        };
        let mut request = Request::builder().method(method).uri(uri);
        request = request.extension(Source::from(address));
        if let Some((user, password)) = who {
            let pair = STANDARD.encode(format!("{user}:{password}"));
            request = request.header("authorization", format!("Basic {pair}"));
        }
        let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
        if !body.is_empty() && !names.contains(&"content-type") {
            request = request.header("content-type", "application/x-www-form-urlencoded");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::from(body.to_owned())).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let headers = response.headers().clone();
        let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        Answer {
            status,
            headers,
            body: String::from_utf8_lossy(&bytes).into_owned(),
        }
    }
}

/// A response.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    /// The body of a 200 response as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.body);
        self.error()
    }

    /// The body of any response as JSON.
    #[track_caller]
    pub(crate) fn error(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.body))
    }

    /// The texts of a key in the array `list`.
    #[track_caller]
    pub(crate) fn column(&self, list: &str, key: &str) -> Vec<String> {
        let json = self.json();
        let items = if list.is_empty() { &json } else { &json[list] };
        items
            .as_array()
            .unwrap_or_else(|| panic!("no array: {}", self.body))
            .iter()
            .map(|item| item[key].as_str().unwrap_or_default().to_owned())
            .collect()
    }

    #[track_caller]
    pub(crate) fn is(&self, status: u16) {
        assert_eq!(self.status, status, "{}", self.body);
    }
}

fn unreachable(code: u16, text: &str) -> CreateError {
    CreateError::Unreachable(Unreachable {
        code,
        text: text.to_owned(),
        is_unknown: false,
    })
}

/// A call engine that records its requests.
pub(crate) struct TestEngine {
    pub(crate) store: Store,
    pub(crate) created: Mutex<Vec<NewCall>>,
    pub(crate) modified: Mutex<Vec<(CallSid, Modify)>>,
    /// Messages that it was requested to send.
    pub(crate) messages: Mutex<Vec<NewMessage>>,
    /// By which the end of each watched message is reported.
    pub(crate) outcomes: Mutex<Vec<oneshot::Sender<(u16, String)>>>,
    /// Whether it accepts no messages.
    pub(crate) is_busy: AtomicBool,
    /// Clients whose voice messages have changed.
    pub(crate) waiting: Mutex<Vec<(AccountSid, String)>>,
    /// What it has counted.
    pub(crate) figures: Mutex<Figures>,
    /// Its trunks, as read last.
    pub(crate) outbound: Mutex<Outbound>,
}

#[async_trait]
impl Calls for TestEngine {
    async fn create(&self, new: NewCall) -> Result<Vec<CallRecord>, CreateError> {
        let legs = match new.target.as_str() {
            "nobody" => return Err(unreachable(11_008, "nobody is not registered")),
            "sip:nobody@127.0.0.1" => return Err(unreachable(11_110, "127.0.0.1 is private")),
            "busy" => return Err(CreateError::Busy),
            "two" => 2,
            _ => 1,
        };
        let mut records = Vec::new();
        for leg in 0..legs {
            let mut call = call(leg + 900, new.account);
            call.instance = self.store.instance();
            new.target.as_str().clone_into(&mut call.to);
            call.from.clone_from(&new.from);
            let created = Change::CallCreated(Box::new(call.clone()));
            self.store
                .commit(vec![created])
                .await
                .map_err(|_| CreateError::Store)?;
            records.push(call);
        }
        self.created.lock().unwrap().push(new);
        Ok(records)
    }

    async fn end_conference(&self, conference: ConferenceSid) -> bool {
        let ended = Change::ConferenceEnded {
            sid: conference,
            status: ConferenceStatus::Completed,
            at: Timestamp(9),
            reason: "ended-by-api".to_owned(),
        };
        let committed = self.store.commit(vec![ended]).await;
        committed.is_ok_and(|committed| committed.all_applied())
    }

    async fn can_play(&self, _account: AccountSid, address: &str) -> bool {
        !address.contains("gone")
    }

    async fn messages_waiting(&self, account: AccountSid, client: &str) {
        let changed = (account, client.to_owned());
        self.waiting.lock().unwrap().push(changed);
    }

    async fn modify(&self, call: CallSid, modify: Modify) -> Result<Changed, ModifyError> {
        let refusals = [
            (call_sid(3), ModifyError::NotLive),
            (call_sid(5), ModifyError::NotAnswered),
            (call_sid(6), ModifyError::Unconfirmed),
        ];
        if let Some((_, refusal)) = refusals.into_iter().find(|(sid, _)| *sid == call) {
            return Err(refusal);
        }
        let ends = modify == Modify::Complete;
        self.modified.lock().unwrap().push((call, modify.clone()));
        match modify {
            Modify::Record(new) => return Ok(self.record(call, new.sides.channels()).await),
            Modify::Recording(change) => {
                let newest = RecordingSid::from_bytes([0x77; 16]);
                let sid = change.recording.unwrap_or(newest);
                return self.change_recording(sid, change.turn).await;
            }
            Modify::Complete
            | Modify::Cancel
            | Modify::Redirect(_)
            | Modify::Interject(_)
            | Modify::Participant(_) => {}
        }
        if ends {
            let ended = Change::CallEnded {
                sid: call,
                status: CallStatus::Completed,
                at: Timestamp(1),
                duration_s: Some(0),
                ring_duration_s: None,
                reason: None,
                hangup_by: None,
                sip_status: None,
                sip_reason: None,
            };
            self.store.commit(vec![ended]).await.unwrap();
        }
        Ok(Changed::Call)
    }

    async fn change_conference_recording(
        &self,
        conference: ConferenceSid,
        change: RecordingChange,
    ) -> Result<Changed, ModifyError> {
        let of_conference = RecordingSid::from_bytes([*conference.as_bytes().last().unwrap(); 16]);
        let sid = change.recording.unwrap_or(of_conference);
        self.change_recording(sid, change.turn).await
    }
}

impl TestEngine {
    /// A recording of a call begins, with an identifier that is always the same.
    async fn record(&self, call: CallSid, channels: u8) -> Changed {
        let sid = RecordingSid::from_bytes([0x77; 16]);
        let account = self.store.call(call).await.unwrap().unwrap().account;
        let started = StartedRecording {
            sid,
            account,
            call: Some(call),
            conference: None,
            kind: RecordingKind {
                source: RecordingSource::StartCallRecordingApi,
                channels,
            },
            created: Timestamp(1_377_000_000_000_000),
        };
        let farewell = None;
        let change = Change::RecordingStarted { started, farewell };
        self.store.commit(vec![change]).await.unwrap();
        Changed::Recording(sid)
    }

    /// Refuses a second pause, as an engine would.
    async fn change_recording(
        &self,
        sid: RecordingSid,
        turn: Turn,
    ) -> Result<Changed, ModifyError> {
        let status = match turn {
            Turn::Pause(_) => RecordingStatus::Paused,
            Turn::Resume => RecordingStatus::InProgress,
            Turn::Stop => RecordingStatus::Stopped,
        };
        let found = self.store.shown_recording(sid).await.unwrap();
        let refusal = match found.map(|found| found.status) {
            None => Some(RecordingRefusal::NothingToChange),
            Some(before) if before == status => Some(RecordingRefusal::AlreadyPaused),
            Some(_) => None,
        };
        if let Some(refusal) = refusal {
            return Err(ModifyError::Recording(refusal));
        }
        let at = Timestamp(1_377_000_060_000_000);
        let change = Change::RecordingChanged { sid, status, at };
        self.store.commit(vec![change]).await.unwrap();
        Ok(Changed::Recording(sid))
    }
}

/// Its trunks are the gateways, which all refuse its registration.
#[async_trait]
impl Trunks for TestEngine {
    async fn refresh(&self) {
        let mut gateways = self.store.gateways().await.unwrap().into_iter();
        let on_fallback = self.store.is_on_fallback().await.unwrap();
        *self.outbound.lock().unwrap() = Outbound {
            primary: gateways.next().map(|gateway| gateway.proxy),
            fallback: gateways.next().map(|gateway| gateway.proxy),
            on_fallback,
        };
    }

    fn outbound(&self) -> Outbound {
        self.outbound.lock().unwrap().clone()
    }

    fn registration(&self, _gateway: GatewaySid) -> Option<Registration> {
        Some(Registration::Refused(403))
    }
}

impl Monitor for TestEngine {
    fn figures(&self) -> Figures {
        *self.figures.lock().unwrap()
    }
}

#[async_trait]
impl Messages for TestEngine {
    async fn send(&self, new: NewMessage) -> Result<Message, SendError> {
        if new.to == "busy" || self.is_busy.load(Ordering::Relaxed) {
            return Err(SendError::Busy);
        }
        let sid = MessageSid::from_bytes([0x55; 16]);
        let message = Message {
            call: None,
            from: new.from.clone(),
            to: new.to.clone(),
            body: new.body.clone(),
            direction: MessageDirection::OutboundApi,
            ..testkit::records::message(sid, self.store.instance(), new.account, call_sid(1), now())
        };
        self.messages.lock().unwrap().push(new);
        Ok(message)
    }

    async fn schedule(&self, new: NewMessage, send_at: Timestamp) -> Result<Message, SendError> {
        let sid = MessageSid::new(now(), rand::random());
        let message = Message {
            call: None,
            from: new.from.clone(),
            to: new.to.clone(),
            body: new.body.clone(),
            direction: MessageDirection::OutboundApi,
            status: MessageStatus::Scheduled,
            ..testkit::records::message(sid, self.store.instance(), new.account, call_sid(1), now())
        };
        let changes = vec![
            Change::MessageCreated {
                message: Box::new(message.clone()),
                farewell: None,
            },
            Change::MessagePlanned {
                sid,
                send_at,
                plan: "{}".to_owned(),
            },
        ];
        self.store.commit(changes).await.unwrap();
        self.messages.lock().unwrap().push(new);
        Ok(message)
    }

    async fn cancel(&self, sid: MessageSid) -> Result<bool, SendError> {
        let Some(found) = self.store.scheduled_message(sid).await.unwrap() else {
            return Ok(false);
        };
        let change = Change::MessageMoved {
            message: Box::new(Message {
                status: MessageStatus::Canceled,
                ..found.message
            }),
            expected: MessageStatus::Scheduled,
            attempt: None,
            tells: None,
        };
        Ok(self.store.commit(vec![change]).await.unwrap().applied(0))
    }

    /// The signature is the body.
    async fn check_provider(
        &self,
        route: MessageRouteSid,
        post: &ProviderPost,
    ) -> Result<AccountSid, ProviderRefusal> {
        let found = self.store.message_route(route).await.unwrap();
        let found = found.ok_or(ProviderRefusal::NoRoute)?;
        if post.signature == post.body {
            Ok(found.account)
        } else {
            Err(ProviderRefusal::NotSigned("it is wrong"))
        }
    }

    async fn provider_posted(
        &self,
        _: MessageRouteSid,
        body: &str,
    ) -> Result<MessageSid, ProviderRefusal> {
        match body {
            "odd" => Err(ProviderRefusal::NotUnderstood("odd".to_owned())),
            "lost" => Err(ProviderRefusal::NoMessage),
            "vain" => Err(ProviderRefusal::NoApplication("vain".to_owned())),
            "busy" => Err(ProviderRefusal::Busy),
            _ => Ok(MessageSid::from_bytes([0x55; 16])),
        }
    }

    fn route_health(&self, _: MessageRouteSid) -> RouteHealth {
        RouteHealth {
            is_up: true,
            submitted: 3,
            ..RouteHealth::default()
        }
    }

    async fn send_and_watch(
        &self,
        new: NewMessage,
    ) -> Result<(Message, MessageOutcome), SendError> {
        let message = self.send(new).await?;
        let (over, outcome) = oneshot::channel();
        self.outcomes.lock().unwrap().push(over);
        Ok((message, outcome))
    }
}

impl Server {
    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    pub(crate) async fn keep(&self, calls: Vec<CallRecord>) {
        let changes = calls
            .into_iter()
            .map(|call| Change::CallCreated(Box::new(call)))
            .collect();
        self.store.commit(changes).await.unwrap();
    }
}

/// A queued call, the `n`th of the test.
pub(crate) fn call(n: u32, account: AccountSid) -> CallRecord {
    let at = Timestamp(1_377_000_000_000_000 + i64::from(n) * 1_000_000);
    let instance = InstanceSid::from_bytes([1; 16]);
    testkit::records::call(call_sid(n), instance, account, at)
}

pub(crate) fn call_sid(n: u32) -> CallSid {
    let mut bytes = [0xca; 16];
    bytes[12..].copy_from_slice(&n.to_be_bytes());
    CallSid::from_bytes(bytes)
}

pub(crate) fn account_sid(name: &str) -> AccountSid {
    AccountSid::from_bytes(sixteen(name))
}

/// The credentials of an account created by [`Server::account`].
pub(crate) fn of(name: &str) -> Credentials {
    (account_sid(name).to_string(), format!("token-{name}"))
}

fn sixteen(name: &str) -> [u8; 16] {
    let mut bytes = [0; 16];
    for (byte, letter) in bytes.iter_mut().zip(name.bytes()) {
        *byte = letter;
    }
    bytes
}

pub(crate) fn now() -> Timestamp {
    let since_1970 = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    Timestamp::from_unix(since_1970)
}
