//! SMPP 3.4 as an ESME: PDUs, texts in segments, delivery receipts and the session with an SMSC.
//!
//! Sans-IO: bytes and `now` come in as arguments, outputs are polled. Numbers of sections refer to
//! the *Short Message Peer to Peer Protocol Specification v3.4, issue 1.2*, and those of alphabets
//! and headers to 3GPP TS 23.038 and 23.040. **Invariant: whatever an SMSC sends, nothing here panics, and what it keeps
//! of it is bounded.**

pub mod codec;
pub mod gsm7;
pub mod pdu;
pub mod reassembly;
pub mod receipt;
pub mod session;
pub mod status;
pub mod text;

pub use pdu::{Address, Bind, BindMode, Body, Pdu, ShortMessage, Tlv};
pub use reassembly::{Arrived, Reassembly};
pub use receipt::{Receipt, ReceiptState};
pub use session::{Answer, Event, Output, Session, SessionSettings, Submission};
pub use text::{Concatenation, Encoding, Segments, TextSettings};
