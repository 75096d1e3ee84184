//! `/Accounts/{sid}/IncomingPhoneNumbers`: incoming phone numbers.
//!
//! A number is bought from the provider, or it is one of the operator's own (`isSIP`).

mod buying;
mod fields;

use std::collections::BTreeMap;
use std::sync::Arc;

use model::naming::{self, NumberRule};
use model::record::{Account, Application, Number, VoiceApplication};
use model::{ApplicationSid, NumberSid, error};
use store::{DiscardedKind, NumberFilter, NumberKey, Rows, Scope, Sort, StoreError};

use crate::context::{ATTEMPTS, Answer, Context, Reply, after, now, owned};
use crate::failure::Failure;
use crate::naming::number_refused;
use crate::page::{Page, row_key};
use crate::params::shown;
use crate::resources::available;
use crate::resources::clients::VOICE;
use crate::roles::Action;
use crate::route::{Answers, IN_USE, Is, PAGING, Param, RESTCOMM, Route, param, sid};

use self::fields::{NUMBER, Shown};

const VOICE_URL: &[Param] = &[param(
    "VoiceUrl",
    Is::Address,
    "Document for calls to this number; empty for none.",
)];

const LIST: &[&str] = &[
    "/Accounts/{account}/IncomingPhoneNumbers",
    "/Accounts/{account}/IncomingPhoneNumbers/Local",
    "/Accounts/{account}/IncomingPhoneNumbers/TollFree",
    "/Accounts/{account}/IncomingPhoneNumbers/Mobile",
];
const AVAILABLE_COUNTRIES: &[&str] =
    &["/Accounts/{account}/IncomingPhoneNumbers/AvailableCountries"];
const ONE: &[&str] = &["/Accounts/{account}/IncomingPhoneNumbers/{sid}"];
const TARGET: &str = "IncomingPhoneNumbers";

/// The routes of incoming phone numbers.
pub(crate) static ROUTES: &[Route] = &[
    Route::get(LIST, |c, a, _| Box::pin(list(c, a)))
        .needs(Action::Read, TARGET)
        .params(&[FILTERS, PAGING])
        .answers(Answers::Page(&NUMBER))
        .doc("Lists numbers."),
    Route::get(AVAILABLE_COUNTRIES, |c, a, _| Box::pin(countries(c, a)))
        .needs(Action::Read, TARGET)
        .within(RESTCOMM)
        .answers(Answers::Texts)
        .doc("Lists the ISO codes of the countries whose numbers are for sale; `US` if there are none."),
    Route::post(LIST, |c, a, _| Box::pin(create(c, a)))
        .needs(Action::Create, TARGET)
        .params(&[NEW, PROPERTIES, VOICE_URL, VOICE, EXTRA])
        .answers(Answers::One(&NUMBER))
        .status([200, 201])
        .doc("Buys a number from the inventory or carrier, or adds one of your own (`isSIP`)."),
    Route::get(ONE, |c, a, sid| Box::pin(get(c, a, sid)))
        .needs(Action::Read, TARGET)
        .answers(Answers::One(&NUMBER))
        .doc("Reads a number."),
    Route::post(ONE, |c, a, sid| Box::pin(update(c, a, sid)))
        .needs(Action::Modify, TARGET)
        .params(&[PROPERTIES, VOICE_URL, VOICE, EXTRA])
        .answers(Answers::One(&NUMBER))
        .doc("Changes a number."),
    Route::put(ONE, |c, a, sid| Box::pin(update(c, a, sid)))
        .needs(Action::Modify, TARGET)
        .within(RESTCOMM)
        .params(&[PROPERTIES, VOICE_URL, VOICE, EXTRA])
        .answers(Answers::One(&NUMBER))
        .doc("Changes a number."),
    Route::delete(ONE, |c, a, sid| Box::pin(delete(c, a, sid)))
        .needs(Action::Delete, TARGET)
        .refuses(IN_USE)
        .status([204, 204])
        .doc("Deletes a number. It is moved to the bin, where it receives no calls and can be restored; a number that was bought is for sale again, or is given back to the carrier, only when it has left the bin."),
];

