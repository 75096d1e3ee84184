//! A small software phone: the remote party in demos, load runs and tests.
//!
//! | module | what it does |
//! |---|---|
//! | [`agent`] | pure: registers, calls, answers, hangs up; messages and time in, messages and events out |
//! | [`voice`] | pure: makes the packets of a tone; stores and measures what is heard |
//! | [`talk`] | pure: offers, answers and the two halves of the voice of one call |
//! | [`shell`] | sockets and clock around them, one task per phone and one per call |
//!
//! Its user agent is deliberately independent of the server's: it shares only the message layer, so
//! a mistake in the server's transactions or dialogs meets a second opinion. **Invariant: every
//! call ends with exactly one of `Refused`, `Canceled`, `HungUp` or `Ended`.** Left to others: what
//! a call is for, and anything but UDP and G.711.

#![forbid(unsafe_code)]

pub mod agent;
pub mod shell;
pub mod talk;
pub mod voice;

pub use agent::{Account, Agent, CallEvent, CallNo, Output};
pub use shell::{Call, CallState, Heard, Phone, PhoneConfig, PhoneError, Seen, WhenCalled};
pub use talk::Talk;
pub use voice::{Ear, Measured, Mouth};
