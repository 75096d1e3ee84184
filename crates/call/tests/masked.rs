//! Texts at masked numbers, at a server with real sockets: what a repeated one and a later process do.

#![allow(clippy::unwrap_used, reason = "a step that fails fails the test")]

#[allow(dead_code, reason = "the support serves several test programs")]
mod support;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use call::{Engine, InboundText};
use call_proto::{Dialect, Document, TextArrival};
use masking::{Contact, Geo, Interaction, Kind, Mode, Participant, PoolNumber, Service, Session};
use masking::{Settings, State, Status};
use model::record::Message;
use model::{
    AccountSid, DialectName, InstanceSid, InteractionSid, MaskServiceSid, MaskSessionSid,
    MessageDirection, MessageSid, MessageStatus, NumberSid, ParticipantSid, Timestamp,
};
use sip::{Sip, Trunk, TrunkAddress};
use sip_proto::message::Response;
use sip_proto::parse::parse_bytes;
use speech::{SpeakRequest, SpeechError, Synthesizer, Voice};
use store::{Change, MessageFilter, Scope, SecretKey, Store, Window};
use support::{SOON, server_for};
use tokio::net::UdpSocket;

/// The number of [`server_for`], which is the mask of both.
const MASK: &str = "1000";
const ANN: &str = "+4917000000001";
const BEN: &str = "+4917000000002";

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

fn now() -> Timestamp {
    let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    Timestamp(0) + since_1970.unwrap()
}

/// Two people in a session, behind one gateway.
struct World {
    engine: Engine,
    sip: Sip,
    store: Store,
    account: AccountSid,
    gateway: UdpSocket,
    session: Session,
    contact: Contact,
    _folder: tempfile::TempDir,
}

