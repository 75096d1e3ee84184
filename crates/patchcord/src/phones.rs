//! `patchcord phones`: who is registered, from where, and until when.

use anyhow::{Context as _, Result};
use model::Timestamp;
use model::text::one_line;
use serde_json::json;
use sip::BindingSnapshot;

use crate::calls::open;
use crate::config::Config;
use crate::screen;

/// Prints the registered phones by login.
///
/// # Errors
/// If the database cannot be read.
pub(crate) async fn list(config: &Config, now: Timestamp, as_json: bool) -> Result<String> {
    let mut phones = Vec::new();
    for (login, content) in open(config).await?.phones().await? {
        let bindings: Vec<BindingSnapshot> =
            serde_json::from_str(&content).context("a registration cannot be read")?;
        let now = u64::try_from(now.as_millis() / 1_000).unwrap_or_default();
        let valid = bindings.into_iter().filter(|one| one.expires_at > now);
        phones.extend(valid.map(|binding| (login.clone(), binding.expires_at - now, binding)));
    }
    if as_json {
        let all: Vec<_> = phones
            .iter()
            .map(|(login, left, binding)| {
                json!({ "login": login, "expires_in_s": left, "binding": binding })
            })
            .collect();
        return Ok(format!("{}\n", serde_json::to_string_pretty(&all)?));
    }
    if phones.is_empty() {
        return Ok("no phone is registered\n".to_owned());
    }
    let lines = phones.iter();
    let lines: String = lines
        .map(|(login, left, binding)| line(login, *left, binding))
        .collect();
    Ok(screen::list(&lines))
}

fn line(login: &str, left_s: u64, binding: &BindingSnapshot) -> String {
    let line = format!(
        "{login:<20}  {}  from {} ({})  for another {left_s} s",
        binding.contact, binding.remote_address, binding.transport
    );
    one_line(&line) + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phone_is_one_line() {
        let binding = BindingSnapshot {
            contact: "sip:kim\x1b@192.0.2.1:5060".to_owned(),
            transport: "udp".to_owned(),
            remote_address: "192.0.2.7:5062".parse().unwrap(),
            local_address: "192.0.2.9:5060".parse().unwrap(),
            q: 1_000,
            expires_at: 100,
            call_id: "c".to_owned(),
            seq: 1,
            instance: None,
            answers: false,
            credential: String::new(),
        };
        assert_eq!(
            line("kim", 60, &binding),
            "kim                   sip:kim\u{fffd}@192.0.2.1:5060  from 192.0.2.7:5062 (udp)  for another 60 s\n"
        );
    }
}
