//! Random calls in virtual time: random documents, phones, callers, changes through the API,
//! failures, and events that come late, twice or without a cause.
//!
//! **Invariant: whatever happens, each leg ends once and nothing is left**, and the journal of the
//! call replays identically; the rules are in `world::rules`. A failure names its seed, and the same
//! seed gives the same call.

#[allow(
    dead_code,
    unused_imports,
    reason = "the world serves two test programs"
)]
mod world;

use std::collections::BTreeMap;
use std::time::Duration;

use call_proto::{
    Detection, Dialect, DigitWay, LegCallback, Modify, NewRecording, Pause, RecordingChange, Sides,
    Target, Turn,
};
use model::record::Recording;
use model::{
    AnsweredBy, CallStatus, DetectionMode, MachineDetection, MessageStatus, RecordingEvent,
    RecordingSource,
};
use rehearse::scene::Says;

use world::{
    Act, Phone, Random, Recognizer, Reply, Root, Run, UNUSABLE, Weather, World, broken,
    callback_to, empty, page, phone, plain, status, unreachable, xml,
};

const CALLS: u64 = 30_000;
const NAMES: [&str; 4] = ["ann", "zed", "+2000", "fay"];
const DETECTION: [DetectionMode; 2] = [DetectionMode::Enable, DetectionMode::DetectMessageEnd];
const PATHS: [&str; 3] = ["/a", "/b", "/c"];
const NUMBER_CALLBACK: &str = "http://app/number";

#[test]
fn calm_calls_obey_the_rules() {
    play_all(Weather::Calm, 0);
}

#[test]
fn calls_with_late_events_obey_the_rules() {
    play_all(Weather::Windy, 1_000_000);
}

#[test]
fn calls_in_a_storm_obey_the_rules() {
    play_all(Weather::Stormy, 2_000_000);
}

#[test]
fn the_same_seed_gives_the_same_call() {
    for seed in 0..300 {
        for weather in [Weather::Calm, Weather::Windy, Weather::Stormy] {
            let mut run = random_world(seed, weather).play();
            let again = random_world(seed, weather).play();
            let journals = [&run, &again].map(|run| format!("{:?}", run.journal));
            assert!(journals[0] == journals[1], "seed {seed}, {weather:?}");
            run.replay_stored();
        }
    }
}

/// Plays one third of all calls.
fn play_all(weather: Weather, first_seed: u64) {
    let mut seen = Seen::default();
    for seed in first_seed..first_seed + CALLS / 3 {
        let _told = TellSeed(seed);
        let run = random_world(seed, weather).play();
        assert!(
            run.broken.is_empty(),
            "seed {seed}, {weather:?}: {:#?}",
            run.broken
        );
        check(&run, seed);
        run.replay();
        seen.count(&run);
    }
    seen.assert_variety();
}

/// Reports the seed if a machine panics.
struct TellSeed(u64);

impl Drop for TellSeed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("seed {}", self.0);
        }
    }
}

/// What must hold for the outcome of each run, besides the rules.
fn check(run: &Run, seed: u64) {
    let mut by_leg: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for callback in &run.callbacks {
        by_leg.entry(callback.lane).or_default().push(callback);
    }
    for callbacks in by_leg.values() {
        let mut words: Vec<String> = Vec::new();
        for (at, callback) in callbacks.iter().enumerate() {
            assert_eq!(
                callback.sequence, at as i64,
                "seed {seed}: callbacks out of order"
            );
            let about = |wanted: &str| callback.params.iter().find(|(name, _)| name == wanted);
            if let Some((_, event)) = about("TranscriptionEvent") {
                let number = about("SequenceId").zip(about("TranscriptionSid"));
                let is_end = matches!(&**event, "transcription-stopped" | "transcription-error");
                let (number, sid) = number.expect("it is numbered");
                let number = if is_end { "the end" } else { &number.1 };
                words.push(format!("{} {} {number}", callback.url, sid.1));
                continue;
            }
            let recording = about("RecordingSid").zip(about("RecordingStatus"));
            if let Some((sid, status)) = recording {
                words.push(format!("{} {} {}", callback.url, sid.1, status.1));
                continue;
            }
            let siprec = about("SiprecSid").zip(about("SiprecEvent"));
            if let Some((sid, event)) = siprec {
                words.push(format!("{} {} {}", callback.url, sid.1, event.1));
                continue;
            }
            let about = match (about("StreamSid"), about("StreamEvent")) {
                (Some(sid), Some(event)) => Some((sid.1.as_str(), event.1.as_str())),
                _ => about("MessageSid")
                    .or_else(|| about("CallStatus"))
                    .map(|(_, value)| ("", value.as_str())),
            };
            words.push(format!("{} {about:?}", callback.url));
        }
        let all = words.len();
        words.sort();
        words.dedup();
        assert_eq!(words.len(), all, "seed {seed}: told twice: {words:?}");
    }
    for asked in run
        .all_requests()
        .filter(|asked| asked.has("DialCallStatus"))
    {
        let ended: CallStatus = asked.get("DialCallStatus").parse().expect("a status");
        assert!(ended.is_final(), "seed {seed}: a Dial ended {ended}");
        let connected = asked.get("DialCallDuration") != "0";
        assert!(
            !connected || ended == CallStatus::Completed,
            "seed {seed}: connected and {ended}"
        );
    }
    for record in run.all_records() {
        let lasted = record.duration_s.unwrap_or_default() > 0;
        assert!(
            !lasted || record.answered.is_some(),
            "seed {seed}: {record:?}"
        );
        assert!(
            record.reason.is_some(),
            "seed {seed}: no reason in {record:?}"
        );
    }
}

