//! Finds and runs the speech engines.
//!
//! Text goes in through a pipe, sound comes out in a file (flite hangs when it writes to a pipe);
//! no shell is involved and the child sees only the environment it needs. **Invariant: a child
//! never outlives its future**: it is killed on timeout and when its last caller is gone.

use crate::language::Language;
use crate::{Manner, SpeechError, Voice};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// A speech engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Engine {
    /// Flite: American English.
    Flite,
    /// eSpeak NG: many languages.
    Espeak,
}

/// Whether a program is installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineStatus {
    /// The engine.
    pub engine: Engine,
    /// Its path; `None`: not installed.
    pub path: Option<PathBuf>,
}

impl Engine {
    /// All engines.
    pub const ALL: [Self; 2] = [Self::Flite, Self::Espeak];

    /// Name of the executable.
    pub fn program(self) -> &'static str {
        match self {
            Self::Flite => "flite",
            Self::Espeak => "espeak-ng",
        }
    }

    /// How to install it.
    pub fn install(self) -> &'static str {
        match self {
            Self::Flite => "install the package `flite` (Debian: `apt install flite`)",
            Self::Espeak => "install the package `espeak-ng` (Debian: `apt install espeak-ng`)",
        }
    }

    /// Name of the voice for a language.
    pub(crate) fn voice(self, language: Language, voice: Voice) -> String {
        match (self, voice) {
            (Self::Flite, Voice::Man) => "rms".to_owned(),
            (Self::Flite, Voice::Woman) => "slt".to_owned(),
            (Self::Espeak, Voice::Man) => format!("{}+m3", language.espeak),
            (Self::Espeak, Voice::Woman) => format!("{}+f3", language.espeak),
        }
    }

    /// Speaks `text` into the file `out`, as WAV.
    pub(crate) async fn run(
        self,
        program: &Path,
        (voice, manner): (&str, Manner),
        text: &str,
        out: &Path,
        limit: Duration,
    ) -> Result<(), SpeechError> {
        let running = feed(self.command(program, voice, manner, out), text);
        let finished = tokio::time::timeout(limit, running).await;
        let output = finished
            .map_err(|_| SpeechError::TimedOut {
                engine: self.program(),
                limit,
            })?
            .map_err(|error| self.failed(error.to_string()))?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let said: String = said
            .lines()
            .next()
            .unwrap_or_default()
            .chars()
            .take(200)
            .collect();
        Err(self.failed(format!("{}: {said}", output.status)))
    }

    pub(crate) fn failed(self, detail: impl Into<String>) -> SpeechError {
        SpeechError::Failed {
            engine: self.program(),
            detail: detail.into(),
        }
    }

    /// Pace and pitch as the engine takes them; nothing for those of the voice itself.
    fn manner(self, manner: Manner) -> Vec<String> {
        let Manner { pace, pitch, .. } = manner;
        let mut arguments = Vec::new();
        let mut add = |name: &str, value: String| arguments.extend([name.to_owned(), value]);
        match self {
            Self::Flite => {
                if pace != 100 {
                    let stretch = 100.0 / f64::from(pace.max(1));
                    add("--setf", format!("duration_stretch={stretch:.3}"));
                }
                if pitch != 100 {
                    let shift = f64::from(pitch) / 100.0;
                    add("--setf", format!("f0_shift={shift:.3}"));
                }
            }
            Self::Espeak => {
                if pace != 100 {
                    // Words per minute; its own pace is 175, its slowest 80.
                    add("-s", (u32::from(pace) * 175 / 100).max(80).to_string());
                }
                if pitch != 100 {
                    // From 0 to 99; 50 is the pitch of the voice.
                    add("-p", (u32::from(pitch) / 2).min(99).to_string());
                }
            }
        }
        arguments
    }

    fn command(self, program: &Path, voice: &str, manner: Manner, out: &Path) -> Command {
        let mut command = Command::new(program);
        command.args(self.manner(manner));
        match self {
            Self::Flite => command.args(["-voice", voice, "-f", "/dev/stdin", "-o"]),
            // `-b 1`: the text is UTF-8.
            Self::Espeak => command.args(["--stdin", "-b", "1", "-v", voice, "-w"]),
        };
        command.arg(out).env_clear().kill_on_drop(true);
        for name in ["PATH", "HOME", "ESPEAK_DATA_PATH"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        command
    }
}

/// Runs a program with `text` as its input.
async fn feed(mut command: Command, text: &str) -> std::io::Result<Output> {
    let mut child = command.spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // The exit status of a program that ends early says more than the broken pipe.
        let _ = stdin.write_all(text.as_bytes()).await;
    }
    child.wait_with_output().await
}

/// Finds the programs in the folders of a search path such as `$PATH`.
#[derive(Debug, Clone)]
pub(crate) struct Finder {
    search_path: OsString,
}

impl Finder {
    pub(crate) fn new(search_path: OsString) -> Self {
        Self { search_path }
    }

    /// Path of a program. Looked up each time, so that installing it needs no restart.
    pub(crate) fn find(&self, engine: Engine) -> Option<PathBuf> {
        std::env::split_paths(&self.search_path)
            .map(|folder| folder.join(engine.program()))
            .find(|path| path.is_file())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language;

    #[test]
    fn voices_by_language() {
        let (english, french) = (language::find("en").language, language::find("fr").language);
        let table = [
            (Engine::Flite, english, Voice::Man, "rms"),
            (Engine::Flite, english, Voice::Woman, "slt"),
            (Engine::Espeak, french, Voice::Man, "fr-fr+m3"),
            (Engine::Espeak, english, Voice::Woman, "en-us+f3"),
        ];
        for (engine, language, voice, expected) in table {
            assert_eq!(engine.voice(language, voice), expected);
        }
    }

    #[test]
    fn nothing_is_found_on_an_empty_path() {
        let finder = Finder::new(OsString::from("/nonexistent"));
        assert_eq!(finder.find(Engine::Flite), None);
    }
}
