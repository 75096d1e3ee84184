//! Sends a member of a mix its frames.
//!
//! **Invariant: the mix is not sent while something is played; a member that talks hears one stream
//! if its codec has memory, whether or not it is in the sum.** So does one with a coach. The frames are 20 ms long whatever
//! packet time was requested: that is a recommendation (RFC 8866 §6.4), and one length lets all
//! listeners share a payload. Left to others: what is in a frame (`mix`).

use super::Endpoint;
use crate::control::Sink;
use crate::datagram::{Datagram, TAIL};
use crate::mix::{Encoded, FRAME, Mix, Payload, Place};
use rtp_proto::{HEADER_LEN, Header};
use std::time::Instant;

impl Endpoint {
    /// Moves the timestamps of the mix on to `at`, since it has made no frames in between.
    pub(crate) fn skip_rest(&mut self, at: Instant) {
        if self.plays.are_over() {
            self.out.catch_up(at);
        }
    }

    /// Sends the frame of the mix that is due at `at`, as the member hears it. Returns its
    /// header if it was sent.
    pub(crate) fn send_mix(
        &mut self,
        mix: &Mix,
        place: Place,
        encoded: &mut Encoded,
        at: Instant,
        now: Instant,
        out: &mut impl Sink,
    ) -> Option<Header> {
        if !self.plays.are_over() {
            return None;
        }
        let Some((agreed, to)) = self.may_send() else {
            self.out.interrupt();
            return None;
        };
        let (codec, payload_type) = (agreed.codec, agreed.payload_type);
        let alone;
        let own = match place {
            Place::Apart(member) => Some(Some(member)),
            Place::Talker if codec.has_memory() => Some(None),
            Place::Talker | Place::Listener => None,
        };
        let payload = match (own, &mut self.voice) {
            (Some(member), Some(voice)) => {
                alone = Payload::new(voice, mix, member);
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
        Some(header)
    }
}
