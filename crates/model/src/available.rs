//! Phone numbers that a provider sells, and the search for them.
//!
//! Left to others: where the numbers come from, and who has which.

use std::fmt;
use std::str::FromStr;

use crate::number::e164;

/// The kind of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum NumberKind {
    /// Of a place.
    Local,
    /// Free for the caller.
    TollFree,
    /// Of a mobile network.
    Mobile,
}

impl NumberKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Local, Self::TollFree, Self::Mobile];

    /// The word in the database, in inventories and in the carrier protocol.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::TollFree => "toll-free",
            Self::Mobile => "mobile",
        }
    }
}

impl fmt::Display for NumberKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text is not the word for a kind of number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a number is `local`, `toll-free` or `mobile`")]
pub struct NoNumberKind;

impl FromStr for NumberKind {
    type Err = NoNumberKind;

    fn from_str(text: &str) -> Result<Self, NoNumberKind> {
        let found = Self::ALL.into_iter().find(|kind| kind.as_str() == text);
        found.ok_or(NoNumberKind)
    }
}

/// What a number can be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Capabilities {
    /// Calls.
    pub voice: bool,
    /// Text messages.
    pub sms: bool,
    /// Multimedia messages.
    pub mms: bool,
    /// Faxes.
    pub fax: bool,
    /// USSD.
    pub ussd: bool,
}

/// Capabilities that a number must have (`true`) or must lack (`false`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WantedCapabilities {
    /// Calls.
    pub voice: Option<bool>,
    /// Text messages.
    pub sms: Option<bool>,
    /// Multimedia messages.
    pub mms: Option<bool>,
    /// Faxes.
    pub fax: Option<bool>,
    /// USSD.
    pub ussd: Option<bool>,
}

/// A place on the globe, in millionths of a degree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// North of the equator; from −90 to 90 degrees.
    pub latitude_e6: i64,
    /// East of Greenwich; from −180 to 180 degrees.
    pub longitude_e6: i64,
}

/// Mean radius of the earth in miles.
const EARTH_MILES: f64 = 3_958.8;
const E6: f64 = 1_000_000.0;

impl Position {
    /// From degrees; `None` if there is no such place.
    #[must_use]
    pub fn from_degrees(latitude: f64, longitude: f64) -> Option<Self> {
        let valid = latitude.abs() <= 90.0 && longitude.abs() <= 180.0;
        valid.then(|| Self {
            latitude_e6: millionths(latitude),
            longitude_e6: millionths(longitude),
        })
    }

    /// From `latitude,longitude` in degrees.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (latitude, longitude) = text.split_once(',')?;
        let degrees = |text: &str| text.trim().parse::<f64>().ok();
        Self::from_degrees(degrees(latitude)?, degrees(longitude)?)
    }

    /// Latitude and longitude in degrees.
    #[must_use]
    pub fn degrees(self) -> (f64, f64) {
        (
            of_millionths(self.latitude_e6),
            of_millionths(self.longitude_e6),
        )
    }

    /// Distance in miles, along the surface.
    #[must_use]
    pub fn miles_to(self, other: Self) -> f64 {
        let ((lat, lon), (other_lat, other_lon)) = (self.degrees(), other.degrees());
        let half = |one: f64, other: f64| ((other - one).to_radians() / 2.0).sin().powi(2);
        let cosines = lat.to_radians().cos() * other_lat.to_radians().cos();
        let haversine = half(lat, other_lat) + cosines * half(lon, other_lon);
        2.0 * EARTH_MILES * haversine.clamp(0.0, 1.0).sqrt().asin()
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "at most 180 million, and a fraction of a millionth of a degree does not matter"
)]
fn millionths(degrees: f64) -> i64 {
    (degrees * E6).round() as i64
}

#[expect(
    clippy::cast_precision_loss,
    reason = "180 million has an exact floating-point value"
)]
fn of_millionths(value: i64) -> f64 {
    value as f64 / E6
}

/// A number that can be bought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AvailableNumber {
    /// In E.164, with `+`.
    pub phone_number: String,
    /// ISO 3166 code of the country: two capital letters.
    pub country: String,
    /// Its kind.
    pub kind: NumberKind,
    /// State or province.
    pub region: Option<String>,
    /// City.
    pub locality: Option<String>,
    /// Rate center.
    pub rate_center: Option<String>,
    /// Local access and transport area.
    pub lata: Option<String>,
    /// Postal code.
    pub postal_code: Option<String>,
    /// Where it is.
    pub position: Option<Position>,
    /// What it can be used for.
    pub can: Capabilities,
    /// Price, in the provider's words.
    pub cost: Option<String>,
}

