//! What the person on a leg notices: ringing, speech, sounds, and the end of each.
//!
//! **Invariant: each beginning is recorded once, and so is each end.**

use std::fmt;

use call_proto::Beep;
use model::Timestamp;

use crate::script::{Moment, Wanted};

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Sense {
    Ring,
    /// The beep before a recording.
    RecordBeep,
    /// The built-in hold music.
    Music,
    /// A tone of a conference.
    Beep(Beep),
    Answer,
    Say(String),
    Play(String),
    /// Tones of keys.
    Keys(String),
    Pause,
    Refused(u16),
    /// The server's REFER to this address.
    Refer(String),
    /// The answer to its REFER.
    Referred(u16),
    /// A report about the transfer that it asked for.
    Notify(u16),
    Hangup,
}

#[derive(Clone, Debug)]
pub(crate) struct Heard {
    pub(crate) sense: Sense,
    pub(crate) from: Timestamp,
    /// `None` while it continues.
    pub(crate) until: Option<Timestamp>,
    /// Whether it was stopped before its end.
    pub(crate) cut: bool,
}

impl Heard {
    pub(crate) fn moment(sense: Sense, at: Timestamp) -> Self {
        Self {
            sense,
            from: at,
            until: Some(at),
            cut: false,
        }
    }

    pub(crate) fn begins(sense: Sense, at: Timestamp) -> Self {
        Self {
            sense,
            from: at,
            until: None,
            cut: false,
        }
    }

    pub(crate) fn ends(&mut self, at: Timestamp, cut: bool) {
        if self.until.is_none() {
            (self.until, self.cut) = (Some(at), cut);
        }
    }

    /// Whether this is what a person waits for, at its present stage.
    pub(crate) fn is(&self, wanted: &Wanted) -> bool {
        let over = self.until.is_some() && !self.cut;
        let far_enough = |moment: &Moment| over || *moment == Moment::Start;
        match (wanted, &self.sense) {
            (Wanted::Ring, Sense::Ring)
            | (Wanted::Beep, Sense::RecordBeep)
            | (Wanted::Answer, Sense::Answer)
            | (Wanted::Hangup, Sense::Hangup) => true,
            (Wanted::Refused(wanted), Sense::Refused(status))
            | (Wanted::Referred(wanted), Sense::Referred(status))
            | (Wanted::Notify(wanted), Sense::Notify(status)) => wanted == status,
            (Wanted::Refer(wanted), Sense::Refer(target)) => wanted.fits(Some(target)),
            (Wanted::Say(wanted, moment), Sense::Say(what))
            | (Wanted::Play(wanted, moment), Sense::Play(what)) => {
                wanted.fits(Some(what)) && far_enough(moment)
            }
            (Wanted::Pause(length), Sense::Pause) => match (length, self.until) {
                (Some(length), Some(until)) => length.fits(until.since(self.from)),
                (None, Some(_)) => true,
                (_, None) => false,
            },
            (
                Wanted::Ring
                | Wanted::Beep
                | Wanted::Answer
                | Wanted::Hangup
                | Wanted::Refused(_)
                | Wanted::Refer(_)
                | Wanted::Referred(_)
                | Wanted::Notify(_)
                | Wanted::Say(..)
                | Wanted::Play(..)
                | Wanted::Pause(_),
                _,
            ) => false,
        }
    }
}

impl fmt::Display for Sense {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ring => f.write_str("ring"),
            Self::RecordBeep => f.write_str("beep"),
            Self::Music => f.write_str("hold music"),
            Self::Beep(beep) => f.write_str(beep.as_str()),
            Self::Answer => f.write_str("answer"),
            Self::Say(text) => write!(f, "say `{text}`"),
            Self::Play(url) => write!(f, "play `{url}`"),
            Self::Keys(keys) => write!(f, "keys {keys}"),
            Self::Pause => f.write_str("pause"),
            Self::Refused(status) => write!(f, "refused {status}"),
            Self::Refer(target) => write!(f, "refer {target}"),
            Self::Referred(status) => write!(f, "referred {status}"),
            Self::Notify(status) => write!(f, "notify {status}"),
            Self::Hangup => f.write_str("hangup"),
        }
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ring => f.write_str("ring"),
            Self::Beep => f.write_str("beep"),
            Self::Answer => f.write_str("answer"),
            Self::Hangup => f.write_str("hangup"),
            Self::Refused(status) => write!(f, "a refusal with {status}"),
            Self::Refer(target) => write!(f, "a REFER to {target}"),
            Self::Referred(status) => write!(f, "the answer {status} to a REFER"),
            Self::Notify(status) => write!(f, "a NOTIFY with {status}"),
            Self::Pause(None) => f.write_str("pause"),
            Self::Pause(Some(length)) => write!(f, "pause {length}"),
            Self::Say(what, moment) => write!(f, "say {what}{}", begun(*moment)),
            Self::Play(what, moment) => write!(f, "play {what}{}", begun(*moment)),
        }
    }
}

fn begun(moment: Moment) -> &'static str {
    match moment {
        Moment::Start => " (its start)",
        Moment::End => "",
    }
}
