//! Decides about a text message that arrives: it runs the application of a number, goes to the
//! phones of a client, or, from a client, to the outside.
//!
//! The sender is trusted as for a call. **A number precedes a client of its own account**, unlike for
//! calls: an application for texts is what the number has it for. Left to others: records, and
//! whether the recipient can be reached.

use model::profile::Traffic;
use model::record::{Client, Number};
use model::{
    AccountSid, AccountStatus, ApplicationSid, DialectName, HttpMethod, OrganizationSid,
    RefusalReason, error,
};

use super::invitation::{Caller, Invitation};
use super::rows::{Rows, Want};
use super::{Called, Challenged, House, Refusal, Routing, absolute, masks};
use crate::dialect::Dialect;
use crate::event::{Document, Fallback, Headers, SetIn};
use crate::message::{Keyword, TextArrival};

/// Text of the Reason header for a body that is not a text.
pub const NOT_TEXT: &str = "Content Type is not text plain";

/// The outcome for a text message.
#[derive(Clone, Debug)]
pub enum TextDecision {
    /// The sender must authenticate.
    Challenge(Challenged),
    /// The text is refused.
    Refuse(Refusal),
    /// The application of a number runs.
    Run(Box<TextArrival>),
    /// A keyword for a number without an application: it is carried out if keywords have an effect there, else refused.
    Keyword(Box<TextArrival>, Refusal),
    /// It goes to every phone of a client, whose response is that to the sender.
    Relay(Relay),
    /// It goes to the outside, for a client.
    Forward(Forward),
}

/// A text for a client.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Relay {
    /// Account under which it is sent: that of the sending client, or else of the recipient.
    pub account: AccountSid,
    /// The sender.
    pub from: String,
    /// Login of the recipient.
    pub login: String,
    /// Organization of the recipient.
    pub organization: OrganizationSid,
    /// Trusted header fields.
    pub headers: Headers,
}

/// A text from a client to the outside.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Forward {
    /// Account of the client.
    pub account: AccountSid,
    /// Login of the client.
    pub from: String,
    /// A number, or the address of another server.
    pub to: String,
    /// Trusted header fields.
    pub headers: Headers,
}

/// Decides about a text message.
///
/// - `text`: the text, and how it came.
///
/// # Errors
/// The row that the decision depends on, if it is not known yet.
pub fn route_text(
    message: &Invitation,
    text: (&str, &str),
    house: House<'_>,
    rows: &Rows,
) -> Result<TextDecision, Want> {
    let routing = Routing {
        invite: message,
        house,
        rows,
        headers: message.believed_headers(),
    };
    routing.decide_text(text)
}

/// The responses of the phones to which a text went (RFC 3261 §16.7).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outcome {
    waiting: usize,
    best: Option<(u16, String)>,
}

impl Outcome {
    /// Nothing is known yet.
    ///
    /// - `phones`: how many there are
    #[must_use]
    pub const fn of(phones: usize) -> Self {
        Self {
            waiting: phones,
            best: None,
        }
    }

    /// Takes a final response. Returns that for the sender, once it is known: the first 2xx, or the best
    /// of all.
    pub fn handle_answer(&mut self, status: u16, reason: String) -> Option<(u16, String)> {
        self.waiting = self.waiting.saturating_sub(1);
        if (200..300).contains(&status) {
            return Some((status, reason));
        }
        // The sender cannot answer a challenge that is for us.
        let (status, reason) = match status {
            401 | 407 => (403, String::new()),
            _ => (status, reason),
        };
        let rank = |status: u16| (status < 600, status);
        let is_better = self
            .best
            .as_ref()
            .is_none_or(|(best, _)| rank(status) < rank(*best));
        if is_better {
            self.best = Some((status, reason));
        }
        if self.waiting == 0 {
            self.best.take()
        } else {
            None
        }
    }
}

