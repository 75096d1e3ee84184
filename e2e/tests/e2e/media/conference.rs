//! `<Conference>`: calls of different families meet in a room.

use anyhow::{Context as _, ensure};
use e2e::phone::Setup;
use e2e::sipp::Scenario;
use e2e::tone::Heard;
use e2e::{Phone, Pitch, Reply, wait};

use super::replay::patchcord;
use super::{SOON, Scene, talk};

/// Seconds that all talk, and the minimum that must be heard.
const TALK: f64 = 3.0;
const HEARD: f64 = 2.5;

/// A registered phone of another client.
fn phone(scene: &Scene, user: &str, pitch: Pitch) -> anyhow::Result<Phone> {
    let password = format!("{user}-Secret-1");
    scene.server.rest().client(user, &password)?;
    let setup = Setup::new(user).registers(&password);
    // Kim speaks µ-law, ann A-law.
    let setup = if user == "eve" {
        setup.wideband()
    } else {
        setup
    };
    setup.start(&scene.server, pitch)
}

#[test]
fn three_phones_hear_the_others_and_not_themselves() -> anyhow::Result<()> {
    let scene = Scene::new()?;
    let verbs = "<Dial action=\"/after\"><Conference beep=\"false\">standup</Conference></Dial>";
    scene.app.on("/v", Reply::document(verbs));
    scene.app.on("/after", Reply::document(""));
    let ann = scene.ann(Setup::alaw)?;
    let eve = phone(&scene, "eve", scene.music)?;
    let phones = [
        (&scene.kim, scene.kims),
        (&ann, scene.anns),
        (&eve, scene.music),
    ];
    for (phone, _) in phones {
        phone.dial("1000")?;
        phone.wait_for("CALL_ESTABLISHED")?;
    }
    talk(TALK);
    // New calls are spread over the workers, but those of a conference meet on one.
    if std::thread::available_parallelism()?.get() > 1 {
        assert!(scene.server.metric("patchcord_media_moves_total")? >= 1.0);
    }
    for (phone, _) in phones {
        phone.hangup()?;
    }
    for (phone, own) in phones {
        let heard = phone.heard()?;
        for (_, other) in phones.into_iter().filter(|(_, pitch)| *pitch != own) {
            heard.check_bridge(other, own, HEARD)?;
        }
    }
    let asked = scene.app.wait_for("/after", 3, SOON)?;
    for request in &asked {
        assert_eq!(request.param("DialCallStatus"), Some("completed"));
        assert_eq!(request.param("DialCallSid"), None, "{request:?}");
    }
    // Each call, and the conference, replays from its own journal.
    let mut conference = None;
    for call in scene.server.rest().finished_calls(3, SOON)? {
        let sid = call["sid"].as_str().unwrap_or_default();
        let replayed = replay(&scene, sid);
        assert!(replayed.is_ok(), "{replayed:?}");
        let shown = patchcord(&scene, &["calls", "show", sid])?;
        let shown = String::from_utf8(shown.stdout)?;
        let start = shown
            .find(" CF")
            .context("the trace names the conference")?;
        conference = shown.get(start + 1..start + 35).map(str::to_owned);
    }
    let replayed = replay(&scene, &conference.unwrap_or_default());
    assert!(replayed.is_ok(), "{replayed:?}");
    Ok(())
}

