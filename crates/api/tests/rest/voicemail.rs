//! Voicemail: boxes, messages, and the documents that callers and owners hear.

use std::sync::Mutex;

use api::{Transcriber, VoicemailNews, VoicemailTender};
use model::record::{Callback, Recording, RecordingKind};
use model::{AccountSid, CallSid, CallStatus, RecordingSid, Timestamp};
use serde_json::Value;
use store::{Change, EmailFilter, RecordingLinks, Scope};
use voicemail::VoicemailBox;

use crate::server::{Answer, Credentials, Server, call, call_sid};

const CALLER: &str = "From=%2B4930123&To=1000";

fn boxes(who: &Credentials) -> String {
    format!("/2010-04-01/Accounts/{}/VoicemailBoxes", who.0)
}

async fn made(server: &Server, who: &Credentials, form: &str) -> Value {
    let answer = server
        .post(who, &format!("{}.json", boxes(who)), form)
        .await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    answer.error()
}

/// A complete recording with its file.
async fn complete(server: &Server, account: AccountSid, n: u8) -> RecordingSid {
    let recording = Recording {
        sid: RecordingSid::from_bytes([n; 16]),
        account,
        call: Some(call_sid(n.into())),
        conference: None,
        kind: RecordingKind::default(),
        duration_ms: 7_000,
        size_bytes: 44,
        created: Timestamp(9),
        updated: Timestamp(9),
    };
    let sid = recording.sid;
    let stored = server
        .store
        .commit(vec![Change::Recording(recording)])
        .await;
    stored.unwrap();
    let file = server.dir.path().join(format!("{sid}.wav"));
    std::fs::write(file, b"RIFF").unwrap();
    sid
}

/// A call that is not over.
async fn live(server: &Server) -> CallSid {
    let mut record = call(1, server.admin);
    record.status = CallStatus::InProgress;
    record.instance = server.store.instance();
    server.keep(vec![record]).await;
    call_sid(1)
}

async fn end(server: &Server, sid: CallSid) {
    let ended = Change::CallEnded {
        sid,
        status: CallStatus::Completed,
        at: Timestamp(99),
        duration_s: Some(61),
        ring_duration_s: None,
        reason: None,
        hangup_by: None,
        sip_status: None,
        sip_reason: None,
    };
    let ended = server.store.commit(vec![ended]).await.unwrap();
    assert!(ended.all_applied());
}

fn path(address: &Value) -> String {
    let base = "http://pbx.example:8080";
    address
        .as_str()
        .unwrap()
        .strip_prefix(base)
        .unwrap()
        .to_owned()
}

/// The address that a document gives to an attribute, as a path.
fn next(document: &str, attribute: &str) -> String {
    let after = document.split_once(&format!("{attribute}=\"")).unwrap().1;
    let address = after.split_once('"').unwrap().0.replace("&amp;", "&");
    address
        .strip_prefix("http://pbx.example:8080")
        .unwrap()
        .to_owned()
}

/// Where the last `<Redirect>` of a document leads.
fn redirect(document: &str) -> String {
    let after = document.rsplit_once("<Redirect>").unwrap().1;
    let address = after.split_once('<').unwrap().0.replace("&amp;", "&");
    address
        .strip_prefix("http://pbx.example:8080")
        .unwrap()
        .to_owned()
}

/// A request of this server to itself.
async fn step(server: &Server, path: &str, form: &str) -> String {
    let answer = server.ask("POST", None, path, &[], form).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    assert_eq!(answer.headers["content-type"], "application/xml");
    answer.body
}

/// What became known at once.
#[derive(Default)]
struct News(Mutex<Vec<Callback>>, Mutex<Vec<String>>);

#[async_trait::async_trait]
impl VoicemailNews for News {
    fn deliver(&self, callback: Callback) {
        self.0.lock().unwrap().push(callback);
    }

    async fn waiting_changed(&self, mailbox: &VoicemailBox) {
        self.1.lock().unwrap().push(mailbox.name.clone());
    }
}

struct Writer;

#[async_trait::async_trait]
impl Transcriber for Writer {
    async fn transcribe(&self, file: &std::path::Path, language: &str) -> Option<String> {
        file.exists().then(|| format!("heard in {language}"))
    }
}

