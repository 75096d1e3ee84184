//! Documents of profiles: JSON, read into what they limit.
//!
//! Known members are checked against [`SCHEMA`] by hand, so that a refusal says what is wrong where; members that are
//! unknown at the top level, and unknown rules, are allowed and limit nothing. **Invariant: what a document does not
//! mention is not limited.**

use std::time::Duration;

use model::profile::{Limits, MAX_EVENTS, Rate, Traffic};
use serde_json::{Map, Value};

/// The JSON Schema of profiles.
pub const SCHEMA: &str = include_str!("schema.json");

/// The only rule that limits anything: calls through a trunk, in both directions.
const CALLS_PER_TIME: &str = "PSTNCallsPerTime";

/// A readable document.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Profile {
    /// What it limits.
    pub limits: Limits,
    /// Members that are allowed but have no effect, as paths.
    pub unused: Vec<String>,
}

/// Why a text is not a profile.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ProfileError {
    /// It is not JSON.
    #[error("it is not JSON: {0}")]
    Json(String),
    /// It violates the schema: each path with the problem.
    #[error("{}", .0.join("; "))]
    Schema(Vec<String>),
}

impl Profile {
    /// Reads and checks a document.
    ///
    /// # Errors
    /// [`ProfileError`] with everything that is wrong.
    pub fn parse(text: &str) -> Result<Self, ProfileError> {
        let value = serde_json::from_str(text);
        let value: Value = value.map_err(|error| ProfileError::Json(error.to_string()))?;
        let mut reader = Reader::default();
        let limits = reader.document(&value);
        if reader.problems.is_empty() {
            Ok(Self {
                limits,
                unused: reader.unused,
            })
        } else {
            Err(ProfileError::Schema(reader.problems))
        }
    }
}

/// Collects what is wrong and what has no effect.
#[derive(Default)]
struct Reader {
    problems: Vec<String>,
    unused: Vec<String>,
}

impl Reader {
    fn problem(&mut self, path: &str, text: &str) {
        self.problems.push(format!("{path}: {text}"));
    }

