//! Sessions, which Restcomm calls contexts: one ride, one delivery.

use ::masking::{Bounds, Mode, Session, Status, reason};
use model::record::Account;
use model::{MaskSessionSid, Timestamp, error};
use store::SessionFilter;

use super::participants::{self, Wanted};
use super::services::taken;
use super::{
    KIND, OF_SERVICE, PAGES, both, find_session, is_below, item, maybe, named, service_of,
    shown_service, text, time, url,
};
use crate::context::{ATTEMPTS, Answer, Context, Reply, after, now};
use crate::dialect::Each;
use crate::failure::Failure;
use crate::page::{Page, row_key};
use crate::roles::Action;
use crate::route::{Answers, Is, Param, RESTCOMM, Route, TWILIO, param};
use crate::value::{Field, Kind, Null, Resource, Value};

/// Maximum length of a session's name, in characters.
const MAX_NAME: usize = 191;

const FIELDS: &[Field<Session>] = &[
    text(["sid", "sid"], "Identifier.", |s, _| Value::text(s.sid)),
    text(
        ["accountSid", "account_sid"],
        "Account that owns it.",
        |s, _| Value::text(s.account),
    ),
    text(
        ["applicationSid", "service_sid"],
        "The service.",
        |s, view| shown_service(view, s.service),
    ),
    maybe(
        ["name", "unique_name"],
        "Its name, unique in the service.",
        |s, _| Value::maybe(s.name.as_ref()),
    ),
    text(
        ["status", "status"],
        "`open`, `in-progress` after the first interaction, or `closed`, which is final.",
        |s, _| Value::text(s.status),
    ),
    maybe(
        ["closedReason", "closed_reason"],
        "Why it was closed: `api`, `ttl`, `date-expiry`, `service-deleted` or `account-closed`.",
        |s, _| Value::maybe(s.reason.as_ref()),
    ),
    text(
        ["mode", "mode"],
        "What its participants may do: `voice-and-message`, `voice-only` or `message-only`.",
        |s, _| Value::text(s.mode),
    ),
    named(
        ["ttl", "ttl"],
        Kind::Number,
        Null::Never,
        "How long it is open after its creation and its last interaction, in seconds; 0 for no limit.",
        |s, _| Value::Number(s.ttl_s),
    ),
    time(
        ["dateExpiry", "date_expiry"],
        "When it ends in any case.",
        |s, _| Value::time(s.expiry),
    ),
    named(
        ["interactions", "interactions"],
        Kind::Number,
        Null::Never,
        "How many interactions there were.",
        |s, _| Value::Number(s.interactions),
    ),
    time(
        ["dateStarted", "date_started"],
        "When the first interaction began.",
        |s, _| Value::time(s.started),
    ),
    time(
        ["dateLastInteraction", "date_last_interaction"],
        "When the last interaction began or ended.",
        |s, _| Value::time(s.last),
    ),
    time(
        ["dateEnded", "date_ended"],
        "When it was closed.",
        |s, _| Value::time(s.ended),
    ),
    named(
        ["dateCreated", "date_created"],
        Kind::Date,
        Null::Never,
        "When it was created.",
        |s, _| Value::Date(s.created),
    ),
    named(
        ["dateUpdated", "date_updated"],
        Kind::Date,
        Null::Never,
        "When it was last changed.",
        |s, _| Value::Date(s.updated),
    ),
    text(["uri", "url"], "Its address.", |s, view| {
        let paths = [
            format!("/contexts/search/{}", s.sid),
            format!("/Services/{}/Sessions/{}", s.service, s.sid),
        ];
        Value::Text(url(view, &view.dialect.pick(paths)))
    }),
    named(
        ["", "links"],
        Kind::Object,
        Null::Never,
        "Addresses of what belongs to it.",
        |s, view| {
            let names = [
                ("participants", "Participants"),
                ("interactions", "Interactions"),
            ];
            let link = |(name, path): (&str, &str)| {
                let own = format!("/Services/{}/Sessions/{}/{path}", s.service, s.sid);
                (name.to_owned(), url(view, &own))
            };
            Value::Texts(names.into_iter().map(link).collect())
        },
    ),
];

static SESSION: Resource<Session> = Resource {
    xml: ["MaskingContext", "ProxySession"],
    xml_list: ["MaskingContexts", "ProxySessions"],
    json_list: ["contexts", "sessions"],
    xml_envelope: [true, true],
    fields: FIELDS,
};

const LIST: &[&str] = &["/Services/{service}/Sessions"];
const ONE: &[&str] = &["/Services/{service}/Sessions/{session}"];
const CREATE: &[&str] = &["/contexts"];
const SEARCH: &[&str] = &["/contexts/search"];
const FOUND: &[&str] = &["/contexts/search/{context}"];
const CHANGE: &[&str] = &["/contexts/{context}"];

