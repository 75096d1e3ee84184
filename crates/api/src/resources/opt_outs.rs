//! `/Accounts/{sid}/OptOuts` and `/Accounts/{sid}/OptOutSettings`: who wants no texts from which number, and what keywords such as
//! STOP bring about.

use model::opt_out::{OptOut, OptOutSettings, party};
use model::record::Account;
use model::{AccountSid, OptOutSid, error};
use store::{OptOutFilter, StoreError};

use crate::common;
use crate::context::{Answer, Context, Reply, now, owned};
use crate::failure::Failure;
use crate::page::{Page, row_key};
use crate::params::one_line;
use crate::roles::Action;
use crate::route::{Answers, Is, PAGING, Param, Route, param};
use crate::value::{Field, Kind, Null, Resource, Value, field};

const TARGET: &str = "OptOuts";
const LIST: &[&str] = &["/Accounts/{account}/OptOuts"];
const ONE: &[&str] = &["/Accounts/{account}/OptOuts/{sid}"];
const SETTINGS: &[&str] = &["/Accounts/{account}/OptOutSettings"];
/// Longest number or name, in bytes.
const MAX_PARTY: usize = 254;
/// Longest answer to a keyword, in characters.
const MAX_REPLY: usize = 1_600;

/// The routes of opt-outs.
pub(crate) static ROUTES: &[Route] = &[
    Route::get(LIST, |c, a, _| Box::pin(list(c, a)))
        .needs(Action::Read, TARGET)
        .params(&[FILTERS, PAGING])
        .answers(Answers::Page(&OPT_OUT))
        .doc("Lists opt-outs, newest first."),
    Route::post(LIST, |c, a, _| Box::pin(create(c, a)))
        .needs(Action::Create, TARGET)
        .params(&[NEW])
        .answers(Answers::One(&OPT_OUT))
        .status([200, 201])
        .refuses([&[409], &[409]])
        .doc("Adds an opt-out: from then on, messages from the number to the recipient are refused with 21610."),
    Route::get(ONE, |c, a, sid| Box::pin(get(c, a, sid)))
        .needs(Action::Read, TARGET)
        .answers(Answers::One(&OPT_OUT))
        .doc("Reads an opt-out."),
    Route::delete(ONE, |c, a, sid| Box::pin(delete(c, a, sid)))
        .needs(Action::Delete, TARGET)
        .doc("Deletes an opt-out: messages from the number to the recipient are sent again. Only do so if the recipient has asked for it."),
    Route::get(SETTINGS, |c, a, _| Box::pin(settings(c, a)))
        .needs(Action::Read, TARGET)
        .answers(Answers::One(&SHOWN))
        .doc("Reads what keywords bring about."),
    Route::post(SETTINGS, |c, a, _| Box::pin(change(c, a)))
        .needs(Action::Modify, TARGET)
        .params(&[CHANGE])
        .answers(Answers::One(&SHOWN))
        .doc("Sets what keywords bring about at the numbers of the account. Accounts below it have settings of their own."),
];

const FILTERS: &[Param] = &[
    param("Number", Is::Party, "Number of the account."),
    param("Recipient", Is::Party, "Who wants no texts from it."),
];
const NEW: &[Param] = &[
    param(
        "Number",
        Is::Party,
        "Number or name that must not send: the `From` of messages.",
    )
    .required(),
    param(
        "Recipient",
        Is::Party,
        "Who wants no texts from it: the `To` of messages.",
    )
    .required(),
];
const CHANGE: &[Param] = &[
    param(
        "Keywords",
        Is::Word(&["auto", "on", "off"]),
        "`on`: keywords have an effect at all numbers of the account; `off`: at none; `auto` (the default): only at numbers whose documents for texts are in Twilio's dialect.",
    ),
    param(
        "StopReply",
        Is::Text,
        "Answer to the first STOP, at most 1600 characters; empty: the default text; `none`: no answer.",
    ),
    param(
        "StartReply",
        Is::Text,
        "Answer to a START that ends an opt-out, as for `StopReply`.",
    ),
    param("HelpReply", Is::Text, "Answer to HELP, as for `StopReply`."),
];

const FIELDS: &[Field<OptOut>] = &[
    common::sid(|o, _| Value::text(o.sid)),
    common::account_sid(|o, _| Value::text(o.account)),
    field(
        "number",
        "Number",
        Kind::Text,
        Null::Never,
        "Number that must not send.",
        |o, _| Value::text(&o.number),
    ),
    field(
        "recipient",
        "Recipient",
        Kind::Text,
        Null::Never,
        "Who wants no texts from it; `erased:…` after the person's data was erased.",
        |o, _| Value::text(&o.recipient),
    ),
    field(
        "keyword",
        "Keyword",
        Kind::Text,
        Null::Absent,
        "Keyword that the recipient sent, such as `STOP`; null if the API added the opt-out.",
        |o, _| Value::maybe(o.keyword.as_ref()),
    ),
    common::date_created(|o, _| Value::Date(o.created)),
    common::date_updated(|o, _| Value::Date(o.updated)),
    common::uri(|o, view| Value::Link(view.uri(o.account, TARGET, o.sid))),
];

static OPT_OUT: Resource<OptOut> = Resource {
    xml: ["OptOut", "OptOut"],
    xml_list: ["OptOuts", "OptOuts"],
    json_list: ["opt_outs", "opt_outs"],
    xml_envelope: [true, true],
    fields: FIELDS,
};

/// The settings of an account.
struct Shown {
    account: AccountSid,
    settings: OptOutSettings,
}

