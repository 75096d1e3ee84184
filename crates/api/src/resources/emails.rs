//! `/Accounts/{sid}/Email/Messages`: e-mails, which only Restcomm's API has.

use model::email::{self, Email, Mailbox};
use model::record::Account;
use model::{EmailSid, EmailStatus, RecordingSid, error};
use store::EmailFilter;

use crate::common;
use crate::context::{Answer, Context, now, owned};
use crate::failure::Failure;
use crate::page::{Page, row_key};
use crate::params::{one_line, scope, shown};
use crate::roles::Action;
use crate::route::{Answers, Is, NUMBERED_PAGING, Param, RESTCOMM, Route, SCOPE, param};
use crate::value::{Field, Kind, Null, Resource, Value, field};

const TARGET: &str = "EmailMessages";
/// Segments of the path between the account and a mail.
const KIND: &str = "Email/Messages";
const LIST: &[&str] = &["/Accounts/{account}/Email/Messages"];
const ONE: &[&str] = &["/Accounts/{account}/Email/Messages/{sid}"];

/// The routes of e-mails.
pub(crate) static ROUTES: &[Route] = &[
    Route::get(LIST, |c, a, _| Box::pin(list(c, a)))
        .needs(Action::Read, TARGET)
        .within(RESTCOMM)
        .params(&[FILTERS, SCOPE, NUMBERED_PAGING])
        .answers(Answers::Page(&EMAIL))
        .doc("Lists e-mails, newest first."),
    Route::post(LIST, |c, a, _| Box::pin(send(c, a)))
        .needs(Action::Create, TARGET)
        .within(RESTCOMM)
        .params(&[NEW])
        .answers(Answers::One(&EMAIL))
        .refuses([&[501], &[]])
        .doc("Sends an e-mail through the mail server of the operator. It is stored before this is answered, and sent as soon as the mail server accepts it."),
    Route::get(ONE, |c, a, sid| Box::pin(get(c, a, sid)))
        .needs(Action::Read, TARGET)
        .within(RESTCOMM)
        .answers(Answers::One(&EMAIL))
        .doc("Reads an e-mail."),
];

const FILTERS: &[Param] = &[
    param("From", Is::Text, "Sender, as it was given."),
    param("To", Is::Text, "Recipient, as it was given."),
    param("Status", Is::Word(EmailStatus::WORDS), "Status."),
    param("StartTime", Is::Day, "First day of creation."),
    param("EndTime", Is::Day, "Last day of creation."),
];

const NEW: &[Param] = &[
    param(
        "From",
        Is::Text,
        "Sender: an address, alone or in angle brackets after a name. The operator may restrict it.",
    )
    .required(),
    param("To", Is::Text, "Recipient, likewise.").required(),
    param("Subject", Is::Text, "Subject; cut to 160 characters.").required(),
    param("Body", Is::Text, "The text, or HTML.").required(),
    param(
        "Type",
        Is::Text,
        "`text/plain`, or `text/html` for HTML; the default is `text/plain`. The text is sent in UTF-8.",
    ),
    param(
        "CC",
        Is::Text,
        "Further recipients, at most 50, separated by commas.",
    ),
    param("BCC", Is::Text, "As `CC`, but not named in the e-mail."),
    param(
        "Attach",
        Is::Text,
        "Recordings to attach, at most 10: their SIDs or addresses, separated by commas. An extension of Patchcord.",
    ),
];

const FIELDS: &[Field<Email>] = &[
    field(
        "sid",
        "Sid",
        Kind::Text,
        Null::Never,
        "Identifier, also in its header `Message-ID`.",
        |m, _| Value::text(m.sid),
    ),
    field(
        "date_sent",
        "DateSent",
        Kind::Time,
        Null::Never,
        "When the mail server accepted it; before that, when it was created.",
        |m, _| Value::Time(m.sent.unwrap_or(m.created)),
    ),
    common::account_sid(|m, _| Value::text(m.account)),
    field(
        "call_sid",
        "CallSid",
        Kind::Text,
        Null::Absent,
        "Call whose document sent it.",
        |m, _| Value::maybe(m.call),
    ),
    field(
        "from",
        "From",
        Kind::Text,
        Null::Never,
        "Sender.",
        |m, _| Value::text(&m.from),
    ),
    field("to", "To", Kind::Text, Null::Never, "Recipient.", |m, _| {
        Value::text(&m.to)
    }),
    field(
        "body",
        "Body",
        Kind::Text,
        Null::Never,
        "The text, or HTML.",
        |m, _| Value::text(m.recorded_as.as_ref().unwrap_or(&m.body)),
    ),
    field(
        "subject",
        "Subject",
        Kind::Text,
        Null::Never,
        "Subject.",
        |m, _| Value::text(&m.subject),
    ),
    field(
        "status",
        "Status",
        Kind::Text,
        Null::Never,
        "`queued`, `sent` (accepted by the mail server) or `failed`.",
        |m, _| Value::text(m.status),
    ),
    field(
        "error_code",
        "ErrorCode",
        Kind::Number,
        Null::Absent,
        "Number of the error, if it failed.",
        |m, _| {
            let failed = m.status == EmailStatus::Failed;
            Value::number(m.error_code.filter(|_| failed).map(i64::from))
        },
    ),
    field(
        "error_message",
        "ErrorMessage",
        Kind::Text,
        Null::Absent,
        "Why the last attempt failed.",
        |m, _| Value::maybe(m.reason.as_deref()),
    ),
    common::uri(|m, view| Value::Link(view.uri(m.account, KIND, m.sid))),
];

