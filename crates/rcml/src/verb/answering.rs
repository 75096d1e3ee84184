//! Machine detection of a called party: attributes of `<Number>` and `<Sip>`.

use model::answering::DetectionSetting;
use model::{DetectionMode, HttpMethod, MachineDetection, error};

use crate::element::Element;
use crate::finding::Findings;

/// The attributes.
pub(super) const ATTRIBUTES: [&str; 7] = [
    "machineDetection",
    "machineDetectionTimeout",
    "machineDetectionSpeechThreshold",
    "machineDetectionSpeechEndThreshold",
    "machineDetectionSilenceTimeout",
    "amdStatusCallback",
    "amdStatusCallbackMethod",
];

/// What is to be found out about a called party, and who learns of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Detection {
    /// What is to be found out.
    pub terms: MachineDetection,
    /// Address for the result, as written.
    pub callback: Option<String>,
    /// HTTP method for the result.
    pub callback_method: HttpMethod,
}

impl Detection {
    /// The attributes of a noun; `None` if it does not ask for detection.
    pub(super) fn read(element: &Element<'_>, findings: &mut Findings) -> Option<Box<Self>> {
        let words = [
            ("Disable", None),
            (DetectionMode::Enable.as_str(), Some(DetectionMode::Enable)),
            (
                DetectionMode::DetectMessageEnd.as_str(),
                Some(DetectionMode::DetectMessageEnd),
            ),
        ];
        let mode = element.word("machineDetection", error::BAD_VALUE, &words, findings);
        let terms = MachineDetection::read(mode.flatten().unwrap_or(DetectionMode::Enable), |it| {
            Ok::<_, std::convert::Infallible>(value(it, element, findings))
        });
        let callback = element.url("amdStatusCallback", findings);
        let code = error::DIAL_CALLBACK;
        let callback_method = element.method("amdStatusCallbackMethod", code, findings);
        let (Some(_), Ok(terms)) = (mode.flatten(), terms) else {
            return None;
        };
        Some(Box::new(Self {
            terms,
            callback,
            callback_method,
        }))
    }

    /// The attributes that differ from their defaults.
    pub(crate) fn attributes(&self) -> Vec<(&'static str, Option<String>)> {
        let mode = self.terms.mode.as_str();
        let mut pairs = vec![(ATTRIBUTES[0], Some(mode.to_owned()))];
        for (name, (setting, value)) in ATTRIBUTES[1..5].iter().zip(self.terms.values()) {
            let value = (value != setting.default).then(|| value.to_string());
            pairs.push((name, value));
        }
        let method = crate::document::unless_post(self.callback_method);
        pairs.push((ATTRIBUTES[5], self.callback.clone()));
        pairs.push((ATTRIBUTES[6], method.map(str::to_owned)));
        pairs
    }
}

/// The value of a setting: its default if it is absent or not allowed.
fn value(setting: &DetectionSetting, element: &Element<'_>, findings: &mut Findings) -> u32 {
    let DetectionSetting {
        name,
        range,
        default,
    } = setting;
    let instead = format!(
        "{default} was used; {} to {} are allowed",
        range.start(),
        range.end()
    );
    let number = |text: &str| text.parse().ok().filter(|number| range.contains(number));
    let text = element.checked(
        &format!("machineDetection{name}"),
        (error::BAD_VALUE, &instead),
        |text| number(text).is_some(),
        findings,
    );
    text.as_deref().and_then(number).unwrap_or(*default)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_setting_has_its_attribute() {
        let settings = MachineDetection::from(DetectionMode::Enable).values();
        for (attribute, (setting, _)) in ATTRIBUTES[1..5].iter().zip(settings) {
            assert_eq!(*attribute, format!("machineDetection{}", setting.name));
        }
    }
}
