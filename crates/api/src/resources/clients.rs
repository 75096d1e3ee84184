//! `/Accounts/{sid}/Clients`: SIP users.

use http::StatusCode;
use model::record::{Account, Client, VoiceApplication};
use model::{ClientSid, HttpMethod, error};
use store::credentials::{ha1_md5, ha1_sha256};
use store::{Scope, StoreError};

use crate::context::{Answer, Context, Reply, VERSION, Verb, now, uri};
use crate::failure::Failure;
use crate::password;
use crate::roles::Action;
use crate::value::{Field, Kind, Null, Resource, Value, field};

const FIELDS: &[Field<Client>] = &[
    field("sid", "Sid", Kind::Text, Null::Absent, |c, _| {
        Value::text(c.sid)
    }),
    field(
        "date_created",
        "DateCreated",
        Kind::Date,
        Null::Absent,
        |c, _| Value::Date(c.created),
    ),
    field(
        "date_updated",
        "DateUpdated",
        Kind::Date,
        Null::Absent,
        |c, _| Value::Date(c.updated),
    ),
    field(
        "account_sid",
        "AccountSid",
        Kind::Text,
        Null::Absent,
        |c, _| Value::text(c.account),
    ),
    field(
        "api_version",
        "ApiVersion",
        Kind::Text,
        Null::Absent,
        |_, _| Value::text(VERSION),
    ),
    field(
        "friendly_name",
        "FriendlyName",
        Kind::Text,
        Null::Absent,
        |c, _| Value::text(&c.friendly_name),
    ),
    field("login", "Login", Kind::Text, Null::Absent, |c, _| {
        Value::text(&c.login)
    }),
    field("password", "Password", Kind::Text, Null::Absent, |c, _| {
        Value::text(&c.ha1_md5)
    }),
    field(
        "password_algorithm",
        "Password_Algorithm",
        Kind::Text,
        Null::Absent,
        |_, _| Value::text("MD5"),
    ),
    field("status", "Status", Kind::Text, Null::Absent, |c, _| {
        Value::text(if c.enabled { "1" } else { "0" })
    }),
    field("voice_url", "VoiceUrl", Kind::Text, Null::Absent, |c, _| {
        Value::maybe(c.voice.url.as_deref())
    }),
    field(
        "voice_method",
        "VoiceMethod",
        Kind::Text,
        Null::Empty,
        |c, _| method(c.voice.method),
    ),
    field(
        "voice_fallback_url",
        "VoiceFallbackUrl",
        Kind::Text,
        Null::Absent,
        |c, _| Value::maybe(c.voice.fallback_url.as_deref()),
    ),
    field(
        "voice_fallback_method",
        "VoiceFallbackMethod",
        Kind::Text,
        Null::Empty,
        |c, _| method(c.voice.fallback_method),
    ),
    field(
        "voice_application_sid",
        "VoiceApplicationSid",
        Kind::Text,
        Null::Absent,
        |c, _| Value::maybe(c.voice.application),
    ),
    field("uri", "Uri", Kind::Link, Null::Absent, |c, _| {
        Value::Link(uri(c.account, "Clients", c.sid))
    }),
];

const CLIENT: Resource<Client> = Resource {
    xml: "Client",
    xml_list: "Clients",
    fields: FIELDS,
};

/// A method as it works: POST if none is stored.
pub(crate) fn method(stored: Option<HttpMethod>) -> Value {
    Value::text(stored.unwrap_or(HttpMethod::Post))
}

/// The list, and new ones.
pub(crate) async fn collection(context: &Context<'_>, account: &str) -> Answer {
    match context.verb {
        Verb::Get => {
            let account = context.operate(account, Action::Read, "Clients").await?;
            let scope = Scope::Own(account.sid);
            let clients = context.state.store.clients(scope).await?;
            Ok(context.show_all(&CLIENT, &clients))
        }
        Verb::Post => {
            let account = context.operate(account, Action::Create, "Clients").await?;
            create(context, &account).await
        }
        Verb::Put | Verb::Delete | Verb::Other => Err(Failure::method("GET, POST")),
    }
}