static EMAIL: Resource<Email> = Resource {
    xml: ["EmailMessage", "EmailMessage"],
    xml_list: ["EmailMessages", "EmailMessages"],
    json_list: ["messages", "messages"],
    xml_envelope: [false, true],
    fields: FIELDS,
};

async fn list(context: &Context<'_>, account: &Account) -> Answer {
    let params = &context.params;
    let page = Page::read(context)?;
    let text = |name| params.filled(name).map(str::to_owned);
    let filter = EmailFilter {
        scope: scope(params, account.sid)?,
        from: text("From"),
        to: text("To"),
        status: params.word("Status").map(str::to_owned),
        created_from: params.day("StartTime")?,
        created_until: params.end_of_day("EndTime")?,
        window: page.window(),
    };
    let rows = context.state.store.emails(&filter).await?;
    let path = format!("/Accounts/{}/{KIND}", account.sid);
    page.show(context, &EMAIL, &path, rows, |mail| {
        row_key(mail.created, mail.sid)
    })
}

async fn send(context: &Context<'_>, account: &Account) -> Answer {
    let Some(senders) = &context.state.mail else {
        return Err(Failure::of(error::EMAIL_NOT_SET_UP));
    };
    let mail = new_mail(context, account).await?;
    if !senders.allow(&mail.from) {
        return Err(Failure::of(error::EMAIL_SENDER));
    }
    context.state.store.insert_email(&mail).await?;
    Ok(context.show(&EMAIL, &mail))
}

async fn new_mail(context: &Context<'_>, account: &Account) -> Result<Email, Failure> {
    let params = &context.params;
    let body = params.required("Body")?;
    if body.len() > email::MAX_BODY {
        let reason = format!("at most {} bytes are allowed", email::MAX_BODY);
        return Err(Failure::parameter("Body", &reason));
    }
    let subject = params.required("Subject")?;
    one_line("Subject", subject)?;
    let now = now();
    Ok(Email {
        sid: EmailSid::new(now, rand::random()),
        account: account.sid,
        call: None,
        from: address(context, "From")?,
        to: address(context, "To")?,
        cc: copies(context, "CC")?,
        bcc: copies(context, "BCC")?,
        subject: email::header(subject),
        body: body.to_owned(),
        recorded_as: None,
        html: is_html(context)?,
        recordings: recordings(context, account).await?,
        status: EmailStatus::Queued,
        error_code: None,
        reason: None,
        created: now,
        updated: now,
        sent: None,
    })
}

/// A sender or recipient.
fn address(context: &Context<'_>, name: &str) -> Result<String, Failure> {
    let text = context.params.required(name)?.trim();
    match Mailbox::parse(text) {
        Some(_) => Ok(text.to_owned()),
        None => Err(not_an_address(name, text)),
    }
}

fn copies(context: &Context<'_>, name: &str) -> Result<Vec<String>, Failure> {
    let text = context.params.filled(name).unwrap_or_default();
    email::list(text).map_err(|bad| not_an_address(name, &bad))
}

fn not_an_address(name: &str, text: &str) -> Failure {
    let reason = format!("`{}` is not an e-mail address", shown(text));
    Failure::parameter(name, &reason)
}

fn is_html(context: &Context<'_>) -> Result<bool, Failure> {
    let Some(text) = context.params.filled("Type") else {
        return Ok(false);
    };
    email::is_html(text).ok_or_else(|| {
        let reason = format!(
            "`{}` is neither `text/plain` nor `text/html`, in UTF-8",
            shown(text)
        );
        Failure::parameter("Type", &reason)
    })
}

/// The recordings to attach, which must be complete and belong to the account.
async fn recordings(
    context: &Context<'_>,
    account: &Account,
) -> Result<Vec<RecordingSid>, Failure> {
    let text = context.params.filled("Attach").unwrap_or_default();
    let refused = |part: &str| {
        let reason = format!(
            "`{}` is not a complete recording of the account",
            shown(part)
        );
        Failure::parameter("Attach", &reason)
    };
    let named = email::recordings(text).map_err(|bad| refused(&bad))?;
    for sid in &named {
        let found = context.state.store.recording(*sid).await?;
        if owned(account, found).is_none() {
            return Err(refused(&sid.to_string()));
        }
    }
    Ok(named)
}

async fn get(context: &Context<'_>, account: &Account, sid: &str) -> Answer {
    let sid = sid.parse().map_err(|_| Failure::not_found())?;
    let found = context.state.store.email(sid).await?;
    let found = owned(account, found).ok_or_else(Failure::not_found)?;
    Ok(context.show(&EMAIL, &found))
}
