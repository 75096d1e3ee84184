//! `/ExtensionsConfiguration`: configurations of extensions.
//!
//! **Invariant: a configuration is stored as it was sent, and has no effect**: this server has no extensions, and each
//! change says so. They are kept for programs that manage them.

use model::record::Extension;
use model::{AccountSid, ExtensionSid, error};

use crate::common;
use crate::context::{ATTEMPTS, Answer, Context, after, now};
use crate::failure::Failure;
use crate::format::Format;
use crate::roles::Action;
use crate::route::{Answers, Is, Param, RESTCOMM, Route, param, sid};
use crate::value::{Field, Kind, Null, Resource, Value, field};

const FIELDS: &[Field<Extension>] = &[
    common::sid(|e, _| Value::text(e.sid)),
    field(
        "extension",
        "Extension",
        Kind::Text,
        Null::Never,
        "Name of the extension.",
        |e, _| Value::text(&e.name),
    ),
    field(
        "applies_to",
        "AppliesTo",
        Kind::Text,
        Null::Absent,
        "Account that it applies to, instead of the configuration for all accounts.",
        |e, _| Value::maybe(e.account),
    ),
    field(
        "configuration",
        "Configuration",
        Kind::Text,
        Null::Never,
        "The configuration, as it was sent.",
        |e: &Extension, _| Value::text(&e.data),
    )
    .secret(),
    field(
        "configuration type",
        "ConfigurationType",
        Kind::Text,
        Null::Never,
        "`JSON` or `XML`, depending on the format of the response when it was stored.",
        |e, _| Value::text(&e.kind),
    ),
    field(
        "enabled",
        "Enabled",
        Kind::Flag,
        Null::Never,
        "Whether it is enabled.",
        |e, _| Value::Flag(e.enabled),
    ),
    common::date_created(|e, _| Value::Date(e.created)),
    common::date_updated(|e, _| Value::Date(e.updated)),
];

static EXTENSION: Resource<Extension> = Resource {
    xml: ["ExtensionConfiguration", "ExtensionConfiguration"],
    xml_list: ["ExtensionsConfiguration", "ExtensionsConfiguration"],
    json_list: ["extensions", "extensions"],
    xml_envelope: [true, true],
    fields: FIELDS,
};

const LIST: &[&str] = &["/ExtensionsConfiguration"];
const ONE: &[&str] = &["/ExtensionsConfiguration/{extension}"];
/// The data is not of the announced type.
const BAD_DATA: [&[u16]; 2] = [&[406], &[]];

/// The routes of configurations.
pub(crate) static ROUTES: &[Route] = &[
    Route::post(LIST, |c, _, _| Box::pin(create(c)))
        .needs(Action::Create, "Extensions")
        .top_only()
        .within(RESTCOMM)
        .refuses(BAD_DATA)
        .params(&[DATA, NAME, ACCOUNT])
        .answers(Answers::One(&EXTENSION))
        .doc("Stores a configuration; one that exists already is shown unchanged. 406 if the data is not JSON or XML, whichever is the format of the response."),
    Route::get(ONE, |c, _, name| Box::pin(get(c, name)))
        .needs(Action::Read, "Extensions")
        .top_only()
        .within(RESTCOMM)
        .params(&[ACCOUNT])
        .answers(Answers::One(&EXTENSION))
        .doc("Reads a configuration, by its SID or by the name of the extension."),
    Route::post(ONE, |c, _, sid| Box::pin(update(c, sid)))
        .needs(Action::Modify, "Extensions")
        .top_only()
        .within(RESTCOMM)
        .refuses(BAD_DATA)
        .params(&[DATA, OTHER_NAME])
        .answers(Answers::One(&EXTENSION))
        .doc("Replaces a configuration, by its SID."),
];

const DATA: &[Param] = &[
    param("ConfigurationData", Is::Text, "The configuration.").required(),
    param(
        "Enabled",
        Is::Flag,
        "Whether it is enabled; `false` if not given.",
    ),
];

const NAME: &[Param] = &[param("ExtensionName", Is::Text, "Name of the extension.").required()];

const OTHER_NAME: &[Param] = &[param(
    "ExtensionName",
    Is::Text,
    "Name of the extension, which must be that of the configuration.",
)
.required()];

