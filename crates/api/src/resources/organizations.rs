//! `/Organizations`: the tenants of the server, each with a SIP domain.

mod moving;

use http::header::LINK;
use model::record::Organization;
use model::{OrganizationSid, OrganizationStatus, error};

use crate::context::{Answer, Context, now};
use crate::failure::Failure;
use crate::params::shown;
use crate::resources::accounts::ACCOUNT;
use crate::resources::profiles;
use crate::roles::Action;
use crate::route::{Answers, Is, Param, RESTCOMM, Route, param, sid};
use crate::value::{Field, Kind, Null, Resource, Value, field};

/// Maximum number of characters of a domain and of one of its labels (RFC 1035 §2.3.4).
const MAX_DOMAIN: usize = 253;
const MAX_LABEL: usize = 63;

const FIELDS: &[Field<Organization>] = &[
    field(
        "sid",
        "Sid",
        Kind::Text,
        Null::Never,
        "Identifier.",
        |o, _| Value::text(o.sid),
    ),
    field(
        "domain_name",
        "DomainName",
        Kind::Text,
        Null::Never,
        "SIP domain; also the digest realm of its clients.",
        |o, _| Value::text(&o.domain_name),
    ),
    field(
        "status",
        "Status",
        Kind::Text,
        Null::Never,
        "`active` or `closed`.",
        |o, _| Value::text(o.status.as_str()),
    ),
    field(
        "date_created",
        "DateCreated",
        Kind::Date,
        Null::Never,
        "When it was created.",
        |o, _| Value::Date(o.created),
    ),
    field(
        "date_updated",
        "DateUpdated",
        Kind::Date,
        Null::Never,
        "When it was last changed.",
        |o, _| Value::Date(o.updated),
    ),
    field(
        "uri",
        "Uri",
        Kind::Link,
        Null::Never,
        "Path of this resource.",
        |o, view| {
            Value::Link(format!(
                "{}/Organizations/{}",
                view.dialect.link_base, o.sid
            ))
        },
    ),
];

static ORGANIZATION: Resource<Organization> = Resource {
    xml: ["Organization", "Organization"],
    xml_list: ["Organizations", "Organizations"],
    json_list: ["organizations", "organizations"],
    xml_envelope: [true, true],
    fields: FIELDS,
};

const LIST: &[&str] = &["/Organizations"];
const ONE: &[&str] = &["/Organizations/{organization}"];
const STATUSES: Is = Is::Word(&["active", "closed"]);

/// The routes of organizations.
pub(crate) static ROUTES: &[Route] = &[
    Route::get(LIST, |c, _, _| Box::pin(list(c)))
        .needs(Action::Read, "Organizations")
        .top_only()
        .within(RESTCOMM)
        .refuses([&[404], &[]])
        .params(&[FILTERS])
        .answers(Answers::All(&ORGANIZATION))
        .doc("Lists the organizations of the server. 404 if none has the requested status."),
    Route::get(ONE, |c, _, sid| Box::pin(get(c, sid)))
        .needs(Action::Read, "Organizations")
        .within(RESTCOMM)
        .answers(Answers::One(&ORGANIZATION))
        .doc("Reads an organization; the top account can read all, other accounts only their own. The header `Link` names the profile that applies to its accounts."),
    Route::put(ONE, |c, _, domain| Box::pin(create(c, domain)))
        .needs(Action::Create, "Organizations")
        .top_only()
        .within(RESTCOMM)
        .instead(&[("HostedZoneId", "create the DNS records of the domain yourself")])
        .answers(Answers::One(&ORGANIZATION))
        .doc("Creates an organization with the domain at the end of the path. The server then accepts SIP requests and registrations for that domain; they belong to the organization."),
    Route::post(&["/Accounts/migrate/{account}"], |c, a, _| {
        Box::pin(moving::move_account(c, a))
    })
    .needs(Action::Modify, "Accounts")
    .top_only()
    .within(RESTCOMM)
    .params(&[TO])
    .answers(Answers::One(&ACCOUNT))
    .doc("Moves an account directly below the top account, and all below it, to another organization, with their clients and numbers."),
    Route::post(&["/Accounts/{account}/IncomingPhoneNumbers/migrate"], |c, a, _| {
        Box::pin(moving::move_numbers(c, a))
    })
    .needs(Action::Modify, "IncomingPhoneNumbers")
    .top_only()
    .within(RESTCOMM)
    .params(&[NUMBERS_TO])
    .doc("Moves the numbers of an account and of all below it to another organization, where extensions and patterns among them can then be dialled; the accounts stay where they are."),
    Route::post(ONE, |c, _, sid| Box::pin(update(c, sid)))
        .needs(Action::Modify, "Organizations")
        .top_only()
        .within(RESTCOMM)
        .params(&[CHANGES])
        .answers(Answers::One(&ORGANIZATION))
        .doc("Closes an organization that has no open accounts left, or opens it again. The server accepts its domain only while it is open."),
];

const FILTERS: &[Param] = &[param("Status", STATUSES, "Organizations with this status.")];