/// Evidence that the calls are not all alike.
#[derive(Default)]
struct Seen {
    statuses: BTreeMap<CallStatus, u32>,
    reasons: BTreeMap<String, u32>,
    bridged: u32,
    recorded: usize,
    transferred: usize,
    /// Recordings that the API has started.
    by_api: usize,
    spoken: usize,
    actions: usize,
    understood: usize,
    unstable: usize,
    /// Streams, by how they ended.
    streams: BTreeMap<String, u32>,
    messages: BTreeMap<(MessageStatus, Option<u16>), u32>,
    /// Results of machine detection.
    answered_by: BTreeMap<String, u32>,
}

impl Seen {
    fn count(&mut self, run: &Run) {
        for record in run.all_records() {
            *self.statuses.entry(record.status).or_default() += 1;
            let reason = record.reason.clone().unwrap_or_default();
            *self.reasons.entry(reason).or_default() += 1;
        }
        for message in &run.messages {
            let end = (message.status, message.error_code);
            *self.messages.entry(end).or_default() += 1;
        }
        let ends = ["stream ended", "conversation ended"];
        for entry in run.trace.iter().filter(|it| ends.contains(&&*it.what)) {
            let (why, _) = entry.detail.split_once("; ").unwrap_or_default();
            let (_, why) = why.split_once(' ').unwrap_or_default();
            *self.streams.entry(why.to_owned()).or_default() += 1;
        }
        for entry in run.trace.iter().filter(|it| it.what == "answered by") {
            *self.answered_by.entry(entry.detail.clone()).or_default() += 1;
        }
        self.bridged += u32::from(run.has_bridge());
        self.recorded += run.recordings.len();
        let verbs = run.recordings.iter();
        let is_moved =
            |leg: &&model::record::CallRecord| leg.reason.as_deref() == Some("transferred");
        self.transferred += run.all_records().filter(is_moved).count();
        self.spoken += verbs
            .filter(|it| it.kind.source == RecordingSource::RecordVerb)
            .count();
        let by_api = |it: &&Recording| it.kind.source == RecordingSource::StartCallRecordingApi;
        self.by_api += run.recordings.iter().filter(by_api).count();
        self.actions += run
            .all_requests()
            .filter(|asked| asked.has("DialCallStatus"))
            .count();
        let asked = || run.all_requests();
        let spoken = asked().filter(|asked| asked.has("SpeechResult"));
        self.understood += spoken
            .filter(|asked| !asked.get("SpeechResult").is_empty())
            .count();
        self.unstable += asked()
            .filter(|asked| asked.has("UnstableSpeechResult"))
            .count();
    }

    fn assert_variety(&self) {
        assert!(self.understood > 40, "{} understood", self.understood);
        assert!(self.unstable > 10, "{} so far", self.unstable);
        assert!(self.statuses.len() >= 6, "{:?}", self.statuses);
        assert!(self.reasons.len() >= 15, "{:?}", self.reasons);
        assert!(self.bridged > 1_000, "{} bridged", self.bridged);
        assert!(self.transferred > 20, "{} transferred", self.transferred);
        assert!(self.spoken > 100, "{} spoken", self.spoken);
        assert!(self.by_api > 60, "{} by the API", self.by_api);
        assert!(self.recorded > 100, "{} recorded", self.recorded);
        for why in [
            "closed by the server",
            "the call ended",
            "the connection broke",
            "ended by the server",
            "no speech recognizer is configured",
            "ws://app/gone could not be reached",
        ] {
            let often = self.streams.get(why).copied().unwrap_or_default();
            assert!(often > 0, "{why}: {:?}", self.streams);
        }
        for by in AnsweredBy::ALL {
            let seen = self.answered_by.contains_key(by.as_str());
            assert!(seen, "{by}: {:?}", self.answered_by);
        }
        assert!(self.messages.len() >= 3, "{:?}", self.messages);
        assert!(self.actions > 1_000, "{} actions", self.actions);
    }
}