const ACCOUNT: &[Param] = &[param(
    "AccountSid",
    Is::Sid(sid::<AccountSid>),
    "Account, to mean the configuration for this account instead of the one for all.",
)];

async fn create(context: &Context<'_>) -> Answer {
    let params = &context.params;
    let name = params.name("ExtensionName")?;
    let name =
        name.ok_or_else(|| Failure::parameter("ExtensionName", "this parameter is required"))?;
    let account = account(context).await?;
    let store = &context.state.store;
    if let Some(found) = store.extension_named(&name, account).await? {
        if let Some(witness) = &context.witness {
            witness.nothing_changed();
        }
        return Ok(context.show(&EXTENSION, &found));
    }
    let (data, kind) = data(context)?;
    let now = now();
    let extension = Extension {
        sid: ExtensionSid::new(now, rand::random()),
        name,
        account,
        kind,
        data,
        enabled: params.flag("Enabled")?.unwrap_or(false),
        created: now,
        updated: now,
    };
    store.insert_extension(&extension).await?;
    warn(context);
    Ok(context.show(&EXTENSION, &extension))
}

/// The account that a request names, which must exist.
async fn account(context: &Context<'_>) -> Result<Option<AccountSid>, Failure> {
    let asked: Option<AccountSid> = context.params.parsed("AccountSid", "an account")?;
    if let Some(sid) = asked
        && context.state.store.account(sid).await?.is_none()
    {
        return Err(Failure::parameter("AccountSid", "there is no such account"));
    }
    Ok(asked)
}

/// The data of a request with its type, which is checked.
fn data(context: &Context<'_>) -> Result<(String, String), Failure> {
    const NAME: &str = "ConfigurationData";
    let text = context.params.required(NAME)?;
    let (kind, problem) = match context.format {
        Format::Json => {
            let read = serde_json::from_str::<serde_json::Value>(text);
            ("JSON", read.err().map(|error| error.to_string()))
        }
        Format::Xml => {
            let read = roxmltree::Document::parse(text);
            ("XML", read.err().map(|error| error.to_string()))
        }
    };
    if let Some(problem) = problem {
        let reason = format!("{NAME}: it is not {kind}, the format of the response: {problem}");
        return Err(Failure::of(error::NOT_ACCEPTABLE).saying(reason));
    }
    Ok((text.to_owned(), kind.to_owned()))
}

fn warn(context: &Context<'_>) {
    let text =
        "ConfigurationData: it is stored, but this server has no extensions, so it has no effect";
    context.warnings.add(error::REQUEST_WARNING, text);
}

async fn get(context: &Context<'_>, named: &str) -> Answer {
    let store = &context.state.store;
    let account = account(context).await?;
    let found = match named.parse::<ExtensionSid>() {
        Ok(sid) => store.extension(sid).await?,
        Err(_) => store.extension_named(named, account).await?,
    };
    let found = match (found, account) {
        // By the SID of the general one, with an account.
        (Some(general), Some(_)) if general.account.is_none() => {
            store.extension_named(&general.name, account).await?
        }
        (found, _) => found.filter(|found| account.is_none() || found.account == account),
    };
    let found = found.ok_or_else(Failure::not_found)?;
    Ok(context.show(&EXTENSION, &found))
}

async fn update(context: &Context<'_>, sid: &str) -> Answer {
    let sid: ExtensionSid = sid.parse().map_err(|_| {
        let reason = "a configuration is changed by its identifier, `EX…`";
        Failure::parameter("Sid", reason)
    })?;
    let store = &context.state.store;
    let (data, kind) = data(context)?;
    let name = context.params.required("ExtensionName")?;
    for _ in 0..ATTEMPTS {
        let found = store.extension(sid).await?;
        let mut extension = found.ok_or_else(Failure::not_found)?;
        if extension.name != name {
            let reason = format!("this is the configuration of `{}`", extension.name);
            return Err(Failure::parameter("ExtensionName", &reason));
        }
        extension.data.clone_from(&data);
        extension.kind.clone_from(&kind);
        extension.enabled = context.params.flag("Enabled")?.unwrap_or(false);
        let read = extension.updated;
        extension.updated = after(read);
        if store.update_extension(&extension, read).await? {
            warn(context);
            return Ok(context.show(&EXTENSION, &extension));
        }
    }
    Err(Failure::contended())
}
