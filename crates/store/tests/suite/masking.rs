//! Cases about number masking.

use std::collections::BTreeMap;
use std::time::Duration;

use masking::{
    Interaction, Kind, Mode, NoMask, Participant, PoolNumber, Service, Session, Settings, State,
    Status, Why, decide,
};
use model::{
    InteractionSid, MaskServiceSid, MaskSessionSid, MessageSid, MessageStatus, NumberSid,
    ParticipantSid, Timestamp,
};
use store::{Change, NotJoined, Store};
use testkit::random::Random;

use super::values::*;
use super::{Database, raw};

const POOL: usize = 5;
const TTL_S: i64 = 600;
const PEOPLE: usize = 4;
const STEPS: usize = 8;

fn start() -> Timestamp {
    Timestamp(1_700_000_000_000_000)
}

fn mask(n: usize) -> String {
    format!("+4930000000{n}")
}

fn person(n: usize) -> String {
    format!("+4917000000{n:02}")
}

/// A service with a pool of five numbers.
async fn service(store: &Store, settings: Settings) -> Service {
    let organization = organization(store, 1, "one.example").await;
    insert_account(store, 1, None, organization).await;
    let service = Service {
        sid: MaskServiceSid::from_bytes(bytes(1)),
        account: account_sid(1),
        name: "rides".to_owned(),
        settings,
        created: start(),
        updated: start(),
    };
    store.insert_mask_service(&service).await.unwrap();
    for n in 0..POOL {
        let own = number(n as u32 + 1, organization, &mask(n));
        let pooled = PoolNumber {
            sid: own.sid,
            account: service.account,
            service: service.sid,
            phone_number: own.phone_number.clone(),
            is_reserved: false,
            in_use: 0,
            created: start(),
            updated: start(),
        };
        store.insert_number(own).await.unwrap();
        store.insert_mask_number(&pooled).await.unwrap();
    }
    service
}

fn session(service: &Service, n: u32, at: Timestamp) -> Session {
    Session {
        sid: MaskSessionSid::from_bytes(bytes(n)),
        account: service.account,
        service: service.sid,
        name: None,
        status: Status::Open,
        mode: Mode::VoiceAndMessage,
        ttl_s: TTL_S,
        expiry: None,
        interactions: 0,
        started: None,
        last: None,
        ended: None,
        reason: None,
        created: at,
        updated: at,
    }
}

async fn join(
    store: &Store,
    service: &Service,
    session: &Session,
    (n, who, at): (u32, usize, Timestamp),
) -> Result<Participant, NotJoined> {
    let participant = Participant {
        sid: ParticipantSid::from_bytes(bytes(n)),
        account: service.account,
        service: service.sid,
        session: session.sid,
        number: person(who),
        name: String::new(),
        mask: NumberSid::from_bytes([0; 16]),
        mask_number: String::new(),
        pin: String::new(),
        created: at,
        updated: at,
    };
    let joined = store.join_mask_session(service, participant, None).await;
    joined.unwrap()
}

/// What the test believes about an open session.
struct Open {
    session: Session,
    parties: Vec<Participant>,
    last: Timestamp,
}

struct World<'s> {
    store: &'s Store,
    service: Service,
    random: Random,
    now: Timestamp,
    next: u32,
    open: Vec<Open>,
    reached: usize,
    refused: usize,
    exhausted: usize,
    expired: usize,
}

