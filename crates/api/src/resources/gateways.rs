//! `/Accounts/{sid}/Management/Gateways`: trunks that are defined while the server runs.
//!
//! They belong to the server, not to an account.

use model::gateway::Gateway;
use model::record::Account;
use model::{GatewaySid, address, error};

use crate::context::{ATTEMPTS, Answer, Context, Reply, after, now};
use crate::failure::Failure;
use crate::params::{Params, one_line, shown};
use crate::roles::Action;
use crate::route::{Answers, Is, Param, RESTCOMM, Route, param};
use crate::trunks::Registration;
use crate::value::{Field, Kind, Null, Resource, Value, field};

/// Maximum number of gateways.
const MAX_GATEWAYS: i64 = 100;
/// Seconds that a registration may live.
const TTL: std::ops::RangeInclusive<u32> = 60..=3600;

/// A gateway, and its registration.
struct Shown {
    gateway: Gateway,
    registration: Option<Registration>,
}

const FIELDS: &[Field<Shown>] = &[
    field(
        "sid",
        "Sid",
        Kind::Text,
        Null::Never,
        "Identifier.",
        |s, _| Value::text(s.gateway.sid),
    ),
    field(
        "date_created",
        "DateCreated",
        Kind::Date,
        Null::Never,
        "When it was created.",
        |s, _| Value::Date(s.gateway.created),
    ),
    field(
        "date_updated",
        "DateUpdated",
        Kind::Date,
        Null::Never,
        "When it was last changed.",
        |s, _| Value::Date(s.gateway.updated),
    ),
    field(
        "friendly_name",
        "FriendlyName",
        Kind::Text,
        Null::Never,
        "Name to display.",
        |s, _| Value::text(&s.gateway.friendly_name),
    ),
    field(
        "password",
        "Password",
        Kind::Text,
        Null::Never,
        "Digest password.",
        |s: &Shown, _| Value::text(&s.gateway.password),
    )
    .secret(),
    field(
        "proxy",
        "Proxy",
        Kind::Text,
        Null::Never,
        "Where calls and registrations go.",
        |s, _| Value::text(&s.gateway.proxy),
    ),
    field(
        "register",
        "Register",
        Kind::Flag,
        Null::Never,
        "Whether the server registers there.",
        |s, _| Value::Flag(s.gateway.register),
    ),
    field(
        "registration_status",
        "RegistrationStatus",
        Kind::Text,
        Null::Absent,
        "`registered`, or `refused` with the SIP status of the last attempt (408: no answer, 503: not reachable), as this server knows it; absent while there has been no answer.",
        |s: &Shown, _| match s.registration {
            None => Value::Null,
            Some(Registration::Registered) => Value::text("registered"),
            Some(Registration::Refused(status)) => Value::Text(format!("refused {status}")),
        },
    ),
    field(
        "user_name",
        "UserName",
        Kind::Text,
        Null::Never,
        "Digest user name, and user of the registration.",
        |s, _| Value::text(&s.gateway.user_name),
    ),
    field(
        "time_to_live",
        "TimeToLive",
        Kind::Number,
        Null::Never,
        "Lifetime of a registration in seconds.",
        |s, _| Value::Number(s.gateway.ttl_s.into()),
    ),
    field(
        "uri",
        "Uri",
        Kind::Link,
        Null::Never,
        "Path of this resource, without an account.",
        |s, view| {
            let base = view.dialect.link_base;
            Value::Link(format!("{base}/Management/Gateways/{}", s.gateway.sid))
        },
    ),
];

static GATEWAY: Resource<Shown> = Resource {
    xml: ["Gateway", "Gateway"],
    xml_list: ["Gateways", "Gateways"],
    json_list: ["gateways", "gateways"],
    xml_envelope: [false, false],
    fields: FIELDS,
};

