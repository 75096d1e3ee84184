//! The real engines, where they are installed.

use audio::answerer::{Detector, FRAME, Heard, Timing};
use speech::{EmbeddedSpeech, Engine, Limits, Manner, SpeakRequest, Synthesizer, Voice, language};

#[tokio::test]
async fn installed_engines_speak() {
    let cache = tempfile::tempdir().unwrap();
    let speech = EmbeddedSpeech::new(cache.path(), Limits::default()).unwrap();
    let installed = |engine: Engine| {
        speech
            .available()
            .iter()
            .any(|status| status.engine == engine && status.path.is_some())
    };
    let texts = [
        ("en", "Hello. You have two new messages."),
        ("de", "Guten Tag, zwei Anrufe."),
    ];
    for (language, text) in texts {
        let engine = if language == "en" {
            Engine::Flite
        } else {
            Engine::Espeak
        };
        if !installed(engine) {
            eprintln!("skipped: {} is not installed", engine.program());
            continue;
        }
        for voice in [Voice::Man, Voice::Woman] {
            let (text, language) = (text.to_owned(), language.to_owned());
            let samples = speech
                .speak(SpeakRequest {
                    text,
                    language,
                    voice,
                    manner: Manner::default(),
                })
                .await
                .unwrap();
            let seconds = samples.len() as f64 / 8000.0;
            assert!((1.0..6.0).contains(&seconds), "{voice:?}: {seconds} s");
            let level = audio::measure::rms_dbfs(&samples);
            assert!((-35.0..-8.0).contains(&level), "{voice:?}: {level} dBFS");
        }
    }
}

#[tokio::test]
async fn every_documented_language_is_spoken() {
    let cache = tempfile::tempdir().unwrap();
    let speech = EmbeddedSpeech::new(cache.path(), Limits::default()).unwrap();
    if speech
        .available()
        .iter()
        .any(|status| status.path.is_none())
    {
        eprintln!("skipped: not all engines are installed");
        return;
    }
    for code in language::CODES {
        let (text, language) = ("1 2 3".to_owned(), code.to_owned());
        let request = SpeakRequest {
            text,
            language,
            voice: Voice::Woman,
            manner: Manner::default(),
        };
        let samples = speech.speak(request).await.unwrap_or_default();
        assert!(samples.len() > 4000, "{code}: {} samples", samples.len());
    }
}

/// Seconds, and level in dBFS.
async fn measured(speech: &EmbeddedSpeech, language: &str, manner: Manner) -> (f64, f64) {
    let request = SpeakRequest {
        text: "Good morning to all of you".to_owned(),
        language: language.to_owned(),
        voice: Voice::Woman,
        manner,
    };
    let samples = speech.speak(request).await.unwrap_or_default();
    let seconds = samples.len() as f64 / f64::from(audio::RATE);
    (seconds, audio::measure::rms_dbfs(&samples))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_manner_changes_pace_and_loudness() {
    let folder = tempfile::tempdir().unwrap();
    let speech = EmbeddedSpeech::new(folder.path(), Limits::default()).unwrap();
    for language in ["en", "de"] {
        let plain = Manner::default();
        let (length, level) = measured(&speech, language, plain).await;
        let slow = Manner { pace: 50, ..plain };
        let (slow, _) = measured(&speech, language, slow).await;
        assert!(
            (1.5..2.5).contains(&(slow / length)),
            "{language}: {length} s, {slow} s"
        );
        let quiet = Manner {
            loudness_db: -12,
            ..plain
        };
        let (same, quiet) = measured(&speech, language, quiet).await;
        assert!((same - length).abs() < 0.01, "{language}");
        assert!(
            (level - quiet - 12.0).abs() < 1.0,
            "{language}: {level}, {quiet}"
        );
        // A higher voice has another shape; how much higher is up to the engine.
        let high = Manner {
            pitch: 140,
            ..plain
        };
        let (high, _) = measured(&speech, language, high).await;
        assert!((0.9..1.1).contains(&(high / length)), "{language}");
    }
}

/// What machine detection hears of a text, a pause, and a beep if there is one.
async fn answered(
    speech: &EmbeddedSpeech,
    (language, voice): (&str, Voice),
    text: &str,
    beeps: bool,
) -> Vec<Heard> {
    let request = SpeakRequest {
        text: text.to_owned(),
        language: language.to_owned(),
        voice,
        manner: Manner::default(),
    };
    let samples = speech.speak(request).await.unwrap_or_default();
    let mut line = vec![0; 4000];
    line.extend_from_slice(&samples);
    line.resize(line.len() + 4000, 0);
    if beeps {
        line.extend(audio::tone::Tone::new(1000.0, -12.0).samples(400));
    }
    line.resize(line.len() + 16_000, 0);
    let ms = std::time::Duration::from_millis;
    let mut detector = Detector::new(Timing {
        speech: ms(2400),
        speech_end: ms(1200),
        silence: ms(5000),
    });
    let mut heard = Vec::new();
    for frame in line.chunks(FRAME) {
        detector.push(frame, |what| heard.push(what));
    }
    heard
}

#[tokio::test(flavor = "multi_thread")]
async fn greetings_are_told_from_hellos() {
    let folder = tempfile::tempdir().unwrap();
    let speech = EmbeddedSpeech::new(folder.path(), Limits::default()).unwrap();
    if speech
        .available()
        .iter()
        .any(|status| status.path.is_none())
    {
        eprintln!("skipped: not all engines are installed");
        return;
    }
    let greeting = "You have reached the voicemail of Mary. I am not here. Please leave a message after the beep.";
    let texts: &[(&str, bool, &[Heard])] = &[
        ("Hello?", false, &[Heard::Human]),
        ("Mary speaking.", false, &[Heard::Human]),
        (greeting, true, &[Heard::Machine, Heard::Beep]),
        (greeting, false, &[Heard::Machine, Heard::Silence]),
        ("Leave a message.", true, &[Heard::Machine, Heard::Beep]),
    ];
    for (text, beeps, expected) in texts {
        for language in ["en", "de", "fr"] {
            for voice in [Voice::Man, Voice::Woman] {
                let heard = answered(&speech, (language, voice), text, *beeps).await;
                assert_eq!(heard, *expected, "{language} {voice:?}: {text}");
            }
        }
    }
}
