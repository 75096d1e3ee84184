//! Offer and answer.
use crate::session::{Codec, Direction, SdpError, Session};
use std::net::{IpAddr, SocketAddr};
/// What our side offers or answers with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalMedia {
    /// Address the far side shall send to.
    pub address: IpAddr,
    /// RTP port (RTCP on the next one unless multiplexed).
    pub port: u16,
    /// Codecs in order of preference.
    pub codecs: Vec<Codec>,
    /// Payload type of telephone-event in our offers; `None`: not supported.
    pub telephone_event: Option<u8>,
    /// Packet length we ask for, in ms.
    pub ptime_ms: u32,
    /// What our side wants to do.
    pub direction: Direction,
    /// Offer or accept rtcp-mux.
    pub rtcp_mux: bool,
    /// `o=` session id, fixed for the session.
    pub session_id: u64,
    /// `o=` version, raised by one for each changed description.
    pub version: u64,
}
impl LocalMedia {
    /// PCMU, PCMA, telephone-event 101, 20 ms, sendrecv, rtcp-mux on, version = session id.
    pub fn new(address: IpAddr, port: u16, session_id: u64) -> Self {
        Self {
            address,
            port,
            codecs: vec![Codec::Pcmu, Codec::Pcma],
            telephone_event: Some(101),
            ptime_ms: 20,
            direction: Direction::SendRecv,
            rtcp_mux: true,
            session_id,
            version: session_id,
        }
    }
}
/// What both sides agreed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Negotiated {
    /// Where we send RTP (unspecified address: nowhere, see `direction`).
    pub remote: SocketAddr,
    /// Where we send RTCP; the same as `remote` when multiplexed; `None`: the peer wants none.
    pub rtcp: Option<SocketAddr>,
    /// RTCP shares the RTP port.
    pub rtcp_mux: bool,
    /// The codec.
    pub codec: Codec,
    /// Payload type of the codec in packets we send.
    pub payload_type: u8,
    /// Payload type of the codec in packets we receive (differs only if the far side answered with another number).
    pub receive_payload_type: u8,
    /// Payload type of telephone-event in packets we send.
    pub telephone_event: Option<u8>,
    /// Payload type of telephone-event in packets we receive.
    pub receive_telephone_event: Option<u8>,
    /// Packet length to send, in ms.
    pub ptime_ms: u32,
    /// What *we* may do: `sends()`: we may send; `receives()`: the far side may send.
    pub direction: Direction,
    /// The far side put us on hold (sendonly, inactive or a zero address).
    pub on_hold: bool,
    /// Position of the accepted m-line.
    pub media_index: usize,
}
/// Answers an offer; returns the SDP text and the agreement.
pub fn answer(_offer: &Session, _local: &LocalMedia) -> Result<(String, Negotiated), SdpError> {
    unimplemented!()
}
/// Our offer as text.
pub fn offer(_local: &LocalMedia) -> String {
    unimplemented!()
}
/// Reads the answer to `offer(local)`.
pub fn accept_answer(_local: &LocalMedia, _answer: &Session) -> Result<Negotiated, SdpError> {
    unimplemented!()
}
/// The offer/answer state of one session: keeps the `o=` version and the m-line layout over re-offers.
#[derive(Debug, Clone)]
pub struct OfferAnswer {
    local: LocalMedia,
}
impl OfferAnswer {
    /// A session that has exchanged nothing.
    pub fn new(local: LocalMedia) -> Self {
        Self { local }
    }
    /// What we offer and answer with; change `direction` here before a re-offer.
    pub fn local_mut(&mut self) -> &mut LocalMedia {
        &mut self.local
    }
    /// Answers the text of an offer, first or later. On error nothing changes.
    pub fn answer(&mut self, _offer: &str) -> Result<(String, Negotiated), SdpError> {
        unimplemented!()
    }
    /// Our offer, first or later.
    pub fn offer(&mut self) -> String {
        unimplemented!()
    }
    /// The text of the answer to our last offer.
    pub fn accept_answer(&mut self, _answer: &str) -> Result<Negotiated, SdpError> {
        unimplemented!()
    }
    /// The agreement in force.
    pub fn negotiated(&self) -> Option<&Negotiated> {
        unimplemented!()
    }
}