const CHANGES: &[Param] = &[param(
    "Status",
    STATUSES,
    "New status; `closed` is refused while an account of the organization is open.",
)];

const TO: &[Param] = &[param(
    "Organization",
    Is::Text,
    "Identifier or domain of the organization; 412 if it is missing or unknown.",
)];

const NUMBERS_TO: &[Param] = &[param(
    "OrganizationSid",
    Is::Sid(sid::<OrganizationSid>),
    "Identifier of the organization.",
)
.required()];

async fn list(context: &Context<'_>) -> Answer {
    let status = context.params.word("Status").and_then(status_of);
    let rows = context.state.store.organizations(status).await?;
    if rows.is_empty() {
        return Err(Failure::not_found());
    }
    Ok(context.bare(&ORGANIZATION, &rows))
}

fn status_of(word: &str) -> Option<OrganizationStatus> {
    word.parse().ok()
}

/// The organization with an identifier.
async fn find(context: &Context<'_>, sid: &str) -> Result<Organization, Failure> {
    let sid: OrganizationSid = sid.parse().map_err(|_| {
        let reason = format!("`{}` is not the identifier of an organization", shown(sid));
        Failure::parameter("Sid", &reason)
    })?;
    // Whether another one exists is not revealed.
    if !context.is_super_admin() && sid != context.caller.organization {
        return Err(Failure::forbidden());
    }
    let found = context.state.store.organization(sid).await?;
    let found = found.ok_or_else(Failure::not_found)?;
    Ok((*found).clone())
}

async fn get(context: &Context<'_>, sid: &str) -> Answer {
    let organization = find(context, sid).await?;
    let store = &context.state.store;
    let profile = store.profile_of_organization(organization.sid).await?;
    let link = profiles::related(context, profile);
    Ok(context.show(&ORGANIZATION, &organization).with(LINK, &link))
}

async fn create(context: &Context<'_>, domain: &str) -> Answer {
    let domain = domain.to_lowercase();
    check_domain(&domain)?;
    let now = now();
    let organization = Organization {
        sid: OrganizationSid::new(now, rand::random()),
        domain_name: domain,
        status: OrganizationStatus::Active,
        created: now,
        updated: now,
    };
    let store = &context.state.store;
    store.insert_organization(organization.clone()).await?;
    Ok(context.show(&ORGANIZATION, &organization))
}

/// Refuses what cannot be a SIP domain of an organization.
fn check_domain(domain: &str) -> Result<(), Failure> {
    let refused = |reason: &str| Err(Failure::parameter("DomainName", reason));
    let is_label = |label: &str| {
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '-';
        (1..=MAX_LABEL).contains(&label.len())
            && label.chars().all(is_part)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if domain.len() > MAX_DOMAIN || !domain.split('.').all(is_label) {
        return refused(
            "write letters, digits and `-`, in parts of at most 63 characters with `.` between them",
        );
    }
    let last = domain.rsplit('.').next().unwrap_or_default();
    if last.bytes().all(|byte| byte.is_ascii_digit()) || domain == "localhost" {
        return refused("an address, or the name of this machine, is not a domain");
    }
    if is_sid(domain) {
        return refused("this is an identifier; change an organization with POST");
    }
    Ok(())
}

/// Whether a domain would be mistaken for the identifier of an organization.
fn is_sid(domain: &str) -> bool {
    let digits = domain.strip_prefix("or");
    digits.is_some_and(|digits| format!("OR{digits}").parse::<OrganizationSid>().is_ok())
}

async fn update(context: &Context<'_>, sid: &str) -> Answer {
    let organization = find(context, sid).await?;
    let Some(status) = context.params.word("Status").and_then(status_of) else {
        return Err(Failure::parameter("Status", "this parameter is required"));
    };
    let store = &context.state.store;
    if !store
        .set_organization_status(organization.sid, status, now())
        .await?
    {
        let text = "Status: the organization has accounts; close them or move them to another organization first";
        return Err(Failure::of(error::CONFLICT).saying(text));
    }
    Ok(context.show(&ORGANIZATION, &find(context, sid).await?))
}

/// The organization that a parameter names by its identifier or domain.
async fn named(context: &Context<'_>, text: &str) -> Result<Option<Organization>, Failure> {
    let store = &context.state.store;
    let text = text.trim();
    let found = match text.parse::<OrganizationSid>() {
        Ok(sid) => store.organization(sid).await?,
        Err(_) => store.organization_of_domain(text).await?,
    };
    Ok(found.map(|found| (*found).clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_are_checked() {
        let long = format!("{}.example", "a".repeat(64));
        let table = [
            ("newdomain", true),
            ("two.example", true),
            ("a-1.b.example", true),
            ("", false),
            ("-a.example", false),
            ("a-.example", false),
            ("a..example", false),
            ("a_b.example", false),
            ("two.example:5060", false),
            (&long, false),
            ("127.0.0.1", false),
            ("1234", false),
            ("localhost", false),
            ("or00000000000000000000000000000000", false),
        ];
        for (domain, good) in table {
            assert_eq!(check_domain(domain).is_ok(), good, "{domain}");
        }
    }
}
