//! The real server against real peers. One binary, so that it is linked once.
//!
//! Modules below `media` send and measure sound in real time; the others only look at signalling or
//! HTTP. **Invariant: each test starts its own server**, so that any of them can run alone, and
//! none waits for a fixed time.

mod attack;
mod contract;
mod disk;
mod email;
mod inspect;
mod kill;
mod masking;
mod media;
mod messages;
mod moving;
mod new;
mod outage;
mod registration;
mod rights;
mod schema;
mod sdk;
mod shared;
mod smpp;
mod soak;
mod waiting;
mod webhooks;
mod written;