const FILTERS: &[Param] = &[
    param("PhoneNumber", Is::Party, "Part of the number."),
    param("FriendlyName", Is::Text, "Part of the name."),
    param(
        "SortBy",
        Is::Text,
        "`FriendlyName`; anything else sorts by number.",
    )
    .within(RESTCOMM),
    param("Reverse", Is::Flag, "Sorts in descending order.").within(RESTCOMM),
];

const NEW: &[Param] = &[
    param(
        "PhoneNumber",
        Is::Party,
        "The number; with `isSIP=true` also a pattern. Required unless there is an `AreaCode`.",
    ),
    param(
        "AreaCode",
        Is::Number,
        "Buys any number of the US or Canada with this area code, of the kind that the path ends with.",
    ),
    param(
        "isSIP",
        Is::Flag,
        "`true` for a number of your own, which is not bought. At the Twilio base, a number that is not in the inventory also counts as your own, unless a carrier is configured.",
    ),
];

const PROPERTIES: &[Param] = &[
    param("FriendlyName", Is::Text, "Name to display."),
    param(
        "StatusCallback",
        Is::Address,
        "Address that receives each status, or only the final one if `VoiceUrl` was set at the Twilio base; empty for none.",
    ),
    param(
        "StatusCallbackMethod",
        Is::Method,
        "Method for `StatusCallback`; POST if not given.",
    ),
    param(
        "VoiceCallerIdLookup",
        Is::Flag,
        "Stored, but has no effect: caller names are not looked up.",
    ),
    param(
        "Public",
        Is::Flag,
        "Whether callers without credentials reach it.",
    ),
];

/// Properties that most calls do not need.
const EXTRA: &[Param] = &[
    param(
        "SmsUrl",
        Is::Address,
        "Document for text messages to the number; empty for none.",
    ),
    param(
        "SmsFallbackUrl",
        Is::Address,
        "Document if `SmsUrl` fails; empty for none.",
    ),
    param(
        "UssdUrl",
        Is::Address,
        "Document for USSD; empty for none. Stored, but not requested.",
    ),
    param(
        "UssdFallbackUrl",
        Is::Address,
        "Document if `UssdUrl` fails; empty for none.",
    ),
    param(
        "ReferUrl",
        Is::Address,
        "Document that runs when a party of a call to the number sends REFER; empty for none.",
    ),
    param("SmsMethod", Is::Method, "Method for `SmsUrl`."),
    param(
        "SmsFallbackMethod",
        Is::Method,
        "Method for `SmsFallbackUrl`.",
    ),
    param("UssdMethod", Is::Method, "Method for `UssdUrl`."),
    param(
        "UssdFallbackMethod",
        Is::Method,
        "Method for `UssdFallbackUrl`.",
    ),
    param("ReferMethod", Is::Method, "Method for `ReferUrl`."),
    param(
        "SmsApplicationSid",
        Is::Sid(sid::<ApplicationSid>),
        "Application for text messages.",
    ),
    param(
        "UssdApplicationSid",
        Is::Sid(sid::<ApplicationSid>),
        "Application for USSD.",
    ),
    param(
        "ReferApplicationSid",
        Is::Sid(sid::<ApplicationSid>),
        "Application for transfers; takes precedence over `ReferUrl`.",
    ),
    param("VoiceCapable", Is::Flag, "Whether it supports calls."),
    param("SmsCapable", Is::Flag, "Whether it supports text messages."),
    param(
        "MmsCapable",
        Is::Flag,
        "Whether it supports multimedia messages.",
    ),
    param("FaxCapable", Is::Flag, "Whether it supports faxes."),
];