fn tender(server: &Server) -> VoicemailTender {
    VoicemailTender {
        store: server.store.clone(),
        recording_links: RecordingLinks::new(server.store.key().clone(), None),
        public_base: "http://pbx.example:8080".to_owned(),
        mail: Some(model::email::Senders::default()),
    }
}

/// Leaves a message in a call that is not over; returns its recording.
async fn left(server: &Server, mailbox: &Value, n: u8, seconds: i64) -> RecordingSid {
    let recording = complete(server, server.admin, n).await;
    let greeting = step(server, &path(&mailbox["voice_url"]), CALLER).await;
    let form =
        format!("RecordingStatus=completed&RecordingSid={recording}&RecordingDuration={seconds}");
    // The outbox may say it twice, before or after the document does.
    let kept = next(&greeting, "recordingStatusCallback");
    for _ in 0..2 {
        step(server, &kept, &form).await;
    }
    let form = format!("RecordingSid={recording}&RecordingDuration={seconds}.0&Digits=%23");
    step(server, &next(&greeting, "><Record action"), &form).await;
    recording
}

async fn messages(server: &Server, who: &Credentials, mailbox: &Value, query: &str) -> Vec<Value> {
    let sid = mailbox["sid"].as_str().unwrap();
    let list = format!("{}/{sid}/Messages.json?{query}", boxes(who));
    let answer = server.get(who, &list).await.json();
    answer["voicemail_messages"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_box_keeps_what_its_owner_sets() {
    let server = Server::start().await;
    let who = server.admin();
    for login in ["ann", "bob"] {
        let form = format!("Login={login}&Password=RestComm12");
        let clients = format!("/Accounts/{}/Clients.json", who.0);
        server.post(&who, &clients, &form).await.json();
    }
    let form = "FriendlyName=Ann&Client=ann&Pin=1234&Language=de-AT&Greeting=Hallo&GreetingBusy=https://a.example/busy.wav\
        &GreetingNoAnswer=Gleich&GreetingClosed=Zu&Notice=Aufnahme&OpeningHours=Mon-Fri 09:00-17:00&TimeZone=Europe/Vienna\
        &MaxLength=60&SilenceTimeout=3&MinLength=1&Review=true&Operator=client:bob&EmailTo=ann@a.example,bob@a.example\
        &EmailFrom=box@a.example&EmailSubject={{From}}&EmailBody={{Transcript}}&Attach=false&Transcribe=true&TranscriptWait=9\
        &DeleteAfterEmail=true&RetentionDays=30&CallbackUrl=https://a.example/new";
    let one = made(&server, &who, form).await;
    let expected: &[(&str, Value)] = &[
        ("friendly_name", "Ann".into()),
        ("new_messages", 0.into()),
        ("client", "ann".into()),
        ("has_pin", true.into()),
        ("language", "de-AT".into()),
        ("greeting", "Hallo".into()),
        ("greeting_busy", "https://a.example/busy.wav".into()),
        ("greeting_no_answer", "Gleich".into()),
        ("greeting_closed", "Zu".into()),
        ("notice", "Aufnahme".into()),
        ("opening_hours", "Mon-Fri 09:00-17:00".into()),
        ("time_zone", "Europe/Vienna".into()),
        ("max_length", 60.into()),
        ("silence_timeout", 3.into()),
        ("min_length", 1.into()),
        ("review", true.into()),
        ("operator", "client:bob".into()),
        ("email_to", "ann@a.example, bob@a.example".into()),
        ("email_from", "box@a.example".into()),
        ("email_subject", "{{From}}".into()),
        ("email_body", "{{Transcript}}".into()),
        ("attach", false.into()),
        ("transcribe", true.into()),
        ("transcript_wait", 9.into()),
        ("delete_after_email", true.into()),
        ("retention_days", 30.into()),
        ("callback_url", "https://a.example/new".into()),
    ];
    for (name, value) in expected {
        assert_eq!(one[name], *value, "{name}");
    }
    assert!(!one.to_string().contains("1234\""), "the PIN is shown");
    let own = format!("{}/{}.json", boxes(&who), one["sid"].as_str().unwrap());
    assert_eq!(server.get(&who, &own).await.json(), one);
    // What is sent empty returns to its default; what is not sent stays.
    let form =
        "Pin=&Language=&Client=&Greeting=&OpeningHours=&TimeZone=&EmailTo=&FriendlyName=Anne";
    let changed = server.post(&who, &own, form).await.json();
    assert_eq!(changed["friendly_name"], "Anne");
    assert_eq!(
        (&changed["language"], &changed["time_zone"]),
        (&"en".into(), &"UTC".into())
    );
    assert_eq!(
        (&changed["has_pin"], &changed["notice"]),
        (&false.into(), &"Aufnahme".into())
    );
    for name in ["client", "greeting", "opening_hours", "email_to"] {
        assert_eq!(changed[name], Value::Null, "{name}");
    }
    // The other dialect shows the same box, in XML.
    let xml = format!(
        "/Accounts/{}/VoicemailBoxes/{}",
        who.0,
        one["sid"].as_str().unwrap()
    );
    let shown = server.get(&who, &xml).await;
    assert!(
        shown.body.contains("<FriendlyName>Anne</FriendlyName>"),
        "{}",
        shown.body
    );
    server.delete(&who, &own).await.is(204);
    server.get(&who, &own).await.is(404);
}

#[tokio::test]
async fn what_cannot_be_is_refused_with_the_reason() {
    let server = Server::with(|state| {
        state.transcribes = false;
        state.mail = Some(model::email::Senders::new(&["@a.example".to_owned()]));
    })
    .await;
    let who = server.admin();
    made(&server, &who, "FriendlyName=Ann").await;
    let list = format!("{}.json", boxes(&who));
    for (form, status, code, part) in [
        ("", 400, 21_100, "FriendlyName"),
        (
            "FriendlyName=Ann",
            409,
            20_409,
            "another voicemail box named `Ann`",
        ),
        (
            "FriendlyName=b&Client=nobody",
            400,
            21_100,
            "no client `nobody`",
        ),
        ("FriendlyName=b&Pin=12", 400, 21_100, "4 to 10 digits"),
        ("FriendlyName=b&Language=xx", 400, 21_100, "`en`, `de`"),
        (
            "FriendlyName=b&TimeZone=Berlin",
            400,
            21_100,
            "Europe/Berlin",
        ),
        (
            "FriendlyName=b&OpeningHours=always",
            400,
            21_100,
            "`always` must be days",
        ),
        ("FriendlyName=b&MaxLength=2", 400, 21_100, "from 3 to 900"),
        (
            "FriendlyName=b&MaxLength=5&MinLength=5",
            400,
            21_100,
            "less than MaxLength",
        ),
        (
            "FriendlyName=b&Greeting=ftp://a.example/x.wav",
            400,
            21_100,
            "not an http or https address",
        ),
        (
            "FriendlyName=b&Operator=client:nobody",
            400,
            21_100,
            "no client `nobody`",
        ),
        ("FriendlyName=b&Operator=ann", 400, 21_100, "`client:`"),
        (
            "FriendlyName=b&Greeting=recording:RE1",
            400,
            21_100,
            "recorded by phone",
        ),
        (
            "FriendlyName=b&Greeting=http://",
            400,
            21_100,
            "not an http or https address",
        ),
        (
            "FriendlyName=b&EmailTo=ann",
            400,
            21_100,
            "`ann` is not an e-mail address",
        ),
        (
            "FriendlyName=b&EmailTo=ann@a.example",
            400,
            21_100,
            "EmailFrom",
        ),
        (
            "FriendlyName=b&EmailBody={{Form}}",
            400,
            21_100,
            "`{{Form}}` is not known",
        ),
        ("FriendlyName=b&CallbackUrl=x", 400, 21_100, "CallbackUrl"),
        (
            "FriendlyName=b&Transcribe=true",
            501,
            63_001,
            "speech recognizer",
        ),
        (
            "FriendlyName=b&EmailTo=a@a.example&EmailFrom=b@b.example",
            403,
            14_214,
            "in the name of",
        ),
    ] {
        let refused = server.post(&who, &list, form).await;
        let error = refused.error();
        assert_eq!(refused.status, status, "{form}: {error}");
        assert_eq!(error["code"], code, "{form}: {error}");
        assert!(
            error["message"].as_str().unwrap().contains(part),
            "{form}: {error}"
        );
    }
}

#[tokio::test]
async fn a_message_is_delivered_mailed_and_reported_once() {
    let server = Server::start().await;
    let who = server.admin();
    let form = "FriendlyName=Ann&EmailTo=ann@a.example&EmailFrom=box@a.example&CallbackUrl=https://a.example/new";
    let mailbox = made(&server, &who, form).await;
    let recording = left(&server, &mailbox, 1, 7).await;
    assert!(messages(&server, &who, &mailbox, "").await.is_empty());
    assert_eq!(
        messages(&server, &who, &mailbox, "Status=pending")
            .await
            .len(),
        1
    );
    let (tender, news) = (tender(&server), News::default());
    for _ in 0..3 {
        tender.tend(&news).await.unwrap();
    }
    let found = messages(&server, &who, &mailbox, "").await;
    let [one] = &found[..] else {
        panic!("{found:?}");
    };
    for (name, value) in [
        ("status", "new"),
        ("from", "+4930123"),
        ("to", "1000"),
        ("reason", "direct"),
    ] {
        assert_eq!(one[name], value, "{name}");
    }
    assert_eq!(one["duration"], 7);
    assert_eq!(one["recording_sid"], recording.to_string());
    let sound = path(&one["recording_url"]);
    server.ask("GET", None, &sound, &[], "").await.is(200);
    let mails = server
        .store
        .emails(&EmailFilter::of(Scope::Own(server.admin)))
        .await
        .unwrap();
    let [mail] = &mails.items[..] else {
        panic!("{mails:?}");
    };
    assert_eq!(one["email_sid"], mail.sid.to_string());
    assert_eq!(mail.recordings, [recording]);
    assert!(mail.body.contains(&recording.to_string()), "{}", mail.body);
    let callbacks = news.0.lock().unwrap().clone();
    assert_eq!(callbacks.len(), 1);
    let said = |name: &str| {
        let mut params = callbacks[0].params.iter();
        params.find(|(key, _)| key == name).unwrap().1.clone()
    };
    assert_eq!(
        (said("Event"), said("Duration")),
        ("new-message".to_owned(), "7".to_owned())
    );
    assert_eq!(*news.1.lock().unwrap(), ["Ann"]);
    // Filters, changes and the counts of the box.
    assert_eq!(
        messages(&server, &who, &mailbox, "From=%2B4930123")
            .await
            .len(),
        1
    );
    assert!(
        messages(&server, &who, &mailbox, "From=%2B49")
            .await
            .is_empty()
    );
    let own = format!(
        "{}/{}/Messages/{}.json",
        boxes(&who),
        mailbox["sid"].as_str().unwrap(),
        one["sid"].as_str().unwrap()
    );
    let heard = server.post(&who, &own, "Status=heard").await.json();
    assert_eq!(heard["status"], "heard");
    assert!(heard["date_heard"].is_string());
    let other = made(&server, &who, "FriendlyName=Bob").await;
    let target = other["sid"].as_str().unwrap();
    let wrong = server
        .post(
            &who,
            &own,
            "VoicemailBoxSid=VB00000000000000000000000000000000",
        )
        .await;
    wrong.is(400);
    server
        .post(&who, &own, &format!("VoicemailBoxSid={target}"))
        .await
        .is(200);
    server.get(&who, &own).await.is(404);
    let moved = format!(
        "{}/{target}/Messages/{}.json",
        boxes(&who),
        one["sid"].as_str().unwrap()
    );
    let counted = server
        .get(&who, &format!("{}/{target}.json", boxes(&who)))
        .await
        .json();
    assert_eq!(
        (&counted["new_messages"], &counted["heard_messages"]),
        (&0.into(), &1.into())
    );
    server.delete(&who, &moved).await.is(204);
    server.get(&who, &moved).await.is(404);
    // Its recording rests in the bin.
    let bin = server
        .get(&who, &format!("/Accounts/{}/Bin.json", who.0))
        .await;
    assert!(bin.body.contains(&recording.to_string()), "{}", bin.body);
}

#[tokio::test]
async fn empty_and_replaced_messages_are_not_delivered() {
    let server = Server::start().await;
    let who = server.admin();
    let mailbox = made(&server, &who, "FriendlyName=Ann&Review=true&MinLength=2").await;
    let (tender, news) = (tender(&server), News::default());
    let greeting = step(&server, &path(&mailbox["voice_url"]), CALLER).await;
    // Nothing was said.
    let nothing = RecordingSid::from_bytes([9; 16]);
    let kept = next(&greeting, "recordingStatusCallback");
    step(
        &server,
        &kept,
        &format!("RecordingStatus=absent&RecordingSid={nothing}&RecordingDuration=0"),
    )
    .await;
    // Too little was said.
    left(&server, &mailbox, 1, 1).await;
    // The caller records again, before the callback about the first recording arrives.
    let first = complete(&server, server.admin, 2).await;
    let form = format!("RecordingSid={first}&RecordingDuration=9");
    let review = step(&server, &next(&greeting, "><Record action"), &form).await;
    let again = next(&review, "action");
    let played = step(&server, &again, "Digits=2").await;
    assert!(
        played.contains(&format!(
            "<Play>http://pbx.example:8080/restcomm/2012-04-24/Accounts/{}/Recordings/{first}",
            who.0
        )),
        "{played}"
    );
    let recording = step(&server, &again, "Digits=3").await;
    assert!(recording.contains("<Record "), "{recording}");
    let form = format!("RecordingStatus=completed&RecordingSid={first}&RecordingDuration=9");
    step(&server, &kept, &form).await;
    let second = complete(&server, server.admin, 3).await;
    let form = format!("RecordingSid={second}&RecordingDuration=9");
    let review = step(&server, &next(&recording, "<Record action"), &form).await;
    tender.tend(&news).await.unwrap();
    assert!(
        step(&server, &next(&review, "action"), "Digits=1")
            .await
            .contains("Thank you")
    );
    tender.tend(&news).await.unwrap();
    let status = async |status: &str| {
        let query = format!("Status={status}");
        messages(&server, &who, &mailbox, &query).await
    };
    assert_eq!(status("new").await[0]["recording_sid"], second.to_string());
    assert_eq!(status("replaced").await[0]["recording_sid"], Value::Null);
    assert_eq!(status("empty").await.len(), 2);
    assert_eq!(status("pending").await.len(), 0);
    let bin = server
        .get(&who, &format!("/Accounts/{}/Bin.json", who.0))
        .await;
    assert!(bin.body.contains(&first.to_string()), "{}", bin.body);
}

/// A recording of another account, or of another call, is never taken for a message.
#[tokio::test]
async fn a_box_takes_no_recording_but_its_own() {
    let server = Server::start().await;
    let who = server.admin();
    let other = server.account("p", server.admin).await;
    let mailbox = made(&server, &who, "FriendlyName=Ann&MinLength=30&MaxLength=60").await;
    let foreign = complete(&server, other, 5).await;
    let of_other_call = complete(&server, server.admin, 2).await;
    let call = live(&server).await;
    let form = format!("{CALLER}&CallSid={call}");
    let greeting = step(&server, &path(&mailbox["voice_url"]), &form).await;
    let kept = next(&greeting, "recordingStatusCallback");
    for recording in [foreign, of_other_call] {
        for status in ["completed", "absent"] {
            let form =
                format!("RecordingStatus={status}&RecordingSid={recording}&RecordingDuration=9");
            step(&server, &kept, &form).await;
        }
    }
    for status in ["new", "pending", "empty"] {
        let query = format!("Status={status}");
        assert!(
            messages(&server, &who, &mailbox, &query).await.is_empty(),
            "{status}"
        );
    }
    tender(&server).tend(&News::default()).await.unwrap();
    assert!(server.store.recording(foreign).await.unwrap().is_some());
}

/// A caller can leave a message although the greeting is gone, and although the operator does not answer.
#[tokio::test]
async fn nothing_keeps_a_caller_from_leaving_a_message() {
    let server = Server::start().await;
    let who = server.admin();
    let form = "FriendlyName=Ann&Greeting=http://a.example/gone.wav&Operator=%2B4930";
    let mailbox = made(&server, &who, form).await;
    let greeting = step(&server, &path(&mailbox["voice_url"]), CALLER).await;
    assert!(
        !greeting.contains("<Play>") && greeting.contains("leave a message"),
        "{greeting}"
    );
    let operator = step(&server, &next(&greeting, "action"), "Digits=0").await;
    let after = next(&operator, "<Dial action");
    for (status, part) in [
        ("no-answer", "<Record "),
        ("failed", "<Record "),
        ("completed", "<Hangup/>"),
    ] {
        let document = step(&server, &after, &format!("DialCallStatus={status}")).await;
        assert!(document.contains(part), "{status}: {document}");
    }
    let own = format!("{}/{}.json", boxes(&who), mailbox["sid"].as_str().unwrap());
    server
        .post(&who, &own, "Greeting=http://a.example/there.wav")
        .await
        .is(200);
    let greeting = step(&server, &path(&mailbox["voice_url"]), CALLER).await;
    assert!(
        greeting.contains("<Play>http://a.example/there.wav</Play>"),
        "{greeting}"
    );
}

/// A caller who wants to record again and then says nothing has sent the first message.
#[tokio::test]
async fn a_message_counts_until_there_is_another() {
    let server = Server::start().await;
    let who = server.admin();
    let mailbox = made(&server, &who, "FriendlyName=Ann&Review=true").await;
    let greeting = step(&server, &path(&mailbox["voice_url"]), CALLER).await;
    let first = complete(&server, server.admin, 1).await;
    let form = format!("RecordingSid={first}&RecordingDuration=9");
    let review = step(&server, &next(&greeting, "><Record action"), &form).await;
    let again = step(&server, &next(&review, "action"), "Digits=3").await;
    let nothing = RecordingSid::from_bytes([9; 16]);
    let form = format!("RecordingStatus=absent&RecordingSid={nothing}&RecordingDuration=0");
    step(&server, &next(&again, "recordingStatusCallback"), &form).await;
    tender(&server).tend(&News::default()).await.unwrap();
    let found = messages(&server, &who, &mailbox, "").await;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0]["recording_sid"], first.to_string());
}