/// Kim is the customer, ann the agent, and eve the coach of ann.
#[test]
fn only_the_coached_phone_hears_the_coach() -> anyhow::Result<()> {
    let scene = Scene::new()?;
    let meets = "<Dial><Conference beep=\"false\">desk</Conference></Dial>";
    scene.app.on("/v", Reply::document(meets));
    let rest = scene.server.rest();
    rest.number("1001", &scene.app.url("/coach"))?;
    let ann = scene.ann(Setup::alaw)?;
    let eve = phone(&scene, "eve", scene.music)?;
    for phone in [&scene.kim, &ann] {
        phone.dial("1000")?;
        phone.wait_for("CALL_ESTABLISHED")?;
    }
    let asked = scene.app.wait_for("/v", 2, SOON)?;
    let of_ann = asked.iter().find(|it| it.param("From") == Some("ann"));
    let agent = of_ann.and_then(|it| it.param("CallSid"));
    let coaches = format!(
        "<Dial><Conference beep=\"false\" coach=\"{}\">desk</Conference></Dial>",
        agent.context("ann's call")?
    );
    scene.app.on("/coach", Reply::document(&coaches));
    eve.dial("1001")?;
    eve.wait_for("CALL_ESTABLISHED")?;
    talk(TALK);
    for phone in [&scene.kim, &ann, &eve] {
        phone.hangup()?;
    }
    let (customer, agent, coach) = (scene.kim.heard()?, ann.heard()?, eve.heard()?);
    customer.check_bridge(scene.anns, scene.kims, HEARD)?;
    let leaked = customer.share(scene.music);
    ensure!(
        leaked < 0.02,
        "kim hears the coach in {leaked:.3} of the time"
    );
    for pitch in [scene.kims, scene.music] {
        agent.check_bridge(pitch, scene.anns, HEARD)?;
    }
    for pitch in [scene.kims, scene.anns] {
        coach.check_bridge(pitch, scene.music, HEARD)?;
    }
    Ok(())
}

#[test]
fn a_recording_has_the_tones_of_all_and_the_conference_names_it() -> anyhow::Result<()> {
    let scene = Scene::new()?;
    let recorded = "<Dial><Conference beep=\"false\" record=\"record-from-start\" trim=\"do-not-trim\" \
                    recordingStatusCallback=\"/told\" statusCallback=\"/events\" \
                    statusCallbackEvent=\"end\">standup</Conference></Dial>";
    scene.app.on("/v", Reply::document(recorded));
    let ann = scene.ann(Setup::alaw)?;
    let eve = phone(&scene, "eve", scene.music)?;
    let phones = [&scene.kim, &ann, &eve];
    for phone in phones {
        phone.dial("1000")?;
        phone.wait_for("CALL_ESTABLISHED")?;
    }
    talk(TALK);
    for phone in phones {
        phone.hangup()?;
    }
    let told = scene.app.wait_for("/told", 1, SOON)?;
    let param = |name: &str| told[0].param(name).unwrap_or_default().to_owned();
    assert_eq!(param("RecordingStatus"), "completed");
    assert_eq!(param("RecordingSource"), "Conference");
    let ended = scene.app.wait_for("/events", 1, SOON)?;
    assert_eq!(
        ended[0].param("RecordingUrl"),
        Some(&*param("RecordingUrl"))
    );
    let rest = scene.server.rest();
    let (conference, sid) = (param("ConferenceSid"), param("RecordingSid"));
    let listed = rest.get(&format!("Conferences/{conference}/Recordings"))?;
    assert_eq!(listed["recordings"][0]["sid"], sid, "{listed}");
    assert_eq!(listed["recordings"][0]["conference_sid"], conference);
    let path = rest.path(&format!("Recordings/{sid}"));
    let file = rest.send("GET", &path.replace(".json", ".wav"), None)?;
    assert_eq!(file.status(), 200, "{}", file.start);
    let recorded = Heard::from_wav(&file.body)?;
    for pitch in [scene.kims, scene.anns, scene.music] {
        let span = recorded.span_of(pitch);
        assert!(
            span.seconds() >= HEARD,
            "{pitch:?}: {:.2} s",
            span.seconds()
        );
    }
    let replayed = replay(&scene, &conference);
    assert!(replayed.is_ok(), "{replayed:?}");
    Ok(())
}

/// Replays a journal once it is stored.
pub(super) fn replay(scene: &Scene, sid: &str) -> anyhow::Result<()> {
    let replayed = wait::until("a journal", SOON, || {
        let output = patchcord(scene, &["replay", sid]).ok()?;
        (output.status.code() != Some(64)).then_some(output)
    })?;
    let said = String::from_utf8(replayed.stdout)?;
    ensure!(said.ends_with(" steps, identical\n"), "{sid}: {said}");
    Ok(())
}

