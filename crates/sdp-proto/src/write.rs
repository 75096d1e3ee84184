//! Writes a session description (RFC 8866): lines in the order of its grammar, each ended by CRLF.
//!
//! **Invariant: what is written reads back as the same values.**

use crate::session::{Attribute, Connection, Media, Session};
use std::fmt::{Display, Formatter, Result};
use std::net::IpAddr;

impl Display for Session {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str("v=0\r\n")?;
        if let Some(origin) = &self.origin {
            let (id, version) = (origin.session_id, origin.version);
            write!(
                f,
                "o={} {id} {version} {}\r\n",
                origin.username, origin.address
            )?;
        }
        f.write_str("s=-\r\n")?;
        if let Some(connection) = &self.connection {
            write!(f, "c={connection}\r\n")?;
        }
        f.write_str("t=0 0\r\n")?;
        if let Some(direction) = self.direction {
            write!(f, "a={}\r\n", direction.name())?;
        }
        write_attributes(f, &self.attributes)?;
        self.media.iter().try_for_each(|media| media.fmt(f))
    }
}

impl Display for Connection {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Ip(IpAddr::V4(address)) => write!(f, "IN IP4 {address}"),
            Self::Ip(IpAddr::V6(address)) => write!(f, "IN IP6 {address}"),
            Self::Other(name) => write!(f, "IN IP4 {name}"),
        }
    }
}

impl Display for Media {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let formats = self.formats.join(" ");
        write!(
            f,
            "m={} {} {} {formats}\r\n",
            self.kind,
            self.port,
            self.protocol.as_str()
        )?;
        if let Some(connection) = &self.connection {
            write!(f, "c={connection}\r\n")?;
        }
        for map in &self.rtpmaps {
            write!(
                f,
                "a=rtpmap:{} {}/{}",
                map.payload_type, map.name, map.clock_rate
            )?;
            if map.channels != 1 {
                write!(f, "/{}", map.channels)?;
            }
            f.write_str("\r\n")?;
        }
        for (payload_type, parameters) in &self.fmtps {
            write!(f, "a=fmtp:{payload_type} {parameters}\r\n")?;
        }
        if let Some(ptime_ms) = self.ptime_ms {
            write!(f, "a=ptime:{ptime_ms}\r\n")?;
        }
        if let Some(max_ptime_ms) = self.max_ptime_ms {
            write!(f, "a=maxptime:{max_ptime_ms}\r\n")?;
        }
        if let Some((port, connection)) = &self.rtcp {
            write!(f, "a=rtcp:{port}")?;
            if let Some(connection) = connection {
                write!(f, " {connection}")?;
            }
            f.write_str("\r\n")?;
        }
        if self.rtcp_mux {
            f.write_str("a=rtcp-mux\r\n")?;
        }
        if let Some(direction) = self.direction {
            write!(f, "a={}\r\n", direction.name())?;
        }
        write_attributes(f, &self.attributes)
    }
}

fn write_attributes(f: &mut Formatter<'_>, attributes: &[Attribute]) -> Result {
    attributes.iter().try_for_each(|attribute| {
        write!(f, "a={}", attribute.name)?;
        if let Some(value) = &attribute.value {
            write!(f, ":{value}")?;
        }
        f.write_str("\r\n")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back() {
        let text = "v=0\r\no=a 1 2 IN IP6 ::1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
            a=inactive\r\na=group:BUNDLE 0 1\r\na=ice-lite\r\nm=audio 4000 RTP/AVP 0 96 101\r\nc=IN IP6 2001:db8::1\r\n\
            a=rtpmap:96 L16/44100/2\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n\
            a=ptime:20\r\na=maxptime:40\r\na=rtcp:4005 IN IP4 192.0.2.2\r\na=rtcp-mux\r\n\
            a=sendonly\r\na=mid:0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3Qw==|2^20\r\n\
            a=crypto:2 AEAD_AES_128_GCM inline:c2VjcmV0\r\na=x-empty:\r\n\
            m=video 0 UDP/TLS/RTP/SAVPF 31\r\na=rtcp:7\r\na=fingerprint:sha-256 12:AB\r\na=setup:actpass\r\n";
        let session = Session::parse(text).unwrap();
        assert_eq!(session.to_string(), text);
        assert_eq!(Session::parse(&session.to_string()), Ok(session));
    }
}
