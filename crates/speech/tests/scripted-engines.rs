//! The rules around the engines, with small scripts as engines.
#![cfg(unix)]

use speech::{
    EmbeddedSpeech, Engine, Limits, Manner, SpeakRequest, SpeechError, Synthesizer, Voice,
};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

mod support;

/// Logs a line, keeps the text, and copies a prepared sound to the file named last.
const TALK: &str = "cat > \"$DIR/text\"; echo \"$0 $*\" >> \"$DIR/log\"; \
    for out; do :; done; cp \"$DIR/sound.wav\" \"$out\"";

#[tokio::test]
async fn speaks_once_then_from_the_cache() {
    let stage = Stage::new();
    stage.engine("flite", TALK);
    let speech = stage.speech(Limits::default());
    let first = speech.speak(request("Hello", "en")).await.unwrap();
    // The tone of 800, and 160 samples of the silence on either side.
    assert!((1110..=1120).contains(&first.len()), "{}", first.len());
    assert_eq!(
        speech.speak(request("  Hello\n", "en-US")).await.unwrap(),
        first
    );
    assert_eq!(stage.runs(), 1);
    assert_eq!(stage.text(), "Hello");
    speech.speak(request("Hello again", "en")).await.unwrap();
    let man = SpeakRequest {
        voice: Voice::Man,
        ..request("Hello", "en")
    };
    speech.speak(man).await.unwrap();
    assert_eq!(stage.runs(), 3);
    let restarted = stage.speech(Limits::default());
    assert_eq!(
        restarted.speak(request("Hello", "en")).await.unwrap(),
        first
    );
    assert_eq!(stage.runs(), 3);
}

#[tokio::test]
async fn equal_requests_share_one_run() {
    let stage = Stage::new();
    stage.engine("flite", &format!("sleep 0.3; {TALK}"));
    let speech = stage.speech(Limits::default());
    let all = (0..20).map(|_| {
        let speech = speech.clone();
        tokio::spawn(async move { speech.speak(request("Hello", "en")).await })
    });
    for one in all.collect::<Vec<_>>() {
        assert!(!one.await.unwrap().unwrap().is_empty());
    }
    assert_eq!(stage.runs(), 1);
}

#[tokio::test]
async fn the_first_of_equal_requests_may_leave() {
    let stage = Stage::new();
    stage.engine("flite", &format!("sleep 0.5; {TALK}"));
    let speech = stage.speech(Limits::default());
    let second = {
        let first = speech.speak(request("Hello", "en"));
        let gone = tokio::time::timeout(Duration::from_millis(100), first);
        let second = speech.speak(request("Hello", "en"));
        let (gone, second) = tokio::join!(gone, second);
        assert!(gone.is_err());
        second
    };
    assert!(second.is_ok());
    assert_eq!(stage.runs(), 1);
}

#[tokio::test]
async fn slow_engines_are_killed() {
    let stage = Stage::new();
    stage.engine("flite", "echo $$ > \"$DIR/pid\"; exec sleep 60");
    let limit = Duration::from_millis(300);
    let speech = stage.speech(Limits {
        timeout: limit,
        ..Limits::default()
    });
    let error = speech.speak(request("Hello", "en")).await.unwrap_err();
    assert_eq!(
        error,
        SpeechError::TimedOut {
            engine: "flite",
            limit
        }
    );
    stage.assert_killed().await;
}

#[tokio::test]
async fn unwanted_engines_are_killed() {
    let stage = Stage::new();
    stage.engine("flite", "echo $$ > \"$DIR/pid\"; exec sleep 60");
    let speech = stage.speech(Limits::default());
    let wait = Duration::from_millis(300);
    assert!(
        tokio::time::timeout(wait, speech.speak(request("Hello", "en")))
            .await
            .is_err()
    );
    stage.assert_killed().await;
}

