//! The answers of the application.

use std::time::Duration;

use rehearse::scene::{Page, Reply as Kind, TextReply};

/// One answer of the application.
#[derive(Clone, Debug)]
pub(crate) struct Reply(pub(super) Page);

impl Reply {
    pub(crate) fn of(status: u16, content_type: Option<&str>, body: &str) -> Self {
        Self::that(Kind::Text(TextReply {
            status,
            content_type: content_type.map(str::to_owned),
            body: body.to_owned(),
        }))
    }

    fn that(reply: Kind) -> Self {
        Self(Page {
            reply,
            after: Duration::ZERO,
            moved_to: None,
        })
    }

    /// The answer as a page of the scene.
    pub(crate) fn page(self) -> Page {
        self.0
    }

    /// The same, some seconds later.
    pub(crate) fn after(mut self, seconds: f64) -> Self {
        self.0.after = Duration::from_millis(super::ms(seconds));
        self
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

/// A body that is not XML.
pub(crate) fn broken() -> Reply {
    plain("text/xml", "%%<Response><Hangup/></Response>")
}

/// Status 200 without content.
pub(crate) fn empty() -> Reply {
    Reply::of(200, None, "")
}

/// Another status without content.
pub(crate) fn status(status: u16) -> Reply {
    Reply::of(status, None, "")
}

/// The error page of a web server: HTML, not XML.
pub(crate) fn page(status: u16) -> Reply {
    Reply::of(status, Some("text/html"), "<html><p>not here<br></html>")
}

/// The application cannot be reached.
pub(crate) fn unreachable() -> Reply {
    Reply::that(Kind::Fails(model::error::FETCH_IO))
}
