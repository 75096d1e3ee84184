//! WWW-Authenticate, Authorization and their proxy twins (RFC 3261 §20.7, RFC 7235 §2.1).

use super::lexer::{Malformed, unquote, value};
use crate::parse::is_token;

/// A challenge or credentials: a scheme with `name=value` parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthValue {
    /// Scheme as written, e.g. `Digest`.
    pub scheme: String,
    /// Names as written, values without quotes, in order.
    pub params: Vec<(String, String)>,
}

impl AuthValue {
    /// Reads one challenge or one set of credentials.
    ///
    /// # Errors
    /// A short description of the fault.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        Self::read(text).map_err(|error| error.0)
    }

    fn read(text: &str) -> Result<Self, Malformed> {
        let text = text.trim_ascii();
        let (scheme, mut rest) = text.split_once([' ', '\t']).unwrap_or((text, ""));
        if !is_token(scheme.as_bytes()) {
            return Err(Malformed("malformed scheme"));
        }
        let mut params = Vec::with_capacity(10);
        loop {
            rest = rest
                .trim_ascii_start()
                .trim_start_matches(',')
                .trim_ascii_start();
            if rest.is_empty() {
                return Ok(Self {
                    scheme: scheme.to_owned(),
                    params,
                });
            }
            let (name, tail) = rest
                .split_once('=')
                .ok_or(Malformed("parameter without value"))?;
            let name = name.trim_ascii();
            let (raw, tail) = value(tail.trim_ascii_start())?;
            let tail = tail.trim_ascii_start();
            if !is_token(name.as_bytes()) || !(tail.is_empty() || tail.starts_with(',')) {
                return Err(Malformed("malformed parameter"));
            }
            params.push((name.to_owned(), unquote(raw)));
            rest = tail;
        }
    }

    /// Value of the first parameter of that name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.params
            .iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, v)| v.as_str())
    }
}
