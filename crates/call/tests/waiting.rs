//! Phones of a client are notified when its voice messages have changed.

#![allow(clippy::unwrap_used, reason = "a step that fails fails the test")]

#[expect(dead_code, reason = "no calls are placed here")]
mod support;

use std::sync::Arc;

use model::record::{Client, VoiceApplication};
use model::{AccountSid, ClientSid, OrganizationSid, Timestamp};
use sip::Sip;
use sip_proto::digest;
use sip_proto::message::{Message, Method, Request, Response};
use sip_proto::parse::parse_bytes;
use speech::{SpeakRequest, SpeechError, Synthesizer, Voice};
use store::credentials::{ha1_md5, ha1_sha256};
use store::{SecretKey, Store};
use support::{SOON, server};
use tokio::net::UdpSocket;

/// Speech that no call here needs.
struct Silent;

#[async_trait::async_trait]
impl Synthesizer for Silent {
    async fn speak(&self, _: SpeakRequest) -> Result<Arc<[i16]>, SpeechError> {
        panic!("no document speaks");
    }

    fn substitution(&self, _: &str, _: Voice) -> Option<String> {
        None
    }
}

/// A phone on a socket of its own.
struct Phone {
    socket: UdpSocket,
    digest: digest::Client,
}

impl Phone {
    async fn register(server: &Sip, password: &str) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        socket.connect(server.local().udp).await.unwrap();
        let secret = digest::Secret::Password(password.to_owned());
        let digest = digest::Client::new("kim", secret);
        let mut phone = Self { socket, digest };
        let challenge = phone.ask(1).await;
        phone.digest.learn(&challenge).unwrap();
        let response = phone.ask(2).await;
        assert_eq!(response.status.0, 200);
        phone
    }

    async fn ask(&mut self, seq: u32) -> Response {
        let (uri, own) = ("sip:example.com", self.socket.local_addr().unwrap());
        let mut text = format!(
            "REGISTER {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bK{seq}\r\nMax-Forwards: 70\r\n\
             From: <sip:kim@example.com>;tag=1\r\nTo: <sip:kim@example.com>\r\n\
             Call-ID: {own}\r\nCSeq: {seq} REGISTER\r\nContact: <sip:kim@{own}>\r\n"
        );
        for (name, value) in self.digest.authorize(&Method::Register, uri, "cnonce") {
            text += &format!("{name}: {value}\r\n");
        }
        text += "Content-Length: 0\r\n\r\n";
        self.socket.send(text.as_bytes()).await.unwrap();
        loop {
            if let Message::Response(response) = self.receive().await {
                return response;
            }
        }
    }

    async fn receive(&self) -> Message {
        let mut datagram = vec![0; 4096];
        let received = tokio::time::timeout(SOON, self.socket.recv(&mut datagram)).await;
        datagram.truncate(received.unwrap().unwrap());
        parse_bytes(datagram.into()).unwrap()
    }

    /// Waits until it is notified of these counts, and confirms that.
    async fn is_notified_of(&self, counts: &str) {
        loop {
            let Message::Request(request) = self.receive().await else {
                continue;
            };
            if request.method == Method::Notify && self.confirm(&request).await.contains(counts) {
                return;
            }
        }
    }

    async fn confirm(&self, request: &Request) -> String {
        let confirmed = Response::for_request(request, 200).to_bytes();
        self.socket.send(&confirmed).await.unwrap();
        String::from_utf8(request.body.to_vec()).unwrap()
    }
}

async fn client(store: &Store, account: AccountSid, organization: OrganizationSid) {
    let client = Client {
        sid: ClientSid::from_bytes([7; 16]),
        account,
        organization,
        friendly_name: "kim".to_owned(),
        login: "kim".to_owned(),
        ha1_md5: ha1_md5("kim", "example.com", "secret"),
        ha1_sha256: ha1_sha256("kim", "example.com", "secret"),
        enabled: true,
        push: false,
        voice: VoiceApplication::default(),
        created: Timestamp(1),
        updated: Timestamp(1),
    };
    store.insert_client(client).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reported_change_reaches_the_phone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("p.db");
    let url = format!("sqlite:{}", file.display());
    let store = Store::open(&url, SecretKey::random()).await.unwrap();
    let document = "<Response><Hangup/></Response>";
    let (engine, sip) = server(&folder, &store, Arc::new(Silent), document).await;
    let administrator = store.account_of_email("administrator@company.com").await;
    let administrator = administrator.unwrap().unwrap();
    let account = administrator.sid;
    client(&store, account, administrator.organization).await;
    let phone = Phone::register(&sip, "secret").await;
    let add = |sid: &str, state: &str| {
        let database = rusqlite::Connection::open(&file).unwrap();
        let statement = format!(
            "INSERT INTO voicemail_boxes (sid, account, name, client, settings, created, updated)
             VALUES ('B', '{account}', 'B', 'kim', '{{}}', 0, 0) ON CONFLICT DO NOTHING;
             INSERT INTO voicemail_messages (sid, account, mailbox, state, source, target, reason, ready, duration_s,
             to_transcribe, delete_after_mail, created, updated)
             VALUES ('{sid}', '{account}', 'B', '{state}', '', '', 'direct', 1, 1, 0, 0, 0, 0);"
        );
        database.execute_batch(&statement).unwrap();
    };
    add("M1", "new");
    engine.messages_waiting(account, "kim").await;
    phone.is_notified_of("Voice-Message: 1/0 (0/0)").await;
    add("M2", "heard");
    engine.messages_waiting(account, "kim").await;
    phone.is_notified_of("Voice-Message: 1/1 (0/0)").await;
}
