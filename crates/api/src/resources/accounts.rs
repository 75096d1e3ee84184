//! `/Accounts`: accounts and their sub-accounts.

use model::record::{Account, Client};
use model::{AccountSid, AccountStatus, OrganizationSid, error};
use store::credentials::{hash_password, random_token};
use store::{AccountChange, AccountFilter, StoreError};

use crate::closing::clear_closed_accounts;
use crate::common;
use crate::context::{ATTEMPTS, Answer, Context, after, now};
use crate::failure::Failure;
use crate::page::{Page, row_key};
use crate::params::shown;
use crate::password;
use crate::resources::{clients, profiles};
use crate::roles::Action;
use crate::route::{self, Answers, Is, Param, RESTCOMM, Route, TWILIO, TWILIO_PAGING, param, sid};
use crate::value::{Entry, Field, Kind, Null, Resource, Value, View, field};

/// Maximum number of accounts above a new one.
const DEEPEST: usize = 2;
/// Maximum size of an e-mail address before its `@`, in bytes (RFC 5321 §4.5.3.1.1).
const LONGEST_LOCAL_PART: usize = 64;
/// Reserved: the administrator of every installation has it.
const RESERVED_EMAIL: &str = "administrator@company.com";

/// The type of an account whose calls reach people.
const FULL: &str = "Full";
/// The type of an account that calls the numbers of test mode.
const TEST: &str = "Test";

const FIELDS: &[Field<Account>] = &[
    common::sid(|a, _| Value::text(a.sid)),
    field(
        "organization",
        "organization",
        Kind::Text,
        Null::Never,
        "Organization that it belongs to.",
        |a, _| Value::text(a.organization),
    ),
    field(
        "friendly_name",
        "FriendlyName",
        Kind::Text,
        Null::Never,
        "Name to display.",
        |a, _| Value::text(&a.friendly_name),
    ),
    field(
        "email_address",
        "EmailAddress",
        Kind::Text,
        Null::Never,
        "E-mail address; also a login name of this API.",
        |a, _| Value::text(&a.email),
    ),
    field(
        "type",
        "Type",
        Kind::Text,
        Null::Never,
        "`Full`, or `Test` for a test account.",
        |a, _| Value::text(if a.is_test { TEST } else { FULL }),
    ),
    field(
        "status",
        "Status",
        Kind::Text,
        Null::Never,
        "`active`, `suspended`, `closed` or, at the Restcomm base, `inactive` or `uninitialized`.",
        |a, view| Value::text((view.dialect.account_status)(a.status)),
    ),
    field::<Account>(
        "owner_account_sid",
        "OwnerAccountSid",
        Kind::Text,
        Null::Never,
        "Parent account, or the account itself if it has none.",
        |a, _| Value::text(a.parent.unwrap_or(a.sid)),
    )
    .within(TWILIO),
    field(
        "role",
        "Role",
        Kind::Text,
        Null::Never,
        "Role, which limits what it may do.",
        |a, _| Value::text(&a.role),
    ),
    common::date_created(|a, _| Value::Date(a.created)),
    common::date_updated(|a, _| Value::Date(a.updated)),
    field(
        "auth_token",
        "AuthToken",
        Kind::Text,
        Null::Never,
        "Token for this API and for signatures.",
        |a: &Account, _| Value::text(&a.auth_token),
    )
    .secret(),
    field::<Account>(
        "uri",
        "Uri",
        Kind::Link,
        Null::Never,
        "Path of this resource.",
        |a, view| Value::Links {
            json: format!("{}/Accounts.json/{}", view.dialect.link_base, a.sid),
            xml: format!("{}/Accounts/{}", view.dialect.link_base, a.sid),
        },
    )
    .twilio(Kind::Link, |a, view| {
        Value::Link(format!("{}/Accounts/{}", view.dialect.link_base, a.sid))
    }),
    field(
        "subresource_uris",
        "SubresourceUris",
        Kind::Object,
        Null::Never,
        "Paths of its subresources.",
        subresources,
    ),
];

pub(crate) static ACCOUNT: Resource<Account> = Resource {
    xml: ["Account", "Account"],
    xml_list: ["Accounts", "Accounts"],
    json_list: ["accounts", "accounts"],
    xml_envelope: [true, true],
    fields: FIELDS,
};

const LIST: &[&str] = &["/Accounts"];
const ONE: &[&str] = &["/Accounts/{account}"];

