//! What a member of a mix is sent.
//!
//! **Invariant: nothing of the mix is sent while something is played.** The frames are 20 ms long
//! whatever packet time was asked for: that is a recommendation (RFC 8866 §6.4), and one length
//! lets all listeners share a payload. Left to others: what is in a frame (`mix`).

use super::Endpoint;
use crate::control::Sink;
use crate::datagram::{Datagram, TAIL};
use crate::mix::{Encoded, FRAME, Mix, Payload};
use rtp_proto::HEADER_LEN;
use std::time::Instant;

impl Endpoint {
    /// Sends the frame of the mix that is due at `at`, without what `own` said if that is in it.
    pub(crate) fn send_mix(
        &mut self,
        mix: &Mix,
        own: Option<usize>,
        encoded: &mut Encoded,
        at: Instant,
        now: Instant,
        out: &mut impl Sink,
    ) {
        if self.playing.is_some() {
            return;
        }
        let Some((agreed, to)) = self.may_send() else {
            self.out.interrupt();
            return;
        };
        let (codec, payload_type) = (agreed.codec, agreed.payload_type);
        let alone;
        let payload = match (own, &mut self.voice) {
            (Some(own), Some(voice)) => {
                alone = Payload::new(voice, mix, Some(own));
                Some(&alone)
            }
            (_, _) => encoded.payload(codec, mix),
        };
        let octets = payload.map(Payload::octets).unwrap_or_default();
        let ticks = codec.ticks(codec.samples(octets.len()));
        let header = self.out.own(payload_type, ticks, at);
        let mut packet = [0; HEADER_LEN + FRAME + TAIL];
        if let Ok(len) = header.write_packet(octets, &mut packet) {
            let mut datagram = Datagram::new(&mut packet, len);
            self.transmit(&header, octets.len(), &mut datagram, to, now, out);
        }
    }
}
