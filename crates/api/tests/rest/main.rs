//! The REST API over HTTP on a throw-away database: one module per part of the URL tree.
//!
//! Numbers in comments name the rows of the conformance list.

#![allow(clippy::unwrap_used, reason = "a step that fails fails the test")]

mod accounts;
mod applications;
mod audit;
mod authentication;
mod available_numbers;
mod behaviour;
mod caller_ids;
mod calls;
mod changes;
mod clients;
mod conferences;
mod conformance_accounts;
mod conformance_calls;
mod deliveries;
mod emails;
mod every_route;
mod extensions;
mod gateways;
mod geolocation;
mod incoming_phone_numbers;
mod keys;
mod live_recordings;
mod long_values;
mod masking;
mod message_routes;
mod messages;
mod mistakes;
mod naming;
mod notifications;
mod openapi;
mod opt_outs;
mod organizations;
mod privacy;
mod profiles;
mod recordings;
mod reference;
mod representation;
mod server;
#[cfg(unix)]
mod shared;
mod supervisor;
mod tenancy;
mod tokens;
mod transcriptions;
mod twilio;
mod usage;
mod usage_triggers;
mod verify;
mod verify_attack;
mod voicemail;
