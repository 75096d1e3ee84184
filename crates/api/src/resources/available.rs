//! `/Accounts/{sid}/AvailablePhoneNumbers`: numbers that can be bought.

use model::available::{
    AvailableNumber, DigitPattern, Near, NumberKind, NumberSearch, Position, WantedCapabilities,
    country,
};
use model::number::e164;
use model::record::Account;
use store::Rows;

use crate::context::{Answer, Context};
use crate::dialect::Each;
use crate::failure::Failure;
use crate::page::{Page, row_key};
use crate::params::shown;
use crate::roles::Action;
use crate::route::{Answers, Is, Param, RESTCOMM, Route, TWILIO, param};
use crate::value::{Entry, Field, Kind, Null, Resource, Value, View, field};

const TARGET: &str = "AvailablePhoneNumbers";
const COUNTRIES: &[&str] = &["/Accounts/{account}/AvailablePhoneNumbers"];
const COUNTRY: &[&str] = &["/Accounts/{account}/AvailablePhoneNumbers/{country}"];
const NUMBERS: &[&str] = &[
    "/Accounts/{account}/AvailablePhoneNumbers/{country}/Local",
    "/Accounts/{account}/AvailablePhoneNumbers/{country}/TollFree",
    "/Accounts/{account}/AvailablePhoneNumbers/{country}/Mobile",
];

/// The routes of numbers for sale.
pub(crate) static ROUTES: &[Route] = &[
    Route::get(COUNTRIES, |c, a, _| Box::pin(countries(c, a)))
        .needs(Action::Read, TARGET)
        .within(TWILIO)
        .answers(Answers::Page(&COUNTRY_SHAPE))
        .doc("Lists the countries whose numbers are for sale."),
    Route::get(COUNTRY, |c, a, code| Box::pin(one_country(c, a, code)))
        .needs(Action::Read, TARGET)
        .within(TWILIO)
        .answers(Answers::One(&COUNTRY_SHAPE))
        .doc("Reads a country."),
    Route::get(NUMBERS, |c, a, code| Box::pin(numbers(c, a, code)))
        .needs(Action::Read, TARGET)
        .params(&[FILTERS, PLACES, WINDOW])
        .answers(Answers::All(&NUMBER))
        .doc("Searches the numbers for sale of a country. At the Restcomm base, `Local` finds numbers of every kind, except in the US."),
];

const FILTERS: &[Param] = &[
    param(
        "Contains",
        Is::Text,
        "Digits, `*` for any digit, and letters. At the Restcomm base, the number must begin with them, with or without its \
         country code, and letters are digits as with Restcomm (ABC 1, DEF 2, GHI 3, JKL 4, MNO 5, PQRS 6, TUV 7, WXYZ 9). At \
         the Twilio base, they may be anywhere, and letters are digits as on a telephone.",
    ),
    param(
        "AreaCode",
        Is::Number,
        "First digits after the country code.",
    ),
    param("VoiceEnabled", Is::Flag, "Whether it must support calls."),
    param(
        "SmsEnabled",
        Is::Flag,
        "Whether it must support text messages.",
    ),
    param(
        "MmsEnabled",
        Is::Flag,
        "Whether it must support multimedia messages.",
    ),
    param("FaxEnabled", Is::Flag, "Whether it must support faxes."),
    param("UssdEnabled", Is::Flag, "Whether it must support USSD.").within(RESTCOMM),
];

const PLACES: &[Param] = &[
    param("InRegion", Is::Text, "State or province, such as `AR`."),
    param("InLocality", Is::Text, "City."),
    param("InPostalCode", Is::Text, "Postal code."),
    param("InRateCenter", Is::Text, "Rate center."),
    param("InLata", Is::Text, "Local access and transport area."),
    param(
        "NearLatLong",
        Is::Text,
        "Place, as `latitude,longitude` in degrees.",
    ),
    param(
        "NearNumber",
        Is::Party,
        "Number near whose place to search, in E.164.",
    ),
    param(
        "Distance",
        Is::Number,
        "Maximum distance from `NearLatLong` or `NearNumber` in miles, 1 to 500; 25 if not given.",
    ),
];

