//! `/Accounts/{sid}/Usage/Triggers`: callbacks when what an account used reaches a value.
//!
//! [`fire_usage_triggers`] compares, periodically. **Invariant: a trigger fires once for a period**: the store decides,
//! in the transaction that stores the callback.

use model::day::Day;
use model::record::{Account, Callback};
use model::trigger::{Reached, Recurrence, TriggerBy, UsageTrigger};
use model::usage::Amount;
use model::{EventSid, HttpMethod, Timestamp, UsageTriggerSid, error};
use store::{DailyUsage, Scope, Store, StoreError, UsageTriggerFilter};

use super::{CATEGORIES, Category, Measure, TARGET};
use crate::context::{ATTEMPTS, Answer, Context, Reply, after, now, owned};
use crate::dialect::RestDialect;
use crate::failure::Failure;
use crate::page::{Page, row_key};
use crate::params::{Params, shown as start_of};
use crate::roles::Action;
use crate::route::{Answers, Is, PAGING, Param, Route, TWILIO, param};
use crate::value::{Field, Kind, Null, Resource, Value, View, field};

/// Maximum number of triggers of an account.
const MAX_TRIGGERS: i64 = 1_000;
/// Triggers that are read at once.
const PAGE: i64 = 500;

/// A trigger, and what was used in its period until now.
struct Shown {
    trigger: UsageTrigger,
    current: i64,
}

