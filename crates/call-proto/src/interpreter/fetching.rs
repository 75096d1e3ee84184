//! Fetching a document: the first of a script with its fallback, or one that follows. It needs no
//! leg, only the requester: the answer goes there, and problems are reported to its account.
//!
//! **Invariant: an answered fetch yields a document, another fetch (its fallback), or a reported
//! [`Problem`].**

use model::address::{redacted, without_user_info};
use model::{AccountSid, CallStatus, HttpMethod, QueueSid, error};
use rcml::ReplyError;

use super::findings::Told;
use crate::command::{Command, FetchRequest};
use crate::context::{About, Context};
use crate::event::{Document, Fallback, FetchFailure, Fetched, Req, SetIn};
use crate::fact::Reason;
use crate::params::Params;

/// A document being fetched.
pub(crate) struct Fetching {
    req: Req,
    url: String,
    method: HttpMethod,
    /// Account that set the address.
    author: AccountSid,
    /// The queue in which the call waits.
    queue: Option<QueueSid>,
    purpose: Purpose,
    reads: Reads,
}

/// What runs the document.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reads {
    /// A call.
    Call,
    /// A text message.
    Message,
}

/// The purpose of a fetch.
enum Purpose {
    /// The first document of the script; the fallback is used if it fails.
    First {
        set_in: SetIn,
        fallback: Option<Fallback>,
    },
    /// The fallback, since the first failed.
    Fallback { set_in: SetIn },
    /// An action or a redirect.
    FollowUp,
}

/// The outcome of an answer.
pub(crate) enum Answer {
    /// A document.
    Document {
        /// Its source.
        url: String,
        /// Its content.
        document: rcml::Document,
    },
    /// Nothing more to do.
    Nothing,
    /// Not a document; the fallback is being fetched.
    FallBack(Fetching),
    /// No document. The account was notified.
    Failed(Problem),
}

/// Why an answer is not a document.
pub(crate) struct Problem {
    code: u16,
    text: String,
    /// Line and column in the document.
    place: Option<(u32, u32)>,
    pub(crate) reason: Reason,
    /// Final SIP status for an unanswered caller.
    pub(crate) sip_status: u16,
    /// Text of the Reason header.
    pub(crate) sip_reason: String,
    pub(crate) status: CallStatus,
}

impl Fetching {
    /// Requests the first document of a script.
    ///
    /// - `queue`: in which the call waits.
    pub(crate) fn first(
        document: Document,
        (params, queue): (Params, Option<QueueSid>),
        who: About<'_>,
        cx: &mut Context,
    ) -> Self {
        let Document {
            url,
            text: _,
            method,
            author,
            fallback,
            set_in,
        } = document;
        let purpose = Purpose::First { set_in, fallback };
        Self::ask((url, method), (params, queue), author, purpose, who, cx)
    }

    /// Requests a document that follows another.
    ///
    /// - `queue`: in which the call waits.
    pub(crate) fn follow_up(
        url: String,
        method: HttpMethod,
        (params, queue): (Params, Option<QueueSid>),
        author: AccountSid,
        who: About<'_>,
        cx: &mut Context,
    ) -> Self {
        let (target, purpose) = ((url, method), Purpose::FollowUp);
        Self::ask(target, (params, queue), author, purpose, who, cx)
    }

    fn ask(
        (url, method): (String, HttpMethod),
        (params, queue): (Params, Option<QueueSid>),
        author: AccountSid,
        purpose: Purpose,
        who: About<'_>,
        cx: &mut Context,
    ) -> Self {
        let req = cx.req();
        let request = FetchRequest {
            url: url.clone(),
            method,
            params,
            author,
            queue,
        };
        cx.command(who.owner, Command::Fetch { req, request });
        Self {
            req,
            url,
            method,
            author,
            queue,
            purpose,
            reads: Reads::Call,
        }
    }

    /// The same document, to be read for a text message.
    pub(crate) const fn for_message(mut self) -> Self {
        self.reads = Reads::Message;
        self
    }

    /// Whether it waits for this answer.
    pub(crate) fn waits_for(&self, req: Req) -> bool {
        self.req == req
    }

    /// Account that set the address.
    pub(crate) const fn author(&self) -> AccountSid {
        self.author
    }

    /// Whether no document of the script has arrived yet.
    pub(crate) const fn is_first(&self) -> bool {
        match self.purpose {
            Purpose::First { .. } | Purpose::Fallback { .. } => true,
            Purpose::FollowUp => false,
        }
    }

    /// Processes the answer. Findings and problems are reported.
    ///
    /// - `params`: of the request for the fallback.
    pub(crate) fn handle_answer(
        self,
        result: &Result<Fetched, FetchFailure>,
        told: &mut Told,
        params: impl FnOnce(&Context) -> Params,
        who: About<'_>,
        cx: &mut Context,
    ) -> Answer {
        let problem = match self.read(result) {
            Ok(Some((url, document))) => {
                told.tell(&url, &document, who, cx);
                return Answer::Document { url, document };
            }
            Ok(None) => return Answer::Nothing,
            Err(problem) => problem,
        };
        let asked = match result {
            Ok(fetched) => &fetched.url,
            Err(_) => &self.url,
        };
        problem.tell(Some(asked), who, cx);
        let Purpose::First {
            fallback: Some(fallback),
            ..
        } = self.purpose
        else {
            return Answer::Failed(problem);
        };
        let mut params = params(cx);
        params.push(("ErrorCode".to_owned(), problem.code.to_string()));
        // It may be sent to another origin.
        params.push(("ErrorUrl".to_owned(), without_user_info(asked)));
        let Fallback {
            url,
            method,
            author,
            set_in,
        } = fallback;
        let purpose = Purpose::Fallback { set_in };
        let params = (params, self.queue);
        let fallback = Self::ask((url, method), params, author, purpose, who, cx);
        Answer::FallBack(Self {
            reads: self.reads,
            ..fallback
        })
    }

