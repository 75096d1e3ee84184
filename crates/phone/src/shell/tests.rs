//! Two phones that call each other directly, over real sockets.

use std::time::Duration;

use super::*;

const PATIENCE: Duration = Duration::from_secs(10);

async fn phone(user: &str, tone_hz: f64, codec: Codec, when_called: WhenCalled) -> Phone {
    let nowhere = SocketAddr::from(([127, 0, 0, 1], 9));
    Phone::start(PhoneConfig {
        tone_hz,
        codecs: vec![codec],
        when_called,
        ..PhoneConfig::new(user, "secret", "example.org", nowhere)
    })
    .await
    .unwrap()
}

fn address(phone: &Phone) -> String {
    format!("sip:phone@{}", phone.address())
}

#[tokio::test(flavor = "multi_thread")]
async fn both_hear_each_other() {
    for codec in [Codec::PCMU, Codec::PCMA, Codec::G722] {
        let soon = WhenCalled::Answer(Duration::from_millis(50));
        let alice = phone("alice", 600.0, codec, soon).await;
        let bob = phone("bob", 900.0, codec, soon).await;
        let talk = async {
            let from_alice = alice.call(&address(&bob)).await.unwrap();
            let at_bob = bob.incoming().await.unwrap();
            from_alice.answered().await.unwrap();
            at_bob.answered().await.unwrap();
            tokio::time::sleep(Duration::from_millis(300)).await;
            for call in [&from_alice, &at_bob] {
                call.mark();
            }
            tokio::time::sleep(Duration::from_millis(600)).await;
            let (alice_heard, bob_heard) = (from_alice.heard(900.0), at_bob.heard(600.0));
            from_alice.hang_up();
            assert_eq!(from_alice.over().await, CallEvent::Ended { status: 200 });
            assert_eq!(at_bob.over().await, CallEvent::HungUp);
            (alice_heard, bob_heard)
        };
        let (alice_heard, bob_heard) = tokio::time::timeout(PATIENCE, talk).await.unwrap();
        for heard in [alice_heard, bob_heard] {
            assert!(heard.tones.share > 0.9, "{heard:?}");
            assert!(heard.tones.frames > 10, "{heard:?}");
            assert!(heard.tones.own_dbfs < -50.0, "{heard:?}");
            assert!(heard.sent > 20 && heard.received > 20, "{heard:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_are_not_answered() {
    let alice = phone("alice", 600.0, Codec::PCMU, WhenCalled::Ring).await;
    let busy = phone("busy", 700.0, Codec::PCMU, WhenCalled::Refuse(486)).await;
    let ringing = phone("ringing", 700.0, Codec::PCMU, WhenCalled::Ring).await;
    let other_codec = phone("other", 700.0, Codec::PCMA, WhenCalled::Ring).await;
    let calls = async {
        let refused = |status| CallEvent::Refused {
            status,
            reason: String::new(),
        };
        for (to, status) in [(&busy, 486), (&other_codec, 488)] {
            let ended = alice.call(&address(to)).await.unwrap().over().await;
            assert!(same_status(&ended, &refused(status)), "{ended:?}");
        }
        let canceled = alice.call(&address(&ringing)).await.unwrap();
        canceled.ringing().await.unwrap();
        canceled.hang_up();
        assert!(same_status(&canceled.over().await, &refused(487)));
        let there = ringing.incoming().await.unwrap();
        assert_eq!(there.over().await, CallEvent::Canceled);
        assert!(same_status(
            &alice.call("sip:").await.unwrap().over().await,
            &refused(400)
        ));
    };
    tokio::time::timeout(PATIENCE, calls).await.unwrap();
}

fn same_status(a: &CallEvent, b: &CallEvent) -> bool {
    match (a, b) {
        (CallEvent::Refused { status: a, .. }, CallEvent::Refused { status: b, .. }) => a == b,
        _ => false,
    }
}

#[tokio::test]
async fn a_call_ends_with_its_phone() {
    let alice = phone("alice", 600.0, Codec::PCMU, WhenCalled::Ring).await;
    let ringing = phone("ringing", 700.0, Codec::PCMU, WhenCalled::Ring).await;
    let call = alice.call(&address(&ringing)).await.unwrap();
    drop(alice);
    let over = tokio::time::timeout(PATIENCE, call.over()).await.unwrap();
    assert_eq!(over, off());
}