#[tokio::test]
async fn engines_run_only_so_many_at_once() {
    let stage = Stage::new();
    stage.engine("flite", "sleep 1");
    let timeout = Duration::from_millis(200);
    let speech = stage.speech(Limits {
        at_once: 1,
        timeout,
        ..Limits::default()
    });
    let (one, two) = tokio::join!(
        speech.speak(request("one", "en")),
        speech.speak(request("two", "en"))
    );
    assert_eq!(
        one,
        Err(SpeechError::TimedOut {
            engine: "flite",
            limit: timeout
        })
    );
    // The slot is freed the moment the second request gives up, so it may still get it.
    assert!(two == Err(SpeechError::Busy) || two == one, "{two:?}");
}

#[tokio::test]
async fn engines_by_language_and_what_is_installed() {
    // Installed, language, text, engine and voice expected.
    let table: &[(&[&str], &str, &str, &str)] = &[
        (&["flite", "espeak-ng"], "en", "Hello", "flite -voice slt"),
        (
            &["flite", "espeak-ng"],
            "en",
            "It\u{2019}s",
            "flite -voice slt",
        ),
        (
            &["flite", "espeak-ng"],
            "en",
            "Caf\u{e9}",
            "espeak-ng --stdin -b 1 -v en-us+f3",
        ),
        (&["flite"], "en", "Caf\u{e9}", "flite -voice slt"),
        (
            &["flite", "espeak-ng"],
            "en-gb",
            "Hello",
            "espeak-ng --stdin -b 1 -v en-gb+f3",
        ),
        (
            &["espeak-ng"],
            "en",
            "Hello",
            "espeak-ng --stdin -b 1 -v en-us+f3",
        ),
        (
            &["flite", "espeak-ng"],
            "cf",
            "Bonjour",
            "espeak-ng --stdin -b 1 -v fr-fr+f3",
        ),
    ];
    for (installed, language, text, expected) in table {
        let stage = Stage::new();
        for name in *installed {
            stage.engine(name, TALK);
        }
        stage
            .speech(Limits::default())
            .speak(request(text, language))
            .await
            .unwrap();
        let log = stage.log();
        assert!(
            log.contains(&format!("/{expected} ")),
            "{installed:?} {language} {text}: {log}"
        );
    }
}

#[tokio::test]
async fn missing_engines_say_what_to_install() {
    let stage = Stage::new();
    let speech = stage.speech(Limits::default());
    assert!(
        speech
            .available()
            .iter()
            .all(|status| status.path.is_none())
    );
    let english = speech
        .speak(request("Hello", "en"))
        .await
        .unwrap_err()
        .to_string();
    assert!(english.contains("apt install flite") && english.contains("apt install espeak-ng"));
    stage.engine("flite", TALK);
    let french = speech
        .speak(request("Bonjour", "fr"))
        .await
        .unwrap_err()
        .to_string();
    assert_eq!(
        french,
        "no speech engine for `fr` is installed: install the package `espeak-ng` (Debian: `apt \
         install espeak-ng`)"
    );
    assert!(
        speech.speak(request("Hello", "en")).await.is_ok(),
        "installed while we run"
    );
    let installed: Vec<Engine> = speech
        .available()
        .into_iter()
        .filter(|status| status.path.is_some())
        .map(|status| status.engine)
        .collect();
    assert_eq!(installed, [Engine::Flite]);
}

#[tokio::test]
async fn substitutions_are_reported() {
    let stage = Stage::new();
    stage.engine("espeak-ng", TALK);
    let speech = stage.speech(Limits::default());
    let table = [
        ("fr", None),
        ("en-gb", None),
        (
            "en",
            Some("`flite` is not installed; `espeak-ng` is used for American English"),
        ),
        (
            "cf",
            Some("language `cf` is not available; French (France) is used"),
        ),
        (
            "tlh",
            Some("language `tlh` is not available; American English is used"),
        ),
    ];
    for (language, expected) in table {
        let told = speech.substitution(language, Voice::Man);
        assert_eq!(told.as_deref(), expected, "{language}");
    }
}