/// Statuses of refusals about what a request names in its parameters.
pub(super) const NAMED: Each<&[u16]> = [&[404, 409], &[409]];

/// The routes of sessions.
pub(super) static ROUTES: &[Route] = &[
    Route::get(SEARCH, |c, a, _| Box::pin(list(c, a, "")))
        .within(RESTCOMM)
        .needs(Action::Read, KIND)
        .params(&[&[OF_SERVICE.required()], FILTER, PAGES])
        .answers(Answers::Page(&SESSION))
        .refuses(NAMED)
        .doc("Lists the contexts of an application, the newest first."),
    Route::get(FOUND, |c, a, path| Box::pin(get(c, a, path)))
        .within(RESTCOMM)
        .needs(Action::Read, KIND)
        .answers(Answers::One(&SESSION))
        .doc("Reads a context."),
    Route::post(CREATE, |c, a, _| Box::pin(create(c, a, "")))
        .within(RESTCOMM)
        .needs(Action::Create, KIND)
        .params(&[&[OF_SERVICE.required()], NAME, TERMS, PARTICIPANTS])
        .answers(Answers::One(&SESSION))
        .refuses(NAMED)
        .doc("Creates a context, with its participants if they are given."),
    Route::put(CHANGE, |c, a, path| Box::pin(update(c, a, path)))
        .within(RESTCOMM)
        .needs(Action::Modify, KIND)
        .params(&[TERMS, STATUS])
        .answers(Answers::One(&SESSION))
        .doc("Changes or closes a context; one that is closed stays closed."),
    Route::delete(CHANGE, |c, a, path| Box::pin(delete(c, a, path)))
        .within(RESTCOMM)
        .needs(Action::Delete, KIND)
        .doc("Deletes a context with its participants and interactions."),
    Route::get(LIST, |c, a, path| Box::pin(list(c, a, path)))
        .within(TWILIO)
        .needs(Action::Read, KIND)
        .params(&[FILTER, PAGES])
        .answers(Answers::Page(&SESSION))
        .doc("Lists the sessions of a service, the newest first."),
    Route::post(LIST, |c, a, path| Box::pin(create(c, a, path)))
        .within(TWILIO)
        .needs(Action::Create, KIND)
        .params(&[NAME, TERMS, OPENED, PARTICIPANTS])
        .answers(Answers::One(&SESSION))
        .status([200, 201])
        .doc("Creates a session, with its participants if they are given."),
    Route::get(ONE, |c, a, path| Box::pin(get(c, a, path)))
        .within(TWILIO)
        .needs(Action::Read, KIND)
        .answers(Answers::One(&SESSION))
        .doc("Reads a session."),
    Route::post(ONE, |c, a, path| Box::pin(update(c, a, path)))
        .within(TWILIO)
        .needs(Action::Modify, KIND)
        .params(&[TERMS, STATUS])
        .answers(Answers::One(&SESSION))
        .doc("Changes or closes a session; one that is closed stays closed."),
    Route::delete(ONE, |c, a, path| Box::pin(delete(c, a, path)))
        .within(TWILIO)
        .needs(Action::Delete, KIND)
        .doc("Deletes a session with its participants and interactions."),
];

const FILTER: &[Param] = both! {
    "status" | "Status": Is::Word(&["open", "closed"]),
    "Only sessions that are `closed`, or only those that are not.";
};
const NAME: &[Param] = both! {
    "name" | "UniqueName": Is::Text,
    "Its name, unique in the service, at most 191 characters. Choose one that names no person.";
};
const TERMS: &[Param] = both! {
    "ttl" | "Ttl": Is::Number,
    "How long it is open after its creation and its last interaction, in seconds; 0 for no limit. If not given, as the service says.";
    "dateExpiry" | "DateExpiry": Is::Moment,
    "When it ends in any case; then the time to live does not count. Empty for none.";
    "mode" | "Mode": Is::Word(Mode::WORDS),
    "What its participants may do; `voice-and-message` if not given.";
};
const OPENED: &[Param] = &[param(
    "Status",
    Is::Word(&["open", "in-progress"]),
    "A session is always `open` at first.",
)
.within(TWILIO)];
const STATUS: &[Param] = both! {
    "status" | "Status": Is::Word(&["open", "in-progress", "closed"]),
    "`closed` closes it. A closed session cannot be opened again.";
};
const PARTICIPANTS: &[Param] = both! {
    "participants" | "Participants": Is::Text,
    "Its participants: a JSON object, or an array of at most two, with the parameters of a participant. May be sent twice.";
};

