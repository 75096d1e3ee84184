//! `/Accounts/{sid}/Conferences` and the participants of a conference.

mod fields;

use call_proto::{
    Coaching, Document, Legs, Modify, ModifyError, NewParticipant, ParticipantChange, SetIn,
};
use http::StatusCode;
use model::record::{Account, Conference, Membership, Participant};
use model::text::is_participant_label;
use model::{CallSid, ConferenceSid, HttpMethod, error};
use store::{ConferenceFilter, ParticipantFilter, Scope, Window};

use self::fields::{CONFERENCE, PARTICIPANT};
use super::calls::{self, DETECTION_BESIDE, detection_beside};
use super::recordings::NEW_RECORDING;
use crate::context::{Answer, Context, Reply, owned};
use crate::failure::Failure;
use crate::page::{Page, row_key};
use crate::params::{Bound, scope};
use crate::resources::calls::runs_elsewhere;
use crate::roles::Action;
use crate::route::{Answers, Is, LIVE, PAGING, Param, RESTCOMM, Route, SCOPE, TWILIO, param, sid};

const LIST: &[&str] = &["/Accounts/{account}/Conferences"];
const ONE: &[&str] = &["/Accounts/{account}/Conferences/{sid}"];
const MEMBERS: &[&str] = &["/Accounts/{account}/Conferences/{conference}/Participants"];
const MEMBER: &[&str] = &["/Accounts/{account}/Conferences/{conference}/Participants/{call}"];

/// The routes of conferences.
pub(crate) static ROUTES: &[Route] = &[
    Route::get(LIST, |c, a, _| Box::pin(list(c, a)))
        .needs(Action::Read, "Conferences")
        .params(&[FILTERS, SCOPE, PAGING])
        .answers(Answers::Page(&CONFERENCE))
        .doc("Lists conferences, newest first."),
    Route::get(ONE, |c, a, sid| Box::pin(get(c, a, sid)))
        .needs(Action::Read, "Conferences")
        .answers(Answers::One(&CONFERENCE))
        .doc("Reads a conference."),
    Route::post(ONE, |c, a, sid| Box::pin(modify(c, a, sid)))
        .needs(Action::Modify, "Conferences")
        .refuses(LIVE)
        .params(&[CHANGES, ANNOUNCEMENT])
        .answers(Answers::One(&CONFERENCE))
        .doc("Ends a live conference, or announces something to all its participants."),
    Route::get(MEMBERS, |c, a, sid| Box::pin(members(c, a, sid)))
        .needs(Action::Read, "Conferences")
        .params(&[MEMBER_FILTERS, PAGING])
        .answers(Answers::Page(&PARTICIPANT))
        .doc("Lists the calls that are in a conference, newest first."),
    Route::post(MEMBERS, |c, a, name| Box::pin(add_member(c, a, name)))
        .needs(Action::Create, "Conferences")
        .refuses(LIVE)
        .params(&[
            calls::PARTIES,
            calls::CREDENTIALS,
            NEW_TERMS,
            CALLBACK,
            calls::EVENTS,
            calls::FROM_ANSWER,
            NEW_RECORDING,
            DETECTION_BESIDE,
        ])
        .answers(Answers::One(&PARTICIPANT))
        .status([200, 201])
        .doc("Calls a party that enters the conference when it answers. The conference must be open; it is named by its SID or its name."),
    Route::get(MEMBER, |c, a, sids| Box::pin(member(c, a, sids)))
        .needs(Action::Read, "Conferences")
        .answers(Answers::One(&PARTICIPANT))
        .doc("Reads a participant, named by the SID of its call or by its label."),
    Route::post(MEMBER, |c, a, sids| Box::pin(change_member(c, a, sids)))
        .needs(Action::Modify, "Conferences")
        .refuses(LIVE)
        .params(&[TERMS, ANNOUNCEMENT])
        .answers(Answers::One(&PARTICIPANT))
        .doc(
            "Mutes or unmutes a participant, puts it on hold or takes it off hold, or plays an announcement to it.",
        ),
    Route::delete(MEMBER, |c, a, sids| Box::pin(remove_member(c, a, sids)))
        .needs(Action::Modify, "Conferences")
        .refuses(LIVE)
        .doc("Removes a participant from the conference; the document of its call continues."),
];

