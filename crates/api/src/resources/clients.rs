//! `/Accounts/{sid}/Clients`: SIP users.

use model::record::{Account, Client, VoiceApplication};
use model::{ApplicationSid, ClientSid, HttpMethod, error};
use store::credentials::{ha1_md5, ha1_sha256};
use store::{Scope, StoreError};

use crate::common;
use crate::context::{ATTEMPTS, Answer, Context, Reply, after, now, owned};
use crate::failure::Failure;
use crate::naming::login_refused;
use crate::page::{Page, row_key};
use crate::password;
use crate::roles::Action;
use crate::route::{Answers, Is, Param, RESTCOMM, Route, TWILIO_PAGING, param, sid};
use crate::value::{Field, Kind, Null, Resource, Value, field};

const FIELDS: &[Field<Client>] = &[
    common::sid(|c, _| Value::text(c.sid)),
    common::date_created(|c, _| Value::Date(c.created)),
    common::date_updated(|c, _| Value::Date(c.updated)),
    common::account_sid(|c, _| Value::text(c.account)),
    common::api_version(),
    field(
        "friendly_name",
        "FriendlyName",
        Kind::Text,
        Null::Never,
        "Name to display.",
        |c, _| Value::text(&c.friendly_name),
    ),
    field(
        "login",
        "Login",
        Kind::Text,
        Null::Never,
        "SIP user name.",
        |c, _| Value::text(&c.login),
    ),
    field(
        "password",
        "Password",
        Kind::Text,
        Null::Absent,
        "Digest of the password (HA1), if `compat.show_client_digests` is set.",
        |c: &Client, view| Value::maybe(view.shows_digests.then_some(&c.ha1_md5)),
    )
    .secret(),
    field(
        "password_algorithm",
        "Password_Algorithm",
        Kind::Text,
        Null::Absent,
        "Algorithm of the digest.",
        |_, view| Value::maybe(view.shows_digests.then_some("MD5")),
    ),
    field(
        "status",
        "Status",
        Kind::Text,
        Null::Never,
        "`1` if its phones may register and call, otherwise `0`.",
        |c, _| Value::text(if c.enabled { "1" } else { "0" }),
    ),
    field(
        "voice_url",
        "VoiceUrl",
        Kind::Text,
        Null::Absent,
        "Document for the calls that this client makes, whatever it dials. Calls to the client ring its phones.",
        |c, _| Value::maybe(c.voice.url.as_deref()),
    ),
    field(
        "voice_method",
        "VoiceMethod",
        Kind::Text,
        Null::Empty,
        "Method for `voice_url`.",
        |c, _| method(c.voice.method),
    ),
    field(
        "voice_fallback_url",
        "VoiceFallbackUrl",
        Kind::Text,
        Null::Absent,
        "Document if `voice_url` fails.",
        |c, _| Value::maybe(c.voice.fallback_url.as_deref()),
    ),
    field(
        "voice_fallback_method",
        "VoiceFallbackMethod",
        Kind::Text,
        Null::Empty,
        "Method for `voice_fallback_url`.",
        |c, _| method(c.voice.fallback_method),
    ),
    field(
        "voice_application_sid",
        "VoiceApplicationSid",
        Kind::Text,
        Null::Absent,
        "Application for calls; takes precedence over `voice_url`.",
        |c, _| Value::maybe(c.voice.application),
    ),
    field(
        "push_client_identity",
        "PushClientIdentity",
        Kind::Text,
        Null::Absent,
        "Its own identifier, if `IsPushEnabled` was set. Push notifications are not sent.",
        |c, _| Value::maybe(c.push.then_some(c.sid)),
    ),
    common::uri(|c, view| Value::Link(view.uri(c.account, "Clients", c.sid))),
];

static CLIENT: Resource<Client> = Resource {
    xml: ["Client", "Client"],
    xml_list: ["Clients", "Clients"],
    json_list: ["clients", "clients"],
    xml_envelope: [false, false],
    fields: FIELDS,
};

