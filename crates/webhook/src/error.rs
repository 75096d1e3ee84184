//! Why a request to an application failed.
//!
//! **Invariant: the text of an error holds no credentials.**

use std::net::IpAddr;
use std::time::Duration;

use model::error;

use model::address::redacted;

/// A request that failed, with the address it failed at.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{url}: {problem}")]
pub struct FetchError {
    /// The address, fit to be shown.
    pub url: String,
    /// What went wrong.
    pub problem: Problem,
}

/// What went wrong with a request.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Problem {
    /// It is no address that can be requested.
    #[error("the address is not valid: {reason}")]
    BadAddress {
        /// In words.
        reason: String,
    },
    /// The host's address is private, local or serves secrets of the cloud.
    #[error("the account may not reach {address}; use a public address")]
    Refused {
        /// The address that the host has.
        address: IpAddr,
    },
    /// No connection, or it broke.
    #[error(
        "cannot be reached ({reason}); check that the web server runs and the address is right"
    )]
    Io {
        /// In words.
        reason: String,
    },
    /// What it would be signed with cannot be had now.
    #[error("{reason}")]
    Unsigned {
        /// In words.
        reason: String,
    },
    /// Nothing came for too long.
    #[error("no answer within {} s; the web server has to answer faster", limit.as_secs_f32())]
    Timeout {
        /// The limit that was exceeded.
        limit: Duration,
    },
    /// What came is no HTTP.
    #[error("the answer is not proper HTTP ({reason}); check what the web server sends")]
    Protocol {
        /// In words.
        reason: String,
    },
    /// The body is compressed in a way that is not read here, or is not what its header says.
    #[error(
        "the answer has the Content-Encoding `{coding}`, which cannot be decoded; send it uncompressed"
    )]
    Coding {
        /// What the header says.
        coding: String,
    },
    /// The body is longer than allowed.
    #[error("the answer is longer than {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// Redirects do not end.
    #[error("more than {limit} redirects in a row; check them for a loop")]
    TooManyRedirects {
        /// The limit.
        limit: u32,
    },
    /// A file was asked for and the answer is another status than 200.
    #[error("the answer has status {status}; it must be 200")]
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
            Problem::Io { .. } | Problem::Timeout { .. } | Problem::Unsigned { .. } => {
                error::FETCH_IO
            }
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