/// Digits that a number must contain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DigitPattern {
    /// Digits, and `*` for any digit.
    pub digits: String,
    /// Whether the number, with or without its country code, must begin with them.
    pub at_start: bool,
}

/// A place and the distance from it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Near {
    /// The place.
    pub position: Position,
    /// Distance in miles.
    pub miles: f64,
}

/// Selects numbers that can be bought. What is `None` does not matter.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct NumberSearch {
    /// ISO 3166 code of the country: two capital letters.
    pub country: Option<String>,
    /// Kind.
    pub kind: Option<NumberKind>,
    /// Digits that it contains.
    pub contains: Option<DigitPattern>,
    /// Digits that follow its country code.
    pub area_code: Option<String>,
    /// Exactly this number, in E.164.
    pub phone_number: Option<String>,
    /// State or province.
    pub region: Option<String>,
    /// City.
    pub locality: Option<String>,
    /// Rate center.
    pub rate_center: Option<String>,
    /// Local access and transport area.
    pub lata: Option<String>,
    /// Postal code.
    pub postal_code: Option<String>,
    /// Near this place.
    pub near: Option<Near>,
    /// Near this number, in E.164: its distance in miles.
    pub near_number: Option<(String, f64)>,
    /// What it can be used for.
    pub can: WantedCapabilities,
    /// Numbers to skip.
    pub offset: i64,
    /// Maximum count.
    pub limit: i64,
}

/// The national part of an E.164 number: everything after its country code.
#[must_use]
pub fn national(number: &str) -> Option<String> {
    let number = e164(number)?;
    let digits = number.trim_start_matches('+');
    digits.get(country_code_length(digits)..).map(str::to_owned)
}

/// The country code of an E.164 number, without the `+`.
#[must_use]
pub fn country_code_of(number: &str) -> Option<&str> {
    let digits = number.strip_prefix('+')?;
    digits.get(..country_code_length(digits))
}

/// How many digits of an international number are its country code (ITU-T E.164 annex D): one in
/// the zones 1 and 7, otherwise two for these and three for all others.
fn country_code_length(digits: &str) -> usize {
    const TWO: &[&str] = &[
        "20", "27", "30", "31", "32", "33", "34", "36", "39", "40", "41", "43", "44", "45", "46",
        "47", "48", "49", "51", "52", "53", "54", "55", "56", "57", "58", "60", "61", "62", "63",
        "64", "65", "66", "81", "82", "84", "86", "90", "91", "92", "93", "94", "95", "98",
    ];
    match digits.get(..2) {
        Some(zone) if zone.starts_with(['1', '7']) => 1,
        Some(code) if TWO.contains(&code) => 2,
        Some(_) | None => 3,
    }
}

/// The code of a country in capitals; `None` if it is not two letters.
#[must_use]
pub fn country(text: &str) -> Option<String> {
    let valid = text.len() == 2 && text.bytes().all(|b| b.is_ascii_alphabetic());
    valid.then(|| text.to_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_country_code_is_not_part_of_the_national_number() {
        let table = [
            ("+15015550100", Some("5015550100")),
            ("+79261234567", Some("9261234567")),
            ("+442079460000", Some("2079460000")),
            ("+34700123456", Some("700123456")),
            ("+35312345678", Some("12345678")),
            ("+37012345678", Some("12345678")),
            ("9966", None),
        ];
        for (number, expected) in table {
            assert_eq!(national(number).as_deref(), expected, "{number}");
        }
    }

    #[test]
    fn distances_are_those_of_the_map() {
        let place = |text| Position::parse(text).unwrap();
        let (little_rock, memphis) = (place("34.7465,-92.2896"), place(" 35.1495, -90.0490"));
        let miles = little_rock.miles_to(memphis);
        assert!((129.0..131.0).contains(&miles), "{miles}");
        assert_eq!(little_rock.miles_to(little_rock), 0.0);
        assert_eq!(little_rock.degrees(), (34.7465, -92.2896));
        for text in ["91,0", "0,181", "1", "a,b", "NaN,0", ""] {
            assert_eq!(Position::parse(text), None, "{text}");
        }
    }

    #[test]
    fn words_and_codes_are_read_back() {
        for kind in NumberKind::ALL {
            assert_eq!(kind.to_string().parse(), Ok(kind));
        }
        assert_eq!("Local".parse::<NumberKind>(), Err(NoNumberKind));
        assert_eq!(country("gb").as_deref(), Some("GB"));
        assert_eq!(
            (country("G"), country("GBR"), country("1A")),
            (None, None, None)
        );
    }
}
