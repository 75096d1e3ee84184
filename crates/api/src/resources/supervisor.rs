//! `/Accounts/{sid}/Supervisor`: the counters and live calls of the running server.
//!
//! **Invariant: reading them costs the calls nothing**: the counters are kept as facts are stored, and the live
//! calls are read from an index of the open ones.

use model::census::{Durations, Figures};
use model::record::{Account, CallRecord};
use model::{InstanceSid, Timestamp, error};
use store::Scope;

use crate::context::{Answer, Context, now};
use crate::roles::Action;
use crate::route::{Answers, Is, Param, RESTCOMM, Route, param};
use crate::value::{Entry, Field, Kind, Null, Resource, Value, View, field};

/// The counters at one moment.
struct Metrics {
    at: Timestamp,
    instance: InstanceSid,
    version: String,
    revision: String,
    figures: Figures,
    live: Vec<CallRecord>,
}

const FIELDS: &[Field<Metrics>] = &[
    field(
        "DateTime",
        "DateTime",
        Kind::Text,
        Null::Never,
        "When the counters were read, in UTC.",
        |m, _| Value::text(m.at.rfc2822().trim_end_matches(" +0000")),
    ),
    field(
        "InstanceId",
        "InstanceId",
        Kind::Text,
        Null::Never,
        "The running server; new at each start.",
        |m, _| Value::text(m.instance),
    ),
    field(
        "Version",
        "Version",
        Kind::Text,
        Null::Never,
        "Version of the product.",
        |m, _| Value::text(&m.version),
    ),
    field(
        "Revision",
        "Revision",
        Kind::Text,
        Null::Never,
        "Revision of the source.",
        |m, _| Value::text(&m.revision),
    ),
    field(
        "Metrics",
        "Metrics",
        Kind::Object,
        Null::Never,
        "The counters of this server since its start, as listed at the top of docs/rest/supervisor.md.",
        |m, _| Value::Object(counters(&m.figures)),
    ),
    field(
        "LiveCallDetails",
        "LiveCallDetails",
        Kind::List,
        Null::Never,
        "The live calls, as `Supervisor/livecalls` shows them, if they are asked for.",
        |m: &Metrics, view| {
            let calls = m.live.iter().map(|call| LIVE_CALL.entries(call, view));
            Value::List("Call", calls.collect())
        },
    ),
];

static METRICS: Resource<Metrics> = Resource {
    xml: ["Supervisor", "Supervisor"],
    xml_list: ["Supervisors", "Supervisors"],
    json_list: ["supervisors", "supervisors"],
    xml_envelope: [false, false],
    fields: FIELDS,
};