#[test]
fn members_wait_for_the_moderator_and_leave_with_it() -> anyhow::Result<()> {
    let scene = Scene::new()?;
    let rest = scene.server.rest();
    rest.number("1001", &scene.app.url("/moderator"))?;
    let waits = "<Dial><Conference startConferenceOnEnter=\"false\" maxParticipants=\"2\" \
                 waitUrl=\"/wait\">room</Conference></Dial><Play>/full.wav</Play>";
    let wait = "<Play>/hold.wav</Play>";
    scene.app.on("/v", Reply::document(waits));
    scene.app.on("/wait", Reply::document(wait));
    let hold = Pitch::of(2650.0);
    scene.app.on("/hold.wav", Reply::wav(hold.wav(1)));
    scene.app.on("/full.wav", Reply::wav(scene.music.wav(1)));
    let moderates = "<Dial><Conference muted=\"true\" beep=\"false\" endConferenceOnExit=\"true\">room</Conference></Dial>";
    scene.app.on("/moderator", Reply::document(moderates));
    let ann = scene.ann(|ann| ann)?;
    let eve = phone(&scene, "eve", Pitch::of(3100.0))?;
    for phone in [&scene.kim, &ann] {
        phone.dial("1000")?;
        phone.wait_for("CALL_ESTABLISHED")?;
    }
    // The room is full: the next verb runs.
    eve.dial("1000")?;
    eve.wait_for("CALL_CLOSED")?;
    assert!(eve.heard()?.share(scene.music) > 0.5);
    talk(1.0);
    let before = wait::until("the waiting phones", SOON, || {
        let calls = rest.calls().ok()?;
        let live = calls.iter().filter(|call| call["status"] == "in-progress");
        (live.count() == 2).then_some(())
    });
    before?;
    let moderator = phone(&scene, "max", Pitch::of(3100.0))?;
    moderator.dial("1001")?;
    moderator.wait_for("CALL_ESTABLISHED")?;
    talk(TALK);
    moderator.hangup()?;
    // All others leave when the moderator does.
    scene.kim.wait_for("CALL_CLOSED")?;
    ann.wait_for("CALL_CLOSED")?;

    let (kim, ann, moderator) = (scene.kim.heard()?, ann.heard()?, moderator.heard()?);
    kim.check_bridge(scene.anns, scene.kims, HEARD)?;
    ann.check_bridge(scene.kims, scene.anns, HEARD)?;
    for pitch in [scene.kims, scene.anns] {
        moderator.check_bridge(pitch, Pitch::of(3100.0), HEARD)?;
    }
    // The music is heard until the conference starts.
    for (heard, other) in [(&kim, scene.anns), (&ann, scene.kims)] {
        let music = heard.span_of(hold).seconds();
        assert!(music > 0.9, "{music:.1} s of music");
        let after = heard.span_of(other).share(hold);
        assert!(after < 0.02, "music in {:.1} % of the talk", after * 100.0);
    }
    // The muted moderator is not heard, and nothing was heard before it arrived.
    assert!(kim.share(Pitch::of(3100.0)) < 0.02);
    let together = kim.span_of(scene.anns).seconds();
    assert!(
        together < TALK + 1.0,
        "heard each other for {together:.1} s"
    );
    let ended = rest.finished_calls(4, SOON)?;
    let reasons: Vec<_> = ended.iter().map(|call| &call["reason"]).collect();
    assert_eq!(ended.len(), 4, "{reasons:?}");
    Ok(())
}

/// The events of a conference that were reported, in order.
fn events(scene: &Scene, count: usize) -> anyhow::Result<Vec<String>> {
    let told = scene.app.wait_for("/events", count, SOON)?;
    for (at, request) in told.iter().enumerate() {
        let number = (at + 1).to_string();
        ensure!(
            request.param("SequenceNumber") == Some(&number),
            "{request:?}"
        );
    }
    let events = told
        .iter()
        .map(|request| request.param("StatusCallbackEvent").unwrap_or_default());
    Ok(events.map(str::to_owned).collect())
}

