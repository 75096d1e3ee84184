//! `/Accounts/{sid}/MessageRoutes`: routes of text messages to the outside.
//!
//! A route connects this server to a provider, so only the platform's administrator makes and changes
//! them, for any account. **Invariant: the secret of a route is never shown.**

use model::MessageRouteSid;
use model::message_route::{
    HttpSettings, MessageRoute, OnDoubt, RouteHealth, RouteKind, RouteSettings, SipSettings,
    SmppSettings,
};
use model::record::Account;

use crate::context::{ATTEMPTS, Answer, Context, Reply, after, now};
use crate::failure::Failure;
use crate::page::{Page, row_key};
use crate::provider_posts;
use crate::roles::Action;
use crate::route::{Answers, PAGING, Route};
use crate::value::{Field, Kind, Null, Resource, Value, field};

mod parameters;

use parameters::{KIND, OF_HTTP, OF_SIP, OF_SMPP, PROPERTIES, change, word};

const TARGET: &str = "MessageRoutes";

/// A route, and how it is.
struct Shown {
    route: MessageRoute,
    health: RouteHealth,
    /// Where an HTTP provider posts.
    inbound: Option<String>,
}

impl Shown {
    fn smpp(&self) -> Option<&SmppSettings> {
        match &self.route.settings {
            RouteSettings::Smpp(settings) => Some(settings),
            RouteSettings::Sip(_) | RouteSettings::Http(_) | RouteSettings::Client => None,
        }
    }
}

