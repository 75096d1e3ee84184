//! The document that a script runs: its remaining verbs, its address, and the address's author.

use std::collections::VecDeque;
use std::time::Duration;

use model::{AccountSid, QueueSid, Timestamp};
use rcml::Verb;

use crate::letter::Role;
use crate::params::Params;

/// A document that runs for this long is not part of a redirect loop.
const TAKES_TIME: Duration = Duration::from_secs(1);

/// The document being run, and how the script reached it.
pub(super) struct Run {
    pub(super) role: Role,
    /// Account that set the document's address: its rights apply to every address that the document
    /// holds or leads to.
    pub(super) author: AccountSid,
    /// Address of the document: the base of relative addresses.
    base: Option<url::Url>,
    pub(super) verbs: VecDeque<Verb>,
    /// Whether a `<Dial>` on an unanswered leg answers it only when connected.
    pub(super) answer_on_bridge: bool,
    /// Whether routing generated its verbs, so no application decides.
    pub(super) implicit: bool,
    /// How many documents in a row took no time, and when the last one started.
    redirects: u32,
    since: Timestamp,
    /// Final SIP status for a caller that was not answered while a `<Dial>` failed.
    pub(super) failure_status: Option<u16>,
    /// Whether that `<Dial>` had no route to any party.
    pub(super) unreachable: bool,
    /// Whether the document's first verb was reached.
    pub(super) began: bool,
    /// A verb of this or an earlier document was reached.
    pub(super) ran: bool,
    /// Something in it could not be done.
    pub(super) failed: bool,
    /// A `<Leave>` ended it.
    pub(super) left: bool,
    /// Added to the parameters of every request to the application.
    pub(super) params: Params,
    /// The queue in which the call waits meanwhile.
    pub(super) queue: Option<QueueSid>,
}

impl Run {
    pub(super) const fn new(
        role: Role,
        author: AccountSid,
        verbs: VecDeque<Verb>,
        now: Timestamp,
    ) -> Self {
        Self {
            role,
            author,
            base: None,
            verbs,
            answer_on_bridge: false,
            implicit: false,
            redirects: 0,
            since: now,
            failure_status: None,
            unreachable: false,
            began: false,
            ran: false,
            failed: false,
            left: false,
            params: Params::new(),
            queue: None,
        }
    }

    /// Address of the current document.
    pub(super) fn url(&self) -> Option<&str> {
        self.base.as_ref().map(url::Url::as_str)
    }

    /// Another document takes over.
    pub(super) fn replace(&mut self, url: &str, verbs: Vec<Verb>, now: Timestamp) {
        self.base = url::Url::parse(url).ok();
        self.verbs = verbs.into();
        self.began = false;
        self.since = now;
    }

    /// Drops the remaining verbs of the document.
    pub(super) fn abandon(&mut self) {
        self.verbs.clear();
    }

    /// An absolute HTTP or HTTPS address from one in the document: RFC 3986 resolution against the
    /// address of the document, without its query.
    pub(super) fn resolve(&self, written: &str) -> Option<String> {
        let url = match &self.base {
            Some(base) => {
                let mut base = base.clone();
                base.set_query(None);
                base.join(written).ok()?
            }
            None => url::Url::parse(written).ok()?,
        };
        let http = matches!(url.scheme(), "http" | "https") && url.host().is_some();
        http.then(|| url.to_string())
    }

    /// An absolute WebSocket address from one in the document. A relative one is at the document's own
    /// server: over TLS if the document is.
    pub(super) fn resolve_socket(&self, written: &str) -> Option<String> {
        match url::Url::parse(written) {
            Ok(url) => {
                let usable = matches!(url.scheme(), "ws" | "wss") && url.host().is_some();
                usable.then(|| url.to_string())
            }
            Err(url::ParseError::RelativeUrlWithoutBase) => {
                let url = self.resolve(written)?;
                Some(url.replacen("http", "ws", 1))
            }
            Err(_) => None,
        }
    }

    /// Counts a document that follows another.
    ///
    /// - `endless`: no party is left that could hang up.
    ///
    /// Returns how many in a row took no time.
    pub(super) fn count_redirect(&mut self, endless: bool, now: Timestamp) -> u32 {
        if !endless && now.since(self.since) >= TAKES_TIME {
            self.redirects = 0;
        }
        self.redirects += 1;
        self.redirects
    }
}