/// The routes of accounts.
pub(crate) static ROUTES: &[Route] = &[
    Route::get(LIST, |c, a, _| Box::pin(list(c, a)))
        .needs(Action::Read, "Accounts")
        .refuses([&[404], &[404]])
        .params(&[FILTERS, TWILIO_PAGING])
        .answers(Answers::All(&ACCOUNT))
        .doc("Lists the accounts directly below the one that makes the request; at the Twilio base, also that account itself."),
    Route::post(LIST, |c, a, _| Box::pin(create(c, a)))
        .needs(Action::Create, "Accounts")
        .params(&[NEW, PROPERTIES])
        .answers(Answers::One(&ACCOUNT))
        .status([200, 201])
        .doc("Creates an account below the one that makes the request. If it has a password, a client is created too, with the same password; its login is the part of the e-mail address before the `@`. None is created if that is not a valid login or is taken."),
    Route::get(ONE, |c, a, _| Box::pin(get(c, a)))
        .needs(Action::Read, "Accounts")
        .answers(Answers::One(&ACCOUNT))
        .doc("Reads an account; its e-mail address or name may be used instead of its SID. At the Restcomm base, the header `Link` names the profile that applies to it."),
    Route::post(ONE, |c, a, _| Box::pin(update(c, a)))
        .needs(Action::Modify, "Accounts")
        .params(&[PASSWORD, PROPERTIES])
        .answers(Answers::One(&ACCOUNT))
        .doc("Changes an account; `closed` permanently closes it and all accounts below it, hangs up their calls, and removes their clients, numbers, applications, notifications and recordings."),
    Route::put(ONE, |c, a, _| Box::pin(update(c, a)))
        .needs(Action::Modify, "Accounts")
        .within(RESTCOMM)
        .params(&[PASSWORD, PROPERTIES])
        .answers(Answers::One(&ACCOUNT))
        .doc("Changes an account."),
];

const FILTERS: &[Param] = &[
    param(
        "OrganizationSid",
        Is::Sid(sid::<OrganizationSid>),
        "Accounts of this organization; only for the top account.",
    )
    .within(RESTCOMM),
    param(
        "DomainName",
        Is::Text,
        "Accounts of the organization with this domain; only for the top account.",
    )
    .within(RESTCOMM),
    param("FriendlyName", Is::Text, "Accounts with exactly this name.").within(TWILIO),
    param(
        "Status",
        Is::Word(&["active", "suspended", "closed"]),
        "Accounts in this state.",
    )
    .within(TWILIO),
];

const NEW: &[Param] = &[
    param(
        "EmailAddress",
        Is::Text,
        "Unique e-mail address; also a login name of this API.",
    )
    .required_in(RESTCOMM),
    param(
        "OrganizationSid",
        Is::Sid(sid::<OrganizationSid>),
        "Organization; if not given, that of the account that makes the request.",
    ),
    param("Password", Is::Secret, "Password for this API.").required_in(RESTCOMM),
    param(
        "Type",
        Is::Word(&[FULL, TEST]),
        "`Test` for a test account, whose calls and messages to numbers do not leave the server; `Full` if not given. It cannot be changed. Accounts below a test account are test accounts.",
    ),
];

const PASSWORD: &[Param] = &[param("Password", Is::Secret, "Password for this API.")];

const PROPERTIES: &[Param] = &[
    param("FriendlyName", Is::Text, "Name to display."),
    param(
        "Role",
        Is::Text,
        "Role of the account; only an account with the role `Administrator` can set it. A new account has the role of its parent if none is given.",
    ),
    param(
        "Status",
        Is::Word(&["active", "suspended", "inactive", "closed"]),
        "New status; `closed` cannot be undone.",
    ),
];

/// Names in JSON, in XML and in the path. Sub-resources that do not exist here are not shown.
const SUBRESOURCES: &[(&str, &str, &str)] = &[
    (
        "available_phone_numbers",
        "AvailablePhoneNumbers",
        "AvailablePhoneNumbers",
    ),
    ("calls", "Calls", "Calls"),
    ("conferences", "Conferences", "Conferences"),
    (
        "incoming_phone_numbers",
        "IncomingPhoneNumbers",
        "IncomingPhoneNumbers",
    ),
    ("notifications", "Notifications", "Notifications"),
    (
        "outgoing_caller_ids",
        "OutgoingCallerIds",
        "OutgoingCallerIds",
    ),
    ("queues", "Queues", "Queues"),
    ("recordings", "Recordings", "Recordings"),
    ("sandbox", "Sandbox", "Sandbox"),
    ("sms_messages", "SMSMessages", "SMS/Messages"),
    ("transcriptions", "Transcriptions", "Transcriptions"),
];

