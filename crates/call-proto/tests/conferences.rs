//! Random conferences and queues in virtual time: calls of several families join rooms, wait in queues
//! and are taken from them, leave, are redirected and fail; events come late, twice or without a cause.
//!
//! **Invariant: every call and every conference ends once, in a final status, nothing is left, and
//! each family and each room replays identically from its own journal.** A failure names its seed.

#[allow(
    dead_code,
    unused_imports,
    reason = "the world serves three test programs"
)]
mod world;

use std::collections::BTreeMap;
use std::time::Duration;

use call_proto::journal::{self, Line, Verdict};
use call_proto::{
    Addressed, Dialect, DigitWay, Event, Fact, Inbound, Legs, Modify, NewParticipant, OutboundApi,
    ParticipantChange, RoomCommand, Script, Target,
};
use model::error::CONFERENCE_FAILED;
use model::{CallSid, ConferenceSid, RecordingSid, Timestamp};
use rehearse::scene::{Act, Does, Doing, Faults, Opening, Pace, Referral, Scene, Start, Vanishes};
use rehearse::{Run, Watch};

use world::{Nothing, Random, Rules, Weather, document_at, empty, phone, redirect_to, status, xml};

const RUNS: u64 = 30_000;
const ROOMS: [&str; 3] = ["red", "red", "blue"];
const PATHS: [&str; 4] = ["/a", "/b", "/c", "/v"];

#[test]
fn calm_conferences_end_and_leave_nothing() {
    play_all(Weather::Calm, 0);
}

#[test]
fn conferences_with_late_events_end_and_leave_nothing() {
    play_all(Weather::Windy, 1_000_000);
}

#[test]
fn conferences_in_a_storm_end_and_leave_nothing() {
    play_all(Weather::Stormy, 2_000_000);
}

/// Observes every command of families and rooms.
#[derive(Default)]
struct Observer {
    rules: Rules,
    /// How often each conference was created and ended.
    conferences: BTreeMap<ConferenceSid, [u32; 2]>,
    /// The conference of each recording.
    recorded: BTreeMap<RecordingSid, Option<ConferenceSid>>,
    /// How often each recording was closed or reported.
    closed: BTreeMap<RecordingSid, u32>,
}

impl Watch for Observer {
    fn commands(&mut self, _: Timestamp, commands: &[Addressed]) {
        self.rules.batch(commands);
    }

    fn room_commands(&mut self, _: Timestamp, commands: &[RoomCommand]) {
        for command in commands {
            let RoomCommand::Commit(facts) = command else {
                continue;
            };
            for fact in facts {
                match fact {
                    Fact::ConferenceCreated(record) => {
                        self.conferences.entry(record.sid).or_default()[0] += 1;
                    }
                    Fact::ConferenceEnded { conference, .. } => {
                        self.conferences.entry(*conference).or_default()[1] += 1;
                    }
                    Fact::RecordingStarted { started, .. } => {
                        let twice = self.recorded.insert(started.sid, started.conference);
                        assert_eq!(twice, None, "{started:?}");
                    }
                    Fact::RecordingClosed { recording, .. }
                    | Fact::RecordingReported { recording, .. } => {
                        *self.closed.entry(*recording).or_default() += 1;
                    }
                    _ => {}
                }
            }
        }
    }

    fn event(&mut self, _: Timestamp, call: CallSid, event: &Event) {
        self.rules.event(call, event);
    }
}

/// Counts the features of the runs, to ensure that they are not all alike.
#[derive(Default)]
struct Seen {
    reasons: BTreeMap<String, u32>,
    meetings: u32,
    moved: u32,
    /// Calls that were connected through a queue, and those that entered one.
    paired: u32,
    queued: u32,
    /// Attended transfers.
    handed_over: u32,
}