impl<'a> Routing<'a> {
    fn decide_text(self, text: (&str, &str)) -> Result<TextDecision, Want> {
        let (to, recipient) = self.called(Self::number_or_client)?;
        let by = match self.named_client()? {
            Some(client) if self.is_a_stranger_texting(client, recipient.as_ref()) => None,
            named => named,
        };
        if self.invite.caller != Caller::Trunk
            && let Some(client) = by
        {
            let proved = matches!(self.invite.caller, Caller::Client { .. });
            if !proved || !client.enabled {
                return Ok(TextDecision::Challenge(Challenged::Client));
            }
            if self.rows.account(client.account)? != AccountStatus::Active {
                return Ok(TextDecision::Refuse(inactive(
                    client.account,
                    &client.login,
                )));
            }
        }
        if self.invite.caller == Caller::Unproved {
            let is_private = matches!(recipient, Some(Called::Number(number)) if !number.public);
            let whom = if by.is_none() && is_private {
                Challenged::Stranger
            } else {
                Challenged::Client
            };
            return Ok(TextDecision::Challenge(whom));
        }
        let by = by.filter(|_| matches!(self.invite.caller, Caller::Client { .. }));
        let from = by.map_or(&self.invite.from_user, |client| &client.login);
        match recipient {
            Some(Called::Number(number)) => self.text_to_number(by, number, (from, to), text),
            Some(Called::Client(callee)) => {
                if self.rows.account(callee.account)? != AccountStatus::Active {
                    let refusal = inactive(callee.account, &callee.login);
                    return Ok(TextDecision::Refuse(refusal));
                }
                if let Some(refusal) = self.unwelcome(callee.account, Traffic::InboundTexts)? {
                    return Ok(TextDecision::Refuse(refusal));
                }
                Ok(TextDecision::Relay(Relay {
                    account: by.map_or(callee.account, |client| client.account),
                    from: from.clone(),
                    login: callee.login.clone(),
                    organization: callee.organization,
                    headers: self.headers,
                }))
            }
            None => Ok(match by {
                Some(client) if self.calls_elsewhere() => {
                    TextDecision::Refuse(self.not_here(Some(client.account)))
                }
                Some(client) => self.text_to_outside(client),
                None => TextDecision::Refuse(self.not_here(None)),
            }),
        }
    }

