//! Decides who an inbound call or text message is for, whether its caller may call there, and where
//! a called party is.
//!
//! **Invariant: From alone gives no rights.** A number can be called by a trunk, by an
//! authenticated client, or by anyone if it is public. A user part of From that names a client must
//! be authenticated, unless a stranger calls a public number of another account: no account can
//! block strangers from another one's number by its choice of logins. Left to others: fetching rows
//! ([`Want`]) and checking digests.

mod application;
mod invitation;
mod masks;
mod outgoing;
mod refer;
mod rows;
#[cfg(test)]
mod tests;
mod texts;

use model::profile::{Rate, Traffic};
use model::record::{Application, Client, Number, VoiceApplication};
use model::{
    AccountSid, AccountStatus, DialectName, HttpMethod, NumberSid, OrganizationSid, RefusalReason,
    error,
};
use rcml::{Branch, Dial, Noun, Verb};

use crate::callback::CallbackTarget;
use crate::dialect::Dialect;
use crate::event::{Document, Fallback, Headers, SetIn, Unreachable};
use crate::family::Script;

pub use application::document_of;
pub use invitation::{Caller, Invitation};
pub use outgoing::{Local, Place, Way, instead, way};
pub use rows::{Numbers, Rows, Standing, Want, is_usable_pattern};
pub use texts::{Forward, NOT_TEXT, Outcome, Relay, TextDecision, route_text};

/// Longest client-to-client call without a document, in seconds.
const PEER_LIMIT_S: u32 = 3_600;

/// When a caller may retry after the server was full, in seconds.
const RETRY_AFTER_S: u32 = 10;

/// The server's settings, as far as routing needs them.
#[derive(Clone, Copy, Debug)]
pub struct House<'a> {
    /// Address against which relative addresses of applications are resolved.
    pub public_base: &'a str,
    /// Whether there is a trunk for calls to the outside.
    pub has_outbound_proxy: bool,
}

/// The outcome for an INVITE.
#[derive(Clone, Debug)]
pub enum Decision {
    /// The caller must authenticate.
    Challenge(Challenged),
    /// The call is refused.
    Refuse(Refusal),
    /// The call is admitted.
    Admit(Box<Admission>),
}

/// Who is challenged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Challenged {
    /// A caller that claims to be a client, and knows the password if it is.
    Client,
    /// Any other caller: the number is not public, so a password is required, which this caller
    /// does not have. Many a phone answers the challenge with the credentials of another server.
    Stranger,
}

/// Why a call is refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// Final SIP status.
    pub sip_status: u16,
    /// When the caller may retry, in seconds.
    pub retry_after_s: Option<u32>,
    /// Number of the error table, if the account's owner can fix the cause.
    pub code: Option<u16>,
    /// Human-readable.
    pub text: String,
    /// Account that gets a notification.
    pub account: Option<AccountSid>,
    /// How the refusal is counted: the reason, and the client or number that causes it.
    pub counted: Option<(RefusalReason, String)>,
}

impl Refusal {
    /// The rows could not be fetched.
    ///
    /// - `is_temporary`: whether they may be later
    #[must_use]
    pub fn without_rows(is_temporary: bool) -> Self {
        let text = "the rows for its routing cannot be read";
        if is_temporary {
            Self {
                retry_after_s: Some(RETRY_AFTER_S),
                ..Self::of_server(503, text)
            }
        } else {
            Self::of_server(500, text)
        }
    }

    /// The account has had as many calls through trunks as its profile allows in a period.
    #[must_use]
    pub fn over_rate(account: AccountSid, rate: Rate) -> Self {
        let text = format!("the profile of the account allows only {rate}");
        Self {
            retry_after_s: Some(RETRY_AFTER_S),
            code: Some(error::PROFILE_RATE),
            account: Some(account),
            ..Self::of_server(480, &text)
        }
    }

    /// The server accepts no more calls.
    #[must_use]
    pub fn full() -> Self {
        Self {
            retry_after_s: Some(RETRY_AFTER_S),
            ..Self::of_server(503, "the server is full")
        }
    }

    /// The recipient of a text cannot be reached.
    ///
    /// - `account`: that of the sender
    #[must_use]
    pub fn unreachable(account: AccountSid, why: &Unreachable) -> Self {
        Self {
            code: Some(why.code),
            account: Some(account),
            ..Self::of_server(404, &why.text)
        }
    }

