//! Text messages that arrive by SIP, at a server with real sockets: each sender, recipient and body.
//!
//! The phones are UDP sockets that speak `sip_proto`; the application answers what its pages say.

#![allow(clippy::unwrap_used, reason = "a step that fails fails the test")]

#[allow(dead_code, reason = "the support serves two test programs")]
mod support;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use call::{ArrivalError, Engine, InboundText};
use call_proto::{Dialect, NewMessage};
use model::message_route::{HttpSettings, MessageRoute, OnDoubt, RouteSettings};
use model::opt_out::{HELP_REPLY, OptOutSettings, START_REPLY, STOP_REPLY};
use model::record::{Client, Message};
use model::{
    AccountSid, AccountStatus, ClientSid, MessageDirection, MessageRouteSid, MessageStatus,
    Timestamp,
};
use sip::{Sip, Trunk};
use sip_proto::digest::{Client as Digest, Secret, ha1_md5, ha1_sha256};
use sip_proto::message::{Method, Request, Response};
use sip_proto::parse::parse_bytes;
use speech::{SpeakRequest, SpeechError, Synthesizer, Voice};
use store::{MessageFilter, NotificationFilter, OptOutFilter, Scope, SecretKey, Store, Window};
use support::{SOON, server_for};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, UdpSocket};

const DOMAIN: &str = "example.com";
const PASSWORD: &str = "good-Secret-1";

struct Silent;

#[async_trait::async_trait]
impl Synthesizer for Silent {
    async fn speak(&self, _: SpeakRequest) -> Result<Arc<[i16]>, SpeechError> {
        Ok(Arc::new([]))
    }

    fn substitution(&self, _: &str, _: Voice) -> Option<String> {
        None
    }
}

/// An application: what it answers by path, and what it was asked.
#[derive(Clone, Default)]
struct App {
    pages: Arc<Mutex<BTreeMap<String, String>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl App {
    /// A page that refuses the request.
    fn fails(&self, path: &str, body: &str) {
        let length = body.len();
        let page = format!(
            "HTTP/1.1 400 No\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        );
        self.pages.lock().unwrap().insert(path.to_owned(), page);
    }

    /// A page with the rest of its header and its body; without one, 500.
    fn on(&self, path: &str, header: &str, body: &str) {
        let page = format!(
            "HTTP/1.1 200 OK\r\n{header}Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
        self.pages.lock().unwrap().insert(path.to_owned(), page);
    }

    fn document(&self, path: &str, verbs: &str) {
        let body = format!("<Response>{verbs}</Response>");
        self.on(path, "Content-Type: text/xml\r\n", &body);
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    async fn serve(&self) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = self.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let app = app.clone();
                tokio::spawn(async move {
                    let mut request = Vec::new();
                    let mut part = [0; 8192];
                    while !is_whole(&request) {
                        match stream.read(&mut part).await {
                            Ok(0) | Err(_) => return,
                            Ok(length) => request.extend_from_slice(&part[..length]),
                        }
                    }
                    let text = String::from_utf8(request).unwrap();
                    let path = text.split([' ', '?']).nth(1).unwrap().to_owned();
                    let body = text.split("\r\n\r\n").nth(1).unwrap_or_default();
                    app.asked.lock().unwrap().push(format!("{path} {body}"));
                    let failed = "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n".to_owned();
                    let page = app.pages.lock().unwrap().get(&path).cloned();
                    let _ = stream.write_all(page.unwrap_or(failed).as_bytes()).await;
                });
            }
        });
        address
    }
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let is_length = name.eq_ignore_ascii_case("content-length");
        is_length.then(|| value.trim().parse().unwrap_or(0))
    });
    body.len() >= length.unwrap_or(0)
}

/// A phone of a client, or a peer without one.
struct Phone {
    socket: UdpSocket,
    server: SocketAddr,
    login: String,
    digest: Digest,
    requests: u32,
}

impl Phone {
    async fn new(world: &World, login: &str) -> Self {
        Self {
            socket: UdpSocket::bind("127.0.0.1:0").await.unwrap(),
            server: world.sip.local().udp,
            login: login.to_owned(),
            digest: Digest::new(login, Secret::Password(PASSWORD.to_owned())),
            requests: 0,
        }
    }

