//! Fetching documents: the first of a run with its fallback, and those that follow.

use model::address::{redacted, without_user_info};
use model::{AccountSid, CallStatus, HttpMethod, error};
use rcml::ReplyError;

use super::{Next, Run, State};
use crate::call::Call;
use crate::command::{Command, FetchRequest};
use crate::context::Context;
use crate::event::{Document, Fallback, FetchFailure, Fetched, Req};
use crate::fact::Reason;
use crate::params::Params;

/// Why a document is fetched.
pub(super) enum Purpose {
    /// It is the first of the run; this one is asked if it fails.
    First { fallback: Option<Fallback> },
    /// The first failed.
    Fallback,
    /// An action or a redirect.
    FollowUp,
}

impl Purpose {
    pub(super) fn is_first(&self) -> bool {
        match self {
            Self::First { .. } | Self::Fallback => true,
            Self::FollowUp => false,
        }
    }
}

/// Why an answer is no document.
struct Problem {
    code: u16,
    text: String,
    /// Line and column in the document.
    place: Option<(u32, u32)>,
    reason: Reason,
    /// Final SIP status for an unanswered caller.
    sip_status: u16,
    /// Text of the Reason header.
    sip_reason: String,
    status: CallStatus,
}

impl Call {
    pub(super) fn fetch_first(&mut self, document: Document, cx: &mut Context) {
        let params = self.voice_params(cx);
        let purpose = Purpose::First {
            fallback: document.fallback,
        };
        let state = self.fetch(document.url, document.method, params, purpose, cx);
        if let Some(run) = &mut self.run {
            run.state = state;
        }
    }

    pub(super) fn fetch(
        &mut self,
        url: String,
        method: HttpMethod,
        params: Params,
        purpose: Purpose,
        cx: &mut Context,
    ) -> State {
        let req = cx.req();
        let request = FetchRequest {
            url: url.clone(),
            method,
            params,
            author: self.author(),
        };
        cx.command(self.sid, Command::Fetch { req, request });
        State::Fetching { req, url, purpose }
    }

    pub(crate) fn handle_fetched(
        &mut self,
        answered: Req,
        result: Result<Fetched, FetchFailure>,
        cx: &mut Context,
    ) {
        let Some(run) = &mut self.run else { return };
        let req = match &run.state {
            State::Fetching { req, .. } => req,
            State::Gathering(_) => return self.partial_told(answered, cx),
            State::Ready
            | State::Answering(_)
            | State::Pausing { .. }
            | State::Preparing { .. }
            | State::Playing { .. }
            | State::Sending { .. }
            | State::Dialing(_)
            | State::Finished => return,
        };
        if *req != answered {
            return;
        }
        let State::Fetching { purpose, url, .. } = std::mem::replace(&mut run.state, State::Ready)
        else {
            return;
        };
        let asked = result.as_ref().map_or(url, |fetched| fetched.url.clone());
        match self.read(result, &purpose, cx) {
            Ok(()) => {}
            Err(problem) => match purpose {
                Purpose::First {
                    fallback: Some(fallback),
                } => {
                    self.fall_back(fallback, &problem, asked, cx);
                }
                Purpose::First { fallback: None } | Purpose::Fallback | Purpose::FollowUp => {
                    self.document_failed(&problem, &asked, cx);
                }
            },
        }
        self.advance(cx);
    }

    /// Puts the verbs of an answer into the run.
    fn read(
        &mut self,
        result: Result<Fetched, FetchFailure>,
        purpose: &Purpose,
        cx: &mut Context,
    ) -> Result<(), Problem> {
        let fetched = result.map_err(Problem::unreachable)?;
        if fetched.status != 200 {
            return Err(Problem::http_status(&fetched));
        }
        let content_type = fetched.content_type.as_deref();
        if content_type.is_none() && fetched.body.trim().is_empty() && !purpose.is_first() {
            // Nothing more to do, and nothing is left of the old document.
            if let Some(run) = &mut self.run {
                run.abandon();
            }
            return Ok(());
        }
        let document = rcml::Document::from_reply(content_type, &fetched.body, &fetched.url)
            .map_err(|error| Problem::no_document(&error))?;
        self.tell_findings(&fetched.url, &document, cx);
        if let Some(run) = &mut self.run {
            run.base = url::Url::parse(&fetched.url).ok();
            run.verbs = document.verbs.into();
            run.began = false;
            run.document_since = cx.now;
        }
        Ok(())
    }

