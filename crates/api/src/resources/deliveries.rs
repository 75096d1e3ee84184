//! `/Accounts/{sid}/Webhooks/Deliveries`: what became of callbacks, and delivering them again.

use model::{AccountSid, CallSid, EventSid};
use store::{Delivery, DeliveryFilter, DeliveryState, Scope};
use url::Url;

use crate::context::{Answer, Context, Reply, VERSION, Verb, now, uri};
use crate::failure::Failure;
use crate::page::{ListNames, Page};
use crate::resources::calls::scope;
use crate::roles::Action;
use crate::value::{Field, Kind, Null, Resource, Value, field};

const TARGET: &str = "Webhooks";

const FIELDS: &[Field<Delivery>] = &[
    field("sid", "Sid", Kind::Text, Null::Absent, |d, _| {
        Value::text(d.callback.event)
    }),
    field(
        "account_sid",
        "AccountSid",
        Kind::Text,
        Null::Absent,
        |d, _| Value::text(d.callback.account),
    ),
    field("call_sid", "CallSid", Kind::Text, Null::Absent, |d, _| {
        Value::text(d.callback.call)
    }),
    field(
        "sequence_number",
        "SequenceNumber",
        Kind::Number,
        Null::Absent,
        |d, _| Value::Number(d.callback.sequence),
    ),
    field("state", "State", Kind::Text, Null::Absent, |d, _| {
        Value::text(d.state)
    }),
    field(
        "attempts",
        "Attempts",
        Kind::Number,
        Null::Absent,
        |d, _| Value::Number(d.attempts),
    ),
    field(
        "last_status",
        "LastStatus",
        Kind::Number,
        Null::Explicit,
        |d, _| Value::number(d.http_status.map(i64::from)),
    ),
    field(
        "last_error",
        "LastError",
        Kind::Text,
        Null::Explicit,
        |d, _| Value::maybe(d.error.as_deref()),
    ),
    field(
        "next_attempt",
        "NextAttempt",
        Kind::Time,
        Null::Explicit,
        |d, _| d.next_at.map_or(Value::Null, Value::Time),
    ),
    field(
        "date_created",
        "DateCreated",
        Kind::Date,
        Null::Absent,
        |d, _| Value::Date(d.callback.created),
    ),
    field(
        "date_ended",
        "DateEnded",
        Kind::Date,
        Null::Explicit,
        |d, _| d.ended.map_or(Value::Null, Value::Date),
    ),
    field(
        "date_replayed",
        "DateReplayed",
        Kind::Date,
        Null::Explicit,
        |d, _| d.replayed.map_or(Value::Null, Value::Date),
    ),
    field("method", "Method", Kind::Text, Null::Absent, |d, _| {
        Value::text(d.callback.method)
    }),
    field("url", "Url", Kind::Text, Null::Absent, |d, _| {
        Value::text(without_user_info(&d.callback.url))
    }),
    field(
        "parameters",
        "Parameters",
        Kind::Text,
        Null::Absent,
        |d, _| Value::text(encoded(&d.callback.params)),
    ),
    field("uri", "Uri", Kind::Link, Null::Absent, |d, _| {
        let callback = &d.callback;
        Value::Link(uri(callback.account, "Webhooks/Deliveries", callback.event))
    }),
];

const DELIVERY: Resource<Delivery> = Resource {
    xml: "Delivery",
    xml_list: "Deliveries",
    fields: FIELDS,
};

/// How many are delivered again.
const REPLAY: Resource<i64> = Resource {
    xml: "Replay",
    xml_list: "Replays",
    fields: &[field(
        "replayed",
        "Replayed",
        Kind::Number,
        Null::Absent,
        |count, _| Value::Number(*count),
    )],
};

fn without_user_info(address: &str) -> String {
    let Ok(mut url) = Url::parse(address) else {
        return address.to_owned();
    };
    // These fail only for addresses without a host.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.into()
}

fn encoded(params: &[(String, String)]) -> String {
    url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(params)
        .finish()
}

