//! Offer and answer for one audio stream (RFC 3264).
//!
//! **Invariant: an answer repeats the media lines of its offer in number and order; exactly one,
//! the first acceptable audio line, is accepted, with one codec.** Acceptable means our profile, a
//! port, a numeric address and one of our codecs. The offer's payload types and codec order win.
//! Left to others: the `o=` version over re-offers ([`crate::exchange`]), ports and packets.

use crate::session::{
    Attribute, Connection, Direction, Media, Origin, Profile, RtpMap, SdpError, Session,
    TELEPHONE_EVENT,
};
use audio::Codec;
use std::net::{IpAddr, SocketAddr};

pub(crate) const AUDIO: &str = "audio";
/// First dynamic payload type (RFC 3551 §6).
const FIRST_DYNAMIC: u8 = 96;
/// Clock rate of telephone-event, in Hz.
const EVENT_CLOCK_RATE: u32 = 8000;
/// The sixteen DTMF keys.
const EVENTS: &str = "0-15";
/// Packet lengths we send, in ms.
const PTIMES_MS: [u32; 5] = [10, 20, 30, 40, 60];

/// What our side offers, or answers with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalMedia {
    /// Address to which the remote party should send.
    pub address: IpAddr,
    /// RTP port; RTCP is on the next one unless multiplexed.
    pub port: u16,
    /// Transport profile that we offer and accept.
    pub profile: Profile,
    /// Codecs, in the order we offer them; at least one.
    pub codecs: Vec<Codec>,
    /// Payload types that codecs have had in this session; other codecs get free ones.
    pub payload_types: Vec<(Codec, u8)>,
    /// Payload type of telephone-event in our offers (an answer takes the offer's number);
    /// `None`: not supported.
    pub telephone_event: Option<u8>,
    /// Packet length we ask for, in ms.
    pub ptime_ms: u32,
    /// The direction that we want.
    pub direction: Direction,
    /// Offer and accept RTCP on the RTP port.
    pub rtcp_mux: bool,
    /// `o=` session id, the same for the life of the session.
    pub session_id: u64,
    /// `o=` version.
    pub version: u64,
}

impl LocalMedia {
    /// Plain RTP; G.722, PCMU and PCMA, telephone-event as 101, 20 ms, sendrecv, rtcp-mux; version
    /// = session id.
    pub fn new(address: IpAddr, port: u16, session_id: u64) -> Self {
        Self {
            address,
            port,
            profile: Profile::new(Profile::PLAIN),
            codecs: vec![Codec::G722, Codec::PCMU, Codec::PCMA],
            payload_types: Vec::new(),
            telephone_event: Some(101),
            ptime_ms: 20,
            direction: Direction::SendRecv,
            rtcp_mux: true,
            session_id,
            version: session_id,
        }
    }

    /// The payload type of a codec in our offers: the one it has had, its static one, or a dynamic one by its
    /// place in the table.
    pub(crate) fn payload_type(&self, codec: Codec) -> u8 {
        let mut kept = self.payload_types.iter();
        if let Some((_, number)) = kept.find(|(kept, _)| *kept == codec) {
            return *number;
        }
        let is_free = |number: &u8| {
            let mut taken = self.payload_types.iter().map(|(_, number)| *number);
            self.telephone_event != Some(*number) && !taken.any(|taken| taken == *number)
        };
        let number = codec.static_payload_type().filter(is_free);
        number.unwrap_or_else(|| {
            let mut free = (FIRST_DYNAMIC..128).filter(is_free);
            free.nth(codec.index()).unwrap_or(FIRST_DYNAMIC)
        })
    }

    /// Makes later descriptions use this number for a codec, and for nothing else.
    pub(crate) fn keep_payload_type(&mut self, codec: Codec, number: u8) {
        self.payload_types
            .retain(|(kept, taken)| *kept != codec && *taken != number);
        self.payload_types.push((codec, number));
    }

    /// As [`Self::keep_payload_type`], for telephone-event; takes a free number if a codec has this one.
    pub(crate) fn keep_telephone_event(&mut self, number: u8) {
        let is_free = |number: &u8| self.payload_types.iter().all(|(_, taken)| taken != number);
        let mut numbers = std::iter::once(number).chain(FIRST_DYNAMIC..128);
        self.telephone_event = numbers.find(is_free);
    }
}

