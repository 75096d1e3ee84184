//! `/Accounts/{sid}/Usage/Records`: what an account used, by category and period.

pub(crate) mod triggers;

use std::collections::BTreeMap;

use model::AccountSid;
use model::day::Day;
use model::record::Account;
use model::usage::{Amount, Used};
use store::{DailyUsage, Place, Rows, Scope, Window};

use crate::context::{Answer, Context, now};
use crate::failure::Failure;
use crate::page::{Page, row_key};
use crate::params::shown;
use crate::roles::Action;
use crate::route::{Answers, Is, Param, Route, TWILIO, TWILIO_PAGING, param};
use crate::value::{Entry, Field, Kind, Null, Resource, Value, View, field};

const TARGET: &str = "Usage";
const WHOLE: &[&str] = &["/Accounts/{account}/Usage/Records"];
const BY_PERIOD: &[&str] = &["/Accounts/{account}/Usage/Records/{period}"];

/// The routes of usage.
pub(crate) static ROUTES: &[Route] = &[
    Route::get(WHOLE, |c, a, _| Box::pin(list(c, a, Period::AllTime)))
        .needs(Action::Read, TARGET)
        .params(&[FILTERS, TWILIO_PAGING])
        .answers(Answers::All(&USAGE))
        .doc("Lists what was used from `StartDate` to `EndDate`, one record per category."),
    Route::get(BY_PERIOD, |c, a, word| Box::pin(by_period(c, a, word)))
        .needs(Action::Read, TARGET)
        .params(&[FILTERS, TWILIO_PAGING])
        .answers(Answers::All(&USAGE))
        .doc("Lists what was used, by period: `Daily`, `Monthly` and `Yearly` have a record per category and day, month or year in which anything was used; `AllTime`, `Today`, `Yesterday`, `ThisMonth` and `LastMonth` one per category."),
];

const FILTERS: &[Param] = &[
    param(
        "Category",
        Is::Word(&[
            "calls",
            "calls-inbound",
            "calls-outbound",
            "sms",
            "sms-inbound",
            "sms-outbound",
            "recordings",
            "totalprice",
        ]),
        "Category. If not given: `calls` at the Restcomm base, every category at the Twilio base.",
    ),
    param(
        "StartDate",
        Is::Text,
        "First day, `yyyy-MM-dd` in UTC, or days from today such as `-30days`. If not given: 1970-01-01 at the Restcomm base, the account's first day at the Twilio base.",
    ),
    param(
        "EndDate",
        Is::Text,
        "Last day, in the same form; today if not given.",
    ),
    param(
        "IncludeSubaccounts",
        Is::Flag,
        "Whether to include the accounts below; `true` if not given.",
    )
    .within(TWILIO),
];

/// Longest offset from today, in days.
const MAX_OFFSET: i64 = 40_000;

/// A category of the API.
struct Category {
    name: &'static str,
    description: &'static str,
    /// What it is the sum of.
    of: &'static [Used],
    measure: Measure,
}

/// What a category is measured in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Measure {
    /// Minutes of calls or recordings, and how many there were.
    Minutes(&'static str),
    Messages,
    /// Nothing but the price.
    Price,
}

static CATEGORIES: &[Category] = &[
    Category {
        name: "calls",
        description: "Total Calls",
        of: &[Used::CallsInbound, Used::CallsOutbound],
        measure: Measure::Minutes("calls"),
    },
    Category {
        name: "calls-inbound",
        description: "Inbound Calls",
        of: &[Used::CallsInbound],
        measure: Measure::Minutes("calls"),
    },
    Category {
        name: "calls-outbound",
        description: "Outbound Calls",
        of: &[Used::CallsOutbound],
        measure: Measure::Minutes("calls"),
    },
    Category {
        name: "sms",
        description: "Total Text Messages",
        of: &[Used::SmsInbound, Used::SmsOutbound],
        measure: Measure::Messages,
    },
    Category {
        name: "sms-inbound",
        description: "Inbound Text Messages",
        of: &[Used::SmsInbound],
        measure: Measure::Messages,
    },
    Category {
        name: "sms-outbound",
        description: "Outbound Text Messages",
        of: &[Used::SmsOutbound],
        measure: Measure::Messages,
    },
    Category {
        name: "recordings",
        description: "Recordings",
        of: &[Used::Recordings],
        measure: Measure::Minutes("recordings"),
    },
    Category {
        name: "totalprice",
        description: "Total Price",
        of: &[],
        measure: Measure::Price,
    },
];

