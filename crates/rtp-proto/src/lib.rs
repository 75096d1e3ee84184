//! RTP and RTCP without sockets or clocks: packets, reports, key presses, the jitter buffer.
//!
//! | module | what it does |
//! |---|---|
//! | [`packet`] | reads, writes and rewrites RTP packets in place |
//! | [`demux`] | distinguishes RTP, RTCP, STUN and DTLS on one socket |
//! | [`rtcp`] | reads and writes compound RTCP packets |
//! | [`stats`] | loss, jitter and round-trip time of a stream |
//! | [`dtmf`] | key presses as telephone events |
//! | [`jitter`] | evens out network delay and hides lost frames |
//! | [`seq`] | arithmetic on numbers that wrap |
//!
//! **Invariant: no function allocates per packet, and no input makes one panic.** Only
//! [`jitter::JitterBuffer::new`] allocates, once.
//! Left to others: sockets, codecs, and deciding who owns a stream.

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