const fn text(
    json: &'static str,
    xml: &'static str,
    doc: &'static str,
    get: fn(&Shown, View<'_>) -> Value,
) -> Field<Shown> {
    field(json, xml, Kind::Text, Null::Never, doc, get)
}

const FIELDS: &[Field<Shown>] = &[
    text("sid", "Sid", "Identifier.", |s, _| {
        Value::text(s.trigger.sid)
    }),
    text("account_sid", "AccountSid", "Account.", |s, _| {
        Value::text(s.trigger.account)
    }),
    text(
        "api_version",
        "ApiVersion",
        "Version of the API.",
        |_, view| Value::text(view.dialect.version),
    )
    .within(TWILIO),
    text(
        "friendly_name",
        "FriendlyName",
        "Name to display.",
        |s, _| Value::text(&s.trigger.name),
    ),
    text(
        "usage_category",
        "UsageCategory",
        "Category of usage.",
        |s, _| Value::text(&s.trigger.category),
    ),
    text(
        "trigger_by",
        "TriggerBy",
        "What is compared: `usage` or `count`.",
        |s, _| Value::text(s.trigger.by),
    ),
    text(
        "trigger_value",
        "TriggerValue",
        "It fires when this is reached.",
        |s, _| Value::text(s.trigger.value),
    ),
    text(
        "current_value",
        "CurrentValue",
        "Usage so far in the current period or, if the trigger does not recur, in total.",
        |s, _| Value::text(s.current),
    ),
    field(
        "recurring",
        "Recurring",
        Kind::Text,
        Null::Absent,
        "`daily`, `monthly` or `yearly`, in UTC; nothing if it fires only once.",
        |s, _| {
            let word = s.trigger.recurring.as_str();
            Value::maybe(Some(word).filter(|word| !word.is_empty()))
        },
    ),
    text(
        "callback_url",
        "CallbackUrl",
        "Where the callback goes.",
        |s, _| Value::text(&s.trigger.callback_url),
    ),
    text(
        "callback_method",
        "CallbackMethod",
        "Its method.",
        |s, _| Value::text(s.trigger.callback_method),
    ),
    field(
        "date_fired",
        "DateFired",
        Kind::Date,
        Null::Absent,
        "When it last fired.",
        |s, _| s.trigger.fired.map_or(Value::Null, Value::Date),
    ),
    field(
        "date_created",
        "DateCreated",
        Kind::Date,
        Null::Never,
        "When it was created.",
        |s, _| Value::Date(s.trigger.created),
    ),
    field(
        "date_updated",
        "DateUpdated",
        Kind::Date,
        Null::Never,
        "When it was last changed, or fired.",
        |s, _| Value::Date(s.trigger.updated),
    ),
    field(
        "usage_record_uri",
        "UsageRecordUri",
        Kind::Link,
        Null::Never,
        "Path of the records of its category.",
        |s, view| records_of(&s.trigger, view.dialect),
    ),
    field(
        "uri",
        "Uri",
        Kind::Link,
        Null::Never,
        "Path of this resource.",
        |s, view| Value::Link(view.uri(s.trigger.account, "Usage/Triggers", s.trigger.sid)),
    ),
];

fn records_of(trigger: &UsageTrigger, dialect: &RestDialect) -> Value {
    let (base, account) = (dialect.link_base, trigger.account);
    let path = format!("{base}/Accounts/{account}/{TARGET}/Records");
    let query = format!("Category={}", trigger.category);
    Value::Links {
        json: format!("{path}.json?{query}"),
        xml: format!("{path}?{query}"),
    }
}

static TRIGGER: Resource<Shown> = Resource {
    xml: ["UsageTrigger", "UsageTrigger"],
    xml_list: ["UsageTriggers", "UsageTriggers"],
    json_list: ["usage_triggers", "usage_triggers"],
    xml_envelope: [true, true],
    fields: FIELDS,
};

const LIST: &[&str] = &["/Accounts/{account}/Usage/Triggers"];
const ONE: &[&str] = &["/Accounts/{account}/Usage/Triggers/{sid}"];

/// The routes of usage triggers.
pub(crate) static ROUTES: &[Route] = &[
    Route::get(LIST, |c, a, _| Box::pin(list(c, a)))
        .needs(Action::Read, TARGET)
        .params(&[FILTERS, PAGING])
        .answers(Answers::Page(&TRIGGER))
        .doc("Lists the usage triggers of an account, the newest first."),
    Route::post(LIST, |c, a, _| Box::pin(create(c, a)))
        .needs(Action::Create, TARGET)
        .params(&[NEW, PROPERTIES])
        .answers(Answers::One(&TRIGGER))
        .status([200, 201])
        .doc("Creates a usage trigger; an account can have at most 1,000. It fires immediately if its value has already been reached."),
    Route::get(ONE, |c, a, sid| Box::pin(get(c, a, sid)))
        .needs(Action::Read, TARGET)
        .answers(Answers::One(&TRIGGER))
        .doc("Reads a usage trigger."),
    Route::post(ONE, |c, a, sid| Box::pin(update(c, a, sid)))
        .needs(Action::Modify, TARGET)
        .params(&[CHANGES, PROPERTIES])
        .answers(Answers::One(&TRIGGER))
        .doc("Changes the name or the callback of a usage trigger."),
    Route::delete(ONE, |c, a, sid| Box::pin(delete(c, a, sid)))
        .needs(Action::Delete, TARGET)
        .doc("Deletes a usage trigger. A callback that is on its way is delivered."),
];

/// Without the price, which is not calculated.
const NAMES: &[&str] = &[
    "calls",
    "calls-inbound",
    "calls-outbound",
    "sms",
    "sms-inbound",
    "sms-outbound",
    "recordings",
];

const FILTERS: &[Param] = &[
    param(
        "Recurring",
        Is::Word(&["daily", "monthly", "yearly", "alltime"]),
        "Those that recur like this; `alltime` for those that fire only once.",
    ),
    param(
        "TriggerBy",
        Is::Word(TriggerBy::WORDS),
        "Those that compare this.",
    ),
    param("UsageCategory", Is::Word(NAMES), "Those of this category."),
];

const NEW: &[Param] = &[
    param(
        "UsageCategory",
        Is::Word(NAMES),
        "Category of usage, of the account and all below it.",
    )
    .required(),
    param(
        "TriggerValue",
        Is::Party,
        "The trigger fires when this is reached: a whole number, or `+` and a whole number for that much above the current value.",
    )
    .required(),
    param(
        "TriggerBy",
        Is::Word(&["usage", "count", "price"]),
        "What is compared: `usage` in the unit of the category (minutes, or messages), or `count`. `usage` if not given. `price` is refused, because prices are not calculated.",
    ),
    param(
        "Recurring",
        Is::Word(&["daily", "monthly", "yearly"]),
        "How often it can fire, in periods of UTC; once if not given.",
    ),
    param("CallbackUrl", Is::Address, "Where the callback goes.").required(),
];

const CHANGES: &[Param] = &[param(
    "CallbackUrl",
    Is::Address,
    "Where the callback goes.",
)];

const PROPERTIES: &[Param] = &[
    param(
        "CallbackMethod",
        Is::Method,
        "Method of the callback; `POST` if not given.",
    ),
    param("FriendlyName", Is::Text, "Name to display."),
];

async fn list(context: &Context<'_>, account: &Account) -> Answer {
    let params = &context.params;
    let page = Page::read(context)?;
    let filter = UsageTriggerFilter {
        account: account.sid,
        recurring: params.word("Recurring").map(|word| match word {
            "alltime" => Recurrence::Never,
            word => word.parse().unwrap_or(Recurrence::Never),
        }),
        by: params.word("TriggerBy").and_then(|word| word.parse().ok()),
        category: params.word("UsageCategory").map(str::to_owned),
        window: page.window(),
    };
    let store = &context.state.store;
    let rows = store.usage_triggers(&filter).await?;
    let rows = store::Rows {
        items: with_usage(store, account, rows.items).await?,
        total: rows.total,
    };
    let path = format!("/Accounts/{}/Usage/Triggers", account.sid);
    page.show(context, &TRIGGER, &path, rows, |shown| {
        row_key(shown.trigger.created, shown.trigger.sid)
    })
}

/// Triggers of one account, with what was used in their periods.
async fn with_usage(
    store: &Store,
    account: &Account,
    triggers: Vec<UsageTrigger>,
) -> Result<Vec<Shown>, StoreError> {
    let today = Day::of(now());
    let from = |trigger: &UsageTrigger| trigger.recurring.start(today);
    let Some(first) = triggers.iter().map(from).min() else {
        return Ok(Vec::new());
    };
    let usage = store.usage(Scope::Tree(account.sid), first, today).await?;
    let show = |trigger: UsageTrigger| {
        let from = trigger.recurring.start(today);
        let current = category(&trigger.category).map_or(0, |category| {
            let mut sum = Amount::default();
            for (_, amount) in days(&usage, category).filter(|(day, _)| *day >= from) {
                sum.add(amount);
            }
            trigger.measure(sum, is_in_minutes(category))
        });
        Shown { trigger, current }
    };
    Ok(triggers.into_iter().map(show).collect())
}

fn category(name: &str) -> Option<&'static Category> {
    CATEGORIES.iter().find(|category| category.name == name)
}

