//! Interactions: calls and texts between participants. They hold no numbers.

use ::masking::{Interaction, Kind as Of, State};
use model::record::Account;
use model::{InteractionSid, error};

use super::{
    KIND, OF_SESSION, PAGES, is_below, item, maybe, named, session_of, shown_service, text, time,
    url,
};
use crate::context::{Answer, Context, Reply, owned};
use crate::failure::Failure;
use crate::page::{Page, row_key};
use crate::roles::Action;
use crate::route::{Answers, IN_USE, RESTCOMM, Route, TWILIO};
use crate::value::{Field, Kind, Null, Resource, Value};

const FIELDS: &[Field<Interaction>] = &[
    text(["sid", "sid"], "Identifier.", |i, _| Value::text(i.sid)),
    text(
        ["accountSid", "account_sid"],
        "Account that owns it.",
        |i, _| Value::text(i.account),
    ),
    text(
        ["applicationSid", "service_sid"],
        "The service.",
        |i, view| shown_service(view, i.service),
    ),
    text(["contextSid", "session_sid"], "The session.", |i, _| {
        Value::text(i.session)
    }),
    text(["type", "type"], "`voice` or `message`.", |i, _| {
        Value::text(i.kind)
    }),
    text(
        ["status", "status"],
        "`in-progress`; `completed` if the other participant was reached, otherwise `failed`.",
        |i, _| Value::text(i.state),
    ),
    text(
        ["data", "data"],
        "JSON: how long the two talked, in seconds, as `duration`.",
        |i, _| Value::Text(data(i)),
    ),
    text(
        ["inboundParticipantSid", "inbound_participant_sid"],
        "Who called or texted.",
        |i, _| Value::text(i.from),
    ),
    text(
        ["inboundResourceSid", "inbound_resource_sid"],
        "The call or message that arrived.",
        |i, _| Value::text(&i.inbound),
    ),
    maybe(
        ["inboundResourceStatus", "inbound_resource_status"],
        "Its status when the interaction ended.",
        |i, _| Value::maybe(i.inbound_status.as_ref()),
    ),
    text(
        ["inboundResourceType", "inbound_resource_type"],
        "`call` or `message`.",
        |i, _| Value::text(resource(i.kind)),
    ),
    maybe(["", "inbound_resource_url"], "Its address.", |i, view| {
        address(view, i, Some(&i.inbound))
    }),
    text(
        ["outboundParticipantSid", "outbound_participant_sid"],
        "Who was to be reached.",
        |i, _| Value::text(i.to),
    ),
    maybe(
        ["outboundResourceSid", "outbound_resource_sid"],
        "The call or message to the other participant.",
        |i, _| Value::maybe(i.outbound.as_ref()),
    ),
    maybe(
        ["outboundResourceStatus", "outbound_resource_status"],
        "Its status when the interaction ended.",
        |i, _| Value::maybe(i.outbound_status.as_ref()),
    ),
    text(
        ["outboundResourceType", "outbound_resource_type"],
        "`call` or `message`.",
        |i, _| Value::text(resource(i.kind)),
    ),
    maybe(["", "outbound_resource_url"], "Its address.", |i, view| {
        address(view, i, i.outbound.as_ref())
    }),
    time(["dateEnded", "date_ended"], "When it ended.", |i, _| {
        Value::time(i.ended)
    }),
    named(
        ["dateCreated", "date_created"],
        Kind::Date,
        Null::Never,
        "When it began.",
        |i, _| Value::Date(i.created),
    ),
    named(
        ["dateUpdated", "date_updated"],
        Kind::Date,
        Null::Never,
        "When it was last changed.",
        |i, _| Value::Date(i.updated),
    ),
    text(["uri", "url"], "Its address.", |i, view| {
        let paths = [
            format!("/interactions/search/{}", i.sid),
            format!(
                "/Services/{}/Sessions/{}/Interactions/{}",
                i.service, i.session, i.sid
            ),
        ];
        Value::Text(url(view, &view.dialect.pick(paths)))
    }),
];

static INTERACTION: Resource<Interaction> = Resource {
    xml: ["MaskingInteraction", "ProxyInteraction"],
    xml_list: ["MaskingInteractions", "ProxyInteractions"],
    json_list: ["interactions", "interactions"],
    xml_envelope: [true, true],
    fields: FIELDS,
};

