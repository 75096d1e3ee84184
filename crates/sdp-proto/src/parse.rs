//! Reads a session description (RFC 8866), tolerant of what phones really send.
//!
//! Line ends may be CRLF, LF or CR; unknown lines are skipped; `o=`, `s=` and `t=`
//! may be missing. A text that does not begin with `v=0`, and a media line without kind, port,
//! protocol or format, is refused. **Invariant: takes time and memory proportional to the text,
//! which is limited.**

use crate::session::{
    Attribute, Connection, Direction, MAX_ATTRIBUTES, MAX_FORMATS, MAX_MEDIA, MAX_TEXT, Media,
    Origin, Profile, RtpMap, SdpError, Session,
};

impl Session {
    /// Reads a description.
    ///
    /// # Errors
    /// [`SdpError::TooLong`], or [`SdpError::Syntax`] with the line.
    pub fn parse(text: &str) -> Result<Self, SdpError> {
        if text.len() > MAX_TEXT {
            return Err(SdpError::TooLong);
        }
        let mut session = Self {
            origin: None,
            connection: None,
            direction: None,
            attributes: Vec::new(),
            media: Vec::new(),
        };
        let mut lines = lines(text);
        match lines.next() {
            Some((_, 'v', value)) if value.trim() == "0" => {}
            first => {
                let (line, reason) = (first.map_or(1, |(line, _, _)| line), "is not `v=0`");
                return Err(SdpError::Syntax { line, reason });
            }
        }
        for (line, kind, value) in lines {
            session
                .read_line(kind, value.trim())
                .map_err(|reason| SdpError::Syntax { line, reason })?;
        }
        Ok(session)
    }

    fn read_line(&mut self, kind: char, value: &str) -> Result<(), &'static str> {
        match (kind, self.media.last_mut()) {
            ('o', None) => self.origin = origin(value),
            ('c', None) => self.connection = Some(connection(value)),
            ('c', Some(media)) => media.connection = Some(connection(value)),
            ('a', None) => match direction(value) {
                Some(direction) => self.direction = Some(direction),
                None => keep(&mut self.attributes, value),
            },
            ('a', Some(media)) => media.read_attribute(value),
            ('m', _) => self.add_media(media(value)?)?,
            (_, _) => {}
        }
        Ok(())
    }

    fn add_media(&mut self, media: Media) -> Result<(), &'static str> {
        if self.media.len() >= MAX_MEDIA {
            return Err("too many media lines");
        }
        self.media.push(media);
        Ok(())
    }
}

impl Media {
    /// Reads one attribute. An unknown one is kept as it is; a malformed known one changes nothing.
    fn read_attribute(&mut self, attribute: &str) {
        if let Some(direction) = direction(attribute) {
            self.direction = Some(direction);
            return;
        }
        let (name, value) = attribute.split_once(':').unwrap_or((attribute, ""));
        match name.trim().to_ascii_lowercase().as_str() {
            "rtpmap" if self.rtpmaps.len() < MAX_FORMATS => self.rtpmaps.extend(rtpmap(value)),
            "fmtp" if self.fmtps.len() < MAX_FORMATS => self.fmtps.extend(fmtp(value)),
            "rtpmap" | "fmtp" => {}
            "ptime" => self.ptime_ms = milliseconds(value).or(self.ptime_ms),
            "maxptime" => self.max_ptime_ms = milliseconds(value).or(self.max_ptime_ms),
            "rtcp" => self.rtcp = rtcp(value).or_else(|| self.rtcp.take()),
            "rtcp-mux" => self.rtcp_mux = true,
            _ => keep(&mut self.attributes, attribute),
        }
    }
}

fn keep(attributes: &mut Vec<Attribute>, text: &str) {
    let (name, value) = match text.split_once(':') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (text, None),
    };
    if attributes.len() < MAX_ATTRIBUTES && !name.is_empty() {
        let name = name.to_owned();
        attributes.push(Attribute { name, value });
    }
}

/// The `x=value` lines with their numbers; others are skipped.
fn lines(text: &str) -> impl Iterator<Item = (usize, char, &str)> {
    let text = text.trim_start_matches('\u{feff}');
    // CRLF leaves an empty piece between CR and LF, so count lines by LF, or by CR in a text
    // without any LF.
    let end = if text.contains('\n') { '\n' } else { '\r' };
    text.split(end).enumerate().filter_map(|(index, line)| {
        let (kind, value) = line.trim().split_once('=')?;
        let mut letters = kind.trim_end().chars();
        let letter = letters.next()?;
        letters
            .next()
            .is_none()
            .then_some((index + 1, letter, value))
    })
}

/// `<username> <sess-id> <sess-version> <nettype> <addrtype> <address>`
fn origin(value: &str) -> Option<Origin> {
    let (username, rest) = value.split_once(' ')?;
    let mut words = rest.split_ascii_whitespace();
    let session_id = words.next()?.parse().ok()?;
    let version = words.next()?.parse().ok()?;
    let (_nettype, _addrtype) = (words.next()?, words.next()?);
    let address = address(words.next()?);
    Some(Origin {
        username: username.to_owned(),
        session_id,
        version,
        address,
    })
}