fn play_all(weather: Weather, first_seed: u64) {
    let mut seen = Seen::default();
    for seed in first_seed..first_seed + RUNS / 3 {
        let scene = scene(seed, weather);
        let mut observer = Observer::default();
        let run = rehearse::play(&scene, &mut Nothing, &mut observer);
        check(&run, observer, seed);
        if scene.faults == Faults::default() && weather != Weather::Stormy {
            let codes = run.notifications.iter().map(|found| found.code);
            let failed = codes.filter(|code| *code == CONFERENCE_FAILED).count();
            assert_eq!(failed, 0, "seed {seed}: every room can be had");
        }
        seen.count(&run);
    }
    assert!(seen.meetings > 450, "{} meetings", seen.meetings);
    assert!(seen.moved > 40, "{} waited", seen.moved);
    assert!(seen.handed_over > 16, "{} handed over", seen.handed_over);
    assert!(seen.paired > 200, "{} taken from queues", seen.paired);
    assert!(seen.queued > 800, "{} entered queues", seen.queued);
    for reason in ["last-member-left", "ended-by-member"] {
        let often = seen.reasons.get(reason).copied().unwrap_or_default();
        assert!(often > 50, "{reason}: {:?}", seen.reasons);
    }
}

/// Kim calls, presses the star after two seconds and hangs up after twenty.
fn kim_alone(document: &str) -> Scene {
    let mut scene = Scene::new();
    let page = xml(document).page();
    scene.pages.insert("http://app/a".to_owned(), vec![page]);
    let mut start = Start::new("kim", opening("kim", "/a", Dialect::RESTCOMM), 1);
    start.ack = Some(Duration::ZERO);
    scene.calls.push(start);
    let acts = [
        (2_000, Does::Key('*', DigitWay::Event)),
        (20_000, Does::Party(Doing::HangUp)),
    ];
    scene.acts = acts
        .map(|(at, does)| Act::new(millis(at), "kim", does))
        .into();
    scene
}

fn codes(run: &Run) -> Vec<u16> {
    run.notifications.iter().map(|found| found.code).collect()
}

#[test]
fn a_room_that_does_not_answer_is_given_up() {
    let mut scene = kim_alone("<Dial><Conference>red</Conference></Dial><Pause length=\"60\"/>");
    scene.faults.silent.insert("red".to_owned());
    let mut observer = Observer::default();
    let run = rehearse::play(&scene, &mut Nothing, &mut observer);
    assert_eq!(codes(&run), [CONFERENCE_FAILED]);
    assert_eq!(run.verbs, ["Dial", "Pause"]);
}

/// A journal that holds no password replays like the conference itself.
#[test]
fn the_journal_of_a_room_holds_no_password() {
    let attributes = "statusCallback=\"http://ann:s3cret@app/s\" statusCallbackEvent=\"join end\"";
    let document = format!("<Dial><Conference {attributes}>red</Conference></Dial>");
    let scene = kim_alone(&document);
    let mut observer = Observer::default();
    let run = rehearse::play(&scene, &mut Nothing, &mut observer);
    assert_eq!(run.callbacks.len(), 2);
    assert_eq!(run.callbacks[0].url, "http://ann:s3cret@app/s");
    let lines = serde_json::to_string(&run.room_journals).expect("it can be written");
    assert!(lines.contains("participant-join") && !lines.contains("s3cret"));
    check(&run, observer, 0);
}

