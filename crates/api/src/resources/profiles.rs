//! `/Profiles`: what accounts may do.
//!
//! Always JSON. A document is answered as it was sent. **Invariant: the default profile cannot be changed**, so that
//! every account has one.

use http::header::{LAST_MODIFIED, LINK, LOCATION};
use model::profile::{DEFAULT_DOCUMENT, DEFAULT_SID, Target};
use model::record::{Account, StoredProfile};
use model::{ProfileSid, Timestamp, error};
use store::{Effective, PROFILE_SCHEMA, Profile};

use crate::context::{Answer, Context, Document, Reply, after, now};
use crate::failure::Failure;
use crate::params::shown;
use crate::roles::Action;
use crate::route::{Answers, RESTCOMM, Route};
use crate::value::{Field, Kind, Null, Resource, Value, field};

/// Media types of a profile and of its schema.
const INSTANCE: &str = "application/instance+json";
const SCHEMA_TYPE: &str = "application/schema+json";
const SCHEMA_FILE: &str = "rc-profile-schema.json";

const FIELDS: &[Field<StoredProfile>] = &[
    field(
        "sid",
        "Sid",
        Kind::Text,
        Null::Never,
        "Identifier.",
        |p, _| Value::text(p.sid),
    ),
    field(
        "uri",
        "Uri",
        Kind::Text,
        Null::Never,
        "Path of this resource.",
        |p, view| Value::text(format!("{}/Profiles/{}", view.dialect.link_base, p.sid)),
    ),
    field(
        "dateCreated",
        "DateCreated",
        Kind::Date,
        Null::Never,
        "When it was created.",
        |p, _| Value::Date(p.created),
    ),
    field(
        "dateUpdated",
        "DateUpdated",
        Kind::Date,
        Null::Never,
        "When it was last changed.",
        |p, _| Value::Date(p.updated),
    ),
];

static PROFILE: Resource<StoredProfile> = Resource {
    xml: ["Profile", "Profile"],
    xml_list: ["Profiles", "Profiles"],
    json_list: ["profiles", "profiles"],
    xml_envelope: [true, true],
    fields: FIELDS,
};

const LIST: &[&str] = &["/Profiles"];
const ONE: &[&str] = &["/Profiles/{profile}"];

/// The routes of profiles.
pub(crate) static ROUTES: &[Route] = &[
    Route::get(LIST, |c, _, _| Box::pin(list(c)))
        .needs(Action::Read, "Profiles")
        .top_only()
        .within(RESTCOMM)
        .answers(Answers::All(&PROFILE))
        .doc("Lists the profiles, the default one first."),
    Route::post(LIST, |c, _, _| Box::pin(create(c)))
        .needs(Action::Create, "Profiles")
        .top_only()
        .within(RESTCOMM)
        .takes(PROFILE_SCHEMA)
        .answers(Answers::Document(INSTANCE))
        .status([201, 201])
        .doc("Creates a profile; its address is in the header `Location`."),
    Route::get(&["/Profiles/schemas/{file}"], |c, _, file| Box::pin(std::future::ready(schema(c, file))))
        .needs(Action::Read, "Profiles")
        .within(RESTCOMM)
        .answers(Answers::Document(SCHEMA_TYPE))
        .doc("Reads the JSON Schema of profiles, `rc-profile-schema.json`."),
    Route::get(ONE, |c, _, sid| Box::pin(get(c, sid)))
        .needs(Action::Read, "Profiles")
        .within(RESTCOMM)
        .answers(Answers::Document(INSTANCE))
        .doc("Reads a profile; the top account can read all, other accounts only the one that applies to them. The headers `Link` name what it is linked to, and its schema."),
    Route::put(ONE, |c, _, sid| Box::pin(replace(c, sid)))
        .needs(Action::Modify, "Profiles")
        .top_only()
        .within(RESTCOMM)
        .takes(PROFILE_SCHEMA)
        .answers(Answers::Document(INSTANCE))
        .doc("Replaces a profile, except the default one."),
    Route::delete(ONE, |c, _, sid| Box::pin(delete(c, sid)))
        .needs(Action::Delete, "Profiles")
        .top_only()
        .within(RESTCOMM)
        .doc("Deletes a profile, except the default one, and its links."),
    Route::link(ONE, |c, _, sid| Box::pin(link(c, sid)))
        .needs(Action::Modify, "Profiles")
        .top_only()
        .within(RESTCOMM)
        .doc("Links a profile to the account or organization that the header `Link` names, instead of any other profile. The same as PUT with the header `X-HTTP-Method-Override: LINK`."),
    Route::unlink(ONE, |c, _, sid| Box::pin(unlink(c, sid)))
        .needs(Action::Modify, "Profiles")
        .top_only()
        .within(RESTCOMM)
        .doc("Removes the link to the account or organization that the header `Link` names. The same as PUT with the header `X-HTTP-Method-Override: UNLINK`."),
];

