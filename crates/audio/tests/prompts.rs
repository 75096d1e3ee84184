//! Real sound files are decoded to the tone they hold; broken ones are refused, in bounded time.

use audio::measure::{hears, rms_dbfs};
use audio::{Prompt, PromptError, wav};
use std::path::Path;
use testkit::random::Random;

fn sound(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/sounds")
        .join(name);
    std::fs::read(path).expect("a file of this repository")
}

const SOUNDS: [(&str, f64); 4] = [
    ("tone-700-stereo-44100.mp3", 700.0),
    ("tone-1000-mono-22050-id3.mp3", 1000.0),
    ("tone-700-stereo-44100.ogg", 700.0),
    ("tone-1300-mono-48000.ogg", 1300.0),
];

#[test]
fn each_file_holds_its_tone() {
    for (name, hz) in SOUNDS {
        let samples = Prompt::decode(&sound(name)).unwrap();
        // A second; encoders add up to 0.1 s of silence, or lose the last packets.
        assert!(
            (7600..=8900).contains(&samples.len()),
            "{name}: {}",
            samples.len()
        );
        let middle = &samples[1000..7400];
        for tenth in middle.chunks(800) {
            assert!(hears(tenth, hz), "{name}");
        }
        // 0.4 of full scale is 8 dB below it; a sine has 3 dB less than its peak.
        assert!(
            (rms_dbfs(middle) + 11.0).abs() < 0.5,
            "{name}: {}",
            rms_dbfs(middle)
        );
    }
    let wav = wav::encode(&audio::tone::dtmf('5', 100).unwrap());
    assert_eq!(Prompt::decode(&wav).unwrap().len(), 800);
}

#[test]
fn all_links_of_a_chain_are_played() {
    let [low, high] = [
        ("tone-700-stereo-44100.ogg", 700.0),
        ("tone-1300-mono-48000.ogg", 1300.0),
    ];
    let chains = [vec![low, low], vec![low, high], vec![high, low, high]];
    for chain in chains {
        let parts: Vec<Vec<u8>> = chain.iter().map(|(name, _)| sound(name)).collect();
        let samples = Prompt::decode(&parts.concat()).unwrap();
        let expected: usize = parts
            .iter()
            .map(|part| Prompt::decode(part).unwrap().len())
            .sum();
        assert_eq!(samples.len(), expected, "{chain:?}");
        for ((_, hz), second) in chain
            .iter()
            .zip(samples.chunks(samples.len() / chain.len()))
        {
            for tenth in second[1000..6600].chunks(800) {
                assert!(hears(tenth, *hz), "{chain:?} {hz}");
            }
        }
    }
    let with_opus = [sound(low.0), sound("tone-1300-opus.ogg")].concat();
    let refused = Prompt::decode(&with_opus).unwrap_err().to_string();
    assert_eq!(refused, "Ogg file has no sound that can be decoded");
}

#[test]
fn decoding_keeps_to_its_memory() {
    let minute = |rate: u32| wav::encode_at(&vec![100; 60 * rate as usize], rate);
    let files = [
        minute(8000),
        minute(44_100),
        sound(SOUNDS[0].0),
        sound(SOUNDS[3].0),
    ];
    for (file, seconds) in files.into_iter().zip([60, 60, 1, 1]) {
        let needed = seconds * 8000 * 4;
        let most = needed + 2000 * 4;
        let whole = Prompt::decode(&file).unwrap();
        assert_eq!(Prompt::decode_within(&file, most), Ok(whole), "{seconds}");
        let less = Prompt::decode_within(&file, needed / 2);
        assert_eq!(less, Err(PromptError::Memory), "{seconds}");
    }
    let chain = [sound(SOUNDS[3].0), sound(SOUNDS[3].0)].concat();
    assert_eq!(
        Prompt::decode_within(&chain, 12_000 * 4),
        Err(PromptError::Memory)
    );
}

#[test]
fn what_cannot_be_played() {
    let truncated = |name, keep: usize| {
        let mut bytes = sound(name);
        bytes.truncate(bytes.len() * keep / 100);
        bytes
    };
    let table = [
        ("empty", Vec::new(), "not a WAV, MP3 or Ogg Vorbis file"),
        (
            "text",
            b"<html>Not found</html>".to_vec(),
            "not a WAV, MP3 or Ogg Vorbis file",
        ),
        (
            "picture",
            b"\x89PNG\r\n\x1a\n".to_vec(),
            "not a WAV, MP3 or Ogg Vorbis file",
        ),
        (
            "half a WAV header",
            wav::encode(&[1; 99])[..30].to_vec(),
            "WAV file has no complete",
        ),
        (
            "Opus",
            sound("tone-1300-opus.ogg"),
            "Ogg file has no sound that can be decoded",
        ),
        (
            "half an Ogg",
            truncated(SOUNDS[2].0, 50),
            "Ogg file is truncated",
        ),
        (
            "nearly a whole Ogg",
            truncated(SOUNDS[3].0, 98),
            "Ogg file is truncated",
        ),
        (
            "the start of an Ogg",
            sound(SOUNDS[3].0)[..20].to_vec(),
            "Ogg file is truncated",
        ),
        (
            "half an MP3",
            truncated(SOUNDS[0].0, 50),
            "MP3 file is truncated",
        ),
        (
            "the start of an MP3",
            sound(SOUNDS[0].0)[..200].to_vec(),
            "MP3 file",
        ),
        ("only a tag", sound(SOUNDS[1].0)[..60].to_vec(), "MP3 file"),
        ("frame marks only", [0xFF, 0xFB].repeat(500), "MP3 file"),
    ];
    for (name, bytes, expected) in table {
        let error = Prompt::decode(&bytes).map(|samples| samples.len());
        let error = error.expect_err(name).to_string();
        assert!(error.starts_with(expected), "{name}: {error}");
    }
}

#[test]
fn fuzz_mutated_files_end() {
    let seconds = std::env::var("PATCHCORD_FUZZ_SECONDS").ok();
    let rounds = 600 * seconds.and_then(|text| text.parse().ok()).unwrap_or(1);
    let seeds: Vec<Vec<u8>> = SOUNDS.iter().map(|(name, _)| sound(name)).collect();
    let mut random = Random(0x50);
    let (mut played, mut refused) = (0, 0);
    for round in 0..rounds {
        let mut bytes = seeds[round % seeds.len()].clone();
        let other = &seeds[random.index(seeds.len())];
        for _ in 0..=random.index(8) {
            let at = random.index(bytes.len().max(1));
            match random.index(6) {
                0 => bytes.truncate(at.max(200)),
                1 => bytes.extend_from_slice(&other[random.index(other.len())..]),
                2 if at < bytes.len() => drop(bytes.drain(at..bytes.len().min(at + 300))),
                3 if at < bytes.len() => bytes[at] = random.index(256) as u8,
                // Corrupt headers more often than chance would.
                4 if bytes.len() > 100 => bytes[random.index(100)] ^= 1 << random.index(8),
                _ if at < bytes.len() => bytes[at] ^= 1 << random.index(8),
                _ => {}
            }
        }
        match Prompt::decode(&bytes) {
            Ok(samples) => {
                assert!(samples.len() <= 8000 * audio::prompt::MAX_SECONDS + 8000);
                played += 1;
            }
            Err(_) => refused += 1,
        }
    }
    assert!(
        played > rounds / 20 && refused > rounds / 10,
        "{played} {refused}"
    );
}
