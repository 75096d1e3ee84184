//! A client of the server's API, as in a customer's program.
//!
//! **Invariant: each call is one request with Basic credentials.** Left to the tests: checking the
//! content of answers.

use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context as _, bail};
use base64::Engine as _;
use serde_json::Value;

use crate::http::{self, Message};
use crate::wait;

/// A user of the API.
#[derive(Clone, Debug)]
pub struct Rest {
    address: String,
    account: String,
    token: String,
}

impl Rest {
    /// - `base`: `http://host:port`
    pub fn new(base: &str, account: &str, token: &str) -> Self {
        let address = base
            .trim_start_matches("http://")
            .trim_end_matches('/')
            .to_owned();
        Self {
            address,
            account: account.to_owned(),
            token: token.to_owned(),
        }
    }

    /// SID of the account whose credentials are used.
    pub fn account(&self) -> &str {
        &self.account
    }

    /// Sends one request; `path` is absolute.
    ///
    /// # Errors
    /// If no answer arrives.
    pub fn send(&self, method: &str, path: &str, body: Option<&str>) -> anyhow::Result<Message> {
        let stream = TcpStream::connect(&self.address).with_context(|| self.address.clone())?;
        let basic =
            base64::prelude::BASE64_STANDARD.encode(format!("{}:{}", self.account, self.token));
        let mut headers = vec![
            ("Host".to_owned(), self.address.clone()),
            ("Authorization".to_owned(), format!("Basic {basic}")),
        ];
        if body.is_some() {
            headers.push((
                "Content-Type".to_owned(),
                "application/x-www-form-urlencoded".to_owned(),
            ));
        }
        let start = format!("{method} {path} HTTP/1.1");
        let request = Message {
            start,
            headers,
            body: body.unwrap_or_default().as_bytes().to_vec(),
        };
        http::write(&stream, &request)?;
        http::read(&stream).with_context(|| format!("{method} {path}"))
    }

    /// Path of a resource of its own account, as JSON: `Calls`, `Calls/CA…`.
    pub fn path(&self, resource: &str) -> String {
        let (path, query) = resource
            .split_once('?')
            .map_or((resource, String::new()), |(path, query)| {
                (path, format!("?{query}"))
            });
        format!(
            "/restcomm/2012-04-24/Accounts/{}/{path}.json{query}",
            self.account
        )
    }

    /// Reads a resource of its own account.
    ///
    /// # Errors
    /// If the answer is not 2xx and JSON.
    pub fn get(&self, resource: &str) -> anyhow::Result<Value> {
        let answer = self.send("GET", &self.path(resource), None)?;
        json(&answer).with_context(|| format!("GET {resource}"))
    }

    /// Creates or changes a resource of its own account.
    ///
    /// # Errors
    /// If the answer is not 2xx and JSON.
    pub fn post(&self, resource: &str, form: &[(&str, &str)]) -> anyhow::Result<Value> {
        let answer = self.send("POST", &self.path(resource), Some(&http::form(form)))?;
        json(&answer).with_context(|| format!("POST {resource} {form:?}"))
    }

    /// Creates a client (a SIP user).
    ///
    /// # Errors
    /// If it is refused.
    pub fn client(&self, login: &str, password: &str) -> anyhow::Result<Value> {
        self.post("Clients", &[("Login", login), ("Password", password)])
    }

    /// Creates a number whose calls run the document at `url`, fetched by GET; anyone may call it.
    ///
    /// # Errors
    /// If it is refused.
    pub fn number(&self, number: &str, url: &str) -> anyhow::Result<Value> {
        self.number_with(number, url, &[])
    }

    /// The same with further properties.
    ///
    /// # Errors
    /// If it is refused.
    pub fn number_with(
        &self,
        number: &str,
        url: &str,
        further: &[(&str, &str)],
    ) -> anyhow::Result<Value> {
        let usual = [
            ("PhoneNumber", number),
            ("VoiceUrl", url),
            ("VoiceMethod", "GET"),
            ("isSIP", "true"),
        ];
        self.post("IncomingPhoneNumbers", &[&usual[..], further].concat())
    }

    /// Creates a number that anyone may call, with a status callback unless that is empty.
    ///
    /// # Errors
    /// If it is refused.
    pub fn public_number(&self, number: &str, url: &str, callback: &str) -> anyhow::Result<Value> {
        let further = [("Public", "true"), ("StatusCallback", callback)];
        self.number_with(number, url, &further)
    }

    /// All items of a list, page by page; `name` is their key in the list.
    ///
    /// # Errors
    /// If a page cannot be read.
    pub fn all(&self, resource: &str, name: &str) -> anyhow::Result<Vec<Value>> {
        let mut items = Vec::new();
        for page in 0_u64.. {
            let list = self.get(&format!("{resource}?PageSize=100&Page={page}"))?;
            items.extend(list[name].as_array().cloned().unwrap_or_default());
            // The number of the last page.
            if list["num_pages"].as_u64().unwrap_or_default() <= page {
                break;
            }
        }
        Ok(items)
    }

    /// The records of all calls, oldest first.
    ///
    /// # Errors
    /// If the list cannot be read.
    pub fn calls(&self) -> anyhow::Result<Vec<Value>> {
        let list = self.get("Calls?PageSize=100")?;
        let mut calls = list["calls"]
            .as_array()
            .context("no `calls` in the list")?
            .clone();
        calls.sort_by_key(|call| call["date_created"].to_string() + &call["sid"].to_string());
        Ok(calls)
    }

    /// Waits until there are `count` call records, all final.
    ///
    /// # Errors
    /// If that does not happen within `limit`; lists the actual records.
    pub fn finished_calls(&self, count: usize, limit: Duration) -> anyhow::Result<Vec<Value>> {
        let finished = |call: &Value| {
            let status = call["status"].as_str().unwrap_or_default();
            [
                "completed",
                "failed",
                "busy",
                "no-answer",
                "canceled",
                "not-found",
            ]
            .contains(&status)
        };
        let mut last = Vec::new();
        wait::until("finished call records", limit, || {
            last = self.calls().ok()?;
            (last.len() == count && last.iter().all(finished)).then(|| last.clone())
        })
        .with_context(|| format!("{last:#?}"))
    }
}

fn json(answer: &Message) -> anyhow::Result<Value> {
    if !(200..300).contains(&answer.status()) {
        bail!("{}: {}", answer.start, answer.text());
    }
    serde_json::from_slice(&answer.body).with_context(|| answer.text())
}
