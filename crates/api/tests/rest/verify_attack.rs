//! Attacks on verifications through the API: guessing codes, and having codes sent to numbers that earn money for each text.
//!
//! **Invariant: at most so many guesses are compared, and codes sent, as the settings of the service allow**, however many are
//! requested, in whatever order, and by how many tasks at the same time. `PATCHCORD_GUESSES` and `PATCHCORD_PUMPED` set the
//! number of requests (`just guess`).

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use serde_json::Value;
use tokio::task::JoinSet;

use crate::server::{Answer, Server};

/// Tasks that attack at the same time.
const TASKS: usize = 8;
/// Guesses for each recipient: four times as many as all its codes allow.
const PER_RECIPIENT: usize = 100;
/// Limits of the services that are attacked.
const MAX_CHECKS: usize = 5;
const MAX_SENDS: usize = 5;

/// A number from the environment.
fn setting(name: &str, otherwise: usize) -> usize {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap())
}

fn shown(answer: &Answer) -> Value {
    serde_json::from_str(&answer.body).unwrap()
}

/// Creates a service; returns its path.
async fn service(server: &Server, name: &str, settings: &str) -> String {
    let form = format!("FriendlyName={name}&From=%2B15550001&{settings}");
    let made = server.post(&server.admin(), "/v2/Services", &form).await;
    made.is(201);
    format!("/v2/Services/{}", shown(&made)["sid"].as_str().unwrap())
}

/// What is attacked: recipients, each of a block of its own, with the verification that was started last for each.
struct Attack {
    server: Server,
    service: String,
    started: Vec<Mutex<String>>,
    /// Guesses that were compared, by verification.
    compared: Mutex<BTreeMap<String, usize>>,
    /// How often each status and error came back for a guess.
    answers: Mutex<BTreeMap<(u16, i64), usize>>,
    next: AtomicUsize,
}

impl Attack {
    fn to(recipient: usize) -> String {
        format!("%2B4915{recipient:05}0001")
    }

    /// Requests a code; remembers its verification if it was sent.
    async fn start(&self, recipient: usize) {
        let path = format!("{}/Verifications", self.service);
        let form = format!("To={}&Channel=sms", Self::to(recipient));
        let answer = self.server.post(&self.server.admin(), &path, &form).await;
        match answer.status.as_u16() {
            201 => {
                let sid = shown(&answer)["sid"].as_str().unwrap().to_owned();
                self.compared
                    .lock()
                    .unwrap()
                    .entry(sid.clone())
                    .or_default();
                *self.started[recipient].lock().unwrap() = sid;
            }
            429 => {
                // All guesses are used up, or all codes.
                let code = answer.error()["code"].as_i64().unwrap();
                assert!([60_202, 60_203].contains(&code), "{}", answer.body);
            }
            other => panic!("{other}: {}", answer.body),
        }
    }

    /// Whether the application cancels the recipient's verification when it takes no more guesses, as a careless one would.
    fn is_canceled(recipient: usize) -> bool {
        recipient.is_multiple_of(2)
    }

    /// Guesses until all guesses are made, and requests another code whenever a verification takes no more.
    async fn run(&self, guesses: usize) {
        let who = self.server.admin();
        loop {
            let n = self.next.fetch_add(1, Ordering::Relaxed);
            if n >= guesses {
                return;
            }
            let recipient = n % self.started.len();
            let current = self.started[recipient].lock().unwrap().clone();
            let path = format!("{}/VerificationCheck", self.service);
            // Of ten digits: the chance that one of the guesses is right is less than one in 100,000.
            let code = (n as u64).wrapping_mul(7_919_999_983) % 10_000_000_000;
            let form = format!("To={}&Code={code:010}", Self::to(recipient));
            let answer = self.server.post(&who, &path, &form).await;
            let (status, json) = (answer.status.as_u16(), shown(&answer));
            let error = json["code"].as_i64().unwrap_or_default();
            *self
                .answers
                .lock()
                .unwrap()
                .entry((status, error))
                .or_default() += 1;
            match (status, error) {
                (201, _) => {
                    let is_last = json["checks_left"] == 0;
                    let expected = if is_last {
                        "max_attempts_reached"
                    } else {
                        "pending"
                    };
                    assert_eq!(json["status"], expected, "a guess was right: {json}");
                    let sid = json["sid"].as_str().unwrap();
                    *self
                        .compared
                        .lock()
                        .unwrap()
                        .entry(sid.to_owned())
                        .or_default() += 1;
                }
                (429, 60_202) => {
                    if Self::is_canceled(recipient) {
                        let path = format!("{}/Verifications/{current}", self.service);
                        let ended = self.server.post(&who, &path, "Status=canceled").await;
                        // Another task may have canceled it.
                        assert!(!ended.status.is_server_error(), "{}", ended.body);
                    }
                    self.start(recipient).await;
                }
                (404, 20_404) => {}
                other => panic!("{other:?}: {}", answer.body),
            }
        }
    }
}

