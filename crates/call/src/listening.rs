//! Speech recognition: from the media side through a recognizer to the family.
//!
//! **Invariant: a recognition stops completely once the family ends it**: the media side stops
//! handing out audio, and the recognizer's future is dropped. A slow recognizer loses audio; it
//! delays neither the call nor the media side.

use std::collections::HashMap;
use std::sync::Arc;

use call_proto::{Confidence, Event, Req, SpeechNews};
use media::{Control, EndpointId, EngineControl, RecordingId, Session, Track};
use model::CallSid;
use speech::{ListenError, ListenRequest, Recognizer, Understood};
use tokio::sync::mpsc::{self, Receiver};
use tokio::task::{AbortHandle, JoinSet};
use tracing::warn;

use crate::actor::Input;
use crate::live::Inbox;

/// Maximum audio waiting for a slow recognizer, in tenths of a second: five seconds.
const WAITING: usize = 50;

/// Where a recognition gets its audio, and where its news go.
pub(crate) struct Ends<'a> {
    pub(crate) call: CallSid,
    pub(crate) endpoint: EndpointId,
    pub(crate) track: Track,
    /// A unique name for the audio.
    pub(crate) audio: RecordingId,
    pub(crate) session: &'a Session,
    pub(crate) inbox: &'a Inbox,
}

/// The recognitions of a family.
#[derive(Default)]
pub(crate) struct Listenings(HashMap<Req, Listening>);

struct Listening {
    audio: RecordingId,
    job: AbortHandle,
}

impl Listenings {
    pub(crate) fn begin(
        &mut self,
        recognizer: Option<Arc<dyn Recognizer>>,
        req: Req,
        request: call_proto::ListenRequest,
        ends: &Ends<'_>,
        jobs: &mut JoinSet<()>,
    ) {
        let (call, inbox) = (ends.call, ends.inbox.clone());
        let tell = move |news| {
            // The family may be gone.
            let _ = inbox.send(Input::Event(call, Event::Speech { req, news }));
        };
        let Some(recognizer) = recognizer else {
            return tell(SpeechNews::Unavailable);
        };
        let (sender, heard) = mpsc::channel(WAITING);
        let audio = ends.audio;
        ends.session.control(Control::Listen {
            recording: audio,
            endpoint: ends.endpoint,
            track: ends.track,
            audio: sender,
        });
        let session = ends.session.clone();
        let job = jobs.spawn(async move {
            let news = listen(recognizer, request, heard, tell.clone()).await;
            session.control(EngineControl::StopRecord { recording: audio });
            tell(news);
        });
        self.0.retain(|_, listening| !listening.job.is_finished());
        self.0.insert(req, Listening { audio, job });
    }

    /// No more audio follows: the recognizer returns its result.
    pub(crate) fn end_of_speech(&self, req: Req, session: &Session) {
        if let Some(Listening { audio, .. }) = self.0.get(&req) {
            session.control(EngineControl::StopRecord { recording: *audio });
        }
    }

    /// Stops a recognition.
    pub(crate) fn stop(&mut self, req: Req, session: &Session) {
        if let Some(Listening { audio, job }) = self.0.remove(&req) {
            session.control(EngineControl::StopRecord { recording: audio });
            job.abort();
        }
    }
}

/// Runs the recognizer; returns its last news.
async fn listen(
    recognizer: Arc<dyn Recognizer>,
    request: call_proto::ListenRequest,
    heard: Receiver<Vec<i16>>,
    tell: impl Fn(SpeechNews) + Send + Sync + 'static,
) -> SpeechNews {
    let request = ListenRequest {
        language: request.language,
        hints: request.hints,
        end_silence: request.end_silence,
    };
    let partial = Box::new(move |text| tell(SpeechNews::Partial(text)));
    last_news(recognizer.listen(request, heard, partial).await)
}