/// How the days are grouped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Period {
    Daily,
    Monthly,
    Yearly,
    AllTime,
    Today,
    Yesterday,
    ThisMonth,
    LastMonth,
}

impl Period {
    const WORDS: [(&'static str, Self); 8] = [
        ("Daily", Self::Daily),
        ("Monthly", Self::Monthly),
        ("Yearly", Self::Yearly),
        ("AllTime", Self::AllTime),
        ("Today", Self::Today),
        ("Yesterday", Self::Yesterday),
        ("ThisMonth", Self::ThisMonth),
        ("LastMonth", Self::LastMonth),
    ];

    /// By its name in a path, in any letter case.
    fn of(word: &str) -> Option<Self> {
        let is_it = |(name, _): &&(&str, Self)| name.eq_ignore_ascii_case(word);
        Self::WORDS.iter().find(is_it).map(|(_, period)| *period)
    }

    /// The first and last day that it selects, if that does not depend on the parameters.
    fn fixed(self, today: Day) -> Option<(Day, Day)> {
        let last_month = today.month_start().plus(-1);
        match self {
            Self::Daily | Self::Monthly | Self::Yearly | Self::AllTime => None,
            Self::Today => Some((today, today)),
            Self::Yesterday => Some((today.plus(-1), today.plus(-1))),
            Self::ThisMonth => Some((today.month_start(), today)),
            Self::LastMonth => Some((last_month.month_start(), last_month)),
        }
    }

    /// The first and last day of a day's group; `None` if there is one group only.
    fn group(self, day: Day) -> Option<(Day, Day)> {
        match self {
            Self::Daily => Some((day, day)),
            Self::Monthly => Some((day.month_start(), day.month_end())),
            Self::Yearly => Some((day.year_start(), day.year_end())),
            Self::AllTime | Self::Today | Self::Yesterday | Self::ThisMonth | Self::LastMonth => {
                None
            }
        }
    }
}

/// What was used in a category and a period.
struct Record {
    account: AccountSid,
    category: &'static Category,
    first: Day,
    last: Day,
    amount: Amount,
    as_of: model::Timestamp,
}

impl Record {
    /// Count or minutes, in the unit of the category.
    fn usage(&self, minutes: i64) -> String {
        match self.category.measure {
            Measure::Minutes(_) => minutes.to_string(),
            Measure::Messages => self.amount.count.to_string(),
            Measure::Price => "0".to_owned(),
        }
    }