/// `<nettype> <addrtype> <address>[/<ttl>[/<count>]]`
fn connection(value: &str) -> Connection {
    let mut words = value.split_ascii_whitespace();
    match (words.next(), words.next(), words.next()) {
        (Some(net), Some(_), Some(host)) if net.eq_ignore_ascii_case("IN") => address(host),
        (_, _, _) => Connection::Other(value.to_owned()),
    }
}

fn address(text: &str) -> Connection {
    let host = text.split('/').next().unwrap_or(text);
    let host = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    host.parse()
        .map_or_else(|_| Connection::Other(host.to_owned()), Connection::Ip)
}

/// `<media> <port>[/<count>] <proto> <fmt> …`
fn media(value: &str) -> Result<Media, &'static str> {
    let mut words = value.split_ascii_whitespace();
    let kind = words.next().ok_or("media line has no kind")?;
    let port = words
        .next()
        .and_then(|port| port.split('/').next()?.parse().ok());
    let protocol = words.next().ok_or("media line has no protocol")?;
    let formats: Vec<String> = words.take(MAX_FORMATS).map(str::to_owned).collect();
    if formats.is_empty() {
        return Err("media line has no format");
    }
    Ok(Media {
        kind: kind.to_owned(),
        port: port.ok_or("media line has no valid port")?,
        protocol: Profile::new(protocol),
        formats,
        ..Media::default()
    })
}

fn direction(attribute: &str) -> Option<Direction> {
    [
        Direction::SendRecv,
        Direction::SendOnly,
        Direction::RecvOnly,
        Direction::Inactive,
    ]
    .into_iter()
    .find(|direction| attribute.trim().eq_ignore_ascii_case(direction.name()))
}

/// `<payload type> <name>/<clock rate>[/<channels>]`
fn rtpmap(value: &str) -> Option<RtpMap> {
    let (payload_type, encoding) = value.trim().split_once(char::is_whitespace)?;
    let mut parts = encoding.trim().split('/');
    Some(RtpMap {
        payload_type: payload_type.parse().ok().filter(|number| *number < 128)?,
        name: parts.next()?.trim().to_owned(),
        clock_rate: parts.next()?.trim().parse().ok()?,
        channels: parts
            .next()
            .map_or(Some(1), |channels| channels.trim().parse().ok())?,
    })
}

/// `<payload type> <parameters>`
fn fmtp(value: &str) -> Option<(u8, String)> {
    let (payload_type, parameters) = value.trim().split_once(char::is_whitespace)?;
    Some((payload_type.parse().ok()?, parameters.trim().to_owned()))
}

/// Whole milliseconds; some phones write fractions, which are cut off.
fn milliseconds(value: &str) -> Option<u32> {
    value.trim().split('.').next()?.parse().ok()
}

