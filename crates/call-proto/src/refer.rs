//! What the remote party of a leg asks for with REFER (RFC 3515 §2.4). Data only.

use model::CallSid;
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
    /// The live call whose remote party is to be connected instead: the `Replaces` of Refer-To names its
    /// dialog (RFC 3891). `None` in a blind transfer, or if no live call here has that dialog.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<CallSid>,
}
