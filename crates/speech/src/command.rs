//! A recognizer in a child process: audio in through one pipe, lines of JSON out through another.
//!
//! The program gets 16-bit little-endian samples at 8 kHz, one channel, without a header, as they
//! arrive; EOF means the utterance has ended. Its environment says what to listen for. It writes
//! one object per line:
//!
//! | line | meaning |
//! |---|---|
//! | `{"partial": "my num"}` | understood so far; empty: speech was detected |
//! | `{"final": "my number", "confidence": 0.9}` | the result; the last line that is read |
//! | `{"error": "no model for de-DE"}` | it gives up |
//!
//! **Invariant: a program never outlives the recognition it was started for, and stays within the
//! [`ListenLimits`] whatever it writes.** No shell is involved, and it sees only the environment
//! variables it needs. Audio that it is too slow to read waits in the channel, which the sender
//! bounds.

use crate::recognizer::{ListenError, ListenRequest, OnPartial, Recognizer, Understood};
use serde::Deserialize;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::sync::Semaphore;
use tokio::sync::mpsc::Receiver;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tracing::debug;

/// Partial results come at most this often; the newest one wins.
const PACE: Duration = Duration::from_millis(100);
/// Maximum bytes of its standard error that are reported.
const COMPLAINT: usize = 200;
/// How long to wait for an ended program to exit.
const GONE: Duration = Duration::from_secs(1);

/// Resource limits of a recognizer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenLimits {
    /// Maximum programs running at the same time.
    pub at_once: usize,
    /// How long it may keep working after the end of its input.
    pub thinking: Duration,
    /// Longest line, in bytes.
    pub line_bytes: usize,
    /// Maximum bytes that it may write.
    pub output_bytes: usize,
}

impl Default for ListenLimits {
    /// 32 programs, 10 s, 16 KiB, 4 MiB.
    fn default() -> Self {
        Self {
            at_once: 32,
            thinking: Duration::from_secs(10),
            line_bytes: 16 * 1024,
            output_bytes: 4 * 1024 * 1024,
        }
    }
}

/// Starts a program for each recognition.
#[derive(Debug)]
pub struct CommandRecognizer {
    program: String,
    arguments: Vec<String>,
    limits: ListenLimits,
    slots: Semaphore,
}

impl CommandRecognizer {
    /// A program with its arguments; a name without a slash is looked up in `$PATH`.
    #[must_use]
    pub fn new(program: String, arguments: Vec<String>, limits: ListenLimits) -> Self {
        Self {
            slots: Semaphore::new(limits.at_once),
            program,
            arguments,
            limits,
        }
    }

    fn command(&self, request: &ListenRequest) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .env_clear()
            .env("PATCHCORD_LANGUAGE", &request.language)
            .env("PATCHCORD_HINTS", request.hints.join(","))
            .kill_on_drop(true)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        for name in ["PATH", "HOME"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        if let Some(silence) = request.end_silence {
            let milliseconds = silence.as_millis().to_string();
            command.env("PATCHCORD_END_SILENCE_MS", milliseconds);
        }
        command
    }

    /// Where the program is installed does not belong in an error that users read.
    fn failed(&self, detail: String) -> ListenError {
        let program = self.program.rsplit('/').next().unwrap_or_default();
        ListenError::Failed {
            program: program.to_owned(),
            detail,
        }
    }
}

#[async_trait::async_trait]
impl Recognizer for CommandRecognizer {
    async fn listen(
        &self,
        request: ListenRequest,
        audio: Receiver<Vec<i16>>,
        partial: OnPartial,
    ) -> Result<Understood, ListenError> {
        let at_once = self.limits.at_once;
        let busy = |_| ListenError::Busy { at_once };
        let _slot = self.slots.try_acquire().map_err(busy)?;
        let started = self.command(&request).spawn();
        let mut child =
            started.map_err(|error| self.failed(format!("cannot be started: {error}")))?;
        debug!(
            program = self.program,
            language = request.language,
            "listening"
        );
        let (Some(stdin), Some(stdout), Some(stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(self.failed("has no pipes".to_owned()));
        };
        let mut complaint = Complaint {
            pipe: stderr,
            text: Vec::new(),
        };
        let over = AtomicBool::new(false);
        let mut reader = Reader::new(stdout, &self.limits, &over);
        let outcome = tokio::select! {
            outcome = reader.read(&partial) => outcome,
            () = feed(stdin, audio, &over, self.limits.thinking) => {
                Err("gave no result in time".to_owned())
            }
            never = complaint.collect_for_ever() => match never {},
        };
        match outcome {
            Ok(Some(understood)) => Ok(understood),
            Ok(None) => Err(self.failed(complaint.of_ended(&mut child).await)),
            Err(detail) => Err(self.failed(detail)),
        }
    }
}

/// Writes the audio to the program, then waits for its thinking time.
async fn feed(
    mut stdin: ChildStdin,
    mut audio: Receiver<Vec<i16>>,
    over: &AtomicBool,
    thinking: Duration,
) {
    let mut bytes = Vec::new();
    while let Some(samples) = audio.recv().await {
        bytes.clear();
        bytes.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
        // A program that has stopped reading may still have a result.
        if stdin.write_all(&bytes).await.is_err() {
            while audio.recv().await.is_some() {}
        }
    }
    over.store(true, Ordering::Relaxed);
    drop(stdin);
    sleep(thinking).await;
}

/// A line written by the program.
#[derive(Deserialize)]
struct Line {
    partial: Option<String>,
    #[serde(rename = "final")]
    result: Option<String>,
    confidence: Option<f64>,
    error: Option<String>,
}

/// Reads the program's output.
struct Reader<'a> {
    stdout: BufReader<ChildStdout>,
    limits: &'a ListenLimits,
    /// The audio has ended.
    over: &'a AtomicBool,
    line: Vec<u8>,
    read: usize,
    /// The last partial result reported, and when the next may be.
    told: Option<String>,
    may_tell: Instant,
    to_tell: Option<String>,
}

