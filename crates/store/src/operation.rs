//! What a commit consists of.

use model::InstanceSid;

use crate::Change;
use crate::admin::Admin;
use crate::dialect::Dialect;

/// An element of a commit.
pub(crate) enum Operation {
    Change(Change),
    Admin(Box<Admin>),
}

/// The process state that operations need.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Context {
    pub(crate) dialect: Dialect,
    pub(crate) instance: InstanceSid,
    /// The commit may have been written before: its confirmation was lost.
    pub(crate) repeated: bool,
}
