//! Usage triggers: their resource, and how they fire.

use std::sync::Mutex;

use model::record::Callback;
use model::{CallStatus, Timestamp};
use store::Change;

use crate::server::{Server, account_sid, call, call_sid, now, of};

const NEW: &str =
    "UsageCategory=calls&TriggerValue=2&TriggerBy=count&CallbackUrl=http://app.example/t";

/// The calls of an account end, at a time.
async fn used(server: &Server, account: &str, numbers: std::ops::Range<u32>, at: Timestamp) {
    for n in numbers {
        let mut record = call(n, account_sid(account));
        record.instance = server.store.instance();
        server.keep(vec![record]).await;
        let ended = Change::CallEnded {
            sid: call_sid(n),
            status: CallStatus::Completed,
            at,
            duration_s: Some(61),
            ring_duration_s: None,
            reason: None,
            hangup_by: None,
            sip_status: None,
            sip_reason: None,
        };
        server.store.commit(vec![ended]).await.unwrap();
    }
}

/// The callbacks of one look at all triggers.
async fn fired(server: &Server) -> Vec<Callback> {
    let sent = Mutex::new(Vec::new());
    let deliver = |callback| sent.lock().unwrap().push(callback);
    api::fire_usage_triggers(&server.store, &deliver)
        .await
        .unwrap();
    sent.into_inner().unwrap()
}

#[tokio::test]
async fn a_trigger_is_created_read_listed_changed_and_deleted() {
    let server = Server::start().await;
    let p = server.account("p", server.admin).await;
    let who = of("p");
    used(&server, "p", 1..2, now()).await;
    for base in ["/restcomm/2012-04-24", "/2010-04-01"] {
        let list = format!("{base}/Accounts/{p}/Usage/Triggers");
        let is_twilio = base == "/2010-04-01";
        let form = format!("{NEW}&FriendlyName=limit&Recurring=daily&CallbackMethod=GET");
        let created = server.post(&who, &format!("{list}.json"), &form).await;
        created.is(if is_twilio { 201 } else { 200 });
        let created = created.error();
        let sid = created["sid"].as_str().unwrap();
        let table = [
            ("account_sid", p.to_string()),
            ("friendly_name", "limit".to_owned()),
            ("usage_category", "calls".to_owned()),
            ("trigger_by", "count".to_owned()),
            ("trigger_value", "2".to_owned()),
            ("current_value", "1".to_owned()),
            ("recurring", "daily".to_owned()),
            ("callback_url", "http://app.example/t".to_owned()),
            ("callback_method", "GET".to_owned()),
        ];
        for (key, value) in table {
            assert_eq!(created[key], value, "{key}");
        }
        assert_eq!(created.get("date_fired").is_some(), is_twilio);
        let path = format!("{list}/{sid}.json");
        assert_eq!(server.get(&who, &path).await.json(), created);
        let records = created["usage_record_uri"].as_str().unwrap();
        server.get(&who, records).await.is(200);
        let changed = server
            .post(
                &who,
                &path,
                "CallbackUrl=http://app.example/u&CallbackMethod=POST&FriendlyName=",
            )
            .await;
        let changed = changed.json();
        assert_eq!(changed["callback_url"], "http://app.example/u");
        assert_eq!(changed["callback_method"], "POST");
        assert_eq!(changed["trigger_value"], "2");
        let once = "UsageCategory=sms&TriggerValue=5&CallbackUrl=http://a.example/";
        let once = server
            .post(&who, &format!("{list}.json"), once)
            .await
            .error();
        let all = format!("{list}.json");
        let listed = server.get(&who, &all).await;
        assert_eq!(
            listed.column("usage_triggers", "sid"),
            [once["sid"].as_str().unwrap(), sid]
        );
        let filters = [
            ("Recurring=daily", 1),
            ("Recurring=alltime", 1),
            ("Recurring=yearly", 0),
            ("TriggerBy=count", 1),
            ("TriggerBy=usage", 1),
            ("UsageCategory=sms", 1),
            ("UsageCategory=calls&TriggerBy=usage", 0),
        ];
        for (filter, count) in filters {
            let found = server.get(&who, &format!("{list}.json?{filter}")).await;
            assert_eq!(
                found.column("usage_triggers", "sid").len(),
                count,
                "{filter}"
            );
        }
        for sid in [sid, once["sid"].as_str().unwrap()] {
            let path = format!("{list}/{sid}.json");
            server
                .delete(&who, &path)
                .await
                .is(if is_twilio { 204 } else { 200 });
            server.get(&who, &path).await.is(404);
            server.delete(&who, &path).await.is(404);
        }
    }
}

