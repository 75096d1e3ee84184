//! The numbers that test accounts can buy: they cost nothing and belong to nobody (`docs/test-mode.md`).
//!
//! **Invariant: what is for sale follows from the search and the given random value alone.** Whether a number is taken
//! already is found out when it is bought.

use model::available::{AvailableNumber, Capabilities, DigitPattern, NumberKind, NumberSearch};
use model::error;

use crate::provider::ProviderError;

/// The only country with such numbers.
pub(crate) const COUNTRY: &str = "US";
const AREA_CODE: &str = "500";
const PREFIX: &str = "+1500555";
/// The numbers are `PREFIX` and four digits from this one on; those before it have a meaning of their own.
const FIRST: u16 = 1000;
const COUNT: u16 = 9000;
/// The number that can be bought by its name.
const FOR_SALE: &str = "+15005550006";
const INVALID: &str = "+15005550001";

/// What matches a search: in ascending order, from a random number on.
pub(crate) fn search(
    search: &NumberSearch,
    random: u16,
) -> Result<Vec<AvailableNumber>, ProviderError> {
    if search.phone_number.as_deref() == Some(INVALID) {
        let text = "In test mode, this number is not valid.";
        return Err(ProviderError::Refused(error::TEST_INVALID_PURCHASE, text));
    }
    let number = |n: u16| format!("{PREFIX}{}", FIRST + (random % COUNT + n) % COUNT);
    let named = std::iter::once(FOR_SALE.to_owned()).filter(|_| search.phone_number.is_some());
    let skipped = usize::try_from(search.offset).unwrap_or(0);
    let limit = usize::try_from(search.limit).unwrap_or(0);
    let found = (0..COUNT)
        .map(number)
        .chain(named)
        .filter(|number| matches(search, number));
    Ok(found.skip(skipped).take(limit).map(offer).collect())
}

fn matches(search: &NumberSearch, number: &str) -> bool {
    let is = |wanted: &Option<String>, found: &str| {
        wanted.as_deref().is_none_or(|wanted| wanted == found)
    };
    let can = &search.can;
    is(&search.country, COUNTRY)
        && is(&search.area_code, AREA_CODE)
        && is(&search.phone_number, number)
        && search.kind.is_none_or(|kind| kind == NumberKind::Local)
        && search.contains.as_ref().is_none_or(|wanted| contains(wanted, number))
        && can.voice != Some(false)
        && can.sms != Some(false)
        && [can.mms, can.fax, can.ussd].iter().all(|can| *can != Some(true))
        // They are nowhere.
        && search.near.is_none()
        && search.near_number.is_none()
        && [
            &search.region,
            &search.locality,
            &search.rate_center,
            &search.lata,
            &search.postal_code,
        ]
        .iter()
        .all(|place| place.is_none())
}

fn contains(wanted: &DigitPattern, number: &str) -> bool {
    let digits = number.trim_start_matches('+').as_bytes();
    let wanted_digits = wanted.digits.as_bytes();
    let fits = |part: &[u8]| {
        part.len() == wanted_digits.len()
            && part
                .iter()
                .zip(wanted_digits)
                .all(|(digit, wanted)| *wanted == b'*' || digit == wanted)
    };
    let mut places = digits.windows(wanted_digits.len().max(1)).enumerate();
    // With or without the country code, which is one digit.
    places.any(|(place, part)| fits(part) && (!wanted.at_start || place <= 1))
}

fn offer(phone_number: String) -> AvailableNumber {
    AvailableNumber {
        phone_number,
        country: COUNTRY.to_owned(),
        kind: NumberKind::Local,
        region: None,
        locality: None,
        rate_center: None,
        lata: None,
        postal_code: None,
        position: None,
        can: Capabilities {
            voice: true,
            sms: true,
            ..Capabilities::default()
        },
        cost: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(wanted: &NumberSearch) -> Vec<String> {
        let found = search(wanted, 8999).unwrap_or_default();
        found.into_iter().map(|offer| offer.phone_number).collect()
    }

    #[test]
    fn finds_what_is_searched() {
        let all = || NumberSearch {
            limit: 2,
            ..NumberSearch::default()
        };
        let text = |text: &str| Some(text.to_owned());
        let pattern = |digits: &str, at_start| {
            Some(DigitPattern {
                digits: digits.to_owned(),
                at_start,
            })
        };
        let named = |number: &str| NumberSearch {
            phone_number: text(number),
            ..all()
        };
        let table: [(NumberSearch, &[&str]); 9] = [
            (all(), &["+15005559999", "+15005551000"]),
            (
                NumberSearch { offset: 1, ..all() },
                &["+15005551000", "+15005551001"],
            ),
            (
                NumberSearch {
                    area_code: text("533"),
                    ..all()
                },
                &[],
            ),
            (
                NumberSearch {
                    country: text("CA"),
                    ..all()
                },
                &[],
            ),
            (
                NumberSearch {
                    kind: Some(NumberKind::TollFree),
                    ..all()
                },
                &[],
            ),
            (
                NumberSearch {
                    contains: pattern("4*21", false),
                    ..all()
                },
                &["+15005554021", "+15005554121"],
            ),
            (
                NumberSearch {
                    contains: pattern("5554", true),
                    ..all()
                },
                &[],
            ),
            (named("+15005550006"), &["+15005550006"]),
            (named("+15005550000"), &[]),
        ];
        for (wanted, expected) in table {
            assert_eq!(found(&wanted), expected, "{wanted:?}");
        }
        let refused = search(&named(INVALID), 0);
        assert!(
            matches!(refused, Err(ProviderError::Refused(21_421, _))),
            "{refused:?}"
        );
    }
}
