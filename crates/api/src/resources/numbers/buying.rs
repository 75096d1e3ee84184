//! Buys numbers from the provider.

use model::available::{AvailableNumber, NumberSearch};
use model::error;
use model::number::e164;
use model::record::{Account, Number};
use store::{NumberOrder, StoreError};

use super::fields::{NUMBER, Shown};
use super::{is_known, new_number};
use crate::context::{Answer, Context, now};
use crate::failure::Failure;
use crate::provider::{Carrier, NumberProvider, ProviderError};
use crate::resources::available::kind_of;
use crate::resources::profiles;

/// The countries that have area codes in the sense of `AreaCode`.
const AREA_CODE_COUNTRIES: [&str; 2] = ["US", "CA"];
/// How many numbers of an area are tried at most: others may buy them at the same time.
const TRIES: i64 = 10;

/// The provider's offer of a number, if it has the number.
pub(super) async fn offer(
    context: &Context<'_>,
    account: &Account,
    phone_number: &str,
) -> Result<Option<AvailableNumber>, Failure> {
    let Some(phone_number) = e164(phone_number) else {
        return Ok(None);
    };
    let search = NumberSearch {
        phone_number: Some(phone_number.clone()),
        limit: 1,
        ..NumberSearch::default()
    };
    let state = context.state;
    let found = state
        .numbers
        .of(account)
        .search(&state.store, &search)
        .await?;
    let mut found = found.into_iter();
    Ok(found.find(|offer| offer.phone_number == phone_number))
}

/// Whether a number that the provider does not have can be one of the operator's own.
pub(super) fn may_be_own(context: &Context<'_>, account: &Account, phone_number: &str) -> bool {
    match context.state.numbers.of(account) {
        NumberProvider::Inventory => true,
        NumberProvider::Carrier(_) | NumberProvider::Test => e164(phone_number).is_none(),
    }
}

/// The provider does not have the number. If it is in the bin of the account, the text says so.
pub(super) async fn not_for_sale(
    context: &Context<'_>,
    account: &Account,
    phone_number: &str,
) -> Failure {
    let store = &context.state.store;
    let text = match store.discarded_number(account.sid, phone_number).await {
        Ok(Some(resting)) => format!(
            "The number is in the bin of this account: POST to /restcomm/2012-04-24/Accounts/{}/Bin/{} restores it.",
            account.sid, resting.sid
        ),
        Ok(None) => {
            "The number is not for sale here. If it is your own, add isSIP=true.".to_owned()
        }
        Err(error) => return error.into(),
    };
    Failure::of(error::NUMBER_TAKEN).saying(text)
}

/// Nothing with an area code can be had.
pub(super) fn none_with_area_code() -> Failure {
    Failure::of(error::NUMBER_TAKEN).saying(
        "No number with this area code is for sale; name your own number with PhoneNumber and isSIP=true.",
    )
}

/// Buys one number.
pub(super) async fn one(
    context: &Context<'_>,
    account: &Account,
    offer: AvailableNumber,
) -> Answer {
    match buy(context, account, &offer).await? {
        Some(number) => Ok(context.show(&NUMBER, &Shown::bare(number))),
        None => Err(not_for_sale(context, account, &offer.phone_number).await),
    }
}

/// Buys any number with an area code.
pub(super) async fn any(context: &Context<'_>, account: &Account, area_code: String) -> Answer {
    let state = context.state;
    let profile = state.store.profile_of(account.sid).await?;
    let allowed = |country: &&str| profile.limits.allows_country(country);
    if !AREA_CODE_COUNTRIES.iter().any(allowed) {
        return Err(profiles::refused("A number with an area code", &profile));
    }
    let provider = state.numbers.of(account);
    for country in AREA_CODE_COUNTRIES.into_iter().filter(allowed) {
        let search = NumberSearch {
            country: Some(country.to_owned()),
            kind: kind_of(context.path),
            area_code: Some(area_code.clone()),
            limit: TRIES,
            ..NumberSearch::default()
        };
        for offer in provider.search(&state.store, &search).await? {
            if let Some(number) = buy(context, account, &offer).await? {
                return Ok(context.show(&NUMBER, &Shown::bare(number)));
            }
        }
    }
    Err(none_with_area_code())
}

/// Buys a number; `None` if someone else has just bought it.
async fn buy(
    context: &Context<'_>,
    account: &Account,
    offer: &AvailableNumber,
) -> Result<Option<Number>, Failure> {
    let profile = context.state.store.profile_of(account.sid).await?;
    if !profile.limits.allows_country(&offer.country) {
        let what = format!("A number of the country {}", offer.country);
        return Err(profiles::refused(&what, &profile));
    }
    let mut number = new_number(context, account, &offer.phone_number, false).await?;
    for (name, can) in [
        ("VoiceCapable", offer.can.voice),
        ("SmsCapable", offer.can.sms),
        ("MmsCapable", offer.can.mms),
        ("FaxCapable", offer.can.fax),
    ] {
        let sent = context.params.flag(name)?.is_some();
        if !sent {
            number.extra.insert(name.to_owned(), can.to_string());
        }
    }
    if is_known(context, &number.phone_number).await? {
        return Ok(None);
    }
    let bought = match &context.state.numbers.of(account) {
        NumberProvider::Inventory | NumberProvider::Test => {
            let added = context.state.store.insert_number(number.clone()).await;
            added.map(|()| true)
        }
        NumberProvider::Carrier(carrier) => {
            let order = NumberOrder {
                phone_number: number.phone_number.clone(),
                number: number.sid,
                account: account.sid,
            };
            if !ordered(context, carrier.as_ref(), &order).await? {
                return Ok(None);
            }
            let added = context
                .state
                .store
                .insert_ordered_number(number.clone())
                .await;
            if added.is_err() {
                context.state.store.give_up_order(&order).await?;
            }
            added
        }
    };
    match bought {
        Ok(bought) => Ok(bought.then_some(number)),
        Err(StoreError::Duplicate(_) | StoreError::Taken(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Orders a number at the carrier; `false` if the carrier does not have it, or if it is being ordered
/// or given back already.
async fn ordered(
    context: &Context<'_>,
    carrier: &dyn Carrier,
    order: &NumberOrder,
) -> Result<bool, Failure> {
    let store = &context.state.store;
    if !store.begin_order(order, now()).await? {
        return Ok(false);
    }
    match carrier.order(order).await {
        Ok(()) => Ok(true),
        Err(ProviderError::NotAvailable) => {
            store.forget_order(order).await?;
            Ok(false)
        }
        // It may have carried out the order nevertheless.
        Err(failed) => {
            store.give_up_order(order).await?;
            Err(failed.into())
        }
    }
}
