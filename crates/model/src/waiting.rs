//! Voice messages that wait for a client.

/// Numbers of messages in the boxes of one client. The default is none.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Waiting {
    /// Messages that have not been heard.
    pub new: u32,
    /// Messages that have been heard and are kept.
    pub old: u32,
}
