//! Passes audio received from an endpoint to its listener.
//!
//! **Invariant: a slow or departed listener delays nothing**: audio that does not fit into its
//! channel is dropped and counted. Left to others: choosing the endpoint, and using the samples.

use crate::plane::Gauges;
use crate::tap::Tap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::sync::mpsc::Sender;
use tokio::sync::mpsc::error::TrySendError;

/// Samples handed over at a time: a tenth of a second.
const BLOCK: usize = 800;

/// A listener of an endpoint.
#[derive(Debug)]
pub(crate) enum Ear {
    /// A recognizer, which takes large pieces.
    Listener(Listener),
    /// A stream, which takes frames.
    Stream(Box<Tap>),
}

impl Ear {
    pub(crate) fn hear(&mut self, samples: &[i16]) {
        match self {
            Self::Listener(listener) => listener.hear(samples),
            Self::Stream(tap) => tap.hear(samples),
        }
    }

    /// It ends.
    pub(crate) fn finish(self) {
        match self {
            Self::Listener(listener) => listener.finish(),
            // A frame that is not full is not handed out.
            Self::Stream(_) => {}
        }
    }
}

/// One listener of an endpoint.
#[derive(Debug)]
pub(crate) struct Listener {
    audio: Sender<Vec<i16>>,
    samples: Vec<i16>,
    gauges: Arc<Gauges>,
}

impl Listener {
    pub(crate) fn new(audio: Sender<Vec<i16>>, gauges: Arc<Gauges>) -> Self {
        Self {
            audio,
            samples: Vec::with_capacity(BLOCK),
            gauges,
        }
    }

    fn hear(&mut self, samples: &[i16]) {
        self.samples.extend_from_slice(samples);
        if self.samples.len() >= BLOCK {
            self.flush();
        }
    }

    /// Hands over the remainder.
    fn finish(mut self) {
        if !self.samples.is_empty() {
            self.flush();
        }
    }

    fn flush(&mut self) {
        let samples = std::mem::replace(&mut self.samples, Vec::with_capacity(BLOCK));
        match self.audio.try_send(samples) {
            // A listener that is gone needs nothing more; this does not count as loss.
            Ok(()) | Err(TrySendError::Closed(_)) => {}
            Err(TrySendError::Full(_)) => {
                self.gauges.unheard.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::mpsc;

    #[test]
    fn a_slow_listener_loses_audio() {
        let (audio, mut heard) = mpsc::channel(2);
        let gauges = Arc::<Gauges>::default();
        let mut ear = Listener::new(audio, Arc::clone(&gauges));
        for frame in 0..22 {
            ear.hear(&[frame; 160]);
        }
        assert_eq!(gauges.unheard.load(Ordering::Relaxed), 2);
        assert_eq!(
            heard.try_recv().unwrap()[..320],
            [[0; 160], [1; 160]].concat()
        );
        assert_eq!(heard.try_recv().unwrap()[0], 5);
        ear.finish();
        // The rest: two frames.
        assert_eq!(heard.try_recv().unwrap(), [[20; 160], [21; 160]].concat());
        assert!(heard.try_recv().is_err() && heard.is_closed());
    }
}