/// The API calls ann into a conference; her journal replays from its stored form, too.
#[test]
fn a_party_that_the_api_calls_enters_the_conference() {
    let mut scene = kim_alone("<Dial><Conference>red</Conference></Dial>");
    let ann = phone().rings(0.5).answers(1.5).talks(5.0);
    scene
        .phones
        .insert("ann".to_owned(), vec![ann.named("ann")]);
    let new = NewParticipant {
        conference: "red".to_owned(),
        label: Some("Ann".to_owned()),
        muted: true,
        starts: true,
        ends: true,
        beeps: (true, true),
        wait: None,
        coaches: None,
    };
    let outbound = OutboundApi {
        account: world::account(1),
        from: "+1000".to_owned(),
        target: Target::Client("ann".to_owned()),
        routes: Vec::new(),
        headers: Vec::new(),
        credentials: None,
        planned: new.planned(world::account(1)),
        send_digits: None,
        detection: None,
        callback: None,
        recording: None,
        timeout: Duration::from_secs(30),
        time_limit: None,
        legs: Legs::One,
        dialect: Dialect::TWILIO,
    };
    let mut start = Start::new("api", Opening::Api(Box::new(outbound)), 2);
    start.at = millis(1_000);
    scene.calls.push(start);
    let mut observer = Observer::default();
    let run = rehearse::play(&scene, &mut Nothing, &mut observer);
    assert_eq!(run.conferences.len(), 1);
    let reason = run.conferences[0].reason.as_deref();
    assert_eq!(reason, Some("ended-by-member"), "{:#?}", run.trace);
    let heard: Vec<&str> = run.heard.iter().map(|one| one.what.as_str()).collect();
    assert!(heard.contains(&"hears kim"), "{heard:?}");
    assert!(!heard.contains(&"hears ann"), "{heard:?}");
    check(&run, observer, 0);
}

/// A request to a room that has just ended goes to the next one of its name.
#[test]
fn a_call_that_left_last_may_come_back_at_once() {
    let dial = "<Dial hangupOnStar=\"true\"><Conference>red</Conference></Dial>";
    let scene = kim_alone(&format!("{dial}{dial}"));
    let mut observer = Observer::default();
    let run = rehearse::play(&scene, &mut Nothing, &mut observer);
    assert!(codes(&run).is_empty(), "{:?}", codes(&run));
    assert_eq!(run.conferences.len(), 2);
    check(&run, observer, 0);
}

fn check(run: &Run, observer: Observer, seed: u64) {
    let Observer {
        mut rules,
        conferences,
        recorded,
        closed,
    } = observer;
    rules.finish();
    let broken = rules.into_broken();
    assert!(broken.is_empty(), "seed {seed}: {broken:#?}");
    assert!(run.failures.is_empty(), "seed {seed}: {:#?}", run.failures);
    assert!(run.left.is_empty(), "seed {seed}: {:#?}", run.left);
    for leg in &run.legs {
        let record = &leg.record;
        assert!(record.status.is_final(), "seed {seed}: {record:?}");
    }
    for record in &run.conferences {
        let is_over = record.ended.is_some() && record.reason.is_some();
        assert!(is_over, "seed {seed}: {record:?}");
        let counts = conferences.get(&record.sid).copied();
        assert_eq!(counts, Some([1, 1]), "seed {seed}: {record:?}");
    }
    for (recording, conference) in recorded {
        // One of a conference that could not be recorded has not begun.
        let is_kept = run.conferences.iter().any(|it| Some(it.sid) == conference);
        let ends = closed.get(&recording).copied().unwrap_or_default();
        assert_eq!(ends, u32::from(is_kept), "seed {seed}: {recording}");
    }
    for lines in run.journals.iter().chain(&run.room_journals) {
        replay(lines, seed);
    }
}

/// Replays a journal in its stored form.
fn replay(lines: &[Line], seed: u64) {
    let json = serde_json::to_string(lines).expect("it can be written");
    let lines: Vec<Line> = serde_json::from_str(&json).expect("it can be read");
    match journal::replay(&lines).expect("it is a journal") {
        Verdict::Identical { complete, .. } => assert!(complete, "seed {seed}"),
        Verdict::Differs(difference) => panic!("seed {seed}: {difference:#?}"),
    }
}

impl Seen {
    fn count(&mut self, run: &Run) {
        for record in &run.conferences {
            let reason = record.reason.clone().unwrap_or_default();
            *self.reasons.entry(reason).or_default() += 1;
            let waited = record.started.is_some_and(|at| at != record.created);
            self.moved += u32::from(waited);
        }
        let entries = || run.trace.iter().map(|entry| entry.what.as_str());
        let count = |word: &str| entries().filter(|what| *what == word).count() as u32;
        self.paired += count("takes");
        let agreed = |entry: &&call_proto::Entry| entry.detail == "agreed";
        self.handed_over += run.trace.iter().filter(agreed).count() as u32;
        self.queued += count("waits in the queue");
        let heard = |what: &str| what.starts_with("hears ") && what != "hears nobody";
        self.meetings += u32::from(run.heard.iter().any(|one| heard(&one.what)));
    }
}