fn is_in_minutes(category: &Category) -> bool {
    matches!(category.measure, Measure::Minutes(_))
}

/// What was used of a category.
fn days<'a>(
    usage: &'a [DailyUsage],
    category: &'a Category,
) -> impl Iterator<Item = (Day, Amount)> + 'a {
    let of_category = |daily: &&DailyUsage| category.of.contains(&daily.used);
    usage
        .iter()
        .filter(of_category)
        .map(|daily| (daily.day, daily.amount))
}

async fn one(context: &Context<'_>, account: &Account, trigger: UsageTrigger) -> Answer {
    let shown = with_usage(&context.state.store, account, vec![trigger]).await?;
    let shown = shown.into_iter().next().ok_or_else(Failure::not_found)?;
    Ok(context.show(&TRIGGER, &shown))
}

async fn find(
    context: &Context<'_>,
    account: &Account,
    sid: &str,
) -> Result<UsageTrigger, Failure> {
    let sid: UsageTriggerSid = sid.parse().map_err(|_| Failure::not_found())?;
    let found = context.state.store.usage_trigger(sid).await?;
    owned(account, found).ok_or_else(Failure::not_found)
}

async fn get(context: &Context<'_>, account: &Account, sid: &str) -> Answer {
    let trigger = find(context, account, sid).await?;
    one(context, account, trigger).await
}