impl World<'_> {
    fn id(&mut self) -> u32 {
        self.next += 1;
        self.next
    }

    /// Two of the people begin a session, at the same moment.
    async fn begin(&mut self) {
        let first = self.random.index(PEOPLE);
        let second = (first + 1 + self.random.index(PEOPLE - 1)) % PEOPLE;
        let n = self.id();
        let session = session(&self.service, n, self.now);
        self.store.insert_mask_session(&session).await.unwrap();
        let mut parties = Vec::new();
        let (one, other) = (self.id(), self.id());
        let (store, service, now) = (self.store, &self.service, self.now);
        let joined = tokio::join!(
            join(store, service, &session, (one, first, now)),
            join(store, service, &session, (other, second, now))
        );
        for (who, joined) in [(first, joined.0), (second, joined.1)] {
            let has = self.open.iter().flat_map(|open| &open.parties);
            let has = has.filter(|one| one.number == person(who)).count();
            match joined {
                Ok(joined) => {
                    assert!(has < POOL, "{has} masks, and one more");
                    parties.push(joined);
                }
                Err(why) => {
                    let full = NoMask::Exhausted {
                        have: POOL,
                        needed: POOL + 1,
                    };
                    assert_eq!((why, has), (NotJoined::NoMask(full), POOL));
                    self.exhausted += 1;
                }
            }
        }
        let last = self.now;
        self.open.push(Open {
            session,
            parties,
            last,
        });
        self.no_pair_twice();
    }

    fn no_pair_twice(&self) {
        let mut pairs = BTreeMap::new();
        for open in &self.open {
            for one in &open.parties {
                let twice = pairs.insert((one.mask, one.number.clone()), open.session.sid);
                assert_eq!(twice, None, "{} at {}", one.number, one.mask_number);
            }
        }
    }

    /// Someone calls or texts a mask: a participant its own, or anybody any mask.
    async fn contact(&mut self) {
        let (who, called) = if self.random.below(4) > 0 && !self.open.is_empty() {
            let open = &self.open[self.random.index(self.open.len())];
            let Some(one) = open
                .parties
                .get(self.random.index(open.parties.len().max(1)))
            else {
                return;
            };
            (one.number.clone(), one.mask)
        } else {
            (
                person(self.random.index(PEOPLE)),
                number_sid(self.random.index(POOL) as u32 + 1),
            )
        };
        let kind = if self.random.below(2) == 0 {
            Kind::Voice
        } else {
            Kind::Message
        };
        // Some carriers leave out the `+`.
        let shown = if self.random.below(2) == 0 {
            who.as_str()
        } else {
            &who[1..]
        };
        let found = self.store.mask_arrival(called, Some(shown), self.now).await;
        let found = found.unwrap().unwrap();
        let outcome = decide(&found, kind);
        let is_caller = |one: &Participant| one.mask == called && one.number == who;
        let at = self
            .open
            .iter()
            .position(|open| open.parties.iter().any(is_caller));
        let Some(at) = at else {
            assert_eq!(outcome, Err(Why::NoSession), "{who}");
            self.refused += 1;
            return;
        };
        let (from, other): (Vec<_>, Vec<_>) =
            self.open[at].parties.iter().partition(|one| is_caller(one));
        let Some(other) = other.first() else {
            assert_eq!(outcome, Err(Why::Alone));
            return;
        };
        let connection = outcome.unwrap();
        assert_eq!(connection.to, other.number, "the right party");
        assert_eq!(connection.mask, other.mask_number, "sees its own mask");
        assert_eq!(connection.contact.from, from[0].sid);
        let begun = Interaction {
            sid: InteractionSid::from_bytes(bytes(self.next + 1)),
            account: connection.contact.account,
            service: connection.contact.service,
            session: connection.contact.session,
            kind,
            from: connection.contact.from,
            to: connection.contact.to,
            inbound: "CA".to_owned(),
            inbound_status: None,
            outbound: None,
            outbound_status: None,
            state: State::InProgress,
            duration_s: None,
            created: self.now,
            updated: self.now,
            ended: None,
        };
        self.next += 1;
        let change = Change::Interacted(Box::new(begun));
        self.store.commit(vec![change]).await.unwrap();
        self.open[at].last = self.now;
        self.reached += 1;
    }

    async fn close(&mut self) {
        if self.open.is_empty() {
            return;
        }
        let at = self.random.index(self.open.len());
        let open = self.open.swap_remove(at);
        let read = self
            .store
            .mask_session(open.session.sid)
            .await
            .unwrap()
            .unwrap();
        let closed = Session {
            status: Status::Closed,
            ended: Some(self.now),
            reason: Some("api".to_owned()),
            updated: read.updated.max(self.now) + Duration::from_micros(1),
            ..read.clone()
        };
        assert!(
            self.store
                .update_mask_session(&closed, read.updated)
                .await
                .unwrap()
        );
    }

    /// Time passes; sometimes the server sees which sessions are over, sometimes it has not looked yet.
    async fn wait(&mut self) {
        let seconds = self.random.below(TTL_S.unsigned_abs());
        self.now = self.now + Duration::from_secs(seconds);
        let ttl = Duration::from_secs(TTL_S.unsigned_abs());
        let before = self.open.len();
        self.open.retain(|open| self.now < open.last + ttl);
        self.expired += before - self.open.len();
        if self.random.below(2) == 0 {
            self.store.close_expired_sessions(self.now).await.unwrap();
        }
    }

    async fn end(&mut self) {
        self.now = self.now + Duration::from_secs(TTL_S.unsigned_abs());
        self.store.close_expired_sessions(self.now).await.unwrap();
        self.open.clear();
    }
}

