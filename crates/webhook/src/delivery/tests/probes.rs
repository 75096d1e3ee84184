//! Hosts of which only one address fails.

use super::*;

/// An address that always fails opens the breaker of its host, but what goes to other addresses there waits only for the first pause.
#[test]
fn a_probe_is_a_row_that_has_not_failed() {
    let mut world =
        World::new(CallbackConfig::default(), 1).host("app", |_, _| (Duration::ZERO, taken()));
    for call in 0..6 {
        let mut bad = row(1, call, 0, "app", at(0));
        bad.callback.url = "http://app/bad".to_owned();
        world.arrive(bad);
    }
    for n in 0..20 {
        world.arrive(row(1, 10 + n, 0, "app", at(8 + 30 * i64::from(n))));
    }
    world.run(at(700));
    let good = world.sent.iter().filter(|sent| sent.call >= 10);
    let mut count = 0;
    for sent in good {
        let due = at(8 + 30 * i64::from(sent.call - 10));
        let waited = sent.at.since(due);
        let longest = CallbackConfig::default().breaker_wait * 2;
        assert!(waited < longest, "call {}: {waited:?}", sent.call);
        count += 1;
    }
    assert_eq!(count, 20);
}