fn subresources(account: &Account, view: View<'_>) -> Value {
    let entry = |(json, xml, path): &(&'static str, &'static str, &'static str)| Entry {
        json,
        xml,
        null: Null::Absent,
        value: Value::Link(format!(
            "{}/Accounts/{}/{path}",
            view.dialect.link_base, account.sid
        )),
    };
    let exists = |(_, _, path): &&(&'static str, &'static str, &'static str)| {
        let path = format!("/Accounts/{{account}}/{path}");
        route::all(view.dialect).any(|route| route.paths.contains(&path.as_str()))
    };
    Value::Object(SUBRESOURCES.iter().filter(exists).map(entry).collect())
}

async fn list(context: &Context<'_>, caller: &Account) -> Answer {
    if context.dialect.bare_lists {
        let accounts = all(context, caller).await?;
        return Ok(context.bare(&ACCOUNT, &accounts));
    }
    let params = &context.params;
    let page = Page::read(context)?;
    let shown_as = |word: &str| {
        let status = |status: &AccountStatus| (context.dialect.account_status)(*status);
        let stored = AccountStatus::ALL.into_iter();
        stored
            .filter(|stored| status(stored).as_str() == word)
            .collect()
    };
    let filter = AccountFilter {
        parent: caller.sid,
        itself: context.dialect.lists_own_account,
        friendly_name: params.filled("FriendlyName").map(str::to_owned),
        statuses: params.word("Status").map_or_else(Vec::new, shown_as),
        window: page.window(),
    };
    let rows = context.state.store.accounts_page(&filter).await?;
    page.show(context, &ACCOUNT, "/Accounts", rows, |account| {
        row_key(account.created, account.sid)
    })
}

/// The accounts below the caller, or of an organization.
async fn all(context: &Context<'_>, caller: &Account) -> Result<Vec<Account>, Failure> {
    let store = &context.state.store;
    let params = &context.params;
    let (sid, domain) = (
        params.filled("OrganizationSid"),
        params.filled("DomainName"),
    );
    if (sid.is_some() || domain.is_some()) && !context.is_super_admin() {
        return Err(Failure::forbidden());
    }
    Ok(if sid.is_some() {
        match params.parsed::<OrganizationSid>("OrganizationSid", "an organization")? {
            Some(sid) => store.organization_accounts(sid).await?,
            None => Vec::new(),
        }
    } else if let Some(domain) = domain {
        let organization = store.organization_of_domain(domain).await?;
        let organization = organization.ok_or_else(Failure::not_found)?;
        store.organization_accounts(organization.sid).await?
    } else {
        store.child_accounts(caller.sid).await?
    })
}

async fn create(context: &Context<'_>, parent: &Account) -> Answer {
    let params = &context.params;
    let now = now();
    let sid = AccountSid::new(now, rand::random());
    // Twilio's clients send only a name: such an account signs in with its SID and token.
    let email = match params.filled("EmailAddress") {
        Some(email) => email.trim().to_lowercase(),
        None => format!("{sid}@accounts.invalid").to_lowercase(),
    };
    let password = params.filled("Password");
    check_email(&email)?;
    if let Some(password) = password {
        password::check(password)?;
    }
    if context.depth(parent).await? >= DEEPEST {
        return Err(Failure::of(error::BAD_PARAMETER)
            .saying("an account on the third level can have no sub-accounts"));
    }
    let taken =
        || Failure::of(error::CONFLICT).saying("EmailAddress: an account with this address exists");
    if email == RESERVED_EMAIL {
        return Err(taken());
    }
    let role = new_role(context, parent)?;
    let account = Account {
        sid,
        organization: organization(context, parent).await?,
        parent: Some(parent.sid),
        friendly_name: params
            .name("FriendlyName")?
            .unwrap_or_else(|| email.clone()),
        status: params
            .parsed("Status", "a status")?
            .unwrap_or(AccountStatus::Active),
        role,
        password_hash: match password {
            Some(password) => Some(hash_password(password.to_owned()).await?),
            None => None,
        },
        auth_token: random_token(),
        secondary_token: None,
        is_test: is_test(context, parent)?,
        email,
        created: now,
        updated: now,
    };
    let client = match password {
        Some(password) if account.status != AccountStatus::Closed => {
            own_client(context, &account, password).await?
        }
        Some(_) | None => None,
    };
    let store = &context.state.store;
    let had_client = client.is_some();
    let profile = store.profile_of(parent.sid).await?;
    let limit = profile.limits.sub_accounts;
    let mut added = store
        .insert_account_within(limit, account.clone(), client)
        .await;
    if had_client && matches!(added, Err(StoreError::Duplicate(_) | StoreError::Taken(_))) {
        // The login is in use.
        added = store
            .insert_account_within(limit, account.clone(), None)
            .await;
    }
    match added {
        Ok(()) => Ok(context.show(&ACCOUNT, &account)),
        Err(StoreError::Duplicate(_)) => Err(taken()),
        Err(StoreError::TooMany) => Err(profiles::refused("Another sub-account", &profile)),
        Err(error) => Err(error.into()),
    }
}