/// The list.
pub(crate) async fn collection(context: &Context<'_>, account: &str) -> Answer {
    if context.verb != Verb::Get {
        return Err(Failure::method("GET"));
    }
    let account = context.operate(account, Action::Read, TARGET).await?;
    let page = Page::read(&context.params)?;
    let filter = DeliveryFilter {
        window: page.window(),
        ..filter(context, account.sid)?
    };
    let rows = context.state.store.deliveries(&filter).await?;
    let path = format!(
        "/restcomm/{VERSION}/Accounts/{}/Webhooks/Deliveries",
        account.sid
    );
    let names = ListNames {
        uri: &path,
        json: "deliveries",
        xml: DELIVERY.xml_list,
        xml_item: DELIVERY.xml,
        xml_envelope: true,
    };
    let text = page.write(context.format, &names, &rows, |row| {
        let event = row.callback.event.to_string();
        (event, DELIVERY.entries(row, context.view()))
    })?;
    Ok(Reply::Document(text))
}

/// What the parameters choose.
fn filter(context: &Context<'_>, account: AccountSid) -> Result<DeliveryFilter, Failure> {
    let params = &context.params;
    Ok(DeliveryFilter {
        scope: Some(scope(params, account)?),
        state: params.parsed("State", "pending, delivered or dead")?,
        call: params.parsed::<CallSid>("CallSid", "a call")?,
        created_from: params.moment("StartTime")?,
        created_until: params.end_of_moment("EndTime")?,
        ..DeliveryFilter::default()
    })
}

/// One.
pub(crate) async fn item(context: &Context<'_>, account: &str, event: &str) -> Answer {
    if context.verb != Verb::Get {
        return Err(Failure::method("GET"));
    }
    let account = context.operate(account, Action::Read, TARGET).await?;
    let found = own(context, account.sid, event).await?;
    Ok(context.show(&DELIVERY, &found))
}

async fn own(context: &Context<'_>, account: AccountSid, event: &str) -> Result<Delivery, Failure> {
    let event: EventSid = event.parse().map_err(|_| Failure::not_found())?;
    let found = context.state.store.delivery(event).await?;
    let found = found.ok_or_else(Failure::not_found)?;
    if found.callback.account == account {
        Ok(found)
    } else {
        Err(Failure::forbidden())
    }
}

/// Delivers one again. One that is on its way is left alone.
pub(crate) async fn replay(context: &Context<'_>, account: &str, event: &str) -> Answer {
    if context.verb != Verb::Post {
        return Err(Failure::method("POST"));
    }
    let account = context.operate(account, Action::Modify, TARGET).await?;
    let found = own(context, account.sid, event).await?;
    let filter = DeliveryFilter {
        scope: Some(Scope::Own(account.sid)),
        event: Some(found.callback.event),
        ..DeliveryFilter::default()
    };
    context.state.store.replay(&filter, now()).await?;
    let found = own(context, account.sid, event).await?;
    Ok(context.show(&DELIVERY, &found))
}

/// Delivers those again that the parameters choose.
pub(crate) async fn replay_all(context: &Context<'_>, account: &str) -> Answer {
    if context.verb != Verb::Post {
        return Err(Failure::method("POST"));
    }
    let account = context.operate(account, Action::Modify, TARGET).await?;
    let filter = filter(context, account.sid)?;
    if filter.state == Some(DeliveryState::Pending) {
        let reason = "those that are on their way need no replay";
        return Err(Failure::parameter("State", reason));
    }
    let chosen = [
        filter.state.is_some(),
        filter.call.is_some(),
        filter.created_from.is_some(),
        filter.created_until.is_some(),
    ];
    if !chosen.contains(&true) {
        let reason = "say which: State, CallSid, StartTime or EndTime";
        return Err(Failure::parameter("State", reason));
    }
    let count = context.state.store.replay(&filter, now()).await?;
    Ok(context.show(&REPLAY, &count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_shown_without_credentials() {
        let table = [
            ("http://bob:secret@host/a?b=1", "http://host/a?b=1"),
            ("https://host:8443/", "https://host:8443/"),
            ("nonsense", "nonsense"),
        ];
        for (address, shown) in table {
            assert_eq!(without_user_info(address), shown);
        }
    }
}
