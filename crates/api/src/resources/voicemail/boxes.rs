//! Boxes.

use std::collections::HashMap;

use ::voicemail::{Bounds, Refused, Settings, State, Step, VoicemailBox};
use model::email::{self, Mailbox};
use model::record::Account;
use model::{VoicemailBoxSid, error};
use store::{Rows, StoreError};

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
const SETTINGS: &[Param] = &[
    param(
        "Client",
        Is::Text,
        "Login of a client of the account: its phones show that messages wait. Empty for none.",
    ),
    param(
        "Pin",
        Is::Secret,
        "Four to ten digits, with which the owner opens the box by phone; empty for no access by phone.",
    ),
    param(
        "Language",
        Is::Text,
        "Language of what the server says and writes: a tag such as `en` (the default), `de-AT`, `es` or `fr`.",
    ),
    param(
        "Greeting",
        Is::Text,
        "What callers hear: a text, at most 1000 characters, or the http or https address of a sound file. Empty for the built-in greeting.",
    ),
    param(
        "GreetingBusy",
        Is::Text,
        "The same if the called party is busy; empty for `Greeting`.",
    ),
    param(
        "GreetingNoAnswer",
        Is::Text,
        "The same if the called party does not answer or cannot be reached; empty for `Greeting`.",
    ),
    param(
        "GreetingClosed",
        Is::Text,
        "The same outside the opening hours; empty for the built-in greeting.",
    ),
    param(
        "Notice",
        Is::Text,
        "Announcement after the greeting, for example that the call is recorded: a text or the address of a sound file, as for `Greeting`.",
    ),
    param(
        "OpeningHours",
        Is::Text,
        "When the box counts as open, such as `Mon-Fri 09:00-17:00, Sat 10:00-14:00`; empty for always.",
    ),
    param(
        "TimeZone",
        Is::Text,
        "Time zone of the opening hours, and of times that are said or written, such as `Europe/Berlin`; `UTC` if not given.",
    ),
    param(
        "MaxLength",
        Is::Number,
        "Longest message, in seconds, from 3 to 900; 120 if not given.",
    ),
    param(
        "SilenceTimeout",
        Is::Number,
        "The silence that ends a message, in seconds, from 1 to 60; 5 if not given.",
    ),
    param(
        "MinLength",
        Is::Number,
        "Shortest message, in seconds, from 0 to 30; shorter ones count as empty and are not delivered; 2 if not given.",
    ),
    param(
        "Review",
        Is::Flag,
        "Whether callers can listen to their message and record it again; `false` if not given.",
    ),
    param(
        "Operator",
        Is::Text,
        "Whom callers reach by pressing 0 during the greeting: a number, or `client:` and a login. Empty for no one.",
    ),
    param(
        "EmailTo",
        Is::Text,
        "Addresses that get each message by e-mail, separated by commas; empty for none. Needs `EmailFrom`.",
    ),
    param(
        "EmailFrom",
        Is::Text,
        "Sender of these e-mails. The operator may restrict it.",
    ),
    param(
        "EmailSubject",
        Is::Text,
        "Template of the subject, one line; empty for the built-in one.",
    ),
    param(
        "EmailBody",
        Is::Text,
        "Template of the text; empty for the built-in one. `{{From}}`, `{{To}}`, `{{Box}}`, `{{Date}}`, `{{Time}}`, `{{TimeZone}}`, `{{Duration}}`, `{{Case}}`, `{{Transcript}}`, `{{RecordingUrl}}` and `{{MessageSid}}` are replaced, as in the subject.",
    ),
    param(
        "Attach",
        Is::Flag,
        "Whether the recording is attached; `true` if not given.",
    ),
    param(
        "Transcribe",
        Is::Flag,
        "Whether the server's speech recognizer transcribes messages; `false` if not given.",
    ),
    param(
        "TranscriptWait",
        Is::Number,
        "How long the e-mail waits for the transcript, in seconds, from 0 to 600; 60 if not given.",
    ),
    param(
        "DeleteAfterEmail",
        Is::Flag,
        "Whether a message is deleted once the mail server has accepted the e-mail about it; `false` if not given.",
    ),
    param(
        "RetentionDays",
        Is::Number,
        "Days after which messages are deleted, from 1 to 3650; 0, the default, means that the box sets no limit.",
    ),
    param(
        "CallbackUrl",
        Is::Address,
        "Address to which each new message, and later its transcript, is reported; empty for none.",
    ),
];

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

