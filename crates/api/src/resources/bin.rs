//! `/Accounts/{sid}/Bin`: numbers and recordings that were deleted and can be restored for a while.

use http::StatusCode;
use model::error;
use model::record::Account;
use store::{Discarded, DiscardedKind, Rows, StoreError};

use crate::closing::{self, Gone};
use crate::context::{Answer, Context, Reply, owned};
use crate::failure::Failure;
use crate::naming::number_refused;
use crate::page::{Page, row_key};
use crate::params::scope;
use crate::roles::Action;
use crate::route::{Answers, IN_USE, PAGING, RESTCOMM, Route, SCOPE};
use crate::value::{Field, Kind, Null, Resource, Value, field};

/// Something in the bin, and when it is deleted for good.
struct Shown {
    found: Discarded,
    until: model::Timestamp,
}

const FIELDS: &[Field<Shown>] = &[
    field(
        "sid",
        "Sid",
        Kind::Text,
        Null::Never,
        "Identifier; it stays the same when it is restored.",
        |s, _| Value::text(&s.found.sid),
    ),
    field(
        "account_sid",
        "AccountSid",
        Kind::Text,
        Null::Never,
        "Account that owns it.",
        |s, _| Value::text(s.found.account),
    ),
    field(
        "kind",
        "Kind",
        Kind::Text,
        Null::Never,
        "`number` or `recording`.",
        |s, _| Value::text(s.found.kind.as_str()),
    ),
    field(
        "name",
        "Name",
        Kind::Text,
        Null::Never,
        "The number, or the SID of the recording.",
        |s, _| Value::text(&s.found.name),
    ),
    field(
        "date_deleted",
        "DateDeleted",
        Kind::Date,
        Null::Never,
        "When it was moved to the bin.",
        |s, _| Value::Date(s.found.deleted),
    ),
    field(
        "date_expires",
        "DateExpires",
        Kind::Date,
        Null::Never,
        "When it is permanently deleted.",
        |s, _| Value::Date(s.until),
    ),
    field(
        "uri",
        "Uri",
        Kind::Link,
        Null::Never,
        "Path of this resource.",
        |s, view| Value::Link(view.uri(s.found.account, "Bin", &s.found.sid)),
    ),
];

static ITEM: Resource<Shown> = Resource {
    xml: ["BinItem", "BinItem"],
    xml_list: ["Bin", "Bin"],
    json_list: ["bin", "bin"],
    xml_envelope: [true, true],
    fields: FIELDS,
};

const LIST: &[&str] = &["/Accounts/{account}/Bin"];
const ONE: &[&str] = &["/Accounts/{account}/Bin/{sid}"];
const TARGET: &str = "Bin";

/// The routes of the bin.
pub(crate) static ROUTES: &[Route] = &[
    Route::get(LIST, |c, a, _| Box::pin(list(c, a)))
        .within(RESTCOMM)
        .needs(Action::Read, TARGET)
        .params(&[PAGING, SCOPE])
        .answers(Answers::Page(&ITEM))
        .doc("Lists the numbers and recordings that were deleted and can be restored, the latest first."),
    Route::get(ONE, |c, a, sid| Box::pin(get(c, a, sid)))
        .within(RESTCOMM)
        .needs(Action::Read, TARGET)
        .answers(Answers::One(&ITEM))
        .doc("Reads an item of the bin."),
    Route::post(ONE, |c, a, sid| Box::pin(restore(c, a, sid)))
        .within(RESTCOMM)
        .needs(Action::Modify, TARGET)
        .refuses(IN_USE)
        .answers(Answers::One(&ITEM))
        .doc("Restores a number or recording from the bin. Refused if the number has been added again in the meantime, by this or another account."),
    Route::delete(ONE, |c, a, sid| Box::pin(delete(c, a, sid)))
        .within(RESTCOMM)
        .needs(Action::Delete, TARGET)
        .status([204, 204])
        .doc("Permanently deletes a number, or a recording with its file; a bought number is given back to the carrier."),
];

async fn list(context: &Context<'_>, account: &Account) -> Answer {
    let page = Page::read(context)?;
    let scope = scope(&context.params, account.sid)?;
    let rows = context.state.store.bin(scope, &page.window()).await?;
    let rows = Rows {
        items: rows
            .items
            .into_iter()
            .map(|found| shown(context, found))
            .collect(),
        total: rows.total,
    };
    let path = format!("/Accounts/{}/Bin", account.sid);
    page.show(context, &ITEM, &path, rows, |shown: &Shown| {
        row_key(shown.found.deleted, &shown.found.sid)
    })
}

fn shown(context: &Context<'_>, found: Discarded) -> Shown {
    let until = found.deleted + context.state.bin_lifetime;
    Shown { found, until }
}

async fn find(context: &Context<'_>, account: &Account, sid: &str) -> Result<Discarded, Failure> {
    let found = context.state.store.discarded(sid).await?;
    owned(account, found).ok_or_else(Failure::not_found)
}

async fn get(context: &Context<'_>, account: &Account, sid: &str) -> Answer {
    let found = find(context, account, sid).await?;
    Ok(context.show(&ITEM, &shown(context, found)))
}

async fn restore(context: &Context<'_>, account: &Account, sid: &str) -> Answer {
    let found = find(context, account, sid).await?;
    match context.state.store.restore(sid).await {
        Ok(true) => Ok(context.show(&ITEM, &shown(context, found))),
        Ok(false) => Err(Failure::not_found()),
        Err(error @ (StoreError::Taken(_) | StoreError::Duplicate(_)))
            if found.kind == DiscardedKind::Number =>
        {
            Err(number_refused(&found.name, error).with_status(StatusCode::CONFLICT))
        }
        Err(error) => Err(error.into()),
    }
}

async fn delete(context: &Context<'_>, account: &Account, sid: &str) -> Answer {
    let found = find(context, account, sid).await?;
    let state = context.state;
    let gone = closing::delete_discarded(&state.store, &state.recordings_dir, &found);
    match gone.await? {
        Gone::Deleted => Ok(Reply::Nothing),
        Gone::NotThere => Err(Failure::not_found()),
        Gone::Kept(error) => {
            tracing::warn!(%error, recording.sid = %sid, "the file of a recording cannot be removed");
            let text = "The file of the recording cannot be removed.";
            Err(Failure::of(error::INTERNAL).saying(text))
        }
    }
}
