//! Participants of sessions, each with a real number and a mask.

use ::masking::{NoMask, Participant, Service, Session, Status, document};
use model::record::Account;
use model::{NumberSid, ParticipantSid, error, naming, number};
use serde_json::Value as Json;
use store::{NotJoined, Rows};

use super::{
    KIND, OF_SESSION, PAGES, filled, find_service, find_session, is_below, item, maybe, named,
    session_of, shown_service, text, url,
};
use crate::context::{Answer, Context, Reply, now, owned};
use crate::failure::Failure;
use crate::page::{Page, row_key};
use crate::params::shown;
use crate::roles::Action;
use crate::route::{Answers, Is, Param, RESTCOMM, Route, TWILIO, param};
use crate::value::{Field, Kind, Null, Resource, Value};

/// Maximum length of a participant's name, in characters.
const MAX_NAME: usize = 64;

const FIELDS: &[Field<Participant>] = &[
    text(["sid", "sid"], "Identifier.", |p, _| Value::text(p.sid)),
    text(
        ["accountSid", "account_sid"],
        "Account that owns it.",
        |p, _| Value::text(p.account),
    ),
    text(
        ["applicationSid", "service_sid"],
        "The service.",
        |p, view| shown_service(view, p.service),
    ),
    text(["contextSid", "session_sid"], "The session.", |p, _| {
        Value::text(p.session)
    }),
    maybe(["friendlyName", "friendly_name"], "A name.", |p, _| {
        filled(&p.name)
    }),
    text(
        ["phoneNumber", "identifier"],
        "The real number; `erased-…` after the erasure of a person's data.",
        |p, _| Value::text(&p.number),
    ),
    text(
        ["maskedNumber", "proxy_identifier"],
        "The mask: the other participant is reached at this number, and this participant sees it as the sender.",
        |p, _| Value::text(&p.mask_number),
    ),
    text(
        ["maskedNumberSid", "proxy_identifier_sid"],
        "Identifier of the mask.",
        |p, _| Value::text(p.mask),
    ),
    named(
        ["hasPin", "has_pin"],
        Kind::Flag,
        Null::Never,
        "Whether it can call from another number, with its PIN.",
        |p, _| Value::Flag(!p.pin.is_empty()),
    ),
    maybe(["", "date_deleted"], "Always null.", |_, _| Value::Null),
    named(
        ["dateCreated", "date_created"],
        Kind::Date,
        Null::Never,
        "When it was added.",
        |p, _| Value::Date(p.created),
    ),
    named(
        ["dateUpdated", "date_updated"],
        Kind::Date,
        Null::Never,
        "When it was last changed.",
        |p, _| Value::Date(p.updated),
    ),
    text(["uri", "url"], "Its address.", |p, view| {
        let paths = [
            format!("/participants/search/{}", p.sid),
            format!(
                "/Services/{}/Sessions/{}/Participants/{}",
                p.service, p.session, p.sid
            ),
        ];
        Value::Text(url(view, &view.dialect.pick(paths)))
    }),
];

static PARTICIPANT: Resource<Participant> = Resource {
    xml: ["MaskingParticipant", "ProxyParticipant"],
    xml_list: ["MaskingParticipants", "ProxyParticipants"],
    json_list: ["participants", "participants"],
    xml_envelope: [true, true],
    fields: FIELDS,
};

const LIST: &[&str] = &["/Services/{service}/Sessions/{session}/Participants"];
const ONE: &[&str] = &["/Services/{service}/Sessions/{session}/Participants/{participant}"];
const CREATE: &[&str] = &["/participants"];
const SEARCH: &[&str] = &["/participants/search"];
const FOUND: &[&str] = &["/participants/search/{participant}"];
const CHANGE: &[&str] = &["/participants/{participant}"];