    async fn registered(world: &World, login: &str) -> Self {
        let mut phone = Self::new(world, login).await;
        let (uri, contact) = (format!("sip:{DOMAIN}"), phone.socket.local_addr().unwrap());
        let contact = format!("Contact: <sip:{login}@{contact}>\r\n");
        let answers = phone.ask("REGISTER", &uri, login, &contact, "", true).await;
        assert_eq!(answers, [401, 200]);
        phone
    }

    /// Sends a text; the statuses of the responses, those before the credentials included.
    async fn text(&mut self, to: &str, body: &str) -> Vec<u16> {
        self.text_as("text/plain", "", to, body).await
    }

    async fn text_as(&mut self, kind: &str, more: &str, to: &str, body: &str) -> Vec<u16> {
        let uri = format!("sip:{to}@{DOMAIN}");
        let more = format!("Content-Type: {kind}\r\n{more}");
        self.ask("MESSAGE", &uri, to, &more, body, true).await
    }

    async fn ask(
        &mut self,
        method: &str,
        uri: &str,
        to: &str,
        more: &str,
        body: &str,
        proves: bool,
    ) -> Vec<u16> {
        let mut statuses = Vec::new();
        let mut credentials = String::new();
        self.digest.begin();
        loop {
            self.requests += 1;
            let (n, login) = (self.requests, &self.login);
            let local = self.socket.local_addr().unwrap();
            let request = format!(
                "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bK{login}{n}\r\n\
                 From: <sip:{login}@{DOMAIN}>;tag=a\r\nTo: <sip:{to}@{DOMAIN}>\r\n\
                 Call-ID: {login}{local}{method}{n}\r\nCSeq: {n} {method}\r\nMax-Forwards: 70\r\n\
                 {credentials}{more}Content-Length: {}\r\n\r\n{body}",
                body.len()
            );
            self.socket
                .send_to(request.as_bytes(), self.server)
                .await
                .unwrap();
            let response = loop {
                let response = self.response().await;
                statuses.push(response.status.0);
                if response.status.0 >= 200 {
                    break response;
                }
            };
            if !proves || !matches!(response.status.0, 401 | 407) {
                return statuses;
            }
            if self.digest.learn(&response).is_err() {
                return statuses;
            }
            let method = Method::parse(method).unwrap();
            let headers = self.digest.authorize(&method, uri, "cnonce");
            credentials = headers
                .iter()
                .map(|(name, value)| format!("{}: {value}\r\n", name.as_str()))
                .collect();
        }
    }

    async fn response(&mut self) -> Response {
        match self.receive().await {
            sip_proto::message::Message::Response(response) => response,
            sip_proto::message::Message::Request(request) => panic!("{request:?}"),
        }
    }

    /// Takes the next text, and answers it.
    async fn next(&mut self, status: u16) -> Request {
        let request = loop {
            match self.receive().await {
                sip_proto::message::Message::Request(request)
                    if request.method == Method::Message =>
                {
                    break request;
                }
                sip_proto::message::Message::Request(request) => self.answer(&request, 200).await,
                sip_proto::message::Message::Response(response) => panic!("{response:?}"),
            }
        };
        self.answer(&request, status).await;
        request
    }

    async fn answer(&self, request: &Request, status: u16) {
        let mut response = Response::for_request(request, status);
        response.set_to_tag("b");
        let bytes = response.to_bytes();
        self.socket.send_to(&bytes, self.server).await.unwrap();
    }

    async fn receive(&self) -> sip_proto::message::Message {
        let mut datagram = vec![0; 65_536];
        let received = self.socket.recv(&mut datagram);
        let length = tokio::time::timeout(SOON, received).await.unwrap().unwrap();
        parse_bytes(Bytes::copy_from_slice(&datagram[..length])).unwrap()
    }
}

fn body(request: &Request) -> String {
    String::from_utf8(request.body.to_vec()).unwrap()
}

struct World {
    engine: Engine,
    sip: Sip,
    store: Store,
    app: App,
    account: AccountSid,
    app_address: SocketAddr,
    gateway: UdpSocket,
    _folder: tempfile::TempDir,
}

