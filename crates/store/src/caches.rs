//! Cached look-ups, all cleared together when one of their tables changes.

use std::sync::Arc;
use std::time::Duration;

use model::record::{Account, Application, Client, Number, Organization};
use model::{AccountSid, ApplicationSid, NumberSid, OrganizationSid};

use crate::cache::Cache;
use crate::profiles::Effective;

/// Patterns of an organization, longest first, and its `*`.
#[derive(Debug, Default)]
pub(crate) struct Patterns {
    pub(crate) patterns: Vec<Arc<Number>>,
    pub(crate) any: Option<Arc<Number>>,
}

/// One cache per kind of look-up.
pub(crate) struct Caches {
    pub(crate) organizations: Cache<OrganizationSid, Option<Arc<Organization>>>,
    pub(crate) domains: Cache<String, Option<Arc<Organization>>>,
    pub(crate) accounts: Cache<AccountSid, Option<Arc<Account>>>,
    pub(crate) emails: Cache<String, Option<Arc<Account>>>,
    /// By organization and login.
    pub(crate) logins: Cache<(OrganizationSid, String), Option<Arc<Client>>>,
    pub(crate) applications: Cache<ApplicationSid, Option<Arc<Application>>>,
    /// By stored number, of every organization.
    pub(crate) numbers: Cache<String, Arc<[Arc<Number>]>>,
    pub(crate) patterns: Cache<OrganizationSid, Arc<Patterns>>,
    /// Those that apply.
    pub(crate) profiles: Cache<AccountSid, Arc<Effective>>,
    /// Whether a number is in the pool of a service that masks numbers.
    pub(crate) pooled: Cache<NumberSid, bool>,
}

impl Caches {
    /// `lifetime` limits how long writes of other processes go unseen.
    pub(crate) fn new(lifetime: Option<Duration>) -> Self {
        Self {
            organizations: Cache::new(lifetime),
            domains: Cache::new(lifetime),
            accounts: Cache::new(lifetime),
            emails: Cache::new(lifetime),
            logins: Cache::new(lifetime),
            applications: Cache::new(lifetime),
            numbers: Cache::new(lifetime),
            patterns: Cache::new(lifetime),
            profiles: Cache::new(lifetime),
            pooled: Cache::new(lifetime),
        }
    }

    /// Clears all caches.
    pub(crate) fn clear(&self) {
        self.organizations.clear();
        self.domains.clear();
        self.accounts.clear();
        self.emails.clear();
        self.logins.clear();
        self.applications.clear();
        self.numbers.clear();
        self.patterns.clear();
        self.profiles.clear();
        self.pooled.clear();
    }
}
