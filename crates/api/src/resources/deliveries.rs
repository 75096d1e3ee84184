//! `/Accounts/{sid}/Webhooks/Deliveries`: the results of callbacks, their replay, and the end of those that wait.

use model::record::Account;
use model::{AccountSid, CallSid, EventSid, Lane};
use store::{Delivery, DeliveryFilter, Scope};
use url::Url;

use crate::common;
use crate::context::{Answer, Context, now, owned};
use crate::failure::Failure;
use crate::page::{Page, row_key};
use crate::params::scope;
use crate::roles::Action;
use crate::route::{Answers, Is, NUMBERED_PAGING, Param, RESTCOMM, Route, SCOPE, param, sid};
use crate::value::{Field, Kind, Null, Resource, Value, field};

const TARGET: &str = "Webhooks";
/// What a lane is called by.
const LANE: &str = "the identifier of a call, a conference or a message";

const FIELDS: &[Field<Delivery>] = &[
    common::sid(|d, _| Value::text(d.callback.event)),
    common::account_sid(|d, _| Value::text(d.callback.account)),
    field(
        "call_sid",
        "CallSid",
        Kind::Text,
        Null::Absent,
        "Call that it belongs to.",
        |d, _| Value::maybe(d.callback.call),
    ),
    field(
        "lane",
        "Lane",
        Kind::Text,
        Null::Never,
        "Call, conference, message or account whose callbacks are delivered in order.",
        |d, _| Value::text(d.callback.lane),
    ),
    field(
        "sequence_number",
        "SequenceNumber",
        Kind::Number,
        Null::Never,
        "Position among the callbacks of its lane.",
        |d, _| Value::Number(d.callback.sequence),
    ),
    field(
        "state",
        "State",
        Kind::Text,
        Null::Never,
        "`pending`, `delivered` or `dead` (given up).",
        |d, _| Value::text(d.state),
    ),
    field(
        "attempts",
        "Attempts",
        Kind::Number,
        Null::Never,
        "Attempts since it was created or last replayed.",
        |d, _| Value::Number(d.attempts),
    ),
    field(
        "last_status",
        "LastStatus",
        Kind::Number,
        Null::Explicit,
        "HTTP status of the last attempt.",
        |d, _| Value::number(d.http_status.map(i64::from)),
    ),
    field(
        "last_error",
        "LastError",
        Kind::Text,
        Null::Explicit,
        "Why the last attempt failed.",
        |d, _| Value::maybe(d.error.as_deref()),
    ),
    field(
        "next_attempt",
        "NextAttempt",
        Kind::Time,
        Null::Explicit,
        "When the next attempt is due.",
        |d, _| d.next_at.map_or(Value::Null, Value::Time),
    ),
    common::date_created(|d, _| Value::Date(d.callback.created)),
    field(
        "date_ended",
        "DateEnded",
        Kind::Date,
        Null::Explicit,
        "When it was delivered or given up.",
        |d, _| d.ended.map_or(Value::Null, Value::Date),
    ),
    field(
        "date_replayed",
        "DateReplayed",
        Kind::Date,
        Null::Explicit,
        "When it was last replayed.",
        |d, _| d.replayed.map_or(Value::Null, Value::Date),
    ),
    field(
        "method",
        "Method",
        Kind::Text,
        Null::Never,
        "HTTP method.",
        |d, _| Value::text(d.callback.method),
    ),
    field(
        "url",
        "Url",
        Kind::Text,
        Null::Never,
        "Address, without credentials.",
        |d, _| Value::text(without_user_info(&d.callback.url)),
    ),
    field(
        "parameters",
        "Parameters",
        Kind::Text,
        Null::Never,
        "Form parameters of the request.",
        |d, _| Value::text(encoded(&d.callback.params)),
    ),
    common::uri(|d, view| {
        let callback = &d.callback;
        Value::Link(view.uri(callback.account, "Webhooks/Deliveries", callback.event))
    }),
];

static DELIVERY: Resource<Delivery> = Resource {
    xml: ["Delivery", "Delivery"],
    xml_list: ["Deliveries", "Deliveries"],
    json_list: ["deliveries", "deliveries"],
    xml_envelope: [true, true],
    fields: FIELDS,
};