#[tokio::test]
async fn transcripts_reach_the_email_that_waits_for_them() {
    let server = Server::start().await;
    let who = server.admin();
    let form = "FriendlyName=Ann&EmailTo=ann@a.example&EmailFrom=box@a.example&EmailBody={{Transcript}}&Transcribe=true\
        &Language=de&CallbackUrl=https://a.example/new&DeleteAfterEmail=true";
    let mailbox = made(&server, &who, form).await;
    left(&server, &mailbox, 1, 7).await;
    let (tender, news) = (tender(&server), News::default());
    tender.tend(&news).await.unwrap();
    let all = EmailFilter::of(Scope::Own(server.admin));
    assert!(server.store.emails(&all).await.unwrap().items.is_empty());
    for _ in 0..2 {
        let folder = server.dir.path();
        tender.transcribe(folder, &Writer, &news).await.unwrap();
        tender.tend(&news).await.unwrap();
    }
    let mails = server.store.emails(&all).await.unwrap().items;
    assert_eq!(mails.len(), 1);
    assert_eq!(mails[0].body, "heard in de");
    assert_eq!(
        messages(&server, &who, &mailbox, "").await[0]["transcript"],
        "heard in de"
    );
    let events: Vec<String> = news
        .0
        .lock()
        .unwrap()
        .iter()
        .map(|c| c.params[1].1.clone())
        .collect();
    assert_eq!(events, ["new-message", "transcribed"]);
    // Once the mail server has accepted it, the message goes.
    let claim = store::EmailClaim {
        holder: model::ServerSid::from_bytes([1; 16]),
        lease: std::time::Duration::from_secs(60),
        longest_wait: std::time::Duration::from_secs(60),
        limit: 9,
    };
    let later = Timestamp(i64::MAX / 4);
    let mut claimed = server.store.claim_emails(&claim, later).await.unwrap();
    claimed[0].email.status = model::EmailStatus::Sent;
    server.store.end_email(&claimed[0], None).await.unwrap();
    tender.tend(&news).await.unwrap();
    assert!(messages(&server, &who, &mailbox, "").await.is_empty());
}

