//! Machine detection: what is asked about the party that answers a call, and the result.
//!
//! **Invariant: a setting is within its range**; documents and the API use the same ranges.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::status::UnknownWord;

/// Who or what answered a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum AnsweredBy {
    /// A person.
    Human,
    /// A machine, whose greeting may still be playing.
    MachineStart,
    /// A machine, which has beeped after its greeting.
    MachineEndBeep,
    /// A machine, which has been silent after its greeting.
    MachineEndSilence,
    /// A machine, whose greeting had not ended when the time ran out.
    MachineEndOther,
    /// A fax machine.
    Fax,
    /// Not found out in time.
    Unknown,
}

impl AnsweredBy {
    /// All values.
    pub const ALL: [Self; 7] = [
        Self::Human,
        Self::MachineStart,
        Self::MachineEndBeep,
        Self::MachineEndSilence,
        Self::MachineEndOther,
        Self::Fax,
        Self::Unknown,
    ];

    /// The public word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Human => "human",
            Self::MachineStart => "machine_start",
            Self::MachineEndBeep => "machine_end_beep",
            Self::MachineEndSilence => "machine_end_silence",
            Self::MachineEndOther => "machine_end_other",
            Self::Fax => "fax",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for AnsweredBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How much is to be found out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum DetectionMode {
    /// Whether it is a machine.
    Enable,
    /// The same, and the end of a machine's greeting.
    DetectMessageEnd,
}

impl DetectionMode {
    /// The public words; `Disable` asks for nothing.
    pub const WORDS: &'static [&'static str] = &["Enable", "DetectMessageEnd", "Disable"];

    /// The public word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enable => "Enable",
            Self::DetectMessageEnd => "DetectMessageEnd",
        }
    }

    /// The mode that a word asks for, in any letter case; `None` for `Disable`.
    ///
    /// # Errors
    /// [`UnknownWord`] if it is not one of [`WORDS`](Self::WORDS).
    pub fn of_word(word: &str) -> Result<Option<Self>, UnknownWord> {
        let word = word.trim();
        if word.eq_ignore_ascii_case("Disable") {
            return Ok(None);
        }
        let mut modes = [Self::Enable, Self::DetectMessageEnd].into_iter();
        let found = modes.find(|mode| word.eq_ignore_ascii_case(mode.as_str()));
        found.map(Some).ok_or_else(|| UnknownWord(word.to_owned()))
    }
}

impl FromStr for AnsweredBy {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        let mut all = Self::ALL.into_iter();
        let found = all.find(|by| by.as_str() == text);
        found.ok_or_else(|| UnknownWord(text.to_owned()))
    }
}

/// The lengths by which a person and a machine are told apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AnswerTiming {
    /// Speech of this length or longer is the greeting of a machine.
    pub speech: Duration,
    /// A silence of this length after speech ends it.
    pub speech_end: Duration,
    /// After a silence of this length from the answer on, detection ends without a result.
    pub silence: Duration,
}

/// What is to be found out about the party that answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct MachineDetection {
    /// How much.
    pub mode: DetectionMode,
    /// Detection ends after this time, counted from the answer.
    pub timeout: Duration,
    /// Lengths of speech and silence.
    pub timing: AnswerTiming,
}

/// A setting of [`MachineDetection`]: the end of its public name, its range and its default.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DetectionSetting {
    /// Its public name without `MachineDetection`.
    pub name: &'static str,
    /// Allowed values, in its unit.
    pub range: RangeInclusive<u32>,
    /// Its value if it is not given, in its unit.
    pub default: u32,
}

impl MachineDetection {
    /// Seconds until detection ends.
    pub const TIMEOUT: DetectionSetting = setting("Timeout", 3..=59, 30);
    /// Milliseconds of speech that make a machine.
    pub const SPEECH: DetectionSetting = setting("SpeechThreshold", 1000..=6000, 2400);
    /// Milliseconds of silence that end speech.
    pub const SPEECH_END: DetectionSetting = setting("SpeechEndThreshold", 500..=5000, 1200);
    /// Milliseconds of silence from the answer on.
    pub const SILENCE: DetectionSetting = setting("SilenceTimeout", 2000..=10_000, 5000);

    /// Reads the settings.
    ///
    /// - `value`: the value of a setting, within its range
    ///
    /// # Errors
    /// The first of `value`.
    pub fn read<E>(
        mode: DetectionMode,
        mut value: impl FnMut(&DetectionSetting) -> Result<u32, E>,
    ) -> Result<Self, E> {
        let seconds = |value| Duration::from_secs(u64::from(value));
        let millis = |value| Duration::from_millis(u64::from(value));
        Ok(Self {
            mode,
            timeout: seconds(value(&Self::TIMEOUT)?),
            timing: AnswerTiming {
                speech: millis(value(&Self::SPEECH)?),
                speech_end: millis(value(&Self::SPEECH_END)?),
                silence: millis(value(&Self::SILENCE)?),
            },
        })
    }

    /// The settings with their values.
    #[must_use]
    pub fn values(&self) -> [(DetectionSetting, u32); 4] {
        let millis = |length: Duration| u32::try_from(length.as_millis()).unwrap_or(u32::MAX);
        let timeout_s = u32::try_from(self.timeout.as_secs()).unwrap_or(u32::MAX);
        [
            (Self::TIMEOUT, timeout_s),
            (Self::SPEECH, millis(self.timing.speech)),
            (Self::SPEECH_END, millis(self.timing.speech_end)),
            (Self::SILENCE, millis(self.timing.silence)),
        ]
    }
}

impl From<DetectionMode> for MachineDetection {
    /// With the default settings.
    fn from(mode: DetectionMode) -> Self {
        let read = Self::read(mode, |setting| {
            Ok::<_, std::convert::Infallible>(setting.default)
        });
        match read {
            Ok(detection) => detection,
            Err(never) => match never {},
        }
    }
}

const fn setting(name: &'static str, range: RangeInclusive<u32>, default: u32) -> DetectionSetting {
    DetectionSetting {
        name,
        range,
        default,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_can_be_read_back() {
        for by in AnsweredBy::ALL {
            assert_eq!(by.as_str().parse(), Ok(by));
        }
        assert!("machine".parse::<AnsweredBy>().is_err());
        assert_eq!(
            DetectionMode::of_word("enable"),
            Ok(Some(DetectionMode::Enable))
        );
        assert_eq!(DetectionMode::of_word("Disable"), Ok(None));
        assert!(DetectionMode::of_word("On").is_err());
    }

    #[test]
    fn the_defaults_are_within_their_ranges() {
        let detection = MachineDetection::from(DetectionMode::Enable);
        let values = detection.values();
        assert_eq!(
            values.clone().map(|(_, value)| value),
            [30, 2400, 1200, 5000]
        );
        for (setting, value) in values {
            assert!(setting.range.contains(&value), "{}", setting.name);
        }
    }
}