fn scene(seed: u64, weather: Weather) -> Scene {
    let mut random = Random::new(seed);
    let random = &mut random;
    let mut scene = Scene::new();
    (scene.seed, scene.weather) = (seed, weather);
    scene.pace = Pace {
        fixed: Duration::from_secs(1),
        per_character: Duration::ZERO,
    };
    if weather == Weather::Stormy {
        scene.limit = Duration::from_secs(3_600);
    }
    for path in PATHS {
        let pages = (0..=random.below(2)).map(|_| match random.below(12) {
            0 => status(500).page(),
            1 => empty().page(),
            _ => xml(&document(random)).page(),
        });
        let pages = pages.collect();
        scene.pages.insert(format!("http://app{path}"), pages);
    }
    for (url, does) in [
        (
            "ws://app/bot",
            "[{wait: 2s}, {send: 3s}, {mark: a}, {wait: 4s}, close]",
        ),
        ("ws://app/talks", "[{wait: 1s}, break]"),
    ] {
        if !random.once_in(5) {
            scene.agent(url, does).expect("a known agent");
        }
    }
    let ann = phone()
        .rings(0.5)
        .answers(1.5)
        .talks(random.below(6) as f64);
    scene
        .phones
        .insert("ann".to_owned(), vec![ann.named("ann")]);
    for number in 0..2 + random.below(5) {
        let name = format!("kim{number}");
        let path = *random.pick(&PATHS);
        let dialect = match random.once_in(4) {
            true => Dialect::TWILIO,
            false => Dialect::RESTCOMM,
        };
        let mut start = Start::new(&name, opening(&name, path, dialect), seed * 10 + number);
        start.at = millis(random.below(3) * random.below(10_000));
        start.ack = (!random.once_in(30)).then(|| millis(random.below(2) * random.below(500)));
        let gone = start.at + millis(random.below(40_000));
        for _ in 0..random.below(3) {
            let at = start.at + millis(random.below(30_000));
            scene.acts.push(Act::new(at, &name, does(random)));
        }
        if random.once_in(2) {
            for _ in 0..random.below(12) {
                let at = start.at + millis(random.below(30_000));
                let refers = Does::Refer(referral(random));
                scene.acts.push(Act::new(at, &name, refers));
            }
        }
        for at in [gone, Duration::from_secs(90)] {
            let hangs_up = Does::Party(Doing::HangUp);
            scene.acts.push(Act::new(at, &name, hangs_up));
        }
        if random.once_in(25) {
            scene.faults.deaf.insert(name.clone());
        }
        scene.calls.push(start);
    }
    if random.once_in(15) {
        scene.faults.unrecorded.insert("red".to_owned());
    }
    scene
}

fn opening(name: &str, path: &str, dialect: Dialect) -> Opening {
    let script = Script::Document(document_at(&format!("http://app{path}")));
    Opening::Inbound(Box::new(Inbound {
        account: world::account(1),
        from: name.to_owned(),
        to: "+1000".to_owned(),
        caller_name: None,
        forwarded_from: None,
        headers: Vec::new(),
        sip_call_id: format!("call of {name}"),
        number: None,
        sdp: Some(format!("offer of {name}")),
        max_forwards: 70,
        script,
        status_callback: None,
        refer: Some(document_at("http://app/c")),
        contact: None,
        dialect,
    }))
}

