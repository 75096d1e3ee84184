//! The counters and live calls of the server.

use model::census::{Durations, Endings, Figures, Legs};
use model::record::CallRecord;
use model::{AccountStatus, CallStatus, Direction};

use crate::server::{Server, call, of};

const METRICS: &str = "/Supervisor.json/metrics";

#[tokio::test]
async fn counters_are_shown_under_the_names_of_restcomm() {
    let server = Server::start().await;
    let legs = |inbound, outbound| Legs { inbound, outbound };
    *server.engine.figures.lock().unwrap() = Figures {
        started: legs(1, 4),
        live: legs(0, 1),
        peak: legs(0, 2),
        peak_total: 2,
        endings: Endings {
            completed: 3,
            no_answer: 4,
            busy: 5,
            failed: 6,
            not_found: 7,
            canceled: 8,
        },
        last_hour: Durations {
            legs: 3,
            seconds: 10,
        },
        last_day: Durations::default(),
        messages_inbound: 12,
        messages_outbound: 9,
        registered: 11,
    };
    let path = format!("/Accounts/{}{METRICS}", server.admin);
    let json = server.get(&server.admin(), &path).await.json();
    let metrics = &json["Metrics"];
    let table = [
        ("TotalCallsSinceUptime", 5),
        ("IncomingCallsSinceUptime", 1),
        ("OutgoingCallsSinceUptime", 4),
        ("RegisteredUsers", 11),
        ("LiveCalls", 1),
        ("LiveIncomingCalls", 0),
        ("LiveOutgoingCalls", 1),
        ("MaximumConcurrentCalls", 2),
        ("MaximumConcurrentIncomingCalls", 0),
        ("MaximumConcurrentOutgoingCalls", 2),
        ("CompletedCalls", 3),
        ("NoAnswerCalls", 4),
        ("BusyCalls", 5),
        ("FailedCalls", 6),
        ("NotFoundCalls", 7),
        ("CanceledCalls", 8),
        ("TextMessageOutbound", 9),
        ("TextMessageInboundToApp", 12),
    ];
    for (name, value) in table {
        assert_eq!(metrics[name], value, "{name}");
    }
    assert_eq!(metrics["AverageCallDurationInSecondsLastHour"], 3.33);
    assert_eq!(metrics["AverageCallDurationInSecondsLast24Hours"], 0.0);
    assert_eq!(json["Version"], "1.2.3");
    assert_eq!(json["InstanceId"], server.store.instance().to_string());
    assert_eq!(json["LiveCallDetails"], serde_json::json!([]));
    let post = format!("/Accounts/{}/Supervisor.json/remote", server.admin);
    for path in [post.clone(), format!("{post}/x")] {
        let answer = server
            .post(&server.admin(), &path, "Url=http://a/&Refresh=1")
            .await;
        assert_eq!(answer.json()["Metrics"], *metrics);
        assert_eq!(
            answer.headers.get_all("patchcord-warning").iter().count(),
            2
        );
    }
    let xml = format!("/Accounts/{}/Supervisor/metrics", server.admin);
    let xml = server.get(&server.admin(), &xml).await;
    assert!(
        xml.body.contains("<MaximumConcurrentCalls>2</Max"),
        "{}",
        xml.body
    );
}

#[tokio::test]
async fn live_calls_are_those_of_this_server() {
    let server = Server::start().await;
    let p = server.account("p", server.admin).await;
    let here = |n, to: &str, status| CallRecord {
        instance: server.store.instance(),
        status,
        to: to.to_owned(),
        direction: Direction::Inbound,
        ..call(n, p)
    };
    let elsewhere = call(4, p);
    server
        .keep(vec![
            here(1, "alice", CallStatus::Ringing),
            here(2, "+15550100", CallStatus::Queued),
            here(3, "sip:b@c.example", CallStatus::Queued),
            elsewhere,
        ])
        .await;
    let base = format!("/Accounts/{}/Supervisor", server.admin);
    let who = server.admin();
    let list = server.get(&who, &format!("{base}/livecalls.json")).await;
    assert_eq!(list.column("", "type"), ["CLIENT", "PSTN", "SIP"]);
    assert_eq!(list.column("", "State"), ["RINGING", "QUEUED", "QUEUED"]);
    assert_eq!(list.json()[0]["Last Response"], 180);
    let metrics = format!("{base}.json/metrics?LiveCallDetails=true");
    let metrics = server.get(&who, &metrics).await.json();
    assert_eq!(metrics["LiveCallDetails"], list.json());
    let xml = server.get(&who, &format!("{base}/livecalls")).await;
    let element = "<LiveCallDetails><LiveCall><Sid>";
    assert!(xml.body.contains(element), "{}", xml.body);
    let total = server.get(&who, &format!("{base}.json")).await.json();
    assert_eq!(total["TotalCalls"], 4);
    let asked = format!("{base}.json/metrics?MgcpStats=true");
    let asked = server.get(&who, &asked).await;
    assert!(asked.headers.contains_key("patchcord-warning"));
}

/// Cases 267 and 268.
#[tokio::test]
async fn only_accounts_without_a_parent_see_the_server() {
    let server = Server::start().await;
    let active = AccountStatus::Active;
    let second = server
        .account_with("second", None, "Administrator", active)
        .await;
    let child = server.account("child", server.admin).await;
    let admin = Some(server.admin);
    let developer = server.account_with("dev", admin, "Developer", active).await;
    let table = [
        (server.admin(), server.admin, 200),
        (server.admin(), child, 200),
        (of("second"), second, 200),
        (of("child"), child, 403),
        (of("child"), server.admin, 403),
        (of("dev"), developer, 403),
    ];
    for (who, account, status) in table {
        for path in ["", ".json/metrics", ".json/livecalls"] {
            let path = format!("/Accounts/{account}/Supervisor{path}");
            server.get(&who, &path).await.is(status);
        }
        let path = format!("/Accounts/{account}/Supervisor/remote");
        server.post(&who, &path, "").await.is(status);
        let twilio = format!("/2010-04-01/Accounts/{account}/Supervisor/metrics.json");
        server.get(&who, &twilio).await.is(404);
    }
}
