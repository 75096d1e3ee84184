//! The recording of a conference on the media side.

use call_proto::{Pause, RoomInput};
use media::{Control, EndpointId, EngineControl, MixId, RecordingId, Report, Session};
use model::RecordingSid;
use tokio::sync::mpsc;

use crate::actor::pause_of;
use crate::engine::Shared;

/// A recording that has begun. Dropping it ends the recording.
pub(super) struct Tape {
    session: Session,
    reports: mpsc::UnboundedReceiver<(EndpointId, Report)>,
    /// Its name on the media side.
    recording: RecordingId,
    sid: RecordingSid,
}

impl Tape {
    pub(super) fn start(shared: &Shared, mix: MixId, sid: RecordingSid, trim: bool) -> Self {
        let (sender, reports) = mpsc::unbounded_channel();
        let session = shared.parts.media.session(sender);
        let recording = RecordingId(shared.endpoint().0);
        session.control(Control::RecordMix {
            recording,
            mix,
            trim,
            path: shared.config.recordings.join(format!("{sid}.wav")),
        });
        Self {
            session,
            reports,
            recording,
            sid,
        }
    }

    pub(super) fn pause(&self, pause: Option<Pause>) {
        self.session.control(EngineControl::PauseRecord {
            recording: self.recording,
            pause: pause.map(pause_of),
        });
    }

    /// The end comes with [`Tape::next`].
    pub(super) fn stop(&self) {
        let recording = self.recording;
        self.session
            .control(EngineControl::StopRecord { recording });
    }

    /// Waits for the end of the recording; for ever, if there is none.
    pub(super) async fn next(tape: &mut Option<Self>) -> RoomInput {
        let Some(tape) = tape else {
            return std::future::pending().await;
        };
        let recording = tape.sid;
        loop {
            match tape.reports.recv().await {
                Some((_, report)) => {
                    if let Some(input) = end_of(recording, report) {
                        return input;
                    }
                }
                // The session holds the other end, so this does not happen.
                None => return std::future::pending().await,
            }
        }
    }
}

/// The end of a recording; `None` if the report is not about that.
fn end_of(recording: RecordingSid, report: Report) -> Option<RoomInput> {
    match report {
        Report::Recorded {
            duration_ms,
            size_bytes,
            ..
        } => Some(RoomInput::Recorded {
            recording,
            duration_ms: i64::try_from(duration_ms).unwrap_or(i64::MAX),
            size_bytes: i64::try_from(size_bytes).unwrap_or(i64::MAX),
        }),
        Report::RecordFailed { reason, .. } => Some(RoomInput::RecordFailed { recording, reason }),
        _ => None,
    }
}