/// Applies the parameters that were sent.
async fn change(
    context: &Context<'_>,
    account: &Account,
    mailbox: &mut VoicemailBox,
) -> Result<(), Failure> {
    let params = &context.params;
    if params.get("FriendlyName").is_some() {
        let name = params.name("FriendlyName")?.unwrap_or_default();
        let name = name.trim();
        if name.is_empty() || name.chars().any(char::is_control) {
            let why = "it must have 1 to 64 characters, without control characters";
            return Err(Failure::parameter("FriendlyName", why));
        }
        name.clone_into(&mut mailbox.name);
    }
    if let Some(login) = params.get("Client") {
        mailbox.client = client(context, account, login.trim()).await?;
    }
    if let Some(pin) = params.get("Pin") {
        let pin = pin.trim();
        mailbox.pin = if pin.is_empty() {
            None
        } else {
            Settings::check_pin(pin).map_err(|refused| refusal("Pin", &refused))?;
            Some(steps::digest(context.state, mailbox.sid, pin))
        };
    }
    let settings = &mut mailbox.settings;
    texts(context, settings)?;
    for (name, place) in [
        ("Review", &mut settings.review),
        ("Attach", &mut settings.attach),
        ("Transcribe", &mut settings.transcribe),
        ("DeleteAfterEmail", &mut settings.delete_after_mail),
    ] {
        if let Some(flag) = params.flag(name)? {
            *place = flag;
        }
    }
    for (name, bounds, place) in [
        ("MaxLength", Bounds::MAX_LENGTH, &mut settings.max_length_s),
        ("SilenceTimeout", Bounds::SILENCE, &mut settings.silence_s),
        ("MinLength", Bounds::MIN_LENGTH, &mut settings.min_length_s),
        (
            "TranscriptWait",
            Bounds::TRANSCRIPT_WAIT,
            &mut settings.transcript_wait_s,
        ),
        (
            "RetentionDays",
            Bounds::RETENTION,
            &mut settings.retention_days,
        ),
    ] {
        if let Some(value) = params.parsed::<i64>(name, "a whole number")? {
            *place = bounds
                .check(value)
                .map_err(|refused| refusal(name, &refused))?;
        }
    }
    if settings.min_length_s >= settings.max_length_s {
        let why = "it must be less than MaxLength";
        return Err(Failure::parameter("MinLength", why));
    }
    if params.get("CallbackUrl").is_some() {
        settings.callback_url = context.optional_address("CallbackUrl")?.unwrap_or_default();
        settings.author = Some(context.caller.sid);
    }
    if settings.transcribe && params.flag("Transcribe")? == Some(true) && !context.state.transcribes
    {
        return Err(Failure::of(error::VOICEMAIL_NO_RECOGNIZER));
    }
    emails(context, settings)
}

