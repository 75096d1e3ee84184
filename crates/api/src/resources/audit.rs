//! `/Accounts/{sid}/AuditLog`: the changes made through the API.

use model::AuditSid;
use model::record::{Account, AuditEntry};

use crate::common;
use crate::context::{Answer, Context, owned};
use crate::failure::Failure;
use crate::page::{Page, row_key};
use crate::params::scope;
use crate::roles::Action;
use crate::route::{Answers, PAGING, RESTCOMM, Route, SCOPE};
use crate::value::{Field, Kind, Null, Resource, Value, field};

const FIELDS: &[Field<AuditEntry>] = &[
    common::sid(|e, _| Value::text(e.sid)),
    field(
        "account_sid",
        "AccountSid",
        Kind::Text,
        Null::Never,
        "Account that was changed, or in which something was.",
        |e, _| Value::text(e.account),
    ),
    field(
        "actor_sid",
        "ActorSid",
        Kind::Text,
        Null::Never,
        "Account whose credentials were used.",
        |e, _| Value::text(e.actor),
    ),
    field(
        "key_sid",
        "KeySid",
        Kind::Text,
        Null::Absent,
        "API key that was used, unless it was a token or password.",
        |e, _| Value::maybe(e.key),
    ),
    field(
        "source",
        "Source",
        Kind::Text,
        Null::Never,
        "Address that the request came from.",
        |e, _| Value::text(&e.source),
    ),
    field(
        "request_id",
        "RequestId",
        Kind::Text,
        Null::Never,
        "Identifier of the request, as in the log and in `X-Request-Id`.",
        |e, _| Value::text(&e.request),
    ),
    field(
        "method",
        "Method",
        Kind::Text,
        Null::Never,
        "`POST`, `PUT` or `DELETE`.",
        |e, _| Value::text(&e.method),
    ),
    field(
        "path",
        "Path",
        Kind::Text,
        Null::Never,
        "Path of the request.",
        |e, _| Value::text(&e.path),
    ),
    field(
        "before",
        "Before",
        Kind::Text,
        Null::Absent,
        "The resource before the change, as JSON text without secrets; nothing if it was created.",
        |e, _| Value::maybe(e.before.as_deref()),
    ),
    field(
        "after",
        "After",
        Kind::Text,
        Null::Absent,
        "The resource in the response to the change, as JSON text without secrets; nothing if it was deleted.",
        |e, _| Value::maybe(e.after.as_deref()),
    ),
    field(
        "date_created",
        "DateCreated",
        Kind::Date,
        Null::Never,
        "When the change was made.",
        |e, _| Value::Date(e.created),
    ),
];

static ENTRY: Resource<AuditEntry> = Resource {
    xml: ["AuditEntry", "AuditEntry"],
    xml_list: ["AuditLog", "AuditLog"],
    json_list: ["audit_log", "audit_log"],
    xml_envelope: [true, true],
    fields: FIELDS,
};

const LIST: &[&str] = &["/Accounts/{account}/AuditLog"];
const ONE: &[&str] = &["/Accounts/{account}/AuditLog/{sid}"];

/// The routes of the audit log.
pub(crate) static ROUTES: &[Route] = &[
    Route::get(LIST, |c, a, _| Box::pin(list(c, a)))
        .within(RESTCOMM)
        .needs(Action::Read, "AuditLog")
        .params(&[PAGING, SCOPE])
        .answers(Answers::Page(&ENTRY))
        .doc("Lists the changes made in an account, the latest first."),
    Route::get(ONE, |c, a, sid| Box::pin(get(c, a, sid)))
        .within(RESTCOMM)
        .needs(Action::Read, "AuditLog")
        .answers(Answers::One(&ENTRY))
        .doc("Reads a change."),
];

async fn list(context: &Context<'_>, account: &Account) -> Answer {
    let page = Page::read(context)?;
    let scope = scope(&context.params, account.sid)?;
    let rows = context.state.store.audit_log(scope, &page.window()).await?;
    let path = format!("/Accounts/{}/AuditLog", account.sid);
    page.show(context, &ENTRY, &path, rows, |entry| {
        row_key(entry.created, entry.sid)
    })
}

async fn get(context: &Context<'_>, account: &Account, sid: &str) -> Answer {
    let sid: AuditSid = sid.parse().map_err(|_| Failure::not_found())?;
    let found = context.state.store.audit_entry(sid).await?;
    let entry = owned(account, found).ok_or_else(Failure::not_found)?;
    Ok(context.show(&ENTRY, &entry))
}