const fn text(
    json: &'static str,
    xml: &'static str,
    doc: &'static str,
    read: fn(&Shown, crate::value::View<'_>) -> Value,
) -> Field<Shown> {
    field(json, xml, Kind::Text, Null::Absent, doc, read)
}

const fn number(
    json: &'static str,
    xml: &'static str,
    doc: &'static str,
    read: fn(&Shown, crate::value::View<'_>) -> Value,
) -> Field<Shown> {
    field(json, xml, Kind::Number, Null::Absent, doc, read)
}

const fn flag(
    json: &'static str,
    xml: &'static str,
    doc: &'static str,
    read: fn(&Shown, crate::value::View<'_>) -> Value,
) -> Field<Shown> {
    field(json, xml, Kind::Flag, Null::Absent, doc, read)
}

const FIELDS: &[Field<Shown>] = &[
    field(
        "sid",
        "Sid",
        Kind::Text,
        Null::Never,
        "Identifier.",
        |s, _| Value::text(s.route.sid),
    ),
    field(
        "account_sid",
        "AccountSid",
        Kind::Text,
        Null::Never,
        "Account whose messages use it, as do those of all accounts below.",
        |s, _| Value::text(s.route.account),
    ),
    text(
        "friendly_name",
        "FriendlyName",
        "Name to display.",
        |s, _| Value::text(&s.route.name),
    ),
    text(
        "kind",
        "Kind",
        "`smpp`, `sip`, `http` or `client`.",
        |s, _| Value::text(s.route.kind()),
    ),
    flag("enabled", "Enabled", "Whether it is used.", |s, _| {
        Value::Flag(s.route.enabled)
    }),
    number(
        "priority",
        "Priority",
        "Of several routes, the one with the lowest number is tried first.",
        |s, _| Value::Number(s.route.priority),
    ),
    text(
        "from_prefix",
        "FromPrefix",
        "Beginning of the senders.",
        |s, _| Value::text(&s.route.from_prefix),
    ),
    text(
        "to_prefix",
        "ToPrefix",
        "Beginning of the recipients.",
        |s, _| Value::text(&s.route.to_prefix),
    ),
    number(
        "price",
        "Price",
        "Price of a segment in 1/100 000 of a US dollar.",
        |s, _| Value::Number(s.route.price),
    ),
    text(
        "on_doubt",
        "OnDoubt",
        "What happens when it is not known whether the provider accepted a message: `resend` or `fail`.",
        |s, _| Value::text(s.route.on_doubt),
    ),
    text(
        "url",
        "Url",
        "Where messages are posted, of an HTTP provider.",
        |s, _| match &s.route.settings {
            RouteSettings::Http(settings) => Value::text(&settings.url),
            RouteSettings::Smpp(_) | RouteSettings::Sip(_) | RouteSettings::Client => Value::Absent,
        },
    ),
    text(
        "inbound_url",
        "InboundUrl",
        "Where an HTTP provider posts texts and receipts, signed with `Secret`.",
        |s, _| Value::maybe(s.inbound.as_ref()),
    ),
    text(
        "prefix",
        "Prefix",
        "Put in front of the recipient, on the trunk.",
        |s, _| match &s.route.settings {
            RouteSettings::Sip(settings) => Value::text(&settings.prefix),
            RouteSettings::Smpp(_) | RouteSettings::Http(_) | RouteSettings::Client => {
                Value::Absent
            }
        },
    ),
    text("host", "Host", "The SMSC.", |s, _| {
        Value::maybe(s.smpp().map(|l| &l.host))
    }),
    number("port", "Port", "Its port.", |s, _| {
        Value::number(s.smpp().map(|l| i64::from(l.port)))
    }),
    flag(
        "tls",
        "Tls",
        "Whether the connection is encrypted.",
        |s, _| s.smpp().map_or(Value::Absent, |l| Value::Flag(l.tls)),
    ),
    text(
        "bind_mode",
        "BindMode",
        "`transceiver`, `transmitter` or `receiver`.",
        |s, _| Value::maybe(s.smpp().map(|l| l.bind)),
    ),
    text("system_id", "SystemId", "Login.", |s, _| {
        Value::maybe(s.smpp().map(|l| &l.system_id))
    }),
    text(
        "system_type",
        "SystemType",
        "`system_type` of the bind.",
        |s, _| Value::maybe(s.smpp().map(|l| &l.system_type)),
    ),
    text(
        "service_type",
        "ServiceType",
        "`service_type` of messages.",
        |s, _| Value::maybe(s.smpp().map(|l| &l.service_type)),
    ),
    number(
        "interface_version",
        "InterfaceVersion",
        "51, 52 or 80.",
        |s, _| Value::number(s.smpp().map(|l| i64::from(l.version))),
    ),
    number(
        "window",
        "Window",
        "Requests without a response at a time.",
        |s, _| Value::number(s.smpp().map(|l| i64::from(l.window))),
    ),
    number(
        "throughput",
        "Throughput",
        "Short messages per second; 0: no limit.",
        |s, _| Value::number(s.smpp().map(|l| i64::from(l.per_second))),
    ),
    text(
        "source_ton_npi",
        "SourceTonNpi",
        "Type of number and numbering plan of senders.",
        |s, _| {
            Value::maybe(
                s.smpp()
                    .and_then(|l| l.source)
                    .map(|(ton, npi)| format!("{ton},{npi}")),
            )
        },
    ),
    text(
        "destination_ton_npi",
        "DestinationTonNpi",
        "Type of number and numbering plan of recipients.",
        |s, _| {
            Value::maybe(
                s.smpp()
                    .and_then(|l| l.destination)
                    .map(|(ton, npi)| format!("{ton},{npi}")),
            )
        },
    ),
    text(
        "encoding",
        "Encoding",
        "Alphabet of texts that it can represent; all others are sent in UCS-2.",
        |s, _| Value::maybe(s.smpp().map(|l| l.encoding)),
    ),
    number(
        "data_coding",
        "DataCoding",
        "`data_coding` of that alphabet, if it is not the usual one.",
        |s, _| Value::number(s.smpp().and_then(|l| l.data_coding).map(i64::from)),
    ),
    text(
        "inbound_encoding",
        "InboundEncoding",
        "What the SMSC means by `data_coding` 0.",
        |s, _| Value::maybe(s.smpp().map(|l| l.inbound_encoding)),
    ),
    text(
        "concatenation",
        "Concatenation",
        "How texts of several segments are sent.",
        |s, _| Value::maybe(s.smpp().map(|l| l.concatenation)),
    ),
    text(
        "id_base",
        "IdBase",
        "Base of the SMSC's identifiers.",
        |s, _| Value::maybe(s.smpp().map(|l| l.id_base)),
    ),
    flag(
        "receipts",
        "Receipts",
        "Whether receipts are requested.",
        |s, _| s.smpp().map_or(Value::Absent, |l| Value::Flag(l.receipts)),
    ),
    number(
        "enquire_link",
        "EnquireLink",
        "Seconds without a PDU after which the connection is checked.",
        |s, _| Value::number(s.smpp().map(|l| i64::from(l.enquire_s))),
    ),
    number(
        "response_timeout",
        "ResponseTimeout",
        "Seconds that a response may take.",
        |s, _| Value::number(s.smpp().map(|l| i64::from(l.response_s))),
    ),
    text(
        "tlvs",
        "Tlvs",
        "Optional parameters of every message.",
        |s, _| Value::maybe(s.smpp().map(written_tlvs)),
    ),
    flag("up", "Up", "Whether it can send messages now.", |s, _| {
        Value::Flag(s.health.is_up)
    }),
    text(
        "problem",
        "Problem",
        "Why it is not up, or was last not up.",
        |s, _| Value::maybe(s.health.problem.as_ref()),
    ),
    number(
        "waiting",
        "Waiting",
        "Messages that wait for it or are underway.",
        |s, _| count(s.health.depth as u64),
    ),
    number(
        "submitted",
        "Submitted",
        "Messages given to the provider since the start of the server.",
        |s, _| count(s.health.submitted),
    ),
    number(
        "accepted",
        "Accepted",
        "Messages that it accepted.",
        |s, _| count(s.health.accepted),
    ),
    number("refused", "Refused", "Messages that it refused.", |s, _| {
        count(s.health.refused)
    }),
    number(
        "unavailable",
        "Unavailable",
        "Messages that it could not take at the time.",
        |s, _| count(s.health.unavailable),
    ),
    number(
        "doubtful",
        "Doubtful",
        "Messages that it may or may not have accepted.",
        |s, _| count(s.health.doubtful),
    ),
    number(
        "throttled",
        "Throttled",
        "How often it asked for a slower pace.",
        |s, _| count(s.health.throttled),
    ),
    number(
        "receipt_count",
        "ReceiptCount",
        "Receipts about messages of this server.",
        |s, _| count(s.health.receipts),
    ),
    number(
        "unknown_receipts",
        "UnknownReceipts",
        "Receipts about others.",
        |s, _| count(s.health.unknown_receipts),
    ),
    number("arrived", "Arrived", "Texts that came from it.", |s, _| {
        count(s.health.arrived)
    }),
    field(
        "date_created",
        "DateCreated",
        Kind::Date,
        Null::Never,
        "When it was created.",
        |s, _| Value::Date(s.route.created),
    ),
    field(
        "date_updated",
        "DateUpdated",
        Kind::Date,
        Null::Never,
        "When it was last changed.",
        |s, _| Value::Date(s.route.updated),
    ),
];

fn count(n: u64) -> Value {
    Value::Number(i64::try_from(n).unwrap_or(i64::MAX))
}

static ROUTE: Resource<Shown> = Resource {
    xml: ["MessageRoute", "MessageRoute"],
    xml_list: ["MessageRoutes", "MessageRoutes"],
    json_list: ["message_routes", "message_routes"],
    xml_envelope: [true, true],
    fields: FIELDS,
};

const LIST: &[&str] = &["/Accounts/{account}/MessageRoutes"];
const ONE: &[&str] = &["/Accounts/{account}/MessageRoutes/{sid}"];

/// The routes of routes.
pub(crate) static ROUTES: &[Route] = &[
    Route::get(LIST, |c, a, _| Box::pin(list(c, a)))
        .needs(Action::Read, TARGET)
        .top_only()
        .params(&[PAGING])
        .answers(Answers::Page(&ROUTE))
        .doc("Lists the routes of text messages of an account, the newest first."),
    Route::post(LIST, |c, a, _| Box::pin(create(c, a)))
        .needs(Action::Create, TARGET)
        .top_only()
        .params(&[KIND, PROPERTIES, OF_HTTP, OF_SIP, OF_SMPP])
        .answers(Answers::One(&ROUTE))
        .status([200, 201])
        .doc("Creates a route of text messages, which is used within a second."),
    Route::get(ONE, |c, a, sid| Box::pin(get(c, a, sid)))
        .needs(Action::Read, TARGET)
        .top_only()
        .answers(Answers::One(&ROUTE))
        .doc("Reads a route of text messages."),
    Route::post(ONE, |c, a, sid| Box::pin(update(c, a, sid)))
        .needs(Action::Modify, TARGET)
        .top_only()
        .params(&[PROPERTIES, OF_HTTP, OF_SIP, OF_SMPP])
        .answers(Answers::One(&ROUTE))
        .doc("Changes a route of text messages. The change takes effect within a second; a link is closed and opened again."),
    Route::delete(ONE, |c, a, sid| Box::pin(delete(c, a, sid)))
        .needs(Action::Delete, TARGET)
        .top_only()
        .doc("Deletes a route of text messages. Messages that wait for it take another one."),
];

async fn list(context: &Context<'_>, account: &Account) -> Answer {
    let page = Page::read(context)?;
    let store = &context.state.store;
    let rows = store.message_routes(account.sid, &page.window()).await?;
    let rows = store::Rows {
        items: rows
            .items
            .into_iter()
            .map(|route| with_health(context, route))
            .collect(),
        total: rows.total,
    };
    let path = format!("/Accounts/{}/MessageRoutes", account.sid);
    page.show(context, &ROUTE, &path, rows, |shown| {
        row_key(shown.route.created, shown.route.sid)
    })
}

fn with_health(context: &Context<'_>, route: MessageRoute) -> Shown {
    let health = context.state.messages.route_health(route.sid);
    let is_http = matches!(route.settings, RouteSettings::Http(_));
    let address = || provider_posts::address(&context.state.public_base, route.sid);
    Shown {
        inbound: is_http.then(address),
        route,
        health,
    }
}

async fn find(
    context: &Context<'_>,
    account: &Account,
    sid: &str,
) -> Result<MessageRoute, Failure> {
    let sid: MessageRouteSid = sid.parse().map_err(|_| Failure::not_found())?;
    let found = context.state.store.message_route(sid).await?;
    let found = found.filter(|route| route.account == account.sid);
    found.ok_or_else(Failure::not_found)
}

async fn get(context: &Context<'_>, account: &Account, sid: &str) -> Answer {
    let route = find(context, account, sid).await?;
    Ok(context.show(&ROUTE, &with_health(context, route)))
}

async fn create(context: &Context<'_>, account: &Account) -> Answer {
    let kind = word::<RouteKind>(&context.params, "Kind")?.unwrap_or(RouteKind::Smpp);
    let now = now();
    let mut route = MessageRoute {
        sid: MessageRouteSid::new(now, rand::random()),
        account: account.sid,
        name: String::new(),
        enabled: true,
        priority: 100,
        from_prefix: String::new(),
        to_prefix: String::new(),
        price: 0,
        on_doubt: OnDoubt::Resend,
        settings: match kind {
            RouteKind::Smpp => RouteSettings::Smpp(SmppSettings::default()),
            RouteKind::Sip => RouteSettings::Sip(SipSettings {
                prefix: String::new(),
            }),
            RouteKind::Http => RouteSettings::Http(HttpSettings { url: String::new() }),
            RouteKind::Client => RouteSettings::Client,
        },
        secret: None,
        created: now,
        updated: now,
    };
    change(&context.params, &mut route)?;
    context.state.store.insert_message_route(&route).await?;
    Ok(context.show(&ROUTE, &with_health(context, route)))
}

async fn update(context: &Context<'_>, account: &Account, sid: &str) -> Answer {
    for _ in 0..ATTEMPTS {
        let mut route = find(context, account, sid).await?;
        change(&context.params, &mut route)?;
        let read = route.updated;
        route.updated = after(read);
        if context
            .state
            .store
            .update_message_route(&route, read)
            .await?
        {
            return Ok(context.show(&ROUTE, &with_health(context, route)));
        }
    }
    Err(Failure::contended())
}

async fn delete(context: &Context<'_>, account: &Account, sid: &str) -> Answer {
    let route = find(context, account, sid).await?;
    context.state.store.delete_message_route(route.sid).await?;
    Ok(Reply::Nothing)
}

fn written_tlvs(link: &SmppSettings) -> String {
    let tlvs = link
        .tlvs
        .iter()
        .map(|(tag, value)| format!("{tag:04x}={value}"));
    tlvs.collect::<Vec<_>>().join(",")
}