/// In 200 random orders of events, each call and text reaches the right party from the right mask, or nobody.
pub(crate) async fn a_mask_never_has_two_meanings(db: &Database) {
    let store = db.open().await;
    let mut world = World {
        service: service(&store, Settings::default()).await,
        store: &store,
        random: Random(1),
        now: start(),
        next: 100,
        open: Vec::new(),
        reached: 0,
        refused: 0,
        exhausted: 0,
        expired: 0,
    };
    // How many orders, and how often everything must have happened in them.
    let (rounds, least) = if db.url.starts_with("sqlite:") {
        (200, 5)
    } else {
        (30, 0)
    };
    for round in 0..rounds {
        world.random = Random(round);
        for _ in 0..STEPS {
            match world.random.below(12) {
                0..=5 => world.begin().await,
                6..=9 => world.contact().await,
                10 => world.close().await,
                _ => world.wait().await,
            }
        }
        // Some sessions go on while others begin.
        if round % 3 == 2 {
            world.end().await;
        }
        if round % 10 == 0 {
            in_use_is_right(db).await;
        }
    }
    let World {
        reached,
        refused,
        exhausted,
        expired,
        ..
    } = world;
    let counts = [reached, refused, exhausted, expired];
    assert!(counts.iter().all(|count| *count > least), "{counts:?}");
}

/// How often each mask is in use is counted as participants come and go.
async fn in_use_is_right(db: &Database) {
    let wrong = "SELECT n.phone_number FROM mask_numbers n WHERE n.in_use <> \
                 (SELECT COUNT(*) FROM mask_participants p WHERE p.mask = n.sid AND p.pair IS NOT NULL)";
    let wrong = raw::rows(&db.url, wrong).await;
    assert!(wrong.is_empty(), "{wrong:?}");
}

/// A participant or session that is deleted while it is open gives its masks back.
pub(crate) async fn masks_of_what_is_deleted_are_free(db: &Database) {
    let store = db.open().await;
    let service = service(&store, Settings::default()).await;
    let (first, second) = (session(&service, 1, start()), session(&service, 2, start()));
    let uses = || async {
        let text = "SELECT SUM(in_use) FROM mask_numbers";
        in_use_is_right(db).await;
        raw::rows(&db.url, text).await[0][0].clone().unwrap()
    };
    for (n, session) in [(10, &first), (20, &second)] {
        store.insert_mask_session(session).await.unwrap();
        for who in [1, 2] {
            let place = (n + who as u32, who, start());
            join(&store, &service, session, place).await.unwrap();
        }
    }
    assert_eq!(uses().await, "4");
    let one = ParticipantSid::from_bytes(bytes(11));
    store.delete_mask_participant(one).await.unwrap();
    store.delete_mask_participant(one).await.unwrap();
    assert_eq!(uses().await, "3");
    store.delete_mask_session(second.sid).await.unwrap();
    assert_eq!(uses().await, "1");
    let left = store.mask_participants(second.sid).await.unwrap();
    assert!(left.is_empty(), "{left:?}");
}

/// An interaction ends with what became of its messages, once; without one to the other party, after a time.
pub(crate) async fn an_interaction_ends_once(db: &Database) {
    let store = db.open().await;
    let service = service(&store, Settings::default()).await;
    let at = start();
    let session = session(&service, 1, at);
    store.insert_mask_session(&session).await.unwrap();
    let ann = join(&store, &service, &session, (1, 1, at)).await.unwrap();
    let ben = join(&store, &service, &session, (2, 2, at)).await.unwrap();
    let message = |n: u32, status: MessageStatus| model::record::Message {
        status,
        call: None,
        ..testkit::records::message(
            MessageSid::from_bytes(bytes(n)),
            store.instance(),
            service.account,
            call_sid(1),
            at,
        )
    };
    let interaction = |n: u32, inbound: u32| Interaction {
        sid: InteractionSid::from_bytes(bytes(n)),
        account: service.account,
        service: service.sid,
        session: session.sid,
        kind: Kind::Message,
        from: ann.sid,
        to: ben.sid,
        inbound: MessageSid::from_bytes(bytes(inbound)).to_string(),
        inbound_status: None,
        outbound: None,
        outbound_status: None,
        state: State::InProgress,
        duration_s: None,
        created: at,
        updated: at,
        ended: None,
    };
    let mut changes = Vec::new();
    // The second one has no message to the other party.
    for n in [1, 2] {
        let arrived = message(n, MessageStatus::Received);
        changes.push(Change::MessageCreated {
            message: Box::new(arrived.clone()),
            farewell: None,
        });
        changes.push(Change::MessageEnded {
            message: Box::new(arrived),
            tells: None,
        });
        changes.push(Change::Interacted(Box::new(interaction(n, n))));
    }
    let out = message(3, MessageStatus::Sending);
    changes.push(Change::MessageCreated {
        message: Box::new(out.clone()),
        farewell: None,
    });
    changes.push(Change::InteractionSent {
        sid: InteractionSid::from_bytes(bytes(1)),
        message: out.sid,
        at,
    });
    store.commit(changes).await.unwrap();
    assert_eq!(store.interactions_to_end(at).await.unwrap(), []);
    let sent = Change::MessageEnded {
        message: Box::new(model::record::Message {
            status: MessageStatus::Sent,
            sent: Some(at),
            ..out.clone()
        }),
        tells: None,
    };
    store.commit(vec![sent]).await.unwrap();
    let late = at + Duration::from_secs(121);
    for (now, n, state) in [(at, 1, State::Completed), (late, 2, State::Failed)] {
        let found = store.interactions_to_end(now).await.unwrap();
        let [ended] = &found[..] else {
            panic!("{found:?}");
        };
        assert_eq!(
            (ended.0.sid, ended.0.state),
            (InteractionSid::from_bytes(bytes(n)), state)
        );
        assert!(store.end_interaction(ended, None).await.unwrap());
        // Another server comes too late.
        assert!(!store.end_interaction(ended, None).await.unwrap());
    }
    let session = store.mask_session(session.sid).await.unwrap().unwrap();
    assert_eq!(
        (session.status, session.interactions),
        (Status::InProgress, 2)
    );
    assert_eq!(session.last, Some(late));
    assert!(
        store
            .delete_mask_interaction(InteractionSid::from_bytes(bytes(1)))
            .await
            .unwrap()
    );
}

