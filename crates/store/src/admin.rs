//! Writes that are not facts of calls: those of the API about accounts and what they own, and the
//! repair of what a dead server left. They go through the same task as the facts, and clear the look-up
//! caches if they change a table that is looked up.
//!
//! **Invariant: a write is data**, so every file may make one; `administer` applies it.

use model::record::{Account, Application, Callback, Client, Number, Organization, Queue};
use model::{
    AccountSid, AccountStatus, ApplicationSid, ClientSid, MessageSid, NotificationSid,
    OrganizationSid, OrganizationStatus, QueueSid, RecordingSid, Timestamp,
};

use crate::discarded::kind::Kind;
use crate::masking;
use crate::naming::Claim;
use crate::rows;
use crate::sql::{Arg, Sql, Table};
use crate::verify;

/// One such write.
pub(crate) enum Admin {
    InsertOrganization(Organization),
    /// Opens an organization, or closes it unless it has accounts that are open.
    SetOrganizationStatus(OrganizationSid, OrganizationStatus, Timestamp),
    InsertAccount {
        parent: Option<AccountSid>,
        organization: OrganizationSid,
        row: Vec<Arg>,
        /// How many open accounts its parent may have directly below it, if that is limited.
        limit: Option<u32>,
    },
    /// A statement about profiles or their links.
    ChangeProfiles(Sql),
    /// Moves an account and all below it, with their clients and numbers.
    MoveAccounts(OrganizationMove),
    /// Moves only the numbers of an account and of all below it.
    MoveNumbers(OrganizationMove),
    /// A statement that changes one account.
    ChangeAccount(Sql),
    SetAccountStatus {
        sid: AccountSid,
        status: AccountStatus,
        at: Timestamp,
    },
    InsertClient(Claim, Vec<Arg>),
    UpdateClient(Vec<Arg>, Timestamp),
    DeleteClient(ClientSid),
    InsertNumber(Number),
    /// Adds a number that was ordered at a carrier; no effect unless the statement has one, which
    /// completes its order.
    InsertOrderedNumber(Number, Sql),
    /// A statement that changes nothing that is looked up.
    Change(Sql),
    /// Adds a row of an account that is not closed.
    InsertOwned(AccountSid, &'static Table, Vec<Arg>),
    /// Replaces a row that has not changed since it was read.
    UpdateOwned(&'static Table, Vec<Arg>, Timestamp),
    UpdateNumber(Number, Timestamp),
    /// Moves a row to the bin or back, or deletes it for good.
    Bin(BinMove),
    InsertApplication(Application),
    UpdateApplication(Application, Timestamp),
    DeleteApplication(ApplicationSid),
    InsertQueue(Queue),
    UpdateQueue(Queue, Timestamp),
    DeleteQueue(QueueSid),
    DeleteRecordings(Vec<RecordingSid>),
    /// Deletes a text message that has ended.
    DeleteMessage(MessageSid),
    /// Adds a row of an account that is not closed by a statement of its own, such as one that observes a limit.
    InsertInto(AccountSid, Sql),
    /// A statement that has a usage trigger fire, and the callback that reports it.
    Fire(Sql, Box<Callback>),
    /// As [`Admin::Change`], but reports what it changed even if it may have been carried out before: a deletion that is
    /// repeated until nothing is left must find nothing in the end. Only for what may be carried out twice, and whose first
    /// effect nothing depends on.
    Execute(Sql),
    /// A statement that must have an effect once, and the query that finds this effect.
    Once {
        done: Sql,
        write: Sql,
    },
    /// A write about a code of a verification.
    Verify(Box<verify::Write>),
    /// A write about masks that depends on several rows.
    Mask(Box<masking::Write>),
    /// Deletes some notifications of an account and of all below it, or of all closed accounts: to be repeated
    /// until it deletes none.
    DeleteNotifications(Option<AccountSid>),
    /// Deletes these notifications.
    ForgetNotifications(Vec<NotificationSid>),
    /// Takes over some of the callbacks of an owner without a heartbeat since then, except those of
    /// open calls and messages: the server that closes these takes them over.
    AdoptCallbacks {
        from: String,
        gone_since: Timestamp,
    },
}

impl Admin {
    /// Whether it changes what [`crate::caches::Caches`] keeps.
    pub(crate) fn changes_look_ups(&self) -> bool {
        match self {
            Self::InsertOrganization(_)
            | Self::SetOrganizationStatus(..)
            | Self::InsertAccount { .. }
            | Self::MoveAccounts(_)
            | Self::MoveNumbers(_)
            | Self::ChangeProfiles(_)
            | Self::ChangeAccount(_)
            | Self::SetAccountStatus { .. }
            | Self::InsertClient(..)
            | Self::UpdateClient(..)
            | Self::DeleteClient(_)
            | Self::InsertNumber(_)
            | Self::InsertOrderedNumber(..)
            | Self::UpdateNumber(..)
            | Self::Bin(_)
            | Self::InsertApplication(_)
            | Self::UpdateApplication(..)
            | Self::DeleteApplication(_) => true,
            Self::Mask(write) => write.changes_pools(),
            Self::Change(_)
            | Self::InsertOwned(..)
            | Self::UpdateOwned(..)
            | Self::InsertQueue(_)
            | Self::UpdateQueue(..)
            | Self::DeleteQueue(_)
            | Self::DeleteRecordings(_)
            | Self::DeleteMessage(_)
            | Self::InsertInto(..)
            | Self::Fire(..)
            | Self::Execute(_)
            | Self::Once { .. }
            | Self::Verify(_)
            | Self::DeleteNotifications(_)
            | Self::ForgetNotifications(_)
            | Self::AdoptCallbacks { .. } => false,
        }
    }

    /// Whether its transaction needs [`crate::dialect::Dialect::lock_directory`], so that nothing is added to an
    /// account that is closed meanwhile, nor two owners of one name, nor more codes than a limit allows.
    pub(crate) const fn locks_directory(&self) -> bool {
        match self {
            Self::InsertAccount { .. }
            | Self::SetOrganizationStatus(..)
            | Self::MoveAccounts(_)
            | Self::MoveNumbers(_)
            | Self::SetAccountStatus { .. }
            | Self::InsertClient(..)
            | Self::InsertNumber(_)
            | Self::InsertOrderedNumber(..)
            | Self::InsertApplication(_)
            | Self::InsertOwned(..)
            | Self::InsertQueue(_)
            | Self::InsertInto(..)
            | Self::Verify(_)
            | Self::Mask(_)
            | Self::Bin(_) => true,
            Self::InsertOrganization(_)
            | Self::ChangeProfiles(_)
            | Self::Change(_)
            | Self::UpdateOwned(..)
            | Self::ChangeAccount(_)
            | Self::UpdateClient(..)
            | Self::DeleteClient(_)
            | Self::UpdateNumber(..)
            | Self::UpdateApplication(..)
            | Self::DeleteApplication(_)
            | Self::UpdateQueue(..)
            | Self::DeleteQueue(_)
            | Self::DeleteRecordings(_)
            | Self::Fire(..)
            | Self::DeleteMessage(_)
            | Self::Execute(_)
            | Self::Once { .. }
            | Self::DeleteNotifications(_)
            | Self::ForgetNotifications(_)
            | Self::AdoptCallbacks { .. } => false,
        }
    }

    /// The statement for an account with its token sealed.
    ///
    /// - `limit`: maximum number of open accounts directly below its parent
    pub(crate) fn insert_account(
        account: &Account,
        limit: Option<u32>,
        key: &crate::SecretKey,
    ) -> Self {
        Self::InsertAccount {
            parent: account.parent,
            organization: account.organization,
            row: rows::account_args(account, key),
            limit,
        }
    }

    /// The statement for a client with its digests sealed.
    pub(crate) fn insert_client(client: &Client, key: &crate::SecretKey) -> Self {
        Self::InsertClient(Claim::of_client(client), rows::client_args(client, key))
    }

    /// The statement for a client with its digests sealed.
    pub(crate) fn update_client(client: &Client, read: Timestamp, key: &crate::SecretKey) -> Self {
        Self::UpdateClient(rows::client_args(client, key), read)
    }
}

/// What moves to another organization.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OrganizationMove {
    /// An account; all below it move too.
    pub(crate) of: AccountSid,
    pub(crate) to: OrganizationSid,
    pub(crate) at: Timestamp,
}

/// A write of the bin.
pub(crate) enum BinMove {
    /// Moves a row to the bin.
    Discard {
        kind: Kind,
        sid: String,
        /// The account in whose bin it rests, if its row names none.
        by: Option<AccountSid>,
        at: Timestamp,
    },
    /// Moves it back.
    Restore(String),
    /// Deletes a number for good.
    Forget(String),
}