/// One counter: its name, and how it is read.
type Counter = (&'static str, fn(&Figures) -> Value);

/// The names are Restcomm's.
const COUNTERS: &[Counter] = &[
    ("TotalCallsSinceUptime", |f| count(f.started.total())),
    ("IncomingCallsSinceUptime", |f| count(f.started.inbound)),
    ("OutgoingCallsSinceUptime", |f| count(f.started.outbound)),
    ("RegisteredUsers", |f| count(f.registered)),
    ("LiveCalls", |f| count(f.live.total())),
    ("LiveIncomingCalls", |f| count(f.live.inbound)),
    ("LiveOutgoingCalls", |f| count(f.live.outbound)),
    ("MaximumConcurrentCalls", |f| count(f.peak_total)),
    ("MaximumConcurrentIncomingCalls", |f| count(f.peak.inbound)),
    ("MaximumConcurrentOutgoingCalls", |f| count(f.peak.outbound)),
    ("AverageCallDurationInSecondsLast24Hours", |f| {
        average(f.last_day)
    }),
    ("AverageCallDurationInSecondsLastHour", |f| {
        average(f.last_hour)
    }),
    ("CompletedCalls", |f| count(f.endings.completed)),
    ("NoAnswerCalls", |f| count(f.endings.no_answer)),
    ("BusyCalls", |f| count(f.endings.busy)),
    ("FailedCalls", |f| count(f.endings.failed)),
    ("NotFoundCalls", |f| count(f.endings.not_found)),
    ("CanceledCalls", |f| count(f.endings.canceled)),
    ("TextMessageInboundToApp", |f| count(f.messages_inbound)),
    ("TextMessageInboundToClient", |_| count(0)),
    ("TextMessageInboundToProxyOut", |_| count(0)),
    ("TextMessageNotFound", |_| count(0)),
    ("TextMessageOutbound", |f| count(f.messages_outbound)),
];

fn count(number: u64) -> Value {
    Value::Number(i64::try_from(number).unwrap_or(i64::MAX))
}

/// Seconds, with two decimals.
fn average(durations: Durations) -> Value {
    let hundredths = durations.seconds.saturating_mul(100);
    let mean = hundredths.checked_div(durations.legs).unwrap_or_default();
    Value::Decimal(format!("{}.{:02}", mean / 100, mean % 100))
}

fn counters(figures: &Figures) -> Vec<Entry> {
    let entry = |(name, read): &Counter| Entry {
        json: name,
        xml: name,
        null: Null::Never,
        value: read(figures),
    };
    COUNTERS.iter().map(entry).collect()
}

const fn text(
    json: &'static str,
    xml: &'static str,
    null: Null,
    doc: &'static str,
    get: fn(&CallRecord, View<'_>) -> Value,
) -> Field<CallRecord> {
    field(json, xml, Kind::Text, null, doc, get)
}

static LIVE_CALL: Resource<CallRecord> = Resource {
    xml: ["LiveCall", "LiveCall"],
    xml_list: ["LiveCallDetails", "LiveCallDetails"],
    json_list: ["live_calls", "live_calls"],
    xml_envelope: [false, false],
    fields: &[
        text("sid", "Sid", Null::Never, "Identifier.", |c, _| {
            Value::text(c.sid)
        }),
        text(
            "State",
            "State",
            Null::Never,
            "`QUEUED`, `RINGING` or `IN_PROGRESS`.",
            |c, _| Value::Text(c.status.as_str().to_uppercase().replace('-', "_")),
        ),
        text(
            "type",
            "Type",
            Null::Never,
            "`CLIENT`, `PSTN` or `SIP`, by the called party.",
            |c, _| Value::text(kind_of(&c.to)),
        ),
        text(
            "direction",
            "Direction",
            Null::Never,
            "`inbound`, `outbound-api` or `outbound-dial`.",
            |c, _| Value::text(c.direction),
        ),
        field(
            "date_created",
            "DateCreated",
            Kind::Date,
            Null::Never,
            "When it was created.",
            |c, _| Value::Date(c.created),
        ),
        text(
            "ForwardedFrom",
            "ForwardedFrom",
            Null::Absent,
            "Who forwarded it.",
            |c, _| Value::maybe(c.forwarded_from.as_ref()),
        ),
        text(
            "CallerName",
            "CallerName",
            Null::Absent,
            "Name of the caller.",
            |c, _| Value::maybe(c.caller_name.as_ref()),
        ),
        text("from", "From", Null::Never, "Calling party.", |c, _| {
            Value::text(&c.from)
        }),
        text("to", "To", Null::Never, "Called party.", |c, _| {
            Value::text(&c.to)
        }),
        text(
            "Initial Invite",
            "InitialInvite",
            Null::Absent,
            "Call-ID of its INVITE.",
            |c, _| Value::maybe(c.sip_call_id.as_ref()),
        ),
        field(
            "Last Response",
            "LastResponse",
            Kind::Number,
            Null::Never,
            "Last SIP status sent or received for its INVITE.",
            |c, _| Value::Number(last_response(c)),
        ),
    ],
};

fn kind_of(to: &str) -> &'static str {
    if to.contains('@') {
        "SIP"
    } else if to
        .trim_start_matches('+')
        .chars()
        .all(|c| c.is_ascii_digit())
    {
        "PSTN"
    } else {
        "CLIENT"
    }
}

fn last_response(call: &CallRecord) -> i64 {
    match (call.answered, call.status) {
        (Some(_), _) => 200,
        (None, model::CallStatus::Ringing) => 180,
        (None, _) => 100,
    }
}

/// How many calls are on record.
struct Total(i64);

static TOTAL: Resource<Total> = Resource {
    xml: ["CallTotal", "CallTotal"],
    xml_list: ["CallTotals", "CallTotals"],
    json_list: ["call_totals", "call_totals"],
    xml_envelope: [false, false],
    fields: &[field(
        "TotalCalls",
        "TotalCalls",
        Kind::Number,
        Null::Never,
        "Calls on record, of the account and all below it.",
        |t, _| Value::Number(t.0),
    )],
};

const DETAILS: &[Param] = &[
    param(
        "LiveCallDetails",
        Is::Flag,
        "Whether to list the live calls, too.",
    ),
    param(
        "MgcpStats",
        Is::Flag,
        "Has no effect: there is no media server to ask.",
    ),
];

const REMOTE: &[Param] = &[
    param("Url", Is::Text, "Has no effect."),
    param("Refresh", Is::Text, "Has no effect."),
];

/// The routes of the supervisor.
pub(crate) static ROUTES: &[Route] = &[
    Route::get(&["/Accounts/{account}/Supervisor"], |c, a, _| {
        Box::pin(total(c, a))
    })
    .within(RESTCOMM)
    .needs(Action::Read, "Supervisor")
    .top_only()
    .answers(Answers::One(&TOTAL))
    .doc("Counts the calls on record, of the account and all below it."),
    Route::get(&["/Accounts/{account}/Supervisor/metrics"], |c, _, _| {
        Box::pin(metrics(c))
    })
    .within(RESTCOMM)
    .needs(Action::Read, "Supervisor")
    .top_only()
    .params(&[DETAILS])
    .answers(Answers::One(&METRICS))
    .doc("Reads the counters of the server."),
    Route::get(&["/Accounts/{account}/Supervisor/livecalls"], |c, _, _| {
        Box::pin(live_calls(c))
    })
    .within(RESTCOMM)
    .needs(Action::Read, "Supervisor")
    .top_only()
    .answers(Answers::All(&LIVE_CALL))
    .doc("Lists the live calls of the server, the oldest first."),
    Route::post(
        &[
            "/Accounts/{account}/Supervisor/remote",
            "/Accounts/{account}/Supervisor/remote/{sid}",
        ],
        |c, _, _| Box::pin(remote(c)),
    )
    .within(RESTCOMM)
    .needs(Action::Read, "Supervisor")
    .top_only()
    .params(&[DETAILS, REMOTE])
    .answers(Answers::One(&METRICS))
    .doc("Reads the counters of the server, as `metrics` does; for programs that ask for them with POST."),
];

async fn total(context: &Context<'_>, account: &Account) -> Answer {
    let scope = Scope::Tree(account.sid);
    let calls = context.state.store.count_calls(scope).await?;
    Ok(context.show(&TOTAL, &Total(calls)))
}

async fn metrics(context: &Context<'_>) -> Answer {
    let params = &context.params;
    if params.flag("MgcpStats")? == Some(true) {
        let text = "MgcpStats: it has no effect, because there is no media server to ask";
        context
            .warnings
            .add(error::REQUEST_WARNING, text.to_owned());
    }
    let store = &context.state.store;
    let live = if params.flag("LiveCallDetails")? == Some(true) {
        store.live_calls().await?
    } else {
        Vec::new()
    };
    let build = &context.state.build;
    let metrics = Metrics {
        at: now(),
        instance: store.instance(),
        version: build.version.clone(),
        revision: build.revision.clone(),
        figures: context.state.monitor.figures(),
        live,
    };
    Ok(context.show(&METRICS, &metrics))
}

async fn remote(context: &Context<'_>) -> Answer {
    context.warn_unused(
        &["Url", "Refresh"],
        "a remote server, which this server never asks",
    );
    metrics(context).await
}

async fn live_calls(context: &Context<'_>) -> Answer {
    let calls = context.state.store.live_calls().await?;
    Ok(context.bare(&LIVE_CALL, &calls))
}