#[tokio::test]
async fn the_owner_hears_messages_with_a_pin() {
    let server = Server::start().await;
    let who = server.admin();
    let mailbox = made(&server, &who, "FriendlyName=Ann&Pin=4711").await;
    for n in 1..=3 {
        left(&server, &mailbox, n, 7).await;
        tender(&server).tend(&News::default()).await.unwrap();
    }
    let call = live(&server).await;
    let form = format!("CallSid={call}&From=%2B4930999&To=1001");
    let asked = step(&server, &path(&mailbox["access_url"]), &form).await;
    let wrong = step(&server, &next(&asked, "action"), "Digits=1234").await;
    assert!(wrong.contains("not correct"), "{wrong}");
    let menu = step(&server, &next(&wrong, "action"), "Digits=4711").await;
    assert!(menu.contains("3 new messages"), "{menu}");
    let chosen = step(&server, &next(&menu, "action"), "Digits=1").await;
    let first = step(&server, &redirect(&chosen), "").await;
    assert!(first.contains("Message from 4 9 3 0 1 2 3"), "{first}");
    // Again, keep, delete; then the menu from the third one, which stays new.
    let again = step(&server, &next(&first, "action"), "Digits=1").await;
    let kept = step(&server, &next(&again, "action"), "Digits=2").await;
    let second = step(&server, &redirect(&kept), "").await;
    let third = step(&server, &next(&second, "action"), "Digits=3").await;
    assert!(
        third.contains("Deleted") && third.contains("Message from"),
        "{third}"
    );
    let menu = step(&server, &next(&third, "action"), "Digits=%23").await;
    let menu = step(&server, &redirect(&menu), "").await;
    assert!(
        menu.contains("one new message. There is one old message"),
        "{menu}"
    );
    // A greeting recorded by phone.
    let record = step(&server, &next(&menu, "action"), "Digits=3").await;
    let recording = complete(&server, server.admin, 9).await;
    let form = format!("RecordingSid={recording}&RecordingDuration=3");
    let saved = step(&server, &next(&record, "action"), &form).await;
    assert!(saved.contains("has been saved"), "{saved}");
    let greeting = step(&server, &path(&mailbox["voice_url"]), CALLER).await;
    assert!(
        greeting.contains(&format!("{recording}.wav?Signature=")),
        "{greeting}"
    );
    // Once the call is over, its addresses lead nowhere.
    end(&server, call).await;
    let over = server
        .ask("POST", None, &next(&menu, "action"), &[], "Digits=1")
        .await;
    over.is(404);
}

