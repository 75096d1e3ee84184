//! The rules around programs that recognise speech, with small scripts as recognizers.
#![cfg(unix)]

use speech::{CommandRecognizer, ListenError, ListenLimits, ListenRequest, Recognizer, Understood};
use std::fs;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::{self, Sender};

mod support;

/// Understands one word for each block of a tenth of a second, and all of them at the end.
const COUNT: &str = "\
    head -c 1600 > \"$DIR/first\"; echo '{\"partial\": \"one\"}'; \
    head -c 1600 > /dev/null; echo '{\"partial\": \"one two\", \"later\": 1}'; \
    cat > \"$DIR/rest\"; echo; echo '{\"final\": \"one two three\", \"confidence\": 0.75}'; \
    echo '{\"final\": \"never read\"}'";

#[tokio::test]
async fn words_come_as_they_are_understood() {
    let stage = Stage::new(&format!(
        "echo \"$PATCHCORD_LANGUAGE|$PATCHCORD_HINTS|$PATCHCORD_END_SILENCE_MS|$*\" > \"$DIR/told\"; \
         env > \"$DIR/env\"; {COUNT}"
    ));
    let (audio, heard) = mpsc::channel(10);
    let listening = stage.listen(stage.recognizer(ListenLimits::default()), heard);
    for words in 1..=2 {
        audio.send(vec![words; 800]).await.unwrap();
        stage
            .wait_for_partial(usize::try_from(words).unwrap())
            .await;
    }
    audio.send(vec![3; 800]).await.unwrap();
    drop(audio);
    let expected = Understood {
        text: "one two three".to_owned(),
        confidence: Some(0.75),
    };
    assert_eq!(listening.await.unwrap(), Ok(expected));
    assert_eq!(stage.partial(), ["one", "one two"]);
    assert_eq!(stage.read("first"), "\u{1}\0".repeat(800));
    assert_eq!(stage.read("rest"), "\u{3}\0".repeat(800));
    assert_eq!(stage.read("told"), "de-DE|ja,nein doch|1500|--fast\n");
    assert!(
        !stage.read("env").contains("CARGO"),
        "{}",
        stage.read("env")
    );
}

#[tokio::test]
async fn a_result_may_come_before_the_end() {
    // Noise that it took for speech is not a result.
    let stage = Stage::new("echo '{\"final\": \" \"}'; echo '{\"final\": \"yes\"}'; exec sleep 60");
    let (audio, heard) = mpsc::channel(1);
    let understood = stage.listen(stage.recognizer(ListenLimits::default()), heard);
    let understood = understood.await.unwrap().unwrap();
    assert_eq!(
        (understood.text.as_str(), understood.confidence),
        ("yes", None)
    );
    stage.assert_killed().await;
    assert!(audio.is_closed());
}

#[tokio::test]
async fn nothing_may_be_understood() {
    let stage = Stage::new("cat > /dev/null; echo '{\"final\": \"\"}'");
    let (audio, heard) = mpsc::channel(1);
    drop(audio);
    let understood = stage.listen(stage.recognizer(ListenLimits::default()), heard);
    assert_eq!(understood.await.unwrap().unwrap().text, "");
}

#[tokio::test]
async fn failures_are_reported_with_their_reason() {
    let small = ListenLimits {
        thinking: Duration::from_secs(5),
        line_bytes: 100,
        output_bytes: 1_000,
        ..ListenLimits::default()
    };
    let no_json = "wrote a line that is not an expected JSON object";
    let too_slow = "gave no result in time";
    // What the program does, and the error or result.
    let table = [
        ("exit 3", "ended without a result (exit status: 3)"),
        (
            "echo 'no model' >&2; exit 1",
            "ended without a result (exit status: 1): no model",
        ),
        ("echo '{\"error\": \"no German\"}'", "said: no German"),
        ("echo hello", no_json),
        ("echo '[1]'", no_json),
        ("printf '\\377\\n'", no_json),
        ("printf '{\"final\": \"cut'", no_json),
        ("yes | tr -d '\\n'", "wrote a line of more than 100 bytes"),
        ("yes '{\"partial\": \"x\"}'", "wrote more than 1000 bytes"),
        ("cat > /dev/null; exec sleep 60", too_slow),
        ("yes 'a long complaint' >&2", too_slow),
    ];
    for (script, expected) in table {
        let stage = Stage::new(script);
        let (audio, heard) = mpsc::channel(1);
        drop(audio);
        let mut limits = small.clone();
        if expected == too_slow {
            limits.thinking = Duration::from_millis(300);
        }
        let outcome = stage.listen(stage.recognizer(limits), heard).await;
        let Err(ListenError::Failed { detail, .. }) = outcome.unwrap() else {
            panic!("`{script}` did not fail");
        };
        assert_eq!(detail, expected, "{script}");
    }
    let stage = Stage::new("");
    let missing = CommandRecognizer::new("/missing".to_owned(), Vec::new(), small);
    let (_audio, heard) = mpsc::channel(1);
    let outcome = stage.listen(missing, heard).await.unwrap();
    let text = outcome.unwrap_err().to_string();
    assert!(text.starts_with("`missing` cannot be started: "), "{text}");
}

#[tokio::test]
async fn a_program_that_is_not_wanted_is_killed() {
    let stage = Stage::new("exec cat");
    let (_audio, heard) = mpsc::channel(1);
    let listening = stage.listen(stage.recognizer(ListenLimits::default()), heard);
    stage.wait_until_it_runs().await;
    listening.abort();
    stage.assert_killed().await;
}

