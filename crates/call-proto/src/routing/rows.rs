//! The rows that routing needs, one at a time.
//!
//! **Invariant: a decision asks for a row only if it depends on it.** The host fetches the row
//! named by [`Want`], adds it to [`Rows`], and repeats until there is a decision; the same rows
//! always give the same decision.

use std::collections::BTreeMap;
use std::sync::Arc;

use masking::Found;
use model::naming::{self, Claimant, claimant};
use model::profile::Limits;
use model::record::{Account, Application, Client, Number};
use model::{
    AccountSid, AccountStatus, ApplicationSid, MaskSessionSid, NumberSid, OrganizationSid, number,
};

/// A row that a decision depends on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Want {
    /// The client with this login in this organization.
    Client(OrganizationSid, String),
    /// The numbers that a dialled text may mean.
    Numbers {
        /// Where it is dialled.
        organization: OrganizationSid,
        /// As dialled.
        dialled: String,
        /// The spellings under which it may be stored, in order of preference.
        spellings: Vec<String>,
    },
    /// The standing of an account.
    Account(AccountSid),
    /// An application.
    Application(ApplicationSid),
    /// What the profile of an account limits.
    Limits(AccountSid),
    /// What a call or text at a number finds, if the number is in a pool of a service that masks numbers.
    Mask {
        /// The number.
        number: NumberSid,
        /// The caller; `None` if it is not trusted.
        from: Option<String>,
    },
    /// Whether a session with masks may have one more interaction, which is counted when this is asked.
    Turn {
        /// The session.
        session: MaskSessionSid,
        /// How many it may have.
        limit: i64,
    },
}

/// Numbers that a dialled text may mean.
#[derive(Clone, Default, Debug)]
pub struct Numbers {
    /// Stored in one of the spellings, in their order.
    pub exact: Vec<Arc<Number>>,
    /// Patterns of the organization, longest first.
    pub patterns: Vec<Arc<Number>>,
    /// The organization's `*`.
    pub any: Option<Arc<Number>>,
}

/// What routing needs of an account.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Standing {
    /// Its status.
    pub status: AccountStatus,
    /// The account above it.
    pub parent: Option<AccountSid>,
    /// Whether it is a test account, whose calls do not leave the server through a trunk.
    pub is_test: bool,
}

/// The number that a dialled text stands for.
#[derive(Clone, Debug)]
struct Match {
    number: Arc<Number>,
    /// Whether it is stored in one of the spellings, rather than as a pattern or `*`.
    exact: bool,
}

/// The rows that are known so far.
#[derive(Clone, Default, Debug)]
pub struct Rows {
    clients: BTreeMap<(OrganizationSid, String), Option<Arc<Client>>>,
    numbers: BTreeMap<(OrganizationSid, String), Option<Match>>,
    limits: BTreeMap<AccountSid, Limits>,
    accounts: BTreeMap<AccountSid, Standing>,
    applications: BTreeMap<ApplicationSid, Option<Arc<Application>>>,
    masks: BTreeMap<NumberSid, Option<Arc<Found>>>,
    turns: BTreeMap<MaskSessionSid, bool>,
}

impl Rows {
    /// Adds the answer to [`Want::Client`].
    pub fn add_client(
        &mut self,
        organization: OrganizationSid,
        login: String,
        client: Option<Arc<Client>>,
    ) {
        self.clients.insert((organization, login), client);
    }

    /// Adds the answer to [`Want::Numbers`]: an exact spelling precedes a pattern, a pattern
    /// precedes `*`.
    pub fn add_numbers(
        &mut self,
        (organization, dialled): (OrganizationSid, String),
        spellings: &[String],
        found: Numbers,
    ) {
        let is_dialled_here = |number: &Arc<Number>| {
            let stored = (number.phone_number.as_str(), number.organization);
            naming::is_dialled_in(stored, organization)
        };
        let exact = found.exact.into_iter().find(is_dialled_here);
        let is_exact = exact.is_some();
        let number = exact
            .or_else(|| by_pattern(&dialled, spellings, found.patterns))
            .or(found.any);
        let found = number.map(|number| Match {
            number,
            exact: is_exact,
        });
        self.numbers.insert((organization, dialled), found);
    }

    /// Adds the answer to [`Want::Account`]; a missing account counts as closed.
    pub fn add_account(&mut self, account: AccountSid, found: Option<Standing>) {
        let missing = Standing {
            status: AccountStatus::Closed,
            parent: None,
            is_test: false,
        };
        self.accounts.insert(account, found.unwrap_or(missing));
    }

    /// Adds the answer to [`Want::Application`].
    pub fn add_application(&mut self, sid: ApplicationSid, application: Option<Arc<Application>>) {
        self.applications.insert(sid, application);
    }

    /// Adds the answer to [`Want::Limits`].
    pub fn add_limits(&mut self, account: AccountSid, limits: Limits) {
        self.limits.insert(account, limits);
    }

    /// Adds the answer to [`Want::Mask`]; `None` if the number is in no pool.
    pub fn add_mask(&mut self, number: NumberSid, found: Option<Found>) {
        self.masks.insert(number, found.map(Arc::new));
    }

    /// Adds the answer to [`Want::Turn`].
    pub fn add_turn(&mut self, session: MaskSessionSid, is_allowed: bool) {
        self.turns.insert(session, is_allowed);
    }

    pub(super) fn turn(&self, session: MaskSessionSid, limit: i64) -> Result<bool, Want> {
        let found = self.turns.get(&session).copied();
        found.ok_or(Want::Turn { session, limit })
    }

