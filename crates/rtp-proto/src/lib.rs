//! RTP and RTCP without sockets or clocks: packets, reports, key presses, the jitter buffer.
//!
//! **Invariant: no function allocates per packet, and no input makes one panic.**
//! Left to others: sockets, codecs, which stream belongs to whom.

#![forbid(unsafe_code)]

pub mod demux;
pub mod dtmf;
pub mod jitter;
pub mod packet;
pub mod rtcp;
pub mod seq;
pub mod stats;

pub use demux::{Kind, classify};
pub use packet::{HEADER_LEN, Header, Packet, RtpError};