/// Settings that are texts.
fn texts(context: &Context<'_>, settings: &mut Settings) -> Result<(), Failure> {
    type Check = fn(&str) -> Result<(), Refused>;
    fn any(_: &str) -> Result<(), Refused> {
        Ok(())
    }
    let params = &context.params;
    for (name, place, check, otherwise) in [
        (
            "Language",
            &mut settings.language,
            Settings::check_language as Check,
            "en",
        ),
        (
            "TimeZone",
            &mut settings.time_zone,
            Settings::check_zone,
            "UTC",
        ),
        (
            "OpeningHours",
            &mut settings.opening_hours,
            Settings::check_hours,
            "",
        ),
        (
            "Operator",
            &mut settings.operator,
            Settings::check_operator,
            "",
        ),
        (
            "EmailSubject",
            &mut settings.email_subject,
            Settings::check_template,
            "",
        ),
        (
            "EmailBody",
            &mut settings.email_body,
            Settings::check_template,
            "",
        ),
        ("Greeting", &mut settings.greeting, any, ""),
        ("GreetingBusy", &mut settings.greeting_busy, any, ""),
        (
            "GreetingNoAnswer",
            &mut settings.greeting_no_answer,
            any,
            "",
        ),
        ("GreetingClosed", &mut settings.greeting_closed, any, ""),
        ("Notice", &mut settings.notice, any, ""),
    ] {
        let Some(text) = params.get(name) else {
            continue;
        };
        let text = text.trim();
        if name == "EmailSubject" {
            crate::params::one_line(name, text)?;
        }
        let most = if name == "EmailBody" {
            email::MAX_BODY / 4
        } else {
            Settings::MAX_TEXT
        };
        if text.chars().count() > most {
            let why = format!("at most {most} characters are allowed");
            return Err(Failure::parameter(name, &why));
        }
        if text.is_empty() {
            otherwise.clone_into(place);
            continue;
        }
        check(text).map_err(|refused| refusal(name, &refused))?;
        // A recording is named by phone only, so that it is one of the box.
        if text.starts_with(Settings::RECORDED) && text != place {
            let why = "a greeting is recorded by phone: call AccessUrl, and press 3";
            return Err(Failure::parameter(name, why));
        }
        if text.starts_with("http://") || text.starts_with("https://") {
            context.absolute(name, text)?;
        }
        text.clone_into(place);
    }
    Ok(())
}

/// Settings of the e-mails.
fn emails(context: &Context<'_>, settings: &mut Settings) -> Result<(), Failure> {
    let params = &context.params;
    if let Some(text) = params.get("EmailFrom") {
        let text = text.trim();
        if !text.is_empty() && Mailbox::parse(text).is_none() {
            let why = format!("`{}` is not an e-mail address", shown(text));
            return Err(Failure::parameter("EmailFrom", &why));
        }
        text.clone_into(&mut settings.email_from);
    }
    if let Some(text) = params.get("EmailTo") {
        let list = email::list(text).map_err(|bad| {
            let why = format!("`{}` is not an e-mail address", shown(&bad));
            Failure::parameter("EmailTo", &why)
        })?;
        settings.email_to = list.join(", ");
    }
    if settings.email_to.is_empty() {
        context.warn_unused(&["DeleteAfterEmail"], "EmailTo");
        return Ok(());
    }
    if settings.email_from.is_empty() {
        let why = "it is needed with EmailTo: the sender of the e-mails";
        return Err(Failure::parameter("EmailFrom", why));
    }
    let is_about_mail = ["EmailTo", "EmailFrom"]
        .iter()
        .any(|name| params.get(name).is_some());
    match &context.state.mail {
        None if is_about_mail => Err(Failure::of(error::EMAIL_NOT_SET_UP)),
        Some(senders) if is_about_mail && !senders.allow(&settings.email_from) => {
            Err(Failure::of(error::EMAIL_SENDER))
        }
        None | Some(_) => Ok(()),
    }
}

/// The client whose phones show that messages wait.
async fn client(
    context: &Context<'_>,
    account: &Account,
    login: &str,
) -> Result<Option<String>, Failure> {
    if login.is_empty() {
        return Ok(None);
    }
    let store = &context.state.store;
    let found = store.client_in(account.organization, login).await?;
    match found.filter(|client| client.account == account.sid) {
        Some(client) => Ok(Some(client.login.clone())),
        None => {
            let why = format!("the account has no client `{}`", shown(login));
            Err(Failure::parameter("Client", &why))
        }
    }
}

fn refusal(name: &str, refused: &Refused) -> Failure {
    Failure::parameter(name, &refused.to_string())
}
