//! Many calls with real RTP from one process, for the soak and the benches.
//!
//! sipp and baresip show that real peers work with the server, but cannot stream hundreds of calls
//! and time each packet. **Invariant: every reported figure was counted at the sockets**: packets
//! sent and received by each leg, and the age of each packet on arrival, stamped into its payload
//! by the sender.

pub mod ages;
pub mod bench;
pub mod payload;
pub mod peer;
pub mod relay;
pub mod rtp;
pub mod ua;
