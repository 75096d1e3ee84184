//! What the demo prints on standard output: steps while it works, then the picture.

use std::io::{Write as _, stdout};
use std::time::Instant;

/// Where the demo prints.
pub(super) struct Screen {
    start: Instant,
    colours: bool,
}

impl Screen {
    pub(super) fn new() -> Self {
        Self {
            start: Instant::now(),
            colours: crate::colours(&stdout()),
        }
    }

    /// Whether colours are of use.
    pub(super) fn colours(&self) -> bool {
        self.colours
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
        // Nobody is left to read if the pipe is closed.
        let _closed = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }
}
