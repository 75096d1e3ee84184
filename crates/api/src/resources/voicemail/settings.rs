//! What the owner of a box can set: the parameters, and how they are applied.
//!
//! **Invariant: a setting is checked before it is stored**, so a call in a box meets none that it cannot follow.

use ::voicemail::{Bounds, Refused, Settings, VoicemailBox};
use model::email::{self, Mailbox};
use model::error;
use model::record::Account;

use super::steps;
use crate::context::Context;
use crate::failure::Failure;
use crate::params::shown;
use crate::route::{Is, Param, param};

/// What can be set, besides the name.
pub(super) const SETTINGS: &[Param] = &[
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

/// Applies the parameters that were sent.
pub(super) async fn change(
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
    if let Some(login) = settings.operator.strip_prefix("client:")
        && params.get("Operator").is_some()
    {
        operator(context, account, login).await?;
    }
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
            let why = "a greeting is recorded by phone: call the number whose VoiceUrl is `access_url`, and press 3";
            return Err(Failure::parameter(name, why));
        }
        let is_sound = name == "Notice" || name.starts_with("Greeting");
        if is_sound && text.contains("://") && !text.contains(char::is_whitespace) {
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

/// Whether the client that callers are to reach exists.
async fn operator(context: &Context<'_>, account: &Account, login: &str) -> Result<(), Failure> {
    let store = &context.state.store;
    match store.client_in(account.organization, login).await? {
        Some(_) => Ok(()),
        None => {
            let why = format!("there is no client `{}`", shown(login));
            Err(Failure::parameter("Operator", &why))
        }
    }
}

fn refusal(name: &str, refused: &Refused) -> Failure {
    Failure::parameter(name, &refused.to_string())
}