    fn query(&self) -> String {
        let Self {
            category,
            first,
            last,
            ..
        } = self;
        format!(
            "Category={}&StartDate={first}&EndDate={last}",
            category.name
        )
    }
}

const fn text(
    json: &'static str,
    xml: &'static str,
    doc: &'static str,
    get: fn(&Record, View<'_>) -> Value,
) -> Field<Record> {
    field(json, xml, Kind::Text, Null::Never, doc, get)
}

const FIELDS: &[Field<Record>] = &[
    text("category", "Category", "Category.", |r, _| {
        Value::text(r.category.name)
    }),
    text(
        "description",
        "Description",
        "The category in words.",
        |r, _| Value::text(r.category.description),
    ),
    text(
        "account_sid",
        "AccountSid",
        "Account that used it.",
        |r, _| Value::text(r.account),
    ),
    text(
        "start_date",
        "StartDate",
        "First day of the period, in UTC.",
        |r, _| Value::text(r.first),
    ),
    text(
        "end_date",
        "EndDate",
        "Last day of the period.",
        |r, _| Value::text(r.last),
    ),
    // Restcomm rounds the sum, Twilio each call.
    text(
        "usage",
        "Usage",
        "How much was used, in `usage_unit`. Minutes are rounded up: at the Restcomm base their sum, at the Twilio base those of each call or recording.",
        |r, _| Value::Text(r.usage(Amount::one(r.amount.seconds).minutes)),
    )
    .twilio(Kind::Text, |r, _| Value::Text(r.usage(r.amount.minutes))),
    text(
        "usage_unit",
        "UsageUnit",
        "`minutes` or `messages`; `usd` for the price.",
        |r, _| {
            Value::text(match r.category.measure {
                Measure::Minutes(_) => "minutes",
                Measure::Messages => "messages",
                Measure::Price => "usd",
            })
        },
    ),
    text(
        "count",
        "Count",
        "How many there were.",
        |r, _| Value::text(r.amount.count),
    ),
    text(
        "count_unit",
        "CountUnit",
        "`calls`, `messages` or `recordings`; empty for the price.",
        |r, _| {
            Value::text(match r.category.measure {
                Measure::Minutes(unit) => unit,
                Measure::Messages => "messages",
                Measure::Price => "",
            })
        },
    ),
    text(
        "price",
        "Price",
        "Always 0: prices are not calculated.",
        |_, _| Value::text("0.0"),
    )
    .twilio(Kind::Text, |_, _| Value::text("0")),
    text("price_unit", "PriceUnit", "Currency.", |_, _| {
        Value::text("USD")
    })
    .twilio(Kind::Text, |_, _| Value::text("usd")),
    text(
        "as_of",
        "AsOf",
        "When this was read.",
        |r, _| Value::Text(r.as_of.iso8601()),
    )
    .within(TWILIO),
    text("api_version", "ApiVersion", "Version of the API.", |_, view| {
        Value::text(view.dialect.version)
    })
    .within(TWILIO),
    field(
        "uri",
        "Uri",
        Kind::Link,
        Null::Never,
        "Path of these records.",
        |r, view| {
            let path = view.uri(r.account, TARGET, "Records");
            Value::Links {
                json: format!("{path}.json?{}", r.query()),
                xml: format!("{path}?{}", r.query()),
            }
        },
    ),
    field::<Record>(
        "subresource_uris",
        "SubresourceUris",
        Kind::Object,
        Null::Never,
        "Paths of the same category by other periods.",
        subresources,
    )
    .within(TWILIO),
];

static USAGE: Resource<Record> = Resource {
    xml: ["UsageRecord", "UsageRecord"],
    xml_list: ["UsageRecords", "UsageRecords"],
    json_list: ["usage_records", "usage_records"],
    xml_envelope: [false, true],
    fields: FIELDS,
};

fn subresources(record: &Record, view: View<'_>) -> Value {
    let path = view.uri(record.account, TARGET, "Records");
    let entry = |(json, word): (&'static str, &'static str)| {
        let query = format!("Category={}", record.category.name);
        Entry {
            json,
            xml: word,
            null: Null::Never,
            value: Value::Links {
                json: format!("{path}/{word}.json?{query}"),
                xml: format!("{path}/{word}?{query}"),
            },
        }
    };
    let periods = [
        ("all_time", "AllTime"),
        ("today", "Today"),
        ("yesterday", "Yesterday"),
        ("this_month", "ThisMonth"),
        ("last_month", "LastMonth"),
        ("daily", "Daily"),
        ("monthly", "Monthly"),
        ("yearly", "Yearly"),
    ];
    Value::Object(periods.map(entry).into())
}

async fn by_period(context: &Context<'_>, account: &Account, word: &str) -> Answer {
    let period = Period::of(word).ok_or_else(|| {
        let names = Period::WORDS.map(|(name, _)| name).join(", ");
        Failure::not_found().saying(format!("the periods are {names}"))
    })?;
    list(context, account, period).await
}

async fn list(context: &Context<'_>, account: &Account, period: Period) -> Answer {
    let params = &context.params;
    let at = now();
    let today = Day::of(at);
    let asked = (
        day(context, "StartDate", today)?,
        day(context, "EndDate", today)?,
    );
    let (first, last) = period.fixed(today).unwrap_or_else(|| {
        let first = context.dialect.pick([Day(0), Day::of(account.created)]);
        (asked.0.unwrap_or(first), asked.1.unwrap_or(today))
    });
    if first > last && period.fixed(today).is_none() {
        let reason = "is after `EndDate`";
        return Err(Failure::parameter("StartDate", reason));
    }
    let below = context
        .dialect
        .pick([Some(false), params.flag("IncludeSubaccounts")?]);
    let scope = if below.unwrap_or(true) {
        Scope::Tree(account.sid)
    } else {
        Scope::Own(account.sid)
    };
    let usage = context.state.store.usage(scope, first, last).await?;
    let default = context.dialect.pick([Some("calls"), None]);
    let wanted = params.word("Category").or(default);
    let mut records = Vec::new();
    for category in CATEGORIES {
        if wanted.is_some_and(|wanted| wanted != category.name) {
            continue;
        }
        let groups = grouped(&usage, period, (first, last), category);
        let record = |((first, last), amount)| Record {
            account: account.sid,
            category,
            first,
            last,
            amount,
            as_of: at,
        };
        records.extend(groups.into_iter().map(record));
    }
    // At the Restcomm base, what was not used does not appear.
    if context.dialect.bare_lists {
        records.retain(|record| record.amount.count > 0);
        records.sort_by_key(|record| record.first);
        return Ok(context.bare(&USAGE, &records));
    }
    records.sort_by_key(|record| std::cmp::Reverse((record.first, record.category.name)));
    let page = Page::read(context)?;
    let path = format!("/Accounts/{}/Usage/Records", account.sid);
    let path = match context.path.ends_with("{period}") {
        true => {
            let word = Period::WORDS.iter().find(|(_, known)| *known == period);
            format!("{path}/{}", word.map_or("", |(word, _)| *word))
        }
        false => path,
    };
    let rows = window(records, &page.window());
    page.show(context, &USAGE, &path, rows, key)
}

fn key(record: &Record) -> store::RowKey {
    row_key(record.first.start(), record.category.name)
}

/// A part of the records, which are sorted from the last to the first.
fn window(records: Vec<Record>, window: &Window) -> Rows<Record> {
    let limit = usize::try_from(window.limit).unwrap_or(usize::MAX);
    let place = |record: &Record| {
        let key = key(record);
        (key.created, key.sid)
    };
    let skip = match &window.place {
        Place::OlderThan(key) => {
            let key = (key.created, key.sid.clone());
            records.partition_point(|record| place(record) >= key)
        }
        Place::NewerThan(key) => {
            let key = (key.created, key.sid.clone());
            let end = records.partition_point(|record| place(record) > key);
            let start = end.saturating_sub(limit);
            let items = records.into_iter().take(end).skip(start).collect();
            return Rows { items, total: 0 };
        }
        Place::Offset | Place::Newest | Place::AfterRow(_) => {
            usize::try_from(window.offset).unwrap_or(usize::MAX)
        }
    };
    Rows {
        items: records.into_iter().skip(skip).take(limit).collect(),
        total: 0,
    }
}

/// The sums of a category, by the first and last day of each group.
fn grouped(
    usage: &[DailyUsage],
    period: Period,
    whole: (Day, Day),
    category: &Category,
) -> BTreeMap<(Day, Day), Amount> {
    let mut groups = BTreeMap::new();
    if period.group(whole.0).is_none() {
        groups.insert(whole, Amount::default());
    }
    for daily in usage
        .iter()
        .filter(|daily| category.of.contains(&daily.used))
    {
        let group = period.group(daily.day).unwrap_or(whole);
        groups.entry(group).or_default().add(daily.amount);
    }
    groups
}

/// The day of a parameter.
fn day(context: &Context<'_>, name: &str, today: Day) -> Result<Option<Day>, Failure> {
    let Some(text) = context.params.filled(name).map(str::trim) else {
        return Ok(None);
    };
    let day = match text.strip_suffix("days").or(text.strip_suffix("day")) {
        Some(offset) => offset
            .parse::<i64>()
            .ok()
            .filter(|days| days.abs() <= MAX_OFFSET)
            .map(|days| today.plus(days)),
        None => Day::parse(text),
    };
    let reason = format!(
        "`{}` is neither a day written yyyy-MM-dd nor an offset such as -30days",
        shown(text)
    );
    day.map(Some)
        .ok_or_else(|| Failure::parameter(name, &reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day_of(text: &str) -> Day {
        Day::parse(text).unwrap()
    }

    #[test]
    fn periods_follow_the_calendar() {
        // Today, and the period before and after it.
        let table = [
            ("2024-03-31", Period::LastMonth, "2024-02-01", "2024-02-29"),
            ("2024-01-01", Period::LastMonth, "2023-12-01", "2023-12-31"),
            ("2024-01-01", Period::Yesterday, "2023-12-31", "2023-12-31"),
            ("2024-03-01", Period::Yesterday, "2024-02-29", "2024-02-29"),
            ("2024-03-15", Period::ThisMonth, "2024-03-01", "2024-03-15"),
            ("2024-03-15", Period::Today, "2024-03-15", "2024-03-15"),
        ];
        for (today, period, first, last) in table {
            let fixed = period.fixed(day_of(today));
            assert_eq!(
                fixed,
                Some((day_of(first), day_of(last))),
                "{today} {period:?}"
            );
        }
        assert_eq!(Period::of("thismonth"), Some(Period::ThisMonth));
        assert_eq!(Period::of("Weekly"), None);
    }

    #[test]
    fn days_are_summed_by_group() {
        let daily = |day: &str, used, seconds| DailyUsage {
            day: day_of(day),
            used,
            amount: Amount::one(seconds),
        };
        let usage = [
            daily("2024-01-31", Used::CallsInbound, 20),
            daily("2024-02-01", Used::CallsOutbound, 20),
            daily("2024-02-29", Used::CallsInbound, 90),
            daily("2024-02-29", Used::Recordings, 5),
            daily("2025-01-01", Used::CallsInbound, 1),
        ];
        let whole = (day_of("2024-01-01"), day_of("2025-12-31"));
        type Rows<'a> = &'a [(&'a str, &'a str, i64)];
        let table: &[(Period, usize, Rows<'_>)] = &[
            (
                Period::Monthly,
                0,
                &[
                    ("2024-01-01", "2024-01-31", 1),
                    ("2024-02-01", "2024-02-29", 2),
                    ("2025-01-01", "2025-01-31", 1),
                ],
            ),
            (
                Period::Yearly,
                1,
                &[
                    ("2024-01-01", "2024-12-31", 2),
                    ("2025-01-01", "2025-12-31", 1),
                ],
            ),
            (Period::AllTime, 2, &[("2024-01-01", "2025-12-31", 1)]),
            (Period::AllTime, 4, &[("2024-01-01", "2025-12-31", 0)]),
            (Period::Daily, 6, &[("2024-02-29", "2024-02-29", 1)]),
        ];
        for (period, category, expected) in table {
            let groups = grouped(&usage, *period, whole, &CATEGORIES[*category]);
            let shown: Vec<_> = groups
                .iter()
                .map(|((first, last), amount)| (first.to_string(), last.to_string(), amount.count))
                .collect();
            let expected: Vec<_> = expected
                .iter()
                .map(|(first, last, count)| ((*first).to_owned(), (*last).to_owned(), *count))
                .collect();
            assert_eq!(shown, expected, "{period:?} {category}");
        }
    }
}
