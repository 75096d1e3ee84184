//! Usage triggers: a callback when what an account used reaches a value, once or once per period.
//!
//! **Invariant: a trigger fires at most once for a period**, because it then watches only what comes after.

use std::collections::BTreeMap;

use crate::day::Day;
use crate::status::words;
use crate::usage::Amount;
use crate::{AccountSid, DialectName, HttpMethod, Timestamp, UsageTriggerSid};

words!(
    /// What is compared with the value of a trigger.
    TriggerBy {
        /// How many calls, messages or recordings.
        Count = "count",
        /// What was used, in the unit of the category.
        Usage = "usage",
    }
);

words!(
    /// How often a trigger can fire.
    Recurrence {
        /// Once.
        Never = "",
        /// Once a day.
        Daily = "daily",
        /// Once a month.
        Monthly = "monthly",
        /// Once a year.
        Yearly = "yearly",
    }
);

impl Recurrence {
    /// The first day of the period of a day; what a trigger that fires only once watches begins with the first day of all.
    #[must_use]
    pub fn start(self, day: Day) -> Day {
        match self {
            Self::Never => Day(0),
            Self::Daily => day,
            Self::Monthly => day.month_start(),
            Self::Yearly => day.year_start(),
        }
    }

    /// The first day after the period of a day; `None` if there is none.
    #[must_use]
    pub fn next(self, day: Day) -> Option<Day> {
        match self {
            Self::Never => None,
            Self::Daily => Some(day.plus(1)),
            Self::Monthly => Some(day.month_end().plus(1)),
            Self::Yearly => Some(day.year_end().plus(1)),
        }
    }
}

/// A trigger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageTrigger {
    /// Identifier.
    pub sid: UsageTriggerSid,
    /// Account whose usage counts, with that of all accounts below it.
    pub account: AccountSid,
    /// Account that set the address.
    pub author: AccountSid,
    /// Name to display.
    pub name: String,
    /// Category of usage, as the API has it.
    pub category: String,
    /// What is compared.
    pub by: TriggerBy,
    /// How often it can fire.
    pub recurring: Recurrence,
    /// It fires when this is reached.
    pub value: i64,
    /// Where the callback goes.
    pub callback_url: String,
    /// Its method.
    pub callback_method: HttpMethod,
    /// The API through which it was made.
    pub dialect: DialectName,
    /// The first day that it watches; `None` once it cannot fire any more.
    pub watched_from: Option<Day>,
    /// When it last fired.
    pub fired: Option<Timestamp>,
    /// When it was created.
    pub created: Timestamp,
    /// When it was last changed, or fired.
    pub updated: Timestamp,
}

/// A period in which the value is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reached {
    /// The first day of the period.
    pub period: Day,
    /// What was used in it.
    pub current: i64,
    /// The first day to watch afterwards.
    pub next: Option<Day>,
}

impl UsageTrigger {
    /// What is compared, of an amount.
    ///
    /// - `in_minutes`: whether the category is measured in minutes rather than in pieces
    #[must_use]
    pub const fn measure(&self, amount: Amount, in_minutes: bool) -> i64 {
        match self.by {
            TriggerBy::Usage if in_minutes => amount.minutes,
            TriggerBy::Usage | TriggerBy::Count => amount.count,
        }
    }

    /// The first watched period in which the value is reached.
    ///
    /// - `days`: what was used on each day, of the trigger's category
    #[must_use]
    pub fn reached(&self, days: &[(Day, Amount)], in_minutes: bool) -> Option<Reached> {
        let from = self.watched_from?;
        let mut periods: BTreeMap<Day, Amount> = BTreeMap::new();
        for (day, amount) in days.iter().filter(|(day, _)| *day >= from) {
            periods
                .entry(self.recurring.start(*day))
                .or_default()
                .add(*amount);
        }
        periods.into_iter().find_map(|(period, amount)| {
            let current = self.measure(amount, in_minutes);
            (current >= self.value).then(|| Reached {
                period,
                current,
                next: self.recurring.next(period),
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Day {
        Day::parse(text).unwrap()
    }

    fn trigger(
        recurring: Recurrence,
        by: TriggerBy,
        value: i64,
        from: Option<&str>,
    ) -> UsageTrigger {
        UsageTrigger {
            sid: UsageTriggerSid::from_bytes([1; 16]),
            account: AccountSid::from_bytes([2; 16]),
            author: AccountSid::from_bytes([2; 16]),
            name: String::new(),
            category: "calls".to_owned(),
            by,
            recurring,
            value,
            callback_url: "http://app/".to_owned(),
            callback_method: HttpMethod::Post,
            dialect: DialectName::Twilio,
            watched_from: from.map(day),
            fired: None,
            created: Timestamp(0),
            updated: Timestamp(0),
        }
    }

    #[test]
    fn a_trigger_fires_in_the_first_period_that_reaches_its_value() {
        use Recurrence::{Daily, Monthly, Never, Yearly};
        use TriggerBy::{Count, Usage};
        let used: Vec<(Day, Amount)> = [
            ("2023-12-31", 5, 50),
            ("2024-01-01", 3, 9),
            ("2024-01-31", 2, 2),
            ("2024-02-01", 4, 4),
        ]
        .map(|(text, count, minutes)| {
            let amount = Amount {
                count,
                seconds: 0,
                minutes,
            };
            (day(text), amount)
        })
        .into();
        // The period that fires, what was used in it, and the next day to watch.
        let table = [
            (
                Never,
                Count,
                14,
                Some("1970-01-01"),
                Some(("1970-01-01", 14, "")),
            ),
            (Never, Count, 15, Some("1970-01-01"), None),
            (Never, Count, 1, None, None),
            (
                Daily,
                Count,
                4,
                Some("2024-01-01"),
                Some(("2024-02-01", 4, "2024-02-02")),
            ),
            (
                Daily,
                Usage,
                9,
                Some("2024-01-01"),
                Some(("2024-01-01", 9, "2024-01-02")),
            ),
            (
                Monthly,
                Count,
                5,
                Some("2024-01-01"),
                Some(("2024-01-01", 5, "2024-02-01")),
            ),
            (Monthly, Count, 5, Some("2024-02-01"), None),
            (
                Yearly,
                Count,
                9,
                Some("2024-01-01"),
                Some(("2024-01-01", 9, "2025-01-01")),
            ),
            (Yearly, Usage, 60, Some("2023-01-01"), None),
        ];
        for (recurring, by, value, from, expected) in table {
            let reached = trigger(recurring, by, value, from).reached(&used, true);
            let shown = reached.map(|reached| {
                let next = reached.next.map_or_else(String::new, |day| day.to_string());
                (reached.period.to_string(), reached.current, next)
            });
            let expected = expected
                .map(|(period, current, next)| (period.to_owned(), current, next.to_owned()));
            assert_eq!(shown, expected, "{recurring:?} {by} {value} {from:?}");
        }
    }

    #[test]
    fn usage_of_what_has_no_minutes_is_its_number() {
        let amount = Amount {
            count: 7,
            seconds: 0,
            minutes: 0,
        };
        let trigger = trigger(Recurrence::Never, TriggerBy::Usage, 1, None);
        assert_eq!(trigger.measure(amount, false), 7);
        assert_eq!(trigger.measure(amount, true), 0);
    }
}
