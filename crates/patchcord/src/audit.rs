//! `patchcord audit`: the changes that were made through the API, for the operator.

use anyhow::Result;
use model::AccountSid;
use model::record::AuditEntry;
use model::text::one_line;
use serde_json::{Value, json};

use crate::calls::open;
use crate::config::Config;
use crate::screen;

/// The newest entries as text, oldest first.
///
/// # Errors
/// If the database cannot be read.
pub(crate) async fn list(
    config: &Config,
    account: Option<AccountSid>,
    limit: i64,
    json: bool,
) -> Result<String> {
    let inspect = open(config).await?;
    // One more shows whether there are others.
    let mut newest = inspect.audit_log(account, limit.saturating_add(1)).await?;
    let is_cut = i64::try_from(newest.len()).is_ok_and(|found| found > limit);
    if is_cut {
        newest.remove(0);
    }
    if json {
        let objects = newest.iter().map(|entry| format!("{}\n", object(entry)));
        return Ok(objects.collect());
    }
    if newest.is_empty() {
        return Ok("no changes\n".to_owned());
    }
    let mut out: String = newest
        .iter()
        .map(|entry| screen::list(&line(entry)))
        .collect();
    if is_cut {
        out.push_str(&format!("the newest {limit}; `--limit N` shows more\n"));
    }
    Ok(out)
}

fn line(entry: &AuditEntry) -> String {
    let key = entry
        .key
        .map_or_else(String::new, |key| format!(" with {key}"));
    let line = format!(
        "{}  {} {}  by {}{key} from {}  {}",
        entry.created.iso8601(),
        entry.method,
        entry.path,
        entry.actor,
        entry.source,
        entry.request,
    );
    one_line(&line) + "\n"
}

fn object(entry: &AuditEntry) -> Value {
    // Stored as JSON text, unless it was too long and cut.
    let parsed = |text: &Option<String>| {
        text.as_ref()
            .map(|text| serde_json::from_str(text).unwrap_or_else(|_| Value::from(text.as_str())))
    };
    json!({
        "sid": entry.sid.to_string(),
        "account_sid": entry.account.to_string(),
        "actor_sid": entry.actor.to_string(),
        "key_sid": entry.key.map(|key| key.to_string()),
        "source": entry.source,
        "request_id": entry.request,
        "method": entry.method,
        "path": entry.path,
        "before": parsed(&entry.before),
        "after": parsed(&entry.after),
        "date_created": entry.created.iso8601(),
    })
}

#[cfg(test)]
mod tests {
    use model::{AuditSid, KeySid, Timestamp};

    use super::*;

    fn entry() -> AuditEntry {
        AuditEntry {
            sid: AuditSid::from_bytes([1; 16]),
            account: AccountSid::from_bytes([2; 16]),
            actor: AccountSid::from_bytes([3; 16]),
            key: None,
            source: "10.0.0.1".to_owned(),
            request: "RQ1".to_owned(),
            method: "POST".to_owned(),
            path: "/restcomm/2012-04-24/x".to_owned(),
            before: None,
            after: Some("{\"a\":1}".to_owned()),
            created: Timestamp(0),
        }
    }

    #[test]
    fn a_line_names_who_and_what() {
        let actor = AccountSid::from_bytes([3; 16]);
        let expected = format!(
            "1970-01-01T00:00:00.000Z  POST /restcomm/2012-04-24/x  by {actor} from 10.0.0.1  RQ1\n"
        );
        assert_eq!(line(&entry()), expected);
        let key = KeySid::from_bytes([4; 16]);
        let by_key = AuditEntry {
            key: Some(key),
            path: "/a\nb\x1b".to_owned(),
            ..entry()
        };
        let text = line(&by_key);
        assert!(text.contains(&format!("with {key} from")), "{text}");
        assert!(
            !text.contains('\x1b') && text.lines().count() == 1,
            "{text}"
        );
    }

    #[test]
    fn json_holds_the_resources_as_json() {
        let object = object(&entry());
        assert_eq!(object["after"]["a"], 1);
        assert!(object["before"].is_null() && object["key_sid"].is_null());
        let cut = AuditEntry {
            before: Some("{\"a\":…".to_owned()),
            ..entry()
        };
        assert_eq!(super::object(&cut)["before"], "{\"a\":…");
    }
}