impl World {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("p.db").display());
        let store = Store::open(&url, SecretKey::random()).await.unwrap();
        let app = App::default();
        let address = app.serve().await;
        let gateway = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let trunk = Trunk {
            name: "gateway".to_owned(),
            uri: gateway.local_addr().unwrap().to_string(),
            username: None,
            password: None,
            addresses: Vec::new(),
        };
        let silent = Arc::new(Silent);
        let (engine, sip) = server_for(&folder, &store, silent, address, vec![trunk]).await;
        let administrator = store.account_of_email("administrator@company.com").await;
        let world = Self {
            account: administrator.unwrap().unwrap().sid,
            engine,
            sip,
            store,
            app,
            app_address: address,
            gateway,
            _folder: folder,
        };
        for (n, login) in ["kim", "ann", "eve"].into_iter().enumerate() {
            world.client(n, login).await;
        }
        world
    }

    async fn client(&self, n: usize, login: &str) {
        let organization = self
            .store
            .default_organization()
            .await
            .unwrap()
            .unwrap()
            .sid;
        let client = Client {
            sid: ClientSid::from_bytes([u8::try_from(n).unwrap() + 1; 16]),
            account: self.account,
            organization,
            friendly_name: login.to_owned(),
            login: login.to_owned(),
            ha1_md5: ha1_md5(login, DOMAIN, PASSWORD),
            ha1_sha256: ha1_sha256(login, DOMAIN, PASSWORD),
            enabled: true,
            push: false,
            voice: model::record::VoiceApplication::default(),
            created: Timestamp(1),
            updated: Timestamp(1),
        };
        self.store.insert_client(client).await.unwrap();
    }

    /// The messages on record once nothing is in transit, oldest first.
    async fn messages(&self) -> Vec<Message> {
        tokio::time::timeout(SOON, self.engine.idle())
            .await
            .unwrap();
        let filter = MessageFilter::of(Scope::Own(self.account));
        let mut found = self.store.messages(&filter).await.unwrap().items;
        found.reverse();
        found
    }

    async fn codes(&self) -> Vec<u16> {
        let filter = NotificationFilter::of(Scope::Own(self.account));
        let found = self.store.notifications(&filter).await.unwrap().items;
        found.iter().map(|told| told.code).collect()
    }
}

/// `direction status from>to: body` of each.
fn lines(messages: &[Message]) -> Vec<String> {
    let line = |message: &Message| {
        let (direction, status) = (message.direction.as_str(), message.status.as_str());
        let (from, to, body) = (&message.from, &message.to, &message.body);
        format!("{direction} {status} {from}>{to}: {body}")
    };
    let mut lines: Vec<String> = messages.iter().map(line).collect();
    lines.sort();
    lines
}

/// Cases 257, 258 and 274: the sender gets 202, the recipient the text, and its answer comes back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_257_a_text_for_an_application_is_passed_on() {
    let world = World::start().await;
    let mut kim = Phone::registered(&world, "kim").await;
    let mut ann = Phone::registered(&world, "ann").await;
    let greek = "Καλημέρα κόσμε ".repeat(20);
    let greek = greek.trim();
    world
        .app
        .document("/m", &format!("<Sms to=\"client:ann\">{greek}</Sms>"));
    assert_eq!(kim.text("1000", "hi").await, [407, 202]);
    let received = ann.next(200).await;
    assert_eq!(body(&received), greek);
    let messages = world.messages().await;
    assert_eq!(
        lines(&messages),
        [
            "inbound received kim>1000: hi".to_owned(),
            format!("outbound-reply sent 1000>client:ann: {greek}"),
        ]
    );
    let asked = world.app.asked();
    assert_eq!(asked.len(), 1);
    assert!(asked[0].contains("From=kim&To=1000&Body=hi"), "{asked:?}");
    // The answer of the recipient goes to whom the application says.
    world.app.document("/m", "<Sms to=\"kim\">thanks</Sms>");
    assert_eq!(ann.text("1000", "welcome").await, [407, 202]);
    assert_eq!(body(&kim.next(200).await), "thanks");
    assert!(
        world
            .store
            .trace(messages[0].sid.into())
            .await
            .unwrap()
            .is_some()
    );
}

