//! The recording of a `<Dial>`.
//!
//! One from the answer belongs to the bridge, which starts it when the parties hear each other; one
//! from the ringing, or without a bridge, belongs to the verb. Both record the caller's leg, which hears everyone else.
//! **Invariant: a `<Dial>` makes at most one recording**, and knows it by its SID: the leg may have others.
//! Left to others: its callbacks (`recording`).

use model::{RecordingSid, RecordingSource};
use rcml::{DialRecording, RecordingStart};

use crate::context::Context;
use crate::interpreter::verb::Site;
use crate::recording::{RecordingNews, RecordingTerms};

/// The recording of a running `<Dial>`.
pub(in crate::interpreter) struct DialRecorder {
    wanted: Option<DialRecording>,
    callback: Option<rcml::RecordingCallback>,
    /// The verb starts and stops it, rather than the bridge.
    is_own: bool,
    begun: bool,
    /// The recording that the bridge is to start.
    of_bridge: Option<RecordingSid>,
    /// The recording that the verb has to stop, even if it has failed.
    to_stop: Option<RecordingSid>,
    /// The current or finished recording, unless it failed.
    recording: Option<RecordingSid>,
}

impl DialRecorder {
    pub(in crate::interpreter) fn new(dial: &rcml::Dial) -> Self {
        let from = dial.record.map(|wanted| wanted.from);
        Self {
            is_own: from == Some(RecordingStart::Ringing),
            wanted: dial.record,
            callback: dial.recording_callback.clone(),
            begun: false,
            of_bridge: None,
            to_stop: None,
            recording: None,
        }
    }

    /// For a verb that connects its leg without a bridge.
    pub(in crate::interpreter) fn without_bridge(dial: &rcml::Dial) -> Self {
        Self {
            is_own: true,
            ..Self::new(dial)
        }
    }

    /// A called phone rings.
    pub(in crate::interpreter) fn rings(&mut self, site: &mut Site<'_>, cx: &mut Context) {
        if let Some(wanted) = self.wanted.filter(|_| self.is_own) {
            self.begin(wanted, site, cx);
        }
    }

    /// The parties are about to be connected: returns what the bridge is to record.
    pub(in crate::interpreter) fn connects(
        &mut self,
        site: &mut Site<'_>,
        cx: &mut Context,
    ) -> (Option<RecordingSid>, RecordingTerms) {
        match self.wanted {
            None => (None, RecordingTerms::default()),
            Some(wanted) if self.is_own => {
                // Nothing rang, or the caller had not been answered then.
                self.begin(wanted, site, cx);
                (None, RecordingTerms::default())
            }
            Some(wanted) => {
                self.of_bridge = Some(cx.recording_sid());
                (self.of_bridge, self.terms(wanted, site, cx))
            }
        }
    }

    /// The verb ends, or loses its leg; the bridge stops its own recording.
    pub(in crate::interpreter) fn stop(&mut self, site: &mut Site<'_>, cx: &mut Context) {
        if let Some(recording) = self.to_stop.take() {
            site.recordings.stop(recording, site.leg, cx);
        }
    }

    /// Whether its file is still being written or closed.
    pub(in crate::interpreter) fn is_open(&self, site: &Site<'_>) -> bool {
        self.recording
            .is_some_and(|recording| site.recordings.is_open(recording))
    }

    /// Takes news of a recording of the leg; true if it was the end of this one.
    pub(in crate::interpreter) fn is_over(
        &mut self,
        of: RecordingSid,
        news: RecordingNews,
    ) -> bool {
        match news {
            RecordingNews::Started if self.of_bridge == Some(of) => {
                self.recording = Some(of);
                false
            }
            RecordingNews::Started => false,
            RecordingNews::Silent => false,
            RecordingNews::Over { .. } if self.recording != Some(of) => false,
            RecordingNews::Over { stored_ms } => {
                if stored_ms.is_none() {
                    self.recording = None;
                }
                true
            }
        }
    }

    /// The current or finished recording, unless it failed.
    pub(in crate::interpreter) const fn recording(&self) -> Option<RecordingSid> {
        self.recording
    }

    fn begin(&mut self, wanted: DialRecording, site: &mut Site<'_>, cx: &mut Context) {
        if self.begun || !site.leg.is_up() {
            return;
        }
        self.begun = true;
        let recording = cx.recording_sid();
        let terms = self.terms(wanted, site, cx);
        let command = terms.command(recording);
        site.recordings.start(recording, terms, site.leg, cx);
        self.recording = Some(recording);
        self.to_stop = Some(recording);
        cx.media(site.leg.profile.sid, command);
    }

    fn terms(
        &self,
        wanted: DialRecording,
        site: &mut Site<'_>,
        cx: &mut Context,
    ) -> RecordingTerms {
        let callback = self.callback.as_ref();
        RecordingTerms {
            source: RecordingSource::DialVerb,
            name: None,
            sides: wanted.sides,
            trim: wanted.trim,
            callback: callback.and_then(|callback| site.recording_callback(callback, cx)),
        }
    }
}