#[tokio::test]
async fn a_program_that_does_not_read_delays_nothing() {
    let stage = Stage::new("sleep 1; echo '{\"final\": \"late\"}'");
    let (audio, heard) = mpsc::channel(2);
    let listening = stage.listen(stage.recognizer(ListenLimits::default()), heard);
    let dropped = fill(&audio, Duration::from_millis(500)).await;
    assert!(dropped > 0);
    assert_eq!(listening.await.unwrap().unwrap().text, "late");
    // A program that closes its input may still produce a result.
    let stage = Stage::new("exec < /dev/null; sleep 1; echo '{\"final\": \"deaf\"}'");
    let (audio, heard) = mpsc::channel(2);
    let listening = stage.listen(stage.recognizer(ListenLimits::default()), heard);
    fill(&audio, Duration::from_millis(500)).await;
    assert_eq!(listening.await.unwrap().unwrap().text, "deaf");
}

#[tokio::test]
async fn partial_results_of_a_chatty_program_are_limited() {
    let stage = Stage::new(
        "n=0; while [ $n -lt 2000 ]; do n=$((n+1)); echo \"{\\\"partial\\\": \\\"$n\\\"}\"; done; \
         sleep 1; echo '{\"final\": \"enough\"}'",
    );
    let (_audio, heard) = mpsc::channel(1);
    let began = Instant::now();
    let listening = stage.listen(stage.recognizer(ListenLimits::default()), heard);
    assert_eq!(listening.await.unwrap().unwrap().text, "enough");
    let told = stage.partial();
    let most = began.elapsed().as_millis() / 100 + 2;
    assert!(
        told.len() as u128 <= most,
        "{} in {most} tenths",
        told.len()
    );
    assert_eq!(told.last().map(String::as_str), Some("2000"));
}

#[tokio::test]
async fn only_so_many_run_at_once() {
    let stage = Stage::new("exec cat");
    let limits = ListenLimits {
        at_once: 1,
        ..ListenLimits::default()
    };
    let recognizer = Arc::new(stage.recognizer(limits));
    let listen = |recognizer: Arc<CommandRecognizer>| async move {
        let (_audio, heard) = mpsc::channel(1);
        recognizer.listen(request(), heard, Box::new(|_| {})).await
    };
    let first = tokio::spawn(listen(Arc::clone(&recognizer)));
    stage.wait_until_it_runs().await;
    let second = listen(Arc::clone(&recognizer)).await;
    assert_eq!(second, Err(ListenError::Busy { at_once: 1 }));
    first.abort();
    let _ = first.await;
    stage.assert_killed().await;
    fs::remove_file(stage.folder.path().join("pid")).unwrap();
    let third = tokio::spawn(listen(recognizer));
    stage.wait_until_it_runs().await;
    assert!(!third.is_finished());
}

fn request() -> ListenRequest {
    ListenRequest {
        language: "de-DE".to_owned(),
        hints: vec!["ja".to_owned(), "nein doch".to_owned()],
        end_silence: Some(Duration::from_millis(1_500)),
    }
}

/// Sends audio for a while without waiting; counts what did not fit.
async fn fill(audio: &Sender<Vec<i16>>, length: Duration) -> usize {
    let (end, mut dropped) = (Instant::now() + length, 0);
    while Instant::now() < end {
        dropped += usize::from(audio.try_send(vec![0; 8_000]).is_err());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    dropped
}

/// A folder with a program, and the partial results so far.
struct Stage {
    folder: tempfile::TempDir,
    partial: Arc<Mutex<Vec<String>>>,
}

impl Stage {
    /// Another process writes the program: one of ours that is just being started could still hold it
    /// open for writing, and then it cannot be run.
    #[expect(clippy::unwrap_used, reason = "test set-up")]
    fn new(script: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().display();
        let text = format!("#!/bin/sh\nDIR='{dir}'\necho $$ > \"$DIR/pid\"\n{script}\n");
        let status = Command::new("/bin/sh")
            .args(["-c", "printf %s \"$1\" > \"$0\" && chmod 755 \"$0\""])
            .arg(folder.path().join("program"))
            .arg(text)
            .status();
        assert!(status.unwrap().success());
        Self {
            folder,
            partial: Arc::default(),
        }
    }

    fn recognizer(&self, limits: ListenLimits) -> CommandRecognizer {
        let program = self.folder.path().join("program").display().to_string();
        CommandRecognizer::new(program, vec!["--fast".to_owned()], limits)
    }

    fn listen(
        &self,
        recognizer: CommandRecognizer,
        heard: mpsc::Receiver<Vec<i16>>,
    ) -> tokio::task::JoinHandle<Result<Understood, ListenError>> {
        let partial = Arc::clone(&self.partial);
        tokio::spawn(async move {
            let told = Box::new(move |text| partial.lock().expect("no panic").push(text));
            recognizer.listen(request(), heard, told).await
        })
    }

    #[expect(clippy::unwrap_used, reason = "a poisoned lock is a failed test")]
    fn partial(&self) -> Vec<String> {
        self.partial.lock().unwrap().clone()
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.folder.path().join(name)).unwrap_or_default()
    }

    async fn wait_for_partial(&self, count: usize) {
        let deadline = Instant::now() + Duration::from_secs(5);
        while self.partial().len() < count {
            assert!(Instant::now() < deadline, "{:?}", self.partial());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn wait_until_it_runs(&self) {
        let deadline = Instant::now() + Duration::from_secs(5);
        while self.read("pid").trim().is_empty() {
            assert!(Instant::now() < deadline, "the program does not run");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn assert_killed(&self) {
        support::assert_killed(&self.read("pid")).await;
    }
}