const LIST: &[&str] = &["/Accounts/{account}/Clients"];
const ONE: &[&str] = &["/Accounts/{account}/Clients/{sid}"];

/// The routes of clients.
pub(crate) static ROUTES: &[Route] = &[
    Route::get(LIST, |c, a, _| Box::pin(list(c, a)))
        .needs(Action::Read, "Clients")
        .params(&[TWILIO_PAGING])
        .answers(Answers::All(&CLIENT))
        .doc("Lists clients."),
    Route::post(LIST, |c, a, _| Box::pin(create(c, a)))
        .needs(Action::Create, "Clients")
        .params(&[NEW, PROPERTIES, VOICE_URL, VOICE])
        .answers(Answers::One(&CLIENT))
        .status([200, 201])
        .doc("Creates a client. If the account already has the client, it is not changed: the Restcomm base returns it with a warning, the Twilio base refuses the request (20409)."),
    Route::get(ONE, |c, a, sid| Box::pin(get(c, a, sid)))
        .needs(Action::Read, "Clients")
        .answers(Answers::One(&CLIENT))
        .doc("Reads a client."),
    Route::post(ONE, |c, a, sid| Box::pin(update(c, a, sid)))
        .needs(Action::Modify, "Clients")
        .params(&[PASSWORD, PROPERTIES, VOICE_URL, VOICE])
        .answers(Answers::One(&CLIENT))
        .doc("Changes a client."),
    Route::put(ONE, |c, a, sid| Box::pin(update(c, a, sid)))
        .needs(Action::Modify, "Clients")
        .within(RESTCOMM)
        .params(&[PASSWORD, PROPERTIES, VOICE_URL, VOICE])
        .answers(Answers::One(&CLIENT))
        .doc("Changes a client."),
    Route::delete(ONE, |c, a, sid| Box::pin(delete(c, a, sid)))
        .needs(Action::Delete, "Clients")
        .doc("Deletes a client."),
];

const NEW: &[Param] = &[
    param(
        "Login",
        Is::Text,
        "SIP user name; unique in the organization.",
    )
    .required(),
    param("Password", Is::Secret, "Password of the phone.").required(),
];
const PASSWORD: &[Param] = &[param("Password", Is::Secret, "Password of the phone.")];

const PROPERTIES: &[Param] = &[
    param("FriendlyName", Is::Text, "Name to display."),
    param(
        "Status",
        Is::Word(&["0", "1"]),
        "`1` if the client may register and call, otherwise `0`.",
    ),
    param(
        "IsPushEnabled",
        Is::Flag,
        "`true` shows `push_client_identity`, `false` removes it. Push notifications are not sent.",
    )
    .within(RESTCOMM),
];

const VOICE_URL: &[Param] = &[param(
    "VoiceUrl",
    Is::Address,
    "Document for every call that this client makes, whatever it dials; empty for none. Calls to the client ring its phones.",
)];

/// The rest about the document for calls, for numbers and clients.
pub(crate) const VOICE: &[Param] = &[
    param(
        "VoiceMethod",
        Is::Method,
        "Method for `VoiceUrl`; POST if not given.",
    ),
    param(
        "VoiceFallbackUrl",
        Is::Address,
        "Document if `VoiceUrl` fails; empty for none.",
    ),
    param(
        "VoiceFallbackMethod",
        Is::Method,
        "Method for `VoiceFallbackUrl`; POST if not given.",
    ),
    param(
        "VoiceApplicationSid",
        Is::Sid(sid::<ApplicationSid>),
        "Application for calls, instead of `VoiceUrl`.",
    ),
];

/// The effective method: POST if none is stored.
pub(crate) fn method(stored: Option<HttpMethod>) -> Value {
    Value::text(stored.unwrap_or(HttpMethod::Post))
}

