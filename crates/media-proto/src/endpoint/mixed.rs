//! What a member of a mix is sent.
//!
//! **Invariant: nothing of the mix is sent while something is played.** The frames are 20 ms long
//! whatever packet time was asked for: that is a recommendation (RFC 8866 §6.4), and one length
//! lets all listeners share a payload. Left to others: what is in a frame (`mix`).

use super::Endpoint;
use crate::control::Sink;
use crate::mix::{Encoded, FRAME, Mix, Payload};
use crate::transcode;
use rtp_proto::HEADER_LEN;
use sdp_proto::Codec;
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
        let header = self.out.own(payload_type, FRAME as u32, at);
        let mut packet = [0; HEADER_LEN + FRAME];
        let alone;
        let payload = if own.is_some() {
            alone = encode(codec, mix, own);
            &alone
        } else {
            encoded.0[index(codec)].get_or_insert_with(|| encode(codec, mix, None))
        };
        let octets = payload.octets.get(..payload.len).unwrap_or_default();
        if header.write_packet(octets, &mut packet).is_ok() {
            let packet = &packet[..HEADER_LEN + payload.len];
            self.transmit(&header, payload.len, packet, to, now, out);
        }
    }
}

fn index(codec: Codec) -> usize {
    match codec {
        Codec::Pcmu => 0,
        Codec::Pcma => 1,
    }
}

fn encode(codec: Codec, mix: &Mix, without: Option<usize>) -> Payload {
    let (mut samples, mut octets) = ([0; FRAME], [0; FRAME]);
    mix.without(without, &mut samples);
    let len = transcode::encode(codec, &samples, &mut octets);
    Payload { octets, len }
}
