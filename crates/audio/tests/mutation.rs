//! Broken WAV files: 200 000 deterministic mutations of real ones must be decoded or refused,
//! quickly and without a panic.

use audio::wav;
use std::time::{Duration, Instant};
use testkit::random::Random;

const ROUNDS: u32 = 200_000;
const TIME_LIMIT: Duration = Duration::from_secs(120);

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "measures how long the test itself takes"
)]
fn wav_files() {
    let start = Instant::now();
    let seeds = seeds();
    let mut random = Random(0x3A7);
    let mut decoded = 0;
    for _ in 0..ROUNDS {
        let bytes = mutate(&mut random, &seeds);
        let Ok(file) = wav::decode(&bytes) else {
            continue;
        };
        decoded += 1;
        assert!(file.samples.len() <= bytes.len());
        assert_eq!(file.samples.len() % usize::from(file.channels), 0);
        if decoded % 50 == 0 {
            let prompt = audio::Prompt::decode(&bytes).unwrap();
            assert!(prompt.len() <= file.samples.len() * 2 + 1);
        }
    }
    assert!(
        decoded > ROUNDS / 10,
        "{decoded}: the mutations are too wild to test much"
    );
    assert!(start.elapsed() < TIME_LIMIT);
}

fn seeds() -> Vec<Vec<u8>> {
    let plain = wav::encode(&[1000; 200]);
    let mut alaw = plain.clone();
    alaw[20] = 6;
    alaw[34] = 8;
    let mut stereo = plain.clone();
    stereo[22] = 2;
    stereo.splice(36..36, *b"LIST\x04\0\0\0abcd");
    vec![plain, alaw, stereo]
}

/// A seed with one to four flips, cuts, insertions or odd numbers, mostly in the header.
fn mutate(random: &mut Random, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = seeds[random.index(seeds.len())].clone();
    for _ in 0..=random.index(4) {
        let reach = if random.index(4) == 0 {
            bytes.len()
        } else {
            bytes.len().min(60)
        };
        let at = random.index(reach);
        match random.index(6) {
            0 if random.index(8) == 0 => bytes.truncate(at),
            1 if random.index(4) == 0 => bytes.insert(at, random.index(256) as u8),
            2 if at < bytes.len() => bytes[at] ^= 1 << random.index(8),
            3 if at < bytes.len() => bytes[at] = [0, 1, 3, 6, 7, 0x7F, 0x80, 0xFF][random.index(8)],
            4 if at + 4 < bytes.len() => bytes[at..at + 4].fill(0xFF),
            _ => bytes.push(random.index(256) as u8),
        }
    }
    bytes
}