impl<'a> Reader<'a> {
    fn new(stdout: ChildStdout, limits: &'a ListenLimits, over: &'a AtomicBool) -> Self {
        Self {
            stdout: BufReader::new(stdout),
            limits,
            over,
            line: Vec::new(),
            read: 0,
            told: None,
            may_tell: Instant::now(),
            to_tell: None,
        }
    }

    /// Reports partial results until the final one arrives; `None`: the program ended without one.
    async fn read(&mut self, partial: &OnPartial) -> Result<Option<Understood>, String> {
        loop {
            let may_tell = self.may_tell;
            let waits = self.to_tell.is_some();
            let more = tokio::select! {
                more = self.next_line() => more?,
                () = sleep_until(may_tell), if waits => {
                    self.tell(partial);
                    continue;
                }
            };
            if !more {
                return Ok(None);
            }
            let line = std::mem::take(&mut self.line);
            if let Some(understood) = self.take(&line)? {
                return Ok(Some(understood));
            }
        }
    }

    /// Completes `line`; false at the end of the output. May be cancelled and called again.
    async fn next_line(&mut self) -> Result<bool, String> {
        let longest = self.limits.line_bytes;
        // One byte over the limit, to detect that there is too much.
        let room = (longest + 1).saturating_sub(self.line.len()) as u64;
        let before = self.line.len();
        let mut limited = (&mut self.stdout).take(room);
        let read = limited.read_until(b'\n', &mut self.line).await;
        read.map_err(|error| format!("cannot be read: {error}"))?;
        self.read += self.line.len() - before;
        if self.line.len() > longest {
            return Err(format!("wrote a line of more than {longest} bytes"));
        }
        if self.read > self.limits.output_bytes {
            return Err(format!(
                "wrote more than {} bytes",
                self.limits.output_bytes
            ));
        }
        Ok(!self.line.is_empty())
    }

    fn take(&mut self, line: &[u8]) -> Result<Option<Understood>, String> {
        if line.trim_ascii().is_empty() {
            return Ok(None);
        }
        // The line may contain what a person said, which must not be logged.
        let line: Line = serde_json::from_slice(line)
            .map_err(|_| "wrote a line that is not an expected JSON object".to_owned())?;
        if let Some(error) = line.error {
            let said: String = error.chars().take(COMPLAINT).collect();
            return Err(format!("said: {said}"));
        }
        match (line.result, line.partial) {
            // It took some noise for speech: let it continue.
            (Some(text), _) if text.trim().is_empty() && !self.over.load(Ordering::Relaxed) => {}
            (Some(text), _) => {
                return Ok(Some(Understood {
                    text,
                    confidence: line.confidence.filter(|number| number.is_finite()),
                }));
            }
            (None, partial) => self.to_tell = partial.or(self.to_tell.take()),
        }
        Ok(None)
    }

    fn tell(&mut self, partial: &OnPartial) {
        let Some(text) = self.to_tell.take() else {
            return;
        };
        if self.told.as_ref() != Some(&text) {
            self.may_tell = Instant::now() + PACE;
            self.told = Some(text.clone());
            partial(text);
        }
    }
}

/// What the program writes to standard error.
struct Complaint {
    pipe: ChildStderr,
    text: Vec<u8>,
}

impl Complaint {
    /// Reads to the end, keeping only the beginning.
    async fn collect(&mut self) {
        let mut bytes = [0; 1024];
        while let Ok(count @ 1..) = self.pipe.read(&mut bytes).await {
            let room = COMPLAINT.saturating_sub(self.text.len());
            self.text.extend(bytes.iter().take(count.min(room)));
        }
    }

    async fn collect_for_ever(&mut self) -> std::convert::Infallible {
        self.collect().await;
        std::future::pending().await
    }

    /// Why a program ended without a result.
    async fn of_ended(mut self, child: &mut Child) -> String {
        let _ = timeout(GONE, self.collect()).await;
        let status = match timeout(GONE, child.wait()).await {
            Ok(Ok(status)) => format!(" ({status})"),
            Ok(Err(_)) | Err(_) => String::new(),
        };
        let said = printable(&self.text);
        let said = said.lines().next().unwrap_or_default();
        if said.is_empty() {
            format!("ended without a result{status}")
        } else {
            format!("ended without a result{status}: {said}")
        }
    }
}

/// A text without control characters except line ends.
fn printable(bytes: &[u8]) -> String {
    let plain = |c: char| if c.is_control() && c != '\n' { ' ' } else { c };
    let text: String = String::from_utf8_lossy(bytes).chars().map(plain).collect();
    text.trim().to_owned()
}
