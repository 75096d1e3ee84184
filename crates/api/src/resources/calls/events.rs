//! `/Accounts/{sid}/Calls/{call}/Events`: the callbacks of a call, as Twilio lists the requests of one.

use model::record::Account;
use store::{Delivery, DeliveryFilter};

use crate::context::{Answer, Context};
use crate::page::{Page, row_key};
use crate::resources::deliveries::without_user_info;
use crate::roles::Action;
use crate::route::{Answers, PAGING, Route, TWILIO};
use crate::value::{Entry, Field, Kind, Null, Resource, Value, field};

const FIELDS: &[Field<Delivery>] = &[
    field(
        "request",
        "Request",
        Kind::Object,
        Null::Never,
        "The request: `method`, `url` (without credentials) and `parameters`.",
        |d, _| request(d),
    ),
    field(
        "response",
        "Response",
        Kind::Object,
        Null::Never,
        "The last response: `response_code` and `date_created`, null until there is one. `request_duration`, `content_type` and `response_body` are always null.",
        |d, _| response(d),
    ),
];

static EVENT: Resource<Delivery> = Resource {
    xml: ["Event", "Event"],
    xml_list: ["Events", "Events"],
    json_list: ["events", "events"],
    xml_envelope: [true, true],
    fields: FIELDS,
};

const PATHS: &[&str] = &["/Accounts/{account}/Calls/{call}/Events"];

/// The route of the events of a call.
pub(super) const LIST: Route = Route::get(PATHS, |c, a, call| Box::pin(list(c, a, call)))
    .within(TWILIO)
    .needs(Action::Read, "Calls")
    .params(&[PAGING])
    .answers(Answers::Page(&EVENT))
    .doc("Lists the callbacks of a call, newest first, with the responses to them. Requests for documents are not listed.");

fn entry(json: &'static str, xml: &'static str, value: Value) -> Entry {
    Entry {
        json,
        xml,
        null: Null::Explicit,
        value,
    }
}

fn request(delivery: &Delivery) -> Value {
    let callback = &delivery.callback;
    Value::Object(vec![
        entry("method", "Method", Value::text(callback.method)),
        entry("url", "Url", Value::text(without_user_info(&callback.url))),
        entry(
            "parameters",
            "Parameters",
            Value::Texts(callback.params.clone()),
        ),
    ])
}

fn response(delivery: &Delivery) -> Value {
    let status = delivery.http_status.map(i64::from);
    let at = delivery.ended.filter(|_| status.is_some());
    Value::Object(vec![
        entry("response_code", "ResponseCode", Value::number(status)),
        entry("request_duration", "RequestDuration", Value::Null),
        entry(
            "date_created",
            "DateCreated",
            at.map_or(Value::Null, Value::Date),
        ),
        entry("content_type", "ContentType", Value::Null),
        entry("response_body", "ResponseBody", Value::Null),
    ])
}

async fn list(context: &Context<'_>, account: &Account, call: &str) -> Answer {
    let call = super::find(context, account, call).await?.sid;
    let page = Page::read(context)?;
    // The call is known to belong to the account, and the lane alone leads to the rows.
    let filter = DeliveryFilter {
        lane: Some(call.into()),
        window: page.window(),
        ..DeliveryFilter::default()
    };
    let rows = context.state.store.deliveries(&filter).await?;
    let path = format!("/Accounts/{}/Calls/{call}/Events", account.sid);
    page.show(context, &EVENT, &path, rows, |delivery| {
        row_key(delivery.callback.created, delivery.callback.event)
    })
}
