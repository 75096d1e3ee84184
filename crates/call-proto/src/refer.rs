//! What the remote party of a leg asks for with REFER (RFC 3515 §2.4). Data only.

use serde::{Deserialize, Serialize};

/// The parts of a REFER.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Refer {
    /// Address in Refer-To, with its parameters and header fields.
    pub target: String,
    /// Number or name in it.
    pub target_user: String,
    /// Number or name in Contact: the party that asks.
    pub transferor: String,
    /// Number or name in To: the party that is to be connected elsewhere.
    pub transferee: String,
}
