//! Two organizations on one server, with real phones.

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::any;
use model::record::{Account, Application, Client, Number, Organization, VoiceApplication};
use model::{
    AccountSid, AccountStatus, ApplicationSid, ClientSid, DialectName, NumberSid, Timestamp,
};
use phone::{CallEvent, Phone, PhoneConfig, PhoneError, WhenCalled};
use store::credentials::{ha1_md5, ha1_sha256};
use store::{ConferenceFilter, ParticipantFilter, Scope};

use super::super::{self as serve, Running};
use super::*;
use crate::config::{self, Flags};
use crate::shutdown::Stage;

const PASSWORD: &str = "RestComm12";
const DOCUMENT: &str = "<Response><Dial><Conference>room</Conference></Dial></Response>";
const PATIENCE: Duration = Duration::from_secs(10);
const AT: Timestamp = Timestamp(1);

/// The address of a document on this machine.
async fn application() -> String {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
        .await
        .unwrap();
    let address = listener.local_addr().unwrap();
    let answer = || async { ([(CONTENT_TYPE, "text/xml")], DOCUMENT) };
    let router = Router::new().route("/", any(answer));
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}/")
}

/// Adds organization `n`, with an account that has these clients.
async fn organization(server: &Running, n: u8, domain: &str, logins: &[&str]) -> AccountSid {
    let store = &server.store;
    let (sid, account) = (
        OrganizationSid::from_bytes([n; 16]),
        AccountSid::from_bytes([n; 16]),
    );
    let organization = Organization {
        sid,
        domain_name: domain.to_owned(),
        status: OrganizationStatus::Active,
        created: AT,
        updated: AT,
    };
    store.insert_organization(organization).await.unwrap();
    let row = Account {
        sid: account,
        organization: sid,
        parent: Some(server.administrator.sid),
        friendly_name: domain.to_owned(),
        email: format!("a@{domain}"),
        status: AccountStatus::Active,
        role: "Administrator".to_owned(),
        password_hash: None,
        auth_token: format!("token-{n}"),
        secondary_token: None,
        is_test: false,
        created: AT,
        updated: AT,
    };
    store.insert_account(row, None).await.unwrap();
    for (at, login) in (1..).zip(logins) {
        let mut bytes = [n; 16];
        bytes[15] = at;
        let client = Client {
            sid: ClientSid::from_bytes(bytes),
            account,
            organization: sid,
            friendly_name: (*login).to_owned(),
            login: (*login).to_owned(),
            ha1_md5: ha1_md5(login, domain, PASSWORD),
            ha1_sha256: ha1_sha256(login, domain, PASSWORD),
            enabled: true,
            push: false,
            voice: VoiceApplication::default(),
            created: AT,
            updated: AT,
        };
        store.insert_client(client).await.unwrap();
    }
    account
}

/// Gives an account the number 1111, which leads into a conference.
async fn conference_number(server: &Running, account: AccountSid) {
    // Its own document could not be on this machine: only those of the first account may.
    let application = Application {
        sid: ApplicationSid::from_bytes([1; 16]),
        account: server.administrator.sid,
        friendly_name: "room".to_owned(),
        api_version: String::new(),
        voice_caller_id_lookup: false,
        rcml_url: Some(application().await),
        method: None,
        fallback_url: None,
        fallback_method: None,
        status_callback: None,
        status_callback_method: None,
        dialect: DialectName::default(),
        kind: None,
        extra: std::collections::BTreeMap::new(),
        created: AT,
        updated: AT,
    };
    let number = Number {
        sid: NumberSid::from_bytes([1; 16]),
        account,
        organization: OrganizationSid::from_bytes(*account.as_bytes()),
        friendly_name: "1111".to_owned(),
        phone_number: "1111".to_owned(),
        pure_sip: true,
        public: false,
        voice: VoiceApplication {
            application: Some(application.sid),
            ..VoiceApplication::default()
        },
        status_callback: None,
        status_callback_method: None,
        voice_caller_id_lookup: false,
        extra: std::collections::BTreeMap::new(),
        created: AT,
        updated: AT,
    };
    server.store.insert_application(application).await.unwrap();
    server.store.insert_number(number).await.unwrap();
}