/// Cases 27, 259, 260, 261 and 275.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_259_the_document_of_a_text_leads_on() {
    let world = World::start().await;
    let mut kim = Phone::registered(&world, "kim").await;
    world.app.document("/m", "<Redirect>/next</Redirect>");
    let header = "Content-Type: text/html\r\nX-Answer: 42\r\n";
    world.app.on(
        "/next",
        header,
        "<Response><Say>a</Say><Sms>b</Sms></Response>",
    );
    let sent = kim
        .text_as("text/plain", "X-Question: 6x7\r\n", "1000", "hi")
        .await;
    assert_eq!(sent, [407, 202]);
    let reply = kim.next(200).await;
    assert_eq!(body(&reply), "b");
    let answer = reply
        .headers
        .iter()
        .find(|header| header.name.as_str().eq_ignore_ascii_case("X-Answer"));
    assert_eq!(answer.map(|header| &header.value[..]), Some(&b"42"[..]));
    let asked = world.app.asked();
    assert_eq!(asked.len(), 2);
    let carries = |asked: &String| asked.contains("SipHeader_X-Question=6x7");
    assert!(asked.iter().all(carries), "{asked:?}");
    world.messages().await;
    assert_eq!(world.codes().await, [14_110]);
    // A recipient that is not a client is reached through the trunk.
    world.app.document("/m", "<Sms to=\"+1555\">c</Sms>");
    assert_eq!(kim.text("1000", "hi").await.last(), Some(&202));
    assert_eq!(at_gateway(&world, 202).await, "c");
}

/// What the trunk received, answered with this status.
async fn at_gateway(world: &World, status: u16) -> String {
    let mut datagram = vec![0; 65_536];
    let received = world.gateway.recv_from(&mut datagram);
    let (length, from) = tokio::time::timeout(SOON, received).await.unwrap().unwrap();
    let bytes = Bytes::copy_from_slice(&datagram[..length]);
    let Ok(sip_proto::message::Message::Request(request)) = parse_bytes(bytes) else {
        panic!("not a request");
    };
    let mut response = Response::for_request(&request, status);
    response.set_to_tag("g");
    world
        .gateway
        .send_to(&response.to_bytes(), from)
        .await
        .unwrap();
    body(&request)
}

/// Cases 262 to 266.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_263_what_is_not_a_text_is_refused_and_not_stored() {
    let world = World::start().await;
    let mut kim = Phone::new(&world, "kim").await;
    world.app.document("/m", "");
    let table = [
        ("application/im-iscomposing+xml", "<isComposing/>", 406),
        ("text/html", "<p>hi</p>", 406),
        ("text/plain", "", 406),
        ("text/plain;charset=utf-16", "hi", 415),
    ];
    for (kind, text, status) in table {
        let answers = kim.text_as(kind, "", "1000", text).await;
        assert_eq!(answers, [status], "{kind}");
    }
    assert_eq!(world.messages().await, []);
    let charset = "text/plain;charset=UTF-8";
    assert_eq!(kim.text_as(charset, "", "1000", "hi").await, [407, 202]);
    let messages = world.messages().await;
    assert_eq!(lines(&messages), ["inbound received kim>1000: hi"]);
    // A client of an account that is suspended cannot authenticate; nor can one with a wrong password.
    let at = Timestamp(2);
    let store = &world.store;
    store
        .set_account_status(world.account, AccountStatus::Suspended, at)
        .await
        .unwrap();
    assert_eq!(kim.text("1000", "hi").await, [407, 407]);
    let mut thief = Phone::new(&world, "kim").await;
    thief.digest = Digest::new("kim", Secret::Password("wrong".to_owned()));
    assert_eq!(thief.text("1000", "hi").await, [407, 407]);
    let messages = world.messages().await;
    let inbound = messages
        .iter()
        .filter(|one| one.status == MessageStatus::Received);
    assert_eq!(inbound.count(), 1);
}

/// Cases 267 and 268: the sender gets the response of the recipient.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_267_clients_text_each_other_and_the_outside() {
    let world = World::start().await;
    let mut kim = Phone::registered(&world, "kim").await;
    let mut ann = Phone::registered(&world, "ann").await;
    let mut second = Phone::registered(&world, "ann").await;
    let text = "Γειά σου ".repeat(30);
    let text = text.trim();
    let (answers, first, other) =
        tokio::join!(kim.text("ann", text), ann.next(486), second.next(200));
    assert_eq!(answers, [407, 100, 200]);
    assert_eq!(
        (body(&first), body(&other)),
        (text.to_owned(), text.to_owned())
    );
    assert_eq!(kim.text("eve", "hi").await, [407, 404]);
    assert_eq!(
        world.messages().await,
        [],
        "between clients, nothing is stored"
    );
    for status in [202, 404] {
        let (answers, text) = tokio::join!(kim.text("+1555", "hi"), at_gateway(&world, status));
        assert_eq!((answers, &*text), (vec![407, 100, status], "hi"));
    }
    let messages = world.messages().await;
    let expected = [
        "outbound-call failed kim>+1555: hi",
        "outbound-call sent kim>+1555: hi",
    ];
    assert_eq!(lines(&messages), expected);
}

