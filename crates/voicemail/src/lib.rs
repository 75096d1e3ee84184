//! Voicemail: callers leave messages in a *box*, whose owner gets them by e-mail, by phone and by the API.
//!
//! What callers and owners hear are ordinary documents, one for each [`Step`], requested from the server itself: [`leaving`] has
//! those for a caller, [`access`] those for the owner, who has a PIN. [`mail`] writes the e-mail, [`report()`] the callback. A box
//! has opening hours in its own time zone ([`hours`]). **Invariant: a message is named after its recording**
//! ([`Voicemail::sid_of`]), so however often a recording is reported, there is one message. It holds no clock, random source or
//! socket. Left to others: storage, signatures of addresses, and sending.

#![forbid(unsafe_code)]

pub mod access;
pub mod hours;
pub mod leaving;
pub mod mail;
mod phrases;
mod records;
mod report;
mod settings;
mod step;

pub use hours::Hours;
pub use records::{Case, State, Voicemail, VoicemailBox};
pub use report::{Event, report};
pub use settings::{Bounds, Refused, Settings};
pub use step::{PATH, PURPOSE, Step, Visit, path};