const LIST: &[&str] = &[
    "/Accounts/{account}/Management/Gateways",
    "/Management/Gateways",
];
const ONE: &[&str] = &[
    "/Accounts/{account}/Management/Gateways/{sid}",
    "/Management/Gateways/{sid}",
];

/// The routes of gateways.
pub(crate) static ROUTES: &[Route] = &[
    Route::get(LIST, |c, _, _| Box::pin(list(c)))
        .within(RESTCOMM)
        .needs(Action::Read, "Gateways")
        .top_only()
        .answers(Answers::All(&GATEWAY))
        .doc("Lists the gateways, the oldest first."),
    Route::post(LIST, |c, _, _| Box::pin(create(c)))
        .within(RESTCOMM)
        .needs(Action::Create, "Gateways")
        .top_only()
        .params(&[NEW])
        .answers(Answers::One(&GATEWAY))
        .doc("Adds a gateway, and registers with it if `Register` is `true`. There can be at most 100 gateways."),
    Route::get(ONE, |c, _, sid| Box::pin(get(c, sid)))
        .within(RESTCOMM)
        .needs(Action::Read, "Gateways")
        .top_only()
        .answers(Answers::One(&GATEWAY))
        .doc("Reads a gateway."),
    Route::post(ONE, |c, _, sid| Box::pin(update(c, sid)))
        .within(RESTCOMM)
        .needs(Action::Modify, "Gateways")
        .top_only()
        .params(&[CHANGES])
        .answers(Answers::One(&GATEWAY))
        .doc("Changes a gateway; parameters that are not sent keep their values. The server unregisters and registers again."),
    Route::put(ONE, |c, _, sid| Box::pin(update(c, sid)))
        .within(RESTCOMM)
        .needs(Action::Modify, "Gateways")
        .top_only()
        .params(&[CHANGES])
        .answers(Answers::One(&GATEWAY))
        .doc("Changes a gateway."),
    Route::delete(ONE, |c, a, sid| Box::pin(delete(c, a, sid)))
        .within(RESTCOMM)
        .needs(Action::Modify, "Gateways")
        .top_only()
        .doc("Unregisters from a gateway and deletes it. Calls through it continue."),
];

const USER_NAME: Param = param(
    "UserName",
    Is::Text,
    "Digest user name. The server registers `UserName` at the host of `Proxy`, or `UserName` itself if it has an `@`.",
);
const PASSWORD: Param = param("Password", Is::Secret, "Digest password.");
const PROXY: Param = param(
    "Proxy",
    Is::Text,
    "Where calls and registrations go: `host[:port][;transport=tcp]`. Calls from the IP addresses of that host are trusted like calls from a trunk.",
);
const REGISTER: Param = param("Register", Is::Flag, "Whether the server registers there.");
const FRIENDLY_NAME: Param = param(
    "FriendlyName",
    Is::Text,
    "Name to display; `UserName` if not given.",
);
const TIME_TO_LIVE: Param = param(
    "TTL",
    Is::Number,
    "Lifetime of a registration in seconds, 60 to 3600; 3600 if not given. It is renewed in time.",
);

const NEW: &[Param] = &[
    USER_NAME.required(),
    PASSWORD.required(),
    PROXY.required(),
    REGISTER.required(),
    FRIENDLY_NAME,
    TIME_TO_LIVE,
];

const CHANGES: &[Param] = &[
    USER_NAME,
    PASSWORD,
    PROXY,
    REGISTER,
    FRIENDLY_NAME,
    TIME_TO_LIVE,
];

fn present(context: &Context<'_>, gateway: Gateway) -> Shown {
    let registration = context.state.trunks.registration(gateway.sid);
    Shown {
        registration: registration.filter(|_| gateway.register),
        gateway,
    }
}

async fn list(context: &Context<'_>) -> Answer {
    let gateways = context.state.store.gateways().await?.into_iter();
    let gateways: Vec<_> = gateways.map(|one| present(context, one)).collect();
    Ok(context.bare(&GATEWAY, &gateways))
}

