//! `/Accounts/{sid}/OutboundProxy`: which of the first two trunks takes calls to numbers.

use std::future::ready;

use model::error;

use crate::context::{Answer, Context};
use crate::failure::Failure;
use crate::roles::Action;
use crate::route::{Answers, RESTCOMM, Route};
use crate::trunks::Outbound;
use crate::value::{Field, Kind, Null, Resource, Value, View, field};

const fn text(
    name: &'static str,
    doc: &'static str,
    get: fn(&Outbound, View<'_>) -> Value,
) -> Field<Outbound> {
    field(name, name, Kind::Text, Null::Absent, doc, get)
}

const ACTIVE: Field<Outbound> = text(
    "ActiveProxy",
    "Address of the trunk that takes calls to numbers; absent if there is none.",
    |o, _| Value::maybe(active(o)),
);

static OUTBOUND_PROXY: Resource<Outbound> = Resource {
    xml: ["OutboundProxy", "OutboundProxy"],
    xml_list: ["OutboundProxies", "OutboundProxies"],
    json_list: ["outbound_proxies", "outbound_proxies"],
    xml_envelope: [false, false],
    fields: &[
        ACTIVE,
        text(
            "UsingFallBackProxy",
            "The text `true` while calls take the fallback, else `false`.",
            |o, _| Value::text(o.on_fallback),
        ),
        text(
            "AllowFallbackToPrimary",
            "Always the text `true`: it can be switched back.",
            |_, _| Value::text(true),
        ),
        text(
            "PrimaryProxy",
            "Address of the first trunk; absent if there is none.",
            |o, _| Value::maybe(o.primary.as_ref()),
        ),
        text(
            "FallbackProxy",
            "Address of the second trunk; absent if there is none.",
            |o, _| Value::maybe(o.fallback.as_ref()),
        ),
    ],
};

static ACTIVE_PROXY: Resource<Outbound> = Resource {
    xml: ["ActiveProxy", "ActiveProxy"],
    xml_list: ["ActiveProxies", "ActiveProxies"],
    json_list: ["active_proxies", "active_proxies"],
    xml_envelope: [false, false],
    fields: &[ACTIVE],
};

fn active(outbound: &Outbound) -> Option<&String> {
    let fallback = outbound.fallback.as_ref().filter(|_| outbound.on_fallback);
    fallback.or(outbound.primary.as_ref())
}

/// The routes of the outbound proxy.
pub(crate) static ROUTES: &[Route] = &[
    Route::get(&["/Accounts/{account}/OutboundProxy"], |c, _, _| {
        Box::pin(ready(Ok(c.show(&OUTBOUND_PROXY, &c.state.trunks.outbound()))))
    })
    .within(RESTCOMM)
    .needs(Action::Read, "OutboundProxies")
    .top_only()
    .answers(Answers::One(&OUTBOUND_PROXY))
    .doc("Reads which trunk takes calls to numbers."),
    Route::get(&["/Accounts/{account}/OutboundProxy/switchProxy"], |c, _, _| {
        Box::pin(switch(c))
    })
    .within(RESTCOMM)
    .needs(Action::Modify, "OutboundProxies")
    .top_only()
    .refuses([&[409], &[]])
    .answers(Answers::One(&ACTIVE_PROXY))
    .doc("Switches calls to numbers to the other of the first two trunks, from the next call on. Although it is a GET, it changes the server's state; the change survives a restart."),
    Route::get(&["/Accounts/{account}/OutboundProxy/getActiveProxy"], |c, _, _| {
        Box::pin(ready(Ok(c.show(&ACTIVE_PROXY, &c.state.trunks.outbound()))))
    })
    .within(RESTCOMM)
    .needs(Action::Read, "OutboundProxies")
    .top_only()
    .answers(Answers::One(&ACTIVE_PROXY))
    .doc("Reads the address of the trunk that takes calls to numbers."),
];

async fn switch(context: &Context<'_>) -> Answer {
    let (store, trunks) = (&context.state.store, &context.state.trunks);
    let before = trunks.outbound();
    if before.fallback.is_none() {
        let text = "there is no second trunk to switch to; add one to the configuration (`[[trunk]]`), or a gateway";
        return Err(Failure::of(error::CONFLICT).saying(text));
    }
    store.set_on_fallback(!before.on_fallback).await?;
    trunks.refresh().await;
    Ok(context.show(&ACTIVE_PROXY, &trunks.outbound()))
}