/// What both sides agreed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Negotiated {
    /// Where we send RTP. The address may be unspecified: then `direction` keeps us from sending.
    pub remote: SocketAddr,
    /// Where we send RTCP; the same as `remote` when multiplexed; `None` if it has no port.
    pub rtcp: Option<SocketAddr>,
    /// RTCP shares the RTP port, in both directions.
    pub rtcp_mux: bool,
    /// The agreed codec.
    pub codec: Codec,
    /// Payload type of the codec in packets we send.
    pub payload_type: u8,
    /// Payload type of the codec in packets we receive.
    pub receive_payload_type: u8,
    /// Payload type of telephone-event in packets we send; `None`: not agreed.
    pub telephone_event: Option<u8>,
    /// Payload type of telephone-event in packets we receive.
    pub receive_telephone_event: Option<u8>,
    /// Length of the packets we send, in ms: 10, 20, 30, 40 or 60.
    pub ptime_ms: u32,
    /// What *we* do: `sends()` if we may send, `receives()` if the remote party may.
    pub direction: Direction,
    /// The remote party does not want to receive: sendonly, inactive, or a zero address (RFC 2543
    /// hold).
    pub on_hold: bool,
    /// Position of the accepted media line.
    pub media_index: usize,
}

/// Answers an offer: the SDP text, and what is agreed.
///
/// # Errors
/// The [`SdpError`] that says why no media line is acceptable.
pub fn answer(offer: &Session, local: &LocalMedia) -> Result<(String, Negotiated), SdpError> {
    let negotiated = agree(offer, local)?;
    Ok((
        answer_session(offer, local, &negotiated).to_string(),
        negotiated,
    ))
}

/// Our offer as SDP text.
pub fn offer(local: &LocalMedia) -> String {
    describe(local, vec![offer_media(local)]).to_string()
}

/// Reads the answer to [`offer`]`(local)`.
///
/// # Errors
/// [`SdpError::Refused`] if the media line is refused or missing; others if the answer does not
/// fit the offer.
pub fn accept_answer(local: &LocalMedia, answer: &Session) -> Result<Negotiated, SdpError> {
    accept_answer_at(local, answer, 0)
}

/// As [`accept_answer`], for an offer whose audio is the media line at `index`.
pub(crate) fn accept_answer_at(
    local: &LocalMedia,
    answer: &Session,
    index: usize,
) -> Result<Negotiated, SdpError> {
    let media = answer.media.get(index).ok_or(SdpError::Refused)?;
    if media.port == 0 || !is_audio(media) {
        return Err(SdpError::Refused);
    }
    let negotiated = agree_on(answer, media, index, local)?;
    // We receive what we offered, whatever numbers the remote party chose for its own side.
    Ok(Negotiated {
        receive_payload_type: local.payload_type(negotiated.codec),
        receive_telephone_event: negotiated.telephone_event.and(local.telephone_event),
        ..negotiated
    })
}

/// Agreement on the first acceptable media line, or the most telling reason for failure.
pub(crate) fn agree(offer: &Session, local: &LocalMedia) -> Result<Negotiated, SdpError> {
    let mut reason = SdpError::NoAudio;
    let audio = offer
        .media
        .iter()
        .enumerate()
        .filter(|(_, media)| is_audio(media));
    for (index, media) in audio.filter(|(_, media)| media.port != 0) {
        match agree_on(offer, media, index, local) {
            Ok(negotiated) => return Ok(negotiated),
            // A failure on a line with our profile says more than one with another profile.
            Err(SdpError::NoCommonProfile) if reason != SdpError::NoAudio => {}
            Err(error) => reason = error,
        }
    }
    Err(reason)
}

fn is_audio(media: &Media) -> bool {
    media.kind.eq_ignore_ascii_case(AUDIO)
}

fn agree_on(
    remote: &Session,
    media: &Media,
    media_index: usize,
    local: &LocalMedia,
) -> Result<Negotiated, SdpError> {
    if media.protocol != local.profile {
        return Err(SdpError::NoCommonProfile);
    }
    let (payload_type, codec) =
        first_common(media, &local.codecs).ok_or(SdpError::NoCommonCodec)?;
    let connection = media.connection.as_ref().or(remote.connection.as_ref());
    let address = connection
        .and_then(Connection::ip)
        .ok_or(SdpError::NoAddress)?;
    let telephone_event = local.telephone_event.and_then(|_| {
        media
            .payload_types()
            .find(|number| media.is_telephone_event(*number, EVENT_CLOCK_RATE))
    });
    let rtcp_mux = media.rtcp_mux && local.rtcp_mux;
    let far = media.direction.or(remote.direction).unwrap_or_default();
    let far = Direction::new(far.sends(), far.receives() && !address.is_unspecified());
    Ok(Negotiated {
        remote: SocketAddr::new(address, media.port),
        rtcp: rtcp_address(media, address, rtcp_mux),
        rtcp_mux,
        codec,
        payload_type,
        receive_payload_type: payload_type,
        telephone_event,
        receive_telephone_event: telephone_event,
        ptime_ms: ptime(media, local),
        direction: far.reversed().both(local.direction),
        on_hold: !far.receives(),
        media_index,
    })
}

/// The first format that is one of `codecs`.
fn first_common(media: &Media, codecs: &[Codec]) -> Option<(u8, Codec)> {
    media
        .payload_types()
        .filter_map(|number| Some((number, media.codec(number)?)))
        .find(|(_, codec)| codecs.contains(codec))
}

