//! Decides whether an account may use a name, a number or an application.
//!
//! **Invariant: every creation or change of a client, a number or a reference to an application is
//! checked here first.** Left to others: whether a name or number belongs to another account, which
//! only the transaction that adds it can tell ([`StoreError::Taken`]).

use std::sync::Arc;

use call_proto::routing::is_usable_pattern;
use model::naming::{
    Claimant, LoginRule, MAX_LOGIN_CHARS, Owner, collide, is_emergency, is_pattern, login_rule,
    may_be_login, may_use,
};
use model::record::{Account, Number, VoiceApplication};
use model::{ApplicationSid, error};
use store::StoreError;

use crate::context::Context;
use crate::failure::Failure;
use crate::params::shown;

impl Context<'_> {
    /// Refuses a login that is not valid, or that could become a number of another account.
    pub(crate) async fn may_take_login(
        &self,
        account: &Account,
        login: &str,
    ) -> Result<(), Failure> {
        check_login(login)?;
        let spellings = match login_rule(login) {
            LoginRule::Free => return Ok(()),
            LoginRule::Spelling(plain) => {
                let reason = format!("this is a phone number; write it as `{plain}`");
                return Err(Failure::parameter("Login", &reason));
            }
            LoginRule::OwnNumber(spellings) => spellings,
        };
        if account.parent.is_none() {
            return Ok(());
        }
        let found = self.state.store.number_candidates(None, &spellings).await?;
        let own = Owner {
            account: account.sid,
            organization: account.organization,
        };
        // That of another account is refused by the store, unless it is an extension elsewhere.
        let decides = |number: &Arc<Number>| {
            let existing = (number.phone_number.as_str(), number.owner());
            number.account == account.sid || collide((login, own), existing)
        };
        if !found.exact.iter().any(decides) {
            let reason = "a login that looks like a phone number must be one of the account's numbers; add the number first, or choose a name";
            return Err(Failure::parameter("Login", reason));
        }
        Ok(())
    }

    /// Refuses a pattern that the top account has not created, as it would receive calls to unowned numbers, and the
    /// number of an emergency service.
    pub(crate) fn may_take_number(
        &self,
        account: &Account,
        phone_number: &str,
    ) -> Result<(), Failure> {
        if is_pattern(phone_number) && !is_usable_pattern(phone_number) {
            let reason = "this pattern is malformed: write a regular expression such as `88[0-9]`";
            return Err(Failure::parameter("PhoneNumber", reason));
        }
        let reason = if is_pattern(phone_number) {
            "only the top account can create `*` or a pattern"
        } else if is_emergency(phone_number) {
            "only the top account can create the number of an emergency service"
        } else {
            return Ok(());
        };
        // In an organization that it has created, the top account says which account has the rest of the numbers.
        let is_given = self.is_super_admin() && account.organization != self.caller.organization;
        if account.parent.is_none() || is_given {
            return Ok(());
        }
        Err(Failure::parameter("PhoneNumber", reason))
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
                may_use(application.account, account.sid, self.caller.sid)
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
}

/// Refuses logins that are not valid as the user part of a SIP address.
fn check_login(login: &str) -> Result<(), Failure> {
    let bad = |c: char| matches!(c, '?' | '=' | '@') || c.is_whitespace() || c.is_control();
    if login.contains(bad) || !may_be_login(login) {
        let reason = format!(
            "the login is invalid; use at most {MAX_LOGIN_CHARS} characters, without `?`, `=`, `@` or spaces"
        );
        return Err(Failure::parameter("Login", &reason));
    }
    Ok(())
}

/// The answer if a client could not be added.
pub(crate) fn login_refused(login: &str, error: StoreError) -> Failure {
    match error {
        StoreError::Taken(_) => Failure::of(error::CONFLICT)
            .saying(format!("Login: `{login}` is a number of another account")),
        error => error.into(),
    }
}

/// The answer if a number could not be added.
pub(crate) fn number_refused(number: &str, error: StoreError) -> Failure {
    let text = match error {
        StoreError::Duplicate(_) => format!("The number {} already exists.", shown(number)),
        StoreError::Taken(Claimant::Number) => {
            "This number, or another spelling of it, belongs to another account.".to_owned()
        }
        StoreError::Taken(Claimant::Client) => {
            "This number is the login of another account's client.".to_owned()
        }
        error => return error.into(),
    };
    Failure::of(error::NUMBER_TAKEN).saying(text)
}
