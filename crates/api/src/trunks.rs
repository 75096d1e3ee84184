//! The trunks of the running server, as the API shows and changes them.

use async_trait::async_trait;
use model::GatewaySid;

/// The trunks for calls to numbers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outbound {
    /// Address of the first trunk.
    pub primary: Option<String>,
    /// Address of the second one.
    pub fallback: Option<String>,
    /// Whether calls take the second one.
    pub on_fallback: bool,
}

/// The state of a registration at a gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registration {
    /// It is registered.
    Registered,
    /// It is not; with the SIP status of the last refusal.
    Refused(u16),
}

/// Knows and renews the trunks of this server.
#[async_trait]
pub trait Trunks: Send + Sync {
    /// Uses what is stored now. Returns once calls do, or after a few seconds.
    async fn refresh(&self);

    /// The trunks for calls to numbers.
    fn outbound(&self) -> Outbound;

    /// The registration at a gateway; `None` if there is none, or no answer yet.
    fn registration(&self, gateway: GatewaySid) -> Option<Registration>;
}