/// The RTCP address: `a=rtcp-mux` (RFC 5761), `a=rtcp` (RFC 3605), or the next port.
fn rtcp_address(media: &Media, address: IpAddr, rtcp_mux: bool) -> Option<SocketAddr> {
    if rtcp_mux {
        return Some(SocketAddr::new(address, media.port));
    }
    match &media.rtcp {
        Some((0, _)) => None,
        Some((port, None)) => Some(SocketAddr::new(address, *port)),
        Some((port, Some(connection))) => Some(SocketAddr::new(connection.ip()?, *port)),
        None => Some(SocketAddr::new(address, media.port.checked_add(1)?)),
    }
}

/// The packet length the remote party prefers if we support it, else ours; never above its maximum.
fn ptime(media: &Media, local: &LocalMedia) -> u32 {
    let wanted = media
        .ptime_ms
        .filter(|ms| PTIMES_MS.contains(ms))
        .unwrap_or(local.ptime_ms);
    let limit = wanted.min(media.max_ptime_ms.unwrap_or(u32::MAX));
    PTIMES_MS
        .into_iter()
        .rfind(|ms| *ms <= limit)
        .unwrap_or(PTIMES_MS[0])
}

pub(crate) fn answer_session(
    offer: &Session,
    local: &LocalMedia,
    negotiated: &Negotiated,
) -> Session {
    let lines = offer.media.iter().enumerate().map(|(index, media)| {
        if index == negotiated.media_index {
            answer_media(media, local, negotiated)
        } else {
            refused(media)
        }
    });
    describe(local, lines.collect())
}

/// A media line as an answer refuses it: port 0, its formats and its name repeated (RFC 3264 §6).
pub(crate) fn refused(media: &Media) -> Media {
    Media {
        kind: media.kind.clone(),
        protocol: media.protocol.clone(),
        formats: media.formats.clone(),
        attributes: identification(media),
        ..Media::default()
    }
}

/// `a=mid`, which an answer repeats (RFC 5888 §9.1). We never repeat the keys and candidates of the
/// remote party.
fn identification(media: &Media) -> Vec<Attribute> {
    let is_mid = |attribute: &&Attribute| attribute.name.eq_ignore_ascii_case("mid");
    media.attributes.iter().filter(is_mid).cloned().collect()
}

fn answer_media(offered: &Media, local: &LocalMedia, negotiated: &Negotiated) -> Media {
    let codec = (negotiated.payload_type, negotiated.codec);
    let base = audio_media(local, &[codec], negotiated.telephone_event);
    Media {
        ptime_ms: Some(negotiated.ptime_ms),
        rtcp_mux: negotiated.rtcp_mux,
        direction: Some(negotiated.direction),
        attributes: identification(offered),
        ..base
    }
}

pub(crate) fn offer_media(local: &LocalMedia) -> Media {
    let codecs: Vec<_> = local
        .codecs
        .iter()
        .map(|codec| (local.payload_type(*codec), *codec))
        .collect();
    audio_media(local, &codecs, local.telephone_event)
}

fn audio_media(local: &LocalMedia, codecs: &[(u8, Codec)], telephone_event: Option<u8>) -> Media {
    let maps = codecs
        .iter()
        .map(|(number, codec)| rtpmap(*number, codec.name(), codec.clock_rate()));
    let events = telephone_event.map(|number| rtpmap(number, TELEPHONE_EVENT, EVENT_CLOCK_RATE));
    let rtpmaps: Vec<RtpMap> = maps.chain(events).collect();
    let parameters = codecs
        .iter()
        .filter_map(|(number, codec)| Some((*number, codec.fmtp()?.to_owned())));
    let event_parameters = telephone_event.map(|number| (number, EVENTS.to_owned()));
    Media {
        kind: AUDIO.to_owned(),
        port: local.port,
        protocol: local.profile.clone(),
        formats: rtpmaps
            .iter()
            .map(|map| map.payload_type.to_string())
            .collect(),
        rtpmaps,
        fmtps: parameters.chain(event_parameters).collect(),
        ptime_ms: Some(local.ptime_ms),
        rtcp_mux: local.rtcp_mux,
        direction: Some(local.direction),
        ..Media::default()
    }
}

fn rtpmap(payload_type: u8, name: &str, clock_rate: u32) -> RtpMap {
    RtpMap {
        payload_type,
        name: name.to_owned(),
        clock_rate,
        channels: 1,
    }
}

/// Our `o=` line.
pub(crate) fn origin(address: Connection, session_id: u64, version: u64) -> Origin {
    Origin {
        username: "patchcord".to_owned(),
        session_id,
        version,
        address,
    }
}

pub(crate) fn describe(local: &LocalMedia, media: Vec<Media>) -> Session {
    let address = Connection::Ip(local.address);
    Session {
        origin: Some(origin(address.clone(), local.session_id, local.version)),
        connection: Some(address),
        direction: None,
        attributes: Vec::new(),
        media,
    }
}