/// The default profile, as if it were stored.
fn default_profile() -> StoredProfile {
    StoredProfile {
        sid: DEFAULT_SID,
        document: DEFAULT_DOCUMENT.to_owned(),
        created: Timestamp(0),
        updated: Timestamp(0),
    }
}

async fn list(context: &Context<'_>) -> Answer {
    let mut rows = vec![default_profile()];
    rows.extend(context.state.store.profiles().await?);
    Ok(context.bare(&PROFILE, &rows))
}

async fn find(context: &Context<'_>, sid: &str) -> Result<StoredProfile, Failure> {
    let sid: ProfileSid = sid.parse().map_err(|_| Failure::not_found())?;
    if sid == DEFAULT_SID {
        return Ok(default_profile());
    }
    let found = context.state.store.profile(sid).await?;
    found.ok_or_else(Failure::not_found)
}

/// The same, unless it is the default one.
async fn find_changeable(context: &Context<'_>, sid: &str) -> Result<StoredProfile, Failure> {
    let found = find(context, sid).await?;
    if found.sid == DEFAULT_SID {
        return Err(Failure::forbidden().saying("The default profile cannot be changed."));
    }
    Ok(found)
}

async fn get(context: &Context<'_>, sid: &str) -> Answer {
    if !context.is_super_admin() {
        let sid: ProfileSid = sid.parse().map_err(|_| Failure::not_found())?;
        let own = context.state.store.profile_of(context.caller.sid).await?;
        if own.sid != sid {
            return Err(Failure::forbidden());
        }
    }
    let found = find(context, sid).await?;
    let links = if context.is_super_admin() {
        context.state.store.profile_links(found.sid).await?
    } else {
        Vec::new()
    };
    let mut reply = document(context, &found).with(LAST_MODIFIED, &http_date(found.updated));
    for target in links {
        let kind = match target {
            Target::Account(_) => "Accounts",
            Target::Organization(_) => "Organizations",
        };
        let address = address(context, &format!("{kind}/{target}"));
        reply = reply.with(LINK, &format!("<{address}>; rel=\"related\""));
    }
    let schema = address(context, &format!("Profiles/schemas/{SCHEMA_FILE}"));
    Ok(reply.with(LINK, &format!("<{schema}>; rel=\"describedby\"")))
}

/// A date as in headers (RFC 9110 §5.6.7).
fn http_date(at: Timestamp) -> String {
    at.rfc2822().replace("+0000", "GMT")
}

/// A path of this API as an absolute address.
fn address(context: &Context<'_>, path: &str) -> String {
    let base = &context.state.public_base;
    format!("{base}{}/{path}", context.dialect.base)
}

/// The answer that shows a profile.
fn document(context: &Context<'_>, profile: &StoredProfile) -> Reply {
    if let Some(witness) = &context.witness {
        witness.saw(profile.document.clone());
    }
    Reply::Document(Document {
        media_type: Some(INSTANCE),
        ..profile.document.clone().into()
    })
}

fn schema(_: &Context<'_>, file: &str) -> Answer {
    if file != SCHEMA_FILE {
        return Err(Failure::not_found());
    }
    Ok(Reply::Document(Document {
        media_type: Some(SCHEMA_TYPE),
        ..PROFILE_SCHEMA.to_owned().into()
    }))
}

/// The document of the request, which is checked. Warns of what has no effect.
fn checked(context: &Context<'_>) -> Result<String, Failure> {
    let document = context.document()?;
    let profile = Profile::parse(&document).map_err(|problem| {
        Failure::of(error::BAD_PARAMETER).saying(format!("The profile is not valid: {problem}"))
    })?;
    for path in profile.unused {
        let text = format!("{}: it has no effect here", shown(&path));
        context.warnings.add(error::REQUEST_WARNING, text);
    }
    Ok(document)
}

async fn create(context: &Context<'_>) -> Answer {
    let now = now();
    let profile = StoredProfile {
        sid: ProfileSid::new(now, rand::random()),
        document: checked(context)?,
        created: now,
        updated: now,
    };
    context.state.store.insert_profile(&profile).await?;
    let place = address(context, &format!("Profiles/{}", profile.sid));
    Ok(document(context, &profile).with(LOCATION, &place))
}

async fn replace(context: &Context<'_>, sid: &str) -> Answer {
    let mut profile = find_changeable(context, sid).await?;
    profile.document = checked(context)?;
    let (store, at) = (&context.state.store, after(profile.updated));
    if !store
        .replace_profile(profile.sid, &profile.document, at)
        .await?
    {
        return Err(Failure::not_found());
    }
    Ok(document(context, &profile))
}

async fn delete(context: &Context<'_>, sid: &str) -> Answer {
    let profile = find_changeable(context, sid).await?;
    if !context.state.store.delete_profile(profile.sid).await? {
        return Err(Failure::not_found());
    }
    Ok(Reply::Nothing)
}

