//! The task that owns the RTP socket of one call.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use super::{CallState, Voice, lock};
use crate::voice::PACKET_LEN;

const FRAME: Duration = Duration::from_millis(20);
const MAX_DATAGRAM: usize = 2048;

/// Sends and receives until the call ends.
pub(super) async fn run(
    socket: UdpSocket,
    voice: Arc<Mutex<Voice>>,
    mut state: watch::Receiver<CallState>,
) {
    let mut ticks = interval(FRAME);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut datagram = [0; MAX_DATAGRAM];
    loop {
        tokio::select! {
            received = socket.recv_from(&mut datagram) => {
                // An error belongs to an earlier packet that could not be delivered.
                if let Ok((len, _)) = received {
                    let mut voice = lock(&voice);
                    voice.talk.ear_mut().hear(&datagram[..len]);
                    if voice.first_received.is_none() && voice.talk.ear().packets() > 0 {
                        voice.first_received = Some(SystemTime::now());
                    }
                }
            }
            _ = ticks.tick() => {
                let packet = next_packet(&voice);
                if let Some((to, packet)) = packet {
                    // A packet that cannot be sent counts as lost.
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

fn next_packet(voice: &Mutex<Voice>) -> Option<(SocketAddr, [u8; PACKET_LEN])> {
    let mut voice = lock(voice);
    let packet = voice.talk.packet()?;
    voice.first_sent.get_or_insert_with(SystemTime::now);
    Some(packet)
}
