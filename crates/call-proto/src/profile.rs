//! The constant properties of a leg: who calls whom, for which account; and the dialect of its run,
//! which a redirect may change.

use model::{AccountSid, CallSid, Direction, NumberSid, Timestamp};

use crate::context::About;
use crate::dialect::Dialect;
use crate::event::Headers;

/// The constant properties of a leg.
#[derive(Clone, Debug)]
pub(crate) struct Profile {
    pub(crate) sid: CallSid,
    pub(crate) dialect: Dialect,
    pub(crate) account: AccountSid,
    pub(crate) parent: Option<CallSid>,
    /// The call that rings this leg among others, and has the only record of them.
    pub(crate) head: Option<CallSid>,
    pub(crate) direction: Direction,
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) caller_name: Option<String>,
    pub(crate) forwarded_from: Option<String>,
    pub(crate) number: Option<NumberSid>,
    /// `X-` headers and Diversion of the INVITE that we received.
    pub(crate) headers: Headers,
    pub(crate) created: Timestamp,
    /// Whether the leg was dialled as a SIP address.
    pub(crate) dialled_sip: bool,
    /// Max-Forwards of the INVITE that made this leg.
    pub(crate) max_forwards: u8,
}

impl Profile {
    /// Whether we created the leg.
    pub(crate) const fn is_outbound(&self) -> bool {
        match self.direction {
            Direction::Inbound => false,
            Direction::OutboundApi | Direction::OutboundDial => true,
        }
    }

    /// A notification about the leg.
    ///
    /// - `url`: the requested address, if any.
    pub(crate) fn about<'a>(&self, url: Option<&'a str>) -> About<'a> {
        About {
            account: self.account,
            owner: self.sid.into(),
            url,
            line: None,
            column: None,
        }
    }
}
