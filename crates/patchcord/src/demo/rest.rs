//! The demo's use of the REST API.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use model::{AccountSid, HttpMethod};
use serde::Deserialize;
use webhook::{AddressPolicy, FetchConfig, FetchRequest, Fetcher};

/// A call as listed by the API.
#[derive(Deserialize, Debug)]
pub(super) struct CallRow {
    pub(super) sid: String,
    #[serde(default, rename = "parent_call_sid", deserialize_with = "maybe")]
    pub(super) parent: String,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) direction: String,
    pub(super) status: String,
    #[serde(default)]
    pub(super) duration: serde_json::Value,
    #[serde(default, deserialize_with = "maybe")]
    pub(super) reason: String,
}

impl CallRow {
    pub(super) fn is_completed(&self) -> bool {
        self.status == "completed"
    }

    fn is_over(&self) -> bool {
        let open = ["queued", "initiated", "ringing", "in-progress"];
        !open.contains(&self.status.as_str())
    }
}

/// Reads null as an empty text.
fn maybe<'de, D: serde::Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    Ok(Option::<String>::deserialize(from)?.unwrap_or_default())
}

#[derive(Deserialize)]
struct CallList {
    calls: Vec<CallRow>,
}

/// The API, used as the administrator.
pub(super) struct Rest {
    fetcher: Fetcher,
    /// `AC…`.
    pub(super) account: String,
    pub(super) token: String,
    http: SocketAddr,
}

impl Rest {
    /// The API on `http`; takes the token from where the first start stored it.
    pub(super) fn new(http: SocketAddr, account: AccountSid, data: &Path) -> Result<Self> {
        let path = data.join("admin-credentials");
        let text = std::fs::read_to_string(&path);
        let text = text.with_context(|| format!("cannot read {}", path.display()))?;
        let token = text.lines().find_map(|line| {
            let (name, value) = line.split_once('=')?;
            name.ends_with("TOKEN").then_some(value.trim_matches('\''))
        });
        Ok(Self {
            fetcher: Fetcher::new(FetchConfig::default())?,
            account: account.to_string(),
            token: token.context("no token in the credentials")?.to_owned(),
            http,
        })
    }

    /// The address of the account, without credentials.
    pub(super) fn base(&self) -> String {
        let Self { http, account, .. } = self;
        format!("http://{http}/restcomm/2012-04-24/Accounts/{account}")
    }

    pub(super) async fn create_client(&self, login: &str, password: &str) -> Result<()> {
        let params = [("Login", login), ("Password", password)];
        self.post("Clients.json", &params).await
    }

    pub(super) async fn create_number(&self, number: &str, voice_url: &str) -> Result<()> {
        let params = [
            ("PhoneNumber", number),
            ("isSIP", "true"),
            ("VoiceUrl", voice_url),
            ("VoiceMethod", "POST"),
        ];
        self.post("IncomingPhoneNumbers.json", &params).await
    }

    /// The calls, oldest first, once all have ended or `patience` has passed.
    pub(super) async fn completed_calls(&self, patience: Duration) -> Result<Vec<CallRow>> {
        let deadline = tokio::time::Instant::now() + patience;
        loop {
            let body = self.request(HttpMethod::Get, "Calls.json", &[]).await?;
            let list: CallList =
                serde_json::from_str(&body).context("cannot read the list of calls")?;
            let over = !list.calls.is_empty() && list.calls.iter().all(CallRow::is_over);
            if over || tokio::time::Instant::now() > deadline {
                let mut calls = list.calls;
                calls.sort_by(|a, b| a.sid.cmp(&b.sid));
                return Ok(calls);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn post(&self, resource: &str, params: &[(&str, &str)]) -> Result<()> {
        self.request(HttpMethod::Post, resource, params)
            .await
            .map(|_| ())
    }

    async fn request(
        &self,
        method: HttpMethod,
        resource: &str,
        params: &[(&str, &str)],
    ) -> Result<String> {
        let Self { account, token, .. } = self;
        let base = self.base();
        let address = base.replacen("http://", &format!("http://{account}:{token}@"), 1);
        let params = params
            .iter()
            .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()));
        let answer = self
            .fetcher
            .fetch(FetchRequest {
                params: params.collect(),
                policy: AddressPolicy { private_ok: true },
                ..FetchRequest::new(method, format!("{address}/{resource}"))
            })
            .await
            .with_context(|| format!("API: {resource}"))?;
        let body = String::from_utf8_lossy(&answer.body);
        if !(200..300).contains(&answer.status) {
            bail!("API: {resource} answered {}: {body}", answer.status);
        }
        Ok(body.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_read_with_and_without_null() {
        let text = r#"{"calls":[
            {"sid":"CA1","parent_call_sid":null,"from":"alice","to":"+1000","direction":"inbound",
             "status":"completed","duration":"4","more":[]},
            {"sid":"CA2","parent_call_sid":"CA1","from":"alice","to":"bob","direction":"outbound-dial",
             "status":"in-progress","duration":4,"reason":"x"}]}"#;
        let list: CallList = serde_json::from_str(text).unwrap();
        let seen: Vec<_> = list
            .calls
            .iter()
            .map(|call| (call.parent.as_str(), call.is_completed(), call.is_over()))
            .collect();
        assert_eq!(seen, [("", true, true), ("CA1", false, false)]);
    }
}
