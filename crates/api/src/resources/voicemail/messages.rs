//! The messages of a box.

use ::voicemail::{State, Voicemail, VoicemailBox};
use model::VoicemailSid;
use model::record::Account;
use store::VoicemailFilter;

use super::{KIND, find_box, tending};
use crate::common;
use crate::context::{ATTEMPTS, Answer, Context, Reply, after, now, owned};
use crate::failure::Failure;
use crate::media;
use crate::page::{Page, row_key};
use crate::roles::Action;
use crate::route::{Answers, Is, PAGING, Param, Route, param, sid};
use crate::value::{Field, Kind, Null, Resource, Value, field};

const LIST: &[&str] = &["/Accounts/{account}/VoicemailBoxes/{box}/Messages"];
const ONE: &[&str] = &["/Accounts/{account}/VoicemailBoxes/{box}/Messages/{sid}"];
/// What a message can be set to.
const SETTABLE: &[&str] = &["new", "heard"];

const FIELDS: &[Field<Voicemail>] = &[
    common::sid(|m, _| Value::text(m.sid)),
    common::account_sid(|m, _| Value::text(m.account)),
    field(
        "voicemail_box_sid",
        "VoicemailBoxSid",
        Kind::Text,
        Null::Never,
        "The box it is in.",
        |m, _| Value::text(m.mailbox),
    ),
    field(
        "from",
        "From",
        Kind::Text,
        Null::Never,
        "The caller; empty if the number was withheld.",
        |m, _| Value::text(&m.from),
    ),
    field(
        "to",
        "To",
        Kind::Text,
        Null::Never,
        "The number or name that was called.",
        |m, _| Value::text(&m.to),
    ),
    field(
        "reason",
        "Reason",
        Kind::Text,
        Null::Never,
        "Why the caller reached the box: `direct`, `busy`, `no-answer` or `closed`.",
        |m, _| Value::text(m.case),
    ),
    field(
        "status",
        "Status",
        Kind::Text,
        Null::Never,
        "`pending` (the caller can still replace it), `new`, `heard`, `empty` (too short, or silent) or `replaced` (the caller recorded another one).",
        |m, _| Value::text(m.state),
    ),
    field(
        "duration",
        "Duration",
        Kind::Number,
        Null::Never,
        "Length in seconds.",
        |m, _| Value::Number(m.duration_s),
    ),
    field(
        "call_sid",
        "CallSid",
        Kind::Text,
        Null::Absent,
        "The call in which it was left.",
        |m, _| Value::maybe(m.call),
    ),
    field(
        "recording_sid",
        "RecordingSid",
        Kind::Text,
        Null::Absent,
        "Its recording, until that is deleted.",
        |m, _| Value::maybe(m.recording),
    ),
    field(
        "recording_url",
        "RecordingUrl",
        Kind::Text,
        Null::Absent,
        "Address of the sound file, which needs no credentials.",
        |m, view| {
            let url = |sid| media::signed_address(m.account, sid, view);
            Value::maybe(m.recording.map(url))
        },
    ),
    field(
        "transcript",
        "Transcript",
        Kind::Text,
        Null::Absent,
        "What was said, if the box has that written down.",
        |m, _| Value::maybe(m.transcript.as_deref()),
    ),
    field(
        "email_sid",
        "EmailSid",
        Kind::Text,
        Null::Absent,
        "The e-mail about it, once it is in the outbox.",
        |m, _| Value::maybe(m.email),
    ),
    field(
        "date_heard",
        "DateHeard",
        Kind::Date,
        Null::Absent,
        "When it was first heard.",
        |m, _| m.heard.map_or(Value::Null, Value::Date),
    ),
    common::date_created(|m, _| Value::Date(m.created)),
    common::date_updated(|m, _| Value::Date(m.updated)),
    common::uri(|m, view| {
        let path = view.uri(m.account, "VoicemailBoxes", m.mailbox);
        Value::Link(format!("{path}/Messages/{}", m.sid))
    }),
];

static MESSAGE: Resource<Voicemail> = Resource {
    xml: ["VoicemailMessage", "VoicemailMessage"],
    xml_list: ["VoicemailMessages", "VoicemailMessages"],
    json_list: ["voicemail_messages", "voicemail_messages"],
    xml_envelope: [true, true],
    fields: FIELDS,
};