    fn object<'a>(&mut self, value: &'a Value, path: &str) -> Option<&'a Map<String, Value>> {
        if !value.is_object() {
            self.problem(path, "must be an object");
        }
        value.as_object()
    }

    fn document(&mut self, value: &Value) -> Limits {
        let mut limits = Limits::default();
        for (name, value) in self.object(value, "the document").into_iter().flatten() {
            match name.as_str() {
                "featureEnablement" => self.features(value, &mut limits),
                "sessionThrottling" => self.rules(value, &mut limits),
                other => self.unused.push(other.to_owned()),
            }
        }
        limits
    }

    fn features(&mut self, value: &Value, limits: &mut Limits) {
        const PATH: &str = "featureEnablement";
        for (name, value) in self.object(value, PATH).into_iter().flatten() {
            let path = format!("{PATH}.{name}");
            let traffic = Traffic::ALL.into_iter().find(|one| one.as_str() == name);
            match (name.as_str(), traffic) {
                ("DIDPurchase", _) => {
                    for (_, value, path) in self.members(value, &path, &["allowedCountries"]) {
                        limits.countries =
                            self.texts(value, &path, "two capital letters", is_country);
                    }
                }
                ("subaccountsCreation", _) => {
                    for (_, value, path) in self.members(value, &path, &["limit"]) {
                        limits.sub_accounts = self.whole(value, &path, 0, u32::MAX);
                    }
                }
                (_, Some(traffic)) => {
                    let known = ["allowedPrefixes", "blockedPrefixes"];
                    for (name, value, path) in self.members(value, &path, &known) {
                        let found =
                            self.texts(value, &path, "digits, possibly after `+`", is_prefix);
                        let of = &mut limits.traffic[traffic as usize];
                        if name == "allowedPrefixes" {
                            of.allowed = found;
                        } else {
                            of.blocked = found.unwrap_or_default();
                        }
                    }
                }
                _ => self.problem(&path, "is not known"),
            }
        }
    }

    fn rules(&mut self, value: &Value, limits: &mut Limits) {
        const PATH: &str = "sessionThrottling";
        for (name, value) in self.object(value, PATH).into_iter().flatten() {
            let path = format!("{PATH}.{name}");
            let rate = self.rate(value, &path);
            if name == CALLS_PER_TIME {
                limits.calls = rate;
            } else {
                self.unused.push(path);
            }
        }
    }

    fn rate(&mut self, value: &Value, path: &str) -> Option<Rate> {
        let (mut events, mut time, mut unit) = (None, None, None);
        for (name, value, path) in self.members(value, path, &["events", "time", "timeUnit"]) {
            match name {
                "events" => events = self.whole(value, &path, 0, MAX_EVENTS),
                "time" => time = self.whole(value, &path, 1, u32::MAX),
                _ => {
                    unit = value.as_str().and_then(nanoseconds);
                    if unit.is_none() {
                        self.problem(&path, "must be `nanoseconds`, `microseconds`, `milliseconds`, `seconds`, `minutes`, `hours`, `days`, `weeks`, `months` or `years`");
                    }
                }
            }
        }
        let given = value.as_object()?;
        for name in ["events", "time", "timeUnit"] {
            if !given.contains_key(name) {
                self.problem(path, &format!("needs `{name}`"));
            }
        }
        // A period of more than 584 years is as good as that.
        let period = unit?.saturating_mul(u64::from(time?));
        Some(Rate {
            events: events?,
            period: Duration::from_nanos(period),
        })
    }

    /// The members of an object that may have only these.
    fn members<'a>(
        &mut self,
        value: &'a Value,
        path: &str,
        known: &[&str],
    ) -> Vec<(&'a str, &'a Value, String)> {
        let mut found = Vec::new();
        for (name, value) in self.object(value, path).into_iter().flatten() {
            let path = format!("{path}.{name}");
            if known.contains(&name.as_str()) {
                found.push((name.as_str(), value, path));
            } else {
                self.problem(&path, "is not known");
            }
        }
        found
    }

    fn texts(
        &mut self,
        value: &Value,
        path: &str,
        form: &str,
        is_good: fn(&str) -> bool,
    ) -> Option<Vec<String>> {
        let Some(list) = value.as_array() else {
            self.problem(path, "must be an array");
            return None;
        };
        let mut texts = Vec::new();
        for item in list {
            match item.as_str().filter(|text| is_good(text)) {
                Some(text) => texts.push(text.to_owned()),
                None => self.problem(path, &format!("`{item}` must be {form}")),
            }
        }
        Some(texts)
    }

    fn whole(&mut self, value: &Value, path: &str, least: u32, most: u32) -> Option<u32> {
        let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
        let number = number.filter(|number| (least..=most).contains(number));
        if number.is_none() {
            self.problem(
                path,
                &format!("must be a whole number from {least} to {most}"),
            );
        }
        number
    }
}

fn is_country(text: &str) -> bool {
    text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_uppercase())
}

