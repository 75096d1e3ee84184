//! The call that asks for a code, as Twilio's validation of caller IDs.
//!
//! The call runs a document of ours, whose `<Gather>` leads back to this server. What is to be added
//! is in that address, which only this server can sign. **Invariant: a number becomes a caller ID
//! only if the code was pressed within the lifetime of that address.** Nothing is stored before that.

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::response::Response;
use call_proto::{Dialect, Document, Legs, NewCall};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use model::record::Account;
use model::{AccountSid, CallSid, Target};
use std::time::Duration;
use store::StoreError;
use tracing::warn;
use url::form_urlencoded::{Serializer, parse};

use crate::ApiState;
use crate::context::{Answer, Context, now};
use crate::failure::Failure;
use crate::resources::calls;
use crate::route::{Is, Param, param};
use crate::value::{Field, Kind, Null, Resource, Value, field, xml_text};

/// Path of the address to which the pressed keys go.
pub(crate) const PATH: &str = "/restcomm/validations";

const PURPOSE: &str = "caller-id";
const CODE_DIGITS: usize = 6;
const ATTEMPTS: u32 = 3;
/// How long the call may ring.
const RINGING: Duration = Duration::from_secs(60);
/// How long the call may last after its answer.
const LASTING: Duration = Duration::from_secs(120);
/// How long the address is valid.
const VALID: Duration = Duration::from_secs(300);
const MAX_FORM: usize = 64 * 1024;

/// Parameters of the call.
pub(super) const CALL: &[Param] = &[param(
    "Extension",
    Is::Text,
    "Keys to press when the call is answered: digits, `*`, `#`, and `w` for a pause; at most 32.",
)];

/// A validation that was begun.
pub(super) struct Validation {
    account: AccountSid,
    call: CallSid,
    friendly_name: String,
    phone_number: String,
    code: String,
}

const FIELDS: &[Field<Validation>] = &[
    field(
        "account_sid",
        "AccountSid",
        Kind::Text,
        Null::Never,
        "Account that will own the caller ID.",
        |v, _| Value::text(v.account),
    ),
    field(
        "call_sid",
        "CallSid",
        Kind::Text,
        Null::Never,
        "The call that asks for the code.",
        |v, _| Value::text(v.call),
    ),
    field(
        "friendly_name",
        "FriendlyName",
        Kind::Text,
        Null::Never,
        "Name of the caller ID.",
        |v, _| Value::text(&v.friendly_name),
    ),
    field(
        "phone_number",
        "PhoneNumber",
        Kind::Text,
        Null::Never,
        "The number that is called.",
        |v, _| Value::text(&v.phone_number),
    ),
    field(
        "validation_code",
        "ValidationCode",
        Kind::Text,
        Null::Never,
        "The code that must be pressed: six digits.",
        |v, _| Value::text(&v.code),
    ),
];

pub(super) static VALIDATION: Resource<Validation> = Resource {
    xml: ["ValidationRequest", "ValidationRequest"],
    xml_list: ["ValidationRequests", "ValidationRequests"],
    json_list: ["validation_requests", "validation_requests"],
    xml_envelope: [false, false],
    fields: FIELDS,
};

/// Calls the number.
pub(super) async fn call(context: &Context<'_>, account: &Account) -> Answer {
    let (phone_number, friendly_name) = super::wanted(context, account).await?;
    let keys = calls::keys(&context.params, "Extension")?;
    calls::not_draining(context)?;
    let state = context.state;
    let asked = Asked {
        account: account.sid,
        phone_number,
        friendly_name,
        code: format!("{:06}", rand::random_range(0..1_000_000)),
        expires_s: (now() + VALID).as_millis() / 1_000,
        attempt: 1,
    };
    let from = own_number(state, account.sid).await?;
    let new = NewCall {
        account: account.sid,
        from: from.unwrap_or_else(|| asked.phone_number.clone()),
        target: Target::parse(&asked.phone_number, model::Bare::Number),
        headers: Vec::new(),
        planned: Document::of_text(asked.question(state), top(context, account).await?).into(),
        send_digits: keys,
        detection: None,
        callback: None,
        recording: None,
        timeout: RINGING,
        time_limit: Some(LASTING),
        credentials: None,
        legs: Legs::One,
        dialect: Dialect::TWILIO,
    };
    let legs = state.calls.create(new).await.map_err(calls::not_created)?;
    let leg = legs.first().ok_or_else(Failure::without_database)?;
    let shown = Validation {
        account: account.sid,
        call: leg.sid,
        friendly_name: asked.friendly_name,
        phone_number: asked.phone_number,
        code: asked.code,
    };
    Ok(context.show(&VALIDATION, &shown))
}