async fn create(context: &Context<'_>, account: &Account) -> Answer {
    let params = &context.params;
    let login = params.required("Login")?;
    check_login(login)?;
    let password = params.required("Password")?;
    password::check(password)?;
    let mut client = new_client(context, account, login, password).await?;
    if let Some(name) = params.name("FriendlyName")? {
        client.friendly_name = name;
    }
    change(context, &mut client)?;
    match context.state.store.insert_client(client.clone()).await {
        Ok(()) => Ok(context.show(&CLIENT, &client)),
        Err(StoreError::Duplicate(_)) => existing(context, account, login).await,
        Err(error) => Err(error.into()),
    }
}

/// A client that exists already: the same one for its own account, a conflict for another.
async fn existing(context: &Context<'_>, account: &Account, login: &str) -> Answer {
    let store = &context.state.store;
    let found = store.client_in(account.organization, login).await?;
    match found {
        Some(client) if client.account == account.sid => Ok(context.show(&CLIENT, &client)),
        _ => Err(Failure::of(error::CONFLICT)
            .saying(format!("Login: another account has the client `{login}`"))),
    }
}

/// A client with its digests, enabled and without a document.
pub(crate) async fn new_client(
    context: &Context<'_>,
    account: &Account,
    login: &str,
    password: &str,
) -> Result<Client, Failure> {
    let now = now();
    let mut client = Client {
        sid: ClientSid::new(now, rand::random()),
        account: account.sid,
        organization: account.organization,
        friendly_name: login.to_owned(),
        login: login.to_owned(),
        ha1_md5: String::new(),
        ha1_sha256: String::new(),
        enabled: true,
        voice: VoiceApplication::default(),
        created: now,
        updated: now,
    };
    set_password(context, &mut client, password).await?;
    Ok(client)
}

/// Stores the digests of a password under the realm of the client's organization.
pub(crate) async fn set_password(
    context: &Context<'_>,
    client: &mut Client,
    password: &str,
) -> Result<(), Failure> {
    let organization = context
        .state
        .store
        .organization(client.organization)
        .await?
        .ok_or_else(|| Failure::of(error::INTERNAL).saying("the account has no organization"))?;
    client.ha1_md5 = ha1_md5(&client.login, &organization.domain_name, password);
    client.ha1_sha256 = ha1_sha256(&client.login, &organization.domain_name, password);
    Ok(())
}

/// Refuses logins that cannot be the user part of a SIP address.
fn check_login(login: &str) -> Result<(), Failure> {
    let bad = |c: char| matches!(c, '?' | '=' | '@') || c.is_whitespace() || c.is_control();
    if login.contains(bad) || login.chars().count() > 64 {
        return Err(Failure::parameter(
            "Login",
            "the login is invalid: at most 64 characters, without `?`, `=`, `@` and blanks",
        ));
    }
    Ok(())
}

/// Applies what creation and update have in common.
fn change(context: &Context<'_>, client: &mut Client) -> Result<(), Failure> {
    let params = &context.params;
    if let Some(status) = params.filled("Status") {
        client.enabled = match status.trim() {
            "0" => false,
            "1" => true,
            _ => return Err(Failure::parameter("Status", "must be 0 or 1")),
        };
    }
    params.change_voice(&mut client.voice)
}

/// One.
pub(crate) async fn item(context: &Context<'_>, account: &str, sid: &str) -> Answer {
    let action = match context.verb {
        Verb::Get => Action::Read,
        Verb::Post | Verb::Put => Action::Modify,
        Verb::Delete => Action::Delete,
        Verb::Other => return Err(Failure::method("GET, POST, PUT, DELETE")),
    };
    let account = context.operate(account, action, "Clients").await?;
    let store = &context.state.store;
    let sid: ClientSid = sid.parse().map_err(|_| Failure::not_found())?;
    let mut client = store.client(sid).await?.ok_or_else(Failure::not_found)?;
    if client.account != account.sid {
        return Err(Failure::forbidden());
    }
    match action {
        Action::Read | Action::Create => {}
        Action::Modify => {
            if let Some(name) = context.params.name("FriendlyName")? {
                client.friendly_name = name;
            }
            if let Some(password) = context.params.filled("Password") {
                password::check(password)?;
                set_password(context, &mut client, password).await?;
            }
            change(context, &mut client)?;
            client.updated = now();
            if !store.update_client(client.clone()).await? {
                return Err(Failure::not_found());
            }
        }
        Action::Delete => {
            if !store.delete_client(sid).await? {
                return Err(Failure::not_found());
            }
            return Ok(Reply::Empty(StatusCode::OK));
        }
    }
    Ok(context.show(&CLIENT, &client))
}
