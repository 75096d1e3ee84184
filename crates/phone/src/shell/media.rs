//! The task that owns the RTP socket of one call.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use super::{CallState, lock};
use crate::talk::Talk;

const FRAME: Duration = Duration::from_millis(20);
const MAX_DATAGRAM: usize = 2048;

/// Says and hears until the call is over.
pub(super) async fn run(
    socket: UdpSocket,
    talk: Arc<Mutex<Talk>>,
    mut state: watch::Receiver<CallState>,
) {
    let mut ticks = interval(FRAME);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut datagram = [0; MAX_DATAGRAM];
    loop {
        tokio::select! {
            received = socket.recv_from(&mut datagram) => {
                // An error is that of an earlier packet that found nobody.
                if let Ok((len, _)) = received {
                    lock(&talk).ear_mut().hear(&datagram[..len]);
                }
            }
            _ = ticks.tick() => {
                let packet = lock(&talk).packet();
                if let Some((to, packet)) = packet {
                    // A packet that cannot be sent is a packet lost.
                    let _lost = socket.send_to(&packet, to).await;
                }
            }
            changed = state.changed() => {
                if changed.is_err() || matches!(*state.borrow(), CallState::Over(_)) {
                    return;
                }
            }
        }
    }
}