/// The oldest number of an account that can be shown to others.
pub(crate) async fn own_number(
    state: &ApiState,
    account: AccountSid,
) -> Result<Option<String>, Failure> {
    let filter = store::NumberFilter {
        scope: store::Scope::Own(account),
        phone_number: Some("+".to_owned()),
        friendly_name: None,
        sort: None,
        window: store::Window::at(0, 20),
    };
    let found = state.store.numbers(&filter).await?.items.into_iter();
    let numbers = found.map(|number| number.phone_number);
    Ok({ numbers }.find(|number| model::number::e164(number).is_some()))
}

/// The top of an account's tree. Its rights apply to our own address, which may be that of this machine.
pub(crate) async fn top(context: &Context<'_>, account: &Account) -> Result<AccountSid, Failure> {
    let (mut sid, mut parent) = (account.sid, account.parent);
    for _ in 0..Account::MAX_ANCESTRY {
        let Some(above) = parent else { break };
        sid = above;
        let found = context.state.store.account(above).await?;
        parent = found.and_then(|account| account.parent);
    }
    Ok(sid)
}

/// What is asked of the person who answers.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Asked {
    account: AccountSid,
    phone_number: String,
    friendly_name: String,
    code: String,
    /// Seconds since 1970.
    expires_s: i64,
    /// Counts from 1.
    attempt: u32,
}

impl Asked {
    /// Its content, as a query without a signature.
    fn query(&self) -> String {
        let mut query = Serializer::new(String::new());
        query.append_pair("Account", &self.account.to_string());
        query.append_pair("Number", &self.phone_number);
        query.append_pair("Name", &self.friendly_name);
        query.append_pair("Code", &self.code);
        query.append_pair("Expires", &self.expires_s.to_string());
        query.append_pair("Attempt", &self.attempt.to_string());
        query.finish()
    }

    /// From a query that this server has signed.
    fn read(state: &ApiState, query: &str) -> Option<Self> {
        let value = |name: &str| {
            let mut pairs = parse(query.as_bytes());
            pairs
                .find(|(key, _)| key == name)
                .map(|(_, value)| value.into_owned())
        };
        let read = Self {
            account: value("Account")?.parse().ok()?,
            phone_number: value("Number")?,
            friendly_name: value("Name")?,
            code: value("Code")?,
            expires_s: value("Expires")?.parse().ok()?,
            attempt: value("Attempt")?.parse().ok()?,
        };
        let key = state.store.key();
        let signed = key.is_signed(PURPOSE, &read.query(), &value("Signature")?);
        (signed && now().as_millis() / 1_000 < read.expires_s).then_some(read)
    }

    /// The document that asks for the code.
    fn question(&self, state: &ApiState) -> String {
        let query = self.query();
        let signature = state.store.key().sign(PURPOSE, &query);
        let action = format!("{}{PATH}?{query}&Signature={signature}", state.public_base);
        let again = match self.attempt {
            1 => "",
            _ => "That code is not correct. ",
        };
        let mut out = String::from("<Response><Gather input=\"dtmf\" timeout=\"15\" numDigits=\"");
        out.push_str(&CODE_DIGITS.to_string());
        out.push_str("\" action=\"");
        xml_text(&mut out, &action);
        out.push_str("\"><Say>");
        out.push_str(again);
        out.push_str("Please enter the six digit validation code.</Say></Gather>");
        out.push_str("<Say>No code was entered. Goodbye.</Say><Hangup/></Response>");
        out
    }
}

fn farewell(text: &str) -> String {
    format!("<Response><Say>{text}</Say><Hangup/></Response>")
}

/// Answers the request of the `<Gather>`.
pub(crate) async fn answer(state: &ApiState, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let query = parts.uri.query().unwrap_or_default();
    let Some(asked) = Asked::read(state, query) else {
        return document(
            StatusCode::FORBIDDEN,
            farewell("This code is no longer valid."),
        );
    };
    let form = to_bytes(body, MAX_FORM).await.unwrap_or_default();
    let digits = parse(&form).find(|(name, _)| name == "Digits");
    let is_right = digits.is_some_and(|(_, digits)| digits == asked.code.as_str());
    if !is_right {
        let text = if asked.attempt < ATTEMPTS {
            let next = Asked {
                attempt: asked.attempt + 1,
                ..asked
            };
            next.question(state)
        } else {
            farewell("That code is not correct. Goodbye.")
        };
        return document(StatusCode::OK, text);
    }
    let caller_id = super::new(asked.account, asked.phone_number, asked.friendly_name);
    match state.store.insert_caller_id(caller_id).await {
        // Already there: the same request may arrive twice.
        Ok(()) | Err(StoreError::Duplicate(_)) => document(
            StatusCode::OK,
            farewell("Thank you. The number is validated."),
        ),
        Err(error) => {
            warn!(%error, "a validated caller ID could not be stored");
            let text = farewell("The number could not be validated. Please try again later.");
            document(StatusCode::OK, text)
        }
    }
}

fn document(status: StatusCode, text: String) -> Response {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    let content_type = HeaderValue::from_static("application/xml");
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}
