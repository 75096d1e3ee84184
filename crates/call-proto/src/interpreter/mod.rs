//! The interpreter: what documents have done on a leg.
//!
//! A [`Script`] runs one document after the other; it is a separate machine, made of the document
//! ([`run`]) and what it waits for: the next document ([`fetching`]) or a [`verb`], one file for each.
//! A leg has a stack of them ([`Scripts`]).

mod conference;
mod dial;
mod fetching;
mod findings;
mod gather;
mod hangup;
mod listening;
mod pause;
mod play;
mod redirect;
mod reject;
mod run;
mod say;
mod script;
mod scripts;
mod sms;
mod sounding;
mod verb;

pub(crate) use script::{Input, Script};
pub(crate) use scripts::Scripts;
