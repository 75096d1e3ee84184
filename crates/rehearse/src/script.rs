//! The script: who calls, what the application is, what each party does, what is expected.
//!
//! **Invariant: a script that was read can be run; all its faults were reported before, with their
//! lines.** The format is described in `docs/testing-your-app.md`.

mod agent;
mod api;
mod application;
mod call;
mod legs;
mod party;
mod request;
mod staging;
mod steps;
mod texts;
mod wishes;

use std::collections::BTreeMap;
use std::time::Duration;

use call_proto::Headers;

use crate::Problem;
use crate::expected::Expected;
use crate::read::{self, Map, Problems};
use crate::yaml::{self, Node};
use party::Party;

pub(crate) use agent::{Agent, AgentAction, AgentKind, AgentStep, Awaited, Noticed, SIPREC};
pub(crate) use api::{ApiStep, ITS_CONFERENCE};
pub(crate) use application::Application;
pub use application::Source;
pub(crate) use call::Call;
pub(crate) use legs::{LegHeaders, LegLines, LegWish};
pub(crate) use party::Cast;
pub(crate) use request::{Params, RequestWish, ValueWish};
pub(crate) use steps::{Action, Moment, Step, Wanted};
pub(crate) use texts::{Reply, Text};
pub(crate) use wishes::{Fields, List, Timed, Wish, Wishes};

/// Duration of one spoken character, unless the script specifies another.
const SAY_MS_PER_CHARACTER: u64 = 60;
/// A call that is still live after this time never ends.
const LIMIT: Duration = Duration::from_secs(3_600);

const KEYS: &[&str] = &[
    "name",
    "call",
    "calls",
    "texts",
    "application",
    "caller",
    "parties",
    "agents",
    "api",
    "sounds",
    "say_ms_per_character",
    "limit",
    "seed",
    "expect",
];

/// One rehearsal.
#[derive(Clone, Debug)]
pub struct Script {
    /// A description of the test.
    pub name: Option<String>,
    pub(crate) application: Application,
    /// The calls that start by themselves, at least one unless there are texts.
    pub(crate) calls: Vec<Call>,
    /// The texts of a conversation; empty for calls.
    pub(crate) texts: Vec<Text>,
    /// Phones by client login, number or user part of a SIP address.
    pub(crate) parties: BTreeMap<String, Vec<Party>>,
    /// The servers behind streams, by address.
    pub(crate) agents: BTreeMap<String, Agent>,
    /// What the API does to the call.
    pub(crate) api: Vec<ApiStep>,
    /// How long a sound plays, by its address or spoken text; the first match counts.
    pub(crate) sounds: Vec<(Expected, Duration)>,
    pub(crate) say_ms_per_character: u64,
    pub(crate) limit: Duration,
    /// Seed for identifiers.
    pub(crate) seed: u64,
    pub(crate) wishes: Wishes,
}

impl Script {
    /// Reads a script.
    ///
    /// # Errors
    /// [`Problem`] with the line if it is not YAML, or has unknown content; it holds all other
    /// problems too, see [`Problem::all`].
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let root = yaml::parse(text)?;
        let mut problems = Problems::default();
        let map = Map::with(&root, "script", KEYS, &mut problems)?;
        let parties = problems.keep(map.get("parties").map(party::read_all).transpose());
        let application = match map.get("application") {
            Some(node) => Application::read(node),
            None => Err(Problem::new(map.line, "the script needs `application`")),
        };
        let application = problems.keep(application);
        // Without its application a script is read only to find its other faults.
        let elsewhere = Application::nowhere();
        let base = application.as_ref().unwrap_or(&elsewhere).base();
        let texts = map.get("texts").map(texts::read_all).transpose();
        let texts = problems.keep(texts).flatten();
        let calls = match map.get("texts") {
            Some(_) => {
                for name in texts::OF_CALLS {
                    if let Some(node) = map.get(name) {
                        let text = format!("`{name}` has no meaning beside `texts`");
                        problems.push(Problem::new(node.line, text));
                    }
                }
                None
            }
            None => problems.keep(call::read_all(&map, base)),
        };
        let agents = problems.keep(map.get("agents").map(agent::read_all).transpose());
        let api = map.get("api").map(|node| api::read(base, node));
        let api = problems.keep(api.transpose());
        let sounds = problems.keep(map.get("sounds").map(sounds).transpose());
        let wishes = problems.keep(map.get("expect").map(Wishes::read).transpose());
        let name = problems.keep(map.text("name"));
        let pace = problems.keep(map.number("say_ms_per_character"));
        let limit = problems.keep(map.duration("limit"));
        let seed = problems.keep(map.number("seed"));
        problems.none()?;
        let script = Self {
            name: name.flatten(),
            application: application.unwrap_or(elsewhere),
            calls: calls.unwrap_or_default(),
            texts: texts.unwrap_or_default(),
            parties: parties.flatten().unwrap_or_default(),
            agents: agents.flatten().unwrap_or_default(),
            api: api.flatten().unwrap_or_default(),
            sounds: sounds.flatten().unwrap_or_default(),
            say_ms_per_character: pace.flatten().unwrap_or(SAY_MS_PER_CHARACTER),
            limit: limit.flatten().unwrap_or(LIMIT),
            seed: seed.flatten().unwrap_or_else(|| hash(text)),
            wishes: wishes.flatten().unwrap_or_default(),
        };
        if let Some(step) = script.api.iter().find(|step| step.at > script.limit) {
            let text = "`at` is later than `limit`: the call is over by then";
            return Err(Problem::new(step.line, text));
        }
        if script.expects_nothing() {
            let text = "nothing is expected: this script cannot fail; add `expect`";
            return Err(Problem::new(map.line, text));
        }
        Ok(script)
    }

    /// Whether it is about text messages rather than calls.
    #[must_use]
    pub fn is_conversation(&self) -> bool {
        !self.texts.is_empty()
    }

    /// Where the application's answers come from.
    #[must_use]
    pub fn source(&self) -> &Source {
        &self.application.source
    }

    fn expects_nothing(&self) -> bool {
        if self.texts.iter().any(|text| text.replies.is_some()) {
            return false;
        }
        let steps = || {
            let phones = self.parties.values().flatten();
            let callers = self.calls.iter().flat_map(|call| &call.steps);
            callers.chain(phones.flat_map(Party::steps))
        };
        let is_expected = |step: &AgentStep| matches!(step.action, AgentAction::Expect(..));
        let agents_expect = self.agents.values().any(|agent| match agent {
            Agent::Accepts(steps) => steps.iter().any(is_expected),
            Agent::Unreachable => false,
        });
        self.wishes.is_empty()
            && !agents_expect
            && !steps().any(|step| matches!(step.action, Action::Expect(..)))
    }
}

fn headers(node: &Node) -> Result<Headers, Problem> {
    let mut headers = Headers::new();
    for (key, node) in read::entries(node, "headers")? {
        headers.push((key.name.clone(), read::text(node, &key.name)?));
    }
    Ok(headers)
}

fn sounds(node: &Node) -> Result<Vec<(Expected, Duration)>, Problem> {
    let mut sounds = Vec::new();
    for (key, node) in read::entries(node, "sounds")? {
        let what = Expected::parse(&key.name)
            .map_err(|error| Problem::new(key.line, format!("`sounds`: {error}")))?;
        sounds.push((what, read::duration(node, &key.name)?));
    }
    Ok(sounds)
}

/// FNV-1a: the same script always gets the same identifiers, and another script gets different
/// ones.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
