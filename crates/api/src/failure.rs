//! Refusals: a status, a number of the error table and a description.

use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, StatusCode};
use model::error;
use store::StoreError;
use tracing::error as log_error;

use crate::dialect::RestDialect;
use crate::format::Format;
use crate::value::{json_text, xml_text};

/// Why a request was refused.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    status: StatusCode,
    code: u16,
    text: String,
    header: Option<(HeaderName, HeaderValue)>,
}

impl Failure {
    /// A failure with the status and text of the error table.
    pub(crate) fn of(code: u16) -> Self {
        let row = error::entry(code);
        Self {
            status: row
                .and_then(|row| StatusCode::from_u16(row.http_status).ok())
                .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            code,
            text: row.map(|row| row.text.to_owned()).unwrap_or_default(),
            header: None,
        }
    }

    /// The same with a specific text.
    pub(crate) fn saying(mut self, text: impl Into<String>) -> Self {
        self.text = text.into();
        self
    }

    /// The same with more after its text.
    pub(crate) fn adding(mut self, text: &str) -> Self {
        self.text.push_str(text);
        self
    }

    /// The same with another status.
    pub(crate) fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// No credentials, or wrong ones.
    pub(crate) fn unauthenticated() -> Self {
        let challenge = HeaderValue::from_static("Basic realm=\"Restcomm realm\"");
        Self {
            header: Some((WWW_AUTHENTICATE, challenge)),
            ..Self::of(error::AUTHENTICATION)
        }
    }

    /// The account lacks permission.
    pub(crate) fn forbidden() -> Self {
        Self::of(error::FORBIDDEN)
    }

    /// The resource does not exist here.
    pub(crate) fn not_found() -> Self {
        Self::of(error::NOT_FOUND)
    }

    /// A parameter is missing or has an invalid value.
    pub(crate) fn parameter(name: &str, reason: &str) -> Self {
        Self::of(error::BAD_PARAMETER).saying(format!("{name}: {reason}"))
    }

    /// Other requests have changed the resource each time when it was about to be.
    pub(crate) fn contended() -> Self {
        Self::of(error::CONFLICT)
            .saying("other requests keep changing this resource; send the request again")
    }

    /// The resource supports only these methods.
    pub(crate) fn method(allowed: &str) -> Self {
        Self {
            header: HeaderValue::from_str(allowed)
                .ok()
                .map(|methods| (ALLOW, methods)),
            ..Self::of(error::METHOD_NOT_ALLOWED)
        }
    }

    /// The same, to be tried again after some seconds.
    pub(crate) fn retry_after(mut self, seconds: u64) -> Self {
        self.header = Some((RETRY_AFTER, HeaderValue::from(seconds)));
        self
    }

    /// The server accepts no new work; retry in some seconds.
    pub(crate) fn busy(status: StatusCode) -> Self {
        Self {
            header: Some((RETRY_AFTER, HeaderValue::from_static("5"))),
            ..Self::of(error::TOO_MANY_REQUESTS).with_status(status)
        }
    }

    /// The database cannot be used at the moment.
    pub(crate) fn without_database() -> Self {
        let text = "The server cannot use its database now; try again later.";
        Self::of(error::INTERNAL)
            .saying(text)
            .with_status(StatusCode::SERVICE_UNAVAILABLE)
    }

    /// Too many passwords were wrong: the next one is checked after this time.
    pub(crate) fn too_many_passwords(wait: Duration) -> Self {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        let text = format!("Too many wrong passwords; wait {seconds} s before the next attempt.");
        Self {
            header: Some((RETRY_AFTER, HeaderValue::from(seconds))),
            ..Self::of(error::TOO_MANY_REQUESTS).saying(text)
        }
    }

    /// Its number and status in a dialect.
    pub(crate) fn shown(&self, dialect: &RestDialect) -> (u16, StatusCode) {
        let raised = (self.code, self.status.as_u16());
        let rule = dialect.errors.iter().find(|rule| rule.from == raised);
        rule.map_or((self.code, self.status), |rule| {
            let (code, status) = rule.to;
            (code, StatusCode::from_u16(status).unwrap_or(self.status))
        })
    }

