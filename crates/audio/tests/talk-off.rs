//! Speech must not be mistaken for keys: minutes of it, generated here by two engines, give no
//! digit.
//!
//! The engines are child processes of the test; the package list of the repository names both.
//! Each text is spoken by several voices at several speeds, and analysed unchanged, quieter, and
//! after µ-law, as it would arrive on a call.

use audio::dtmf::{Change, Detector};
use audio::g711;
use std::process::Command;

/// Minimum amount of speech analysed, in minutes.
const MINUTES: usize = 15;

const ENGLISH: &str = "Welcome. For sales press one, for support press two, for all else press nine or hold the line. \
    Your account number is 4 7 7 1 2 0 9 3 8 6 5; the balance is 1,234 dollars and 56 cents. \
    How now, who knew the moon would move so soon? Whew! Ooh, aah, eee, hmm, oh no, oh yes, you too. \
    She sells sea shells by the sea shore; six thick thistle sticks, six thick thistles stick. \
    The quick brown fox jumps over the lazy dog while zebras quiz the jovial wizard about kayaks. \
    Please call 0 8 0 0, 5 5 5, 1 2 1 2, between 9 15 and 17 45, Monday to Friday, except on the 31st. \
    Pure tones are rare in voices, but sung vowels come near: la la la, loo loo loo, lee lee lee, may may may. \
    Eleven benevolent elephants went from Edinburgh to Wellington in 1997 with 2,368 yellow umbrellas.";
const GERMAN: &str = "Guten Tag. Drücken Sie die Eins für den Vertrieb, die Zwei für die Technik und die Neun für alles andere. \
    Ihre Nummer ist 4 7 7 1 2 0 9 3 8 6 5; der Betrag ist 1234 Euro und 56 Cent. Fischers Fritz fischt frische Fische. \
    Über sieben Brücken musst du gehen, sieben dunkle Jahre überstehn. Uhu, Mühe, Höhe, Ruhe, Juli, Kühe, zwölf Boxkämpfer.";
const FRENCH: &str = "Bonjour. Pour le service commercial, appuyez sur un; pour l'assistance, appuyez sur deux; sinon restez en ligne. \
    Votre numéro est 4 7 7 1 2 0 9 3 8 6 5 et le solde est de 1234 euros. Un chasseur sachant chasser sans son chien. \
    Où es-tu, hibou? Ouh ouh. Une pluie fine sur les toits bleus, la lune luit, huit cruches usées.";
const SPANISH: &str = "Buenos días. Para ventas marque uno, para soporte marque dos, para lo demás espere en la línea. \
    Su número es 4 7 7 1 2 0 9 3 8 6 5 y debe 1234 euros. Tres tristes tigres tragaban trigo en un trigal. \
    El murciélago urbano huía aullando hacia la luna azul de junio.";

#[test]
fn speech_is_not_mistaken_for_keys() {
    let folder = std::env::temp_dir().join(format!("talk-off-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let spoken: Vec<(String, Vec<i16>)> = std::thread::scope(|scope| {
        let other = scope.spawn(|| espeak(&folder).collect::<Vec<_>>());
        let mut spoken: Vec<_> = flite(&folder).collect();
        spoken.extend(other.join().expect("espeak-ng speaks"));
        spoken
    });
    std::fs::remove_dir_all(&folder).unwrap();
    let mut minutes = 0;
    for (name, samples) in &spoken {
        let level = audio::measure::rms_dbfs(samples);
        assert!(level > -40.0, "{name} is silent: {level:.0} dBFS");
        minutes += samples.len();
        let quieter = samples.iter().map(|sample| sample / 4);
        let coded = samples
            .iter()
            .map(|sample| g711::ulaw_decode(g711::ulaw_encode(*sample)));
        for heard in [
            keys(samples.clone()),
            keys(quieter.collect()),
            keys(coded.collect()),
        ] {
            assert_eq!(heard, "", "{name}");
        }
    }
    minutes /= 60 * audio::RATE as usize;
    assert!(minutes >= MINUTES, "only {minutes} minutes of speech");
}

fn keys(samples: Vec<i16>) -> String {
    let mut heard = String::new();
    let mut detector = Detector::new();
    for (at, frame) in samples.chunks(160).enumerate() {
        detector.push(frame, |change| {
            if let Change::Down(key) = change {
                heard += &format!("{key} at {} ms ", at * 20);
            }
        });
    }
    heard
}

fn flite(folder: &std::path::Path) -> impl Iterator<Item = (String, Vec<i16>)> {
    let voices = ["kal", "awb", "rms", "slt"];
    let runs = voices
        .into_iter()
        .flat_map(|voice| ["0.9", "1.3"].map(|pace| (voice, pace)));
    runs.map(move |(voice, pace)| {
        let out = folder.join("flite.wav");
        let mut command = Command::new("flite");
        command.args([
            "-voice",
            voice,
            "--setf",
            &format!("duration_stretch={pace}"),
            "-t",
            ENGLISH,
        ]);
        command.arg("-o").arg(&out);
        (format!("flite {voice} {pace}"), speech(command, &out))
    })
}

fn espeak(folder: &std::path::Path) -> impl Iterator<Item = (String, Vec<i16>)> {
    let texts = [
        ("en-us", ENGLISH),
        ("en-gb", ENGLISH),
        ("de", GERMAN),
        ("fr", FRENCH),
        ("es", SPANISH),
    ];
    let variants = ["", "+m7", "+f2", "+f4"];
    let runs = texts
        .into_iter()
        .flat_map(move |text| variants.map(|variant| (text, variant)));
    runs.enumerate()
        .map(move |(at, ((language, text), variant))| {
            let out = folder.join("espeak.wav");
            let voice = format!("{language}{variant}");
            let (speed, pitch) = (110 + at % 5 * 30, 10 + at % 7 * 14);
            let mut command = Command::new("espeak-ng");
            command.args([
                "-v",
                &voice,
                "-s",
                &speed.to_string(),
                "-p",
                &pitch.to_string(),
            ]);
            command.arg("-w").arg(&out).arg(text);
            (
                format!("espeak-ng {voice} {speed} {pitch}"),
                speech(command, &out),
            )
        })
}

/// Runs an engine and reads what it wrote, as 8 kHz samples.
fn speech(mut command: Command, out: &std::path::Path) -> Vec<i16> {
    let program = command.get_program().to_string_lossy().into_owned();
    let missing = format!("`{program}` must be installed; scripts/packages.txt names it");
    let status = command.output().expect(&missing).status;
    assert!(status.success(), "{program}: {status}");
    let bytes = std::fs::read(out).expect("the engine writes a file");
    audio::Prompt::decode(&bytes).expect("a WAV file").to_vec()
}