const FILTERS: &[Param] = &[
    param(
        "FriendlyName",
        Is::Text,
        "Name of the conference; at the Restcomm base also a pattern with `%` and `_`.",
    ),
    param(
        "Status",
        Is::Text,
        "Status of the conference, as it is shown, or a pattern with `%`: `RUNNING%`.",
    )
    .within(RESTCOMM),
    param(
        "Status",
        Is::Word(&["init", "in-progress", "completed"]),
        "Status of the conference; if not given, only those in progress are listed.",
    )
    .within(TWILIO),
    param(
        "DateCreated",
        Is::Day,
        "Conferences created on this day; at the Restcomm base: on this day or later.",
    ),
    param("DateCreated>", Is::Moment, "Created at or after this time.").within(TWILIO),
    param(
        "DateCreated<",
        Is::Moment,
        "Created at or before this time.",
    )
    .within(TWILIO),
    param(
        "DateUpdated",
        Is::Day,
        "Conferences last changed on this day; at the Restcomm base: on this day or earlier.",
    ),
    param("DateUpdated>", Is::Moment, "Changed at or after this time.").within(TWILIO),
    param(
        "DateUpdated<",
        Is::Moment,
        "Changed at or before this time.",
    )
    .within(TWILIO),
];

const MEMBER_FILTERS: &[Param] = &[
    param("Muted", Is::Flag, "Whether they are muted.").within(TWILIO),
    param("Hold", Is::Flag, "Whether they are on hold.").within(TWILIO),
    param("Coaching", Is::Flag, "Whether they coach another.").within(TWILIO),
];

const CHANGES: &[Param] = &[param(
    "Status",
    Is::Word(&["completed"]),
    "Ends the conference; all participants are disconnected.",
)];

const ANNOUNCEMENT: &[Param] = &[
    param(
        "AnnounceUrl",
        Is::Text,
        "Address of a sound or document that is heard once, instead of the others.",
    ),
    param(
        "AnnounceMethod",
        Is::Method,
        "Method for `AnnounceUrl`; POST if not given.",
    ),
];

const TERMS: &[Param] = &[
    param(
        "Muted",
        Is::Flag,
        "`true` mutes the participant: the others do not hear it. `false` unmutes it.",
    ),
    param("Mute", Is::Flag, "The same as `Muted`.").within(RESTCOMM),
    param(
        "Hold",
        Is::Flag,
        "`true` puts the participant on hold: it does not hear the others, and they do not hear it. `false` takes it off hold.",
    ),
    param(
        "HoldUrl",
        Is::Text,
        "Address of the sound or document that it hears on hold; music if not given.",
    ),
    param(
        "HoldMethod",
        Is::Method,
        "Method for `HoldUrl`; POST if not given.",
    ),
    param(
        "EndConferenceOnExit",
        Is::Flag,
        "Whether the conference ends when the participant leaves.",
    ),
    COACHING,
    COACHED,
];

const COACHING: Param = param(
    "Coaching",
    Is::Flag,
    "`true`: only the call in `CallSidToCoach` hears the participant. `false`: all do.",
);
const COACHED: Param = param(
    "CallSidToCoach",
    Is::Sid(sid::<CallSid>),
    "The call that alone hears the participant; `Coaching` is then `true` if not given.",
);

const NEW_TERMS: &[Param] = &[
    param(
        "Label",
        Is::Text,
        "Your name for the participant: at most 128 characters, and not the SID of a call.",
    ),
    param("Muted", Is::Flag, "`true`: the others do not hear it."),
    param(
        "Beep",
        Is::Word(&["true", "false", "onenter", "onexit"]),
        "Whether the others hear a tone when it enters or leaves; `true` if not given.",
    ),
    param(
        "StartConferenceOnEnter",
        Is::Flag,
        "Whether the conference starts when it enters; `true` if not given.",
    ),
    param(
        "EndConferenceOnExit",
        Is::Flag,
        "Whether the conference ends when it leaves.",
    ),
    param(
        "WaitUrl",
        Is::Text,
        "Address of what it hears until the conference starts; music if not given.",
    ),
    param(
        "WaitMethod",
        Is::Method,
        "Method for `WaitUrl`; POST if not given.",
    ),
    COACHING,
    COACHED,
];