async fn create(context: &Context<'_>, account: &Account) -> Answer {
    let (params, store, now) = (&context.params, &context.state.store, now());
    let by = match params.word("TriggerBy") {
        Some("price") => {
            let reason = "prices are not calculated here; compare `usage` or `count`";
            return Err(Failure::parameter("TriggerBy", reason));
        }
        Some("count") => TriggerBy::Count,
        Some(_) | None => TriggerBy::Usage,
    };
    let word = params.word("Recurring").unwrap_or_default();
    let recurring = word.parse().unwrap_or(Recurrence::Never);
    let (is_offset, value) = threshold(params.required("TriggerValue")?)?;
    let mut trigger = UsageTrigger {
        sid: UsageTriggerSid::new(now, rand::random()),
        account: account.sid,
        author: context.caller.sid,
        name: String::new(),
        category: params.word("UsageCategory").unwrap_or_default().to_owned(),
        by,
        recurring,
        value,
        callback_url: String::new(),
        callback_method: HttpMethod::Post,
        dialect: context.dialect.runs,
        watched_from: Some(recurring.start(Day::of(now))),
        fired: None,
        created: now,
        updated: now,
    };
    change(params, &mut trigger)?;
    if is_offset {
        let shown = with_usage(store, account, vec![trigger.clone()]).await?;
        let current = shown.first().map_or(0, |shown| shown.current);
        trigger.value = value.saturating_add(current);
    }
    if !store.insert_usage_trigger(&trigger, MAX_TRIGGERS).await? {
        let text = format!(
            "the account has {MAX_TRIGGERS} usage triggers; delete one that is not used any more"
        );
        return Err(Failure::of(error::CONFLICT).saying(text));
    }
    one(context, account, trigger).await
}

/// A value, and whether it is to be added to the present one. Usage is counted in whole minutes or pieces.
fn threshold(text: &str) -> Result<(bool, i64), Failure> {
    let (offset, digits) = match text.trim().strip_prefix('+') {
        Some(rest) => (true, rest),
        None => (false, text.trim()),
    };
    let whole = match digits.split_once('.') {
        Some((whole, zeros)) if zeros.chars().all(|c| c == '0') => whole,
        Some(_) | None => digits,
    };
    let is_number = !whole.is_empty() && whole.chars().all(|c| c.is_ascii_digit());
    let value = whole.parse().ok().filter(|value| is_number && *value > 0);
    value.map(|value| (offset, value)).ok_or_else(|| {
        let reason = format!(
            "`{}` is not a whole number above 0, or one with a `+` in front",
            start_of(text)
        );
        Failure::parameter("TriggerValue", &reason)
    })
}

/// Applies the parameters that may be changed.
fn change(params: &Params, trigger: &mut UsageTrigger) -> Result<(), Failure> {
    if let Some(name) = params.name("FriendlyName")? {
        trigger.name = name;
    }
    if params.get("CallbackUrl").is_some() {
        let missing = || Failure::parameter("CallbackUrl", "it must not be empty");
        trigger.callback_url = params
            .address("CallbackUrl")?
            .flatten()
            .ok_or_else(missing)?;
    }
    if let Some(method) = params.method("CallbackMethod")? {
        trigger.callback_method = method;
    }
    Ok(())
}

