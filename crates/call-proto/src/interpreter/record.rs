//! `<Record>`: records what the remote party says.
//!
//! A beep comes first; a key, a silence, the maximum length or the end of the leg ends it. **Invariant:
//! a `<Record>` ends when its recording is closed**, so its action is requested only with a recording
//! that can be heard. Keys are never traced: they may be a PIN.

use std::time::Duration;

use model::{RecordingSid, RecordingSource, Timestamp};
use rcml::Sides;

use super::verb::{Running, Site, Step};
use crate::command::{MediaCommand, Sound};
use crate::context::Context;
use crate::event::PlayId;
use crate::fact::Reason;
use crate::recording::{RecordingNews, RecordingTerms, address};
use crate::trace::Lane;

/// `Digits` after the remote party has hung up.
const HUNG_UP: &str = "hangup";

/// A running `<Record>`.
struct Recorder {
    record: rcml::Record,
    phase: Phase,
    /// The key that ended it, or [`HUNG_UP`].
    digits: Option<String>,
}

enum Phase {
    /// The beep is playing.
    Beeping(PlayId),
    Recording {
        sid: RecordingSid,
        until: Timestamp,
    },
    /// The recording is being closed.
    Closing {
        sid: RecordingSid,
    },
}

pub(super) fn start(record: rcml::Record, site: &mut Site<'_>, cx: &mut Context) -> Step {
    listen(&record, true, site, cx);
    let phase = if record.play_beep {
        Phase::Beeping(site.play(Sound::RecordBeep, Some(1), cx))
    } else {
        begin(&record, site, cx)
    };
    Step::Run(Box::new(Recorder {
        record,
        phase,
        digits: None,
    }))
}

/// Starts or stops listening to keys.
fn listen(record: &rcml::Record, on: bool, site: &Site<'_>, cx: &mut Context) {
    if !record.finish_on_key.is_empty() {
        cx.media(site.leg.profile.sid, MediaCommand::ListenDigits { on });
    }
}

fn begin(record: &rcml::Record, site: &mut Site<'_>, cx: &mut Context) -> Phase {
    let sid = cx.recording_sid();
    let callback = record.callback.as_ref();
    let callback = callback.and_then(|callback| site.recording_callback(callback, cx));
    let terms = RecordingTerms {
        source: RecordingSource::RecordVerb,
        name: None,
        sides: Sides::Inbound,
        trim: record
            .trim
            .unwrap_or(site.leg.profile.dialect.trims_records),
        callback,
    };
    let trim = terms.trim;
    site.recordings.start(sid, terms, site.leg, cx);
    let command = MediaCommand::RecordVoice {
        recording: sid,
        silence: Duration::from_secs(record.timeout_s.into()),
        trim,
    };
    cx.media(site.leg.profile.sid, command);
    Phase::Recording {
        sid,
        until: cx.now + Duration::from_secs(record.max_length_s.into()),
    }
}

impl Running for Recorder {
    fn poll_timeout(&self) -> Option<Timestamp> {
        match self.phase {
            Phase::Recording { until, .. } => Some(until),
            Phase::Beeping(_) | Phase::Closing { .. } => None,
        }
    }

    fn handle_timeout(&mut self, site: &mut Site<'_>, cx: &mut Context) -> Step {
        match self.phase {
            Phase::Recording { until, .. } if until <= cx.now => {
                self.stop("maximum length", site, cx)
            }
            Phase::Recording { .. } | Phase::Beeping(_) | Phase::Closing { .. } => Step::Wait,
        }
    }

    fn played(&mut self, done: PlayId, site: &mut Site<'_>, cx: &mut Context) -> Step {
        if matches!(self.phase, Phase::Beeping(play) if play == done) {
            self.phase = begin(&self.record, site, cx);
        }
        Step::Wait
    }

    fn key(&mut self, key: char, site: &mut Site<'_>, cx: &mut Context) -> Step {
        if !self.record.finish_on_key.contains(key) || matches!(self.phase, Phase::Closing { .. }) {
            return Step::Wait;
        }
        self.digits = Some(key.to_string());
        self.stop("finishing key", site, cx)
    }

