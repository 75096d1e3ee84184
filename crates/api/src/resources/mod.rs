//! One file per resource: its tables of routes, parameters and fields, and its handlers.

pub(crate) mod accounts;
pub(crate) mod applications;
pub(crate) mod audit;
pub(crate) mod available;
pub(crate) mod caller_ids;
pub(crate) mod calls;
pub(crate) mod clients;
pub(crate) mod conferences;
pub(crate) mod deliveries;
pub(crate) mod keys;
pub(crate) mod message_routes;
pub(crate) mod messages;
pub(crate) mod notifications;
pub(crate) mod numbers;
pub(crate) mod queues;
pub(crate) mod recordings;
pub(crate) mod tokens;
pub(crate) mod transcriptions;
pub(crate) mod usage;
pub(crate) mod version;

use crate::route::Route;

/// The tables of all resources, in the order in which paths are matched.
pub(crate) static ROUTES: &[&[Route]] = &[
    accounts::ROUTES,
    applications::ROUTES,
    tokens::ROUTES,
    keys::ROUTES,
    audit::ROUTES,
    calls::ROUTES,
    clients::ROUTES,
    conferences::ROUTES,
    queues::ROUTES,
    available::ROUTES,
    numbers::ROUTES,
    caller_ids::ROUTES,
    message_routes::ROUTES,
    messages::ROUTES,
    notifications::ROUTES,
    recordings::ROUTES,
    version::ROUTES,
    deliveries::ROUTES,
    transcriptions::ROUTES,
    usage::ROUTES,
];