/// Those of [`EXTRA`] that name an application.
const EXTRA_APPLICATIONS: [&str; 3] = [
    "SmsApplicationSid",
    "UssdApplicationSid",
    "ReferApplicationSid",
];

async fn list(context: &Context<'_>, account: &Account) -> Answer {
    let params = &context.params;
    let page = Page::read(context)?;
    let by_number = Sort {
        key: match params.filled("SortBy") {
            Some("FriendlyName") => NumberKey::FriendlyName,
            _ => NumberKey::PhoneNumber,
        },
        descending: params.flag("Reverse")?.unwrap_or(false),
    };
    let filter = NumberFilter {
        scope: Scope::Own(account.sid),
        phone_number: params.filled("PhoneNumber").map(str::to_owned),
        friendly_name: params.filled("FriendlyName").map(str::to_owned),
        sort: context.dialect.pick([Some(by_number), None]),
        window: page.window(),
    };
    let rows = context.state.store.numbers(&filter).await?;
    let names = application_names(context, &rows.items).await?;
    let shown = rows.items.into_iter().map(|number| Shown {
        number,
        names: names.clone(),
    });
    let rows = Rows {
        items: shown.collect(),
        total: rows.total,
    };
    let path = format!("/Accounts/{}/IncomingPhoneNumbers", account.sid);
    page.show(context, &NUMBER, &path, rows, |shown: &Shown| {
        row_key(shown.number.created, shown.number.sid)
    })
}

/// Names of the applications that numbers refer to, by identifier; those of other accounts'
/// applications are not shown.
async fn application_names(
    context: &Context<'_>,
    numbers: &[Number],
) -> Result<BTreeMap<String, String>, Failure> {
    let mut names = BTreeMap::new();
    for number in numbers {
        let extra = EXTRA_APPLICATIONS
            .iter()
            .filter_map(|name| number.extra.get(*name)?.parse().ok());
        let sids: Vec<ApplicationSid> = number.voice.application.into_iter().chain(extra).collect();
        for sid in sids {
            let found = context.state.store.application(sid).await?;
            let readable = |found: &Arc<Application>| {
                naming::may_use(found.account, number.account, context.caller.sid)
            };
            if let Some(application) = found.filter(readable) {
                names.insert(sid.to_string(), application.friendly_name.clone());
            }
        }
    }
    Ok(names)
}

/// The countries of the provider; as with Restcomm, the list is never empty.
async fn countries(context: &Context<'_>, account: &Account) -> Answer {
    let state = context.state;
    let mut codes = state.numbers.of(account).countries(&state.store).await?;
    if codes.is_empty() {
        codes.push("US".to_owned());
    }
    Ok(context.texts(("AvailableCountries", "AvailableCountry"), &codes))
}

async fn create(context: &Context<'_>, account: &Account) -> Answer {
    let params = &context.params;
    let pure_sip = params.flag("isSIP")?;
    let Some(phone_number) = params.filled("PhoneNumber").map(str::trim) else {
        return match available::area_code(context)? {
            Some(_) if pure_sip == Some(true) => Err(buying::none_with_area_code()),
            Some(area_code) => buying::any(context, account, area_code).await,
            None => {
                let reason = "this parameter, or AreaCode, is required";
                Err(Failure::parameter("PhoneNumber", reason))
            }
        };
    };
    let stored = stored(phone_number)?;
    if pure_sip != Some(true) && is_known(context, &stored).await? {
        return Err(number_taken(context, account, &stored).await);
    }
    match pure_sip {
        Some(pure_sip) => add_own(context, account, &stored, pure_sip).await,
        None => match buying::offer(context, account, &stored).await? {
            Some(offer) => buying::one(context, account, offer).await,
            // Twilio's clients have no parameter for the operator's own numbers.
            None if context
                .dialect
                .pick([false, buying::may_be_own(context, account, &stored)])
                && !context.state.store.is_reserved(&stored).await? =>
            {
                add_own(context, account, &stored, true).await
            }
            None => Err(buying::not_for_sale(context, account, &stored).await),
        },
    }
}

