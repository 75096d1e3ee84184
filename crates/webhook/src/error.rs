//! Why a request to an application failed.
//!
//! **Invariant: the text of an error holds no credentials.**

use std::net::IpAddr;
use std::time::Duration;

use model::error;

use model::address::redacted;
use model::egress;

/// A failed request, with the address at which it failed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{url}: {problem}")]
pub struct FetchError {
    /// The address, safe to show.
    pub url: String,
    /// The problem.
    pub problem: Problem,
}

/// The problem with a request.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Problem {
    /// The address cannot be requested.
    #[error("the address is not valid: {reason}")]
    BadAddress {
        /// Human-readable.
        reason: String,
    },
    /// The host's address is private or local, or serves cloud secrets.
    #[error("the account may not reach {address}; {}", egress::Refused(*address).advice("fetch"))]
    Refused {
        /// The resolved address of the host.
        address: IpAddr,
    },
    /// No connection, or it broke.
    #[error(
        "cannot be reached ({reason}); check that the web server is running and that the address is correct"
    )]
    Io {
        /// Human-readable.
        reason: String,
        /// Whether there was a connection, so that the request may have arrived.
        was_connected: bool,
    },
    /// The secrets to sign it with are currently unavailable.
    #[error("{reason}")]
    Unsigned {
        /// Human-readable.
        reason: String,
    },
    /// Nothing arrived for too long.
    #[error("no response within {} s; the web server must answer faster", limit.as_secs_f32())]
    Timeout {
        /// The limit that was exceeded.
        limit: Duration,
    },
    /// The response is not HTTP.
    #[error("the response is not valid HTTP ({reason}); check what the web server sends")]
    Protocol {
        /// Human-readable.
        reason: String,
    },
    /// The body uses an unsupported compression, or does not match its header.
    #[error(
        "the response has the Content-Encoding `{coding}`, which cannot be decoded; send it uncompressed"
    )]
    Coding {
        /// The header's value.
        coding: String,
    },
    /// No memory is available for it now.
    #[error("too many sound files are being loaded; use smaller ones, or try again later")]
    NoRoom,
    /// The body is longer than allowed.
    #[error("the response is longer than {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// The redirects do not end.
    #[error("more than {limit} redirects in a row; check them for a loop")]
    TooManyRedirects {
        /// The limit.
        limit: u32,
    },
    /// A file was requested, and the status of the response is not 200.
    #[error("the response has status {status}; it must be 200")]
    Status {
        /// The HTTP status.
        status: u16,
    },
}

impl FetchError {
    pub(crate) fn new(url: &str, problem: Problem) -> Self {
        Self {
            url: redacted(url),
            problem,
        }
    }

    /// Number in the error table.
    #[must_use]
    pub fn code(&self) -> u16 {
        match self.problem {
            Problem::BadAddress { .. } => error::BAD_URI,
            Problem::Refused { .. } => error::ADDRESS_REFUSED,
            Problem::Io { .. }
            | Problem::Timeout { .. }
            | Problem::Unsigned { .. }
            | Problem::NoRoom => error::FETCH_IO,
            Problem::Protocol { .. } | Problem::Status { .. } | Problem::Coding { .. } => {
                error::FETCH_PROTOCOL
            }
            Problem::TooLarge { .. } => error::DOCUMENT_TOO_LARGE,
            Problem::TooManyRedirects { .. } => error::TOO_MANY_REDIRECTS,
        }
    }

    /// Whether the same request may succeed later.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        match self.problem {
            Problem::Io { .. }
            | Problem::Timeout { .. }
            | Problem::Unsigned { .. }
            | Problem::NoRoom
            | Problem::Protocol { .. } => true,
            Problem::Status { status } => status >= 500 || status == 429,
            Problem::BadAddress { .. }
            | Problem::Refused { .. }
            | Problem::Coding { .. }
            | Problem::TooLarge { .. }
            | Problem::TooManyRedirects { .. } => false,
        }
    }
}
