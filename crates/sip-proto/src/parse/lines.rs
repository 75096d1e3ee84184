use super::ParseError;
use crate::message::Message;
use bytes::Bytes;
pub(super) fn parse(_: Bytes) -> Result<Message, ParseError> {
    Err(ParseError {
        status: 400.into(),
        reason: String::new(),
        partial: None,
        closes_stream: true,
    })
}