const WINDOW: &[Param] = &[
    param(
        "RangeSize",
        Is::Number,
        "Maximum count, 1 to 1000; 50 if not given.",
    )
    .within(RESTCOMM),
    param(
        "RangeIndex",
        Is::Number,
        "Which range of that size, counted from 1.",
    )
    .within(RESTCOMM),
    param(
        "PageSize",
        Is::Number,
        "Maximum count, 1 to 1000; 50 if not given.",
    )
    .within(TWILIO),
];

const DEFAULT_RANGE: i64 = 50;
const MAX_RANGE: i64 = 1_000;
const MAX_RANGES: i64 = 100_000;
const DEFAULT_MILES: i64 = 25;
const MAX_MILES: i64 = 500;
/// Longest pattern: a number has at most 15 digits.
const MAX_PATTERN: usize = 15;

/// Keys of the digits of letters, for A to Z.
const RESTCOMM_LETTERS: &[u8; 26] = b"11122233344455566667779999";
const KEYPAD: &[u8; 26] = b"22233344455566677778889999";

const ABSENT: Null = Null::Absent;

/// A field with a name of its own in each dialect.
const fn named(
    json: Each<&'static str>,
    xml: &'static str,
    kind: Kind,
    null: Null,
    doc: &'static str,
    get: fn(&AvailableNumber, View<'_>) -> Value,
) -> Field<AvailableNumber> {
    let mut field = field(json[0], xml, kind, null, doc, get);
    field.json = json;
    field
}

/// A capability in JSON, where Restcomm has one field for each.
const fn capable(
    json: &'static str,
    doc: &'static str,
    get: fn(&AvailableNumber, View<'_>) -> Value,
) -> Field<AvailableNumber> {
    named([json, ""], "", Kind::Flag, Null::Never, doc, get)
}

const FIELDS: &[Field<AvailableNumber>] = &[
    named(
        ["friendlyName", "friendly_name"],
        "FriendlyName",
        Kind::Text,
        Null::Never,
        "The number as people write it.",
        |n, _| Value::Text(friendly(&n.phone_number)),
    ),
    named(
        ["phoneNumber", "phone_number"],
        "PhoneNumber",
        Kind::Text,
        Null::Never,
        "The number in E.164.",
        |n, _| Value::text(&n.phone_number),
    ),
    named(
        ["lata", "lata"],
        "Lata",
        Kind::Number,
        ABSENT,
        "Local access and transport area; at the Restcomm base only if it is a number.",
        |n, _| whole(n.lata.as_deref()),
    )
    .twilio(Kind::Text, |n, _| Value::maybe(n.lata.as_deref())),
    named(["", "locality"], "", Kind::Text, ABSENT, "City.", |n, _| {
        Value::maybe(n.locality.as_deref())
    }),
    named(
        ["rateCenter", "rate_center"],
        "RateCenter",
        Kind::Text,
        ABSENT,
        "Rate center.",
        |n, _| Value::maybe(n.rate_center.as_deref()),
    ),
    named(
        ["latitude", "latitude"],
        "Latitude",
        Kind::Decimal,
        ABSENT,
        "Degrees north of the equator.",
        |n, _| degrees(n.position.map(|position| position.degrees().0)),
    ),
    named(
        ["longitude", "longitude"],
        "Longitude",
        Kind::Decimal,
        ABSENT,
        "Degrees east of Greenwich.",
        |n, _| degrees(n.position.map(|position| position.degrees().1)),
    ),
    named(
        ["region", "region"],
        "Region",
        Kind::Text,
        ABSENT,
        "State or province.",
        |n, _| Value::maybe(n.region.as_deref()),
    ),
    named(
        ["postalCode", "postal_code"],
        "PostalCode",
        Kind::Number,
        ABSENT,
        "Postal code; at the Restcomm base only if it is a number.",
        |n, _| whole(n.postal_code.as_deref()),
    )
    .twilio(Kind::Text, |n, _| Value::maybe(n.postal_code.as_deref())),
    named(
        ["isoCountry", "iso_country"],
        "IsoCountry",
        Kind::Text,
        Null::Never,
        "ISO code of the country.",
        |n, _| Value::text(&n.country),
    ),
    named(
        ["cost", ""],
        "",
        Kind::Text,
        ABSENT,
        "Price, as the inventory or the carrier states it.",
        |n, _| Value::maybe(n.cost.as_deref()),
    ),
    capable("voiceCapable", "Whether it supports calls.", |n, _| {
        Value::Flag(n.can.voice)
    }),
    capable(
        "smsCapable",
        "Whether it supports text messages.",
        |n, _| Value::Flag(n.can.sms),
    ),
    capable(
        "mmsCapable",
        "Whether it supports multimedia messages.",
        |n, _| Value::Flag(n.can.mms),
    ),
    capable("faxCapable", "Whether it supports faxes.", |n, _| {
        Value::Flag(n.can.fax)
    }),
    capable("ussdCapable", "Whether it supports USSD.", |n, _| {
        Value::Flag(n.can.ussd)
    }),
    named(
        ["", "address_requirements"],
        "",
        Kind::Text,
        Null::Never,
        "Always `none`.",
        |_, _| Value::text("none"),
    ),
    named(
        ["", "beta"],
        "",
        Kind::Flag,
        Null::Never,
        "Always false.",
        |_, _| Value::Flag(false),
    ),
    named(
        ["", "capabilities"],
        "Capabilities",
        Kind::Object,
        Null::Never,
        "What the number can do.",
        capabilities,
    ),
];

static NUMBER: Resource<AvailableNumber> = Resource {
    xml: ["AvailablePhoneNumber", "AvailablePhoneNumber"],
    xml_list: ["AvailablePhoneNumbers", "AvailablePhoneNumbers"],
    json_list: ["available_phone_numbers", "available_phone_numbers"],
    xml_envelope: [false, true],
    fields: FIELDS,
};

fn capabilities(number: &AvailableNumber, _: View<'_>) -> Value {
    let entry = |json, xml, can| Entry {
        json,
        xml,
        null: Null::Never,
        value: Value::Flag(can),
    };
    Value::Object(vec![
        entry("voice", "Voice", number.can.voice),
        entry("SMS", "Sms", number.can.sms),
        entry("MMS", "Mms", number.can.mms),
        entry("fax", "Fax", number.can.fax),
    ])
}

fn whole(text: Option<&str>) -> Value {
    Value::number(text.and_then(|text| text.parse().ok()))
}

fn degrees(value: Option<f64>) -> Value {
    value.map_or(Value::Null, |value| Value::Decimal(value.to_string()))
}

/// A number as people write it: `(501) 555-0100` in North America.
pub(crate) fn friendly(number: &str) -> String {
    match number.strip_prefix("+1") {
        Some(rest) if rest.len() == 10 && rest.is_ascii() => {
            format!("({}) {}-{}", &rest[..3], &rest[3..6], &rest[6..])
        }
        Some(_) | None => number.to_owned(),
    }
}

/// A country and the account that asks.
struct Country {
    code: String,
    account: model::AccountSid,
}

const COUNTRY_FIELDS: &[Field<Country>] = &[
    field(
        "country_code",
        "CountryCode",
        Kind::Text,
        Null::Never,
        "ISO code.",
        |c, _| Value::text(&c.code),
    ),
    field(
        "beta",
        "Beta",
        Kind::Flag,
        Null::Never,
        "Always false.",
        |_, _| Value::Flag(false),
    ),
    field(
        "uri",
        "Uri",
        Kind::Link,
        Null::Never,
        "Path of this resource.",
        |c, view| Value::Link(view.uri(c.account, TARGET, &c.code)),
    ),
    field(
        "subresource_uris",
        "SubresourceUris",
        Kind::Object,
        Null::Never,
        "Paths of its numbers, by kind.",
        |c, view| {
            let path = view.uri(c.account, TARGET, &c.code);
            let entry = |json, xml: &'static str| Entry {
                json,
                xml,
                null: Null::Never,
                value: Value::Link(format!("{path}/{xml}")),
            };
            Value::Object(vec![
                entry("local", "Local"),
                entry("toll_free", "TollFree"),
                entry("mobile", "Mobile"),
            ])
        },
    ),
];

static COUNTRY_SHAPE: Resource<Country> = Resource {
    xml: ["Country", "Country"],
    xml_list: ["Countries", "Countries"],
    json_list: ["countries", "countries"],
    xml_envelope: [true, true],
    fields: COUNTRY_FIELDS,
};

/// The countries whose numbers are for sale.
async fn all_countries(context: &Context<'_>, account: &Account) -> Result<Vec<Country>, Failure> {
    let state = context.state;
    let provider = state.numbers.of(account);
    let codes = provider.countries(&state.store).await?.into_iter();
    let shown = codes.map(|code| Country {
        code,
        account: account.sid,
    });
    Ok(shown.collect())
}

async fn countries(context: &Context<'_>, account: &Account) -> Answer {
    let items = all_countries(context, account).await?;
    let path = format!("/Accounts/{}/{TARGET}", account.sid);
    let rows = Rows { items, total: 0 };
    let page = Page::whole(context, rows.items.len());
    page.show(context, &COUNTRY_SHAPE, &path, rows, |country| {
        row_key(model::Timestamp(0), &country.code)
    })
}

async fn one_country(context: &Context<'_>, account: &Account, code: &str) -> Answer {
    let code = country(code).ok_or_else(Failure::not_found)?;
    let mut all = all_countries(context, account).await?.into_iter();
    let found = all.find(|country| country.code == code);
    let found = found.ok_or_else(Failure::not_found)?;
    Ok(context.show(&COUNTRY_SHAPE, &found))
}

async fn numbers(context: &Context<'_>, account: &Account, code: &str) -> Answer {
    let code = country(code).ok_or_else(Failure::not_found)?;
    let search = search(context, code.clone())?;
    let state = context.state;
    let found = state
        .numbers
        .of(account)
        .search(&state.store, &search)
        .await?;
    if context.dialect.bare_lists {
        return Ok(context.bare(&NUMBER, &found));
    }
    let kind = context.path.rsplit('/').next().unwrap_or_default();
    let path = format!("/Accounts/{}/{TARGET}/{code}/{kind}", account.sid);
    let page = Page::whole(context, found.len());
    let rows = Rows {
        items: found,
        total: 0,
    };
    page.show(context, &NUMBER, &path, rows, |number| {
        row_key(model::Timestamp(0), &number.phone_number)
    })
}

/// The kind of number that a path ends with.
pub(crate) fn kind_of(path: &str) -> Option<NumberKind> {
    match path.rsplit('/').next() {
        Some("Local") => Some(NumberKind::Local),
        Some("TollFree") => Some(NumberKind::TollFree),
        Some("Mobile") => Some(NumberKind::Mobile),
        Some(_) | None => None,
    }
}

/// The search that the parameters describe.
fn search(context: &Context<'_>, country: String) -> Result<NumberSearch, Failure> {
    let params = &context.params;
    let kind = kind_of(context.path);
    let of_every_kind = kind == Some(NumberKind::Local) && country != "US";
    let text = |name: &str| params.filled(name).map(|text| text.trim().to_owned());
    let (offset, limit) = window(context)?;
    let miles = bounded(context, "Distance", DEFAULT_MILES, MAX_MILES)?;
    // A small whole number.
    let miles = f64::from(i32::try_from(miles).unwrap_or(i32::MAX));
    let place = text("NearLatLong").map(|text| {
        Position::parse(&text).ok_or_else(|| {
            let reason = format!("`{}` is not `latitude,longitude` in degrees", shown(&text));
            Failure::parameter("NearLatLong", &reason)
        })
    });
    let near_number = text("NearNumber").map(|text| {
        e164(&text).ok_or_else(|| {
            let reason = format!("`{}` is not a number in E.164", shown(&text));
            Failure::parameter("NearNumber", &reason)
        })
    });
    if place.is_some() && near_number.is_some() {
        let reason = "use either `NearLatLong` or `NearNumber`";
        return Err(Failure::parameter("NearNumber", reason));
    }
    if place.is_none() && near_number.is_none() && params.filled("Distance").is_some() {
        let reason = "needs `NearLatLong` or `NearNumber`";
        return Err(Failure::parameter("Distance", reason));
    }
    Ok(NumberSearch {
        country: Some(country),
        kind: kind.filter(|_| !context.dialect.pick([of_every_kind, false])),
        contains: contains(context)?,
        area_code: area_code(context)?,
        phone_number: None,
        region: text("InRegion"),
        locality: text("InLocality"),
        rate_center: text("InRateCenter"),
        lata: text("InLata"),
        postal_code: text("InPostalCode"),
        near: place.transpose()?.map(|position| Near { position, miles }),
        near_number: near_number.transpose()?.map(|number| (number, miles)),
        can: WantedCapabilities {
            voice: params.flag("VoiceEnabled")?,
            sms: params.flag("SmsEnabled")?,
            mms: params.flag("MmsEnabled")?,
            fax: params.flag("FaxEnabled")?,
            ussd: params.flag("UssdEnabled")?,
        },
        offset,
        limit,
    })
}

/// How many numbers to skip, and how many to return at most.
fn window(context: &Context<'_>) -> Result<(i64, i64), Failure> {
    let size = context.dialect.pick(["RangeSize", "PageSize"]);
    let size = bounded(context, size, DEFAULT_RANGE, MAX_RANGE)?;
    let index = bounded(context, "RangeIndex", 1, MAX_RANGES)?;
    Ok(((index - 1) * size, size))
}

/// A whole number from 1 to a limit.
fn bounded(context: &Context<'_>, name: &str, default: i64, most: i64) -> Result<i64, Failure> {
    let value = context.params.parsed(name, "a whole number")?;
    let value = value.unwrap_or(default);
    if (1..=most).contains(&value) {
        return Ok(value);
    }
    Err(Failure::parameter(
        name,
        &format!("must be from 1 to {most}"),
    ))
}

/// The digits of `AreaCode`.
pub(crate) fn area_code(context: &Context<'_>) -> Result<Option<String>, Failure> {
    let Some(text) = context.params.filled("AreaCode").map(str::trim) else {
        return Ok(None);
    };
    let valid = (1..=8).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    if valid {
        return Ok(Some(text.to_owned()));
    }
    let reason = format!("`{}` is not an area code", shown(text));
    Err(Failure::parameter("AreaCode", &reason))
}

fn contains(context: &Context<'_>) -> Result<Option<DigitPattern>, Failure> {
    let Some(text) = context.params.filled("Contains") else {
        return Ok(None);
    };
    let letters = context.dialect.pick([RESTCOMM_LETTERS, KEYPAD]);
    let Some(digits) = digits(text, letters) else {
        let reason = format!(
            "`{}` is not a pattern: write up to {MAX_PATTERN} digits, letters and `*`",
            shown(text)
        );
        return Err(Failure::parameter("Contains", &reason));
    };
    Ok(Some(DigitPattern {
        digits,
        at_start: context.dialect.pick([true, false]),
    }))
}

/// The digits and `*` of a pattern with letters, or `None` if it has anything else.
fn digits(text: &str, letters: &[u8; 26]) -> Option<String> {
    let text = text.trim();
    let text = text.strip_prefix('+').unwrap_or(text);
    let digit = |c: char| match c {
        '0'..='9' | '*' => Some(c),
        'a'..='z' | 'A'..='Z' => {
            let at = u32::from(c.to_ascii_uppercase()) - u32::from('A');
            let at = usize::try_from(at).ok()?;
            letters.get(at).map(|digit| char::from(*digit))
        }
        _ => None,
    };
    let digits: Option<String> = text.chars().map(digit).collect();
    digits.filter(|digits| (1..=MAX_PATTERN).contains(&digits.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_digits_in_two_ways() {
        let table = [
            ("501555****", Some("501555****"), Some("501555****")),
            ("STORM", Some("67565"), Some("78676")),
            ("storm", Some("67565"), Some("78676")),
            ("AZ", Some("19"), Some("29")),
            ("+1501", Some("1501"), Some("1501")),
            ("50%", None, None),
            ("1234567890123456", None, None),
            ("+", None, None),
        ];
        for (text, restcomm, twilio) in table {
            assert_eq!(
                digits(text, RESTCOMM_LETTERS).as_deref(),
                restcomm,
                "{text}"
            );
            assert_eq!(digits(text, KEYPAD).as_deref(), twilio, "{text}");
        }
    }

    #[test]
    fn north_american_numbers_are_grouped() {
        assert_eq!(friendly("+15015550100"), "(501) 555-0100");
        assert_eq!(friendly("+442079460000"), "+442079460000");
    }
}
