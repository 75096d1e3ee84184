//! The kind of route to a called party: the phones of a client, a trunk, or a SIP address.

use model::{AccountSid, AccountStatus, OrganizationSid, Target, error};

use super::{Rows, Want};
use crate::event::Unreachable;

/// Where to find a called party.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Way {
    /// At the registered phones of a client.
    Phones {
        /// Its organization.
        organization: OrganizationSid,
        /// Its login.
        login: String,
    },
    /// Behind the trunk for calls to the outside.
    Trunk {
        /// The number.
        number: String,
    },
    /// At a party of test mode (`crate::stand_in`).
    StandIn {
        /// The number.
        number: String,
    },
    /// At a SIP address.
    Address {
        /// The address.
        uri: String,
    },
}

/// Where a called party is named.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// In a noun of a document.
    Document,
    /// In a parameter of a request to the API.
    Parameter,
}

/// A number or login of a SIP address that leads to this server; it may be a client's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Local<'a> {
    /// Number or login.
    pub user: &'a str,
    /// The organization whose domain the address names; `None` if it names none.
    pub organization: Option<OrganizationSid>,
}

/// Decides where to find a called party.
///
/// - `account`: for which the party is called, and the organization in which names are looked up; all numbers that a test
///   account calls are those of test mode, whoever wrote the document
/// - `local`: what a SIP address means, if it leads to this server
///
/// # Errors
/// The row that the decision depends on, if it is not known yet.
pub fn way(
    target: &Target,
    (account, organization): (AccountSid, OrganizationSid),
    local: Option<Local<'_>>,
    rows: &Rows,
) -> Result<Result<Way, Unreachable>, Want> {
    match target {
        Target::Client(login) => phones(organization, login, rows),
        Target::Number(number) => Ok(Ok(outside(number, account, rows)?)),
        Target::Named(name) => {
            // Without a digit it must be a missing client.
            let is_client = means_client(organization, name, rows)?
                || !name.contains(|c: char| c.is_ascii_digit());
            if is_client {
                phones(organization, name, rows)
            } else {
                Ok(Ok(outside(name, account, rows)?))
            }
        }
        Target::Sip(uri) => match local {
            // Clients of different organizations do not reach each other.
            Some(Local {
                user,
                organization: Some(other),
            }) if other != organization && means_client(other, user, rows)? => {
                Ok(Err(no_client(user)))
            }
            Some(Local { user, .. }) if means_client(organization, user, rows)? => {
                phones(organization, user, rows)
            }
            Some(_) | None => Ok(Ok(Way::Address { uri: uri.clone() })),
        },
    }
}

/// Advice for a number that needs a trunk while there is none: how to call the client of that name from this place, or that
/// documents and the API reach a number of this server only through a trunk.
///
/// # Errors
/// The row that the answer depends on, if it is not known yet.
pub fn instead(
    number: &str,
    organization: OrganizationSid,
    place: Place,
    rows: &Rows,
) -> Result<Option<String>, Want> {
    if means_client(organization, number, rows)? {
        return Ok(Some(match place {
            Place::Document => format!("did you mean `<Client>{number}</Client>`?"),
            Place::Parameter => format!("did you mean `client:{number}`?"),
        }));
    }
    let is_own = rows.exact_number(organization, number)?.is_some();
    Ok(is_own.then(|| {
        let advice = match place {
            Place::Document => "; call a client, or redirect to the document of the number",
            Place::Parameter => "",
        };
        format!(
            "it is a number of this server, which phones and trunks can call, but documents and the API only through a trunk{advice}"
        )
    }))
}

/// Whether a text that may also be a number means a client.
fn means_client(organization: OrganizationSid, text: &str, rows: &Rows) -> Result<bool, Want> {
    Ok(match rows.client(organization, text)? {
        Some(client) => rows.number_before(client, text)?.is_none(),
        None => false,
    })
}

fn phones(
    organization: OrganizationSid,
    login: &str,
    rows: &Rows,
) -> Result<Result<Way, Unreachable>, Want> {
    let enabled = match rows.client(organization, login)? {
        Some(client) if client.enabled => rows.account(client.account)? == AccountStatus::Active,
        Some(_) | None => false,
    };
    Ok(if enabled {
        Ok(Way::Phones {
            organization,
            login: login.to_owned(),
        })
    } else {
        Err(no_client(login))
    })
}

fn no_client(login: &str) -> Unreachable {
    Unreachable {
        code: error::UNREACHABLE_TARGET,
        text: format!("there is no client `{login}`, or it is disabled"),
        is_unknown: true,
    }
}

/// Where the number of nobody on this server is called.
fn outside(number: &str, account: AccountSid, rows: &Rows) -> Result<Way, Want> {
    let number = number.to_owned();
    Ok(if rows.is_test(account)? {
        Way::StandIn { number }
    } else {
        Way::Trunk { number }
    })
}