const SETTING_FIELDS: &[Field<Shown>] = &[
    common::account_sid(|s, _| Value::text(s.account)),
    field(
        "keywords",
        "Keywords",
        Kind::Text,
        Null::Never,
        "`on`, `off` or `auto`.",
        |s, _| {
            Value::text(match s.settings.keywords {
                None => "auto",
                Some(true) => "on",
                Some(false) => "off",
            })
        },
    ),
    field(
        "stop_reply",
        "StopReply",
        Kind::Text,
        Null::Never,
        "Answer to STOP.",
        |s, _| reply(s, model::opt_out::OptOutType::Stop),
    ),
    field(
        "start_reply",
        "StartReply",
        Kind::Text,
        Null::Never,
        "Answer to START.",
        |s, _| reply(s, model::opt_out::OptOutType::Start),
    ),
    field(
        "help_reply",
        "HelpReply",
        Kind::Text,
        Null::Never,
        "Answer to HELP.",
        |s, _| reply(s, model::opt_out::OptOutType::Help),
    ),
];

fn reply(shown: &Shown, kind: model::opt_out::OptOutType) -> Value {
    Value::text(shown.settings.replies.to(kind).unwrap_or(NONE))
}

/// Stands for no answer, in a parameter and in what is shown.
const NONE: &str = "none";

static SHOWN: Resource<Shown> = Resource {
    xml: ["OptOutSettings", "OptOutSettings"],
    xml_list: ["OptOutSettings", "OptOutSettings"],
    json_list: ["opt_out_settings", "opt_out_settings"],
    xml_envelope: [true, true],
    fields: SETTING_FIELDS,
};

async fn list(context: &Context<'_>, account: &Account) -> Answer {
    let filled = |name| context.params.filled(name).map(str::to_owned);
    let page = Page::read(context)?;
    let filter = OptOutFilter {
        account: account.sid,
        number: filled("Number"),
        recipient: filled("Recipient"),
        window: page.window(),
    };
    let rows = context.state.store.opt_outs(&filter).await?;
    let path = format!("/Accounts/{}/{TARGET}", account.sid);
    page.show(context, &OPT_OUT, &path, rows, |opt_out| {
        row_key(opt_out.created, opt_out.sid)
    })
}

/// A number or name, in the spelling in which it is compared.
fn named(context: &Context<'_>, name: &str) -> Result<String, Failure> {
    let text = context.params.required(name)?.trim();
    one_line(name, text)?;
    if text.len() > MAX_PARTY {
        let reason = format!("at most {MAX_PARTY} bytes are allowed");
        return Err(Failure::parameter(name, &reason));
    }
    Ok(party(text))
}

async fn create(context: &Context<'_>, account: &Account) -> Answer {
    let (number, recipient) = (named(context, "Number")?, named(context, "Recipient")?);
    let now = now();
    let opt_out = OptOut {
        sid: OptOutSid::new(now, rand::random()),
        account: account.sid,
        number,
        recipient,
        keyword: None,
        created: now,
        updated: now,
    };
    let store = &context.state.store;
    // One that is known by a signature only is not a duplicate for the database.
    let known = store.is_opted_out(account.sid, &opt_out.number, &opt_out.recipient);
    let added = if known.await? {
        Err(StoreError::Duplicate("opt_outs"))
    } else {
        store.insert_opt_out(&opt_out).await
    };
    match added {
        Ok(()) => Ok(context.show(&OPT_OUT, &opt_out)),
        Err(StoreError::Duplicate(_)) => Err(Failure::of(error::CONFLICT)
            .saying("there is already an opt-out of this recipient from this number")),
        Err(error) => Err(error.into()),
    }
}

async fn find(context: &Context<'_>, account: &Account, sid: &str) -> Result<OptOut, Failure> {
    let sid = sid.parse().map_err(|_| Failure::not_found())?;
    let found = context.state.store.opt_out(sid).await?;
    owned(account, found).ok_or_else(Failure::not_found)
}

async fn get(context: &Context<'_>, account: &Account, sid: &str) -> Answer {
    let found = find(context, account, sid).await?;
    Ok(context.show(&OPT_OUT, &found))
}

async fn delete(context: &Context<'_>, account: &Account, sid: &str) -> Answer {
    let found = find(context, account, sid).await?;
    if context.state.store.delete_opt_out(found.sid).await? {
        return Ok(Reply::Nothing);
    }
    Err(Failure::not_found())
}

async fn shown(context: &Context<'_>, account: &Account) -> Result<Shown, Failure> {
    Ok(Shown {
        account: account.sid,
        settings: context.state.store.opt_out_settings(account.sid).await?,
    })
}

async fn settings(context: &Context<'_>, account: &Account) -> Answer {
    Ok(context.show(&SHOWN, &shown(context, account).await?))
}

async fn change(context: &Context<'_>, account: &Account) -> Answer {
    let mut shown = shown(context, account).await?;
    match context.params.word("Keywords") {
        None => {}
        Some("on") => shown.settings.keywords = Some(true),
        Some("off") => shown.settings.keywords = Some(false),
        Some(_) => shown.settings.keywords = None,
    }
    let replies = &mut shown.settings.replies;
    for (name, reply) in [
        ("StopReply", &mut replies.stop),
        ("StartReply", &mut replies.start),
        ("HelpReply", &mut replies.help),
    ] {
        let Some(text) = context.params.get(name) else {
            continue;
        };
        if text.chars().count() > MAX_REPLY {
            let reason = format!("at most {MAX_REPLY} characters are allowed");
            return Err(Failure::parameter(name, &reason));
        }
        *reply = match text.trim() {
            "" => None,
            NONE => Some(String::new()),
            _ => Some(text.to_owned()),
        };
    }
    let store = &context.state.store;
    store
        .set_opt_out_settings(account.sid, &shown.settings, now())
        .await?;
    Ok(context.show(&SHOWN, &shown))
}