async fn list(context: &Context<'_>, account: &Account) -> Answer {
    let (store, scope) = (&context.state.store, Scope::Own(account.sid));
    if context.dialect.bare_lists {
        return Ok(context.bare(&CLIENT, &store.clients(scope).await?));
    }
    let page = Page::read(context)?;
    let rows = store.clients_page(scope, &page.window()).await?;
    let path = format!("/Accounts/{}/Clients", account.sid);
    page.show(context, &CLIENT, &path, rows, |client| {
        row_key(client.created, client.sid)
    })
}

async fn create(context: &Context<'_>, account: &Account) -> Answer {
    let params = &context.params;
    let login = params.required("Login")?;
    context.may_take_login(account, login).await?;
    let password = params.required("Password")?;
    password::check(password)?;
    let mut client = new_client(context, account, login, password).await?;
    if let Some(name) = params.name("FriendlyName")? {
        client.friendly_name = name;
    }
    change(context, &mut client)?;
    context.may_use_voice(account, &client.voice).await?;
    match context.state.store.insert_client(client.clone()).await {
        Ok(()) => Ok(context.show(&CLIENT, &client)),
        Err(StoreError::Duplicate(_)) => existing(context, account, login).await,
        Err(error) => Err(login_refused(login, error)),
    }
}

/// An existing client: a conflict, or returned to its own account where the dialect says so.
async fn existing(context: &Context<'_>, account: &Account, login: &str) -> Answer {
    let store = &context.state.store;
    let found = store.client_in(account.organization, login).await?;
    match found {
        Some(client) if client.account == account.sid => {
            let uri = context.view().uri(account.sid, "Clients", client.sid);
            let text = format!(
                "Login: this client already exists and was not changed; to change it, POST to {uri}"
            );
            if !context.dialect.shows_existing_client {
                return Err(Failure::of(error::CONFLICT).saying(text));
            }
            context.warnings.add(error::REQUEST_WARNING, text);
            if let Some(witness) = &context.witness {
                witness.nothing_changed();
            }
            Ok(context.show(&CLIENT, &client))
        }
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
        push: false,
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

/// Applies the parameters common to creation and update.
fn change(context: &Context<'_>, client: &mut Client) -> Result<(), Failure> {
    let params = &context.params;
    if let Some(status) = params.word("Status") {
        client.enabled = status == "1";
    }
    if let Some(push) = params.flag("IsPushEnabled")? {
        client.push = push;
        if push {
            let text = "IsPushEnabled: push notifications are not sent; a phone that is not registered is not called";
            context.warnings.add(error::REQUEST_WARNING, text);
        }
    }
    params.change_voice(&mut client.voice, context.dialect)
}

async fn find(context: &Context<'_>, account: &Account, sid: &str) -> Result<Client, Failure> {
    let sid: ClientSid = sid.parse().map_err(|_| Failure::not_found())?;
    let found = context.state.store.client(sid).await?;
    owned(account, found).ok_or_else(Failure::not_found)
}

async fn get(context: &Context<'_>, account: &Account, sid: &str) -> Answer {
    let client = find(context, account, sid).await?;
    Ok(context.show(&CLIENT, &client))
}

async fn update(context: &Context<'_>, account: &Account, sid: &str) -> Answer {
    for _ in 0..ATTEMPTS {
        let mut client = find(context, account, sid).await?;
        if let Some(name) = context.params.name("FriendlyName")? {
            client.friendly_name = name;
        }
        if let Some(password) = context.params.filled("Password") {
            password::check(password)?;
            set_password(context, &mut client, password).await?;
        }
        change(context, &mut client)?;
        context.may_use_voice(account, &client.voice).await?;
        let read = client.updated;
        client.updated = after(read);
        let store = &context.state.store;
        if store.update_client(client.clone(), read).await? {
            return Ok(context.show(&CLIENT, &client));
        }
    }
    Err(Failure::contended())
}

async fn delete(context: &Context<'_>, account: &Account, sid: &str) -> Answer {
    let client = find(context, account, sid).await?;
    if !context.state.store.delete_client(client.sid).await? {
        return Err(Failure::not_found());
    }
    Ok(Reply::Nothing)
}