/// The routes of participants.
pub(super) static ROUTES: &[Route] = &[
    Route::get(SEARCH, |c, a, _| Box::pin(list(c, a, "")))
        .within(RESTCOMM)
        .needs(Action::Read, KIND)
        .params(&[&[OF_SESSION.required()], PAGES])
        .answers(Answers::Page(&PARTICIPANT))
        .refuses([&[404], &[]])
        .doc("Lists the participants of a context."),
    Route::get(FOUND, |c, a, path| Box::pin(get(c, a, path)))
        .within(RESTCOMM)
        .needs(Action::Read, KIND)
        .answers(Answers::One(&PARTICIPANT))
        .doc("Reads a participant."),
    Route::post(CREATE, |c, a, _| Box::pin(create(c, a, "")))
        .within(RESTCOMM)
        .needs(Action::Create, KIND)
        .params(&[&[OF_SESSION.required()], NEW])
        .answers(Answers::One(&PARTICIPANT))
        .refuses([&[404], &[]])
        .doc("Adds a participant to a context and gives it a mask."),
    Route::delete(CHANGE, |c, a, path| Box::pin(delete(c, a, path)))
        .within(RESTCOMM)
        .needs(Action::Delete, KIND)
        .doc("Removes a participant; its mask is free."),
    Route::get(LIST, |c, a, path| Box::pin(list(c, a, path)))
        .within(TWILIO)
        .needs(Action::Read, KIND)
        .params(&[PAGES])
        .answers(Answers::Page(&PARTICIPANT))
        .doc("Lists the participants of a session."),
    Route::post(LIST, |c, a, path| Box::pin(create(c, a, path)))
        .within(TWILIO)
        .needs(Action::Create, KIND)
        .params(&[NEW])
        .answers(Answers::One(&PARTICIPANT))
        .status([200, 201])
        .doc("Adds a participant to a session and gives it a mask."),
    Route::get(ONE, |c, a, path| Box::pin(get(c, a, path)))
        .within(TWILIO)
        .needs(Action::Read, KIND)
        .answers(Answers::One(&PARTICIPANT))
        .doc("Reads a participant."),
    Route::delete(ONE, |c, a, path| Box::pin(delete(c, a, path)))
        .within(TWILIO)
        .needs(Action::Delete, KIND)
        .doc("Removes a participant; its mask is free."),
];

const NEW: &[Param] = &[
    param(
        "phoneNumber",
        Is::Party,
        "The real number, with `+` and country code.",
    )
    .required()
    .within(RESTCOMM),
    param(
        "maskedNumber",
        Is::Party,
        "A number of the pool that it is to have as its mask.",
    )
    .within(RESTCOMM),
    param(
        "maskedNumberSid",
        Is::Sid(crate::route::sid::<NumberSid>),
        "The same, by its identifier.",
    )
    .within(RESTCOMM),
    param("friendlyName", Is::Text, "A name, at most 64 characters.").within(RESTCOMM),
    param("pin", Is::Secret, PIN).within(RESTCOMM),
    param(
        "Identifier",
        Is::Party,
        "The real number, with `+` and country code.",
    )
    .required()
    .within(TWILIO),
    param(
        "ProxyIdentifier",
        Is::Party,
        "A number of the pool that it is to have as its mask.",
    )
    .within(TWILIO),
    param(
        "ProxyIdentifierSid",
        Is::Sid(crate::route::sid::<NumberSid>),
        "The same, by its identifier.",
    )
    .within(TWILIO),
    param("FriendlyName", Is::Text, "A name, at most 64 characters.").within(TWILIO),
    param("Pin", Is::Secret, PIN).within(TWILIO),
];
const PIN: &str = "Four to ten digits that it enters when it calls from another number, if the service asks unknown callers for a PIN. Different for each open session of the service.";

/// A participant that is requested.
pub(super) struct Wanted {
    number: String,
    mask: Option<Mask>,
    name: String,
    pin: String,
}

enum Mask {
    Sid(NumberSid),
    Number(String),
}

/// The names of its parameters, in the order of the fields of [`Wanted::read`].
const NAMES: [[&str; 5]; 2] = [
    [
        "phoneNumber",
        "maskedNumber",
        "maskedNumberSid",
        "friendlyName",
        "pin",
    ],
    [
        "Identifier",
        "ProxyIdentifier",
        "ProxyIdentifierSid",
        "FriendlyName",
        "Pin",
    ],
];