const LIST: &[&str] = &["/Services/{service}/Sessions/{session}/Interactions"];
const ONE: &[&str] = &["/Services/{service}/Sessions/{session}/Interactions/{interaction}"];
const SEARCH: &[&str] = &["/interactions/search"];
const FOUND: &[&str] = &["/interactions/search/{interaction}"];
const CHANGE: &[&str] = &["/interactions/{interaction}"];

/// The routes of interactions.
pub(super) static ROUTES: &[Route] = &[
    Route::get(SEARCH, |c, a, _| Box::pin(list(c, a, "")))
        .within(RESTCOMM)
        .needs(Action::Read, KIND)
        .params(&[&[OF_SESSION.required()], PAGES])
        .answers(Answers::Page(&INTERACTION))
        .refuses([&[404], &[]])
        .doc("Lists the interactions of a context, the newest first."),
    Route::get(FOUND, |c, a, path| Box::pin(get(c, a, path)))
        .within(RESTCOMM)
        .needs(Action::Read, KIND)
        .answers(Answers::One(&INTERACTION))
        .doc("Reads an interaction."),
    Route::delete(CHANGE, |c, a, path| Box::pin(delete(c, a, path)))
        .within(RESTCOMM)
        .needs(Action::Delete, KIND)
        .refuses(IN_USE)
        .doc("Deletes an interaction that has ended."),
    Route::get(LIST, |c, a, path| Box::pin(list(c, a, path)))
        .within(TWILIO)
        .needs(Action::Read, KIND)
        .params(&[PAGES])
        .answers(Answers::Page(&INTERACTION))
        .doc("Lists the interactions of a session, the newest first."),
    Route::get(ONE, |c, a, path| Box::pin(get(c, a, path)))
        .within(TWILIO)
        .needs(Action::Read, KIND)
        .answers(Answers::One(&INTERACTION))
        .doc("Reads an interaction."),
    Route::delete(ONE, |c, a, path| Box::pin(delete(c, a, path)))
        .within(TWILIO)
        .needs(Action::Delete, KIND)
        .refuses(IN_USE)
        .doc("Deletes an interaction that has ended."),
];

fn data(one: &Interaction) -> String {
    let seconds = one.duration_s;
    seconds.map_or_else(|| "{}".to_owned(), |s| format!("{{\"duration\":\"{s}\"}}"))
}

const fn resource(kind: Of) -> &'static str {
    match kind {
        Of::Voice => "call",
        Of::Message => "message",
    }
}

/// The address of a call or message.
fn address(view: crate::value::View<'_>, one: &Interaction, sid: Option<&String>) -> Value {
    let list = match one.kind {
        Of::Voice => "Calls",
        Of::Message => "Messages",
    };
    let base = format!("{}/2010-04-01/Accounts/{}", view.public_base, one.account);
    Value::maybe(sid.map(|sid| format!("{base}/{list}/{sid}.json")))
}

async fn list(context: &Context<'_>, account: &Account, path: &str) -> Answer {
    let session = session_of(context, account, path).await?;
    let page = Page::read(context)?;
    let store = &context.state.store;
    let rows = store.mask_interactions(&session, &page.window()).await?;
    let at = [
        "/interactions/search".to_owned(),
        format!(
            "/Services/{}/Sessions/{}/Interactions",
            session.service, session.sid
        ),
    ];
    page.show(
        context,
        &INTERACTION,
        &context.dialect.pick(at),
        rows,
        |one| row_key(one.created, one.sid),
    )
}

async fn find(
    context: &Context<'_>,
    account: &Account,
    path: &str,
) -> Result<Interaction, Failure> {
    let sid: InteractionSid = item(path).parse().map_err(|_| Failure::not_found())?;
    let found = context.state.store.mask_interaction(sid).await?;
    let found = owned(account, found);
    let found = found.filter(|found| is_below(path, found.service, Some(found.session)));
    found.ok_or_else(Failure::not_found)
}

async fn get(context: &Context<'_>, account: &Account, path: &str) -> Answer {
    let found = find(context, account, path).await?;
    Ok(context.show(&INTERACTION, &found))
}

async fn delete(context: &Context<'_>, account: &Account, path: &str) -> Answer {
    let found = find(context, account, path).await?;
    let store = &context.state.store;
    if found.state == State::InProgress || !store.delete_mask_interaction(found.sid).await? {
        let text = "the interaction is in progress; delete it when it has ended";
        return Err(Failure::of(error::CONFLICT).saying(text));
    }
    Ok(Reply::Nothing)
}
