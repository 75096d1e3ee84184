//! The metadata of a recorded call (RFC 7865).
//!
//! **Invariant: it is well-formed whatever the names and values are**, and each identifier in it is
//! unique and the same as long as the call is recorded.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use model::{AccountSid, CallSid, SiprecSid, Timestamp};

use crate::Track;

/// A call that is recorded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Recorded {
    /// The recording session.
    pub session: SiprecSid,
    /// Account under which the call runs.
    pub account: AccountSid,
    /// The call.
    pub call: CallSid,
    /// The remote party, whose speech is the inbound track.
    pub remote: Party,
    /// The other side of the call, which the remote party hears.
    pub local: Party,
    /// The tracks that are sent, in the order of their lines in the session description.
    pub tracks: Vec<Track>,
    /// Names and values from the document.
    pub parameters: Vec<(String, String)>,
    /// When the recording began.
    pub began: Timestamp,
}

/// A party of the call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Party {
    /// Its SIP address.
    pub address: String,
    /// Its name, if it has one.
    pub name: Option<String>,
}

/// The things in the metadata that have an identifier.
#[derive(Clone, Copy)]
enum Thing {
    Session,
    Remote,
    Local,
    Stream(usize),
}

impl Recorded {
    /// The metadata as XML, complete.
    ///
    /// - `label`: of a track, counted from 0, in the session description
    #[must_use]
    pub fn metadata(&self, label: impl Fn(usize) -> String) -> String {
        let session = self.id(Thing::Session);
        let began = self.began.iso8601();
        let mut out = Xml(String::from(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n\
             <recording xmlns=\"urn:ietf:params:xml:ns:recording:1\">\r\n\
             <datamode>complete</datamode>\r\n",
        ));
        out.open("session", &[("session_id", &session)]);
        out.text("start-time", &began);
        self.extension(&mut out);
        out.close("session");
        for (thing, party) in self.parties() {
            out.open("participant", &[("participant_id", &self.id(thing))]);
            out.open("nameID", &[("aor", &party.address)]);
            if let Some(name) = &party.name {
                out.text("name", name);
            }
            out.close("nameID");
            out.close("participant");
        }
        for at in 0..self.tracks.len() {
            let stream = self.id(Thing::Stream(at));
            out.open(
                "stream",
                &[("stream_id", &stream), ("session_id", &session)],
            );
            out.text("label", &label(at));
            out.close("stream");
        }
        out.open("sessionrecordingassoc", &[("session_id", &session)]);
        out.text("associate-time", &began);
        out.close("sessionrecordingassoc");
        for (thing, _) in self.parties() {
            let id = self.id(thing);
            let ids = [("participant_id", id.as_str()), ("session_id", &session)];
            out.open("participantsessionassoc", &ids);
            out.text("associate-time", &began);
            out.close("participantsessionassoc");
        }
        for (thing, _) in self.parties() {
            out.open(
                "participantstreamassoc",
                &[("participant_id", &self.id(thing))],
            );
            for (at, track) in self.tracks.iter().enumerate() {
                out.text(
                    sends_or_receives(thing, *track),
                    &self.id(Thing::Stream(at)),
                );
            }
            out.close("participantstreamassoc");
        }
        out.close("recording");
        out.0
    }

    fn parties(&self) -> [(Thing, &Party); 2] {
        [(Thing::Remote, &self.remote), (Thing::Local, &self.local)]
    }

    /// What RFC 7865 has no place for: our identifiers, and the values of the document.
    fn extension(&self, out: &mut Xml) {
        let ours = [
            ("AccountSid", self.account.to_string()),
            ("CallSid", self.call.to_string()),
            ("SiprecSid", self.session.to_string()),
        ];
        let ours = ours.iter().map(|(name, value)| (*name, value.as_str()));
        let given = self.parameters.iter();
        let given = given.map(|(name, value)| (name.as_str(), value.as_str()));
        out.open(
            "ExtensionParameters",
            &[("xmlns", "urn:patchcord:siprec:parameters:1")],
        );
        for (name, value) in ours.chain(given) {
            out.open("Parameter", &[]);
            out.text("Name", name);
            out.text("Value", value);
            out.close("Parameter");
        }
        out.close("ExtensionParameters");
    }

    /// A UUID in Base64 (RFC 7865 §6.10), derived from the recording session.
    fn id(&self, thing: Thing) -> String {
        let mut bytes = *self.session.as_bytes();
        bytes[15] ^= match thing {
            Thing::Session => 0,
            Thing::Remote => 1,
            Thing::Local => 2,
            Thing::Stream(at) => 0x80 | (at as u8 & 0x7F),
        };
        // Version and variant (RFC 9562 §5.8): the rest is ours.
        bytes[6] = (bytes[6] & 0x0F) | 0x80;
        bytes[8] = (bytes[8] & 0x3F) | 0x80;
        STANDARD.encode(bytes)
    }
}

