//! Decides whether an account may use a name, a number or an application.
//!
//! [`model::naming`] decides which rows collide, as for calls; the rows are found here.
//! **Invariant: every creation or change of a client, a number or a reference to an application is
//! checked here first.**

use model::naming::{LoginRule, Owner, collide, is_pattern, is_taken, login_rule};
use model::record::{Account, VoiceApplication};
use model::{ApplicationSid, error, number};

use crate::context::Context;
use crate::failure::Failure;

impl Context<'_> {
    /// Refuses a login that is, or could become, a number of another account.
    pub(crate) async fn may_take_login(
        &self,
        account: &Account,
        login: &str,
    ) -> Result<(), Failure> {
        let mut own_number_needed = false;
        match login_rule(login) {
            LoginRule::Free => {}
            LoginRule::Spelling(plain) => {
                let reason = format!("this is a phone number; write it as `{plain}`");
                return Err(Failure::parameter("Login", &reason));
            }
            LoginRule::OwnNumber(_) => own_number_needed = !self.is_top(account).await?,
        }
        let spellings = number::candidates(login);
        let found = self.state.store.number_candidates(None, &spellings).await?;
        let is_others = |number: &model::record::Number| {
            collide(
                (login, owner(account)),
                (&number.phone_number, number.owner()),
            )
        };
        if found.exact.iter().any(|number| is_others(number)) {
            let text = format!("Login: `{login}` is a number of another account");
            return Err(Failure::of(error::CONFLICT).saying(text));
        }
        if own_number_needed && found.exact.is_empty() {
            let reason = "a login that looks like a phone number must be one of the account's numbers; add the number first, or choose a name";
            return Err(Failure::parameter("Login", reason));
        }
        Ok(())
    }

    /// Refuses a number that another account has in any spelling, or as the login of a client, and
    /// a pattern that does not belong to the top account: it would receive calls to unowned
    /// numbers.
    pub(crate) async fn may_take_number(
        &self,
        account: &Account,
        phone_number: &str,
    ) -> Result<(), Failure> {
        if is_pattern(phone_number) {
            if self.is_top(account).await? {
                return Ok(());
            }
            let reason = "only the organization's top account can use `*` or a pattern";
            return Err(Failure::parameter("PhoneNumber", reason));
        }
        let spellings = number::candidates(phone_number);
        let store = &self.state.store;
        let found = store.number_candidates(None, &spellings).await?;
        let is_taken = |other: &model::record::Number| {
            is_taken(
                (phone_number, owner(account)),
                (&other.phone_number, other.owner()),
            )
        };
        if found.exact.iter().any(|other| is_taken(other)) {
            let text = "This number, or another spelling of it, belongs to another account.";
            return Err(Failure::of(error::NUMBER_TAKEN).saying(text));
        }
        for login in spellings {
            let client = store.client_in(account.organization, &login).await?;
            let is_others = |client: &model::record::Client| {
                collide((&login, client.owner()), (phone_number, owner(account)))
            };
            if client.is_some_and(|client| is_others(&client)) {
                let text = "This number is the login of another account's client.";
                return Err(Failure::of(error::NUMBER_TAKEN).saying(text));
            }
        }
        Ok(())
    }

    /// Refuses an application that belongs neither to the account nor to the caller, which is that
    /// account or above it.
    pub(crate) async fn may_use_applications(
        &self,
        account: &Account,
        applications: impl IntoIterator<Item = (&str, ApplicationSid)>,
    ) -> Result<(), Failure> {
        for (name, sid) in applications {
            let found = self.state.store.application(sid).await?;
            let usable = found.is_some_and(|application| {
                [account.sid, self.caller.sid].contains(&application.account)
            });
            if !usable {
                return Err(Failure::parameter(name, "there is no such application"));
            }
        }
        Ok(())
    }

    /// Refuses a voice application that the account may not use; one that is already set stays.
    pub(crate) async fn may_use_voice(
        &self,
        account: &Account,
        voice: &VoiceApplication,
    ) -> Result<(), Failure> {
        const NAME: &str = "VoiceApplicationSid";
        let sent = self.params.get(NAME).and(voice.application);
        self.may_use_applications(account, sent.map(|sid| (NAME, sid)))
            .await
    }

    /// Whether an account is the first of its organization.
    async fn is_top(&self, account: &Account) -> Result<bool, Failure> {
        if account.parent.is_none() {
            return Ok(true);
        }
        let store = &self.state.store;
        let all = store.organization_accounts(account.organization).await?;
        let first = all.iter().min_by_key(|one| (one.created, one.sid));
        Ok(first.is_none_or(|first| first.sid == account.sid))
    }
}

fn owner(account: &Account) -> Owner {
    Owner {
        account: account.sid,
        organization: account.organization,
    }
}
