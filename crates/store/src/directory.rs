//! Organizations, accounts, clients, applications, and the look-up of dialled numbers.

use std::sync::Arc;

use model::naming;
use model::record::{Account, Application, Client, Number, Organization};
use model::{
    AccountSid, AccountStatus, ApplicationSid, ClientSid, OrganizationSid, RecordingSid, Timestamp,
};

use crate::admin::Admin;
use crate::caches::Patterns;
use crate::filter::Scope;
use crate::operation::Operation;
use crate::query::{Conditions, tree_of};
use crate::row::corrupt;
use crate::rows;
use crate::sql::Sql;
use crate::writer::Hurry;
use crate::{NumberCandidates, Result, Store, credentials};

impl Store {
    /// An organization. Cached.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn organization(&self, sid: OrganizationSid) -> Result<Option<Arc<Organization>>> {
        let cache = &self.caches().organizations;
        let generation = match cache.get(&sid) {
            Ok(known) => return Ok(known),
            Err(generation) => generation,
        };
        let found = self
            .one(&rows::ORGANIZATIONS, sid, rows::organization)
            .await?;
        let found = found.map(Arc::new);
        cache.keep(generation, sid, found.clone());
        Ok(found)
    }

    /// The organization with a SIP domain, in any letter case. Cached.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn organization_of_domain(&self, domain: &str) -> Result<Option<Arc<Organization>>> {
        let domain = domain.to_lowercase();
        let cache = &self.caches().domains;
        let generation = match cache.get(&domain) {
            Ok(known) => return Ok(known),
            Err(generation) => generation,
        };
        let mut sql = rows::ORGANIZATIONS.select();
        sql.with(" WHERE domain_name = ?", domain.clone());
        let found = self.first(sql, rows::organization).await?.map(Arc::new);
        cache.keep(generation, domain, found.clone());
        Ok(found)
    }

    /// The organization created at the first start.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn default_organization(&self) -> Result<Option<Arc<Organization>>> {
        let mut sql = rows::ORGANIZATIONS.select();
        sql.text(" ORDER BY created, sid LIMIT 1");
        Ok(self.first(sql, rows::organization).await?.map(Arc::new))
    }

    /// An account. Cached.
    ///
    /// # Errors
    /// As reported by the database; [`crate::StoreError::WrongKey`] if its token cannot be decrypted.
    pub async fn account(&self, sid: AccountSid) -> Result<Option<Arc<Account>>> {
        let cache = &self.caches().accounts;
        let generation = match cache.get(&sid) {
            Ok(known) => return Ok(known),
            Err(generation) => generation,
        };
        let mut sql = rows::ACCOUNTS.select();
        sql.with(" WHERE sid = ?", sid);
        let found = self
            .first(sql, |row| rows::account(row, self.key()))
            .await?;
        let found = found.map(Arc::new);
        cache.keep(generation, sid, found.clone());
        Ok(found)
    }

    /// The customer that an account is part of: its ancestor directly below the root of the tree, or itself.
    /// What is shared out fairly is shared out among customers, or one could multiply its share with sub-accounts.
    ///
    /// # Errors
    /// As [`Store::account`].
    pub async fn customer_of(&self, sid: AccountSid) -> Result<AccountSid> {
        let (mut customer, mut at) = (sid, sid);
        for _ in 0..Account::MAX_ANCESTRY {
            let parent = self.account(at).await?.and_then(|account| account.parent);
            let Some(parent) = parent else {
                return Ok(customer);
            };
            (customer, at) = (at, parent);
        }
        Err(corrupt("parent", format!("{sid} has too many ancestors")))
    }

    /// The account with an e-mail address, in any letter case. Cached.
    ///
    /// # Errors
    /// As [`Store::account`].
    pub async fn account_of_email(&self, email: &str) -> Result<Option<Arc<Account>>> {
        let email = email.to_lowercase();
        if email.len() > Account::MAX_EMAIL_BYTES {
            return Ok(None);
        }
        let cache = &self.caches().emails;
        let generation = match cache.get(&email) {
            Ok(known) => return Ok(known),
            Err(generation) => generation,
        };
        let mut sql = rows::ACCOUNTS.select();
        sql.with(" WHERE email = ?", email.clone());
        let found = self
            .first(sql, |row| rows::account(row, self.key()))
            .await?;
        let found = found.map(Arc::new);
        cache.keep(generation, email, found.clone());
        Ok(found)
    }

    /// The account with a friendly name, if exactly one has it.
    ///
    /// # Errors
    /// As [`Store::account`].
    pub async fn account_of_name(&self, name: &str) -> Result<Option<Account>> {
        let mut sql = rows::ACCOUNTS.select();
        sql.with(" WHERE friendly_name = ?", name).text(" LIMIT 2");
        let mut found = self.accounts_of(sql).await?;
        Ok(if found.len() == 1 { found.pop() } else { None })
    }

    /// Direct children of an account, oldest first.
    ///
    /// # Errors
    /// As [`Store::account`].
    pub async fn child_accounts(&self, of: AccountSid) -> Result<Vec<Account>> {
        let mut sql = rows::ACCOUNTS.select();
        sql.with(" WHERE parent = ?", of)
            .text(" ORDER BY created, sid");
        self.accounts_of(sql).await
    }

    /// Accounts of an organization, oldest first.
    ///
    /// # Errors
    /// As [`Store::account`].
    pub async fn organization_accounts(&self, of: OrganizationSid) -> Result<Vec<Account>> {
        let mut sql = rows::ACCOUNTS.select();
        sql.with(" WHERE organization = ?", of)
            .text(" ORDER BY created, sid");
        self.accounts_of(sql).await
    }

    /// An account and all below it.
    ///
    /// # Errors
    /// As [`Store::account`].
    pub async fn account_tree(&self, of: AccountSid) -> Result<Vec<Account>> {
        let mut sql = rows::ACCOUNTS.select();
        sql.text(" WHERE sid");
        let mut sql = tree_of(of, sql);
        sql.text(" ORDER BY created, sid");
        self.accounts_of(sql).await
    }

    async fn accounts_of(&self, sql: Sql) -> Result<Vec<Account>> {
        self.many(sql, |row| rows::account(row, self.key())).await
    }

    /// Adds an account, together with a client if given.
    ///
    /// # Errors
    /// As [`Store::insert_account_within`].
    pub async fn insert_account(&self, account: Account, client: Option<Client>) -> Result<()> {
        self.insert_account_within(None, account, client).await
    }

    /// The same, if its parent has fewer open accounts directly below it than `limit`.
    ///
    /// # Errors
    /// [`crate::StoreError::TooMany`] if it has not,
    /// [`crate::StoreError::Duplicate`] if the identifier, e-mail address or login is taken,
    /// [`crate::StoreError::Taken`] if the login is a number of another account,
    /// [`crate::StoreError::AccountClosed`] if its parent is closed.
    pub async fn insert_account_within(
        &self,
        limit: Option<u32>,
        account: Account,
        client: Option<Client>,
    ) -> Result<()> {
        let account = Admin::insert_account(&account, limit, self.key());
        let client = client.map(|client| Admin::insert_client(&client, self.key()));
        self.administer_all([Some(account), client].into_iter().flatten())
            .await
            .map(drop)
    }

    /// Sets the status of an account and of all below it that are not closed. `closed` also removes
    /// everything they own, except accounts, calls, and recordings, whose files must go first.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn set_account_status(
        &self,
        sid: AccountSid,
        status: AccountStatus,
        at: Timestamp,
    ) -> Result<()> {
        if status == AccountStatus::Closed {
            // There may be too many for one transaction; those that come meanwhile go with the status.
            while self
                .administer(Admin::DeleteNotifications(Some(sid)))
                .await?
            {}
        }
        self.administer(Admin::SetAccountStatus { sid, status, at })
            .await
            .map(drop)
    }

    /// Deletes the notifications that closed accounts have got since they were closed.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn delete_notifications_of_closed_accounts(&self) -> Result<()> {
        let mut sql = Sql::default();
        sql.text(
            "SELECT n.sid FROM accounts a JOIN notifications n ON n.account = a.sid \
             WHERE a.status = 'closed' LIMIT 1",
        );
        // Mostly there is nothing to write.
        while self
            .first(sql.clone(), |row| row.text("sid"))
            .await?
            .is_some()
        {
            self.administer(Admin::DeleteNotifications(None)).await?;
        }
        Ok(())
    }

    /// The account whose SID or e-mail address is `login`. Cached.
    ///
    /// # Errors
    /// As [`Store::account`].
    pub async fn account_of_login(&self, login: &str) -> Result<Option<Arc<Account>>> {
        match login.parse() {
            Ok(sid) => self.account(sid).await,
            Err(_) if login.contains('@') => self.account_of_email(login).await,
            Err(_) => Ok(None),
        }
    }

    /// Whether `secret` is a valid token of an account, or a password verified in the last minute.
    /// Takes no noticeable time.
    #[must_use]
    pub fn knows(&self, account: &Account, secret: &str) -> bool {
        let verifier = self.verifier();
        let mut tokens = std::iter::once(&account.auth_token).chain(&account.secondary_token);
        tokens.any(|token| verifier.same(token, secret))
            || account
                .password_hash
                .as_ref()
                .is_some_and(|hash| verifier.remembers(hash, secret))
    }

    /// Whether `secret` is the password of an account; false if it has none. Takes tens of
    /// milliseconds in either case.
    ///
    /// # Errors
    /// [`crate::StoreError::Passwords`] if that could not be found out.
    pub async fn is_password(&self, account: Option<&Account>, secret: &str) -> Result<bool> {
        let hash = account.and_then(|account| account.password_hash.as_ref());
        if let Some(hash) = hash {
            return self.verifier().verify(hash, secret).await;
        }
        self.verifier().refuse(secret).await?;
        Ok(account.is_some_and(|account| {
            let mut tokens = std::iter::once(&account.auth_token).chain(&account.secondary_token);
            tokens.any(|token| credentials::is_imported_password(token, secret))
        }))
    }

    /// The client with a login in the organization with this domain. Cached.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn client_of_login(&self, login: &str, domain: &str) -> Result<Option<Arc<Client>>> {
        match self.organization_of_domain(domain).await? {
            Some(organization) => self.client_in(organization.sid, login).await,
            None => Ok(None),
        }
    }

    /// The client with a login in an organization. Cached.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn client_in(
        &self,
        organization: OrganizationSid,
        login: &str,
    ) -> Result<Option<Arc<Client>>> {
        if !naming::may_be_login(login) {
            return Ok(None);
        }
        let cache = &self.caches().logins;
        let key = (organization, login.to_owned());
        let generation = match cache.get(&key) {
            Ok(known) => return Ok(known),
            Err(generation) => generation,
        };
        let mut sql = rows::CLIENTS.select();
        sql.with(" WHERE organization = ?", organization)
            .with(" AND login = ?", login);
        let found = self
            .first(sql, |row| rows::client(row, self.key()))
            .await?
            .map(Arc::new);
        cache.keep(generation, key, found.clone());
        Ok(found)
    }

    /// Names a client and its password, the same at every start, and reveals neither. A phone registered with another
    /// one is not this client's: the login had another owner then, or another password.
    #[must_use]
    pub fn credential_of(&self, client: &Client) -> String {
        let text = format!("{} {} {}", client.sid, client.ha1_md5, client.ha1_sha256);
        self.key().sign("registration", &text)
    }

    /// A client.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn client(&self, sid: ClientSid) -> Result<Option<Client>> {
        let mut sql = rows::CLIENTS.select();
        sql.with(" WHERE sid = ?", sid);
        self.first(sql, |row| rows::client(row, self.key())).await
    }

    /// Clients, oldest first.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn clients(&self, scope: Scope) -> Result<Vec<Client>> {
        let mut sql = Conditions::new(rows::CLIENTS.select(), scope).finish();
        sql.text(" ORDER BY created, sid");
        self.many(sql, |row| rows::client(row, self.key())).await
    }

    /// Adds a client.
    ///
    /// # Errors
    /// [`crate::StoreError::Duplicate`] if the organization already has its login,
    /// [`crate::StoreError::Taken`] if another account has it as a number,
    /// [`crate::StoreError::AccountClosed`] if its own account is closed.
    pub async fn insert_client(&self, client: Client) -> Result<()> {
        self.administer(Admin::insert_client(&client, self.key()))
            .await
            .map(drop)
    }

    /// Replaces a client; `false` if it does not exist, or has changed since it was read.
    ///
    /// - `read`: its `updated` as read; the new one must be another
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn update_client(&self, client: Client, read: Timestamp) -> Result<bool> {
        self.administer(Admin::update_client(&client, read, self.key()))
            .await
    }

    /// Deletes a client; `false` if it did not exist.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn delete_client(&self, sid: ClientSid) -> Result<bool> {
        self.administer(Admin::DeleteClient(sid)).await
    }

    /// Numbers stored under `spellings` (see `model::number::candidates`), of every organization,
    /// and the patterns of one. Cached.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn number_candidates(
        &self,
        organization: Option<OrganizationSid>,
        spellings: &[String],
    ) -> Result<NumberCandidates> {
        let mut found = NumberCandidates::default();
        for spelling in spellings.iter().filter(|spelling| *spelling != "*") {
            let exact = self.numbers_stored_as(spelling).await?;
            found.exact.extend(exact.iter().cloned());
        }
        if let Some(organization) = organization {
            let patterns = self.patterns_of(organization).await?;
            found.patterns.clone_from(&patterns.patterns);
            found.any.clone_from(&patterns.any);
        }
        Ok(found)
    }

    async fn numbers_stored_as(&self, spelling: &str) -> Result<Arc<[Arc<Number>]>> {
        if !naming::may_be_number(spelling) {
            return Ok(Arc::default());
        }
        let cache = &self.caches().numbers;
        let generation = match cache.get(spelling) {
            Ok(known) => return Ok(known),
            Err(generation) => generation,
        };
        let mut sql = rows::NUMBERS.select();
        sql.with(" WHERE phone_number = ?", spelling)
            .text(" ORDER BY created, sid");
        let found: Arc<[Arc<Number>]> = self
            .many(sql, |row| rows::number(row).map(Arc::new))
            .await?
            .into();
        cache.keep(generation, spelling.to_owned(), Arc::clone(&found));
        Ok(found)
    }

    async fn patterns_of(&self, organization: OrganizationSid) -> Result<Arc<Patterns>> {
        let cache = &self.caches().patterns;
        let generation = match cache.get(&organization) {
            Ok(known) => return Ok(known),
            Err(generation) => generation,
        };
        let mut sql = rows::NUMBERS.select();
        sql.with(" WHERE organization = ?", organization)
            .text(" AND pure_sip = 1 ORDER BY created, sid");
        let mut found = Patterns::default();
        for number in self.many(sql, rows::number).await? {
            if number.phone_number == "*" {
                found.any = Some(Arc::new(number));
            } else if naming::is_pattern(&number.phone_number) {
                found.patterns.push(Arc::new(number));
            }
        }
        found
            .patterns
            .sort_by_key(|number| std::cmp::Reverse(number.phone_number.chars().count()));
        let found = Arc::new(found);
        cache.keep(generation, organization, Arc::clone(&found));
        Ok(found)
    }

    /// Adds an incoming number.
    ///
    /// # Errors
    /// [`crate::StoreError::Duplicate`] if the organization already has it,
    /// [`crate::StoreError::Taken`] if it is another account's, [`crate::StoreError::AccountClosed`] if its
    /// own is closed.
    pub async fn insert_number(&self, number: Number) -> Result<()> {
        self.administer(Admin::InsertNumber(number)).await.map(drop)
    }

    /// Replaces a number; `false` if it does not exist, or has changed since it was read.
    ///
    /// - `read`: its `updated` as read; the new one must be another
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn update_number(&self, number: Number, read: Timestamp) -> Result<bool> {
        self.administer(Admin::UpdateNumber(number, read)).await
    }

    /// Numbers of an account that use one of its applications.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn numbers_with_application(&self, scope: Scope) -> Result<Vec<Number>> {
        let mut sql = Conditions::new(rows::NUMBERS.select(), scope).finish();
        sql.text(" AND (voice_application IS NOT NULL OR extra LIKE '%ApplicationSid%')")
            .text(" ORDER BY created, sid");
        self.many(sql, rows::number).await
    }

    /// An application. Cached.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn application(&self, sid: ApplicationSid) -> Result<Option<Arc<Application>>> {
        let cache = &self.caches().applications;
        let generation = match cache.get(&sid) {
            Ok(known) => return Ok(known),
            Err(generation) => generation,
        };
        let found = self.current_application(sid).await?.map(Arc::new);
        cache.keep(generation, sid, found.clone());
        Ok(found)
    }

    /// An application as it is now. Never cached.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn current_application(&self, sid: ApplicationSid) -> Result<Option<Application>> {
        self.one(&rows::APPLICATIONS, sid, rows::application).await
    }

    /// Applications, oldest first.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn applications(&self, scope: Scope) -> Result<Vec<Application>> {
        let mut sql = Conditions::new(rows::APPLICATIONS.select(), scope).finish();
        sql.text(" ORDER BY created, sid");
        self.many(sql, rows::application).await
    }

    /// Adds an application.
    ///
    /// # Errors
    /// [`crate::StoreError::AccountClosed`] if its account is closed.
    pub async fn insert_application(&self, application: Application) -> Result<()> {
        self.administer(Admin::InsertApplication(application))
            .await
            .map(drop)
    }

    /// Replaces an application; `false` if it does not exist, or has changed since it was read.
    ///
    /// - `read`: its `updated` as read; the new one must be another
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn update_application(
        &self,
        application: Application,
        read: Timestamp,
    ) -> Result<bool> {
        self.administer(Admin::UpdateApplication(application, read))
            .await
    }

    /// Deletes an application; `false` if it did not exist.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn delete_application(&self, sid: ApplicationSid) -> Result<bool> {
        self.administer(Admin::DeleteApplication(sid)).await
    }

    /// Deletes the rows of these recordings in one transaction; `false` if none of them existed.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn delete_recordings(&self, sids: Vec<RecordingSid>) -> Result<bool> {
        self.administer(Admin::DeleteRecordings(sids)).await
    }

    pub(crate) async fn administer(&self, admin: Admin) -> Result<bool> {
        self.administer_all([admin]).await
    }

    pub(crate) async fn administer_all(
        &self,
        all: impl IntoIterator<Item = Admin>,
    ) -> Result<bool> {
        let operations = all
            .into_iter()
            .map(|admin| Operation::Admin(Box::new(admin)))
            .collect();
        Ok(self
            .writer()
            .commit(operations, Hurry::Now)
            .await?
            .all_applied())
    }
}
