//! Requests of one dialog (or of a registration) and their destinations.

use std::net::SocketAddr;

use sip_proto::header::NameAddr;
use sip_proto::message::{HeaderName, Headers, Method, Request};
use sip_proto::uri::{Host, SipUri, Uri};

use super::{Account, Random};

const DEFAULT_PORT: u16 = 5060;

/// The common parts of the requests of one dialog.
#[derive(Clone, Debug)]
pub(super) struct Dialog {
    pub(super) call_id: String,
    /// From of our requests, with tag.
    pub(super) local: String,
    /// To of our requests; with tag once the remote party has sent one.
    pub(super) remote: String,
    /// Request-URI.
    pub(super) target: Uri,
    /// Route header values.
    pub(super) route: Vec<String>,
    /// CSeq of our last request.
    pub(super) seq: u32,
}

impl Dialog {
    /// A request with these fields; `branch` identifies its transaction.
    pub(super) fn request(
        &self,
        method: Method,
        seq: u32,
        branch: &str,
        account: &Account,
    ) -> Request {
        let mut request = Request::new(method, self.target.clone());
        let cseq = format!("{seq} {}", request.method.as_str());
        let headers = &mut request.headers;
        let contact = account.contact;
        headers.push(
            HeaderName::Via,
            format!("SIP/2.0/UDP {contact};rport;branch=z9hG4bK{branch}"),
        );
        for route in &self.route {
            headers.push(HeaderName::Route, route.as_str());
        }
        headers.push(HeaderName::MaxForwards, 70_u32);
        headers.push(HeaderName::From, self.local.as_str());
        headers.push(HeaderName::To, self.remote.as_str());
        headers.push(HeaderName::CallId, self.call_id.as_str());
        headers.push(HeaderName::CSeq, cseq);
        headers.push(HeaderName::UserAgent, "patchcord-phone");
        request
    }

    /// The CSeq of the next request.
    pub(super) fn next_seq(&mut self) -> u32 {
        self.seq += 1;
        self.seq
    }

    /// Destination of requests: the first route or the target if numeric, else the server.
    pub(super) fn next_hop(&self, account: &Account) -> SocketAddr {
        let first = self.route.first();
        let route = first.and_then(|route| NameAddr::parse(route).ok());
        let uri = route.as_ref().map_or(&self.target, |route| &route.uri);
        address_of(uri).unwrap_or(account.server)
    }

    /// Adopts the remote party's Contact as target.
    pub(super) fn learn_target(&mut self, headers: &Headers) {
        if let Some(contact) = headers.all(HeaderName::Contact).next()
            && let Ok(contact) = NameAddr::parse(contact)
        {
            self.target = contact.uri;
        }
    }
}

/// A new Call-ID.
pub(super) fn call_id(account: &Account, random: &mut Random) -> String {
    format!("{}@{}", random.word(), account.contact.ip())
}

/// Our Contact.
pub(super) fn contact(account: &Account) -> String {
    format!("<sip:{}@{}>", account.user, account.contact)
}

/// Our address in From (and To of REGISTER).
pub(super) fn own_address(account: &Account) -> String {
    format!("<sip:{}@{}>", account.user, account.domain)
}

/// A URI from `sip:…`, or from a user or number of its own domain.
pub(super) fn target_uri(target: &str, account: &Account) -> Option<Uri> {
    if target.contains(':') {
        return Uri::parse(target).ok();
    }
    let host = Host::parse(&account.domain).ok()?;
    Some(Uri::Sip(SipUri::new(Some(target), host, None)))
}

fn address_of(uri: &Uri) -> Option<SocketAddr> {
    let ip = uri.host()?.ip()?;
    Some(SocketAddr::new(ip, uri.port().unwrap_or(DEFAULT_PORT)))
}