#[tokio::test]
async fn odd_texts_and_engine_failures() {
    let stage = Stage::new();
    stage.engine("flite", "cat > /dev/null; echo 'no such voice' >&2; exit 3");
    stage.engine("espeak-ng", "cat > /dev/null; exit 0");
    let speech = stage.speech(Limits {
        text_chars: 10,
        ..Limits::default()
    });
    let table = [
        ("", "en", Ok(0)),
        (" \n\t ", "en", Ok(0)),
        (
            "Hello you all",
            "en",
            Err("text of 13 characters is over the limit of 10"),
        ),
        (
            "Hello",
            "en",
            Err("`flite` failed: exit status: 3: no such voice"),
        ),
        (
            "Hello",
            "fr",
            Err("`espeak-ng` failed: not a WAV, MP3 or Ogg Vorbis file"),
        ),
    ];
    for (text, language, expected) in table {
        let outcome = speech.speak(request(text, language)).await;
        let outcome = outcome
            .map(|samples| samples.len())
            .map_err(|error| error.to_string());
        assert_eq!(
            outcome,
            expected.map_err(str::to_owned),
            "{text:?} {language}"
        );
    }
    fs::write(
        stage.dir().join("sound.wav"),
        audio::wav::encode(&[0; 8000]),
    )
    .unwrap();
    stage.engine("flite", TALK);
    let silent = speech
        .speak(request("Hello", "en"))
        .await
        .unwrap_err()
        .to_string();
    assert_eq!(silent, "`flite` failed: made no sound");
    assert_eq!(speech.speak(request("...", "en")).await.unwrap().len(), 0);
    assert!(
        !fs::read_dir(stage.dir().join("cache"))
            .unwrap()
            .any(|file| {
                file.unwrap()
                    .file_name()
                    .to_string_lossy()
                    .starts_with("tmp-")
            })
    );
}

#[tokio::test]
async fn text_cannot_reach_the_command_line_or_phoneme_codes() {
    let stage = Stage::new();
    stage.engine("flite", TALK);
    stage
        .speech(Limits::default())
        .speak(request("--help $(x) [[a]]", "en"))
        .await
        .unwrap();
    assert_eq!(stage.text(), "--help $(x) [ [a] ]");
    assert!(!stage.log().contains("--help"));
}

/// A folder with scripts for engines, the sound they produce, and a cache.
struct Stage(tempfile::TempDir);

impl Stage {
    #[expect(clippy::unwrap_used, reason = "test set-up")]
    fn new() -> Self {
        let stage = Self(tempfile::tempdir().unwrap());
        fs::create_dir(stage.dir().join("bin")).unwrap();
        let tone = audio::tone::Tone::new(1000.0, -10.0).samples(100);
        let sound = [vec![0; 4000], tone, vec![0; 160]].concat();
        fs::write(stage.dir().join("sound.wav"), audio::wav::encode(&sound)).unwrap();
        stage
    }

    fn dir(&self) -> &Path {
        self.0.path()
    }

    /// Another process writes the file: one of ours that is just being started could still hold
    /// it open for writing, and then it cannot be run.
    #[expect(clippy::unwrap_used, reason = "test set-up")]
    fn engine(&self, name: &str, script: &str) {
        let path = self.dir().join("bin").join(name);
        let text = format!("#!/bin/sh\nDIR='{}'\n{script}\n", self.dir().display());
        let status = Command::new("/bin/sh")
            .args(["-c", "printf %s \"$1\" > \"$0\" && chmod 755 \"$0\""])
            .arg(path)
            .arg(text)
            .status();
        assert!(status.unwrap().success());
    }

    #[expect(clippy::unwrap_used, reason = "test set-up")]
    fn speech(&self, limits: Limits) -> EmbeddedSpeech {
        let bin = self.dir().join("bin").into_os_string();
        EmbeddedSpeech::with_search_path(self.dir().join("cache"), limits, bin).unwrap()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir().join("log")).unwrap_or_default()
    }

    fn runs(&self) -> usize {
        self.log().lines().count()
    }

    fn text(&self) -> String {
        fs::read_to_string(self.dir().join("text")).unwrap_or_default()
    }

    async fn assert_killed(&self) {
        let pid = fs::read_to_string(self.dir().join("pid")).unwrap_or_default();
        support::assert_killed(&pid).await;
    }
}

fn request(text: &str, language: &str) -> SpeakRequest {
    SpeakRequest {
        text: text.to_owned(),
        language: language.to_owned(),
        voice: Voice::Woman,
        manner: Manner::default(),
    }
}