    /// A client, unless another account has a number that is dialled the same way, or its own has
    /// one with an application for texts.
    fn number_or_client(&self, user: &str, client: &'a Client) -> Result<Called<'a>, Want> {
        if let Some(number) = self.rows.number_before(client, user)? {
            return Ok(Called::Number(number));
        }
        let own = self.rows.exact_number(client.organization, user)?;
        let own = own.filter(|own| own.account == client.account && takes_texts(own));
        Ok(own.map_or(Called::Client(client), Called::Number))
    }

    /// Whether From names a client only by coincidence, as for calls.
    fn is_a_stranger_texting(&self, client: &Client, recipient: Option<&Called<'_>>) -> bool {
        if self.invite.caller != Caller::Unknown || self.invite.from_registered {
            return false;
        }
        match recipient {
            Some(Called::Number(number)) => number.public && number.account != client.account,
            Some(Called::Client(_)) | None => false,
        }
    }

    fn text_to_number(
        self,
        by: Option<&Client>,
        number: &Number,
        (from, to): (&str, &str),
        (text, via): (&str, &str),
    ) -> Result<TextDecision, Want> {
        if self.rows.account(number.account)? != AccountStatus::Active {
            let refusal = inactive(number.account, &number.phone_number);
            return Ok(TextDecision::Refuse(refusal));
        }
        if let Some(refusal) = self.unwelcome(number.account, Traffic::InboundTexts)? {
            return Ok(TextDecision::Refuse(refusal));
        }
        if self.invite.caller == Caller::Unknown && !number.public {
            return Ok(TextDecision::Challenge(Challenged::Stranger));
        }
        let mut keyword = Keyword::of(text);
        let mut contact = None;
        let found = match self.masked(by, number)?.cloned() {
            Some(found) => {
                // What two people write to each other is no keyword.
                keyword = None;
                let (document, met) = masks::text(self.rows, &found, text)?;
                contact = met;
                Some((document, DialectName::Twilio))
            }
            None => self.text_document(number)?,
        };
        let refusal = found.is_none().then(|| no_application(number));
        let (document, dialect) = found.unwrap_or_else(|| {
            let nothing = Document::of_text(String::new(), number.account);
            (nothing, number.voice.dialect)
        });
        let is_keyword = keyword.is_some();
        let arrival = Box::new(TextArrival {
            account: number.account,
            number: number.sid,
            from: from.to_owned(),
            to: to.to_owned(),
            body: text.to_owned(),
            headers: self.headers,
            via: via.to_owned(),
            document,
            dialect: Dialect::of(dialect),
            sid: None,
            keyword,
            contact,
            interaction: None,
            outgoing: None,
            is_passed_on: false,
        });
        Ok(match refusal {
            None => TextDecision::Run(arrival),
            Some(refusal) if is_keyword => TextDecision::Keyword(arrival, refusal),
            Some(refusal) => TextDecision::Refuse(refusal),
        })
    }

    fn text_to_outside(self, client: &Client) -> TextDecision {
        let to = match self.invite.foreign() {
            Some(uri) => uri.to_owned(),
            None if self.house.has_outbound_proxy => self.invite.called_user.clone(),
            None => return TextDecision::Refuse(self.not_here(Some(client.account))),
        };
        TextDecision::Forward(Forward {
            account: client.account,
            from: client.login.clone(),
            to,
            headers: self.headers,
        })
    }

    /// The document for texts of a number; `None` if nothing says where it is. As for calls, an
    /// application takes precedence over an address, and what it leaves open, the number says.
    fn text_document(&self, number: &Number) -> Result<Option<(Document, DialectName)>, Want> {
        let base = self.house.public_base;
        let own = |name: &str| stored(&number.extra, name);
        let fallback = |url: Option<&str>, method: HttpMethod, author, set_in| {
            Some(Fallback {
                url: absolute(base, url?)?,
                method,
                author,
                set_in,
            })
        };
        let own_fallback = fallback(
            own("SmsFallbackUrl"),
            method(own("SmsFallbackMethod")),
            number.account,
            SetIn::NumberSms,
        );
        let Some(sid) = own("SmsApplicationSid") else {
            let dialect = own("SmsDialect").and_then(|word| word.parse().ok());
            return Ok(own("SmsUrl").map(|url| {
                let document = Document {
                    url: absolute(base, url).unwrap_or_else(|| url.to_owned()),
                    text: None,
                    method: method(own("SmsMethod")),
                    author: number.account,
                    fallback: own_fallback,
                    set_in: SetIn::NumberSms,
                };
                (document, dialect.unwrap_or(number.voice.dialect))
            }));
        };
        let Ok(sid) = sid.parse::<ApplicationSid>() else {
            return Ok(None);
        };
        let Some(application) = self.rows.application(sid, number.account)? else {
            return Ok(None);
        };
        let of_application = |name: &str| stored(&application.extra, name);
        // At one base of the API the address for texts has its own name; at the other, the kind of
        // the application says what its only address is for.
        let texts = of_application("SmsUrl");
        let url = texts.or(application
            .rcml_url
            .as_deref()
            .filter(|url| !url.is_empty()));
        let Some(url) = url else {
            return Ok(None);
        };
        let (its_method, its_fallback) = if texts.is_some() {
            (
                of_application("SmsMethod").map(|word| method(Some(word))),
                fallback(
                    of_application("SmsFallbackUrl"),
                    method(of_application("SmsFallbackMethod")),
                    application.account,
                    SetIn::ApplicationSms,
                ),
            )
        } else {
            let filled = application.fallback_url.as_deref();
            (
                application.method,
                fallback(
                    filled.filter(|url| !url.is_empty()),
                    application.fallback_method.unwrap_or(HttpMethod::Post),
                    application.account,
                    SetIn::Application,
                ),
            )
        };
        let document = Document {
            url: absolute(base, url).unwrap_or_else(|| url.to_owned()),
            text: None,
            method: its_method.unwrap_or_else(|| method(own("SmsMethod"))),
            author: application.account,
            fallback: its_fallback.or(own_fallback),
            set_in: SetIn::ApplicationSms,
        };
        Ok(Some((document, application.dialect)))
    }
}

fn stored<'a>(
    extra: &'a std::collections::BTreeMap<String, String>,
    name: &str,
) -> Option<&'a str> {
    let filled = extra.get(name).filter(|text| !text.is_empty());
    filled.map(String::as_str)
}

/// A stored method; `POST` if there is none.
fn method(word: Option<&str>) -> HttpMethod {
    let method = word.and_then(|word| word.parse().ok());
    method.unwrap_or(HttpMethod::Post)
}

/// Whether a number says what runs for texts.
fn takes_texts(number: &Number) -> bool {
    let names = ["SmsApplicationSid", "SmsUrl"];
    names
        .iter()
        .any(|name| stored(&number.extra, name).is_some())
}

/// - `name`: of the account's client or number
fn inactive(account: AccountSid, name: &str) -> Refusal {
    Refusal::of_row(
        (403, error::NO_HANDLER),
        RefusalReason::Inactive,
        name,
        Some(account),
        &format!("the account of `{name}` is not active"),
    )
}

fn no_application(number: &Number) -> Refusal {
    let name = &number.phone_number;
    Refusal::of_row(
        (404, error::NO_MESSAGE_APPLICATION),
        RefusalReason::NoTextApplication,
        name,
        Some(number.account),
        &format!("{name} has no application for text messages that can run"),
    )
}
