//! Typed access to the headers of a message.

use super::lexer::lossy;
use super::{CSeq, Contacts, HeaderError, Malformed, MediaType, NameAddr, RetryAfter, Via};
use crate::message::{HeaderName, Headers};
use std::borrow::Cow;

impl Headers {
    /// Top Via.
    ///
    /// # Errors
    /// [`HeaderError`] if it is missing or malformed; the same holds for all typed readers here.
    pub fn via(&self) -> Result<Via, HeaderError> {
        let line = self.required(HeaderName::Via)?;
        let first = crate::message::split_list(line).next().unwrap_or(line);
        Via::parse(&lossy(first)).map_err(|e| error(HeaderName::Via, e))
    }

    /// All Via elements, topmost first.
    pub fn vias(&self) -> Result<Vec<Via>, HeaderError> {
        self.list(HeaderName::Via, Via::parse)
    }

    /// From.
    pub fn from(&self) -> Result<NameAddr, HeaderError> {
        self.address(HeaderName::From)
    }

    /// To.
    pub fn to(&self) -> Result<NameAddr, HeaderError> {
        self.address(HeaderName::To)
    }

    /// Call-ID; bytes that are not UTF-8 become U+FFFD.
    pub fn call_id(&self) -> Option<Cow<'_, str>> {
        self.get_bytes(HeaderName::CallId).map(lossy)
    }

    /// CSeq.
    pub fn cseq(&self) -> Result<CSeq, HeaderError> {
        self.single(HeaderName::CSeq, CSeq::parse)
    }

    /// Max-Forwards, `None` if missing.
    pub fn max_forwards(&self) -> Result<Option<u8>, HeaderError> {
        self.optional(HeaderName::MaxForwards, |text| {
            let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
            text.parse()
                .ok()
                .filter(|_| digits)
                .ok_or(Malformed("not a number up to 255"))
        })
    }

    /// Expires in seconds, `None` if missing or unreadable (§20.19); excessive values are capped.
    pub fn expires(&self) -> Option<u32> {
        self.get(HeaderName::Expires).and_then(super::delta_seconds)
    }

    /// Retry-After, `None` if missing.
    pub fn retry_after(&self) -> Result<Option<RetryAfter>, HeaderError> {
        self.optional(HeaderName::RetryAfter, RetryAfter::parse)
    }

    /// Content-Type, `None` if missing.
    pub fn content_type(&self) -> Result<Option<MediaType>, HeaderError> {
        self.optional(HeaderName::ContentType, MediaType::parse)
    }

    /// Contact over all lines.
    pub fn contacts(&self) -> Result<Contacts, HeaderError> {
        if self.lines(HeaderName::Contact).any(|line| line == b"*") {
            return match self.lines(HeaderName::Contact).count() {
                1 => Ok(Contacts::Star),
                _ => Err(HeaderError::new(HeaderName::Contact, "`*` is not alone")),
            };
        }
        self.addresses(HeaderName::Contact).map(Contacts::List)
    }

    /// Route over all lines, topmost first.
    pub fn routes(&self) -> Result<Vec<NameAddr>, HeaderError> {
        self.addresses(HeaderName::Route)
    }

    /// Record-Route over all lines, topmost first.
    pub fn record_routes(&self) -> Result<Vec<NameAddr>, HeaderError> {
        self.addresses(HeaderName::RecordRoute)
    }

    /// One address header (From, Refer-To, …).
    pub fn address(&self, name: HeaderName) -> Result<NameAddr, HeaderError> {
        let line = self.required(name.clone())?;
        NameAddr::parse_bytes(line).map_err(|problem| HeaderError { name, problem })
    }

    /// All addresses of a list header (Route, Diversion, Path, …), topmost first.
    pub fn addresses(&self, name: HeaderName) -> Result<Vec<NameAddr>, HeaderError> {
        self.list(name, |text| NameAddr::parse(text).map_err(Malformed))
    }

    fn required(&self, name: HeaderName) -> Result<&[u8], HeaderError> {
        self.get_bytes(&name)
            .ok_or_else(|| HeaderError::new(name, "missing"))
    }

    fn single<T>(
        &self,
        name: HeaderName,
        read: impl Fn(&str) -> Result<T, Malformed>,
    ) -> Result<T, HeaderError> {
        let line = self.required(name.clone())?;
        let text =
            std::str::from_utf8(line).map_err(|_| HeaderError::new(name.clone(), "not UTF-8"));
        read(text?).map_err(|e| error(name, e))
    }

    fn optional<T>(
        &self,
        name: HeaderName,
        read: impl Fn(&str) -> Result<T, Malformed>,
    ) -> Result<Option<T>, HeaderError> {
        if !self.contains(&name) {
            return Ok(None);
        }
        self.single(name, read).map(Some)
    }

    fn list<T>(
        &self,
        name: HeaderName,
        read: impl Fn(&str) -> Result<T, Malformed>,
    ) -> Result<Vec<T>, HeaderError> {
        self.lines(&name)
            .flat_map(crate::message::split_list)
            .map(|item| read(&lossy(item)).map_err(|e| error(name.clone(), e)))
            .collect()
    }
}

fn error(name: HeaderName, malformed: Malformed) -> HeaderError {
    HeaderError::new(name, malformed.0)
}
