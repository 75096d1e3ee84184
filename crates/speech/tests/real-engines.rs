//! The real engines, where they are installed.

use speech::{EmbeddedSpeech, Engine, Limits, SpeakRequest, Synthesizer, Voice, language};

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
        };
        let samples = speech.speak(request).await.unwrap_or_default();
        assert!(samples.len() > 4000, "{code}: {} samples", samples.len());
    }
}