    /// The response to the caller.
    pub(crate) fn into_response(
        mut self,
        format: Format,
        dialect: &RestDialect,
        public_base: &str,
    ) -> Response {
        (self.code, self.status) = self.shown(dialect);
        let body = match format {
            Format::Json if dialect.has_envelope => self.envelope(),
            Format::Json => self.json(public_base),
            Format::Xml => self.xml(dialect, public_base),
        };
        let mut response = Response::new(Body::from(format!("{body}\n")));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(format.media_type()));
        if let Some((name, value)) = self.header {
            headers.insert(name, value);
        }
        response
    }

    fn envelope(&self) -> String {
        let mut out = format!("{{\"errorCode\":\"{}\",\"message\":", self.code);
        json_text(&mut out, &self.text);
        out.push_str(",\"data\":{}}");
        out
    }

    fn json(&self, public_base: &str) -> String {
        let mut out = format!("{{\"code\":{},\"message\":", self.code);
        json_text(&mut out, &self.text);
        out.push_str(",\"more_info\":");
        json_text(&mut out, &more_info(public_base, self.code));
        out.push_str(&format!(",\"status\":{}}}", self.status.as_u16()));
        out
    }

    fn xml(&self, dialect: &RestDialect, public_base: &str) -> String {
        let root = dialect.root;
        let (open, close) = dialect.error_element.map_or_else(Default::default, |name| {
            (format!("<{name}>"), format!("</{name}>"))
        });
        let mut out = format!("<{root}>{open}<Code>{}</Code><Message>", self.code);
        xml_text(&mut out, &self.text);
        out.push_str("</Message><MoreInfo>");
        xml_text(&mut out, &more_info(public_base, self.code));
        let status = self.status.as_u16();
        out.push_str(&format!(
            "</MoreInfo><Status>{status}</Status>{close}</{root}>"
        ));
        out
    }
}

/// Address of the explanation of a number.
pub(crate) fn more_info(public_base: &str, code: u16) -> String {
    format!("{public_base}/restcomm/errors/{code}.html")
}

impl From<StoreError> for Failure {
    fn from(failure: StoreError) -> Self {
        match failure {
            StoreError::Duplicate(what) => {
                Self::of(error::CONFLICT).saying(format!("{what} exists already"))
            }
            StoreError::AccountClosed => Self::of(error::ACCOUNT_NOT_ACTIVE),
            StoreError::TooMany => Self::of(error::PROFILE_REFUSED),
            StoreError::OrganizationClosed => {
                Self::of(error::CONFLICT).saying("the organization is closed")
            }
            StoreError::TooLong => Self::of(error::LIST_TOO_LONG),
            StoreError::NoRow(_) => {
                let reason = "no row of this list has this identifier (it may have been deleted); start again from the first page";
                Self::parameter("AfterSid", reason)
            }
            StoreError::Unavailable(reason) => {
                log_error!(reason, "a request through the API could not be carried out");
                Self::without_database()
            }
            other => {
                log_error!(error = %other, "the store failed a request");
                Self::of(error::INTERNAL).saying("the server failed; its log says why")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn a_disk_that_takes_no_writes_is_a_reason_to_try_again() {
        let failure = Failure::from(StoreError::Unavailable("full".to_owned()));
        assert_eq!(failure.status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(!failure.text.contains("full"), "the reason is in the log");
        let failure = Failure::from(StoreError::Closed);
        assert_eq!(failure.status, StatusCode::INTERNAL_SERVER_ERROR);
    }

    /// Without a number in the table, the response would be 500 by accident.
    #[test]
    fn every_number_that_the_api_answers_with_has_a_status() {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut names = Vec::new();
        let mut folders = vec![source];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let text = std::fs::read_to_string(&path).unwrap();
                names.extend(text.split("error::").skip(1).map(|rest| {
                    let is_name = |c: &char| c.is_ascii_uppercase() || *c == '_';
                    rest.chars().take_while(is_name).collect::<String>()
                }));
            }
        }
        let rows = error::TABLE.iter();
        let raised: Vec<_> = rows
            .filter(|row| row.level == error::Level::Error)
            .filter(|row| names.iter().any(|name| name == row.name))
            .collect();
        assert!(raised.len() > 10, "{names:?}");
        for row in raised {
            assert!(row.http_status >= 400, "{} {}", row.code, row.name);
        }
    }
}
