//! The descriptions of a recording session (RFC 7866 §7.1): several audio lines that only send, each
//! with a label (RFC 4574) by which the metadata names it.
//!
//! **Invariant: what the recording server describes is used only if it has the lines of our offer, in
//! number and order, and takes each of them.** Left to others: the metadata, ports and packets.

use crate::negotiate::{self, AUDIO};
use crate::session::{Attribute, Connection, Direction, Media, Profile, RtpMap, SdpError, Session};
use audio::Codec;
use std::net::{IpAddr, SocketAddr};

/// The codecs that we offer.
const CODECS: [Codec; 2] = [Codec::PCMU, Codec::PCMA];
/// Packet length, in ms.
const PTIME_MS: u32 = 20;

/// Our side of a recording session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recording {
    /// Our address.
    pub address: IpAddr,
    /// The RTP port of each line; RTCP is on the next one.
    pub ports: Vec<u16>,
    /// `o=` session id.
    pub session_id: u64,
    /// `o=` version.
    pub version: u64,
}

/// Where the recording server takes one line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receiver {
    /// For RTP.
    pub rtp: SocketAddr,
    /// For RTCP.
    pub rtcp: SocketAddr,
    /// Codec.
    pub codec: Codec,
    /// Its payload type.
    pub payload_type: u8,
    /// Whether the line is taken at the moment, and not on hold.
    pub receives: bool,
}

/// The label of a line, counted from 0.
#[must_use]
pub fn label(line: usize) -> String {
    (line + 1).to_string()
}

impl Recording {
    /// Our offer, or our answer to an offer of the recording server: an answer to a line on hold is
    /// `inactive` (RFC 3264 §6.1).
    ///
    /// - `receivers`: what the offer that this answers says; empty for an offer.
    #[must_use]
    pub fn describe(&self, receivers: &[Receiver]) -> String {
        let lines = self.ports.iter().enumerate().map(|(line, port)| {
            let receives = receivers.get(line).is_none_or(|it| it.receives);
            media(line, *port, receives)
        });
        let address = Connection::Ip(self.address);
        let origin = negotiate::origin(address.clone(), self.session_id, self.version);
        Session {
            origin: Some(origin),
            connection: Some(address),
            direction: None,
            attributes: Vec::new(),
            media: lines.collect(),
        }
        .to_string()
    }

    /// Reads the description of the recording server: its answer, or an offer to change the session.
    ///
    /// # Errors
    /// [`SdpError`] if it cannot be read or leaves out a line.
    pub fn read(&self, text: &str) -> Result<Vec<Receiver>, SdpError> {
        let session = Session::parse(text)?;
        if session.media.len() != self.ports.len() {
            return Err(SdpError::Refused);
        }
        let receivers = session.media.iter().map(|media| receiver(&session, media));
        receivers.collect()
    }
}

fn media(line: usize, port: u16, receives: bool) -> Media {
    let types = CODECS.iter().filter_map(|codec| {
        let payload_type = codec.static_payload_type()?;
        Some((payload_type, *codec))
    });
    let rtpmap = |(payload_type, codec): (u8, Codec)| RtpMap {
        payload_type,
        name: codec.name().to_owned(),
        clock_rate: codec.clock_rate(),
        channels: 1,
    };
    Media {
        kind: AUDIO.to_owned(),
        port,
        protocol: Profile::new(Profile::PLAIN),
        formats: types
            .clone()
            .map(|(number, _)| number.to_string())
            .collect(),
        rtpmaps: types.map(rtpmap).collect(),
        ptime_ms: Some(PTIME_MS),
        direction: Some(Direction::new(receives, false)),
        attributes: vec![Attribute {
            name: "label".to_owned(),
            value: Some(label(line)),
        }],
        ..Media::default()
    }
}

