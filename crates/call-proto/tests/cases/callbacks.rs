//! Callbacks of a dialled leg.

use crate::world::{Phone, Run, World, empty, phone};
use call_proto::Dialect;

const S: &str = "http://app/s";

/// A noun with a status callback and possibly more attributes.
fn noun(name: &str, target: &str, more: &str) -> String {
    format!("<{name} statusCallback=\"/s\" {more}>{target}</{name}>")
}

fn client(more: &str) -> String {
    format!("<Dial>{}</Dial>", noun("Client", "ann", more))
}

/// Sequence numbers and words of all callbacks.
fn told(run: &Run) -> String {
    let numbers = run.told(S, "SequenceNumber");
    let words = run.told(S, "CallStatus");
    let pairs = numbers.iter().zip(&words);
    let lines: Vec<String> = pairs
        .map(|(number, word)| format!("{number} {word}"))
        .collect();
    lines.join(", ")
}

fn talks() -> Phone {
    phone().rings(1.0).answers(2.0).talks(3.0)
}

fn ann(more: &str, phone: Phone) -> Run {
    World::document(&client(more)).phone("ann", phone).run()
}

/// Delivery follows these numbers, leg by leg.
#[test]
fn callbacks_are_numbered_in_their_order() {
    let run = ann("", talks());
    let callee = run.record("ann").sid;
    assert!(run.callbacks.iter().all(|told| told.call == Some(callee)));
    let order: Vec<i64> = run
        .callbacks
        .iter()
        .map(|callback| callback.sequence)
        .collect();
    assert_eq!(order, [0, 1, 2, 3]);
}

/// The other dialect: only the last event, with the real status and a running number.
#[test]
fn twilio_dialect() {
    let world = World::document(&client("")).dialect(Dialect::TWILIO);
    let run = world
        .clone()
        .phone("ann", phone().rings(1.0).rejects(2.0, 486))
        .run();
    assert_eq!(told(&run), "0 busy");
    let all = client("statusCallbackEvent=\"initiated ringing answered completed\"");
    let run = World::document(&all)
        .dialect(Dialect::TWILIO)
        .phone("ann", talks())
        .run();
    assert_eq!(
        told(&run),
        "0 initiated, 1 ringing, 2 in-progress, 3 completed"
    );
    let number = "http://app/number";
    let run = world
        .number_callback(number)
        .app("/a", empty())
        .phone("ann", talks())
        .run();
    assert_eq!(run.told(number, "CallStatus"), ["completed"]);
}

/// An unusable address is reported, and the leg is called all the same.
#[test]
fn bad_address() {
    let document = "<Dial><Client statusCallback=\"ftp://x/s\">ann</Client></Dial>";
    let run = World::document(document).phone("ann", talks()).run();
    assert_eq!(run.to("ann"), "0 INVITE, 2 ACK");
    assert_eq!(run.callbacks.len(), 0);
    assert_eq!(run.codes(), [11100]);
}