/// `<port> [<nettype> <addrtype> <address>]`
fn rtcp(value: &str) -> Option<(u16, Option<Connection>)> {
    let value = value.trim();
    let (port, rest) = value.split_once(char::is_whitespace).unwrap_or((value, ""));
    let rest = rest.trim();
    Some((
        port.parse().ok()?,
        (!rest.is_empty()).then(|| connection(rest)),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use audio::Codec;

    const PHONE: &str = "v=0\r\no=alice 2890844526 7 IN IP4 192.0.2.1\r\ns=-\r\n\
        i=a session\r\nc=IN IP4 192.0.2.1/127\r\nb=AS:84\r\nt=0 0\r\na=recvonly\r\na=tool:x\r\n\
        m=audio 49170 RTP/AVP 0 8 97 101\r\nb=TIAS:64000\r\na=rtpmap:0 pcmu/8000\r\n\
        a=rtpmap:97 iLBC/8000\r\na=rtpmap:101 telephone-event/8000/1\r\na=fmtp:101 0-16,32\r\n\
        a=ptime:20\r\na=maxptime:60.5\r\na=rtcp:53020 IN IP6 2001:db8::1\r\na=rtcp-mux\r\n\
        a=sendonly\r\nm=video 51372/2 RTP/AVP 31\r\nc=IN IP6 2001:db8::2\r\n";

    #[test]
    fn reads_what_matters() {
        let session = Session::parse(PHONE).unwrap();
        let origin = session.origin.as_ref().unwrap();
        assert_eq!((origin.session_id, origin.version), (2_890_844_526, 7));
        assert_eq!(origin.username, "alice");
        assert_eq!(
            session.connection,
            Some(Connection::Ip([192, 0, 2, 1].into()))
        );
        assert_eq!(session.direction, Some(Direction::RecvOnly));
        let [audio, video] = &session.media[..] else {
            panic!("{session:?}")
        };
        assert_eq!((audio.kind.as_str(), audio.port), ("audio", 49170));
        assert_eq!(audio.protocol, Profile::new("rtp/avp"));
        let tool = Attribute {
            name: "tool".to_owned(),
            value: Some("x".to_owned()),
        };
        assert_eq!(session.attributes, [tool]);
        assert_eq!(audio.payload_types().collect::<Vec<_>>(), [0, 8, 97, 101]);
        assert_eq!(
            [0, 8, 97, 101].map(|number| audio.codec(number)),
            [Some(Codec::PCMU), Some(Codec::PCMA), None, None]
        );
        assert!(audio.is_telephone_event(101, 8000) && !audio.is_telephone_event(97, 8000));
        assert_eq!(audio.fmtps, [(101, "0-16,32".to_owned())]);
        assert_eq!((audio.ptime_ms, audio.max_ptime_ms), (Some(20), Some(60)));
        let rtcp = Connection::Ip("2001:db8::1".parse().unwrap());
        assert_eq!(audio.rtcp, Some((53020, Some(rtcp))));
        assert!(audio.rtcp_mux);
        assert_eq!(audio.direction, Some(Direction::SendOnly));
        assert_eq!((video.kind.as_str(), video.port), ("video", 51372));
        assert_eq!(
            video.connection,
            Some(Connection::Ip("2001:db8::2".parse().unwrap()))
        );
    }

    #[test]
    fn line_ends_do_not_matter() {
        let expected = Session::parse(PHONE);
        for (from, to) in [
            ("\r\n", "\n"),
            ("\r\n", "\r"),
            ("\r\n", "\r\n\r\n"),
            ("\r\n", " \r\n"),
        ] {
            assert_eq!(Session::parse(&PHONE.replace(from, to)), expected, "{to:?}");
        }
        assert_eq!(Session::parse(PHONE.trim_end()), expected);
        assert_eq!(Session::parse(&format!("\r\n{PHONE}junk\r\n\0")), expected);
    }

    #[test]
    fn refuses_other_texts() {
        let many_media = format!("v=0\n{}", "m=audio 1 RTP/AVP 0\n".repeat(MAX_MEDIA + 1));
        let table = [
            ("", "line 1: is not `v=0`"),
            ("\r\n\r\n", "line 1: is not `v=0`"),
            ("hello world", "line 1: is not `v=0`"),
            ("m=audio 1 RTP/AVP 0", "line 1: is not `v=0`"),
            ("v=1\r\n", "line 1: is not `v=0`"),
            ("v=0\nm=\n", "line 2: media line has no kind"),
            ("v=0\r\nm=audio\r\n", "line 2: media line has no protocol"),
            (
                "v=0\ns=-\nm=audio 1 RTP/AVP\n",
                "line 3: media line has no format",
            ),
            (
                "v=0\nm=audio x RTP/AVP 0\n",
                "line 2: media line has no valid port",
            ),
            (
                "v=0\nm=audio 65536 RTP/AVP 0\n",
                "line 2: media line has no valid port",
            ),
            (
                "v=0\nm=audio -1 RTP/AVP 0\n",
                "line 2: media line has no valid port",
            ),
            (&many_media, "line 34: too many media lines"),
        ];
        for (text, expected) in table {
            let error = Session::parse(text).map_err(|error| error.to_string());
            assert_eq!(error, Err(expected.to_owned()), "{text:?}");
        }
        let long = format!("v=0\n{}", "a".repeat(MAX_TEXT));
        assert_eq!(Session::parse(&long), Err(SdpError::TooLong));
    }

    #[test]
    fn malformed_attributes_are_skipped() {
        let text = "v=0\nm=audio 9 RTP/AVP 200 x 96\na=rtpmap:96\na=rtpmap:x PCMU/8000\n\
            a=rtpmap:96 PCMU/abc\na=rtpmap:300 PCMU/8000\na=ptime:\na=ptime:x\na=rtcp:x\n\
            a=fmtp:96\na=SENDONLY\na=\nc=IN IP4\n";
        let session = Session::parse(text).unwrap();
        let media = &session.media[0];
        assert_eq!(media.payload_types().collect::<Vec<_>>(), [96]);
        assert_eq!(
            (&media.rtpmaps[..], media.ptime_ms, &media.rtcp),
            (&[][..], None, &None)
        );
        assert_eq!(media.direction, Some(Direction::SendOnly));
        assert_eq!(
            media.connection,
            Some(Connection::Other("IN IP4".to_owned()))
        );
        assert_eq!(session.origin, None);
    }

    #[test]
    fn addresses() {
        let table = [
            ("IN IP4 10.0.0.1", Some("10.0.0.1")),
            ("IN IP4 224.2.1.1/127/3", Some("224.2.1.1")),
            ("IN IP6 ::1", Some("::1")),
            ("in ip6 [2001:db8::5]", Some("2001:db8::5")),
            ("IN IP4 phone.example.com", None),
            ("IN IP4 1.2.3", None),
            ("ATM x 10.0.0.1", None),
        ];
        for (text, expected) in table {
            let expected = expected.map(|address| address.parse().unwrap());
            assert_eq!(connection(text).ip(), expected, "{text}");
        }
    }
}