const CALLBACK: &[Param] = &[
    param(
        "StatusCallback",
        Is::Text,
        "Address that receives the events of the call ([webhooks.md](webhooks.md#call-status)).",
    ),
    param(
        "StatusCallbackMethod",
        Is::Method,
        "Method for `StatusCallback`; POST if not given.",
    ),
];

/// Calls a party into a conference.
async fn add_member(context: &Context<'_>, account: &Account, name: &str) -> Answer {
    let params = &context.params;
    let conference = find_open(context, account, name).await?;
    let label = params.filled("Label").map(str::to_owned);
    if label
        .as_deref()
        .is_some_and(|label| !is_participant_label(label))
    {
        let why = "it can have at most 128 characters, without control characters, and cannot be the SID of a call";
        return Err(Failure::parameter("Label", why));
    }
    let beep = params.word("Beep").unwrap_or("true");
    let wait = context.optional_address("WaitUrl")?;
    let wait_method = params.method("WaitMethod")?.unwrap_or(HttpMethod::Post);
    if wait.is_none() {
        context.warn_unused(&["WaitMethod"], "WaitUrl");
    }
    let new = NewParticipant {
        conference: conference.name,
        label: label.clone(),
        muted: params.flag("Muted")?.unwrap_or(false),
        starts: params.flag("StartConferenceOnEnter")?.unwrap_or(true),
        ends: params.flag("EndConferenceOnExit")?.unwrap_or(false),
        beeps: (
            matches!(beep, "true" | "onenter"),
            matches!(beep, "true" | "onexit"),
        ),
        wait: wait.map(|url| (url, wait_method)),
        coaches: match coaching(context, conference.sid, None).await? {
            Some(Coaching::Of(call)) => Some(call),
            Some(Coaching::Nobody) | None => None,
        },
    };
    let (muted, starts, ends) = (new.muted, new.starts, new.ends);
    let coaches = new.coaches;
    let mut call = calls::new_call_of(context, account, new.planned(conference.account))?;
    // A participant is one call, whichever of its phones answers.
    call.legs = Legs::One;
    call.time_limit = calls::time_limit(params)?;
    call.recording = calls::recording(context)?;
    call.detection = detection_beside(context)?;
    calls::not_draining(context)?;
    let created = context.state.calls.create(call).await;
    let legs = created.map_err(calls::not_created)?;
    let first = legs.first().ok_or_else(Failure::without_database)?;
    let participant = Participant {
        call: first.sid,
        account: first.account,
        membership: Membership {
            conference: conference.sid,
            muted,
            starts,
            ends,
            on_hold: false,
            label,
            coaches,
        },
        created: first.created,
        joined: first.created,
        updated: first.updated,
    };
    Ok(context.show(&PARTICIPANT, &participant))
}

/// An open conference, by its SID or name.
async fn find_open(
    context: &Context<'_>,
    account: &Account,
    name: &str,
) -> Result<Conference, Failure> {
    if name.parse::<ConferenceSid>().is_ok() {
        let found = find(context, account, name).await?;
        return Some(found)
            .filter(|found| found.ended.is_none())
            .ok_or_else(not_live);
    }
    let filter = ConferenceFilter {
        name: Some(name.to_owned()),
        window: Window::at(0, 1),
        ..ConferenceFilter::of(Scope::Own(account.sid))
    };
    // At most one with a name is open, and it is the newest.
    let newest = context.state.store.conferences(&filter).await?.items.pop();
    newest
        .filter(|found| found.ended.is_none())
        .ok_or_else(Failure::not_found)
}

async fn list(context: &Context<'_>, account: &Account) -> Answer {
    let (params, dialect) = (&context.params, context.dialect);
    let page = Page::read(context)?;
    let (created_from, created_until) = params.period("DateCreated", Bound::Lower, dialect)?;
    let (updated_from, updated_until) = params.period("DateUpdated", Bound::Upper, dialect)?;
    let filter = ConferenceFilter {
        scope: scope(params, account.sid)?,
        name: params.filled("FriendlyName").map(str::to_owned),
        exact: dialect.exact,
        statuses: dialect.pick([fields::statuses_like, fields::statuses_named])(params)?,
        created_from,
        created_until,
        updated_from,
        updated_until,
        window: page.window(),
    };
    let rows = context.state.store.conferences(&filter).await?;
    let path = format!("/Accounts/{}/Conferences", account.sid);
    page.show(context, &CONFERENCE, &path, rows, |conference| {
        row_key(conference.created, conference.sid)
    })
}