#[tokio::test]
async fn addresses_are_signed_and_pins_are_limited() {
    let server = Server::start().await;
    let who = server.admin();
    let mailbox = made(&server, &who, "FriendlyName=Ann&Pin=4711").await;
    let other = made(&server, &who, "FriendlyName=Bob&Pin=1111").await;
    let access = path(&mailbox["access_url"]);
    let forged = [
        access.replace("access", "menu"),
        access.replace(
            mailbox["sid"].as_str().unwrap(),
            other["sid"].as_str().unwrap(),
        ),
        access.replace("Signature=", "Caller=x&Signature="),
        access.split_once('?').unwrap().0.to_owned(),
    ];
    for path in forged {
        let answer: Answer = server.ask("POST", None, &path, &[], CALLER).await;
        answer.is(403);
    }
    // What the server adds to a GET comes after the signature.
    let with_get = format!(
        "{}&{CALLER}&DialCallStatus=busy",
        path(&mailbox["voice_url"])
    );
    let busy = server.ask("GET", None, &with_get, &[], "").await;
    assert!(busy.body.contains("on another call"), "{}", busy.body);
    let form = format!("{CALLER}&DialCallStatus=completed");
    let answered = step(&server, &path(&mailbox["voice_url"]), &form).await;
    assert_eq!(answered, "<Response><Hangup/></Response>");
    for _ in 0..20 {
        let asked = step(&server, &access, CALLER).await;
        step(&server, &next(&asked, "action"), "Digits=0000").await;
    }
    let asked = step(&server, &access, CALLER).await;
    let refused = step(&server, &next(&asked, "action"), "Digits=4711").await;
    assert!(refused.contains("not available"), "{refused}");
    // A deleted box answers nothing.
    let own = format!("{}/{}.json", boxes(&who), mailbox["sid"].as_str().unwrap());
    server.delete(&who, &own).await.is(204);
    server.ask("POST", None, &access, &[], CALLER).await.is(404);
}
