//! Any datagram as compound RTCP, read to its end.

#![no_main]

use libfuzzer_sys::fuzz_target;
use rtp_proto::rtcp::{Compound, RtcpPacket};

fuzz_target!(|datagram: &[u8]| {
    let Ok(compound) = Compound::parse(datagram) else {
        return;
    };
    for packet in compound.packets() {
        match packet {
            RtcpPacket::SenderReport { reports, .. }
            | RtcpPacket::ReceiverReport { reports, .. } => {
                assert!(reports.iter().count() < 32);
            }
            RtcpPacket::SourceDescription(sdes) => assert!(sdes.cnames().count() < 32),
            RtcpPacket::Goodbye(bye) => assert!(bye.sources().count() < 32),
            RtcpPacket::Other { .. } => {}
        }
    }
});