async fn get(context: &Context<'_>, account: &Account, sid: &str) -> Answer {
    let found = find(context, account, sid).await?;
    Ok(context.show(&CONFERENCE, &found))
}

/// A conference of the account, by its SID.
pub(super) async fn find(
    context: &Context<'_>,
    account: &Account,
    sid: &str,
) -> Result<Conference, Failure> {
    let sid: ConferenceSid = sid.parse().map_err(|_| Failure::not_found())?;
    let found = context.state.store.conference(sid).await?;
    owned(account, found).ok_or_else(Failure::not_found)
}

async fn modify(context: &Context<'_>, account: &Account, sid: &str) -> Answer {
    let conference = find(context, account, sid).await?;
    let announcement = document(context, "AnnounceUrl", "AnnounceMethod")?;
    let ends = context.params.word("Status").is_some();
    if ends {
        context.warn_beside(&["AnnounceUrl"], "Status");
    }
    if !ends && announcement.is_none() {
        let text = "Status or AnnounceUrl: one of these parameters is required";
        return Err(Failure::of(error::BAD_PARAMETER).saying(text));
    }
    if conference.ended.is_some() {
        return Err(not_live());
    }
    let (store, calls) = (&context.state.store, &context.state.calls);
    if let Some(document) = announcement.filter(|_| !ends) {
        let all = ParticipantFilter::of(conference.sid);
        let all = store.participants(&all).await?;
        for participant in all.items {
            let mut change = ParticipantChange::of(conference.sid);
            change.announcement = Some(document.clone());
            let change = Modify::Participant(Box::new(change));
            match calls.modify(participant.call, change).await {
                // It has just left.
                Ok(_) | Err(ModifyError::NotLive | ModifyError::NotInConference) => {}
                Err(refusal) => return Err(refused(refusal)),
            }
        }
    }
    if ends && !calls.end_conference(conference.sid).await {
        return Err(not_live());
    }
    let changed = store.conference(conference.sid).await?;
    Ok(context.show(&CONFERENCE, &changed.unwrap_or(conference)))
}

async fn members(context: &Context<'_>, account: &Account, sid: &str) -> Answer {
    let conference = find(context, account, sid).await?;
    let (params, page) = (&context.params, Page::read(context)?);
    let filter = ParticipantFilter {
        muted: params.flag("Muted")?,
        on_hold: params.flag("Hold")?,
        coaching: params.flag("Coaching")?,
        window: page.window(),
        ..ParticipantFilter::of(conference.sid)
    };
    let rows = context.state.store.participants(&filter).await?;
    let path = format!(
        "/Accounts/{}/Conferences/{}/Participants",
        account.sid, conference.sid
    );
    page.show(context, &PARTICIPANT, &path, rows, |participant| {
        row_key(participant.created, participant.call)
    })
}

async fn member(context: &Context<'_>, account: &Account, sids: &str) -> Answer {
    let found = find_member(context, account, sids).await?;
    Ok(context.show(&PARTICIPANT, &found))
}

/// A participant, by the SIDs of the conference and of its call, or by its label.
async fn find_member(
    context: &Context<'_>,
    account: &Account,
    sids: &str,
) -> Result<Participant, Failure> {
    let (conference, name) = sids.split_once('/').ok_or_else(Failure::not_found)?;
    let conference = find(context, account, conference).await?.sid;
    let store = &context.state.store;
    let found = match name.parse::<CallSid>() {
        Ok(call) => store.participant(call).await?,
        Err(_) => {
            let filter = ParticipantFilter {
                label: Some(name.to_owned()),
                window: Window::at(0, 1),
                ..ParticipantFilter::of(conference)
            };
            store.participants(&filter).await?.items.pop()
        }
    };
    let is_here = |it: &Participant| it.membership.conference == conference;
    found.filter(is_here).ok_or_else(Failure::not_found)
}