fn is_prefix(text: &str) -> bool {
    let digits = text.strip_prefix('+').unwrap_or(text);
    !digits.is_empty() && digits.len() <= 15 && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// The length of a unit. Months and years are average ones of the Gregorian calendar.
fn nanoseconds(unit: &str) -> Option<u64> {
    const SECOND: u64 = 1_000_000_000;
    const DAY: u64 = 86_400 * SECOND;
    const YEAR: u64 = 31_556_952 * SECOND;
    Some(match unit {
        "nanoseconds" => 1,
        "microseconds" => 1_000,
        "milliseconds" => 1_000_000,
        "seconds" => SECOND,
        "minutes" => 60 * SECOND,
        "hours" => 3_600 * SECOND,
        "days" => DAY,
        "weeks" => 7 * DAY,
        "months" => YEAR / 12,
        "years" => YEAR,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(text: &str) -> Limits {
        Profile::parse(text).unwrap().limits
    }

    #[test]
    fn what_is_not_mentioned_is_not_limited() {
        for text in [
            model::profile::DEFAULT_DOCUMENT,
            "{}",
            "{\"featureEnablement\":{\"outboundPSTN\":{}}}",
        ] {
            assert_eq!(limits(text), Limits::default(), "{text}");
        }
        assert!(serde_json::from_str::<Value>(SCHEMA).is_ok());
    }

    #[test]
    fn each_member_limits_its_kind_of_traffic() {
        let all = limits(
            r#"{"featureEnablement":{"outboundPSTN":{"allowedPrefixes":["+1","44"],"blockedPrefixes":["1900"]},
                "inboundSMS":{"blockedPrefixes":["+49"]},"DIDPurchase":{"allowedCountries":["US","CA"]},
                "inboundPSTN":{"allowedPrefixes":[]}}}"#,
        );
        let table = [
            (Traffic::OutboundCalls, "+442079460000", true),
            (Traffic::OutboundCalls, "+19005550100", false),
            (Traffic::OutboundTexts, "+19005550100", true),
            (Traffic::InboundTexts, "+4930123456", false),
            (Traffic::InboundCalls, "+12025550100", false),
        ];
        for (traffic, number, expected) in table {
            assert_eq!(
                all.allows(traffic, number),
                expected,
                "{traffic:?} {number}"
            );
        }
        assert!(all.allows_country("CA") && !all.allows_country("DE"));
    }

    #[test]
    fn rates_have_a_number_and_a_period() {
        let table = [
            ("seconds", 2, Duration::from_secs(2)),
            ("days", 1, Duration::from_secs(86_400)),
            ("nanoseconds", 5, Duration::from_nanos(5)),
            ("years", u32::MAX, Duration::from_nanos(u64::MAX)),
        ];
        for (unit, time, period) in table {
            let text = format!(
                r#"{{"sessionThrottling":{{"PSTNCallsPerTime":{{"events":3,"time":{time},"timeUnit":"{unit}"}}}}}}"#
            );
            let rate = limits(&text).calls;
            assert_eq!(rate, Some(Rate { events: 3, period }), "{unit}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        let table = [
            ("[", "it is not JSON"),
            ("[]", "the document: must be an object"),
            (
                r#"{"featureEnablement":{"DIDPurchase":{"allowedCountries":["US","usa"]}}}"#,
                "featureEnablement.DIDPurchase.allowedCountries: `\"usa\"` must be two capital letters",
            ),
            (
                r#"{"featureEnablement":{"fax":{}}}"#,
                "featureEnablement.fax: is not known",
            ),
            (
                r#"{"featureEnablement":{"outboundPSTN":{"allowed":[]}}}"#,
                "featureEnablement.outboundPSTN.allowed: is not known",
            ),
            (
                r#"{"featureEnablement":{"outboundPSTN":{"allowedPrefixes":["+"]}}}"#,
                "must be digits",
            ),
            (
                r#"{"featureEnablement":{"subaccountsCreation":{"limit":-1}}}"#,
                "limit: must be a whole number from 0",
            ),
            (
                r#"{"sessionThrottling":{"PSTNCallsPerTime":{"events":1,"time":0}}}"#,
                "time: must be a whole number from 1 to 4294967295; sessionThrottling.PSTNCallsPerTime: needs `timeUnit`",
            ),
            (
                r#"{"sessionThrottling":{"X":{"events":1,"time":1,"timeUnit":"eons"}}}"#,
                "timeUnit: must be `nanoseconds`",
            ),
        ];
        for (text, expected) in table {
            let error = Profile::parse(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
        let fine =
            r#"{"note":"x","sessionThrottling":{"X":{"events":1,"time":1,"timeUnit":"days"}}}"#;
        let unused = Profile::parse(fine).unwrap().unused;
        assert_eq!(unused, ["note", "sessionThrottling.X"]);
    }
}