fn random_world(seed: u64, weather: Weather) -> World {
    let mut random = Random::new(seed);
    let random = &mut random;
    let mut world = if random.once_in(5) {
        api_world(random)
    } else {
        inbound_world(random)
    };
    for path in ["/v", "/a", "/b", "/c"] {
        for _ in 0..=random.below(2) {
            world = world.app(path, reply(random));
        }
    }
    for name in NAMES {
        for _ in 0..*random.pick(&[0, 1, 1, 1, 2]) {
            world = world.phone(name, random_phone(random));
        }
    }
    for _ in 0..*random.pick(&[0, 0, 1, 1, 2, 3]) {
        let at = random.below(30_000);
        let act = act(random);
        world.acts.push((at, act));
    }
    if random.once_in(3) {
        for _ in 0..random.below(9) {
            let party = *random.pick(&["K", "ann", "zed", "+2000", "fay"]);
            let at = random.below(12_000);
            world.acts.push((at, Act::Refer(party.to_owned())));
        }
    }
    if random.once_in(15) {
        world
            .deaf
            .insert((*random.pick(&["K", "ann", "zed", "fay"])).to_owned());
    }
    world.closing_ms = *random.pick(&[Some(0), Some(0), Some(300), Some(6_000), None]);
    world.disk_full = random.once_in(10);
    world.stuck_streams = random.once_in(10);
    world.recognizer = *random.pick(&[
        Recognizer::Hears,
        Recognizer::Hears,
        Recognizer::Works(None),
        Recognizer::Dreams,
        Recognizer::Missing,
    ]);
    world.agents = vec![
        ("siprec:main", "[{wait: 30s}]"),
        ("siprec:leaves", "[{wait: 3s}, close]"),
        ("siprec:gone", "unreachable"),
        (
            "ws://app/texts",
            *random.pick(&[
                "[{text: words. and more words}, {wait: 4s}, {text: last words}, {wait: 2s}, end]",
                "[{text: {token: words, last: false}}, {play: /x.wav}, {keys: '12'}, {wait: 9s}, close]",
                "[{strange: noise}, {language: {transcription: de-DE}}, {text: unspeakable}, {wait: 9s}]",
            ]),
        ),
        (
            "ws://app/bot",
            "[{wait: 2s}, clear, {send: 3s}, {mark: a}, {wait: 9s}]",
        ),
        (
            "ws://app/talks",
            "[{send: 1s}, {mark: b}, {wait: 1500ms}, close]",
        ),
        (
            "ws://app/gone",
            *random.pick(&["unreachable", "[break]", "[{wait: 1s}, break]"]),
        ),
    ];
    world.message_answer = *random.pick(&[Some(200), Some(202), Some(404), Some(500), None]);
    world.dialect = *random.pick(&[Dialect::RESTCOMM, Dialect::RESTCOMM, Dialect::TWILIO]);
    if random.once_in(4) {
        for _ in 0..=random.below(6) {
            let party = *random.pick(&["K", "K", "ann", "zed"]);
            let at = random.below(15_000);
            let modify = recording(random);
            world.acts.push((at, Act::Rest(party.to_owned(), modify)));
        }
    }
    (world.seed, world.weather) = (seed, weather);
    world
        .clip("http://app/x.wav", 2.0)
        .clip("http://app/long.wav", 40.0)
}

/// A request of the API about a recording.
fn recording(random: &mut Random) -> Modify {
    let turn = match random.below(6) {
        0 => Turn::Pause(Pause::Silence),
        1 => Turn::Pause(Pause::Skip),
        2 => Turn::Resume,
        3 => Turn::Stop,
        _ => {
            let told = (callback_to("http://app/rec"), RecordingEvent::ALL.to_vec());
            return Modify::Record(Box::new(NewRecording {
                sides: *random.pick(&Sides::ALL),
                trim: random.once_in(3),
                callback: random.once_in(2).then_some(told),
            }));
        }
    };
    let recording = None;
    Modify::Recording(RecordingChange { recording, turn })
}

