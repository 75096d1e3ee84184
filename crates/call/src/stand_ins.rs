//! The remote parties of the legs of a family that a test account called: a `StandIn` for each, in the place of SIP.
//!
//! **Invariant: nothing of them leaves the process.** Their session descriptions are inactive, so that the media side
//! sends nothing and expects nothing; sounds still take their time.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use call_proto::{Conduct, Event, LegCommand, StandIn};
use model::{AnswerTiming, CallSid, Timestamp};

/// The host in their session descriptions.
pub(crate) const HOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// The parties of one family.
#[derive(Default)]
pub(crate) struct StandIns(BTreeMap<CallSid, StandIn>);

impl StandIns {
    /// Whether the party of a leg is a stand-in.
    pub(crate) fn has(&self, call: CallSid) -> bool {
        self.0.contains_key(&call)
    }

    /// A leg sends its INVITE.
    pub(crate) fn invite(&mut self, call: CallSid, conduct: Conduct, offer: &str, now: Timestamp) {
        self.0
            .insert(call, StandIn::new(call, conduct, answer(offer), now));
    }

    /// A leg with a stand-in is commanded.
    pub(crate) fn command(&mut self, call: CallSid, command: &LegCommand, now: Timestamp) {
        if let Some(party) = self.0.get_mut(&call) {
            party.handle_command(command, now);
        }
    }

    /// A call is connected to the party of a branch.
    pub(crate) fn take_over(&mut self, call: CallSid, branch: CallSid) {
        if let Some(party) = self.0.remove(&branch) {
            self.0.insert(call, party);
        }
    }

    /// Machine detection begins to listen to a party.
    pub(crate) fn detect(&mut self, call: CallSid, timing: AnswerTiming, now: Timestamp) {
        if let Some(party) = self.0.get_mut(&call) {
            party.handle_detection(timing, now);
        }
    }

    /// Machine detection no longer listens.
    pub(crate) fn stop_detecting(&mut self, call: CallSid) {
        if let Some(party) = self.0.get_mut(&call) {
            party.handle_end_of_detection();
        }
    }

    /// When one of them does something next.
    pub(crate) fn poll_timeout(&self) -> Option<Timestamp> {
        self.0.values().filter_map(StandIn::poll_timeout).min()
    }

    /// What they have done by now.
    pub(crate) fn handle_timeout(&mut self, now: Timestamp) -> Vec<(CallSid, Event)> {
        let done = |(call, party): (&CallSid, &mut StandIn)| {
            let events = party.handle_timeout(now).into_iter();
            events.map(|event| (*call, event)).collect::<Vec<_>>()
        };
        self.0.iter_mut().flat_map(done).collect()
    }
}

/// An answer to an offer: the first codec, and no sound in either direction (RFC 3264 §6.1).
fn answer(offer: &str) -> String {
    let audio = offer.lines().find_map(|line| line.strip_prefix("m=audio "));
    let mut words = audio.unwrap_or_default().split_whitespace().skip(1);
    let protocol = words.next().unwrap_or("RTP/AVP");
    let format = words.next().unwrap_or("0");
    let of_format = |line: &&str| {
        let rest = line
            .strip_prefix("a=rtpmap:")
            .or_else(|| line.strip_prefix("a=fmtp:"));
        rest.and_then(|rest| rest.split(' ').next()) == Some(format)
    };
    let attributes: String = offer
        .lines()
        .filter(of_format)
        .map(|line| format!("{line}\r\n"))
        .collect();
    format!(
        "v=0\r\no=- 1 1 IN IP4 {HOST}\r\ns=-\r\nc=IN IP4 {HOST}\r\nt=0 0\r\n\
         m=audio 9 {protocol} {format}\r\n{attributes}a=inactive\r\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_with_the_first_codec_and_without_sound() {
        let offer = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
                     m=audio 4000 RTP/AVP 9 0 101\r\na=rtpmap:9 G722/8000\r\na=rtpmap:0 PCMU/8000\r\na=sendrecv\r\n";
        let answer = answer(offer);
        let tail = "m=audio 9 RTP/AVP 9\r\na=rtpmap:9 G722/8000\r\na=inactive\r\n";
        assert!(answer.ends_with(tail), "{answer}");
        let bare = super::answer("");
        assert!(
            bare.ends_with("m=audio 9 RTP/AVP 0\r\na=inactive\r\n"),
            "{bare}"
        );
    }
}
