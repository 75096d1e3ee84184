//! Sets up an empty database for use.

use model::record::{Account, Organization};
use model::{AccountSid, AccountStatus, OrganizationSid, OrganizationStatus};

use crate::admin::Admin;
use crate::credentials::{hash_password, random_token};
use crate::{Result, Store, StoreError};

/// Values for the first start; missing ones are generated.
#[derive(Debug, Clone, Default)]
pub struct AdminSeed {
    /// Identifier.
    pub sid: Option<AccountSid>,
    /// API token.
    pub token: Option<String>,
    /// E-mail address; default `administrator@company.com`.
    pub email: Option<String>,
    /// Password.
    pub password: Option<String>,
}

/// What the first start created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirstStart {
    /// Identifier of the administrator.
    pub sid: AccountSid,
    /// E-mail address.
    pub email: String,
    /// API token.
    pub token: String,
    /// Password in clear text: shown once, stored only as a hash.
    pub password: String,
}

impl Store {
    /// Creates the default organization and the administrator in an empty database; `None` if it
    /// was not empty. If several servers start at once, one of them creates these.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn first_start(&self, domain: &str, seed: AdminSeed) -> Result<Option<FirstStart>> {
        if self.default_organization().await?.is_some() {
            return Ok(None);
        }
        let now = crate::now();
        let organization = Organization {
            sid: OrganizationSid::new(now, rand::random()),
            domain_name: domain.to_lowercase(),
            status: OrganizationStatus::Active,
            created: now,
            updated: now,
        };
        let made = FirstStart {
            sid: seed
                .sid
                .unwrap_or_else(|| AccountSid::new(now, rand::random())),
            email: seed
                .email
                .unwrap_or_else(|| "administrator@company.com".to_owned())
                .to_lowercase(),
            token: seed.token.unwrap_or_else(random_token),
            password: seed.password.unwrap_or_else(random_token),
        };
        let account = Account {
            sid: made.sid,
            organization: organization.sid,
            parent: None,
            friendly_name: "Administrator".to_owned(),
            email: made.email.clone(),
            status: AccountStatus::Active,
            role: "Administrator".to_owned(),
            password_hash: Some(hash_password(made.password.clone()).await?),
            auth_token: made.token.clone(),
            secondary_token: None,
            is_test: false,
            created: now,
            updated: now,
        };
        let both = [
            Admin::InsertOrganization(organization),
            Admin::insert_account(&account, None, self.key()),
        ];
        match self.administer_all(both).await {
            Ok(_) => Ok(Some(made)),
            Err(StoreError::Duplicate(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