/// Whether a new account is a test account.
fn is_test(context: &Context<'_>, parent: &Account) -> Result<bool, Failure> {
    match context.params.word("Type") {
        Some(word) if word == FULL && parent.is_test => Err(Failure::parameter(
            "Type",
            "accounts below a test account are test accounts",
        )),
        Some(word) => Ok(word == TEST),
        None => Ok(parent.is_test),
    }
}

/// The role of a new account: the parent's unless an administrator requests another.
fn new_role(context: &Context<'_>, parent: &Account) -> Result<String, Failure> {
    let Some(asked) = context.params.name("Role")? else {
        return Ok(parent.role.clone());
    };
    if context.is_administrator() {
        warn_of_role(context, &asked);
        return Ok(asked);
    }
    if asked != parent.role {
        let text = format!(
            "Role: only an account with the role `Administrator` can choose it; the account has the role `{}`",
            parent.role
        );
        context.warnings.add(error::REQUEST_WARNING, text);
    }
    Ok(parent.role.clone())
}

/// Warns of a role that permits nothing because nobody has defined it.
fn warn_of_role(context: &Context<'_>, role: &str) {
    if !context.state.roles.contain(role) {
        let text = format!(
            "Role: `{}` is not a role of this server, so the account may do nothing",
            shown(role)
        );
        context.warnings.add(error::REQUEST_WARNING, text);
    }
}

/// The organization of a new account: the parent's unless another is requested.
async fn organization(context: &Context<'_>, parent: &Account) -> Result<OrganizationSid, Failure> {
    let asked: Option<OrganizationSid> = context
        .params
        .parsed("OrganizationSid", "an organization")?;
    match asked {
        None => Ok(parent.organization),
        Some(sid) if sid == parent.organization => Ok(sid),
        Some(_) if !context.is_super_admin() => Err(Failure::forbidden()),
        Some(sid) => match context.state.store.organization(sid).await? {
            Some(_) => Ok(sid),
            None => Err(Failure::parameter(
                "OrganizationSid",
                "there is no such organization",
            )),
        },
    }
}

/// The client created with an account, unless its login is not valid or not for the account to use.
/// It is added only if the login is not in use.
async fn own_client(
    context: &Context<'_>,
    account: &Account,
    password: &str,
) -> Result<Option<Client>, Failure> {
    let login = login_of(account);
    if context.may_take_login(account, login).await.is_err() {
        return Ok(None);
    }
    let mut client = clients::new_client(context, account, login, password).await?;
    client.friendly_name.clone_from(&account.friendly_name);
    Ok(Some(client))
}

fn login_of(account: &Account) -> &str {
    account.email.split('@').next().unwrap_or_default()
}

fn check_email(email: &str) -> Result<(), Failure> {
    let local = email.split('@').next().unwrap_or_default();
    if email.len() > Account::MAX_EMAIL_BYTES || local.len() > LONGEST_LOCAL_PART {
        let reason = format!(
            "at most {} bytes are allowed, at most {LONGEST_LOCAL_PART} of them before the `@`",
            Account::MAX_EMAIL_BYTES
        );
        return Err(Failure::parameter("EmailAddress", &reason));
    }
    let good = email.split_once('@').is_some_and(|(local, domain)| {
        let is_local = |c: char| !c.is_whitespace() && !c.is_control() && !"?=@,;:<>\"".contains(c);
        let is_domain = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-');
        !local.is_empty()
            && local.chars().all(is_local)
            && !domain.is_empty()
            && domain.chars().all(is_domain)
    });
    if good {
        Ok(())
    } else {
        Err(Failure::parameter(
            "EmailAddress",
            &format!("`{}` is not an e-mail address", shown(email)),
        ))
    }
}

async fn get(context: &Context<'_>, account: &Account) -> Answer {
    only_itself(context, account)?;
    let shown = context.show(&ACCOUNT, account);
    profiles::with_link(context, account, shown).await
}