    fn of_server(sip_status: u16, text: &str) -> Self {
        Self {
            sip_status,
            retry_after_s: None,
            code: None,
            text: text.to_owned(),
            account: None,
            counted: None,
        }
    }

    /// - `name`: of the client or number that causes it
    fn of_row(
        (sip_status, code): (u16, u16),
        reason: RefusalReason,
        name: &str,
        account: Option<AccountSid>,
        text: &str,
    ) -> Self {
        Self {
            code: Some(code),
            account,
            counted: Some((reason, name.to_owned())),
            ..Self::of_server(sip_status, text)
        }
    }
}

/// An admitted call.
#[derive(Clone, Debug)]
pub struct Admission {
    /// Account under which the call runs.
    pub account: AccountSid,
    /// Number that was called.
    pub number: Option<NumberSid>,
    /// The caller, as shown to records and applications.
    pub from: String,
    /// The called party: the user part of the Request-URI, or of To if only that is known here.
    pub to: String,
    /// User part of the Diversion header, if trusted.
    pub forwarded_from: Option<String>,
    /// Trusted header fields.
    pub headers: Headers,
    /// The script for the leg.
    pub script: Script,
    /// Dialect of the run: that in which the document's address was set.
    pub dialect: Dialect,
    /// Receives each status.
    pub status_callback: Option<CallbackTarget>,
    /// Runs if a party that the call connects asks to transfer the other one.
    pub refer: Option<Document>,
    /// Who meets whom, if the number is a mask.
    pub contact: Option<masking::Contact>,
}

/// What to run, before the rest of the admission is known.
struct Run {
    account: AccountSid,
    number: Option<NumberSid>,
    script: Script,
    dialect: DialectName,
    status_callback: Option<CallbackTarget>,
    refer: Option<Document>,
    contact: Option<masking::Contact>,
}

/// The result of a step of the decision.
enum Verdict {
    Challenge(Challenged),
    Refuse(Refusal),
    Run(Box<Run>),
}

/// Decides about an INVITE.
///
/// # Errors
/// The row that the decision depends on, if it is not known yet.
pub fn route(invite: &Invitation, house: House<'_>, rows: &Rows) -> Result<Decision, Want> {
    if !invite.body_type_ok {
        let refusal = Refusal::of_server(415, "the type of its body is not supported");
        return Ok(Decision::Refuse(refusal));
    }
    let routing = Routing {
        invite,
        house,
        rows,
        headers: invite.believed_headers(),
    };
    routing.decide()
}

struct Routing<'a> {
    invite: &'a Invitation,
    house: House<'a>,
    rows: &'a Rows,
    headers: Headers,
}