#[test]
fn the_api_changes_participants_and_every_event_is_reported_even_after_a_crash()
-> anyhow::Result<()> {
    let mut scene = Scene::new()?;
    let verbs = "<Dial><Conference beep=\"false\" statusCallback=\"/events\" \
                 statusCallbackEvent=\"start end join leave mute hold\">room</Conference></Dial>\
                 <Play>/left.wav</Play>";
    let (hold, left) = (Pitch::of(2650.0), Pitch::of(3100.0));
    scene.app.on("/v", Reply::document(verbs));
    scene.app.on("/hold.wav", Reply::wav(hold.wav(1)));
    scene.app.on("/left.wav", Reply::wav(left.wav(1)));
    let ann = scene.ann(|ann| ann)?;
    for phone in [&scene.kim, &ann] {
        phone.dial("1000")?;
        phone.wait_for("CALL_ESTABLISHED")?;
    }
    events(&scene, 3)?;
    let rest = scene.server.rest();
    let conferences = rest.all("Conferences", "conferences")?;
    let conference = conferences[0]["sid"].as_str().context("a SID")?.to_owned();
    let participants = format!("Conferences/{conference}/Participants");
    let calls = rest.get(&participants)?;
    let kims = calls["calls"].as_array().context("a list")?;
    let of_kim = |call: &&serde_json::Value| {
        let sid = call["sid"].as_str().unwrap_or_default();
        let call = rest.get(&format!("Calls/{sid}"));
        call.is_ok_and(|call| call["from"] == "kim")
    };
    let kim = kims.iter().find(of_kim).context("kim's call")?["sid"].clone();
    let kim = format!("{participants}/{}", kim.as_str().context("a SID")?);
    talk(1.0);
    let muted = rest.post(&kim, &[("Muted", "true")])?;
    ensure!(muted["muted"] == true, "{muted}");
    talk(1.5);
    let url = scene.app.url("/hold.wav");
    let held = rest.post(&kim, &[("Hold", "true"), ("HoldUrl", &url)])?;
    ensure!(held["hold"] == true, "{held}");
    talk(1.5);
    let removed = rest.send("DELETE", &rest.path(&kim), None)?;
    ensure!(removed.status() == 200, "{removed:?}");
    scene.kim.wait_for("CALL_CLOSED")?;
    let seen = [
        "participant-join",
        "participant-join",
        "conference-start",
        "participant-mute",
        "participant-hold",
        "participant-leave",
    ];
    let mut known: Vec<&str> = seen.to_vec();
    // The two may have come in either order of joining and starting.
    let mut found = events(&scene, seen.len())?;
    known[..3].sort_unstable();
    found[..3].sort_unstable();
    assert_eq!(found, known);

    scene.server.kill()?;
    scene.server.start_again()?;
    let found = events(&scene, seen.len() + 1)?;
    assert_eq!(found.last().map(String::as_str), Some("conference-end"));
    let last = scene.app.requests("/events");
    let last = last.last().context("the end")?;
    assert_eq!(last.param("ReasonConferenceEnded"), Some("node-lost"));

    let (kim, ann) = (scene.kim.heard()?, ann.heard()?);
    assert!(kim.span_of(hold).seconds() > 0.9, "no music on hold");
    assert!(kim.span_of(left).seconds() > 0.5, "the document ended");
    // Ann hears kim until she is muted.
    let heard = ann.span_of(scene.kims).seconds();
    assert!(
        (0.7..2.2).contains(&heard),
        "kim was heard for {heard:.1} s"
    );
    assert!(
        kim.span_of(hold).share(scene.anns) < 0.1,
        "ann was heard on hold"
    );
    Ok(())
}

/// The description of the call is one part of a multipart body.
#[test]
fn an_offer_in_a_multipart_body_enters() -> anyhow::Result<()> {
    let scene = Scene::new()?;
    let verbs = "<Dial><Conference>standup</Conference></Dial>";
    scene.app.on("/v", Reply::document(verbs));
    let rest = scene.server.rest();
    rest.public_number("1001", &scene.app.url("/v"), &scene.app.url("/s"))?;
    Scenario::new("multipart-call-and-hang-up")
        .service("1001")
        .run(&scene.server)?;
    let calls = rest.finished_calls(1, SOON)?;
    assert_eq!(calls[0]["status"], "completed", "{calls:?}");
    let room = wait::until("the end of the conference", SOON, || {
        let rooms = rest.all("Conferences", "conferences").ok()?;
        rooms.into_iter().find(|room| room["status"] == "COMPLETED")
    })?;
    assert_eq!(room["friendly_name"], "standup", "{room}");
    Ok(())
}
