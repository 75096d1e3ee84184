//! Every end of a call in both dialects: the callbacks to the number's owner and the creator of a
//! leg.

use call_proto::Dialect;

use crate::world::{Phone, Run, World, empty, phone, status, xml};

const NUMBER: &str = "http://app/number";
const LEG: &str = "http://app/s";
const ALL: &str = "statusCallbackEvent=\"initiated ringing answered completed\"";

/// Number, status and, where the dialect reports it, the real status of each callback of a leg.
fn leg(run: &Run, call: &str) -> String {
    let sid = run.record(call).sid;
    let mine = run
        .callbacks
        .iter()
        .filter(|callback| callback.url == LEG && callback.call == Some(sid));
    let line = |callback: &model::record::Callback| {
        let get = |name: &str| {
            let found = callback.params.iter().find(|(known, _)| known == name);
            found.map(|(_, value)| value.as_str())
        };
        let words = [get("SequenceNumber"), get("CallStatus"), get("CallResult")];
        let words: Vec<&str> = words.into_iter().flatten().collect();
        words.join(" ")
    };
    let lines: Vec<String> = mine.map(line).collect();
    lines.join(", ")
}

fn dial(dialect: Dialect, events: &str, ann: Phone) -> World {
    let noun = |name: &str| format!("<Client statusCallback=\"/s\" {events}>{name}</Client>");
    let document = format!("<Dial timeout=\"5\">{}{}</Dial>", noun("ann"), noun("bob"));
    World::document(&document)
        .dialect(dialect)
        .phone("ann", ann)
        .phone("bob", phone().rings(0.0))
}

#[test]
fn of_each_leg() {
    // What ann's phone does, and when K hangs up; then the callbacks about ann's leg, by default in
    // one dialect and on request in the other, and about the leg of bob, whose phone only rings.
    let rings = || phone().rings(0.0);
    let table = [
        (
            rings().answers(1.0).talks(2.0),
            None,
            "0 initiated queued, 1 ringing ringing, 2 answered in-progress, 3 completed completed",
            "0 initiated, 1 ringing, 2 in-progress, 3 completed",
            "0 initiated queued, 1 ringing ringing, 3 completed canceled",
        ),
        (
            rings().rejects(1.0, 486),
            None,
            "0 initiated queued, 1 ringing ringing, 3 completed busy",
            "0 initiated, 1 ringing, 2 busy",
            "0 initiated queued, 1 ringing ringing, 3 completed no-answer",
        ),
        (
            phone().rejects(1.0, 500),
            None,
            "0 initiated queued, 3 completed failed",
            "0 initiated, 1 failed",
            "0 initiated queued, 1 ringing ringing, 3 completed no-answer",
        ),
        (
            rings(),
            None,
            "0 initiated queued, 1 ringing ringing, 3 completed no-answer",
            "0 initiated, 1 ringing, 2 no-answer",
            "0 initiated queued, 1 ringing ringing, 3 completed no-answer",
        ),
        (
            rings(),
            Some(2.0),
            "0 initiated queued, 1 ringing ringing, 3 completed canceled",
            "0 initiated, 1 ringing, 2 canceled",
            "0 initiated queued, 1 ringing ringing, 3 completed canceled",
        ),
    ];
    for (ann, hangs_up, restcomm, twilio, loser) in table {
        let play = |world: World| match hangs_up {
            Some(at) => world.hangs_up(at).run(),
            None => world.run(),
        };
        let run = play(dial(Dialect::RESTCOMM, "", ann.clone()));
        assert_eq!(
            (leg(&run, "ann").as_str(), leg(&run, "bob").as_str()),
            (restcomm, loser)
        );
        let run = play(dial(Dialect::TWILIO, ALL, ann.clone()));
        assert_eq!(leg(&run, "ann"), twilio);
        let run = play(dial(Dialect::TWILIO, "", ann));
        let last = twilio.rsplit(' ').next().unwrap_or_default();
        assert_eq!(
            leg(&run, "ann"),
            format!("0 {last}"),
            "only the last by default"
        );
    }
}

#[test]
fn of_the_number() {
    let table = [
        (
            World::document("<Say>x</Say>"),
            "ringing in-progress completed",
        ),
        (
            World::document("<Say>x</Say>").hangs_up(0.5),
            "ringing in-progress completed",
        ),
        (World::document("<Reject/>"), "ringing no-answer"),
        (World::document("<Reject reason=\"busy\"/>"), "ringing busy"),
        (
            World::document("<Pause length=\"5\"/>").hangs_up(1.0),
            "ringing canceled",
        ),
        (World::new().app("/v", status(500)), "ringing failed"),
        (World::new().app("/v", status(404)), "ringing not-found"),
        (
            World::document("<Redirect>/r</Redirect>").app("/r", xml("<Hangup/>")),
            "ringing in-progress completed",
        ),
        (
            World::document("<Dial action=\"/a\"><Client>ann</Client></Dial>")
                .app("/a", empty())
                .phone("ann", phone().rings(0.0).rejects(1.0, 486)),
            "ringing in-progress completed",
        ),
    ];
    for (world, told) in table {
        let world = world.number_callback(NUMBER);
        let run = world.clone().run();
        assert_eq!(run.told(NUMBER, "CallStatus").join(" "), told);
        let run = world.dialect(Dialect::TWILIO).run();
        let last = told.rsplit(' ').next().unwrap_or_default();
        assert_eq!(run.told(NUMBER, "CallStatus"), [last], "only the final one");
    }
}