/// The called party.
enum Called<'a> {
    Client(&'a Client),
    Number(&'a Number),
}

impl<'a> Routing<'a> {
    fn decide(self) -> Result<Decision, Want> {
        let by = match self.named_client()? {
            Some(client) if self.is_a_strangers_name(client)? => None,
            named => named,
        };
        if self.invite.caller != Caller::Trunk
            && let Some(client) = by
            && let Some(verdict) = self.called_by_client(client)?
        {
            let to = self.invite.called_user.clone();
            return Ok(self.decision(verdict, by, to));
        }
        if self.invite.caller == Caller::Unproved {
            let is_stranger = by.is_none() && self.calls_a_private_number()?;
            return Ok(Decision::Challenge(if is_stranger {
                Challenged::Stranger
            } else {
                Challenged::Client
            }));
        }
        let by = by.filter(|_| matches!(self.invite.caller, Caller::Client { .. }));
        let (to, called) = self.called(Self::client_or_number)?;
        let verdict = match called {
            Some(Called::Client(callee)) => self.to_client(by, callee)?,
            Some(Called::Number(number)) => self.to_number(by, number)?,
            None => match by {
                Some(client) if self.calls_elsewhere() => {
                    Verdict::Refuse(self.not_here(Some(client.account)))
                }
                Some(client) => self.to_outside(client),
                None => Verdict::Refuse(self.not_here(None)),
            },
        };
        let to = to.to_owned();
        Ok(self.decision(verdict, by, to))
    }

    fn decision(self, verdict: Verdict, by: Option<&Client>, to: String) -> Decision {
        let run = match verdict {
            Verdict::Challenge(whom) => return Decision::Challenge(whom),
            Verdict::Refuse(refusal) => return Decision::Refuse(refusal),
            Verdict::Run(run) => run,
        };
        let from = by.map_or(&self.invite.from_user, |client| &client.login);
        Decision::Admit(Box::new(Admission {
            account: run.account,
            number: run.number,
            from: from.clone(),
            to,
            forwarded_from: invitation::forwarded_from(&self.headers),
            headers: self.headers,
            script: run.script,
            dialect: Dialect::of(run.dialect),
            status_callback: run.status_callback,
            refer: run.refer,
            contact: run.contact,
        }))
    }

    /// The authenticated client, or else the one named in From. A name with another host may belong
    /// to someone elsewhere.
    fn named_client(&self) -> Result<Option<&'a Client>, Want> {
        let invite = self.invite;
        match &invite.caller {
            Caller::Client { login } => self.rows.client(invite.from_organization, login),
            Caller::Unknown | Caller::Unproved | Caller::Trunk if invite.from_here => self
                .rows
                .client(invite.from_organization, &invite.from_user),
            Caller::Unknown | Caller::Unproved | Caller::Trunk => Ok(None),
        }
    }

    /// Whether From names a client only by coincidence: the call does not come from its phone, and
    /// anyone may call the number, which belongs to another account.
    fn is_a_strangers_name(&self, client: &Client) -> Result<bool, Want> {
        if self.invite.caller != Caller::Unknown || self.invite.from_registered {
            return Ok(false);
        }
        Ok(match self.called(Self::client_or_number)?.1 {
            Some(Called::Number(number)) => number.public && number.account != client.account,
            Some(Called::Client(_)) | None => false,
        })
    }

    fn calls_a_private_number(&self) -> Result<bool, Want> {
        Ok(match self.called(Self::client_or_number)?.1 {
            Some(Called::Number(number)) => !number.public,
            Some(Called::Client(_)) | None => false,
        })
    }

    /// The called party is in the Request-URI; some providers put it only into To.
    ///
    /// - `choose`: between a client and a number that is dialled the same way
    fn called(
        &self,
        choose: fn(&Self, &str, &'a Client) -> Result<Called<'a>, Want>,
    ) -> Result<(&'a str, Option<Called<'a>>), Want> {
        let invite = self.invite;
        let organization = self.called_organization();
        for user in [&invite.called_user, &invite.to_user] {
            let client = if self.calls_elsewhere() {
                None
            } else {
                self.rows.client(organization, user)?
            };
            let called = match client {
                Some(client) => Some(choose(self, user, client)?),
                None => self.rows.number(organization, user)?.map(Called::Number),
            };
            if called.is_some() {
                return Ok((user, called));
            }
        }
        Ok((&invite.called_user, None))
    }

    /// Where the called name is looked up: a client that names no organization means its own.
    fn called_organization(&self) -> OrganizationSid {
        let invite = self.invite;
        invite
            .called_organization
            .unwrap_or(invite.from_organization)
    }

    /// Whether a client calls another organization, of which it reaches only the numbers.
    fn calls_elsewhere(&self) -> bool {
        let invite = self.invite;
        matches!(invite.caller, Caller::Client { .. })
            && self.called_organization() != invite.from_organization
    }

    /// A client, unless another account has a number that is dialled the same way.
    fn client_or_number(&self, user: &str, client: &'a Client) -> Result<Called<'a>, Want> {
        let number = self.rows.number_before(client, user)?;
        Ok(number.map_or(Called::Client(client), Called::Number))
    }

    /// The rights of a calling client; `None` if the called party decides.
    fn called_by_client(&self, client: &Client) -> Result<Option<Verdict>, Want> {
        let proved = matches!(self.invite.caller, Caller::Client { .. });
        if !proved || !client.enabled {
            return Ok(Some(Verdict::Challenge(Challenged::Client)));
        }
        // Only the client itself may learn about its account.
        if self.rows.account(client.account)? != AccountStatus::Active {
            return Ok(Some(inactive(client.account, &client.login)));
        }
        if !has_application(&client.voice) {
            return Ok(None);
        }
        let login = &client.login;
        let verdict = match self.document((client.account, SetIn::Client), &client.voice)? {
            Some(first) => run(client.account, None, first),
            None => no_address(client.account, login),
        };
        Ok(Some(verdict))
    }

    /// The refusal of a call or text from a trunk, if the profile of the called account does not allow its sender.
    fn unwelcome(&self, account: AccountSid, traffic: Traffic) -> Result<Option<Refusal>, Want> {
        if self.invite.caller != Caller::Trunk {
            return Ok(None);
        }
        let from = &self.invite.from_user;
        let allowed = self.rows.limits(account)?.allows(traffic, from);
        Ok((!allowed).then(|| {
            let what = match traffic {
                Traffic::InboundTexts | Traffic::OutboundTexts => "text messages",
                Traffic::InboundCalls | Traffic::OutboundCalls => "calls",
            };
            let text = format!("the profile of the account does not allow {what} from {from}");
            Refusal {
                code: Some(error::PROFILE_REFUSED),
                account: Some(account),
                ..Refusal::of_server(403, &text)
            }
        }))
    }

    fn to_client(&self, by: Option<&Client>, callee: &Client) -> Result<Verdict, Want> {
        if self.rows.account(callee.account)? != AccountStatus::Active {
            return Ok(inactive(callee.account, &callee.login));
        }
        if let Some(refusal) = self.unwelcome(callee.account, Traffic::InboundCalls)? {
            return Ok(Verdict::Refuse(refusal));
        }
        let branch = self.branch(&callee.login);
        let mut dial = Dial::new(vec![Noun::Client(branch)]);
        Ok(match by {
            Some(client) => {
                dial.time_limit_s = PEER_LIMIT_S;
                implicit(client.account, dial, true)
            }
            // Answer the caller only when the callee answers; answering earlier would hold ports
            // and charge the caller for nothing.
            None => implicit(callee.account, dial, true),
        })
    }

    fn to_number(&self, by: Option<&Client>, number: &Number) -> Result<Verdict, Want> {
        if self.rows.account(number.account)? != AccountStatus::Active {
            return Ok(inactive(number.account, &number.phone_number));
        }
        if let Some(refusal) = self.unwelcome(number.account, Traffic::InboundCalls)? {
            return Ok(Verdict::Refuse(refusal));
        }
        if self.invite.caller == Caller::Unknown && !number.public {
            return Ok(Verdict::Challenge(Challenged::Stranger));
        }
        if let Some(found) = self.masked(by, number)? {
            return masks::call(self.rows, number, found);
        }
        if !has_application(&number.voice) {
            let name = &number.phone_number;
            return Ok(Verdict::Refuse(Refusal::of_row(
                (404, error::NO_APPLICATION),
                RefusalReason::NoApplication,
                name,
                Some(number.account),
                &format!("{name} has no voice application"),
            )));
        }
        let Some(mut first) = self.document((number.account, SetIn::Number), &number.voice)? else {
            return Ok(no_address(number.account, &number.phone_number));
        };
        first.status_callback = first.status_callback.or_else(|| {
            let (url, method) = (&number.status_callback, number.status_callback_method);
            callback(url.as_ref(), method, number.account)
        });
        first.refer = refer::document(number, self.house.public_base, self.rows)?;
        let account = by.map_or(number.account, |client| client.account);
        Ok(run(account, Some(number.sid), first))
    }

    fn to_outside(&self, client: &Client) -> Verdict {
        let noun = match self.invite.foreign() {
            Some(uri) => Noun::Sip(self.branch(uri)),
            None if self.house.has_outbound_proxy => {
                Noun::Number(self.branch(&self.invite.called_user))
            }
            None => return Verdict::Refuse(self.not_here(Some(client.account))),
        };
        implicit(client.account, Dial::new(vec![noun]), true)
    }

    /// A branch of an implicit dial: the `X-` header fields of the INVITE travel with it.
    fn branch(&self, target: &str) -> Branch {
        let mut branch = Branch::new(target);
        let is_extra = |(name, _): &&(String, String)| name.starts_with("X-");
        branch.headers = self.headers.iter().filter(is_extra).cloned().collect();
        branch
    }

    /// The first document of a run; `None` if nothing says where it is. What an application leaves
    /// open, the number or client that names it says.
    ///
    /// - `owner`: account that chose it, in the number or client `set_in`
    fn document(
        &self,
        (owner, set_in): (AccountSid, SetIn),
        voice: &VoiceApplication,
    ) -> Result<Option<First>, Want> {
        let application = match voice.application {
            Some(sid) => match self.rows.application(sid, owner)? {
                Some(application) => Some(application),
                None => return Ok(None),
            },
            None => None,
        };
        let Some(url) = application.map_or(voice.url.as_ref(), |found| found.rcml_url.as_ref())
        else {
            return Ok(None);
        };
        let (own_url, own_method) = (voice.fallback_url.as_ref(), voice.fallback_method);
        let own_fallback = self.fallback(own_url, own_method, (owner, set_in));
        let of_application = |found: &Application| {
            let (url, method) = (found.fallback_url.as_ref(), found.fallback_method);
            self.fallback(url, method, (found.account, SetIn::Application))
        };
        let method = application.and_then(|found| found.method).or(voice.method);
        Ok(Some(First {
            document: Document {
                url: absolute(self.house.public_base, url).unwrap_or_else(|| url.clone()),
                method: method.unwrap_or(HttpMethod::Post),
                author: application.map_or(owner, |found| found.account),
                text: None,
                fallback: application.and_then(of_application).or(own_fallback),
                set_in: application.map_or(set_in, |_| SetIn::Application),
            },
            dialect: application.map_or(voice.dialect, |found| found.dialect),
            status_callback: application.and_then(|found| {
                let (url, method) = (&found.status_callback, found.status_callback_method);
                callback(url.as_ref(), method, found.account)
            }),
            refer: None,
        }))
    }

    fn fallback(
        &self,
        url: Option<&String>,
        method: Option<HttpMethod>,
        (author, set_in): (AccountSid, SetIn),
    ) -> Option<Fallback> {
        Some(Fallback {
            url: absolute(self.house.public_base, url?)?,
            method: method.unwrap_or(HttpMethod::Post),
            author,
            set_in,
        })
    }

    fn not_here(&self, account: Option<AccountSid>) -> Refusal {
        let called = &self.invite.called_user;
        Refusal::of_row(
            (404, error::NO_HANDLER),
            RefusalReason::NotFound,
            called,
            account,
            &format!("`{called}` is neither a client nor a number here"),
        )
    }
}

/// What a run begins with.
struct First {
    document: Document,
    dialect: DialectName,
    status_callback: Option<CallbackTarget>,
    /// For transfers.
    refer: Option<Document>,
}

fn callback(
    url: Option<&String>,
    method: Option<HttpMethod>,
    author: AccountSid,
) -> Option<CallbackTarget> {
    Some(CallbackTarget {
        url: url?.clone(),
        method: method.unwrap_or(HttpMethod::Post),
        author,
    })
}

fn run(account: AccountSid, number: Option<NumberSid>, first: First) -> Verdict {
    Verdict::Run(Box::new(Run {
        account,
        number,
        script: Script::Document(first.document),
        dialect: first.dialect,
        status_callback: first.status_callback,
        refer: first.refer,
        contact: None,
    }))
}

fn implicit(account: AccountSid, dial: Dial, answer_on_bridge: bool) -> Verdict {
    Verdict::Run(Box::new(Run {
        account,
        number: None,
        script: Script::Verbs {
            verbs: vec![Verb::Dial(Box::new(dial))],
            answer_on_bridge,
        },
        dialect: DialectName::default(),
        status_callback: None,
        refer: None,
        contact: None,
    }))
}

fn has_application(voice: &VoiceApplication) -> bool {
    voice.application.is_some() || voice.url.as_ref().is_some_and(|url| !url.is_empty())
}

/// - `name`: of the account's client or number
fn inactive(account: AccountSid, name: &str) -> Verdict {
    Verdict::Refuse(Refusal::of_row(
        (403, error::NO_HANDLER),
        RefusalReason::Inactive,
        name,
        Some(account),
        &format!("the account of `{name}` is not active"),
    ))
}

/// - `name`: of the number or calling client that has the application
fn no_address(account: AccountSid, name: &str) -> Verdict {
    Verdict::Refuse(Refusal::of_row(
        (404, error::NO_APPLICATION),
        RefusalReason::NoAddress,
        name,
        Some(account),
        &format!("the application of `{name}` has no address, or was deleted"),
    ))
}

/// An HTTP or HTTPS address, resolved against `base` without its query (RFC 3986 §5).
pub fn absolute(base: &str, address: &str) -> Option<String> {
    let address = address.trim();
    let mut url = match url::Url::parse(address) {
        Ok(url) => url,
        Err(url::ParseError::RelativeUrlWithoutBase) => {
            let mut base = url::Url::parse(base).ok()?;
            base.set_query(None);
            base.join(address).ok()?
        }
        Err(_) => return None,
    };
    url.set_fragment(None);
    let http = matches!(url.scheme(), "http" | "https") && url.has_host();
    http.then(|| url.into())
}