/// A registered phone. The server learns of a new organization within seconds.
async fn phone(server: &Running, login: &str, domain: &str) -> Phone {
    let config = PhoneConfig {
        when_called: WhenCalled::Ring,
        ..PhoneConfig::new(login, PASSWORD, domain, server.sip.udp)
    };
    let phone = Phone::start(config).await.unwrap();
    let registered = async {
        loop {
            match phone.register(Duration::from_secs(300)).await {
                Ok(_) => return,
                Err(PhoneError::NotRegistered(status)) => {
                    assert!(matches!(status, 403 | 404), "{status}")
                }
                Err(other) => panic!("{other}"),
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    tokio::time::timeout(PATIENCE, registered).await.unwrap();
    phone
}

/// The status with which a call is refused.
async fn refused(by: &Phone, target: &str) -> u16 {
    let call = by.call(target).await.unwrap();
    match tokio::time::timeout(PATIENCE, call.over()).await.unwrap() {
        CallEvent::Refused { status, .. } => status,
        other => panic!("{target}: {other:?}"),
    }
}

/// Case 177 of the list in docs/conformance/rcml.md.
#[tokio::test(flavor = "multi_thread")]
async fn organizations_share_a_server_and_not_their_names() {
    let data = tempfile::tempdir().unwrap();
    let free = Some("127.0.0.1:0".to_owned());
    let flags = Flags {
        file: None,
        data: Some(data.path().display().to_string()),
        http: free.clone(),
        sip: free.clone(),
        metrics: free,
        dev: None,
    };
    let config = config::load(&flags, []).unwrap();
    let (_stages, watching) = watch::channel(Stage::Running);
    let server = serve::start(config, watching).await.unwrap();
    let two = organization(&server, 2, "two.example", &["kim", "bob"]).await;
    organization(&server, 3, "three.example", &["kim", "eve"]).await;
    conference_number(&server, two).await;

    let [kim, bob] = [
        phone(&server, "kim", "two.example").await,
        phone(&server, "bob", "two.example").await,
    ];
    let [other_kim, eve] = [
        phone(&server, "kim", "three.example").await,
        phone(&server, "eve", "three.example").await,
    ];
    // The same login is another client in each.
    for (by, called, other) in [(&bob, &kim, &other_kim), (&eve, &other_kim, &kim)] {
        let call = by.call("kim").await.unwrap();
        tokio::time::timeout(PATIENCE, called.incoming())
            .await
            .unwrap()
            .unwrap();
        call.hang_up();
        call.over().await;
        let rang = tokio::time::timeout(Duration::from_millis(100), other.incoming()).await;
        assert!(rang.is_err(), "the wrong phone rang");
    }
    // Clients of different organizations never reach each other, and extensions belong to one.
    for (by, target) in [
        (&eve, "bob"),
        (&eve, "sip:bob@two.example"),
        (&bob, "sip:eve@three.example"),
        (&eve, "1111"),
        (&kim, "sip:1111@three.example"),
    ] {
        assert_eq!(refused(by, target).await, 404, "{target}");
    }
    // The number of one is reached from the other by its domain: both are in the same room.
    let inside = [
        kim.call("1111").await.unwrap(),
        eve.call("sip:1111@two.example").await.unwrap(),
    ];
    for call in &inside {
        tokio::time::timeout(PATIENCE, call.answered())
            .await
            .unwrap()
            .unwrap();
    }
    let members = async {
        loop {
            let scope = Scope::Own(server.administrator.sid);
            let rooms = server.store.conferences(&ConferenceFilter::of(scope)).await;
            let rooms = rooms.unwrap().items;
            if let [room] = &rooms[..] {
                let filter = ParticipantFilter::of(room.sid);
                let members = server.store.participants(&filter).await.unwrap();
                if members.items.len() == 2 {
                    return;
                }
            }
            assert!(rooms.len() < 2, "two rooms");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, members).await.unwrap();
    for call in inside {
        call.hang_up();
        call.over().await;
    }
    server.stop().await;
}
