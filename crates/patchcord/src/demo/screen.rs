//! What the demo prints on standard output: steps while it works, then the ladder.

use std::io::{Write as _, stdout};
use std::time::Instant;

/// The demo's output.
pub(super) struct Screen {
    start: Instant,
}

impl Screen {
    pub(super) fn new() -> Self {
        Self {
            start: Instant::now(),
        }
    }

    /// One line about what is going on.
    pub(super) fn step(&self, text: &str) {
        self.print(&format!(
            "{:6.1} s  {text}\n",
            self.start.elapsed().as_secs_f64()
        ));
    }

    pub(super) fn print(&self, text: &str) {
        let mut out = stdout();
        // If the pipe is closed there is no reader left.
        let _closed = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }
}