    fn recording(
        &mut self,
        of: RecordingSid,
        news: RecordingNews,
        site: &mut Site<'_>,
        cx: &mut Context,
    ) -> Step {
        let (Phase::Recording { sid, .. } | Phase::Closing { sid }) = self.phase else {
            return Step::Wait;
        };
        match news {
            _ if of != sid => Step::Wait,
            RecordingNews::Started => Step::Wait,
            RecordingNews::Silent => self.stop("silence", site, cx),
            RecordingNews::Over { stored_ms } => {
                // The media side closed it before it was asked to.
                if let Phase::Recording { .. } = self.phase {
                    let command = MediaCommand::StopRecord { recording: sid };
                    cx.media(site.leg.profile.sid, command);
                }
                self.no_more_keys(site, cx);
                match stored_ms {
                    Some(length_ms) => self.action(sid, length_ms, site, cx),
                    None => Step::Next,
                }
            }
        }
    }

    fn leg_is_over(&mut self, _reason: Reason, site: &mut Site<'_>, cx: &mut Context) -> Step {
        // The beep has been stopped.
        if let Phase::Beeping(_) = self.phase {
            return Step::Next;
        }
        self.digits.get_or_insert_with(|| HUNG_UP.to_owned());
        self.stop("the call is over", site, cx)
    }

    fn playing(&self) -> Option<PlayId> {
        match self.phase {
            Phase::Beeping(play) => Some(play),
            Phase::Recording { .. } | Phase::Closing { .. } => None,
        }
    }

    fn detach(&mut self, site: &mut Site<'_>, cx: &mut Context) {
        if !matches!(self.phase, Phase::Beeping(_)) {
            self.stop("another document takes over", site, cx);
        }
        self.no_more_keys(site, cx);
    }
}

impl Recorder {
    /// Ends the beep or the recording, which is then closed.
    fn stop(&mut self, why: &str, site: &mut Site<'_>, cx: &mut Context) -> Step {
        let leg = site.leg.profile.sid;
        match self.phase {
            Phase::Beeping(play) => {
                cx.trace(leg, Lane::Rcml, "<Record> ended", why);
                site.stop(Some(play), cx);
                self.no_more_keys(site, cx);
                Step::Next
            }
            Phase::Recording { sid, .. } => {
                cx.trace(leg, Lane::Rcml, "<Record> ended", why);
                self.phase = Phase::Closing { sid };
                site.recordings.stop(sid, site.leg, cx);
                Step::Wait
            }
            Phase::Closing { .. } => Step::Wait,
        }
    }

    fn no_more_keys(&self, site: &Site<'_>, cx: &mut Context) {
        if !site.leg.is_over() {
            listen(&self.record, false, site, cx);
        }
    }

    fn action(
        &self,
        sid: RecordingSid,
        length_ms: i64,
        site: &mut Site<'_>,
        cx: &mut Context,
    ) -> Step {
        let dialect = site.leg.profile.dialect;
        let url = match &self.record.action {
            Some(written) => match site.address(written, cx) {
                Some(url) => url,
                None => return site.bad_address(cx),
            },
            None => match site.run.url() {
                Some(url) if dialect.record_repeats_document => url.to_owned(),
                _ => return Step::Next,
            },
        };
        if site.count_redirect(cx) {
            return site.redirect_loop(&url, cx);
        }
        let mut params = site.voice_params(cx);
        let mut add = |name: &str, value: String| params.push((name.to_owned(), value));
        let recording = address(sid, site.leg, cx);
        add("RecordingUrl", recording.clone());
        add("PublicRecordingUrl", recording);
        add("RecordingSid", sid.to_string());
        add("RecordingDuration", dialect.record_duration(length_ms));
        if let Some(digits) = &self.digits {
            add("Digits", digits.clone());
        }
        site.fetch(url, self.record.method, params, cx)
    }
}