const fn sends_or_receives(thing: Thing, track: Track) -> &'static str {
    match (thing, track) {
        (Thing::Remote, Track::Inbound) | (Thing::Local, Track::Outbound) => "send",
        _ => "recv",
    }
}

/// XML in the making.
struct Xml(String);

impl Xml {
    fn open(&mut self, name: &str, attributes: &[(&str, &str)]) {
        self.0.push('<');
        self.0.push_str(name);
        for (name, value) in attributes {
            self.0.push(' ');
            self.0.push_str(name);
            self.0.push_str("=\"");
            self.escaped(value);
            self.0.push('"');
        }
        self.0.push_str(">\r\n");
    }

    fn close(&mut self, name: &str) {
        self.0.push_str("</");
        self.0.push_str(name);
        self.0.push_str(">\r\n");
    }

    fn text(&mut self, name: &str, text: &str) {
        self.0.push_str(&format!("<{name}>"));
        self.escaped(text);
        self.0.push_str(&format!("</{name}>\r\n"));
    }

    /// Text without the characters that XML 1.0 cannot hold.
    fn escaped(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '&' => self.0.push_str("&amp;"),
                '"' => self.0.push_str("&quot;"),
                '\t' | '\n' | '\r' => self.0.push(' '),
                '\0'..='\u{1F}' | '\u{FFFE}' | '\u{FFFF}' => self.0.push('\u{FFFD}'),
                c => self.0.push(c),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn recorded(tracks: Vec<Track>) -> Recorded {
        let party = |address: &str, name: Option<&str>| Party {
            address: address.to_owned(),
            name: name.map(str::to_owned),
        };
        Recorded {
            session: SiprecSid::from_bytes([7; 16]),
            account: AccountSid::from_bytes([1; 16]),
            call: CallSid::from_bytes([2; 16]),
            remote: party("sip:kim@example.com", Some("Kim \"<&\u{1}")),
            local: party("sip:1000@example.com", None),
            tracks,
            parameters: vec![("case".to_owned(), "a>b".to_owned())],
            began: Timestamp::from_millis(0),
        }
    }

    /// The texts of the elements with this name.
    fn texts<'a>(xml: &'a str, name: &str) -> Vec<&'a str> {
        let open = format!("<{name}>");
        let parts = xml.split(open.as_str()).skip(1);
        parts.filter_map(|part| part.split('<').next()).collect()
    }

    #[test]
    fn names_the_parties_and_who_sends_what() {
        let xml = recorded(vec![Track::Inbound, Track::Outbound]).metadata(|at| format!("L{at}"));
        roxmltree::Document::parse(&xml).unwrap();
        assert_eq!(texts(&xml, "label"), ["L0", "L1"]);
        assert_eq!(texts(&xml, "start-time"), ["1970-01-01T00:00:00.000Z"]);
        assert_eq!(texts(&xml, "name"), ["Kim &quot;&lt;&amp;\u{FFFD}"]);
        assert!(
            xml.contains("<nameID aor=\"sip:1000@example.com\">"),
            "{xml}"
        );
        let values = texts(&xml, "Value");
        assert_eq!((values.len(), values[3]), (4, "a&gt;b"));
        // Each stream is sent by one party and received by the other.
        let (sent, received) = (texts(&xml, "send"), texts(&xml, "recv"));
        assert_eq!((sent[0], sent[1]), (received[1], received[0]));
        let streams = xml.matches("<stream stream_id=").count();
        assert_eq!(streams, 2);
        let ids = xml.split("_id=\"").skip(1);
        let ids: BTreeSet<&str> = ids.filter_map(|part| part.split('"').next()).collect();
        // The session, two parties and two streams.
        assert_eq!(ids.len(), 5);
        assert!(ids.contains(sent[0]) && ids.contains(sent[1]));
    }

    #[test]
    fn one_track_has_one_stream() {
        let xml = recorded(vec![Track::Outbound]).metadata(|_| "1".to_owned());
        assert_eq!(xml.matches("<stream stream_id=").count(), 1);
        assert_eq!(
            (texts(&xml, "send").len(), texts(&xml, "recv").len()),
            (1, 1)
        );
        let (remote, local) = xml.rsplit_once("<participantstreamassoc").unwrap();
        assert!(
            local.contains("<send>") && !local.contains("<recv>"),
            "{xml}"
        );
        assert!(remote.contains("<recv>"));
    }
}