async fn change_member(context: &Context<'_>, account: &Account, sids: &str) -> Answer {
    let participant = find_member(context, account, sids).await?;
    let params = &context.params;
    let mut change = ParticipantChange::of(participant.membership.conference);
    change.muted = params.flag("Muted")?.or(params.flag("Mute")?);
    change.on_hold = params.flag("Hold")?;
    change.hold_document = document(context, "HoldUrl", "HoldMethod")?;
    change.ends = params.flag("EndConferenceOnExit")?;
    change.announcement = document(context, "AnnounceUrl", "AnnounceMethod")?;
    let membership = &participant.membership;
    change.coaching = coaching(context, membership.conference, membership.coaches).await?;
    if change == ParticipantChange::of(participant.membership.conference) {
        let text = "Muted, Hold, EndConferenceOnExit, Coaching or AnnounceUrl: one of these parameters is required";
        return Err(Failure::of(error::BAD_PARAMETER).saying(text));
    }
    if change.hold_document.is_some() && change.on_hold != Some(true) {
        return Err(Failure::parameter("HoldUrl", "it needs `Hold=true`"));
    }
    ask(context, participant.call, change).await?;
    let changed = context.state.store.participant(participant.call).await?;
    Ok(context.show(&PARTICIPANT, &changed.unwrap_or(participant)))
}

/// Whom the request has a participant coach.
///
/// - `current`: whom it coaches now.
async fn coaching(
    context: &Context<'_>,
    conference: ConferenceSid,
    current: Option<CallSid>,
) -> Result<Option<Coaching>, Failure> {
    let params = &context.params;
    let named = params.filled("CallSidToCoach");
    let named: Option<CallSid> = named.and_then(|call| call.parse().ok());
    let whom = match (params.flag("Coaching")?, named) {
        (Some(false), _) => return Ok(Some(Coaching::Nobody)),
        (None, None) => return Ok(None),
        (Some(true) | None, named) => named.or(current),
    };
    let Some(call) = whom else {
        let why = "it needs `CallSidToCoach`";
        return Err(Failure::parameter("Coaching", why));
    };
    let found = context.state.store.participant(call).await?;
    if found.is_none_or(|coached| coached.membership.conference != conference) {
        let why = "the call is not in this conference";
        return Err(Failure::parameter("CallSidToCoach", why));
    }
    Ok(Some(Coaching::Of(call)))
}

async fn remove_member(context: &Context<'_>, account: &Account, sids: &str) -> Answer {
    let participant = find_member(context, account, sids).await?;
    let mut change = ParticipantChange::of(participant.membership.conference);
    change.kick = true;
    ask(context, participant.call, change).await?;
    Ok(Reply::Nothing)
}

async fn ask(
    context: &Context<'_>,
    call: CallSid,
    change: ParticipantChange,
) -> Result<(), Failure> {
    let change = Modify::Participant(Box::new(change));
    match context.state.calls.modify(call, change).await {
        Ok(_) => Ok(()),
        Err(ModifyError::NotLive) => {
            let elsewhere = runs_elsewhere(&context.state.store, call).await?;
            Err(elsewhere.unwrap_or_else(|| refused(ModifyError::NotLive)))
        }
        Err(refusal) => Err(refused(refusal)),
    }
}

fn refused(refusal: ModifyError) -> Failure {
    match refusal {
        ModifyError::NotLive
        | ModifyError::NotAnswered
        | ModifyError::Interjection(_)
        | ModifyError::Recording(_) => Failure::of(error::CALL_NOT_LIVE),
        ModifyError::NotInConference | ModifyError::NotInQueue => Failure::not_found(),
        ModifyError::Unconfirmed => {
            let late = Failure::of(error::INTERNAL).saying(refusal.to_string());
            late.with_status(StatusCode::SERVICE_UNAVAILABLE)
        }
    }
}

fn not_live() -> Failure {
    Failure::of(error::CALL_NOT_LIVE).saying("the conference is not in progress")
}

/// The sound or document at the address in a parameter.
fn document(
    context: &Context<'_>,
    url_name: &str,
    method_name: &str,
) -> Result<Option<Document>, Failure> {
    let method = context.params.method(method_name)?;
    let method = method.unwrap_or(HttpMethod::Post);
    let url = context.optional_address(url_name)?;
    if url.is_none() {
        context.warn_unused(&[method_name], url_name);
    }
    Ok(url.map(|url| Document {
        url,
        method,
        author: context.caller.sid,
        text: None,
        fallback: None,
        set_in: SetIn::Request,
    }))
}