fn millis(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn does(random: &mut Random) -> Does {
    match random.below(9) {
        0 => Does::Party(Doing::Vanish(Vanishes::Connection)),
        1 => Does::Party(Doing::Vanish(Vanishes::Sound)),
        2 => Does::Modify(Modify::Complete),
        6 => Does::Modify(Modify::Participant(Box::new(change(random)))),
        3 if random.once_in(2) => Does::Shutdown,
        3 => Does::EndedElsewhere,
        4 => Does::Key('*', DigitWay::Event),
        5 => Does::Reinvite(Some("another offer".to_owned())),
        _ => {
            let path = *random.pick(&PATHS);
            Does::Modify(redirect_to(path, random.once_in(2)))
        }
    }
}

/// A blind transfer, or one to a party of another call.
fn referral(random: &mut Random) -> Referral {
    let replaces = random.once_in(2).then(|| format!("kim{}", random.below(6)));
    Referral {
        to: "ann".to_owned(),
        replaces,
    }
}

/// A change of a participant of the first conference.
fn change(random: &mut Random) -> ParticipantChange {
    let mut sid = [0xcf; 16];
    sid[8..].copy_from_slice(&random.below(2).to_be_bytes());
    let at = |path: &str| document_at(&format!("http://app{path}"));
    let mut change = ParticipantChange::of(ConferenceSid::from_bytes(sid));
    change.muted = random.once_in(2).then(|| random.once_in(2));
    change.on_hold = random.once_in(2).then(|| !random.once_in(3));
    change.hold_document = random.once_in(2).then(|| at("/b"));
    change.ends = random.once_in(4).then(|| random.once_in(2));
    change.announcement = random.once_in(3).then(|| at("/c"));
    change.kick = random.once_in(8);
    change
}

fn document(random: &mut Random) -> String {
    (0..random.below(4)).map(|_| verb(random)).collect()
}

fn verb(random: &mut Random) -> String {
    let others = [
        "<Say>words</Say>",
        "<Pause length=\"2\"/>",
        "<Redirect>/a</Redirect>",
        "<Hangup/>",
        "<Dial timeout=\"5\"><Client>ann</Client></Dial>",
        "<Gather numDigits=\"1\" timeout=\"2\" action=\"/b\"/>",
        "<Leave/>",
        "<Play>http://app/b.wav</Play>",
        "<Play digits=\"1w2\"/>",
        "<Record timeout=\"2\" maxLength=\"4\" action=\"/c\"/>",
        "<Sms to=\"ann\">hello</Sms>",
        "<Reject/>",
        "<Connect action=\"/a\"><Stream url=\"ws://app/bot\"/></Connect>",
        "<Start><Stream name=\"s\" url=\"ws://app/talks\"/></Start>",
        "<Stop><Stream name=\"s\"/></Stop>",
    ];
    if random.once_in(3) {
        return (*random.pick(&others)).to_owned();
    }
    if random.once_in(3) {
        let enqueue = some(
            random,
            &["action=\"/c\"", "maxQueueSize=\"1\"", "waitUrl=\"/b\""],
        );
        let queue = *random.pick(&ROOMS);
        return format!("<Enqueue {enqueue}>{queue}</Enqueue>");
    }
    let dial = some(
        random,
        &[
            "action=\"/c\"",
            "timeLimit=\"7\"",
            "hangupOnStar=\"true\"",
            "record=\"true\"",
        ],
    );
    let conference = some(
        random,
        &[
            "muted=\"true\"",
            "startConferenceOnEnter=\"false\"",
            "endConferenceOnExit=\"true\"",
            "maxParticipants=\"2\"",
            "waitUrl=\"/b\"",
        ],
    );
    let room = *random.pick(&ROOMS);
    if random.once_in(3) {
        let queue = some(random, &["url=\"/b\""]);
        return format!("<Dial {dial}><Queue {queue}>{room}</Queue></Dial>");
    }
    let recording = match room {
        "red" => "record=\"record-from-start\" recordingStatusCallback=\"/r\"",
        _ => "",
    };
    format!("<Dial {dial}><Conference {conference} {recording}>{room}</Conference></Dial>")
}

/// Each of these attributes, with a chance of one in four.
fn some(random: &mut Random, attributes: &[&str]) -> String {
    let chosen = attributes.iter().filter(|_| random.once_in(4)).copied();
    chosen.collect::<Vec<_>>().join(" ")
}