fn inbound_world(random: &mut Random) -> World {
    let mut world = World::new();
    if random.once_in(8) {
        world = world.kim_is_client().dials("+2000");
    }
    if random.once_in(3) {
        world = world.number_callback(NUMBER_CALLBACK);
    }
    if random.once_in(2) {
        let (name, url) = ("ReferUrl".to_owned(), "http://app/a".to_owned());
        world = world.with(|directory| {
            directory.numbers[0].0.extra.insert(name, url);
        });
    }
    if random.once_in(6) {
        let fallback = Some("http://app/a".to_owned());
        world = world.with(|directory| directory.numbers[0].0.voice.fallback_url = fallback);
    }
    world.caller.ack_ms = match random.below(20) {
        0 => None,
        1..=4 => Some(random.below(3_000)),
        _ => Some(0),
    };
    world.caller.sdp = match random.below(12) {
        0 => None,
        1 => Some(UNUSABLE.to_owned()),
        _ => Some("offer of kim".to_owned()),
    };
    let at = *random.pick(&[1_000, 5_000, 20_000, 60_000]);
    if random.once_in(2) {
        world.acts.push((random.below(at), Act::HangUp));
    }
    world.acts.push((61_000, Act::HangUp));
    world
}

fn api_world(random: &mut Random) -> World {
    let target = match random.below(3) {
        0 => Target::Client("ann".to_owned()),
        1 => Target::Number("+2000".to_owned()),
        _ => Target::Sip("sip:zed@h.example".to_owned()),
    };
    let mut world = World::api(target, "");
    world.pages.clear();
    if let Root::Api(call) = &mut world.root {
        call.timeout_s = random.below(40) + 1;
        call.callback = random.once_in(2).then(|| LegCallback {
            target: callback_to("http://app/rest"),
            events: None,
        });
        call.detection = random.once_in(2).then(|| Detection {
            terms: MachineDetection {
                timeout: Duration::from_secs(random.below(8) + 3),
                ..(*random.pick(&DETECTION)).into()
            },
            holds: random.once_in(2),
            callback: random.once_in(2).then(|| callback_to("http://app/amd")),
        });
    }
    world
}

fn reply(random: &mut Random) -> Reply {
    let reply = match random.below(30) {
        0 => status(*random.pick(&[404, 408, 500, 503])),
        1 => random.pick(&[empty as fn() -> Reply, broken, unreachable])(),
        2 => page(404),
        3 => plain("text/plain", "some words"),
        4 => plain("audio/wav", ""),
        5 => plain("image/png", "x"),
        _ => xml(&document(random)),
    };
    reply.after(random.below(3_000) as f64 / 1_000.0 * random.below(2) as f64)
}

fn document(random: &mut Random) -> String {
    (0..random.below(5)).map(|_| verb(random)).collect()
}

