//! `/Accounts`: accounts and those below them.

use model::record::{Account, Client};
use model::{AccountSid, AccountStatus, OrganizationSid, error};
use store::StoreError;
use store::credentials::{hash_password, random_token};

use crate::context::{Answer, Context, VERSION, Verb, now};
use crate::failure::Failure;
use crate::params::shown;
use crate::password;
use crate::resources::{clients, recordings};
use crate::roles::Action;
use crate::value::{Entry, Field, Kind, Null, Resource, Value, field};

/// Accounts above a new one at most.
const DEEPEST: usize = 2;
/// Never a new account's: the administrator of every installation has it.
const RESERVED_EMAIL: &str = "administrator@company.com";

const FIELDS: &[Field<Account>] = &[
    field("sid", "Sid", Kind::Text, Null::Absent, |a, _| {
        Value::text(a.sid)
    }),
    field(
        "organization",
        "organization",
        Kind::Text,
        Null::Absent,
        |a, _| Value::text(a.organization),
    ),
    field(
        "friendly_name",
        "FriendlyName",
        Kind::Text,
        Null::Absent,
        |a, _| Value::text(&a.friendly_name),
    ),
    field(
        "email_address",
        "EmailAddress",
        Kind::Text,
        Null::Absent,
        |a, _| Value::text(&a.email),
    ),
    field("type", "Type", Kind::Text, Null::Absent, |_, _| {
        Value::text("Full")
    }),
    field("status", "Status", Kind::Text, Null::Absent, |a, _| {
        Value::text(a.status)
    }),
    field("role", "Role", Kind::Text, Null::Absent, |a, _| {
        Value::text(&a.role)
    }),
    field(
        "date_created",
        "DateCreated",
        Kind::Date,
        Null::Absent,
        |a, _| Value::Date(a.created),
    ),
    field(
        "date_updated",
        "DateUpdated",
        Kind::Date,
        Null::Absent,
        |a, _| Value::Date(a.updated),
    ),
    field(
        "auth_token",
        "AuthToken",
        Kind::Text,
        Null::Absent,
        |a, _| Value::text(&a.auth_token),
    ),
    field("uri", "Uri", Kind::Link, Null::Absent, |a, _| {
        Value::Links {
            json: format!("/{VERSION}/Accounts.json/{}", a.sid),
            xml: format!("/{VERSION}/Accounts/{}", a.sid),
        }
    }),
    field(
        "subresource_uris",
        "SubresourceUris",
        Kind::Object,
        Null::Absent,
        |a, _| subresources(a),
    ),
];

const ACCOUNT: Resource<Account> = Resource {
    xml: "Account",
    xml_list: "Accounts",
    fields: FIELDS,
};

/// Names in JSON, in XML and in the path.
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
    ("recordings", "Recordings", "Recordings"),
    ("sandbox", "Sandbox", "Sandbox"),
    ("sms_messages", "SMSMessages", "SMS/Messages"),
    ("transcriptions", "Transcriptions", "Transcriptions"),
];

fn subresources(account: &Account) -> Value {
    let entry = |(json, xml, path): &(&'static str, &'static str, &'static str)| Entry {
        json,
        xml,
        null: Null::Absent,
        value: Value::Link(format!("/{VERSION}/Accounts/{}/{path}", account.sid)),
    };
    Value::Object(SUBRESOURCES.iter().map(entry).collect())
}

/// Accounts below the caller, and new ones.
pub(crate) async fn collection(context: &Context<'_>) -> Answer {
    match context.verb {
        Verb::Get => list(context).await,
        Verb::Post => create(context).await,
        Verb::Put | Verb::Delete | Verb::Other => Err(Failure::method("GET, POST")),
    }
}

async fn list(context: &Context<'_>) -> Answer {
    context.permit(Action::Read, "Accounts")?;
    let store = &context.state.store;
    let params = &context.params;
    let (sid, domain) = (
        params.filled("OrganizationSid"),
        params.filled("DomainName"),
    );
    if (sid.is_some() || domain.is_some()) && !context.is_super_admin() {
        return Err(Failure::forbidden());
    }
    let accounts = if sid.is_some() {
        match params.parsed::<OrganizationSid>("OrganizationSid", "an organization")? {
            Some(sid) => store.organization_accounts(sid).await?,
            None => Vec::new(),
        }
    } else if let Some(domain) = domain {
        let organization = store.organization_of_domain(domain).await?;
        let organization = organization.ok_or_else(Failure::not_found)?;
        store.organization_accounts(organization.sid).await?
    } else {
        store.child_accounts(context.caller.sid).await?
    };
    Ok(context.show_all(&ACCOUNT, &accounts))
}