const LIST: &[&str] = &["/Accounts/{account}/Webhooks/Deliveries"];
const REPLAY_ALL: &[&str] = &["/Accounts/{account}/Webhooks/Deliveries/Replay"];
const DROP_ALL: &[&str] = &["/Accounts/{account}/Webhooks/Deliveries/Drop"];
const DROP_ONE: &[&str] = &["/Accounts/{account}/Webhooks/Deliveries/{event}/Drop"];
const ONE: &[&str] = &["/Accounts/{account}/Webhooks/Deliveries/{event}"];
const REPLAY_ONE: &[&str] = &["/Accounts/{account}/Webhooks/Deliveries/{event}/Replay"];

/// The routes of callbacks. Twilio has no equivalent.
pub(crate) static ROUTES: &[Route] = &[
    Route::get(LIST, |c, a, _| Box::pin(list(c, a)))
        .within(RESTCOMM)
        .needs(Action::Read, TARGET)
        .params(&[OF_STATE, FILTERS, SCOPE, NUMBERED_PAGING])
        .answers(Answers::Page(&DELIVERY))
        .doc("Lists callbacks, newest first."),
    Route::post(REPLAY_ALL, |c, a, _| Box::pin(replay_all(c, a)))
        .within(RESTCOMM)
        .needs(Action::Modify, TARGET)
        .params(&[OF_ENDED_STATE, FILTERS, SCOPE])
        .answers(Answers::One(&REPLAY))
        .doc("Redelivers the callbacks that match the filters and are not pending; at least one filter is required."),
    Route::post(DROP_ALL, |c, a, _| Box::pin(drop_all(c, a)))
        .within(RESTCOMM)
        .needs(Action::Modify, TARGET)
        .params(&[FILTERS, SCOPE])
        .answers(Answers::One(&DROP))
        .doc("Drops the pending callbacks that match the filters: they become `dead`, and the next ones of their lanes follow. At least one filter is required."),
    Route::get(ONE, |c, a, event| Box::pin(get(c, a, event)))
        .within(RESTCOMM)
        .needs(Action::Read, TARGET)
        .answers(Answers::One(&DELIVERY))
        .doc("Reads a callback."),
    Route::post(REPLAY_ONE, |c, a, event| Box::pin(replay(c, a, event)))
        .within(RESTCOMM)
        .needs(Action::Modify, TARGET)
        .answers(Answers::One(&DELIVERY))
        .doc("Redelivers a callback; a pending one is left unchanged."),
    Route::post(DROP_ONE, |c, a, event| Box::pin(drop_one(c, a, event)))
        .within(RESTCOMM)
        .needs(Action::Modify, TARGET)
        .answers(Answers::One(&DELIVERY))
        .doc("Drops a pending callback: within about a second it is `dead`, unless an attempt succeeds before. One that has ended is left unchanged."),
];

const OF_STATE: &[Param] = &[param(
    "State",
    Is::Word(&["pending", "delivered", "dead"]),
    "State of the callbacks; `dead` means given up.",
)];

/// A pending callback needs no replay.
const OF_ENDED_STATE: &[Param] = &[param(
    "State",
    Is::Word(&["delivered", "dead"]),
    "State of the callbacks; `dead` means given up.",
)];

const FILTERS: &[Param] = &[
    param("CallSid", Is::Sid(sid::<CallSid>), "Call they refer to."),
    param(
        "Lane",
        Is::Sid(sid::<Lane>),
        "SID of the call, conference, message or account that the callbacks report on.",
    ),
    param("StartTime", Is::Moment, "Created at or after this time."),
    param("EndTime", Is::Moment, "Created at or before this time."),
];

/// How many will be delivered again.
static REPLAY: Resource<i64> = Resource {
    xml: ["Replay", "Replay"],
    xml_list: ["Replays", "Replays"],
    json_list: ["replays", "replays"],
    xml_envelope: [false, false],
    fields: &[field(
        "replayed",
        "Replayed",
        Kind::Number,
        Null::Never,
        "Number of callbacks that are redelivered.",
        |count, _| Value::Number(*count),
    )],
};

