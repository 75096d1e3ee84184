//! Where phone numbers for sale come from.
//!
//! The operator's inventory is in the database; a carrier is a trait that the program implements.
//! **Invariant: a carrier is asked for a number only after the order is recorded,** so that a number
//! it gave us is not lost, whatever fails; [`release_numbers`] clears up after interrupted orders.

use std::sync::Arc;

use async_trait::async_trait;
use model::Timestamp;
use model::available::{AvailableNumber, NumberSearch};
use model::error;
use model::record::Account;
use store::{NumberOrder, Store, StoreError};
use tracing::{info, warn};

use crate::failure::Failure;
use crate::test_stock;

/// Why a provider did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// It does not have the number, or no longer.
    #[error("the number is not available")]
    NotAvailable,
    /// It refuses the number, with this number of the error table.
    #[error("{1}")]
    Refused(u16, &'static str),
    /// It failed, gave no usable answer, or none in time.
    #[error("{0}")]
    Failed(String),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A company that sells phone numbers, reached over a network.
#[async_trait]
pub trait Carrier: Send + Sync + 'static {
    /// ISO codes of the countries whose numbers it sells.
    async fn countries(&self) -> Result<Vec<String>, ProviderError>;

    /// Numbers that it would sell now.
    async fn search(&self, search: &NumberSearch) -> Result<Vec<AvailableNumber>, ProviderError>;

    /// Buys a number. Repeating an order has no further effect.
    async fn order(&self, order: &NumberOrder) -> Result<(), ProviderError>;

    /// Gives a number back; also succeeds if the order was never carried out.
    async fn release(&self, order: &NumberOrder) -> Result<(), ProviderError>;
}

/// Where numbers for sale come from.
#[derive(Clone)]
pub enum NumberProvider {
    /// The inventory in the database.
    Inventory,
    /// A carrier.
    Carrier(Arc<dyn Carrier>),
    /// The numbers of test mode.
    Test,
}

impl NumberProvider {
    /// What sells numbers to an account.
    pub(crate) fn of(&self, account: &Account) -> Self {
        if account.is_test {
            Self::Test
        } else {
            self.clone()
        }
    }

    pub(crate) async fn countries(&self, store: &Store) -> Result<Vec<String>, ProviderError> {
        match self {
            Self::Inventory => Ok(store.inventory_countries().await?),
            Self::Carrier(carrier) => carrier.countries().await,
            Self::Test => Ok(vec![test_stock::COUNTRY.to_owned()]),
        }
    }

    /// At most as many numbers as the search allows.
    pub(crate) async fn search(
        &self,
        store: &Store,
        search: &NumberSearch,
    ) -> Result<Vec<AvailableNumber>, ProviderError> {
        let mut found = match self {
            Self::Inventory => store.inventory(search).await?,
            Self::Carrier(carrier) => carrier.search(search).await?,
            Self::Test => test_stock::search(search, rand::random())?,
        };
        found.truncate(usize::try_from(search.limit).unwrap_or(0));
        Ok(found)
    }
}

impl From<ProviderError> for Failure {
    fn from(failure: ProviderError) -> Self {
        match failure {
            ProviderError::NotAvailable => {
                Self::of(error::NUMBER_TAKEN).saying("The number is not available.")
            }
            ProviderError::Refused(code, text) => Self::of(code).saying(text),
            ProviderError::Failed(reason) => {
                warn!(reason, "the number provider failed a request");
                Self::of(error::PROVIDER_FAILED)
            }
            ProviderError::Store(error) => error.into(),
        }
    }
}

/// Gives numbers back to the carrier: those that were deleted, and those whose order was interrupted.
/// What fails is tried again in a later round.
///
/// # Errors
/// As reported by the database.
pub async fn release_numbers(
    store: &Store,
    carrier: &dyn Carrier,
    now: Timestamp,
) -> Result<(), StoreError> {
    for order in store.claim_releases(now).await? {
        match carrier.release(&order).await {
            Ok(()) | Err(ProviderError::NotAvailable) => {
                store.forget_order(&order).await?;
                info!(number = %order.number, "a number was given back to the carrier");
            }
            Err(failed @ (ProviderError::Refused(..) | ProviderError::Failed(_))) => {
                let reason = failed.to_string();
                warn!(number = %order.number, reason, "a number could not be given back to the carrier yet");
            }
            Err(ProviderError::Store(error)) => return Err(error),
        }
    }
    Ok(())
}