/// A provider's text runs the same application; one for nothing is refused for good.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_of_a_provider_runs_the_application() {
    let world = World::start().await;
    world.app.document("/f", "<Sms to=\"+1999\">sorry</Sms>");
    let text = |to: &str| InboundText {
        sid: None,
        from: "+1999".to_owned(),
        to: to.to_owned(),
        body: "hi".to_owned(),
        via: "link".to_owned(),
        headers: Vec::new(),
    };
    let sid = world.engine.message_arrived(text("1000")).await.unwrap();
    assert_eq!(at_gateway(&world, 202).await, "sorry");
    let messages = world.messages().await;
    assert!(
        messages
            .iter()
            .any(|one| one.sid == sid && one.from == "+1999")
    );
    for to in ["9999", "ann"] {
        let refused = world.engine.message_arrived(text(to)).await;
        assert!(matches!(refused, Err(ArrivalError::Refused(_))), "{to}");
    }
    world.engine.drain();
    assert_eq!(
        world.engine.message_arrived(text("1000")).await,
        Err(ArrivalError::Busy)
    );
}

/// STOP is answered once, stops what documents send, and reaches the application; START undoes it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keywords_begin_and_end_an_opt_out() {
    let world = World::start().await;
    world.app.document("/m", "<Sms to=\"+1999\">more</Sms>");
    let says = async |body: &str| {
        let text = InboundText {
            sid: None,
            from: "+1999".to_owned(),
            to: "1000".to_owned(),
            body: body.to_owned(),
            via: "link".to_owned(),
            headers: Vec::new(),
        };
        world.engine.message_arrived(text).await.unwrap()
    };
    // At a number in Restcomm's dialect, keywords are texts like others unless the account wants it.
    says("STOP").await;
    assert_eq!(at_gateway(&world, 202).await, "more");
    world.messages().await;
    let settings = OptOutSettings {
        keywords: Some(true),
        ..OptOutSettings::default()
    };
    let store = &world.store;
    let at = Timestamp(3);
    store
        .set_opt_out_settings(world.account, &settings, at)
        .await
        .unwrap();
    let stop = says(" stop. ").await;
    assert_eq!(at_gateway(&world, 202).await, STOP_REPLY);
    let failed = |messages: &[Message]| {
        let codes = messages.iter().filter_map(|one| one.error_code);
        codes.collect::<Vec<u16>>()
    };
    assert_eq!(failed(&world.messages().await), [21_610]);
    let filter = OptOutFilter {
        account: world.account,
        number: Some("1000".to_owned()),
        recipient: Some("1999".to_owned()),
        window: Window::at(0, 10),
    };
    let found = store.opt_outs(&filter).await.unwrap().items;
    assert_eq!(found[0].sid.as_bytes(), stop.as_bytes());
    assert_eq!(found[0].keyword.as_deref(), Some("STOP"));
    assert!(
        world
            .app
            .asked()
            .last()
            .unwrap()
            .contains("OptOutType=STOP")
    );
    // The next one changes nothing, and is not answered.
    says("QUIT").await;
    assert_eq!(failed(&world.messages().await), [21_610, 21_610]);
    says("HELP").await;
    assert_eq!(at_gateway(&world, 202).await, HELP_REPLY);
    world.messages().await;
    says("start").await;
    let mut texts = [at_gateway(&world, 202).await, at_gateway(&world, 202).await];
    texts.sort();
    assert_eq!(texts, [START_REPLY, "more"]);
    assert_eq!(
        failed(&world.messages().await),
        [21_610; 3],
        "after STOP, QUIT and HELP"
    );
    assert_eq!(store.opt_outs(&filter).await.unwrap().items, []);
    // YES is a common answer: without an opt-out, it is not a keyword that is answered.
    says("yes").await;
    assert_eq!(at_gateway(&world, 202).await, "more");
    let messages = world.messages().await;
    let replies = messages.iter().filter(|one| one.body == START_REPLY);
    assert_eq!(replies.count(), 1);
}