async fn list(context: &Context<'_>, account: &Account, path: &str) -> Answer {
    let service = service_of(context, account, path).await?;
    let page = Page::read(context)?;
    let word = context
        .params
        .word(context.dialect.pick(["status", "Status"]));
    let filter = SessionFilter {
        service: &service,
        is_closed: word.map(|word| word == "closed"),
        window: page.window(),
    };
    let store = &context.state.store;
    // What the filter compares is what is on record.
    store.close_expired_sessions(now()).await?;
    let mut rows = store.mask_sessions(&filter).await?;
    let now = now();
    rows.items = rows.items.into_iter().map(|one| one.at(now)).collect();
    let at = [
        "/contexts/search".to_owned(),
        format!("/Services/{}/Sessions", service.sid),
    ];
    let at = context.dialect.pick(at);
    page.show(context, &SESSION, &at, rows, |session| {
        row_key(session.created, session.sid)
    })
}

/// The session at the end of a path.
async fn find(context: &Context<'_>, account: &Account, path: &str) -> Result<Session, Failure> {
    let sid: MaskSessionSid = item(path).parse().map_err(|_| Failure::not_found())?;
    let found = find_session(context, account, sid).await?;
    match is_below(path, found.service, None) {
        true => Ok(found),
        false => Err(Failure::not_found()),
    }
}

async fn get(context: &Context<'_>, account: &Account, path: &str) -> Answer {
    let found = find(context, account, path).await?;
    Ok(context.show(&SESSION, &found))
}

async fn create(context: &Context<'_>, account: &Account, path: &str) -> Answer {
    let service = service_of(context, account, path).await?;
    let (params, now) = (&context.params, now());
    let name = context.dialect.pick(["name", "UniqueName"]);
    let own = params.filled(name).map(|text| text.trim().to_owned());
    if own
        .as_ref()
        .is_some_and(|own| own.chars().count() > MAX_NAME)
    {
        let reason = format!("it may have {MAX_NAME} characters");
        return Err(Failure::parameter(name, &reason));
    }
    let mut session = Session {
        sid: MaskSessionSid::new(now, rand::random()),
        account: account.sid,
        service: service.sid,
        name: own,
        status: Status::Open,
        mode: Mode::VoiceAndMessage,
        ttl_s: service.settings.default_ttl_s,
        expiry: None,
        interactions: 0,
        started: None,
        last: None,
        ended: None,
        reason: None,
        created: now,
        updated: now,
    };
    change(context, &mut session, now)?;
    let wanted = Wanted::all(context)?;
    let store = &context.state.store;
    let inserted = store.insert_mask_session(&session).await;
    inserted.map_err(|error| taken(error, session.name.as_deref().unwrap_or_default()))?;
    for one in wanted {
        if let Err(refused) = participants::join(context, &service, &session, one).await {
            // Nothing is left of a session that could not be made as requested.
            store.delete_mask_session(session.sid).await?;
            return Err(refused);
        }
    }
    Ok(context.show(&SESSION, &session))
}

async fn update(context: &Context<'_>, account: &Account, path: &str) -> Answer {
    let name = context.dialect.pick(["status", "Status"]);
    for _ in 0..ATTEMPTS {
        let mut session = find(context, account, path).await?;
        let (word, now) = (context.params.word(name), now());
        if session.status == Status::Closed {
            if word == Some("closed") {
                return Ok(context.show(&SESSION, &session));
            }
            let text = "the session is closed, which is final; create another one";
            return Err(Failure::of(error::MASK_CLOSED).saying(text));
        }
        change(context, &mut session, now)?;
        if word == Some("closed") {
            session.status = Status::Closed;
            session.ended = Some(now);
            session.reason = Some(reason::API.to_owned());
        }
        let read = session.updated;
        session.updated = after(read);
        let store = &context.state.store;
        if store.update_mask_session(&session, read).await? {
            return Ok(context.show(&SESSION, &session));
        }
    }
    Err(Failure::contended())
}

async fn delete(context: &Context<'_>, account: &Account, path: &str) -> Answer {
    let session = find(context, account, path).await?;
    let store = &context.state.store;
    store.delete_mask_session(session.sid).await?;
    Ok(Reply::Nothing)
}

/// Applies the terms that were sent.
fn change(context: &Context<'_>, session: &mut Session, now: Timestamp) -> Result<(), Failure> {
    let params = &context.params;
    let name = context.dialect.pick(["ttl", "Ttl"]);
    if let Some(ttl) = params.parsed::<i64>(name, "a whole number")? {
        let fits = Bounds::TTL.check(ttl);
        session.ttl_s = fits.map_err(|bounds| Failure::parameter(name, &bounds.to_string()))?;
    }
    let name = context.dialect.pick(["dateExpiry", "DateExpiry"]);
    if params.get(name).is_some() {
        session.expiry = match params.filled(name) {
            Some(_) => params.moment(name)?,
            None => None,
        };
        if session.expiry.is_some_and(|expiry| expiry <= now) {
            return Err(Failure::parameter(name, "it must be in the future"));
        }
    }
    if let Some(word) = params.word(context.dialect.pick(["mode", "Mode"])) {
        session.mode = word.parse().unwrap_or(session.mode);
    }
    Ok(())
}