impl Wanted {
    /// The one that the parameters of a request describe.
    fn one(context: &Context<'_>) -> Result<Self, Failure> {
        let names = context.dialect.pick(NAMES);
        let value = |at: usize| context.params.filled(names[at]).map(str::to_owned);
        Self::read(names, value)
    }

    /// Those in the JSON of a request that creates a session.
    pub(super) fn all(context: &Context<'_>) -> Result<Vec<Self>, Failure> {
        let name = context.dialect.pick(["participants", "Participants"]);
        let refused = || {
            let reason = "write a JSON object, or an array of at most two, with the parameters of a participant";
            Failure::parameter(name, reason)
        };
        let mut found = Vec::new();
        for text in context
            .params
            .all(name)
            .filter(|text| !text.trim().is_empty())
        {
            let read: Json = serde_json::from_str(text).map_err(|_| refused())?;
            match read {
                Json::Array(all) => found.extend(all),
                one => found.push(one),
            }
        }
        if found.len() > Session::PARTICIPANTS {
            return Err(refused());
        }
        let names = context.dialect.pick(NAMES);
        let read = |one: Json| {
            let Json::Object(members) = one else {
                return Err(refused());
            };
            if let Some(unknown) = members.keys().find(|key| !names.contains(&key.as_str())) {
                let reason = format!("`{}` is not a parameter of a participant", shown(unknown));
                return Err(Failure::parameter(name, &reason));
            }
            let value = |at: usize| {
                let text = match members.get(names[at])? {
                    Json::String(text) => text.clone(),
                    Json::Null => return None,
                    other => other.to_string(),
                };
                Some(text).filter(|text| !text.trim().is_empty())
            };
            Self::read(names, value)
        };
        found.into_iter().map(read).collect()
    }

    fn read(names: [&str; 5], value: impl Fn(usize) -> Option<String>) -> Result<Self, Failure> {
        let [number_name, mask_name, sid_name, name_name, pin_name] = names;
        let number = value(0)
            .ok_or_else(|| Failure::parameter(number_name, "this parameter is required"))?;
        let number = e164(number_name, &number)?;
        if naming::is_emergency(&number) {
            let reason = "the number of an emergency service cannot take part";
            return Err(Failure::parameter(number_name, reason));
        }
        let mask = match (value(2), value(1)) {
            (Some(sid), _) => Some(Mask::Sid(sid.trim().parse().map_err(|_| {
                let reason = format!("`{}` is not the identifier of a number", shown(&sid));
                Failure::parameter(sid_name, &reason)
            })?)),
            (None, Some(number)) => Some(Mask::Number(e164(mask_name, &number)?)),
            (None, None) => None,
        };
        let name = value(3).unwrap_or_default().trim().to_owned();
        if name.chars().count() > MAX_NAME {
            let reason = format!("it may have {MAX_NAME} characters");
            return Err(Failure::parameter(name_name, &reason));
        }
        let pin = value(4).unwrap_or_default().trim().to_owned();
        let lengths = document::MIN_PIN..=document::MAX_PIN;
        let is_pin = lengths.contains(&pin.len()) && pin.bytes().all(|b| b.is_ascii_digit());
        if !pin.is_empty() && !is_pin {
            return Err(Failure::parameter(
                pin_name,
                "it must have four to ten digits",
            ));
        }
        Ok(Self {
            number,
            mask,
            name,
            pin,
        })
    }
}

/// A number in E.164 form.
fn e164(name: &str, text: &str) -> Result<String, Failure> {
    number::e164(&number::plain(text.trim())).ok_or_else(|| {
        let reason = format!(
            "`{}` is not a number with `+` and country code",
            shown(text)
        );
        Failure::parameter(name, &reason)
    })
}

