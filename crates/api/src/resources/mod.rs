//! One file per resource: its table of fields, and what its methods do.

pub(crate) mod accounts;
pub(crate) mod applications;
pub(crate) mod calls;
pub(crate) mod clients;
pub(crate) mod deliveries;
pub(crate) mod messages;
pub(crate) mod notifications;
pub(crate) mod numbers;
pub(crate) mod recordings;
pub(crate) mod tokens;
pub(crate) mod version;
