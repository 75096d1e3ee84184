//! Slots for requests, shared out among customers.
//!
//! A customer is an account directly below the top account, with its sub-accounts: otherwise it could multiply its share
//! with sub-accounts. An account sends nothing until its customer has been looked up; if that fails, it counts alone until it is
//! asked for again. **Invariant: of accounts that wait for a slot of their customer, the one that waits longest is next.**
//! What is remembered is bounded by the number of accounts.

use std::collections::{BTreeMap, VecDeque};

use model::AccountSid;

/// The slots, and who holds them.
pub(super) struct Shares {
    /// Slots of one customer.
    limit: usize,
    /// Slots in total.
    total: usize,
    flying: usize,
    /// The customers of accounts; `None` while one is being looked up.
    customers: BTreeMap<AccountSid, Option<AccountSid>>,
    /// Those with requests, or with accounts that wait.
    shares: BTreeMap<AccountSid, Share>,
}

#[derive(Default)]
struct Share {
    flying: usize,
    /// Accounts that were due when it was full.
    waiting: VecDeque<AccountSid>,
}

impl Shares {
    pub(super) fn new(limit: usize, total: usize) -> Self {
        Self {
            // Whatever is configured, one customer leaves half to the others.
            limit: limit.min(total / 2).max(1),
            total: total.max(1),
            flying: 0,
            customers: BTreeMap::new(),
            shares: BTreeMap::new(),
        }
    }

    /// The customer of an account, as far as is known.
    pub(super) fn customer(&self, account: AccountSid) -> AccountSid {
        let known = self.customers.get(&account).copied().flatten();
        known.unwrap_or(account)
    }

    /// Whether the customer of an account has to be asked for; true only once.
    pub(super) fn asks_for(&mut self, account: AccountSid) -> bool {
        if self.customers.contains_key(&account) {
            return false;
        }
        self.customers.insert(account, None);
        true
    }

    /// Whether the customer of an account is being looked up.
    pub(super) fn is_pending(&self, account: AccountSid) -> bool {
        self.customers.get(&account) == Some(&None)
    }

    /// Records the customer of an account that has `flying` requests.
    pub(super) fn learn(
        &mut self,
        account: AccountSid,
        customer: Option<AccountSid>,
        flying: usize,
    ) {
        let before = self.customer(account);
        let Some(customer) = customer else {
            self.customers.remove(&account);
            return;
        };
        self.customers.insert(account, Some(customer));
        if customer != before {
            let share = self.share(before);
            share.flying = share.flying.saturating_sub(flying);
            self.share(customer).flying += flying;
            self.tidy(before);
            self.tidy(customer);
        }
    }

    /// Whether a customer may not send another request now.
    pub(super) fn is_full(&self, customer: AccountSid) -> bool {
        let share = self.shares.get(&customer);
        share.is_some_and(|share| share.flying >= self.limit)
    }

    /// Whether no customer may.
    pub(super) fn are_all_taken(&self) -> bool {
        self.flying >= self.total
    }

    /// An account sends a request.
    pub(super) fn fly(&mut self, account: AccountSid) {
        let customer = self.customer(account);
        self.flying += 1;
        self.share(customer).flying += 1;
    }

    /// A request of an account has ended.
    pub(super) fn land(&mut self, account: AccountSid) {
        let customer = self.customer(account);
        self.flying = self.flying.saturating_sub(1);
        let share = self.share(customer);
        share.flying = share.flying.saturating_sub(1);
        self.tidy(customer);
    }

    /// An account waits for a slot of its customer.
    pub(super) fn wait(&mut self, customer: AccountSid, account: AccountSid) {
        self.share(customer).waiting.push_back(account);
    }

    /// The account that has waited longest. It may have nothing to send any more.
    pub(super) fn next(&mut self, customer: AccountSid) -> Option<AccountSid> {
        let next = self.share(customer).waiting.pop_front();
        self.tidy(customer);
        next
    }

    fn share(&mut self, customer: AccountSid) -> &mut Share {
        self.shares.entry(customer).or_default()
    }

    fn tidy(&mut self, customer: AccountSid) {
        let share = self.shares.get(&customer);
        if share.is_some_and(|share| share.flying == 0 && share.waiting.is_empty()) {
            self.shares.remove(&customer);
        }
    }
}
