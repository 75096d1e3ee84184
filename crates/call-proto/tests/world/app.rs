//! The application: what it answers.

use call_proto::{FetchFailure, Fetched};

/// One answer of the application.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) result: Result<Page, u16>,
    /// How long it takes, in milliseconds.
    pub(crate) latency_ms: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct Page {
    status: u16,
    content_type: Option<String>,
    body: String,
}

impl Reply {
    fn of(status: u16, content_type: Option<&str>, body: &str) -> Self {
        Self {
            result: Ok(Page {
                status,
                content_type: content_type.map(str::to_owned),
                body: body.to_owned(),
            }),
            latency_ms: 0,
        }
    }

    /// The same, some seconds later.
    pub(crate) fn after(mut self, seconds: f64) -> Self {
        self.latency_ms = super::ms(seconds);
        self
    }

    /// What the shell tells the family.
    pub(crate) fn result(&self, url: &str) -> Result<Fetched, FetchFailure> {
        match &self.result {
            Ok(page) => Ok(Fetched {
                status: page.status,
                content_type: page.content_type.clone(),
                body: page.body.clone(),
                url: url.to_owned(),
            }),
            Err(code) => Err(FetchFailure {
                code: *code,
                text: format!("{url} could not be reached"),
            }),
        }
    }
}

/// A document with this content.
pub(crate) fn xml(content: &str) -> Reply {
    plain("text/xml", &format!("<Response>{content}</Response>"))
}

/// Status 200 with a body of this type.
pub(crate) fn plain(content_type: &str, body: &str) -> Reply {
    Reply::of(200, Some(content_type), body)
}

/// Something that is no XML.
pub(crate) fn broken() -> Reply {
    plain("text/xml", "%%<Response><Hangup/></Response>")
}

/// Status 200 and nothing else.
pub(crate) fn empty() -> Reply {
    Reply::of(200, None, "")
}

/// Another status and nothing else.
pub(crate) fn status(status: u16) -> Reply {
    Reply::of(status, None, "")
}

/// The error page of a web server: HTML, and no XML.
pub(crate) fn page(status: u16) -> Reply {
    Reply::of(status, Some("text/html"), "<html><p>not here<br></html>")
}

/// The application cannot be reached.
pub(crate) fn unreachable() -> Reply {
    Reply {
        result: Err(model::error::FETCH_IO),
        latency_ms: 0,
    }
}
