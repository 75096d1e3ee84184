//! `patchcord doctor phones`: calls and registrations refused before they began, and how to fix the
//! cause.

use anyhow::Result;
use model::RefusalReason;
use model::record::Refusal;
use model::text::one_line;

use crate::calls::open;
use crate::config::Config;

/// The refusals of the last day, and whether there were any.
///
/// # Errors
/// If the database cannot be read.
pub(crate) async fn run(config: &Config, as_json: bool) -> Result<(String, bool)> {
    let refusals = open(config).await?.refusals().await?;
    let text = if as_json {
        format!("{}\n", serde_json::to_string_pretty(&refusals)?)
    } else if refusals.is_empty() {
        "no call or registration was turned away within the last day\n".to_owned()
    } else {
        let lines: String = refusals.iter().map(line).collect();
        crate::screen::list(&lines)
    };
    Ok((text, !refusals.is_empty()))
}

fn line(refusal: &Refusal) -> String {
    let Refusal {
        source,
        name,
        count,
        last,
        ..
    } = refusal;
    let what = match refusal.reason {
        RefusalReason::WrongPassword => format!(
            "wrong password for `{name}`, or no such client, or it is disabled or its account is not active: check login, password, domain and status. After several wrong passwords, the right one is refused, too, for some minutes"
        ),
        RefusalReason::NotPublic => format!(
            "`{name}` is not public: register the phone, or set `Public=true` on the number"
        ),
        RefusalReason::NotFound => format!(
            "`{name}` is neither a client nor a number here: add it, or correct what the caller dials"
        ),
        RefusalReason::NoApplication => {
            format!("`{name}` has no application: set its `VoiceUrl`")
        }
        RefusalReason::NoTextApplication => {
            format!("`{name}` has no application for text messages: set its `SmsUrl`")
        }
        RefusalReason::NoAddress => format!(
            "the application of `{name}` has no address, or was deleted: set the application's `VoiceUrl`, or another `VoiceApplicationSid`"
        ),
        RefusalReason::Inactive => {
            format!("`{name}` belongs to an account that is suspended or closed")
        }
        RefusalReason::TooMany => format!(
            "`{name}`: too many calls at once from a caller without a password; if it is your carrier, add it as a `[[trunk]]`"
        ),
    };
    let line = format!("{}  {count:>5}× from {source}  {what}", last.iso8601());
    one_line(&line) + "\n"
}

#[cfg(test)]
mod tests {
    use model::Timestamp;

    use super::*;

    #[test]
    fn each_reason_says_what_helps() {
        for reason in RefusalReason::ALL {
            let refusal = Refusal {
                source: "192.0.2.7".parse().unwrap(),
                reason,
                name: "b\x1bob\n".to_owned(),
                count: 3,
                first: Timestamp(0),
                last: Timestamp(0),
            };
            let text = line(&refusal);
            if reason == RefusalReason::NoAddress {
                // The application takes precedence over the number's own `VoiceUrl`.
                assert!(text.contains("application's `VoiceUrl`"), "{text}");
            }
            assert!(
                text.contains("3× from 192.0.2.7  ") && text.contains("`b\u{fffd}ob\u{fffd}`"),
                "{text}"
            );
        }
    }
}