async fn link(context: &Context<'_>, sid: &str) -> Answer {
    let profile = find(context, sid).await?;
    let target = target(context).await?;
    if !context
        .state
        .store
        .link_profile(profile.sid, target, now())
        .await?
    {
        return Err(Failure::not_found());
    }
    Ok(Reply::Nothing)
}

async fn unlink(context: &Context<'_>, sid: &str) -> Answer {
    let profile = find(context, sid).await?;
    let target = target(context).await?;
    // One that is not linked stays so.
    context
        .state
        .store
        .unlink_profile(profile.sid, target)
        .await?;
    Ok(Reply::Nothing)
}

/// What the header `Link` names.
async fn target(context: &Context<'_>) -> Result<Target, Failure> {
    let store = &context.state.store;
    let mut lines = context.headers.get_all(LINK).iter();
    let line = lines.next().and_then(|line| line.to_str().ok());
    let only = line.filter(|_| lines.next().is_none());
    let target = only.and_then(read_link).ok_or_else(|| {
        let reason = "send one link: `<…/Accounts/{AC…}>; rel=\"related\"` or `<…/Organizations/{OR…}>; rel=\"related\"`";
        Failure::parameter("Link", reason)
    })?;
    let exists = match target {
        Target::Account(sid) => store.account(sid).await?.is_some(),
        Target::Organization(sid) => store.organization(sid).await?.is_some(),
    };
    exists.then_some(target).ok_or_else(Failure::not_found)
}

/// The target of a link (RFC 8288 §3), if there is one, of this relation.
fn read_link(line: &str) -> Option<Target> {
    let (address, rest) = line.trim().strip_prefix('<')?.split_once('>')?;
    let mut params = rest
        .split(';')
        .map(str::trim)
        .filter(|param| !param.is_empty());
    let is_related = params.all(|param| {
        let (name, value) = param.split_once('=').unwrap_or((param, ""));
        let value = value.trim().trim_matches('"');
        !name.trim().eq_ignore_ascii_case("rel") || value.eq_ignore_ascii_case("related")
    });
    let has_relation = rest.to_ascii_lowercase().contains("rel");
    if !is_related || !has_relation || rest.contains(['<', '>', ',']) {
        return None;
    }
    let mut segments = address.trim_end_matches('/').rsplit('/');
    let (sid, kind) = (segments.next()?, segments.next()?);
    let kind = kind.strip_suffix(".json").unwrap_or(kind);
    let sid = sid.strip_suffix(".json").unwrap_or(sid);
    match kind {
        "Accounts" => sid.parse().ok().map(Target::Account),
        "Organizations" => sid.parse().ok().map(Target::Organization),
        _ => None,
    }
}

/// The value of the header that names the profile of an account or organization.
pub(crate) fn related(context: &Context<'_>, profile: ProfileSid) -> String {
    let address = address(context, &format!("Profiles/{profile}"));
    format!("<{address}>; rel=\"related\"; title=\"Profiles\"")
}

/// The answer that shows an account, with a link to its profile where there are any.
pub(crate) async fn with_link(context: &Context<'_>, account: &Account, reply: Reply) -> Answer {
    if !context.dialect.pick(RESTCOMM) {
        return Ok(reply);
    }
    let profile = context.state.store.profile_of(account.sid).await?;
    Ok(reply.with(LINK, &related(context, profile.sid)))
}

/// The refusal of what a profile does not allow.
pub(crate) fn refused(what: &str, profile: &Effective) -> Failure {
    Failure::of(error::PROFILE_REFUSED).saying(format!(
        "{what}: the profile {} of the account does not allow it",
        profile.sid
    ))
}

#[cfg(test)]
mod tests {
    use super::read_link;

    #[test]
    fn a_link_names_one_target() {
        let ac = "AC00000000000000000000000000000001";
        let table = [
            (
                format!("<http://h/restcomm/2012-04-24/Accounts/{ac}>; rel=\"related\""),
                true,
            ),
            (
                format!("</2012-04-24/Accounts.json/{ac}>;rel=related"),
                true,
            ),
            (
                format!("<http://h/Accounts/{ac}>; title=\"x\"; REL=\"Related\""),
                true,
            ),
            (format!("<http://h/Accounts/{ac}>"), false),
            (format!("<http://h/Accounts/{ac}>; rel=\"next\""), false),
            (format!("<http://h/Clients/{ac}>; rel=\"related\""), false),
            ("<http://h/Accounts/1>; rel=\"related\"".to_owned(), false),
            (
                "<http://h/Organizations/OR00000000000000000000000000000001>; rel=\"related\""
                    .to_owned(),
                true,
            ),
            (
                format!(
                    "<http://h/Accounts/{ac}>; rel=\"related\", <http://h/Accounts/{ac}>; rel=\"related\""
                ),
                false,
            ),
            (ac.to_owned(), false),
            (String::new(), false),
        ];
        for (line, good) in table {
            assert_eq!(read_link(&line).is_some(), good, "{line}");
        }
    }
}