/// A message whose time has come is sent once, by whichever server is there; a canceled one never is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_are_sent_at_their_time_or_not_at_all() {
    let world = World::start().await;
    let new = |body: &str, validity: u64| NewMessage {
        account: world.account,
        from: "+1999".to_owned(),
        to: "+1555".to_owned(),
        body: body.to_owned(),
        recorded_as: None,
        direction: MessageDirection::OutboundApi,
        headers: Vec::new(),
        callback: None,
        validity: Some(Duration::from_secs(validity)),
        dialect: Dialect::RESTCOMM,
        answers_keyword: None,
        released: None,
        chosen: None,
    };
    let start = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap();
    let start = Timestamp::from_unix(start);
    let far = start + Duration::from_secs(3_600);
    let past = start - Duration::from_secs(60);
    let plan = async |body: &str, validity: u64, at: Timestamp| {
        let planned = world.engine.schedule_message(new(body, validity), at).await;
        planned.unwrap().sid
    };
    let canceled = plan("never", 60, far).await;
    assert!(world.engine.cancel_message(canceled).await.unwrap());
    assert!(!world.engine.cancel_message(canceled).await.unwrap());
    let waits = plan("later", 60, far).await;
    let late = plan("too late", 30, past).await;
    let due = plan("now", 300, past).await;
    assert_eq!(at_gateway(&world, 202).await, "now");
    assert!(!world.engine.cancel_message(due).await.unwrap());
    let status = async |sid| {
        let found = world.store.message(sid).await.unwrap().unwrap();
        (found.status, found.error_code)
    };
    tokio::time::timeout(SOON, async {
        while status(late).await.0 == MessageStatus::Scheduled
            || status(due).await.0 != MessageStatus::Sent
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .unwrap();
    assert_eq!(status(late).await, (MessageStatus::Failed, Some(30_036)));
    assert_eq!(status(canceled).await, (MessageStatus::Canceled, None));
    assert_eq!(status(waits).await, (MessageStatus::Scheduled, None));
    let sent = world.store.message(due).await.unwrap().unwrap();
    assert!(sent.created >= start && sent.sent.is_some());
}

/// A text that must not be kept leaves by a route, is in no record, and its outcome is reported.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_leaves_by_a_route_and_its_outcome_is_known() {
    let world = World::start().await;
    world.app.on("/send", "", r#"{"id":"7"}"#);
    let route = MessageRoute {
        sid: MessageRouteSid::from_bytes([9; 16]),
        account: world.account,
        name: "provider".to_owned(),
        enabled: true,
        priority: 1,
        from_prefix: String::new(),
        to_prefix: String::new(),
        price: 0,
        on_doubt: OnDoubt::Resend,
        settings: RouteSettings::Http(HttpSettings {
            url: format!("http://{}/send", world.app_address),
        }),
        secret: None,
        created: Timestamp(1),
        updated: Timestamp(1),
    };
    world.store.insert_message_route(&route).await.unwrap();
    let until_up = async {
        while !world.engine.route_health(route.sid).is_up {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(SOON, until_up).await.unwrap();
    let send = async || {
        let new = NewMessage {
            account: world.account,
            from: "+4930123456".to_owned(),
            to: "+4915112345678".to_owned(),
            body: "Your code is 1234.".to_owned(),
            recorded_as: Some("Your code is [code removed].".to_owned()),
            direction: MessageDirection::OutboundApi,
            headers: Vec::new(),
            callback: None,
            validity: None,
            dialect: Dialect::TWILIO,
            answers_keyword: None,
            released: None,
            chosen: None,
        };
        let (record, outcome) = world.engine.send_and_watch(new).await.unwrap();
        assert_eq!(record.status, MessageStatus::Queued);
        let (status, _) = tokio::time::timeout(SOON, outcome).await.unwrap().unwrap();
        let kept = world.store.message(record.sid).await.unwrap().unwrap();
        assert_eq!(kept.body, "Your code is [code removed].");
        (status, kept.status, kept.error_code)
    };
    assert_eq!(send().await, (202, MessageStatus::Sent, None));
    let asked = world.app.asked();
    assert!(
        asked.last().unwrap().contains("Your code is 1234."),
        "{asked:?}"
    );
    world.app.fails("/send", r#"{"error":"unknown-recipient"}"#);
    assert_eq!(send().await, (480, MessageStatus::Failed, Some(30_005)));
}