/// Adds a number that is not bought.
async fn add_own(
    context: &Context<'_>,
    account: &Account,
    phone_number: &str,
    pure_sip: bool,
) -> Answer {
    let number = new_number(context, account, phone_number, pure_sip).await?;
    match context.state.store.insert_number(number.clone()).await {
        Ok(()) => Ok(context.show(&NUMBER, &Shown::bare(number))),
        Err(StoreError::Duplicate(_)) => Err(number_taken(context, account, phone_number).await),
        Err(error) => Err(number_refused(phone_number, error)),
    }
}

/// A number with the properties of the request, which are checked.
async fn new_number(
    context: &Context<'_>,
    account: &Account,
    phone_number: &str,
    pure_sip: bool,
) -> Result<Number, Failure> {
    let now = now();
    let mut number = Number {
        sid: NumberSid::new(now, rand::random()),
        account: account.sid,
        organization: account.organization,
        friendly_name: phone_number.to_owned(),
        phone_number: phone_number.to_owned(),
        pure_sip,
        public: false,
        voice: VoiceApplication::default(),
        status_callback: None,
        status_callback_method: None,
        voice_caller_id_lookup: false,
        extra: BTreeMap::new(),
        created: now,
        updated: now,
    };
    change(context, &mut number)?;
    context.may_take_number(account, phone_number)?;
    check_applications(context, account, &number).await?;
    Ok(number)
}

/// The number already exists here. If the account has it, the text says where to change it.
async fn number_taken(context: &Context<'_>, account: &Account, phone_number: &str) -> Failure {
    let own = match known(context, phone_number).await {
        Ok(known) => known.into_iter().find(|known| known.account == account.sid),
        Err(failure) => return failure,
    };
    let refused = number_refused(phone_number, StoreError::Duplicate("the number"));
    let Some(own) = own else { return refused };
    let uri = context
        .view()
        .uri(own.account, "IncomingPhoneNumbers", own.sid);
    refused.adding(&format!(" To change it, POST to {uri}"))
}

/// The form in which a number or pattern is stored. Refuses a text that is neither.
fn stored(text: &str) -> Result<String, Failure> {
    let reason = match naming::number_rule(text) {
        NumberRule::Number(number) => return Ok(number),
        NumberRule::Pattern => return Ok(text.to_owned()),
        NumberRule::Dotted(number) => format!(
            "write the number as `{number}`; in a pattern, write `[0-9]` instead of `.` for any digit"
        ),
        NumberRule::Unusable => format!(
            "`{}` is not a number: write digits, with `+` in front of a country code, or a pattern with `*`",
            shown(text)
        ),
    };
    Err(Failure::parameter("PhoneNumber", &reason))
}

/// Numbers that are spelt the same, as written or in E.164.
async fn known(context: &Context<'_>, phone_number: &str) -> Result<Vec<Arc<Number>>, Failure> {
    let spellings = model::number::candidates(phone_number);
    let store = &context.state.store;
    let found = store.number_candidates(None, &spellings).await?;
    Ok(found.exact)
}

/// Whether one of them is globally reachable.
async fn is_known(context: &Context<'_>, phone_number: &str) -> Result<bool, Failure> {
    let known = known(context, phone_number).await?;
    Ok(known.iter().any(|other| !other.pure_sip))
}

/// Applies the parameters that were sent.
fn change(context: &Context<'_>, number: &mut Number) -> Result<(), Failure> {
    let params = &context.params;
    if let Some(name) = params.name("FriendlyName")? {
        number.friendly_name = name;
    }
    params.change_voice(&mut number.voice, context.dialect)?;
    if let Some(url) = params.address("StatusCallback")? {
        number.status_callback = url;
    }
    if params.get("StatusCallbackMethod").is_some() {
        number.status_callback_method = params.method("StatusCallbackMethod")?;
    }
    if let Some(lookup) = params.flag("VoiceCallerIdLookup")? {
        number.voice_caller_id_lookup = lookup;
    }
    if let Some(public) = params.flag("Public")? {
        number.public = public;
    }
    change_extra(context, &mut number.extra)
}