/// How many are dropped.
static DROP: Resource<i64> = Resource {
    xml: ["Drop", "Drop"],
    xml_list: ["Drops", "Drops"],
    json_list: ["drops", "drops"],
    xml_envelope: [false, false],
    fields: &[field(
        "dropped",
        "Dropped",
        Kind::Number,
        Null::Never,
        "Number of callbacks that are dropped.",
        |count, _| Value::Number(*count),
    )],
};

pub(super) fn without_user_info(address: &str) -> String {
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

async fn list(context: &Context<'_>, account: &Account) -> Answer {
    let page = Page::read(context)?;
    let filter = DeliveryFilter {
        window: page.window(),
        ..filter(context, account.sid)?
    };
    let rows = context.state.store.deliveries(&filter).await?;
    let path = format!("/Accounts/{}/Webhooks/Deliveries", account.sid);
    page.show(context, &DELIVERY, &path, rows, |delivery| {
        row_key(delivery.callback.created, delivery.callback.event)
    })
}

/// The filter given by the parameters.
fn filter(context: &Context<'_>, account: AccountSid) -> Result<DeliveryFilter, Failure> {
    let state = context
        .params
        .parsed("State", "pending, delivered or dead")?;
    Ok(DeliveryFilter {
        state,
        ..filter_of_any_state(context, account)?
    })
}

/// The same for a request without a state.
fn filter_of_any_state(
    context: &Context<'_>,
    account: AccountSid,
) -> Result<DeliveryFilter, Failure> {
    let params = &context.params;
    Ok(DeliveryFilter {
        scope: Some(scope(params, account)?),
        call: params.parsed("CallSid", "a call")?,
        lane: params.parsed("Lane", LANE)?,
        created_from: params.moment("StartTime")?,
        created_until: params.end_of_moment("EndTime")?,
        ..DeliveryFilter::default()
    })
}

async fn get(context: &Context<'_>, account: &Account, event: &str) -> Answer {
    let found = find(context, account, event).await?;
    Ok(context.show(&DELIVERY, &found))
}

async fn find(context: &Context<'_>, account: &Account, event: &str) -> Result<Delivery, Failure> {
    let event: EventSid = event.parse().map_err(|_| Failure::not_found())?;
    let found = context.state.store.delivery(event).await?;
    owned(account, found).ok_or_else(Failure::not_found)
}

async fn replay(context: &Context<'_>, account: &Account, event: &str) -> Answer {
    let found = find(context, account, event).await?;
    let filter = DeliveryFilter {
        scope: Some(Scope::Own(account.sid)),
        event: Some(found.callback.event),
        ..DeliveryFilter::default()
    };
    context.state.store.replay(&filter, now()).await?;
    let found = find(context, account, event).await?;
    Ok(context.show(&DELIVERY, &found))
}

async fn drop_one(context: &Context<'_>, account: &Account, event: &str) -> Answer {
    let found = find(context, account, event).await?;
    let filter = DeliveryFilter {
        scope: Some(Scope::Own(account.sid)),
        event: Some(found.callback.event),
        ..DeliveryFilter::default()
    };
    context.state.store.drop_callbacks(&filter, now()).await?;
    let found = find(context, account, event).await?;
    Ok(context.show(&DELIVERY, &found))
}

async fn drop_all(context: &Context<'_>, account: &Account) -> Answer {
    let filter = filter_of_any_state(context, account.sid)?;
    if !is_narrow(&filter) {
        let reason = "at least one filter is required: CallSid, Lane, StartTime or EndTime";
        return Err(Failure::parameter("CallSid", reason));
    }
    let count = context.state.store.drop_callbacks(&filter, now()).await?;
    Ok(context.show(&DROP, &count))
}

/// Whether a filter was given.
fn is_narrow(filter: &DeliveryFilter) -> bool {
    let chosen = [
        filter.state.is_some(),
        filter.call.is_some(),
        filter.lane.is_some(),
        filter.created_from.is_some(),
        filter.created_until.is_some(),
    ];
    chosen.contains(&true)
}

async fn replay_all(context: &Context<'_>, account: &Account) -> Answer {
    let filter = filter(context, account.sid)?;
    if !is_narrow(&filter) {
        let reason = "at least one filter is required: State, CallSid, Lane, StartTime or EndTime";
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
