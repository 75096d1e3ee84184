//! Rows and shorthands for the cases.

use std::collections::BTreeMap;

use model::HangupBy;
use model::record::{
    Account, Application, CallRecord, Callback, Client, Notification, Number, Organization,
    Recording, RecordingKind, VoiceApplication,
};
use model::{
    AccountSid, AccountStatus, ApplicationSid, CallSid, CallStatus, ClientSid, DialectName,
    EventSid, HttpMethod, Lane, NotificationSid, NumberSid, OrganizationSid, OrganizationStatus,
    RecordingSid, Timestamp,
};
use store::credentials::{ha1_md5, ha1_sha256};
use store::{Change, PendingCallback, Store};

// Values for the cases; `n` distinguishes them.

pub(super) fn bytes(n: u32) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..4].copy_from_slice(&n.to_be_bytes());
    bytes
}

pub(crate) fn account_sid(n: u32) -> AccountSid {
    AccountSid::from_bytes(bytes(n))
}
pub(super) fn application_sid(n: u32) -> ApplicationSid {
    ApplicationSid::from_bytes(bytes(n))
}
pub(super) fn call_sid(n: u32) -> CallSid {
    CallSid::from_bytes(bytes(n))
}
pub(super) fn client_sid(n: u32) -> ClientSid {
    ClientSid::from_bytes(bytes(n))
}
pub(super) fn number_sid(n: u32) -> NumberSid {
    NumberSid::from_bytes(bytes(n))
}

pub(super) fn now() -> Timestamp {
    let since_1970 = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    Timestamp::from_unix(since_1970)
}

pub(super) async fn commit(store: &Store, changes: Vec<Change>) {
    store.commit(changes).await.unwrap();
}

/// Claims and reads, in small pages, everything that a server must deliver.
pub(super) async fn undelivered(store: &Store, now: Timestamp) -> Vec<PendingCallback> {
    store.adopt_callbacks(now).await.unwrap();
    let mut all: Vec<PendingCallback> = Vec::new();
    loop {
        let after = all.last().map(|row| {
            let callback = &row.callback;
            (callback.lane, callback.sequence, callback.event)
        });
        let page = store.undelivered_callbacks(after, 2).await.unwrap();
        let is_last = page.len() < 2;
        all.extend(page);
        if is_last {
            let count = store.undelivered_count().await.unwrap();
            assert_eq!(count, all.len() as i64);
            return all;
        }
    }
}

pub(crate) async fn organization(store: &Store, n: u32, domain: &str) -> OrganizationSid {
    let sid = OrganizationSid::from_bytes(bytes(n));
    let organization = Organization {
        sid,
        domain_name: domain.to_owned(),
        status: OrganizationStatus::Active,
        created: Timestamp(i64::from(n)),
        updated: Timestamp(i64::from(n)),
    };
    store.insert_organization(organization).await.unwrap();
    sid
}

pub(crate) async fn insert_account(
    store: &Store,
    n: u32,
    parent: Option<u32>,
    organization: OrganizationSid,
) {
    let account = new_account(n, parent, organization);
    store.insert_account(account, None).await.unwrap();
}

pub(super) fn new_account(n: u32, parent: Option<u32>, organization: OrganizationSid) -> Account {
    Account {
        sid: account_sid(n),
        organization,
        parent: parent.map(account_sid),
        friendly_name: format!("account {n}"),
        email: format!("a{n}@example.org"),
        status: AccountStatus::Active,
        role: "Administrator".to_owned(),
        password_hash: None,
        auth_token: format!("token-{n}"),
        secondary_token: None,
        is_test: false,
        created: Timestamp(i64::from(n)),
        updated: Timestamp(i64::from(n)),
    }
}

pub(crate) fn call(store: &Store, account: AccountSid, n: u32) -> CallRecord {
    let created = Timestamp(i64::from(n));
    CallRecord {
        from: "+15551234567".to_owned(),
        number: Some(number_sid(1)),
        caller_name: Some("Ann \"A\"".to_owned()),
        ..testkit::records::call(call_sid(n), store.instance(), account, created)
    }
}