fn verb(random: &mut Random) -> String {
    let simple = [
        "<Say>words</Say>",
        "<Say loop=\"3\">words</Say>",
        "<Say>unspeakable</Say>",
        "<Play>x.wav</Play>",
        "<Play loop=\"0\">long.wav</Play>",
        "<Play>missing.wav</Play>",
        "<Play digits=\"1w2\"/>",
        "<Pause length=\"2\"/>",
        "<Pause/>",
        "<Hangup/>",
        "<Reject/>",
        "<Reject reason=\"busy\"/>",
        "<Gather><Say>words</Say></Gather>",
        "<Gather numDigits=\"2\" action=\"/a\" timeout=\"3\"/>",
        "<Gather actionOnEmptyResult=\"true\" action=\"/b\"><Play>x.wav</Play><Pause/></Gather>",
        "<Gather><Play>missing.wav</Play></Gather>",
        "<Redirect>/a</Redirect>",
        "<Redirect method=\"GET\">/b</Redirect>",
        "<Redirect>http://[</Redirect>",
        "<Dial/>",
    ];
    let listening = [
        "<Gather input=\"speech\" action=\"/c\" speechTimeout=\"2\"><Say>words</Say></Gather>",
        "<Gather input=\"speech dtmf\" action=\"/a\" partialResultCallback=\"/b\" speechTimeout=\"auto\"/>",
        "<Gather input=\"dtmf speech\" partialResultCallback=\"http://[\" timeout=\"40\"><Pause/></Gather>",
    ];
    let records = [
        "<Record/>",
        "<Record playBeep=\"false\" timeout=\"2\" finishOnKey=\"-1\"/>",
        "<Record action=\"/a\" maxLength=\"6\" trim=\"trim-silence\"/>",
        "<Record action=\"/b\" timeout=\"30\" recordingStatusCallback=\"/r\" recordingStatusCallbackEvent=\"in-progress completed absent\"/>",
        "<Record recordingStatusCallback=\"/r\" recordingStatusCallbackEvent=\"absent\" timeout=\"9\"/>",
        "<Record recordingStatusCallback=\"http://[\" action=\"http://[\"/>",
    ];
    let streams = [
        "<Connect><Stream url=\"ws://app/bot\" statusCallback=\"/bot\"/></Connect>",
        "<Connect action=\"/a\"><Stream url=\"/talks\"/></Connect>",
        "<Connect><Stream url=\"ws://app/gone\"/></Connect>",
        "<Connect action=\"/b\"><Stream url=\"http://[\"/></Connect>",
        "<Start><Stream name=\"n\" url=\"ws://app/bot\" track=\"both_tracks\"/></Start>",
        "<Start><Stream name=\"m\" url=\"/talks\" statusCallback=\"/bot\"/><Stream url=\"/gone\"/></Start>",
        "<Start><Recording name=\"n\"/><Recording name=\"m\" channels=\"mono\" trim=\"do-not-trim\" recordingStatusCallback=\"/bot\" recordingStatusCallbackEvent=\"in-progress completed absent\"/></Start>",
        "<Stop><Stream name=\"n\"/><Recording name=\"n\"/></Stop>",
        "<Stop><Recording name=\"m\"/></Stop>",
        "<Start><Transcription name=\"n\" statusCallbackUrl=\"/bot\" partialResults=\"true\"/><Transcription name=\"m\" track=\"inbound_track\" statusCallbackUrl=\"/bot\"/></Start>",
        "<Stop><Transcription name=\"n\"/></Stop>",
        "<Stop><Stream name=\"m\"/><Stream name=\"n\"/></Stop>",
        "<Start><Siprec name=\"n\" connectorName=\"main\" statusCallback=\"/bot\"/><Siprec name=\"m\" track=\"outbound_track\"/></Start>",
        "<Start><Siprec name=\"n\" connectorName=\"leaves\"/><Siprec connectorName=\"gone\" statusCallback=\"/bot\"/></Start>",
        "<Stop><Siprec name=\"n\"/><Siprec name=\"m\"/></Stop>",
        "<Connect><ConversationRelay url=\"ws://app/texts\" welcomeGreeting=\"words\"/></Connect>",
        "<Connect action=\"/a\"><ConversationRelay url=\"/texts\" dtmfDetection=\"true\" interruptible=\"dtmf\" preemptible=\"true\" partialPrompts=\"true\" speechTimeout=\"900\" events=\"speaker-events tokens-played\"/></Connect>",
        "<Connect><ConversationRelay url=\"ws://app/gone\"/></Connect>",
        "<Connect action=\"/b\"><ConversationRelay url=\"http://[\"/></Connect>",
    ];
    let messages = [
        "<Sms>words</Sms>",
        "<Sms to=\"ann\" statusCallback=\"/sms\">words</Sms>",
        "<Sms to=\"client:bob\" from=\"+1\" action=\"/c\" method=\"GET\">words</Sms>",
        "<Sms to=\"sip:zed@h\"/>",
        "<Sms statusCallback=\"http://[\">words</Sms>",
    ];
    if random.once_in(15) {
        (*random.pick(&records)).to_owned()
    } else if random.once_in(20) {
        (*random.pick(&messages)).to_owned()
    } else if random.once_in(12) {
        (*random.pick(&streams)).to_owned()
    } else if random.once_in(10) {
        (*random.pick(&listening)).to_owned()
    } else if !random.once_in(3) {
        dial(random)
    } else {
        (*random.pick(&simple)).to_owned()
    }
}