async fn create(context: &Context<'_>) -> Answer {
    context.permit(Action::Create, "Accounts")?;
    let parent = &context.caller;
    let params = &context.params;
    let email = params.required("EmailAddress")?.trim().to_lowercase();
    let password = params.required("Password")?;
    check_email(&email)?;
    password::check(password)?;
    if context.depth(parent).await? >= DEEPEST {
        return Err(Failure::of(error::BAD_PARAMETER)
            .saying("an account on the third level can have no sub-accounts"));
    }
    let taken =
        || Failure::of(error::CONFLICT).saying("EmailAddress: an account with this address exists");
    if email == RESERVED_EMAIL {
        return Err(taken());
    }
    let now = now();
    let role = params
        .name("Role")?
        .filter(|_| context.is_administrator())
        .unwrap_or_else(|| parent.role.clone());
    let account = Account {
        sid: AccountSid::new(now, rand::random()),
        organization: organization(context, parent).await?,
        parent: Some(parent.sid),
        friendly_name: params
            .name("FriendlyName")?
            .unwrap_or_else(|| email.clone()),
        status: params
            .parsed("Status", "a status")?
            .unwrap_or(AccountStatus::Active),
        role,
        password_hash: Some(hash_password(password.to_owned()).await),
        auth_token: random_token(),
        secondary_token: None,
        email,
        created: now,
        updated: now,
    };
    let client = own_client(context, &account, password).await?;
    match context
        .state
        .store
        .insert_account(account.clone(), client)
        .await
    {
        Ok(()) => Ok(context.show(&ACCOUNT, &account)),
        Err(StoreError::Duplicate(_)) => Err(taken()),
        Err(error) => Err(error.into()),
    }
}

/// The organization of a new account: the parent's unless another is asked for.
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

/// The client that an account gets with it, unless the organization has that login already.
async fn own_client(
    context: &Context<'_>,
    account: &Account,
    password: &str,
) -> Result<Option<Client>, Failure> {
    let login = login_of(account);
    let store = &context.state.store;
    if store
        .client_in(account.organization, login)
        .await?
        .is_some()
    {
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
            &format!("`{}` is no e-mail address", shown(email)),
        ))
    }
}

/// One.
pub(crate) async fn item(context: &Context<'_>, id: &str) -> Answer {
    let action = match context.verb {
        Verb::Get => Action::Read,
        Verb::Post | Verb::Put => Action::Modify,
        Verb::Delete | Verb::Other => return Err(Failure::method("GET, POST, PUT")),
    };
    let account = context.operate(id, action, "Accounts").await?;
    if account.sid != context.caller.sid && !context.is_administrator() {
        return Err(Failure::forbidden());
    }
    if action == Action::Read {
        return Ok(context.show(&ACCOUNT, &account));
    }
    update(context, (*account).clone()).await
}

async fn update(context: &Context<'_>, mut account: Account) -> Answer {
    let params = &context.params;
    if account.status == AccountStatus::Closed {
        return Err(Failure::parameter(
            "Status",
            "a closed account stays as it is",
        ));
    }
    let name = params.name("FriendlyName")?;
    let password = params.filled("Password");
    let status: Option<AccountStatus> = params.parsed("Status", "a status")?;
    if let Some(role) = params.name("Role")? {
        if !context.is_administrator() {
            return Err(Failure::forbidden());
        }
        account.role = role;
    }
    if status == Some(AccountStatus::Closed) && account.parent.is_none() {
        return Err(Failure::parameter(
            "Status",
            "the top account cannot be closed",
        ));
    }
    if let Some(password) = password {
        password::check(password)?;
        account.password_hash = Some(hash_password(password.to_owned()).await);
        if account.status == AccountStatus::Uninitialized {
            account.status = AccountStatus::Active;
        }
    }
    if let Some(name) = &name {
        account.friendly_name.clone_from(name);
    }
    account.updated = now();
    let store = &context.state.store;
    store.update_account(account.clone()).await?;
    update_client(context, &account, name.as_deref(), password).await?;
    if let Some(status) = status {
        set_status(context, &account, status).await?;
    }
    let account = store.account(account.sid).await?;
    let account = account.ok_or_else(Failure::not_found)?;
    Ok(context.show(&ACCOUNT, &account))
}

/// Lets the client that came with the account follow it.
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
    let Some(client) = found.filter(|client| client.account == account.sid) else {
        return Ok(());
    };
    let mut client = (*client).clone();
    if let Some(name) = name {
        name.clone_into(&mut client.friendly_name);
    }
    if let Some(password) = password {
        clients::set_password(context, &mut client, password).await?;
    }
    client.updated = account.updated;
    store.update_client(client).await?;
    Ok(())
}

/// Sets the status of an account and all below it. Closing removes their recordings too.
async fn set_status(
    context: &Context<'_>,
    account: &Account,
    status: AccountStatus,
) -> Result<(), Failure> {
    let files = if status == AccountStatus::Closed {
        recordings::of_tree(context, account.sid).await?
    } else {
        Vec::new()
    };
    let store = &context.state.store;
    store.set_account_status(account.sid, status, now()).await?;
    recordings::remove_files(context, files).await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::check_email;

    #[test]
    fn addresses_are_checked() {
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
