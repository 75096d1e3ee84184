//! The differences of the API between its base paths.
//!
//! **Invariant: one table row per dialect, compared nowhere.** Code reads a value from the
//! [`RestDialect`] of the request, or picks from a pair of adjacent values ([`RestDialect::pick`]);
//! it never tests which dialect it is.

use model::{AccountStatus, CallStatus, DialectName, Timestamp, error};

/// Number of dialects in which the same resources have different forms: the length of every row with one value for each.
pub(crate) const DIALECTS: usize = 2;

/// One value for each of [`RestDialect::MAIN`], in that order.
pub(crate) type Each<T> = [T; DIALECTS];

/// The form of the API below one base path.
pub(crate) struct RestDialect {
    /// Name in the OpenAPI document.
    pub(crate) name: &'static str,
    /// This dialect's column in rows of values. One that has resources of its own shares the column of another.
    column: usize,
    /// Which resources it has: a place in `resources::TABLES`.
    pub(crate) table: usize,
    /// Path in front of every resource.
    pub(crate) base: &'static str,
    /// What is appended to the path of a resource that is answered in JSON.
    pub(crate) suffix: &'static str,
    /// Value of `api_version`.
    pub(crate) version: &'static str,
    /// Beginning of the `uri` of a resource.
    pub(crate) link_base: &'static str,
    /// Root element of XML answers.
    pub(crate) root: &'static str,
    /// Element of XML answers that contains an error, between the root and its properties.
    pub(crate) error_element: Option<&'static str>,
    /// How lists are paged.
    pub(crate) paging: Paging,
    /// Whether a body may be a JSON object, whose members are the parameters.
    pub(crate) takes_json: bool,
    /// Largest `PageSize`.
    pub(crate) max_page_size: i64,
    /// Whether lists that are not paged are an array without an envelope.
    pub(crate) bare_lists: bool,
    /// Whether a call to several phones is answered with all its legs, instead of only the first.
    pub(crate) lists_legs: bool,
    /// Whether the list of accounts includes the caller's own.
    pub(crate) lists_own_account: bool,
    /// Whether parties and identifiers in filters are whole values rather than patterns.
    pub(crate) exact: bool,
    /// Whether the day of a filter means the whole day rather than a bound.
    pub(crate) exact_days: bool,
    /// Whether creating a client that the account already has answers with that client.
    pub(crate) shows_existing_client: bool,
    /// Whether a parameter missing from the route's table is refused.
    pub(crate) refuses_unknown: bool,
    /// The status of a call in the dialect's words, which are also used in filters.
    pub(crate) call_status: fn(CallStatus) -> CallStatus,
    /// The status of an account in the dialect's words.
    pub(crate) account_status: fn(AccountStatus) -> AccountStatus,
    /// Format of creation and update times.
    pub(crate) date: fn(Timestamp) -> String,
    /// Format of all other times.
    pub(crate) time: fn(Timestamp) -> String,
    /// Errors with a different number or status here.
    pub(crate) errors: &'static [ErrorRule],
    /// Dialect of documents whose addresses were set here.
    pub(crate) runs: DialectName,
    /// Whether answers are in an envelope, with a code and a message beside them.
    pub(crate) has_envelope: bool,
}

/// How lists are paged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Paging {
    /// By page number, with totals.
    Numbered,
    /// By the last row of the previous page, without totals.
    Keyed,
    /// In the same way; what is known of the page is in a member `meta`, and its addresses are complete.
    Meta,
}

/// An error for which one dialect uses another number or status.
pub(crate) struct ErrorRule {
    /// Number in the error table, and status with which it was raised.
    pub(crate) from: (u16, u16),
    /// Number and status of the answer.
    pub(crate) to: (u16, u16),
}

impl RestDialect {
    /// As Restcomm's clients expect.
    pub(crate) const RESTCOMM: Self = Self {
        name: "restcomm",
        column: 0,
        table: 0,
        base: "/restcomm/2012-04-24",
        suffix: ".json",
        version: "2012-04-24",
        link_base: "/2012-04-24",
        root: "RestcommResponse",
        error_element: None,
        paging: Paging::Numbered,
        takes_json: false,
        max_page_size: 10_000,
        bare_lists: true,
        lists_legs: true,
        lists_own_account: false,
        exact: false,
        exact_days: false,
        shows_existing_client: true,
        refuses_unknown: false,
        call_status: |status| status,
        account_status: |status| status,
        date: Timestamp::rfc2822_short_day,
        time: Timestamp::iso8601,
        errors: &[],
        runs: DialectName::Restcomm,
        has_envelope: false,
    };