pub(super) fn ended(sid: CallSid, at: i64) -> Change {
    Change::CallEnded {
        sid,
        status: CallStatus::Completed,
        at: Timestamp(at),
        duration_s: Some(if at == 2_000 { 9 } else { 7 }),
        ring_duration_s: None,
        reason: Some("caller-hung-up".to_owned()),
        hangup_by: Some(HangupBy::Caller),
        sip_status: Some(200),
        sip_reason: Some("Q.850;cause=16".to_owned()),
    }
}

pub(super) fn callback(lane: impl Into<Lane>, sequence: i64) -> Callback {
    let lane = lane.into();
    let mut event = *lane.as_bytes();
    event[15] = u8::try_from(sequence).unwrap();
    Callback {
        event: EventSid::from_bytes(event),
        account: account_sid(1),
        author: account_sid(2),
        lane,
        call: lane.call(),
        sequence,
        url: "http://127.0.0.1/cb".to_owned(),
        method: HttpMethod::Post,
        params: vec![
            ("A".to_owned(), "1".to_owned()),
            ("A".to_owned(), "é\"".to_owned()),
        ],
        created: Timestamp(1),
    }
}

pub(super) fn recording(n: u32, call: CallSid, duration_ms: i64) -> Recording {
    Recording {
        sid: RecordingSid::from_bytes(bytes(n)),
        account: account_sid(1),
        call: Some(call),
        conference: None,
        kind: RecordingKind::default(),
        duration_ms,
        size_bytes: 44,
        created: Timestamp(i64::from(n)),
        updated: Timestamp(i64::from(n)),
    }
}

pub(crate) fn notification(n: u32, text: &str) -> Notification {
    Notification {
        sid: NotificationSid::from_bytes(bytes(n)),
        account: account_sid(1),
        lane: call_sid(1).into(),
        call: Some(call_sid(1)),
        level: 1,
        code: 12_100,
        text: text.to_owned(),
        request_url: Some("http://a/1".to_owned()),
        request_method: Some("POST".to_owned()),
        line: Some(3),
        column: None,
        created: Timestamp(i64::from(n)),
    }
}

pub(super) fn application(n: u32) -> Application {
    Application {
        sid: application_sid(n),
        account: account_sid(1),
        friendly_name: "受付".to_owned(),
        api_version: "2012-04-24".to_owned(),
        voice_caller_id_lookup: true,
        rcml_url: Some(String::new()),
        method: Some(HttpMethod::Get),
        fallback_url: Some("http://a/f".to_owned()),
        fallback_method: Some(HttpMethod::Post),
        status_callback: Some("http://a/s".to_owned()),
        status_callback_method: None,
        dialect: DialectName::Twilio,
        kind: None,
        extra: [("SmsUrl".to_owned(), "http://a/m".to_owned())].into(),
        created: Timestamp(1),
        updated: Timestamp(2),
    }
}

pub(super) fn client(n: u32, organization: OrganizationSid, login: &str) -> Client {
    Client {
        sid: client_sid(n),
        account: account_sid(1),
        organization,
        friendly_name: login.to_owned(),
        login: login.to_owned(),
        ha1_md5: ha1_md5(login, "one.example", "secret"),
        ha1_sha256: ha1_sha256(login, "one.example", "secret"),
        enabled: true,
        push: false,
        voice: VoiceApplication {
            url: Some("http://127.0.0.1/doc.xml".to_owned()),
            method: Some(HttpMethod::Get),
            dialect: DialectName::Twilio,
            ..VoiceApplication::default()
        },
        created: Timestamp(i64::from(n)),
        updated: Timestamp(i64::from(n)),
    }
}

pub(crate) fn number(n: u32, organization: OrganizationSid, text: &str) -> Number {
    Number {
        sid: number_sid(n),
        account: account_sid(1),
        organization,
        friendly_name: text.to_owned(),
        phone_number: text.to_owned(),
        pure_sip: true,
        public: false,
        voice: VoiceApplication::default(),
        status_callback: None,
        status_callback_method: None,
        voice_caller_id_lookup: false,
        extra: BTreeMap::new(),
        created: Timestamp(i64::from(n)),
        updated: Timestamp(i64::from(n)),
    }
}