/// Refuses applications that were sent but that the account may not use.
async fn check_applications(
    context: &Context<'_>,
    account: &Account,
    number: &Number,
) -> Result<(), Failure> {
    context.may_use_voice(account, &number.voice).await?;
    let mut sent = Vec::new();
    for name in EXTRA_APPLICATIONS {
        if let Some(sid) = context.params.sid::<ApplicationSid>(name)?.flatten() {
            sent.push((name, sid));
        }
    }
    context.may_use_applications(account, sent).await
}

fn change_extra(
    context: &Context<'_>,
    extra: &mut BTreeMap<String, String>,
) -> Result<(), Failure> {
    let params = &context.params;
    let mut set = |name: &str, value: Option<String>| match value {
        Some(value) => drop(extra.insert(name.to_owned(), value)),
        None => drop(extra.remove(name)),
    };
    for Param { name, kind, .. } in EXTRA {
        match kind {
            Is::Address => {
                if let Some(url) = params.address(name)? {
                    set(name, url);
                }
            }
            Is::Method if params.get(name).is_some() => {
                set(name, params.method(name)?.map(|method| method.to_string()));
            }
            Is::Sid(_) => {
                if let Some(sid) = params.sid::<ApplicationSid>(name)? {
                    set(name, sid.map(|sid| sid.to_string()));
                }
            }
            Is::Flag => {
                if let Some(flag) = params.flag(name)? {
                    set(name, Some(flag.to_string()));
                }
            }
            Is::Method
            | Is::Text
            | Is::Party
            | Is::Secret
            | Is::Number
            | Is::Day
            | Is::Moment
            | Is::SidPattern(_)
            | Is::Word(_)
            | Is::Words(_) => {}
        }
    }
    if params.get("SmsUrl").is_some() {
        set("SmsDialect", Some(context.dialect.runs.as_str().to_owned()));
    }
    Ok(())
}

async fn find(context: &Context<'_>, account: &Account, sid: &str) -> Result<Number, Failure> {
    let sid: NumberSid = sid.parse().map_err(|_| Failure::not_found())?;
    let found = context.state.store.number(sid).await?;
    owned(account, found).ok_or_else(Failure::not_found)
}

async fn get(context: &Context<'_>, account: &Account, sid: &str) -> Answer {
    let number = find(context, account, sid).await?;
    Ok(context.show(&NUMBER, &Shown::bare(number)))
}

async fn update(context: &Context<'_>, account: &Account, sid: &str) -> Answer {
    for _ in 0..ATTEMPTS {
        let mut number = find(context, account, sid).await?;
        change(context, &mut number)?;
        check_applications(context, account, &number).await?;
        let read = number.updated;
        number.updated = after(read);
        let store = &context.state.store;
        if store.update_number(number.clone(), read).await? {
            return Ok(context.show(&NUMBER, &Shown::bare(number)));
        }
    }
    Err(Failure::contended())
}

async fn delete(context: &Context<'_>, account: &Account, sid: &str) -> Answer {
    let number = find(context, account, sid).await?;
    let sid = number.sid.to_string();
    let discarded = context
        .state
        .store
        .discard(DiscardedKind::Number, &sid, now());
    match discarded.await {
        Ok(true) => Ok(Reply::Nothing),
        Ok(false) => Err(Failure::not_found()),
        Err(StoreError::Taken(_)) => {
            let text = format!(
                "The client `{}` is named after this number; delete the client first.",
                number.phone_number
            );
            Err(Failure::of(error::CONFLICT).saying(text))
        }
        Err(error) => Err(error.into()),
    }
}
