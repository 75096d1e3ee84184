//! Keys that assign messages to transactions (RFC 3261 §17.1.3, §17.2.3).

use crate::header::Via;
use crate::message::{HeaderName, Method, Request, Response};

/// Key of a server transaction. ACK has the key of its INVITE.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum ServerKey {
    /// The branch is unique by itself.
    Branch {
        branch: String,
        sent_by: String,
        method: Method,
    },
    /// A peer older than RFC 3261: no magic cookie, so most of the request must match. The To tag
    /// is left out, because the ACK carries that of our response and the INVITE has none.
    Legacy {
        uri: String,
        from: String,
        call_id: String,
        seq: u32,
        via: String,
        method: Method,
    },
}

impl ServerKey {
    /// Key of a request; `None` if a header it needs is missing.
    pub(crate) fn of(request: &Request) -> Option<Self> {
        let method = match &request.method {
            Method::Ack => &Method::Invite,
            other => other,
        };
        Self::with_method(request, method.clone())
    }

    /// Key of the INVITE that a CANCEL refers to (§9.2).
    pub(crate) fn of_canceled(cancel: &Request) -> Option<Self> {
        Self::with_method(cancel, Method::Invite)
    }

    fn with_method(request: &Request, method: Method) -> Option<Self> {
        let via = request.headers.via().ok()?;
        if let Some(branch) = unique_branch(&via) {
            return Some(Self::Branch {
                branch: branch.to_ascii_lowercase(),
                sent_by: sent_by(&via),
                method,
            });
        }
        Some(Self::Legacy {
            uri: request.uri.to_string(),
            from: request
                .headers
                .from()
                .ok()?
                .tag()
                .unwrap_or_default()
                .to_owned(),
            call_id: request.headers.call_id()?.into_owned(),
            seq: request.headers.cseq().ok()?.seq,
            via: via.to_string(),
            method,
        })
    }
}

/// A branch with the magic cookie and something after it; the bare cookie is not a key (RFC 4475
/// §3.3.1).
fn unique_branch(via: &Via) -> Option<&str> {
    via.rfc3261_branch()
        .filter(|branch| branch.len() > "z9hG4bK".len())
}

fn sent_by(via: &Via) -> String {
    format!("{}:{}", via.host, via.port.unwrap_or(0)).to_ascii_lowercase()
}

/// Key of a client transaction: our own branch, and the method, which distinguishes a CANCEL from
/// its INVITE.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct ClientKey {
    branch: String,
    method: Method,
}

impl ClientKey {
    pub(crate) fn of_request(request: &Request) -> Option<Self> {
        Some(Self {
            branch: request.headers.via().ok()?.branch()?.to_ascii_lowercase(),
            method: request.method.clone(),
        })
    }

    pub(crate) fn of_response(response: &Response) -> Option<Self> {
        Some(Self {
            branch: response.headers.via().ok()?.branch()?.to_ascii_lowercase(),
            method: response.headers.cseq().ok()?.method,
        })
    }
}

/// Identifies a request that reached us by two paths (§8.2.2.2).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct MergeKey {
    from_tag: String,
    call_id: String,
    seq: u32,
    method: Method,
}

impl MergeKey {
    /// Key of a request outside dialogs; `None` for one within a dialog, or without From tag, whose
    /// sender is too old to judge.
    pub(crate) fn of(request: &Request) -> Option<Self> {
        let headers = &request.headers;
        let outside = headers.to().is_ok_and(|to| to.tag().is_none());
        if !outside || matches!(request.method, Method::Ack | Method::Cancel) {
            return None;
        }
        let cseq = headers.cseq().ok()?;
        Some(Self {
            from_tag: headers.from().ok()?.tag()?.to_owned(),
            call_id: String::from_utf8_lossy(headers.get_bytes(HeaderName::CallId)?).into_owned(),
            seq: cseq.seq,
            method: cseq.method,
        })
    }
}
