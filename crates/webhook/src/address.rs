//! Addresses of applications: checking and resolving.
//!
//! **Invariant: a [`Target`] holds no user-info and no fragment in its URL;** credentials are kept
//! separately, so that they cannot reach another origin by accident.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use url::Url;

use crate::error::{FetchError, Problem};

/// The destination of a request.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// Without user-info or fragment.
    pub(crate) url: Url,
    /// Value of the `Authorization` header.
    pub(crate) authorization: Option<String>,
    /// The address as given, except the fragment.
    pub(crate) full: Url,
}

impl Target {
    /// Reads an absolute address.
    pub(crate) fn parse(text: &str) -> Result<Self, FetchError> {
        let bad = |reason: &str| {
            FetchError::new(
                text,
                Problem::BadAddress {
                    reason: reason.to_owned(),
                },
            )
        };
        let url = Url::parse(text.trim()).map_err(|error| bad(&error.to_string()))?;
        Self::from_url(url)
    }

    /// Follows a `Location`, which may be relative. Credentials stay within their origin.
    pub(crate) fn redirected(&self, location: &str) -> Result<Self, FetchError> {
        let url = self.url.join(location.trim()).map_err(|error| {
            let reason = format!("it redirects to an address that is not valid: {error}");
            FetchError::new(self.full.as_str(), Problem::BadAddress { reason })
        })?;
        let mut next = Self::from_url(url)?;
        if next.authorization.is_none() && next.url.origin() == self.url.origin() {
            next.authorization.clone_from(&self.authorization);
            copy_user_info(&self.full, &mut next.full);
        }
        Ok(next)
    }

    fn from_url(mut full: Url) -> Result<Self, FetchError> {
        full.set_fragment(None);
        let reason = match full.scheme() {
            "http" | "https" if full.has_host() => None,
            "http" | "https" => Some("it has no host".to_owned()),
            scheme => Some(format!(
                "the scheme `{scheme}` is not allowed; use http or https"
            )),
        };
        if let Some(reason) = reason {
            return Err(FetchError::new(
                full.as_str(),
                Problem::BadAddress { reason },
            ));
        }
        let mut url = full.clone();
        // These fail only for addresses without a host.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        Ok(Self {
            url,
            authorization: basic(&full),
            full,
        })
    }
}

/// Resolves an address against that of its document (RFC 3986 §5), whose query is ignored.
///
/// # Errors
/// [`FetchError`] with [`Problem::BadAddress`] if the result is not an HTTP or HTTPS address.
pub fn resolve(base: &str, address: &str) -> Result<String, FetchError> {
    let address = address.trim();
    let bad = |error: url::ParseError| {
        FetchError::new(
            address,
            Problem::BadAddress {
                reason: error.to_string(),
            },
        )
    };
    let url = match Url::parse(address) {
        Ok(url) => url,
        Err(url::ParseError::RelativeUrlWithoutBase) => {
            let mut base = Url::parse(base).map_err(bad)?;
            base.set_query(None);
            base.join(address).map_err(bad)?
        }
        Err(error) => return Err(bad(error)),
    };
    Ok(Target::from_url(url)?.full.into())
}

/// Basic credentials (RFC 7617) from the user-info.
fn basic(url: &Url) -> Option<String> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let mut pair: Vec<u8> = percent_decode_str(url.username()).collect();
    pair.push(b':');
    pair.extend(percent_decode_str(url.password().unwrap_or("")));
    Some(format!("Basic {}", STANDARD.encode(pair)))
}

fn copy_user_info(from: &Url, to: &mut Url) {
    let _ = to.set_username(from.username());
    let _ = to.set_password(from.password());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolves_against_the_document() {
        let table = [
            ("http://app/dir/v?x=1", "next", Some("http://app/dir/next")),
            ("http://app/dir/v", "/a&x=1", Some("http://app/a&x=1")),
            ("http://app/dir/v?x=1", "?y=2", Some("http://app/dir/v?y=2")),
            ("http://app/dir/v?x=1", "", Some("http://app/dir/v")),
            ("http://u:p@app/v", "next", Some("http://u:p@app/next")),
            ("http://u:p@app/v", "//other/x", Some("http://other/x")),
            ("http://app/v", " https://b/c#frag ", Some("https://b/c")),
            ("http://app/v", "file:///etc/passwd", None),
            ("http://app/v", "javascript:1", None),
            ("nonsense", "x", None),
            ("http://app/v", "http://[::1", None),
        ];
        for (base, address, expected) in table {
            assert_eq!(
                resolve(base, address).ok().as_deref(),
                expected,
                "{base} {address}"
            );
        }
    }

    #[test]
    fn credentials_stay_within_their_origin() {
        let first = Target::parse("http://kim:s%20%3A@app.example/a").unwrap();
        assert_eq!(first.authorization.as_deref(), Some("Basic a2ltOnMgOg=="));
        assert_eq!(first.url.as_str(), "http://app.example/a");
        let table = [
            ("/b", true, "http://kim:s%20%3A@app.example/b"),
            (
                "http://app.example:80/b",
                true,
                "http://kim:s%20%3A@app.example/b",
            ),
            ("http://app.example:81/b", false, "http://app.example:81/b"),
            ("https://app.example/b", false, "https://app.example/b"),
            ("//evil.example/b", false, "http://evil.example/b"),
        ];
        for (location, kept, full) in table {
            let next = first.redirected(location).unwrap();
            assert_eq!(
                next.authorization == first.authorization,
                kept,
                "{location}"
            );
            assert_eq!(next.full.as_str(), full, "{location}");
        }
        let own = first.redirected("http://x:y@other.example/").unwrap();
        assert_eq!(own.authorization.as_deref(), Some("Basic eDp5"));
        assert!(first.redirected("file:///etc/passwd").is_err());
    }
}
