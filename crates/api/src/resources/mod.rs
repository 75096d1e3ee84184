//! One file per resource: its tables of routes, parameters and fields, and its handlers.

pub(crate) mod accounts;
pub(crate) mod applications;
pub(crate) mod audit;
pub(crate) mod available;
pub(crate) mod bin;
pub(crate) mod caller_ids;
pub(crate) mod calls;
pub(crate) mod clients;
pub(crate) mod conferences;
pub(crate) mod deliveries;
pub(crate) mod emails;
pub(crate) mod erasures;
pub(crate) mod extensions;
pub(crate) mod gateways;
pub(crate) mod geolocation;
pub(crate) mod keys;
pub(crate) mod masking;
pub(crate) mod message_routes;
pub(crate) mod messages;
pub(crate) mod notifications;
pub(crate) mod numbers;
pub(crate) mod opt_outs;
pub(crate) mod organizations;
pub(crate) mod outbound_proxy;
pub(crate) mod profiles;
pub(crate) mod queues;
pub(crate) mod recordings;
pub(crate) mod retention;
pub(crate) mod supervisor;
pub(crate) mod tokens;
pub(crate) mod transcriptions;
pub(crate) mod two_factor;
pub(crate) mod usage;
pub(crate) mod verify;
pub(crate) mod version;
pub(crate) mod voicemail;

use crate::route::Route;

/// Every route, whichever base paths have it.
pub(crate) fn all() -> impl Iterator<Item = &'static Route> {
    TABLES.iter().copied().flatten().copied().flatten()
}

/// The tables of each group of resources; a dialect names one of them (`RestDialect::table`).
pub(crate) static TABLES: &[&[&[Route]]] =
    &[ROUTES, verify::ROUTES, two_factor::ROUTES, masking::ROUTES];

/// The tables of all resources, in the order in which paths are matched.
pub(crate) static ROUTES: &[&[Route]] = &[
    organizations::ROUTES,
    profiles::ROUTES,
    extensions::ROUTES,
    accounts::ROUTES,
    applications::ROUTES,
    tokens::ROUTES,
    keys::ROUTES,
    audit::ROUTES,
    bin::ROUTES,
    calls::ROUTES,
    clients::ROUTES,
    conferences::ROUTES,
    queues::ROUTES,
    available::ROUTES,
    numbers::ROUTES,
    caller_ids::ROUTES,
    message_routes::ROUTES,
    messages::ROUTES,
    opt_outs::ROUTES,
    emails::ROUTES,
    notifications::ROUTES,
    recordings::ROUTES,
    retention::ROUTES,
    version::ROUTES,
    deliveries::ROUTES,
    erasures::ROUTES,
    transcriptions::ROUTES,
    usage::ROUTES,
    usage::triggers::ROUTES,
    geolocation::ROUTES,
    supervisor::ROUTES,
    gateways::ROUTES,
    outbound_proxy::ROUTES,
    voicemail::BOXES,
    voicemail::MESSAGES,
];