/// Twenty calls begin at once in a session that may have seven; two servers count them.
pub(crate) async fn interactions_at_the_same_moment_are_no_more_than_the_limit(db: &Database) {
    const LIMIT: i64 = 7;
    let store = db.open().await;
    let settings = Settings {
        max_interactions: LIMIT,
        ..Settings::default()
    };
    let service = service(&store, settings).await;
    let at = start();
    let session = session(&service, 1, at);
    store.insert_mask_session(&session).await.unwrap();
    let ann = join(&store, &service, &session, (1, 1, at)).await.unwrap();
    let ben = join(&store, &service, &session, (2, 2, at)).await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..20_u32 {
        let (store, sid) = (store.clone(), session.sid);
        let interaction = Interaction {
            sid: InteractionSid::from_bytes(bytes(n + 1)),
            account: service.account,
            service: service.sid,
            session: session.sid,
            kind: Kind::Voice,
            from: ann.sid,
            to: ben.sid,
            inbound: call_sid(n + 1).to_string(),
            inbound_status: None,
            outbound: None,
            outbound_status: None,
            state: State::InProgress,
            duration_s: None,
            created: at,
            updated: at,
            ended: None,
        };
        tasks.spawn(async move {
            let is_allowed = store.take_mask_turn(sid, LIMIT, at).await.unwrap();
            if is_allowed {
                let begun = Change::Interacted(Box::new(interaction));
                store.commit(vec![begun]).await.unwrap();
            }
            i64::from(is_allowed)
        });
    }
    let mut allowed = 0;
    while let Some(done) = tasks.join_next().await {
        allowed += done.unwrap();
    }
    assert_eq!(allowed, LIMIT);
    // Each is counted once.
    let session = store.mask_session(session.sid).await.unwrap().unwrap();
    assert_eq!(
        (session.status, session.interactions),
        (Status::InProgress, LIMIT)
    );
}

/// Sessions are deleted with all that belongs to them when they are old, and not before.
pub(crate) async fn old_sessions_are_forgotten(db: &Database) {
    let store = db.open().await;
    let service = service(&store, Settings::default()).await;
    let at = start();
    for n in [1, 2] {
        let session = session(&service, n, at + Duration::from_secs(u64::from(n)));
        store.insert_mask_session(&session).await.unwrap();
        join(&store, &service, &session, (n, 1, at)).await.unwrap();
    }
    let end = at + Duration::from_secs(TTL_S.unsigned_abs() + 1);
    assert!(store.close_expired_sessions(end).await.unwrap());
    let over = end + Duration::from_micros(1);
    store
        .forget_mask_sessions(Some(&service), over)
        .await
        .unwrap();
    let left = |n| store.mask_session(MaskSessionSid::from_bytes(bytes(n)));
    assert!(left(1).await.unwrap().is_none());
    assert!(left(2).await.unwrap().is_some());
    assert!(
        store
            .mask_participant(ParticipantSid::from_bytes(bytes(1)))
            .await
            .unwrap()
            .is_none()
    );
    store.delete_mask_service(service.sid, over).await.unwrap();
    let second = left(2).await.unwrap().unwrap();
    assert_eq!(second.reason.as_deref(), Some("service-deleted"));
    let found = store.mask_arrival(number_sid(1), None, over).await.unwrap();
    assert_eq!(found, None, "its numbers are in no pool any more");
    store
        .forget_mask_sessions(None, over + Duration::from_secs(1))
        .await
        .unwrap();
    assert!(left(2).await.unwrap().is_none());
}