    pub(super) fn mask(
        &self,
        number: NumberSid,
        from: Option<&str>,
    ) -> Result<Option<&Found>, Want> {
        match self.masks.get(&number) {
            Some(found) => Ok(found.as_deref()),
            None => Err(Want::Mask {
                number,
                from: from.map(str::to_owned),
            }),
        }
    }

    pub(super) fn client(
        &self,
        organization: OrganizationSid,
        login: &str,
    ) -> Result<Option<&Client>, Want> {
        if !naming::may_be_login(login) {
            return Ok(None);
        }
        let key = (organization, login.to_owned());
        match self.clients.get(&key) {
            Some(client) => Ok(client.as_deref()),
            None => Err(Want::Client(organization, key.1)),
        }
    }

    /// The number that a text means where it is dialled.
    pub(super) fn number(
        &self,
        organization: OrganizationSid,
        dialled: &str,
    ) -> Result<Option<&Number>, Want> {
        let found = self.matching(organization, dialled)?;
        Ok(found.map(|found| &*found.number))
    }

    pub(super) fn limits(&self, account: AccountSid) -> Result<&Limits, Want> {
        self.limits.get(&account).ok_or(Want::Limits(account))
    }

    /// The number stored in one of the spellings of a dialled text.
    pub(super) fn exact_number(
        &self,
        organization: OrganizationSid,
        dialled: &str,
    ) -> Result<Option<&Number>, Want> {
        let found = self.matching(organization, dialled)?;
        let found = found.filter(|found| found.exact);
        Ok(found.map(|found| &*found.number))
    }

    /// The number that a text means, where it is the login of a client, although it is that: one of another account.
    pub(super) fn number_before(
        &self,
        client: &Client,
        dialled: &str,
    ) -> Result<Option<&Number>, Want> {
        let number = self.exact_number(client.organization, dialled)?;
        Ok(number
            .filter(|number| claimant(dialled, client.owner(), number.owner()) == Claimant::Number))
    }

    fn matching(
        &self,
        organization: OrganizationSid,
        dialled: &str,
    ) -> Result<Option<&Match>, Want> {
        if !naming::may_be_number(dialled) {
            return Ok(None);
        }
        match self.numbers.get(&(organization, dialled.to_owned())) {
            Some(found) => Ok(found.as_ref()),
            None => Err(Want::Numbers {
                organization,
                dialled: dialled.to_owned(),
                spellings: number::candidates(dialled),
            }),
        }
    }

    pub(super) fn account(&self, sid: AccountSid) -> Result<AccountStatus, Want> {
        self.standing(sid).map(|found| found.status)
    }

    pub(super) fn is_test(&self, sid: AccountSid) -> Result<bool, Want> {
        self.standing(sid).map(|found| found.is_test)
    }

    fn standing(&self, sid: AccountSid) -> Result<Standing, Want> {
        self.accounts.get(&sid).copied().ok_or(Want::Account(sid))
    }

    /// An application that runs for an account: its own, or one of an account above it. A row from
    /// before this rule may name another one.
    pub(super) fn application(
        &self,
        sid: ApplicationSid,
        of: AccountSid,
    ) -> Result<Option<&Application>, Want> {
        let Some(found) = self.applications.get(&sid) else {
            return Err(Want::Application(sid));
        };
        match found.as_deref() {
            Some(application) if self.is_at_or_above(application.account, of)? => {
                Ok(Some(application))
            }
            _ => Ok(None),
        }
    }

    fn is_at_or_above(&self, above: AccountSid, of: AccountSid) -> Result<bool, Want> {
        let mut at = of;
        for _ in 0..Account::MAX_ANCESTRY {
            if at == above {
                return Ok(true);
            }
            let Some(parent) = self.standing(at)?.parent else {
                break;
            };
            at = parent;
        }
        Ok(false)
    }
}

/// The first pattern that matches one of the spellings; names never match.
fn by_pattern(
    dialled: &str,
    spellings: &[String],
    patterns: Vec<Arc<Number>>,
) -> Option<Arc<Number>> {
    let is_number = |b: u8| b.is_ascii_digit() || b"*#+".contains(&b);
    if !dialled.bytes().all(is_number) {
        return None;
    }
    let matches = |number: &Arc<Number>| {
        spellings
            .iter()
            .any(|spelling| pattern_matches(&number.phone_number, spelling))
    };
    patterns.into_iter().find(matches)
}

/// Whether a stored pattern (a regular expression over digits, `*`, `#`, `+`) matches a dialled
/// text. A leading `+` or `*` is literal.
fn pattern_matches(pattern: &str, dialled: &str) -> bool {
    compiled(pattern).is_some_and(|regex| regex.is_match(dialled))
}

/// Whether a pattern can match anything: a malformed one is no regular expression.
#[must_use]
pub fn is_usable_pattern(pattern: &str) -> bool {
    compiled(pattern).is_some()
}

fn compiled(pattern: &str) -> Option<regex_lite::Regex> {
    let literal = pattern.starts_with(['+', '*']);
    let escape = if literal { "\\" } else { "" };
    regex_lite::Regex::new(&format!("{escape}{pattern}")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_parts_of_what_is_dialled() {
        let table = [
            ("^12[0-9]*$", "1234", true),
            ("^12[0-9]*$", "4123", false),
            ("*777", "*777#", true),
            ("+12..", "+1234", true),
            ("[", "1", false),
        ];
        for (pattern, dialled, fits) in table {
            assert_eq!(
                pattern_matches(pattern, dialled),
                fits,
                "{pattern} {dialled}"
            );
        }
    }
}