/// Adds a participant to a session.
///
/// # Errors
/// Why it cannot be added.
pub(super) async fn join(
    context: &Context<'_>,
    service: &Service,
    session: &Session,
    wanted: Wanted,
) -> Result<Participant, Failure> {
    let (store, now) = (&context.state.store, now());
    let mask = match wanted.mask {
        None => None,
        Some(Mask::Sid(sid)) => Some(sid),
        Some(Mask::Number(number)) => {
            let found = store
                .number_candidates(None, &number::candidates(&number))
                .await?;
            let own = found
                .exact
                .iter()
                .find(|one| one.account == session.account);
            let sid = own.map(|own| own.sid).ok_or_else(|| {
                let text = format!("`{number}` is not in the pool of the service");
                Failure::parameter(context.dialect.pick(NAMES)[1], &text)
            })?;
            Some(sid)
        }
    };
    let participant = Participant {
        sid: ParticipantSid::new(now, rand::random()),
        account: session.account,
        service: service.sid,
        session: session.sid,
        number: wanted.number,
        name: wanted.name,
        mask: NumberSid::from_bytes([0; 16]),
        mask_number: String::new(),
        pin: wanted.pin,
        created: now,
        updated: now,
    };
    let joined = store.join_mask_session(service, participant, mask).await?;
    joined.map_err(|why| refusal(&why))
}

fn refusal(why: &NotJoined) -> Failure {
    let code = match why {
        NotJoined::Closed | NotJoined::Full => error::MASK_CLOSED,
        NotJoined::Twice
        | NotJoined::Pin
        | NotJoined::NoMask(NoMask::NotInPool | NoMask::OwnNumber) => error::BAD_PARAMETER,
        NotJoined::NoMask(NoMask::Taken) => error::MASK_TAKEN,
        NotJoined::NoMask(NoMask::NoneNear { .. } | NoMask::Exhausted { .. }) => {
            error::MASK_EXHAUSTED
        }
        NotJoined::Contended => error::CONFLICT,
    };
    Failure::of(code).saying(why.to_string())
}

async fn list(context: &Context<'_>, account: &Account, path: &str) -> Answer {
    let session = session_of(context, account, path).await?;
    let mut items = context.state.store.mask_participants(session.sid).await?;
    items.reverse();
    // It has two at most.
    let page = Page::whole(context, items.len());
    let rows = Rows {
        total: i64::try_from(items.len()).unwrap_or(i64::MAX),
        items,
    };
    let at = [
        "/participants/search".to_owned(),
        format!(
            "/Services/{}/Sessions/{}/Participants",
            session.service, session.sid
        ),
    ];
    page.show(
        context,
        &PARTICIPANT,
        &context.dialect.pick(at),
        rows,
        |one| row_key(one.created, one.sid),
    )
}

async fn find(
    context: &Context<'_>,
    account: &Account,
    path: &str,
) -> Result<Participant, Failure> {
    let sid: ParticipantSid = item(path).parse().map_err(|_| Failure::not_found())?;
    let found = context.state.store.mask_participant(sid).await?;
    let found = owned(account, found);
    let found = found.filter(|found| is_below(path, found.service, Some(found.session)));
    found.ok_or_else(Failure::not_found)
}

async fn get(context: &Context<'_>, account: &Account, path: &str) -> Answer {
    let found = find(context, account, path).await?;
    Ok(context.show(&PARTICIPANT, &found))
}

async fn create(context: &Context<'_>, account: &Account, path: &str) -> Answer {
    let session = session_of(context, account, path).await?;
    let service = find_service(context, account, session.service).await?;
    let wanted = Wanted::one(context)?;
    let joined = join(context, &service, &session, wanted).await?;
    Ok(context.show(&PARTICIPANT, &joined))
}

async fn delete(context: &Context<'_>, account: &Account, path: &str) -> Answer {
    let found = find(context, account, path).await?;
    let session = find_session(context, account, found.session).await?;
    if session.status_at(now()) == Status::Closed {
        let text = "the session is closed; delete the session to remove what is on record";
        return Err(Failure::of(error::MASK_CLOSED).saying(text));
    }
    let store = &context.state.store;
    store.delete_mask_participant(found.sid).await?;
    Ok(Reply::Nothing)
}
