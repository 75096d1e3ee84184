//! What to answer to a path that no route has.
//!
//! **Invariant: the text follows from the words of the path and the tables of routes alone.** It
//! does not depend on which accounts and resources exist.

use crate::dialect::RestDialect;
use crate::params::{nearest, shown};
use crate::route::{self, Verb};

/// Words in the paths of other servers that no route has.
const NOT_BUILT: &[&str] = &[
    "AddOnResults",
    "Addresses",
    "Announcements",
    "AssignedAddOns",
    "AuthorizedConnectApps",
    "Balance",
    "ConnectApps",
    "Faxes",
    "Feedback",
    "FeedbackSummary",
    "Media",
    "Payments",
    "Registrations",
    "SIP",
    "ShortCodes",
    "SigningKeys",
    "Siprec",
    "Streams",
    "Tokens",
    "UserDefinedMessageSubscriptions",
    "UserDefinedMessages",
    "UssdPush",
];

/// The reason, and the path that was probably meant.
pub(crate) fn text(dialect: &RestDialect, path: &[&str]) -> String {
    let has = |other: &&&RestDialect| route::find(other, Verb::Get, path).is_some();
    if let Some(other) = RestDialect::ALL.iter().find(has) {
        return format!(
            "There is no such path here; it exists below `{}`.",
            other.base
        );
    }
    let mut patterns: Vec<Vec<&'static str>> = route::all(dialect)
        .flat_map(|route| route.paths)
        .map(|pattern| pattern.split('/').skip(1).collect())
        .collect();
    for (at, segment) in path.iter().enumerate() {
        let fits = |parts: &Vec<&str>| {
            let part = parts.get(at);
            part.is_some_and(|part| part == segment || part.starts_with('{'))
        };
        if patterns.iter().any(fits) {
            patterns.retain(fits);
            continue;
        }
        if NOT_BUILT.contains(segment) {
            let list = dialect.pick(["docs/rest.md", "docs/twilio.md"]);
            return format!("`{segment}` is not supported here; see {list}.");
        }
        let words = patterns.iter().filter_map(|parts| parts.get(at).copied());
        let hint = nearest(segment, words)
            .map_or_else(String::new, |word| format!("; did you mean `{word}`?"));
        let end = if hint.is_empty() { "." } else { "" };
        return format!(
            "There is no such path: `{}` is not known here{hint}{end}",
            shown(segment)
        );
    }
    "There is no such path: something is missing at its end.".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_word_that_no_route_has() {
        let [restcomm, twilio] = RestDialect::MAIN;
        let table = [
            (
                twilio,
                "Account/AC1/Calls",
                "`Account` is not known here; did you mean `Accounts`?",
            ),
            (
                restcomm,
                "Accounts/AC1/IncomingPhoneNumber",
                "`IncomingPhoneNumber` is not known here; did you mean `IncomingPhoneNumbers`?",
            ),
            (
                twilio,
                "Accounts/AC1/Calls/CA1/recordings",
                "`recordings` is not known here; did you mean `Recordings`?",
            ),
            (twilio, "Accounts/AC1/Zebras", "`Zebras` is not known here."),
            (
                twilio,
                "Accounts/AC1/Calls/CA1/Notifications/NO1",
                "`NO1` is not known here.",
            ),
            (
                twilio,
                "Accounts/AC1/Addresses",
                "`Addresses` is not supported here; see docs/twilio.md.",
            ),
            (
                restcomm,
                "Accounts/AC1/SigningKeys/SK1",
                "`SigningKeys` is not supported here; see docs/rest.md.",
            ),
            (
                twilio,
                "Accounts/AC1/Webhooks/Deliveries",
                "it exists below `/restcomm/2012-04-24`.",
            ),
            (restcomm, "", "something is missing at its end."),
            (
                restcomm,
                "Accounts/AC1/SMS",
                "something is missing at its end.",
            ),
        ];
        for (dialect, path, expected) in table {
            let path: Vec<&str> = path.split_terminator('/').collect();
            let text = text(dialect, &path);
            assert!(text.ends_with(expected), "{text}");
        }
    }

    /// A word that a route gets later must leave the list.
    #[test]
    fn no_route_has_what_is_not_built() {
        for dialect in RestDialect::ALL {
            for pattern in route::all(dialect).flat_map(|route| route.paths) {
                for part in pattern.split('/') {
                    assert!(!NOT_BUILT.contains(&part), "{pattern}");
                }
            }
        }
    }
}