fn receiver(session: &Session, media: &Media) -> Result<Receiver, SdpError> {
    if media.port == 0 || !media.kind.eq_ignore_ascii_case(AUDIO) {
        return Err(SdpError::Refused);
    }
    if media.protocol != Profile::new(Profile::PLAIN) {
        return Err(SdpError::NoCommonProfile);
    }
    let connection = media.connection.as_ref().or(session.connection.as_ref());
    let address = connection.and_then(Connection::ip);
    let address = address.ok_or(SdpError::NoAddress)?;
    let taken = media.payload_types().find_map(|payload_type| {
        let codec = media.codec(payload_type)?;
        CODECS.contains(&codec).then_some((payload_type, codec))
    });
    let (payload_type, codec) = taken.ok_or(SdpError::NoCommonCodec)?;
    let rtcp = match &media.rtcp {
        Some((port, at)) => {
            let at = at.as_ref().and_then(Connection::ip).unwrap_or(address);
            SocketAddr::new(at, *port)
        }
        None => SocketAddr::new(address, media.port.wrapping_add(1)),
    };
    let direction = media.direction.or(session.direction);
    // Without a direction it is `sendrecv` (RFC 8866 §6.7).
    let receives = direction.is_none_or(Direction::receives) && !address.is_unspecified();
    Ok(Receiver {
        rtp: SocketAddr::new(address, media.port),
        rtcp,
        codec,
        payload_type,
        receives,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recording() -> Recording {
        Recording {
            address: [192, 0, 2, 1].into(),
            ports: vec![40_000, 40_002],
            session_id: 7,
            version: 8,
        }
    }

    #[test]
    fn offers_lines_that_only_send() {
        let expected = "v=0\r\no=patchcord 7 8 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
             m=audio 40000 RTP/AVP 0 8\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=ptime:20\r\n\
             a=sendonly\r\na=label:1\r\n\
             m=audio 40002 RTP/AVP 0 8\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=ptime:20\r\n\
             a=sendonly\r\na=label:2\r\n";
        assert_eq!(recording().describe(&[]), expected);
        // A line on hold is not sent.
        let offer = "v=0\r\nc=IN IP4 192.0.2.9\r\nm=audio 6000 RTP/AVP 0\r\na=inactive\r\n\
             m=audio 6002 RTP/AVP 0\r\na=recvonly\r\n";
        let receivers = recording().read(offer).unwrap();
        let answer = recording().describe(&receivers);
        let directions: Vec<&str> = answer
            .lines()
            .filter(|it| it.ends_with("ve") || it.ends_with("only"))
            .collect();
        assert_eq!(directions, ["a=inactive", "a=sendonly"]);
    }

    #[test]
    fn reads_where_each_line_goes() {
        let line = |rest: &str| format!("v=0\r\nc=IN IP4 192.0.2.9\r\n{rest}");
        let other = "m=audio 6002 RTP/AVP 8 0\r\nc=IN IP4 192.0.2.8\r\na=rtcp:6010\r\n";
        let table: [(&str, Result<&str, SdpError>); 8] = [
            (
                "m=audio 6000 RTP/AVP 0\r\na=recvonly\r\n",
                Ok("192.0.2.9:6000 192.0.2.9:6001 PCMU 0 true"),
            ),
            (
                "m=audio 6000 RTP/AVP 97\r\na=rtpmap:97 PCMA/8000\r\n",
                Ok("192.0.2.9:6000 192.0.2.9:6001 PCMA 97 true"),
            ),
            (
                "m=audio 6000 RTP/AVP 0\r\na=inactive\r\n",
                Ok("192.0.2.9:6000 192.0.2.9:6001 PCMU 0 false"),
            ),
            ("m=audio 0 RTP/AVP 0\r\n", Err(SdpError::Refused)),
            ("m=video 6000 RTP/AVP 0\r\n", Err(SdpError::Refused)),
            (
                "m=audio 6000 RTP/SAVP 0\r\n",
                Err(SdpError::NoCommonProfile),
            ),
            ("m=audio 6000 RTP/AVP 3\r\n", Err(SdpError::NoCommonCodec)),
            (
                "m=audio 6000 RTP/AVP 0\r\nc=IN IP4 srs.example\r\n",
                Err(SdpError::NoAddress),
            ),
        ];
        for (first, expected) in table {
            let read = recording().read(&line(&format!("{first}{other}")));
            let shown = read.clone().map(|all| {
                let it = all[0];
                format!(
                    "{} {} {} {} {}",
                    it.rtp,
                    it.rtcp,
                    it.codec.name(),
                    it.payload_type,
                    it.receives
                )
            });
            assert_eq!(shown, expected.map(str::to_owned), "{first}");
            if let Ok(all) = read {
                assert_eq!(all[1].rtcp, "192.0.2.8:6010".parse().unwrap());
                assert_eq!(all[1].codec, Codec::PCMA);
            }
        }
        assert_eq!(recording().read(&line(other)), Err(SdpError::Refused));
        assert!(recording().read("hello").is_err());
    }
}
