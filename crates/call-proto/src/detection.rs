//! Machine detection as data: what is asked about the party that answers, and what was heard of it. Data only.

use model::MachineDetection;
use serde::{Deserialize, Serialize};

use crate::callback::CallbackTarget;

/// What is to be found out about the party that answers a leg, and who learns of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Detection {
    /// What is to be found out.
    pub terms: MachineDetection,
    /// Whether the document runs only once there is a result.
    pub holds: bool,
    /// Receives the result.
    pub callback: Option<CallbackTarget>,
}

/// What the media side has heard of the party that answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Answerer {
    /// A person.
    Human,
    /// A machine; its greeting may still be playing.
    Machine,
    /// The beep of the machine has ended.
    Beep,
    /// The machine is silent after its greeting.
    Silence,
    /// A fax machine.
    Fax,
    /// Nothing, for too long.
    Nothing,
}

impl Answerer {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Human => "a person",
            Self::Machine => "a machine",
            Self::Beep => "a beep",
            Self::Silence => "silence after the greeting",
            Self::Fax => "a fax machine",
            Self::Nothing => "nothing",
        }
    }
}
