//! The callbacks stored for the case of a crash.

use call_proto::{Dialect, LegCallback, Target};
use model::record::{CallRecord, Callback};
use model::{CallSid, EventSid, Timestamp};
use rcml::LegEvent;

use crate::world::{Root, Run, World, callback_to, empty, phone, texts};

const NUMBER: &str = "http://app/number";

/// The last callbacks of a leg, without their event ids.
fn last_words(run: &Run, call: CallSid) -> Vec<Callback> {
    let ended = run
        .all_records()
        .find(|record| record.sid == call)
        .and_then(|record| record.ended);
    let mine = run
        .callbacks
        .iter()
        .filter(|callback| callback.call == Some(call));
    let last = mine.filter(|callback| Some(callback.created) == ended);
    last.cloned().map(anonymous).collect()
}

fn anonymous(mut callback: Callback) -> Callback {
    callback.event = EventSid::from_bytes([0; 16]);
    callback
}

/// As the leg itself would have made them.
fn ended(record: &CallRecord) -> Timestamp {
    record.ended.expect("it has ended")
}

/// A farewell reports the same as the leg itself.
#[track_caller]
fn agree(run: &Run, legs: usize) {
    assert_eq!(run.farewells.len(), legs);
    for (call, farewell) in &run.farewells {
        let record = run.all_records().find(|record| record.sid == *call);
        let record = record.expect("a leg with a farewell is on record");
        let told = farewell
            .clone()
            .callbacks(record, ended(record), || EventSid::from_bytes([0; 16]));
        assert_eq!(told, last_words(run, *call), "{call}");
        assert!(!told.is_empty());
    }
}

#[test]
fn a_farewell_reports_what_the_leg_would_have_reported() {
    let dial = "<Dial action=\"/a\"><Client statusCallback=\"/s\">ann</Client>\
                <Client statusCallback=\"/s\">bob</Client></Dial>";
    for dialect in [Dialect::RESTCOMM, Dialect::TWILIO] {
        let world = World::document(dial)
            .dialect(dialect)
            .number_callback(NUMBER)
            .app("/a", empty())
            .phone("ann", phone().rings(0.0).answers(1.0).talks(3.0))
            .phone("bob", phone().rings(0.0));
        agree(&world.clone().run(), 3);
        agree(&world.hangs_up(2.0).run(), 3);
        let refused = World::document(dial)
            .dialect(dialect)
            .number_callback(NUMBER)
            .app("/a", empty())
            .phone("ann", phone().rings(0.0).rejects(1.0, 486))
            .phone("bob", phone().rings(0.0).rejects(2.0, 500));
        agree(&refused.run(), 3);
    }
}

#[test]
fn a_call_of_the_api_has_one() {
    let mut world = World::api(Target::Sip("sip:zed@h".to_owned()), "<Pause length=\"2\"/>")
        .phone("zed", phone().rings(0.0).answers(1.0));
    if let Root::Api(call) = &mut world.root {
        call.callback = Some(LegCallback {
            target: callback_to("http://app/rest"),
            events: None,
        });
    }
    agree(&world.run(), 1);
}

/// Other callbacks of the call do not count in the numbers that its creator sees.
#[test]
fn it_continues_the_numbers_of_the_creator() {
    let document = "<Record recordingStatusCallback=\"/r\" \
                    recordingStatusCallbackEvent=\"in-progress\" maxLength=\"3\"/>";
    let mut world = World::api(Target::Sip("sip:zed@h".to_owned()), document)
        .dialect(Dialect::TWILIO)
        .phone("zed", phone().rings(0.0).answers(1.0));
    if let Root::Api(call) = &mut world.root {
        call.callback = Some(LegCallback {
            target: callback_to("http://app/rest"),
            events: Some(vec![LegEvent::Answered, LegEvent::Completed]),
        });
    }
    let run = world.run();
    assert_eq!(run.told("http://app/r", "RecordingStatus"), ["in-progress"]);
    assert_eq!(run.told("http://app/rest", "SequenceNumber"), ["0", "1"]);
    agree(&run, 1);
}

/// A recorded call from the API; either remote party hangs up.
fn recorded_call(zed_hangs_up: bool) -> Run {
    recording_world(zed_hangs_up).run()
}

