//! The interpreter: runs documents on a leg.
//!
//! A [`Script`] runs one document after the other; it is a separate machine, consisting of the
//! document ([`run`]) and what it waits for: the next document ([`fetching`]) or a [`verb`], each
//! in its own file. A leg has a stack of them ([`Scripts`]).

mod companion;
mod conference;
mod connect;
mod dequeue;
mod dial;
mod echo;
mod email;
mod enqueue;
mod fetching;
mod findings;
mod gather;
mod hangup;
mod joining;
mod kinds;
mod leave;
mod listening;
mod pause;
mod play;
mod record;
mod redirect;
mod refer;
mod reject;
mod relay;
mod run;
mod say;
mod script;
mod scripts;
mod sms;
mod sounding;
mod verb;

pub(crate) use fetching::{Answer, Fetching, Problem};
pub(crate) use findings::Told;
pub(crate) use refer::ReferNews;
pub(crate) use script::{Input, Script};
pub(crate) use scripts::Scripts;
pub(crate) use verb::Parts;