/// Unlike their contents, accounts themselves may be changed only by administrators above them.
pub(crate) fn only_itself(context: &Context<'_>, account: &Account) -> Result<(), Failure> {
    if account.sid == context.caller.sid || context.is_administrator() {
        Ok(())
    } else {
        Err(Failure::forbidden())
    }
}

async fn update(context: &Context<'_>, account: &Account) -> Answer {
    only_itself(context, account)?;
    let params = &context.params;
    if account.status == AccountStatus::Closed {
        return Err(Failure::parameter(
            "Status",
            "a closed account cannot be changed",
        ));
    }
    let password = params.filled("Password");
    let status: Option<AccountStatus> = params.parsed("Status", "a status")?;
    let mut change = AccountChange {
        friendly_name: params.name("FriendlyName")?,
        role: params.name("Role")?,
        password_hash: None,
    };
    if change.role.is_some() && !context.is_administrator() {
        return Err(Failure::forbidden());
    }
    if let Some(role) = &change.role {
        warn_of_role(context, role);
    }
    if status == Some(AccountStatus::Closed) && account.parent.is_none() {
        return Err(Failure::parameter(
            "Status",
            "the top account cannot be closed",
        ));
    }
    if let Some(password) = password {
        password::check(password)?;
        change.password_hash = Some(hash_password(password.to_owned()).await?);
    }
    let store = &context.state.store;
    if change != AccountChange::default() || status != Some(AccountStatus::Closed) {
        // It may have been closed by another request since it was read: closing it once more is then no failure.
        if !store.change_account(account.sid, &change, now()).await? {
            return Err(Failure::parameter(
                "Status",
                "a closed account cannot be changed",
            ));
        }
    }
    update_client(context, account, change.friendly_name.as_deref(), password).await?;
    if let Some(status) = status {
        set_status(context, account, status).await?;
    }
    let account = store.account(account.sid).await?;
    let account = account.ok_or_else(Failure::not_found)?;
    Ok(context.show(&ACCOUNT, &account))
}

/// Updates the client that was created with the account.
async fn update_client(
    context: &Context<'_>,
    account: &Account,
    name: Option<&str>,
    password: Option<&str>,
) -> Result<(), Failure> {
    if name.is_none() && password.is_none() {
        return Ok(());
    }
    let store = &context.state.store;
    let found = store
        .client_in(account.organization, login_of(account))
        .await?;
    let Some(found) = found.filter(|client| client.account == account.sid) else {
        return Ok(());
    };
    for _ in 0..ATTEMPTS {
        let Some(mut client) = store.client(found.sid).await? else {
            return Ok(());
        };
        if let Some(name) = name {
            name.clone_into(&mut client.friendly_name);
        }
        if let Some(password) = password {
            clients::set_password(context, &mut client, password).await?;
        }
        let read = client.updated;
        client.updated = after(read);
        if store.update_client(client, read).await? {
            return Ok(());
        }
    }
    Err(Failure::contended())
}

/// Sets the status of an account and all below it. Closing also ends their live calls and removes their
/// recordings.
async fn set_status(
    context: &Context<'_>,
    account: &Account,
    status: AccountStatus,
) -> Result<(), Failure> {
    let state = context.state;
    let store = &state.store;
    store.set_account_status(account.sid, status, now()).await?;
    if status == AccountStatus::Closed {
        let (calls, folder) = (&*state.calls, &state.recordings_dir);
        clear_closed_accounts(store, calls, folder, Some(account.sid)).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::check_email;

    #[test]
    fn addresses_are_checked() {
        let of_size =
            |local: usize, domain: usize| format!("{}@{}", "a".repeat(local), "b".repeat(domain));
        let table = [
            (of_size(64, 189), true),
            (of_size(65, 10), false),
            (of_size(64, 190), false),
            (of_size(1, 252), true),
            (of_size(1, 253), false),
            (format!("{}@b", "é".repeat(33)), false),
        ];
        for (email, good) in table {
            assert_eq!(check_email(&email).is_ok(), good, "{email}");
        }
        let table = [
            ("lyra@example.org", true),
            ("a.b+c@x-y.example", true),
            ("my?account@example.org", false),
            ("my=account@example.org", false),
            ("my@account@example.org", false),
            ("@example.org", false),
            ("lyra@", false),
            ("lyra", false),
            ("ly ra@example.org", false),
        ];
        for (email, good) in table {
            assert_eq!(check_email(email).is_ok(), good, "{email}");
        }
    }
}
