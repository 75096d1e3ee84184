//! An application in the form of a web server: requests are really sent, while the call's time
//! stands still.
//!
//! **Invariant: a request carries the cookies of its leg and no others.** Callbacks are sent as
//! they arise if they go to the application itself; all others are not sent.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context;
use call_proto::{FetchFailure, Fetched};
use model::{CallSid, HttpMethod};
use rehearse::{Application, Asked};
use url::Url;
use webhook::{AddressPolicy, BodyKind, CookieJar, FetchConfig, FetchRequest, Fetcher};

use super::files;
use crate::token::Token;

/// Makes requests for all scripts.
pub(super) struct Client {
    runtime: tokio::runtime::Runtime,
    fetcher: Fetcher,
    token: Option<Token>,
}

impl Client {
    pub(super) fn new(token: Option<Token>) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let fetcher = {
            let _inside = runtime.enter();
            Fetcher::new(FetchConfig::default()).context("requests cannot be made")?
        };
        Ok(Self {
            runtime,
            fetcher,
            token,
        })
    }
}

pub(super) struct Server<'a> {
    client: &'a Client,
    address: Option<Url>,
    /// By leg; callbacks about a conference have their own.
    jars: BTreeMap<Option<CallSid>, CookieJar>,
}

impl<'a> Server<'a> {
    pub(super) fn new(client: &'a Client, url: &str) -> Self {
        Self {
            client,
            address: Url::parse(url).ok(),
            jars: BTreeMap::new(),
        }
    }

    fn fetch(
        &mut self,
        asked: &Asked,
        kind: BodyKind,
    ) -> Result<webhook::Fetched, webhook::FetchError> {
        let mut request = FetchRequest::new(asked.method, asked.url.as_str());
        request.params.clone_from(&asked.params);
        request.jar = self.jars.entry(asked.call).or_default().clone();
        request.policy = AddressPolicy { private_ok: true };
        request.kind = kind;
        request.stamp = self.client.token.as_ref().map(Token::stamp);
        self.client
            .runtime
            .block_on(self.client.fetcher.fetch(request))
    }
}

impl Application for Server<'_> {
    fn document(&mut self, asked: &Asked) -> Result<Fetched, FetchFailure> {
        match self.fetch(asked, BodyKind::Document) {
            Ok(fetched) => Ok(Fetched {
                status: fetched.status,
                body: rcml::decode(&fetched.body, fetched.content_type.as_deref()),
                content_type: fetched.content_type,
                url: fetched.final_url,
                headers: Vec::new(),
            }),
            Err(error) => Err(FetchFailure {
                code: error.code(),
                text: error.to_string(),
            }),
        }
    }

    fn sound(&mut self, call: CallSid, url: &str) -> Result<Option<Duration>, String> {
        let asked = Asked {
            at: model::Timestamp::default(),
            call: Some(call),
            method: HttpMethod::Get,
            url: url.to_owned(),
            params: Vec::new(),
        };
        match self.fetch(&asked, BodyKind::Media) {
            Ok(fetched) if fetched.status == 200 => {
                files::length(&fetched.body).map_err(|error| format!("{url}: {error}"))
            }
            Ok(fetched) => Err(format!("{url} answered with status {}", fetched.status)),
            Err(error) => Err(error.to_string()),
        }
    }

    fn callback(&mut self, told: &Asked) {
        let there = Url::parse(&told.url).ok().map(|url| url.origin());
        if there == self.address.as_ref().map(Url::origin) {
            // The answer does not affect the call.
            let _ = self.fetch(told, BodyKind::Ignored);
        }
    }
}