fn dial(random: &mut Random) -> String {
    let attributes = [
        "timeout=\"3\"",
        "sequential=\"true\"",
        "timeout=\"12\"",
        "timeLimit=\"4\"",
        "record=\"true\"",
        "record=\"true\" recordingStatusCallback=\"/r\" recordingStatusCallbackEvent=\"in-progress completed absent\"",
        "record=\"record-from-ringing\" recordingTrack=\"outbound\"",
        "record=\"record-from-ringing-dual\" trim=\"trim-silence\" recordingStatusCallback=\"/r\"",
        "answerOnBridge=\"true\"",
        "ringTone=\"uk\"",
        "dialMusic=\"/x.wav\"",
        "dialMusic=\"/missing.wav\"",
        "callerId=\"+1999\"",
        "hangupOnStar=\"true\"",
        "referUrl=\"/b\"",
        "referUrl=\"/c\" referMethod=\"GET\"",
    ];
    let mut chosen: Vec<String> = attributes
        .iter()
        .filter(|_| random.once_in(5))
        .map(|text| (*text).to_owned())
        .collect();
    // An attribute may occur only once.
    chosen.sort();
    chosen.dedup_by_key(|text| text.split('=').next().map(str::to_owned));
    if random.once_in(2) {
        let path = *random.pick(&PATHS);
        chosen.push(format!("action=\"{path}\""));
    }
    let nouns: String = (0..=random.below(3)).map(|_| noun(random)).collect();
    format!("<Dial {}>{nouns}</Dial>", chosen.join(" "))
}

fn noun(random: &mut Random) -> String {
    let callback = match random.below(4) {
        0 => "statusCallback=\"/s\"",
        1 => "statusCallback=\"/s\" statusCallbackEvent=\"ringing completed\"",
        _ => "",
    };
    let screening = match random.below(12) {
        0 => "url=\"/a\"",
        1 => "url=\"/c\" method=\"GET\"",
        _ => "",
    };
    let callback = format!("{callback} {screening}");
    match random.below(6) {
        0 | 1 => format!("<Client {callback}>ann?X-A=1</Client>"),
        2 if random.once_in(3) => {
            let mode = random.pick(&DETECTION).as_str();
            let detection = format!("machineDetection=\"{mode}\" amdStatusCallback=\"/amd\"");
            format!("<Sip {callback} {detection}>sip:zed@h.example</Sip>")
        }
        2 => format!("<Sip {callback}>sip:zed@h.example</Sip>"),
        3 if random.once_in(2) => {
            format!("<Number {callback} sendDigits=\"1w2\">+2000</Number>")
        }
        3 => format!("<Number {callback}>+2000</Number>"),
        4 => format!("<Client {callback}>fay</Client>"),
        _ if random.once_in(2) => "<Client>nobody</Client>".to_owned(),
        _ => "<Client>ann</Client>".to_owned(),
    }
}

fn random_phone(random: &mut Random) -> Phone {
    let mut made = phone().talks(random.below(8) as f64);
    if random.once_in(2) {
        made = made.rings(random.below(3) as f64 / 2.0);
    }
    let at = random.below(12) as f64 / 2.0;
    made = match random.below(8) {
        0 => made,
        1 | 2 => made.rejects(at, *random.pick(&[404, 480, 486, 487, 500, 603])),
        _ => made.answers(at),
    };
    made = match random.below(12) {
        0 => made.sdp(None),
        1 => made.sdp(Some(UNUSABLE)),
        2 => made.forgets(),
        3 => made.dead(),
        _ => made,
    };
    let length = Duration::from_millis(random.below(8_000));
    match random.below(6) {
        0 => made.says(Says::Fax),
        1 => made.says(Says::Nothing),
        2 | 3 => {
            let beep = random.once_in(2);
            made.says(Says::Speech { length, beep })
        }
        _ => made,
    }
}

fn act(random: &mut Random) -> Act {
    let party = (*random.pick(&["K", "K", "ann", "ann2", "zed", "+2000", "fay"])).to_owned();
    match random.below(16) {
        15 => Act::Refer(party),
        0 => Act::Reinvite(Some("another offer".to_owned())),
        1 => Act::Reinvite(Some(UNUSABLE.to_owned())),
        2 => Act::Reinvite(None),
        3 => Act::Vanish(party),
        4 => Act::Silence(party),
        5 if random.once_in(2) => Act::Shutdown(party),
        5 => Act::EndedElsewhere(party),
        6 => Act::Info,
        7 => Act::Rest(party, Modify::Complete),
        8 => Act::Rest(party, Modify::Cancel),
        9..=11 => {
            let key = *random.pick(&['1', '#', '*', '0']);
            let ways = [DigitWay::Event, DigitWay::Tone, DigitWay::Info];
            Act::Key(party, key, *random.pick(&ways))
        }
        _ => {
            let (path, both) = (*random.pick(&PATHS), random.once_in(2));
            let mut world = World::new().redirects(0.0, &party, path, both);
            world.acts.pop().map_or(Act::Info, |(_, act)| act)
        }
    }
}
