//! Trunks that are defined through the API.

use std::fmt;

use crate::{GatewaySid, Timestamp};

/// A provider's SIP server that calls go to and come from.
#[derive(Clone, PartialEq, Eq)]
pub struct Gateway {
    /// Identifier.
    pub sid: GatewaySid,
    /// Name to display.
    pub friendly_name: String,
    /// Digest user name; also the user of the registration.
    pub user_name: String,
    /// Digest password.
    pub password: String,
    /// Where calls go: `host[:port][;transport=tcp]`.
    pub proxy: String,
    /// Whether to register there.
    pub register: bool,
    /// How long a registration is to live, in seconds.
    pub ttl_s: u32,
    /// When it was created.
    pub created: Timestamp,
    /// When it was last changed.
    pub updated: Timestamp,
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway")
            .field("sid", &self.sid)
            .field("user_name", &self.user_name)
            .field("proxy", &self.proxy)
            .field("register", &self.register)
            .finish_non_exhaustive()
    }
}
