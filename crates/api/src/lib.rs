//! The REST API.

#![forbid(unsafe_code)]

mod calls;

pub use calls::{CallEvent, Calls, CreateError, Modify, ModifyError, NewCall};
