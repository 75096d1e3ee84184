//! The statements with which the store reads, as its trace events show them.
//!
//! **Invariant: only what the current thread reads is collected**: the test must await the store itself, or run on a runtime
//! of one thread.

use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::{DefaultGuard, set_default};
use tracing::{Event, Metadata, Subscriber};

/// Collects statements until it is dropped.
pub struct Statements {
    texts: Texts,
    _guard: DefaultGuard,
}

#[derive(Clone, Default)]
struct Texts(Arc<Mutex<Vec<String>>>);

impl Statements {
    /// Starts to collect.
    #[must_use]
    pub fn collect() -> Self {
        let texts = Texts::default();
        Self {
            _guard: set_default(texts.clone()),
            texts,
        }
    }

    /// The statements since the last call, in order.
    #[must_use]
    pub fn take(&self) -> Vec<String> {
        let mut texts = self.texts.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut texts)
    }
}

impl Subscriber for Texts {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("store")
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        event.record(&mut self.clone());
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

impl Visit for Texts {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "statement" {
            let mut texts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            texts.push(value.to_owned());
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn Debug) {}
}