    /// As Twilio's clients expect.
    pub(crate) const TWILIO: Self = Self {
        name: "twilio",
        column: 1,
        table: 0,
        base: "/2010-04-01",
        suffix: ".json",
        version: "2010-04-01",
        link_base: "/2010-04-01",
        root: "TwilioResponse",
        error_element: Some("RestException"),
        paging: Paging::Keyed,
        takes_json: false,
        max_page_size: 1_000,
        bare_lists: false,
        lists_legs: false,
        lists_own_account: true,
        exact: true,
        exact_days: true,
        shows_existing_client: false,
        refuses_unknown: true,
        call_status: |status| match status {
            // Twilio has no word for a callee that does not exist.
            CallStatus::NotFound => CallStatus::Failed,
            other => other,
        },
        account_status: |status| match status {
            AccountStatus::Inactive => AccountStatus::Suspended,
            AccountStatus::Uninitialized => AccountStatus::Active,
            AccountStatus::Active | AccountStatus::Suspended | AccountStatus::Closed => status,
        },
        date: Timestamp::rfc2822,
        time: Timestamp::rfc2822,
        errors: &[
            ErrorRule {
                from: (error::CALL_NOT_LIVE, 410),
                to: (error::CALL_NOT_LIVE, 400),
            },
            ErrorRule {
                from: (error::NUMBER_TAKEN, 400),
                to: (error::NUMBER_UNAVAILABLE, 400),
            },
        ],
        runs: DialectName::Twilio,
        has_envelope: false,
    };

    /// Verifications, as Twilio's clients expect them. They are answered in JSON, and belong to the caller's account: their paths name none.
    pub(crate) const VERIFY: Self = Self {
        name: "verify",
        table: 1,
        base: "/v2",
        suffix: "",
        version: "v2",
        link_base: "/v2",
        paging: Paging::Meta,
        date: Timestamp::iso8601_seconds,
        time: Timestamp::iso8601_seconds,
        ..Self::TWILIO
    };

    /// One-time passwords, as Restcomm had them: a JSON object in, another one out.
    pub(crate) const TWO_FACTOR: Self = Self {
        name: "2fa",
        table: 2,
        base: "/2fa",
        link_base: "/2fa",
        takes_json: true,
        ..Self::VERIFY
    };

    /// Number masking, as clients of Twilio's Proxy expect it.
    pub(crate) const PROXY: Self = Self {
        name: "proxy",
        table: 3,
        base: "/v1",
        version: "v1",
        link_base: "/v1",
        ..Self::VERIFY
    };

    /// The same, as Restcomm had it: every answer is in an envelope.
    pub(crate) const NUMBER_MASKING: Self = Self {
        name: "numbermasking",
        column: 0,
        base: "/numbermasking",
        link_base: "/numbermasking",
        takes_json: true,
        has_envelope: true,
        ..Self::PROXY
    };

    /// The dialects of the same resources, in column order.
    pub(crate) const MAIN: Each<&'static Self> = [&Self::RESTCOMM, &Self::TWILIO];

    /// Every dialect.
    pub(crate) const ALL: &'static [&'static Self] = &[
        &Self::RESTCOMM,
        &Self::TWILIO,
        &Self::VERIFY,
        &Self::TWO_FACTOR,
        &Self::PROXY,
        &Self::NUMBER_MASKING,
    ];

    /// The value for this dialect.
    pub(crate) fn pick<T>(&self, values: Each<T>) -> T {
        let [restcomm, twilio] = values;
        if self.column == 0 { restcomm } else { twilio }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_dialect_reads_its_own_column() {
        let names = RestDialect::MAIN.map(|dialect| dialect.pick(["restcomm", "twilio"]));
        assert_eq!(names, RestDialect::MAIN.map(|dialect| dialect.name));
    }
}