fn recording_world(zed_hangs_up: bool) -> World {
    let document = "<Dial record=\"true\"><Number>+2000</Number></Dial>";
    let zed = phone().rings(0.0).answers(1.0);
    let other = phone().rings(0.0).answers(1.0);
    let (zed, other) = if zed_hangs_up {
        (zed.talks(5.0), other)
    } else {
        (zed, other.talks(4.0))
    };
    let mut world = World::api(Target::Sip("sip:zed@h".to_owned()), document)
        .phone("zed", zed)
        .phone("+2000", other);
    world.closing_ms = Some(300);
    if let Root::Api(call) = &mut world.root {
        call.callback = Some(LegCallback {
            target: callback_to("http://app/rest"),
            events: None,
        });
    }
    world
}

/// A recording that could not be written is never named.
#[test]
fn a_failed_recording_is_not_reported() {
    let mut world = recording_world(false);
    world.disk_full = true;
    let run = world.run();
    assert!(run.recordings.is_empty());
    let named = |callback: &&Callback| {
        callback
            .params
            .iter()
            .any(|(name, _)| name == "RecordingUrl")
    };
    assert_eq!(run.callbacks.iter().filter(named).count(), 0);
}

/// The same holds for its recording, open or closed when the leg ends.
#[test]
fn a_recorded_call_of_the_api_names_its_recording() {
    for zed_hangs_up in [false, true] {
        let run = recorded_call(zed_hangs_up);
        agree(&run, 1);
        let recording = &run.recordings[0];
        let completed = run.callbacks.last().expect("a callback");
        assert_eq!(
            texts(&completed.params, "RecordingSid"),
            recording.sid.to_string()
        );
        assert_eq!(texts(&completed.params, "RecordingDuration"), "4");
        let named = |callback: &&Callback| {
            let mut names = callback.params.iter();
            names.any(|(name, _)| name == "RecordingUrl")
        };
        assert_eq!(run.callbacks.iter().filter(named).count(), 1);
    }
}

/// Without anyone to notify, nothing is stored.
#[test]
fn a_leg_without_callbacks_has_none() {
    let run = World::document("<Dial><Client>ann</Client></Dial>")
        .phone("ann", phone().rings(0.0).answers(1.0).talks(1.0))
        .run();
    assert!(run.farewells.is_empty());
    // Only the other events are requested.
    let document = "<Dial><Client statusCallback=\"/s\" statusCallbackEvent=\"ringing\">ann\
                    </Client></Dial>";
    let run = World::document(document)
        .phone("ann", phone().rings(0.0).answers(1.0).talks(1.0))
        .run();
    for (call, farewell) in &run.farewells {
        let record = run.all_records().find(|record| record.sid == *call);
        let record = record.expect("a leg with a farewell is on record");
        let told = farewell
            .clone()
            .callbacks(record, ended(record), || EventSid::from_bytes([0; 16]));
        assert_eq!(told, []);
    }
}

/// The recording is stored before it begins, whatever happens to it.
#[test]
fn recordings_are_on_record_from_their_start() {
    let document = "<Dial record=\"true\"><Client>ann</Client></Dial>";
    for closing_ms in [Some(0), None] {
        let mut world =
            World::document(document).phone("ann", phone().rings(0.0).answers(1.0).talks(2.0));
        world.closing_ms = closing_ms;
        let run = world.run();
        assert_eq!(run.started_recordings.len(), 1);
        let started = &run.started_recordings[0];
        assert_eq!(started.call, Some(run.record("K").sid));
        let kept: Vec<_> = run.recordings.iter().map(|kept| kept.sid).collect();
        let expected: &[_] = if closing_ms.is_some() {
            &[started.sid]
        } else {
            &[]
        };
        assert_eq!(kept, expected, "closed in {closing_ms:?}");
    }
}

/// The process that closes the leg knows which recordings exist.
#[test]
fn only_recordings_that_exist_are_named() {
    let run = recorded_call(true);
    let (call, farewell) = run.farewells.iter().next().expect("a farewell");
    let record = run.all_records().find(|record| record.sid == *call);
    let record = record.expect("on record");
    let sids: Vec<_> = farewell.recordings().collect();
    assert_eq!(sids, [run.started_recordings[0].sid]);
    for length_s in [Some(3), None] {
        let mut settled = farewell.clone();
        settled.settle_recordings(|sid| length_s.filter(|_| sid == sids[0]));
        let told = settled.callbacks(record, ended(record), || EventSid::from_bytes([0; 16]));
        let params = &told.last().expect("a callback").params;
        let about = params
            .iter()
            .filter(|(name, _)| name.starts_with("Recording"));
        assert_eq!(about.count(), if length_s.is_some() { 3 } else { 0 });
        if let Some(length_s) = length_s {
            assert_eq!(texts(params, "RecordingDuration"), length_s.to_string());
            assert_eq!(texts(params, "RecordingSid"), sids[0].to_string());
        }
    }
}