async fn find(context: &Context<'_>, sid: &str) -> Result<Gateway, Failure> {
    let sid: GatewaySid = sid.parse().map_err(|_| Failure::not_found())?;
    let found = context.state.store.gateway(sid).await?;
    found.ok_or_else(Failure::not_found)
}

async fn get(context: &Context<'_>, sid: &str) -> Answer {
    let gateway = find(context, sid).await?;
    Ok(context.show(&GATEWAY, &present(context, gateway)))
}

async fn create(context: &Context<'_>) -> Answer {
    let now = now();
    let mut gateway = Gateway {
        sid: GatewaySid::new(now, rand::random()),
        friendly_name: String::new(),
        user_name: String::new(),
        password: String::new(),
        proxy: String::new(),
        register: false,
        ttl_s: *TTL.end(),
        created: now,
        updated: now,
    };
    change(&context.params, &mut gateway)?;
    if gateway.friendly_name.is_empty() {
        gateway.friendly_name.clone_from(&gateway.user_name);
    }
    let state = context.state;
    if !state.store.insert_gateway(&gateway, MAX_GATEWAYS).await? {
        let text =
            format!("there are {MAX_GATEWAYS} gateways; delete one that is not used any more");
        return Err(Failure::of(error::CONFLICT).saying(text));
    }
    state.trunks.refresh().await;
    Ok(context.show(&GATEWAY, &present(context, gateway)))
}

/// Applies the parameters that were sent.
fn change(params: &Params, gateway: &mut Gateway) -> Result<(), Failure> {
    if let Some(name) = params.name("FriendlyName")? {
        gateway.friendly_name = name;
    }
    if params.get("UserName").is_some() {
        let name = params.required("UserName")?;
        one_line("UserName", name)?;
        if name.contains('@') && !address::is_sip_address(name) {
            let reason = format!("`{}` is not written `user@host`", shown(name));
            return Err(Failure::parameter("UserName", &reason));
        }
        name.clone_into(&mut gateway.user_name);
    }
    if params.get("Password").is_some() {
        let password = params.required("Password")?;
        one_line("Password", password)?;
        password.clone_into(&mut gateway.password);
    }
    if params.get("Proxy").is_some() {
        let proxy = params.required("Proxy")?.trim();
        if !address::is_next_hop(proxy) {
            let reason = format!(
                "`{}` is not written `host[:port][;transport=tcp]`",
                shown(proxy)
            );
            return Err(Failure::parameter("Proxy", &reason));
        }
        proxy.clone_into(&mut gateway.proxy);
    }
    if let Some(register) = params.flag("Register")? {
        gateway.register = register;
    }
    if let Some(seconds) = params.parsed::<u32>("TTL", "a number of seconds")? {
        if !TTL.contains(&seconds) {
            let reason = format!("it must be from {} to {} seconds", TTL.start(), TTL.end());
            return Err(Failure::parameter("TTL", &reason));
        }
        gateway.ttl_s = seconds;
    }
    Ok(())
}

async fn update(context: &Context<'_>, sid: &str) -> Answer {
    for _ in 0..ATTEMPTS {
        let mut gateway = find(context, sid).await?;
        change(&context.params, &mut gateway)?;
        let read = gateway.updated;
        gateway.updated = after(read);
        let state = context.state;
        if state.store.update_gateway(&gateway, read).await? {
            state.trunks.refresh().await;
            return Ok(context.show(&GATEWAY, &present(context, gateway)));
        }
    }
    Err(Failure::contended())
}

/// Deleting one that does not exist succeeds, as in Restcomm.
async fn delete(context: &Context<'_>, _account: &Account, sid: &str) -> Answer {
    let state = context.state;
    if let Ok(sid) = sid.parse::<GatewaySid>() {
        state.store.delete_gateway(sid).await?;
        state.trunks.refresh().await;
    }
    Ok(Reply::Nothing)
}