#[tokio::test]
async fn wrong_triggers_are_refused_by_name() {
    let server = Server::start().await;
    let list = format!("/2010-04-01/Accounts/{}/Usage/Triggers.json", server.admin);
    let with = |name: &str, value: &str| {
        let left = NEW.split('&').filter(|pair| !pair.starts_with(name));
        let left = left.collect::<Vec<_>>().join("&");
        if value.is_empty() {
            left
        } else {
            format!("{left}&{name}={value}")
        }
    };
    let table = [
        ("UsageCategory", ""),
        ("UsageCategory", "totalprice"),
        ("TriggerValue", ""),
        ("TriggerValue", "0"),
        ("TriggerValue", "-1"),
        ("TriggerValue", "1.5"),
        ("TriggerValue", "many"),
        ("TriggerBy", "price"),
        ("TriggerBy", "weight"),
        ("Recurring", "weekly"),
        ("CallbackUrl", ""),
        ("CallbackUrl", "app"),
        ("CallbackMethod", "PUT"),
    ];
    for (name, value) in table {
        let answer = server
            .post(&server.admin(), &list, &with(name, value))
            .await;
        answer.is(400);
        assert!(
            answer.body.contains(name),
            "{name}={value}: {}",
            answer.body
        );
    }
    let left = server.get(&server.admin(), &list).await;
    assert!(left.column("usage_triggers", "sid").is_empty());
    for value in ["10.00", "9223372036854775807"] {
        let answer = server
            .post(&server.admin(), &list, &with("TriggerValue", value))
            .await;
        answer.is(201);
    }
}

#[tokio::test]
async fn a_trigger_fires_once_when_its_value_is_reached() {
    let server = Server::start().await;
    let p = server.account("p", server.admin).await;
    server.account("below", p).await;
    let list = format!("/2010-04-01/Accounts/{p}/Usage/Triggers.json");
    let created = server.post(&of("p"), &list, NEW).await.error();
    assert_eq!(fired(&server).await, []);
    used(&server, "p", 1..2, now()).await;
    assert_eq!(fired(&server).await, []);
    // The usage of the accounts below counts, that of others does not.
    used(&server, "admin", 2..4, now()).await;
    assert_eq!(fired(&server).await, []);
    used(&server, "below", 4..6, now()).await;
    let sent = fired(&server).await;
    assert_eq!(sent.len(), 1);
    let callback = &sent[0];
    assert_eq!((callback.lane, callback.author), (p.into(), p));
    assert_eq!(callback.url, "http://app.example/t");
    let sid = created["sid"].as_str().unwrap();
    let table = [
        ("AccountSid", p.to_string()),
        ("UsageTriggerSid", sid.to_owned()),
        ("Recurring", String::new()),
        ("TriggerBy", "count".to_owned()),
        ("TriggerValue", "2".to_owned()),
        ("CurrentValue", "3".to_owned()),
        ("UsageCategory", "calls".to_owned()),
        ("IdempotencyToken", format!("{p}-FIRES-{sid}-1970-01-01")),
    ];
    for (name, value) in table {
        let found = callback.params.iter().find(|(known, _)| known == name);
        assert_eq!(found.map(|(_, value)| value), Some(&value), "{name}");
    }
    // It is in the outbox, and never comes again, whatever is used.
    let stored = server.store.undelivered_count().await.unwrap();
    assert_eq!(stored, 1);
    used(&server, "p", 6..9, now()).await;
    assert_eq!(fired(&server).await, []);
    let path = list.replace(".json", &format!("/{sid}.json"));
    let after = server.get(&of("p"), &path).await.json();
    assert!(after["date_fired"].is_string());
    assert_eq!(after["current_value"], "6");
}

#[tokio::test]
async fn a_recurring_trigger_fires_once_in_each_period() {
    let server = Server::start().await;
    let p = server.account("p", server.admin).await;
    let list = format!("/2010-04-01/Accounts/{p}/Usage/Triggers.json");
    let daily = NEW.replace("TriggerBy=count", "TriggerBy=usage&Recurring=daily");
    server.post(&of("p"), &list, &daily).await.is(201);
    // Each call counts as two minutes. What was used before the day of its creation does not count.
    let day = 86_400_000_000;
    used(&server, "p", 1..3, Timestamp(now().0 - day)).await;
    assert_eq!(fired(&server).await, []);
    used(&server, "p", 3..4, now()).await;
    assert_eq!(fired(&server).await.len(), 1);
    used(&server, "p", 4..6, now()).await;
    assert_eq!(fired(&server).await, []);
}

#[tokio::test]
async fn an_offset_is_added_to_what_was_used() {
    let server = Server::start().await;
    let p = server.account("p", server.admin).await;
    used(&server, "p", 1..4, now()).await;
    let list = format!("/2010-04-01/Accounts/{p}/Usage/Triggers.json");
    for plus in ["%2B", "+"] {
        let form = NEW.replace("TriggerValue=2", &format!("TriggerValue={plus}2"));
        let created = server.post(&of("p"), &list, &form).await.error();
        assert_eq!(created["trigger_value"], "5", "{plus}");
        assert_eq!(created["current_value"], "3");
    }
    assert_eq!(fired(&server).await, []);
    used(&server, "p", 4..6, now()).await;
    assert_eq!(fired(&server).await.len(), 2);
}

/// Two servers look at the same moment.
#[cfg(unix)]
#[tokio::test]
async fn servers_that_share_a_database_fire_a_trigger_once() {
    let Some((one, two, _postgres)) = Server::two().await else {
        return;
    };
    let list = format!("/2010-04-01/Accounts/{}/Usage/Triggers.json", one.admin);
    for _ in 0..5 {
        one.post(&one.admin(), &list, NEW).await.is(201);
    }
    used(&one, "admin", 1..3, now()).await;
    let (first, second) = tokio::join!(fired(&one), fired(&two));
    assert_eq!(first.len() + second.len(), 5);
    let mut tokens: Vec<_> = first
        .iter()
        .chain(&second)
        .map(|callback| &callback.params)
        .collect();
    tokens.sort();
    tokens.dedup();
    assert_eq!(tokens.len(), 5);
}