impl World {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("p.db").display());
        let store = Store::open(&url, SecretKey::random()).await.unwrap();
        let gateway = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = gateway.local_addr().unwrap();
        let trunk = Trunk {
            name: "gateway".to_owned(),
            uri: address.to_string(),
            username: None,
            password: None,
            addresses: vec![TrunkAddress {
                ip: address.ip(),
                port: Some(address.port()),
            }],
        };
        let (engine, sip) =
            server_for(&folder, &store, Arc::new(Silent), address, vec![trunk]).await;
        let administrator = store.account_of_email("administrator@company.com").await;
        let account = administrator.unwrap().unwrap().sid;
        let at = now();
        let service = Service {
            sid: MaskServiceSid::from_bytes([1; 16]),
            account,
            name: "rides".to_owned(),
            settings: Settings {
                geo: Geo::Any,
                ..Settings::default()
            },
            created: at,
            updated: at,
        };
        store.insert_mask_service(&service).await.unwrap();
        let pooled = PoolNumber {
            sid: NumberSid::from_bytes([1; 16]),
            account,
            service: service.sid,
            phone_number: MASK.to_owned(),
            is_reserved: false,
            in_use: 0,
            created: at,
            updated: at,
        };
        store.insert_mask_number(&pooled).await.unwrap();
        let session = Session {
            sid: MaskSessionSid::from_bytes([1; 16]),
            account,
            service: service.sid,
            name: None,
            status: Status::Open,
            mode: Mode::VoiceAndMessage,
            ttl_s: 600,
            expiry: None,
            interactions: 0,
            started: None,
            last: None,
            ended: None,
            reason: None,
            created: at,
            updated: at,
        };
        store.insert_mask_session(&session).await.unwrap();
        for (n, number) in [(1, ANN), (2, BEN)] {
            let participant = Participant {
                sid: ParticipantSid::from_bytes([n; 16]),
                account,
                service: service.sid,
                session: session.sid,
                number: number.to_owned(),
                name: String::new(),
                mask: NumberSid::from_bytes([0; 16]),
                mask_number: String::new(),
                pin: String::new(),
                created: at,
                updated: at,
            };
            let joined = store.join_mask_session(&service, participant, None).await;
            joined.unwrap().unwrap();
        }
        let contact = Contact {
            account,
            service: service.sid,
            session: session.sid,
            from: ParticipantSid::from_bytes([1; 16]),
            to: ParticipantSid::from_bytes([2; 16]),
        };
        Self {
            engine,
            sip,
            store,
            account,
            gateway,
            session,
            contact,
            _folder: folder,
        }
    }

    /// The next text that leaves: its recipient and body.
    async fn sent(&self) -> (String, String) {
        let mut datagram = vec![0; 65_536];
        let received = self.gateway.recv_from(&mut datagram);
        let (length, from) = tokio::time::timeout(SOON, received).await.unwrap().unwrap();
        let bytes = Bytes::copy_from_slice(&datagram[..length]);
        let Ok(sip_proto::message::Message::Request(request)) = parse_bytes(bytes) else {
            panic!("not a request");
        };
        let mut response = Response::for_request(&request, 202);
        response.set_to_tag("g");
        let response = response.to_bytes();
        self.gateway.send_to(&response, from).await.unwrap();
        let uri = request.uri.to_string();
        let body = String::from_utf8(request.body.to_vec()).unwrap();
        (uri, body)
    }

    /// The messages on record once nothing is in transit.
    async fn messages(&self) -> Vec<Message> {
        let idle = tokio::time::timeout(SOON, self.engine.idle());
        idle.await.unwrap();
        let filter = MessageFilter::of(Scope::Own(self.account));
        self.store.messages(&filter).await.unwrap().items
    }

    async fn interactions(&self) -> Vec<Interaction> {
        let window = Window::at(0, 10);
        let found = self.store.mask_interactions(&self.session, &window).await;
        found.unwrap().items
    }

    /// What a server left that died right after it had accepted a text of Ann's: the text, and whether the one to Ben was
    /// stored, too.
    async fn left_behind(&self, n: u8, is_passed_on: bool) -> (MessageSid, MessageSid) {
        let dead = InstanceSid::from_bytes([0xdd; 16]);
        let (inbound, outgoing) = ([n; 16], [n + 1; 16]);
        let (inbound, outgoing) = (
            MessageSid::from_bytes(inbound),
            MessageSid::from_bytes(outgoing),
        );
        let interaction = InteractionSid::from_bytes([n; 16]);
        let (at, account) = (now(), self.account);
        let record = |sid, direction, status| Message {
            sid,
            instance: dead,
            account,
            call: None,
            from: ANN.to_owned(),
            to: MASK.to_owned(),
            body: format!("text {n}"),
            direction,
            status,
            error_code: None,
            reason: None,
            created: at,
            updated: at,
            sent: None,
            forwarding: None,
        };
        let arrived = record(inbound, MessageDirection::Inbound, MessageStatus::Received);
        let arrival = TextArrival {
            account,
            number: NumberSid::from_bytes([1; 16]),
            from: ANN.to_owned(),
            to: MASK.to_owned(),
            body: arrived.body.clone(),
            headers: Vec::new(),
            via: "SIP".to_owned(),
            document: Document::of_text(String::new(), account),
            dialect: Dialect::of(DialectName::Twilio),
            sid: None,
            keyword: None,
            contact: Some(self.contact.clone()),
            interaction: Some(interaction),
            outgoing: Some(outgoing),
            is_passed_on: false,
        };
        let begun = Interaction {
            sid: interaction,
            account,
            service: self.contact.service,
            session: self.contact.session,
            kind: Kind::Message,
            from: self.contact.from,
            to: self.contact.to,
            inbound: inbound.to_string(),
            inbound_status: None,
            outbound: None,
            outbound_status: None,
            state: State::InProgress,
            duration_s: None,
            created: at,
            updated: at,
            ended: None,
        };
        let created = |message: Message, farewell| Change::MessageCreated {
            message: Box::new(message),
            farewell,
        };
        let farewell = serde_json::to_string(&arrival).unwrap();
        let mut changes = vec![
            created(arrived, Some(farewell)),
            Change::Interacted(Box::new(begun)),
        ];
        if is_passed_on {
            let (direction, status) = (MessageDirection::OutboundReply, MessageStatus::Sending);
            changes.push(created(record(outgoing, direction, status), None));
        }
        self.store.commit(changes).await.unwrap();
        (inbound, outgoing)
    }
}

/// What a server had accepted when it was killed is passed on by the next one, once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_that_was_accepted_is_passed_on_by_a_later_process() {
    let world = World::start().await;
    let (_, outgoing) = world.left_behind(10, false).await;
    assert_eq!(world.engine.resume_texts().await.unwrap(), 1);
    let (to, body) = world.sent().await;
    assert!(to.contains(BEN), "{to}");
    assert_eq!(body, "text 10");
    let messages = world.messages().await;
    let sent: Vec<_> = messages
        .iter()
        .filter(|one| one.direction != MessageDirection::Inbound)
        .map(|one| (one.sid, one.status, one.from.as_str()))
        .collect();
    assert_eq!(sent, [(outgoing, MessageStatus::Sent, MASK)]);
    assert_eq!(
        world.interactions().await[0].outbound,
        Some(outgoing.to_string())
    );
    let ended = world.store.interactions_to_end(now()).await.unwrap();
    assert_eq!(ended[0].0.state, State::Completed);
    assert_eq!(world.engine.resume_texts().await.unwrap(), 0, "it is over");

    // The next one was stored before the server died: the repair of messages ends it, and it is not sent again.
    let (inbound, outgoing) = world.left_behind(20, true).await;
    assert_eq!(world.engine.resume_texts().await.unwrap(), 1);
    world.messages().await;
    let newest = &world.interactions().await[0];
    assert_eq!(newest.inbound, inbound.to_string());
    assert_eq!(newest.outbound, Some(outgoing.to_string()));
    assert_eq!(world.engine.resume_texts().await.unwrap(), 0);
    let mut rest = [0; 100];
    let more = world.gateway.try_recv_from(&mut rest);
    assert!(more.is_err(), "{more:?}");
}