    fn fall_back(
        &mut self,
        fallback: Fallback,
        problem: &Problem,
        asked: String,
        cx: &mut Context,
    ) {
        self.tell_problem(problem, &asked, cx);
        let mut params = self.voice_params(cx);
        params.push(("ErrorCode".to_owned(), problem.code.to_string()));
        // It may go to another origin.
        params.push(("ErrorUrl".to_owned(), without_user_info(&asked)));
        let Fallback {
            url,
            method,
            author,
        } = fallback;
        if let Some(run) = &mut self.run {
            run.author = author;
        }
        let state = self.fetch(url, method, params, Purpose::Fallback, cx);
        if let Some(run) = &mut self.run {
            run.state = state;
        }
    }

    fn tell_problem(&self, problem: &Problem, asked: &str, cx: &mut Context) {
        let mut about = self.about(Some(asked));
        about.line = problem.place.map(|(line, _)| line);
        about.column = problem.place.map(|(_, column)| column);
        cx.notify(about, problem.code, &problem.text);
    }

    fn document_failed(&mut self, problem: &Problem, asked: &str, cx: &mut Context) {
        self.tell_problem(problem, asked, cx);
        if let Some(run) = &mut self.run {
            run.abandon();
        }
        if self.is_unanswered() {
            self.reject(problem.sip_status, Some(problem.sip_reason.clone()), cx);
            self.finish(problem.status, problem.reason, cx);
        } else {
            self.fail(problem.sip_status, &problem.sip_reason, problem.reason, cx);
        }
    }

    /// An absolute http or https address from one that a document holds; `None` if it cannot be
    /// made. The account's owner is told of that, unless it was found when the document was read.
    pub(super) fn address(&self, written: &str, cx: &mut Context) -> Option<String> {
        let run = self.run.as_ref()?;
        let url = resolve(run, written);
        let was_read = run.base.is_some() && rcml::url_fault(written).is_some();
        if url.is_none() && !(was_read && self.told_findings.is_complete()) {
            let text = format!("`{}` is no valid http address", redacted(written));
            cx.notify(self.about(None), error::BAD_URI, &text);
        }
        url
    }

    /// Account whose rights count for the addresses of the document that runs.
    pub(super) fn author(&self) -> AccountSid {
        self.run
            .as_ref()
            .map_or(self.info.account, |run| run.author)
    }

    /// A verb has an address that cannot be used: the run stops.
    pub(super) fn bad_address(&mut self, cx: &mut Context) -> Next {
        if let Some(run) = &mut self.run {
            run.abandon();
        }
        self.fail(500, "address is not valid", Reason::DocumentFetch, cx);
        Next::End
    }
}

/// RFC 3986 resolution against the address of the document, without its query.
fn resolve(run: &Run, written: &str) -> Option<String> {
    let url = match &run.base {
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

impl Problem {
    fn unreachable(failure: FetchFailure) -> Self {
        Self {
            code: failure.code,
            text: failure.text,
            place: None,
            reason: Reason::DocumentFetch,
            sip_status: 500,
            sip_reason: "Problem_to_setup_the_call".to_owned(),
            status: CallStatus::Failed,
        }
    }

    fn http_status(fetched: &Fetched) -> Self {
        let status = &fetched.status;
        let text = format!("{} answered with status {status}", redacted(&fetched.url));
        // A page of an error that some web server made says nothing about the application.
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
            ..Self::unreachable(FetchFailure {
                code,
                text: String::new(),
            })
        }
    }

    fn no_document(reply: &ReplyError) -> Self {
        let (code, reason, sip_reason) = match reply {
            ReplyError::Parse(error) => (
                error.code,
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
            ReplyError::NoContentType | ReplyError::ContentType(_) => (None, reply.to_string()),
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
