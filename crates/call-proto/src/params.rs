//! Parameters of requests to applications.

use model::Direction;

use crate::call::Call;
use crate::context::Context;
use crate::event::Headers;
use crate::letter::LastResponse;

pub(crate) type Params = Vec<(String, String)>;

impl Call {
    /// Parameters of every document request of this leg, and of its number-level callbacks.
    pub(crate) fn voice_params(&self, cx: &Context) -> Params {
        let info = &self.info;
        let or_unknown = |value: &Option<String>| match value {
            Some(value) => value.clone(),
            None if cx.settings.null_strings => "null".to_owned(),
            None => String::new(),
        };
        let mut params = Params::with_capacity(20);
        let mut add = |name: &str, value: String| params.push((name.to_owned(), value));
        add("CallSid", self.sid.to_string());
        add("InstanceId", cx.settings.instance.to_string());
        if let Some(child) = self.outbound_child {
            add("OutboundCallSid", child.to_string());
        }
        add("AccountSid", info.account.to_string());
        add("From", info.from.clone());
        add("To", info.to.clone());
        add("CallStatus", self.status.as_str().to_owned());
        add("ApiVersion", cx.settings.api_version.clone());
        add("Direction", info.direction.as_str().to_owned());
        add("CallerName", or_unknown(&info.caller_name));
        add("ForwardedFrom", or_unknown(&info.forwarded_from));
        add("CallTimestamp", info.created.iso8601());
        let headers = self.last_headers.as_ref().unwrap_or(&info.headers);
        for (name, value) in sip_headers(headers) {
            add(&format!("SipHeader_{name}"), value.clone());
        }
        params
    }

    /// Parameters of callbacks about a leg that we created.
    pub(crate) fn leg_params(&self, cx: &Context) -> Params {
        let info = &self.info;
        let mut params = Params::with_capacity(20);
        let mut add = |name: &str, value: String| params.push((name.to_owned(), value));
        add("InstanceId", cx.settings.instance.to_string());
        add("AccountSid", info.account.to_string());
        add("CallSid", self.sid.to_string());
        add("From", info.from.clone());
        add("To", info.to.clone());
        add("ApiVersion", cx.settings.api_version.clone());
        add("Direction", info.direction.as_str().to_owned());
        add("CallerName", info.from.clone());
        if let Some(forwarded) = &info.forwarded_from {
            add("ForwardedFrom", forwarded.clone());
        }
        if let Some(parent) = info.parent {
            add("ParentCallSid", parent.to_string());
        }
        params
    }
}

/// Headers that applications get to see: `X-…` (exactly so written) and Diversion.
fn sip_headers(headers: &Headers) -> impl Iterator<Item = &(String, String)> {
    headers
        .iter()
        .filter(|(name, _)| name.starts_with("X-") || name == "Diversion")
}

/// Parameters from the last response of a leg that was dialled as a SIP address.
pub(crate) fn dial_sip_params(response: &LastResponse, params: &mut Params) {
    params.push(("DialSipCallId".to_owned(), response.sip_call_id.clone()));
    params.push((
        "DialSipResponseCode".to_owned(),
        response.status.to_string(),
    ));
    for (name, value) in response
        .headers
        .iter()
        .filter(|(name, _)| name.starts_with("X-"))
    {
        params.push((format!("DialSipHeader_{name}"), value.clone()));
    }
}

/// Headers that name the call on every SIP message of a leg.
pub(crate) fn identity_headers(call: &Call, cx: &Context) -> Headers {
    vec![
        (
            "X-RestComm-ApiVersion".to_owned(),
            cx.settings.api_version.clone(),
        ),
        (
            "X-RestComm-AccountSid".to_owned(),
            call.info.account.to_string(),
        ),
        ("X-RestComm-CallSid".to_owned(), call.sid.to_string()),
    ]
}

/// Whether a leg is one that we created.
pub(crate) const fn is_outbound(direction: Direction) -> bool {
    match direction {
        Direction::Inbound => false,
        Direction::OutboundApi | Direction::OutboundDial => true,
    }
}