/// CI makes 2,000 guesses; `just guess` makes 100,000.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guesses_never_exceed_the_limit() {
    let guesses = setting("PATCHCORD_GUESSES", 2_000);
    let recipients = guesses.div_ceil(PER_RECIPIENT);
    let server = Server::start().await;
    let settings =
        format!("CodeLength=10&ResendSeconds=0&MaxChecks={MAX_CHECKS}&MaxSends={MAX_SENDS}");
    let service = service(&server, "Shop", &settings).await;
    let attack = Arc::new(Attack {
        server,
        service,
        started: (0..recipients).map(|_| Mutex::default()).collect(),
        compared: Mutex::default(),
        answers: Mutex::default(),
        next: AtomicUsize::new(0),
    });
    let begun = Instant::now();
    for recipient in 0..recipients {
        attack.start(recipient).await;
    }
    let mut tasks = JoinSet::new();
    for _ in 0..TASKS {
        let attack = Arc::clone(&attack);
        tasks.spawn(async move { attack.run(guesses).await });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    let compared = attack.compared.lock().unwrap().clone();
    let answers = attack.answers.lock().unwrap().clone();
    for (sid, count) in &compared {
        assert_eq!(*count, MAX_CHECKS, "{sid} compared as many");
    }
    // No recipient was sent more codes than allowed: all of them if the application cancels, otherwise the first.
    let codes = attack.server.engine.messages.lock().unwrap().len();
    let canceled = (0..recipients).filter(|n| Attack::is_canceled(*n)).count();
    let sent = canceled * MAX_SENDS + (recipients - canceled);
    assert_eq!(codes, sent);
    assert!(compared.len() <= codes, "{} of {codes}", compared.len());
    let accepted: usize = compared.values().sum();
    assert_eq!(answers[&(201, 0)], accepted);
    assert_eq!(accepted, compared.len() * MAX_CHECKS);
    assert_eq!(answers.values().sum::<usize>(), guesses);
    eprintln!(
        "{guesses} guesses in {:.1} s for {recipients} recipients: {} verifications, {codes} codes, {accepted} guesses \
         compared; answers {answers:?}",
        begun.elapsed().as_secs_f64(),
        compared.len(),
    );
    // On record, too: none is approved, and none has a guess left.
    for sid in compared.keys() {
        let path = format!("{}/Verifications/{sid}", attack.service);
        let one = shown(&attack.server.get(&attack.server.admin(), &path).await);
        let is_over = one["status"] == "canceled" || one["status"] == "max_attempts_reached";
        assert!(is_over, "{one}");
        assert_eq!(one["checks_left"], 0, "{one}");
    }
}

/// All 10,000 numbers of a block, which differ in their last four digits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pumping_run_of_ten_thousand_is_stopped_within_fifty_codes() {
    let count = setting("PATCHCORD_PUMPED", 10_000);
    let server = Arc::new(Server::start().await);
    let service = service(&server, "Shop", "").await;
    let path = format!("{service}/Verifications");
    let next = Arc::new(AtomicUsize::new(0));
    let begun = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..TASKS {
        let (server, path, next) = (Arc::clone(&server), path.clone(), Arc::clone(&next));
        tasks.spawn(async move {
            let (mut sent, mut refused) = (0, 0);
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if n >= count {
                    return (sent, refused);
                }
                let form = format!("To=%2B88213456{:04}&Channel=sms", n % 10_000);
                let answer = server.post(&server.admin(), &path, &form).await;
                match answer.status.as_u16() {
                    201 => sent += 1,
                    403 => {
                        assert_eq!(answer.error()["code"], 60_410);
                        refused += 1;
                    }
                    other => panic!("{other}: {}", answer.body),
                }
            }
        });
    }
    let (mut sent, mut refused) = (0, 0);
    while let Some(done) = tasks.join_next().await {
        let (more, not) = done.unwrap();
        sent += more;
        refused += not;
    }
    let given = server.engine.messages.lock().unwrap().len();
    eprintln!(
        "{count} requests in {:.1} s: {given} codes sent, {refused} refused",
        begun.elapsed().as_secs_f64()
    );
    assert_eq!((sent, sent + refused), (given, count));
    assert!((1..=50).contains(&given), "{given} codes were sent");
    // The numbers of another prefix are served.
    let form = "To=%2B4915112345678&Channel=sms";
    server.post(&server.admin(), &path, form).await.is(201);
    let all = server.engine.messages.lock().unwrap().len();
    assert_eq!(all, given + 1);
}