fn last_news(outcome: Result<Understood, ListenError>) -> SpeechNews {
    match outcome {
        Ok(Understood { text, confidence }) => SpeechNews::Final {
            text,
            confidence: confidence.map(Confidence::new),
        },
        Err(error) => {
            warn!(%error, "speech was not recognized");
            SpeechNews::Failed {
                reason: error.to_string(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use media::{MediaConfig, MediaPlane};
    use speech::OnPartial;
    use std::time::Duration;
    use tokio::sync::mpsc::UnboundedReceiver;

    /// Reports the number of samples received so far, and at the end, as a text.
    struct Counting;

    #[async_trait::async_trait]
    impl Recognizer for Counting {
        async fn listen(
            &self,
            request: ListenRequest,
            mut audio: Receiver<Vec<i16>>,
            partial: OnPartial,
        ) -> Result<Understood, ListenError> {
            if request.language == "none" {
                return Err(ListenError::Busy { at_once: 7 });
            }
            let mut samples = 0;
            while let Some(block) = audio.recv().await {
                samples += block.len();
                partial(request.language.clone());
            }
            let enough = if samples >= 800 { "heard" } else { "nothing" };
            Ok(Understood {
                text: enough.to_owned(),
                confidence: Some(0.5),
            })
        }
    }

    const ENDPOINT: EndpointId = EndpointId(1);

    /// A family with one endpoint, whose remote party is silent.
    struct Stage {
        session: Session,
        inbox: Inbox,
        inputs: UnboundedReceiver<Input>,
        jobs: JoinSet<()>,
        listenings: Listenings,
    }

    impl Stage {
        fn new() -> Self {
            let plane = MediaPlane::start(MediaConfig {
                workers: 1,
                address: [127, 0, 0, 1].into(),
                ..MediaConfig::default()
            })
            .unwrap();
            let (reports, _) = mpsc::unbounded_channel();
            let session = plane.session(reports);
            session.control(Control::Open {
                endpoint: ENDPOINT,
                offer: None,
                signalling: None,
                proved: true,
                like: None,
            });
            let (inbox, inputs) = mpsc::unbounded_channel();
            Self {
                session,
                inbox,
                inputs,
                jobs: JoinSet::new(),
                listenings: Listenings::default(),
            }
        }

        fn begin(&mut self, recognizer: Option<Arc<dyn Recognizer>>, req: u64, language: &str) {
            let ends = Ends {
                call: CallSid::from_bytes([1; 16]),
                endpoint: ENDPOINT,
                track: Track::Heard,
                audio: RecordingId(req),
                session: &self.session,
                inbox: &self.inbox,
            };
            let request = call_proto::ListenRequest {
                language: language.to_owned(),
                hints: Vec::new(),
                end_silence: None,
            };
            self.listenings
                .begin(recognizer, Req(req), request, &ends, &mut self.jobs);
        }

        async fn news(&mut self) -> (u64, SpeechNews) {
            let input = tokio::time::timeout(Duration::from_secs(5), self.inputs.recv()).await;
            match input {
                Ok(Some(Input::Event(_, Event::Speech { req, news }))) => (req.0, news),
                _ => panic!("no news"),
            }
        }
    }

    #[tokio::test]
    async fn audio_goes_in_and_news_come_out() {
        let mut stage = Stage::new();
        stage.begin(Some(Arc::new(Counting)), 1, "en-US");
        let partial = SpeechNews::Partial("en-US".to_owned());
        assert_eq!(stage.news().await, (1, partial.clone()));
        stage.listenings.end_of_speech(Req(1), &stage.session);
        let last = loop {
            let (_, news) = stage.news().await;
            if news != partial {
                break news;
            }
        };
        let text = "heard".to_owned();
        let confidence = Some(Confidence::new(0.5));
        assert_eq!(last, SpeechNews::Final { text, confidence });
    }

    #[tokio::test]
    async fn who_stops_hears_no_more() {
        let mut stage = Stage::new();
        stage.begin(Some(Arc::new(Counting)), 1, "en-US");
        stage.news().await;
        stage.listenings.stop(Req(1), &stage.session);
        assert!(
            stage
                .jobs
                .join_next()
                .await
                .unwrap()
                .unwrap_err()
                .is_cancelled()
        );
        while stage.inputs.try_recv().is_ok() {}
        // Another one is not disturbed by its remainder.
        stage.begin(Some(Arc::new(Counting)), 2, "de-DE");
        assert_eq!(stage.news().await.0, 2);
        assert_eq!(stage.listenings.0.len(), 1);
    }

    #[tokio::test]
    async fn failures_are_told() {
        let mut stage = Stage::new();
        stage.begin(None, 1, "en-US");
        assert_eq!(stage.news().await, (1, SpeechNews::Unavailable));
        stage.begin(Some(Arc::new(Counting)), 2, "none");
        let reason = "all 7 recognizers are busy".to_owned();
        assert_eq!(stage.news().await, (2, SpeechNews::Failed { reason }));
    }
}