async fn update(context: &Context<'_>, account: &Account, sid: &str) -> Answer {
    for _ in 0..ATTEMPTS {
        let mut trigger = find(context, account, sid).await?;
        change(&context.params, &mut trigger)?;
        if context.params.get("CallbackUrl").is_some() {
            trigger.author = context.caller.sid;
        }
        let read = trigger.updated;
        trigger.updated = after(read);
        let store = &context.state.store;
        if store.update_usage_trigger(&trigger, read).await? {
            return one(context, account, trigger).await;
        }
    }
    Err(Failure::contended())
}

async fn delete(context: &Context<'_>, account: &Account, sid: &str) -> Answer {
    let trigger = find(context, account, sid).await?;
    let store = &context.state.store;
    store.delete_usage_trigger(trigger.sid).await?;
    Ok(Reply::Nothing)
}

/// Has every trigger fire whose value is reached.
///
/// - `deliver`: gets each callback once it is stored
///
/// # Errors
/// As reported by the database.
pub async fn fire_usage_triggers(
    store: &Store,
    deliver: &(dyn Fn(Callback) + Sync),
) -> Result<(), StoreError> {
    let at = now();
    let mut last: Option<UsageTrigger> = None;
    loop {
        let page = store.watched_triggers(last.as_ref(), PAGE).await?;
        let Some(end) = page.last().cloned() else {
            return Ok(());
        };
        last = Some(end);
        for of_account in page.chunk_by(|one, other| one.account == other.account) {
            fire_some(store, of_account, at, deliver).await?;
        }
    }
}

/// The same for some triggers of one account.
async fn fire_some(
    store: &Store,
    triggers: &[UsageTrigger],
    at: Timestamp,
    deliver: &(dyn Fn(Callback) + Sync),
) -> Result<(), StoreError> {
    let first = triggers.iter().filter_map(|one| one.watched_from).min();
    let (Some(first), Some(account)) = (first, triggers.first().map(|one| one.account)) else {
        return Ok(());
    };
    let usage = store
        .usage(Scope::Tree(account), first, Day::of(at))
        .await?;
    for trigger in triggers {
        let Some(category) = category(&trigger.category) else {
            continue;
        };
        let used: Vec<_> = days(&usage, category).collect();
        let mut trigger = trigger.clone();
        while let Some(reached) = trigger.reached(&used, is_in_minutes(category)) {
            let sequence = store.next_sequence(account.into()).await?;
            let callback = callback(&trigger, reached, sequence, at);
            if !store.fire_trigger(trigger.sid, &reached, &callback).await? {
                break; // Another server was faster.
            }
            deliver(callback);
            trigger.watched_from = reached.next;
        }
    }
    Ok(())
}

/// The callback with the parameters of Twilio.
fn callback(trigger: &UsageTrigger, reached: Reached, sequence: i64, at: Timestamp) -> Callback {
    let dialect = RestDialect::MAIN
        .into_iter()
        .find(|dialect| dialect.runs == trigger.dialect);
    let dialect = dialect.unwrap_or(&RestDialect::TWILIO);
    let records = match records_of(trigger, dialect) {
        Value::Links { json, .. } => json,
        _ => String::new(),
    };
    let (account, sid) = (trigger.account, trigger.sid);
    let params = [
        ("AccountSid", account.to_string()),
        ("UsageTriggerSid", sid.to_string()),
        ("Recurring", trigger.recurring.to_string()),
        ("TriggerBy", trigger.by.to_string()),
        ("TriggerValue", trigger.value.to_string()),
        ("CurrentValue", reached.current.to_string()),
        ("UsageCategory", trigger.category.clone()),
        ("UsageRecordUri", records),
        ("DateFired", at.rfc2822()),
        (
            "IdempotencyToken",
            format!("{account}-FIRES-{sid}-{}", reached.period),
        ),
    ];
    Callback {
        event: EventSid::new(at, rand::random()),
        account,
        author: trigger.author,
        lane: account.into(),
        call: None,
        sequence,
        url: trigger.callback_url.clone(),
        method: trigger.callback_method,
        params: params.map(|(name, value)| (name.to_owned(), value)).into(),
        created: at,
    }
}