/// A provider that repeats a text, also before the first one is stored, begins one interaction.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeated_text_is_one_interaction() {
    let world = World::start().await;
    let text = InboundText {
        sid: Some(MessageSid::from_bytes([7; 16])),
        from: ANN.to_owned(),
        to: MASK.to_owned(),
        body: "hi".to_owned(),
        via: "link".to_owned(),
        headers: Vec::new(),
    };
    let (first, second) = tokio::join!(
        world.engine.message_arrived(text.clone()),
        world.engine.message_arrived(text.clone())
    );
    assert!(first.is_ok() || second.is_ok(), "{first:?} {second:?}");
    assert_eq!(world.sent().await.1, "hi");
    let _ = world.engine.message_arrived(text).await;
    assert_eq!(world.messages().await.len(), 2);
    assert_eq!(world.interactions().await.len(), 1);
    let session = world.store.mask_session(world.session.sid).await.unwrap();
    assert_eq!(session.unwrap().interactions, 1);
    tokio::time::timeout(Duration::from_secs(1), world.engine.idle())
        .await
        .unwrap();
}

/// The sender of a text did not get its 202, because the server was killed: it sends the text again, and the next process knows it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_that_is_sent_again_by_sip_is_one_interaction() {
    let world = World::start().await;
    let server = world.sip.local().udp;
    let local = world.gateway.local_addr().unwrap();
    // What the killed process recorded for the request with CSeq 1.
    let name = format!("one 1 a\n{ANN}\n{MASK}\nhi");
    let known = format!("KI{}", world.store.key().sign("sip text", &name));
    let begun = Interaction {
        sid: known.parse().unwrap(),
        account: world.account,
        service: world.contact.service,
        session: world.contact.session,
        kind: Kind::Message,
        from: world.contact.from,
        to: world.contact.to,
        inbound: MessageSid::from_bytes([1; 16]).to_string(),
        inbound_status: None,
        outbound: None,
        outbound_status: None,
        state: State::InProgress,
        duration_s: None,
        created: now(),
        updated: now(),
        ended: None,
    };
    let begun = vec![Change::Interacted(Box::new(begun))];
    world.store.commit(begun).await.unwrap();
    for (seq, messages, interactions) in [(1, 0, 1), (2, 2, 2)] {
        let request = format!(
            "MESSAGE sip:{MASK}@{server} SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bK{seq}\r\n\
             From: <sip:{ANN}@{local}>;tag=a\r\nTo: <sip:{MASK}@{server}>\r\nCall-ID: one\r\nCSeq: {seq} MESSAGE\r\n\
             Max-Forwards: 70\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nhi"
        );
        let sent = world.gateway.send_to(request.as_bytes(), server).await;
        sent.unwrap();
        // The response, and the text to Ben if it is passed on, in either order.
        let mut statuses = Vec::new();
        for _ in 0..=messages / 2 {
            let mut datagram = vec![0; 65_536];
            let received = world.gateway.recv_from(&mut datagram);
            let (length, from) = tokio::time::timeout(SOON, received).await.unwrap().unwrap();
            match parse_bytes(Bytes::copy_from_slice(&datagram[..length])).unwrap() {
                sip_proto::message::Message::Response(response) => {
                    statuses.push(response.status.0);
                }
                sip_proto::message::Message::Request(request) => {
                    assert!(request.uri.to_string().contains(BEN));
                    let mut response = Response::for_request(&request, 202);
                    response.set_to_tag("g");
                    let response = response.to_bytes();
                    world.gateway.send_to(&response, from).await.unwrap();
                }
            }
        }
        assert_eq!(statuses, [202], "{seq}");
        assert_eq!(world.messages().await.len(), messages, "{seq}");
        assert_eq!(world.interactions().await.len(), interactions, "{seq}");
    }
}