    /// The document in an answer, with its address; `None` if there is nothing more to do.
    fn read(
        &self,
        result: &Result<Fetched, FetchFailure>,
    ) -> Result<Option<(String, rcml::Document)>, Problem> {
        let fetched = result.as_ref().map_err(Problem::unreachable)?;
        if fetched.status != 200 {
            return Err(Problem::http_status(fetched, &self.hint(fetched.status)));
        }
        let content_type = fetched.content_type.as_deref();
        if content_type.is_none() && fetched.body.trim().is_empty() && !self.is_first() {
            return Ok(None);
        }
        let document = match self.reads {
            Reads::Call => rcml::Document::from_reply(content_type, &fetched.body, &fetched.url),
            Reads::Message => rcml::Document::from_message_reply(content_type, &fetched.body),
        };
        let document = document.map_err(|error| Problem::no_document(&error))?;
        Ok(Some((fetched.url.clone(), document)))
    }

    /// What to do if the application does not know the method.
    fn hint(&self, status: u16) -> String {
        if self.method != HttpMethod::Post || !matches!(status, 405 | 501) {
            return String::new();
        }
        let setting = match self.purpose {
            Purpose::First { set_in, .. } => setting("Method", set_in),
            Purpose::Fallback { set_in } => setting("FallbackMethod", set_in),
            Purpose::FollowUp => "`method`".to_owned(),
        };
        format!("; the request was a POST: set {setting} to GET if the web server expects a GET")
    }
}

/// The name of a setting, and its place.
fn setting(name: &str, set_in: SetIn) -> String {
    match set_in {
        SetIn::Number => format!("`Voice{name}` of the number"),
        SetIn::Client => format!("`Voice{name}` of the client"),
        SetIn::Application => format!("`Voice{name}` of the application"),
        SetIn::Request => format!("`{name}` in the API request"),
        SetIn::Noun => "`method` of the noun".to_owned(),
        SetIn::Wait => "`waitMethod`".to_owned(),
        SetIn::NumberRefer => "`ReferMethod` of the number".to_owned(),
        SetIn::DialRefer => "`referMethod`".to_owned(),
        SetIn::NumberSms => format!("`Sms{name}` of the number"),
        SetIn::ApplicationSms => format!("`Sms{name}` of the application"),
    }
}

impl Problem {
    /// - `asked`: address of the document, if it has one.
    pub(super) fn tell(&self, asked: Option<&str>, who: About<'_>, cx: &mut Context) {
        let mut about = About { url: asked, ..who };
        about.line = self.place.map(|(line, _)| line);
        about.column = self.place.map(|(_, column)| column);
        cx.notify(about, self.code, &self.text);
    }

    fn unreachable(failure: &FetchFailure) -> Self {
        Self {
            code: failure.code,
            text: failure.text.clone(),
            place: None,
            reason: Reason::DocumentFetch,
            sip_status: 500,
            sip_reason: "Problem_to_setup_the_call".to_owned(),
            status: CallStatus::Failed,
        }
    }

    fn http_status(fetched: &Fetched, hint: &str) -> Self {
        let status = &fetched.status;
        let text = format!(
            "{} answered with status {status}{hint}",
            redacted(&fetched.url)
        );
        // An error page from some web server says nothing about the application.
        let readable =
            fetched.body.trim().is_empty() || rcml::Document::parse(&fetched.body).is_ok();
        if *status == 404 && readable {
            return Self {
                code: error::DOCUMENT_NOT_FOUND,
                text,
                place: None,
                reason: Reason::DocumentNotFound,
                sip_status: 404,
                sip_reason: "Application_not_found".to_owned(),
                status: CallStatus::NotFound,
            };
        }
        let code = if *status == 404 {
            error::DOCUMENT_NOT_FOUND
        } else {
            error::FETCH_PROTOCOL
        };
        Self {
            code,
            text,
            ..Self::unreachable(&FetchFailure {
                code,
                text: String::new(),
            })
        }
    }

    /// The text is not a document.
    pub(super) fn no_document(reply: &ReplyError) -> Self {
        let (code, reason, sip_reason) = match reply {
            ReplyError::Parse(error) => (
                error.code,
                Reason::DocumentParse,
                "Problem_to_parse_downloaded_RCML",
            ),
            ReplyError::Empty => (
                error::DOCUMENT_PARSE,
                Reason::DocumentParse,
                "Problem_to_parse_downloaded_RCML",
            ),
            ReplyError::NoContentType | ReplyError::ContentType(_) => (
                error::BAD_CONTENT_TYPE,
                Reason::DocumentParse,
                "Content_type_is_no_document",
            ),
        };
        let (place, text) = match reply {
            ReplyError::Parse(error) => {
                let why = if error.is_no_xml() {
                    "is not well-formed"
                } else {
                    "is refused"
                };
                let text = format!("the document {why}: {}", error.message);
                (Some((error.line, error.column)), text)
            }
            ReplyError::Empty | ReplyError::NoContentType | ReplyError::ContentType(_) => {
                (None, reply.to_string())
            }
        };
        Self {
            code,
            text,
            place,
            reason,
            sip_status: 500,
            sip_reason: sip_reason.to_owned(),
            status: CallStatus::Failed,
        }
    }
}
