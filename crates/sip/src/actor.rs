//! The task that owns the core.

use std::sync::Arc;

use tokio::sync::mpsc;

use crate::handle::{Bindings, Command};
use crate::{BindError, Directory, IncomingCall, Sip, SipAddrs, SipConfig};

pub(crate) async fn start(
    config: SipConfig,
    _directory: Arc<dyn Directory>,
) -> Result<(Sip, mpsc::Receiver<IncomingCall>), BindError> {
    let (commands, _inbox) = mpsc::unbounded_channel::<Command>();
    let (_calls, incoming) = mpsc::channel(64);
    let addrs = SipAddrs {
        udp: config.udp,
        tcp: config.tcp,
    };
    tokio::task::yield_now().await;
    Ok((
        Sip::new(commands, addrs, Bindings::default(), config.trunks),
        incoming,
    ))
}
