//! A failed change of the session leaves the call as it was (RFC 3261 §14).

use crate::world::{Act, UNUSABLE, World, phone, xml};

fn unusable() -> Option<String> {
    Some(UNUSABLE.to_owned())
}

#[test]
fn a_refused_offer_leaves_the_document_running() {
    // Document, what K receives except 180 and 200, and how its call ends.
    let table: &[(&str, &str, &str)] = &[
        (
            "<Play>http://app/a.wav</Play>",
            "2 488 to re-INVITE, 4 BYE",
            "completed 4 s",
        ),
        (
            "<Gather timeout=\"3\"/><Pause length=\"1\"/>",
            "2 488 to re-INVITE, 4 BYE",
            "completed 4 s",
        ),
    ];
    for (document, sent, end) in table {
        let run = World::document(document)
            .clip("http://app/a.wav", 4.0)
            .act(2.0, Act::Reinvite(unusable()))
            .run();
        assert_eq!(run.to("K"), format!("0 180, 0 200, {sent}"), "{document}");
        assert_eq!(run.ended("K"), *end, "{document}");
    }
}

#[test]
fn a_refused_offer_of_either_party_leaves_the_bridge() {
    for party in ["K", "ann"] {
        let run = World::document("<Dial action=\"/done\"><Client>ann</Client></Dial>")
            .app("/done", xml("<Hangup/>"))
            .phone("ann", phone().rings(0.0).answers(1.0).talks(5.0))
            .act(3.0, Act::ReinviteBy(party.to_owned(), unusable()))
            .run();
        let refused = |name| {
            if name == party {
                "3 488 to re-INVITE, "
            } else {
                ""
            }
        };
        assert_eq!(
            run.to("K"),
            format!("0 180, 0 200, {}6 BYE", refused("K")),
            "{party}"
        );
        let ann = format!("0 INVITE, 1 ACK, {}", refused("ann"));
        assert_eq!(run.to("ann"), ann.trim_end_matches(", "), "{party}");
        assert_eq!(run.ended("K"), "completed 6 s", "{party}");
        assert_eq!(run.ended("ann"), "completed 5 s, rang 1 s", "{party}");
    }
}

/// K requests our offer, and its answer is unusable.
#[test]
fn a_refused_late_answer_leaves_the_call() {
    let run = World::document("<Play>http://app/a.wav</Play>")
        .clip("http://app/a.wav", 4.0)
        .act(2.0, Act::Reinvite(None))
        .act(2.5, Act::Ack(unusable()))
        .run();
    assert_eq!(run.to("K"), "0 180, 0 200, 2 200 to re-INVITE, 4 BYE");
    assert_eq!(run.ended("K"), "completed 4 s");
}
