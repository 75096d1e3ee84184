//! `<Conference>`: calls of different families meet in a room.

use anyhow::{Context as _, ensure};
use e2e::phone::Setup;
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

/// Replays a journal once it is stored.
fn replay(scene: &Scene, sid: &str) -> anyhow::Result<()> {
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
