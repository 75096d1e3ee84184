//! Rows that someone wants dropped.

use super::*;

/// A dropped row ends without another attempt, and those after it follow at once. One in progress is left alone, and one that is
/// only on disk is not taken from a page that is being read.
#[test]
fn a_row_that_is_dropped_lets_the_next_one_go() {
    let mut machine = Delivery::new(CallbackConfig::default());
    let rows = [1, 2].map(|sequence| row(1, 1, sequence, "a", at(0)));
    for row in &rows {
        machine.handle_row(row.clone());
    }
    let first = rows[0].callback.event;
    let sent = next_sent(&mut machine, at(0)).unwrap();
    assert_eq!(sent.callback.event, first);
    assert_eq!(machine.handle_drop(first), Drop::InProgress);
    machine.handle_attempt(first, failed(Some(503)), at(1), 1.0);
    assert!(next_sent(&mut machine, at(1)).is_none(), "it waits");
    assert_eq!(machine.handle_drop(first), Drop::Ends);
    assert_eq!(
        machine.handle_drop(first),
        Drop::InProgress,
        "its end is being stored"
    );
    let mut ends = Vec::new();
    let mut second = None;
    while let Some(output) = machine.poll_output(at(1)) {
        match output {
            Output::End(row, outcome) => ends.push((row.callback.event, outcome)),
            Output::Send(row) => second = Some(row.callback.event),
            _ => {}
        }
    }
    assert_eq!(ends, [(first, Outcome::Dropped)]);
    assert_eq!(second, Some(rows[1].callback.event));
    machine.handle_stored(first, &Outcome::Dropped);
    assert_eq!(machine.stats().dead, 1);

    let mut machine = Delivery::new(CallbackConfig::default());
    machine.look_through(2);
    let Some(Output::Read(read)) = machine.poll_output(at(0)) else {
        panic!("nothing is read");
    };
    assert_eq!(machine.handle_drop(first), Drop::OnDisk);
    machine.handle_page(read, Some(rows.to_vec()), at(0));
    let sent = next_sent(&mut machine, at(0)).unwrap();
    assert_eq!(sent.callback.event, rows[1].callback.event);
}