/// The routes of messages.
pub(crate) static ROUTES: &[Route] = &[
    Route::get(LIST, |c, a, sid| Box::pin(list(c, a, sid)))
        .needs(Action::Read, KIND)
        .params(&[FILTERS, PAGING])
        .answers(Answers::Page(&MESSAGE))
        .doc("Lists the messages in a voicemail box, newest first; without `Status`, those that are new or were heard."),
    Route::get(ONE, |c, a, sids| Box::pin(get(c, a, sids)))
        .needs(Action::Read, KIND)
        .answers(Answers::One(&MESSAGE))
        .doc("Reads a message."),
    Route::post(ONE, |c, a, sids| Box::pin(update(c, a, sids)))
        .needs(Action::Modify, KIND)
        .params(&[CHANGE])
        .answers(Answers::One(&MESSAGE))
        .refuses([&[409], &[409]])
        .doc("Marks a message as heard or new, or moves it to another box."),
    Route::delete(ONE, |c, a, sids| Box::pin(delete(c, a, sids)))
        .needs(Action::Delete, KIND)
        .doc("Deletes a message. Its recording moves to the bin."),
];

const FILTERS: &[Param] = &[
    param(
        "Status",
        Is::Word(State::WORDS),
        "Only messages with this status.",
    ),
    param(
        "From",
        Is::Party,
        "Only messages from this caller, written as in the field `from`.",
    ),
    param(
        "StartTime",
        Is::Day,
        "Only messages left on this day or later.",
    ),
    param(
        "EndTime",
        Is::Day,
        "Only messages left on this day or earlier.",
    ),
];
const CHANGE: &[Param] = &[
    param(
        "Status",
        Is::Word(SETTABLE),
        "New status: marks the message as heard or as new.",
    ),
    param(
        "VoicemailBoxSid",
        Is::Sid(sid::<model::VoicemailBoxSid>),
        "Another box of the account, to which it is moved.",
    ),
];

async fn list(context: &Context<'_>, account: &Account, sid: &str) -> Answer {
    let mailbox = find_box(context, account, sid).await?;
    let params = &context.params;
    let page = Page::read(context)?;
    let filter = VoicemailFilter {
        mailbox: &mailbox,
        state: params.word("Status").and_then(|word| word.parse().ok()),
        from: params.filled("From").map(str::to_owned),
        created_from: params.day("StartTime")?,
        created_until: params.end_of_day("EndTime")?,
        window: page.window(),
    };
    let rows = context.state.store.voicemails(&filter).await?;
    let path = format!(
        "/Accounts/{}/VoicemailBoxes/{}/Messages",
        account.sid, mailbox.sid
    );
    page.show(context, &MESSAGE, &path, rows, |message| {
        row_key(message.created, message.sid)
    })
}

/// The message that a path names, with its box.
async fn find(
    context: &Context<'_>,
    account: &Account,
    sids: &str,
) -> Result<(VoicemailBox, Voicemail), Failure> {
    let (mailbox, sid) = sids.split_once('/').ok_or_else(Failure::not_found)?;
    let mailbox = find_box(context, account, mailbox).await?;
    let sid: VoicemailSid = sid.parse().map_err(|_| Failure::not_found())?;
    let found = context.state.store.voicemail(sid).await?;
    let found = found.filter(|message| message.mailbox == mailbox.sid);
    Ok((mailbox, found.ok_or_else(Failure::not_found)?))
}

async fn get(context: &Context<'_>, account: &Account, sids: &str) -> Answer {
    let (_, message) = find(context, account, sids).await?;
    Ok(context.show(&MESSAGE, &message))
}

async fn update(context: &Context<'_>, account: &Account, sids: &str) -> Answer {
    let params = &context.params;
    for _ in 0..ATTEMPTS {
        let (mailbox, mut message) = find(context, account, sids).await?;
        if !matches!(message.state, State::New | State::Heard) {
            let text = format!(
                "the message is {}; only new and heard messages can be changed",
                message.state
            );
            return Err(Failure::of(model::error::CONFLICT).saying(text));
        }
        let mut shown = vec![mailbox];
        if let Some(sid) = params.filled("VoicemailBoxSid") {
            let found = match sid.trim().parse() {
                Ok(sid) => context.state.store.voicemail_box(sid).await?,
                Err(_) => None,
            };
            let other = owned(account, found).ok_or_else(|| {
                let why = "the account has no such voicemail box";
                Failure::parameter("VoicemailBoxSid", why)
            })?;
            message.mailbox = other.sid;
            shown.push(other);
        }
        if let Some(state) = params.word("Status").and_then(|word| word.parse().ok()) {
            message.state = state;
            if state == State::Heard {
                message.heard = message.heard.or(Some(now()));
            }
        }
        let read = message.updated;
        message.updated = after(read);
        let store = &context.state.store;
        if store.update_voicemail(&message, read).await? {
            for mailbox in &shown {
                context.state.waiting_changed(mailbox).await;
            }
            return Ok(context.show(&MESSAGE, &message));
        }
    }
    Err(Failure::contended())
}

async fn delete(context: &Context<'_>, account: &Account, sids: &str) -> Answer {
    let (mailbox, message) = find(context, account, sids).await?;
    tending::delete(&context.state.store, &message, now()).await?;
    context.state.waiting_changed(&mailbox).await;
    Ok(Reply::Nothing)
}
