//! Boxes.

use std::collections::HashMap;

use ::voicemail::{Settings, State, Step, VoicemailBox};
use model::record::Account;
use model::{VoicemailBoxSid, error};
use store::{Rows, StoreError};

use super::settings::{SETTINGS, change};
use super::{KIND, find_box, steps, tending};
use crate::common;
use crate::context::{ATTEMPTS, Answer, Context, Reply, after, now};
use crate::failure::Failure;
use crate::page::{Page, row_key};
use crate::params::shown;
use crate::roles::Action;
use crate::route::{Answers, Is, PAGING, Param, Route, param};
use crate::value::{Entry, Field, Kind, Null, Resource, Value, View, field};

const LIST: &[&str] = &["/Accounts/{account}/VoicemailBoxes"];
const ONE: &[&str] = &["/Accounts/{account}/VoicemailBoxes/{sid}"];

/// A box, how many messages are in it, and where callers and its owner reach it.
struct Shown {
    mailbox: VoicemailBox,
    new: i64,
    heard: i64,
    call_url: String,
    access_url: String,
}

const fn text(
    json: &'static str,
    xml: &'static str,
    doc: &'static str,
    get: fn(&Shown, View<'_>) -> Value,
) -> Field<Shown> {
    field(json, xml, Kind::Text, Null::Never, doc, get)
}

const fn maybe(
    json: &'static str,
    xml: &'static str,
    doc: &'static str,
    get: fn(&Shown, View<'_>) -> Value,
) -> Field<Shown> {
    field(json, xml, Kind::Text, Null::Absent, doc, get)
}

const fn number(
    json: &'static str,
    xml: &'static str,
    doc: &'static str,
    get: fn(&Shown, View<'_>) -> Value,
) -> Field<Shown> {
    field(json, xml, Kind::Number, Null::Never, doc, get)
}

const fn flag(
    json: &'static str,
    xml: &'static str,
    doc: &'static str,
    get: fn(&Shown, View<'_>) -> Value,
) -> Field<Shown> {
    field(json, xml, Kind::Flag, Null::Never, doc, get)
}

fn filled(text: &str) -> Value {
    Value::maybe(Some(text).filter(|text| !text.is_empty()))
}

const FIELDS: &[Field<Shown>] = &[
    common::sid(|s, _| Value::text(s.mailbox.sid)),
    common::account_sid(|s, _| Value::text(s.mailbox.account)),
    text(
        "friendly_name",
        "FriendlyName",
        "Its name, unique in the account.",
        |s, _| Value::text(&s.mailbox.name),
    ),
    number(
        "new_messages",
        "NewMessages",
        "Messages that wait to be heard.",
        |s, _| Value::Number(s.new),
    ),
    number(
        "heard_messages",
        "HeardMessages",
        "Messages that were heard.",
        |s, _| Value::Number(s.heard),
    ),
    text(
        "voice_url",
        "VoiceUrl",
        "Address of the document for callers: the `VoiceUrl` of a number, the `action` of a `<Dial>`, or where a `<Redirect>` leads.",
        |s, _| Value::text(&s.call_url),
    ),
    text(
        "access_url",
        "AccessUrl",
        "Address of the document for the owner, who hears messages by phone.",
        |s, _| Value::text(&s.access_url),
    ),
    maybe(
        "client",
        "Client",
        "Login of the client whose phones show that messages wait.",
        |s, _| Value::maybe(s.mailbox.client.as_deref()),
    ),
    flag(
        "has_pin",
        "HasPin",
        "Whether the box has a PIN, and so can be opened by phone.",
        |s, _| Value::Flag(s.mailbox.pin.is_some()),
    ),
    text(
        "language",
        "Language",
        "Language of what the server says and writes.",
        |s, _| Value::text(&s.mailbox.settings.language),
    ),
    maybe(
        "greeting",
        "Greeting",
        "What callers hear: a text, the address of a sound, or `recording:` and a recording that the owner made by phone.",
        |s, _| filled(&s.mailbox.settings.greeting),
    ),
    maybe(
        "greeting_busy",
        "GreetingBusy",
        "The same if the called party is busy.",
        |s, _| filled(&s.mailbox.settings.greeting_busy),
    ),
    maybe(
        "greeting_no_answer",
        "GreetingNoAnswer",
        "The same if the called party does not answer.",
        |s, _| filled(&s.mailbox.settings.greeting_no_answer),
    ),
    maybe(
        "greeting_closed",
        "GreetingClosed",
        "The same outside the opening hours.",
        |s, _| filled(&s.mailbox.settings.greeting_closed),
    ),
    maybe(
        "notice",
        "Notice",
        "What callers hear after the greeting, such as that they are recorded.",
        |s, _| filled(&s.mailbox.settings.notice),
    ),
    maybe(
        "opening_hours",
        "OpeningHours",
        "When the box counts as open.",
        |s, _| filled(&s.mailbox.settings.opening_hours),
    ),
    text(
        "time_zone",
        "TimeZone",
        "Time zone of the opening hours, and of times that are said or written.",
        |s, _| Value::text(&s.mailbox.settings.time_zone),
    ),
    number(
        "max_length",
        "MaxLength",
        "Longest message, in seconds.",
        |s, _| Value::Number(s.mailbox.settings.max_length_s),
    ),
    number(
        "silence_timeout",
        "SilenceTimeout",
        "The silence that ends a message, in seconds.",
        |s, _| Value::Number(s.mailbox.settings.silence_s),
    ),
    number(
        "min_length",
        "MinLength",
        "Shortest message, in seconds; shorter ones count as empty.",
        |s, _| Value::Number(s.mailbox.settings.min_length_s),
    ),
    flag(
        "review",
        "Review",
        "Whether callers can listen to their message and record it again.",
        |s, _| Value::Flag(s.mailbox.settings.review),
    ),
    maybe(
        "operator",
        "Operator",
        "Whom callers reach by pressing 0 during the greeting.",
        |s, _| filled(&s.mailbox.settings.operator),
    ),
    maybe(
        "email_to",
        "EmailTo",
        "Addresses that get each message by e-mail.",
        |s, _| filled(&s.mailbox.settings.email_to),
    ),
    maybe(
        "email_from",
        "EmailFrom",
        "Sender of these e-mails.",
        |s, _| filled(&s.mailbox.settings.email_from),
    ),
    maybe(
        "email_subject",
        "EmailSubject",
        "Template of the subject.",
        |s, _| filled(&s.mailbox.settings.email_subject),
    ),
    maybe(
        "email_body",
        "EmailBody",
        "Template of the text.",
        |s, _| filled(&s.mailbox.settings.email_body),
    ),
    flag(
        "attach",
        "Attach",
        "Whether the recording is attached.",
        |s, _| Value::Flag(s.mailbox.settings.attach),
    ),
    flag(
        "transcribe",
        "Transcribe",
        "Whether what was said is written down.",
        |s, _| Value::Flag(s.mailbox.settings.transcribe),
    ),
    number(
        "transcript_wait",
        "TranscriptWait",
        "How long the e-mail waits for that, in seconds.",
        |s, _| Value::Number(s.mailbox.settings.transcript_wait_s),
    ),
    flag(
        "delete_after_email",
        "DeleteAfterEmail",
        "Whether a message is deleted once the mail server has accepted the e-mail about it.",
        |s, _| Value::Flag(s.mailbox.settings.delete_after_mail),
    ),
    number(
        "retention_days",
        "RetentionDays",
        "Days after which messages are deleted; 0 means that the box sets no limit.",
        |s, _| Value::Number(s.mailbox.settings.retention_days),
    ),
    maybe(
        "callback_url",
        "CallbackUrl",
        "Receives each new message, and its transcript.",
        |s, _| filled(&s.mailbox.settings.callback_url),
    ),
    common::date_created(|s, _| Value::Date(s.mailbox.created)),
    common::date_updated(|s, _| Value::Date(s.mailbox.updated)),
    common::uri(|s, view| {
        Value::Link(view.uri(s.mailbox.account, "VoicemailBoxes", s.mailbox.sid))
    }),
    field(
        "subresource_uris",
        "SubresourceUris",
        Kind::Object,
        Null::Never,
        "Paths of what belongs to it.",
        |s, view| {
            let path = view.uri(s.mailbox.account, "VoicemailBoxes", s.mailbox.sid);
            Value::Object(vec![Entry {
                json: "messages",
                xml: "Messages",
                null: Null::Never,
                value: Value::Link(format!("{path}/Messages")),
            }])
        },
    ),
];

static BOX: Resource<Shown> = Resource {
    xml: ["VoicemailBox", "VoicemailBox"],
    xml_list: ["VoicemailBoxes", "VoicemailBoxes"],
    json_list: ["voicemail_boxes", "voicemail_boxes"],
    xml_envelope: [true, true],
    fields: FIELDS,
};

/// The routes of boxes.
pub(crate) static ROUTES: &[Route] = &[
    Route::get(LIST, |c, a, _| Box::pin(list(c, a)))
        .needs(Action::Read, KIND)
        .params(&[PAGING])
        .answers(Answers::Page(&BOX))
        .doc("Lists the voicemail boxes of an account, newest first."),
    Route::post(LIST, |c, a, _| Box::pin(create(c, a)))
        .needs(Action::Create, KIND)
        .params(&[NEW, SETTINGS])
        .answers(Answers::One(&BOX))
        .status([200, 201])
        .refuses([&[409, 501], &[409, 501]])
        .doc("Creates a voicemail box."),
    Route::get(ONE, |c, a, sid| Box::pin(get(c, a, sid)))
        .needs(Action::Read, KIND)
        .answers(Answers::One(&BOX))
        .doc("Reads a voicemail box."),
    Route::post(ONE, |c, a, sid| Box::pin(update(c, a, sid)))
        .needs(Action::Modify, KIND)
        .params(&[NAME, SETTINGS])
        .answers(Answers::One(&BOX))
        .refuses([&[409, 501], &[409, 501]])
        .doc("Changes a voicemail box: what is not sent stays as it is. Calls already in the box continue with the new settings."),
    Route::delete(ONE, |c, a, sid| Box::pin(delete(c, a, sid)))
        .needs(Action::Delete, KIND)
        .doc("Deletes a voicemail box with its messages, whose recordings move to the bin. Callers who are sent to its address hear nothing: the application's fallback runs, or the call ends."),
];

const NEW: &[Param] = &[param(
    "FriendlyName",
    Is::Text,
    "Its name, at most 64 characters, unique in the account.",
)
.required()];
const NAME: &[Param] = &[param(
    "FriendlyName",
    Is::Text,
    "New name, at most 64 characters, unique in the account.",
)];
async fn list(context: &Context<'_>, account: &Account) -> Answer {
    let page = Page::read(context)?;
    let store = &context.state.store;
    let rows = store.voicemail_boxes(account.sid, &page.window()).await?;
    let total = rows.total;
    let items = with_counts(context, rows.items).await?;
    let rows = Rows { items, total };
    let path = format!("/Accounts/{}/VoicemailBoxes", account.sid);
    page.show(context, &BOX, &path, rows, |shown| {
        row_key(shown.mailbox.created, shown.mailbox.sid)
    })
}

async fn with_counts(
    context: &Context<'_>,
    boxes: Vec<VoicemailBox>,
) -> Result<Vec<Shown>, Failure> {
    let sids: Vec<VoicemailBoxSid> = boxes.iter().map(|mailbox| mailbox.sid).collect();
    let counted = context.state.store.voicemail_counts(&sids).await?;
    let counts: HashMap<_, _> = counted
        .into_iter()
        .map(|(sid, state, n)| ((sid, state), n))
        .collect();
    let shown = |mailbox: VoicemailBox| {
        let count = |state| counts.get(&(mailbox.sid, state)).copied().unwrap_or(0);
        Shown {
            new: count(State::New),
            heard: count(State::Heard),
            call_url: steps::entry(context.state, mailbox.sid, Step::Leave),
            access_url: steps::entry(context.state, mailbox.sid, Step::Access),
            mailbox,
        }
    };
    Ok(boxes.into_iter().map(shown).collect())
}

async fn show(context: &Context<'_>, mailbox: VoicemailBox) -> Answer {
    let shown = with_counts(context, vec![mailbox]).await?;
    let shown = shown.first().ok_or_else(Failure::not_found)?;
    Ok(context.show(&BOX, shown))
}

async fn get(context: &Context<'_>, account: &Account, sid: &str) -> Answer {
    show(context, find_box(context, account, sid).await?).await
}

async fn create(context: &Context<'_>, account: &Account) -> Answer {
    let now = now();
    let mut mailbox = VoicemailBox {
        sid: VoicemailBoxSid::new(now, rand::random()),
        account: account.sid,
        name: String::new(),
        client: None,
        pin: None,
        settings: Settings::default(),
        created: now,
        updated: now,
    };
    change(context, account, &mut mailbox).await?;
    let inserted = context.state.store.insert_voicemail_box(&mailbox).await;
    inserted.map_err(|error| taken(error, &mailbox.name))?;
    show(context, mailbox).await
}

async fn update(context: &Context<'_>, account: &Account, sid: &str) -> Answer {
    for _ in 0..ATTEMPTS {
        let mut mailbox = find_box(context, account, sid).await?;
        let before = mailbox.clone();
        change(context, account, &mut mailbox).await?;
        let read = mailbox.updated;
        mailbox.updated = after(read);
        let store = &context.state.store;
        let updated = store.update_voicemail_box(&mailbox, read).await;
        if updated.map_err(|error| taken(error, &mailbox.name))? {
            if before.client != mailbox.client {
                for one in [&before, &mailbox] {
                    context.state.waiting_changed(one).await;
                }
            }
            return show(context, mailbox).await;
        }
    }
    Err(Failure::contended())
}

async fn delete(context: &Context<'_>, account: &Account, sid: &str) -> Answer {
    let mailbox = find_box(context, account, sid).await?;
    tending::delete_box(&context.state.store, &mailbox, now()).await?;
    context.state.waiting_changed(&mailbox).await;
    Ok(Reply::Nothing)
}

fn taken(failure: StoreError, name: &str) -> Failure {
    match failure {
        StoreError::Duplicate(_) => {
            let text = format!(
                "the account has another voicemail box named `{}`",
                shown(name)
            );
            Failure::of(error::CONFLICT).saying(text)
        }
        other => other.into(),
    }
}
